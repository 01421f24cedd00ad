//! `bgctl abort`: roll back the open switch; or take down what is staged.

use crate::model::Hinted;
use crate::ops::abort::{self, Abort};
use crate::ops::context::Context;

use super::args;
use super::follow;
use super::report::{Ends, Exit};
use super::signals::Signals;

/// Has the open switch rolled back by a new worker, or what is staged taken down, and follows that.
pub async fn run(context: &Context, verb: &args::Abort) -> Result<Exit, Ends> {
    context.require_root_on_host("abort")?;
    let opened = match abort::plan(context, &verb.app).await? {
        Abort::Switch(opened) => opened,
        Abort::Staged(planned) => return follow::open(context, *planned, verb.watch).await,
    };
    let why = "the switch gets a worker that rolls it back first";
    let relaunched = Signals::hold()?.finish(abort::relaunch(&opened), why).await;
    relaunched.map_err(|error| {
        let (app, switch) = (&opened.app, &opened.switch);
        let message = format!("cannot tell how switch {switch} of {app} ends; its next worker rolls it back");
        let hinted = Hinted::from(error.wrap_err(message), format!("bgctl resume {app}"));
        Ends::with(Exit::Stuck)(hinted.into())
    })?;
    let is_detached = verb.watch.detach;
    match follow::report(context, &opened, verb.watch).await? {
        Exit::Failed => Ok(Exit::Done),
        // It was done before it could be rolled back.
        Exit::Done if !is_detached => Ok(Exit::Refused),
        other => Ok(other),
    }
}
