//! What stands in etcd, under any key.

use bgctl::model::{AppName, ByColor, Port, Stored};
use bgctl::store::keys::Keys;

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
    for prefix in ["/", "/bgctl/"] {
        let keys = Keys::below(prefix);
        let numbered = || {
            pairs
                .iter()
                .zip(1..)
                .map(|((key, value), revision)| (*key, *value, revision))
        };
        let whole = keys.sort(numbered());
        for (app, found) in keys.sort_all(numbered()) {
            match keys.read(&app, &found) {
                Ok(Some((cursor, revision))) => {
                    assert!(whole.contains_key(&app));
                    let stored = Stored {
                        cursor,
                        revision: bgctl::model::Revision(revision),
                    };
                    assert_kept(&keys, &app, &stored);
                }
                Ok(None) => assert!(!whole.contains_key(&app)),
                Err(error) => {
                    let error = error.to_string();
                    super::assert_readable(&error);
                    assert!(error.len() < 2000, "{error}");
                }
            }
        }
    }
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
    let revision = stored.revision.0;
    let records = keys.sort(
        pairs
            .iter()
            .map(|(key, value)| (key.as_bytes(), value.as_bytes(), revision)),
    );
    assert_eq!(records.keys().collect::<Vec<_>>(), [app]);
    let read = keys.read(app, &records[app]).unwrap();
    assert_eq!(read, Some((stored.cursor.clone(), revision)));
}
