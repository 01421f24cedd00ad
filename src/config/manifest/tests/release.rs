//! A release that is made from a manifest.

use std::collections::BTreeMap;

use super::super::parse;
use super::{EXEC, HEAD, error};
use crate::model::{Artifact, Digest, EnvName, ImageRef, Invalid, Release, ReleaseId, Resolved, ResolvedImage};

fn release(text: &str, pinned: Resolved) -> Result<Release, Invalid> {
    let app = parse(text, "shop.toml").unwrap();
    let name = |name| EnvName::parse(name).unwrap();
    let env_file = BTreeMap::from([(name("A"), "file".to_owned()), (name("B"), "file".to_owned())]);
    Release::new(
        &app,
        ReleaseId::numbered(1),
        jiff::Timestamp::UNIX_EPOCH,
        pinned,
        env_file,
    )
}

#[test]
fn release_takes_the_settings_of_its_app() {
    let more = "memory = \"64M\"\nargs = [\"x\"]\nenv = { A = \"manifest\" }\ncredentials = { db = \"/db\" }\n";
    let image = Resolved::Image {
        reference: ImageRef::parse("shop:2").unwrap(),
        image: ResolvedImage::Local {
            id: Digest::parse(format!("sha256:{}", "0".repeat(64))).unwrap(),
        },
    };
    let made = release(&format!("{HEAD}{more}"), image.clone()).unwrap();
    assert_eq!(made.environment.values().collect::<Vec<_>>(), ["manifest", "file"]);
    assert_eq!(made.arguments, ["x"]);
    let Artifact::Image {
        reference,
        memory,
        credentials,
        ..
    } = &made.artifact
    else {
        panic!("not an image")
    };
    assert_eq!(
        (reference.as_str(), *memory, *credentials),
        ("shop:2", Some(64 << 20), true)
    );
    let program = Resolved::Program {
        path: "/opt/shop".into(),
        file: None,
    };
    let made = release(EXEC, program.clone()).unwrap();
    assert_eq!(made.artifact.to_string(), "/opt/shop");
    assert!(release(EXEC, image).is_err());
    assert!(release(HEAD, program).is_err());
}

#[test]
fn variables_that_no_file_can_carry_are_refused_without_their_value() {
    let long = format!("env = {{ A = \"{}\" }}\n", "a".repeat(64 * 1024));
    let texts = [(EXEC, "env = { A = \"secret\\uFFFE\" }\n"), (HEAD, &long)];
    for (head, tail) in texts {
        let error = error(&format!("{head}{tail}"));
        assert!(error.starts_with("cannot set A in the environment: "), "{error}");
        assert!(!error.contains("secret"), "{error}");
    }
}
