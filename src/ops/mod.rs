//! The use cases, without a word on how they are shown.
//!
//! * [`context`]: what each of them starts from
//! * [`lock`]: one command at a time changes an app
//! * [`opening`]: from what was asked for to an open switch
//! * [`worker`]: the open switch is carried out
//! * [`machine`]: the engine's effects: what each step does here, and what a repair does
//! * [`instance`]: an instance as a health check sees it
//! * [`program`]: a program of the host as a release runs it; [`sandbox`]: whether its unit can
//! * [`install`]: the files of an app, and what must hold before they are written
//! * [`leftovers`]: what a bgctl that was killed leaves

pub mod context;
pub mod install;
pub mod instance;
pub mod leftovers;
pub mod lock;
pub mod machine;
pub mod opening;
pub mod program;
pub mod sandbox;
pub mod worker;
