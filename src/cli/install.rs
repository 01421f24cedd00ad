//! `bgctl install`: write an app's unit and site, and create its cursor.

use camino::{Utf8Path, Utf8PathBuf};
use eyre::WrapErr as _;
use similar::TextDiff;

use crate::config;
use crate::host::install::{self, Files};
use crate::host::nginx::Nginx;
use crate::host::systemd::Systemd;
use crate::host::{files, flag};
use crate::model::{App, Settings, UnitName};
use crate::store::Store;

use super::args;
use super::context::{Context, require_root};
use super::opening::{lock, refuse_open_switch};
use super::output;
use super::report::{Exit, Incomplete};
use super::signals::Signals;

/// Validates, writes what differs, and makes systemd and nginx take it up.
pub async fn run(context: &Context, verb: &args::Install) -> eyre::Result<Exit> {
    let manifest = config::read_text(&verb.manifest)?;
    let app = config::manifest::parse(&manifest, verb.manifest.as_str())?;
    let settings = context.settings()?;
    if !verb.dry_run && context.is_host() {
        require_root("install")?;
    }
    let files = Files::of(&app, &manifest, &settings, &context.layout, &program()?)?;
    files.refuse_foreign(&app.name)?;
    if verb.dry_run {
        return Ok(dry_run(&files));
    }
    if !context.is_host() {
        return below_root(context, &app, &files);
    }
    let why = "finishing; a half-written installation helps nobody";
    let work = on_host(context, &app, &settings, &files);
    Signals::hold()?.finish(work, why).await
}

/// The program as the units call it.
pub fn program() -> eyre::Result<Utf8PathBuf> {
    let path = std::env::current_exe().wrap_err("cannot find out where bgctl is")?;
    Utf8PathBuf::from_path_buf(path).map_err(|path| eyre::eyre!("cannot use {}: it is not UTF-8", path.display()))
}

fn dry_run(files: &Files) -> Exit {
    let mut changes = files.all().filter(|change| change.is_needed()).peekable();
    if changes.peek().is_none() {
        output::answer("nothing to do");
    }
    for change in changes {
        let (before, after) = match &change.old {
            Some(old) => (old.as_str(), change.path.as_str()),
            None => ("", change.path.as_str()),
        };
        let from = if change.old.is_some() { after } else { "/dev/null" };
        let diff = TextDiff::from_lines(before, &change.new);
        output::diff(&diff.unified_diff().header(from, after).to_string());
    }
    Exit::Done
}

/// Files only: nothing runs below another root.
fn below_root(context: &Context, app: &App, files: &Files) -> eyre::Result<Exit> {
    write_state(context, app)?;
    let mut did = "nothing to do";
    for change in files.all().filter(|change| change.is_needed()) {
        write(change)?;
        did = "nothing was reloaded";
    }
    let (name, root) = (&app.name, context.layout.root());
    output::answer(&format!("{name} is installed below {root}; {did}"));
    Ok(Exit::Done)
}

async fn on_host(context: &Context, app: &App, settings: &Settings, files: &Files) -> eyre::Result<Exit> {
    let name = &app.name;
    let systemd = Systemd::connect().await?;
    install::check_host(app, &context.layout, &systemd).await?;
    let store = Store::open(&settings.store, &context.layout.state()).await?;
    let state = context.layout.app(name);
    let is_new = !state.try_exists()?;
    files::ensure_dir(&state, 0o755)?;
    let _lock = lock(context, name)?;
    refuse_open_switch(context, name)?;

    // nginx may refuse the site, and then nothing is left of what was written until then.
    let mut did = Vec::new();
    files::ensure_dir(&context.layout.run_dir(), 0o755)?;
    write_state(context, app)?;
    let nginx = Nginx::new(settings.nginx.clone(), systemd.clone());
    let (path, socket) = (&files.site.path, context.layout.socket(name));
    let put = nginx.put_site(path, &files.site.new, &app.site, &socket).await;
    if put.is_err() && is_new {
        fs_err::remove_dir_all(&state)?;
    }
    if put? {
        did.push(format!("wrote {path} and reloaded nginx"));
    }
    let rest = write_units(app, &systemd, &store, files, &mut did).await;
    rest.map_err(|error| Incomplete(error.wrap_err(format!("{name} is only half installed"))))?;
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

async fn write_units(
    app: &App,
    systemd: &Systemd,
    store: &Store,
    files: &Files,
    did: &mut Vec<String>,
) -> eyre::Result<()> {
    let mut is_reload_needed = false;
    for change in files.units.iter().filter(|change| change.is_needed()) {
        write(change)?;
        is_reload_needed = true;
        did.push(format!("wrote {}", change.path));
    }
    if is_reload_needed {
        systemd.daemon_reload().await?;
        did.push("reloaded systemd".to_owned());
    }
    let worker = UnitName::switch(&app.name);
    if systemd.enable(&[&worker]).await? {
        did.push(format!(
            "enabled {worker}, which takes an interrupted switch up again at boot"
        ));
    }
    if store.get(&app.name).await?.is_none() {
        store.create(&app.name, &app.ports).await?;
        did.push("created the cursor: none".to_owned());
    }
    if files.manifest.is_needed() {
        write(&files.manifest)?;
        did.push(format!("wrote {}", files.manifest.path));
    }
    Ok(())
}

fn write(change: &install::Change) -> eyre::Result<()> {
    if let Some(folder) = change.path.parent() {
        files::ensure_dir(folder, 0o755)?;
    }
    files::write(&change.path, change.new.as_bytes(), change.mode)
}

/// The app's folders, and a flag that says that nothing is deployed where nothing ever was.
fn write_state(context: &Context, app: &App) -> eyre::Result<()> {
    let (layout, name) = (&context.layout, &app.name);
    let open = [
        layout.app(name),
        layout.flag_dir(name),
        layout.serving_dir(name),
        layout.names_dir(name),
    ];
    let closed = [layout.releases_dir(name), layout.switches_dir(name)];
    let is_new = !layout.flag_dir(name).try_exists()?;
    create(&open, 0o755)?;
    create(&closed, 0o700)?;
    // Where nginx looks for the release while no color is active.
    create(&[layout.serving_dir(name).join("none")], 0o755)?;
    if is_new {
        flag::set(&layout.flag_dir(name), None)?;
    }
    Ok(())
}

fn create(folders: &[impl AsRef<Utf8Path>], mode: u32) -> eyre::Result<()> {
    folders
        .iter()
        .try_for_each(|folder| files::ensure_dir(folder.as_ref(), mode).map(drop))
}
