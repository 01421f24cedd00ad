//! The nginx site of an app, and what the sites of all apps share.

use std::time::Duration;

use askama::Template;
use camino::Utf8Path;

use crate::model::{
    App, AppName, Check, Color, HttpCheck, Invalid, Listen, Port, ServerName, check_header_name, check_header_value,
    check_health_path, check_host, sealed,
};

/// What a site needs to know of its host.
#[derive(Clone, Copy, Debug)]
pub struct SiteHost<'a> {
    /// The app's folder of routes (`/var/lib/bgctl-routes/APP`).
    pub routes: &'a Utf8Path,
    /// The port on 127.0.0.1 by which bgctl asks nginx.
    pub control_port: Port,
    /// The unix socket of a site of bgctl 0.1.0 that this one replaces just now.
    pub old_socket: Option<&'a Utf8Path>,
}

/// The statuses that nginx answers by itself in `location /`, and that an operator may have pages for.
const ERROR_PAGES: [u16; 7] = [401, 403, 413, 429, 500, 503, 504];

/// `templates/app.conf`.
#[derive(Debug, Template)]
#[template(path = "app.conf", config = "templates/askama.toml")]
pub struct Site<'a> {
    app: &'a AppName,
    id: String,
    colors: [(Color, Port); 2],
    routes: &'a str,
    control_port: Port,
    old_socket: Option<&'a str>,
    listen: &'a [Listen],
    default_server: bool,
    server_names: &'a [ServerName],
    /// What a request of bgctl's own has; nginx does not send one that is empty.
    headers: Vec<(String, String)>,
    tls: Option<Tls<'a>>,
    max_body_size: u64,
    read_timeout: String,
    send_timeout: String,
    error_pages: [u16; 7],
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

/// The longest part of the name of a shared memory zone that comes from the app.
const ZONE_MAX: usize = 28;

impl<'a> Site<'a> {
    /// The site of `app`. Errors with [`Invalid`] where a value cannot stand in it.
    pub fn new(app: &'a App, host: &SiteHost<'a>) -> Result<Self, Invalid> {
        let site = &app.site;
        let tls = match &site.certificate {
            None => None,
            Some(pair) => Some(Tls {
                certificate: super::path("the path of a certificate", &pair.certificate)?,
                key: super::path("the path of a certificate's key", &pair.key)?,
            }),
        };
        let http = match &app.health.check {
            Check::Http(http) => Some(http),
            Check::Tcp | Check::Image | Check::Command { .. } => None,
        };
        let health_path = http.map(|http| check_health_path(&http.path).map(|()| http.path.as_str()));
        let socket = |path| super::path("a path of a socket", path);
        Ok(Self {
            app: &app.name,
            id: super::short(&app.name.as_variable(), ZONE_MAX).replace('-', "_"),
            colors: Color::BOTH.map(|color| (color, *app.ports.get(color))),
            routes: super::path("a folder of routes", host.routes)?,
            control_port: host.control_port,
            old_socket: host.old_socket.map(socket).transpose()?,
            listen: &site.listen,
            default_server: site.default_server,
            server_names: &site.server_names,
            headers: headers(site, http)?,
            tls,
            max_body_size: site.max_body_size,
            read_timeout: time(site.read_timeout),
            send_timeout: time(site.send_timeout),
            error_pages: ERROR_PAGES,
            health_path: health_path.transpose()?,
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

/// What the app is to take for a request of a user.
fn headers(site: &crate::model::Site, http: Option<&HttpCheck>) -> Result<Vec<(String, String)>, Invalid> {
    let host = match http.and_then(|http| http.host.clone()).or_else(|| site.host()) {
        Some(host) => host,
        None => "localhost".to_owned(),
    };
    check_host(&host)?;
    let scheme = if site.certificate.is_some() { "https" } else { "http" };
    let mut headers = [
        ("Host", host.as_str()),
        ("Connection", ""),
        ("X-Real-IP", "127.0.0.1"),
        ("X-Forwarded-For", "127.0.0.1"),
        ("X-Forwarded-Host", host.as_str()),
        ("X-Forwarded-Proto", scheme),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .to_vec();
    for (name, value) in http.iter().flat_map(|http| &http.headers) {
        check_header_name(name)?;
        check_header_value(value)?;
        headers.retain(|(other, _)| !other.eq_ignore_ascii_case(name));
        headers.push((name.clone(), value.clone()));
    }
    Ok(headers)
}

/// The version that a rendered text tells. Returns `None` where it tells none.
pub fn version(text: &str) -> Option<&str> {
    let mut lines = text.lines().map(str::trim);
    let told = lines.find_map(|line| line.strip_prefix("add_header X-Bgctl-Site \""))?;
    told.strip_suffix("\" always;")
}

/// `templates/00-bgctl.conf`.
#[derive(Debug, Template)]
#[template(path = "00-bgctl.conf", config = "templates/askama.toml")]
pub struct Shared<'a> {
    /// The port on 127.0.0.1 by which bgctl asks nginx.
    pub control_port: Port,
    /// The word that nginx hashes for each route.
    pub keys: Keys<'a>,
}

/// The word that nginx hashes for each route.
#[derive(Clone, Copy, Debug)]
pub struct Keys<'a> {
    /// To blue.
    pub blue: &'a str,
    /// To green.
    pub green: &'a str,
    /// To no color.
    pub none: &'a str,
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
