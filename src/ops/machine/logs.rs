//! The end of a unit's log, to show below an error.

use std::time::Duration;

use crate::host::command::{Command, distinct};
use crate::host::systemd::Systemd;
use crate::model::{Hinted, UnitName};
use crate::runtime::docker;

/// How long the journal may take.
const TIMEOUT: Duration = Duration::from_secs(10);

/// So many times as many lines are read as are shown: an app that logs each request says the same again and again.
const READ: usize = 10;

/// The longest line that is shown, characters.
const LINE: usize = 400;

/// The last `count` different lines that the last invocation of `unit` logged, oldest first, and what systemd said about it. Fails
/// where the journal cannot be read.
pub async fn last(systemd: &Systemd, unit: &UnitName, count: usize) -> eyre::Result<Vec<String>> {
    let invocation = systemd.state(unit).await?.invocation;
    // What was just logged may still be on its way to the journal; without this the very last words can be missing.
    if let Err(error) = Command::new("journalctl", ["--sync"], TIMEOUT).run().await {
        tracing::debug!("{error}");
    }
    let journal = Command::new(
        "journalctl",
        arguments(unit, invocation.as_deref(), READ * count),
        TIMEOUT,
    );
    Ok(parse(&journal.run().await?.stdout, count))
}

/// `report` with the end of the unit's log as its details. Where the log cannot be read the report stays as it is: the
/// first error is what counts.
pub async fn attach(report: eyre::Report, systemd: &Systemd, unit: &UnitName, count: usize) -> eyre::Report {
    let lines = match last(systemd, unit, count).await {
        Ok(lines) => lines,
        Err(error) => {
            tracing::warn!("cannot read the log of {unit}: {error:#}");
            return report;
        }
    };
    let hint = docker::start_hint(&lines)
        .or_else(|| Hinted::find(&report).map(|hinted| hinted.hint().to_owned()))
        .unwrap_or_else(|| format!("see `journalctl -u {unit}`"));
    Hinted::from(report, hint).with_details(lines).into()
}

/// The arguments of journalctl(1): the lines of the invocation's processes, and systemd's own about it
/// (systemd.journal-fields(7)).
fn arguments(unit: &UnitName, invocation: Option<&str>, count: usize) -> Vec<String> {
    let mut arguments: Vec<String> = ["--quiet", "--no-pager", "--output=cat"].map(str::to_owned).into();
    arguments.push(format!("--lines={count}"));
    match invocation {
        Some(id) => arguments.extend([
            format!("_SYSTEMD_INVOCATION_ID={id}"),
            "+".to_owned(),
            format!("INVOCATION_ID={id}"),
        ]),
        None => arguments.push(format!("--unit={unit}")),
    }
    arguments
}

/// The last `count` different lines of a log, fit for a terminal: without escape sequences and control characters, none too long.
fn parse(text: &str, count: usize) -> Vec<String> {
    let lines = distinct(text.lines().map(plain).filter(|line| !line.is_empty()));
    let surplus = lines.len().saturating_sub(count);
    lines.into_iter().skip(surplus).collect()
}

fn plain(line: &str) -> String {
    let mut plain = String::new();
    let mut characters = line.chars();
    while let Some(character) = characters.next() {
        if character == '\u{1b}' {
            skip_escape(&mut characters);
        } else if character == '\t' || !character.is_control() {
            plain.push(character);
        }
    }
    let plain = plain.trim_end();
    match plain.char_indices().nth(LINE) {
        Some((end, _)) => format!("{}...", plain.get(..end).unwrap_or_default()),
        None => plain.to_owned(),
    }
}

/// Skips an escape sequence after its ESC: `[`, parameters, and a final letter (ECMA-48, 5.4), or one character.
fn skip_escape(characters: &mut std::str::Chars<'_>) {
    if characters.next() == Some('[') {
        characters.find(|character| ('@'..='~').contains(character));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{AppName, Port};

    #[test]
    fn lines_are_fit_for_a_terminal() {
        let text = "one\n\n\u{1b}[31;1mred\u{1b}[0m\u{7} text\ntab\there\n";
        assert_eq!(parse(text, 10), ["one", "red text", "tab\there"]);
        assert_eq!(parse(text, 1), ["tab\there"]);
        assert!(parse("", 10).is_empty());
        assert_eq!(
            parse("GET / 200\nlast\nGET / 200\n", 10),
            ["last", "GET / 200 (2 times)"]
        );
        let long = "ä".repeat(LINE + 1);
        assert_eq!(parse(&long, 1), [format!("{}...", "ä".repeat(LINE))]);
    }

    #[test]
    fn last_invocation_is_asked_for_where_there_is_one() {
        let unit = UnitName::instance(&AppName::parse("shop").unwrap(), Port::new(9002).unwrap());
        let arguments = |invocation| arguments(&unit, invocation, 5).join(" ");
        assert!(arguments(Some("ab")).ends_with("--lines=5 _SYSTEMD_INVOCATION_ID=ab + INVOCATION_ID=ab"));
        assert!(arguments(None).ends_with("--lines=5 --unit=shop@9002.service"));
    }
}
