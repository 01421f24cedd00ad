//! Where nginx waits with the requests of an app of which no color may run just now.
//!
//! The third server of such an app's site is this socket. A connection to it is accepted and left alone: nothing of the request is
//! read, none of it is passed on, and no byte is answered. When it is closed, nginx looks at the link again
//! (`@bgctl_again` in `templates/app.conf`): where that leads to a color, nginx sends the request there itself, and so each
//! request reaches an app at most once. Where requests are still held, it answers 503.

use std::collections::VecDeque;
use std::future;
use std::os::unix::fs::PermissionsExt as _;
use std::time::Duration;

use camino::{Utf8Path, Utf8PathBuf};
use eyre::WrapErr as _;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::net::{UnixListener, UnixStream};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, sleep_until};

use crate::files;

/// The name of the socket, in the app's folder of routes.
const SOCKET: &str = "hold.sock";
/// The pause after a connection that could not be accepted: no file descriptor may be left for it.
const PAUSE: Duration = Duration::from_millis(20);
/// nginx's workers have another user, and need to write to a socket to connect to it (unix(7)).
const MODE: u32 = 0o666;

/// The socket of the app whose routes are in `folder`.
pub fn socket(folder: &Utf8Path) -> Utf8PathBuf {
    folder.join(SOCKET)
}

/// A socket on which requests are held, until this is dropped.
#[derive(Debug)]
pub struct Hold {
    path: Utf8PathBuf,
    waiting: JoinHandle<()>,
}

impl Hold {
    /// Holds what connects to the socket in `folder`, each connection for `limit`. Takes the place of a socket that a killed process
    /// left. Errors where the folder was not made.
    pub fn open(folder: &Utf8Path, limit: Duration) -> eyre::Result<Self> {
        let path = socket(folder);
        let open = || -> eyre::Result<UnixListener> {
            files::remove_unsynced(&path)?;
            let listener = UnixListener::bind(&path)?;
            fs_err::set_permissions(&path, std::fs::Permissions::from_mode(MODE))?;
            Ok(listener)
        };
        let listener = open().wrap_err_with(|| format!("cannot hold requests at {path}"))?;
        raise_limit();
        let waiting = tokio::spawn(wait(listener, limit));
        Ok(Self { path, waiting })
    }

    /// Lets go of all that are held.
    pub async fn release(mut self) -> eyre::Result<()> {
        self.waiting.abort();
        if let Err(error) = (&mut self.waiting).await
            && !error.is_cancelled()
        {
            return Err(error.into());
        }
        files::remove_unsynced(&self.path).map(drop)
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        self.waiting.abort();
    }
}

/// Each connection needs a file descriptor, and systemd allows 1,024 of them unless a program asks for more.
fn raise_limit() {
    let limit = getrlimit(Resource::Nofile);
    let most = Rlimit {
        current: limit.maximum,
        ..limit
    };
    if let Err(error) = setrlimit(Resource::Nofile, most) {
        tracing::warn!("cannot hold more than {:?} requests: {error}", limit.current);
    }
}

async fn wait(listener: UnixListener, limit: Duration) {
    // Those that came first are let go first.
    let mut held: VecDeque<(Instant, UnixStream)> = VecDeque::new();
    loop {
        let next = held.front().map(|(until, _)| *until);
        let over = async {
            match next {
                Some(until) => sleep_until(until).await,
                None => future::pending().await,
            }
        };
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => held.push_back((Instant::now() + limit, stream)),
                Err(error) => {
                    tracing::warn!("cannot hold a request: {error}");
                    sleep(PAUSE).await;
                }
            },
            () = over => drop(held.pop_front()),
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::time::timeout;

    use super::*;

    const LONG: Duration = Duration::from_secs(20);

    async fn ask(folder: &Utf8Path) -> UnixStream {
        let mut stream = UnixStream::connect(socket(folder)).await.unwrap();
        stream.write_all(b"POST / HTTP/1.1\r\n").await.unwrap();
        stream
    }

    /// Whether the connection ends within `limit`, without an answer.
    async fn ends(stream: &mut UnixStream, limit: Duration) -> bool {
        let mut byte = [0];
        match timeout(limit, stream.read(&mut byte)).await {
            Err(_) => false,
            // What was sent was not read.
            Ok(Err(_)) => true,
            Ok(Ok(read)) => {
                assert_eq!(read, 0, "nothing is answered");
                true
            }
        }
    }

    #[tokio::test]
    async fn requests_wait_until_they_are_let_go() {
        let root = tempfile::tempdir().unwrap();
        let folder = Utf8Path::from_path(root.path()).unwrap();
        let hold = Hold::open(folder, LONG).unwrap();
        let mut waiting = [ask(folder).await, ask(folder).await];
        assert!(!ends(&mut waiting[0], Duration::from_millis(50)).await);
        // As after the death of a worker.
        drop(hold);
        let hold = Hold::open(folder, LONG).unwrap();
        let mut later = ask(folder).await;
        for stream in &mut waiting {
            assert!(ends(stream, LONG).await);
        }
        hold.release().await.unwrap();
        assert!(ends(&mut later, LONG).await);
        assert!(!socket(folder).exists());
    }

    #[tokio::test]
    async fn requests_wait_for_a_time_of_their_own() {
        let root = tempfile::tempdir().unwrap();
        let folder = Utf8Path::from_path(root.path()).unwrap();
        let limit = Duration::from_millis(400);
        let _hold = Hold::open(folder, limit).unwrap();
        let began = Instant::now();
        let mut first = ask(folder).await;
        sleep(limit / 2).await;
        let second_began = Instant::now();
        let mut second = ask(folder).await;
        assert!(ends(&mut first, LONG).await);
        assert!(began.elapsed() >= limit);
        assert!(ends(&mut second, LONG).await);
        assert!(second_began.elapsed() >= limit);
    }
}
