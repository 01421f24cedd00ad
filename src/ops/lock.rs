//! An app's lock: of the commands that change an app on this host only one is at work.

use std::time::{Duration, Instant};

use camino::Utf8Path;

use crate::files;
use crate::model::{App, AppName};
use crate::plan::{Refusal, Verb};
use crate::state::switches::Switches;

use super::context::Context;
use super::{Error, leftovers};

/// How long who has a lock may take to say so.
const SIGNED: Duration = Duration::from_millis(100);

/// An app as it is installed, while this command has its lock and no switch of it is open.
#[derive(Debug)]
pub struct Locked {
    /// The app.
    pub app: App,
    pub(super) lock: files::Lock,
}

impl Locked {
    /// Takes the lock, and reads the app after that. Errors with [`Error::Busy`] where another command has it or a switch is open,
    /// and with [`Error::Refused`] where the app is not installed.
    pub fn take(context: &Context, name: &AppName, verb: Verb) -> Result<Self, Error> {
        // Without that there is no folder for the lock.
        context.require_installed(name)?;
        let lock = lock(context, name, verb.as_str())?;
        refuse_open_switch(context, name, verb.phrase())?;
        Ok(Self {
            app: context.app(name)?,
            lock,
        })
    }
}

/// The app's lock, for as long as the returned value lives; what a bgctl left behind that was killed while it had the lock is removed.
/// Errors with [`Error::Busy`], which names who has it, where it is taken.
pub fn lock(context: &Context, app: &AppName, verb: &str) -> Result<files::Lock, Error> {
    let path = context.layout.lock(app);
    let Some(mut lock) = files::Lock::try_take(&path)? else {
        let holder = holder(&path)?;
        return Err(Error::busy(format!("cannot {verb} {app}: {holder}")));
    };
    let (process, since) = (std::process::id(), jiff::Timestamp::now());
    lock.sign(&format!(
        "bgctl {verb} (process {process}) is at work on it since {since:.0}"
    ))?;
    Switches::new(&context.layout, app).close_unbegun()?;
    leftovers::sweep_state(&context.layout, app)?;
    Ok(lock)
}

/// Who has the lock. It takes a moment from taking it to saying so.
#[expect(
    clippy::disallowed_methods,
    reason = "for 0.1 s at most, and nothing else runs meanwhile"
)]
fn holder(path: &Utf8Path) -> eyre::Result<String> {
    let since = Instant::now();
    loop {
        match files::read(path)?.filter(|holder| !holder.is_empty()) {
            Some(holder) => return Ok(holder),
            None if since.elapsed() > SIGNED => return Ok("another bgctl is at work on it".to_owned()),
            None => std::thread::sleep(Duration::from_millis(1)),
        }
    }
}

/// Errors with [`Error::Busy`] where a switch of the app is open.
pub fn refuse_open_switch(context: &Context, app: &AppName, verb: &'static str) -> Result<(), Error> {
    match Switches::new(&context.layout, app).open()? {
        Some(open) => Err(Refusal::Busy {
            verb,
            app: app.clone(),
            open,
        }
        .into()),
        None => Ok(()),
    }
}
