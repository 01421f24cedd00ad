//! The same switch by other ways, on the same host, in the same run: the article's script, and other proxies driven as
//! their manuals say.

mod envoy;
mod haproxy;
mod peer;
mod traefik;

use std::path::Path;

use fs_err as fs;

use self::peer::{Peer, Side};
use super::site::{Plain, reload};
use crate::Effort;
use crate::app::{App, Runtime, started};
use crate::figure::Figure;
use crate::host::{Method, now, say, sh, throughput};
use crate::load::Load;

/// Requests a second, half of them POST.
const RATE: u32 = 500;
/// Where the programs from Python's packages lie, if they could be had.
const PROGRAMS: &str = "/vagrant/target/bench/peers";
/// Where the article's site listens.
const ARTICLE: u16 = 8291;
const ARTICLE_FILE: &str = "/etc/nginx/sites-enabled/bench-article.conf";

/// One switch by whatever way; milliseconds since 1970.
struct Moved {
    /// The color that answered before.
    old: String,
    /// When the new one listened.
    ready: f64,
    /// When all was done.
    ended: f64,
}

/// Each way in turn. One that cannot be had here is left out, and said so.
pub fn measure(effort: Effort) -> eyre::Result<Vec<Figure>> {
    let mut figures = ours(effort)?;
    let peer = Peer::install()?;
    figures.extend(article("the article's script", &peer, "5", effort.runs(4, 1))?);
    figures.extend(article(
        "the article's script without its sleep",
        &peer,
        "0",
        effort.runs(20, 5),
    )?);
    let haproxy = haproxy::Haproxy::start(peer.active())?;
    figures.extend(proxy("HAProxy, runtime API", &peer, &haproxy, effort)?);
    drop(haproxy);
    let traefik = format!("{PROGRAMS}/traefik");
    if Path::new(&traefik).exists() {
        let traefik = traefik::Traefik::start(&traefik, peer.active())?;
        figures.extend(proxy("Traefik, file provider", &peer, &traefik, effort)?);
    } else {
        say("    no Traefik: it could not be had from Python's packages");
    }
    let envoy = format!("{PROGRAMS}/envoy");
    if Path::new(&envoy).exists() {
        let envoy = envoy::Envoy::start(&envoy, peer.active())?;
        figures.extend(proxy("Envoy, route file", &peer, &envoy, effort)?);
    } else {
        say("    no Envoy: it could not be had from Python's packages");
    }
    Ok(figures)
}

/// A proxy that stands before the peer's two sides.
trait Proxy {
    /// Where it listens.
    fn port(&self) -> u16;
    /// Moves new requests to a side, as its manual says.
    fn move_to(&self, side: Side) -> eyre::Result<()>;
    /// Waits until the other side has no request left, where the proxy can tell.
    fn drain(&self, side: Side) -> eyre::Result<()>;
}

fn proxy(name: &str, peer: &Peer, proxy: &impl Proxy, effort: Effort) -> eyre::Result<Vec<Figure>> {
    say(&format!("    {name}"));
    peer.active().wait_behind(proxy.port())?;
    let through = beside_plain(proxy.port(), "localhost", peer.active().port(), effort)?;
    let load = Load::start(proxy.port(), "localhost", RATE, &[])?;
    let mut moves = Vec::new();
    for _ in 0..effort.runs(20, 5) {
        let (old, new) = (peer.active(), peer.active().other());
        new.start()?;
        let ready = new.wait_until_healthy()?;
        proxy.move_to(new)?;
        new.wait_behind(proxy.port())?;
        proxy.drain(old)?;
        old.stop()?;
        peer.set_active(new);
        moves.push(Moved {
            old: old.color().to_owned(),
            ready,
            ended: now(),
        });
    }
    figures(name, &moves, load, &through)
}

fn article(name: &str, peer: &Peer, pause: &str, count: u32) -> eyre::Result<Vec<Figure>> {
    say(&format!("    {name}"));
    let script = |new: Side, old: Side| {
        sh(&format!(
            "ETCDCTL_API=3 sh /vagrant/tests/bench/article.sh {} {} {pause}",
            new.port(),
            old.port()
        ))
    };
    script(peer.active().other(), peer.active())?;
    peer.set_active(peer.active().other());
    peer.active().wait_behind(ARTICLE)?;
    let through = beside_plain(
        ARTICLE,
        "localhost",
        peer.active().port(),
        Effort {
            quick: true,
            switches: 0,
        },
    )?;
    let load = Load::start(ARTICLE, "localhost", RATE, &[])?;
    let mut moves = Vec::new();
    for _ in 0..count {
        let (old, new) = (peer.active(), peer.active().other());
        script(new, old)?;
        let ended = now();
        peer.set_active(new);
        moves.push(Moved {
            old: old.color().to_owned(),
            ready: started(new.port())?,
            ended,
        });
    }
    let figures = figures(name, &moves, load, &through)?;
    fs::remove_file(ARTICLE_FILE)?;
    reload()?;
    Ok(figures)
}

/// bgctl, asked the same questions.
fn ours(effort: Effort) -> eyre::Result<Vec<Figure>> {
    say("    bgctl");
    let app = App::install("bench-ours", Runtime::Program, 9381, "", "")?;
    let through = beside_plain(80, &app.host(), app.port("blue"), effort)?;
    let load = Load::start(80, &app.host(), RATE, &[])?;
    let mut moves = Vec::new();
    for _ in 0..effort.runs(20, 5) {
        let switch = app.switch()?;
        let ready = app.answers_since(switch.to())?;
        // What comes before the start of the instance is bgctl's own as well.
        let before = switch.started("start")? - switch.began;
        moves.push(Moved {
            old: switch.from().to_owned(),
            ready,
            ended: switch.ended + before,
        });
    }
    figures("bgctl", &moves, load, &through)
}

/// Requests a second through a port, to those through a plain site before the same instance.
fn beside_plain(port: u16, host: &str, instance: u16, effort: Effort) -> eyre::Result<Vec<f64>> {
    let _plain = Plain::put(instance)?;
    let mut ratios = Vec::new();
    for _ in 0..effort.runs(3, 1) {
        let by_hand = throughput(Plain::PORT, "localhost", Method::Get, 2)?.per_second;
        ratios.push(throughput(port, host, Method::Get, 2)?.per_second / by_hand);
    }
    Ok(ratios)
}

fn figures(name: &str, moves: &[Moved], load: Load, through: &[f64]) -> eyre::Result<Vec<Figure>> {
    let loaded = load.end()?;
    let late = |moved: &Moved| loaded.last_of_old(moved.ready, moved.ended, |sample| sample.color == moved.old);
    let latencies: Vec<_> = moves.iter().map(late).collect();
    let whole: Vec<_> = moves.iter().map(|moved| moved.ended - moved.ready).collect();
    let failed = Figure::count(
        format!("failed requests, {name}"),
        "requests",
        moves.len().try_into()?,
        loaded.report.failed,
    );
    let failed = if name == "bgctl" { failed.at_most(0.0) } else { failed };
    Ok(vec![
        failed,
        Figure::new(
            format!("new app listens, to the old one's last answer, {name}"),
            "ms",
            &latencies,
        ),
        Figure::new(format!("switch beyond the app's start, {name}"), "ms", &whole),
        Figure::new(format!("throughput to that of a plain site, {name}"), "ratio", through),
    ])
}
