//! Waiting for the end of a process that is not a child.

use eyre::WrapErr as _;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, pidfd_open};

/// Waits until the process ended; one that is gone already has. Fails where it cannot be watched (`pidfd_open(2)`).
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
    async fn an_end_is_seen_and_a_life_is_not_taken_for_one() {
        let mut sleeper = tokio::process::Command::new("sleep").arg("60").spawn().unwrap();
        let pid = Pid::from_raw(sleeper.id().unwrap().try_into().unwrap()).unwrap();
        let early = tokio::time::timeout(Duration::from_millis(20), ended(pid)).await;
        assert!(early.is_err(), "it still runs");
        sleeper.kill().await.unwrap();
        ended(pid).await.unwrap();
    }
}
