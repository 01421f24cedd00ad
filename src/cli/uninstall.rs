//! `bgctl uninstall`: stop, disable and remove what install wrote.

use std::io::{BufRead as _, IsTerminal as _};

use camino::Utf8Path;

use crate::host::files;
use crate::host::install::{Files, installed};
use crate::host::machine::Machine;
use crate::host::nginx::Nginx;
use crate::model::{App, AppName, Color, Hinted, Settings, UnitName};
use crate::render::seal::{self, Seal};

use super::args;
use super::context::Context;
use super::install::program;
use super::opening::{lock, refuse_open_switch};
use super::output;
use super::report::{Exit, Incomplete};
use super::signals::Signals;

/// Asks, and then removes: the site first, so that nginx sends nothing to what is stopped next.
pub async fn run(context: &Context, verb: &args::Uninstall) -> eyre::Result<Exit> {
    context.require_root_on_host("uninstall")?;
    let app = context.app(&verb.app)?;
    let settings = context.settings()?;
    refuse_open_switch(context, &app.name)?;
    let machine = context.machine(app.clone()).await?;
    // Whether the store can be reached is found out while nothing has changed yet.
    let cursor = machine.store().await?.get(&app.name).await?;
    let active = cursor.and_then(|stored| stored.cursor.active);
    if !verb.yes && !is_agreed(&app.name, active, verb.keep_state)? {
        output::answer("nothing was removed");
        return Ok(Exit::Refused);
    }
    let _lock = lock(context, &app.name)?;
    refuse_open_switch(context, &app.name)?;
    let work = remove(context, &app, &settings, &machine, verb.keep_state);
    let why = "finishing; a half-removed installation helps nobody";
    Signals::hold()?
        .finish(work, why)
        .await
        .map_err(|error| Incomplete(error.wrap_err(format!("{} is only half removed", app.name))))?;
    output::answer(&format!("{} is uninstalled", app.name));
    Ok(Exit::Done)
}

fn is_agreed(app: &AppName, active: Option<Color>, keep_state: bool) -> eyre::Result<bool> {
    if !std::io::stdin().is_terminal() {
        let message = format!("cannot ask whether to uninstall {app}: there is no terminal");
        return Err(Hinted::new(message, "say it on the command line: --yes").into());
    }
    let serving = active
        .map(|color| format!(" {color} serves now and will stop."))
        .unwrap_or_default();
    let state = if keep_state {
        ""
    } else {
        " Its releases, journal and cursor go as well."
    };
    output::progress(&format!("Uninstall {app}?{serving}{state} [y/N] "));
    let mut line = String::new();
    std::io::stdin().lock().read_line(&mut line)?;
    Ok(matches!(line.trim(), "y" | "Y" | "yes"))
}

async fn remove(
    context: &Context,
    app: &App,
    settings: &Settings,
    machine: &Machine,
    keep_state: bool,
) -> eyre::Result<()> {
    let (layout, name, systemd) = (&context.layout, &app.name, machine.systemd());
    let manifest = files::read(&layout.manifest(name))?.unwrap_or_default();
    let written = Files::of(app, &manifest, settings, layout, &program()?)?;
    if is_ours(&written.site.path, name)? {
        Nginx::new(settings.nginx.clone(), systemd.clone())
            .remove_site(&written.site.path)
            .await?;
    }
    for color in Color::BOTH {
        let unit = UnitName::instance(name, *app.ports.get(color));
        systemd.disable(&[&unit]).await?;
        systemd
            .stop(&unit, app.run.stop_timeout + std::time::Duration::from_secs(30))
            .await?;
        systemd.reset_failed(&unit).await?;
        let description = layout.description(&unit);
        if files::remove(&description)?
            && let Some(folder) = description.parent()
        {
            // Whatever else stands there was put there by someone else.
            fs_err::remove_dir(folder).or_else(|error| match error.kind() {
                std::io::ErrorKind::DirectoryNotEmpty => Ok(()),
                _ => Err(error),
            })?;
        }
    }
    systemd.disable(&[&UnitName::switch(name)]).await?;
    let is_last = installed(layout)? == [name.clone()];
    for unit in &written.units {
        let is_shared = unit.path != layout.template_unit(name);
        if (!is_shared || is_last) && is_ours(&unit.path, name)? {
            files::remove(&unit.path)?;
        }
    }
    systemd.daemon_reload().await?;
    if !keep_state {
        machine.store().await?.remove(name).await?;
    }
    files::remove(&written.manifest.path)?;
    if !keep_state {
        fs_err::remove_dir_all(layout.app(name))?;
    }
    Ok(())
}

/// Whether the file is there and as bgctl wrote it; one that a person changed is left, and named.
fn is_ours(path: &Utf8Path, app: &AppName) -> eyre::Result<bool> {
    let Some(text) = files::read(path)? else {
        return Ok(false);
    };
    let is_ours = seal::is_intact_support(&text) || seal::check(&text) == Seal::Intact(app.clone());
    if !is_ours {
        output::warning(&format!(
            "{path} was left in place: it was changed by hand since bgctl wrote it"
        ));
    }
    Ok(is_ours)
}
