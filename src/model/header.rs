//! Headers of a request that bgctl sends, by itself and through nginx.

use super::Invalid;

/// The longest value, bytes: far less than any server takes.
const LONGEST: usize = 4096;

/// What belongs to the connection or has a key of its own (RFC 9110, 7.6.1).
const NOT_ITS_OWN: [&str; 8] = [
    "connection",
    "content-length",
    "host",
    "keep-alive",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// Errors with [`Invalid`] where `text` is no `Host` (RFC 9110, 7.2): a name or an address, with or without a port.
pub fn check_host(text: &str) -> Result<(), Invalid> {
    let plain = |c: char| c.is_ascii_alphanumeric() || ".-_:[]".contains(c);
    if !text.is_empty() && text.len() <= 255 && text.chars().all(plain) {
        return Ok(());
    }
    Err(Invalid::value("a Host", text, "it must be NAME or NAME:PORT"))
}

/// Errors with [`Invalid`] where `text` is no name of a header that a check may have.
pub fn check_header_name(text: &str) -> Result<(), Invalid> {
    let refuse = |reason: &str| Err(Invalid::value("a header", text, reason));
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    if text.is_empty() || text.len() > 255 || !text.chars().all(plain) {
        return refuse("it must be letters, digits, - and _");
    }
    if NOT_ITS_OWN.contains(&text.to_ascii_lowercase().as_str()) {
        return refuse("it is the connection's, or has a key of its own ([health] host)");
    }
    Ok(())
}

/// Errors with [`Invalid`] where `text` cannot be a header's value here. It is not repeated.
pub fn check_header_value(text: &str) -> Result<(), Invalid> {
    let refuse = |reason: &str| {
        Err(Invalid::new(format!(
            "cannot use this as the value of a header: {reason}"
        )))
    };
    if text.len() > LONGEST {
        return refuse("it is longer than 4 KiB");
    }
    if !text.chars().all(|c| c == ' ' || c.is_ascii_graphic()) {
        return refuse("it must be one line of ASCII");
    }
    if text.contains('$') {
        return refuse("nginx has no way to write a $");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_and_headers() {
        for good in ["shop.example", "shop.example:8443", "[::1]:80", "localhost"] {
            assert!(check_host(good).is_ok(), "{good}");
        }
        for bad in ["", "a b", "a\"b", "$host", "a/b", "a\r\nX: y"] {
            assert!(check_host(bad).is_err(), "{bad}");
        }
        for good in ["Authorization", "X-Forwarded-Proto", "x_y"] {
            assert!(check_header_name(good).is_ok(), "{good}");
        }
        for bad in ["", "Host", "hOST", "Connection", "a b", "a:", "ü"] {
            assert!(check_header_name(bad).is_err(), "{bad}");
        }
        for good in ["", "Bearer a=b", "\"\\"] {
            assert!(check_header_value(good).is_ok(), "{good}");
        }
        for bad in ["a\nb", "$host", "ü", &"a".repeat(5000)] {
            let error = check_header_value(bad).unwrap_err().to_string();
            assert!(!error.contains(bad), "{error}");
        }
    }
}
