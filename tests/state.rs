//! State on disk: whatever a disk, a crash or a hand does to it, it is read as it was written or not at all.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test fails by panicking"
)]

#[path = "support/builders.rs"]
#[expect(dead_code, reason = "other tests use the rest")]
mod builders;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;
use std::time::Duration;

use bgctl::files;
use bgctl::host::layout::Layout;
use bgctl::journal::{Event, Record};
use bgctl::model::{
    App, Artifact, Color, Cursor, Digest, EtcdSettings, HealthCheck, Hinted, ImageRef, QuietSignal, Release, ReleaseId,
    Replica, Resolved, ResolvedImage, Revision, StoreSettings, Stored, Verify,
};
use bgctl::ops::{Error, install, installed};
use bgctl::plan;
use bgctl::state::deferred::Journal;
use bgctl::state::releases::Releases;
use bgctl::state::switches::Switches;
use bgctl::state::{companions, known, pins, staged};
use bgctl::store::Store;
use camino::{Utf8Path, Utf8PathBuf};

/// A host's files, below a folder of their own.
struct Host {
    _folder: tempfile::TempDir,
    layout: Layout,
}

impl Host {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let layout = Layout::new(Utf8PathBuf::try_from(folder.path().to_owned()).unwrap());
        let name = builders::app().name;
        install::make_state(&layout, &name).unwrap();
        for dir in [
            layout.releases_dir(&name),
            layout.switches_dir(&name),
            layout.manifests(),
        ] {
            files::ensure_dir(&dir, 0o700).unwrap();
        }
        Self {
            _folder: folder,
            layout,
        }
    }

    fn store(&self) -> Store {
        block_on(Store::open(&StoreSettings::Local, &self.layout.state())).unwrap()
    }
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap()
        .block_on(future)
}

fn release() -> Release {
    let app = builders::app();
    Release {
        id: ReleaseId::parse("r2").unwrap(),
        created: jiff::Timestamp::UNIX_EPOCH,
        artifact: Artifact::Program {
            path: "/opt/shop/bin/shop".into(),
            file: None,
        },
        arguments: vec!["--port={port}".to_owned()],
        environment: BTreeMap::from([("TOKEN".parse().unwrap(), "so secret\n".to_owned())]),
        placeholders: BTreeSet::new(),
        health: HealthCheck { ..app.health },
        verify: None,
        companions: Vec::new(),
    }
}

/// Reads the file as it is, after every single bit flip, and after every truncation. Whatever is not refused, with the
/// file's name and the way out, must be `harmless`: as it was written, for a flip; what a crash can leave, for a cut.
fn is_whole_or_refused<T: PartialEq + Debug, E: Into<eyre::Report> + Debug>(
    path: &Utf8Path,
    read: impl Fn() -> Result<T, E>,
    harmless: impl Fn(&T, &T) -> bool,
) {
    let bytes = fs_err::read(path).unwrap();
    let whole = read().unwrap();
    let mut refused = 0;
    let mut check = |changed: &[u8], what: &str| {
        fs_err::write(path, changed).unwrap();
        match read() {
            Ok(value) if value == whole || harmless(&value, &whole) => {}
            Ok(value) => panic!("{path}: {what} is read as {value:?}"),
            Err(error) => {
                let error = error.into();
                let hinted = Hinted::find(&error).unwrap_or_else(|| panic!("{path}: {what}: no hint in {error:#}"));
                assert_eq!(hinted.hint(), "bgctl repair shop", "{error:#}");
                assert!(
                    error.to_string().starts_with(&format!("cannot use {path}: ")),
                    "{error:#}"
                );
                assert!(!format!("{error:#}").contains("so secret"), "{error:#}");
                refused += 1;
            }
        }
    };
    for at in 0..bytes.len() {
        for bit in 0..8 {
            let mut flipped = bytes.clone();
            flipped[at] ^= 1 << bit;
            check(&flipped, &format!("byte {at} with bit {bit} flipped"));
        }
        check(&bytes[..at], &format!("what is cut at {at}"));
    }
    // Nearly all of them are.
    assert!(
        refused > bytes.len() * 8 * 9 / 10,
        "{path}: {refused} of {}",
        bytes.len() * 9
    );
    fs_err::write(path, bytes).unwrap();
}

fn never<T>(_: &T, _: &T) -> bool {
    false
}

#[test]
fn a_release() {
    let (host, name, release) = (Host::new(), builders::app().name, release());
    let releases = Releases::new(&host.layout, &name);
    releases.add(&release).unwrap();
    assert_eq!(releases.list().unwrap(), std::slice::from_ref(&release));
    is_whole_or_refused(&releases.path(&release.id), || releases.read(&release.id), never);
}

/// An app in a container, and a release of it with a variable.
fn container() -> (App, Release) {
    let manifest = "name = \"shop\"\n[run]\nimage = \"shop:1\"\ncontainer_port = 80\nenv = { TOKEN = \"so secret\" }\n";
    let app = bgctl::config::manifest::parse(manifest, "shop.toml").unwrap();
    let id = Digest::parse(format!("sha256:{}", "5a".repeat(32))).unwrap();
    let (reference, image) = (ImageRef::parse("shop:1").unwrap(), ResolvedImage::Local { id });
    let resolved = Resolved::Image { reference, image };
    let (id, created) = (ReleaseId::numbered(1), jiff::Timestamp::UNIX_EPOCH);
    let release = Release::new(&app, id, created, resolved, BTreeMap::new()).unwrap();
    (app, release)
}

#[test]
fn pin() {
    let (host, (app, release)) = (Host::new(), container());
    let (layout, name, port) = (&host.layout, &app.name, *app.ports.get(Color::Green));
    let pinned = || pins::pinned(layout, name, port);
    assert_eq!(pinned().unwrap(), None);
    pins::pin(layout, &app, Color::Green, &release).unwrap();
    let files = [
        layout.pin(name, port),
        layout.env_file(name, port),
        layout.container_env(name, &release.id),
    ];
    let text = fs_err::read_to_string(&files[1]).unwrap();
    assert!(text.contains("--env-file=/var/lib/bgctl/shop/releases/r1.container-env") && !text.contains("so secret"));
    for file in &files {
        is_whole_or_refused(file, || pinned().map(Option::unwrap), never);
    }
    pins::unpin(layout, name, port).unwrap();
    assert_eq!((pinned().unwrap(), files[0].exists()), (None, false));
}

#[test]
fn companion() {
    let (host, (app, release)) = (Host::new(), container());
    let (layout, name) = (&host.layout, &app.name);
    let release = builders::with_companions(release, [builders::companion("worker", 2)]);
    let [first, second] = ["1", "2"].map(|number| Replica::parse("worker", number).unwrap());
    let put = |replica| companions::put(layout, &app, Color::Green, &release, replica).unwrap();
    assert!(
        put(&first) && put(&second) && !put(&first),
        "the second time nothing changes"
    );
    let started = companions::list(layout, name).unwrap();
    assert_eq!(
        (started.blue, started.green),
        (Vec::new(), vec![first.clone(), second.clone()])
    );
    let path = layout.companion_env(name, Color::Green, &first);
    assert!(!fs_err::read_to_string(&path).unwrap().contains("so secret"));
    let read = || companions::read(layout, name, Color::Green, &first);
    is_whole_or_refused(&path, || read().map(Option::unwrap), never);
    companions::remove(layout, name, Color::Green, &first).unwrap();
    assert_eq!(read().unwrap(), None);
    assert_eq!(companions::list(layout, name).unwrap().green, [second]);
}

#[test]
fn companions_of_a_release_are_read() {
    let host = Host::new();
    let (layout, name) = (&host.layout, &builders::app().name);
    let id = builders::id("r4");
    let record = Utf8Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/state/2/r4.json");
    fs_err::copy(record, layout.release(name, &id)).unwrap();
    let release = Releases::new(layout, name).read(&id).unwrap();
    let [worker, mail] = &release.companions[..] else {
        panic!("{release:#?}")
    };
    assert_eq!(worker.quiet_signal.as_ref().map(QuietSignal::as_str), Some("TSTP"));
    assert_eq!(
        (worker.replicas, worker.overlap, worker.patience().as_secs()),
        (2, true, 90)
    );
    assert_eq!(
        (mail.memory, mail.overlap, mail.patience().as_secs()),
        (Some(64 << 20), false, 30)
    );
}

/// A release and a step of a plan from before there were other checks than commands.
#[test]
fn commands_that_verify_are_read() {
    let host = Host::new();
    let (layout, name) = (&host.layout, &builders::app().name);
    let id = builders::id("r5");
    let record = Utf8Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/state/2/r5.json");
    fs_err::copy(record, layout.release(name, &id)).unwrap();
    let release = Releases::new(layout, name).read(&id).unwrap();
    let lines = ["curl -fsS http://127.0.0.1:$PORT/api/stories", "true"];
    let verify = Verify::commands(lines, Duration::from_secs(10));
    assert_eq!(release.verify.as_ref(), Some(&verify));
    let step = serde_json::json!({
        "do": "verify", "color": "green", "release": "r5", "commands": lines, "timeout": "10s"
    });
    let step: plan::Step = serde_json::from_value(step).unwrap();
    let same = plan::Step::Verify {
        color: Color::Green,
        release: id,
        previous: None,
        verify,
    };
    assert_eq!(step, same);
    let written = serde_json::to_string(&same).unwrap();
    assert_eq!(serde_json::from_str::<plan::Step>(&written).unwrap(), same);
}

#[test]
fn pin_that_was_interrupted_starts_nothing_and_is_completed_by_the_same_again() {
    let (host, app) = (Host::new(), builders::app());
    let (layout, name, port) = (&host.layout, &app.name, app.ports.green);
    let (old, new) = (builders::release("r1"), builders::release("r2"));
    let state = || [layout.pin(name, port), layout.env_file(name, port)].map(|path| files::read(&path).unwrap());
    let put = |[record, environment]: [Option<String>; 2]| {
        for (path, text) in [
            (layout.pin(name, port), record),
            (layout.env_file(name, port), environment),
        ] {
            match text {
                Some(text) => files::write(&path, text, 0o600).unwrap(),
                None => drop(files::remove(&path).unwrap()),
            }
        }
    };
    let pin = |release: &Release| pins::pin(layout, &app, Color::Green, release).unwrap();
    pin(&old);
    let [old_record, _] = state();
    pin(&new);
    let whole = state();
    let [new_record, _] = whole.clone();
    // In the order in which the files are written.
    for interrupted in [[old_record, None], [new_record, None]] {
        put(interrupted);
        assert_eq!(pins::pinned(layout, name, port).unwrap(), None);
        pin(&new);
        assert_eq!(state(), whole);
        assert_eq!(pins::pinned(layout, name, port).unwrap(), Some(new.id.clone()));
    }
}

#[test]
fn pin_of_0_1_0_counts_until_the_next_one() {
    let (host, app) = (Host::new(), builders::app());
    let (layout, name, port) = (&host.layout, &app.name, app.ports.green);
    let path = layout.env_file(name, port);
    let text = "BGCTL_RELEASE=r1\nBGCTL_APP=\"shop\"\nTOKEN=\"so secret\"\n";
    fs_err::write(&path, bgctl::model::sealed::text_with_sum(text, 2)).unwrap();
    is_whole_or_refused(&path, || pins::pinned(layout, name, port).map(Option::unwrap), never);
    pins::pin(layout, &app, Color::Green, &builders::release("r2")).unwrap();
    assert_eq!(pins::pinned(layout, name, port).unwrap(), Some(ReleaseId::numbered(2)));
    pins::unpin(layout, name, port).unwrap();
    assert_eq!(pins::pinned(layout, name, port).unwrap(), None);
}

fn cursor() -> Cursor {
    Cursor {
        active: Some(Color::Green),
        release: Some(ReleaseId::numbered(2)),
        moved_by: Some("host/0002".to_owned()),
    }
}

#[test]
fn record_of_a_cursor_in_etcd() {
    let (host, name) = (Host::new(), builders::app().name);
    assert_eq!(known::read(&host.layout, &name).unwrap(), None);
    let seen = Stored {
        cursor: cursor(),
        revision: Revision(12),
    };
    known::remember(&host.layout, &StoreSettings::Local, &name, &seen);
    assert_eq!(known::read(&host.layout, &name).unwrap(), None, "it is here anyway");
    known::remember(&host.layout, &etcd(), &name, &seen);
    let found = known::read(&host.layout, &name).unwrap().unwrap();
    assert_eq!((found.cursor, found.revision), (seen.cursor, seen.revision));
    let path = host.layout.known_cursor(&name);
    is_whole_or_refused(&path, || known::read(&host.layout, &name), never);
}

fn etcd() -> StoreSettings {
    StoreSettings::Etcd(EtcdSettings {
        endpoints: Vec::new(),
        prefix: "/".to_owned(),
        user: None,
        ca: None,
        client: None,
        timeout: std::time::Duration::ZERO,
        patience: std::time::Duration::ZERO,
    })
}

#[test]
fn record_that_etcd_does_not_know_of_yet() {
    let (host, name) = (Host::new(), builders::app().name);
    let journal = Journal::new(&host.layout, &name);
    journal.push(Revision(12), cursor()).unwrap();
    is_whole_or_refused(journal.path(), || journal.read(), never);
    // What cannot be read is not added to either.
    fs_err::write(journal.path(), "").unwrap();
    assert!(journal.push(Revision(12), cursor()).is_err());
    assert_eq!(fs_err::read_to_string(journal.path()).unwrap(), "");
}

#[test]
fn record_of_what_is_staged() {
    let (host, name) = (Host::new(), builders::app().name);
    assert_eq!(staged::read(&host.layout, &name).unwrap(), None);
    let staged = builders::staged(Color::Green, "r2");
    staged::write(&host.layout, &name, &staged).unwrap();
    assert_eq!(staged::read(&host.layout, &name).unwrap(), Some(staged));
    is_whole_or_refused(&host.layout.staged(&name), || staged::read(&host.layout, &name), never);
    staged::remove(&host.layout, &name).unwrap();
    staged::remove(&host.layout, &name).unwrap();
    assert_eq!(staged::read(&host.layout, &name).unwrap(), None);
}

#[test]
fn local_cursor() {
    let (host, app) = (Host::new(), builders::app());
    let store = host.store();
    block_on(store.create(&app.name, &app.ports)).unwrap();
    let cursor = cursor();
    let set = block_on(store.compare_and_set(&app.name, &app.ports, Revision(1), &cursor));
    assert_eq!(set.unwrap(), Revision(2));
    let path = host.layout.cursor(&app.name);
    is_whole_or_refused(&path, || block_on(store.get(&app.name)), never);

    // The way out.
    fs_err::write(&path, "").unwrap();
    block_on(store.replace(&app.name, &app.ports, &cursor)).unwrap();
    assert_eq!(block_on(store.get(&app.name)).unwrap().unwrap().cursor, cursor);
    let again = block_on(store.replace(&app.name, &app.ports, &Cursor::default()));
    assert!(again.is_err(), "one that can be read only moves by comparing");
}

#[test]
fn installed_manifest() {
    const MANIFEST: &str = "name = \"shop\"\n[run]\nexec = \"/opt/shop\"\n[ports]\nblue = 9001\ngreen = 9002\n";
    let (host, name) = (Host::new(), builders::app().name);
    let path = host.layout.installed_manifest(&name);
    fs_err::write(host.layout.manifest(&name), MANIFEST).unwrap();
    fs_err::write(
        &path,
        bgctl::model::sealed::text_with_sum(MANIFEST, installed::MANIFEST_VERSION),
    )
    .unwrap();
    is_whole_or_refused(
        &path,
        || installed::app(&host.layout, &name).map_err(Error::from),
        never,
    );

    // The one that people edit is what was installed, or is not.
    let whole = fs_err::read_to_string(&path).unwrap();
    fs_err::write(&path, whole.replace("9001", "9003")).unwrap();
    assert!(installed::restore_manifest(&host.layout, &name).unwrap());
    assert_eq!(fs_err::read_to_string(&path).unwrap(), whole);
    fs_err::write(&path, whole.replace("9001", "9003")).unwrap();
    fs_err::write(host.layout.manifest(&name), MANIFEST.replace("9001", "9005")).unwrap();
    assert!(!installed::restore_manifest(&host.layout, &name).unwrap());
}

/// A journal of a switch that is done, on disk.
fn journal(host: &Host) -> Switches {
    let app = builders::app();
    let release = builders::release("r2");
    let observed = builders::serving(Color::Blue);
    let mut plan = plan::switch(&app, &release, &observed).unwrap();
    // As long as it has to be: every bit of it is flipped.
    plan.steps.truncate(2);
    let switches = Switches::new(&host.layout, &app.name);
    switches.begin(&plan).unwrap();
    let (_, mut log) = switches.resume(&plan.switch).unwrap();
    log.append(Event::Resumed { boot: "b".to_owned() }).unwrap();
    for step in 0..plan.steps.len() {
        log.append(Event::Started { step }).unwrap();
        log.append(Event::Done { step, note: None }).unwrap();
    }
    switches
}

/// Whether it is the same switch with the last events not yet written, as a crash leaves it: a worker that goes on from
/// there does the last steps again, and each can run twice.
fn is_earlier(record: &Record, whole: &Record) -> bool {
    record.head == whole.head && whole.entries.starts_with(&record.entries)
}

#[test]
fn a_journal() {
    let host = Host::new();
    let switches = journal(&host);
    let id = switches.open_id().unwrap().unwrap();
    is_whole_or_refused(&switches.path(&id), || switches.read(&id), is_earlier);
}

#[test]
fn journal_that_lost_its_end_makes_no_older_switch_the_last_one() {
    let host = Host::new();
    let switches = journal(&host);
    let id = switches.open_id().unwrap().unwrap();
    switches.close().unwrap();
    let active = ReleaseId::parse("r2").unwrap();
    let previous = |active: &ReleaseId| switches.previous_release(Some(active)).unwrap();
    let replaced = switches.read(&id).unwrap().head.plan.replaces;
    assert!(replaced.is_some());
    assert_eq!(previous(&active), replaced);
    assert_eq!(
        previous(&ReleaseId::parse("r3").unwrap()),
        None,
        "the journal of the switch to r3 is lost"
    );
    let path = switches.path(&id);
    let text = fs_err::read_to_string(&path).unwrap();
    let cut: Vec<_> = text.lines().take(3).collect();
    fs_err::write(&path, cut.join("\n") + "\n").unwrap();
    assert_eq!(previous(&active), None);
}

#[test]
fn switches_that_failed_leave_the_last_ones_that_are_done_on_record() {
    let host = Host::new();
    let switches = journal(&host);
    let done = switches.open_id().unwrap().unwrap();
    let text = fs_err::read_to_string(switches.path(&done)).unwrap();
    let opened = text.lines().next().unwrap();
    switches.close().unwrap();
    let number = done.number();
    for failed in number + 1..=number + 120 {
        let id = bgctl::model::SwitchId::numbered(failed);
        fs_err::write(switches.path(&id), format!("{opened}\n")).unwrap();
        switches.close().unwrap();
    }
    let ids = switches.ids().unwrap();
    assert_eq!((ids.len(), ids.last()), (51, Some(&done)));
    let active = ReleaseId::parse("r2").unwrap();
    assert!(switches.previous_release(Some(&active)).unwrap().is_some());
}

#[test]
fn staged_releases_that_were_taken_down_leave_the_last_switch_and_the_release_before_on_record() {
    let (host, app) = (Host::new(), builders::app());
    let switches = journal(&host);
    let done = switches.open_id().unwrap().unwrap();
    switches.close().unwrap();
    let active = ReleaseId::parse("r2").unwrap();
    let previous = switches.previous_release(Some(&active)).unwrap();
    assert!(previous.is_some());
    for _ in 0..60 {
        let observed = bgctl::model::Observed {
            next_switch: switches.next_id().unwrap(),
            ..builders::serving(Color::Blue)
        };
        let mut plan = plan::stage(&app, &builders::release("r3"), &observed).unwrap();
        plan.steps.truncate(1);
        switches.begin(&plan).unwrap();
        let (_, mut log) = switches.resume(&plan.switch).unwrap();
        log.append(Event::Started { step: 0 }).unwrap();
        log.append(Event::Done { step: 0, note: None }).unwrap();
        switches.close().unwrap();
    }
    let ids = switches.ids().unwrap();
    assert_eq!((ids.len(), ids.last()), (51, Some(&done)));
    assert_eq!(switches.previous_release(Some(&active)).unwrap(), previous);
}

#[test]
fn records_of_earlier_versions_are_read() {
    let (host, app) = (Host::new(), builders::app());
    let name = &app.name;
    let old = |file: &str| format!("{}/tests/state/{file}", env!("CARGO_MANIFEST_DIR"));
    let put = |file: &str, path: Utf8PathBuf| fs_err::copy(old(file), path).unwrap();
    put("r1.json", host.layout.releases_dir(name).join("r1.json"));
    put("9001.env", host.layout.env_file(name, app.ports.blue));
    put("cursor.json", host.layout.cursor(name));
    put("0001.jsonl", host.layout.switches_dir(name).join("0001.jsonl"));
    put("manifest.toml", host.layout.installed_manifest(name));
    fs_err::write(host.layout.manifest(name), "").unwrap();
    let r1 = ReleaseId::numbered(1);
    assert_eq!(Releases::new(&host.layout, name).read(&r1).unwrap().id, r1);
    assert_eq!(
        pins::pinned(&host.layout, name, app.ports.blue).unwrap(),
        Some(r1.clone())
    );
    let stored = block_on(host.store().get(name)).unwrap().unwrap();
    assert_eq!(
        (stored.cursor.active, stored.cursor.release),
        (Some(Color::Blue), Some(r1.clone()))
    );
    let switches = Switches::new(&host.layout, name);
    let record = switches.read(&switches.ids().unwrap()[0]).unwrap();
    assert_eq!(
        (record.head.plan.release.clone(), record.next()),
        (r1, bgctl::journal::Next::Finished)
    );
    assert_eq!(installed::app(&host.layout, name).unwrap().ports, app.ports);
}

/// The state of the host that 0.1.0 installed, as the tests of an upgrade have it: version 2 of each kind of file.
#[test]
fn state_of_version_2_is_read() {
    let (host, app) = (Host::new(), builders::app());
    let (layout, name) = (&host.layout, &app.name);
    let tests = Utf8Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
    let old = tests.join("system/upgrade/0.1.0/verify/var/lib/bgctl/shop");
    for file in [
        "cursor.json",
        "manifest.toml",
        "9001.env",
        "9002.env",
        "releases/p3.json",
        "switches/0003.jsonl",
    ] {
        fs_err::copy(old.join(file), layout.app(name).join(file)).unwrap();
    }
    for file in ["known.json", "deferred.json", "staged.json"] {
        fs_err::copy(tests.join("state/2").join(file), layout.app(name).join(file)).unwrap();
    }
    let [p2, p3] = ["p2", "p3"].map(|id| ReleaseId::parse(id).unwrap());
    let release = Releases::new(layout, name).read(&p3).unwrap();
    let pinned = |port| pins::pinned(layout, name, port).unwrap();
    assert_eq!(
        (pinned(app.ports.blue), pinned(app.ports.green)),
        (Some(p3), Some(p2.clone()))
    );
    let stored = block_on(host.store().get(name)).unwrap().unwrap();
    assert_eq!(
        (stored.cursor.active, stored.cursor.release),
        (Some(Color::Green), Some(p2.clone()))
    );
    let known = known::read(layout, name).unwrap().unwrap();
    assert_eq!((known.revision, known.cursor.release), (Revision(12), Some(p2.clone())));
    let deferred = Journal::new(layout, name).read().unwrap().unwrap();
    assert_eq!(
        (deferred.expected, deferred.moves[0].release.clone()),
        (Revision(12), Some(p2))
    );
    assert_eq!(
        staged::read(layout, name).unwrap(),
        Some(builders::staged(Color::Green, "r2"))
    );
    let app = installed::app(layout, name).unwrap();

    // A journal of 0.1.0 has the settings of its steps elsewhere.
    let switches = Switches::new(layout, name);
    let mut record = switches.read(&switches.ids().unwrap()[0]).unwrap();
    assert!(record.is_of_0_1_0());
    record.head.plan.complete(&app, &release);
    let steps = record.head.plan.steps.iter().map(|planned| &planned.step);
    let verify = steps.clone().find_map(|step| match step {
        plan::Step::Verify { verify, .. } => Some(verify),
        _ => None,
    });
    assert_eq!(verify, Some(&app.verify));
    let start = steps.clone().find_map(|step| match step {
        plan::Step::Start { health, .. } => Some(health),
        _ => None,
    });
    assert_eq!(start, Some(&release.health));
}
