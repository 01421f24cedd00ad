//! The demo app under a name and ports of its own.

use serde_json::Value;
use toml::{Table, Value as Toml};

use crate::host::{Host, Output};
use crate::http::{self, Response};

/// The repository of its images.
pub const IMAGE: &str = "localhost:5000/bdd-assistant";
/// Where it lies as a program.
pub const PROGRAM: &str = "/opt/demo/bdd-assistant";

/// The demo app as an app of a host.
#[derive(Debug)]
pub struct App<'h> {
    host: &'h Host,
    name: String,
    site: String,
    port: u16,
    manifest: Table,
}

impl<'h> App<'h> {
    /// As containers, on this port and the next.
    pub fn docker(host: &'h Host, name: &str, port: u16) -> Self {
        let app = Self::new(host, name, port);
        app.set("run.image", format!("{IMAGE}:v1"))
            .set("run.container_port", 8080)
    }

    /// As a program of the host, on this port and the next.
    pub fn program(host: &'h Host, name: &str, port: u16) -> Self {
        Self::new(host, name, port).set("run.exec", PROGRAM)
    }

    fn new(host: &'h Host, name: &str, port: u16) -> Self {
        let site = format!("{name}.test");
        let app = Self {
            host,
            name: name.to_owned(),
            site,
            port,
            manifest: Table::new(),
        };
        let names = vec![app.site.clone()];
        app.set("name", name)
            .set("ports.blue", i64::from(port))
            .set("ports.green", i64::from(port) + 1)
            .set("health.path", "/health")
            .set("health.interval", "100ms")
            .set("health.timeout", "2s")
            .set("health.deadline", "20s")
            .set("nginx.server_name", names)
    }

    /// The same with another value of the manifest; the key is dotted.
    #[must_use]
    pub fn set(mut self, key: &str, value: impl Into<Toml>) -> Self {
        let mut table = &mut self.manifest;
        let mut parts: Vec<_> = key.split('.').collect();
        let last = parts.pop().unwrap();
        for part in parts {
            let entry = table.entry(part).or_insert_with(|| Table::new().into());
            table = entry.as_table_mut().unwrap();
        }
        table.insert(last.to_owned(), value.into());
        self
    }

    /// The same without a value of the manifest; the key is `TABLE.KEY`.
    #[must_use]
    pub fn without(mut self, key: &str) -> Self {
        let (table, key) = key.split_once('.').unwrap();
        self.manifest[table].as_table_mut().unwrap().remove(key);
        self
    }

    /// Its host.
    pub fn host(&self) -> &'h Host {
        self.host
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The name of its site.
    pub fn site(&self) -> &str {
        &self.site
    }

    /// The port of a color.
    pub fn port(&self, color: &str) -> u16 {
        match color {
            "blue" => self.port,
            "green" => self.port + 1,
            _ => panic!("no color: {color}"),
        }
    }

    /// The unit of a color.
    pub fn unit(&self, color: &str) -> String {
        format!("{}@{}.service", self.name, self.port(color))
    }

    /// Where its manifest is written before it is installed.
    pub fn manifest(&self) -> String {
        format!("/root/{}.toml", self.name)
    }

    /// Writes its manifest.
    pub fn write_manifest(&self) {
        self.host
            .copy_in(&self.manifest(), &toml::to_string(&self.manifest).unwrap());
    }

    /// Installs it.
    #[track_caller]
    pub fn install(self) -> Self {
        self.try_install().expect(0);
        self
    }

    /// Installs it, or is told why not.
    pub fn try_install(&self) -> Output {
        self.write_manifest();
        let _stir = self.host.stir();
        self.host.bgctl(&format!("install {}", self.manifest()))
    }

    /// Runs `bgctl VERB APP ARGUMENTS`.
    pub fn bgctl(&self, verb: &str, arguments: &str) -> Output {
        self.host.bgctl(&format!("{verb} {} {arguments}", self.name))
    }

    /// How bgctl is told to switch to a release: a tag of the demo app's images, or any name for the program.
    pub fn release(&self, release: &str) -> String {
        if self.is_container() {
            format!("--image {IMAGE}:{release} --release {release}")
        } else {
            format!("--release {release}")
        }
    }

    /// Whether it runs as containers.
    pub fn is_container(&self) -> bool {
        self.manifest["run"].get("image").is_some()
    }

    /// The events of the last switch, as its journal has them, behind its plan.
    #[track_caller]
    pub fn journal(&self) -> Vec<Value> {
        let last = format!("ls /var/lib/bgctl/{}/switches/*.jsonl | tail -n 1", self.name);
        let text = self.host.succeed(&format!("cat $({last})"));
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// Makes a release active.
    #[track_caller]
    pub fn switch(&self, release: &str) -> Value {
        let output = self.try_switch(release).expect(0);
        let report = output.json();
        assert_eq!(report["outcome"], "done", "{report:#}");
        report
    }

    /// Tries to make a release active.
    pub fn try_switch(&self, release: &str) -> Output {
        self.bgctl("switch", &format!("{} --json", self.release(release)))
    }

    /// `bgctl status APP --json`.
    #[track_caller]
    pub fn status(&self) -> Value {
        self.bgctl("status", "--json").expect(0).json()
    }

    /// The id of the open switch; empty where none is open.
    pub fn open_switch(&self) -> String {
        self.host
            .run(&format!("readlink /var/lib/bgctl/{}/open", self.name))
            .stdout
    }

    /// Waits until no switch is open.
    #[track_caller]
    pub fn wait_until_closed(&self) {
        self.host
            .wait_until(&format!("! test -L /var/lib/bgctl/{}/open", self.name));
    }

    /// Waits until the worker says that it is at a step.
    #[track_caller]
    pub fn wait_for_step(&self, step: &str) {
        // The status of a worker that has ended stays until the next one.
        let unit = format!("bgctl-switch@{}", self.name);
        self.host.wait_until(&format!(
            "systemctl is-active --quiet {unit} && systemctl show -P StatusText {unit} | grep -q '^{step}'"
        ));
    }

    /// Kills the worker of the open switch, as the kernel would where memory runs out.
    #[track_caller]
    pub fn kill_worker(&self) {
        let unit = format!("bgctl-switch@{}", self.name);
        self.host.succeed(&format!("systemctl kill --signal=KILL {unit}"));
    }

    /// Asks it for a path; none where there is no answer.
    pub fn try_get(&self, path: &str) -> Option<Response> {
        self.host.try_get(&self.site, path)
    }

    /// Asks it for a path.
    #[track_caller]
    pub fn get(&self, path: &str) -> Response {
        self.host.get(&self.site, path)
    }

    /// Posts to it.
    #[track_caller]
    pub fn post(&self, path: &str, body: &str) -> Response {
        http::request(self.host.address(), &self.site, "POST", path, "", body).expect("an answer")
    }

    /// Fails where it is not this release in this color that answers, that color alone that runs and comes back after
    /// a boot, and all of it what the store says.
    #[track_caller]
    pub fn is_served_by(&self, release: &str, color: &str) {
        let answer = self.get("/");
        assert_eq!(
            (answer.status, answer.header("x-release"), answer.header("x-color")),
            (200, release, color),
            "{answer:?}"
        );
        let other = if color == "blue" { "green" } else { "blue" };
        assert_eq!(self.unit_state(color), "active enabled");
        assert_eq!(self.unit_state(other), "inactive disabled");
        assert_eq!(self.cursor(), format!("{color} {release}"));
        assert_eq!(self.open_switch(), "");
    }

    /// Runs a shell command that ends the instance of a color, and waits until systemd has restarted it.
    #[track_caller]
    pub fn is_restarted_after(&self, command: &str, color: &str) {
        let unit = self.unit(color);
        let invocation = format!("systemctl show -P InvocationID {unit}");
        let before = self.host.succeed(&invocation);
        self.host.succeed(command);
        self.host.wait_until(&format!(
            "test \"$({invocation})\" != {before} && systemctl is-active {unit}"
        ));
    }

    /// Where the link of its route leads.
    pub fn route(&self) -> String {
        let link = format!("readlink /var/lib/bgctl-routes/{}/active", self.name);
        self.host.run(&link).stdout.trim_end().to_owned()
    }

    /// `is-active` and `is-enabled` of a color's unit.
    pub fn unit_state(&self, color: &str) -> String {
        let unit = self.unit(color);
        let output = self
            .host
            .run(&format!("systemctl is-active {unit}; systemctl is-enabled {unit}"));
        output.stdout.split_whitespace().collect::<Vec<_>>().join(" ")
    }

    /// The color and the release that are active, as `bgctl status` reads it from the store.
    #[track_caller]
    pub fn cursor(&self) -> String {
        let status = self.status();
        let text = |key: &str| status["cursor"][key].as_str().unwrap_or("none").to_owned();
        format!("{} {}", text("active"), text("release"))
    }
}
