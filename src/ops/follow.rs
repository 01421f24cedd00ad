//! Following a switch: the worker writes its journal, and this reads it.

use std::time::{Duration, Instant};

use crate::engine::Outcome;
use crate::host::systemd::{Systemd, UnitState};
use crate::journal::{self, Next, Record};
use crate::model::{AppName, Hinted, SwitchId, UnitName};
use crate::state::switches::Switches;

use super::Error;
use super::context::Context;
use super::opening::Opened;

/// The time between two readings of the journal, while steps follow each other and while one takes its time.
const READ: std::ops::RangeInclusive<Duration> = Duration::from_millis(2)..=Duration::from_millis(50);
/// Within that it is this part of the time since the journal last grew.
const PAUSE_PART: u32 = 16;
/// How often it is asked whether a silent worker still lives.
const ALIVE: Duration = Duration::from_millis(500);
/// How long it may be away: an abort and a restart by systemd take it away for a moment, on a busy host a long one.
const AWAY: Duration = Duration::from_secs(10);
/// How often in a row it may end without a decision before whoever follows is told.
const CRASHES: u32 = 3;

/// How a switch that was followed ended.
#[derive(Debug)]
pub enum Followed {
    /// So.
    Ended(Box<Record>, Outcome),
    /// It was closed before it began, and nothing was changed.
    Unbegun,
}

/// What is seen of a switch that is followed.
#[derive(Debug)]
pub enum Event<'a> {
    /// Its journal was read.
    Read(&'a Record),
    /// Its worker ends again and again before it gets anything done, and is started again. Told once.
    Crashing {
        /// The switch.
        record: &'a Record,
        /// How often in a row.
        times: u32,
    },
}

/// The switch as it is now. Errors where its journal cannot be read.
pub fn read(context: &Context, opened: &Opened) -> Result<Record, Error> {
    Ok(Switches::new(&context.layout, &opened.app).read(&opened.switch)?)
}

/// Reads the journal until the switch ended and its worker let go of it. Errors where it cannot be told how it ends; it may end well
/// all the same.
pub async fn follow(context: &Context, opened: &Opened, tell: &mut dyn FnMut(Event<'_>)) -> eyre::Result<Followed> {
    let Opened { app, switch: id, .. } = opened;
    let switches = Switches::new(&context.layout, app);
    let mut systemd = opened.systemd.clone();
    let worker = UnitName::switch(app);
    let mut asked = Instant::now();
    let mut away = None;
    let mut crashes = Crashes::default();
    let (mut entries, mut grown) = (0, Instant::now());
    loop {
        // The link is read before the journal: once it is gone, the journal is complete.
        let is_open = switches.open_id()?.as_ref() == Some(id);
        let record = switches.read(id)?;
        tell(Event::Read(&record));
        match (record.next(), is_open) {
            (Next::Finished, false) => return Ok(Followed::Ended(Box::new(record), Outcome::Done)),
            (Next::Undone, false) => return Ok(Followed::Ended(Box::new(record), Outcome::RolledBack)),
            (_, false) => return Ok(Followed::Unbegun),
            (next, true) if asked.elapsed() > ALIVE => {
                asked = Instant::now();
                // A bus that was restarted has closed every connection, and a switch continues all the same.
                if systemd.is_cut_off()
                    && let Ok(again) = Systemd::connect().await
                {
                    systemd = again;
                }
                let state = systemd.state(&worker).await;
                if let Ok(state) = &state {
                    crashes.count(state, &record, tell);
                }
                let is_down = state.map(|state| state.active.is_down());
                if matches!(is_down, Ok(false)) || switches.read(id)? != record {
                    away = None;
                    continue;
                }
                if is_down.is_ok() && matches!(next, Next::Stuck { .. }) {
                    return Ok(Followed::Ended(Box::new(record), Outcome::Stuck));
                }
                let is_over = away.get_or_insert_with(Instant::now).elapsed() > AWAY;
                if is_over && switches.open_id()?.as_ref() == Some(id) {
                    return Err(match is_down {
                        Ok(_) => stopped(app, id),
                        Err(error) => lost_sight(error, app, id),
                    });
                }
            }
            _ => {}
        }
        if record.entries.len() != entries {
            (entries, grown) = (record.entries.len(), Instant::now());
        }
        tokio::time::sleep((grown.elapsed() / PAUSE_PART).clamp(*READ.start(), *READ.end())).await;
    }
}

/// A worker that ends again and again before it gets anything on record, as on a full disk.
#[derive(Debug, Default)]
struct Crashes {
    /// How often it had been started again, and how long the journal was, when that last grew.
    grown: Option<(u32, usize)>,
    are_told: bool,
}

impl Crashes {
    /// Counts, and tells it once.
    fn count(&mut self, worker: &UnitState, record: &Record, tell: &mut dyn FnMut(Event<'_>)) {
        // That a worker begins is nothing that it got done.
        let done = record
            .events()
            .filter(|event| !matches!(event, journal::Event::Resumed { .. }));
        let entries = done.count();
        let (before, length) = *self.grown.get_or_insert((worker.restarts, entries));
        if length != entries {
            self.grown = Some((worker.restarts, entries));
        } else if !self.are_told && worker.restarts >= before + CRASHES {
            let times = worker.restarts - before;
            tell(Event::Crashing { record, times });
            self.are_told = true;
        }
    }
}

fn stopped(app: &AppName, id: &SwitchId) -> eyre::Report {
    let unit = UnitName::switch(app);
    let message = format!("switch {id} of {app} is not finished, and its worker {unit} does not run");
    let hint = format!("resume it: bgctl resume {app}; or roll it back: bgctl abort {app}");
    Hinted::new(message, hint).into()
}

fn lost_sight(error: eyre::Report, app: &AppName, id: &SwitchId) -> eyre::Report {
    let hint = format!("its worker continues where it can; follow it again: bgctl switch {app} --follow");
    Hinted::from(
        error.wrap_err(format!("cannot tell how switch {id} of {app} ends")),
        hint,
    )
    .into()
}
