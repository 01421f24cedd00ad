//! Unit files (systemd.syntax(7)), as `config_parse` of systemd's `conf-parser.c` reads their lines and `extract_first_word`
//! of `extract-word.c` their words.

const WHITESPACE: &str = " \t\n\r";

/// `section`, `key`, `value`.
pub type Assignment = (String, String, String);

fn is_whitespace(c: char) -> bool {
    WHITESPACE.contains(c)
}

/// Its assignments, in order; fails where systemd would pass over a line or take it for something else.
pub fn assignments(text: &str) -> Result<Vec<Assignment>, String> {
    let mut all = Vec::new();
    let mut section = String::new();
    let mut continued = String::new();
    // read_line() ends lines at any of these.
    for line in text.split(['\n', '\r', '\0']) {
        if line.len() > 1 << 20 {
            return Err("a line is longer than LONG_LINE_MAX".to_owned());
        }
        let line = line.trim_start_matches(is_whitespace);
        if line.starts_with(['#', ';']) || (line.is_empty() && continued.is_empty()) {
            continue;
        }
        let line = std::mem::take(&mut continued) + line;
        let backslashes = line.chars().rev().take_while(|c| *c == '\\').count();
        if backslashes % 2 == 1 {
            continued = format!("{} ", &line[..line.len() - 1]);
            continue;
        }
        let line = line.trim_matches(is_whitespace);
        if let Some(name) = line.strip_prefix('[') {
            let name = name.strip_suffix(']');
            name.ok_or_else(|| format!("{line:?} is no section"))?
                .clone_into(&mut section);
        } else {
            let (key, value) = line
                .split_once('=')
                .ok_or_else(|| format!("{line:?} is no assignment"))?;
            let trim = |text: &str| text.trim_matches(is_whitespace).to_owned();
            all.push((section.clone(), trim(key), trim(value)));
        }
    }
    if continued.is_empty() {
        Ok(all)
    } else {
        Err("the last line goes on".to_owned())
    }
}

/// Replaces specifiers (systemd.unit(5)): `%%`, and `%i` by `instance`. Fails at another one.
pub fn specifiers(text: &str, instance: &str) -> Result<String, String> {
    let mut out = String::new();
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match (c, if c == '%' { chars.next() } else { None }) {
            ('%', Some('%')) => out.push('%'),
            ('%', Some('i')) => out.push_str(instance),
            ('%', other) => return Err(format!("%{other:?} is a specifier")),
            (c, _) => out.push(c),
        }
    }
    Ok(out)
}

/// The words of a command line or of `Environment=` (`EXTRACT_UNQUOTE | EXTRACT_CUNESCAPE`); fails where one is left open.
pub fn words(text: &str) -> Result<Vec<String>, String> {
    split(text, true)
}

/// The words of a variable that a command line names as `$NAME` (`EXTRACT_UNQUOTE | EXTRACT_RELAX`): a backslash takes the next
/// character as it is.
pub fn variable_words(text: &str) -> Result<Vec<String>, String> {
    split(text, false)
}

fn split(text: &str, unescapes: bool) -> Result<Vec<String>, String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote = None;
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match (quote, c) {
            (_, '\\') if unescapes => word.get_or_insert_default().push(unescape(&mut chars)?),
            (_, '\\') => word.get_or_insert_default().extend(chars.next()),
            (Some(open), c) if open == c => quote = None,
            (None, '"' | '\'') => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            (None, c) if is_whitespace(c) => words.extend(word.take()),
            (_, c) => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    if quote.is_some() {
        Err(format!("a quote is never closed in {text:?}"))
    } else {
        Ok(words)
    }
}

/// `cunescape_one` of systemd's `escape.c`, as far as one byte goes.
fn unescape(chars: &mut std::str::Chars<'_>) -> Result<char, String> {
    Ok(match chars.next() {
        Some('a') => '\x07',
        Some('b') => '\x08',
        Some('f') => '\x0c',
        Some('n') => '\n',
        Some('r') => '\r',
        Some('t') => '\t',
        Some('v') => '\x0b',
        Some('s') => ' ',
        Some(c @ ('\\' | '"' | '\'')) => c,
        Some('x') => {
            let hex: String = chars.take(2).collect();
            char::from(u8::from_str_radix(&hex, 16).map_err(|_| format!("\\x{hex} is no escape"))?)
        }
        other => return Err(format!("\\{other:?} is no escape")),
    })
}
