//! Slow downloads and uploads, each checked whole.

use std::convert::Infallible;
use std::time::{Duration, Instant};

use futures_util::stream;
use http_body_util::{BodyExt, StreamBody};
use hyper::body::{Bytes, Frame, Incoming};
use hyper::{Request, Response, header};

use crate::check;
use crate::connection::{Body, Connection, NoAnswer, full};
use crate::failure::{Failure, Kind};
use crate::histogram::milliseconds;
use crate::report::Long;
use crate::run::Run;
use crate::tally::Tally;

/// Numbers of uploads start here, so that they are not those of short POSTs.
const UPLOADS: u64 = 1 << 40;

/// Pieces in which an upload is sent.
const PIECES: u64 = 50;

/// Pause after a failure, so that a site that is down is not hammered.
const DOWN: Duration = Duration::from_millis(100);

/// Downloads until the run ends; `number` of so many decides how slowly.
pub async fn download(run: &Run, number: u16) {
    let (bytes, time) = (
        u64::from(run.options.transfer_bytes),
        share(run, number, run.options.downloads),
    );
    let uri = format!("/download?bytes={bytes}&ms={}", time.as_millis());
    while !*run.stop().borrow() {
        let transfer = async {
            let request = Request::get(&uri)
                .header(header::HOST, run.options.authority())
                .body(full(Bytes::new()));
            pattern(bytes, exchange(run, request).await?).await
        };
        measure(run, "download", time, |tally| &mut tally.downloads, transfer).await;
    }
}

/// Uploads until the run ends; `number` of so many decides how slowly.
pub async fn upload(run: &Run, number: u16) {
    let (bytes, time) = (
        u64::from(run.options.transfer_bytes),
        share(run, number, run.options.uploads),
    );
    let checksum = check::fnv1a(check::EMPTY, &check::body(0, bytes));
    let mut next = UPLOADS + (u64::from(number) << 20);
    while !*run.stop().borrow() {
        let (post, id) = (next, run.ids.id(next));
        next += 1;
        let transfer = async {
            let builder = Request::post(&run.options.post_path).header(header::HOST, run.options.authority());
            let builder = builder.header(check::ID, &id).header(header::CONTENT_LENGTH, bytes);
            let (head, body) = exchange(run, builder.body(slow_body(bytes, time))).await?.into_parts();
            let answer = body
                .collect()
                .await
                .map_err(|error| Failure::exchange(&error, true))?
                .to_bytes();
            check::echo(&id, bytes, checksum, &head.headers, &answer).map_err(|why| Failure::new(Kind::WrongBody, why))
        };
        if measure(run, "upload", time, |tally| &mut tally.uploads, transfer).await {
            run.tally.borrow_mut().answered_posts.insert(post);
        }
    }
}

/// How long this one of so many transfers takes: they spread evenly up to the longest.
fn share(run: &Run, number: u16, of: u16) -> Duration {
    Duration::from_secs_f64(run.options.transfer_seconds * f64::from(number + 1) / f64::from(of.max(1)))
}

/// Does one transfer and counts it; true where it was whole and right.
async fn measure(
    run: &Run,
    what: &'static str,
    time: Duration,
    count: impl Fn(&mut Tally) -> &mut Long,
    transfer: impl Future<Output = Result<(), Failure>>,
) -> bool {
    let start = Instant::now();
    count(&mut run.tally.borrow_mut()).started += 1;
    let limit = time + run.options.request_timeout();
    let result = match tokio::time::timeout(limit, transfer).await {
        Ok(result) => result,
        Err(_) => Err(Failure::new(Kind::Timeout, format!("not done within {limit:?}"))),
    };
    match result {
        Ok(()) => {
            let took = milliseconds(u64::try_from(start.elapsed().as_micros()).unwrap_or(u64::MAX));
            let mut tally = run.tally.borrow_mut();
            let long = count(&mut tally);
            long.whole += 1;
            long.longest_ms = long.longest_ms.max(took);
            true
        }
        Err(failure) => {
            count(&mut run.tally.borrow_mut()).failed += 1;
            run.tally.borrow_mut().fail(what, Instant::now(), "", &failure);
            tokio::time::sleep(DOWN).await;
            false
        }
    }
}

/// Sends one request on a connection of its own; fails where the status is not 2xx.
async fn exchange(run: &Run, request: hyper::http::Result<Request<Body>>) -> Result<Response<Incoming>, Failure> {
    let request =
        request.map_err(|error| Failure::new(Kind::Protocol, format!("cannot build the request: {error}")))?;
    let mut connection = Connection::open(run.options.url.address()).await?;
    let response = connection.send(request).await.map_err(|lost| match lost {
        NoAnswer::Failed(failure) => failure,
        NoAnswer::Unwritten(_) => Failure::new(Kind::ClosedBeforeAnswer, "a new connection was closed at once"),
    })?;
    if response.status().is_success() {
        Ok(response)
    } else {
        Err(Failure::new(Kind::Status, response.status()))
    }
}

/// Reads a download; fails where it is not so many bytes of the pattern.
async fn pattern(bytes: u64, response: Response<Incoming>) -> Result<(), Failure> {
    let mut body = response.into_body();
    let mut index = 0;
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| Failure::exchange(&error, true))?;
        for byte in frame.data_ref().into_iter().flatten() {
            if *byte != check::pattern(index) {
                return Err(Failure::new(
                    Kind::WrongBody,
                    format!("byte {index} of a download is wrong"),
                ));
            }
            index += 1;
        }
    }
    if index == bytes {
        Ok(())
    } else {
        Err(Failure::new(
            Kind::WrongBody,
            format!("a download has {index} bytes instead of {bytes}"),
        ))
    }
}

/// A body of so many bytes that takes so long.
fn slow_body(bytes: u64, time: Duration) -> Body {
    let start = tokio::time::Instant::now();
    let pieces = stream::unfold(0, move |piece| async move {
        if piece >= PIECES {
            return None;
        }
        let pauses = u32::try_from(piece + 1).unwrap_or(u32::MAX);
        tokio::time::sleep_until(start + time / u32::try_from(PIECES).unwrap_or(1) * pauses).await;
        let data = check::body(bytes * piece / PIECES, bytes * (piece + 1) / PIECES);
        Some((Ok::<_, Infallible>(Frame::data(data)), piece + 1))
    });
    StreamBody::new(pieces).boxed_unsync()
}
