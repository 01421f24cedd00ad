//! `bgctl confirm`: keep a release that waits to be confirmed.

use crate::ops::confirm;
use crate::ops::context::Context;

use super::args;
use super::follow;
use super::report::{Ends, Exit};

/// Confirms it, and follows the switch to its end.
pub async fn run(context: &Context, verb: &args::Confirm) -> Result<Exit, Ends> {
    context.require_root_on_host("confirm")?;
    let opened = confirm::request(context, &verb.app).await?;
    follow::report(context, &opened, verb.watch).await
}
