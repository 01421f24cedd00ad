//! `bgctl migrate`: what `bgctl install` does for an app of bgctl 0.1.0, as far as an open switch needs it.

use crate::ops::context::Context;
use crate::ops::install;

use super::args;
use super::report::{Ends, Exit};

/// Puts the route and the site in place.
pub async fn run(context: &Context, verb: &args::Migrate) -> Result<Exit, Ends> {
    context.require_root_on_host("migrate")?;
    install::migrate(context, &verb.app).await?;
    Ok(Exit::Done)
}
