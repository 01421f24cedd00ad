//! One request to an instance, whose answer has to be as its release says.

use std::time::Duration;

use serde_json::Value;
use tokio::time::Instant;

use super::http::{self, Answer, Cut};
use super::probe;
use crate::model::{HttpAssertion, Method, Port};

/// The most that is read of a body that matters, bytes.
const BODY: usize = 1024 * 1024;
/// The most that is read, and how long it may take, of one that is only shown where something else is wrong.
const SHOWN: usize = 4096;
const SHOWN_TIME: Duration = Duration::from_millis(200);

/// Asks 127.0.0.1:`port` once; all of it, the answer's body included where that matters, takes at most `timeout`. Errors with
/// what is not as `wanted`, as in `GET /api/stories answered 500, expected 200: "no database"`.
pub async fn once(wanted: &HttpAssertion, port: Port, timeout: Duration) -> Result<(), String> {
    let deadline = Instant::now() + timeout;
    let asked = async {
        let stream = probe::connect(port).await?;
        let host = wanted.host.clone().unwrap_or_else(|| format!("127.0.0.1:{port}"));
        let method = match wanted.method {
            Method::Get => hyper::Method::GET,
            Method::Head => hyper::Method::HEAD,
        };
        let read = if wanted.is_of_body() {
            (BODY, deadline)
        } else {
            (SHOWN, deadline.min(Instant::now() + SHOWN_TIME))
        };
        let answer = http::ask(stream, method, &host, &wanted.path, &wanted.headers, read).await;
        answer.map_err(|error| format!("no HTTP answer: {error:#}"))
    };
    // A body keeps its own time, to say of what answer it is.
    let answer = tokio::time::timeout_at(deadline + Duration::from_millis(100), asked).await;
    let answer = answer.unwrap_or_else(|_| Err(format!("no answer within {timeout:?}")));
    match answer {
        Ok((answer, cut)) => judge(wanted, &answer, cut),
        Err(why) => Err(format!("{wanted} failed: {why}")),
    }
}

/// What is not as it should be in an answer, the first thing.
fn judge(wanted: &HttpAssertion, answer: &Answer, cut: Option<Cut>) -> Result<(), String> {
    let status = answer.status.as_u16();
    if !wanted.status.contains(&status) {
        let expected: Vec<_> = wanted.status.iter().map(u16::to_string).collect();
        let expected = expected.join(" or ");
        let said = body(answer);
        return Err(format!("{wanted} answered {status}, expected {expected}{said}"));
    }
    let refuse = |what: String| Err(format!("{wanted} answered {status}{what}"));
    for (name, expected) in &wanted.header {
        let values = answer.headers.get_all(name.as_str());
        if values.iter().any(|value| value.as_bytes() == expected.as_bytes()) {
            continue;
        }
        return refuse(match values.iter().next() {
            Some(value) => {
                let value = String::from_utf8_lossy(value.as_bytes());
                format!(" with {name}: {}, expected {expected:?}", shown(&value))
            }
            None => format!(" without the header {name}, expected {expected:?}"),
        });
    }
    if !wanted.is_of_body() {
        return Ok(());
    }
    let said = body(answer);
    match cut {
        None => {}
        Some(Cut::Long) => return refuse(format!(" with a body longer than 1 MiB, which is not looked at{said}")),
        Some(Cut::Slow) => return refuse(format!(" with a body that had no end in time{said}")),
        Some(Cut::Broken) => return refuse(format!(" with a body that broke off{said}")),
    }
    if let Some(text) = &wanted.body_contains
        && !answer.body.contains(text)
    {
        return refuse(format!(", expected {text:?} in its body{said}"));
    }
    if wanted.json.is_empty() {
        return Ok(());
    }
    let Ok(document) = serde_json::from_str::<Value>(&answer.body) else {
        return refuse(format!(" with a body that is no JSON{said}"));
    };
    for (pointer, expected) in &wanted.json {
        match pointer.of(&document) {
            Some(value) if is_equal(value, expected) => {}
            Some(value) => return refuse(format!(" with {} at {pointer}, expected {expected}", shown_json(value))),
            None => return refuse(format!(" with nothing at {pointer}, expected {expected}")),
        }
    }
    Ok(())
}

/// Numbers are equal by what they say: 1 and 1.0 are the same.
fn is_equal(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Number(one), Value::Number(other)) if one.is_f64() != other.is_f64() => one.as_f64() == other.as_f64(),
        _ => one == other,
    }
}

/// The first line of a body, as the end of a sentence.
fn body(answer: &Answer) -> String {
    match answer.first_line() {
        line if line.is_empty() => String::new(),
        line => format!(": {line:?}"),
    }
}

fn shown_json(value: &Value) -> String {
    match value {
        Value::Array(_) => "a list".to_owned(),
        Value::Object(_) => "an object".to_owned(),
        Value::String(text) => shown(text),
        other => other.to_string(),
    }
}

/// A value in quotes, shortened.
fn shown(text: &str) -> String {
    const MOST: usize = 100;
    let start: String = text.chars().take(MOST).collect();
    if start.len() < text.len() {
        format!("{start:?}...")
    } else {
        format!("{start:?}")
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use hyper::StatusCode;
    use hyper::header::HeaderMap;
    use serde_json::json;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;

    use super::*;
    use crate::model::JsonPointer;

    fn wanted() -> HttpAssertion {
        HttpAssertion {
            method: Method::Get,
            path: "/a".to_owned(),
            host: None,
            headers: BTreeMap::new(),
            status: [200].into(),
            header: BTreeMap::new(),
            body_contains: None,
            json: BTreeMap::new(),
        }
    }

    fn with_json(pointer: &str, value: Value) -> HttpAssertion {
        let json = [(JsonPointer::parse(pointer).unwrap(), value)].into();
        HttpAssertion { json, ..wanted() }
    }

    fn with_header(value: &str) -> HttpAssertion {
        let header = [("X-Release".to_owned(), value.to_owned())].into();
        HttpAssertion { header, ..wanted() }
    }

    fn with_text(text: &str) -> HttpAssertion {
        let body_contains = Some(text.to_owned());
        HttpAssertion {
            body_contains,
            ..wanted()
        }
    }

    /// What is said of an answer; nothing where it is good.
    fn said(wanted: &HttpAssertion, status: u16, body: &str, cut: Option<Cut>) -> String {
        let mut headers = HeaderMap::new();
        headers.append("x-release", "r1".parse().unwrap());
        headers.append("x-release", "r2".parse().unwrap());
        let (status, body) = (StatusCode::from_u16(status).unwrap(), body.to_owned());
        let answer = Answer { status, headers, body };
        judge(wanted, &answer, cut).err().unwrap_or_default()
    }

    #[test]
    fn good_answers() {
        let body = r#"{"n": 2, "x": 1.0, "ok": true, "all": [{"title": "one"}]}"#;
        for (pointer, value) in [
            ("/n", json!(2)),
            ("/n", json!(2.0)),
            ("/x", json!(1)),
            ("/ok", json!(true)),
            ("/all/0/title", json!("one")),
        ] {
            assert_eq!(said(&with_json(pointer, value), 200, body, None), "");
        }
        assert_eq!(said(&with_header("r2"), 200, "", None), "");
        assert_eq!(said(&with_text("title"), 200, body, None), "");
        // Who only asks for the status takes a stream without end as well.
        assert_eq!(said(&wanted(), 200, "", Some(Cut::Slow)), "");
        let either = HttpAssertion {
            status: [201, 409].into(),
            ..wanted()
        };
        assert_eq!(said(&either, 409, "", None), "");
    }

    #[test]
    fn bad_answers_are_told_with_what_was_expected() {
        let either = HttpAssertion {
            status: [200, 204].into(),
            ..wanted()
        };
        let list = json!({ "n": [1], "s": "a".repeat(300), "o": {}, "z": null }).to_string();
        let told = [
            said(&wanted(), 500, "no\u{1b} database\nat all", None),
            said(&either, 404, "", None),
            said(&with_header("r3"), 200, "", None),
            said(
                &HttpAssertion {
                    header: [("etag".to_owned(), "x".to_owned())].into(),
                    ..wanted()
                },
                200,
                "",
                None,
            ),
            said(&with_text("stories"), 200, "<html>\n<p>moved</p>", None),
            said(&with_text("a"), 200, "aaa", Some(Cut::Long)),
            said(&with_text("a"), 200, "aaa", Some(Cut::Slow)),
            said(&with_json("/n", json!(1)), 200, "{\"n\": 1", Some(Cut::Broken)),
            said(&with_json("/n", json!(1)), 200, "ok", None),
            said(&with_json("/n/1", json!(1)), 200, &list, None),
            said(&with_json("/n", json!(1)), 200, &list, None),
            said(&with_json("/o", json!("x")), 200, &list, None),
            said(&with_json("/z", json!(false)), 200, &list, None),
            said(&with_json("/n/0", json!("1")), 200, &list, None),
        ];
        insta::assert_snapshot!(told.join("\n"), @r#"
        GET /a answered 500, expected 200: "no  database"
        GET /a answered 404, expected 200 or 204
        GET /a answered 200 with X-Release: "r1", expected "r3"
        GET /a answered 200 without the header etag, expected "x"
        GET /a answered 200, expected "stories" in its body: "moved"
        GET /a answered 200 with a body longer than 1 MiB, which is not looked at: "aaa"
        GET /a answered 200 with a body that had no end in time: "aaa"
        GET /a answered 200 with a body that broke off: "{\"n\": 1"
        GET /a answered 200 with a body that is no JSON: "ok"
        GET /a answered 200 with nothing at /n/1, expected 1
        GET /a answered 200 with a list at /n, expected 1
        GET /a answered 200 with an object at /o, expected "x"
        GET /a answered 200 with null at /z, expected false
        GET /a answered 200 with 1 at /n/0, expected "1"
        "#);
        let long = said(&with_json("/s", json!("b")), 200, &list, None);
        assert!(
            long.contains("aaa\"... at /s, expected \"b\"") && long.len() < 200,
            "{long}"
        );
    }

    /// Answers one request with `answer`, and then with nothing, without an end.
    async fn serve(answer: &'static str) -> Port {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = Port::new(listener.local_addr().unwrap().port()).unwrap();
        tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = [0; 1024];
            assert!(stream.read(&mut request).await.unwrap() > 0);
            stream.write_all(answer.as_bytes()).await.unwrap();
            std::future::pending::<()>().await;
        });
        port
    }

    #[tokio::test]
    async fn answers_without_end_are_bounded() {
        let short = Duration::from_millis(300);
        let head = "HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nstories";
        let error = once(&with_text("stories"), serve(head).await, short).await.unwrap_err();
        assert_eq!(
            error,
            "GET /a answered 200 with a body that had no end in time: \"stories\""
        );
        assert_eq!(
            once(&wanted(), serve(head).await, Duration::from_secs(20)).await,
            Ok(())
        );
        let error = once(&wanted(), serve("").await, short).await.unwrap_err();
        assert_eq!(error, "GET /a failed: no answer within 300ms");
        let error = once(&wanted(), serve("SSH-2.0\r\n\r\n").await, short)
            .await
            .unwrap_err();
        assert!(error.starts_with("GET /a failed: no HTTP answer: "), "{error}");
        let head = HttpAssertion {
            method: Method::Head,
            ..wanted()
        };
        let answer = "HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n";
        assert_eq!(once(&head, serve(answer).await, short).await, Ok(()));
    }
}
