//! Websockets that are held open, and must echo.

use std::time::{Duration, Instant};

use futures_util::{SinkExt, StreamExt};
use hyper::Request;
use hyper::header;
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::client::generate_key;
use tokio_tungstenite::tungstenite::{Error, Message};

use crate::connection::connect;
use crate::failure::{Failure, Kind, chain, io_kind};
use crate::run::Run;

/// Time between two messages.
const BEAT: Duration = Duration::from_millis(250);

/// How long an echo, or the answer to a close, may take.
const ANSWER: Duration = Duration::from_secs(5);

/// Pause after a failure, so that a site that is down is not hammered.
const DOWN: Duration = Duration::from_millis(100);

/// How a websocket ended without a failure.
enum End {
    /// The run ended.
    Ours,
    /// The server said so.
    Theirs,
}

/// Holds a websocket open until the run ends; opens another where the server closes it.
pub async fn talk(run: &Run) {
    let mut stop = run.stop();
    while !*stop.borrow() {
        match once(run, &mut stop).await {
            Ok(End::Ours) => return,
            Ok(End::Theirs) => run.tally.borrow_mut().websockets.closed_by_server += 1,
            Err(failure) => {
                run.tally.borrow_mut().websockets.failed += 1;
                run.tally.borrow_mut().fail("websocket", Instant::now(), "", &failure);
                tokio::time::sleep(DOWN).await;
            }
        }
    }
}

/// One websocket, from its opening to its end.
async fn once(run: &Run, stop: &mut watch::Receiver<bool>) -> Result<End, Failure> {
    let mut socket = in_time(open(run)).await?;
    run.tally.borrow_mut().websockets.opened += 1;
    for number in 0_u64.. {
        let message = Message::text(format!("message {number}"));
        let sent = socket.send(message.clone()).await;
        if let Err(error) = sent {
            // Where the server has begun to close, its close frame is there to be read.
            return if closes(&mut socket).await {
                Ok(End::Theirs)
            } else {
                Err(failed(&error))
            };
        }
        match in_time(next(&mut socket)).await? {
            None => return Ok(End::Theirs),
            Some(echo) if echo != message => {
                return Err(Failure::new(Kind::WrongBody, format!("{message} came back as {echo}")));
            }
            Some(_) => run.tally.borrow_mut().websockets.echoes += 1,
        }
        tokio::select! {
            () = tokio::time::sleep(BEAT) => {}
            _ = stop.wait_for(|stop| *stop) => break,
        }
    }
    socket.close(None).await.map_err(|error| failed(&error))?;
    in_time(async {
        while next(&mut socket).await?.is_some() {}
        Ok(())
    })
    .await?;
    Ok(End::Ours)
}

/// Opens one at `/ws`.
async fn open(run: &Run) -> Result<WebSocketStream<TcpStream>, Failure> {
    let authority = run.options.authority();
    let request = Request::get(format!("ws://{authority}/ws"))
        .header(header::HOST, &authority)
        .header(header::CONNECTION, "Upgrade")
        .header(header::UPGRADE, "websocket")
        .header(header::SEC_WEBSOCKET_VERSION, "13")
        .header(header::SEC_WEBSOCKET_KEY, generate_key())
        .body(())
        .map_err(|error| Failure::new(Kind::Protocol, format!("cannot build the request: {error}")))?;
    let stream = connect(run.options.url.address()).await?;
    let (socket, _) = tokio_tungstenite::client_async(request, stream)
        .await
        .map_err(|error| failed(&error))?;
    Ok(socket)
}

/// The next message; `None` where the server has closed with a close frame.
async fn next(socket: &mut WebSocketStream<TcpStream>) -> Result<Option<Message>, Failure> {
    loop {
        match socket.next().await {
            Some(Ok(message @ (Message::Text(_) | Message::Binary(_)))) => return Ok(Some(message)),
            Some(Ok(Message::Close(_))) => {
                // Reading on sends our half of the close.
                while socket.next().await.is_some_and(|message| message.is_ok()) {}
                return Ok(None);
            }
            Some(Ok(_)) => {}
            Some(Err(error)) => return Err(failed(&error)),
            None => return Ok(None),
        }
    }
}

/// Whether the server has sent a close frame.
async fn closes(socket: &mut WebSocketStream<TcpStream>) -> bool {
    while let Ok(next) = in_time(next(socket)).await {
        if next.is_none() {
            return true;
        }
    }
    false
}

/// Fails where the answer takes too long.
async fn in_time<T>(answer: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    match tokio::time::timeout(ANSWER, answer).await {
        Ok(result) => result,
        Err(_) => Err(Failure::new(Kind::Timeout, format!("no answer within {ANSWER:?}"))),
    }
}

/// The failure behind an error.
fn failed(error: &Error) -> Failure {
    use std::io::ErrorKind::{BrokenPipe, ConnectionReset, UnexpectedEof};
    use tokio_tungstenite::tungstenite::error::ProtocolError::ResetWithoutClosingHandshake;
    let kind = match error {
        Error::Http(_) => Kind::Status,
        Error::Protocol(ResetWithoutClosingHandshake) => Kind::ClosedWithinAnswer,
        _ => match io_kind(error) {
            Some(ConnectionReset | BrokenPipe) => Kind::Reset,
            Some(UnexpectedEof) => Kind::ClosedWithinAnswer,
            _ => Kind::Protocol,
        },
    };
    Failure::new(kind, chain(error))
}
