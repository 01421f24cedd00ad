//! `bgctl install`: write an app's unit and site, and create its cursor.

use similar::TextDiff;

use crate::config;
use crate::model::sealed;
use crate::ops::context::{Context, require_root};
use crate::ops::install::{Change, Files, Install};

use super::args;
use super::output;
use super::report::{Ends, Exit};
use super::signals::Signals;

/// Validates, writes what differs, and makes systemd and nginx take it up.
pub async fn run(context: &Context, verb: &args::Install) -> Result<Exit, Ends> {
    let mut install = Install::read(context, &verb.manifest)?;
    if context.is_host() {
        if !verb.dry_run {
            require_root("install")?;
        }
        install.find_sites().await?;
    }
    install.may_restart = verb.restart_nginx;
    let name = &install.app.name;
    if verb.dry_run {
        return Ok(dry_run(&install.files()?));
    }
    if !context.is_host() {
        let did = if install.put_below()? {
            "nothing was reloaded"
        } else {
            "nothing to do"
        };
        let root = context.layout.root();
        output::answer(&format!("{name} is installed below {root}; {did}"));
        return Ok(Exit::Done);
    }
    let why = "finishing first: half an installation would be left";
    let installed = Signals::hold()?.finish(install.put(), why).await?;
    for line in &installed.did {
        output::progress(&format!("  ok     {line}"));
    }
    output::warnings(&installed.warnings);
    if installed.did.is_empty() {
        output::answer(&format!("{name} is installed; nothing to do"));
    } else {
        output::answer(&format!("{name} is installed; next: bgctl switch {name}"));
    }
    Ok(Exit::Done)
}

fn dry_run(files: &Files) -> Exit {
    // The copy of the manifest is shown where it alone changes: after an edit in place.
    let is_shown =
        |change: &&Change| change.is_needed() && !(*change == &files.installed && files.manifest.is_needed());
    let mut changes = files.all().filter(is_shown).peekable();
    if changes.peek().is_none() {
        output::answer("nothing to do");
    }
    for change in changes {
        let is_manifest = [&files.manifest, &files.installed].contains(&change);
        let text = |text: &str| {
            if is_manifest {
                config::manifest::masked(sealed::without_sum(text))
            } else {
                text.to_owned()
            }
        };
        let (before, after) = (text(change.old.as_deref().unwrap_or_default()), text(&change.new));
        let to = change.path.as_str();
        let from = if change.old.is_some() { to } else { "/dev/null" };
        if before == after {
            output::answer(&format!("{to}: values of [run] env differ; they are not shown"));
        }
        let diff = TextDiff::from_lines(&before, &after);
        output::diff(&diff.unified_diff().header(from, to).to_string());
    }
    Exit::Done
}
