//! How the apps of this host are.

mod all;
mod companions;
mod one;

pub use all::{Line, all};
pub use companions::{CompanionStatus, ReplicaStatus};
pub use one::{ColorStatus, CursorStatus, LeaseStatus, Problem, StagedStatus, Status, SwitchStatus, one};
