//! Rust source as tokens, just well enough to see its paths, its macros and how long its functions are.

/// A word, `::`, or one other character, and the line it is on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token {
    /// The text.
    pub text: String,
    /// Counted from 1.
    pub line: usize,
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// The tokens of a source text, without comments and literals.
pub fn tokens(source: &str) -> Vec<Token> {
    let mut tokens = Vec::new();
    let mut rest = source;
    while let Some(first) = rest.chars().next() {
        let taken = match literal_or_comment(rest) {
            Some(length) => length,
            None if is_word(first) => rest.find(|c| !is_word(c)).unwrap_or(rest.len()),
            None if rest.starts_with("::") => 2,
            None => first.len_utf8(),
        };
        let (text, after) = rest.split_at(taken);
        if literal_or_comment(rest).is_none() && !first.is_whitespace() {
            let line = source[..source.len() - rest.len()].matches('\n').count() + 1;
            let text = text.to_owned();
            tokens.push(Token { text, line });
        }
        rest = after;
    }
    tokens
}

/// The length of the literal or comment that the text starts with.
fn literal_or_comment(text: &str) -> Option<usize> {
    if text.starts_with("//") {
        return Some(text.find('\n').unwrap_or(text.len()));
    }
    if text.starts_with("/*") {
        return Some(text.find("*/").map_or(text.len(), |end| end + 2));
    }
    let quoted = text.trim_start_matches(['b', 'c']);
    if text.len() - quoted.len() > 1 {
        return None;
    }
    let start = text.len() - quoted.len();
    if let Some(raw) = quoted.strip_prefix('r') {
        let hashes = raw.len() - raw.trim_start_matches('#').len();
        let close = format!("\"{}", "#".repeat(hashes));
        let body = raw[hashes..].strip_prefix('"')?;
        let end = body.find(&close).map_or(body.len(), |end| end + close.len());
        return Some(start + 2 + hashes + end);
    }
    match quoted.chars().next()? {
        '"' => Some(start + 1 + closed_by(&quoted[1..], '"')),
        '\'' => character(quoted).map(|length| start + length),
        _ => None,
    }
}

/// How far it is to behind the closing quote.
fn closed_by(text: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, c) in text.char_indices() {
        if c == quote && !escaped {
            return at + 1;
        }
        escaped = c == '\\' && !escaped;
    }
    text.len()
}

/// The length of a character literal; none for a lifetime.
fn character(text: &str) -> Option<usize> {
    let mut chars = text.char_indices().skip(1);
    let (_, first) = chars.next()?;
    if first == '\\' {
        return Some(1 + closed_by(&text[1..], '\''));
    }
    let (at, second) = chars.next()?;
    (second == '\'').then_some(at + 1)
}

/// The same without the items that are only there in tests.
pub fn without_tests(tokens: &[Token]) -> Vec<Token> {
    const MARK: [&str; 7] = ["#", "[", "cfg", "(", "test", ")", "]"];
    let mut kept = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        let marked = MARK
            .iter()
            .enumerate()
            .all(|(offset, text)| tokens.get(at + offset).is_some_and(|token| token.text == *text));
        if marked {
            at = end_of_item(tokens, at + MARK.len());
        } else {
            kept.push(tokens[at].clone());
            at += 1;
        }
    }
    kept
}

/// Where the item that starts at `at` has ended: behind its `;`, or the brace that closes its first one.
fn end_of_item(tokens: &[Token], at: usize) -> usize {
    let mut depth = 0_usize;
    for (offset, token) in tokens[at..].iter().enumerate() {
        match token.text.as_str() {
            "{" | "(" | "[" => depth += 1,
            "}" | ")" | "]" => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth == 0 && matches!(token.text.as_str(), ";" | "}") {
            return at + offset + 1;
        }
    }
    tokens.len()
}

/// A path as it is written, such as `["crate", "model", "App"]`, and its line.
pub type Path = (Vec<String>, usize);

/// All paths: those of `use` one by one, a macro's name with its `!`, and a single word too.
pub fn paths(tokens: &[Token]) -> Vec<Path> {
    let mut paths = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        if tokens[at].text.starts_with(is_word) {
            at = tree(tokens, at, &[], &mut paths);
        } else {
            at += 1;
        }
    }
    paths
}

/// Takes a path or a tree of `use` below `prefix`; returns where it has ended.
fn tree(tokens: &[Token], mut at: usize, prefix: &[String], paths: &mut Vec<Path>) -> usize {
    let text = |at: usize| tokens.get(at).map_or("", |token| token.text.as_str());
    let mut path = prefix.to_vec();
    let line = tokens[at].line;
    loop {
        match text(at) {
            "{" if text(at.wrapping_sub(1)) == "::" => {
                at += 1;
                while !matches!(text(at), "}" | "") {
                    at = if text(at).starts_with(is_word) {
                        tree(tokens, at, &path, paths)
                    } else {
                        at + 1
                    };
                }
                return at + 1;
            }
            word if word.starts_with(is_word) => path.push(word.to_owned()),
            _ => break,
        }
        at += 1;
        if text(at) != "::" {
            break;
        }
        at += 1;
    }
    if text(at) == "!" && text(at + 1) != "=" {
        path.push("!".to_owned());
    }
    paths.push((path, line));
    at
}

/// Name, first line and number of lines of every function that has a body.
pub fn functions(tokens: &[Token]) -> Vec<(String, usize, usize)> {
    let starts = (0..tokens.len().saturating_sub(1))
        .filter(|at| tokens[*at].text == "fn" && tokens[at + 1].text.starts_with(is_word));
    let length = |at: usize| {
        let end = tokens[end_of_item(tokens, at) - 1].line;
        let line = tokens[at].line;
        (tokens[at + 1].text.clone(), line, end - line + 1)
    };
    starts.map(length).collect()
}
