//! A connection that breaks at the worst moment.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::SeqCst};

use tokio::io::{AsyncReadExt, AsyncWriteExt, copy};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};

/// Stands before etcd and passes everything on, until it is told to lose an answer.
pub struct Proxy {
    address: SocketAddr,
    state: Arc<State>,
}

#[derive(Default)]
struct State {
    loses: AtomicBool,
    lost: AtomicU32,
}

impl Proxy {
    pub async fn start(target: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let state = Arc::new(State::default());
        let shared = Arc::clone(&state);
        tokio::spawn(async move {
            loop {
                let (client, _) = listener.accept().await.unwrap();
                let server = TcpStream::connect(&target).await.unwrap();
                let (mut from_client, to_client) = client.into_split();
                let (from_server, mut to_server) = server.into_split();
                let requests = tokio::spawn(async move { copy(&mut from_client, &mut to_server).await });
                let state = Arc::clone(&shared);
                tokio::spawn(async move {
                    answers(from_server, to_client, &state).await;
                    requests.abort();
                });
            }
        });
        Self { address, state }
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The next answer does not come through, and the connection is closed.
    pub fn lose_an_answer(&self) {
        self.state.loses.store(true, SeqCst);
    }

    pub fn lost(&self) -> u32 {
        self.state.lost.load(SeqCst)
    }
}

async fn answers(mut from_server: OwnedReadHalf, mut to_client: OwnedWriteHalf, state: &State) {
    let mut buffer = vec![0; 64 << 10];
    while let Ok(length @ 1..) = from_server.read(&mut buffer).await {
        // HTTP/2: what is on stream 0 (settings, pings, window updates) is no answer.
        let is_answer = has_stream(&buffer[..length]);
        if is_answer && state.loses.swap(false, SeqCst) {
            state.lost.fetch_add(1, SeqCst);
            return;
        }
        if to_client.write_all(&buffer[..length]).await.is_err() {
            return;
        }
    }
}

/// Whether one of the frames belongs to a stream (RFC 9113, section 4.1).
fn has_stream(mut frames: &[u8]) -> bool {
    while let [a, b, c, _, _, s0, s1, s2, s3, rest @ ..] = frames {
        if [*s0, *s1, *s2, *s3] != [0; 4] {
            return true;
        }
        let length = usize::from(*a) << 16 | usize::from(*b) << 8 | usize::from(*c);
        frames = rest.get(length..).unwrap_or_default();
    }
    false
}
