//! Many switches, one after the other, while everything flows: short GETs and POSTs, websockets, slow downloads, and
//! uploads that take longer than a switch.

use fs_err as fs;

use crate::Effort;
use crate::app::{App, Runtime, SHARED};
use crate::figure::Figure;
use crate::host::sh;
use crate::load::{Load, Report};

/// Short requests a second.
const RATE: u32 = 500;
/// Websockets have no end of their own: with them each drain comes to its limit.
const DRAIN: &str = "[drain]\ntimeout = \"1200ms\"\n";
/// Downloads are shorter than that limit: what is longer is what the limit is there to cut.
const DOWNLOAD: &str = "--transfer-seconds=0.8";
/// Uploads are longer than a whole switch: no drain need wait for them, because nginx looks at the flag a second time.
const UPLOAD: &str = "--transfer-seconds=4";

/// Half of the switches for each runtime.
pub fn measure(effort: Effort) -> eyre::Result<Vec<Figure>> {
    let mut figures = Vec::new();
    for runtime in [Runtime::Program, Runtime::Docker] {
        figures.extend(one(runtime, effort.switches.div_ceil(2))?);
    }
    Ok(figures)
}

fn one(runtime: Runtime, switches: u32) -> eyre::Result<Vec<Figure>> {
    let ledger = format!("{SHARED}/ledger");
    sh(&format!("install -d -m 0777 {SHARED}"))?;
    fs::write(&ledger, "")?;
    sh(&format!("chmod 0666 {ledger}"))?;
    let env = format!("env = {{ ECHO_LEDGER = \"{ledger}\" }}\n");
    let app = App::install("bench-requests", runtime, 9311, &env, DRAIN)?;
    let noted = format!("--ledger={ledger}");
    let long = Load::only(80, &app.host(), &["--connections=0", "--uploads=8", UPLOAD, &noted])?;
    let more = ["--websockets=8", "--downloads=8", DOWNLOAD, &noted];
    let load = Load::start(80, &app.host(), RATE, &more)?;
    let mut total = Vec::new();
    for _ in 0..switches {
        total.push(app.switch()?.total());
    }
    let (report, uploads) = (load.end()?.report, long.end()?.report);
    drop(app);
    Ok(figures(runtime, switches, &report, &uploads, &total))
}

fn figures(runtime: Runtime, switches: u32, report: &Report, uploads: &Report, total: &[f64]) -> Vec<Figure> {
    let (mut lost, mut doubled) = (0.0, 0.0);
    for ledger in [report, uploads]
        .into_iter()
        .filter_map(|report| report.ledger.as_ref())
    {
        lost += ledger.lost;
        doubled += ledger.doubled;
    }
    let count =
        |what: &str, unit, count: f64| Figure::count(format!("{what}, {}", runtime.name()), unit, switches, count);
    let none = |what: &str, unit, number: f64| count(what, unit, number).at_most(0.0);
    let (downloads, sockets) = (&report.downloads, &report.websockets);
    vec![
        count("requests sent, half of them POST", "requests", report.sent),
        none("failed, of everything", "requests", report.failed + uploads.failed),
        none("POSTs lost", "requests", lost),
        none("POSTs that ran twice", "requests", doubled),
        count("slow downloads whole", "downloads", downloads.whole),
        none("slow downloads broken", "downloads", downloads.failed),
        count("slow uploads whole", "uploads", uploads.uploads.whole),
        none("slow uploads broken", "uploads", uploads.uploads.failed),
        count("the slowest upload", "ms", uploads.uploads.longest_ms),
        count(
            "websockets closed by the drain's limit",
            "websockets",
            sockets.closed_by_server,
        )
        .at_most(8.0 * f64::from(switches)),
        none("websockets cut", "websockets", sockets.failed),
        Figure::new(format!("a switch meanwhile, {}", runtime.name()), "ms", total),
    ]
}
