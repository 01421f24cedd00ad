//! Several at once: on one host, and on two that share one etcd.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::app::App;
use crate::host::{Host, Output, wait};
use crate::part;

const GATE: &str = "/run/gate";
/// How often two hosts race, and after how many rounds one of them is paused.
const LAPS: usize = 10;
const ROUNDS: usize = 20;
/// Within this a lease must be free when its holder is dead.
const FREE: Duration = Duration::from_secs(15);

fn with_program(host: &Host) {
    host.copy_program();
}

fn app<'h>(host: &'h Host, name: &str) -> App<'h> {
    let gate = format!("while test -e {GATE}; do sleep 0.05; done");
    let app = App::program(host, name, 9100);
    app.set("verify.commands", vec![gate]).set("drain.keep_warm", true)
}

/// Who came too late is told who is at work, and since when.
#[track_caller]
fn is_told(busy: &str) {
    let line = busy
        .lines()
        .find(|line| line.starts_with("error: cannot "))
        .unwrap_or_else(|| panic!("{busy:?}"));
    let (who, since) = line.rsplit_once(" since ").unwrap_or_else(|| panic!("{line}"));
    assert!(
        who.contains(" is open") || who.contains(" is at work on it") || who.contains("/0"),
        "{line}"
    );
    let time = since.split_once(' ').map_or(since, |(time, _)| time);
    let since: jiff::Timestamp = time.parse().unwrap_or_else(|error| panic!("{error}: {line}"));
    let age = jiff::Timestamp::now().duration_since(since).as_secs();
    assert!((-1..120).contains(&age), "{line}");
}

/// The journals of an app's switches, line by line.
fn journals(host: &Host, app: &str) -> Vec<Vec<Value>> {
    let text = host.succeed(&format!(
        "cd /var/lib/bgctl/{app}/switches && for i in *.jsonl; do cat $i; echo; done"
    ));
    let parse = |line: &str| serde_json::from_str(line).unwrap();
    text.split("\n\n")
        .map(|journal| journal.lines().map(parse).collect())
        .collect()
}

/// The revision that a switch promoted on, if it did.
fn promoted_on(journal: &[Value]) -> Option<i64> {
    let steps = journal[0]["plan"]["steps"].as_array().unwrap();
    let promote = steps.iter().position(|step| step["step"]["do"] == "promote").unwrap();
    let is_done = |line: &&Value| line["event"] == "done" && line["step"] == promote;
    journal
        .iter()
        .find(is_done)
        .map(|_| steps[promote]["step"]["expected"].as_i64().unwrap())
}

#[test]
fn of_twenty_on_one_host_one_goes_on_at_a_time() {
    let host = Host::boot("twenty");
    with_program(&host);
    let app = app(&host, "shop").install();
    app.switch("v0");
    app.switch("v1");
    let script = "mkdir /tmp/all; cd /tmp/all; for i in $(seq 20); do \
                  case $((i % 4)) in 0) verb='install /root/shop.toml';; 1) verb='rollback shop';; \
                  *) verb=\"switch shop --release n$i\";; esac; \
                  { bgctl $verb >out.$i 2>err.$i; echo $? >code.$i; } & done; wait";
    host.succeed(script);
    let mut done = 0;
    for number in 1..=20 {
        let read = |name: &str| host.succeed(&format!("cat /tmp/all/{name}.{number}"));
        match (read("code").as_str(), number % 4) {
            ("0", 0) => {}
            ("0", _) => done += 1,
            ("5", _) => is_told(&read("err")),
            (code, _) => panic!("{number}: {code}\n{}", read("err")),
        }
    }
    assert!(done > 0, "nobody got through");
    let journals = journals(&host, "shop");
    assert_eq!(journals.len(), done + 2);
    let times = |journal: &Vec<Value>| {
        let time = |value: &Value| value.as_str().unwrap().parse::<jiff::Timestamp>().unwrap();
        (time(&journal[0]["opened"]), time(&journal.last().unwrap()["at"]))
    };
    let times: Vec<_> = journals.iter().map(times).collect();
    assert!(times.windows(2).all(|pair| pair[0].1 <= pair[1].0), "{times:#?}");
    assert_eq!(app.open_switch(), "");
    let status = app.status();
    assert_eq!(
        (&status["agrees"], &status["problems"]),
        (&true.into(), &Value::Array(Vec::new())),
        "{status:#}"
    );
    app.switch("last");
}

/// Two hosts that share the etcd of the first.
fn two() -> (Host, Host) {
    let (first, second) = (Host::boot("rival-a"), Host::boot("rival-b"));
    let etcd = format!("BGCTL_ETCD=http://{}:2379", first.address());
    for host in [&first, &second] {
        with_program(host);
        host.succeed(&format!("{etcd} sh /vagrant/vagrant/provision/services.sh"));
        host.wait_until(&format!(
            "etcdctl --endpoints {} endpoint health",
            etcd.trim_start_matches("BGCTL_ETCD=")
        ));
    }
    (first, second)
}

#[test]
fn of_two_hosts_one_promotes() {
    let (first, second) = two();
    let (one, other) = (app(&first, "duo").install(), app(&second, "duo").install());
    let mut promotes = Promotes::default();
    for lap in part::of((0..LAPS).collect(), 3) {
        promotes.won += race(&one, &other, lap);
        let [holder, rival] = if lap % 2 == 0 { [&one, &other] } else { [&other, &one] };
        a_paused_holder_loses(&first, holder, rival);
        promotes.won += 1;
        // Before older ones than these are forgotten.
        promotes.read([&first, &second]);
    }
    promotes.are_distinct();

    // A host dies while it holds the lease.
    second.succeed(&format!("touch {GATE}"));
    other.bgctl("switch", "--detach").expect(0);
    other.wait_for_step("verify");
    second.power_off();
    let since = Instant::now();
    is_told(&one.bgctl("switch", "").expect(5).stderr);
    wait(|| {
        Some(one.bgctl("switch", ""))
            .filter(|output| output.status != 5)
            .ok_or(())
    })
    .unwrap()
    .expect(0);
    assert!(since.elapsed() < FREE + Duration::from_secs(5), "{:?}", since.elapsed());
    let moved = cursor(&first);
    second.power_on();
    second.wait_until("! test -L /var/lib/bgctl/duo/open");
    assert_eq!(cursor(&first), moved, "who comes back too late changes nothing");
}

fn cursor(host: &Host) -> String {
    host.succeed("etcdctl get --prefix /duo/ | grep -A1 -e instance -e release -e moved-by")
}

/// The switches of both hosts that promoted.
#[derive(Default)]
struct Promotes {
    /// How many said so.
    won: usize,
    /// The revision that each promoted on, by its host and its id.
    revisions: BTreeMap<(String, String), i64>,
}

impl Promotes {
    fn read(&mut self, hosts: [&Host; 2]) {
        for host in hosts {
            for journal in journals(host, "duo") {
                let id = journal[0]["plan"]["switch"].as_str().unwrap().to_owned();
                let revision = promoted_on(&journal).map(|revision| ((host.name().to_owned(), id), revision));
                self.revisions.extend(revision);
            }
        }
    }

    fn are_distinct(&self) {
        assert_eq!(self.revisions.len(), self.won);
        let distinct: BTreeSet<_> = self.revisions.values().collect();
        assert_eq!(
            distinct.len(),
            self.won,
            "two promotes from one revision: {:?}",
            self.revisions
        );
    }
}

/// Both switch at the same time, again and again; how many of them were done.
fn race(one: &App<'_>, other: &App<'_>, lap: usize) -> usize {
    let mut won = 0;
    for round in 0..ROUNDS {
        let start = |app: &App<'_>| app.host().spawn(&format!("bgctl switch duo --release r{lap}-{round}"));
        let both = [start(one), start(other)].map(Host::wait);
        assert!(both.iter().any(|output| output.status == 0), "{both:#?}");
        for Output { status, stderr, .. } in both {
            match status {
                0 => won += 1,
                5 => is_told(&stderr),
                // It had planned before the other one promoted, and acquired the lease after it.
                1 => assert!(stderr.contains("cannot promote "), "{stderr}"),
                status => panic!("{status}: {stderr}"),
            }
        }
    }
    won
}

/// One is paused beyond its lease, within which the other one is refused, and after which that one is done.
fn a_paused_holder_loses(store: &Host, holder: &App<'_>, rival: &App<'_>) {
    let (paused_host, free_host) = (holder.host(), rival.host());
    paused_host.succeed(&format!("touch {GATE}"));
    holder.bgctl("switch", "--release paused --detach").expect(0);
    holder.wait_for_step("verify");
    let lease = store.succeed("etcdctl get --print-value-only /duo/claim");
    assert!(
        lease.contains(paused_host.name()) && lease.contains("\"switch\"") && lease.contains("\"paused\""),
        "{lease}"
    );
    paused_host.succeed("systemctl kill --signal=STOP bgctl-switch@duo");
    let since = Instant::now();
    let busy = rival.bgctl("switch", "--release theirs").expect(5);
    assert!(busy.error().contains(paused_host.name()), "{busy:?}");
    is_told(&busy.stderr);
    store.wait_until("! etcdctl get /duo/claim | grep .");
    assert!(since.elapsed() < FREE, "{:?}", since.elapsed());
    rival.bgctl("switch", "--release theirs").expect(0);
    let moved = cursor(store);

    paused_host.succeed(&format!("systemctl kill --signal=CONT bgctl-switch@duo; rm {GATE}"));
    let lost = holder.bgctl("switch", "--follow");
    // It may have ended before it could be followed.
    assert!([1, 3].contains(&lost.status), "{lost:?}");
    holder.wait_until_closed();
    assert_eq!(cursor(store), moved);
    let journals = journals(paused_host, "duo");
    let paused = journals.last().unwrap();
    assert_eq!(
        (&paused[0]["plan"]["release"], promoted_on(paused)),
        (&"paused".into(), None)
    );
    let failed = paused.iter().find(|line| line["event"] == "failed").unwrap();
    assert!(
        failed["error"].as_str().unwrap().contains(free_host.name()),
        "{failed:#}"
    );
}
