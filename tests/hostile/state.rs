//! What stands on the host's disk: releases, journals, environment files, seals.

use bgctl::config::manifest;
use bgctl::journal::Record;
use bgctl::model::{App, Known, Release, sealed};
use bgctl::render::seal;
use bgctl::state::deferred::{self, Deferred};
use bgctl::state::{known, pins};

use super::rendered;

/// The release's own kind of app.
fn apps() -> [App; 2] {
    let app = |run: &str| manifest::parse(&format!("name = \"shop\"\n[run]\n{run}\n"), "shop.toml").unwrap();
    [
        app("image = \"shop:1\"\ncontainer_port = 8080"),
        app("exec = \"/opt/shop\""),
    ]
}

/// A release that can be read can be run, or is refused: nothing of it gets out of the environment file. A journal says what
/// comes next, whatever it tells.
pub fn check(data: &[u8]) {
    if let Ok(release) = serde_json::from_slice::<Release>(data) {
        let again = serde_json::to_vec(&release).unwrap();
        assert_eq!(serde_json::from_slice::<Release>(&again).unwrap(), release);
        for app in apps() {
            rendered::assert_environments(&app, &release);
        }
    }
    match Record::parse(data) {
        Ok((record, whole)) => assert_journal(data, &record, whole),
        Err(error) => assert!(!error.to_string().is_empty()),
    }
    if let Ok(known) = sealed::read_record::<Known>(data, known::VERSION) {
        let again = sealed::record(&known, known::VERSION).unwrap();
        assert_eq!(
            sealed::read_record::<Known>(again.as_bytes(), known::VERSION).unwrap(),
            known
        );
    }
    if let Ok(deferred) = sealed::read_record::<Deferred>(data, deferred::VERSION) {
        let again = sealed::record(&deferred, deferred::VERSION).unwrap();
        assert_eq!(
            sealed::read_record::<Deferred>(again.as_bytes(), deferred::VERSION).unwrap(),
            deferred
        );
        assert_eq!(deferred.stored().is_some(), !deferred.moves.is_empty());
    }
    if let Ok(text) = std::str::from_utf8(data) {
        if let Ok(release) = pins::of_0_1_0(data) {
            assert!(sealed::without_sum(text).starts_with(&format!("BGCTL_RELEASE={release}")));
        }
        if let seal::Seal::Intact(app) | seal::Seal::Edited(app) = seal::check(text) {
            assert!(text.contains(&format!("# bgctl {app} sha256:")));
        }
        let _ = (seal::is_support(text), seal::is_intact_support(text));
    }
}

fn assert_journal(data: &[u8], record: &Record, whole: usize) {
    assert!(whole <= data.len() && data[..whole].ends_with(b"\n"));
    let (_, _, _) = (record.next(), record.can_be_rolled_back(), record.last());
    let lines = std::iter::once(sealed::line(&record.head).unwrap())
        .chain(record.entries.iter().map(|entry| sealed::line(entry).unwrap()));
    let text: String = lines.collect();
    assert_eq!(Record::parse(text.as_bytes()).unwrap(), (record.clone(), text.len()));
}
