//! One HTTP request at a time, over a connection of its own, so that nothing but nginx decides where it goes.

use std::io::{Read, Write};
use std::net::{IpAddr, TcpStream};
use std::time::Duration;

/// An answer.
#[derive(Debug)]
pub struct Response {
    /// Its status.
    pub status: u16,
    /// Its headers, names in lower case.
    headers: Vec<(String, String)>,
    /// Its body.
    pub body: String,
}

impl Response {
    /// The value of a header, or nothing.
    pub fn header(&self, name: &str) -> &str {
        let found = self.headers.iter().find(|(known, _)| known == name);
        found.map_or("", |(_, value)| value)
    }

    fn parse(text: &str) -> Option<Self> {
        let (head, body) = text.split_once("\r\n\r\n")?;
        let mut lines = head.lines();
        let status = lines.next()?.split(' ').nth(1)?.parse().ok()?;
        let headers = lines.filter_map(|line| line.split_once(": "));
        let headers = headers
            .map(|(name, value)| (name.to_lowercase(), value.to_owned()))
            .collect();
        Some(Self {
            status,
            headers,
            body: body.to_owned(),
        })
    }
}

/// Sends a request to port 80, and reads the answer to the end; none where there is no whole answer.
pub fn request(address: IpAddr, host: &str, method: &str, path: &str, headers: &str, body: &str) -> Option<Response> {
    let mut stream = connect(address)?;
    let length = body.len();
    // HTTP/1.0: the answer ends with the connection, and is not chunked.
    let head = format!("{method} {path} HTTP/1.0\r\nHost: {host}\r\n{headers}Content-Length: {length}\r\n\r\n");
    stream.write_all(head.as_bytes()).ok()?;
    stream.write_all(body.as_bytes()).ok()?;
    let mut text = Vec::new();
    stream.read_to_end(&mut text).ok()?;
    Response::parse(&String::from_utf8_lossy(&text))
}

/// How a body is sent.
#[derive(Debug)]
pub struct Body {
    /// Whether its length is left open.
    pub is_chunked: bool,
    /// In how many parts.
    pub parts: usize,
    /// How long nothing is sent before each part.
    pub pause: Duration,
}

/// Posts a body to port 80, and reads the answer to the end; none where there is no whole answer.
pub fn upload(address: IpAddr, host: &str, path: &str, bytes: &str, body: &Body) -> Option<Response> {
    let mut stream = connect(address)?;
    let length = if body.is_chunked {
        "Transfer-Encoding: chunked".to_owned()
    } else {
        format!("Content-Length: {}", bytes.len())
    };
    let head = format!("POST {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n{length}\r\n\r\n");
    stream.write_all(head.as_bytes()).ok()?;
    for part in bytes.as_bytes().chunks(bytes.len().div_ceil(body.parts)) {
        std::thread::sleep(body.pause);
        if body.is_chunked {
            write!(stream, "{:x}\r\n", part.len()).ok()?;
        }
        stream.write_all(part).ok()?;
        if body.is_chunked {
            stream.write_all(b"\r\n").ok()?;
        }
    }
    if body.is_chunked {
        stream.write_all(b"0\r\n\r\n").ok()?;
    }
    let mut text = Vec::new();
    stream.read_to_end(&mut text).ok()?;
    Response::parse(&String::from_utf8_lossy(&text))
}

/// Sends as many requests at the same time, and does something meanwhile; their answers.
pub fn at_once(
    number: usize,
    send: impl Fn(usize) -> Option<Response> + Sync,
    meanwhile: impl FnOnce(),
) -> Vec<Option<Response>> {
    std::thread::scope(|scope| {
        let send = &send;
        let threads: Vec<_> = (0..number).map(|number| scope.spawn(move || send(number))).collect();
        meanwhile();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    })
}

/// Fails where there is an answer with another status, or none.
#[track_caller]
pub fn all_are(status: u16, answers: &[Option<Response>]) {
    let others: Vec<_> = answers
        .iter()
        .filter(|answer| answer.as_ref().is_none_or(|answer| answer.status != status))
        .collect();
    assert!(others.is_empty(), "{} of {}: {others:?}", others.len(), answers.len());
}

/// A connection to port 80.
pub fn connect(address: IpAddr) -> Option<TcpStream> {
    let stream = TcpStream::connect((address, 80)).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(60))).ok()?;
    Some(stream)
}
