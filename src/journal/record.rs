//! A switch as it stands on disk: a line for its plan, a line for each event.

use serde::{Deserialize, Serialize};

use crate::model::Invalid;
use crate::plan::Plan;

use super::{Entry, Event, Next, can_be_taken_back, next};

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
    /// When the switch was opened.
    pub opened: jiff::Timestamp,
    /// What it is to do.
    pub plan: Plan,
}

impl Record {
    /// Reads a journal, and says how many of its bytes are whole lines: a power cut can leave half a line at the end,
    /// of an event that nothing was based on. Fails where any other line cannot be read.
    pub fn parse(text: &str) -> Result<(Self, usize), Invalid> {
        let whole = text.rfind('\n').map_or(0, |end| end + 1);
        let mut lines = text.get(..whole).unwrap_or_default().lines().enumerate();
        let (_, first) = lines.next().ok_or_else(|| Invalid::new("it has no plan"))?;
        let head = read_line(0, first)?;
        let entries = lines
            .map(|(index, line)| read_line(index, line))
            .collect::<Result<_, _>>()?;
        Ok((Self { head, entries }, whole))
    }

    /// The events, without their times.
    pub fn events(&self) -> impl Iterator<Item = &Event> {
        self.entries.iter().map(|entry| &entry.event)
    }

    /// What comes next in it.
    pub fn next(&self) -> Next {
        next(&self.head.plan, self.events())
    }

    /// Whether it can still be taken back.
    pub fn can_be_taken_back(&self) -> bool {
        can_be_taken_back(&self.head.plan, self.events())
    }

    /// When it ended, or when anything happened last.
    pub fn last(&self) -> jiff::Timestamp {
        self.entries.last().map_or(self.head.opened, |entry| entry.at)
    }
}

fn read_line<T: for<'a> Deserialize<'a>>(index: usize, line: &str) -> Result<T, Invalid> {
    serde_json::from_str(line).map_err(|error| Invalid::new(format!("line {} cannot be read: {error}", index + 1)))
}
