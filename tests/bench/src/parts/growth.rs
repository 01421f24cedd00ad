//! What many other apps on the host change: nothing, if nothing looks at all of them.

use std::fmt::Write as _;
use std::io::Write as _;
use std::process::{Command, Stdio};

use eyre::OptionExt as _;
use fs_err as fs;

use crate::Effort;
use crate::app::{App, Runtime, SHARED, Store, manifest};
use crate::figure::{Figure, quantile};
use crate::host::{self, sh};

/// Names of the other apps.
pub const PREFIX: &str = "bench-other-";
/// Their first port.
const PORTS: u16 = 20_000;
/// Apps in one transaction of etcd, which takes 128 operations.
const BATCH: u16 = 11;

/// Alone, beside 99 and beside 999 others.
pub fn measure(effort: Effort) -> eyre::Result<Vec<Figure>> {
    Store::Etcd.choose()?;
    let app = App::install("bench-growth", Runtime::Program, 9391, "", "")?;
    let _others = Others;
    let mut figures = Vec::new();
    let alone = switches(&app, effort)?;
    let one = status(effort)?;
    install(0..99)?;
    let hundred = status(effort)?;
    install(99..999)?;
    let thousand = status(effort)?;
    let among = switches(&app, effort)?;
    let ratio = quantile(&hundred, 0.5) / quantile(&one, 0.5);
    figures.push(Figure::new("bgctl status, 1 app", "ms", &one));
    figures.push(Figure::new("bgctl status, 100 apps", "ms", &hundred));
    figures.push(Figure::new("bgctl status, 1,000 apps", "ms", &thousand).at_most(300.0));
    figures.push(Figure::new("bgctl status, 100 apps to 1", "ratio", &[ratio]).at_most(5.0));
    figures.push(Figure::new("a switch, alone", "ms", &alone));
    figures.push(Figure::new("a switch, beside 999 others", "ms", &among));
    let ratio = quantile(&among, 0.5) / quantile(&alone, 0.5);
    figures.push(Figure::new("a switch beside 999 others to alone", "ratio", &[ratio]).at_most(1.2));
    Ok(figures)
}

fn status(effort: Effort) -> eyre::Result<Vec<f64>> {
    (0..effort.runs(20, 10))
        .map(|_| host::time(Command::new("bgctl").arg("status")))
        .collect()
}

fn switches(app: &App, effort: Effort) -> eyre::Result<Vec<f64>> {
    (0..effort.runs(15, 5)).map(|_| Ok(app.switch()?.total())).collect()
}

/// Apps with what an install leaves: the files by bgctl itself below another root, the links of their workers, and their
/// cursors. Not their sites: what these cost is measured in another part.
fn install(numbers: std::ops::Range<u16>) -> eyre::Result<()> {
    let root = format!("{SHARED}/root");
    let mut numbers: Vec<_> = numbers.collect();
    render(&numbers, &root)?;
    let links = "/etc/systemd/system/multi-user.target.wants";
    sh(&format!(
        "rm -rf {root}/etc/nginx && cp -rT {root} / && rm -r {root} && for app in /etc/bgctl/apps/{PREFIX}*.toml; do name=${{app##*/}}; \
         ln -sf /etc/systemd/system/bgctl-switch@.service {links}/bgctl-switch@${{name%.toml}}.service; done"
    ))?;
    while !numbers.is_empty() {
        let rest = numbers.split_off(numbers.len().min(BATCH.into()));
        cursors(&numbers)?;
        numbers = rest;
    }
    sh("systemctl daemon-reload").map(drop)
}

/// What an install of these apps writes, below another root.
pub fn render(numbers: &[u16], root: &str) -> eyre::Result<()> {
    for number in numbers {
        let name = format!("{PREFIX}{number}");
        let path = format!("{SHARED}/{name}.toml");
        fs::write(&path, manifest(&name, Runtime::Program, PORTS + 2 * number, "", ""))?;
        host::run(Command::new("bgctl").args(["--root", root, "install", &path]))?;
        fs::remove_file(&path)?;
    }
    Ok(())
}

/// Cursors that name nothing yet, as an install makes them.
fn cursors(numbers: &[u16]) -> eyre::Result<()> {
    let mut text = String::from("\n");
    for number in numbers {
        let (app, blue) = (format!("{PREFIX}{number}"), PORTS + 2 * number);
        let green = blue + 1;
        let url = |port: u16| format!("http://127.0.0.1:{port}");
        let pairs = [
            ("instance", "none".to_owned()),
            ("port", "0".to_owned()),
            ("url", String::new()),
            ("blue/port", blue.to_string()),
            ("blue/url", url(blue)),
            ("blue/status", "idle".to_owned()),
            ("green/port", green.to_string()),
            ("green/url", url(green)),
            ("green/status", "idle".to_owned()),
            ("release", String::new()),
            ("moved-by", String::new()),
        ];
        for (key, value) in pairs {
            writeln!(text, "put /{app}/{key} \"{value}\"")?;
        }
    }
    text += "\n\n";
    let mut etcdctl = Command::new("etcdctl")
        .env("ETCDCTL_API", "3")
        .arg("txn")
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()?;
    let mut stdin = etcdctl.stdin.take().ok_or_eyre("etcdctl has no input")?;
    stdin.write_all(text.as_bytes())?;
    drop(stdin);
    eyre::ensure!(etcdctl.wait()?.success(), "cannot write cursors to etcd");
    Ok(())
}

/// The other apps; gone when this is dropped.
struct Others;

impl Drop for Others {
    fn drop(&mut self) {
        let gone = sh(&format!(
            "rm -rf /etc/bgctl/apps/{PREFIX}*.toml /etc/systemd/system/{PREFIX}*@.service \
             /etc/systemd/system/multi-user.target.wants/bgctl-switch@{PREFIX}*.service /var/lib/bgctl/{PREFIX}*; \
             ETCDCTL_API=3 etcdctl del --prefix /{PREFIX}; systemctl daemon-reload"
        ));
        if let Err(error) = gone {
            host::say(&format!("cannot take the other apps away: {error:#}"));
        }
    }
}
