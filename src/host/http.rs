//! One small HTTP request over a stream, for probes and for what nginx says about itself.

use std::time::Duration;

use http_body_util::{BodyExt as _, Empty};
use hyper::body::Bytes;
use hyper::header::{CONNECTION, HOST, HeaderMap, LOCATION, USER_AGENT};
use hyper::http::request;
use hyper::{Method, Request, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::Instant;

/// The most that is read of an answer's body, bytes.
const BODY: usize = 64 * 1024;

/// How long an answer's body may take once its head is there: a stream without end is an answer, too.
const BODY_TIME: Duration = Duration::from_millis(200);

/// The longest line of an answer that is shown, characters.
const LINE: usize = 200;

/// As whom bgctl asks.
const USER: &str = concat!("bgctl/", env!("CARGO_PKG_VERSION"));

/// An answer.
#[derive(Clone, Debug)]
pub struct Answer {
    /// Its status.
    pub status: StatusCode,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body as text; empty where it is longer than 64 KiB, takes longer than 200 ms or breaks off.
    pub body: String,
}

impl Answer {
    /// Its status, and where it sends the client or what it says first, as in `503: no database`.
    pub fn said(&self) -> String {
        let status = self.status.as_u16();
        let to = self.headers.get(LOCATION).and_then(|to| to.to_str().ok());
        match to.map_or_else(|| self.first_line(), |to| format!("to {}", first_line(to))) {
            said if said.is_empty() => status.to_string(),
            said => format!("{status}: {said}"),
        }
    }

    /// The first line of its body that says anything, without what is HTML, and fit to be shown; empty where none does.
    pub fn first_line(&self) -> String {
        first_line(&self.body)
    }
}

/// Why a body was not read to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    /// It is longer than what is read of one.
    Long,
    /// It had no end in time.
    Slow,
    /// It broke off.
    Broken,
}

/// The first line that says anything, without what is HTML, and fit to be shown.
fn first_line(text: &str) -> String {
    let mut is_tag = false;
    let mut shown = String::new();
    for c in text.trim_start().chars() {
        match c {
            '<' => is_tag = true,
            '>' if is_tag => is_tag = false,
            _ if is_tag => {}
            '\n' | '\r' if shown.trim().is_empty() => shown.clear(),
            '\n' | '\r' => break,
            _ if shown.chars().count() == LINE => break,
            c if c.is_control() => shown.push(' '),
            c => shown.push(c),
        }
    }
    shown.trim().to_owned()
}

/// Sends `GET path` to `host` over `stream`, with more headers, and waits for the answer, without a time limit. Fails where no
/// answer comes.
pub async fn get<'h>(
    stream: impl AsyncRead + AsyncWrite + Unpin,
    host: &str,
    path: &str,
    headers: impl IntoIterator<Item = (&'h String, &'h String)>,
) -> eyre::Result<Answer> {
    let request = request(Method::GET, host, path, headers).body(Empty::new())?;
    let (answer, cut) = exchange(stream, request, BODY, || Instant::now() + BODY_TIME).await?;
    // The status is the answer: a body that breaks off or has no end changes nothing about it.
    Ok(match cut {
        Some(_) => Answer {
            body: String::new(),
            ..answer
        },
        None => answer,
    })
}

/// Sends a request as [`get`] does, and reads up to `most` bytes of the answer's body, until `deadline` at most. Returns what
/// it has of it, and why that is not all. Fails where no answer comes; for the head there is no time limit.
pub async fn ask<'h>(
    stream: impl AsyncRead + AsyncWrite + Unpin,
    method: Method,
    host: &str,
    path: &str,
    headers: impl IntoIterator<Item = (&'h String, &'h String)>,
    (most, deadline): (usize, Instant),
) -> eyre::Result<(Answer, Option<Cut>)> {
    let request = request(method, host, path, headers).body(Empty::new())?;
    Ok(exchange(stream, request, most, || deadline).await?)
}

fn request<'h>(
    method: Method,
    host: &str,
    path: &str,
    headers: impl IntoIterator<Item = (&'h String, &'h String)>,
) -> request::Builder {
    let mut request = Request::builder()
        .method(method)
        .uri(path)
        .header(HOST, host)
        .header(USER_AGENT, USER)
        .header(CONNECTION, "close");
    for (name, value) in headers {
        // The agent may be another one, too.
        if name.eq_ignore_ascii_case(USER_AGENT.as_str())
            && let Some(all) = request.headers_mut()
        {
            all.remove(USER_AGENT);
        }
        if !value.is_empty() {
            request = request.header(name, value);
        }
    }
    request
}

async fn exchange(
    stream: impl AsyncRead + AsyncWrite + Unpin,
    request: Request<Empty<Bytes>>,
    most: usize,
    deadline: impl FnOnce() -> Instant,
) -> Result<(Answer, Option<Cut>), hyper::Error> {
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    let exchange = async move {
        let (parts, mut body) = sender.send_request(request).await?.into_parts();
        let mut text = Vec::new();
        let read = async {
            while let Some(frame) = body.frame().await {
                let Ok(frame) = frame else { return Some(Cut::Broken) };
                let data = frame.data_ref().map(AsRef::as_ref).unwrap_or_default();
                text.extend_from_slice(data);
                if text.len() > most {
                    text.truncate(most);
                    return Some(Cut::Long);
                }
            }
            None
        };
        let cut = tokio::time::timeout_at(deadline(), read)
            .await
            .unwrap_or(Some(Cut::Slow));
        let answer = Answer {
            status: parts.status,
            headers: parts.headers,
            body: String::from_utf8_lossy(&text).into_owned(),
        };
        Ok::<_, hyper::Error>((answer, cut))
    };
    // The connection's own error reaches the exchange as well.
    let (answer, _connection) = futures_util::future::join(exchange, connection).await;
    answer
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Instant;

    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    #[test]
    fn answer_is_told_by_what_it_says_first() {
        let said = |status, location: Option<&'static str>, body: &str| {
            let mut headers = HeaderMap::new();
            headers.extend(location.map(|location| (LOCATION, location.parse().unwrap())));
            let (status, body) = (StatusCode::from_u16(status).unwrap(), body.to_owned());
            Answer { status, headers, body }.said()
        };
        assert_eq!(said(503, None, ""), "503");
        assert_eq!(said(503, None, "\r\nno database\r\nat all\n"), "503: no database");
        assert_eq!(said(301, Some("https://a/"), "<html>moved"), "301: to https://a/");
        let page = "<!DOCTYPE html>\n<html>\n<head><title>Blocked\u{1b} host</title></head>\n<body>";
        assert_eq!(said(403, None, page), "403: Blocked  host");
        assert_eq!(said(400, None, &"a".repeat(300)).len(), "400: ".len() + LINE);
    }

    #[tokio::test]
    async fn of_an_answer_of_a_gigabyte_little_is_read() {
        const GIGABYTE: usize = 1 << 30;
        let (near, mut far) = tokio::io::duplex(BODY);
        let sent = AtomicUsize::new(0);
        let serve = async {
            let mut request = [0; 1024];
            assert!(far.read(&mut request).await.unwrap() > 0);
            let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {GIGABYTE}\r\n\r\n");
            far.write_all(head.as_bytes()).await.unwrap();
            while far.write_all(&[b'x'; 1024]).await.is_ok() {
                sent.fetch_add(1024, Ordering::Relaxed);
            }
        };
        let since = Instant::now();
        let (answer, ()) = futures_util::future::join(get(near, "shop.test", "/health", []), serve).await;
        assert_eq!(
            (answer.unwrap().status, sent.load(Ordering::Relaxed) < 1 << 20),
            (StatusCode::OK, true)
        );
        assert!(since.elapsed() < Duration::from_secs(5), "{:?}", since.elapsed());
    }
}
