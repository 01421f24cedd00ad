//! Asking nginx what it serves, on the port of 127.0.0.1 where every site has a server for bgctl alone.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use eyre::WrapErr as _;
use tokio::net::TcpStream;

use super::{Proof, route};
use crate::host::http::{self, Answer};
use crate::model::{AppName, Color, Hinted, Port, Route};

/// How long nginx may take to say where it sends requests.
const ASK: Duration = Duration::from_secs(5);

/// nginx looks at the link as its workers' user.
const CANNOT_LOOK: &str =
    "nginx's workers must be able to look into /var/lib/bgctl-routes: see the permissions with `namei -l`";

/// The time between two questions.
const PAUSE: Duration = Duration::from_millis(10);

/// The two ways by which nginx finds the color for a request; see [`route`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// For one that is sent in the millisecond in which it came.
    AtOnce,
    /// For one that was held before it could be sent.
    Held,
}

impl Way {
    /// Both.
    pub const BOTH: [Self; 2] = [Self::AtOnce, Self::Held];

    fn health_path(self) -> &'static str {
        match self {
            Self::AtOnce => "/health",
            Self::Held => "/health/held",
        }
    }
}

impl std::fmt::Display for Way {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::AtOnce => "that are sent at once",
            Self::Held => "that were held",
        })
    }
}

/// What an app answered through nginx.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Health {
    /// The status of its answer, or of nginx's own where it got none.
    pub status: u16,
    /// That, and what it says first.
    pub said: String,
    /// The port that nginx asked; none where it asked none.
    pub port: Option<u16>,
}

/// What nginx says of an app's site.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answered {
    /// Where it sends requests now.
    pub route: Route,
    /// The version of the site's text that it has read.
    pub version: Option<String>,
}

/// What nginx says of an app's site. Errors where it does not answer, something else answers, or it would send requests that were
/// held elsewhere than others.
pub async fn ask(app: &AppName, control_port: Port) -> eyre::Result<Answered> {
    let ask = async {
        let answer = get(app, control_port, "/route", ASK).await?;
        let route = told(answer.body.trim()).filter(|_| answer.status.is_success());
        let route = route.ok_or_else(|| Hinted::new("nginx finds no route", CANNOT_LOOK))?;
        let version = header(&answer, "x-bgctl-site").map(str::to_owned);
        eyre::Ok(Answered { route, version })
    };
    ask.await
        .wrap_err_with(|| format!("cannot ask nginx on 127.0.0.1:{control_port} where it sends the requests of {app}"))
}

/// The route by what a site says of it: the color that is seen for requests that are sent at once, and the key that the link
/// resolves to. Where these differ the link was replaced after the first look. Returns `None` where nginx finds no link, or the
/// text is another.
fn told(text: &str) -> Option<Route> {
    let (seen, key) = text.split_once(' ')?;
    let route = Route::ALL.into_iter().find(|route| key == route::key(*route))?;
    match route {
        // Where no release is active green is seen, see `route::make`.
        Route::None | Route::Held if seen == Color::Green.as_str() => Some(Route::None),
        Route::None | Route::Held => (seen == Route::Held.as_str()).then_some(Route::Held),
        Route::To(_) => Some(route),
    }
}

/// What the health path of the app answers through nginx, by one of the ways, within `timeout`. Errors where nginx gives no
/// answer, something else does, or the app's check is not HTTP, since the site has no such location then.
pub async fn health(app: &AppName, control_port: Port, way: Way, timeout: Duration) -> eyre::Result<Health> {
    let ask = async {
        let answer = get(app, control_port, way.health_path(), timeout).await?;
        let upstream = header(&answer, "x-bgctl-upstream").unwrap_or_default();
        eyre::Ok(Health {
            status: answer.status.as_u16(),
            said: answer.said(),
            port: upstream.parse::<SocketAddr>().ok().map(|address| address.port()),
        })
    };
    ask.await
        .wrap_err_with(|| format!("cannot ask for the health of {app} through nginx on 127.0.0.1:{control_port}"))
}

/// Errors where nginx chooses servers by another hash than the one that the keys of routes are made for: requests would go to the
/// wrong color.
pub(super) async fn check_hash(control_port: Port) -> eyre::Result<()> {
    for (route, server) in [Route::ALL[1], Route::ALL[2], Route::None].into_iter().zip(1..) {
        let path = format!("/.bgctl/hash?key={}", route::key(route));
        let answer = within(ASK, request(control_port, "localhost", &path)).await?;
        let chosen = header(&answer, "x-bgctl-upstream").unwrap_or_default();
        if chosen != format!("127.0.0.1:{server}") {
            let message = format!(
                "nginx chooses {chosen:?} for the key of the route to {route}, and not the server number {server}"
            );
            let hint = "this nginx hashes in another way than nginx 1.18 to 1.31 do, and bgctl cannot use it";
            return Err(Hinted::new(message, hint).into());
        }
    }
    Ok(())
}

/// Asks until the answer is the expected one. Errors after `timeout` with what is wrong with the last answer.
pub(super) async fn wait_for(proof: &Proof<'_>, timeout: Duration) -> eyre::Result<()> {
    let began = Instant::now();
    loop {
        match ask(proof.app, proof.control_port).await {
            Ok(answered) if proof.is_given_by(&answered) => return check_hash(proof.control_port).await,
            Ok(answered) if began.elapsed() >= timeout => return Err(unproven(&answered, proof)),
            Err(error) if began.elapsed() >= timeout => return Err(error),
            _ => tokio::time::sleep(PAUSE).await,
        }
    }
}

fn unproven(answered: &Answered, proof: &Proof<'_>) -> eyre::Report {
    if answered.route == proof.route {
        return eyre::eyre!("nginx answers by another version of the site than the one that was written");
    }
    let (said, route) = (answered.route, proof.route);
    Hinted::new(
        format!("nginx says that it sends requests to {said}, and the route leads to {route}"),
        CANNOT_LOOK,
    )
    .into()
}

async fn get(app: &AppName, control_port: Port, path: &str, timeout: Duration) -> eyre::Result<Answer> {
    let answer = within(timeout, request(control_port, &format!("{app}.bgctl"), path)).await?;
    match header(&answer, "x-bgctl-app") {
        Some(name) if name == app.as_str() => Ok(answer),
        Some(_) | None => Err(wrong(app, &answer)),
    }
}

async fn request(control_port: Port, host: &str, path: &str) -> eyre::Result<Answer> {
    let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, control_port.get())).await?;
    http::get(stream, host, path, []).await
}

async fn within<T>(timeout: Duration, answer: impl Future<Output = eyre::Result<T>>) -> eyre::Result<T> {
    tokio::time::timeout(timeout, answer)
        .await
        .map_err(|_| eyre::eyre!("no answer within {timeout:?}"))?
}

fn header<'a>(answer: &'a Answer, name: &str) -> Option<&'a str> {
    answer.headers.get(name).and_then(|value| value.to_str().ok())
}

fn wrong(app: &AppName, answer: &Answer) -> eyre::Report {
    let by = match header(answer, "x-bgctl-app").map(AppName::parse) {
        Some(Ok(other)) if other != *app => format!("the site of {other} answers"),
        Some(Ok(_) | Err(_)) | None => "no site of this app answers".to_owned(),
    };
    let hint = "nginx has not read the site, or another server takes the port: compare [nginx] sites and control_port in \
                bgctl.toml with `nginx -T`";
    Hinted::new(format!("{by}, but with {}", answer.status), hint).into()
}

#[cfg(test)]
mod tests {
    use hyper::header::{HeaderMap, HeaderName};

    use super::*;

    #[test]
    fn routes_are_told_by_what_is_seen_and_by_what_the_link_resolves_to() {
        let (blue, green) = (Color::Blue.into(), Color::Green.into());
        assert_eq!(told("blue blue"), Some(blue));
        assert_eq!(told("green green0"), Some(green));
        assert_eq!(told("green none0"), Some(Route::None));
        assert_eq!(told("held none0"), Some(Route::Held));
        assert_eq!(told("held blue"), Some(blue));
        assert_eq!((told("blue green0"), told("green blue")), (Some(green), Some(blue)));
        for text in ["blue none0", "blue ", "blue", "", "green 0"] {
            assert_eq!(told(text), None, "{text}");
        }
    }

    #[test]
    fn answers_of_other_sites_are_told_as_that() {
        let app = AppName::parse("shop").unwrap();
        let answer = |name: Option<&'static str>| {
            let mut headers = HeaderMap::new();
            headers.extend(name.map(|name| (HeaderName::from_static("x-bgctl-app"), name.parse().unwrap())));
            Answer {
                status: hyper::StatusCode::OK,
                headers,
                body: "blue blue\n".into(),
            }
        };
        let said = |name| wrong(&app, &answer(name)).to_string();
        assert_eq!(said(Some("blog")), "the site of blog answers, but with 200 OK");
        assert_eq!(said(Some("Evil; app")), "no site of this app answers, but with 200 OK");
        assert_eq!(said(None), "no site of this app answers, but with 200 OK");
    }
}
