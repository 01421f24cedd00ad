//! Whether nginx took a new configuration. A reload is a signal to the master, which then reads the configuration: where
//! it can use it, it starts new workers; where it cannot (a port is taken, which `nginx -t` does not see), it writes a line
//! to its error log and continues as before. So new workers are the proof.

use std::collections::BTreeMap;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use eyre::WrapErr as _;

use crate::host::process;
use crate::model::{Hinted, UnitName};

/// Where nginx's packages have the error log. One that is elsewhere is not read, and everything else works the same.
const ERROR_LOG: &str = "/var/log/nginx/error.log";

/// What nginx's processes are called (proc(5), `/proc/PID/comm`).
const NAME: &str = "nginx";

/// How nginx marks the errors that make it keep its old configuration.
const FATAL: &str = "[emerg]";

/// How it begins where it cannot bind an address.
const BIND: &str = ": bind() to ";

/// The time between two looks.
const LOOK: Duration = Duration::from_millis(5);

/// The nginx processes of this host, in containers too: id, and id of the parent.
type Processes = BTreeMap<u32, u32>;

/// Why nginx keeps an old configuration.
#[derive(Clone, Debug)]
pub struct NotTaken {
    /// What it wrote to its error log meanwhile.
    said: Vec<String>,
    patience: Duration,
}

impl NotTaken {
    /// The address that it could not listen on, since a socket on its port is open already.
    pub fn address_in_use(&self) -> Option<SocketAddr> {
        let mut lines = self
            .said
            .iter()
            .filter(|line| line.contains(FATAL) && line.contains("(98:"));
        lines.find_map(|line| address(line))
    }

    /// An error with `hint`, or where to look.
    pub fn report(self, hint: Option<String>) -> eyre::Report {
        let reason = self.said.iter().find(|line| line.contains(FATAL));
        let reason = reason.map_or_else(
            || format!("no new worker within {:?}", self.patience),
            |line| super::said::message(line).to_owned(),
        );
        let report = Hinted::new(
            format!("nginx did not take its new configuration: {reason}"),
            hint.unwrap_or_else(|| format!("see nginx's error log, usually {ERROR_LOG}")),
        );
        report.with_details(self.said).into()
    }
}

/// The address in what nginx says of one that it cannot bind.
fn address(line: &str) -> Option<SocketAddr> {
    let (_, rest) = line.split_once(BIND)?;
    rest.split_once(' ')?.0.parse().ok()
}

/// nginx's processes and the end of its error log at one moment.
#[derive(Clone, Debug)]
pub struct Snapshot {
    master: Option<u32>,
    before: Processes,
    log_end: u64,
}

impl Snapshot {
    /// Takes a snapshot. `main_process` is that of nginx's unit: its master, or something that runs nginx in a container.
    pub fn take(main_process: Option<u32>) -> eyre::Result<Self> {
        let before = processes().wrap_err("cannot look at nginx's processes")?;
        Ok(Self {
            master: main_process.filter(|process| before.contains_key(process)),
            before,
            log_end: fs_err::metadata(ERROR_LOG).map_or(0, |log| log.len()),
        })
    }

    /// Waits until a worker runs that did not when this was taken. Returns why there is none after `patience`, or as soon as the
    /// error log says that the master cannot use the configuration. Errors where processes cannot be looked at.
    pub async fn wait_for_new(&self, patience: Duration) -> eyre::Result<Option<NotTaken>> {
        let began = Instant::now();
        loop {
            let now = processes().wrap_err("cannot look at nginx's processes")?;
            if now.iter().any(|process| self.is_new_worker(process)) {
                return Ok(None);
            }
            let said = self.said();
            if said.iter().any(|line| is_final(line)) || began.elapsed() >= patience {
                return Ok(Some(NotTaken { said, patience }));
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Waits until none of the workers runs any more that ran when this was taken, for `timeout` at most: one may have a request
    /// that takes longer.
    pub async fn wait_for_end(&self, timeout: Duration) -> eyre::Result<()> {
        let began = Instant::now();
        let is_worker = |parent: &u32| {
            self.master
                .map_or(self.before.contains_key(parent), |master| *parent == master)
        };
        while began.elapsed() < timeout {
            let now = processes().wrap_err("cannot look at nginx's processes")?;
            if !now
                .iter()
                .any(|(id, parent)| self.before.contains_key(id) && is_worker(parent))
            {
                return Ok(());
            }
            tokio::time::sleep(LOOK).await;
        }
        Ok(())
    }

    /// Commands such as `nginx -s reload` are nginx processes as well, but no child of one that was there before.
    fn is_new_worker(&self, (process, parent): (&u32, &u32)) -> bool {
        let of_this_nginx = match self.master {
            Some(master) => *parent == master,
            None => self.before.contains_key(parent),
        };
        of_this_nginx && !self.before.contains_key(process)
    }

    /// What was written to the error log since, as far as it can be read.
    fn said(&self) -> Vec<String> {
        let read = || -> std::io::Result<String> {
            let mut log = fs_err::File::open(ERROR_LOG)?;
            log.seek(SeekFrom::Start(self.log_end))?;
            let mut bytes = Vec::new();
            log.take(64 * 1024).read_to_end(&mut bytes)?;
            Ok(String::from_utf8_lossy(&bytes).into_owned())
        };
        read().unwrap_or_default().lines().map(str::to_owned).collect()
    }
}

/// Whether a line of the error log means that the master gave up. It tries to bind a port several times, for 2.5 s, and
/// hears nothing else meanwhile.
fn is_final(line: &str) -> bool {
    line.contains(FATAL) && !line.contains(BIND)
}

fn processes() -> procfs::ProcResult<Processes> {
    // A process may end while it is looked at.
    let alive = procfs::process::all_processes()?.filter_map(|process| process.ok()?.stat().ok());
    let nginx = alive.filter(|stat| stat.comm == NAME && stat.state != 'Z');
    Ok(nginx
        .filter_map(|stat| Some((stat.pid.try_into().ok()?, stat.ppid.try_into().ok()?)))
        .collect())
}

/// Whether a process is of this host's nginx: of its unit, or called so where it runs in a container.
pub(super) fn is_nginx(process: u32, unit: &UnitName) -> bool {
    let is_of_unit = |group: String| group.split('/').any(|part| part == unit.as_str());
    process::name(process).is_some_and(|name| name == NAME) || process::control_group(process).is_some_and(is_of_unit)
}

/// Whether any process of this host is called nginx.
pub(super) fn is_any_nginx() -> bool {
    processes().is_ok_and(|nginx| !nginx.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn port_is_tried_several_times() {
        let line = |said: &str| format!("2026/11/23 14:11:47 [emerg] 71#71: {said}");
        assert!(!is_final(&line(
            "bind() to 0.0.0.0:80 failed (98: Address already in use)"
        )));
        let taken = NotTaken {
            said: vec![line("bind() to [::]:80 failed (98: Address already in use)")],
            patience: LOOK,
        };
        assert_eq!(taken.address_in_use(), Some("[::]:80".parse().unwrap()));
        assert!(is_final(&line("still could not bind()")));
        assert!(is_final(&line("cannot load certificate \"/etc/ssl/x.pem\"")));
        assert!(!is_final(
            "2026/11/23 14:11:47 [notice] 71#71: try again to bind() after 500ms"
        ));
    }

    #[test]
    fn new_workers_are_children_of_a_master_that_was_there() {
        let snapshot = |master| Snapshot {
            master,
            before: Processes::from([(10, 1), (11, 10), (20, 1), (21, 20)]),
            log_end: 0,
        };
        assert!(snapshot(Some(10)).is_new_worker((&12, &10)));
        assert!(!snapshot(Some(10)).is_new_worker((&11, &10)), "an old worker");
        assert!(!snapshot(Some(10)).is_new_worker((&22, &20)), "another nginx");
        assert!(!snapshot(Some(10)).is_new_worker((&30, &1)), "nginx -s reload");
        assert!(snapshot(None).is_new_worker((&22, &20)), "in a container it may be any");
    }
}
