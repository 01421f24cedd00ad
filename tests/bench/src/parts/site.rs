//! What the rendered site costs: as many requests as go through, beside plain sites and the app alone.

use fs_err as fs;

use super::growth;
use crate::Effort;
use crate::app::{App, Runtime, SHARED};
use crate::figure::{Figure, quantile};
use crate::host::{Method, Throughput, get, sh, throughput, wait_until};

/// Where the plain sites are.
const PLAIN_FILE: &str = "/etc/nginx/sites-enabled/bench-plain.conf";
/// How long nginx may take to take up a configuration.
const LIMIT: std::time::Duration = std::time::Duration::from_secs(20);
/// How many other apps there are beside which it is measured as well.
const OTHERS: u16 = 999;

/// Sites that only pass requests on, as one would write them by hand; gone when this is dropped.
#[derive(Debug)]
pub struct Plain;

impl Plain {
    /// Where the one listens that has what every such site has.
    pub const PORT: u16 = 8290;
    /// Where the one listens that sends the same headers to the app as ours, and has the same log.
    const ALIKE: u16 = 8291;

    /// In front of an app's port.
    pub fn put(port: u16) -> eyre::Result<Self> {
        let site = format!(
            "upstream bench_plain {{ server 127.0.0.1:{port}; keepalive 64; }}
server {{
    listen {};
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
server {{
    listen {};
    access_log /var/log/nginx/bench-alike.access.log bgctl;
    location / {{
        proxy_http_version 1.1;
        proxy_set_header Host $bgctl_host;
        proxy_set_header Connection $bgctl_connection;
        proxy_set_header Upgrade $http_upgrade;
        proxy_set_header X-Real-IP $remote_addr;
        proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
        proxy_set_header X-Forwarded-Host $bgctl_host;
        proxy_set_header X-Forwarded-Proto $scheme;
        proxy_pass http://bench_plain;
    }}
}}
",
            Self::PORT,
            Self::ALIKE
        );
        fs::write(PLAIN_FILE, site)?;
        let put = Self;
        reload()?;
        wait_until("the plain site answers", LIMIT, || {
            get(Self::PORT, "localhost", "/health").is_ok_and(|answer| answer.is_ok())
        })?;
        reloaded()?;
        Ok(put)
    }
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
        get(Plain::PORT, "localhost", "/health").is_err()
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

/// The sites of other apps; gone when this is dropped.
struct Others;

impl Others {
    /// nginx as Debian starts it may open 1,024 files, and each of them has a log.
    fn put() -> eyre::Result<Self> {
        let (root, numbers) = (format!("{SHARED}/root"), (0..OTHERS).collect::<Vec<_>>());
        growth::render(&numbers, &root)?;
        let put = Self;
        sh(&format!(
            "rm {root}/etc/nginx/conf.d/00-bgctl.conf && cp {root}/etc/nginx/conf.d/*.conf /etc/nginx/sites-enabled/ && \
             rm -r {root}; mkdir -p /run/systemd/system/nginx.service.d && \
             printf '[Service]\\nLimitNOFILE=65536\\n' >/run/systemd/system/nginx.service.d/bench.conf && \
             systemctl daemon-reload && systemctl restart nginx"
        ))?;
        Ok(put)
    }
}

impl Drop for Others {
    fn drop(&mut self) {
        let gone = sh(&format!(
            "rm -rf /etc/nginx/sites-enabled/{0}* /var/log/nginx/{0}* /run/systemd/system/nginx.service.d; \
             systemctl daemon-reload && systemctl restart nginx",
            growth::PREFIX
        ));
        if let Err(error) = gone {
            crate::host::say(&format!("cannot take the other sites away: {error:#}"));
        }
    }
}

/// As many requests as go through one way.
#[derive(Debug)]
struct Round {
    seen: Throughput,
    /// Processor time of nginx's workers, microseconds a request.
    nginx: f64,
}

impl Round {
    fn measure(port: u16, host: &str, method: Method, effort: Effort) -> eyre::Result<Self> {
        let (seconds, before) = (effort.runs(2, 1), worker_time()?);
        let seen = throughput(port, host, method, seconds)?;
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

/// Rounds of all ways, one after the other, so that a busy moment hits all of them.
#[derive(Debug, Default)]
struct Rounds {
    alone: Vec<Round>,
    plain: Vec<Round>,
    alike: Vec<Round>,
    ours: Vec<Round>,
}

impl Rounds {
    /// Half of them with each color: what nginx sees for blue and for green does not cost the same.
    fn measure(app: &App, method: Method, effort: Effort) -> eyre::Result<Self> {
        let mut rounds = Self::default();
        for _ in 0..2 {
            let color = app.switch()?.to().to_owned();
            let port = app.port(&color);
            let _plain = Plain::put(port)?;
            for _ in 0..effort.runs(5, 2) {
                rounds
                    .plain
                    .push(Round::measure(Plain::PORT, "localhost", method, effort)?);
                rounds
                    .alike
                    .push(Round::measure(Plain::ALIKE, "localhost", method, effort)?);
                rounds.ours.push(Round::measure(80, &app.host(), method, effort)?);
                rounds.alone.push(Round::measure(port, "localhost", method, effort)?);
            }
        }
        Ok(rounds)
    }

    /// What we cost: these are what counts.
    fn ratios(&self, place: &str, method: Method) -> [Figure; 2] {
        let to = |other: &str, rounds| {
            let name = format!("{}, our site to {other}{place}", method.name());
            Figure::new(name, "ratio", &ratios(&self.ours, rounds))
        };
        let (alike, plain) = (
            to("the one with our headers", &self.alike),
            to("the plain one", &self.plain),
        );
        match method {
            Method::Get => [alike.at_least(0.95), plain.at_least(0.9)],
            Method::Post => [alike.at_least(0.85), plain],
        }
    }

    fn figures(&self, method: Method) -> Vec<Figure> {
        let name = |figure: &str| format!("{}, {figure}", method.name());
        let ways = [
            ("the app alone", &self.alone),
            ("a plain site", &self.plain),
            ("a plain site, our headers and log", &self.alike),
            ("our site", &self.ours),
        ];
        let mut figures: Vec<_> = ways
            .iter()
            .map(|(way, rounds)| Figure::new(name(way), "requests/s", &values(rounds, |round| round.seen.per_second)))
            .collect();
        figures.extend(self.ratios("", method));
        let own = |way: &str, rounds| Figure::new(name(way), "us/request", &values(rounds, |round| round.nginx));
        figures.push(own("nginx's own time, a plain site", &self.plain));
        figures.push(own("nginx's own time, our headers and log", &self.alike));
        figures.push(own("nginx's own time, our site", &self.ours));
        let p99 = |way: &str, rounds| Figure::new(name(way), "ms", &values(rounds, |round| round.seen.p99));
        figures.push(p99("p99, a plain site, our headers and log", &self.alike));
        figures.push(p99("p99, our site", &self.ours));
        figures
    }
}

fn values(rounds: &[Round], value: impl Fn(&Round) -> f64) -> Vec<f64> {
    rounds.iter().map(value).collect()
}

fn ratios(ours: &[Round], others: &[Round]) -> Vec<f64> {
    let pairs = ours.iter().zip(others);
    pairs
        .map(|(ours, other)| ours.seen.per_second / other.seen.per_second)
        .collect()
}

/// Alone, and beside the sites of many other apps.
pub fn measure(effort: Effort) -> eyre::Result<Vec<Figure>> {
    let app = App::install("bench-site", Runtime::Program, 9371, "", "")?;
    let mut figures = Vec::new();
    let mut alone = Vec::new();
    for method in Method::BOTH {
        let rounds = Rounds::measure(&app, method, effort)?;
        figures.extend(rounds.figures(method));
        alone.push(quantile(&values(&rounds.ours, |round| round.nginx), 0.5));
    }
    let _others = Others::put()?;
    for (method, alone) in Method::BOTH.into_iter().zip(alone) {
        let rounds = Rounds::measure(&app, method, effort)?;
        figures.extend(rounds.ratios(", beside 999 other sites", method));
        let among = quantile(&values(&rounds.ours, |round| round.nginx), 0.5);
        let name = format!("{}, nginx's own time beside 999 other sites to alone", method.name());
        figures.push(Figure::new(name, "ratio", &[among / alone]).at_most(1.1));
    }
    Ok(figures)
}
