//! Requests that keep flowing while something happens, every one of them accounted for.

use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use serde_json::Value;

use crate::app::App;
use crate::host::wait;
use crate::lock::{Lock, folder, repository};

/// Load on an app, from this machine.
#[derive(Debug)]
pub struct Load {
    child: Option<Child>,
    stop: PathBuf,
    _calm: Lock,
}

impl Load {
    /// Starts it, and waits until it is seen in the site's access log.
    pub fn on(app: &App<'_>) -> Self {
        Self::with(app, &[])
    }

    /// A few requests a second, for where many apps have load at the same time.
    pub fn light_on(app: &App<'_>) -> Self {
        Self::start(app, ["4", "40"], &[])
    }

    /// The same as [`Load::on`] with more options of the load generator.
    pub fn with(app: &App<'_>, options: &[&str]) -> Self {
        Self::start(app, ["16", "200"], options)
    }

    fn start(app: &App<'_>, [connections, rate]: [&str; 2], options: &[&str]) -> Self {
        let host = app.host();
        let calm = host.calm();
        let stop = folder().join(format!("{}.{}.stop", host.name(), app.name()));
        drop(std::fs::remove_file(&stop));
        let mut load = Command::new(repository().join("target/release/load"));
        load.args([
            "--url",
            &format!("http://{}/", host.address()),
            "--host",
            app.site(),
            "--json",
        ]);
        load.args([
            "--connections",
            connections,
            "--rate",
            rate,
            "--post-share",
            "0.3",
            "--duration",
            "1800",
        ])
        .args(options);
        load.arg("--stop-file")
            .arg(&stop)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let child = load
            .spawn()
            .expect("target/release/load is built by: vagrant/sandbox test");
        let log = format!("/var/log/nginx/{}.access.log", app.name());
        host.wait_until(&format!("tail -n 20 {log} | grep -q 'POST /echo'"));
        Self {
            child: Some(child),
            stop,
            _calm: calm,
        }
    }

    /// Ends it; fails where any request failed.
    #[track_caller]
    pub fn stop(mut self) -> Value {
        std::fs::write(&self.stop, "").unwrap();
        let output = self.child.take().unwrap().wait_with_output().unwrap();
        let report: Value =
            serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"));
        assert!(report["sent"].as_u64() > Some(50), "{report:#}");
        assert_eq!(report["failed"], 0, "{report:#}");
        assert_eq!(report["doubled_at_last"], 0, "{report:#}");
        report
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let killed = child.kill().and_then(|()| child.wait());
            killed.expect("a load generator can be killed");
        }
    }
}

/// The releases that answered, in the order of their first answers.
pub fn releases(report: &Value) -> Vec<String> {
    let lines = report["releases"].as_array().unwrap();
    lines
        .iter()
        .map(|line| {
            format!(
                "{} in {}",
                line["release"].as_str().unwrap(),
                line["color"].as_str().unwrap()
            )
        })
        .collect()
}

/// Waits until an app is answered for by a release.
#[track_caller]
pub fn wait_for_release(app: &App<'_>, release: &str) {
    let look = || {
        app.try_get("/")
            .filter(|answer| answer.header("x-release") == release)
            .ok_or(())
    };
    assert!(wait(look).is_ok(), "{release} never answered for {}", app.name());
}
