//! How things look: tables, steps, errors, JSON. `tests/imports.rs` sees to it that nothing prints but `cli`.

use std::io::{self, ErrorKind, IsTerminal as _, Write as _};
use std::sync::OnceLock;
use std::time::Duration;

use anstyle::{AnsiColor, Style};

use super::args::ColorWhen;
use crate::model::Color;
use crate::ops::Progress;
use crate::ops::visitors::Warning;

/// Why a line of the answer could not be written.
static UNWRITTEN: OnceLock<io::Error> = OnceLock::new();

const BOLD: Style = Style::new().bold();
const DIM: Style = Style::new().dimmed();
const RED: Style = AnsiColor::Red.on_default().bold();
const GREEN: Style = AnsiColor::Green.on_default();
const BLUE: Style = AnsiColor::BrightBlue.on_default();
const YELLOW: Style = AnsiColor::Yellow.on_default();

/// Takes `--color` up; `auto` follows the terminal, `NO_COLOR` and `CLICOLOR_FORCE`.
pub fn choose_color(when: ColorWhen) {
    match when {
        ColorWhen::Auto => {}
        ColorWhen::Always => anstream::ColorChoice::Always.write_global(),
        ColorWhen::Never => anstream::ColorChoice::Never.write_global(),
    }
}

/// Whether a person watches stderr.
pub fn is_watched() -> bool {
    io::stderr().is_terminal()
}

/// Whether what goes to stderr is colored.
pub fn is_stderr_colored() -> bool {
    anstream::AutoStream::choice(&io::stderr()) != anstream::ColorChoice::Never
}

/// A line to stdout. That it cannot be written stops nothing that is under way; [`finish`] tells.
fn print(line: &str) {
    if UNWRITTEN.get().is_some() {
        return;
    }
    if let Err(error) = writeln!(anstream::stdout().lock(), "{line}") {
        UNWRITTEN.get_or_init(|| error);
    }
}

/// A line to stderr. Where that is closed there is nobody left to tell.
fn print_error(line: &str) {
    let _ = writeln!(anstream::stderr().lock(), "{line}");
}

/// Fails where the answer could not be written. That its reader left, as `head` does, is no failure.
pub fn finish() -> eyre::Result<()> {
    match UNWRITTEN.get() {
        Some(error) if error.kind() != ErrorKind::BrokenPipe => Err(eyre::eyre!("cannot write the answer: {error}")),
        _ => Ok(()),
    }
}

/// One line of the answer.
pub fn answer(line: &str) {
    print(line);
}

/// A whole file as the answer.
pub fn file(text: &str) {
    text.lines().for_each(print);
}

/// A unified diff.
pub fn diff(text: &str) {
    text.lines().map(colored).for_each(|line| print(&line));
}

/// A unified diff of what is under way.
pub fn progress_diff(text: &str) {
    text.lines()
        .map(colored)
        .for_each(|line| print_error(&format!("         {line}")));
}

fn colored(line: &str) -> String {
    let line = harmless(line);
    match line.as_bytes().first() {
        Some(b'+') => format!("{GREEN}{line}{GREEN:#}"),
        Some(b'-') => format!("{RED}{line}{RED:#}"),
        _ => line,
    }
}

/// The answer for a program.
pub fn json(value: &impl serde::Serialize) -> eyre::Result<()> {
    print(&serde_json::to_string_pretty(value)?);
    Ok(())
}

/// One line of progress.
pub fn progress(line: &str) {
    print_error(line);
}

/// An error: one line, lines below it, one line of hint.
pub fn error(message: &str, details: &[String], hint: Option<&str>) {
    print_error(&format!("{RED}error:{RED:#} {}", harmless(message)));
    for detail in details {
        print_error(&format!("  {DIM}|{DIM:#} {}", harmless(detail)));
    }
    if let Some(hint) = hint {
        print_error(&format!("{BOLD}hint:{BOLD:#} {}", harmless(hint)));
    }
}

/// A text without what steers a terminal: an error repeats what a program, a server or a file said.
fn harmless(text: &str) -> String {
    let mut harmless = String::new();
    for c in text.chars() {
        if c.is_control() && !matches!(c, '\n' | '\t') {
            harmless.extend(c.escape_default());
        } else {
            harmless.push(c);
        }
    }
    harmless
}

/// What a use case tells that shows nothing but warnings.
pub fn warn(progress: Progress<'_>) {
    if let Progress::Warning(message) = progress {
        warning(message);
    }
}

/// Something that is not as it should be.
pub fn warning(message: &str) {
    print_error(&format!("{YELLOW}warning:{YELLOW:#} {}", harmless(message)));
}

/// What keeps visitors from a site, each with what can be done about it.
pub fn warnings(warnings: &[Warning]) {
    for Warning { warning: what, advice } in warnings {
        warning(what);
        progress(&format!("  {}", dim(advice)));
    }
}

/// `text` in the color it names.
pub fn in_color(color: Option<Color>, text: &str) -> String {
    let style = match color {
        Some(Color::Blue) => BLUE,
        Some(Color::Green) => GREEN,
        None => DIM,
    };
    format!("{style}{text}{style:#}")
}

/// `text`, less important.
pub fn dim(text: &str) -> String {
    format!("{DIM}{text}{DIM:#}")
}

/// `text`, more important.
pub fn bold(text: &str) -> String {
    format!("{BOLD}{text}{BOLD:#}")
}

/// A duration for people: `7 ms`, `1.2 s`, `3 min 20 s`.
pub fn duration(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match duration.as_millis() {
        millis @ 0..1000 => format!("{millis} ms"),
        1000..60_000 => format!("{:.1} s", duration.as_secs_f64()),
        _ if seconds < 3600 => format!("{} min {} s", seconds / 60, seconds % 60),
        _ if seconds < 86_400 => format!("{} h {} min", seconds / 3600, seconds / 60 % 60),
        _ => format!("{} d {} h", seconds / 86_400, seconds / 3600 % 24),
    }
}

/// How long ago something began, to the second.
pub fn age(age: Duration) -> String {
    match age.as_secs() {
        seconds @ 0..60 => format!("{seconds} s"),
        _ => duration(age),
    }
}

/// How long ago a moment was, see [`age`]; none where it is still to come.
pub fn ago(at: jiff::Timestamp) -> String {
    let since = jiff::Timestamp::now().duration_since(at);
    age(Duration::try_from(since).unwrap_or_default())
}

/// Bytes for people: `12.3 MiB`.
pub fn bytes(bytes: u64) -> String {
    const MIB: u64 = 1 << 20;
    const GIB: u64 = 1 << 30;
    let tenths = |unit: u64| format!("{}.{}", bytes / unit, bytes % unit * 10 / unit);
    if bytes >= GIB {
        format!("{} GiB", tenths(GIB))
    } else {
        format!("{} MiB", tenths(MIB))
    }
}

/// Rows in columns, two spaces apart; the first row is the heading.
pub fn table(rows: &[Vec<String>]) {
    let columns = rows.iter().map(Vec::len).max().unwrap_or_default();
    let width = |column: usize| {
        rows.iter()
            .filter_map(|row| row.get(column))
            .map(|cell| visible(cell))
            .max()
    };
    let widths: Vec<usize> = (0..columns).map(|column| width(column).unwrap_or_default()).collect();
    for (index, row) in rows.iter().enumerate() {
        let cells = row.iter().zip(&widths).map(|(cell, width)| {
            let padding = " ".repeat(width.saturating_sub(visible(cell)));
            format!("{cell}{padding}")
        });
        let line = cells.collect::<Vec<_>>().join("  ");
        answer(&if index == 0 {
            dim(line.trim_end())
        } else {
            line.trim_end().to_owned()
        });
    }
}

/// How wide it looks: colors take no room.
fn visible(cell: &str) -> usize {
    anstream::adapter::strip_str(cell).to_string().chars().count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_and_sizes_read_well() {
        let cases = [
            (7, "7 ms"),
            (1234, "1.2 s"),
            (200_000, "3 min 20 s"),
            (7_260_000, "2 h 1 min"),
        ];
        for (millis, text) in cases {
            assert_eq!(duration(Duration::from_millis(millis)), text);
        }
        assert_eq!(bytes(12 * (1 << 20) + (1 << 19)), "12.5 MiB");
        assert_eq!(bytes(3 << 30), "3.0 GiB");
    }

    #[test]
    fn text_of_others_steers_no_terminal() {
        assert_eq!(harmless("a\u{1b}[31m\r\u{9b}b\n\tü"), "a\\u{1b}[31m\\r\\u{9b}b\n\tü");
    }

    #[test]
    fn colors_take_no_room_in_a_table() {
        assert_eq!(visible(&in_color(Some(Color::Blue), "blue")), 4);
    }
}
