//! What `env` of the GNU coreutils starts (env(1), "-S/--split-string syntax"), as far as its string stands without quotes and
//! escapes.

use std::collections::BTreeMap;

type Variables = BTreeMap<String, String>;

/// The command that is run at last, and its environment, where a unit runs `env PROGRAM WORDS` with `environment`. Errors where
/// anything means something else.
pub fn started(program: &str, words: &[String], environment: Variables) -> Result<(Vec<String>, Variables), String> {
    let command = |words: &[String]| {
        std::iter::once(program.to_owned())
            .chain(words.iter().cloned())
            .collect()
    };
    if program != "/usr/bin/env" {
        return Ok((command(words), environment));
    }
    let [option, string, rest @ ..] = words else {
        return Err(format!("{words:?} runs nothing"));
    };
    if option != "-S" {
        return Err(format!("{option:?} is not read here"));
    }
    Ok((rest.to_vec(), split(string, environment)?))
}

fn split(string: &str, mut environment: Variables) -> Result<Variables, String> {
    let before = environment.clone();
    let mut words = string.split(' ');
    while let Some(word) = words.next() {
        if word == "-u" {
            let name = words.next().ok_or("-u has no name")?;
            environment.remove(name).ok_or_else(|| format!("{name} is not set"))?;
            continue;
        }
        let (name, value) = word.split_once('=').ok_or_else(|| format!("{word:?} would be run"))?;
        let from = value.strip_prefix("${").and_then(|rest| rest.strip_suffix('}'));
        let from = from.ok_or_else(|| format!("{value:?} is no variable"))?;
        if ![name, from].into_iter().all(is_name) {
            return Err(format!("{word:?} has no name"));
        }
        let value = before.get(from).ok_or_else(|| format!("{from} is not set"))?;
        environment.insert(name.to_owned(), value.clone());
    }
    Ok(environment)
}

fn is_name(name: &str) -> bool {
    name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') && !name.starts_with(|c: char| c.is_ascii_digit())
}
