//! `bgctl repair`: remove drift.

use crate::drift::{self, Difference};
use crate::model::AppName;
use crate::ops::context::Context;
use crate::ops::install::Files;
use crate::ops::repair::{self, Event, Extent, Repairing};

use super::args;
use super::output;
use super::report::{self, Ends, Exit};
use super::signals::Signals;

/// Looks, decides, does it, and looks again.
pub async fn run(context: &Context, verb: &args::Repair) -> Result<Exit, Ends> {
    context.require_root_on_host("repair")?;
    let name = &verb.app;
    if verb.dry_run {
        let (differences, files) = repair::differences(context, name).await?;
        return Ok(dry_run(name, &differences, &files));
    }
    let mut signals = Signals::hold()?;
    let repairing = Repairing::begin(context, name).await?;
    if let Some(path) = &repairing.restored {
        output::progress(&format!("  ok     wrote {path} again"));
    }
    if repairing.differences.is_empty() {
        output::answer(&format!("{name} is as it should be; nothing to do"));
        return Ok(Exit::Done);
    }
    for difference in &repairing.differences {
        output::progress(&format!("  found  {}", difference.what));
    }
    for change in repairing.files.edited(name) {
        let (path, saved) = (&change.path, context.layout.saved());
        output::progress(&format!("  keeps  {path} as it is in {saved}, and takes away:"));
        output::progress_diff(&change.diff());
    }
    let why = "finishing first: half a repair would be left";
    let extent = signals.finish(repairing.run(&mut show), why).await;
    Ok(conclude(name, extent, &repairing.left().await?))
}

fn show(event: Event<'_>) {
    match event {
        Event::Left(repair) => output::progress(&format!("  left   {repair}: not as long as that above fails")),
        Event::Done(repair, said) => {
            output::progress(&format!("  ok     {repair}"));
            for line in said {
                output::progress(&format!("         {line}"));
            }
        }
        Event::Failed(repair, error) => {
            output::progress(&format!("  FAILED {repair}"));
            report::report(&error);
        }
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

fn conclude(app: &AppName, extent: Extent, left: &[Difference]) -> Exit {
    for difference in left {
        output::warning(&format!("{}: {}", difference.what, difference.command));
    }
    match (extent, left.is_empty()) {
        (Extent::Part, _) => {
            output::answer(&format!("{app} is repaired only in part"));
            Exit::Failed
        }
        (Extent::Nothing, _) => {
            output::answer(&format!("{app} is not repaired"));
            Exit::Failed
        }
        (Extent::All, false) => {
            output::answer(&format!(
                "{app} is repaired as far as bgctl can; manual intervention is required"
            ));
            Exit::Stuck
        }
        (Extent::All, true) => {
            output::answer(&format!("{app} is repaired"));
            Exit::Done
        }
    }
}
