//! `bgctl man`: a manual page for the program and for every verb, from clap's definition of the command line.

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

/// Writes the pages; those that are there are replaced.
pub fn run(verb: &args::Man) -> eyre::Result<Exit> {
    let mut program = Arguments::command();
    program.build();
    files::ensure_dir(&verb.folder, 0o755)?;
    let verbs: Vec<_> = program.get_subcommands().filter(|verb| !verb.is_hide_set()).collect();
    write(&verb.folder, &program, &program, &verbs)?;
    for page in &verbs {
        write(&verb.folder, page, &program, &verbs)?;
    }
    Ok(Exit::Done)
}

fn write(folder: &Utf8Path, command: &Command, program: &Command, verbs: &[&Command]) -> eyre::Result<()> {
    let path = folder.join(format!("{}.{SECTION}", name(command)));
    files::write(&path, &page(command, program, verbs)?, 0o644)?;
    output::answer(path.as_str());
    Ok(())
}

fn name(command: &Command) -> &str {
    command.get_display_name().unwrap_or_else(|| command.get_name())
}

fn page(command: &Command, program: &Command, verbs: &[&Command]) -> eyre::Result<Vec<u8>> {
    let version = program.get_version().unwrap_or_default();
    let man = Man::new(command.clone())
        .title(name(command).to_uppercase())
        .section(SECTION)
        .source(format!("bgctl {version}"))
        .manual("bgctl");
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
    let others = std::iter::once(&program).chain(verbs);
    let others = others.filter(|other| name(other) != name(command));
    let others: Vec<_> = others.map(|other| format!("{}({SECTION})", name(other))).collect();
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
        "switch" | "rollback" | "abort" => (
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
