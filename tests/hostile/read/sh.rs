//! Assignments as a POSIX shell reads them (XCU 2.2, 2.3, 2.9.1), as far as they stand alone on their lines: what a person gets
//! who sources an environment file.

/// Its assignments, in order; fails where anything else would be run, expanded or left open.
pub fn assignments(text: &str) -> Result<Vec<(String, String)>, String> {
    let mut chars = text.chars();
    let mut all = Vec::new();
    loop {
        // A comment ends with its line (XCU 2.3, rule 9).
        if chars.as_str().starts_with('#') {
            let _comment = chars.by_ref().find(|c| *c == '\n');
            continue;
        }
        let name: String = chars.by_ref().take_while(|c| *c != '=').collect();
        if name.is_empty() {
            return Ok(all);
        }
        if !name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
            || name.starts_with(|c: char| c.is_ascii_digit())
        {
            return Err(format!("{name:?} is no name"));
        }
        all.push((name, value(&mut chars)?));
    }
}

/// A word up to the end of its line.
fn value(chars: &mut std::str::Chars<'_>) -> Result<String, String> {
    let mut value = String::new();
    loop {
        match chars.next() {
            None | Some('\n') => return Ok(value),
            Some('"') => double_quoted(chars, &mut value)?,
            Some('\'') => loop {
                match chars.next() {
                    Some('\'') => break,
                    Some(c) => value.push(c),
                    None => return Err("a quote is never closed".to_owned()),
                }
            },
            Some('\\') => value.extend(chars.next().filter(|c| *c != '\n')),
            Some(c) if "|&;<>()$` \t*?[#~!".contains(c) => return Err(format!("{c:?} means something")),
            Some(c) => value.push(c),
        }
    }
}

/// XCU 2.2.3.
fn double_quoted(chars: &mut std::str::Chars<'_>, value: &mut String) -> Result<(), String> {
    loop {
        match chars.next() {
            Some('"') => return Ok(()),
            Some('\\') => match chars.next() {
                Some(c) if "$`\"\\".contains(c) => value.push(c),
                Some('\n') => {}
                Some(c) => value.extend(['\\', c]),
                None => return Err("a quote is never closed".to_owned()),
            },
            Some(c) if "$`".contains(c) => return Err(format!("{c:?} expands")),
            Some(c) => value.push(c),
            None => return Err("a quote is never closed".to_owned()),
        }
    }
}
