//! `bgctl status`: the cursor, the colors, and what differs from what should be.

mod all;
mod one;

use crate::host::machine::PATIENCE;
use crate::store::Store;

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

/// Asks the store; fails where it does not answer soon.
async fn ask<T>(context: &Context, question: impl AsyncFnOnce(Store) -> eyre::Result<T>) -> eyre::Result<T> {
    let settings = context.settings()?.store;
    let ask = async { question(Store::open(&settings, &context.layout.state()).await?).await };
    let answer = tokio::time::timeout(PATIENCE, ask).await;
    answer.unwrap_or_else(|_| Err(eyre::eyre!("the store does not answer within {PATIENCE:?}")))
}
