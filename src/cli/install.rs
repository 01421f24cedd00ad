//! `bgctl install`: write an app's unit and site, and create its cursor.

use similar::TextDiff;

use crate::config;
use crate::host::systemd::Systemd;
use crate::model::{App, Settings, sealed};
use crate::ops::context::{Context, require_root};
use crate::ops::install::{self, Change, Failed, Files, Put};
use crate::ops::lock::{lock, refuse_open_switch};
use crate::state::known;
use crate::store::Store;

use super::args;
use super::output;
use super::report::{Ends, Exit};
use super::signals::Signals;

/// Validates, writes what differs, and makes systemd and nginx take it up.
pub async fn run(context: &Context, verb: &args::Install) -> eyre::Result<Exit> {
    let manifest = config::read_text(&verb.manifest)?;
    let app = config::manifest::parse(&manifest, verb.manifest.as_str())?;
    let settings = context.settings()?;
    if !verb.dry_run && context.is_host() {
        require_root("install")?;
    }
    let files = || -> eyre::Result<Files> {
        let files = Files::of(&app, &manifest, &settings, &context.layout, &install::program()?)?;
        files.refuse_foreign(&app.name)?;
        let is_itself = verb.manifest.canonicalize().ok() == files.manifest.path.canonicalize().ok();
        install::refuse_edited(&context.layout, &app.name, &manifest, is_itself)?;
        Ok(files)
    };
    if verb.dry_run {
        return Ok(dry_run(&files()?));
    }
    if !context.is_host() {
        return below_root(context, &app, &files()?);
    }
    let why = "finishing first: half an installation would be left";
    let work = on_host(context, &app, &settings, files);
    Signals::hold()?.finish(work, why).await
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

/// Files only: nothing runs below another root.
fn below_root(context: &Context, app: &App, files: &Files) -> eyre::Result<Exit> {
    let did = if install::put_below(&app.name, &context.layout, files)? {
        "nothing was reloaded"
    } else {
        "nothing to do"
    };
    let (name, root) = (&app.name, context.layout.root());
    output::answer(&format!("{name} is installed below {root}; {did}"));
    Ok(Exit::Done)
}

/// `files` reads what the files of the app are now; it is asked under the lock.
async fn on_host(
    context: &Context,
    app: &App,
    settings: &Settings,
    files: impl FnOnce() -> eyre::Result<Files>,
) -> eyre::Result<Exit> {
    let (name, layout) = (&app.name, &context.layout);
    let systemd = Systemd::connect().await?;
    let store = Store::open(&settings.store, &layout.state()).await?;
    let is_new = install::make_state(layout, name)?;
    let _lock = lock(context, name, "install")?;
    refuse_open_switch(context, name, "install")?;
    let checked = async {
        let files = files()?;
        let active = store.get(name).await?.and_then(|stored| stored.cursor.active);
        install::check_host(app, settings, layout, &systemd, active).await?;
        eyre::Ok(files)
    };
    let files = match checked.await {
        Ok(files) => files,
        Err(error) => {
            if is_new {
                install::remove_state(layout, name)?;
            }
            return Err(error);
        }
    };
    for warning in install::warnings(app) {
        output::warning(&warning);
    }
    let put = Put {
        app,
        settings,
        layout,
        systemd: &systemd,
        store: Some(&store),
        is_new,
    };
    let did = install::put(&put, &files).await;
    let did = did.map_err(|failed| explain(failed, format!("{name} is only half installed")))?;
    if let (Ok(None), Ok(Some(stored))) = (known::read(layout, name), store.get(name).await) {
        known::remember(layout, &settings.store, name, &stored);
    }
    for line in &did {
        output::progress(&format!("  ok     {line}"));
    }
    if did.is_empty() {
        output::answer(&format!("{name} is installed; nothing to do"));
    } else {
        output::answer(&format!("{name} is installed; next: bgctl switch {name}"));
    }
    Ok(Exit::Done)
}

/// The error of an installation or its removal; `half` says what is left of it where that is something.
pub fn explain(failed: Failed, half: String) -> eyre::Report {
    match failed {
        Failed::Undone(error) => error,
        Failed::HalfDone(error) => Ends::with(Exit::Failed)(error.wrap_err(half)).into(),
    }
}
