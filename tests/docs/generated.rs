//! Manual pages and completions.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;

use bgctl::cli::Arguments;
use clap::{CommandFactory as _, ValueEnum as _};
use clap_complete::Shell;

const BGCTL: &str = env!("CARGO_BIN_EXE_bgctl");

/// The manual pages in a folder of their own, and their paths below it.
fn folder() -> (tempfile::TempDir, Vec<String>) {
    let folder = tempfile::tempdir().unwrap();
    let output = Command::new(BGCTL).arg("man").arg(folder.path()).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let below = |path: &str| {
        let path = path.strip_prefix(folder.path().to_str().unwrap()).unwrap();
        path.trim_start_matches('/').to_owned()
    };
    let paths = String::from_utf8(output.stdout).unwrap();
    let paths = paths.lines().map(below).collect();
    (folder, paths)
}

/// The manual pages by their paths, without roff's escapes.
fn pages() -> BTreeMap<String, String> {
    let (folder, paths) = folder();
    let text = |path: &String| {
        fs::read_to_string(folder.path().join(path))
            .unwrap()
            .replace("\\-", "-")
            .replace("\\*(Aq", "'")
            .replace("\\(aq", "'")
    };
    paths.iter().map(|path| (path.clone(), text(path))).collect()
}

/// The pages that are not made from the command line.
const WRITTEN: [&str; 3] = ["man7/bgctl.7", "man5/bgctl-manifest.5", "man5/bgctl.toml.5"];

#[test]
fn pages_of_verbs_have_their_examples() {
    let mut pages = pages();
    let program = Arguments::command();
    let top = pages.remove("man8/bgctl.8").unwrap();
    for path in WRITTEN {
        assert!(pages.remove(path).is_some(), "{path}");
        let (name, section) = path.split_once('/').unwrap().1.rsplit_once('.').unwrap();
        assert!(top.contains(&format!("{name}({section})")), "{path}");
    }
    for verb in crate::visible_verbs(&program) {
        let name = verb.get_name();
        let page = pages
            .remove(&format!("man8/bgctl-{name}.8"))
            .unwrap_or_else(|| panic!("no page of {name}"));
        let help = verb.get_after_help().unwrap().to_string();
        let help = help.lines().chain([".SH \"EXIT CODES\""]);
        for line in help.filter(|line| !line.ends_with(':')) {
            assert!(page.contains(line.trim()), "{name}: {line}\n{page}");
        }
        assert!(top.contains(&format!("bgctl-{name}(8)")), "{name}");
    }
    assert!(pages.is_empty(), "{:?}", pages.keys());
}

#[test]
fn pages_say_what_json_is() {
    let pages = pages();
    let examples = [
        ("man8/bgctl-switch.8", crate::read("src/cli/json/switch.json")),
        ("man8/bgctl-status.8", crate::read("src/cli/json/status.json")),
        ("man8/bgctl-status.8", crate::read("src/cli/json/apps.json")),
    ];
    for (page, example) in examples {
        for line in example.lines() {
            assert!(pages[page].contains(line), "{page}: {line}");
        }
    }
}

/// What a checker of manual pages says; nothing where there is none, `vagrant/sandbox test` installs both.
fn complaints(checker: &str, arguments: &[&str], page: &Path) -> String {
    match Command::new(checker).args(arguments).arg(page).output() {
        Ok(output) => String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned(),
        Err(error) => {
            assert_eq!(error.kind(), std::io::ErrorKind::NotFound, "{checker}: {error}");
            String::new()
        }
    }
}

#[test]
fn pages_are_valid() {
    let (folder, paths) = folder();
    for path in &paths {
        let page = folder.path().join(path);
        let said = complaints("groff", &["-k", "-man", "-ww", "-z", "-Tutf8"], &page);
        assert_eq!(said, "", "{path}");
        if WRITTEN.contains(&path.as_str()) {
            let said = complaints("mandoc", &["-T", "lint", "-W", "warning"], &page);
            let said: Vec<_> = said.lines().filter(|line| !line.contains("missing date")).collect();
            assert_eq!(said, Vec::<&str>::new(), "{path}");
        }
    }
}

#[test]
fn code_in_pages_fits_a_terminal() {
    for path in crate::TEXTS.iter().filter(|path| path.starts_with("docs/man")) {
        let page = crate::read(path);
        for line in crate::blocks(&page).iter().flat_map(|(_, text)| text.lines()) {
            assert!(line.chars().count() <= 76, "{path}: {line}");
        }
    }
}

fn completions(shell: Shell) -> String {
    let output = Command::new(BGCTL)
        .args(["completions", &shell.to_string()])
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn completions_are_there_for_every_shell() {
    for shell in Shell::value_variants() {
        let text = completions(*shell);
        for word in ["install", "uninstall", "keep-state"] {
            assert!(text.contains(word), "{shell}: {word}");
        }
        assert!(!text.contains("probe"), "{shell} completes what is hidden");
    }
}

#[test]
fn completions_work_in_bash() {
    let ask = r#"at=$(( ${#COMP_WORDS[@]} - 1 )); COMP_CWORD=$at
        _bgctl bgctl "${COMP_WORDS[at]}" "${COMP_WORDS[at-1]}"; echo "${COMPREPLY[@]}""#;
    let cases = [
        ("bgctl sw", "switch"),
        ("bgctl switch --im", "--image"),
        ("bgctl --color n", "never"),
    ];
    for (typed, expected) in cases {
        let script = format!("{}\nCOMP_WORDS=({typed})\n{ask}\n", completions(Shell::Bash));
        let output = Command::new("bash").args(["--norc", "-c", &script]).output().unwrap();
        assert_eq!(
            String::from_utf8_lossy(&output.stdout).trim(),
            expected,
            "{typed}: {output:?}"
        );
    }
}
