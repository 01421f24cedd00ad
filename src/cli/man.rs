//! `bgctl man`: the manual pages. Section 8, of the program and of every verb, is made from clap's definition of the command
//! line; the others are in `docs/man`.

mod markdown;

use camino::Utf8Path;
use clap::{Command, CommandFactory as _};
use clap_mangen::Man;
use clap_mangen::roff::{Roff, roman};

use crate::files;

use super::args::{self, Arguments};
use super::output;
use super::report::Exit;

/// Of administration: man-pages(7), "Sections of the manual pages".
const SECTION: &str = "8";

/// What every page says that it is part of.
const MANUAL: &str = "bgctl";

/// The pages of the other sections.
const WRITTEN: [&str; 3] = [
    include_str!("../../docs/man/bgctl.7.md"),
    include_str!("../../docs/man/bgctl-manifest.5.md"),
    include_str!("../../docs/man/bgctl.toml.5.md"),
];

/// Writes each page below its section's folder, as in `man8/bgctl.8`; those that are there are replaced.
pub fn run(verb: &args::Man) -> eyre::Result<Exit> {
    let mut program = Arguments::command();
    program.build();
    let source = source(&program);
    let pages = WRITTEN.map(|text| markdown::Page::parse(text, MANUAL, &source));
    let pages: Vec<_> = pages.into_iter().collect::<eyre::Result<_>>()?;
    let verbs: Vec<_> = program.get_subcommands().filter(|verb| !verb.is_hide_set()).collect();
    let titles: Vec<_> = std::iter::once(&program)
        .chain(verbs.iter().copied())
        .map(title)
        .chain(pages.iter().map(markdown::Page::title))
        .collect();
    for command in std::iter::once(&program).chain(verbs.iter().copied()) {
        write(&verb.folder, SECTION, name(command), &page(command, &program, &titles)?)?;
    }
    for page in &pages {
        write(&verb.folder, page.section, page.name, page.roff.render().as_bytes())?;
    }
    Ok(Exit::Done)
}

fn write(folder: &Utf8Path, section: &str, name: &str, text: &[u8]) -> eyre::Result<()> {
    let folder = folder.join(format!("man{section}"));
    files::make_dirs(&folder)?;
    let path = folder.join(format!("{name}.{section}"));
    files::write(&path, text, 0o644)?;
    output::answer(path.as_str());
    Ok(())
}

/// As others refer to a page.
fn title(command: &Command) -> String {
    format!("{}({SECTION})", name(command))
}

fn source(program: &Command) -> String {
    format!("bgctl {}", program.get_version().unwrap_or_default())
}

fn name(command: &Command) -> &str {
    command.get_display_name().unwrap_or_else(|| command.get_name())
}

fn page(command: &Command, program: &Command, titles: &[String]) -> eyre::Result<Vec<u8>> {
    let man = Man::new(command.clone())
        .title(name(command).to_uppercase())
        .section(SECTION)
        .date(markdown::NO_DATE)
        .source(source(program))
        .manual(MANUAL);
    let mut text = Vec::new();
    man.render_title(&mut text)?;
    man.render_name_section(&mut text)?;
    man.render_synopsis_section(&mut text)?;
    man.render_description_section(&mut text)?;
    man.render_options_section(&mut text)?;
    let is_verb = name(command) != name(program);
    if !is_verb {
        man.render_subcommands_section(&mut text)?;
    }
    let mut rest = Roff::new();
    sections(&mut rest, &after_help(command));
    if is_verb {
        json(&mut rest, command.get_name());
        sections(&mut rest, &after_help(program));
    }
    let own = title(command);
    let others: Vec<_> = titles
        .iter()
        .filter(|other| **other != own)
        .map(String::as_str)
        .collect();
    rest.control("SH", ["SEE ALSO"]).text([roman(others.join(", "))]);
    rest.to_writer(&mut text)?;
    Ok(text)
}

fn after_help(command: &Command) -> String {
    command.get_after_help().map(ToString::to_string).unwrap_or_default()
}

/// The paragraphs that stand below a help: a heading ends with a colon, and indented lines stay as they are.
fn sections(page: &mut Roff, help: &str) {
    for line in help.lines().filter(|line| !line.is_empty()) {
        match (line.strip_suffix(':'), line.strip_prefix("  ")) {
            (_, Some(literal)) => literally(page, literal),
            (Some(heading), None) => drop(page.control("SH", [heading.to_uppercase().as_str()])),
            (None, None) => drop(page.control("PP", []).text([roman(line)])),
        }
    }
}

/// What `--json` prints, by an example with every field.
fn json(page: &mut Roff, verb: &str) {
    let (text, examples): (&str, &[&str]) = match verb {
        "switch" | "stage" | "promote" | "rollback" | "abort" => (
            "With --json one object is printed when the switch has ended. The outcome is done, rolled-back or stuck, and \
             running with --detach. A step is pending, running, done, failed, undoing or undone, and may have a note. \
             Times are UTC; promote_ms and total_ms count from when the switch was opened; what is not known is null. \
             Fields may be added.",
            &[include_str!("json/switch.json")],
        ),
        "status" => (
            "With --json an app is an object, and all apps are a list of shorter objects. A unit's state is active, \
             reloading, inactive, failed, activating or deactivating. Times are UTC; what is not known is null. \
             Fields may be added.",
            &[include_str!("json/status.json"), include_str!("json/apps.json")],
        ),
        _ => return,
    };
    page.control("SH", ["JSON"]).text([roman(text)]);
    for example in examples {
        page.control("PP", []);
        example.lines().for_each(|line| literally(page, line));
    }
}

fn literally(page: &mut Roff, line: &str) {
    page.control("nf", []).text([roman(line)]).control("fi", []);
}
