//! What every use case starts from: the host's paths and settings, and who runs it.

use std::sync::OnceLock;

use camino::Utf8PathBuf;

use crate::config;
use crate::host::layout::Layout;
use crate::model::{App, AppName, Settings};
use crate::plan::Refusal;

use super::Error;
use super::installed;
use super::machine::Machine;

/// What every use case starts from.
#[derive(Debug)]
pub struct Context {
    /// Where things stand on this host.
    pub layout: Layout,
    settings_file: Option<Utf8PathBuf>,
    settings: OnceLock<Settings>,
    is_host: bool,
}

impl Context {
    /// For the host below `root`; its settings are in `settings_file`, or in the usual place.
    pub fn new(root: Utf8PathBuf, settings_file: Option<Utf8PathBuf>) -> Self {
        Self {
            is_host: root == "/",
            layout: Layout::new(root),
            settings_file,
            settings: OnceLock::new(),
        }
    }

    /// The host's settings, read once; the defaults where no file was named and there is none.
    pub fn settings(&self) -> Result<&Settings, Error> {
        if let Some(settings) = self.settings.get() {
            return Ok(settings);
        }
        let settings = match &self.settings_file {
            // A file that was named must be there; the usual one need not.
            Some(path) => config::settings::parse(&config::read_text(path)?, path.as_str())?,
            None => config::settings::read(&self.layout.settings())?,
        };
        Ok(self.settings.get_or_init(|| settings))
    }

    /// The app as it was installed. Errors with [`Error::Refused`] where it was not.
    pub fn app(&self, name: &AppName) -> Result<App, Error> {
        self.installed(name).map(|(app, _)| app)
    }

    /// The app as it was installed, and the text of the manifest that says so. Errors as [`Context::app`] does.
    pub fn installed(&self, name: &AppName) -> Result<(App, String), Error> {
        self.require_installed(name)?;
        Ok(installed::read(&self.layout, name)?)
    }

    /// Errors with [`Error::Refused`] where an app is not installed.
    pub fn require_installed(&self, name: &AppName) -> Result<(), Error> {
        if self.layout.manifest(name).try_exists()? {
            return Ok(());
        }
        Err(Refusal::NotInstalled { app: name.clone() }.into())
    }

    /// Errors where the app's manifest was edited and not installed: a release would be made of settings that neither its
    /// unit nor its site has.
    pub fn refuse_edited(&self, name: &AppName) -> Result<(), Error> {
        if !installed::is_edited(&self.layout, name)? {
            return Ok(());
        }
        let path = self.layout.manifest(name);
        let message = format!("cannot switch {name}: {path} was changed, and not installed since");
        Err(Error::refused(message, format!("bgctl install {path}")))
    }

    /// This machine, for `app`.
    pub async fn machine(&self, app: App) -> Result<Machine, Error> {
        Ok(Machine::new(app, self.settings()?.clone(), self.layout.clone()).await?)
    }

    /// Whether the paths are the running host's, and not those of a folder that `--root` names.
    pub fn is_host(&self) -> bool {
        self.is_host
    }

    /// Errors where `verb` is not run by root on the running host.
    pub fn require_root_on_host(&self, verb: &str) -> Result<(), Error> {
        if !self.is_host {
            let hint = "leave --root and BGCTL_ROOT out; install works below another root, this does not";
            return Err(Error::refused(format!("cannot {verb} below another root"), hint));
        }
        require_root(verb)
    }
}

/// Errors where `verb` is not run by root.
pub fn require_root(verb: &str) -> Result<(), Error> {
    if rustix::process::geteuid().is_root() {
        return Ok(());
    }
    let message = format!("cannot run `bgctl {verb}`: it needs root");
    Err(Error::refused(message, format!("sudo bgctl {verb}")))
}
