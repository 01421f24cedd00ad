//! Lines and paths.

use camino::Utf8PathBuf;

use super::value;
use crate::model::{Invalid, check_header_name, check_header_value, check_host, check_path, check_request_path};

value!(
    /// One line of text, without control characters.
    Line(String), String, parse_line
);
value!(
    /// Text of one line or more, without other control characters.
    Text(String), String, parse_text
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
    /// The path of a request, with its query.
    RequestPath(String), String, |text: String| check_request_path("the path of a request", &text).map(|()| text)
);
value!(
    /// What a request has as `Host`.
    HostHeader(String), String, |text: String| check_host(&text).map(|()| text)
);
value!(
    /// The name of a header.
    HeaderName(String), String, |text: String| check_header_name(&text).map(|()| text)
);
value!(
    /// The value of a header.
    HeaderValue(String), String, |text: String| check_header_value(&text).map(|()| text)
);
value!(
    /// The name of a user of the host.
    UserName(String), String, parse_user
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

fn parse_text(text: String) -> Result<String, Invalid> {
    match text.chars().find(|c| c.is_control() && !is_of_text(*c)) {
        Some(odd) => Err(Invalid::new(format!("cannot use this text: it has {odd:?}"))),
        None => Ok(text),
    }
}

/// Whether a control character may be in a text of several lines.
pub(in crate::config) fn is_of_text(c: char) -> bool {
    matches!(c, '\t' | '\n' | '\r')
}

fn parse_path(text: String) -> Result<Utf8PathBuf, Invalid> {
    check_path("a path", &text)?;
    // Through components: without a trailing slash, `//` and `/./`.
    Ok(Utf8PathBuf::from(text).components().collect())
}

fn parse_health_path(text: String) -> Result<String, Invalid> {
    check_request_path("the path of the health check", &text).map(|()| text)
}

/// As useradd(8) takes it; systemd takes no others without a warning (systemd.exec(5), `User=`).
fn parse_user(text: String) -> Result<String, Invalid> {
    let first = |c: char| c.is_ascii_alphabetic() || c == '_';
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    if text.len() <= 31 && text.starts_with(first) && text.chars().all(plain) {
        return Ok(text);
    }
    Err(Invalid::value(
        "the name of a user",
        text,
        "it must be letters, digits, _ and -, and start with no digit",
    ))
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
    fn paths_lose_what_means_nothing() {
        let parse = |text: &str| parse_path(text.to_owned());
        assert_eq!(parse("/etc/nginx//shop.d/").unwrap(), "/etc/nginx/shop.d");
        assert!(parse("etc").is_err());
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
}
