//! The manifest and the host's settings in the README.

use std::collections::BTreeSet;

use bgctl::config::{ConfigError, manifest, settings};

type Parse = fn(&str) -> Result<(), ConfigError>;

fn parse_manifest(text: &str) -> Result<(), ConfigError> {
    manifest::parse(text, "README.md").map(drop)
}

fn parse_settings(text: &str) -> Result<(), ConfigError> {
    settings::parse(text, "README.md").map(drop)
}

/// The README's TOML blocks, each with its parser: the manifest and the settings.
fn blocks(readme: &str) -> [(&str, Parse); 2] {
    let toml = crate::blocks(readme)
        .into_iter()
        .filter(|(language, _)| *language == "toml");
    let blocks: Vec<_> = toml.map(|(_, text)| text).collect();
    assert_eq!(blocks.len(), 2, "a manifest and settings");
    [(blocks[0], parse_manifest), (blocks[1], parse_settings)]
}

/// The key of a line, and whether it is commented out.
fn key(line: &str) -> Option<(&str, bool)> {
    let bare = line.strip_prefix("# ").unwrap_or(line);
    let (key, _) = bare.split_once(" = ")?;
    let is_key = key.chars().all(|c| c.is_ascii_lowercase() || c == '_');
    is_key.then_some((key, bare != line))
}

/// The text with the commented-out keys that `wanted` picks, and without the keys that it does not.
fn with(text: &str, wanted: impl Fn(&str, bool) -> bool) -> String {
    let lines = text.lines().filter_map(|line| match key(line) {
        Some((key, is_comment)) if wanted(key, is_comment) => Some(line.strip_prefix("# ").unwrap_or(line)),
        Some((_, false)) => None,
        _ => Some(line),
    });
    lines.collect::<Vec<_>>().join("\n") + "\n"
}

#[test]
fn every_block_of_toml_is_what_it_says() {
    let readme = crate::read("README.md");
    for (text, parse) in blocks(&readme) {
        if let Err(error) = parse(text) {
            panic!("{error}");
        }
    }
}

/// Keys of containers, and keys of programs: a manifest has one of both kinds.
const CONTAINER: [&str; 4] = ["image", "container_port", "volumes", "docker_options"];
const PROGRAM: [&str; 3] = ["exec", "working_directory", "state_directory"];

#[test]
fn what_is_commented_out_can_be_uncommented() {
    let readme = crate::read("README.md");
    let [(manifest, parse), (settings, parse_settings)] = blocks(&readme);
    let container = with(manifest, |key, _| !PROGRAM.contains(&key));
    let program = with(manifest, |key, _| !CONTAINER.contains(&key));
    for (text, parse) in [
        (container, parse),
        (program, parse),
        (with(settings, |_, _| true), parse_settings),
    ] {
        if let Err(error) = parse(&text) {
            panic!("{error}\n{text}");
        }
    }
}

/// The keys that a parser knows in a table, by what it says about one that is none.
fn known(parse: Parse, table: &str) -> BTreeSet<String> {
    let header = if table.is_empty() {
        String::new()
    } else {
        format!("[{table}]\n")
    };
    let error = parse(&format!("{header}zzzzzzzzzzzzzzzzzzzzzzzz = 1\n")).unwrap_err();
    let (_, keys) = error.message().split_once("the keys here are ").unwrap();
    keys.split(", ").map(str::to_owned).collect()
}

/// The tables of a block, the top one without a name, and the keys written in each.
fn written(text: &str) -> Vec<(String, BTreeSet<String>)> {
    let mut tables = vec![(String::new(), BTreeSet::new())];
    for line in text.lines() {
        if let Some((name, _)) = line.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
            tables[0].1.insert(name.to_owned());
            tables.push((name.to_owned(), BTreeSet::new()));
        } else if let Some((key, _)) = key(line) {
            tables.last_mut().unwrap().1.insert(key.to_owned());
        }
    }
    tables
}

#[test]
fn every_key_is_documented() {
    let readme = crate::read("README.md");
    for (text, parse) in blocks(&readme) {
        for (table, mut keys) in written(text) {
            if table == "health" {
                // The other kinds of check stand beside the path.
                keys.extend(["tcp".to_owned(), "command".to_owned()]);
                assert!(text.contains("or tcp = true, or command = ["));
            }
            assert_eq!(keys, known(parse, &table), "[{table}]");
        }
    }
}

#[test]
fn every_manifest_of_the_repository_is_one() {
    let path = "vagrant/bdd-assistant.toml";
    if let Err(error) = manifest::parse(&crate::read(path), path) {
        panic!("{error}");
    }
}
