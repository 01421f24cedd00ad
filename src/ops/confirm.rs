//! Confirming the release of a switch that waits for a person.

use crate::host::systemd::Systemd;
use crate::journal::{Event, Record};
use crate::model::AppName;
use crate::plan::Step;
use crate::state::switches::{Request, Switches};

use super::Error;
use super::context::Context;
use super::opening::Opened;

/// Writes down that the release of the open switch of `app` stays; its worker reads it. Errors where none is open, or it does not
/// wait for that, or its release takes no traffic yet, or no more.
pub async fn request(context: &Context, app: &AppName) -> Result<Opened, Error> {
    context.require_installed(app)?;
    let switches = Switches::new(&context.layout, app);
    let Some(switch) = switches.open_id()? else {
        let message = format!("cannot confirm: no switch of {app} is open");
        return Err(Error::refused(message, format!("what runs now: bgctl status {app}")));
    };
    let record = switches.read(&switch)?;
    if let Some(why) = why_not(&record) {
        let message = format!("cannot confirm switch {switch} of {app}: {why}");
        return Err(Error::refused(
            message,
            format!("follow it: bgctl switch {app} --follow"),
        ));
    }
    let systemd = Systemd::connect().await?;
    switches.request(&switch, Request::Confirm)?;
    let app = app.clone();
    Ok(Opened { app, switch, systemd })
}

/// Why no person can judge its release now; `None` where one can.
fn why_not(record: &Record) -> Option<&'static str> {
    let steps = &record.head.plan.steps;
    let position = |wanted: fn(&Step) -> bool| steps.iter().position(|planned| wanted(&planned.step));
    if position(|step| matches!(step, Step::Await { .. })).is_none() {
        return Some("it was begun without --confirm-within, and waits for nobody");
    }
    let goes_back = |event: &Event| matches!(event, Event::AbortRequested | Event::UndoStarted { .. });
    if record.events().any(goes_back) {
        return Some("it is being rolled back");
    }
    let route = position(|step| matches!(step, Step::Route { .. }));
    let routed = |event: &Event| matches!(event, Event::Done { step, .. } if Some(*step) == route);
    (!record.events().any(routed)).then_some("its release takes no traffic yet")
}
