//! The command line as its manual: every `console` block below `tests/cli/` is run, and says what it says there. Nothing of
//! the machine is touched: paths are below a folder, and no system bus can be reached.
//!
//! `TRYCMD=overwrite cargo test --test cli` takes over what the program says now.

#![expect(clippy::unwrap_used, reason = "a test ends where something is not there")]

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};

const BGCTL: &str = env!("CARGO_BIN_EXE_bgctl");
/// A system bus that is not there.
const NO_BUS: (&str, &str) = ("DBUS_SYSTEM_BUS_ADDRESS", "unix:path=/nonexistent");
/// `nobody` on Debian; any user but root will do.
const NOBODY: u32 = 65534;

#[test]
fn manual_is_true() {
    trycmd::TestCases::new()
        .case("tests/cli/help.md")
        .case("tests/cli/usage.md")
        .env(NO_BUS.0, NO_BUS.1)
        .env("NO_COLOR", "1")
        .run();
    trycmd::TestCases::new()
        .case("tests/cli/bad.md")
        .case("tests/cli/install.md")
        .register_bin("sh", Path::new("/bin/sh"))
        .env(NO_BUS.0, NO_BUS.1)
        .env("BGCTL_ROOT", "host")
        .env("NO_COLOR", "1")
        .run();
}

/// The program with `arguments` on the host itself, with no bus to change anything over.
fn bgctl(arguments: &[&str]) -> Command {
    let mut command = Command::new(BGCTL);
    command
        .args(arguments)
        .env_remove("BGCTL_ROOT")
        .env_remove("BGCTL_CONFIG")
        .env(NO_BUS.0, NO_BUS.1);
    command
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

fn manifest(folder: &Path) -> String {
    let path = folder.join("shop.toml");
    fs::copy("tests/cli/install.in/shop.toml", &path).unwrap();
    path.to_str().unwrap().to_owned()
}

#[test]
fn commands_that_change_the_host_are_for_root() {
    let folder = tempfile::tempdir().unwrap();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let program = folder.path().join("bgctl");
    // Another process copies it: a fork of this one would hold it open for writing, and then it cannot be run.
    let copied = Command::new("cp").arg(BGCTL).arg(&program).status().unwrap();
    assert!(copied.success());
    let manifest = manifest(folder.path());
    let verbs = [
        vec!["install", &manifest],
        vec!["switch", "shop"],
        vec!["stage", "shop"],
        vec!["promote", "shop"],
        vec!["rollback", "shop"],
        vec!["abort", "shop"],
        vec!["uninstall", "shop"],
        vec!["run", "shop"],
        vec!["status", "shop"],
        vec!["status"],
    ];
    for arguments in verbs {
        let mut command = Command::new(&program);
        command
            .args(&arguments)
            .env(NO_BUS.0, NO_BUS.1)
            .env_remove("BGCTL_ROOT");
        if is_root() {
            command.uid(NOBODY);
        }
        let output = command.current_dir("/").output().unwrap();
        let verb = arguments.first().unwrap();
        let expected = format!("error: cannot run `bgctl {verb}`: it needs root\nhint: sudo bgctl {verb}\n");
        assert_eq!((stderr(&output), output.status.code()), (expected, Some(3)));
    }
}

#[test]
fn app_that_is_not_installed_is_refused() {
    if !is_root() {
        return;
    }
    for verb in ["switch", "stage", "promote", "rollback", "abort", "uninstall", "status"] {
        let output = bgctl(&[verb, "never-installed"]).output().unwrap();
        let hint = "hint: install it first: bgctl install never-installed.toml\n";
        let expected = format!("error: cannot find never-installed: it is not installed\n{hint}");
        assert_eq!((stderr(&output), output.status.code()), (expected, Some(3)), "{verb}");
    }
}

#[test]
fn without_systemd_nothing_is_installed() {
    if !is_root() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let text = fs::read_to_string("tests/cli/install.in/shop.toml").unwrap();
    let manifest = folder.path().join("app.toml");
    fs::write(&manifest, text.replace("shop", "never-installed")).unwrap();
    let output = bgctl(&["install", manifest.to_str().unwrap()]).output().unwrap();
    let said = stderr(&output);
    assert!(said.starts_with("error: cannot reach systemd"), "{said}");
    assert_eq!((said.lines().count(), output.status.code()), (2, Some(3)), "{said}");
    assert!(!Path::new("/var/lib/bgctl/never-installed").exists());
}

/// A command that has much to say.
fn dry_run(folder: &Path) -> Command {
    let mut command = bgctl(&["--root", folder.to_str().unwrap(), "install", "--dry-run"]);
    command.arg(manifest(folder));
    command
}

/// Runs a command whose stdout nobody reads.
fn without_reader(mut command: Command) -> Output {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    command.stdout(writer).output().unwrap()
}

#[test]
fn reader_that_leaves_is_no_failure() {
    let folder = tempfile::tempdir().unwrap();
    for command in [
        dry_run(folder.path()),
        bgctl(&["--help"]),
        bgctl(&["completions", "bash"]),
    ] {
        let output = without_reader(command);
        assert_eq!((stderr(&output), output.status.code()), (String::new(), Some(0)));
    }
}

#[test]
fn nobody_who_reads_errors_is_no_failure_either() {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let status = bgctl(&["install", "nowhere.toml"]).stderr(writer).status().unwrap();
    assert_eq!(status.code(), Some(2));
}

#[test]
fn answer_that_cannot_be_written_is_an_error() {
    let full = || Stdio::from(fs::OpenOptions::new().write(true).open("/dev/full").unwrap());
    let folder = tempfile::tempdir().unwrap();
    let output = dry_run(folder.path()).stdout(full()).output().unwrap();
    assert_eq!(
        stderr(&output),
        "error: cannot write the answer: No space left on device (os error 28)\n"
    );
    let output = bgctl(&["completions", "zsh"]).stdout(full()).output().unwrap();
    assert_eq!(output.status.code(), Some(3));
}

/// Whether a dry run is colored, with `arguments` and the variables of `environment`; on a terminal, or into a pipe.
fn is_colored(is_terminal: bool, arguments: &[&str], environment: &[(&str, &str)]) -> bool {
    let folder = tempfile::tempdir().unwrap();
    let mut command = dry_run(folder.path());
    command.args(arguments);
    if is_terminal {
        let words = std::iter::once(command.get_program()).chain(command.get_args());
        let line: Vec<_> = words.map(|word| word.to_str().unwrap()).collect();
        let mut script = Command::new("script");
        script.args(["--quiet", "--return", "--command", &line.join(" "), "/dev/null"]);
        command = script;
    }
    for name in ["NO_COLOR", "CLICOLOR", "CLICOLOR_FORCE", "CI"] {
        command.env_remove(name);
    }
    let output = command
        .env("TERM", "xterm")
        .envs(environment.iter().copied())
        .stdin(Stdio::null())
        .output();
    let output = output.unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
    output.stdout.contains(&0x1b)
}

#[test]
fn colors_follow_the_terminal_and_the_option() {
    let no_color = [("NO_COLOR", "1")];
    assert!(is_colored(true, &[], &[]));
    assert!(!is_colored(true, &[], &no_color));
    assert!(!is_colored(true, &[], &[("TERM", "dumb")]));
    assert!(!is_colored(true, &["--color=never"], &[]));
    assert!(is_colored(true, &["--color=always"], &no_color));
    assert!(!is_colored(false, &[], &[]));
    assert!(is_colored(false, &["--color=always"], &[]));
}
