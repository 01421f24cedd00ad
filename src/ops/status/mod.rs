//! How the apps of this host are.

mod all;
mod one;

pub use all::{Line, all};
pub use one::{ColorStatus, CursorStatus, LeaseStatus, Problem, StagedStatus, Status, SwitchStatus, one};
