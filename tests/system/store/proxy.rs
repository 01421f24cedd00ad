//! A connection that breaks at the worst moment, or goes silent.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::SeqCst};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};

/// Stands before etcd and passes everything on, until it is told to lose an answer or to vanish.
pub struct Proxy {
    address: SocketAddr,
    state: Arc<State>,
}

#[derive(Default)]
struct State {
    loses: AtomicBool,
    lost: AtomicU32,
    /// How many connections were made.
    made: AtomicU32,
    /// How many of them, the oldest ones, are silent.
    silent: AtomicU32,
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
                let (from_client, to_client) = client.into_split();
                let (from_server, to_server) = server.into_split();
                let connection = Connection {
                    number: shared.made.fetch_add(1, SeqCst),
                    state: Arc::clone(&shared),
                };
                let (there, back) = (connection.clone(), connection);
                let requests = tokio::spawn(async move { there.pass(from_client, to_server, |_| false).await });
                tokio::spawn(async move {
                    back.pass(from_server, to_client, |answer| back.state.is_to_be_lost(answer))
                        .await;
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

    /// Nothing more comes through on the connections that there are, and none of them is closed, as where a machine lost its
    /// power. New ones are passed on.
    pub fn vanish(&self) {
        self.state.silent.store(self.connections(), SeqCst);
    }

    /// How many connections were made so far.
    pub fn connections(&self) -> u32 {
        self.state.made.load(SeqCst)
    }
}

impl State {
    fn is_to_be_lost(&self, answer: &[u8]) -> bool {
        // HTTP/2: what is on stream 0 (settings, pings, window updates) is no answer.
        let is_lost = has_stream(answer) && self.loses.swap(false, SeqCst);
        self.lost.fetch_add(u32::from(is_lost), SeqCst);
        is_lost
    }
}

#[derive(Clone)]
struct Connection {
    number: u32,
    state: Arc<State>,
}

impl Connection {
    /// Passes everything on until one end closes, or `ends` says so.
    async fn pass(&self, mut from: OwnedReadHalf, mut to: OwnedWriteHalf, ends: impl Fn(&[u8]) -> bool) {
        let mut buffer = vec![0; 64 << 10];
        while let Ok(length @ 1..) = from.read(&mut buffer).await {
            if self.number < self.state.silent.load(SeqCst) {
                continue;
            }
            if ends(&buffer[..length]) || to.write_all(&buffer[..length]).await.is_err() {
                return;
            }
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
