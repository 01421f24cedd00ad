//! `bgctl switch`: make a new release active.

use crate::ops::context::Context;
use crate::ops::switch;
use crate::ops::{Error, resume};

use super::args;
use super::follow;
use super::pull::Pulls;
use super::report::{Ends, Exit};

/// Plans it, and lets the worker do it.
pub async fn run(context: &Context, verb: args::Switch) -> Result<Exit, Ends> {
    context.require_root_on_host("switch")?;
    if verb.follow {
        let Some(opened) = resume::find(context, &verb.app).await? else {
            let hint = format!("what runs now: bgctl status {}", verb.app);
            let message = format!("cannot follow: no switch of {} is open", verb.app);
            return Err(Error::refused(message, hint).into());
        };
        return follow::report(context, &opened, verb.watch).await;
    }
    let mut wanted: switch::Wanted = verb.wanted.into();
    wanted.confirm_within = verb.confirm.within();
    let mut pulls = Pulls::new();
    let planned = switch::plan(context, &verb.app, wanted, &mut |progress| pulls.show(&progress)).await;
    pulls.clear();
    follow::open(context, planned?, verb.watch).await
}
