//! A host, and what can be done with it.

use std::net::IpAddr;
use std::os::unix::process::{CommandExt, ExitStatusExt, parent_id};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use crate::http::{self, Response};
use crate::lock::{self, Lock, folder, repository};

/// How long anything that is waited for may take.
const PATIENCE: Duration = Duration::from_secs(60);
/// How often it is looked at.
const LOOK: Duration = Duration::from_millis(50);

/// A container that boots systemd.
#[derive(Debug)]
pub struct Host {
    /// The container.
    name: String,
    /// Where its nginx is reached.
    address: Mutex<IpAddr>,
    /// Whether it belongs to this test alone.
    is_own: bool,
}

/// What a command came to.
#[derive(Debug)]
pub struct Output {
    /// Its exit code; 128 and the signal where it was killed.
    pub status: i32,
    /// What it wrote.
    pub stdout: String,
    /// What else it wrote.
    pub stderr: String,
}

impl Output {
    fn of(output: &std::process::Output) -> Self {
        let signal = || 128 + output.status.signal().unwrap_or_default();
        Self {
            status: output.status.code().unwrap_or_else(signal),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// Fails where the exit code is another one.
    #[track_caller]
    pub fn expect(self, status: i32) -> Self {
        assert_eq!(
            self.status, status,
            "stdout:\n{}\nstderr:\n{}",
            self.stdout, self.stderr
        );
        self
    }

    /// The answer as JSON.
    #[track_caller]
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error} in {self:?}"))
    }

    /// The one line of stderr that says what is wrong, without `error: `.
    #[track_caller]
    pub fn error(&self) -> &str {
        let errors: Vec<_> = self
            .stderr
            .lines()
            .filter_map(|line| line.strip_prefix("error: "))
            .collect();
        assert_eq!(errors.len(), 1, "one line is the error of {self:?}");
        errors[0]
    }
}

impl Host {
    /// Boots a host for this test alone; it is removed at the end of the test.
    pub fn boot(name: &str) -> Self {
        Self::boot_with(name, &[])
    }

    /// As [`Host::boot`], with more options of `docker run`.
    pub fn boot_with(name: &str, options: &[&str]) -> Self {
        let mut host = Self::boot_as(&container(name), options);
        host.is_own = true;
        host
    }

    /// A host that several tests use, each with apps of its own names and ports. Whoever comes first boots and
    /// prepares it; it is removed when the test run has ended.
    pub fn shared(name: &str, prepare: impl FnOnce(&Self)) -> Self {
        let container = container(name);
        let _lock = lock::exclusive(&format!("{container}.boot"));
        if let Some(address) = address(&container) {
            let host = Self {
                name: container.clone(),
                address: Mutex::new(address),
                is_own: false,
            };
            if host.run("test -e /run/prepared").status == 0 {
                return host;
            }
        }
        let host = Self::boot_as(&container, &[]);
        prepare(&host);
        host.succeed("touch /run/prepared");
        host
    }

    /// The host with etcd that runs the demo app's images, see [`Host::push_images`].
    pub fn with_images() -> Self {
        Self::shared("images", Self::push_images)
    }

    /// The host with the local store that runs the demo app as a program of the host.
    pub fn with_programs() -> Self {
        Self::shared("programs", Self::use_local_store)
    }

    fn boot_as(container: &str, options: &[&str]) -> Self {
        remove_after_the_run(container);
        let boot = Command::new(repository().join("vagrant/sandbox"))
            .args(["boot", container])
            .args(options)
            .output()
            .unwrap();
        assert!(boot.status.success(), "cannot boot a host: {:?}", Output::of(&boot));
        let address = address(container).expect("a host that was booted has an address");
        Self {
            name: container.to_owned(),
            address: Mutex::new(address),
            is_own: false,
        }
    }

    /// Makes the demo app's images and pushes them to the host's registry: `v1`, `v2`, `v3`, and some that go wrong.
    pub fn push_images(&self) {
        self.succeed("sh /vagrant/vagrant/push-release v1 v2 v3");
        for (tag, variable) in [
            ("unhealthy", "UNHEALTHY=1"),
            ("exits", "EXIT_AT_START=3"),
            ("late", "START_DELAY_MS=2500"),
        ] {
            let image = format!("localhost:5000/bdd-assistant:{tag}");
            let file = format!("FROM localhost:5000/bdd-assistant:v1\\nENV RELEASE={tag} {variable}\\n");
            self.succeed(&format!(
                "printf '{file}' | docker build -q -t {image} - && docker push -q {image}"
            ));
        }
    }

    /// Puts the demo app on the host's disk.
    pub fn copy_program(&self) {
        self.succeed("mkdir -p /opt/demo && cp /vagrant/target/*-linux-gnu/release/bdd-assistant /opt/demo/");
    }

    /// Leaves etcd away, and puts the demo app on the host's disk.
    pub fn use_local_store(&self) {
        self.succeed("rm /etc/bgctl/bgctl.toml && systemctl disable --now etcd docker-registry");
        self.copy_program();
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its address, as seen from this machine.
    pub fn address(&self) -> IpAddr {
        *self.address.lock().unwrap()
    }

    /// Runs a shell command in the host.
    pub fn run(&self, command: &str) -> Output {
        Output::of(&self.command(command).output().unwrap())
    }

    /// Runs a shell command that must succeed; returns what it wrote to stdout, without the last line end.
    #[track_caller]
    pub fn succeed(&self, command: &str) -> String {
        let output = self.run(command);
        assert_eq!(output.status, 0, "{command}\n{}\n{}", output.stdout, output.stderr);
        output.stdout.trim_end().to_owned()
    }

    /// The version of its systemd.
    pub fn systemd_version(&self) -> u32 {
        let said = self.succeed("systemctl --version");
        said.split_whitespace()
            .nth(1)
            .and_then(|version| version.parse().ok())
            .expect("a version")
    }

    /// Whether it can measure and limit memory: on a machine with cgroup v1 a host with v2 has no controllers.
    pub fn has_memory_controller(&self) -> bool {
        let look = "test -d /sys/fs/cgroup/memory || grep -qw memory /sys/fs/cgroup/cgroup.controllers";
        self.run(look).status == 0
    }

    /// Runs a shell command that must fail.
    #[track_caller]
    pub fn fail(&self, command: &str) -> Output {
        let output = self.run(command);
        assert_ne!(output.status, 0, "{command}\n{}\n{}", output.stdout, output.stderr);
        output
    }

    /// Starts a shell command and does not wait for it.
    pub fn spawn(&self, command: &str) -> Child {
        let mut spawned = self.command(command);
        spawned.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    }

    /// Waits for a command that was spawned.
    pub fn wait(child: Child) -> Output {
        Output::of(&child.wait_with_output().unwrap())
    }

    /// Runs bgctl with these arguments, as the shell splits them.
    pub fn bgctl(&self, arguments: &str) -> Output {
        self.run(&format!("exec bgctl {arguments}"))
    }

    fn command(&self, command: &str) -> Command {
        let mut docker = Command::new("docker");
        docker
            .args(["exec", &self.name, "sh", "-c", command])
            .stdin(Stdio::null());
        docker
    }

    /// Waits until a shell command succeeds.
    #[track_caller]
    pub fn wait_until(&self, command: &str) {
        let look = || {
            Some(self.run(command))
                .filter(|output| output.status != 0)
                .map_or(Ok(()), Err)
        };
        if let Err(output) = wait(look) {
            panic!(
                "after {PATIENCE:?} this still fails: {command}\n{}\n{}",
                output.stdout, output.stderr
            );
        }
    }

    /// Waits until a unit is active.
    #[track_caller]
    pub fn wait_for_unit(&self, unit: &str) {
        self.wait_until(&format!("systemctl is-active {unit}"));
    }

    /// Writes a file in the host.
    #[track_caller]
    pub fn copy_in(&self, path: &str, text: &str) {
        use std::io::Write as _;
        let mut docker = Command::new("docker");
        docker.args([
            "exec",
            "-i",
            &self.name,
            "sh",
            "-c",
            "mkdir -p \"${0%/*}\" && cat >\"$0\"",
            path,
        ]);
        let mut child = docker.stdin(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
        assert!(child.wait().unwrap().success(), "cannot write {path}");
    }

    /// Asks the host's nginx for a path of a site; none where there is no answer.
    pub fn try_get(&self, site: &str, path: &str) -> Option<Response> {
        http::request(self.address(), site, "GET", path, "", "")
    }

    /// Asks the host's nginx for a path of a site.
    #[track_caller]
    pub fn get(&self, site: &str, path: &str) -> Response {
        self.try_get(site, path)
            .unwrap_or_else(|| panic!("nginx does not answer for {site}{path}"))
    }

    /// Reboots the host.
    pub fn reboot(&self) {
        self.power_off();
        self.power_on();
    }

    /// Stops it, at once: what was not on disk is lost to the programs as in a power cut.
    pub fn power_off(&self) {
        let killed = Command::new("docker").args(["kill", &self.name]).output().unwrap();
        assert!(killed.status.success(), "{killed:?}");
    }

    /// Copies a folder of it into one of this machine, also where it is off.
    pub fn copy_out(&self, folder: &str, into: &Path) {
        let from = format!("{}:{folder}", self.name);
        let copied = Command::new("docker").arg("cp").arg(from).arg(into).output().unwrap();
        assert!(copied.status.success(), "{copied:?}");
    }

    /// Starts it again, and waits until all is up that should be.
    pub fn power_on(&self) {
        self.plug_in();
        self.wait_until_booted();
    }

    /// Starts it again.
    pub fn plug_in(&self) {
        let started = Command::new("docker").args(["start", &self.name]).output().unwrap();
        assert!(started.status.success(), "{started:?}");
        *self.address.lock().unwrap() = address(&self.name).unwrap();
    }

    /// Waits until all is up that should be.
    pub fn wait_until_booted(&self) {
        self.wait_until("systemctl is-system-running | grep -E 'running|degraded'");
    }

    /// Until the returned value is dropped nobody else installs anything on this host, so that neither nginx nor
    /// systemd is reloaded.
    pub fn calm(&self) -> Lock {
        lock::shared(&format!("{}.calm", self.name))
    }

    /// Waits until nobody needs calm on this host.
    pub fn stir(&self) -> Lock {
        lock::exclusive(&format!("{}.calm", self.name))
    }

    /// Until the returned value is dropped no other test has this host, where all that use it ask for it this way.
    pub fn alone(&self) -> Lock {
        lock::exclusive(&format!("{}.alone", self.name))
    }

    /// What a failed test leaves to look at.
    fn save(&self) {
        let test = std::thread::current().name().unwrap_or("test").replace("::", ".");
        let folder = folder().join(test);
        std::fs::create_dir_all(&folder).unwrap();
        let journal = "journalctl --no-pager --output=short-precise";
        let state = "grep -r . /var/lib/bgctl/*/switches; ls -lR /var/lib/bgctl /var/lib/bgctl-routes; \
                     systemctl --no-pager --all list-units '*@*'; docker ps -a; etcdctl get --prefix /; \
                     tail -n 200 /var/log/nginx/*";
        for (file, command) in [("journal", journal), ("state", state)] {
            let output = self.run(command);
            std::fs::write(folder.join(file), output.stdout + &output.stderr).unwrap();
        }
        // Where the machine that the tests ran on is gone, so is the folder: what failed and why is told here.
        let failures = "grep -hE '\"event\":\"(undo-)?failed\"' /var/lib/bgctl/*/switches/*.jsonl | sort | tail -n 4";
        let log = "journalctl --no-pager --output=short-precise --priority=notice --lines=15";
        for command in [failures, log, "systemctl --no-pager --failed --plain --no-legend"] {
            eprintln!("{command}\n{}", self.run(command).stdout);
        }
        eprintln!("what was on {} is in {}", self.name, folder.display());
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.save();
        }
        if self.is_own && std::env::var_os("BGCTL_KEEP_HOSTS").is_none() {
            remove(&self.name);
        }
    }
}

/// Looks until it is as it should be; the last look where it never is.
pub fn wait<T, E>(mut look: impl FnMut() -> Result<T, E>) -> Result<T, E> {
    let since = Instant::now();
    loop {
        match look() {
            Err(_) if since.elapsed() < PATIENCE => std::thread::sleep(LOOK),
            end => return end,
        }
    }
}

/// A test run is what the same process started: nextest, cargo or a shell.
fn container(name: &str) -> String {
    format!("bgctl-test-{}-{name}", parent_id())
}

fn address(container: &str) -> Option<IpAddr> {
    let format = "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}";
    let inspect = Command::new("docker")
        .args(["inspect", "--format", format, container])
        .output()
        .unwrap();
    String::from_utf8_lossy(&inspect.stdout).trim().parse().ok()
}

fn remove(container: &str) {
    let removed = Command::new("docker")
        .args(["rm", "--force", "--volumes", container])
        .output()
        .unwrap();
    assert!(removed.status.success(), "{removed:?}");
}

/// Nobody knows which test is the last one to use a host, and a test that is killed removes nothing: somebody waits
/// for the end of the whole run.
fn remove_after_the_run(container: &str) {
    if std::env::var_os("BGCTL_KEEP_HOSTS").is_some() {
        return;
    }
    let script = "(while kill -0 $0; do sleep 0.5; done; docker rm --force --volumes $1; rm -f $2/$1.*) &";
    let mut watcher = Command::new("sh");
    watcher
        .args(["-c", script, &parent_id().to_string(), container])
        .arg::<PathBuf>(folder());
    watcher.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    // In a group of its own: what ends the test does not end it.
    assert!(watcher.process_group(0).status().unwrap().success());
}
