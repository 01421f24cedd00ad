//! What the rendered site costs: as many requests as go through, beside a plain site and the app alone.

use fs_err as fs;

use crate::Effort;
use crate::app::{App, Runtime};
use crate::figure::Figure;
use crate::host::{get, sh, throughput, wait_until};

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

/// Rounds of all three, one after the other, so that a busy moment hits all of them.
pub fn measure(effort: Effort) -> eyre::Result<Vec<Figure>> {
    let app = App::install("bench-site", Runtime::Program, 9371, "", "")?;
    let plain = Plain::put(app.port("blue"))?;
    let seconds = effort.runs(3, 2);
    let (mut direct, mut by_hand, mut ours) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..effort.runs(8, 3) {
        by_hand.push(throughput(PLAIN, "localhost", seconds)?);
        ours.push(throughput(80, &app.host(), seconds)?);
        direct.push(throughput(app.port("blue"), "localhost", seconds)?);
    }
    drop(plain);
    let per_second =
        |rounds: &[crate::host::Throughput]| -> Vec<f64> { rounds.iter().map(|it| it.per_second).collect() };
    let p99 = |rounds: &[crate::host::Throughput]| -> Vec<f64> { rounds.iter().map(|it| it.p99).collect() };
    let ratios: Vec<_> = ours
        .iter()
        .zip(&by_hand)
        .map(|(ours, plain)| ours.per_second / plain.per_second)
        .collect();
    Ok(vec![
        Figure::new("throughput, the app alone", "requests/s", &per_second(&direct)),
        Figure::new("throughput, a plain site", "requests/s", &per_second(&by_hand)),
        Figure::new("throughput, our site", "requests/s", &per_second(&ours)),
        Figure::new("throughput, our site to the plain one", "ratio", &ratios).at_least(0.97),
        Figure::new("p99, the app alone", "ms", &p99(&direct)),
        Figure::new("p99, a plain site", "ms", &p99(&by_hand)),
        Figure::new("p99, our site", "ms", &p99(&ours)),
    ])
}
