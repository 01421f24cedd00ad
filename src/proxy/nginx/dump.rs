//! nginx's configuration as `nginx -T` prints it, read as a tree.

use std::iter::Peekable;
use std::str::Chars;

use camino::{Utf8Path, Utf8PathBuf};

/// How nginx marks where a file begins.
const FILE: &str = "# configuration file ";

/// How deep files may include each other here. nginx itself has no limit, and people need two or three.
const DEPTH: usize = 16;

/// A directive, and what stands in its braces.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Directive {
    /// Its name and its arguments.
    pub words: Vec<String>,
    /// What is in its block; empty where it has none.
    pub block: Vec<Directive>,
    /// The file that it stands in.
    pub file: String,
}

impl Directive {
    /// Its name.
    pub fn name(&self) -> &str {
        self.words.first().map_or("", String::as_str)
    }

    /// Its arguments.
    pub fn arguments(&self) -> &[String] {
        self.words.get(1..).unwrap_or_default()
    }

    /// The directives of a name in its block.
    pub fn all<'d>(&'d self, name: &'d str) -> impl Iterator<Item = &'d Self> {
        self.block.iter().filter(move |directive| directive.name() == name)
    }
}

/// The whole configuration, with what files include in the place of the `include`. Returns `None` where the text is none.
pub(super) fn read(dump: &str) -> Option<Vec<Directive>> {
    let files = files(dump);
    let (main, _) = files.first()?;
    let folder = Utf8Path::new(main).parent()?.to_owned();
    Dump { files, folder }.of(0, 0)
}

/// The patterns of all files that the configuration includes, as absolute ones. What is before the first file that `dump` names is
/// read as well: of a long one only the end may be there, and then patterns are relative to `/etc/nginx`.
pub(super) fn includes(dump: &str) -> Vec<Utf8PathBuf> {
    let main = dump.lines().find_map(file_of);
    let folder = main.and_then(|main| Utf8Path::new(main).parent());
    let folder = folder.unwrap_or(Utf8Path::new("/etc/nginx"));
    let mut tokens = Tokens(dump.chars().peekable());
    let (mut patterns, mut words) = (Vec::new(), Vec::new());
    while let Some(token) = tokens.next() {
        if let Token::Word(word) = token {
            words.push(word);
            continue;
        }
        if let [include, pattern] = words.as_slice()
            && include == "include"
        {
            patterns.push(folder.join(pattern));
        }
        words.clear();
    }
    patterns
}

/// The file that begins with this line.
fn file_of(line: &str) -> Option<&str> {
    line.strip_prefix(FILE)?.strip_suffix(':')
}

/// The files and their texts, in the order in which nginx read them; the first one is the main one.
fn files(dump: &str) -> Vec<(&str, String)> {
    let mut files: Vec<(&str, String)> = Vec::new();
    for line in dump.lines() {
        if let Some(name) = file_of(line) {
            files.push((name, String::new()));
        } else if let Some((_, text)) = files.last_mut() {
            text.push_str(line);
            text.push('\n');
        }
    }
    files
}

struct Dump<'d> {
    files: Vec<(&'d str, String)>,
    /// Where patterns begin that are no absolute paths.
    folder: Utf8PathBuf,
}

impl Dump<'_> {
    /// The directives of a file.
    fn of(&self, file: usize, depth: usize) -> Option<Vec<Directive>> {
        let (name, text) = self.files.get(file).filter(|_| depth < DEPTH)?;
        let mut tokens = Tokens(text.chars().peekable());
        let directives = self.block(name, &mut tokens, depth, false)?;
        Some(directives)
    }

    /// The directives up to the end of a block, or of the file.
    fn block(&self, file: &str, tokens: &mut Tokens<'_>, depth: usize, is_inner: bool) -> Option<Vec<Directive>> {
        let (mut directives, mut words) = (Vec::new(), Vec::new());
        loop {
            let block = match tokens.next() {
                Some(Token::Word(word)) => {
                    words.push(word);
                    continue;
                }
                Some(Token::Semicolon) => Vec::new(),
                Some(Token::Open) => self.block(file, tokens, depth, true)?,
                Some(Token::Close) => return (is_inner && words.is_empty()).then_some(directives),
                None => return (!is_inner && words.is_empty()).then_some(directives),
            };
            let directive = Directive {
                words: std::mem::take(&mut words),
                block,
                file: file.to_owned(),
            };
            match directive.words.as_slice() {
                [include, pattern] if include == "include" => directives.extend(self.included(pattern, depth)?),
                _ => directives.push(directive),
            }
        }
    }

    fn included(&self, pattern: &str, depth: usize) -> Option<Vec<Directive>> {
        let pattern = self.folder.join(pattern);
        let named = (0..)
            .zip(&self.files)
            .filter(|(_, (name, _))| matches(pattern.as_str(), name));
        let read: Option<Vec<_>> = named.map(|(file, _)| self.of(file, depth + 1)).collect();
        Some(read?.into_iter().flatten().collect())
    }
}

/// Whether a path is one of a pattern, in which `*` is any part of a name and `?` a character of one (glob(7)).
fn matches(pattern: &str, path: &str) -> bool {
    let mut pattern_chars = pattern.chars();
    let mut path_chars = path.chars();
    match (pattern_chars.next(), path_chars.next()) {
        (None, None) => true,
        (Some('*'), first) => {
            matches(pattern_chars.as_str(), path)
                || first.is_some_and(|c| c != '/') && matches(pattern, path_chars.as_str())
        }
        (Some('?'), Some(c)) => c != '/' && matches(pattern_chars.as_str(), path_chars.as_str()),
        (Some(wanted), Some(c)) => wanted == c && matches(pattern_chars.as_str(), path_chars.as_str()),
        _ => false,
    }
}

enum Token {
    Word(String),
    Semicolon,
    Open,
    Close,
}

/// As `ngx_conf_read_token` takes a text apart.
struct Tokens<'t>(Peekable<Chars<'t>>);

impl Tokens<'_> {
    fn next(&mut self) -> Option<Token> {
        loop {
            let c = self.0.next()?;
            return Some(match c {
                c if c.is_whitespace() => continue,
                '#' => {
                    while self.0.next_if(|c| *c != '\n').is_some() {}
                    continue;
                }
                ';' => Token::Semicolon,
                '{' => Token::Open,
                '}' => Token::Close,
                '"' | '\'' => Token::Word(self.quoted(c)),
                c => Token::Word(self.word(c)),
            });
        }
    }

    fn quoted(&mut self, quote: char) -> String {
        let mut word = String::new();
        while let Some(c) = self.0.next().filter(|c| *c != quote) {
            let is_escape = c == '\\';
            word.extend(if is_escape { self.0.next() } else { Some(c) });
        }
        word
    }

    fn word(&mut self, first: char) -> String {
        let mut word = String::from(first);
        // A brace belongs to the word where a `$` stands before it.
        while let Some(c) = self
            .0
            .next_if(|c| !c.is_whitespace() && *c != ';' && (*c != '{' || word.ends_with('$')))
        {
            word.push(c);
            if c == '\\' {
                word.extend(self.0.next());
            }
        }
        word
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "\
# configuration file /etc/nginx/nginx.conf:
user www-data; # comment; {
http {
    log_format main '$remote_addr \"${host}\" {';
    map $a $b { \"~^(?<x>\\d{2})$\" ${x}1; }
    include conf.d/*.conf;
    include /etc/nginx/sites-enabled/*;
}

# configuration file /etc/nginx/conf.d/a.conf:
server { listen 80; include snippets/names; }
# configuration file /etc/nginx/snippets/names:
server_name a.test;

# configuration file /etc/nginx/sites-enabled/b:
server { listen 81; location / { return 200 \"}\"; } }
";

    #[test]
    fn files_are_read_where_they_are_included() {
        let tree = read(TEXT).unwrap();
        let http = tree.iter().find(|directive| directive.name() == "http").unwrap();
        let servers: Vec<_> = http.all("server").collect();
        let [a, b] = servers.as_slice() else {
            panic!("{servers:?}")
        };
        assert_eq!(
            (&*a.file, &*b.file),
            ("/etc/nginx/conf.d/a.conf", "/etc/nginx/sites-enabled/b")
        );
        assert_eq!(a.all("server_name").next().unwrap().arguments(), ["a.test"]);
        assert_eq!(b.all("location").next().unwrap().block[0].words, ["return", "200", "}"]);
        assert_eq!(http.all("map").next().unwrap().block[0].words[1], "${x}1");
    }

    #[test]
    fn output_that_is_no_configuration_is_not_read() {
        let main = |text: &str| read(&format!("# configuration file /etc/nginx.conf:\n{text}"));
        assert!(main("a { b; }").is_some());
        for bad in ["a {", "a; }", "a", "include nginx.conf;"] {
            assert_eq!(main(bad), None, "{bad}");
        }
        assert_eq!(read("nginx: the configuration file"), None);
    }

    #[test]
    fn patterns() {
        assert!(matches("/a/*.conf", "/a/b.conf") && matches("/a/?", "/a/b") && matches("/a/*", "/a/b.conf"));
        assert!(!matches("/a/*.conf", "/a/b/c.conf") && !matches("/a/?", "/a/bc") && !matches("/a", "/a/b"));
    }
}
