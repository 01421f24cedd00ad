//! The nginx site of an app, and what the sites of all apps share.

use askama::Template;
use camino::{Utf8Path, Utf8PathBuf};

use super::place::{
    ListenLine, Place, Trust, Upstream, https_port, listen_lines, places, speaks_grpc, time, upstreams,
};
use crate::model::{
    App, AppName, Check, HttpCheck, Invalid, Port, ServerName, check_header_name, check_header_value, check_host,
    check_request_path, sealed,
};

/// What a site needs to know of its host.
#[derive(Clone, Copy, Debug)]
pub struct SiteHost<'a> {
    /// The app's folder of routes (`/var/lib/bgctl-routes/APP`).
    pub routes: &'a Utf8Path,
    /// The port on 127.0.0.1 by which bgctl asks nginx.
    pub control_port: Port,
    /// The unix socket on which requests are held while no color of an app may run ([`Strategy::StopFirst`](crate::model::Strategy)).
    pub hold: &'a Utf8Path,
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
    upstreams: Vec<Upstream>,
    routes: &'a str,
    control_port: Port,
    /// The socket on which requests are held; none where that is never done.
    hold: Option<&'a str>,
    old_socket: Option<&'a str>,
    listens: Vec<ListenLine<'a>>,
    redirects: Vec<ListenLine<'a>>,
    https_port: String,
    default_server: bool,
    server_names: &'a [ServerName],
    /// What a request of bgctl's own has; nginx does not send one that is empty.
    headers: Vec<(String, String)>,
    tls: Option<Tls<'a>>,
    trust: Option<Trust<'a>>,
    max_body_size: u64,
    max_head_size: u64,
    read_timeout: String,
    send_timeout: String,
    places: Vec<Place<'a>>,
    has_grpc: bool,
    has_shared_paths: bool,
    error_page: Option<&'a str>,
    empty_page: Option<&'a str>,
    pages: Vec<(&'static str, &'a str)>,
    acme_root: Option<&'a str>,
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
        let health_path = http
            .map(|http| check_request_path("the path of the health check", &http.path).map(|()| http.path.as_str()));
        let socket = |path| super::path("a path of a socket", path);
        let page = |path: &'a Option<Utf8PathBuf>| {
            let path = path.as_deref();
            path.map(|path| super::path("the path of a page", path)).transpose()
        };
        let (error_page, empty_page) = (page(&site.error_page)?, page(&site.empty_page)?);
        let acme_root = site.acme_root.as_deref();
        let (redirects, listens) = site.listen.iter().partition(|listening| listening.redirects());
        Ok(Self {
            app: &app.name,
            id: super::short(&app.name.as_variable(), ZONE_MAX).replace('-', "_"),
            upstreams: upstreams(site, app.ports),
            routes: super::path("a folder of routes", host.routes)?,
            control_port: host.control_port,
            hold: app.strategy.is_stop_first().then(|| socket(host.hold)).transpose()?,
            old_socket: host.old_socket.map(socket).transpose()?,
            listens: listen_lines(listens),
            redirects: listen_lines(redirects),
            https_port: https_port(site),
            default_server: site.default_server,
            server_names: &site.server_names,
            headers: headers(site, http)?,
            tls,
            trust: Trust::of(site),
            max_body_size: site.max_body_size,
            max_head_size: site.max_head_size,
            read_timeout: time(site.read_timeout),
            send_timeout: time(site.send_timeout),
            places: places(site),
            has_grpc: speaks_grpc(site),
            has_shared_paths: !site.shared_paths.is_empty(),
            error_page,
            empty_page,
            pages: [("error-page", error_page), ("empty-page", empty_page)]
                .into_iter()
                .filter_map(|(name, file)| Some((name, file?)))
                .collect(),
            acme_root: acme_root
                .map(|path| super::path("the path of a folder for challenges", path))
                .transpose()?,
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
    let scheme = if site.has_tls() { "https" } else { "http" };
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
