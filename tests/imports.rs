//! Which module may import which, what nothing pure may name, who may print, and how long things may be.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::string_slice,
    reason = "a test fails by panicking"
)]

#[path = "support/source.rs"]
mod source;

use std::fs;
use std::path::{Path, PathBuf};

use source::{functions, paths, tokens, without_tests};

/// What a module may import beside itself.
const MAY_IMPORT: &[(&str, &[&str])] = &[
    ("model", &[]),
    ("files", &[]),
    ("config", &["model", "files"]),
    ("plan", &["model"]),
    ("drift", &["model"]),
    ("journal", &["model", "plan"]),
    ("render", &["model"]),
    ("engine", &["model", "plan", "journal"]),
    ("store", &["model", "files"]),
    ("host", &["model", "files"]),
    ("state", &["model", "plan", "journal", "render", "files", "host"]),
    ("proxy", &["model", "files", "host"]),
    ("runtime", &["model", "host"]),
    (
        "ops",
        &[
            "model", "plan", "drift", "journal", "render", "config", "engine", "store", "files", "host", "state",
            "proxy", "runtime",
        ],
    ),
    (
        "cli",
        &[
            "model", "config", "plan", "drift", "journal", "engine", "files", "host", "runtime", "ops",
        ],
    ),
];

/// Modules without I/O and without a clock.
const PURE: &[&str] = &["model", "config", "plan", "drift", "journal", "render"];

/// What they name all the same: the file, and what it names.
const EXCEPTIONS: &[(&str, &str)] = &[
    // The one function that reads a configuration file; the parsers take text.
    ("config/mod.rs", "crate::files::read_at_most"),
];

/// What nothing pure names.
const EFFECTS: &[&str] = &[
    "tokio",
    "crate::files",
    "fs_err",
    "std::fs",
    "std::os",
    "std::process",
    "SystemTime",
    "Instant::now",
    "Timestamp::now",
    "Zoned::now",
];

/// Modules that may print.
const PRINTS: &[&str] = &["cli", "main"];

/// What prints.
const PRINTING: &[&str] = &[
    "print::!",
    "println::!",
    "eprint::!",
    "eprintln::!",
    "dbg::!",
    "anstream",
    "io::stdout",
    "io::stderr",
];

/// The most lines of a file and of a function.
const FILE_LINES: usize = 400;
const FUNCTION_LINES: usize = 70;

/// What is wrong with a file, one line each; `file` is its path below `src`.
fn complaints(file: &str, source: &str) -> Vec<String> {
    let all = tokens(source);
    let code = if module(file).contains(&"tests") {
        Vec::new()
    } else {
        without_tests(&all)
    };
    let mut complaints = Vec::new();
    for (path, line) in paths(&code) {
        let found = [import(file, &path), effect(file, &path), printing(file, &path)];
        complaints.extend(found.into_iter().flatten().map(|what| format!("{file}:{line}: {what}")));
    }
    let lines = source.lines().count();
    if lines > FILE_LINES {
        complaints.push(format!("{file}: it has {lines} lines"));
    }
    for (name, line, lines) in functions(&all) {
        if lines > FUNCTION_LINES {
            complaints.push(format!("{file}:{line}: {name} has {lines} lines"));
        }
    }
    complaints
}

/// The path of a file's module: `["host", "files"]` for `host/files.rs`.
fn module(file: &str) -> Vec<&str> {
    let path = file.trim_end_matches(".rs").trim_end_matches("/mod");
    path.split('/').collect()
}

/// The top module that a path leads to from a file, where it goes by `crate` or by `super` out of the file's own.
fn target<'a>(file: &str, path: &'a [String]) -> Option<&'a str> {
    let ups = path.iter().take_while(|word| *word == "super").count();
    let rest = match path.first()?.as_str() {
        "crate" | "bgctl" => &path[1..],
        "self" if path.get(1).is_some_and(|word| word == "super") => return target(file, &path[1..]),
        _ if ups > 0 && ups >= module(file).len() => &path[ups..],
        _ => return None,
    };
    rest.first().map(String::as_str)
}

fn import(file: &str, path: &[String]) -> Option<String> {
    let from = module(file)[0];
    let to = target(file, path)?;
    let (_, allowed) = MAY_IMPORT.iter().find(|(module, _)| *module == from)?;
    let known = MAY_IMPORT.iter().any(|(module, _)| *module == to);
    if to == from || allowed.contains(&to) || (!known && to.starts_with(char::is_uppercase)) {
        return None;
    }
    Some(format!("{from} must not import {to}"))
}

fn names(path: &[String], listed: &[&str]) -> bool {
    let path = format!("::{}::", path.join("::"));
    listed.iter().any(|name| path.contains(&format!("::{name}::")))
}

fn effect(file: &str, path: &[String]) -> Option<String> {
    let from = module(file)[0];
    let name = path.join("::");
    let excepted = EXCEPTIONS.contains(&(file, name.as_str()));
    (PURE.contains(&from) && names(path, EFFECTS) && !excepted).then(|| format!("{from} is pure and names {name}"))
}

fn printing(file: &str, path: &[String]) -> Option<String> {
    let from = module(file)[0];
    (!PRINTS.contains(&from) && names(path, PRINTING)).then(|| format!("{from} must not print"))
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    found.sort();
    found
}

#[test]
fn source_keeps_the_rules() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut wrong = Vec::new();
    let files = files(&root);
    for path in &files {
        let name = path.strip_prefix(&root).unwrap().to_str().unwrap();
        wrong.extend(complaints(name, &fs::read_to_string(path).unwrap()));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    for (module, _) in MAY_IMPORT {
        let of = |path: &&PathBuf| path.starts_with(root.join(module));
        assert!(files.iter().any(|path| of(&path)), "there is no module {module}");
    }
}

#[test]
fn every_module_is_in_the_table() {
    let map = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("src/lib.rs")).unwrap();
    let tokens = tokens(&map);
    let declared = tokens.windows(2).filter(|pair| pair[0].text == "mod");
    for pair in declared {
        let name = pair[1].text.as_str();
        assert!(MAY_IMPORT.iter().any(|(module, _)| *module == name), "{name}");
    }
}

#[test]
fn bad_samples_are_caught() {
    let long = format!("fn long() {{\n{}}}\n", "    step();\n".repeat(70));
    let endless = "\n".repeat(401);
    let samples = [
        (
            "model/app.rs",
            "use crate::plan::Plan;",
            "model/app.rs:1: model must not import plan",
        ),
        (
            "plan/mod.rs",
            "use crate::{model::App, journal::{self, Event}};",
            "plan must not import journal",
        ),
        (
            "plan/step.rs",
            "fn f() { crate::store::get(); }",
            "plan must not import store",
        ),
        ("plan/step.rs", "use super::super::host;", "plan must not import host"),
        ("plan/mod.rs", "use super::engine::run;", "plan must not import engine"),
        (
            "render/unit.rs",
            "\nuse self::super::super::cli::Args;",
            "render/unit.rs:2: render must not import cli",
        ),
        (
            "store/etcd.rs",
            "impl From<crate::host::Layout> for A {}",
            "store must not import host",
        ),
        (
            "host/a/b.rs",
            "use super::super::super::cli;",
            "host must not import cli",
        ),
        (
            "host/a.rs",
            "use crate::{\n    model,\n    cli,\n};",
            "host/a.rs:3: host must not import cli",
        ),
        ("host/a.rs", "use crate::new;", "host must not import new"),
        (
            "host/a.rs",
            "macro_rules! m { () => { $crate::cli::x } }",
            "host must not import cli",
        ),
        ("model/a.rs", "use std::{fmt, fs};", "model is pure and names std::fs"),
        ("model/a.rs", "use std::fs as files;", "model is pure and names std::fs"),
        (
            "config/a.rs",
            "fn f() { fs_err::read(p) }",
            "config is pure and names fs_err::read",
        ),
        (
            "journal/a.rs",
            "let now = jiff::Timestamp::now();",
            "journal is pure and names jiff::Timestamp::now",
        ),
        (
            "plan/a.rs",
            "let now = Instant::now();",
            "plan is pure and names Instant::now",
        ),
        (
            "render/a.rs",
            "#[tokio::test] async fn f() {}",
            "render is pure and names tokio::test",
        ),
        (
            "plan/a.rs",
            "let c = '\"'; use std::process::Command; let d = \"\";",
            "names std::process::Command",
        ),
        ("engine/mod.rs", "fn f() { println!(\"x\") }", "engine must not print"),
        (
            "host/a.rs",
            "let a = r#\"\"\"#; std::eprint!(\"x\")",
            "host must not print",
        ),
        ("store/a.rs", "use anstream::stderr;", "store must not print"),
        (
            "store/a.rs",
            "writeln!(std::io::stderr(), \"x\")",
            "store must not print",
        ),
        ("cli/a.rs", &long, "cli/a.rs:1: long has 72 lines"),
        ("cli/a.rs", &endless, "cli/a.rs: it has 401 lines"),
    ];
    for (file, source, expected) in samples {
        let found = complaints(file, source);
        assert!(
            found.iter().any(|complaint| complaint.contains(expected)),
            "{source}: {found:?}"
        );
    }
}

#[test]
fn good_samples_are_not() {
    let samples = [
        (
            "model/app.rs",
            "use super::{Color, Invalid}; use crate::model::App; use self::a::b;",
        ),
        ("plan/step.rs", "use super::super::model::App; // crate::host"),
        (
            "plan/a.rs",
            "/// tokio::spawn, see [`crate::engine`]\n/* std::fs */ const A: &str = \"crate::host println!\";",
        ),
        (
            "plan/a.rs",
            "#[cfg(test)]\nmod tests { use crate::host; use std::fs; fn f() { println!() } }",
        ),
        ("plan/a.rs", "#[cfg(test)]\nuse std::fs;\nuse crate::model::App;"),
        (
            "model/a.rs",
            "fn f<'a>(a: &'a str) -> char { '\\'' } // \"\nfn g() { let fs = 1; fs }",
        ),
        (
            "host/a.rs",
            "use crate::{files, model::Port}; fn f() { command.stdout(x) }",
        ),
        ("host/a.rs", "writeln!(text, \"x\")"),
        ("cli/a.rs", "use crate::host; anstream::println!(\"x\");"),
        ("config/mod.rs", "fn f() { crate::files::read_at_most(p) }"),
        ("config/a/tests.rs", "use std::fs; use crate::host;"),
        ("main.rs", "use bgctl::cli; fn main() { eprintln!(\"x\") }"),
        ("cli/a.rs", "trait A { fn f(&self); }\n\n\nfn g(a: [u8; 2]) {}"),
    ];
    for (file, source) in samples {
        assert_eq!(complaints(file, source), Vec::<String>::new(), "{source}");
    }
}
