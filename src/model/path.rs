//! What stands by itself in a unit or a site: paths and ids. One rule for each, whoever asks.

use super::Invalid;
use super::name::name;

name!(
    /// The id of a systemd credential (systemd.exec(5), `LoadCredential=`: usable as a file name): 1 to 255 of ASCII letters,
    /// digits, `.`, `_` and `-`, not from a `.`.
    CredentialId,
    check_credential
);

fn check_credential(text: &str) -> Result<(), Invalid> {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    if text.is_empty() || text.len() > 255 || text.starts_with('.') || !text.chars().all(plain) {
        return Err(Invalid::value(
            "the id of a credential",
            text,
            "it must be letters, digits and ._-, and not start with a dot",
        ));
    }
    Ok(())
}

/// The longest path, bytes with the final NUL (`PATH_MAX`, `path_resolution(7)`).
const PATH_MAX: usize = 4096;

/// Fails with [`Invalid`] where `text` is no path from `/` on, of characters that need no quoting in a systemd unit or an nginx
/// site: not every setting there reads quotes and escapes. `what` names it.
pub fn check_path(what: &str, text: &str) -> Result<(), Invalid> {
    let refuse = |reason: &str| Err(Invalid::value(what, text, reason));
    if !text.starts_with('/') {
        return refuse("it must start with /");
    }
    if text.len() >= PATH_MAX {
        return refuse("it is longer than a path can be");
    }
    let plain = |c: char| c.is_alphanumeric() || "/._-+@:,~=".contains(c);
    match text.chars().find(|c| !plain(*c)) {
        Some(odd) => refuse(&format!("{odd:?} has a meaning of its own in units and nginx sites")),
        None => Ok(()),
    }
}

/// Fails with [`Invalid`] where `text` is no path of a program that env(1) runs, which is how the unit starts it.
pub fn check_program(text: &str) -> Result<(), Invalid> {
    if text.starts_with('/') && !text.contains(|c: char| c == '=' || c.is_control()) {
        return Ok(());
    }
    Err(Invalid::value(
        "a program",
        text,
        "it must be an absolute path without '='",
    ))
}

/// Fails with [`Invalid`] where `text`, which is a `what`, is no path (with its query) that can stand in a request line as it is,
/// also in one that nginx sends.
pub fn check_request_path(what: &str, text: &str) -> Result<(), Invalid> {
    let refuse = |reason: &str| Err(Invalid::value(what, text, reason));
    if !text.starts_with('/') {
        return refuse("it must start with /");
    }
    if text.len() >= PATH_MAX {
        return refuse("it is longer than a path can be");
    }
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-~!&()*+,=:@%?".contains(c);
    match text.chars().find(|c| !plain(*c)) {
        Some(odd) => refuse(&format!("{odd:?} has no place in it, write it as %XX")),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_absolute_and_need_no_quoting() {
        let parse = |text: &str| check_path("a path", text);
        for good in ["/", "/etc/nginx/shop.d/", "/srv/ü/a:b@c=d"] {
            assert!(parse(good).is_ok(), "{good}");
        }
        for bad in [
            "",
            "etc",
            "./etc",
            "/a b",
            "/a;",
            "/$x",
            "/a\n",
            "/a%i",
            "/a\"",
            "/a*",
            "/a{",
            "/a\\",
            &"/a".repeat(2048),
        ] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn programs() {
        assert!(check_program("/opt/my tools/shop").is_ok());
        for bad in ["", "shop", "--help", "/opt/a=b", "/opt/a\nb"] {
            assert!(check_program(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn health_paths() {
        for good in ["/", "/health", "/a?b=c&d=%20"] {
            assert!(check_request_path("a path", good).is_ok(), "{good}");
        }
        for bad in [
            "",
            "health",
            "http://x/",
            "/a b",
            "/a\"",
            "/a'",
            "/a\r\nX: y",
            "/a;",
            "/$x",
            "/a{",
            "/a#b",
            "/ä",
        ] {
            assert!(check_request_path("a path", bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn credential_ids() {
        assert!(CredentialId::parse("db.password").is_ok());
        for bad in ["", ".", "..", "a/b", "a:b", "a b", "a\nb", "a%i", &"a".repeat(256)] {
            assert!(CredentialId::parse(bad).is_err(), "{bad}");
        }
    }
}
