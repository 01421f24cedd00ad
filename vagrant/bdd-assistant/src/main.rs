//! The demo application that bgctl deploys: BDD stories over a small REST API, and a page on which a switch is seen.
//!
//! It takes everything from its environment (see [`settings`]), keeps everything in memory, and ends on SIGTERM only
//! after the requests in flight are answered. Whatever a deployment can get wrong can be had on purpose: a slow start,
//! an exit at the start, a health check that fails, slow requests, uploads, downloads and websockets.
//! For demonstrations and tests only: anyone who reaches it may turn its health off.

mod answer;
mod page;
mod routes;
mod server;
mod settings;
mod socket;
mod state;
mod stories;
mod transfer;

use std::process::ExitCode;
use std::rc::Rc;

use tokio::signal::unix::{Signal, SignalKind, signal};

use settings::Settings;
use state::App;

/// One thread is enough for a demo, and lets the state do without locks.
#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    match run().await {
        Ok(code) => code,
        Err(error) => {
            log(&format!("error: {error}"));
            ExitCode::FAILURE
        }
    }
}

/// Starts as the environment says, and serves until SIGTERM or SIGINT.
async fn run() -> Result<ExitCode, String> {
    let settings = Settings::from_environment(|name| std::env::var(name).ok())?;
    // Before anything else: PID 1 of a container has no default action for signals.
    let mut signals = Signals::new().map_err(|error| format!("cannot handle signals: {error}"))?;

    if !settings.start_delay.is_zero() {
        log(&format!(
            "listens in {:?}, because START_DELAY_MS says so",
            settings.start_delay
        ));
    }
    tokio::select! {
        () = tokio::time::sleep(settings.start_delay) => {}
        () = signals.stop() => return Ok(ExitCode::SUCCESS),
    }
    if let Some(code) = settings.exit_at_start {
        log(&format!("exit {code}, because EXIT_AT_START says so"));
        return Ok(ExitCode::from(code));
    }

    let app = Rc::new(App::new(settings));
    let listener = server::listen(&app).await?;
    tokio::task::LocalSet::new()
        .run_until(server::serve(listener, app, signals.stop()))
        .await;
    Ok(ExitCode::SUCCESS)
}

/// The two signals that ask for an end.
struct Signals {
    /// From systemd, Docker and bgctl.
    terminate: Signal,
    /// Ctrl-C.
    interrupt: Signal,
}

impl Signals {
    /// Installs the handlers; fails where the system refuses them.
    fn new() -> std::io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    /// Waits for either.
    async fn stop(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

/// One line on standard error, where journald and `docker logs` read.
#[expect(clippy::print_stderr, reason = "a small program whose log is its standard error")]
fn log(line: &str) {
    eprintln!("{line}");
}
