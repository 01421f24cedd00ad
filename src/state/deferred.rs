//! Promotes that the store does not know of yet, since it was away: `deferred.json`.

use camino::{Utf8Path, Utf8PathBuf};
use serde::{Deserialize, Serialize};

use crate::files;
use crate::host::layout::Layout;
use crate::model::{AppName, Cursor, HostId, Revision, StateError, Stored, sealed};

/// The version of the file.
pub const VERSION: u32 = 2;

/// What the store is to learn.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deferred {
    /// The revision that this host last knew the cursor at, before the first of them; 0 where it knew none.
    pub expected: Revision,
    /// What the cursor is to say, the last one at the end.
    pub moves: Vec<Cursor>,
    /// When the last one was made.
    pub at: jiff::Timestamp,
}

impl Deferred {
    /// What the cursor says here, at the revision that the store is to have still.
    pub fn stored(&self) -> Option<Stored> {
        let cursor = self.moves.last()?.clone();
        let revision = self.expected;
        Some(Stored { cursor, revision })
    }

    /// Whether the store's cursor may be moved to the last of them: nobody but this `host` has moved it since.
    pub fn may_move(&self, there: &Stored, host: &HostId) -> bool {
        let is_own = there.cursor.moved_by.as_deref().is_some_and(|by| host.wrote(by));
        there.revision == self.expected || is_own
    }
}

/// The file of an app.
#[derive(Clone, Debug)]
pub struct Journal {
    app: AppName,
    path: Utf8PathBuf,
}

impl Journal {
    /// That of `app`.
    pub fn new(layout: &Layout, app: &AppName) -> Self {
        Self {
            app: app.clone(),
            path: layout.deferred(app),
        }
    }

    /// What is there; none where the store knows all. Fails where the file cannot be read.
    pub fn read(&self) -> Result<Option<Deferred>, StateError> {
        let Some(bytes) = files::read_bytes(&self.path)? else {
            return Ok(None);
        };
        sealed::read_record(&bytes, VERSION).map_err(|error| error.at(&self.path, &self.app))
    }

    /// Where.
    pub fn path(&self) -> &Utf8Path {
        &self.path
    }

    /// Adds a move; one that is there already is not added again.
    pub fn push(&self, expected: Revision, cursor: Cursor) -> eyre::Result<()> {
        let at = jiff::Timestamp::now();
        let mut deferred = self.read()?.unwrap_or(Deferred {
            expected,
            moves: Vec::new(),
            at,
        });
        if deferred.moves.last() == Some(&cursor) {
            return Ok(());
        }
        deferred.moves.push(cursor);
        self.write(&Deferred { at, ..deferred })
    }

    /// Removes the last move, if it was made by `holder`.
    pub fn pop(&self, holder: &str) -> eyre::Result<()> {
        let Some(mut deferred) = self.read()? else {
            return Ok(());
        };
        if deferred.moves.last().and_then(|last| last.moved_by.as_deref()) != Some(holder) {
            return Ok(());
        }
        deferred.moves.pop();
        if deferred.moves.is_empty() {
            return self.clear();
        }
        self.write(&deferred)
    }

    /// The store knows all.
    pub fn clear(&self) -> eyre::Result<()> {
        files::remove(&self.path).map(drop)
    }

    fn write(&self, deferred: &Deferred) -> eyre::Result<()> {
        files::write(&self.path, sealed::record(deferred, VERSION)?, 0o644)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Color, ReleaseId};

    fn cursor(color: Color, by: &str) -> Cursor {
        Cursor {
            active: Some(color),
            release: Some(ReleaseId::numbered(1)),
            moved_by: Some(by.to_owned()),
        }
    }

    #[test]
    fn moves_are_taken_back_last_first_and_only_by_who_made_them() {
        let dir = tempfile::tempdir().unwrap();
        let layout = Layout::new(Utf8PathBuf::try_from(dir.path().to_owned()).unwrap());
        let app = AppName::parse("shop").unwrap();
        files::make_dirs(&layout.app(&app)).unwrap();
        let journal = Journal::new(&layout, &app);
        assert_eq!(journal.read().unwrap(), None);
        let (blue, green) = (cursor(Color::Blue, "host/0008"), cursor(Color::Green, "host/0009"));
        for moved in [&blue, &blue, &green, &green] {
            journal
                .push(Revision(if *moved == blue { 12 } else { 13 }), moved.clone())
                .unwrap();
        }
        let found = journal.read().unwrap().unwrap();
        assert_eq!(
            (found.expected, &found.moves),
            (Revision(12), &vec![blue.clone(), green])
        );
        journal.pop("host/0008").unwrap();
        assert_eq!(journal.read().unwrap(), Some(found));
        journal.pop("host/0009").unwrap();
        let stored = journal.read().unwrap().unwrap().stored();
        assert_eq!(
            stored,
            Some(Stored {
                cursor: blue,
                revision: Revision(12)
            })
        );
        journal.pop("host/0008").unwrap();
        assert_eq!(journal.read().unwrap(), None);
    }

    #[test]
    fn cursor_that_another_host_moved_stays() {
        let deferred = Deferred {
            expected: Revision(12),
            moves: vec![cursor(Color::Blue, "host-1/0008")],
            at: jiff::Timestamp::UNIX_EPOCH,
        };
        let there = |revision, by: &str| Stored {
            cursor: cursor(Color::Green, by),
            revision: Revision(revision),
        };
        let host = HostId {
            id: "host-1".to_owned(),
            earlier: "host-old".to_owned(),
        };
        let may_move = |there| deferred.may_move(&there, &host);
        assert!(may_move(there(12, "elsewhere/0003")), "as this host knew it");
        assert!(may_move(there(14, "host-1/0007")), "this host's own move");
        assert!(may_move(there(14, "host-old/0007")), "its own before an upgrade");
        assert!(!may_move(there(14, "elsewhere/0004")));
        assert!(!may_move(there(14, "host-10/0007")));
    }
}
