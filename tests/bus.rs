//! bgctl's proxies and its waiting for jobs, against a `org.freedesktop.systemd1` made of zbus over a socket pair. It can
//! do what the real one does only once in a thousand times: end a job before it named it, or never say that it ended.

#![expect(clippy::unwrap_used, reason = "in a test a panic is the answer")]
#![expect(
    clippy::unused_self,
    clippy::needless_pass_by_value,
    reason = "zbus asks for these signatures"
)]

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bgctl::host::systemd::{Load, MainExit, Systemd};
use bgctl::model::{ActiveState, AppName, Hinted, Port, UnitName};
use zbus::object_server::{ResponseDispatchNotifier, SignalEmitter};
use zbus::{Connection, DBusError, ObjectServer, OwnedObjectPath, OwnedVariant, fdo, interface};

const LONG: Duration = Duration::from_secs(20);
const JOB: &str = "/org/freedesktop/systemd1/job/42";
const UNIT: &str = "/org/freedesktop/systemd1/unit/shop_409002_2eservice";
const INIT: &str = "/org/freedesktop/systemd1/unit/init_2escope";
/// Any file will do.
const UNIT_FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/bus.rs");
const NOBODY: &str = "/org/freedesktop/systemd1/unit/nobody";

/// How the next job goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Job {
    /// It ends with this result after the answer that names it.
    Ends(&'static str),
    /// It ends with `done` before that answer.
    EndsBeforeTheAnswer,
    /// It ends with `done` after very many others.
    EndsAfterOthers,
    /// It ends, and no signal says so.
    EndsUnheard,
    /// It ends with `done`, and systemd knows this connection already.
    EndsToASubscriber,
    /// It never ends.
    Hangs,
    /// There is no such unit.
    NoSuchUnit,
    /// The caller may not.
    Denied,
}

#[derive(Clone, Debug)]
struct State {
    job: Job,
    active: &'static str,
    result: &'static str,
    calls: Vec<String>,
    /// How many reloads are refused.
    limited: u32,
    /// Of which units it is said that they need one.
    unread: &'static [&'static str],
    /// When units were last read, microseconds since 1970.
    read: u64,
}

type Shared = Arc<Mutex<State>>;

#[derive(Debug, DBusError)]
#[zbus(prefix = "org.freedesktop")]
enum Refusal {
    #[zbus(error)]
    ZBus(zbus::Error),
    #[zbus(name = "systemd1.NoSuchUnit")]
    NoSuchUnit(String),
    #[zbus(name = "DBus.Error.AccessDenied")]
    AccessDenied(String),
    #[zbus(name = "DBus.Error.LimitsExceeded")]
    LimitsExceeded(String),
    #[zbus(name = "systemd1.AlreadySubscribed")]
    AlreadySubscribed(String),
}

struct Manager(Shared);

impl Manager {
    fn called(&self, call: String) -> Job {
        let mut state = self.0.lock().unwrap();
        state.calls.push(call);
        state.job
    }

    async fn job(
        &self,
        job: Job,
        emitter: SignalEmitter<'_>,
        server: &ObjectServer,
    ) -> Result<ResponseDispatchNotifier<OwnedObjectPath>, Refusal> {
        let (answer, answered) = ResponseDispatchNotifier::new(path(JOB));
        let emitter = emitter.to_owned();
        match job {
            Job::Denied => return Err(Refusal::AccessDenied("Permission denied".into())),
            Job::NoSuchUnit => return Err(Refusal::NoSuchUnit("Unit shop@9002.service not found.".into())),
            Job::EndsBeforeTheAnswer | Job::EndsToASubscriber => ended(&emitter, JOB, "done").await?,
            Job::EndsAfterOthers => {
                for other in 1000..1300 {
                    ended(&emitter, &format!("/org/freedesktop/systemd1/job/{other}"), "failed").await?;
                }
                ended(&emitter, JOB, "done").await?;
            }
            Job::Ends(result) => {
                tokio::spawn(async move {
                    answered.await;
                    ended(&emitter, JOB, result).await
                });
            }
            Job::Hangs => {
                server.at(JOB, JobObject).await?;
            }
            Job::EndsUnheard => {}
        }
        Ok(answer)
    }
}

#[interface(name = "org.freedesktop.systemd1.Manager")]
impl Manager {
    fn subscribe(&self) -> Result<(), Refusal> {
        match self.called("subscribe".into()) {
            Job::EndsToASubscriber => Err(Refusal::AlreadySubscribed("Client is already subscribed.".into())),
            _ => Ok(()),
        }
    }

    fn reload(&self) -> Result<(), Refusal> {
        self.called("reload".into());
        let mut state = self.0.lock().unwrap();
        if state.limited > 0 {
            state.limited -= 1;
            return Err(Refusal::LimitsExceeded(
                "Reload() request rejected due to rate limit.".into(),
            ));
        }
        state.unread = &[];
        Ok(())
    }

    #[zbus(property)]
    fn units_load_timestamp(&self) -> u64 {
        self.0.lock().unwrap().read
    }

    async fn start_unit(
        &self,
        name: &str,
        mode: &str,
        #[zbus(signal_emitter)] emitter: SignalEmitter<'_>,
        #[zbus(object_server)] server: &ObjectServer,
    ) -> Result<ResponseDispatchNotifier<OwnedObjectPath>, Refusal> {
        let job = self.called(format!("start {name} {mode}"));
        self.job(job, emitter, server).await
    }

    async fn stop_unit(
        &self,
        name: &str,
        mode: &str,
        #[zbus(signal_emitter)] emitter: SignalEmitter<'_>,
        #[zbus(object_server)] server: &ObjectServer,
    ) -> Result<ResponseDispatchNotifier<OwnedObjectPath>, Refusal> {
        let job = self.called(format!("stop {name} {mode}"));
        self.job(job, emitter, server).await
    }

    async fn restart_unit(
        &self,
        name: &str,
        mode: &str,
        #[zbus(signal_emitter)] emitter: SignalEmitter<'_>,
        #[zbus(object_server)] server: &ObjectServer,
    ) -> Result<ResponseDispatchNotifier<OwnedObjectPath>, Refusal> {
        let job = self.called(format!("restart {name} {mode}"));
        self.job(job, emitter, server).await
    }

    fn load_unit(&self, name: &str) -> OwnedObjectPath {
        path(match name {
            "init.scope" => INIT,
            _ if name.starts_with("nobody@") => NOBODY,
            _ => UNIT,
        })
    }

    fn enable_unit_files(
        &self,
        files: Vec<String>,
        runtime: bool,
        force: bool,
    ) -> (bool, Vec<(String, String, String)>) {
        let call = format!("enable {files:?} {runtime} {force}");
        let again = self.0.lock().unwrap().calls.contains(&call);
        self.called(call);
        let change = ("symlink".into(), "/etc/x".into(), "/y".into());
        (true, if again { vec![] } else { vec![change] })
    }

    fn get_unit_file_state(&self, file: &str) -> fdo::Result<String> {
        match file {
            "shop@9002.service" => Ok("enabled".into()),
            _ => Err(fdo::Error::FileNotFound("No such file or directory".into())),
        }
    }

    fn reset_failed_unit(&self, name: &str) -> Result<(), Refusal> {
        Err(Refusal::NoSuchUnit(format!("Unit {name} not loaded.")))
    }

    fn set_unit_properties(&self, name: &str, runtime: bool, properties: Vec<(String, OwnedVariant)>) {
        self.called(format!("set {name} {runtime} {properties:?}"));
    }

    #[expect(clippy::type_complexity, reason = "the bus says so")]
    fn list_units_by_patterns(
        &self,
        states: Vec<String>,
        patterns: Vec<String>,
    ) -> Vec<(
        String,
        String,
        String,
        String,
        String,
        String,
        OwnedObjectPath,
        u32,
        String,
        OwnedObjectPath,
    )> {
        assert_eq!((states.len(), patterns), (0, vec!["shop@*".to_owned()]));
        let unit = |name: &str| {
            let [description, load, active, sub, none] = ["shop", "loaded", "active", "running", ""].map(String::from);
            let (object, job) = (path(UNIT), path("/"));
            (
                name.to_owned(),
                description,
                load,
                active,
                sub,
                none.clone(),
                object,
                0,
                none,
                job,
            )
        };
        vec![unit("shop@9002.service"), unit("shop@.socket")]
    }

    #[zbus(signal)]
    async fn job_removed(
        emitter: &SignalEmitter<'_>,
        id: u32,
        job: OwnedObjectPath,
        unit: &str,
        result: &str,
    ) -> zbus::Result<()>;
}

async fn ended(emitter: &SignalEmitter<'_>, job: &str, result: &str) -> zbus::Result<()> {
    Manager::job_removed(emitter, 42, path(job), "shop@9002.service", result).await
}

struct JobObject;

#[interface(name = "org.freedesktop.systemd1.Job")]
impl JobObject {
    #[zbus(property)]
    fn state(&self) -> &'static str {
        "running"
    }
}

struct Unit {
    shared: Shared,
    object: &'static str,
    load: &'static str,
    file: String,
}

#[interface(name = "org.freedesktop.systemd1.Unit")]
impl Unit {
    #[zbus(property)]
    fn description(&self) -> &'static str {
        "shop, green"
    }
    #[zbus(property)]
    fn load_state(&self) -> &'static str {
        self.load
    }
    #[zbus(property)]
    fn active_state(&self) -> String {
        self.shared.lock().unwrap().active.to_owned()
    }
    #[zbus(property)]
    fn sub_state(&self) -> &'static str {
        "running"
    }
    #[zbus(property)]
    fn fragment_path(&self) -> String {
        self.file.clone()
    }
    #[zbus(property)]
    fn drop_in_paths(&self) -> Vec<String> {
        Vec::new()
    }
    #[zbus(property)]
    fn need_daemon_reload(&self) -> bool {
        self.shared.lock().unwrap().unread.contains(&self.object)
    }
    #[zbus(property)]
    fn state_change_timestamp(&self) -> u64 {
        1_700_000_000_000_000
    }
    #[zbus(property, name = "InvocationID")]
    fn invocation_id(&self) -> Vec<u8> {
        vec![0xab; 16]
    }
}

struct Service(Shared);

#[interface(name = "org.freedesktop.systemd1.Service")]
impl Service {
    #[zbus(property)]
    fn status_text(&self) -> &'static str {
        "last answer: 503"
    }
    #[zbus(property)]
    fn memory_current(&self) -> u64 {
        u64::MAX
    }
    #[zbus(property, name = "NRestarts")]
    fn n_restarts(&self) -> u32 {
        2
    }
    #[zbus(property)]
    fn result(&self) -> String {
        self.0.lock().unwrap().result.to_owned()
    }
    #[zbus(property, name = "MainPID")]
    fn main_pid(&self) -> u32 {
        0
    }
    #[zbus(property)]
    fn exec_main_code(&self) -> i32 {
        1
    }
    #[zbus(property)]
    fn exec_main_status(&self) -> i32 {
        3
    }
}

fn path(path: &str) -> OwnedObjectPath {
    OwnedObjectPath::try_from(path).unwrap()
}

fn unit(app: &str) -> UnitName {
    UnitName::instance(&AppName::parse(app).unwrap(), Port::new(9002).unwrap())
}

/// systemd as bgctl sees it, and what is behind it. The connection of the fake lives as long as the last of the three.
async fn systemd(job: Job) -> (Systemd, Shared, Connection) {
    let shared = Arc::new(Mutex::new(State {
        job,
        active: "active",
        result: "success",
        calls: Vec::new(),
        limited: 0,
        unread: &[],
        read: 0,
    }));
    let unit = |object, load, file: &str| Unit {
        shared: Arc::clone(&shared),
        object,
        load,
        file: file.to_owned(),
    };
    let (ours, theirs) = std::os::unix::net::UnixStream::pair().unwrap();
    let fake = zbus::connection::Builder::unix_stream(theirs)
        .server(zbus::Guid::generate())
        .p2p()
        .serve_at("/org/freedesktop/systemd1", Manager(Arc::clone(&shared)))
        .serve_at(UNIT, unit(UNIT, "loaded", UNIT_FILE))
        .serve_at(UNIT, Service(Arc::clone(&shared)))
        .serve_at(INIT, unit(INIT, "loaded", ""))
        .serve_at(NOBODY, unit(NOBODY, "not-found", ""))
        .serve_at(NOBODY, Service(Arc::clone(&shared)));
    let client = zbus::connection::Builder::unix_stream(ours).p2p();
    let (fake, client) = tokio::try_join!(fake.build(), client.build()).unwrap();
    (Systemd::with_connection(client).await.unwrap(), shared, fake)
}

#[tokio::test]
async fn job_that_is_done() {
    let (systemd, shared, _fake) = systemd(Job::Ends("done")).await;
    systemd.start(&unit("shop"), LONG).await.unwrap();
    systemd.start(&unit("shop"), LONG).await.unwrap();
    let start = "start shop@9002.service replace";
    assert_eq!(
        shared.lock().unwrap().calls,
        ["subscribe", start, start],
        "subscribed first, and once"
    );
}

#[tokio::test]
async fn job_that_failed_says_why() {
    for result in ["failed", "timeout", "canceled", "dependency", "skipped"] {
        let (systemd, shared, _fake) = systemd(Job::Ends(result)).await;
        shared.lock().unwrap().active = "failed";
        shared.lock().unwrap().result = "exit-code";
        let error = systemd.start(&unit("shop"), LONG).await.unwrap_err();
        assert_eq!(
            error.to_string(),
            format!(
                "cannot start shop@9002.service: its job ended with {result:?}: its main process exited with status 3, its last status was \"last answer: 503\""
            )
        );
        assert_eq!(
            Hinted::find(&error).unwrap().hint(),
            "see `journalctl -u shop@9002.service`"
        );
    }
}

#[tokio::test]
async fn job_that_is_done_and_did_nothing() {
    let (systemd, shared, _fake) = systemd(Job::Ends("done")).await;
    shared.lock().unwrap().active = "inactive";
    let error = systemd.start(&unit("shop"), LONG).await.unwrap_err().to_string();
    assert!(error.contains("a condition in its unit file was not met"), "{error}");
}

#[tokio::test]
async fn relaunch_is_one_job_and_may_end_with_a_unit_that_is_down() {
    let (systemd, shared, _fake) = systemd(Job::Ends("done")).await;
    shared.lock().unwrap().active = "inactive";
    systemd.relaunch(&unit("shop"), LONG).await.unwrap();
    assert_eq!(
        shared.lock().unwrap().calls,
        ["subscribe", "restart shop@9002.service replace"]
    );
}

#[tokio::test]
async fn bus_that_is_gone_is_seen_by_who_waits_for_a_job() {
    let (systemd, _, fake) = systemd(Job::Hangs).await;
    assert!(!systemd.is_cut_off());
    let (unit, gone) = (unit("shop"), async {
        tokio::time::sleep(Duration::from_millis(50)).await;
        fake.close().await.unwrap();
    });
    let (started, ()) = tokio::join!(systemd.start(&unit, LONG), gone);
    assert!(started.is_err() && systemd.is_cut_off());
}

#[tokio::test]
async fn signal_before_the_answer_is_heard() {
    let (systemd, _, _fake) = systemd(Job::EndsBeforeTheAnswer).await;
    let began = Instant::now();
    systemd.start(&unit("shop"), LONG).await.unwrap();
    assert!(
        began.elapsed() < Duration::from_millis(200),
        "by the signal, not by looking"
    );
}

#[tokio::test]
async fn very_many_other_jobs_block_nothing() {
    let (systemd, _, _fake) = systemd(Job::EndsAfterOthers).await;
    systemd.start(&unit("shop"), LONG).await.unwrap();
}

#[tokio::test]
async fn without_a_signal_the_job_is_looked_at() {
    let (systemd, shared, _fake) = systemd(Job::EndsUnheard).await;
    systemd.start(&unit("shop"), LONG).await.unwrap();
    shared.lock().unwrap().active = "failed";
    shared.lock().unwrap().result = "timeout";
    let error = systemd.start(&unit("shop"), LONG).await.unwrap_err().to_string();
    assert!(error.contains("its job ended: it took too long"), "{error}");
}

#[tokio::test]
async fn job_has_its_time() {
    let (systemd, _, _fake) = systemd(Job::Hangs).await;
    let error = systemd
        .start(&unit("shop"), Duration::from_millis(700))
        .await
        .unwrap_err()
        .to_string();
    assert_eq!(error, "cannot start shop@9002.service: it did not end within 700ms");
}

#[tokio::test]
async fn unit_that_does_not_exist() {
    let (systemd, _, _fake) = systemd(Job::NoSuchUnit).await;
    let error = systemd.start(&unit("shop"), LONG).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "cannot start shop@9002.service: Unit shop@9002.service not found"
    );
    assert!(Hinted::find(&error).unwrap().hint().contains("bgctl install"));
    systemd.reset_failed(&unit("shop")).await.unwrap();
    assert_eq!(systemd.state(&unit("nobody")).await.unwrap().load, Load::NotFound);
}

#[tokio::test]
async fn caller_that_may_not() {
    let (systemd, _, _fake) = systemd(Job::Denied).await;
    let error = systemd.start(&unit("shop"), LONG).await.unwrap_err();
    assert_eq!(error.to_string(), "cannot start shop@9002.service: Permission denied");
    assert_eq!(Hinted::find(&error).unwrap().hint(), "run this as root");
}

#[tokio::test]
async fn start_that_waits_is_taken_back_by_a_stop() {
    let (systemd, shared, _fake) = systemd(Job::Ends("done")).await;
    shared.lock().unwrap().active = "inactive";
    systemd.stop(&unit("shop"), LONG).await.unwrap();
    assert_eq!(
        shared.lock().unwrap().calls,
        ["subscribe", "stop shop@9002.service replace"]
    );
    shared.lock().unwrap().active = "active";
    let error = systemd.stop(&unit("shop"), LONG).await.unwrap_err().to_string();
    assert!(
        error.starts_with("cannot stop shop@9002.service: "),
        "it still runs: {error}"
    );
}

#[tokio::test]
async fn properties_of_a_unit_are_read() {
    let (systemd, shared, _fake) = systemd(Job::Hangs).await;
    let state = systemd.state(&unit("shop")).await.unwrap();
    assert_eq!(
        (state.load, state.active, state.sub.as_str()),
        (Load::Loaded, ActiveState::Active, "running")
    );
    assert_eq!(state.since.unwrap().as_second(), 1_700_000_000);
    assert_eq!(state.invocation.unwrap(), "ab".repeat(16));
    assert_eq!((state.memory, state.restarts), (None, 2));
    assert_eq!(state.main_exit, Some(MainExit::Status(3)));
    assert_eq!(state.status_text.as_deref(), Some("last answer: 503"));

    let listed = systemd.list(&["shop@*"]).await.unwrap();
    assert_eq!(listed.len(), 1, "what is no service is left out");
    assert_eq!(
        (&listed[0].unit, listed[0].active),
        (&unit("shop"), ActiveState::Active)
    );

    shared.lock().unwrap().active = "dancing";
    assert!(systemd.state(&unit("shop")).await.is_err());
}

#[tokio::test]
async fn enabling_says_whether_it_changed_anything() {
    let (systemd, shared, _fake) = systemd(Job::Hangs).await;
    assert!(systemd.enable(&[&unit("shop")]).await.unwrap());
    assert!(!systemd.enable(&[&unit("shop")]).await.unwrap());
    assert!(systemd.is_enabled(&unit("shop")).await.unwrap());
    assert!(!systemd.is_enabled(&unit("nobody")).await.unwrap());
    systemd.describe(&unit("shop"), "shop, green, active").await.unwrap();
    let calls = shared.lock().unwrap().calls.clone();
    assert_eq!(calls[0], "enable [\"shop@9002.service\"] false false");
    let set = &calls[2];
    assert!(
        set.starts_with("set shop@9002.service true")
            && set.contains("Description")
            && set.contains("shop, green, active"),
        "{set}"
    );
}

#[tokio::test]
async fn subscriber_that_is_one_already_hears_how_a_job_ends() {
    let (systemd, _, _fake) = systemd(Job::EndsToASubscriber).await;
    systemd.start(&unit("shop"), LONG).await.unwrap();
}

#[tokio::test]
async fn reload_that_is_refused_for_now_is_asked_for_again() {
    let (systemd, shared, _fake) = systemd(Job::Hangs).await;
    shared.lock().unwrap().limited = 2;
    systemd.daemon_reload().await.unwrap();
    assert_eq!(shared.lock().unwrap().calls, ["reload"; 3]);
}

#[tokio::test]
async fn reload_is_needed_by_units_whose_file_is_newer() {
    let (systemd, shared, _fake) = systemd(Job::Hangs).await;
    let needs_reload = async || systemd.state(&unit("shop")).await.unwrap().needs_reload;
    let (long_ago, far_away) = (0, 4_000_000_000_000_000);
    for (unread, read, expected) in [
        (&[][..], long_ago, false),
        (&[UNIT], far_away, true),
        (&[UNIT, INIT], long_ago, true),
        (&[UNIT, INIT], far_away, false),
    ] {
        shared.lock().unwrap().unread = unread;
        shared.lock().unwrap().read = read;
        assert_eq!(needs_reload().await, expected, "{unread:?} {read}");
    }
    systemd.read_links().await.unwrap();
    systemd.read_links().await.unwrap();
    assert_eq!(shared.lock().unwrap().calls, ["reload"], "only where it is asked for");
}
