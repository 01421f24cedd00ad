//! Installing and uninstalling an app: what is written, what has to hold before, and in which order it is done.

mod check;
mod companions;
mod ports;
mod put;
mod remove;
mod rendered;

use camino::{Utf8Path, Utf8PathBuf};
use eyre::WrapErr as _;

use crate::config;
use crate::host::systemd::Systemd;
use crate::model::{App, AppName, Settings};
use crate::proxy::nginx::{holes, sites};
use crate::state::known;
use crate::store::Store;

use super::Error;
use super::context::Context;
use super::installed::refuse_edited;
use super::lock::{lock, refuse_open_switch};
use super::visitors::{self, Warning};

pub use put::{Put, make_state, put};
pub use remove::Remove;
pub use rendered::{Change, Files, NotOurs, not_ours};

/// The program as the units call it.
pub fn program() -> eyre::Result<Utf8PathBuf> {
    let path = std::env::current_exe().wrap_err("cannot find out where bgctl is")?;
    Utf8PathBuf::from_path_buf(path).map_err(|path| eyre::eyre!("cannot use {}: it is not UTF-8", path.display()))
}

/// A manifest that is to be installed. It is valid, and nothing has changed yet.
#[derive(Debug)]
pub struct Install<'a> {
    context: &'a Context,
    /// What it says.
    pub app: App,
    settings: Settings,
    manifest: String,
    is_itself: bool,
    /// Whether nginx may be restarted where it can take an address only so.
    pub may_restart: bool,
}

/// What an installation did.
#[derive(Debug)]
pub struct Installed {
    /// A line for each thing.
    pub did: Vec<String>,
    /// What an operator should know of the site.
    pub warnings: Vec<Warning>,
}

impl<'a> Install<'a> {
    /// Reads the manifest at `path`. Errors with [`Error::Invalid`] where it, or the host's settings, are wrong.
    pub fn read(context: &'a Context, path: &Utf8Path) -> Result<Self, Error> {
        let manifest = config::read_text(path)?;
        let app = config::manifest::parse(&manifest, path.as_str())?;
        let settings = context.settings()?.clone();
        let installed = context.layout.manifest(&app.name);
        let is_itself = path
            .canonicalize()
            .is_ok_and(|path| installed.canonicalize().is_ok_and(|installed| path == installed));
        Ok(Self {
            context,
            app,
            settings,
            manifest,
            is_itself,
            may_restart: false,
        })
    }

    /// Has the site put where this host's nginx includes it, where no setting says where that is. Errors where it includes no
    /// folder of sites.
    pub async fn find_sites(&mut self) -> Result<(), Error> {
        let found = sites::choose(self.settings.nginx.clone(), &self.context.layout).await;
        self.settings.nginx = found?;
        Ok(())
    }

    /// The files as they are and will be. Errors where one of them is not bgctl's to change.
    pub fn files(&self) -> Result<Files, Error> {
        let (context, app) = (self.context, &self.app);
        let files = Files::of(app, &self.manifest, &self.settings, &context.layout, &program()?)?;
        files.refuse_foreign(&app.name)?;
        refuse_edited(&context.layout, &app.name, &self.manifest, self.is_itself)?;
        Ok(files)
    }

    /// Writes files only, below another root, where nothing runs. Returns whether anything changed.
    pub fn put_below(&self) -> Result<bool, Error> {
        Ok(put::put_below(&self.app.name, &self.context.layout, &self.files()?)?)
    }

    /// Checks the host, writes what differs, and makes systemd and nginx take it up. To be run to its end: half an installation
    /// would be left.
    pub async fn put(&self) -> Result<Installed, Error> {
        let (context, layout, name) = (self.context, &self.context.layout, &self.app.name);
        let settings = &self.settings;
        let systemd = Systemd::connect().await?;
        let store = Store::open(&settings.store, &layout.state()).await?;
        let is_new = make_state(layout, name)?;
        let _lock = lock(context, name, "install")?;
        refuse_open_switch(context, name, "install")?;
        // Read under the lock: another command may just have written them.
        let files = match self.checked(&systemd, &store).await {
            Ok(files) => files,
            Err(error) => {
                if is_new {
                    put::remove_state(layout, name)?;
                }
                return Err(error);
            }
        };
        let put = Put {
            app: &self.app,
            settings,
            layout,
            systemd: &systemd,
            store: Some(&store),
            is_new,
            may_restart: self.may_restart,
        };
        let did = put::put(&put, &files).await?;
        if let (Ok(None), Ok(Some(stored))) = (known::read(layout, name), store.get(name).await) {
            known::remember(layout, &settings.store, name, &stored);
        }
        let mut warnings = visitors::warnings(&self.app, settings, layout, &systemd).await;
        warnings.extend(ports::warning(&self.app));
        let holes = holes::known(&settings.nginx, &self.app.site).await.into_iter();
        warnings.extend(holes.map(|warning| Warning {
            warning,
            advice: "update nginx".to_owned(),
        }));
        Ok(Installed { did, warnings })
    }

    async fn checked(&self, systemd: &Systemd, store: &Store) -> Result<Files, Error> {
        let (app, layout) = (&self.app, &self.context.layout);
        let files = self.files()?;
        let active = store.get(&app.name).await?.and_then(|stored| stored.cursor.active);
        check::check_host(app, &self.settings, layout, systemd, active).await?;
        Ok(files)
    }
}

/// Gives an app of bgctl 0.1.0 its route, and a site that goes by it, while one of its switches is open.
pub async fn migrate(context: &Context, name: &AppName) -> Result<(), Error> {
    let (app, manifest) = context.installed(name)?;
    let (settings, layout) = (context.settings()?, &context.layout);
    let files = Files::installed(&app, &manifest, settings, layout)?;
    let put = Put {
        app: &app,
        settings,
        layout,
        systemd: &Systemd::connect().await?,
        store: None,
        is_new: false,
        may_restart: false,
    };
    Ok(put::migrate(&put, &files).await?)
}
