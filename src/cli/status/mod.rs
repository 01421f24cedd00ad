//! `bgctl status`: the cursor, the colors, an open switch, and drift.

mod all;
mod one;

use crate::ops::context::{Context, require_root};
use crate::ops::status;

use super::args;
use super::output;
use super::report::{Ends, Exit};

/// One app in full, or all in a line each.
pub async fn run(context: &Context, verb: &args::Status) -> Result<Exit, Ends> {
    // Manifests, journals and the passwords of etcd are root's to read.
    if context.is_host() {
        require_root("status")?;
    }
    if let Some(app) = &verb.app {
        let status = status::one(context, app).await?;
        if verb.json {
            output::json(&status)?;
        } else {
            one::show(&status);
        }
    } else {
        let lines = status::all(context, &mut output::warn).await?;
        if verb.json {
            output::json(&lines)?;
        } else {
            all::show(&lines);
        }
    }
    Ok(Exit::Done)
}
