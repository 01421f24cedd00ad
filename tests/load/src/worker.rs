//! One short request after the other, on a keep-alive connection or each on one of its own.

use std::time::{Duration, Instant};

use http_body_util::BodyExt;
use hyper::body::Bytes;
use hyper::http::response::Parts;
use hyper::{Method, Request, header};

use crate::check;
use crate::connection::{Body, Connection, NoAnswer, full};
use crate::failure::{Failure, Kind};
use crate::pace::Ticket;
use crate::run::Run;
use crate::tally::Sample;

/// Pause after a request that found no connection, so that a site that is down is not hammered.
const DOWN: Duration = Duration::from_millis(20);

/// How often in a row a connection may be closed before a request was written.
const CLOSED_IN_A_ROW: u32 = 3;

/// Sends requests until the run ends.
pub async fn work(run: &Run) {
    let mut connection = None;
    let mut stop = run.stop();
    loop {
        if *stop.borrow() {
            return;
        }
        let Some(ticket) = run.pace.next() else { return };
        let mut from = Instant::now();
        if let Some(due) = ticket.due {
            if due > from {
                tokio::select! {
                    () = tokio::time::sleep_until(due.into()) => {}
                    _ = stop.wait_for(|stop| *stop) => return,
                }
                // The timer's own lateness is not the site's.
                from = Instant::now();
            } else {
                from = due;
            }
        }
        if !request(run, &mut connection, ticket, from).await {
            connection = None;
            tokio::time::sleep(DOWN).await;
        }
        if run.options.no_keep_alive {
            connection = None;
        }
    }
}

/// Sends one request and counts it; false where the connection is of no use any more.
async fn request(run: &Run, connection: &mut Option<Connection>, ticket: Ticket, from: Instant) -> bool {
    let mut sent = Instant::now();
    let exchange = exchange(run, connection, ticket, &mut sent);
    let timeout = run.options.request_timeout();
    let result = match tokio::time::timeout(timeout, exchange).await {
        Ok(result) => result,
        Err(_) => Err((
            None,
            Failure::new(Kind::Timeout, format!("no answer within {timeout:?}")),
        )),
    };
    let ended = Instant::now();
    let (head, failure) = match &result {
        Ok(head) => (Some(head), None),
        Err((head, failure)) => (head.as_ref(), Some(failure)),
    };
    let head = head.map(|head| (head.status.as_u16(), &head.headers));
    run.tally.borrow_mut().record(&Sample {
        post: ticket.post,
        from,
        sent,
        ended,
        head,
        failure,
    });
    // A wrong answer that came whole leaves the connection as it should be.
    failure.is_none_or(|failure| matches!(failure.kind, Kind::Status | Kind::WrongBody))
}

/// What came of a request: the head of its answer, and what was wrong.
type Exchanged = Result<Parts, (Option<Parts>, Failure)>;

/// Sends one request, opening the connection where there is none, and reads the whole answer.
async fn exchange(run: &Run, connection: &mut Option<Connection>, ticket: Ticket, sent: &mut Instant) -> Exchanged {
    let id = ticket.post.map(|number| run.ids.id(number));
    let mut request = build(run, id.as_deref()).map_err(|failure| (None, failure))?;
    let mut closed = 0;
    let response = loop {
        let open = ready(run, connection).await.map_err(|failure| (None, failure))?;
        *sent = Instant::now();
        match open.send(request).await {
            Ok(response) => break response,
            Err(NoAnswer::Failed(failure)) => return Err((None, failure)),
            Err(NoAnswer::Unwritten(back)) => {
                (request, *connection, closed) = (*back, None, closed + 1);
                if closed >= CLOSED_IN_A_ROW {
                    let failure = Failure::new(Kind::ClosedBeforeAnswer, "each new connection is closed at once");
                    return Err((None, failure));
                }
            }
        }
    };
    let (head, body) = response.into_parts();
    let body = match body.collect().await {
        Ok(body) => body.to_bytes(),
        Err(error) => return Err((Some(head), Failure::exchange(&error, true))),
    };
    match check(run, id.as_deref(), &head, &body) {
        Ok(()) => Ok(head),
        Err(failure) => Err((Some(head), failure)),
    }
}

/// The connection, opened anew where there is none or the server has closed it between two requests.
async fn ready<'a>(run: &Run, connection: &'a mut Option<Connection>) -> Result<&'a mut Connection, Failure> {
    let usable = match connection {
        Some(open) => open.is_ready().await,
        None => false,
    };
    if !usable {
        *connection = None;
    }
    if let Some(open) = connection {
        return Ok(open);
    }
    let open = Connection::open(run.options.url.address()).await?;
    run.tally.borrow_mut().connections += 1;
    Ok(connection.insert(open))
}

/// The request: a POST where it has an id.
fn build(run: &Run, id: Option<&str>) -> Result<Request<Body>, Failure> {
    let options = &run.options;
    let (method, path) = if id.is_some() {
        (Method::POST, &options.post_path)
    } else {
        (Method::GET, &options.get_path)
    };
    let mut builder = Request::builder()
        .method(method)
        .uri(path)
        .header(header::HOST, options.authority());
    if let Some(id) = id {
        builder = builder.header(check::ID, id);
    }
    let body = if id.is_some() {
        run.post_body.clone()
    } else {
        Bytes::new()
    };
    builder
        .body(full(body))
        .map_err(|error| Failure::new(Kind::Protocol, format!("cannot build the request: {error}")))
}

/// Fails where the answer is not a good one.
fn check(run: &Run, id: Option<&str>, head: &Parts, body: &Bytes) -> Result<(), Failure> {
    if !head.status.is_success() {
        return Err(Failure::new(Kind::Status, head.status));
    }
    let Some(id) = id else { return Ok(()) };
    let bytes = u64::from(run.options.post_bytes);
    check::echo(id, bytes, run.post_checksum, &head.headers, body).map_err(|why| Failure::new(Kind::WrongBody, why))
}
