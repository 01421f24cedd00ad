//! What can stand in no environment file, however it is escaped, is refused here, by name.

use crate::model::Invalid;

/// The longest `NAME=VALUE` that Linux hands to a program, bytes with the final NUL (execve(2), `MAX_ARG_STRLEN`).
const LONGEST: usize = 128 * 1024;

/// A variable for an environment file: systemd takes no NUL, no byte order mark and none of Unicode's noncharacters
/// (systemd.exec(5), `EnvironmentFile=`).
///
/// The error names the variable only: the value may be a secret.
pub fn variable<'a>(name: &str, value: &'a str) -> Result<&'a str, Invalid> {
    let refuse = |reason: &str| Err(Invalid::new(format!("cannot set {name} in the environment: {reason}")));
    if name.len() + 1 + value.len() + 1 > LONGEST {
        return refuse("its value is longer than 128 KiB");
    }
    if value.contains(is_no_text) {
        return refuse("its value holds NUL, a byte order mark or a Unicode noncharacter");
    }
    Ok(value)
}

fn is_no_text(c: char) -> bool {
    let code = u32::from(c);
    matches!(c, '\0' | '\u{feff}' | '\u{fdd0}'..='\u{fdef}') || code & 0xfffe == 0xfffe
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables() {
        for good in ["", "a\nb", "\u{7f}\t\r", "ünï"] {
            assert!(variable("A", good).is_ok(), "{good:?}");
        }
        for bad in ["\0", "secret\u{fffe}", "\u{fdd0}", "\u{10ffff}", &"a".repeat(LONGEST)] {
            let error = variable("TOKEN", bad).unwrap_err().to_string();
            assert!(error.contains("TOKEN") && !error.contains("secret"), "{error}");
        }
        assert!(variable("A", &"a".repeat(LONGEST - 3)).is_ok());
    }
}
