//! Manual pages and completions.

use std::collections::BTreeMap;
use std::fs;
use std::process::Command;

use bgctl::cli::Arguments;
use clap::{CommandFactory as _, ValueEnum as _};
use clap_complete::Shell;

const BGCTL: &str = env!("CARGO_BIN_EXE_bgctl");

/// The manual pages by name, with what roff escapes as it is read.
fn pages() -> BTreeMap<String, String> {
    let folder = tempfile::tempdir().unwrap();
    let output = Command::new(BGCTL).arg("man").arg(folder.path()).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let files = fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().path());
    files
        .map(|path| {
            let text = fs::read_to_string(&path)
                .unwrap()
                .replace("\\-", "-")
                .replace("\\*(Aq", "'")
                .replace("\\(aq", "'");
            (path.file_name().unwrap().to_str().unwrap().to_owned(), text)
        })
        .collect()
}

#[test]
fn every_verb_has_a_page_with_its_examples() {
    let mut pages = pages();
    let program = Arguments::command();
    let top = pages.remove("bgctl.8").unwrap();
    for verb in crate::visible_verbs(&program) {
        let name = verb.get_name();
        let page = pages
            .remove(&format!("bgctl-{name}.8"))
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
fn the_pages_say_what_json_is() {
    let pages = pages();
    let examples = [
        ("bgctl-switch.8", crate::read("src/cli/json/switch.json")),
        ("bgctl-status.8", crate::read("src/cli/json/status.json")),
        ("bgctl-status.8", crate::read("src/cli/json/apps.json")),
    ];
    for (page, example) in examples {
        for line in example.lines() {
            assert!(pages[page].contains(line), "{page}: {line}");
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
fn every_shell_has_completions() {
    for shell in Shell::value_variants() {
        let text = completions(*shell);
        for word in ["install", "uninstall", "keep-state"] {
            assert!(text.contains(word), "{shell}: {word}");
        }
        assert!(!text.contains("probe"), "{shell} completes what is hidden");
    }
}

#[test]
fn bash_completes_with_them() {
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
