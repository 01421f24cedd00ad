//! Uninstalling an app: what is looked at before, and who is kept away meanwhile.

use camino::Utf8PathBuf;

use crate::files;
use crate::model::{App, AppName, Color};

use super::Error;
use super::context::Context;
use super::install::{Files, Remove, make_state, program};
use super::lock::{lock, refuse_open_switch};
use super::machine::Machine;
use super::opening::{busy, own_lease};

/// An app that is to be removed. Nothing has changed yet; no other command can begin with it.
#[derive(Debug)]
pub struct Uninstall<'a> {
    context: &'a Context,
    app: App,
    written: Files,
    machine: Machine,
    /// The color that is active.
    pub active: Option<Color>,
    /// Whether nginx may be restarted where it can take the addresses that are left only so.
    pub may_restart: bool,
    _lock: files::Lock,
}

impl<'a> Uninstall<'a> {
    /// Takes the app's lock. Errors where the store cannot be reached, and where a file could not be removed.
    pub async fn begin(context: &'a Context, name: &AppName) -> Result<Self, Error> {
        context.require_installed(name)?;
        let layout = &context.layout;
        // The folder is gone where an uninstall before this one ended in the middle.
        make_state(layout, name)?;
        let lock = lock(context, name, "uninstall")?;
        refuse_open_switch(context, name, "uninstall")?;
        let app = context.app(name)?;
        let manifest = files::read(&layout.manifest(name))?.unwrap_or_default();
        let written = Files::of(&app, &manifest, context.settings()?, layout, &program()?)?;
        written.refuse_kept(name, &layout.switch_unit())?;
        let machine = context.machine(app.clone()).await?;
        let stored = machine.store().await?.get(name).await?;
        Ok(Self {
            context,
            app,
            written,
            machine,
            active: stored.and_then(|stored| stored.cursor.active),
            may_restart: false,
            _lock: lock,
        })
    }

    /// Stops and removes what was installed and what switches left; with `keep_state` the folder of state and the cursor stay.
    /// Returns the files that stay since they were changed by hand. To be run to its end: half an installation would be left.
    pub async fn run(&self, keep_state: bool) -> Result<Vec<Utf8PathBuf>, Error> {
        let name = &self.app.name;
        let remove = Remove {
            app: &self.app,
            settings: self.context.settings()?,
            layout: &self.context.layout,
            systemd: self.machine.systemd(),
            store: self.machine.store().await?,
            keep_state,
            may_restart: self.may_restart,
        };
        // The cursor goes for all hosts that share it.
        let acquired = self.machine.acquire_lease(&own_lease(&"uninstall", "uninstall")?).await;
        acquired.map_err(|error| busy(name, "uninstall", error))?;
        let removed = remove.all(&self.written).await;
        self.machine.release_lease().await;
        removed
    }
}
