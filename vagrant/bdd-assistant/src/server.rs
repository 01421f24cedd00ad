//! Accepts connections, and ends without losing a request.

use std::cell::Cell;
use std::convert::Infallible;
use std::pin::pin;
use std::rc::Rc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use crate::state::App;
use crate::{log, routes};

/// Becomes true when the instance shall end; who holds one is waited for.
pub type Stop = watch::Receiver<bool>;

/// How long a connection that has not sent a request may still send its first after the end was asked for.
/// Browsers open connections ahead; without this each would hold the end up.
const FIRST_REQUEST: Duration = Duration::from_millis(200);

/// How long `accept` pauses after an error such as "too many open files", which would come again at once.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Listens as the settings say; fails where the address is taken or not ours.
pub async fn listen(app: &App) -> Result<TcpListener, String> {
    let address = app.settings.listen;
    let cannot = |error| format!("cannot listen on {address}: {error}");
    let listener = TcpListener::bind(address).await.map_err(cannot)?;
    let address = listener.local_addr().map_err(cannot)?;
    app.port.set(address.port());
    log(&format!(
        "{} {} ({}) listens on {address}",
        app.settings.app, app.settings.release, app.settings.color
    ));
    Ok(listener)
}

/// Serves until `end`, then answers what is in flight, for as long as the settings allow.
pub async fn serve(listener: TcpListener, app: Rc<App>, end: impl Future<Output = ()>) {
    let (stop, receiver) = watch::channel(false);
    let mut end = pin!(end);
    loop {
        tokio::select! {
            biased;
            () = &mut end => break,
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => serve_connection(stream, Rc::clone(&app), receiver.clone()),
                Err(error) => {
                    log(&format!("cannot accept a connection: {error}"));
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            },
        }
    }

    // What the kernel has accepted is a connection to its client: closing the listener would reset it.
    while let Ok(Ok((stream, _))) = tokio::time::timeout(Duration::ZERO, listener.accept()).await {
        serve_connection(stream, Rc::clone(&app), receiver.clone());
    }
    drop((listener, receiver));
    log("stopping: no new connections, requests in flight are answered");
    stop.send_replace(true);
    if tokio::time::timeout(app.settings.stop_limit, stop.closed())
        .await
        .is_err()
    {
        log(&format!(
            "{} connections are still busy after {:?}: closing them",
            stop.receiver_count(),
            app.settings.stop_limit
        ));
    }
}

/// Serves one connection in a task of its own.
fn serve_connection(stream: TcpStream, app: Rc<App>, stop: Stop) {
    // Small answers must not wait for the client's acknowledgement.
    if let Err(error) = stream.set_nodelay(true) {
        log(&format!("cannot set TCP_NODELAY: {error}"));
    }
    tokio::task::spawn_local(async move {
        let used = Rc::new(Cell::new(false));
        let service = service_fn(|request| {
            used.set(true);
            let answer = routes::answer(Rc::clone(&app), request, stop.clone());
            async { Ok::<_, Infallible>(answer.await) }
        });
        let mut http = http1::Builder::new();
        http.timer(TokioTimer::new());
        let mut connection = pin!(http.serve_connection(TokioIo::new(stream), service).with_upgrades());

        let mut asked = stop.clone();
        tokio::select! {
            result = &mut connection => return ended(result),
            _ = asked.wait_for(|stop| *stop) => connection.as_mut().graceful_shutdown(),
        }
        tokio::select! {
            result = &mut connection => return ended(result),
            () = tokio::time::sleep(FIRST_REQUEST) => {}
        }
        if used.get() {
            ended(connection.await);
        }
    });
}

/// Reports how a connection ended, where that is worth a line.
fn ended(result: hyper::Result<()>) {
    if let Err(error) = result {
        log(&format!("a connection ended: {error}"));
    }
}
