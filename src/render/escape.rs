//! How a value is written into each type of file. `templates/askama.toml` chooses by the file's extension.
//!
//! The escapers write; whether a value can stand in a file at all is decided before, as in
//! [`EnvironmentFile`](crate::model::EnvironmentFile), where the error can say which value it was.

use std::fmt::{self, Write};

use askama::filters::Escaper;

/// Unit files: specifiers (systemd.unit(5)), `$` of command lines (systemd.service(5)), and what
/// systemd.syntax(7) reads between double quotes. A newline never ends a line.
#[derive(Clone, Copy, Debug)]
pub struct Unit;

/// nginx's configuration, between double quotes. nginx cannot write a `$` that is none of its variables.
#[derive(Clone, Copy, Debug)]
pub struct Nginx;

/// Files for `EnvironmentFile=` (systemd.exec(5)), between double quotes: as in a POSIX shell's double quotes. A newline
/// stands for itself.
#[derive(Clone, Copy, Debug)]
pub struct Environment;

/// Files for `docker run --env-file`: a value goes to the end of its line as it is. One of several lines cannot be written.
#[derive(Clone, Copy, Debug)]
pub struct ContainerEnvironment;

impl Escaper for Unit {
    fn write_escaped_str<W: Write>(&self, mut dest: W, text: &str) -> fmt::Result {
        for c in text.chars() {
            match c {
                '%' => dest.write_str("%%")?,
                '$' => dest.write_str("$$")?,
                '"' | '\\' => write!(dest, "\\{c}")?,
                '\n' => dest.write_str("\\n")?,
                c if c.is_ascii_control() => write!(dest, "\\x{:02x}", u32::from(c))?,
                c => dest.write_char(c)?,
            }
        }
        Ok(())
    }
}

impl Escaper for Nginx {
    fn write_escaped_str<W: Write>(&self, mut dest: W, text: &str) -> fmt::Result {
        for c in text.chars() {
            match c {
                '$' => return Err(fmt::Error),
                '"' | '\\' => write!(dest, "\\{c}")?,
                '\n' => dest.write_str("\\n")?,
                c => dest.write_char(c)?,
            }
        }
        Ok(())
    }
}

impl Escaper for Environment {
    fn write_escaped_str<W: Write>(&self, mut dest: W, text: &str) -> fmt::Result {
        for c in text.chars() {
            if matches!(c, '"' | '\\' | '$' | '`') {
                dest.write_char('\\')?;
            }
            dest.write_char(c)?;
        }
        Ok(())
    }
}

impl Escaper for ContainerEnvironment {
    fn write_escaped_str<W: Write>(&self, mut dest: W, text: &str) -> fmt::Result {
        if text.contains(['\0', '\n', '\r']) {
            return Err(fmt::Error);
        }
        dest.write_str(text)
    }
}

/// One word of a list that a unit takes apart by `$NAME`: systemd splits the variable's value at whitespace and removes
/// quotes and backslashes (systemd.service(5)), and reads neither `$` nor `%` in it again.
pub fn word(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_=:/.,@+%{}".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        return text.to_owned();
    }
    let mut word = String::from('"');
    for c in text.chars() {
        if matches!(c, '"' | '\\') {
            word.push('\\');
        }
        word.push(c);
    }
    word.push('"');
    word
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn escaped(escaper: impl Escaper, text: &str) -> String {
        let mut out = String::new();
        escaper.write_escaped_str(&mut out, text).unwrap();
        out
    }

    /// Reads a double-quoted value as `parse_env_file` of systemd 252 does; `None` where the value does not end with
    /// the last character.
    fn read_environment(text: &str) -> Option<String> {
        let mut chars = text.strip_prefix('"')?.chars();
        let mut value = String::new();
        loop {
            match chars.next()? {
                '"' => return chars.as_str().is_empty().then_some(value),
                '\\' => match chars.next()? {
                    c @ ('"' | '\\' | '`' | '$') => value.push(c),
                    '\n' => {}
                    c => value.extend(['\\', c]),
                },
                c => value.push(c),
            }
        }
    }

    /// Splits as systemd's `extract_first_word` does with `EXTRACT_UNQUOTE` and `EXTRACT_RELAX`.
    fn split(text: &str) -> Vec<String> {
        let mut words = Vec::new();
        let mut word: Option<String> = None;
        let mut quote = None;
        let mut chars = text.chars();
        while let Some(c) = chars.next() {
            match (quote, c) {
                (_, '\\') => word.get_or_insert_default().extend(chars.next()),
                (Some(open), c) if c == open => quote = None,
                (None, '"' | '\'') => {
                    quote = Some(c);
                    word.get_or_insert_default();
                }
                (None, ' ' | '\t' | '\n' | '\r') => words.extend(word.take()),
                (_, c) => word.get_or_insert_default().push(c),
            }
        }
        words.extend(word);
        words
    }

    proptest! {
        #[test]
        fn values_come_out_of_an_environment_file_as_they_went_in(text in any::<String>()) {
            let line = format!("\"{}\"", escaped(Environment, &text));
            prop_assert_eq!(read_environment(&line), Some(text));
        }

        #[test]
        fn dense_values_do_so_as_well(text in "[a\"\\\\$`'\n #;=]{0,12}") {
            let line = format!("\"{}\"", escaped(Environment, &text));
            prop_assert_eq!(read_environment(&line), Some(text));
        }

        #[test]
        fn words_come_out_whole(words in prop::collection::vec("[-a=/\"\\\\$`'\n\t #%=]{0,8}", 0..6)) {
            let list = words.iter().map(|each| word(each)).collect::<Vec<_>>().join(" ");
            prop_assert_eq!(split(&list), words);
        }

        #[test]
        fn no_value_ends_a_line_of_a_unit(text in any::<String>()) {
            let out = escaped(Unit, &text);
            prop_assert!(!out.contains(['\n', '\r']), "{out:?}");
        }
    }

    #[test]
    fn units() {
        assert_eq!(
            escaped(Unit, "100% fine\nExecStart=/bin/evil \"$x\" \\"),
            r#"100%% fine\nExecStart=/bin/evil \"$$x\" \\"#
        );
        assert_eq!(escaped(Unit, "\r\u{1b}"), r"\x0d\x1b");
    }

    #[test]
    fn nginx() {
        assert_eq!(escaped(Nginx, "a; \"b\" {\\\n}"), r#"a; \"b\" {\\\n}"#);
        assert!(Nginx.write_escaped_str(&mut String::new(), "$host").is_err());
    }

    #[test]
    fn containers() {
        let value = " \"a\" 'b' \\ $c `d` # ";
        assert_eq!(escaped(ContainerEnvironment, value), value);
        assert!(
            ContainerEnvironment
                .write_escaped_str(&mut String::new(), "a\nB=c")
                .is_err()
        );
    }
}
