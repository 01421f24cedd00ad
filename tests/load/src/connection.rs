//! One connection to the target: opened, used for one request after the other, never repeating one.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::time::Duration;

use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1::{self, SendRequest};
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use crate::failure::{Failure, Kind};

/// How long a connection may take to open.
const CONNECT: Duration = Duration::from_secs(5);

/// What is sent as a body.
pub type Body = UnsyncBoxBody<Bytes, Infallible>;

/// A body that is there.
pub fn full(bytes: Bytes) -> Body {
    Full::new(bytes).boxed_unsync()
}

/// An open connection.
#[derive(Debug)]
pub struct Connection(SendRequest<Body>);

/// Why there is no answer.
#[derive(Debug)]
pub enum NoAnswer {
    /// The connection was closed before anything of the request was written: here it is again.
    Unwritten(Box<Request<Body>>),
    /// Something of it was written, so the server may have acted on it.
    Failed(Failure),
}

/// Opens a TCP connection.
pub async fn connect(address: SocketAddr) -> Result<TcpStream, Failure> {
    let connected = tokio::time::timeout(CONNECT, TcpStream::connect(address)).await;
    let stream = connected.map_err(|_| Failure::new(Kind::Connect, format!("no connection within {CONNECT:?}")))?;
    let stream = stream.map_err(|error| Failure::connect(&error))?;
    // A small request must not wait for the acknowledgement of the one before.
    stream.set_nodelay(true).map_err(|error| Failure::connect(&error))?;
    Ok(stream)
}

impl Connection {
    /// Opens one; must run within a `LocalSet`.
    pub async fn open(address: SocketAddr) -> Result<Self, Failure> {
        let stream = connect(address).await?;
        let opened = http1::handshake(TokioIo::new(stream)).await;
        let (sender, connection) = opened.map_err(|error| Failure::exchange(&error, false))?;
        tokio::task::spawn_local(async move {
            // An error comes to the request that is under way, or there is none under way.
            drop(connection.await);
        });
        Ok(Self(sender))
    }

    /// Waits until it can take a request; false where the server has closed it.
    pub async fn is_ready(&mut self) -> bool {
        self.0.ready().await.is_ok()
    }

    /// Sends a request, and waits for the head of its answer.
    pub async fn send(&mut self, request: Request<Body>) -> Result<Response<Incoming>, NoAnswer> {
        self.0
            .try_send_request(request)
            .await
            .map_err(|mut lost| match lost.take_message() {
                Some(request) => NoAnswer::Unwritten(Box::new(request)),
                None => NoAnswer::Failed(Failure::exchange(lost.error(), false)),
            })
    }
}
