//! Files for `EnvironmentFile=` (systemd.exec(5)), as `parse_env_file_internal` of systemd's `env-file.c` reads them: the same
//! states, in the same order. Comments end with their line, as since systemd 254.

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    PreKey,
    Key,
    PreValue,
    Value,
    ValueEscape,
    SingleQuote,
    DoubleQuote,
    DoubleQuoteEscape,
    Comment,
}

fn is_newline(c: char) -> bool {
    "\n\r".contains(c)
}

fn is_whitespace(c: char) -> bool {
    " \t\n\r".contains(c)
}

#[derive(Default)]
struct Reader {
    pairs: Vec<(String, String)>,
    key: String,
    value: String,
    /// Where the whitespace at the end of the value begins.
    trailing: Option<usize>,
}

impl Reader {
    fn push(&mut self) {
        let key = self.key.trim_end_matches(is_whitespace).to_owned();
        self.pairs.push((key, std::mem::take(&mut self.value)));
        self.key.clear();
        self.trailing = None;
    }

    fn push_chomped(&mut self) {
        if let Some(trailing) = self.trailing {
            self.value.truncate(trailing);
        }
        self.push();
    }

    fn step(&mut self, state: State, c: char) -> State {
        match state {
            State::PreKey if "#;".contains(c) => return State::Comment,
            State::PreKey if is_whitespace(c) => {}
            State::PreKey => {
                self.key.push(c);
                return State::Key;
            }
            State::Key if is_newline(c) => {
                self.key.clear();
                return State::PreKey;
            }
            State::Key if c == '=' => return State::PreValue,
            State::Key => self.key.push(c),
            State::PreValue if is_newline(c) => {
                self.push();
                return State::PreKey;
            }
            State::PreValue if c == '\'' => return State::SingleQuote,
            State::PreValue if c == '"' => return State::DoubleQuote,
            State::PreValue if c == '\\' => return State::ValueEscape,
            State::PreValue if is_whitespace(c) => {}
            State::PreValue => {
                self.value.push(c);
                return State::Value;
            }
            State::Value if is_newline(c) => {
                self.push_chomped();
                return State::PreKey;
            }
            State::Value if c == '\\' => {
                self.trailing = None;
                return State::ValueEscape;
            }
            State::Value => {
                self.trailing = is_whitespace(c).then(|| self.trailing.unwrap_or(self.value.len()));
                self.value.push(c);
            }
            State::ValueEscape => {
                if !is_newline(c) {
                    self.value.push(c);
                }
                return State::Value;
            }
            State::SingleQuote if c == '\'' => return State::PreValue,
            State::DoubleQuote if c == '"' => return State::PreValue,
            State::DoubleQuote if c == '\\' => return State::DoubleQuoteEscape,
            State::SingleQuote | State::DoubleQuote => self.value.push(c),
            State::DoubleQuoteEscape => {
                if "\"\\`$".contains(c) {
                    self.value.push(c);
                } else if c != '\n' {
                    self.value.extend(['\\', c]);
                }
                return State::DoubleQuote;
            }
            State::Comment if is_newline(c) => return State::PreKey,
            State::Comment => {}
        }
        state
    }
}

/// Its assignments, in order, also those whose name systemd would not take.
pub fn assignments(text: &str) -> Vec<(String, String)> {
    let mut reader = Reader::default();
    let end = text.chars().fold(State::PreKey, |state, c| reader.step(state, c));
    match end {
        State::PreKey | State::Key | State::Comment => {}
        State::Value => reader.push_chomped(),
        _ => reader.push(),
    }
    reader.pairs
}
