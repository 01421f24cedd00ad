//! `GET /ws`: a websocket that sends back what it gets (RFC 6455).
//!
//! The frames are tokio-tungstenite's, which axum uses and which is released several times a year; without its
//! default features it adds no TLS. hyper makes the upgrade, so the handshake is the few header lines below.

use futures_util::{SinkExt, StreamExt};
use hyper::body::{Bytes, Incoming};
use hyper::header::{self, HeaderValue};
use hyper::upgrade::Upgraded;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Role, WebSocketConfig};

use crate::answer::{self, Answer};
use crate::log;
use crate::server::Stop;

/// Largest message, bytes.
const MESSAGE: usize = 1 << 20;

/// Answers the handshake, and echoes in a task of its own.
pub fn upgrade(request: Request<Incoming>, stop: Stop) -> Answer {
    let Some(key) = key(&request) else {
        let mut answer = answer::problem(StatusCode::UPGRADE_REQUIRED, "only for websockets, version 13");
        answer
            .headers_mut()
            .insert(header::UPGRADE, HeaderValue::from_static("websocket"));
        answer
            .headers_mut()
            .insert(header::SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"));
        return answer;
    };
    let Ok(accept) = HeaderValue::from_str(&derive_accept_key(key.as_bytes())) else {
        return answer::problem(StatusCode::BAD_REQUEST, "Sec-WebSocket-Key can't be used");
    };

    tokio::task::spawn_local(async move {
        match hyper::upgrade::on(request).await {
            Ok(upgraded) => {
                if let Err(error) = echo(upgraded, stop).await {
                    log(&format!("a websocket ended: {error}"));
                }
            }
            Err(error) => log(&format!("cannot upgrade to a websocket: {error}")),
        }
    });

    let mut answer = Response::new(answer::full(Bytes::new()));
    *answer.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let headers = answer.headers_mut();
    headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
    headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(header::SEC_WEBSOCKET_ACCEPT, accept);
    answer
}

/// The key of a websocket handshake (RFC 6455, 4.2.1); `None` where it is none.
fn key(request: &Request<Incoming>) -> Option<&HeaderValue> {
    let has = |name, word: &str| {
        let values = request
            .headers()
            .get_all(name)
            .iter()
            .filter_map(|value| value.to_str().ok());
        values
            .flat_map(|value| value.split(','))
            .any(|value| value.trim().eq_ignore_ascii_case(word))
    };
    let asked = has(header::CONNECTION, "upgrade")
        && has(header::UPGRADE, "websocket")
        && has(header::SEC_WEBSOCKET_VERSION, "13");
    request.headers().get(header::SEC_WEBSOCKET_KEY).filter(|_| asked)
}

/// Sends back each message until the client closes, or says 1001 "going away" when the instance ends.
async fn echo(upgraded: Upgraded, mut stop: Stop) -> Result<(), tokio_tungstenite::tungstenite::Error> {
    let config = WebSocketConfig::default()
        .max_message_size(Some(MESSAGE))
        .max_frame_size(Some(MESSAGE));
    let mut socket = WebSocketStream::from_raw_socket(TokioIo::new(upgraded), Role::Server, Some(config)).await;
    loop {
        tokio::select! {
            message = socket.next() => match message {
                Some(Ok(message @ (Message::Text(_) | Message::Binary(_)))) => socket.send(message).await?,
                Some(Ok(_)) => {}
                Some(Err(error)) => return Err(error),
                None => return Ok(()),
            },
            _ = stop.wait_for(|stop| *stop) => break,
        }
    }
    socket
        .close(Some(CloseFrame {
            code: CloseCode::Away,
            reason: "this instance ends".into(),
        }))
        .await?;
    // What was on its way is answered no more, but the client's close is waited for.
    while let Some(message) = socket.next().await {
        message?;
    }
    Ok(())
}
