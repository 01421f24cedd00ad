//! The page: shows who serves, so large that a switch is seen, and the stories.

use crate::answer::{self, Answer};
use crate::state::App;
use hyper::StatusCode;
use hyper::header::{self, HeaderValue};

/// The page, with `{{name}}` where a value goes.
const HTML: &str = include_str!("page/index.html");

/// How it looks.
const STYLE: &str = include_str!("page/style.css");

/// How it stays up to date.
const SCRIPT: &str = include_str!("page/app.js");

/// Only what this server sends, and nothing within the page itself.
const POLICY: &str = "default-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// The file at a path.
pub fn file(app: &App, path: &str) -> Answer {
    match path {
        "/" => html(app),
        "/style.css" => answer::file("text/css; charset=utf-8", STYLE),
        "/app.js" => answer::file("text/javascript; charset=utf-8", SCRIPT),
        "/icon-blue.svg" => icon("#1f4fd8"),
        "/icon-green.svg" => icon("#13803f"),
        "/icon-none.svg" => icon("#59616f"),
        _ => answer::problem(StatusCode::NOT_FOUND, "no such page"),
    }
}

/// The page, with this instance's values: it shows them before and without JavaScript.
fn html(app: &App) -> Answer {
    let instance = app.instance();
    let (port, pid) = (instance.port.to_string(), instance.pid.to_string());
    let values = [
        ("app", instance.app),
        ("release", instance.release),
        ("color", instance.color),
        ("port", &port),
        ("pid", &pid),
        ("started", &instance.started),
    ];
    let mut answer = answer::file("text/html; charset=utf-8", fill(HTML, &values));
    answer
        .headers_mut()
        .insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    answer
}

/// A square of a color.
fn icon(color: &str) -> Answer {
    let svg = format!(
        r#"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 16 16"><rect width="16" height="16" rx="4" fill="{color}"/></svg>"#
    );
    answer::file("image/svg+xml", svg)
}

/// The template with its values, each escaped; what a value contains is not looked at again.
fn fill(template: &str, values: &[(&str, &str)]) -> String {
    let mut pieces = template.split("{{");
    let mut text = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        let (name, rest) = piece.split_once("}}").unwrap_or((piece, ""));
        let value = values
            .iter()
            .find(|(key, _)| *key == name)
            .map_or("", |(_, value)| value);
        text.extend([escape(value).as_str(), rest]);
    }
    text
}

/// Text as it goes into HTML, attributes included.
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            other => escaped.push(other),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_text_and_nothing_else() {
        let values = [("a", "<b>\"x\"&'{{c}}"), ("c", "never")];
        assert_eq!(
            fill("<p title=\"{{a}}\">{{c}}", &values),
            "<p title=\"&lt;b&gt;&quot;x&quot;&amp;&#39;{{c}}\">never"
        );
    }

    #[test]
    fn every_place_of_the_page_has_a_value() {
        let names = ["app", "release", "color", "port", "pid", "started"];
        for piece in HTML.split("{{").skip(1) {
            let (name, _) = piece.split_once("}}").unwrap();
            assert!(names.contains(&name), "{name}");
        }
    }
}
