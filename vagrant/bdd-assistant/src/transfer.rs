//! Requests that take their time: what a drain has to wait for.

use std::convert::identity;
use std::rc::Rc;
use std::str::FromStr;
use std::time::Duration;

use futures_util::stream;
use http_body_util::{BodyExt, StreamBody};
use hyper::body::{Bytes, Frame, Incoming};
use hyper::header::{self, HeaderName, HeaderValue};
use hyper::{Request, StatusCode};
use serde_json::json;

use crate::answer::{self, Answer};
use crate::state::App;

/// Longest time that a request may ask for, milliseconds.
const LONGEST: u64 = 120_000;

/// Largest download, bytes.
const LARGEST: u64 = 1 << 30;

/// Largest piece of a download, bytes.
const PIECE: u64 = 64 * 1024;

/// Time between two pieces of a slow download, milliseconds.
const BEAT: u64 = 20;

/// The header that names a request; its value comes back with the answer.
const ID: HeaderName = HeaderName::from_static("x-echo-id");

/// Longest value of [`ID`], bytes.
const ID_LENGTH: usize = 64;

/// `GET /slow?ms=N`: answers after so many milliseconds.
pub async fn slow(query: Option<&str>) -> Answer {
    match number(query, "ms", 1_000, LONGEST) {
        Ok(ms) => {
            tokio::time::sleep(Duration::from_millis(ms)).await;
            answer::json(StatusCode::OK, &json!({ "waited_ms": ms }))
        }
        Err(why) => answer::problem(StatusCode::BAD_REQUEST, &why),
    }
}

/// `GET /download?bytes=N&ms=M`: so many bytes, spread over so many milliseconds; byte number i is i modulo 251.
pub fn download(query: Option<&str>) -> Answer {
    let asked =
        number(query, "bytes", 1 << 20, LARGEST).and_then(|bytes| Ok((bytes, number(query, "ms", 0, LONGEST)?)));
    let (bytes, ms) = match asked {
        Ok(asked) => asked,
        Err(why) => return answer::problem(StatusCode::BAD_REQUEST, &why),
    };
    let pieces = bytes.div_ceil(PIECE).max(ms / BEAT).clamp(1, bytes.max(1));
    let pause = Duration::from_millis(ms)
        .checked_div(u32::try_from(pieces).unwrap_or(u32::MAX))
        .unwrap_or_default();
    let start = tokio::time::Instant::now();
    let body = stream::unfold((0, 0), move |(sent, piece)| async move {
        if sent >= bytes {
            return None;
        }
        // By the clock and not one pause after another, so that late timers don't add up.
        tokio::time::sleep_until(start + pause.saturating_mul(piece)).await;
        let next = (bytes * (u64::from(piece) + 1) / pieces).min(bytes);
        let data: Bytes = (sent..next)
            .map(|index| u8::try_from(index % 251).map_or(0, identity))
            .collect();
        Some((Ok(Frame::data(data)), (next, piece + 1)))
    });
    let mut answer = answer::file("application/octet-stream", Bytes::new());
    *answer.body_mut() = StreamBody::new(body).boxed_unsync();
    answer
        .headers_mut()
        .insert(header::CONTENT_LENGTH, HeaderValue::from(bytes));
    answer
}

/// `POST /echo`: reads the whole body, however slowly it comes, and answers its length and checksum;
/// counts the request's id, where it has one.
pub async fn echo(app: &Rc<App>, request: Request<Incoming>) -> Answer {
    let id = request.headers().get(ID).cloned();
    let mut body = request.into_body();
    let (mut bytes, mut checksum) = (0, Fnv1a::default());
    while let Some(frame) = body.frame().await {
        let frame = match frame {
            Ok(frame) => frame,
            Err(error) => {
                return answer::problem(StatusCode::BAD_REQUEST, &format!("cannot read the body: {error}"));
            }
        };
        if let Some(data) = frame.data_ref() {
            bytes += data.len();
            checksum.update(data);
        }
    }

    let text = id.as_ref().and_then(|id| id.to_str().ok());
    if let Some(text) = text {
        if text.len() > ID_LENGTH || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return answer::problem(
                StatusCode::BAD_REQUEST,
                &format!("X-Echo-Id: at most {ID_LENGTH} printable characters, no space"),
            );
        }
        if let Err(why) = app.note(text) {
            return answer::problem(StatusCode::INTERNAL_SERVER_ERROR, &why);
        }
    }
    let mut answer = answer::json(
        StatusCode::OK,
        &json!({ "id": text, "bytes": bytes, "fnv1a": checksum.to_string() }),
    );
    if let Some(id) = id {
        answer.headers_mut().insert(ID, id);
    }
    answer
}

/// A number out of the query; `default` where it is not there.
fn number(query: Option<&str>, name: &str, default: u64, most: u64) -> Result<u64, String> {
    let value = query
        .unwrap_or_default()
        .split('&')
        .filter_map(|pair| pair.split_once('='))
        .find(|(key, _)| *key == name);
    let Some((_, text)) = value else {
        return Ok(default);
    };
    let number = u64::from_str(text).map_err(|_| format!("{name}: not a number"))?;
    if number > most {
        Err(format!("{name}: at most {most}"))
    } else {
        Ok(number)
    }
}

/// The 64 bit FNV-1a hash: a checksum that is five lines and needs no crate.
struct Fnv1a(u64);

impl Default for Fnv1a {
    fn default() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }
}

impl Fnv1a {
    fn update(&mut self, data: &[u8]) {
        for byte in data {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }
}

impl std::fmt::Display for Fnv1a {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{:016x}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_bounded() {
        assert_eq!(number(None, "ms", 7, 10), Ok(7));
        assert_eq!(number(Some("bytes=3&ms=10"), "ms", 7, 10), Ok(10));
        assert_eq!(number(Some("ms=11"), "ms", 7, 10).unwrap_err(), "ms: at most 10");
        assert_eq!(number(Some("ms=-1"), "ms", 7, 10).unwrap_err(), "ms: not a number");
    }

    /// Values of the hash's authors (draft-eastlake-fnv).
    #[test]
    fn checksum_is_fnv1a() {
        let mut checksum = Fnv1a::default();
        assert_eq!(checksum.to_string(), "cbf29ce484222325");
        checksum.update(b"foo");
        checksum.update(b"bar");
        assert_eq!(checksum.to_string(), "85944171f73967e8");
    }

    #[tokio::test]
    async fn a_download_is_whole_at_any_size() {
        for bytes in [0, 1, 250, 65_537, 1 << 20] {
            let body = download(Some(&format!("bytes={bytes}&ms=3")))
                .into_body()
                .collect()
                .await
                .unwrap()
                .to_bytes();
            assert_eq!(body.len(), bytes);
            assert!(
                body.iter()
                    .enumerate()
                    .all(|(index, byte)| usize::from(*byte) == index % 251)
            );
        }
    }
}
