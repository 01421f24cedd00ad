//! Variables of an environment: what each kind of file that carries them can hold.

use super::Invalid;

/// The longest `NAME=VALUE` that Linux hands to a program, bytes with the final NUL (execve(2), `MAX_ARG_STRLEN`).
const LONGEST: usize = 128 * 1024;

/// What a program's variable has before its name until it is the program's own: under its own name it may mean something to
/// whoever starts the program.
pub const PROGRAM_PREFIX: &str = "BGCTL_ENV_";

/// The longest line of a file for `docker run --env-file`, bytes with its end: the docker client reads lines by Go's
/// `bufio.Scanner` and its `MaxScanTokenSize`.
const LONGEST_LINE: usize = 64 * 1024;

/// A kind of file that carries variables.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EnvironmentFile {
    /// `EnvironmentFile=` of a unit (systemd.exec(5)): no NUL, no byte order mark and none of Unicode's noncharacters. There is
    /// room for [`PROGRAM_PREFIX`].
    Unit,
    /// `docker run --env-file`: each line is `NAME=VALUE` to its end, without quotes or escapes.
    Container,
}

impl EnvironmentFile {
    /// Errors with [`Invalid`] where the file cannot carry the variable. The error names the variable only: the value may be a
    /// secret.
    pub fn check(self, name: &str, value: &str) -> Result<(), Invalid> {
        let refuse = |reason: &str| Err(Invalid::new(format!("cannot set {name} in the environment: {reason}")));
        // Both have one more byte: the NUL, or the end of the line.
        let length = name.len() + 1 + value.len() + 1;
        match self {
            Self::Unit if PROGRAM_PREFIX.len() + length > LONGEST => refuse("it is longer than 128 KiB"),
            Self::Unit if value.contains(is_no_text) => {
                refuse("its value holds NUL, a byte order mark or a Unicode noncharacter")
            }
            Self::Container if length > LONGEST_LINE => refuse("it is longer than 64 KiB, the most that docker takes"),
            Self::Container if value.contains(['\0', '\n', '\r']) => refuse("its value is more than one line"),
            Self::Unit | Self::Container => Ok(()),
        }
    }
}

fn is_no_text(c: char) -> bool {
    let code = u32::from(c);
    matches!(c, '\0' | '\u{feff}' | '\u{fdd0}'..='\u{fdef}') || code & 0xfffe == 0xfffe
}

#[cfg(test)]
mod tests {
    use super::*;

    fn assert_all(file: EnvironmentFile, good: &[&str], bad: &[&str]) {
        for value in good {
            assert_eq!(file.check("A", value), Ok(()), "{value:?}");
        }
        for value in bad {
            let error = file.check("TOKEN", value).unwrap_err().to_string();
            assert!(error.contains("TOKEN") && !error.contains("secret"), "{error}");
        }
    }

    #[test]
    fn a_unit_takes_text_of_several_lines() {
        let (longest, longer) = ("a".repeat(LONGEST - 13), "a".repeat(LONGEST - 12));
        assert_all(
            EnvironmentFile::Unit,
            &["", "a\nb", "\u{7f}\t\r", "ünï", &longest],
            &["\0", "secret\u{fffe}", "\u{fdd0}", "\u{10ffff}", &longer],
        );
    }

    #[test]
    fn a_container_takes_one_line() {
        let (longest, longer) = ("a".repeat(LONGEST_LINE - 3), "a".repeat(LONGEST_LINE - 2));
        assert_all(
            EnvironmentFile::Container,
            &["", " \"a\"\t#", "\u{fffe}ünï", &longest],
            &["\0", "secret\nA=b", "a\r", &longer],
        );
    }
}
