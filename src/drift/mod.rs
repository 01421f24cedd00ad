//! What differs on a host from what should be, and what puts it right.
//!
//! Where the facts contradict each other, users decide: the color that answers them stays, whatever the cursor says. Only
//! where none answers do the others count, in this order:
//!
//! 1. the color that the route leads to, where it is up
//! 2. the color that the cursor says, where this host moved it there (also where the store does not know that yet), and it is
//!    up or can start; none, where route and cursor say so
//! 3. the color that the route leads to, where it is enabled for boot and can start
//! 4. a color that is up, rather one that is enabled
//! 5. a color that is enabled and can start
//! 6. the color that the route leads to, where it can start; else none
//!
//! A release that is only staged in a color does not count in 4 and 5: it takes traffic when it is promoted.

mod companions;
mod difference;
mod facts;
mod staged;

use std::fmt;
use std::time::Duration;

use camino::Utf8PathBuf;

pub use self::difference::{Difference, differences};
pub use self::facts::{
    ColorFacts, CompanionFact, ContainerFact, CursorFact, Damaged, DeferredFact, Facts, FileFact, FileState, Pin,
    StagedFact, SwitchFact,
};
use crate::model::{Color, Cursor, ReleaseId, Replica, Route, UnitFile, UnitName, in_words};

/// One thing that puts a difference right. Can be done twice. In the order in which they are done: what serves comes up
/// before anything moves, and what is in the way goes last.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Repair {
    /// Give up the open switch, whose journal cannot be read.
    GiveUpSwitch,
    /// Put a damaged file out of the way.
    SetAside(Utf8PathBuf),
    /// Make a route, where there is none, to where nginx sends requests without.
    MakeRoute(Route),
    /// Let a unit be started again.
    Unmask(UnitName),
    /// Write the units and the site as install would, and make systemd and nginx take them up.
    Write,
    /// Make a release what a color runs from its next start on.
    Pin(Color, Option<ReleaseId>),
    /// Stop a color beside which none may run.
    Clear(Color),
    /// Start a color, and wait until it is healthy.
    Start(Color),
    /// Start a color at boot.
    Enable(Color),
    /// Send all new requests elsewhere.
    Route(Route),
    /// Make the cursor say this.
    Cursor(Option<Color>, Option<ReleaseId>),
    /// Tell the store what this host did while it was away.
    Publish,
    /// Remove from the record that a release is staged.
    Unstage,
    /// Do not start a color at boot.
    Disable(Color),
    /// Wait until a color has no request left.
    Drain(Color, Duration),
    /// Stop a color.
    Stop(Color),
    /// Stop companions of a color, which do not start at boot any more. Before others start: two generations of one must not run.
    StopCompanions(Color, Vec<Replica>),
    /// Start those companions of a color that its release has, now and at boot.
    StartCompanions(Color),
}

impl Repair {
    /// Whether it must not be done after those that failed.
    pub fn is_barred_by(&self, failed: &[Self]) -> bool {
        match self {
            Self::Route(_) | Self::Cursor(..) | Self::Publish => failed
                .iter()
                .any(|repair| matches!(repair, Self::MakeRoute(_) | Self::Pin(..) | Self::Start(_))),
            Self::Start(_) => failed.iter().any(|repair| matches!(repair, Self::Clear(_))),
            // Nothing is taken away as long as anything is wrong.
            Self::Unstage | Self::Disable(_) | Self::Drain(..) | Self::Stop(_) => !failed.is_empty(),
            Self::StartCompanions(color) => failed.iter().any(|repair| match repair {
                Self::Pin(of, _) => of == color,
                repair => matches!(repair, Self::Write | Self::StopCompanions(..)),
            }),
            _ => false,
        }
    }
}

impl fmt::Display for Repair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let none = || "nothing".to_owned();
        match self {
            Self::GiveUpSwitch => write!(f, "give up the open switch"),
            Self::SetAside(path) => write!(f, "put {path} aside"),
            Self::MakeRoute(route) => write!(f, "make a route to {route}"),
            Self::Unmask(unit) => write!(f, "unmask {unit}"),
            Self::Write => write!(f, "write the units and the site"),
            Self::Pin(color, release) => {
                let release = release.as_ref().map_or_else(none, ReleaseId::to_string);
                write!(f, "pin {release} to {color}")
            }
            Self::Clear(color) => write!(f, "stop {color}, beside which none may run"),
            Self::Start(color) => write!(f, "start {color} and wait until it is healthy"),
            Self::Enable(color) => write!(f, "enable {color} for boot"),
            Self::Route(route) => write!(f, "route requests to {route}"),
            Self::Cursor(color, release) => {
                let release = release
                    .as_ref()
                    .map(|release| format!(" with {release}"))
                    .unwrap_or_default();
                write!(f, "make the cursor say {}{release}", Color::or_none(*color))
            }
            Self::Publish => write!(f, "tell the store what this host did without it"),
            Self::Unstage => write!(f, "forget what is staged"),
            Self::Disable(color) => write!(f, "disable {color} for boot"),
            Self::Drain(color, _) => write!(f, "drain {color}"),
            Self::Stop(color) => write!(f, "stop {color}"),
            Self::StopCompanions(color, replicas) => write!(f, "stop companions of {color}: {}", in_words(replicas)),
            Self::StartCompanions(color) => write!(f, "start the companions of {color}"),
        }
    }
}

/// What puts all of them right, in order.
pub fn repairs(differences: &[Difference]) -> Vec<Repair> {
    let mut repairs: Vec<_> = differences.iter().flat_map(|each| each.repairs.clone()).collect();
    repairs.sort();
    repairs.dedup();
    repairs
}

/// The color that is to serve; see the head of this module.
pub fn serving(facts: &Facts) -> Option<Color> {
    let color = |color: Color| facts.colors.get(color);
    let can_start = |color: &Color| facts.colors.get(*color).is_up() || release(facts, *color).is_some();
    if let Some(answers) = facts.route.color().filter(|route| color(*route).is_up()) {
        return Some(answers);
    }
    let mut own = cursors(facts)
        .filter(|cursor| is_own(facts, cursor))
        .map(|cursor| cursor.active)
        .peekable();
    // Nothing was ever switched, or somebody wants it to look so.
    if facts.route == Route::None && own.peek() == Some(&None) {
        return None;
    }
    if let Some(says) = own.flatten().find(can_start) {
        return Some(says);
    }
    let is_enabled = |each: &Color| color(*each).unit_file == UnitFile::Enabled;
    let is_up = |each: &Color| color(*each).is_up();
    let routed = facts.route.color().filter(can_start);
    let is_staged = |each: &Color| staged::within(facts, *each).is_some();
    let first = |has: &dyn Fn(&Color) -> bool| Color::BOTH.into_iter().find(|each| !is_staged(each) && has(each));
    routed
        .filter(is_enabled)
        .or_else(|| first(&|each| is_up(each) && is_enabled(each)))
        .or_else(|| first(&is_up))
        .or_else(|| first(&|each| can_start(each) && is_enabled(each)))
        .or(routed)
}

/// The cursor, the last word first: what the store does not know yet, and what it says.
fn cursors(facts: &Facts) -> impl Iterator<Item = &Cursor> {
    let stored = match &facts.cursor {
        CursorFact::Is(stored) => Some(&stored.cursor),
        CursorFact::Missing | CursorFact::Broken(_) | CursorFact::Unknown { .. } => None,
    };
    let deferred = facts.deferred.as_ref().map(|deferred| &deferred.cursor);
    deferred.into_iter().chain(stored)
}

/// Whether a cursor is where this host moved it, or nobody says who did.
fn is_own(facts: &Facts, cursor: &Cursor) -> bool {
    cursor.moved_by.as_deref().is_none_or(|by| facts.host.wrote(by))
}

/// The release that a color is to run: what it runs where it is up, else what is pinned to it, else what other witnesses say.
fn release(facts: &Facts, color: Color) -> Option<ReleaseId> {
    let here = facts.colors.get(color);
    let on_record = |id: &&ReleaseId| facts.known.contains(id);
    let pinned = match &here.pinned {
        Pin::Release(id) => Some(id),
        Pin::Nothing | Pin::Broken(_) => None,
    };
    let running = here.running.as_ref().filter(|_| here.is_up()).filter(on_record);
    let mut said = cursors(facts)
        .filter(|cursor| cursor.active == Some(color))
        .filter_map(|cursor| cursor.release.as_ref());
    running.or(pinned).or_else(|| said.find(on_record)).cloned()
}
