//! Removing drift.

use std::time::{Duration, Instant};

use crate::drift::{self, Difference, Facts, SwitchFact};
use crate::files;
use crate::model::{AppName, Hinted, StateError};
use crate::plan::Refusal;

use super::Error;
use super::context::Context;
use super::install::{Files, make_state};
use super::installed::{self, Unusable};
use super::lock::lock;
use super::machine::Machine;

pub use crate::drift::Repair;

/// How long what was done may take to be seen, and how often it is looked at.
const SEEN: Duration = Duration::from_secs(3);
const LOOK: Duration = Duration::from_millis(100);

/// What differs of an app from what should be, and its files. Nothing is changed.
pub async fn differences(context: &Context, name: &AppName) -> Result<(Vec<Difference>, Files), Error> {
    context.require_installed(name)?;
    let (machine, files) = read(context, name).await?;
    Ok((drift::differences(&machine.look(&files).await?.facts), files))
}

/// What became of one repair.
#[derive(Debug)]
pub enum Event<'a> {
    /// It was done; what is worth knowing about it.
    Done(&'a Repair, Vec<String>),
    /// It could not be done.
    Failed(&'a Repair, eyre::Report),
    /// It was not tried, because of one that failed.
    Left(&'a Repair),
}

/// How much of the repairs was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extent {
    /// All of them.
    All,
    /// Some of them.
    Part,
    /// None of them.
    Nothing,
}

/// A repair that is decided. No other command can begin with the app.
#[derive(Debug)]
pub struct Repairing<'a> {
    context: &'a Context,
    machine: Machine,
    facts: Facts,
    /// Its files, as they are and will be.
    pub files: Files,
    /// What differs.
    pub differences: Vec<Difference>,
    /// The copy of the manifest, where that was damaged and is written again already.
    pub restored: Option<camino::Utf8PathBuf>,
    _lock: files::Lock,
}

impl<'a> Repairing<'a> {
    /// Takes the app's lock, looks, and decides. Errors with [`Error::Busy`] where a switch runs.
    pub async fn begin(context: &'a Context, name: &AppName) -> Result<Self, Error> {
        context.require_installed(name)?;
        let layout = &context.layout;
        make_state(layout, name)?;
        let lock = lock(context, name, "repair")?;
        let restored = installed::restore_manifest(layout, name)?.then(|| layout.installed_manifest(name));
        let (machine, files) = read(context, name).await?;
        let facts = machine.look(&files).await?.facts;
        // One that is stuck may be so for what is repaired here; what it moves is left to it.
        if let Some(SwitchFact::Is { open, running: true }) = &facts.open {
            let (verb, app, open) = ("repair", name.clone(), open.clone());
            return Err(Refusal::Busy { verb, app, open }.into());
        }
        Ok(Self {
            context,
            machine,
            differences: drift::differences(&facts),
            facts,
            files,
            restored,
            _lock: lock,
        })
    }

    /// Does all that can be done. To be run to its end: half a repair would be left.
    pub async fn run(&self, tell: &mut dyn FnMut(Event<'_>)) -> Extent {
        let (mut done, mut failed) = (0, Vec::new());
        for repair in drift::repairs(&self.differences) {
            if repair.is_barred_by(&failed) {
                tell(Event::Left(&repair));
                continue;
            }
            match self.machine.repair(&repair, &self.facts, &self.files).await {
                Ok(said) => {
                    done += 1;
                    tell(Event::Done(&repair, said));
                }
                Err(error) => {
                    tell(Event::Failed(&repair, error));
                    failed.push(repair);
                }
            }
        }
        match (failed.is_empty(), done) {
            (true, _) => Extent::All,
            (false, 0) => Extent::Nothing,
            (false, _) => Extent::Part,
        }
    }

    /// Looks again. What was done may take a moment to be seen: a worker of nginx that ends still answers one request or two.
    pub async fn left(&self) -> Result<Vec<Difference>, Error> {
        let (context, layout, since) = (self.context, &self.context.layout, Instant::now());
        let (app, manifest) = context.installed(&self.facts.app)?;
        loop {
            let files = Files::installed(&app, &manifest, context.settings()?, layout)?;
            let left = drift::differences(&self.machine.look(&files).await?.facts);
            if drift::repairs(&left).is_empty() || since.elapsed() > SEEN {
                self.machine.remember();
                return Ok(left);
            }
            tokio::time::sleep(LOOK).await;
        }
    }
}

/// The machine for the app as it is installed, and its files.
async fn read(context: &Context, name: &AppName) -> Result<(Machine, Files), Error> {
    let layout = &context.layout;
    let (app, manifest) = installed::read(layout, name).map_err(|error| match error {
        // Not even a repair knows what it said.
        Unusable::Copy(StateError::Damaged(error)) => {
            let hint = format!("bgctl install {}", layout.manifest(name));
            Error::Failed(Hinted::from(error, hint).into())
        }
        error => error.into(),
    })?;
    let files = Files::installed(&app, &manifest, context.settings()?, layout)?;
    Ok((context.machine(app).await?, files))
}
