//! `bgctl status`: the cursor, the colors, and what differs from what should be.

mod all;
mod one;

use super::args;
use super::context::Context;
use super::report::Exit;

/// One app in full, or all in a line each.
pub async fn run(context: &Context, verb: &args::Status) -> eyre::Result<Exit> {
    match &verb.app {
        Some(app) => one::run(context, context.app(app)?, verb.json).await,
        None => all::run(context, verb.json).await,
    }
}
