//! Whether the user of an app's unit can run its program, inside of what confines the unit.
//!
//! Most programs are where everybody can reach them, and nothing is tried. Otherwise a unit of the same settings tries it, since
//! drop-ins may have lifted anything, and only then there is a refusal.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt as _;
use std::time::Duration;

use camino::{Utf8Path, Utf8PathBuf};

use crate::host::command::{Command, Failed};
use crate::host::program::interpreter;
use crate::model::{Hinted, UnitName};

/// How long systemd may take to tell of a unit, and to run the trial.
const TIMEOUT: Duration = Duration::from_secs(30);

/// What systemd hides or replaces: `ProtectHome=` and `PrivateTmp=` of systemd.exec(5).
const HOMES: [&str; 3] = ["/home", "/root", "/run/user"];
const TEMPORARY: [&str; 2] = ["/tmp", "/var/tmp"];

/// The settings of systemd.exec(5) that decide what a process of a unit reaches.
const SETTINGS: [&str; 18] = [
    "User",
    "Group",
    "DynamicUser",
    "SupplementaryGroups",
    "ProtectHome",
    "ProtectSystem",
    "PrivateTmp",
    "PrivateUsers",
    "RootDirectory",
    "RootImage",
    "ReadWritePaths",
    "ReadOnlyPaths",
    "InaccessiblePaths",
    "ExecPaths",
    "NoExecPaths",
    "TemporaryFileSystem",
    "BindPaths",
    "BindReadOnlyPaths",
];

/// Prints the first of its arguments that it cannot run, or enter.
const TRIAL: &str = "for path; do test -x \"$path\" || { echo \"$path\"; exit 1; }; done";

/// Errors where the processes of `unit` cannot run `program`, its interpreter, or enter `folder`.
pub async fn require_reachable(unit: &UnitName, program: &Utf8Path, folder: Option<&Utf8Path>) -> eyre::Result<()> {
    let interpreter = interpreter(program);
    let needed: Vec<_> = [folder, Some(program), interpreter.as_deref()]
        .into_iter()
        .flatten()
        .collect();
    if needed.iter().all(|path| is_plain(path)) {
        return Ok(());
    }
    let settings = match settings(unit).await {
        Ok(settings) => settings,
        Err(error) => {
            tracing::warn!("cannot tell what confines {unit}: {error}");
            return Ok(());
        }
    };
    let Err(failed) = trial(&settings, &needed).await else {
        return Ok(());
    };
    let said = failed.output.stdout.trim();
    let Some(path) = needed.into_iter().find(|path| *path == said) else {
        tracing::warn!("cannot try {program} as {unit} would run it: {failed}");
        return Ok(());
    };
    let what = if path == program {
        format!("cannot run {program}")
    } else if Some(path) == folder {
        format!("cannot run {program} in working_directory {path}")
    } else {
        format!("cannot run {program}, whose interpreter is {path}")
    };
    let (why, hint) = explain(unit, path, &settings, closed(path).as_ref());
    Err(Hinted::new(format!("{what}: {why}"), hint).into())
}

/// Whether everybody can reach a path, whatever usually confines an app.
fn is_plain(path: &Utf8Path) -> bool {
    let real = path.canonicalize_utf8().unwrap_or_else(|_| path.to_owned());
    [path, &real]
        .iter()
        .all(|path| !is_below(path, &HOMES) && !is_below(path, &TEMPORARY))
        && closed(&real).is_none()
}

fn is_below(path: &Utf8Path, folders: &[&str]) -> bool {
    folders.iter().any(|folder| path.starts_with(folder))
}

/// The first folder on the way to a path, or the path itself, that not everybody may enter or run, with its mode.
fn closed(path: &Utf8Path) -> Option<(Utf8PathBuf, u32)> {
    let mut ways: Vec<_> = path.ancestors().collect();
    ways.reverse();
    ways.into_iter().find_map(|way| {
        let mode = fs_err::metadata(way).ok()?.permissions().mode() & 0o7777;
        (mode & 0o001 == 0).then(|| (way.to_owned(), mode))
    })
}

/// The settings of a unit, with its drop-ins, as systemd has them.
async fn settings(unit: &UnitName) -> Result<BTreeMap<String, String>, Failed> {
    let names = format!("--property={}", SETTINGS.join(","));
    let shown = Command::new("systemctl", ["show", &names, unit.as_str()], TIMEOUT)
        .run()
        .await?;
    let pairs = shown.stdout.lines().filter_map(|line| line.split_once('='));
    Ok(pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect())
}

async fn trial(settings: &BTreeMap<String, String>, paths: &[&Utf8Path]) -> Result<(), Failed> {
    let mut arguments: Vec<_> = ["--quiet", "--wait", "--collect", "--pipe"].map(str::to_owned).to_vec();
    let set = settings.iter().filter(|(_, value)| !value.is_empty());
    arguments.extend(set.map(|(name, value)| format!("--property={name}={value}")));
    // As for a program of ours: root without capabilities may do no more than another user.
    arguments.push("--property=CapabilityBoundingSet=".to_owned());
    arguments.extend(["--", "/bin/sh", "-c", TRIAL, "sh"].map(str::to_owned));
    arguments.extend(paths.iter().map(ToString::to_string));
    Command::new("systemd-run", arguments, TIMEOUT).run().await.map(drop)
}

/// Why a path cannot be reached, and the way out.
fn explain(
    unit: &UnitName,
    path: &Utf8Path,
    settings: &BTreeMap<String, String>,
    closed: Option<&(Utf8PathBuf, u32)>,
) -> (String, String) {
    let value = |name: &str| settings.get(name).map_or("", String::as_str);
    let top = |folders: &[&'static str]| folders.iter().find(|folder| path.starts_with(folder)).copied();
    let lift = |line: String| {
        format!(
            "move it to /opt or /srv; or let the unit see it, by service = [\"{line}\"] in [run] or by a drop-in (systemctl edit {})",
            unit.as_str().split('@').next().unwrap_or_default().to_owned() + "@.service"
        )
    };
    let home = value("ProtectHome");
    if let (Some(top), "yes" | "tmpfs") = (top(&HOMES), home) {
        return (
            format!("ProtectHome={home} of {unit} hides {top} from it"),
            lift("ProtectHome=read-only".to_owned()),
        );
    }
    if let (Some(top), "yes") = (top(&TEMPORARY), value("PrivateTmp")) {
        return (
            format!("PrivateTmp=yes of {unit} gives it a {top} of its own, where that is not"),
            lift(format!("BindReadOnlyPaths={path}")),
        );
    }
    let user = match (value("DynamicUser"), value("User")) {
        ("yes", _) => "the user that DynamicUser=yes makes for it".to_owned(),
        (_, "") => "its user".to_owned(),
        (_, user) => format!("its user {user}"),
    };
    match closed {
        Some((way, mode)) => (
            format!("{user} may not enter or run {way}, which has mode {mode:04o}"),
            format!(
                "chmod o+x {way}; or move it to /opt or /srv; or give {unit} a user who may, by a drop-in with DynamicUser=no and User="
            ),
        ),
        None => (
            format!("{user} cannot reach {path}, confined as {unit} is"),
            format!("see what confines it: systemctl cat {unit}"),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{AppName, Port};

    fn explained(path: &str, set: &[(&str, &str)], closed: Option<(&str, u32)>) -> (String, String) {
        let unit = UnitName::instance(&AppName::parse("shop").unwrap(), Port::new(9001).unwrap());
        let set = set
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        let closed = closed.map(|(path, mode)| (path.into(), mode));
        explain(&unit, path.into(), &set, closed.as_ref())
    }

    #[test]
    fn setting_that_is_in_the_way_is_named_with_what_lifts_it() {
        let all = [("ProtectHome", "yes"), ("PrivateTmp", "yes"), ("DynamicUser", "yes")];
        let (why, hint) = explained("/home/me/shop", &all, Some(("/home/me", 0o700)));
        assert_eq!(why, "ProtectHome=yes of shop@9001.service hides /home from it");
        assert!(
            hint.contains("service = [\"ProtectHome=read-only\"]") && hint.contains("systemctl edit shop@.service"),
            "{hint}"
        );
        let (why, hint) = explained("/tmp/shop", &all, None);
        assert!(
            why.starts_with("PrivateTmp=yes of shop@9001.service gives it a /tmp of its own"),
            "{why}"
        );
        assert!(hint.contains("service = [\"BindReadOnlyPaths=/tmp/shop\"]"), "{hint}");
        let lifted = [("ProtectHome", "read-only"), ("DynamicUser", "yes")];
        let (why, hint) = explained("/home/me/shop", &lifted, Some(("/home/me", 0o700)));
        assert_eq!(
            why,
            "the user that DynamicUser=yes makes for it may not enter or run /home/me, which has mode 0700"
        );
        assert!(hint.starts_with("chmod o+x /home/me; "), "{hint}");
        let (why, _) = explained("/srv/shop", &[("User", "shop")], None);
        assert_eq!(
            why,
            "its user shop cannot reach /srv/shop, confined as shop@9001.service is"
        );
    }
}
