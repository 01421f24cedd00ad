//! What stands in etcd, under any key.

use std::collections::BTreeSet;

use bgctl::model::{AppName, ByColor, Lease, Port, Revision, Stored};
use bgctl::store::keys::{Found, Key, Keys};

const TAB: u8 = b'\t';

/// A line is a key and its value, with a tab between. What is read as a cursor is written as the very same; what is not is told
/// in a few words.
pub fn check(data: &[u8]) {
    let lines = data.split(|byte| *byte == b'\n');
    let pairs: Vec<_> = lines
        .filter_map(|line| {
            let tab = line.iter().position(|byte| *byte == TAB)?;
            Some((&line[..tab], &line[tab + 1..]))
        })
        .collect();
    for (_, value) in &pairs {
        assert_lease(value);
    }
    for prefix in ["/", "/bgctl/"] {
        let keys = Keys::below(prefix);
        for app in apps(prefix, &pairs) {
            let numbered = pairs.iter().zip(1..).map(|((name, value), revision)| Key {
                name,
                value,
                created: 1 + revision % 2,
                modified: revision,
            });
            let found = Found::of(&keys, &app, numbered);
            match keys.read(&app, &found) {
                Ok(Some((cursor, revision))) => {
                    assert!(found.is_complete());
                    let revision = Revision(revision);
                    assert_kept(&keys, &app, &Stored { cursor, revision });
                }
                Ok(None) => assert!(found.is_empty()),
                Err(error) => {
                    let error = error.to_string();
                    super::assert_readable(&error);
                    assert!(error.len() < 2000, "{error}");
                }
            }
            let (own, others) = found.split(&keys, &app);
            assert!(found.is_ours() || own.is_empty());
            assert!(
                own.iter()
                    .chain(&others)
                    .all(|key| keys.all(&app).any(|known| known == *key))
            );
        }
    }
}

/// The apps that the keys could be of.
fn apps(prefix: &str, pairs: &[(&[u8], &[u8])]) -> BTreeSet<AppName> {
    let app = |key: &[u8]| {
        let (app, _) = std::str::from_utf8(key).ok()?.strip_prefix(prefix)?.split_once('/')?;
        AppName::parse(app).ok()
    };
    pairs.iter().filter_map(|(key, _)| app(key)).collect()
}

/// Whoever has an app is told in one short line, and so is what nobody's bgctl wrote.
fn assert_lease(value: &[u8]) {
    let told = match Lease::parse(value) {
        Ok(lease) => {
            let again = serde_json::to_vec(&lease).unwrap();
            assert_eq!(Lease::parse(&again).unwrap(), lease);
            lease.to_string()
        }
        Err(error) => error.to_string(),
    };
    super::assert_readable(&told);
    assert!(told.len() < 2000 && !told.contains('\n'), "{told}");
}

fn assert_kept(keys: &Keys, app: &AppName, stored: &Stored) {
    let ports = ByColor {
        blue: Port::new(9001).unwrap(),
        green: Port::new(9002).unwrap(),
    };
    let mover = stored.cursor.moved_by.as_deref().unwrap_or_default();
    super::assert_readable(mover);
    assert!(mover.len() <= 256);
    let pairs = keys.write(app, ports, &stored.cursor);
    let written = pairs.iter().map(|(name, value)| Key {
        name: name.as_bytes(),
        value: value.as_bytes(),
        created: 1,
        modified: stored.revision.0,
    });
    let read = keys.read(app, &Found::of(keys, app, written)).unwrap();
    assert_eq!(read, Some((stored.cursor.clone(), stored.revision.0)));
}
