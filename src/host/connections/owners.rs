//! Whose the connections are that a drain sees. To find the process that has a socket takes a look at the open files of every
//! process, so it is asked rarely: once for each connection that stays.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use super::Holder;
use crate::host::process;

/// How long after the start of a drain, and after a search, it is searched for the owners of connections that are there:
/// most are gone by then, the ones that nginx keeps for the next request after 200 ms.
const SEARCH: Duration = Duration::from_millis(250);

/// A search that takes long waits this many times as long for the next one; searching must not become the load.
const REST: u32 = 20;

/// The owners of the sockets that are there, as far as they are known. One that is not known counts.
pub(super) struct Owners<C> {
    /// Whether the connections of a process count.
    counts: C,
    known: BTreeMap<u64, Owner>,
    /// The processes whose connections do not count that were found by now.
    others: BTreeSet<u32>,
    next_search: Instant,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Owner {
    Counted,
    Other(u32),
}

impl<C: Fn(u32) -> bool> Owners<C> {
    /// Of a drain that begins now.
    pub fn new(counts: C) -> Self {
        Self {
            counts,
            known: BTreeMap::new(),
            others: BTreeSet::new(),
            next_search: Instant::now() + SEARCH,
        }
    }

    /// How many of the sockets that are there count.
    pub async fn count(&mut self, sockets: &BTreeSet<u64>) -> usize {
        self.known.retain(|inode, _| sockets.contains(inode));
        self.ask_others(sockets);
        if !self.unknown(sockets).is_empty() && Instant::now() >= self.next_search {
            self.search(sockets).await;
        }
        let is_other = |inode| matches!(self.known.get(inode), Some(Owner::Other(_)));
        sockets.iter().filter(|inode| !is_other(inode)).count()
    }

    fn unknown(&self, sockets: &BTreeSet<u64>) -> BTreeSet<u64> {
        sockets
            .iter()
            .copied()
            .filter(|inode| !self.known.contains_key(inode))
            .collect()
    }

    /// Who had connections before may have new ones, too short to be found by a search.
    fn ask_others(&mut self, sockets: &BTreeSet<u64>) {
        let mut unknown = self.unknown(sockets);
        for process in &self.others {
            // The id may be another process's by now.
            if unknown.is_empty() || (self.counts)(*process) {
                continue;
            }
            let theirs = process::sockets(*process).filter(|inode| unknown.remove(inode));
            self.known.extend(theirs.map(|inode| (inode, Owner::Other(*process))));
        }
    }

    /// Several processes can have a socket: it counts where it does for one of them.
    async fn search(&mut self, sockets: &BTreeSet<u64>) {
        let began = Instant::now();
        let unknown = self.unknown(sockets);
        let found = tokio::task::spawn_blocking(move || process::owners(&unknown)).await;
        for (inode, process) in found.unwrap_or_default() {
            let owner = if (self.counts)(process) {
                Owner::Counted
            } else {
                self.others.insert(process);
                Owner::Other(process)
            };
            if self.known.get(&inode) != Some(&Owner::Counted) {
                self.known.insert(inode, owner);
            }
        }
        self.next_search = Instant::now() + SEARCH.max(began.elapsed() * REST);
    }

    /// Who has connections that do not count.
    pub fn holders(&self) -> Vec<Holder> {
        let mut holders = BTreeMap::<u32, usize>::new();
        for owner in self.known.values() {
            if let Owner::Other(process) = owner {
                *holders.entry(*process).or_default() += 1;
            }
        }
        let holder = |(process, connections)| Holder {
            process,
            name: process::name(process).unwrap_or_default(),
            connections,
        };
        holders.into_iter().map(holder).collect()
    }
}
