//! Values of the host's settings.

use super::value;
use crate::model::{Invalid, UnitName};

value!(
    /// A URL of a member of etcd.
    Endpoint(String), String, |text: String| parse_endpoint(&text)
);
value!(
    /// What stands before every key in etcd; from `/` to `/`.
    KeyPrefix(String), String, |text: String| parse_prefix(&text)
);
value!(
    /// The name of a service unit.
    ServiceName(UnitName), String, |text: String| UnitName::service(&text)
);

fn parse_endpoint(text: &str) -> Result<String, Invalid> {
    let refuse = |reason: &str| Err(Invalid::value("an endpoint of etcd", text, reason));
    if text.contains('@') {
        return Err(Invalid::new(
            "cannot use a password in an endpoint: give user and password_file",
        ));
    }
    let host = text.strip_prefix("http://").or_else(|| text.strip_prefix("https://"));
    let plain = |c: char| c.is_ascii_alphanumeric() || ".-_:[]".contains(c);
    match host.map(|host| host.strip_suffix('/').unwrap_or(host)) {
        Some(host) if !host.is_empty() && host.chars().all(plain) => Ok(text.trim_end_matches('/').to_owned()),
        _ => refuse("it must be a URL, as in \"http://127.0.0.1:2379\""),
    }
}

fn parse_prefix(text: &str) -> Result<String, Invalid> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-".contains(c);
    if !text.starts_with('/') || !text.chars().all(plain) {
        let reason = "it must start with / and be letters, digits and /._-";
        return Err(Invalid::value("a prefix of keys", text, reason));
    }
    Ok(format!("{}/", text.trim_end_matches('/')))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefixes_end_with_a_slash() {
        for (text, prefix) in [("/", "/"), ("/bgctl", "/bgctl/"), ("/a/b/", "/a/b/")] {
            assert_eq!(parse_prefix(text).unwrap(), prefix);
        }
    }

    #[test]
    fn passwords_in_urls_are_not_repeated() {
        let error = parse_endpoint("http://user:s3cret@host:2379").unwrap_err();
        assert!(!error.to_string().contains("s3cret"), "{error}");
    }
}
