//! Signals that would end the program in the middle of something that has to come to its end.

use eyre::WrapErr as _;
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::output;

/// SIGINT (Ctrl-C), SIGTERM and SIGHUP (the terminal is gone). From [`Signals::hold`] on none of them ends the process, also
/// after this is dropped: tokio never gives a signal its default action back.
#[derive(Debug)]
pub struct Signals {
    interrupt: Signal,
    terminate: Signal,
    hangup: Signal,
}

impl Signals {
    /// Holds them back. Fails where the kernel does not let it, which leaves those already held as they are.
    pub fn hold() -> eyre::Result<Self> {
        let hold = |kind| signal(kind).wrap_err("cannot hold signals back");
        Ok(Self {
            interrupt: hold(SignalKind::interrupt())?,
            terminate: hold(SignalKind::terminate())?,
            hangup: hold(SignalKind::hangup())?,
        })
    }

    /// Waits for the next of them; its name. One that came since they are held counts, and nothing is lost where the
    /// returned future is dropped.
    pub async fn received(&mut self) -> &'static str {
        tokio::select! {
            _ = self.interrupt.recv() => "SIGINT",
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.hangup.recv() => "SIGHUP",
        }
    }

    /// Runs `work` to its end whatever arrives meanwhile; says `why` it continues on stderr, each time.
    pub fn finish<T>(&mut self, work: impl Future<Output = T>, why: &str) -> impl Future<Output = T> {
        // On the heap: it is a whole verb.
        let mut work = Box::pin(work);
        async move {
            loop {
                tokio::select! {
                    done = &mut work => return done,
                    name = self.received() => output::warning(&format!("{name}: {why}")),
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use rustix::process::{Signal, getpid, kill_process};

    use super::*;

    #[tokio::test]
    async fn work_that_has_to_end_ends() {
        let mut signals = Signals::hold().unwrap();
        let mut heard = Signals::hold().unwrap();
        let work = async {
            let mut names = Vec::new();
            for signal in [Signal::INT, Signal::TERM, Signal::HUP] {
                kill_process(getpid(), signal).unwrap();
                names.push(heard.received().await);
            }
            names
        };
        let names = signals.finish(work, "finishing").await;
        assert_eq!(names, ["SIGINT", "SIGTERM", "SIGHUP"]);
    }
}
