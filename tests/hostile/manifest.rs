//! A manifest.

use std::collections::BTreeMap;

use bgctl::config::manifest::{self, masked};
use bgctl::model::{Digest, Release, ReleaseId, Resolved, ResolvedImage, Runtime};

use super::rendered;

/// What is taken gives a unit, a site and environment files in which each value stands in its place and nowhere else; what is
/// refused is told without anything that steers a terminal.
pub fn check(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    assert_masked(text);
    match manifest::parse(text, "shop.toml") {
        Ok(app) => {
            rendered::assert_unit(&app);
            rendered::assert_site(&app);
            rendered::assert_environments(&app, &release(&app));
        }
        Err(error) => {
            let shown = error.to_string();
            // The excerpt is of the person's own text.
            assert!(
                !shown.contains(|c: char| c.is_control() && !matches!(c, '\n')),
                "{shown:?}"
            );
        }
    }
}

/// With a number in the place of what is masked the text means the same, but for the values.
fn assert_masked(text: &str) {
    let shown = masked(text);
    let Ok(manifest) = text.parse::<toml::Table>() else {
        return;
    };
    // A text that has the mask in it already says nothing.
    if text.contains("***") || shown == "***\n" {
        return;
    }
    let shown: toml::Table = shown.replace("***", "0").parse().unwrap();
    let env = |table: &toml::Table| table.get("run").and_then(|run| run.get("env")?.as_table().cloned());
    let (before, after) = (env(&manifest).unwrap_or_default(), env(&shown).unwrap_or_default());
    assert!(before.keys().eq(after.keys()), "{text:?}");
    assert!(
        after.values().all(|value| *value == toml::Value::Integer(0)),
        "{text:?}"
    );
}

/// The first release of an app, as a switch would make it.
fn release(app: &bgctl::model::App) -> Release {
    let pinned = match &app.run.runtime {
        Runtime::Docker(docker) => Resolved::Image {
            reference: docker.image.clone(),
            image: ResolvedImage::Local {
                id: Digest::parse(format!("sha256:{}", "5a".repeat(32))).unwrap(),
            },
        },
        Runtime::Program(program) => Resolved::Program {
            path: program.path.clone(),
            file: None,
        },
    };
    let (id, created) = (ReleaseId::numbered(1), jiff::Timestamp::UNIX_EPOCH);
    Release::new(app, id, created, pinned, BTreeMap::new()).unwrap()
}
