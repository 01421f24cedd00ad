//! An app to be measured with: the demo app, as a program or as an image, and what is installed for it.

use std::process::Command;

use eyre::WrapErr as _;
use fs_err as fs;

use crate::host::{get, now, run, sh};
use crate::switch::{Switch, ms};

/// Where the demo app is built, and where it is copied to: an app's own user may not read every folder.
const BUILT: &str = "/vagrant/target/$(uname -m)-unknown-linux-gnu/release";
/// The demo app on the host.
pub const PROGRAM: &str = "/usr/local/bin/bdd-assistant";
/// The same as an image that never was in a registry, so that no pull is measured.
const IMAGE: &str = "bench-app:1";
/// A folder that instances of any user may write to.
pub const SHARED: &str = "/var/lib/bench";
/// The host's settings.
const SETTINGS: &str = "/etc/bgctl/bgctl.toml";

/// How an app runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Runtime {
    /// A program of the host.
    Program,
    /// A container.
    Docker,
}

impl Runtime {
    /// In a word.
    pub fn name(self) -> &'static str {
        match self {
            Self::Program => "program",
            Self::Docker => "docker",
        }
    }

    fn manifest(self) -> String {
        match self {
            Self::Program => format!("exec = \"{PROGRAM}\"\nservice = [\"ReadWritePaths={SHARED}\"]\n"),
            Self::Docker => {
                format!("image = \"{IMAGE}\"\ncontainer_port = 8080\nvolumes = [\"{SHARED}:{SHARED}\"]\n")
            }
        }
    }
}

/// Where cursors live.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Store {
    /// In etcd.
    Etcd,
    /// In files.
    Local,
}

impl Store {
    /// In a word.
    pub fn name(self) -> &'static str {
        match self {
            Self::Etcd => "etcd",
            Self::Local => "local store",
        }
    }

    /// Makes it the host's; apps are installed anew after that.
    pub fn choose(self) -> eyre::Result<()> {
        let text = match self {
            Self::Etcd => "[store]\nendpoints = [\"http://127.0.0.1:2379\"]\n",
            Self::Local => "",
        };
        Ok(fs::write(SETTINGS, text)?)
    }
}

/// Puts the demo app where the manifests expect it.
pub fn prepare(runtime: Runtime) -> eyre::Result<()> {
    sh(&format!(
        "install -m 0755 {BUILT}/bdd-assistant {PROGRAM}; install -d -m 0777 {SHARED}"
    ))?;
    if runtime == Runtime::Docker {
        sh(&format!(
            "tar -c -C /vagrant/vagrant/bdd-assistant Dockerfile -C {BUILT} bdd-assistant | docker build --quiet --tag {IMAGE} -"
        ))?;
    }
    Ok(())
}

/// An installed app with one release; uninstalled when this is dropped.
#[derive(Debug)]
pub struct App {
    /// Its name.
    pub name: &'static str,
    blue: u16,
}

impl App {
    /// Installs an app that answers to `NAME.test`, on port `blue` and the next one, and makes a first release active.
    /// `of_run` and `tables` are further lines of the manifest: of `[run]`, and whole tables.
    pub fn install(name: &'static str, runtime: Runtime, blue: u16, of_run: &str, tables: &str) -> eyre::Result<Self> {
        prepare(runtime)?;
        let manifest = manifest(name, runtime, blue, of_run, tables);
        let path = format!("{SHARED}/{name}.toml");
        fs::write(&path, manifest)?;
        run(Command::new("bgctl").args(["install", &path])).wrap_err_with(|| format!("cannot install {name}"))?;
        let app = Self { name, blue };
        app.switch()?;
        Ok(app)
    }

    /// The name that its site answers to.
    pub fn host(&self) -> String {
        format!("{}.test", self.name)
    }

    /// Makes a new release active.
    pub fn switch(&self) -> eyre::Result<Switch> {
        Switch::run("switch", self.name, &[])
    }

    /// Makes the previous release active again.
    pub fn rollback(&self) -> eyre::Result<Switch> {
        Switch::run("rollback", self.name, &[])
    }

    /// The port of a color.
    pub fn port(&self, color: &str) -> u16 {
        if color == "blue" { self.blue } else { self.blue + 1 }
    }

    /// When the instance that serves began to listen, by its own word, milliseconds since 1970.
    pub fn answers_since(&self, color: &str) -> eyre::Result<f64> {
        started(self.port(color))
    }
}

impl Drop for App {
    fn drop(&mut self) {
        let gone = run(Command::new("bgctl").args(["uninstall", self.name, "--yes"]));
        if let Err(error) = gone {
            crate::host::say(&format!("cannot uninstall {}: {error:#}", self.name));
        }
    }
}

/// The manifest of an app.
pub fn manifest(name: &str, runtime: Runtime, blue: u16, of_run: &str, tables: &str) -> String {
    let (run, green) = (runtime.manifest(), blue + 1);
    format!(
        "name = \"{name}\"\n[run]\n{run}{of_run}\n[ports]\nblue = {blue}\ngreen = {green}\n[health]\npath = \"/health\"\n\
         [nginx]\nserver_name = [\"{name}.test\"]\n{tables}\n"
    )
}

/// When the instance on a port began to listen, by its own word.
pub fn started(port: u16) -> eyre::Result<f64> {
    #[derive(serde::Deserialize)]
    struct Instance {
        started: jiff::Timestamp,
    }
    let answer = get(port, "localhost", "/api/instance")?;
    let instance: Instance = serde_json::from_str(&answer.body)?;
    let at = ms(instance.started);
    eyre::ensure!(at < now(), "the instance on port {port} says that it started at {at}");
    Ok(at)
}
