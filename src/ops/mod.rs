//! The use cases, without a word on how they are shown.
//!
//! * [`machine`]: the engine's effects: what each step does here, and what a repair does
//! * [`install`]: the files of an app, and what must hold before they are written
//! * [`leftovers`]: what a bgctl that was killed leaves

pub mod install;
pub mod leftovers;
pub mod machine;
