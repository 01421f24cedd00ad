//! An app's `env_file`: `KEY=VALUE` lines with comments and quotes, as systemd's `EnvironmentFile=` reads them
//! (systemd.exec(5)), and stricter: a line that systemd would skip is an error. A value of several lines stands in quotes.
//!
//! Errors name the line and never what stands on it: env files hold secrets.

use std::collections::BTreeMap;

use camino::Utf8Path;

use super::value::is_of_text;
use super::{FileError, read_text};
use crate::model::EnvName;

/// What is wrong with an env file, and on which line (from 1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("cannot use line {line}: {reason}")]
pub struct EnvFileError {
    line: usize,
    reason: &'static str,
}

/// Reads the env file at `path`; what is wrong in it is a [`FileError::Invalid`].
pub fn read(path: &Utf8Path) -> Result<BTreeMap<EnvName, String>, FileError> {
    let parsed = parse(&read_text(path)?);
    parsed.map_err(|error| FileError::Invalid(eyre::Report::new(error).wrap_err(format!("cannot use {path}"))))
}

/// Parses the text of an env file. A variable that is set twice has its last value, as in systemd.
pub fn parse(text: &str) -> Result<BTreeMap<EnvName, String>, EnvFileError> {
    let mut reader = Reader { rest: text, line: 1 };
    let mut variables = BTreeMap::new();
    while let Some(first) = reader.skip_blank() {
        let line = reader.line;
        let wrong = |reason| EnvFileError { line, reason };
        if matches!(first, '#' | ';') {
            reader.take_until(is_line_end);
            continue;
        }
        let name = reader.take_until(|c| c == '=' || is_line_end(c));
        if reader.next() != Some('=') {
            return Err(wrong("it is not KEY=VALUE"));
        }
        let name = EnvName::parse(name.trim_end_matches([' ', '\t'])).map_err(|_| {
            wrong("a name must be letters, digits and _, not start with a digit, and not be PORT or start with BGCTL_")
        })?;
        let value = reader.value().map_err(wrong)?;
        if value.chars().any(|c| c.is_control() && !is_of_text(c)) {
            return Err(wrong("its value must be text, without control characters"));
        }
        variables.insert(name, value);
    }
    Ok(variables)
}

/// systemd's `NEWLINE`.
fn is_line_end(c: char) -> bool {
    matches!(c, '\n' | '\r')
}

/// systemd's `WHITESPACE`.
fn is_blank(c: char) -> bool {
    matches!(c, ' ' | '\t') || is_line_end(c)
}

struct Reader<'a> {
    rest: &'a str,
    line: usize,
}

impl Iterator for Reader<'_> {
    type Item = char;

    fn next(&mut self) -> Option<char> {
        let mut chars = self.rest.chars();
        let next = chars.next();
        self.rest = chars.as_str();
        self.line += usize::from(next == Some('\n'));
        next
    }
}

impl<'a> Reader<'a> {
    fn peek(&self) -> Option<char> {
        self.rest.chars().next()
    }

    fn skip_blank(&mut self) -> Option<char> {
        while is_blank(self.peek()?) {
            self.next();
        }
        self.peek()
    }

    fn take_until(&mut self, end: impl Fn(char) -> bool) -> &'a str {
        let length = self.rest.find(&end).unwrap_or(self.rest.len());
        let (taken, rest) = self.rest.split_at_checked(length).unwrap_or((self.rest, ""));
        self.line += taken.matches('\n').count();
        self.rest = rest;
        taken
    }

    /// The value after `=`, to the end of its line: quoted pieces and what follows them, or bare text.
    fn value(&mut self) -> Result<String, &'static str> {
        let mut value = String::new();
        loop {
            match self.next() {
                None => return Ok(value),
                Some(end) if is_line_end(end) => return Ok(value),
                Some('\'') => self.single_quoted(&mut value)?,
                Some('"') => self.double_quoted(&mut value)?,
                Some(blank) if is_blank(blank) => {}
                Some(first) => return Ok(value + &self.bare(first)),
            }
        }
    }

    fn single_quoted(&mut self, value: &mut String) -> Result<(), &'static str> {
        value.push_str(self.take_until(|c| c == '\''));
        self.next().map(drop).ok_or("its quote is never closed")
    }

    fn double_quoted(&mut self, value: &mut String) -> Result<(), &'static str> {
        loop {
            match self.next().ok_or("its quote is never closed")? {
                '"' => return Ok(()),
                '\\' => match self.next() {
                    Some('\n') | None => {}
                    Some(c @ ('"' | '\\' | '`' | '$')) => value.push(c),
                    Some(c) => value.extend(['\\', c]),
                },
                c => value.push(c),
            }
        }
    }

    /// Bare text from its first character on: a backslash takes the next character as it is, and joins lines; blanks
    /// at the end do not count.
    fn bare(&mut self, first: char) -> String {
        let mut value = String::new();
        let mut kept = 0;
        let mut next = Some(first);
        while let Some(c) = next.filter(|c| !is_line_end(*c)) {
            if c == '\\' {
                value.extend(self.next().filter(|c| !is_line_end(*c)));
                kept = value.len();
            } else {
                value.push(c);
                if !is_blank(c) {
                    kept = value.len();
                }
            }
            next = self.next();
        }
        value.truncate(kept);
        value
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each with what systemd 252 made of it in a unit that printed its environment.
    #[test]
    fn values_are_read_as_systemd_does() {
        let cases = [
            ("A=b", "b"),
            ("  A = b c  ", "b c"),
            ("A=", ""),
            ("A=\"b c \"", "b c "),
            ("A='b \"c\" \\n'", "b \"c\" \\n"),
            ("A=\"b\" 'c'", "bc"),
            ("A=\"b\"c", "bc"),
            ("A=b\"c\"", "b\"c\""),
            ("A=b # c", "b # c"),
            ("A=b\\ \\\\c", "b \\c"),
            ("A=b\\\nc", "bc"),
            ("A=\"b\\\nc\"", "bc"),
            ("A=\"\\$\\`\\\"\\x\"", "$`\"\\x"),
            ("A=b=c", "b=c"),
            ("A=b\r\n", "b"),
            ("A=b\r# c\r", "b"),
            ("A=1\nA=2", "2"),
            ("\n# c\n; d\n\t# A=1\nA=3", "3"),
            (
                "A=\"-----BEGIN\n b\r\n\n-----END\n\"\n",
                "-----BEGIN\n b\r\n\n-----END\n",
            ),
            ("A='{\n\t\"b\": 1\n}'\n", "{\n\t\"b\": 1\n}"),
        ];
        for (text, value) in cases {
            let variables = parse(text).expect(text);
            let got: Vec<_> = variables
                .iter()
                .map(|(name, value)| (name.as_str(), value.as_str()))
                .collect();
            assert_eq!(got, [("A", value)], "{text:?}");
        }
        assert_eq!(parse("").unwrap(), BTreeMap::new());
    }

    #[test]
    fn errors_name_the_line_and_nothing_of_it() {
        let bad = [
            "A=1\nsecret",
            "A=1\nexport secret=secret",
            "A=1\nPORT=secret",
            "A=1\nBGCTL_X=secret",
            "A=1\n=secret",
            "A=1\nB=\"secret",
            "A=1\nB='secret",
            "A=1\nB=secret\0",
            "A=1\nB=\u{c}secret",
            "A=1\nsecret\r=secret",
        ];
        for text in bad {
            let error = parse(text).expect_err(text).to_string();
            assert!(error.starts_with("cannot use line 2: "), "{text:?}: {error}");
            assert!(!error.contains("secret"), "{error}");
        }
        let error = parse("A=\"1\\\n2\"\n# x\n\nB").unwrap_err().to_string();
        assert!(error.starts_with("cannot use line 5: "), "{error}");
    }

    #[test]
    fn file_is_named() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "A").unwrap();
        let path = Utf8Path::from_path(file.path()).unwrap();
        let error = format!("{:#}", read(path).unwrap_err());
        assert_eq!(
            error,
            format!("cannot use {path}: cannot use line 1: it is not KEY=VALUE")
        );
    }
}
