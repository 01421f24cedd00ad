//! The events of a switch, and what comes next after them.
//!
//! The journal is an intent log: an event is on disk before a step runs and after it ended. What comes next depends on
//! the plan and the events alone, so a first run, a run after `kill -9` and a run after a power cut are one code path.
//!
//! ```text
//!                 all steps done
//!   Do(step) ---------------------------> Finished
//!      |  ^ done / failed past the point of no return
//!      |  +--+
//!      | failed before it, or abort
//!      v
//!   Undo(step) -------------------------> Undone
//!      |  every step that may have changed anything, last first
//!      | too many failures
//!      v
//!    Stuck    (a worker that is started again tries again)
//! ```

mod event;
mod next;
mod record;
mod summary;

pub use event::{Baseline, Entry, Event, Failure};
pub use next::{Next, baseline, can_be_rolled_back, next};
pub use record::{Head, Record, VERSION};
pub use summary::{StepState, StepSummary};
