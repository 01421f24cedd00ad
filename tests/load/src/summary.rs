//! The report for a person.

use std::fmt::{Display, Formatter, Result};

use crate::failure::Kind;
use crate::report::Report;

impl Display for Report {
    fn fmt(&self, out: &mut Formatter<'_>) -> Result {
        requests(self, out)?;
        transfers(self, out)?;
        posts(self, out)?;
        releases(self, out)?;
        failures(self, out)
    }
}

/// Short requests.
fn requests(report: &Report, out: &mut Formatter<'_>) -> Result {
    let (seconds, latency) = (seconds(report, report.ended_ms), report.latency_ms);
    let failed = report.sent - report.answered;
    writeln!(
        out,
        "{}  {seconds:.1} s, {:.0} answers/s",
        report.url, report.per_second
    )?;
    write!(out, "requests    {} sent ({} POST), ", report.sent, report.posts)?;
    write!(out, "{} answered, {failed} failed; ", report.answered)?;
    writeln!(out, "{} connections opened", report.connections)?;
    write!(out, "latency ms  p50 {:.2}  p90 {:.2}  ", latency.p50, latency.p90)?;
    writeln!(
        out,
        "p99 {:.2}  p99.9 {:.2}  max {:.2}",
        latency.p99, latency.p999, latency.max
    )
}

/// Long ones, where there were any.
fn transfers(report: &Report, out: &mut Formatter<'_>) -> Result {
    for (name, long) in [("downloads ", &report.downloads), ("uploads   ", &report.uploads)] {
        if long.started > 0 {
            let longest = long.longest_ms;
            writeln!(
                out,
                "{name}  {} whole, {} failed, longest {longest:.0} ms",
                long.whole, long.failed
            )?;
        }
    }
    let sockets = &report.websockets;
    if sockets.opened + sockets.failed > 0 {
        write!(
            out,
            "websockets  {} opened, {} echoes, ",
            sockets.opened, sockets.echoes
        )?;
        writeln!(
            out,
            "{} closed by the server, {} failed",
            sockets.closed_by_server, sockets.failed
        )?;
    }
    Ok(())
}

/// What the app says about the POSTs, where it says something.
fn posts(report: &Report, out: &mut Formatter<'_>) -> Result {
    if let Some(ledger) = &report.ledger {
        write!(out, "ledger      {} POSTs noted, {} lost, ", ledger.noted, ledger.lost)?;
        writeln!(out, "{} doubled, {} unanswered", ledger.doubled, ledger.unanswered)?;
    }
    match report.doubled_at_last {
        Some(doubled) if doubled > 0 => writeln!(out, "doubled     {doubled} POSTs at the last instance"),
        _ => Ok(()),
    }
}

/// The table of releases.
fn releases(report: &Report, out: &mut Formatter<'_>) -> Result {
    let Some(longest) = report.releases.iter().map(|line| line.release.len()).max() else {
        return Ok(());
    };
    let width = longest.max("release".len());
    writeln!(
        out,
        "{:width$}  color    answers    first sent     last sent   (s after the start)",
        "release"
    )?;
    for line in &report.releases {
        let (first, last) = (seconds(report, line.first_sent_ms), seconds(report, line.last_sent_ms));
        writeln!(
            out,
            "{:width$}  {:5}  {:9}  {first:12.4}  {last:12.4}",
            line.release, line.color, line.answers
        )?;
    }
    Ok(())
}

/// Failures by kind, then the first ones.
fn failures(report: &Report, out: &mut Formatter<'_>) -> Result {
    for (kind, count) in &report.failures {
        writeln!(out, "FAILED      {count} {}", name(*kind))?;
    }
    for note in &report.first_failures {
        let (after, kind) = (seconds(report, note.at_ms), name(note.kind));
        writeln!(
            out,
            "  after {after:.3} s  {}  {kind}  {}  {}",
            note.what, note.release, note.detail
        )?;
    }
    Ok(())
}

/// A time of day as seconds after the start.
fn seconds(report: &Report, at_ms: f64) -> f64 {
    (at_ms - report.started_ms) / 1000.0
}

/// A kind as it is written in JSON, with blanks.
fn name(kind: Kind) -> String {
    serde_json::to_value(kind)
        .ok()
        .and_then(|name| Some(name.as_str()?.replace('_', " ")))
        .unwrap_or_default()
}
