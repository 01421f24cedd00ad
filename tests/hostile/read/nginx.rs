//! nginx's configuration, as `ngx_conf_read_token` of `ngx_conf_file.c` takes it apart.

/// A directive: its words, or the end of a block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Item {
    /// `words;`
    Directive(Vec<String>),
    /// `words {`
    Open(Vec<String>),
    /// `}`
    Close,
}

/// What is in it, in order; fails where nginx would.
pub fn items(text: &str) -> Result<Vec<Item>, String> {
    let mut items = Vec::new();
    let mut words = Vec::new();
    let mut depth = 0_usize;
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            ' ' | '\t' | '\r' | '\n' => {}
            ';' if words.is_empty() => return Err("an unexpected ;".to_owned()),
            ';' => items.push(Item::Directive(std::mem::take(&mut words))),
            '{' if words.is_empty() => return Err("an unexpected {".to_owned()),
            '{' => {
                depth += 1;
                items.push(Item::Open(std::mem::take(&mut words)));
            }
            '}' if !words.is_empty() || depth == 0 => return Err("an unexpected }".to_owned()),
            '}' => {
                depth -= 1;
                items.push(Item::Close);
            }
            '#' => while chars.next_if(|c| *c != '\n').is_some() {},
            '"' | '\'' => {
                words.push(quoted(&mut chars, c)?);
                // need_space
                if !matches!(chars.peek(), None | Some(' ' | '\t' | '\r' | '\n' | ';' | '{' | ')')) {
                    return Err(format!("no space after {words:?}"));
                }
            }
            first => words.push(bare(&mut chars, first)?),
        }
    }
    if words.is_empty() && depth == 0 {
        Ok(items)
    } else {
        Err(format!("it ends within {words:?}"))
    }
}

type Chars<'a> = std::iter::Peekable<std::str::Chars<'a>>;

fn quoted(chars: &mut Chars<'_>, quote: char) -> Result<String, String> {
    let mut word = String::new();
    loop {
        match chars.next().ok_or("a quote is never closed")? {
            c if c == quote => return Ok(word),
            '\\' => word.extend(escaped(chars)?),
            c => word.push(c),
        }
    }
}

/// A bare word ends before a blank, `;` or `{`; the `{` of `${` belongs to it.
fn bare(chars: &mut Chars<'_>, first: char) -> Result<String, String> {
    let mut word = String::new();
    let mut next = Some(first);
    while let Some(c) = next {
        match c {
            '\\' => word.extend(escaped(chars)?),
            c => word.push(c),
        }
        if c == '$' && chars.peek() == Some(&'{') {
            word.extend(chars.next());
        }
        next = chars.next_if(|c| !" \t\r\n;{".contains(*c));
    }
    Ok(word)
}

/// What a backslash and the next character stand for in the copy of a word.
fn escaped(chars: &mut Chars<'_>) -> Result<Vec<char>, String> {
    Ok(match chars.next().ok_or("it ends with a backslash")? {
        c @ ('"' | '\'' | '\\') => vec![c],
        't' => vec!['\t'],
        'r' => vec!['\r'],
        'n' => vec!['\n'],
        c => vec!['\\', c],
    })
}
