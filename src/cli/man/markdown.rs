//! A manual page that is written in Markdown: as much of it as those in `docs/man` use, as roff (man(7), `groff_man(7)`).
//!
//! A page starts with `# NAME(SECTION): what it is`. There are headings, paragraphs, blocks of code, and tables, of which each
//! row becomes a tagged paragraph: the last column is its text, the first one its tag, and those between stand beside the tag in
//! brackets, code with its heading, as in `(default "30s")`. Within a line `code` is bold and `*words*` are italic.

use std::iter::Peekable;
use std::str::Lines;

use clap_mangen::roff::{Inline, Roff, bold, italic, roman};

/// The date of a page that tells none: the release it belongs to is in its footer.
pub const NO_DATE: &str = "\"\"";

/// A page.
#[derive(Debug)]
pub struct Page<'a> {
    /// Its name, as in `bgctl.toml`.
    pub name: &'a str,
    /// Its section, as in `5`.
    pub section: &'a str,
    /// The page.
    pub roff: Roff,
}

impl<'a> Page<'a> {
    /// Reads a page, of `manual` and made by `source` (man-pages(7), "Title line"). Errors if it does not start with its title.
    pub fn parse(markdown: &'a str, manual: &str, source: &str) -> eyre::Result<Self> {
        let untitled =
            || eyre::eyre!("cannot read a manual page: it does not start with `# NAME(SECTION): what it is`");
        let (first, text) = markdown.split_once('\n').ok_or_else(untitled)?;
        let (title, what) = first
            .strip_prefix("# ")
            .and_then(|title| title.split_once("): "))
            .ok_or_else(untitled)?;
        let (name, section) = title.split_once('(').ok_or_else(untitled)?;
        let mut roff = Roff::new();
        roff.control("TH", [name.to_uppercase().as_str(), section, NO_DATE, source, manual]);
        roff.control("SH", ["NAME"]);
        roff.text([roman(format!("{name} - {what}"))]);
        body(&mut roff, text);
        Ok(Self { name, section, roff })
    }

    /// As others refer to it.
    pub fn title(&self) -> String {
        format!("{}({})", self.name, self.section)
    }
}

fn body(roff: &mut Roff, text: &str) {
    let mut lines = text.lines().peekable();
    let mut is_first = true;
    while let Some(line) = lines.next() {
        if line.is_empty() {
            continue;
        }
        if let Some(heading) = line.strip_prefix("## ") {
            roff.control("SH", [section_heading(heading).as_str()]);
            is_first = true;
            continue;
        }
        // A heading has its own gap, and so has each row of a table.
        if !std::mem::take(&mut is_first) && !line.starts_with('|') {
            roff.control("PP", []);
        }
        if line.starts_with("```") {
            code(roff, &take(&mut lines, |line| !line.starts_with("```")));
            lines.next();
        } else if line.starts_with('|') {
            table(roff, line, &take(&mut lines, |line| line.starts_with('|')));
        } else {
            let rest = take(&mut lines, is_text);
            roff.text(inlines(&[&[line], rest.as_slice()].concat().join(" ")));
        }
    }
}

fn take<'a>(lines: &mut Peekable<Lines<'a>>, is_more: impl Fn(&str) -> bool) -> Vec<&'a str> {
    std::iter::from_fn(|| lines.next_if(|line| is_more(line))).collect()
}

/// In capitals (man-pages(7), "Sections within a manual page"), unless it is the name of a table of TOML.
fn section_heading(heading: &str) -> String {
    if heading.starts_with('[') {
        heading.to_owned()
    } else {
        heading.to_uppercase()
    }
}

/// Whether a paragraph does not end before this line.
fn is_text(line: &str) -> bool {
    !line.is_empty() && !line.starts_with("```") && !line.starts_with('|')
}

fn code(roff: &mut Roff, lines: &[&str]) {
    roff.control("RS", ["4"]).control("nf", []);
    for line in lines {
        roff.text([roman(*line)]);
    }
    roff.control("fi", []).control("RE", []);
}

fn table(roff: &mut Roff, heading: &str, rows: &[&str]) {
    let headings = cells(heading);
    // The first of the rows is the rule below the heading.
    for row in rows.iter().skip(1) {
        let cells = cells(row);
        let (Some(tag), Some(text)) = (cells.first(), cells.last()) else {
            continue;
        };
        let between = headings.iter().zip(&cells).skip(1).take(cells.len().saturating_sub(2));
        let between = between.filter(|(_, cell)| !cell.is_empty());
        let mut tag = inlines(tag);
        for (heading, cell) in between {
            tag.push(roman(match cell.strip_prefix('`') {
                Some(value) => format!(" ({heading} {})", value.trim_end_matches('`')),
                None => format!(" ({cell})"),
            }));
        }
        roff.control("TP", []).text(tag).text(inlines(text));
    }
}

fn cells(row: &str) -> Vec<&str> {
    let inner = row.trim_end().trim_start_matches('|').trim_end_matches('|');
    inner.split(" |").map(str::trim).collect()
}

/// A line with its `code` and its `*words*`.
fn inlines(line: &str) -> Vec<Inline> {
    let mut inlines = Vec::new();
    for (index, part) in line.split('`').enumerate() {
        if index % 2 == 1 {
            inlines.push(bold(part));
            continue;
        }
        let words = part.split('*').enumerate().filter(|(_, words)| !words.is_empty());
        inlines.extend(words.map(
            |(index, words)| {
                if index % 2 == 1 { italic(words) } else { roman(words) }
            },
        ));
    }
    inlines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn page_is_rendered() {
        let text = "# shop(5): what it sells\n\n## [Keys]\n\nOne *line*\nand `a-key`.\n```toml\na = '1'\n\n.b\n```\n\n\
                    | key | default | meaning |\n|---|---|---|\n| `a` | `\"1\"` | It is `b`. |\n| `c` | | None. |\n\
                    | `d` | required | Last. |\n\n## See\n\n.x(1)\n";
        let page = Page::parse(text, "bgctl", "bgctl 1").unwrap();
        assert_eq!(page.title(), "shop(5)");
        insta::assert_snapshot!(page.roff.to_roff(), @r#"
        .TH SHOP 5 "" "bgctl 1" bgctl
        .SH NAME
        shop \- what it sells
        .SH [Keys]
        One \fIline\fR and \fBa\-key\fR.
        .PP
        .RS 4
        .nf
        a = '1'

        \&.b
        .fi
        .RE
        .TP
        \fBa\fR (default "1")
        It is \fBb\fR.
        .TP
        \fBc\fR
        None.
        .TP
        \fBd\fR (required)
        Last.
        .SH SEE
        \&.x(1)
        "#);
    }

    #[test]
    fn page_without_a_title_is_an_error() {
        for text in ["", "# shop\n", "# shop(5)\ntext\n", "shop(5): x\n"] {
            assert!(Page::parse(text, "bgctl", "bgctl 1").is_err(), "{text:?}");
        }
    }
}
