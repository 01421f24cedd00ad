//! What `bgctl install` writes, and what has to hold before it does.

use camino::{Utf8Path, Utf8PathBuf};
use eyre::WrapErr as _;

use crate::config;
use crate::model::{App, AppName, Color, Hinted, Invalid, Port, Runtime, Settings, UnitName};
use crate::render::{self, seal};

use super::layout::Layout;
use super::systemd::Systemd;
use super::{connections, files};

/// A file to be written: what is there, and what will be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// Where.
    pub path: Utf8PathBuf,
    /// What is there now.
    pub old: Option<String>,
    /// What will be there.
    pub new: String,
    /// Its permissions.
    pub mode: u32,
}

impl Change {
    fn of(path: Utf8PathBuf, new: String, mode: u32) -> eyre::Result<Self> {
        let old = files::read(&path)?;
        Ok(Self { path, old, new, mode })
    }

    /// Whether anything differs.
    pub fn is_needed(&self) -> bool {
        self.old.as_ref() != Some(&self.new)
    }
}

/// All files of an app outside of its state folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Files {
    /// The nginx site.
    pub site: Change,
    /// The template unit and the units that all apps share.
    pub units: Vec<Change>,
    /// The manifest.
    pub manifest: Change,
}

impl Files {
    /// Those of `app` as they are and will be. Fails where one cannot be read or rendered.
    pub fn of(
        app: &App,
        manifest: &str,
        settings: &Settings,
        layout: &Layout,
        program: &Utf8Path,
    ) -> eyre::Result<Self> {
        let name = &app.name;
        let host = Layout::default();
        let site = render::site(app, &host.app(name), &host.socket(name))?;
        let unit = render::unit(app, program, &settings.docker)?;
        Ok(Self {
            site: Change::of(layout.site(name, &settings.nginx), site, 0o644)?,
            units: std::iter::once(Change::of(layout.template_unit(name), unit, 0o644))
                .chain(
                    render::support(program)?
                        .into_iter()
                        .map(|(path, text)| Change::of(layout.below(path), text, 0o644)),
                )
                .collect::<eyre::Result<_>>()?,
            manifest: Change::of(layout.manifest(name), manifest.to_owned(), 0o600)?,
        })
    }

    /// Fails where a file that is there was not written by bgctl for `app`, or was changed since.
    pub fn refuse_foreign(&self, app: &AppName) -> eyre::Result<()> {
        self.rendered().try_for_each(|change| refuse_foreign(app, change))
    }

    /// Those that bgctl rendered.
    pub fn rendered(&self) -> impl Iterator<Item = &Change> {
        std::iter::once(&self.site).chain(&self.units)
    }

    /// All of them.
    pub fn all(&self) -> impl Iterator<Item = &Change> {
        self.rendered().chain(std::iter::once(&self.manifest))
    }
}

fn refuse_foreign(app: &AppName, change: &Change) -> eyre::Result<()> {
    let Some(old) = &change.old else { return Ok(()) };
    let path = &change.path;
    let edited = (
        "it was changed by hand since bgctl wrote it".to_owned(),
        format!("move your changes to a drop-in or to nginx's include folder, remove {path}, and install again"),
    );
    let (why, hint) = match seal::check(old) {
        _ if seal::is_intact_support(old) => return Ok(()),
        _ if seal::is_support(old) => edited,
        seal::Seal::Intact(owner) if owner == *app => return Ok(()),
        seal::Seal::Intact(owner) => (
            format!("it belongs to the app {owner}"),
            "give this app another name".to_owned(),
        ),
        seal::Seal::Edited(_) => edited,
        seal::Seal::Foreign => (
            "it was not written by bgctl".to_owned(),
            format!("move {path} away, or give this app another name"),
        ),
    };
    Err(Hinted::new(format!("cannot write {path}: {why}"), hint).into())
}

/// The apps that are installed, by name.
pub fn installed(layout: &Layout) -> eyre::Result<Vec<AppName>> {
    let names = files::names_in(&layout.manifests())?;
    let stems = names.iter().filter_map(|name| name.strip_suffix(".toml"));
    let mut apps: Vec<_> = stems.filter_map(|stem| AppName::parse(stem).ok()).collect();
    apps.sort();
    Ok(apps)
}

/// What must hold on the host before anything is written. Fails with the first that does not.
pub async fn check_host(app: &App, layout: &Layout, systemd: &Systemd) -> eyre::Result<()> {
    check_files_of(app)?;
    check_other_apps(app, layout)?;
    check_what_runs(app, layout, systemd).await?;
    for color in Color::BOTH {
        check_port(app, color, systemd).await?;
    }
    let instance = UnitName::instance(&app.name, app.ports.blue);
    let template = layout.template_unit(&app.name);
    match systemd.state(&instance).await?.fragment {
        Some(path) if path != template => {
            let message = format!("cannot install {}: {path} is a unit of the same name", app.name);
            Err(Hinted::new(message, "give the app another name").into())
        }
        _ => Ok(()),
    }
}

/// The files that the manifest names must be there: a missing one is found now and not in the middle of a switch.
fn check_files_of(app: &App) -> eyre::Result<()> {
    let run = &app.run;
    let certificate = app.site.certificate.iter().flat_map(|tls| [&tls.certificate, &tls.key]);
    let program = match &run.runtime {
        Runtime::Program(program) => Some(&program.path),
        Runtime::Docker(_) => None,
    };
    let named = run
        .env_file
        .iter()
        .chain(run.credentials.values())
        .chain(certificate)
        .chain(program);
    for path in named {
        if !path.try_exists().wrap_err_with(|| format!("cannot look at {path}"))? {
            return Err(Invalid::new(format!("cannot use {path}: there is no such file")).into());
        }
    }
    Ok(())
}

fn check_other_apps(app: &App, layout: &Layout) -> eyre::Result<()> {
    for other in installed(layout)?.into_iter().filter(|other| *other != app.name) {
        let other = match config::manifest::read(&layout.manifest(&other)) {
            Ok(other) => other,
            Err(error) => {
                tracing::warn!("the ports of {other} are not known: {error}");
                continue;
            }
        };
        for port in [app.ports.blue, app.ports.green] {
            if port == other.ports.blue || port == other.ports.green {
                let message = format!("cannot use port {port} for {}: it belongs to {}", app.name, other.name);
                return Err(Hinted::new(message, "give [ports] blue and green other numbers").into());
            }
        }
    }
    Ok(())
}

/// A running app has its ports in its units' names, and its unit is that of its runtime: with another one it would not
/// come back after a reboot.
async fn check_what_runs(app: &App, layout: &Layout, systemd: &Systemd) -> eyre::Result<()> {
    let installed = layout.manifest(&app.name);
    if !installed.try_exists()? {
        return Ok(());
    }
    let Ok(old) = config::manifest::read(&installed) else {
        return Ok(());
    };
    let is_other_runtime = runtime(&old) != runtime(app);
    for color in Color::BOTH {
        let (before, after) = (*old.ports.get(color), *app.ports.get(color));
        let unit = UnitName::instance(&app.name, before);
        if before == after && !is_other_runtime || systemd.active_state(&unit).await?.is_down() {
            continue;
        }
        let message = if is_other_runtime {
            format!("cannot make {} run {} from now on: {unit} runs", app.name, runtime(app))
        } else {
            format!("cannot move {color} from port {before} to {after}: {unit} runs")
        };
        let hint = format!(
            "uninstall and install it again: bgctl uninstall {} --keep-state",
            app.name
        );
        return Err(Hinted::new(message, hint).into());
    }
    Ok(())
}

fn runtime(app: &App) -> &'static str {
    match app.run.runtime {
        Runtime::Docker(_) => "an image",
        Runtime::Program(_) => "a program of the host",
    }
}

async fn check_port(app: &App, color: Color, systemd: &Systemd) -> eyre::Result<()> {
    let port: Port = *app.ports.get(color);
    let unit = UnitName::instance(&app.name, port);
    if !systemd.active_state(&unit).await?.is_down() {
        return Ok(());
    }
    let Some(listener) = connections::listener(port)? else {
        return Ok(());
    };
    let who = listener
        .process
        .map_or("a process".to_owned(), |(pid, name)| format!("{name} (process {pid})"));
    let message = format!(
        "cannot use port {port} for {color}: {who} listens on {}",
        listener.address
    );
    Err(Hinted::new(message, format!("stop it, or give [ports] {color} another number")).into())
}
