//! Random switches, on which random faults befall, for as long as one likes: `vagrant/sandbox soak MINUTES [SEED]`. After each round
//! everything must be as it should be, and no request may have failed but while the power was off.

use std::collections::BTreeMap;
use std::process::Child;
use std::time::{Duration, Instant};

use fastrand::Rng;

use crate::app::App;
use crate::host::{Host, Output, wait};
use crate::load::Load;
use crate::settled::settled;

/// What befalls a host, and what heals it; `APP` is one of its apps.
const FAULTS: [(&str, &str, &str); 14] = [
    ("nothing", "true", "true"),
    (
        "the worker is killed",
        "systemctl kill --signal=KILL bgctl-switch@APP",
        "true",
    ),
    (
        "the worker is killed twice",
        "for i in 1 2; do systemctl kill --signal=KILL bgctl-switch@APP; sleep 2.1; done",
        "true",
    ),
    (
        "the command line is killed",
        "pkill -KILL -f '^bgctl (switch|rollback) APP'",
        "true",
    ),
    (
        "the unit is stopped",
        "systemctl stop bgctl-switch@APP",
        "systemctl start bgctl-switch@APP",
    ),
    (
        "the worker stands still",
        "systemctl kill --signal=STOP bgctl-switch@APP",
        "systemctl kill --signal=CONT bgctl-switch@APP",
    ),
    ("it is aborted", "bgctl abort APP", "true"),
    ("etcd is restarted", "systemctl restart etcd", "true"),
    ("etcd is away", "systemctl stop etcd", "systemctl start etcd"),
    (
        "etcd does not answer",
        "systemctl kill --signal=STOP etcd",
        "systemctl kill --signal=CONT etcd",
    ),
    ("the bus is restarted", "systemctl restart dbus", "true"),
    (
        "the bus is away",
        "systemctl stop dbus.socket dbus",
        "systemctl start dbus.socket",
    ),
    (
        "units are read anew",
        "for i in 1 2 3 4 5; do systemctl daemon-reload; done",
        "true",
    ),
    ("the power is cut", "", ""),
];

/// The last exit code that tells how an attempt went; whoever is killed, or cut off from its host, ends with a higher one.
const BUSY: i32 = 5;

/// What is asked for.
#[derive(Debug)]
struct Attempt {
    command: String,
    /// The release that serves where it ends with 0.
    release: Option<String>,
}

/// How it went so far.
#[derive(Debug, Default)]
struct Tally {
    rounds: usize,
    requests: u64,
    faults: BTreeMap<&'static str, usize>,
    codes: BTreeMap<i32, usize>,
    stuck: usize,
}

struct Soak<'h> {
    host: &'h Host,
    apps: Vec<App<'h>>,
    rng: Rng,
    tally: Tally,
    loads: Vec<Load>,
}

impl Soak<'_> {
    fn begin_loads(&mut self) {
        self.loads = self.apps.iter().map(Load::on).collect();
    }

    fn end_loads(&mut self) {
        for load in self.loads.drain(..) {
            self.tally.requests += load.stop()["sent"].as_u64().unwrap_or_default();
        }
    }

    fn attempt(&mut self, app: usize) -> Attempt {
        let app = &self.apps[app];
        let name = app.name();
        let good = if app.is_container() {
            self.rng.choice(["v1", "v2", "v3"]).unwrap().to_owned()
        } else {
            format!("r{}", self.tally.rounds)
        };
        let bad = if app.is_container() {
            let tag = self.rng.choice(["exits", "unhealthy"]).unwrap();
            app.release(tag)
        } else {
            let program = self.rng.choice(["/bin/false", "/opt/demo/mute"]).unwrap();
            format!("--exec {program} --release bad{}", self.tally.rounds)
        };
        match self.rng.u8(..8) {
            0..4 => Attempt {
                command: format!("bgctl switch {name} {} --json", app.release(&good)),
                release: Some(good),
            },
            4..6 => Attempt {
                command: format!("bgctl switch {name} {bad} --json"),
                release: None,
            },
            _ => Attempt {
                command: format!("bgctl rollback {name} --json"),
                release: None,
            },
        }
    }

    /// One round.
    fn round(&mut self) {
        self.tally.rounds += 1;
        let before: Vec<_> = self.apps.iter().map(|app| settled(app).0).collect();
        let attempts: Vec<_> = (0..self.apps.len()).map(|app| self.attempt(app)).collect();
        let (fault, breaks, heals) = self.rng.choice(FAULTS).unwrap();
        let (after, lasts) = (self.rng.u64(..900), self.rng.u64(..4_000));
        eprintln!("round {}: {fault} after {after} ms; {attempts:?}", self.tally.rounds);
        *self.tally.faults.entry(fault).or_default() += 1;
        let is_cut = breaks.is_empty();
        if is_cut {
            self.end_loads();
        }
        let spawn = |attempt: &Attempt| self.host.spawn(&format!("exec {}", attempt.command));
        let clients: Vec<_> = attempts.iter().map(spawn).collect();
        std::thread::sleep(Duration::from_millis(after));
        if is_cut {
            self.host.power_off();
            self.host.power_on();
        } else {
            self.befall(breaks, heals, Duration::from_millis(lasts));
        }
        for ((number, attempt), client) in attempts.iter().enumerate().zip(clients) {
            self.conclude(number, attempt, client, &before[number], is_cut);
        }
        if is_cut {
            self.begin_loads();
        }
    }

    fn befall(&mut self, breaks: &str, heals: &str, lasts: Duration) {
        let app = self.rng.usize(..self.apps.len());
        let name = self.apps[app].name();
        self.host.run(&breaks.replace("APP", name));
        if heals != "true" {
            std::thread::sleep(lasts);
            self.host.succeed(&heals.replace("APP", name));
        }
    }

    /// Waits for the end of an attempt, and fails where it is not what its exit code says.
    fn conclude(&mut self, number: usize, attempt: &Attempt, client: Child, before: &str, is_cut: bool) {
        let output = Host::wait(client);
        *self.tally.codes.entry(output.status).or_default() += 1;
        let app = &self.apps[number];
        let resume = || -> Result<(), Output> {
            if app.open_switch().is_empty() {
                return Ok(());
            }
            let look = app.bgctl("status", "--json");
            if look.stdout.contains("no worker runs") {
                return Err(app.bgctl("resume", ""));
            }
            Err(look)
        };
        let since = Instant::now();
        wait(resume).unwrap_or_else(|left| panic!("{attempt:?}: still open: {left:?}"));
        if output.status == 4 {
            self.tally.stuck += 1;
        }
        // What a command line was writing when it was killed is put away by the next one.
        if output.status > BUSY {
            let repair = || {
                Some(app.bgctl("repair", ""))
                    .filter(|output| output.status != 0)
                    .map_or(Ok(()), Err)
            };
            wait(repair).unwrap_or_else(|left| panic!("{attempt:?}: {left:?}"));
        }
        let (release, _) = settled(app);
        let told = format!(
            "{attempt:?} from {before}: {output:?}, and {release} serves after {:?}",
            since.elapsed()
        );
        match (output.status, &attempt.release) {
            (0, Some(expected)) => assert_eq!(release, *expected, "{told}"),
            // Whoever was killed, cut off, or told that a person is needed cannot tell the end.
            (1 | 3, _) if !is_cut => assert_eq!(release, *before, "{told}"),
            _ => {}
        }
    }
}

#[test]
#[ignore = "vagrant/sandbox soak MINUTES"]
fn soak() {
    let number = |name: &str| std::env::var(name).ok().map(|value| value.parse::<u64>().unwrap());
    let minutes = number("BGCTL_SOAK_MINUTES").unwrap_or(10);
    let seed = number("BGCTL_SOAK_SEED").unwrap_or_else(|| fastrand::u64(..1_000_000));
    eprintln!("seed {seed}, {minutes} minutes");
    let host = Host::boot("soak");
    host.push_images();
    host.copy_program();
    host.copy_in("/opt/demo/mute", "#!/bin/sh\nexec sleep infinity\n");
    host.succeed("chmod +x /opt/demo/mute");
    let apps = vec![
        App::docker(&host, "boxed", 9100).set("health.deadline", "6s").install(),
        App::program(&host, "bare", 9102).set("health.deadline", "3s").install(),
        App::program(&host, "baked", 9104)
            .set("health.deadline", "3s")
            .set("bake.duration", "1s")
            .install(),
    ];
    for app in &apps {
        app.switch("v1");
    }
    let mut soak = Soak {
        host: &host,
        apps,
        rng: Rng::with_seed(seed),
        tally: Tally::default(),
        loads: Vec::new(),
    };
    soak.begin_loads();
    let until = Instant::now() + Duration::from_secs(minutes * 60);
    while Instant::now() < until {
        soak.round();
    }
    soak.end_loads();
    eprintln!("seed {seed}, {minutes} minutes: 0 violations; {:#?}", soak.tally);
}
