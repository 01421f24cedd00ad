//! What is written about bgctl is true: README, help, manual pages and completions against the program itself.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test ends where something is not there"
)]

#[path = "docs/files.rs"]
mod files;
#[path = "docs/generated.rs"]
mod generated;
#[path = "docs/keys.rs"]
mod keys;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use bgctl::cli::{Arguments, Exit};
use clap::{Command, CommandFactory as _, Parser as _};

/// A file of the repository.
fn read(path: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap()
}

/// The code blocks of a Markdown text: their language and their text.
fn blocks(markdown: &str) -> Vec<(&str, &str)> {
    let mut blocks = Vec::new();
    for (index, part) in markdown.split("```").enumerate() {
        if index % 2 == 1 {
            blocks.push(part.split_once('\n').unwrap());
        }
    }
    blocks
}

/// The code spans of a Markdown text, without its blocks.
fn spans(markdown: &str) -> Vec<&str> {
    let prose = markdown.split("```").step_by(2);
    prose.flat_map(|part| part.split('`').skip(1).step_by(2)).collect()
}

/// The rows of the table below a heading row that starts with `heading`: their cells.
fn table<'a>(markdown: &'a str, heading: &str) -> Vec<Vec<&'a str>> {
    let lines = markdown
        .lines()
        .skip_while(|line| !line.starts_with(&format!("| {heading}")));
    let rows: Vec<_> = lines
        .skip(2)
        .take_while(|line| line.starts_with('|'))
        .map(|line| line.trim_matches('|').split(" |").map(str::trim).collect())
        .collect();
    assert!(!rows.is_empty(), "there is no table with {heading}");
    rows
}

fn visible_verbs(program: &Command) -> Vec<&Command> {
    program.get_subcommands().filter(|verb| !verb.is_hide_set()).collect()
}

/// What people read beside the help.
const TEXTS: [&str; 8] = [
    "README.md",
    "docs/man/bgctl.7.md",
    "docs/man/bgctl-manifest.5.md",
    "docs/man/bgctl.toml.5.md",
    "src/README.md",
    "src/store/README.md",
    "tests/system/README.md",
    "units/README.md",
];

/// Every command in the blocks and in the text of a Markdown text, with names in the place of what stands for one.
fn commands(markdown: &str) -> Vec<String> {
    let shell = blocks(markdown)
        .into_iter()
        .filter(|(language, _)| ["sh", "console"].contains(language));
    let lines = shell
        .flat_map(|(_, text)| text.lines())
        .map(|line| line.trim_start_matches("# "));
    let spans = spans(markdown).into_iter();
    lines
        .chain(spans)
        .filter(|line| line.starts_with("bgctl "))
        .map(|line| line.split(" #").next().unwrap().split(" >").next().unwrap())
        .map(|line| {
            line.replace("[APP]", "APP")
                .replace("APP", "shop")
                .replace("FILE", "bgctl.toml")
                .replace("DIR", "/mnt")
        })
        .collect()
}

#[test]
fn commands_in_texts_are_valid() {
    for text in TEXTS {
        let commands = commands(&read(text));
        assert!(text != "README.md" || commands.len() >= 5, "{commands:?}");
        for command in commands {
            let words: Vec<_> = command.split_whitespace().collect();
            // Where only a verb is named its app is left out, and the program's own options have no verb.
            let more = match words[..] {
                ["bgctl", verb] if !verb.starts_with('-') => Arguments::command().find_subcommand(verb).map(|_| "-h"),
                ["bgctl", "--config", _] => Some("status"),
                _ => None,
            };
            let parsed = Arguments::try_parse_from(words.into_iter().chain(more));
            let is_valid = parsed.as_ref().err().is_none_or(|error| !error.use_stderr());
            assert!(is_valid, "{text}: {command}: {}", parsed.unwrap_err());
        }
    }
}

#[test]
fn examples_in_helps_are_commands() {
    let program = Arguments::command();
    for verb in visible_verbs(&program) {
        let help = verb.get_after_help().map(ToString::to_string).unwrap_or_default();
        let examples: Vec<_> = help.lines().filter_map(|line| line.strip_prefix("  ")).collect();
        assert!(!examples.is_empty(), "{} has no example", verb.get_name());
        for example in examples {
            let command = example.split("  ").next().unwrap();
            assert!(command.starts_with(&format!("bgctl {}", verb.get_name())), "{command}");
            let parsed = Arguments::try_parse_from(command.split_whitespace());
            assert!(parsed.is_ok(), "{command}: {}", parsed.unwrap_err());
        }
    }
}

#[test]
fn table_of_commands_is_the_command_line() {
    let readme = read("README.md");
    let program = Arguments::command();
    let mut named = BTreeSet::new();
    for row in table(&readme, "command") {
        let name = row[0].trim_start_matches("`bgctl ").split([' ', '`']).next().unwrap();
        let verb = program
            .find_subcommand(name)
            .unwrap_or_else(|| panic!("there is no verb {name}"));
        named.insert(name);
        let words = row.iter().flat_map(|cell| cell.split([' ', '`', '[', ']', ';', ',']));
        for option in words.filter_map(|word| word.strip_prefix("--")) {
            assert!(
                verb.get_arguments().any(|argument| argument.get_long() == Some(option)),
                "{name} --{option}"
            );
        }
    }
    let verbs: BTreeSet<_> = visible_verbs(&program).into_iter().map(Command::get_name).collect();
    assert_eq!(named, verbs);
}

/// A path of the repository, in a text or a link.
fn is_path(text: &str) -> bool {
    let top = [
        "docs/",
        "src/",
        "templates/",
        "tests/",
        "units/",
        "vagrant/",
        ".clippy.toml",
    ];
    let plain = |c: char| c.is_ascii_alphanumeric() || "./-_@".contains(c);
    top.iter().any(|top| text.starts_with(top)) && text.chars().all(plain)
}

#[test]
fn paths_in_texts_are_there() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for text in TEXTS {
        let (markdown, folder) = (read(text), Path::new(text).parent().unwrap());
        let links = markdown.split("](").skip(1).map(|rest| rest.split(')').next().unwrap());
        let links = links.filter(|link| !link.contains("://")).map(|link| folder.join(link));
        // vagrant/sandbox is written with its verb.
        let spans = spans(&markdown)
            .into_iter()
            .filter_map(|span| span.split_whitespace().next());
        let spans = spans.filter(|span| is_path(span)).map(Path::new);
        for path in links.chain(spans.map(Path::to_owned)) {
            assert!(root.join(&path).exists(), "{text}: {}", path.display());
        }
    }
}

#[test]
fn modules_are_in_the_table_of_modules() {
    let readme = read("src/README.md");
    let modules = table(&readme, "module").into_iter().chain({
        let (_, rest) = readme.split_once("\nEffects:\n").unwrap();
        table(rest, "module")
    });
    let written: BTreeSet<_> = modules.map(|row| row[0].trim_matches(['`', '/']).to_owned()).collect();
    let declared = read("src/lib.rs");
    let declared = declared
        .lines()
        .filter_map(|line| line.strip_prefix("pub mod ")?.strip_suffix(';'));
    assert_eq!(written, declared.map(str::to_owned).collect());
}

#[test]
fn readme_is_short() {
    let lines = read("README.md").lines().count();
    assert!(lines <= 150, "it has {lines} lines");
}

/// Every exit code; the compiler sees to it that none is left out.
fn exits() -> Vec<u8> {
    let after = |exit: &Exit| match exit {
        Exit::Done => Some(Exit::Failed),
        Exit::Failed => Some(Exit::Usage),
        Exit::Usage => Some(Exit::Refused),
        Exit::Refused => Some(Exit::Stuck),
        Exit::Stuck => Some(Exit::Busy),
        Exit::Busy => Some(Exit::Crashed),
        Exit::Crashed => Some(Exit::Interrupted),
        Exit::Interrupted => None,
    };
    std::iter::successors(Some(Exit::Done), after)
        .map(|exit| exit as u8)
        .collect()
}

#[test]
fn exit_codes_are_those_of_the_program() {
    let help = Arguments::command().get_after_help().unwrap().to_string();
    let lines = help.lines().filter_map(|line| line.strip_prefix("  "));
    let codes: Vec<(u8, &str)> = lines
        .map(|line| line.split_once(' ').unwrap())
        .map(|(code, meaning)| (code.parse().unwrap(), meaning.trim()))
        .collect();
    assert_eq!(codes.iter().map(|(code, _)| *code).collect::<Vec<_>>(), exits());
    for text in ["README.md", "docs/man/bgctl.7.md"] {
        let text = read(text);
        let rows = table(&text, "exit code");
        let written: Vec<u8> = rows.iter().map(|row| row[0].parse().unwrap()).collect();
        assert_eq!(written, exits());
        for ((code, meaning), row) in codes.iter().zip(rows) {
            let first = |text: &str| text.split([':', ',', ';']).next().unwrap().to_owned();
            assert_eq!(first(meaning), first(row[1]), "{code}");
        }
    }
}

#[test]
fn versions_agree() {
    let cargo: toml::Table = toml::from_str(&read("Cargo.toml")).unwrap();
    let package = &cargo["workspace"]["package"];
    let rust = package["rust-version"].as_str().unwrap();
    assert!(read("README.md").contains(&format!("Rust {rust} or newer")), "{rust}");
    let version = package["version"].as_str().unwrap();
    let changelog = read("CHANGELOG.md");
    let newest = changelog.lines().find_map(|line| line.strip_prefix("## ")).unwrap();
    assert!(newest.starts_with(version), "{newest}, {version}");
    assert_eq!(Arguments::command().get_version(), Some(version));
}
