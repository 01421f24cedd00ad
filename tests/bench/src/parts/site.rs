//! What the rendered site costs: as many requests as go through, beside a plain site and the app alone.

use eyre::OptionExt as _;
use fs_err as fs;

use crate::Effort;
use crate::app::{App, Runtime};
use crate::figure::Figure;
use crate::host::{Throughput, get, sh, throughput, wait_until};

/// Where the plain site listens.
const PLAIN: u16 = 8290;
const PLAIN_FILE: &str = "/etc/nginx/sites-enabled/bench-plain.conf";
/// How long nginx may take to take up a configuration.
const LIMIT: std::time::Duration = std::time::Duration::from_secs(20);

/// A site that only passes requests on, as one would write it by hand; gone when this is dropped.
#[derive(Debug)]
pub struct Plain;

impl Plain {
    /// In front of an app's port.
    pub fn put(port: u16) -> eyre::Result<Self> {
        let site = format!(
            "upstream bench_plain {{ server 127.0.0.1:{port}; keepalive 64; }}
server {{
    listen {PLAIN};
    access_log /var/log/nginx/bench-plain.access.log;
    location / {{
        proxy_http_version 1.1;
        proxy_set_header Host $http_host;
        proxy_set_header Connection \"\";
        proxy_set_header X-Real-IP $remote_addr;
        proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
        proxy_pass http://bench_plain;
    }}
}}
"
        );
        fs::write(PLAIN_FILE, site)?;
        let put = Self;
        reload()?;
        wait_until("the plain site answers", LIMIT, || {
            get(PLAIN, "localhost", "/health").is_ok()
        })?;
        reloaded()?;
        Ok(put)
    }

    /// Where it listens.
    pub const PORT: u16 = PLAIN;
}

impl Drop for Plain {
    fn drop(&mut self) {
        if let Err(error) = take_away() {
            crate::host::say(&format!("cannot take {PLAIN_FILE} away: {error:#}"));
        }
    }
}

fn take_away() -> eyre::Result<()> {
    fs::remove_file(PLAIN_FILE)?;
    reload()?;
    wait_until("the plain site is gone", LIMIT, || {
        get(PLAIN, "localhost", "/health").is_err()
    })?;
    reloaded()
}

/// Makes nginx read its configuration anew.
pub fn reload() -> eyre::Result<()> {
    sh("nginx -t -q && systemctl reload nginx").map(drop)
}

/// Waits until the workers of before are gone: they would take part.
fn reloaded() -> eyre::Result<()> {
    wait_until("nginx's old workers are gone", LIMIT, || {
        sh("! pgrep -f '[n]ginx: worker process is shutting down'").is_ok()
    })
}

/// As many requests as go through one way.
#[derive(Debug)]
struct Round {
    seen: Throughput,
    /// Processor time of nginx's workers, microseconds a request.
    nginx: f64,
}

impl Round {
    fn measure(port: u16, host: &str, effort: Effort) -> eyre::Result<Self> {
        let (seconds, before) = (effort.runs(3, 2), worker_time()?);
        let seen = throughput(port, host, seconds)?;
        let nginx = (worker_time()? - before) / (seen.per_second * f64::from(seconds));
        Ok(Self { seen, nginx })
    }
}

/// What nginx's workers have run since they started, microseconds (proc(5), `/proc/PID/schedstat`).
fn worker_time() -> eyre::Result<f64> {
    let files = sh("for pid in $(pgrep -f '[n]ginx: worker process'); do cat /proc/$pid/schedstat; done")?;
    let times = files
        .lines()
        .filter_map(|line| line.split(' ').next()?.parse::<f64>().ok());
    Ok(times.sum::<f64>() / 1000.0)
}

/// Rounds of two sites.
#[derive(Debug)]
struct Pair {
    ours: Vec<Round>,
    by_hand: Vec<Round>,
}

/// The floor: what is left of the price when the site's log does not name the release, for which nginx reads two links.
fn without_release(app: &App, effort: Effort) -> eyre::Result<Pair> {
    let path = format!("/etc/nginx/sites-enabled/{}.conf", app.name);
    let rendered = fs::read_to_string(&path)?;
    let (head, rest) = rendered
        .split_once(" release=$")
        .ok_or_eyre("the site's log does not name the release")?;
    let tail = rest.split_once(' ').ok_or_eyre("the site's log has no end")?.1;
    fs::write(&path, format!("{head} {tail}"))?;
    reload()?;
    reloaded()?;
    let (mut ours, mut by_hand) = (Vec::new(), Vec::new());
    for _ in 0..effort.runs(8, 3) {
        by_hand.push(Round::measure(PLAIN, "localhost", effort)?);
        ours.push(Round::measure(80, &app.host(), effort)?);
    }
    fs::write(&path, rendered)?;
    reload()?;
    Ok(Pair { ours, by_hand })
}

/// Rounds of all three, one after the other, so that a busy moment hits all of them.
pub fn measure(effort: Effort) -> eyre::Result<Vec<Figure>> {
    let app = App::install("bench-site", Runtime::Program, 9371, "", "")?;
    let plain = Plain::put(app.port("blue"))?;
    let (mut direct, mut by_hand, mut ours) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..effort.runs(8, 3) {
        by_hand.push(Round::measure(PLAIN, "localhost", effort)?);
        ours.push(Round::measure(80, &app.host(), effort)?);
        direct.push(Round::measure(app.port("blue"), "localhost", effort)?);
    }
    let floor = without_release(&app, effort)?;
    drop(plain);
    let per_second = |rounds: &[Round]| -> Vec<f64> { rounds.iter().map(|it| it.seen.per_second).collect() };
    let p99 = |rounds: &[Round]| -> Vec<f64> { rounds.iter().map(|it| it.seen.p99).collect() };
    let nginx = |rounds: &[Round]| -> Vec<f64> { rounds.iter().map(|it| it.nginx).collect() };
    let ratios = |ours: &[Round], plain: &[Round]| -> Vec<f64> {
        let pairs = ours.iter().zip(plain);
        pairs
            .map(|(ours, plain)| ours.seen.per_second / plain.seen.per_second)
            .collect()
    };
    Ok(vec![
        Figure::new("throughput, the app alone", "requests/s", &per_second(&direct)),
        Figure::new("throughput, a plain site", "requests/s", &per_second(&by_hand)),
        Figure::new("throughput, our site", "requests/s", &per_second(&ours)),
        Figure::new(
            "throughput, our site to the plain one",
            "ratio",
            &ratios(&ours, &by_hand),
        )
        .at_least(0.97),
        Figure::new(
            "the same, without the release in our log",
            "ratio",
            &ratios(&floor.ours, &floor.by_hand),
        ),
        Figure::new("nginx's own time, a plain site", "us/request", &nginx(&by_hand)),
        Figure::new("nginx's own time, our site", "us/request", &nginx(&ours)),
        Figure::new(
            "nginx's own time, without the release in our log",
            "us/request",
            &nginx(&floor.ours),
        ),
        Figure::new("p99, the app alone", "ms", &p99(&direct)),
        Figure::new("p99, a plain site", "ms", &p99(&by_hand)),
        Figure::new("p99, our site", "ms", &p99(&ours)),
    ])
}
