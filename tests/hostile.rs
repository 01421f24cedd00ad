//! Hostile input: whatever comes from outside stays in its place, or is refused; see `hostile/mod.rs`.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    reason = "a test ends where something is not as it must be"
)]

#[path = "hostile/mod.rs"]
mod hostile;
#[path = "hostile/values.rs"]
mod values;

use std::path::Path;

use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::TestRunner;

#[test]
fn inputs_that_fuzzers_found_hold() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz/corpus");
    for (name, check) in hostile::ALL {
        let files = std::fs::read_dir(corpus.join(name)).unwrap();
        let inputs: Vec<_> = files.map(|file| std::fs::read(file.unwrap().path()).unwrap()).collect();
        assert!(inputs.len() >= 5, "{name} has {} inputs", inputs.len());
        for input in &inputs {
            check(input);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn manifest_stays_in_its_places(manifest in values::manifest()) {
        hostile::manifest::check(manifest.as_bytes());
    }

    #[test]
    fn release_stays_in_its_environment_file(release in values::release()) {
        hostile::state::check(release.as_bytes());
    }

    #[test]
    fn env_file_means_what_it_means_to_systemd(text in values::env_file()) {
        hostile::env_file::check(text.as_bytes());
    }

    #[test]
    fn keys_in_etcd_are_a_cursor_or_are_told(pairs in values::pairs()) {
        hostile::etcd::check(pairs.as_bytes());
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn answer_is_an_answer_or_an_error(answer in values::answer()) {
        hostile::http::check(answer.as_bytes());
    }

    #[test]
    fn image_is_one_word_and_no_option(image in values::image()) {
        hostile::docker::check(image.as_bytes());
    }
}

#[test]
fn ten_megabytes_in_etcd_are_told_in_a_line() {
    let long = "x".repeat(10 << 20);
    for key in ["instance", "release", "moved-by", "else"] {
        let value = |name: &str, usual: &str| if name == key { long.clone() } else { usual.to_owned() };
        let lines = [
            ("instance", "blue"),
            ("release", "v1"),
            ("moved-by", "host/0001"),
            ("else", ""),
        ];
        let lines = lines.map(|(name, usual)| format!("/shop/{name}\t{}\n", value(name, usual)));
        hostile::etcd::check(lines.concat().as_bytes());
    }
}

#[test]
fn enough_of_what_is_generated_is_taken() {
    let mut runner = TestRunner::deterministic();
    let mut taken = |is_taken: fn(&str) -> bool, values: BoxedStrategy<String>| {
        let value = |_| values.new_tree(&mut runner).unwrap().current();
        (0..200).map(value).filter(|value| is_taken(value)).count()
    };
    let manifest = |text: &str| bgctl::config::manifest::parse(text, "shop.toml").is_ok();
    let release = |text: &str| serde_json::from_str::<bgctl::model::Release>(text).is_ok();
    let env_file = |text: &str| bgctl::config::env_file::parse(text).is_ok_and(|variables| !variables.is_empty());
    let image = |text: &str| bgctl::model::ImageRef::parse(text).is_ok();
    let counts = [
        taken(manifest, values::manifest().boxed()),
        taken(release, values::release().boxed()),
        taken(env_file, values::env_file().boxed()),
        taken(image, values::image().boxed()),
    ];
    assert!(counts.iter().all(|count| (20..200).contains(count)), "{counts:?}");
}
