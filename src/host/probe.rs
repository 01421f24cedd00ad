//! Is an instance healthy: one try of a check, and waiting for a good one.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use tokio::io::AsyncReadExt as _;
use tokio::net::TcpStream;

use super::command::Command;
use super::http;
use crate::model::{Check, HealthCheck, Hinted, HttpCheck, Port};

/// The time between the first tries.
const FIRST_PAUSE: Duration = Duration::from_millis(2);

/// Later the time between two tries is this part of the time that went by, so that an instance is seen to be ready at most
/// 3% later than it was, until the check's own interval is reached.
const PATIENCE: u32 = 32;

/// How long a TCP connection must stay open to count: Docker's proxy accepts every connection, and closes those that the
/// container refuses.
const STAYS_OPEN: Duration = Duration::from_millis(20);

/// The statuses by which an app refuses a request for its `Host` or its headers: bad request, unauthorized, forbidden,
/// misdirected request (RFC 9110, 15.5).
const REFUSALS: [u16; 4] = [400, 401, 403, 421];

/// Nobody listens.
const REFUSED: &str = "connection refused";

/// An instance that proved healthy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Healthy {
    /// How many tries it took.
    pub tries: u32,
    /// How long after the start of the instance it was.
    pub took: Duration,
}

/// One try of `check` against 127.0.0.1:`port`, for at most `timeout`. Errors with the answer, as in `503` or
/// `connection refused`.
pub async fn once(check: &Check, port: Port, timeout: Duration) -> Result<(), String> {
    let answer = async {
        match check {
            Check::Http(http) => over_http(http, port).await,
            Check::Tcp => over_tcp(port).await,
            Check::Image => Err("only the engine of its container can tell".to_owned()),
            Check::Command { program, arguments } => {
                let arguments = arguments
                    .iter()
                    .map(|argument| argument.replace("{port}", &port.to_string()));
                let command = Command::new(program.as_str(), arguments, timeout).env("PORT", port.to_string());
                command.run().await.map(drop).map_err(|error| error.to_string())
            }
        }
    };
    // A command keeps its own time, to say what it printed until then.
    let slack = Duration::from_millis(500);
    let limit = match check {
        Check::Command { .. } => timeout + slack,
        _ => timeout,
    };
    tokio::time::timeout(limit, answer)
        .await
        .unwrap_or_else(|_| Err(format!("no answer within {timeout:?}")))
}

/// Tries `check` by `once`, which gets the longest time of a try, until it succeeds, and then for as long as it must keep succeeding.
/// `on_status` hears of each new answer.
///
/// Errors after the check's deadline, which counts from `began`, the start of the instance, with the last answer. One try is
/// made in any case.
pub async fn wait(
    check: &HealthCheck,
    port: Port,
    began: Instant,
    once: impl AsyncFn(Duration) -> Result<(), String>,
    mut on_status: impl FnMut(&str),
) -> eyre::Result<Healthy> {
    let mut healthy_since = None;
    let mut last = String::new();
    let mut tries = 0;
    loop {
        tries += 1;
        let asked = Instant::now();
        let left = check.deadline.saturating_sub(began.elapsed());
        let time = if tries == 1 {
            check.timeout
        } else {
            check.timeout.min(left)
        };
        let answer = once(time).await;
        if began.elapsed() >= check.deadline && answer.is_err() && !last.is_empty() {
            // This try was cut short: what the one before it said tells more.
            return Err(unhealthy(check, port, &last));
        }
        match &answer {
            Ok(()) => {
                let since = *healthy_since.get_or_insert(asked);
                if asked.duration_since(since) >= check.healthy_for {
                    let took = began.elapsed();
                    return Ok(Healthy { tries, took });
                }
            }
            Err(_) => healthy_since = None,
        }
        let now = answer
            .err()
            .unwrap_or_else(|| "not yet healthy for long enough".to_owned());
        if now != last {
            on_status(&now);
            last = now;
        }
        let pause = pause(check, began.elapsed(), healthy_since.is_some());
        if began.elapsed() + pause >= check.deadline {
            return Err(unhealthy(check, port, &last));
        }
        tokio::time::sleep(pause).await;
    }
}

fn pause(check: &HealthCheck, elapsed: Duration, healthy: bool) -> Duration {
    let longest = check.interval.max(FIRST_PAUSE);
    if healthy {
        return longest.min(check.healthy_for);
    }
    (elapsed / PATIENCE).clamp(FIRST_PAUSE, longest)
}

fn unhealthy(check: &HealthCheck, port: Port, last: &str) -> eyre::Report {
    let what = match &check.check {
        Check::Http(http) => format!("http://127.0.0.1:{port}{} did not answer {}", http.path, http.expect),
        Check::Tcp => format!("port {port} did not stay open"),
        Check::Image => "the HEALTHCHECK of its image did not succeed".to_owned(),
        Check::Command { program, .. } => format!("{program} did not succeed"),
    };
    let hint = match &check.check {
        Check::Http(_) => {
            "see the instance's log; [health] host and headers say what it is asked with; where it only needs more time, \
             raise deadline there"
        }
        Check::Tcp | Check::Image | Check::Command { .. } => {
            "see the instance's log; where it only needs more time, raise deadline in [health]"
        }
    };
    Hinted::new(format!("{what} within {:?}: last answer: {last}", check.deadline), hint).into()
}

async fn over_http(check: &HttpCheck, port: Port) -> Result<(), String> {
    let stream = connect(port).await?;
    let host = check.host.clone().unwrap_or_else(|| format!("127.0.0.1:{port}"));
    let answer = http::get(stream, &host, &check.path, &check.headers).await;
    let answer = answer.map_err(|error| format!("no HTTP answer: {error:#}"))?;
    match answer.status.as_u16() {
        status if status == check.expect => Ok(()),
        status if REFUSALS.contains(&status) => Err(format!("{} (Host: {host})", answer.said())),
        _ => Err(answer.said()),
    }
}

async fn over_tcp(port: Port) -> Result<(), String> {
    let mut stream = connect(port).await?;
    match tokio::time::timeout(STAYS_OPEN, stream.read_u8()).await {
        Ok(Err(error)) => Err(format!("the connection was closed at once: {error}")),
        Ok(Ok(_)) | Err(_) => Ok(()),
    }
}

/// A connection to the port on this host. Errors with why there is none, as in `connection refused`.
pub(super) async fn connect(port: Port) -> Result<TcpStream, String> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port.get()));
    let stream = TcpStream::connect(address).await.map_err(|error| match error.kind() {
        std::io::ErrorKind::ConnectionRefused => REFUSED.to_owned(),
        _ => format!("cannot connect: {error}"),
    })?;
    if is_to_itself(&stream) {
        // Closed in any other way it would keep the port from the app for a minute.
        stream
            .set_zero_linger()
            .map_err(|error| format!("cannot close: {error}"))?;
        return Err(REFUSED.to_owned());
    }
    Ok(stream)
}

/// Whether nobody listens, and the client's own port happens to be the one that it connects to (RFC 9293, 3.5, "simultaneous
/// open"). Only a port that the kernel gives to clients can be.
fn is_to_itself(stream: &TcpStream) -> bool {
    matches!((stream.local_addr(), stream.peer_addr()), (Ok(own), Ok(other)) if own == other)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};

    use tokio::io::AsyncWriteExt as _;
    use tokio::net::TcpListener;

    use super::*;

    const LONG: Duration = Duration::from_secs(20);

    fn check(check: Check) -> HealthCheck {
        HealthCheck {
            check,
            interval: Duration::from_millis(20),
            timeout: LONG,
            deadline: LONG,
            healthy_for: Duration::ZERO,
        }
    }

    fn http(path: &str) -> Check {
        Check::Http(HttpCheck {
            path: path.into(),
            expect: 200,
            host: None,
            headers: std::collections::BTreeMap::new(),
        })
    }

    async fn wait(
        check: &HealthCheck,
        port: Port,
        began: Instant,
        on_status: impl FnMut(&str),
    ) -> eyre::Result<Healthy> {
        super::wait(
            check,
            port,
            began,
            async |time| once(&check.check, port, time).await,
            on_status,
        )
        .await
    }

    async fn listener() -> (TcpListener, Port) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        (listener, Port::new(port).unwrap())
    }

    /// Answers request number n (from 1) with the status that `status` says; counts them.
    async fn server(status: impl Fn(u32) -> u16 + Send + 'static) -> (Port, Arc<AtomicU32>) {
        let (listener, port) = listener().await;
        let count = Arc::new(AtomicU32::new(0));
        let counter = Arc::clone(&count);
        tokio::spawn(async move {
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                let mut request = [0; 1024];
                let length = stream.read(&mut request).await.unwrap();
                assert!(request[..length].starts_with(b"GET /health HTTP/1.1\r\n"));
                let status = status(counter.fetch_add(1, Ordering::SeqCst) + 1);
                let answer = format!("HTTP/1.1 {status} x\r\ncontent-length: 2\r\n\r\nok");
                stream.write_all(answer.as_bytes()).await.unwrap();
            }
        });
        (port, count)
    }

    #[tokio::test]
    async fn instance_that_becomes_healthy_is_seen() {
        let (port, _) = server(|n| if n < 4 { 503 } else { 200 }).await;
        let mut heard = Vec::new();
        let healthy = wait(&check(http("/health")), port, Instant::now(), |status| {
            heard.push(status.to_owned());
        })
        .await
        .unwrap();
        assert_eq!(healthy.tries, 4);
        assert_eq!(heard, ["503: ok"], "the same answer is told once");
    }

    #[tokio::test]
    async fn healthy_for_starts_anew_after_a_bad_answer() {
        let (port, count) = server(|n| if n == 2 { 500 } else { 200 }).await;
        let steady = HealthCheck {
            healthy_for: Duration::from_millis(100),
            ..check(http("/health"))
        };
        let healthy = wait(&steady, port, Instant::now(), |_| {}).await.unwrap();
        assert!(healthy.took >= steady.healthy_for);
        assert!(
            count.load(Ordering::SeqCst) >= 4,
            "tried again and again while it waited"
        );
    }

    #[tokio::test]
    async fn error_has_the_last_answer() {
        let (port, _) = server(|_| 503).await;
        let short = HealthCheck {
            deadline: Duration::from_millis(100),
            ..check(http("/health"))
        };
        let error = wait(&short, port, Instant::now(), |_| {}).await.unwrap_err();
        assert!(
            error
                .to_string()
                .ends_with("did not answer 200 within 100ms: last answer: 503: ok"),
            "{error}"
        );

        let (unused, port) = listener().await;
        drop(unused);
        let error = wait(&short, port, Instant::now(), |_| {}).await.unwrap_err();
        assert!(
            error.to_string().ends_with("last answer: connection refused"),
            "{error}"
        );
    }

    #[tokio::test]
    async fn deadline_counts_from_the_start_of_the_instance() {
        let short = HealthCheck {
            deadline: Duration::from_secs(10),
            ..check(http("/health"))
        };
        let began = Instant::now().checked_sub(short.deadline).unwrap();
        let (port, _) = server(|_| 200).await;
        let healthy = wait(&short, port, began, |_| {}).await.unwrap();
        assert!(healthy.tries == 1 && healthy.took >= short.deadline, "{healthy:?}");
        let (port, count) = server(|_| 503).await;
        let error = wait(&short, port, began, |_| {}).await.unwrap_err();
        assert!(
            error.to_string().ends_with("within 10s: last answer: 503: ok"),
            "{error}"
        );
        assert_eq!(count.load(Ordering::SeqCst), 1);
    }

    #[tokio::test]
    async fn connection_to_itself_is_none() {
        let (unused, port) = listener().await;
        let address = unused.local_addr().unwrap();
        drop(unused);
        let socket = tokio::net::TcpSocket::new_v4().unwrap();
        socket.bind(address).unwrap();
        let stream = socket.connect(address).await.unwrap();
        assert!(is_to_itself(&stream));
        stream.set_zero_linger().unwrap();
        drop(stream);
        let _listens = TcpListener::bind(address).await.unwrap();
        assert!(!is_to_itself(&connect(port).await.unwrap()));
    }

    #[tokio::test]
    async fn one_try_has_its_time() {
        let (_silent, port) = listener().await;
        let error = once(&http("/health"), port, Duration::from_millis(50))
            .await
            .unwrap_err();
        assert_eq!(error, "no answer within 50ms");
    }

    #[tokio::test]
    async fn tcp_check_is_not_fooled_by_a_proxy_that_accepts_and_closes() {
        let (listener, port) = listener().await;
        assert_eq!(once(&Check::Tcp, port, LONG).await, Ok(()));
        tokio::spawn(async move {
            loop {
                drop(listener.accept().await);
            }
        });
        // The first connection may still wait in the queue; from the next one on all are closed.
        let error = once(&Check::Tcp, port, LONG).await.unwrap_err();
        assert!(error.starts_with("the connection was closed at once"), "{error}");
    }

    #[tokio::test]
    async fn commands_get_the_port_and_say_why() {
        let (_unused, port) = listener().await;
        let script = |line: &str| Check::Command {
            program: "/bin/sh".into(),
            arguments: vec!["-c".into(), line.into()],
        };
        let line = format!("test {{port}} = {port} && test $PORT = {port}");
        assert_eq!(once(&script(&line), port, LONG).await, Ok(()));
        let error = once(&script("echo no database >&2; exit 1"), port, LONG)
            .await
            .unwrap_err();
        assert!(error.ends_with("exit status: 1: no database"), "{error}");
    }
}
