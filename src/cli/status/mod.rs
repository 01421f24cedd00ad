//! `bgctl status`: the cursor, the colors, an open switch, and drift.

mod all;
mod one;

use crate::ops::context::{Context, require_root};

use super::args;
use super::report::Exit;

/// One app in full, or all in a line each.
pub async fn run(context: &Context, verb: &args::Status) -> eyre::Result<Exit> {
    // Manifests, journals and the passwords of etcd are root's to read.
    if context.is_host() {
        require_root("status")?;
    }
    match &verb.app {
        Some(app) => one::run(context, context.app(app)?, verb.json).await,
        None => all::run(context, verb.json).await,
    }
}
