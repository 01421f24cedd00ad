//! The nginx site of an app.

use std::time::Duration;

use askama::Template;
use camino::Utf8Path;

use crate::model::{App, AppName, Check, Color, Invalid, Listen, Port, ServerName, check_health_path, sealed};

/// `templates/app.conf`.
#[derive(Debug, Template)]
#[template(path = "app.conf", config = "templates/askama.toml")]
pub struct Site<'a> {
    app: &'a AppName,
    id: String,
    colors: [(Color, Port); 2],
    socket: &'a str,
    state: &'a str,
    listen: &'a [Listen],
    default_server: bool,
    server_names: &'a [ServerName],
    tls: Option<Tls<'a>>,
    max_body_size: u64,
    read_timeout: String,
    send_timeout: String,
    health_path: Option<&'a str>,
    include: &'a str,
    /// What nginx tells of which text it has read; empty while that is not known.
    version: String,
}

#[derive(Debug)]
struct Tls<'a> {
    certificate: &'a str,
    key: &'a str,
}

/// The longest part of a variable's name that comes from the app: with what the template puts around it, a name must
/// fit into a bucket of nginx's `variables_hash_bucket_size`, by default 64 bytes with 18 of its own.
const VARIABLE_MAX: usize = 28;

impl<'a> Site<'a> {
    /// The site of `app`; fails with [`Invalid`] where a value cannot stand in it.
    pub fn new(app: &'a App, state: &'a Utf8Path, socket: &'a Utf8Path) -> Result<Self, Invalid> {
        let site = &app.site;
        let tls = match &site.certificate {
            None => None,
            Some(pair) => Some(Tls {
                certificate: super::path("the path of a certificate", &pair.certificate)?,
                key: super::path("the path of a certificate's key", &pair.key)?,
            }),
        };
        let health_path = match &app.health.check {
            Check::Http { path, .. } => Some(check_health_path(path).map(|()| path.as_str())?),
            Check::Tcp | Check::Command { .. } => None,
        };
        Ok(Self {
            app: &app.name,
            id: super::short(&app.name.as_variable(), VARIABLE_MAX).replace('-', "_"),
            colors: Color::BOTH.map(|color| (color, *app.ports.get(color))),
            socket: super::path("a path of a socket", socket)?,
            state: super::path("a folder of state", state)?,
            listen: &site.listen,
            default_server: site.default_server,
            server_names: &site.server_names,
            tls,
            max_body_size: site.max_body_size,
            read_timeout: time(site.read_timeout),
            send_timeout: time(site.send_timeout),
            health_path,
            include: super::path("an include folder", &site.include)?.trim_end_matches('/'),
            version: String::new(),
        })
    }

    /// The text, which tells its own version.
    pub fn text(mut self) -> askama::Result<String> {
        let unversioned = self.render()?;
        self.version = sealed::sum(unversioned.as_bytes());
        self.render()
    }
}

/// The version that a rendered text tells; none where it tells none.
pub fn version(text: &str) -> Option<&str> {
    let mut lines = text.lines().map(str::trim);
    let told = lines.find_map(|line| line.strip_prefix("add_header X-Bgctl-Site \""))?;
    told.strip_suffix("\";")
}

/// As nginx reads times: whole seconds where it is some, else milliseconds. Nothing shorter than one of them: 0 would
/// mean that no answer is ever waited for.
fn time(duration: Duration) -> String {
    if duration.subsec_nanos() == 0 && !duration.is_zero() {
        format!("{}s", duration.as_secs())
    } else {
        format!("{}ms", duration.as_millis().max(1))
    }
}
