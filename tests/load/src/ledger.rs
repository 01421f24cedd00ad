//! Compares the POSTs that were answered with those that the app noted.

use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::path::Path;

use crate::report::LedgerLine;

/// Ids of one run: unique on this machine, and told apart from those of other runs in the same ledger.
#[derive(Clone, Debug)]
pub struct Ids(String);

impl Ids {
    /// For the run that started then, microseconds since 1970.
    pub fn new(started_us: u64) -> Self {
        Self(format!("{started_us:x}.{:x}-", std::process::id()))
    }

    /// The id of the POST with this number.
    pub fn id(&self, number: u64) -> String {
        format!("{}{number}", self.0)
    }

    /// The number of an id, where it is one of this run.
    fn number(&self, id: &str) -> Option<u64> {
        id.strip_prefix(&self.0)?.parse().ok()
    }
}

/// Reads a ledger (lines that start with an id and a blank) and compares; fails where it can't be read.
pub fn compare(path: &Path, ids: &Ids, answered: &HashSet<u64>) -> io::Result<LedgerLine> {
    let mut noted: HashMap<u64, u64> = HashMap::new();
    for line in BufReader::new(File::open(path)?).lines() {
        if let Some(number) = line?.split(' ').next().and_then(|id| ids.number(id)) {
            *noted.entry(number).or_default() += 1;
        }
    }
    let count = |number: usize| u64::try_from(number).unwrap_or(u64::MAX);
    Ok(LedgerLine {
        noted: count(noted.len()),
        lost: count(answered.iter().filter(|number| !noted.contains_key(number)).count()),
        doubled: count(noted.values().filter(|times| **times > 1).count()),
        unanswered: count(noted.keys().filter(|number| !answered.contains(number)).count()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lost_and_doubled_posts_are_found() {
        let ids = Ids::new(7);
        let lines = [(0, "r1"), (1, "r1"), (1, "r2"), (3, "r2")]
            .map(|(number, release)| format!("{} {release}\n", ids.id(number)));
        let path = std::env::temp_dir().join(format!("load-ledger-{}", std::process::id()));
        std::fs::write(&path, lines.concat() + "anotherrun-2 r2\n").unwrap();
        let compared = compare(&path, &ids, &HashSet::from([0, 1, 2]));
        std::fs::remove_file(&path).unwrap();
        assert_eq!(
            compared.unwrap(),
            LedgerLine {
                noted: 3,
                lost: 1,
                doubled: 1,
                unanswered: 1
            }
        );
    }

    #[test]
    fn ledger_that_is_not_there_is_an_error() {
        assert!(compare(Path::new("/nonexistent/ledger"), &Ids::new(1), &HashSet::new()).is_err());
    }
}
