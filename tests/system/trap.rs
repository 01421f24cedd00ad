//! Programs that are killed, or frozen, at a system call: by strace(1), so that what is tried is the program that is shipped.

use std::collections::BTreeMap;

use crate::host::Host;

/// The calls by which bgctl changes anything outside of itself, and its end. Whoever is killed where each of these begins is
/// killed everywhere that makes a difference.
const CALLS: &str = "write,writev,sendto,sendmsg,fchmod,ftruncate,renameat,unlinkat,symlinkat,mkdirat,fdatasync,fsync,\
                     exit_group";

/// Runs a command, once with the options that are laid out for it.
const SCRIPT: &str = r#"#!/bin/sh
# trapped NAME COMMAND...
trap=/run/trap/$1
shift
mv "$trap" "$trap.sprung" 2>/dev/null || exec "$@"
exec strace -D -q -s 400 -o "$trap.log" $(cat "$trap.sprung") "$@"
"#;

/// A moment of a program: where its `number`-th `call` of that name begins.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Point {
    /// The call.
    pub call: String,
    /// Its number, from 1.
    pub number: usize,
}

/// What befalls a program there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It is killed.
    Killed,
    /// It stands still until it is told to continue, or is killed.
    Frozen,
}

/// Makes the host ready, also for the workers of its apps; they are started again at once where they were killed.
pub fn prepare(host: &Host) {
    host.copy_in("/usr/local/sbin/trapped", SCRIPT);
    let drop_in = "[Service]\nExecStart=\nExecStart=/usr/local/sbin/trapped worker-%i /usr/local/bin/bgctl run %i\n\
                   CapabilityBoundingSet=~\nRestartSec=100ms\n";
    host.copy_in("/etc/systemd/system/bgctl-switch@.service.d/trapped.conf", drop_in);
    host.succeed("chmod +x /usr/local/sbin/trapped && mkdir -p /run/trap && systemctl daemon-reload");
}

/// The name by which the workers of an app are trapped.
pub fn worker(app: &str) -> String {
    format!("worker-{app}")
}

/// Lets the next program of that name step into it.
pub fn set(host: &Host, name: &str, point: &Point, fate: Fate) {
    let signal = match fate {
        Fate::Killed => "KILL",
        Fate::Frozen => "STOP",
    };
    let Point { call, number } = point;
    let options = format!("-e trace={call},exit_group -e inject={call}:signal={signal}:when={number}");
    lay(host, name, &options);
}

/// Whether the last program of that name was killed at a point. It has ended.
pub fn has_killed(host: &Host, name: &str, point: &Point) -> bool {
    point.call == "exit_group" || host.run(&format!("grep -q '^exit_group(' /run/trap/{name}.log")).status != 0
}

/// Waits until the last program of that name stands still at its point, or has ended before it came there; whether it stands.
#[track_caller]
pub fn is_frozen(host: &Host, name: &str) -> bool {
    host.wait_until(&format!(
        "grep -q -e 'stopped by SIGSTOP' -e '^exit_group(' /run/trap/{name}.log"
    ));
    host.run(&format!("grep -q 'stopped by SIGSTOP' /run/trap/{name}.log"))
        .status
        == 0
}

/// Writes down what the next program of that name calls; [`points`] reads it.
pub fn record(host: &Host, name: &str) {
    lay(host, name, &format!("-e trace={CALLS}"));
}

fn lay(host: &Host, name: &str, options: &str) {
    host.succeed(&format!(
        "rm -f /run/trap/{name}.log; printf '%s' '{options}' >/run/trap/.{name} && mv /run/trap/.{name} /run/trap/{name}"
    ));
}

/// Every point of the program of that name that was recorded, in order, with what it called.
pub fn points(host: &Host, name: &str) -> Vec<(Point, String)> {
    // What systemd ends with a worker is its tracer as well.
    host.wait_until(&format!("tail -n 2 /run/trap/{name}.log | grep -q '^exit_group('"));
    let log = host.succeed(&format!("cat /run/trap/{name}.log"));
    let mut numbers = BTreeMap::new();
    let calls = log.lines().filter_map(|line| {
        let (call, _) = line.split_once('(')?;
        let is_name = call.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
        is_name.then_some((call, line))
    });
    let points: Vec<_> = calls
        .map(|(call, line)| {
            let number = numbers.entry(call.to_owned()).or_insert(0);
            *number += 1;
            let point = Point {
                call: call.to_owned(),
                number: *number,
            };
            (point, line.to_owned())
        })
        .collect();
    assert!(points.len() > 10, "{log}");
    points
}
