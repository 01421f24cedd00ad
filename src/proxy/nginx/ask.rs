//! Asking nginx what it serves, by the locations that every rendered site has for this host only.

use std::time::{Duration, Instant};

use camino::Utf8Path;
use eyre::WrapErr as _;
use tokio::net::{TcpStream, UnixStream};

use super::Proof;
use crate::host::http::{self, Answer};
use crate::model::{AppName, Color, Hinted, Listen, Route, Site};

/// How long nginx may take to say which color it uses.
const ASK: Duration = Duration::from_secs(5);

/// The time between two questions.
const PAUSE: Duration = Duration::from_millis(10);

/// What the active color answered through nginx.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Health {
    /// The status of its answer, or of nginx's own where it got none.
    pub status: u16,
    /// The color that nginx asked; none where nothing was ever switched.
    pub color: Option<Color>,
}

/// What nginx tells of an app's site.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    /// Where it sends requests now.
    pub route: Route,
    /// The version of the site's text that it has read; none of one that an older bgctl rendered.
    pub version: Option<String>,
}

/// What nginx tells of an app's site. Asks the site itself where it listens with plain HTTP on a loopback address, else its
/// second look on `socket`. Fails where something else answers.
pub async fn ask(app: &AppName, site: &Site, socket: &Utf8Path) -> eyre::Result<Told> {
    let door = Door::of(site, socket);
    let ask = async {
        let answer = door.get("/.bgctl/color", ASK).await?;
        require_of(app, &answer)?;
        let text = answer.body.trim();
        match Route::parse(text) {
            Ok(route) if answer.status.is_success() => Ok(Told {
                route,
                version: header(&answer, "x-bgctl-site").map(str::to_owned),
            }),
            _ => Err(wrong(&answer)),
        }
    };
    ask.await
        .wrap_err_with(|| format!("cannot ask nginx for the color in use ({door})"))
}

/// What the health path of the active color answers through nginx, within `timeout`; asked as [`ask`]. Fails where
/// nginx gives no answer, or something else than a site of bgctl does: also where the app's check is not HTTP, since the
/// site has no such location then.
pub async fn health(app: &AppName, site: &Site, socket: &Utf8Path, timeout: Duration) -> eyre::Result<Health> {
    let door = Door::of(site, socket);
    let ask = async {
        let answer = door.get("/.bgctl/health", timeout).await?;
        require_of(app, &answer)?;
        let color = header(&answer, "x-bgctl-color").ok_or_else(|| wrong(&answer))?;
        eyre::Ok(Health {
            status: answer.status.as_u16(),
            color: Color::parse_or_none(color)?,
        })
    };
    ask.await
        .wrap_err_with(|| format!("cannot ask for the health of the active color through nginx ({door})"))
}

/// Asks until the answer is the expected one. Fails after `patience` with what is wrong with the last answer.
pub(super) async fn wait_for(proof: &Proof<'_>, patience: Duration) -> eyre::Result<()> {
    let began = Instant::now();
    loop {
        match ask(proof.app, proof.site, proof.socket).await {
            Ok(told) if proof.is_given_by(&told) => return Ok(()),
            Ok(told) if began.elapsed() >= patience => return Err(unseen(&told, proof)),
            Err(error) if began.elapsed() >= patience => return Err(error),
            _ => tokio::time::sleep(PAUSE).await,
        }
    }
}

fn unseen(told: &Told, proof: &Proof<'_>) -> eyre::Report {
    if told.route == proof.route {
        return eyre::eyre!("nginx answers by another version of the site than the one that was written");
    }
    // nginx looks at the flag as its workers' user.
    let (told, flag) = (told.route, proof.route);
    Hinted::new(
        format!("nginx says {told}, and the flag says {flag}"),
        "nginx's workers must be able to look into /var/lib/bgctl and what is in it: see the permissions with `namei -l`",
    )
    .into()
}

/// Fails where the site of another app answers. One that an older bgctl rendered does not tell whose it is.
fn require_of(app: &AppName, answer: &Answer) -> eyre::Result<()> {
    match header(answer, "x-bgctl-app").map(AppName::parse) {
        None => Ok(()),
        Some(Ok(name)) if name == *app => Ok(()),
        Some(Ok(other)) => Err(taken(format!("the answer is not this site's, but that of {other}"))),
        Some(Err(_)) => Err(wrong(answer)),
    }
}

fn header<'a>(answer: &'a Answer, name: &str) -> Option<&'a str> {
    answer.headers.get(name).and_then(|value| value.to_str().ok())
}

fn wrong(answer: &Answer) -> eyre::Report {
    taken(format!("the answer is not this site's, but {}", answer.status))
}

fn taken(message: String) -> eyre::Report {
    let hint = "another site may take its name or address: compare [nginx] server_name and listen with `nginx -T`";
    Hinted::new(message, hint).into()
}

/// Where a site is asked.
enum Door<'a> {
    Tcp { listen: &'a Listen, host: String },
    Socket(&'a Utf8Path),
}

impl<'a> Door<'a> {
    fn of(site: &'a Site, socket: &'a Utf8Path) -> Self {
        let plain = site.certificate.is_none();
        let listen = site.listen.iter().find(|listen| listen.local_address().is_loopback());
        match listen {
            Some(listen) if plain => Self::Tcp {
                listen,
                host: host(site),
            },
            _ => Self::Socket(socket),
        }
    }

    async fn get(&self, path: &str, timeout: Duration) -> eyre::Result<Answer> {
        let answer = async {
            match self {
                Self::Tcp { listen, host } => {
                    let stream = TcpStream::connect((listen.local_address(), listen.port())).await?;
                    http::get(stream, host, path).await
                }
                Self::Socket(socket) => http::get(UnixStream::connect(socket).await?, "localhost", path).await,
            }
        };
        tokio::time::timeout(timeout, answer)
            .await
            .map_err(|_| eyre::eyre!("no answer within {timeout:?}"))?
    }
}

impl std::fmt::Display for Door<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Tcp { listen, host } => {
                let address = std::net::SocketAddr::new(listen.local_address(), listen.port());
                write!(f, "{host} at {address}")
            }
            Self::Socket(socket) => write!(f, "{socket}"),
        }
    }
}

/// A name that the site answers to: its first, with something in the place of a `*`.
fn host(site: &Site) -> String {
    let name = site.server_names.first().map_or("_", |name| name.as_str());
    name.replace('*', "bgctl")
}

#[cfg(test)]
mod tests {
    use hyper::header::{HeaderMap, HeaderName};

    use super::super::tests::site;
    use super::*;
    use crate::model::Certificate;

    #[test]
    fn the_site_of_another_app_is_no_answer() {
        let app = AppName::parse("shop").unwrap();
        let answer = |name: Option<&'static str>| {
            let mut headers = HeaderMap::new();
            headers.extend(name.map(|name| (HeaderName::from_static("x-bgctl-app"), name.parse().unwrap())));
            Answer {
                status: hyper::StatusCode::OK,
                headers,
                body: "blue\n".into(),
            }
        };
        let refused = |name| require_of(&app, &answer(Some(name))).unwrap_err().to_string();
        require_of(&app, &answer(Some("shop"))).unwrap();
        require_of(&app, &answer(None)).unwrap();
        assert_eq!(refused("blog"), "the answer is not this site's, but that of blog");
        assert_eq!(refused("Evil; app"), "the answer is not this site's, but 200 OK");
    }

    #[test]
    fn the_door_is_the_site_itself_where_this_host_may_use_it() {
        let socket = Utf8Path::new("/run/bgctl/shop.sock");
        let door = |site: &Site| Door::of(site, socket).to_string();
        assert_eq!(door(&site("example.org", "8080")), "example.org at 127.0.0.1:8080");
        assert_eq!(door(&site("*.example.org", "[::]:80")), "bgctl.example.org at [::1]:80");
        assert_eq!(door(&site("example.org", "10.0.0.5:80")), socket.as_str());
        let tls = Site {
            certificate: Some(Certificate {
                certificate: "/etc/ssl/x.pem".into(),
                key: "/etc/ssl/x.key".into(),
            }),
            ..site("example.org", "443")
        };
        assert_eq!(door(&tls), socket.as_str());
    }
}
