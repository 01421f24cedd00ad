//! The companions of a color.

use serde::Serialize;

use crate::drift::CompanionFact;
use crate::host::systemd::UnitState;
use crate::model::{ActiveState, CompanionName, UnitFile};

/// A companion in a color.
#[derive(Debug, Serialize)]
pub struct CompanionStatus {
    /// Its name.
    pub name: CompanionName,
    /// How many of its replicas run.
    pub running: usize,
    /// How many are to run: none in a color that is not active.
    pub wanted: usize,
    /// Since when all that run are up.
    pub since: Option<jiff::Timestamp>,
    /// How often systemd restarted them since they were started, together.
    pub restarts: u32,
    /// Each of them.
    pub replicas: Vec<ReplicaStatus>,
}

/// A replica of a companion.
#[derive(Debug, Serialize)]
pub struct ReplicaStatus {
    /// Its number.
    pub number: u8,
    /// Its unit.
    pub unit: String,
    /// Its unit's state.
    pub state: ActiveState,
    /// Whether it starts at boot.
    pub enabled: bool,
    /// Since when it is up.
    pub since: Option<jiff::Timestamp>,
    /// How often systemd restarted it since it was started.
    pub restarts: u32,
}

/// Those of a color that are to run or do, by name; `seen` is in the order of replicas.
pub(super) fn gather<'a>(
    seen: impl Iterator<Item = (&'a CompanionFact, &'a UnitState)>,
    is_active: bool,
) -> Vec<CompanionStatus> {
    let mut all: Vec<CompanionStatus> = Vec::new();
    for (fact, state) in seen {
        let is_wanted = is_active && fact.is_wanted;
        if !is_wanted && fact.state.is_down() {
            continue;
        }
        let since = state.since.filter(|_| fact.is_up());
        let replica = ReplicaStatus {
            number: fact.replica.number,
            unit: fact.unit.to_string(),
            state: fact.state,
            enabled: fact.unit_file == UnitFile::Enabled,
            since,
            restarts: state.restarts,
        };
        let name = &fact.replica.companion;
        if all.last().is_none_or(|last| last.name != *name) {
            all.push(CompanionStatus {
                name: name.clone(),
                running: 0,
                wanted: 0,
                since: None,
                restarts: 0,
                replicas: Vec::new(),
            });
        }
        if let Some(companion) = all.last_mut() {
            companion.running += usize::from(fact.is_up());
            companion.wanted += usize::from(is_wanted);
            companion.since = companion.since.max(since);
            companion.restarts += state.restarts;
            companion.replicas.push(replica);
        }
    }
    all
}
