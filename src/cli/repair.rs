//! `bgctl repair`: remove drift.

use std::time::{Duration, Instant};

use crate::drift::{self, Difference, Facts, Repair, SwitchFact};
use crate::model::{AppName, Hint as _, Unreadable};
use crate::ops::context::Context;
use crate::ops::install::{self, Files};
use crate::ops::lock::lock;
use crate::ops::machine::Machine;
use crate::plan::Refusal;

use super::args;
use super::output;
use super::report::{self, Exit};
use super::signals::Signals;

/// How long what was done may take to be seen, and how often it is looked at.
const SEEN: Duration = Duration::from_secs(3);
const LOOK: Duration = Duration::from_millis(100);

/// Looks, decides, does it, and looks again.
pub async fn run(context: &Context, verb: &args::Repair) -> eyre::Result<Exit> {
    context.require_root_on_host("repair")?;
    let (layout, name) = (&context.layout, &verb.app);
    context.require_installed(name)?;
    if verb.dry_run {
        let (machine, files) = installed(context, name).await?;
        let differences = drift::differences(&machine.facts(&files).await?);
        return Ok(dry_run(name, &differences, &files));
    }
    let mut signals = Signals::hold()?;
    install::make_state(layout, name)?;
    let _lock = lock(context, name, "repair")?;
    if install::restore_manifest(layout, name)? {
        output::progress(&format!("  ok     wrote {} again", layout.installed_manifest(name)));
    }
    let (machine, files) = installed(context, name).await?;
    let facts = machine.facts(&files).await?;
    // One that is stuck may be so for what is repaired here; what it moves is left to it.
    if let Some(SwitchFact::Is { open, running: true }) = &facts.open {
        let (verb, app, open) = ("repair", name.clone(), open.clone());
        return Err(Refusal::Busy { verb, app, open }.into());
    }
    let differences = drift::differences(&facts);
    if differences.is_empty() {
        output::answer(&format!("{name} is as it should be; nothing to do"));
        return Ok(Exit::Done);
    }
    tell(&differences);
    for change in files.edited(name) {
        output::progress(&format!(
            "  keeps  {} as it is in {}, and takes away:",
            change.path,
            layout.saved()
        ));
        output::progress_diff(&change.diff());
    }
    let why = "finishing first: half a repair would be left";
    let repairs = drift::repairs(&differences);
    let work = all(&machine, &facts, &files, &repairs);
    let did = signals.finish(work, why).await;
    let left = what_is_left(context, name, &machine).await?;
    machine.remember();
    Ok(conclude(name, did, &left))
}

/// The machine for the app as it is installed, and its files.
async fn installed(context: &Context, name: &AppName) -> eyre::Result<(Machine, Files)> {
    let manifest = context.layout.manifest(name);
    // Not even a repair knows what it said.
    let app = context.app(name).or_else(|error| {
        if Unreadable::is_damaged(&error) {
            Err(error).hint(format!("bgctl install {manifest}"))
        } else {
            Err(error)
        }
    })?;
    let files = Files::installed(&app, &context.settings()?, &context.layout, &install::program()?)?;
    Ok((context.machine(app).await?, files))
}

/// Looks again. What was done may take a moment to be seen: a worker of nginx that ends still answers one request or two.
async fn what_is_left(context: &Context, name: &AppName, machine: &Machine) -> eyre::Result<Vec<Difference>> {
    let (app, settings, since) = (context.app(name)?, context.settings()?, Instant::now());
    loop {
        let files = Files::installed(&app, &settings, &context.layout, &install::program()?)?;
        let left = drift::differences(&machine.facts(&files).await?);
        if drift::repairs(&left).is_empty() || since.elapsed() > SEEN {
            return Ok(left);
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// How much of the repairs was done.
#[derive(Clone, Copy)]
enum Did {
    All,
    Part,
    Nothing,
}

/// Does all that can be done; says how much of it was.
async fn all(machine: &Machine, facts: &Facts, files: &Files, repairs: &[Repair]) -> Did {
    let (mut done, mut failed) = (0, Vec::new());
    for repair in repairs {
        if repair.is_barred_by(&failed) {
            output::progress(&format!("  left   {repair}: not as long as that above fails"));
            continue;
        }
        match machine.repair(repair, facts, files).await {
            Ok(said) => {
                done += 1;
                output::progress(&format!("  ok     {repair}"));
                for line in said {
                    output::progress(&format!("         {line}"));
                }
            }
            Err(error) => {
                output::progress(&format!("  FAILED {repair}"));
                report::report(&error);
                failed.push(repair.clone());
            }
        }
    }
    match (failed.is_empty(), done) {
        (true, _) => Did::All,
        (false, 0) => Did::Nothing,
        (false, _) => Did::Part,
    }
}

fn tell(differences: &[Difference]) {
    for difference in differences {
        output::progress(&format!("  found  {}", difference.what));
    }
}

fn dry_run(app: &AppName, differences: &[Difference], files: &Files) -> Exit {
    if differences.is_empty() {
        output::answer(&format!("{app} is as it should be; nothing to do"));
    }
    for difference in differences {
        output::answer(&format!("found  {}", difference.what));
        if difference.repairs.is_empty() {
            output::answer(&format!("  not for repair: {}", difference.command));
        }
    }
    for repair in drift::repairs(differences) {
        output::answer(&format!("would  {repair}"));
    }
    for change in files.edited(app) {
        output::answer(&format!(
            "would take away of {}, of which it keeps a copy:",
            change.path
        ));
        output::diff(&change.diff());
    }
    Exit::Done
}

fn conclude(app: &AppName, did: Did, left: &[Difference]) -> Exit {
    for difference in left {
        output::warning(&format!("{}: {}", difference.what, difference.command));
    }
    match (did, left.is_empty()) {
        (Did::Part, _) => {
            output::answer(&format!("{app} is repaired only in part"));
            Exit::Failed
        }
        (Did::Nothing, _) => {
            output::answer(&format!("{app} is not repaired"));
            Exit::Failed
        }
        (Did::All, false) => {
            output::answer(&format!(
                "{app} is repaired as far as bgctl can; manual intervention is required"
            ));
            Exit::Stuck
        }
        (Did::All, true) => {
            output::answer(&format!("{app} is repaired"));
            Exit::Done
        }
    }
}
