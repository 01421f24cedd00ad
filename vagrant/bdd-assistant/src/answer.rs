//! Answers, and the one type of body they have.

use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper::header::{self, HeaderValue};
use hyper::{Response, StatusCode};
use serde::Serialize;

/// A body that is there, or that comes slowly.
pub type Body = UnsyncBoxBody<Bytes, std::io::Error>;

/// An answer.
pub type Answer = Response<Body>;

/// A body that is there.
pub fn full(bytes: impl Into<Bytes>) -> Body {
    Full::new(bytes.into()).map_err(|never| match never {}).boxed_unsync()
}

/// A file of the page.
pub fn file(content_type: &'static str, text: impl Into<Bytes>) -> Answer {
    let mut answer = Response::new(full(text));
    answer
        .headers_mut()
        .insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    answer
}

/// A value as JSON, with a line end for those who read it with curl.
pub fn json(status: StatusCode, value: &(impl Serialize + ?Sized)) -> Answer {
    match serde_json::to_string(value) {
        Ok(text) => {
            let mut answer = file("application/json", text + "\n");
            *answer.status_mut() = status;
            answer
        }
        Err(error) => problem(
            StatusCode::INTERNAL_SERVER_ERROR,
            &format!("cannot write the answer: {error}"),
        ),
    }
}

/// An error as JSON: `{"error": "..."}`.
pub fn problem(status: StatusCode, message: &str) -> Answer {
    let text = serde_json::json!({ "error": message }).to_string();
    let mut answer = file("application/json", text + "\n");
    *answer.status_mut() = status;
    answer
}
