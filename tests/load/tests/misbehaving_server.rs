//! A server that misbehaves on purpose: each way must be told for what it is, and nothing else may be.

#![expect(clippy::indexing_slicing, clippy::unwrap_used, reason = "a test fails by panicking")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};

use clap::Parser;
use load::{Kind, Options, Report};

/// What the server does with a request.
enum Does {
    /// Writes this, and waits for the next request.
    Writes(String),
    /// Writes this, which may be nothing, and closes.
    Closes(String),
    /// Closes with the rest of the request unread, which resets the connection.
    Resets,
    /// Writes nothing and keeps the connection.
    Hangs,
}

/// Listens on a free port, and answers each request as `behaviour` says of its path; the address as a URL.
fn server(behaviour: impl Fn(&str) -> Does + Copy + Send + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            std::thread::spawn(move || serve(stream.unwrap(), behaviour));
        }
    });
    url
}

fn serve(stream: TcpStream, behaviour: impl Fn(&str) -> Does) {
    let mut reader = BufReader::with_capacity(1, stream.try_clone().unwrap());
    let mut writer = stream;
    let mut line = String::new();
    while reader.read_line(&mut line).is_ok_and(|read| read > 0) {
        let does = behaviour(&line);
        if let Does::Resets = does {
            return;
        }
        let (mut header, mut length) = (String::new(), 0);
        while reader.read_line(&mut header).is_ok_and(|read| read > 2) {
            length = header
                .strip_prefix("content-length: ")
                .map_or(length, |value| value.trim().parse().unwrap());
            header.clear();
        }
        reader.read_exact(&mut vec![0; length]).unwrap();
        match does {
            Does::Writes(text) => writer.write_all(text.as_bytes()).unwrap(),
            Does::Closes(text) => return writer.write_all(text.as_bytes()).unwrap(),
            Does::Hangs => {}
            Does::Resets => unreachable!(),
        }
        line.clear();
    }
}

/// An answer with this status, these further header lines and this body.
fn answer(status: &str, headers: &str, body: &str) -> String {
    format!(
        "HTTP/1.1 {status}\r\ncontent-length: {}\r\n{headers}\r\n{body}",
        body.len()
    )
}

/// Runs `load` with these arguments for a moment: two connections, and 40 requests a second.
async fn load(url: &str, arguments: &str) -> Report {
    load_at("40", url, arguments).await
}

/// The same, with another number of requests a second.
async fn load_at(rate: &str, url: &str, arguments: &str) -> Report {
    let fixed = [
        "load",
        "--url",
        url,
        "--connections",
        "2",
        "--rate",
        rate,
        "--duration",
        "0.6",
    ];
    let options = Options::try_parse_from(fixed.into_iter().chain(arguments.split_whitespace())).unwrap();
    let report = load::run(options).await.unwrap();
    assert!(report.sent >= 5, "too few requests: {report}");
    report
}

/// Everything failed, and in one way only.
fn all_failed(report: &Report, kind: Kind) {
    assert_eq!(
        report
            .failures
            .iter()
            .map(|(kind, count)| (*kind, *count))
            .collect::<Vec<_>>(),
        [(kind, report.sent)],
        "{report}"
    );
    assert_eq!((report.answered, report.failed), (0, report.sent));
    assert_eq!(report.first_failures[0].kind, kind);
}

/// Nothing failed.
fn none_failed(report: &Report) {
    assert_eq!((report.answered, report.failed), (report.sent, 0), "{report}");
}

#[tokio::test]
async fn good_answers_are_counted_by_release() {
    let url = server(|_| Does::Writes(answer("200 OK", "X-Release: r1\r\nX-Color: blue\r\n", "hello")));
    let report = load(&url, "").await;
    none_failed(&report);
    assert_eq!((report.connections, report.posts), (2, 0));
    let [line] = report.releases.as_slice() else {
        panic!("{report}")
    };
    assert_eq!(
        (line.release.as_str(), line.color.as_str(), line.answers),
        ("r1", "blue", report.sent)
    );
    assert!(report.started_ms <= line.first_sent_ms && line.first_sent_ms < line.last_sent_ms);
    assert!(line.last_sent_ms < line.last_answered_ms && line.last_answered_ms <= report.ended_ms);
    assert!(report.latency_ms.p50 > 0.0 && report.latency_ms.p50 <= report.latency_ms.max);
}

#[tokio::test]
async fn nobody_listens() {
    // Bound and not listening: nobody else can get the port meanwhile.
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let url = format!("http://{}/", socket.local_addr().unwrap());
    all_failed(&load(&url, "").await, Kind::ConnectRefused);
}

#[tokio::test]
async fn closed_without_an_answer() {
    let url = server(|_| Does::Closes(String::new()));
    all_failed(&load(&url, "").await, Kind::ClosedBeforeAnswer);
}

#[tokio::test]
async fn closed_within_the_answer() {
    let url = server(|_| Does::Closes("HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nonly this".to_owned()));
    all_failed(&load(&url, "").await, Kind::ClosedWithinAnswer);
}

#[tokio::test]
async fn reset() {
    let url = server(|_| Does::Resets);
    all_failed(&load(&url, "").await, Kind::Reset);
}

#[tokio::test]
async fn errors_of_the_server() {
    let url = server(|_| Does::Writes(answer("503 Service Unavailable", "X-Release: r1\r\n", "")));
    let report = load(&url, "").await;
    all_failed(&report, Kind::Status);
    assert_eq!(report.statuses.into_iter().collect::<Vec<_>>(), [(503, report.sent)]);
    assert_eq!(report.first_failures[0].release, "r1");
    assert_eq!(
        report.connections, 2,
        "an error that came whole is no reason to connect anew"
    );
}

#[tokio::test]
async fn no_answer_in_time() {
    let url = server(|_| Does::Hangs);
    let options = [
        "load",
        "--url",
        &url,
        "--connections",
        "3",
        "--duration",
        "0.1",
        "--timeout",
        "0.2",
    ];
    let report = load::run(Options::try_parse_from(options).unwrap()).await.unwrap();
    assert_eq!(report.sent, 3);
    all_failed(&report, Kind::Timeout);
}

#[tokio::test]
async fn answer_that_is_no_http() {
    let url = server(|_| Does::Writes("220 mail ready\r\n".to_owned()));
    all_failed(&load(&url, "").await, Kind::Protocol);
}

#[tokio::test]
async fn announced_close_is_no_failure() {
    let url = server(|_| Does::Closes(answer("200 OK", "Connection: close\r\n", "bye")));
    let report = load(&url, "").await;
    none_failed(&report);
    assert_eq!(report.connections, report.sent);
}

#[tokio::test]
async fn close_between_two_requests_is_no_failure() {
    let url = server(|_| Does::Closes(answer("200 OK", "", "bye")));
    // Slowly, so that the close has always come when the next request is due.
    let report = load_at("10", &url, "").await;
    none_failed(&report);
    assert_eq!(report.connections, report.sent);
}

#[tokio::test]
async fn answer_to_another_post() {
    let body = r#"{"bytes":200,"fnv1a":"0"}"#;
    let url = server(move |_| Does::Writes(answer("200 OK", "X-Echo-Id: another\r\n", body)));
    all_failed(&load(&url, "--post-share 1").await, Kind::WrongBody);
}

#[tokio::test]
async fn only_posts_fail_where_only_they_are_answered_badly() {
    let url = server(|request| {
        if request.starts_with("POST ") {
            Does::Writes(answer("502 Bad Gateway", "", ""))
        } else {
            Does::Writes(answer("200 OK", "", "fine"))
        }
    });
    let report = load(&url, "--post-share 0.5").await;
    assert!(report.posts > 0 && report.posts < report.sent, "{report}");
    assert_eq!(
        (report.failed, report.answered),
        (report.posts, report.sent - report.posts)
    );
    assert!(report.first_failures.iter().all(|failure| failure.what == "POST"));
}

#[tokio::test]
async fn download_that_is_cut_and_a_websocket_that_is_refused_are_failures() {
    let url = server(|request| {
        if request.contains("/download") {
            Does::Closes("HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n\0\u{1}\u{2}".to_owned())
        } else {
            Does::Writes(answer("404 Not Found", "", ""))
        }
    });
    let options = "--connections 0 --downloads 1 --websockets 1 --transfer-bytes 1000 --transfer-seconds 0.1";
    let fixed = ["load", "--url", &url, "--duration", "0.1"];
    let options = Options::try_parse_from(fixed.into_iter().chain(options.split_whitespace())).unwrap();
    let report = load::run(options).await.unwrap();
    assert!(report.downloads.failed > 0 && report.downloads.whole == 0, "{report}");
    assert!(
        report.websockets.failed > 0 && report.websockets.opened == 0,
        "{report}"
    );
    assert_eq!(report.failures[&Kind::ClosedWithinAnswer], report.downloads.failed);
    assert_eq!(report.failures[&Kind::Status], report.websockets.failed);
}
