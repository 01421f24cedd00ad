//! The use cases, without a word on how they are shown.
//!
//! * [`context`]: what each of them starts from
//! * [`lock`]: one command at a time changes an app
//! * [`opening`]: from what was asked for to an open switch
//! * [`worker`]: the open switch is carried out
//! * [`machine`]: the engine's effects: what each step does here, and what a repair does
//! * [`install`]: the files of an app, and what must hold before they are written
//! * [`visitors`]: what keeps visitors from a site
//! * [`leftovers`]: what a bgctl that was killed leaves

pub mod context;
pub mod install;
pub mod leftovers;
pub mod lock;
pub mod machine;
pub mod opening;
pub mod visitors;
pub mod worker;
