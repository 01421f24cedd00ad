//! The host's settings, `bgctl.toml`.

use std::io::ErrorKind;
use std::time::Duration;

use camino::{Utf8Path, Utf8PathBuf};
use serde::Deserialize;
use toml::Spanned;

use super::error::Problem;
use super::manifest::certificate;
use super::value::{AbsolutePath, Endpoint, KeyPrefix, Line, PortNumber, ServiceName, Time};
use super::{ConfigError, FileError, read_text};
use crate::model::{DockerSettings, EtcdSettings, Invalid, NginxSettings, Port, Settings, StoreSettings, UnitName};

const PREFIX: &str = "/";
const TIMEOUT: Duration = Duration::from_secs(5);
const PATIENCE: Duration = Duration::from_secs(600);
const NGINX_UNIT: &str = "nginx.service";
const NGINX_TEST: [&str; 2] = ["/usr/sbin/nginx", "-t"];
/// Registered for nothing, and below the ports that Linux gives to clients.
const CONTROL_PORT: u16 = 7390;
const DOCKER: &str = "/usr/bin/docker";
const DOCKER_SOCKET: &str = "/var/run/docker.sock";

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default, expecting = "a table")]
struct Written {
    store: Store,
    nginx: Nginx,
    docker: Docker,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default, expecting = "a table")]
struct Store {
    endpoints: Option<Spanned<Vec<Endpoint>>>,
    prefix: Option<Spanned<KeyPrefix>>,
    user: Option<Spanned<Line>>,
    password_file: Option<Spanned<AbsolutePath>>,
    ca: Option<Spanned<AbsolutePath>>,
    certificate: Option<Spanned<AbsolutePath>>,
    key: Option<Spanned<AbsolutePath>>,
    timeout: Option<Spanned<Time>>,
    patience: Option<Spanned<Time>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default, expecting = "a table")]
struct Nginx {
    unit: Option<ServiceName>,
    sites: Option<AbsolutePath>,
    test: Option<Spanned<Vec<Line>>>,
    control_port: Option<PortNumber>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default, expecting = "a table")]
struct Docker {
    program: Option<AbsolutePath>,
    socket: Option<AbsolutePath>,
}

/// Reads the settings at `path`, the defaults where there is no such file; what is wrong in it is a [`FileError::Invalid`].
pub fn read(path: &Utf8Path) -> Result<Settings, FileError> {
    // The link itself is asked: one that points nowhere is an error, not the defaults.
    let text = match path.symlink_metadata() {
        Err(error) if error.kind() == ErrorKind::NotFound => String::new(),
        _ => read_text(path)?,
    };
    Ok(parse(&text, path.as_str())?)
}

/// Parses the text of the settings, of which the empty text gives the defaults; `source` names it in errors. Fails with
/// the first thing that is wrong with it.
pub fn parse(text: &str, source: &str) -> Result<Settings, ConfigError> {
    toml::from_str(text)
        .map_err(Problem::from)
        .and_then(validate)
        .map_err(|problem| ConfigError::new(problem, text, source))
}

fn validate(written: Written) -> Result<Settings, Problem> {
    Ok(Settings {
        store: store(written.store)?,
        nginx: nginx(written.nginx)?,
        docker: DockerSettings {
            program: path(written.docker.program, DOCKER),
            socket: path(written.docker.socket, DOCKER_SOCKET),
        },
    })
}

fn path(written: Option<AbsolutePath>, default: &str) -> Utf8PathBuf {
    written.map_or_else(|| default.into(), |path| path.0)
}

fn nginx(written: Nginx) -> Result<NginxSettings, Problem> {
    let unit = match written.unit {
        Some(unit) => unit.0,
        None => UnitName::service(NGINX_UNIT).map_err(|error: Invalid| Problem::somewhere(error.to_string()))?,
    };
    let test = match written.test {
        Some(test) if test.get_ref().first().is_none_or(|program| !program.0.starts_with('/')) => {
            let message = "cannot use this as a command: it must be a list, with the absolute path of a program first";
            return Err(Problem::at(test.span(), message));
        }
        Some(test) => test.into_inner().into_iter().map(|word| word.0).collect(),
        None => NGINX_TEST.map(str::to_owned).to_vec(),
    };
    Ok(NginxSettings {
        unit,
        sites: written.sites.map(|path| path.0),
        test,
        control_port: match written.control_port {
            Some(port) => port.0,
            None => Port::new(CONTROL_PORT).map_err(|error| Problem::somewhere(error.to_string()))?,
        },
    })
}

fn store(written: Store) -> Result<StoreSettings, Problem> {
    let Some(endpoints) = written.endpoints else {
        return local(&written);
    };
    let place = endpoints.span();
    let endpoints: Vec<String> = endpoints.into_inner().into_iter().map(|url| url.0).collect();
    let secure = endpoints.iter().filter(|url| url.starts_with("https://")).count();
    if endpoints.is_empty() {
        let message = "cannot use an empty list as endpoints: leave it out for the local store";
        return Err(Problem::at(place, message));
    }
    if secure != 0 && secure != endpoints.len() {
        return Err(Problem::at(
            place,
            "cannot mix http:// and https:// in endpoints: a password would go over both",
        ));
    }
    let tls = [&written.ca, &written.certificate, &written.key]
        .into_iter()
        .flatten()
        .next();
    if let (0, Some(tls)) = (secure, tls) {
        return Err(Problem::at(
            tls.span(),
            "cannot use TLS with http:// endpoints: write them as https://",
        ));
    }
    let timeout = match written.timeout {
        Some(time) if time.get_ref().0.is_zero() => {
            return Err(Problem::at(time.span(), "cannot use 0 as timeout: it must be more"));
        }
        time => time.map_or(TIMEOUT, |time| time.get_ref().0),
    };
    Ok(StoreSettings::Etcd(EtcdSettings {
        endpoints,
        prefix: written
            .prefix
            .map_or_else(|| PREFIX.to_owned(), |prefix| prefix.into_inner().0),
        user: user(written.user, written.password_file)?,
        ca: written.ca.map(|path| path.into_inner().0),
        client: certificate(written.certificate, written.key, "key")?,
        timeout,
        patience: written.patience.map_or(PATIENCE, |time| time.into_inner().0),
    }))
}

/// The local store has no settings: what was written for etcd is refused, so that nobody believes to share a cursor.
fn local(written: &Store) -> Result<StoreSettings, Problem> {
    let places = [
        written.prefix.as_ref().map(Spanned::span),
        written.user.as_ref().map(Spanned::span),
        written.password_file.as_ref().map(Spanned::span),
        written.ca.as_ref().map(Spanned::span),
        written.certificate.as_ref().map(Spanned::span),
        written.key.as_ref().map(Spanned::span),
        written.timeout.as_ref().map(Spanned::span),
        written.patience.as_ref().map(Spanned::span),
    ];
    match places.into_iter().flatten().next() {
        Some(place) => Err(Problem::at(
            place,
            "cannot use settings of etcd without endpoints: they would have no effect",
        )),
        None => Ok(StoreSettings::Local),
    }
}

fn user(
    user: Option<Spanned<Line>>,
    file: Option<Spanned<AbsolutePath>>,
) -> Result<Option<(String, Utf8PathBuf)>, Problem> {
    match (user, file) {
        (None, None) => Ok(None),
        (Some(user), _) if user.get_ref().0.is_empty() => {
            Err(Problem::at(user.span(), "cannot use an empty name as user"))
        }
        (Some(user), Some(file)) => Ok(Some((user.into_inner().0, file.into_inner().0))),
        (Some(user), None) => Err(Problem::at(user.span(), "cannot use user without password_file")),
        (None, Some(file)) => Err(Problem::at(file.span(), "cannot use password_file without user")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn errors(texts: &[&str]) -> String {
        let line = |text: &&str| {
            let error = parse(text, "bgctl.toml").expect_err(text);
            let (line, column) = error.position().unwrap_or_default();
            format!("{line}:{column} {}\n", error.message())
        };
        texts.iter().map(line).collect()
    }

    #[test]
    fn no_file_means_the_defaults() {
        let settings = read(Utf8Path::new("/nonexistent/bgctl.toml")).unwrap();
        insta::assert_debug_snapshot!(settings, @r#"
        Settings {
            store: Local,
            nginx: NginxSettings {
                unit: UnitName(
                    "nginx.service",
                ),
                sites: None,
                test: [
                    "/usr/sbin/nginx",
                    "-t",
                ],
                control_port: Port(
                    7390,
                ),
            },
            docker: DockerSettings {
                program: "/usr/bin/docker",
                socket: "/var/run/docker.sock",
            },
        }
        "#);
    }

    #[test]
    fn file_that_cannot_be_read_is_an_error() {
        assert!(read(Utf8Path::new("/")).is_err());
        let folder = tempfile::tempdir().unwrap();
        let link = Utf8PathBuf::from_path_buf(folder.path().join("bgctl.toml")).unwrap();
        std::os::unix::fs::symlink("nowhere", &link).unwrap();
        assert!(read(&link).is_err());
    }

    #[test]
    fn everything_can_be_said() {
        let text = r#"
[store]
endpoints = ["https://10.0.0.1:2379", "https://etcd.example.org:2379/"]
prefix = "/bgctl"
user = "bgctl"
password_file = "/etc/bgctl/etcd.password"
ca = "/etc/bgctl/ca.pem"
certificate = "/etc/bgctl/client.pem"
key = "/etc/bgctl/client.key"
timeout = "3s"
patience = "1h"
[nginx]
unit = "proxy.service"
sites = "/srv/nginx/sites"
test = ["/usr/bin/docker", "exec", "nginx", "nginx", "-t"]
[docker]
program = "/usr/local/bin/docker"
socket = "/run/docker.sock"
"#;
        insta::assert_debug_snapshot!(parse(text, "bgctl.toml").unwrap());
    }

    #[test]
    fn refused() {
        let etcd = |more: &str| format!("[store]\nendpoints = [\"https://h:2379\"]\n{more}");
        let stores = [
            "user = \"x\"",
            "password_file = \"/x\"",
            "user = \"\"\npassword_file = \"/x\"",
            "certificate = \"/x\"",
            "key = \"/x\"",
            "prefix = \"bgctl\"",
            "prefix = \"/a b/\"",
            "timeout = \"0s\"",
            "timeout = 5",
        ]
        .map(etcd);
        let mut texts: Vec<&str> = stores.iter().map(String::as_str).collect();
        texts.extend([
            "[store]\nendpoints = []",
            "[store]\nendpoints = [\"h:2379\"]",
            "[store]\nendpoints = [\"http://\"]",
            "[store]\nendpoints = [\"http://u:p@h:2379\"]",
            "[store]\nendpoints = [\"http://a:2379\", \"https://b:2379\"]",
            "[store]\nendpoints = [\"http://a:2379\"]\nca = \"/ca.pem\"",
            "[store]\nprefix = \"/bgctl/\"",
            "[store]\nendpoint = \"http://a\"",
            "[nginx]\nunit = \"nginx\"",
            "[nginx]\nsites = \"sites\"",
            "[nginx]\ntest = []",
            "[nginx]\ntest = [\"nginx\", \"-t\"]",
            "[docker]\nprogram = \"docker\"",
            "[etcd]\n",
        ]);
        insta::assert_snapshot!(errors(&texts), @r#"
        3:8 cannot use user without password_file
        3:17 cannot use password_file without user
        3:8 cannot use an empty name as user
        3:15 cannot use certificate without key
        3:7 cannot use key without certificate
        3:10 cannot use "bgctl" as a prefix of keys: it must start with / and be letters, digits and /._-
        3:10 cannot use "/a b/" as a prefix of keys: it must start with / and be letters, digits and /._-
        3:11 cannot use 0 as timeout: it must be more
        3:11 cannot use this value: it must be a time with its unit in quotes, as in "30s"
        2:13 cannot use an empty list as endpoints: leave it out for the local store
        2:13 cannot use "h:2379" as an endpoint of etcd: it must be a URL, as in "http://127.0.0.1:2379"
        2:13 cannot use "http://" as an endpoint of etcd: it must be a URL, as in "http://127.0.0.1:2379"
        2:13 cannot use a password in an endpoint: give user and password_file
        2:13 cannot mix http:// and https:// in endpoints: a password would go over both
        3:6 cannot use TLS with http:// endpoints: write them as https://
        2:10 cannot use settings of etcd without endpoints: they would have no effect
        2:1 cannot use the key "endpoint": there is no such key, did you mean "endpoints"?
        2:8 cannot use "nginx" as the name of a service unit: it must be letters, digits and :-_.\@ and end with .service
        2:9 cannot use "sites" as a path: it must start with /
        2:8 cannot use this as a command: it must be a list, with the absolute path of a program first
        2:8 cannot use this as a command: it must be a list, with the absolute path of a program first
        2:11 cannot use "docker" as a path: it must start with /
        1:2 cannot use the key "etcd": the keys here are store, nginx, docker
        "#);
    }
}
