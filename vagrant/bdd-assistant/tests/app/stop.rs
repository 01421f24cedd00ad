//! The end: nothing that was begun is lost, and nothing idle holds it up.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;

use futures_util::StreamExt;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;

use crate::support::{Answer, Instance, SOON};

/// Sends a GET on a connection that stays open.
fn send(stream: &mut TcpStream, path: &str) {
    stream
        .write_all(format!("GET {path} HTTP/1.1\r\nhost: x\r\n\r\n").as_bytes())
        .unwrap();
}

/// Everything until the other side closes.
fn rest(mut stream: TcpStream) -> String {
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    text
}

/// A keep-alive connection that has had an answer and has no request.
fn idle(app: &Instance) -> TcpStream {
    let mut stream = app.connect();
    send(&mut stream, "/health");
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    while !line.starts_with('{') {
        line.clear();
        reader.read_line(&mut line).unwrap();
    }
    assert!(reader.buffer().is_empty());
    reader.into_inner()
}

#[test]
fn what_is_in_flight_is_answered_and_what_is_idle_is_closed() {
    let mut app = Instance::start(&[]);
    let idle = idle(&app);
    let (mut slow, mut download, mut upload) = (app.connect(), app.connect(), app.connect());
    send(&mut slow, "/slow?ms=700");
    send(&mut download, "/download?bytes=120&ms=600");
    upload
        .write_all(b"POST /echo HTTP/1.1\r\nhost: x\r\ncontent-length: 6\r\n\r\nabc")
        .unwrap();
    // A request that is answered after those: they have been read.
    assert_eq!(app.get("/health").status, 200);

    app.terminate();
    // The upload is not at its end yet: what is idle is not kept until the others are done.
    assert_eq!(rest(idle), "");
    app.wait_for_log("stopping");
    assert!(
        TcpStream::connect(app.address()).is_err(),
        "a new connection was accepted"
    );

    upload.write_all(b"def").unwrap();
    let echo = Answer::parse(&rest(upload));
    assert_eq!((echo.status, echo.json()["bytes"].as_u64()), (200, Some(6)));
    assert_eq!(Answer::parse(&rest(download)).body.len(), 120);
    assert_eq!(Answer::parse(&rest(slow)).json()["waited_ms"], 700);
    assert_eq!(app.ended().code(), Some(0));
}

#[test]
fn a_connection_that_was_never_used_does_not_hold_it_up() {
    let mut app = Instance::start(&[]);
    let unused = app.connect();
    assert_eq!(app.get("/health").status, 200);
    app.terminate();
    // Sooner than the limit on requests in flight, 25 s.
    assert_eq!(app.ended().code(), Some(0));
    drop(unused);
}

#[test]
fn what_takes_too_long_is_cut() {
    let mut app = Instance::start(&[("STOP_LIMIT_MS", "200")]);
    let mut slow = app.connect();
    send(&mut slow, "/slow?ms=60000");
    assert_eq!(app.get("/health").status, 200);
    app.terminate();
    app.wait_for_log("still busy");
    assert_eq!(rest(slow), "");
    assert_eq!(app.ended().code(), Some(0));
}

#[tokio::test]
async fn websockets_are_told_that_it_goes_away() {
    let mut app = Instance::start(&[]);
    let stream = tokio::net::TcpStream::connect(app.address()).await.unwrap();
    let (mut socket, _) = tokio_tungstenite::client_async("ws://x/ws", stream).await.unwrap();
    app.terminate();
    let message = tokio::time::timeout(SOON, socket.next())
        .await
        .unwrap()
        .unwrap()
        .unwrap();
    let Message::Close(Some(frame)) = message else {
        panic!("{message}")
    };
    assert_eq!(frame.code, CloseCode::Away);
    while socket.next().await.is_some_and(|message| message.is_ok()) {}
    assert_eq!(app.ended().code(), Some(0));
}
