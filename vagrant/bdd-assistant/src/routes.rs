//! Which request gets which answer.

use std::rc::Rc;

use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::header::{self, HeaderName, HeaderValue};
use hyper::{Method, Request, StatusCode};
use serde_json::json;

use crate::answer::{self, Answer};
use crate::server::Stop;
use crate::state::App;
use crate::{page, socket, stories, transfer};

/// Largest story that is accepted, bytes.
const STORY_LIMIT: usize = 64 * 1024;

/// Answers one request; every answer says which release and color gave it.
pub async fn answer(app: Rc<App>, request: Request<Incoming>, stop: Stop) -> Answer {
    let mut answer = route(&app, request, stop).await;
    let headers = answer.headers_mut();
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    for (name, value) in [("x-release", &app.settings.release), ("x-color", &app.settings.color)] {
        if let Ok(value) = HeaderValue::from_str(value) {
            headers.insert(HeaderName::from_static(name), value);
        }
    }
    answer
}

/// The table of paths.
async fn route(app: &Rc<App>, request: Request<Incoming>, stop: Stop) -> Answer {
    let path = request.uri().path().to_owned();
    match path.as_str() {
        "/health" => get(&request, || health(app)),
        "/healthy" => post(&request, || set_health(app, true)),
        "/unhealthy" => post(&request, || set_health(app, false)),
        "/api/instance" => get(&request, || answer::json(StatusCode::OK, &app.instance())),
        "/api/stories" if request.method() == Method::POST => add_story(app, request).await,
        "/api/stories" => allow(&request, "GET, HEAD, POST", || {
            answer::json(StatusCode::OK, app.stories.borrow().all())
        }),
        "/slow" if is_read(&request) => transfer::slow(request.uri().query()).await,
        "/download" if is_read(&request) => transfer::download(request.uri().query()),
        "/echo" if request.method() == Method::POST => transfer::echo(app, request).await,
        "/echo/seen" => get(&request, || answer::json(StatusCode::OK, &app.seen.borrow().report())),
        "/ws" if is_read(&request) => socket::upgrade(request, stop),
        "/echo" => not_allowed("POST"),
        "/slow" | "/download" | "/ws" => not_allowed("GET, HEAD"),
        other => match other.strip_prefix("/api/stories/") {
            Some(id) => get(&request, || story(app, id)),
            None => get(&request, || page::file(app, other)),
        },
    }
}

/// 200 while healthy, 503 otherwise.
fn health(app: &App) -> Answer {
    if app.healthy.get() {
        answer::json(StatusCode::OK, &json!({ "status": "healthy" }))
    } else {
        answer::json(StatusCode::SERVICE_UNAVAILABLE, &json!({ "status": "unhealthy" }))
    }
}

/// Turns the health check, for trying failures.
fn set_health(app: &App, healthy: bool) -> Answer {
    app.healthy.set(healthy);
    answer::json(StatusCode::OK, &json!({ "healthy": healthy }))
}

/// One story by its id.
fn story(app: &App, id: &str) -> Answer {
    match id.parse().ok().and_then(|id| {
        app.stories
            .borrow()
            .get(id)
            .map(|story| answer::json(StatusCode::OK, story))
    }) {
        Some(answer) => answer,
        None => answer::problem(StatusCode::NOT_FOUND, &format!("no story {id:?}")),
    }
}

/// Adds the story in the body.
async fn add_story(app: &App, request: Request<Incoming>) -> Answer {
    let body = match read(request, STORY_LIMIT).await {
        Ok(body) => body,
        Err(answer) => return answer,
    };
    match app.stories.borrow_mut().add(&body) {
        Ok(story) => {
            let mut answer = answer::json(StatusCode::CREATED, &story);
            if let Ok(location) = HeaderValue::from_str(&format!("/api/stories/{}", story.id)) {
                answer.headers_mut().insert(header::LOCATION, location);
            }
            answer
        }
        Err(stories::Refused::Invalid(why)) => answer::problem(StatusCode::BAD_REQUEST, &why),
        Err(stories::Refused::Full) => answer::problem(
            StatusCode::INSUFFICIENT_STORAGE,
            &format!("this demo keeps at most {} stories", stories::LIMIT),
        ),
    }
}

/// The whole body, or the answer that says why not.
async fn read(request: Request<Incoming>, limit: usize) -> Result<Bytes, Answer> {
    match Limited::new(request.into_body(), limit).collect().await {
        Ok(body) => Ok(body.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => Err(answer::problem(
            StatusCode::PAYLOAD_TOO_LARGE,
            &format!("the body has more than {limit} bytes"),
        )),
        Err(error) => Err(answer::problem(
            StatusCode::BAD_REQUEST,
            &format!("cannot read the body: {error}"),
        )),
    }
}

/// Whether it only asks; hyper leaves the body of the answer to a HEAD away.
fn is_read(request: &Request<Incoming>) -> bool {
    matches!(*request.method(), Method::GET | Method::HEAD)
}

/// The answer, for GET and HEAD.
fn get(request: &Request<Incoming>, answer: impl FnOnce() -> Answer) -> Answer {
    allow(request, "GET, HEAD", answer)
}

/// The answer for GET and HEAD, where `allowed` may name other methods that were handled before.
fn allow(request: &Request<Incoming>, allowed: &'static str, answer: impl FnOnce() -> Answer) -> Answer {
    if is_read(request) {
        answer()
    } else {
        not_allowed(allowed)
    }
}

/// The answer, for POST.
fn post(request: &Request<Incoming>, answer: impl FnOnce() -> Answer) -> Answer {
    if request.method() == Method::POST {
        answer()
    } else {
        not_allowed("POST")
    }
}

/// 405, with the methods that are allowed.
fn not_allowed(allowed: &'static str) -> Answer {
    let mut answer = answer::problem(StatusCode::METHOD_NOT_ALLOWED, &format!("only {allowed} here"));
    answer
        .headers_mut()
        .insert(header::ALLOW, HeaderValue::from_static(allowed));
    answer
}
