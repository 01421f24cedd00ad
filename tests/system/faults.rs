//! The world fails while a switch runs: for each fault, and at each step of a switch. One app stands still at each step, the
//! world breaks, and all of them go on.

use std::collections::BTreeMap;
use std::process::Child;
use std::time::{Duration, Instant};

use crate::app::App;
use crate::course;
use crate::host::{Host, Output};
use crate::load::{Load, releases};
use crate::part;
use crate::settled::settled;
use crate::trap::{self, Fate, Point};

/// The steps of every switch here.
const STEPS: [&str; 11] = [
    "pin", "start", "verify", "enable", "promote", "route", "confirm", "bake", "disable", "drain", "stop",
];
/// How long a switch may take to its end where nobody has to heal anything for it.
const PATIENCE: Duration = Duration::from_secs(120);
/// How long the world stays broken where the switches need it.
const BROKEN: Duration = Duration::from_secs(4);

/// Something that fails.
struct Fault {
    name: &'static str,
    /// Makes it fail. `$IDLE` are the ports that the switches start something on.
    breaks: &'static str,
    /// Makes it whole again, tried until it succeeds.
    heals: &'static str,
    /// Whether requests are answered meanwhile.
    spares: bool,
    /// The steps whose switches may wait for its end; the others come to theirs while it lasts.
    waits: &'static [&'static str],
    /// Which switches are done all the same; the others go back.
    done: Done,
}

/// Which switches are done.
enum Done {
    /// All.
    All,
    /// Those that are at this step or past it.
    From(&'static str),
    /// Those that are at this step or past it, and of the others any.
    AtLeastFrom(&'static str),
    /// Any: it depends on how far each came when it broke, and when it was healed.
    Any,
}

impl Done {
    /// Whether a switch at a step is done; none where it may be or not.
    fn at(&self, step: usize) -> Option<bool> {
        let reaches = |first: &str| step >= STEPS.iter().position(|step| *step == first).unwrap();
        match self {
            Self::All => Some(true),
            Self::From(first) => Some(reaches(first)),
            Self::AtLeastFrom(first) => reaches(first).then_some(true),
            Self::Any => None,
        }
    }
}

const ETCD_IS_BACK: &str = "etcdctl endpoint health && etcdctl put /health yes";

/// Faults of what a switch talks to.
const SERVICES: [Fault; 8] = [
    Fault {
        name: "etcd is stopped",
        breaks: "systemctl stop etcd",
        heals: "systemctl start etcd; etcdctl endpoint health && etcdctl put /health yes",
        spares: true,
        // Nobody knows what became of a promote that was on its way.
        waits: &["enable", "promote"],
        done: Done::AtLeastFrom("route"),
    },
    Fault {
        name: "etcd answers after 10 s",
        breaks: "systemctl kill --signal=STOP etcd; (sleep 10; systemctl kill --signal=CONT etcd) >/dev/null 2>&1 &",
        heals: ETCD_IS_BACK,
        spares: true,
        waits: &[],
        done: Done::Any,
    },
    Fault {
        name: "etcd's database is full",
        breaks: "cp /etc/default/etcd /root/etcd; echo ETCD_QUOTA_BACKEND_BYTES=1000000 >>/etc/default/etcd; \
                 systemctl restart etcd; \
                 until head -c 200000 /dev/zero | tr '\\0' x | etcdctl put /filler 2>&1 | grep 'space exceeded'; do :; done",
        heals: "cp /root/etcd /etc/default/etcd; etcdctl del /filler; systemctl restart etcd; etcdctl endpoint health && \
                etcdctl compact $(etcdctl get / --write-out=json | sed 's/.*\"revision\":\\([0-9]*\\).*/\\1/'); \
                etcdctl defrag && etcdctl alarm disarm && etcdctl put /health yes",
        spares: true,
        // Nobody knows what became of a promote that was on its way.
        waits: &["enable", "promote"],
        done: Done::AtLeastFrom("route"),
    },
    Fault {
        name: "etcd has no quorum",
        breaks: "cp /etc/default/etcd /root/etcd; etcdctl member add other --peer-urls=http://127.0.0.1:2390; \
                 until ! timeout 2 etcdctl put /health no; do :; done",
        heals: "cp /root/etcd /etc/default/etcd; echo ETCD_FORCE_NEW_CLUSTER=true >>/etc/default/etcd; \
                systemctl restart etcd; etcdctl endpoint health && etcdctl put /health yes && cp /root/etcd /etc/default/etcd",
        spares: true,
        waits: &STEPS,
        done: Done::Any,
    },
    Fault {
        name: "nginx is stopped",
        breaks: "systemctl stop nginx",
        heals: "systemctl start nginx",
        spares: false,
        waits: &[],
        done: Done::From("bake"),
    },
    Fault {
        name: "another app's site breaks nginx",
        breaks: "echo broken >/etc/nginx/conf.d/other.conf; systemctl reload nginx; true",
        // A reload ends idle connections, which is none of a switch's doing.
        heals: "rm /etc/nginx/conf.d/other.conf && nginx -t",
        spares: true,
        waits: &[],
        done: Done::All,
    },
    Fault {
        name: "the system bus is gone",
        breaks: "systemctl stop dbus.socket dbus.service",
        heals: "systemctl start dbus.socket",
        spares: true,
        waits: &STEPS,
        done: Done::All,
    },
    Fault {
        name: "somebody reloads systemd again and again",
        breaks: "systemd-run --quiet --unit=reloader sh -c 'while :; do systemctl daemon-reload; done'",
        heals: "systemctl stop reloader",
        spares: true,
        waits: &[],
        done: Done::All,
    },
];

const READ_ONLY: &str = "the file system under /var/lib is read-only";
const AHEAD: &str = "the clock is set a day ahead";
const BACK: &str = "the clock is set a day back";

/// Faults of the host itself. Each of its disks that bgctl writes to is a small one.
const MACHINE: [Fault; 7] = [
    Fault {
        name: "the disk under /var/lib is full",
        breaks: "mkdir /var/lib/bgctl/lost+found && cd /var/lib/bgctl/lost+found && \
                 { seq 9999 | xargs touch; cat /dev/zero >zero; } 2>/dev/null; true",
        heals: "rm -r /var/lib/bgctl/lost+found",
        spares: true,
        waits: &STEPS,
        done: Done::Any,
    },
    Fault {
        name: "the disk under /etc is full",
        breaks: "mkdir /etc/systemd/system/lost+found && cd /etc/systemd/system/lost+found && \
                 { seq 9999 | xargs touch; cat /dev/zero >zero; } 2>/dev/null; true",
        heals: "rm -r /etc/systemd/system/lost+found",
        spares: true,
        waits: &[],
        // A link that another app's switch removes makes room for this one's.
        done: Done::AtLeastFrom("promote"),
    },
    Fault {
        name: READ_ONLY,
        breaks: "mount --bind /var/lib/bgctl /var/lib/bgctl && mount -o remount,bind,ro /var/lib/bgctl",
        heals: "umount --lazy /var/lib/bgctl",
        spares: true,
        waits: &STEPS,
        done: Done::Any,
    },
    Fault {
        name: "the file system under /etc is read-only",
        breaks: "mount --bind /etc/systemd/system /etc/systemd/system && mount -o remount,bind,ro /etc/systemd/system",
        heals: "umount --lazy /etc/systemd/system",
        spares: true,
        waits: &STEPS,
        done: Done::Any,
    },
    Fault {
        name: "somebody else takes the port",
        breaks: "for port in $IDLE; do \
                 systemd-run --quiet --unit=thief-$port -E PORT=$port -E RELEASE=thief -E BIND=127.0.0.1 /opt/demo/bdd-assistant; \
                 until ss -Hltn \"sport = :$port\" | grep -q .; do :; done; done",
        heals: "systemctl stop 'thief-*'; systemctl reset-failed 'thief-*'; true",
        spares: true,
        waits: &[],
        done: Done::From("verify"),
    },
    Fault {
        name: AHEAD,
        breaks: "echo +1d >/run/faketime",
        heals: "echo +0 >/run/faketime",
        spares: true,
        waits: &[],
        done: Done::All,
    },
    Fault {
        name: BACK,
        breaks: "echo -1d >/run/faketime",
        heals: "echo +0 >/run/faketime",
        spares: true,
        waits: &[],
        done: Done::All,
    },
];

/// Faults of Docker.
const DOCKER: [Fault; 2] = [
    Fault {
        name: "the Docker engine is stopped",
        breaks: "systemctl mask --runtime --now docker.socket docker.service",
        heals: "systemctl unmask --runtime docker.socket docker.service && systemctl start docker",
        spares: false,
        waits: &STEPS,
        done: Done::Any,
    },
    Fault {
        name: "the image vanishes",
        breaks: "docker images --digests --format '{{.Repository}}:{{.Tag}} {{.Repository}}@{{.Digest}}' \
                 localhost:5000/bdd-assistant | xargs -n 1 docker rmi --force; true",
        heals: "true",
        spares: true,
        waits: &[],
        // The registry has it still: a start fetches it again.
        done: Done::All,
    },
];

/// Apps of a host, one for each step, at each of which a worker can be stopped.
struct Bench<'h> {
    host: &'h Host,
    apps: Vec<App<'h>>,
    /// Where a worker has begun each step, which is on disk by then.
    points: Vec<Point>,
}

impl<'h> Bench<'h> {
    /// The apps, each with a release that serves and one before it.
    fn new(host: &'h Host, releases: [&str; 2], app: impl Fn(&'h Host, &str, u16) -> App<'h>) -> Self {
        trap::prepare(host);
        let apps = (9100..)
            .step_by(2)
            .zip(STEPS)
            .map(|(port, step)| {
                let app = app(host, step, port).set("bake.duration", "500ms");
                // All of them start at the same time, and no machine is too slow for that.
                let app = app.set("health.deadline", "60s");
                app.set("verify.commands", vec!["true"]).install()
            })
            .collect();
        let mut bench = Self {
            host,
            apps,
            points: Vec::new(),
        };
        bench.switch(releases[0]);
        for app in &bench.apps {
            trap::record(host, &trap::worker(app.name()));
        }
        bench.switch(releases[1]);
        bench.points = bench
            .apps
            .iter()
            .zip(0..)
            .map(|(app, step)| begins(app, step))
            .collect();
        bench
    }

    fn begin(&self, release: &str) -> Vec<Child> {
        let begin = |app: &App<'_>| {
            self.host.spawn(&format!(
                "timeout {} bgctl switch {} {}",
                PATIENCE.as_secs(),
                app.name(),
                app.release(release)
            ))
        };
        self.apps.iter().map(begin).collect()
    }

    /// Makes a release active in all apps.
    fn switch(&self, release: &str) {
        for client in self.begin(release) {
            Host::wait(client).expect(0);
        }
        for app in &self.apps {
            assert_eq!(settled(app).0, release);
        }
    }

    /// Breaks the world in the middle of switches to a release, and looks at what became of them; what their followers were told.
    fn suffer(&self, fault: &Fault, release: &str) -> String {
        let before: Vec<_> = self.apps.iter().map(Serving::of).collect();
        let loads: Vec<_> = self.apps.iter().filter(|_| fault.spares).map(Load::light_on).collect();
        let ends = self.ends(fault, release, &before);
        let mut said = String::new();
        for (step, end) in ends {
            let (app, before) = (&self.apps[step], &before[step]);
            let told = format!("{}, at {}: {end:?}", fault.name, STEPS[step]);
            said += &end.stderr;
            let is_done = is_done(app, end, &told);
            eprintln!("  {}: {}", STEPS[step], if is_done { "done" } else { "rolled back" });
            assert_eq!(is_done, fault.done.at(step).unwrap_or(is_done), "{told}");
            if is_done {
                let now = (release.to_owned(), other(&before.color).to_owned());
                assert_eq!(settled(app), now, "{told}");
            } else {
                let now = Serving::of(app);
                assert_eq!((&now.release, &now.color), (&before.release, &before.color), "{told}");
                assert!(!fault.spares || now == *before, "{told}: what serves was touched");
            }
        }
        for load in loads {
            let seen = releases(&load.stop());
            assert!(!seen.iter().any(|seen| seen.starts_with("thief ")), "{seen:?}");
        }
        said
    }

    /// How the switches to a release ended, each with its step.
    fn ends(&self, fault: &Fault, release: &str, before: &[Serving]) -> Vec<(usize, Output)> {
        let host = self.host;
        let workers: Vec<_> = self.apps.iter().map(|app| trap::worker(app.name())).collect();
        for (worker, point) in workers.iter().zip(&self.points) {
            trap::set(host, worker, point, Fate::Frozen);
        }
        let clients = self.begin(release);
        for worker in &workers {
            assert!(trap::is_frozen(host, worker), "{worker} never came to its point");
        }
        let idle = self.apps.iter().zip(before);
        let idle: Vec<_> = idle
            .map(|(app, before)| app.port(other(&before.color)).to_string())
            .collect();
        host.succeed(&format!("IDLE='{}'; {}", idle.join(" "), fault.breaks));
        let units: Vec<_> = STEPS.iter().map(|app| format!("bgctl-switch@{app}")).collect();
        host.succeed(&format!(
            "systemctl kill --kill-whom=main --signal=CONT {}",
            units.join(" ")
        ));
        let wait = |clients: Vec<(usize, Child)>| -> Vec<_> {
            let ends = clients.into_iter().map(|(step, client)| (step, Host::wait(client)));
            ends.collect()
        };
        let since = Instant::now();
        let clients = clients.into_iter().enumerate();
        let (waiting, others): (Vec<_>, _) = clients.partition(|(step, _)| fault.waits.contains(&STEPS[*step]));
        let mut ends = wait(others);
        if ends.is_empty() {
            std::thread::sleep(BROKEN);
        }
        host.wait_until(fault.heals);
        ends.extend(wait(waiting));
        eprintln!("{}: {:?}", fault.name, since.elapsed());
        ends
    }
}

/// What serves an app.
#[derive(Debug, PartialEq, Eq)]
struct Serving {
    release: String,
    color: String,
    /// The id of this run of its unit.
    run: String,
}

impl Serving {
    fn of(app: &App<'_>) -> Self {
        let (release, color) = settled(app);
        let run = format!("systemctl show -P InvocationID {}", app.unit(&color));
        let run = app.host().succeed(&run);
        Self { release, color, run }
    }
}

fn other(color: &str) -> &'static str {
    if color == "blue" { "green" } else { "blue" }
}

/// Where the worker of a switch that was recorded has begun a step.
fn begins(app: &App<'_>, step: usize) -> Point {
    let points = trap::points(app.host(), &trap::worker(app.name()));
    let within = format!("in {step}");
    let mut moments = course::moments(&points).into_iter();
    let synced = moments.find(|(point, moment)| *moment == within && point.call == "fdatasync");
    synced.unwrap_or_else(|| panic!("{} was never begun", STEPS[step])).0
}

/// Whether a switch that came to its end was done, or else went back. Where it is stuck, what it says to do is done.
fn is_done(app: &App<'_>, end: Output, told: &str) -> bool {
    let mut status = end.status;
    if status == 4 {
        let command = format!("bgctl resume {}", app.name());
        assert!((end.stdout + &end.stderr).contains(&command), "{told}");
        eprintln!("  {} was stuck", app.name());
        status = app.host().run(&command).status;
    }
    assert!(matches!(status, 0 | 1), "{told}");
    status == 0
}

/// A host with the demo app as a program.
fn host(name: &str) -> Host {
    let host = Host::boot(name);
    host.copy_program();
    host
}

/// The faults, one after the other, and a switch that nothing disturbs; what was told of each, by its name.
fn suffer_all(bench: &Bench<'_>, faults: &'static [Fault]) -> BTreeMap<&'static str, String> {
    let suffer = |(number, fault): (usize, &'static Fault)| (fault.name, bench.suffer(fault, &format!("r{number}")));
    let faults = part::of(faults.iter().enumerate().collect(), 3);
    let said = faults.into_iter().map(suffer).collect();
    bench.switch("last");
    said
}

#[test]
fn services_that_a_switch_needs_fail_at_any_step() {
    let host = host("faults-services");
    let bench = Bench::new(&host, ["p1", "p2"], App::program);
    suffer_all(&bench, &SERVICES);
}

#[test]
fn host_itself_fails_at_any_step() {
    let host = host("faults-machine");
    host.succeed(
        "mkdir -p /var/lib/bgctl && mount -t tmpfs -o size=64m,nr_inodes=9000,mode=755 tmpfs /var/lib/bgctl && \
         cp -a /etc/systemd/system /root/ && mount -t tmpfs -o size=8m,nr_inodes=2000,mode=755 tmpfs /etc/systemd/system && \
         cp -a /root/system/. /etc/systemd/system/ && echo +0 >/run/faketime",
    );
    let clock = "[Service]\nEnvironment=LD_PRELOAD=/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1 \
                 FAKETIME_TIMESTAMP_FILE=/run/faketime FAKETIME_NO_CACHE=1 FAKETIME_DONT_FAKE_MONOTONIC=1\n";
    host.copy_in("/etc/systemd/system/bgctl-switch@.service.d/clock.conf", clock);
    let bench = Bench::new(&host, ["p1", "p2"], App::program);
    let said = suffer_all(&bench, &MACHINE);
    if let Some(read_only) = said.get(READ_ONLY) {
        assert!(
            read_only.contains("cannot continue, and was started again "),
            "{read_only}"
        );
    }
    for (clock, day) in [(AHEAD, "+1 day"), (BACK, "-1 day")] {
        if said.contains_key(clock) {
            host.succeed(&format!(
                "grep -q \"\\\"at\\\":\\\"$(date -u -d '{day}' +%F)\" /var/lib/bgctl/pin/switches/*"
            ));
        }
    }
}

#[test]
fn docker_fails_at_any_step() {
    let host = Host::boot("faults-docker");
    host.push_images();
    // A client of Docker's that loses SIGTERM while its engine starts the container is killed after that and 10 s.
    let app = |host, name: &str, port| App::docker(host, name, port).set("run.stop_timeout", "5s");
    let bench = Bench::new(&host, ["v1", "v2"], app);
    for (fault, release) in part::of(DOCKER.iter().zip(["v3", "v1"]).collect(), 2) {
        bench.suffer(fault, release);
    }
    bench.switch("v2");
}
