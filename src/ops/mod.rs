//! The use cases: what the command line, and whatever else drives a host, calls. Nothing here prints: what a use case has to say
//! while it is under way is [`Progress`], and why it was not carried out is an [`Error`].
//!
//! * [`install`], [`uninstall`], [`switch`], [`stage`], [`promote`], [`rollback`], [`abort`], [`resume`], [`follow`], [`status`],
//!   [`repair`], [`probe`]: one each
//! * [`context`]: what each of them starts from; [`installed`]: which apps there are
//! * [`lock`]: one command at a time changes an app; [`opening`]: from what was asked for to an open switch
//! * [`worker`]: the open switch is carried out; `containers`: what an app has in its engine beside what runs
//! * [`machine`]: the engine's effects: what each step does here, and what a repair does
//! * [`visitors`]: what keeps visitors from a site
//! * [`instance`]: an instance as a health check sees it
//! * [`program`]: a program of the host as a release runs it; [`sandbox`]: whether its unit can

pub mod abort;
pub mod confirm;
mod containers;
pub mod context;
mod error;
pub mod follow;
pub mod install;
pub mod installed;
pub mod instance;
mod leftovers;
pub mod lock;
pub mod machine;
pub mod opening;
pub mod probe;
pub mod program;
mod progress;
pub mod promote;
pub mod repair;
pub mod resume;
pub mod rollback;
pub mod sandbox;
pub mod stage;
pub mod status;
pub mod switch;
pub mod uninstall;
pub mod visitors;
pub mod worker;

pub use error::Error;
pub use progress::Progress;
