//! BDD stories: a name, a narrative, scenarios of Given/When/Then steps.
//!
//! They are kept in the memory of one instance, and are gone with it: a demo of deployments needs no database, and
//! a switch is easier to see without one. Each instance starts with the same three.

use serde::{Deserialize, Serialize};

/// Most stories that are kept.
pub const LIMIT: usize = 1_000;

/// Longest name of a story or a scenario, and longest step, in characters.
const LINE: usize = 200;

/// Longest narrative, in characters.
const NARRATIVE: usize = 2_000;

/// Most scenarios of a story, and most steps of a scenario.
const PARTS: usize = 50;

/// The words that a step starts with.
const KEYWORDS: [&str; 5] = ["Given", "When", "Then", "And", "But"];

/// A story as it is sent.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Draft {
    /// What it is about; one line.
    name: String,
    /// Why, for whom, what; may have several lines.
    #[serde(default)]
    narrative: String,
    /// Examples.
    #[serde(default)]
    scenarios: Vec<Scenario>,
}

/// One example of a story.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scenario {
    /// What it is about; one line.
    name: String,
    /// Lines that start with Given, When, Then, And or But.
    steps: Vec<String>,
}

/// A story as it is kept.
#[derive(Clone, Debug, Serialize)]
pub struct Story {
    /// Number, from 1.
    pub id: usize,
    #[serde(flatten)]
    draft: Draft,
}

/// Why a story was not added.
#[derive(Debug)]
pub enum Refused {
    /// It is not a story, and what is wrong.
    Invalid(String),
    /// There are as many as are kept.
    Full,
}

/// All stories of this instance.
pub struct Stories(Vec<Story>);

impl Stories {
    /// The stories that each instance starts with.
    pub fn seeded() -> Self {
        let mut stories = Self(Vec::new());
        for (name, narrative, scenario, steps) in SEEDS {
            let steps = steps.iter().map(|step| (*step).to_owned()).collect();
            stories.push(Draft {
                name: name.to_owned(),
                narrative: narrative.to_owned(),
                scenarios: vec![Scenario {
                    name: scenario.to_owned(),
                    steps,
                }],
            });
        }
        stories
    }

    /// All of them, oldest first.
    pub fn all(&self) -> &[Story] {
        &self.0
    }

    /// One of them.
    pub fn get(&self, id: usize) -> Option<&Story> {
        self.0.get(id.checked_sub(1)?)
    }

    /// Adds the story that `body` is as JSON; fails where it is none, or there is no room.
    pub fn add(&mut self, body: &[u8]) -> Result<Story, Refused> {
        let draft: Draft =
            serde_json::from_slice(body).map_err(|error| Refused::Invalid(format!("not a story: {error}")))?;
        check(&draft).map_err(Refused::Invalid)?;
        if self.0.len() >= LIMIT {
            return Err(Refused::Full);
        }
        Ok(self.push(draft))
    }

    fn push(&mut self, draft: Draft) -> Story {
        let story = Story {
            id: self.0.len() + 1,
            draft,
        };
        self.0.push(story.clone());
        story
    }
}

/// Fails with the first thing that is wrong.
fn check(draft: &Draft) -> Result<(), String> {
    line("name", &draft.name)?;
    if draft.narrative.chars().count() > NARRATIVE {
        return Err(format!("narrative: more than {NARRATIVE} characters"));
    }
    few("scenarios", draft.scenarios.len())?;
    for (scenario, number) in draft.scenarios.iter().zip(1..) {
        line(&format!("scenario {number}: name"), &scenario.name)?;
        few(&format!("scenario {number}: steps"), scenario.steps.len())?;
        for (step, position) in scenario.steps.iter().zip(1..) {
            let place = format!("scenario {number}: step {position}");
            line(&place, step)?;
            if !step
                .split_once(' ')
                .is_some_and(|(word, rest)| KEYWORDS.contains(&word) && !rest.trim().is_empty())
            {
                return Err(format!("{place}: must be one of {}, and what", KEYWORDS.join(", ")));
            }
        }
    }
    Ok(())
}

/// Fails where `text` is not one line with something on it.
fn line(place: &str, text: &str) -> Result<(), String> {
    if text.trim().is_empty() {
        return Err(format!("{place}: must not be empty"));
    }
    if text.chars().count() > LINE {
        return Err(format!("{place}: more than {LINE} characters"));
    }
    if text.chars().any(char::is_control) {
        return Err(format!("{place}: must be one line"));
    }
    Ok(())
}

/// Fails where there are too many.
fn few(place: &str, count: usize) -> Result<(), String> {
    if count > PARTS {
        Err(format!("{place}: more than {PARTS}"))
    } else {
        Ok(())
    }
}

/// Name, narrative, and a scenario with its steps.
type Seed = (&'static str, &'static str, &'static str, &'static [&'static str]);

/// What each instance starts with.
const SEEDS: [Seed; 3] = [
    (
        "Switch without an interruption",
        "In order to release at any time\nAs an operator\nI want visitors not to notice a new release",
        "A request during the switch",
        &[
            "Given the blue color serves",
            "When green is promoted",
            "Then every request is answered",
            "And new requests are answered by green",
        ],
    ),
    (
        "Keep a bad release away",
        "In order to sleep well\nAs an operator\nI want a release that never gets healthy to be undone",
        "A release that does not start",
        &[
            "Given the blue color serves",
            "When a release that exits at once is switched to",
            "Then the switch fails",
            "But blue goes on serving",
        ],
    ),
    (
        "Go back at once",
        "In order to repair a mistake\nAs an operator\nI want the previous release back with one command",
        "Rollback",
        &[
            "Given green serves and blue served before",
            "When I roll back",
            "Then blue serves the release it served before",
        ],
    ),
];

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(body: &str) -> String {
        match Stories::seeded().add(body.as_bytes()) {
            Err(Refused::Invalid(why)) => why,
            other => panic!("{body}: {other:?}"),
        }
    }

    #[test]
    fn the_seeds_keep_the_rules() {
        let stories = Stories::seeded();
        assert_eq!(stories.all().len(), 3);
        for story in stories.all() {
            assert_eq!(check(&story.draft), Ok(()));
        }
    }

    #[test]
    fn what_is_added_can_be_read() {
        let mut stories = Stories::seeded();
        let id = stories
            .add(br#"{"name":"<b>One</b>","scenarios":[{"name":"s","steps":["Given a thing"]}]}"#)
            .unwrap()
            .id;
        assert_eq!(id, 4);
        assert_eq!(stories.get(4).unwrap().draft.name, "<b>One</b>");
        assert!(stories.get(0).is_none() && stories.get(5).is_none());
    }

    #[test]
    fn refusals_name_the_place() {
        assert!(refusal("{").starts_with("not a story: EOF"));
        assert!(refusal(r#"{"narrative":"x"}"#).contains("missing field `name`"));
        assert!(refusal(r#"{"name":"x","id":7}"#).contains("unknown field `id`"));
        assert_eq!(refusal(r#"{"name":"  "}"#), "name: must not be empty");
        assert_eq!(refusal(r#"{"name":"a\nb"}"#), "name: must be one line");
        assert_eq!(
            refusal(&format!(r#"{{"name":"{}"}}"#, "é".repeat(201))),
            "name: more than 200 characters"
        );
        let step = refusal(r#"{"name":"x","scenarios":[{"name":"s","steps":["Given a","Maybe b"]}]}"#);
        assert_eq!(
            step,
            "scenario 1: step 2: must be one of Given, When, Then, And, But, and what"
        );
    }

    #[test]
    fn there_is_room_for_so_many() {
        let mut stories = Stories::seeded();
        for _ in stories.all().len()..LIMIT {
            stories.add(br#"{"name":"x"}"#).unwrap();
        }
        assert!(matches!(stories.add(br#"{"name":"x"}"#), Err(Refused::Full)));
    }
}
