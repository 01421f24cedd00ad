//! Lines, paths and ids.

use camino::Utf8PathBuf;

use super::value;
use crate::model::Invalid;

value!(
    /// One line of text, without control characters.
    Line(String), String, parse_line
);
value!(
    /// A path from `/` on, of characters that need no quoting in a systemd unit or an nginx site.
    AbsolutePath(Utf8PathBuf), String, parse_path
);
value!(
    /// The path of a health check.
    HealthPath(String), String, parse_health_path
);
value!(
    /// The id of a systemd credential.
    CredentialId(String), String, parse_credential_id
);
value!(
    /// A line for `[Service]`.
    ServiceLine(String), String, parse_service_line
);

fn parse_line(text: String) -> Result<String, Invalid> {
    match text.chars().find(|c| c.is_control() && *c != '\t') {
        Some(odd) => Err(Invalid::new(format!(
            "cannot use this text: it must be one line, and has {odd:?}"
        ))),
        None => Ok(text),
    }
}

fn parse_path(text: String) -> Result<Utf8PathBuf, Invalid> {
    let refuse = |reason: &str| Err(Invalid::value("a path", &text, reason));
    if !text.starts_with('/') {
        return refuse("it must start with /");
    }
    let plain = |c: char| c.is_alphanumeric() || "/._-+@:,~=".contains(c);
    if let Some(odd) = text.chars().find(|c| !plain(*c)) {
        return refuse(&format!("{odd:?} has a meaning of its own in units and nginx sites"));
    }
    // Through components: without a trailing slash, `//` and `/./`.
    Ok(Utf8PathBuf::from(text).components().collect())
}

fn parse_health_path(text: String) -> Result<String, Invalid> {
    let refuse = |reason: &str| Err(Invalid::value("the path of the health check", &text, reason));
    if !text.starts_with('/') {
        return refuse("it must start with /");
    }
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-~!&()*+,=:@%?".contains(c);
    match text.chars().find(|c| !plain(*c)) {
        Some(odd) => refuse(&format!("{odd:?} has no place in it, write it as %XX")),
        None => Ok(text),
    }
}

/// systemd's `credential_name_valid`, and nothing that needs quoting in a unit.
fn parse_credential_id(text: String) -> Result<String, Invalid> {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    if text.is_empty() || text.len() > 255 || text.starts_with('.') || !text.chars().all(plain) {
        return Err(Invalid::value(
            "the id of a credential",
            &text,
            "it must be letters, digits and ._-, and not start with a dot",
        ));
    }
    Ok(text)
}

fn parse_service_line(text: String) -> Result<String, Invalid> {
    let refuse = |reason: &str| Err(Invalid::value("a line of [Service]", &text, reason));
    let key = text.split_once('=').map(|(key, _)| key);
    let is_key =
        |key: &str| key.starts_with(|c: char| c.is_ascii_uppercase()) && key.bytes().all(|b| b.is_ascii_alphanumeric());
    if !key.is_some_and(is_key) {
        return refuse("it must be Key=Value, as in \"LimitNOFILE=65536\"");
    }
    if text.chars().any(|c| c.is_control() && c != '\t') {
        return refuse("it must be one line");
    }
    if text.ends_with('\\') {
        return refuse("a backslash at its end would take in the line after it");
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_absolute_and_need_no_quoting() {
        let parse = |text: &str| parse_path(text.to_owned());
        assert_eq!(parse("/etc/nginx//shop.d/").unwrap(), "/etc/nginx/shop.d");
        for bad in [
            "", "etc", "./etc", "/a b", "/a;", "/$x", "/a\n", "/a%i", "/a\"", "/a*", "/a{", "/a\\",
        ] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn health_paths() {
        for good in ["/", "/health", "/a?b=c&d=%20"] {
            assert!(parse_health_path(good.to_owned()).is_ok(), "{good}");
        }
        for bad in [
            "",
            "health",
            "http://x/",
            "/a b",
            "/a\"",
            "/a'",
            "/a\n",
            "/a;",
            "/$x",
            "/a{",
            "/a#b",
            "/ä",
        ] {
            assert!(parse_health_path(bad.to_owned()).is_err(), "{bad}");
        }
    }

    #[test]
    fn lines_of_a_unit_stay_one_line() {
        for good in ["LimitNOFILE=65536", "Environment=", "Nice=-5"] {
            assert!(parse_service_line(good.to_owned()).is_ok(), "{good}");
        }
        for bad in [
            "",
            "LimitNOFILE",
            "=x",
            "[Install]",
            "# x=y",
            "A=b\nExecStart=/x",
            "A=b\\",
            "limit = 1",
        ] {
            assert!(parse_service_line(bad.to_owned()).is_err(), "{bad}");
        }
        assert!(parse_line("a\tb".to_owned()).is_ok());
        for bad in ["a\nb", "a\0", "a\rb"] {
            assert!(parse_line(bad.to_owned()).is_err(), "{bad}");
        }
    }

    #[test]
    fn credential_ids() {
        assert!(parse_credential_id("db.password".to_owned()).is_ok());
        for bad in ["", ".", "..", "a/b", "a:b", "a b", "a%i", &"a".repeat(256)] {
            assert!(parse_credential_id(bad.to_owned()).is_err(), "{bad}");
        }
    }
}
