//! What can stand in no file of its type, however it is escaped, is refused here, by name.

use camino::Utf8Path;

use crate::model::Invalid;

/// A path for a setting of a unit file. Not every setting reads quotes and escapes, so nothing that would need them is
/// let in; a space is no separator where the templates put such paths.
pub fn unit_path<'a>(what: &str, path: &'a Utf8Path) -> Result<&'a str, Invalid> {
    let text = path.as_str();
    if !text.starts_with('/') {
        return Err(Invalid::value(what, text, "it must be an absolute path"));
    }
    let odd = |c: char| c.is_control() || matches!(c, '"' | '\'' | '\\' | '$');
    match text.chars().find(|c| odd(*c)) {
        Some(odd) => Err(Invalid::value(
            what,
            text,
            format!("a unit file cannot hold {odd:?} in it"),
        )),
        None if text.trim() != text => Err(Invalid::value(what, text, "it must not start or end with a space")),
        None => Ok(text),
    }
}

/// A program for a command line of a unit file, which is split at spaces.
pub fn program<'a>(what: &str, path: &'a Utf8Path) -> Result<&'a str, Invalid> {
    let text = unit_path(what, path)?;
    if text.contains(char::is_whitespace) {
        return Err(Invalid::value(what, text, "the path of a program must hold no spaces"));
    }
    Ok(text)
}

/// The id of a credential (systemd.exec(5), `LoadCredential=`: usable as a file name).
pub fn credential(id: &str) -> Result<&str, Invalid> {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    if id.is_empty() || id.len() > 255 || id.starts_with('.') || !id.chars().all(plain) {
        return Err(Invalid::value(
            "the id of a credential",
            id,
            "it must be letters, digits, '.', '_' and '-', and not start with '.'",
        ));
    }
    Ok(id)
}

/// A text for nginx's configuration: `$` starts a variable there and cannot be escaped.
pub fn nginx<'a>(what: &str, text: &'a str) -> Result<&'a str, Invalid> {
    match text.chars().find(|c| c.is_control() || *c == '$') {
        Some(odd) => Err(Invalid::value(
            what,
            text,
            format!("nginx's configuration cannot hold {odd:?} in it"),
        )),
        None => Ok(text),
    }
}

/// A path and query that nginx sends in a request line as it stands.
pub fn request_target(text: &str) -> Result<&str, Invalid> {
    let refuse = |reason: String| Err(Invalid::value("a health path", text, reason));
    if !text.starts_with('/') {
        return refuse("it must start with /".to_owned());
    }
    match text
        .chars()
        .find(|c| !c.is_ascii_graphic() || matches!(c, '$' | '#' | '"' | '\\'))
    {
        Some(odd) => refuse(format!("{odd:?} has no place in it, it must be percent-encoded")),
        None => Ok(text),
    }
}

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
    fn paths_of_units() {
        for good in ["/srv/my app/db", "/a%b", "/ü"] {
            assert!(unit_path("a path", good.into()).is_ok(), "{good}");
        }
        for bad in ["", "a", "/a\nb", "/a\"", "/a\\", "/$HOME", "/a "] {
            assert!(unit_path("a path", bad.into()).is_err(), "{bad}");
        }
    }

    #[test]
    fn credentials() {
        assert!(credential("db.password").is_ok());
        for bad in ["", ".", "..", "a/b", "a:b", "a b", "a\nb"] {
            assert!(credential(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn health_paths() {
        for good in ["/", "/health?deep=1&x=%20", "/a;b", "/{x}"] {
            assert!(request_target(good).is_ok(), "{good}");
        }
        for bad in ["", "health", "/a b", "/a\r\nX: y", "/$x", "/#x", "/ü", "/\""] {
            assert!(request_target(bad).is_err(), "{bad}");
        }
    }

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
