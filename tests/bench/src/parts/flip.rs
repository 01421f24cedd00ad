//! How exactly the traffic moves, and what requests notice of a switch.

use std::time::Duration;

use crate::Effort;
use crate::app::{App, Runtime};
use crate::figure::Figure;
use crate::host::{now, sh, wait_until};
use crate::load::{Load, Loaded};

/// Requests a second, half of them POST.
const RATE: u32 = 1000;
/// Calm between two switches, to compare with.
const CALM: Duration = Duration::from_millis(500);

/// Switches, with requests flowing; and the same start of an instance by systemd alone, beside the same requests.
pub fn measure(effort: Effort) -> eyre::Result<Vec<Figure>> {
    let mut figures = switches(effort)?;
    figures.extend(floor(effort)?);
    Ok(figures)
}

fn switches(effort: Effort) -> eyre::Result<Vec<Figure>> {
    let app = App::install("bench-flip", Runtime::Program, 9321, "", "")?;
    let load = Load::start(80, &app.host(), RATE, &[])?;
    let mut switches = Vec::new();
    for _ in 0..effort.runs(40, 10) {
        switches.push(app.switch()?);
        std::thread::sleep(CALM);
    }
    let loaded = load.end()?;

    let (mut from_promote, mut from_route) = (Vec::new(), Vec::new());
    for switch in &switches {
        let is_old = |sample: &crate::load::Sample| sample.color == switch.from();
        from_promote.push(loaded.last_of_old(switch.done("promote")?, switch.ended, is_old));
        from_route.push(loaded.last_of_old(switch.started("route")?, switch.ended, is_old));
    }
    let spans: Vec<_> = switches.iter().map(|switch| (switch.began, switch.ended)).collect();
    // From the promote on, when bgctl alone is at work; before that the new instance starts on the same processors.
    let moves: eyre::Result<Vec<_>> = switches
        .iter()
        .map(|switch| Ok((switch.done("promote")?, switch.done("drain")?)))
        .collect();
    let calm = loaded.p99(&spans, false);
    Ok(vec![
        Figure::count(
            "failed, of everything",
            "requests",
            effort.runs(40, 10),
            loaded.report.failed,
        )
        .at_most(0.0),
        Figure::new("last answer of the old color, after the promote", "ms", &from_promote)
            .at_most(1.0)
            .never_above(3.0),
        Figure::new(
            "last answer of the old color, after the route begins to move",
            "ms",
            &from_route,
        ),
        Figure::new("p99 of requests between switches", "ms", &[calm]),
        Figure::new("p99 of requests during switches", "ms", &[loaded.p99(&spans, true)]),
        Figure::new(
            "p99 during switches to between",
            "ratio",
            &[loaded.p99(&spans, true) / calm],
        )
        .at_most(1.2),
        Figure::new(
            "p99 from promote to drained, to between",
            "ratio",
            &[loaded.p99(&moves?, true) / calm],
        )
        .at_most(1.2),
    ])
}

/// What requests notice where nobody switches, and only systemd starts and stops an instance that takes none of them.
fn floor(effort: Effort) -> eyre::Result<Vec<Figure>> {
    let app = App::install("bench-flip", Runtime::Program, 9321, "", "")?;
    let idle = App::install("bench-idle", Runtime::Program, 9323, "", "")?;
    let (unit, port) = (format!("bench-idle@{}", idle.port("blue")), idle.port("blue"));
    let load = Load::start(80, &app.host(), RATE, &[])?;
    let mut spans = Vec::new();
    for _ in 0..effort.runs(40, 10) {
        let began = now();
        sh(&format!("systemctl restart {unit}"))?;
        wait_until("the instance answers", CALM * 20, || {
            crate::host::get(port, "localhost", "/health").is_ok()
        })?;
        spans.push((began, now()));
        std::thread::sleep(CALM);
    }
    let loaded: Loaded = load.end()?;
    let ratio = loaded.p99(&spans, true) / loaded.p99(&spans, false);
    Ok(vec![Figure::new(
        "p99 while systemctl alone restarts another app, to between",
        "ratio",
        &[ratio],
    )])
}
