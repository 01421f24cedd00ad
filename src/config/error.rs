//! Errors that point at the place in the file.

use std::fmt;
use std::ops::Range;

/// What is wrong with a configuration file: one sentence, then the place and its line.
///
/// ```text
/// cannot use "Shop" as the name of an app: 'S' is not one of a-z, 0-9 and -
///  --> shop.toml:1:8
///   |
/// 1 | name = "Shop"
///   |        ^^^^^^
/// ```
///
/// Lines that may hold a secret (environment variables) are not shown, only their place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    message: String,
    source: String,
    place: Option<Place>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Place {
    line: usize,
    column: usize,
    /// The line and how many of its characters are meant; none where it may hold a secret.
    excerpt: Option<(String, usize)>,
}

/// What a check found: where in the text, and the sentence. No place where a thing is missing from the whole file.
#[derive(Debug)]
pub(super) struct Problem {
    pub(super) span: Option<Range<usize>>,
    pub(super) message: String,
}

impl Problem {
    pub(super) fn at(span: Range<usize>, message: impl Into<String>) -> Self {
        let (span, message) = (Some(span), message.into());
        Self { span, message }
    }

    pub(super) fn somewhere(message: impl Into<String>) -> Self {
        let (span, message) = (None, message.into());
        Self { span, message }
    }

    /// Gives a problem without a place one.
    pub(super) fn or_at(self, place: &Range<usize>) -> Self {
        Self {
            span: self.span.or_else(|| Some(place.clone())),
            ..self
        }
    }
}

impl From<toml::de::Error> for Problem {
    fn from(error: toml::de::Error) -> Self {
        Self {
            span: error.span(),
            message: reword(error.message()),
        }
    }
}

impl ConfigError {
    pub(super) fn new(problem: Problem, text: &str, source: &str) -> Self {
        Self {
            message: problem.message,
            source: source.to_owned(),
            place: problem.span.map(|span| Place::find(text, &span)),
        }
    }

    /// The sentence alone.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// Line and column, both from 1, columns in characters.
    pub fn position(&self) -> Option<(usize, usize)> {
        self.place.as_ref().map(|place| (place.line, place.column))
    }
}

impl Place {
    fn find(text: &str, span: &Range<usize>) -> Self {
        let start = (0..=span.start.min(text.len()))
            .rev()
            .find(|at| text.is_char_boundary(*at));
        let (before, after) = text.split_at_checked(start.unwrap_or_default()).unwrap_or((text, ""));
        let (above, left) = before
            .rsplit_once('\n')
            .map_or(("", before), |(above, left)| (above, left));
        let right = after.split('\n').next().unwrap_or_default();
        let marked = after
            .get(..span.len())
            .unwrap_or(after)
            .split('\n')
            .next()
            .unwrap_or_default();
        let shown = format!("{left}{right}").trim_end().replace(char::is_control, " ");
        Self {
            line: before.matches('\n').count() + 1,
            column: left.chars().count() + 1,
            excerpt: (!may_hold_secret(above, &shown)).then(|| (shown, marked.trim_end().chars().count().max(1))),
        }
    }
}

/// Whether a line sets environment variables (it does so itself, stands below the header of such a table, or within what was
/// opened above it), or has a URL with a password.
fn may_hold_secret(above: &str, line: &str) -> bool {
    let key = |line: &str| line.split('=').next().unwrap_or_default().replace([' ', '"', '\''], "");
    let header = above.lines().rev().find_map(|line| {
        let name = line.trim().strip_prefix('[')?.split(']').next()?;
        Some(name.replace([' ', '"', '\''], ""))
    });
    let section = above
        .lines()
        .rev()
        .take_while(|line| !line.trim_start().starts_with('['));
    let mut opened = String::new();
    let is_within_env = section.into_iter().any(|line| {
        opened = format!("{line}\n{opened}");
        line.replace([' ', '"', '\''], "").contains("env") && is_open(&opened)
    });
    let is_header = line.trim_start().starts_with('[');
    let key = key(line.trim());
    !is_header
        && (header.is_some_and(|header| header == "run.env")
            || is_within_env
            || key == "env"
            || key.starts_with("env.")
            || key.starts_with("run.env")
            || line.contains("env = {")
            || line.contains("env={"))
        || (line.contains("://") && line.contains('@'))
}

/// Whether a text ends within a table, a list or a text of several lines.
fn is_open(text: &str) -> bool {
    let count = |what| text.matches(what).count();
    count("{") > count("}") || count("[") > count("]") || count("\"\"\"") % 2 == 1 || count("'''") % 2 == 1
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { message, source, place } = self;
        let Some(Place { line, column, excerpt }) = place else {
            return write!(f, "{message}\n --> {source}");
        };
        let number = line.to_string();
        let gutter = number.len();
        write!(f, "{message}\n{:gutter$}--> {source}:{line}:{column}", "")?;
        if let Some((shown, marked)) = excerpt {
            write!(f, "\n{:gutter$} |\n{number} | {shown}", "")?;
            write!(f, "\n{:gutter$} | {:skip$}{:^<marked$}", "", "", "", skip = column - 1)?;
        }
        Ok(())
    }
}

impl std::error::Error for ConfigError {}

/// Puts toml's and serde's messages in our words, without the value: it may be a secret, and the line is shown.
fn reword(message: &str) -> String {
    if message.starts_with("cannot ") {
        return message.to_owned();
    }
    if let Some(rest) = message.strip_prefix("unknown field ") {
        return unknown_key(rest);
    }
    if message.starts_with("invalid type: ") || message.starts_with("invalid value: ") {
        let expected = message
            .rsplit_once(", expected ")
            .map_or("another type", |(_, expected)| expected);
        let expected = match expected {
            "i64" | "u16" => "a whole number",
            "a boolean" => "true or false",
            "a sequence" => "a list",
            "a map" => "a table",
            other => other,
        };
        return format!("cannot use this value: it must be {expected}");
    }
    format!("cannot read this as TOML: {message}")
}

/// Rewords what serde says after "unknown field": the key, and the keys there are, each in backticks.
fn unknown_key(rest: &str) -> String {
    let mut names = rest.split('`').skip(1).step_by(2);
    let key = names.next().unwrap_or_default();
    let known: Vec<&str> = names.collect();
    let near = known
        .iter()
        .map(|name| (strsim::damerau_levenshtein(key, name), *name))
        .filter(|(distance, name)| *distance <= 1 + name.len() / 4)
        .min();
    match near {
        Some((_, name)) => format!("cannot use the key {key:?}: there is no such key, did you mean {name:?}?"),
        None => format!("cannot use the key {key:?}: the keys here are {}", known.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str, span: Range<usize>) -> String {
        ConfigError::new(Problem::at(span, "cannot use it"), text, "a.toml").to_string()
    }

    #[test]
    fn place_is_counted_in_characters_and_lines() {
        insta::assert_snapshot!(shown("a = 1\nb = \"ä\" # ü\n", 10..14), @r#"
        cannot use it
         --> a.toml:2:5
          |
        2 | b = "ä" # ü
          |     ^^^
        "#);
    }

    #[test]
    fn no_span_can_break_it() {
        let text = "ä = \"ö\"\n\n[x]\ny = 'ü";
        for start in 0..text.len() + 3 {
            for end in start..text.len() + 3 {
                assert!(shown(text, start..end).starts_with("cannot use it\n --> a.toml:"));
            }
        }
        assert!(shown("", 0..0).contains(":1:1"));
    }

    #[test]
    fn lines_with_environment_variables_are_not_shown() {
        let hidden = [
            "[run]\nenv = { KEY = \"secret\" }\n",
            "[run.env]\nKEY = \"secret\"\n",
            "[run.env]\n\n# more\nKEY = \"secret\"\n",
            "[run]\nenv.KEY = \"secret\"\n",
            "run.env.KEY = \"secret\"\n",
            "[ run . \"env\" ]\nKEY = \"secret\"\n",
            "[store]\nendpoints = [\"http://user:secret@host\"]\n",
            "run = { image = \"x\", env = { KEY = \"secret\" } }\n",
            "[run]\nenv = {\n  OTHER = \"x\",\n  KEY = \"secret\" }\n",
            "[run]\nenv.KEY = \"\"\"\nmore\nsecret\n\"\"\"\n",
        ];
        for text in hidden {
            let at = text.find("secret").unwrap();
            let error = shown(text, at..at + 6);
            assert!(!error.contains("secret"), "{error}");
        }
        let text = "[run.env]\nKEY = \"secret\"\n[health]\npath = \"x\"\n";
        let at = text.find("\"x\"").unwrap();
        assert!(shown(text, at..at + 3).contains("path = \"x\""));
    }

    #[test]
    fn near_key_is_suggested() {
        let message = |text| reword(text);
        assert_eq!(
            message("unknown field `pathh`, expected one of `path`, `tcp`"),
            "cannot use the key \"pathh\": there is no such key, did you mean \"path\"?"
        );
        assert_eq!(
            message("unknown field `colour`, expected `path` or `tcp`"),
            "cannot use the key \"colour\": the keys here are path, tcp"
        );
    }
}
