//! One small HTTP request over a stream, for probes and for what nginx says about itself.

use std::time::Duration;

use http_body_util::{BodyExt as _, Collected, Empty, Limited};
use hyper::body::Bytes;
use hyper::header::{CONNECTION, HOST, HeaderMap, USER_AGENT};
use hyper::{Method, Request, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};

/// The most that is read of an answer's body, bytes.
const BODY: usize = 64 * 1024;

/// How long an answer's body may take once its head is there: a stream without end is an answer, too.
const BODY_TIME: Duration = Duration::from_millis(200);

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

/// Sends `GET path` to `host` over `stream` and waits for the answer, without a time limit. Fails where no answer comes.
pub async fn get(stream: impl AsyncRead + AsyncWrite + Unpin, host: &str, path: &str) -> eyre::Result<Answer> {
    let request = Request::builder()
        .method(Method::GET)
        .uri(path)
        .header(HOST, host)
        .header(USER_AGENT, concat!("bgctl/", env!("CARGO_PKG_VERSION")))
        .header(CONNECTION, "close")
        .body(Empty::<Bytes>::new())?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    let exchange = async move {
        let response = sender.send_request(request).await?;
        let (parts, body) = response.into_parts();
        // The status is the answer: a body that breaks off or has no end changes nothing about it.
        let body = tokio::time::timeout(BODY_TIME, Limited::new(body, BODY).collect()).await;
        let body = body.ok().and_then(Result::ok).map(Collected::to_bytes);
        Ok::<_, hyper::Error>(Answer {
            status: parts.status,
            headers: parts.headers,
            body: String::from_utf8_lossy(&body.unwrap_or_default()).into_owned(),
        })
    };
    // The connection's own error reaches the exchange as well.
    let (answer, _connection) = futures_util::future::join(exchange, connection).await;
    Ok(answer?)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Instant;

    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

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
        let (answer, ()) = futures_util::future::join(get(near, "shop.test", "/health"), serve).await;
        assert_eq!(
            (answer.unwrap().status, sent.load(Ordering::Relaxed) < 1 << 20),
            (StatusCode::OK, true)
        );
        assert!(since.elapsed() < Duration::from_secs(5), "{:?}", since.elapsed());
    }
}
