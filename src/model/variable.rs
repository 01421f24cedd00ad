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
    /// `docker run --env-file`: each line is `NAME=VALUE` to its end, without quotes or escapes. What it cannot carry goes through
    /// the unit's file and the environment of the docker client.
    Container,
}

impl EnvironmentFile {
    /// Errors with [`Invalid`] where the file cannot carry the variable; `is_of_color` where each color has another value of it.
    /// The error names the variable only: the value may be a secret.
    pub fn check(self, name: &str, value: &str, is_of_color: bool) -> Result<(), Invalid> {
        if self.is_of_client(value, is_of_color) {
            check_client(name)?;
            return Self::Unit.check(name, value, is_of_color);
        }
        let refuse = |reason: &str| Err(Invalid::new(format!("cannot set {name} in the environment: {reason}")));
        // Both have one more byte: the NUL, or the end of the line.
        let length = name.len() + 1 + value.len() + 1;
        match self {
            Self::Unit if PROGRAM_PREFIX.len() + length > LONGEST => refuse("it is longer than 128 KiB"),
            Self::Unit if value.contains(is_no_text) => {
                refuse("its value holds NUL, a byte order mark or a Unicode noncharacter")
            }
            Self::Container if length > LONGEST_LINE => refuse("it is longer than 64 KiB, the most that docker takes"),
            Self::Container if value.contains('\0') => refuse("its value holds NUL"),
            Self::Unit | Self::Container => Ok(()),
        }
    }
}

impl EnvironmentFile {
    /// Whether it is for a container, and another file has to carry the variable.
    pub fn is_of_client(self, value: &str, is_of_color: bool) -> bool {
        self == Self::Container && (is_of_color || value.contains(['\n', '\r']))
    }
}

/// Errors with [`Invalid`] where a variable means something to the docker client itself.
fn check_client(name: &str) -> Result<(), Invalid> {
    if !["DOCKER_", "LD_"].iter().any(|start| name.starts_with(start)) {
        return Ok(());
    }
    Err(Invalid::new(format!(
        "cannot set {name} in the environment: with a placeholder or more than one line the docker client would read it as well"
    )))
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
            assert_eq!(file.check("A", value, false), Ok(()), "{value:?}");
        }
        for value in bad {
            let error = file.check("TOKEN", value, false).unwrap_err().to_string();
            assert!(error.contains("TOKEN") && !error.contains("secret"), "{error}");
        }
    }

    #[test]
    fn unit_takes_text_of_several_lines() {
        let (longest, longer) = ("a".repeat(LONGEST - 13), "a".repeat(LONGEST - 12));
        assert_all(
            EnvironmentFile::Unit,
            &["", "a\nb", "\u{7f}\t\r", "ünï", &longest],
            &["\0", "secret\u{fffe}", "\u{fdd0}", "\u{10ffff}", &longer],
        );
    }

    #[test]
    fn container_takes_one_line_and_its_client_the_rest() {
        let (longest, longer) = ("a".repeat(LONGEST_LINE - 3), "a".repeat(LONGEST_LINE - 2));
        assert_all(
            EnvironmentFile::Container,
            &["", " \"a\"\t#", "\u{fffe}ünï", &longest, "secret\nA=b", "a\r\nb"],
            &["\0", "a\n\0", &longer],
        );
        let check = |name, value, is_of_color| EnvironmentFile::Container.check(name, value, is_of_color);
        assert!(check("DOCKER_HOST", "tcp://a", false).is_ok());
        assert!(check("DOCKER_HOST", "tcp://{app}", true).is_err());
        assert!(check("LD_PRELOAD", "a\nb", false).is_err());
    }
}
