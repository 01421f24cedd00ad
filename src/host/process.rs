//! Processes that are no children of this one: what they are called, which sockets they have open, and their end.

use std::collections::BTreeSet;

use eyre::WrapErr as _;
use procfs::process::Process;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, pidfd_open};

/// The ids of all processes that can be seen, in no order.
pub fn all() -> impl Iterator<Item = u32> {
    let entries = fs_err::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok())
}

/// The name of a process, at most 15 bytes (proc(5), `/proc/PID/comm`); `None` if it is gone.
pub fn name(process: u32) -> Option<String> {
    Some(open(process)?.stat().ok()?.comm)
}

/// The control group that systemd keeps a process in, as in `/system.slice/shop@9001.service` (cgroups(7)); `None` if the
/// process is gone.
pub fn control_group(process: u32) -> Option<String> {
    // It is the last one, also where those of other hierarchies are before it.
    let group = open(process)?.cgroups().ok()?.into_iter().last()?;
    Some(group.pathname)
}

/// How the name of a unit's control group ends.
const UNIT: &str = ".service";

/// The control group of the unit, or of the container, of a process; `None` if the process is gone.
pub fn unit_group(process: u32) -> Option<String> {
    let mut group = control_group(process)?;
    // A program to which its group was delegated has groups of its own below the unit's.
    if let Some(end) = group.find(UNIT) {
        group.truncate(end + UNIT.len());
    }
    Some(group)
}

/// The inodes of the sockets that the processes of the same unit or container have open, as far as they can be seen.
pub fn sockets_of_unit(process: u32) -> BTreeSet<u64> {
    let group = unit_group(process);
    let is_ours = |other: &u32| {
        let theirs = control_group(*other);
        *other == process
            || group
                .as_ref()
                .is_some_and(|group| theirs.is_some_and(|other| other.starts_with(group)))
    };
    all().filter(is_ours).flat_map(sockets).collect()
}

/// The inodes of the sockets that a process has open; none if it is gone, or if this process may not
/// look.
pub fn sockets(process: u32) -> impl Iterator<Item = u64> {
    let files = fs_err::read_dir(format!("/proc/{process}/fd"));
    files.into_iter().flatten().flatten().filter_map(|file| {
        let target = fs_err::read_link(file.path()).ok()?;
        let inode = target.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?;
        inode.parse().ok()
    })
}

/// The processes that have one of the sockets with these inodes open, each with the inode, as far as they can be seen.
pub fn owners(inodes: &BTreeSet<u64>) -> Vec<(u64, u32)> {
    let of = |process| {
        let theirs = sockets(process).filter(|inode| inodes.contains(inode));
        theirs.map(move |inode| (inode, process))
    };
    all().flat_map(of).collect()
}

fn open(process: u32) -> Option<Process> {
    Process::new(process.try_into().ok()?).ok()
}
/// Waits until the process has ended; one that is gone already has. Errors if it cannot be watched (`pidfd_open(2)`).
pub async fn ended(pid: Pid) -> eyre::Result<()> {
    // A thread of its own, which ends with this process: tokio's way to wait for a descriptor is not safe Rust.
    let (tell, told) = tokio::sync::oneshot::channel();
    std::thread::spawn(move || tell.send(wait(pid)));
    let watched = told.await.wrap_err("the thread that watches ended")?;
    watched.wrap_err_with(|| format!("cannot watch process {pid}"))
}

fn wait(pid: Pid) -> Result<(), Errno> {
    let process = match pidfd_open(pid, PidfdFlags::empty()) {
        Err(Errno::SRCH) => return Ok(()),
        process => process?,
    };
    loop {
        match poll(&mut [PollFd::new(&process, PollFlags::IN)], None) {
            Err(Errno::INTR) => {}
            ended => return ended.map(drop),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test]
    async fn end_is_seen_and_a_life_is_not_taken_for_one() {
        let mut sleeper = tokio::process::Command::new("sleep").arg("60").spawn().unwrap();
        let pid = Pid::from_raw(sleeper.id().unwrap().try_into().unwrap()).unwrap();
        let early = tokio::time::timeout(Duration::from_millis(20), ended(pid)).await;
        assert!(early.is_err(), "it still runs");
        sleeper.kill().await.unwrap();
        ended(pid).await.unwrap();
    }
}
