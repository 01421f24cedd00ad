//! What was rendered means what it should to who reads it.

use std::collections::BTreeMap;

use bgctl::model::{App, Artifact, Check, Color, DockerSettings, EnvName, Placeholders, Port, Release, Runtime};
use bgctl::render::{self, SiteHost};
use camino::Utf8PathBuf;

use super::read::nginx::Item;
use super::read::{self, unit};

/// The same app with none of what a person may write freely: its files have the form that the other's must have.
fn twin(app: &App) -> App {
    let mut twin = app.clone();
    twin.run.service = Vec::new();
    let files = twin.run.credentials.values_mut();
    files.for_each(|file| *file = "/plain".into());
    if let Runtime::Program(program) = &mut twin.run.runtime
        && let Some(folder) = &mut program.working_directory
    {
        *folder = "/plain".into();
    }
    twin.site.include = "/plain".into();
    let site = &mut twin.site;
    for path in [&mut site.error_page, &mut site.empty_page, &mut site.acme_root]
        .into_iter()
        .flatten()
    {
        *path = "/plain".into();
    }
    for prefix in &mut site.shared_paths {
        *prefix = "/plain".parse().unwrap();
    }
    if let Some(tls) = &mut twin.site.certificate {
        (tls.certificate, tls.key) = ("/plain".into(), "/plain".into());
    }
    if let Check::Http(http) = &mut twin.health.check {
        "/plain".clone_into(&mut http.path);
        http.headers.values_mut().for_each(|value| "/plain".clone_into(value));
    }
    twin
}

fn unit_of(app: &App) -> Vec<unit::Assignment> {
    let docker = DockerSettings {
        program: "/usr/bin/docker".into(),
        socket: "/var/run/docker.sock".into(),
    };
    let text = render::unit(app, "/usr/local/bin/bgctl".into(), &docker).unwrap();
    unit::assignments(&text).unwrap()
}

/// A unit has what every unit has, then what the manifest says, word for word, and nothing more.
pub fn assert_unit(app: &App) {
    let (free, plain) = (unit_of(app), unit_of(&twin(app)));
    let of_service = |assignments: &[unit::Assignment]| assignments.iter().filter(|each| each.0 == "Service").count();
    let (service, own) = (of_service(&free), of_service(&plain));
    let start = free.iter().position(|each| each.0 == "Service").unwrap();
    let lines = free
        .iter()
        .skip(start + own)
        .take(service - own)
        .map(|(_, key, value)| (key.clone(), value.clone()));
    let written = app.run.service.iter().map(|line| {
        let (key, value) = line.split_once('=').unwrap();
        (key.to_owned(), value.trim_matches([' ', '\t']).to_owned())
    });
    assert!(lines.eq(written), "{:?} became {free:#?}", app.run.service);

    let rest = free.iter().take(start + own).chain(free.iter().skip(start + service));
    let mut credentials = app.run.credentials.iter();
    for (free, plain) in rest.zip(&plain) {
        let (section, key, value) = free;
        assert_eq!((section, key), (&plain.0, &plain.1));
        match key.as_str() {
            "LoadCredential" => {
                let (id, path) = value.split_once(':').unwrap();
                let (known, file) = credentials.next().unwrap();
                assert_eq!(
                    (id, unit::specifiers(path, "9001").unwrap().as_str()),
                    (known.as_str(), file.as_str())
                );
            }
            "WorkingDirectory" => {
                let Runtime::Program(program) = &app.run.runtime else {
                    panic!("a container has none")
                };
                let folder = unit::specifiers(value, "9001").unwrap();
                assert_eq!(Some(Utf8PathBuf::from(folder)), program.working_directory);
            }
            _ => assert_eq!(value, &plain.2),
        }
        if key.starts_with("Exec") || key == "Environment" {
            unit::words(&unit::specifiers(value, "9001").unwrap()).unwrap();
        }
    }
    assert!(credentials.next().is_none());
    assert_eq!(free.len(), plain.len() + app.run.service.len());
}

fn site_of(app: &App) -> Vec<Item> {
    let host = SiteHost {
        routes: &Utf8PathBuf::from(format!("/var/lib/bgctl-routes/{}", app.name)),
        hold: &Utf8PathBuf::from(format!("/var/lib/bgctl-routes/{}/hold.sock", app.name)),
        control_port: Port::new(7390).unwrap(),
        old_socket: None,
    };
    read::nginx::items(&render::site(app, &host).unwrap()).unwrap()
}

/// A site has what every site has, and each value of the manifest where it belongs, once.
pub fn assert_site(app: &App) {
    let mut values = values(app);
    let plain = site_of(&twin(app));
    let free = site_of(app);
    assert_eq!(free.len(), plain.len());
    for (free, plain) in free.iter().zip(&plain) {
        if free == plain {
            continue;
        }
        let ((Item::Directive(words), Item::Directive(theirs)) | (Item::Open(words), Item::Open(theirs))) =
            (free, plain)
        else {
            panic!("{free:?} for {plain:?}")
        };
        assert_eq!(
            (words[0].as_str(), words.len()),
            (theirs[0].as_str(), theirs.len()),
            "{words:?}"
        );
        // It is of the whole text.
        if words[1] == "X-Bgctl-Site" {
            assert!(
                words[2].len() == 16 && words[2].bytes().all(|byte| byte.is_ascii_hexdigit()),
                "{words:?}"
            );
            continue;
        }
        let expected: Vec<String> = theirs.iter().map(|word| word.replace("/plain", "\0")).collect();
        for (word, pattern) in words.iter().zip(&expected).filter(|(word, pattern)| word != pattern) {
            let (before, after) = pattern.split_once('\0').unwrap();
            let value = word.strip_prefix(before).unwrap().strip_suffix(after).unwrap();
            assert!(
                values.remove(value) || app.health_path() == Some(value),
                "{value:?} in {words:?}"
            );
            assert!(!value.contains(['$', '\n']), "{value:?}");
        }
    }
    let names = free.iter().filter_map(|item| match item {
        Item::Directive(words) if words[0] == "server_name" => Some(words[1..].to_vec()),
        _ => None,
    });
    let written: Vec<_> = app.site.server_names.iter().map(ToString::to_string).collect();
    let own = vec![format!("{}.bgctl", app.name)];
    assert_eq!(names.collect::<Vec<_>>(), [written, own]);
}

/// The values that differ from the twin's.
fn values(app: &App) -> Values {
    let tls = app
        .site
        .certificate
        .iter()
        .flat_map(|tls| [tls.certificate.to_string(), tls.key.to_string()]);
    let include = app.site.include.as_str().trim_end_matches('/').to_owned();
    let site = &app.site;
    let files = [&site.error_page, &site.empty_page, &site.acme_root];
    let files = files.into_iter().flatten().map(ToString::to_string);
    let shared = site.shared_paths.iter().map(ToString::to_string);
    let headers = match &app.health.check {
        Check::Http(http) => http.headers.values().cloned().collect(),
        _ => Vec::new(),
    };
    let all = tls.chain([include]).chain(files).chain(shared).chain(headers);
    Values(all.collect())
}

struct Values(Vec<String>);

impl Values {
    fn remove(&mut self, value: &str) -> bool {
        let found = self.0.iter().position(|each| each == value);
        found.map(|at| self.0.remove(at)).is_some()
    }
}

trait HealthPath {
    fn health_path(&self) -> Option<&str>;
}

impl HealthPath for App {
    fn health_path(&self) -> Option<&str> {
        match &self.health.check {
            Check::Http(http) => Some(&http.path),
            _ => None,
        }
    }
}

/// Both colors' environment files say the same to systemd and to a shell: what bgctl sets. The app gets that and the release's own
/// variables, to the byte, and nobody else gets one of these under its name.
pub fn assert_environments(app: &App, release: &Release) {
    for color in Color::BOTH {
        let rendered = render::environment(app, color, release)
            .and_then(|environment| Ok((environment, render::container_environment(release)?)));
        match rendered {
            Ok((environment, variables)) => assert_environment(app, color, release, &environment, variables.as_deref()),
            Err(error) => assert!(format!("{error:#}").starts_with("cannot render the environment of release ")),
        }
    }
}

fn assert_environment(app: &App, color: Color, release: &Release, text: &str, variables: Option<&str>) {
    let pairs = read::env::assignments(text);
    assert_eq!(read::sh::assignments(text).as_ref(), Ok(&pairs), "{text}");
    let environment: BTreeMap<_, _> = pairs.iter().cloned().collect();
    assert_eq!(environment.len(), pairs.len(), "each is set once");
    let is_bgctls = |name: &str| name == "PORT" || name.starts_with("BGCTL_");
    assert!(environment.keys().all(|name| is_bgctls(name)), "{text}");
    let is = |name: &str| environment.get(name).unwrap_or_else(|| panic!("no {name} in {text}"));

    let host_port = app.ports.get(color).to_string();
    assert_eq!(is("BGCTL_RELEASE"), release.id.as_str());
    assert_eq!(is("BGCTL_APP"), app.name.as_str());
    assert_eq!(is("BGCTL_COLOR"), color.as_str());
    assert_eq!(is("BGCTL_PORT"), &host_port);
    let health: bgctl::model::HealthCheck = serde_json::from_str(is("BGCTL_HEALTH")).unwrap();
    assert_eq!(health, release.health);
    let port = match &release.artifact {
        Artifact::Image { container_port, .. } => container_port.map_or(host_port, |port| port.to_string()),
        Artifact::Program { .. } => host_port,
    };
    assert_eq!(is("PORT"), &port);
    let placeholders = Placeholders::new(app, color, &release.id, port.parse().unwrap());
    let arguments: Vec<_> = release
        .arguments
        .iter()
        .map(|each| placeholders.fill(each).unwrap())
        .collect();
    let value = |name: &EnvName, value: &String| {
        if release.placeholders.contains(name) {
            placeholders.fill(value).unwrap()
        } else {
            value.clone()
        }
    };
    let own = |wanted: &dyn Fn(&EnvName) -> bool| -> BTreeMap<_, _> {
        let wanted = release.environment.iter().filter(|(name, _)| wanted(name));
        wanted
            .map(|(name, text)| (name.to_string(), value(name, text)))
            .collect()
    };
    let words = unit::variable_words(is("BGCTL_ARGS")).unwrap();
    match &release.artifact {
        Artifact::Image { image, .. } => {
            assert_eq!(words, arguments);
            assert_eq!(is("BGCTL_IMAGE"), &image.to_string());
            let options = unit::variable_words(is("BGCTL_RUN_ARGS")).unwrap();
            assert_run_options(app, release, &placeholders, &options);
            let pairs = read::container_env::assignments(variables.unwrap_or_default()).unwrap();
            assert!(
                pairs.into_iter().eq(own(&|name| !release.is_of_client(name))),
                "{variables:?}"
            );
            let clients = environment.get("BGCTL_CLIENT_ENV").map_or_else(
                || environment.clone(),
                |words| {
                    let mut words = unit::variable_words(words).unwrap();
                    words.push("docker".to_owned());
                    read::env_split::started("/usr/bin/env", &words, environment.clone())
                        .unwrap()
                        .1
                },
            );
            let (_, got): (BTreeMap<_, _>, BTreeMap<_, _>) = clients.into_iter().partition(|(name, _)| is_bgctls(name));
            assert_eq!(got, own(&|name| release.is_of_client(name)));
        }
        Artifact::Program { path, .. } => {
            assert_eq!(variables, None);
            let started = read::env_split::started(is("BGCTL_EXEC"), &words, environment.clone()).unwrap();
            assert!(path.as_str().starts_with('/') && !path.as_str().contains('='));
            let command: Vec<_> = std::iter::once(path.to_string()).chain(arguments).collect();
            assert_eq!(started.0, command);
            let (ours, got): (BTreeMap<_, _>, BTreeMap<_, _>) =
                started.1.into_iter().partition(|(name, _)| is_bgctls(name));
            assert_eq!(got, own(&|_| true));
            assert!(!ours.keys().any(|name| name.starts_with("BGCTL_ENV_")), "{ours:?}");
        }
    }
}

/// The options of `docker run` are one for each thing, in their order, and none has a variable's value.
fn assert_run_options(app: &App, release: &Release, placeholders: &Placeholders, options: &[String]) {
    let Artifact::Image {
        volumes,
        memory,
        options: more,
        credentials,
        ..
    } = &release.artifact
    else {
        panic!("a program has no options of docker run")
    };
    let prefixes = [
        "--publish=127.0.0.1:",
        "--label=bgctl.app=",
        "--label=bgctl.color=",
        "--label=bgctl.release=",
    ];
    let (fixed, rest) = options.split_at(prefixes.len());
    assert!(
        fixed
            .iter()
            .zip(prefixes)
            .all(|(option, prefix)| option.starts_with(prefix)),
        "{fixed:?}"
    );
    let (ours, rest) = rest.split_at(5);
    assert!(
        ours.iter()
            .all(|option| option.starts_with("--env=") && !option["--env=".len()..].contains('='))
    );
    let (of_client, of_file): (Vec<_>, Vec<_>) =
        release.environment.keys().partition(|name| release.is_of_client(name));
    let (client, rest) = rest.split_at(of_client.len());
    assert!(
        client
            .iter()
            .zip(of_client)
            .all(|(option, name)| *option == format!("--env={name}")),
        "{client:?}"
    );
    let (files, rest) = rest.split_at(usize::from(!of_file.is_empty()));
    let file = bgctl::host::layout::Layout::default().container_env(&app.name, &release.id);
    assert!(
        files.iter().all(|option| *option == format!("--env-file={file}")),
        "{files:?}"
    );
    let (own, rest) = rest.split_at(rest.len() - more.len());
    let more: Vec<_> = more.iter().map(|option| placeholders.fill(option).unwrap()).collect();
    assert_eq!(rest, more);
    let sets_directory = release
        .environment
        .keys()
        .any(|name| name.as_str() == "CREDENTIALS_DIRECTORY");
    let of_credentials = if *credentials {
        2 - usize::from(sets_directory)
    } else {
        0
    };
    assert_eq!(
        own.len(),
        volumes.len() + usize::from(memory.is_some()) + of_credentials
    );
    assert!(
        own.iter()
            .zip(volumes)
            .all(|(option, volume)| *option == format!("--volume={volume}"))
    );
}
