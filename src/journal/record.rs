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

/// The version of what stands in a journal.
pub const VERSION: u32 = 1;

/// The first line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Head {
    /// [`VERSION`].
    pub version: u32,
    /// When the switch was opened.
    pub opened: jiff::Timestamp,
    /// What it is to do.
    pub plan: Plan,
}

impl Record {
    /// Reads a journal, and says how many of its bytes are whole lines: a power cut can leave half a line at the end,
    /// of an event that nothing was based on. Fails where any other line cannot be read.
    pub fn parse(bytes: &[u8]) -> Result<(Self, usize), Invalid> {
        // The cut can go through a character: only whole lines are looked at as text.
        let whole = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
        let text = std::str::from_utf8(bytes.get(..whole).unwrap_or_default());
        let text = text.map_err(|error| Invalid::new(format!("it is not text: {error}")))?;
        let mut lines = text.lines().enumerate();
        let (_, first) = lines.next().ok_or_else(|| Invalid::new("it has no plan"))?;
        let head: Head = read_line(0, first)?;
        if head.version != VERSION {
            let reason = format!(
                "it has version {}, and this bgctl reads version {VERSION}",
                head.version
            );
            return Err(Invalid::new(reason));
        }
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
            mover: "host/0001".to_owned(),
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
    fn a_line_that_was_cut_anywhere_is_as_if_it_had_not_been_written() {
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
        let start = serde_json::to_string(&head(VERSION)).unwrap() + "\n";
        let text = start.clone() + &serde_json::to_string(&entry).unwrap() + "\n";
        let (whole, length) = Record::parse(text.as_bytes()).unwrap();
        assert_eq!((whole.entries, length), (vec![entry], text.len()));
        for cut in start.len()..text.len() {
            let (record, length) = Record::parse(&text.as_bytes()[..cut]).unwrap();
            assert_eq!((record.entries.len(), length), (0, start.len()), "cut at {cut}");
        }
    }

    #[test]
    fn a_journal_of_another_version_is_refused() {
        let text = serde_json::to_string(&head(VERSION + 1)).unwrap() + "\n";
        let error = Record::parse(text.as_bytes()).unwrap_err().to_string();
        assert_eq!(error, "it has version 2, and this bgctl reads version 1");
    }
}
