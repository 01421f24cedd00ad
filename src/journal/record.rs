//! A switch as it stands on disk: a line for its plan, a line for each event.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::model::{OpenSwitch, ReleaseId, Unreadable, sealed};
use crate::plan::{self, Plan, Step};

use super::{Entry, Event, Next, can_be_rolled_back, next};

/// The version of a journal. In 2 and 1 the steps of a plan left settings to the manifest ([`Record::is_of_0_1_0`]).
pub const VERSION: u32 = 3;

/// A switch: its plan and what happened to it so far.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// When it was opened, and its plan.
    pub head: Head,
    /// What happened, oldest first.
    pub entries: Vec<Entry>,
}

/// The first line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Head {
    /// [`VERSION`], or the one of the bgctl that opened the switch.
    pub version: u32,
    /// When the switch was opened.
    pub opened: jiff::Timestamp,
    /// What it is to do.
    pub plan: Plan,
}

impl Record {
    /// The switch as the open one.
    pub fn as_open(&self) -> OpenSwitch {
        OpenSwitch {
            id: self.head.plan.switch.clone(),
            release: self.head.plan.release.clone(),
            since: self.head.opened,
        }
    }

    /// Reads a journal, and says how many of its bytes are whole lines: a power cut can leave half a line at the end,
    /// of an event that nothing was based on. Fails where any other line cannot be read, or is not as it was written.
    pub fn parse(bytes: &[u8]) -> Result<(Self, usize), Unreadable> {
        // The cut can go through a character: only whole lines are looked at as text.
        let whole = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
        let text = std::str::from_utf8(bytes.get(..whole).unwrap_or_default());
        let text = text.map_err(|error| Unreadable::Damaged(format!("it is not text: {error}")))?;
        let mut lines = text.lines().enumerate();
        let (_, first) = lines
            .next()
            .ok_or_else(|| Unreadable::Damaged("it has no plan".to_owned()))?;
        let version = sealed::version(first)
            .map_err(|error| at(0, error))?
            .unwrap_or_default();
        let head: Head = read_line(0, first, version, upgrade)?;
        let entries = lines
            .map(|(index, line)| read_line(index, line, version, |entry, _| entry))
            .collect::<Result<_, _>>()?;
        Ok((Self { head, entries }, whole))
    }

    /// Whether bgctl 0.1.0 opened the switch: its plan has to be completed before it is carried on with ([`Plan::complete`]).
    pub fn is_of_0_1_0(&self) -> bool {
        self.head.version < 3
    }

    /// The events, without their times.
    pub fn events(&self) -> impl Iterator<Item = &Event> {
        self.entries.iter().map(|entry| &entry.event)
    }

    /// What comes next in it.
    pub fn next(&self) -> Next {
        next(&self.head.plan, self.events())
    }

    /// Whether it can still be rolled back.
    pub fn can_be_rolled_back(&self) -> bool {
        can_be_rolled_back(&self.head.plan, self.events())
    }

    /// Whether a release may have answered requests before or in this switch: it was the active one, or its traffic was about to
    /// move there.
    pub fn may_have_served(&self, release: &ReleaseId) -> bool {
        let Plan { steps, replaces, .. } = &self.head.plan;
        let is_route = |step: &usize| matches!(steps.get(*step).map(|planned| &planned.step), Some(Step::Route { .. }));
        let is_routed = |event: &Event| matches!(event, Event::Started { step } if is_route(step));
        replaces.as_ref() == Some(release) || (self.head.plan.release == *release && self.events().any(is_routed))
    }

    /// When it ended, or when anything happened last.
    pub fn last(&self) -> jiff::Timestamp {
        self.entries.last().map_or(self.head.opened, |entry| entry.at)
    }
}

/// A line of a journal of `version`, brought up to date. A newer bgctl that resumes an older journal seals its own lines of it.
fn read_line<T: for<'a> Deserialize<'a>>(
    index: usize,
    line: &str,
    version: u32,
    upgrade: impl FnOnce(Value, u32) -> Value,
) -> Result<T, Unreadable> {
    let read = || {
        let is_sealed = sealed::is_sealed(line)?;
        sealed::allow(version, VERSION, is_sealed && version != 1)?;
        let broken = |error: serde_json::Error| {
            let message = match error.column() {
                0 => "a member is missing, or is not what it must be".to_owned(),
                column => format!("it breaks off at column {column}"),
            };
            Unreadable::Damaged(message)
        };
        let json = serde_json::from_str(line).map_err(broken)?;
        serde_json::from_value(upgrade(json, version)).map_err(broken)
    };
    read().map_err(|error| at(index, error))
}

/// The first line as this version has it.
fn upgrade(mut head: Value, version: u32) -> Value {
    if version < 3
        && let Some(plan) = head.get_mut("plan")
    {
        plan::upgrade(plan);
    }
    head
}

fn at(index: usize, error: Unreadable) -> Unreadable {
    match error {
        Unreadable::Damaged(why) => Unreadable::Damaged(format!("line {}: {why}", index + 1)),
        newer @ Unreadable::Newer { .. } => newer,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::Failure;
    use crate::model::{AppName, Color, ReleaseId, SwitchId};
    use crate::plan::Verb;

    fn head(version: u32) -> Head {
        let plan = Plan {
            app: AppName::parse("shop").unwrap(),
            switch: SwitchId::numbered(1),
            holder: "host/0001".to_owned(),
            verb: Verb::Switch,
            release: ReleaseId::numbered(1),
            replaces: None,
            from: None,
            to: Color::Blue,
            steps: Vec::new(),
        };
        let opened = jiff::Timestamp::UNIX_EPOCH;
        Head { version, opened, plan }
    }

    #[test]
    fn line_that_was_cut_anywhere_is_as_if_it_had_not_been_written() {
        let failure = Failure {
            error: "kein Platz für Ärger".to_owned(),
            hint: None,
            details: Vec::new(),
        };
        let event = Event::Failed {
            step: 0,
            untouched: false,
            failure,
        };
        let entry = Entry {
            at: jiff::Timestamp::UNIX_EPOCH,
            event,
        };
        let start = sealed::line(&head(VERSION)).unwrap();
        let text = start.clone() + &sealed::line(&entry).unwrap();
        let (whole, length) = Record::parse(text.as_bytes()).unwrap();
        assert_eq!((whole.entries, length), (vec![entry], text.len()));
        for cut in start.len()..text.len() {
            let (record, length) = Record::parse(&text.as_bytes()[..cut]).unwrap();
            assert_eq!((record.entries.len(), length), (0, start.len()), "cut at {cut}");
        }
    }

    #[test]
    fn journal_of_a_newer_version_is_refused() {
        let text = sealed::line(&head(VERSION + 1)).unwrap();
        assert_eq!(
            Record::parse(text.as_bytes()),
            Err(Unreadable::Newer { found: 4, newest: 3 })
        );
    }

    #[test]
    fn journal_of_an_earlier_version_is_gone_on_with() {
        let entry = Entry {
            at: jiff::Timestamp::UNIX_EPOCH,
            event: Event::AbortRequested,
        };
        let text = serde_json::to_string(&head(1)).unwrap() + "\n" + &serde_json::to_string(&entry).unwrap() + "\n";
        let (record, _) = Record::parse((text + &sealed::line(&entry).unwrap()).as_bytes()).unwrap();
        assert_eq!(record.entries, [entry.clone(), entry]);
    }
}
