//! The end of a unit's log, to show below an error.

use std::time::Duration;

use serde::Deserialize;
use serde::de::IgnoredAny;

use crate::host::command::{Command, distinct};
use crate::host::systemd::Systemd;
use crate::model::{Hinted, UnitName};
use crate::runtime::docker;

/// How long the journal may take.
const TIMEOUT: Duration = Duration::from_secs(10);

/// So many times as many lines are read as are shown: an app that logs each request says the same again and again.
const READ: usize = 10;

/// The most that is read, bytes: an entry has 48 KiB of text at most (journald.conf(5), `LineMax=`), several times as long where it
/// is not printable.
const KEPT: usize = 4 << 20;

/// The longest line that is shown, characters.
const LINE: usize = 400;

/// The last `count` different lines that the last invocation of `unit` logged, oldest first, and what systemd said about it. Fails
/// where the journal cannot be read.
pub async fn last(systemd: &Systemd, unit: &UnitName, count: usize) -> eyre::Result<Vec<String>> {
    let invocation = systemd.state(unit).await?.invocation;
    let messages = messages(&read(unit, count).await?, invocation.as_deref(), |_| true)?;
    Ok(parse(&messages, count))
}

/// The last `count` different lines that this invocation of `unit` printed, oldest first. Fails where the journal cannot be read.
pub async fn said(unit: &UnitName, invocation: Option<&str>, count: usize) -> eyre::Result<Vec<String>> {
    let own = |entry: &Entry| entry.told_of.is_none();
    let messages = messages(&read(unit, count).await?, invocation, own)?;
    Ok(parse(&messages, count))
}

/// The end of a unit's log, an entry a line.
async fn read(unit: &UnitName, count: usize) -> eyre::Result<String> {
    // What was just logged may still be on its way to the journal; without this the very last words can be missing.
    if let Err(error) = Command::new("journalctl", ["--sync"], TIMEOUT).run().await {
        tracing::debug!("{error}");
    }
    let journal = Command::new("journalctl", arguments(unit, READ * count), TIMEOUT).keeping(KEPT);
    Ok(journal.run().await?.stdout)
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

/// The arguments of journalctl(1): the lines of the unit's processes, and systemd's own about it (systemd.journal-fields(7)).
fn arguments(unit: &UnitName, count: usize) -> Vec<String> {
    let mut arguments: Vec<String> = ["--quiet", "--no-pager", "--all", "--output=json"]
        .map(str::to_owned)
        .into();
    arguments.push("--output-fields=MESSAGE,INVOCATION_ID,_SYSTEMD_INVOCATION_ID".to_owned());
    arguments.push(format!("--lines={count}"));
    arguments.extend([format!("_SYSTEMD_UNIT={unit}"), "+".to_owned()]);
    arguments.extend(["_PID=1".to_owned(), format!("UNIT={unit}")]);
    arguments
}

/// An entry of the journal, as journalctl(1) writes it with `--output=json`.
#[derive(Deserialize)]
struct Entry {
    #[serde(rename = "MESSAGE", default)]
    message: Message,
    #[serde(rename = "INVOCATION_ID")]
    told_of: Option<String>,
    #[serde(rename = "_SYSTEMD_INVOCATION_ID")]
    written_by: Option<String>,
}

/// Bytes that are no printable text are written as numbers.
#[derive(Deserialize)]
#[serde(untagged)]
enum Message {
    Text(String),
    Bytes(Vec<u8>),
    Other(IgnoredAny),
}

impl Default for Message {
    fn default() -> Self {
        Self::Text(String::new())
    }
}

/// The messages that are wanted, from the first one of `invocation` on, a line each, or from the start where there is none of it.
/// One that a process wrote just before its end can be without an invocation: its process is not there any more when journald
/// asks who wrote it.
fn messages(json: &str, invocation: Option<&str>, is_wanted: impl Fn(&Entry) -> bool) -> eyre::Result<String> {
    // Of very much the end was kept, without the start of its first entry.
    let json = match json.split_once('\n') {
        Some((part, rest)) if !part.starts_with('{') => rest,
        _ => json,
    };
    let entries: Vec<Entry> = json.lines().map(serde_json::from_str).collect::<Result<_, _>>()?;
    let is_of = |entry: &Entry| {
        [&entry.told_of, &entry.written_by]
            .iter()
            .any(|id| id.as_deref() == invocation)
    };
    let first = entries.iter().position(|entry| invocation.is_some() && is_of(entry));
    let text = |entry: Entry| match entry.message {
        Message::Text(text) => text,
        Message::Bytes(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
        Message::Other(_) => String::new(),
    };
    let entries = entries.into_iter().skip(first.unwrap_or_default());
    let messages: Vec<_> = entries.filter(is_wanted).map(text).collect();
    Ok(messages.join("\n"))
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
    fn messages_are_those_since_the_last_start() {
        let json = [
            r#"{"MESSAGE": "started", "INVOCATION_ID": "a"}"#,
            r#"{"MESSAGE": "old", "_SYSTEMD_INVOCATION_ID": "a"}"#,
            r#"{"MESSAGE": "started", "INVOCATION_ID": "b"}"#,
            r#"{"MESSAGE": [27, 91, 109, 255, 46], "_SYSTEMD_INVOCATION_ID": "b"}"#,
            r#"{"MESSAGE": "last words"}"#,
            r#"{"MESSAGE": null, "_SYSTEMD_INVOCATION_ID": "b"}"#,
        ]
        .join("\n");
        let of = |invocation| parse(&messages(&json, invocation, |_| true).unwrap(), 10);
        assert_eq!(of(Some("b")), ["started", "\u{fffd}.", "last words"]);
        assert_eq!(of(Some("c")), of(None));
        assert_eq!(of(None).len(), 4);
        let own = |entry: &Entry| entry.told_of.is_none();
        assert_eq!(
            messages(&json, Some("b"), own).unwrap(),
            "\u{1b}[m\u{fffd}.\nlast words\n"
        );
        let cut = json.split_once(' ').unwrap().1;
        assert_eq!(
            messages(cut, Some("b"), own).unwrap(),
            messages(&json, Some("b"), own).unwrap()
        );
        assert!(messages("", None, own).unwrap().is_empty());
        assert!(messages("Hint: you see no messages", None, own).is_err());
    }
}
