//! What is rendered, as whole files: a case is a folder below `tests/render/` with an `app.toml` and, in `expected/`,
//! what comes out. `BGCTL_ACCEPT=1 cargo test --test render` takes over what comes out now.
//!
//! systemd and nginx have the last word: everything is read by `systemd-analyze verify` and `nginx -t`.

#![expect(clippy::unwrap_used, reason = "a test ends where something is not there")]

use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use bgctl::config::manifest;
use bgctl::model::{
    App, AppName, Color, Digest, DockerSettings, Port, Release, ReleaseId, Resolved, ResolvedImage, Route, Runtime,
    UnitName,
};
use bgctl::proxy::nginx::{hold, route};
use bgctl::render::{self, Keys, SiteHost, seal};
use camino::Utf8Path;

const BGCTL: &str = "/usr/local/bin/bgctl";

/// The folders of the cases, by name.
fn cases() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/render");
    let mut cases: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    cases.sort();
    assert!(cases.len() >= 5, "{cases:?}");
    cases
}

fn app(case: &Path) -> App {
    let path = case.join("app.toml");
    manifest::parse(&fs::read_to_string(&path).unwrap(), &path.to_string_lossy()).unwrap()
}

fn docker(program: &str) -> DockerSettings {
    DockerSettings {
        program: program.into(),
        socket: "/var/run/docker.sock".into(),
    }
}

fn site(app: &App) -> String {
    site_with(app, None)
}

/// The site, as it is while workers of nginx go by the one that bgctl 0.1.0 rendered where a socket is named.
fn site_with(app: &App, old_socket: Option<&Utf8Path>) -> String {
    let routes = format!("/var/lib/bgctl-routes/{}", app.name);
    let hold = hold::socket(Utf8Path::new(&routes));
    let host = SiteHost {
        routes: Utf8Path::new(&routes),
        control_port: control_port(),
        hold: &hold,
        old_socket,
    };
    render::site(app, &host).unwrap()
}

fn control_port() -> Port {
    Port::new(7390).unwrap()
}

/// What all sites share.
fn shared() -> String {
    let keys = Keys {
        blue: route::key(Color::Blue.into()),
        green: route::key(Color::Green.into()),
        none: route::key(Route::None),
    };
    render::shared_site(control_port(), keys).unwrap()
}

/// The first release of an app, as a switch would make it.
fn release(app: &App) -> Release {
    let pinned = match &app.run.runtime {
        Runtime::Docker(docker) => Resolved::Image {
            reference: docker.image.clone(),
            image: ResolvedImage::Registry {
                repository: docker.image.repository().parse().unwrap(),
                digest: Digest::parse(format!("sha256:{}", "5a".repeat(32))).unwrap(),
            },
        },
        Runtime::Program(program) => Resolved::Program {
            path: program.path.clone(),
            file: None,
        },
    };
    let (id, created) = (ReleaseId::numbered(1), jiff::Timestamp::UNIX_EPOCH);
    Release::new(app, id, created, pinned, BTreeMap::new()).unwrap()
}

/// Name and contents of every file of an app.
fn rendered(app: &App) -> Vec<(String, String)> {
    let release = release(app);
    let variables = render::container_environment(&release).unwrap();
    let files = [
        (
            UnitName::template(&app.name).to_string(),
            render::unit(app, BGCTL.into(), &docker("/usr/bin/docker")).unwrap(),
        ),
        (format!("{}.conf", app.name), site(app)),
        ("00-bgctl.conf".to_owned(), shared()),
        (
            format!("{}.env", app.ports.blue),
            render::environment(app, Color::Blue, &release).unwrap(),
        ),
    ];
    let companions = app.companions.iter().flat_map(|companion| {
        let replica = companion.all().next().unwrap();
        let unit = render::companion_unit(app, companion, BGCTL.into(), &docker("/usr/bin/docker")).unwrap();
        let environment = render::companion_environment(app, Color::Blue, &release, &replica).unwrap();
        [
            (
                UnitName::companion_template(&app.name, &companion.name).to_string(),
                unit,
            ),
            (format!("{}@blue-1.env", companion.name), environment),
        ]
    });
    let variables = variables.map(|text| (format!("{}.container-env", release.id), text));
    files.into_iter().chain(companions).chain(variables).collect()
}

#[test]
fn rendered_files_are_as_expected() {
    let accept = std::env::var_os("BGCTL_ACCEPT").is_some();
    for case in cases() {
        let expected = case.join("expected");
        let files = rendered(&app(&case));
        if accept {
            let _ = fs::remove_dir_all(&expected);
            fs::create_dir_all(&expected).unwrap();
        }
        for (name, text) in &files {
            let path = expected.join(name);
            if accept {
                fs::write(&path, text).unwrap();
            }
            let wanted = fs::read_to_string(&path).unwrap_or_default();
            let diff = similar::TextDiff::from_lines(&wanted, text);
            assert!(wanted == *text, "{}\n{}", path.display(), diff.unified_diff());
        }
        let mut left: Vec<_> = fs::read_dir(&expected)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        left.retain(|name| files.iter().all(|(file, _)| file != name));
        assert!(left.is_empty(), "nothing renders {left:?} of {}", case.display());
    }
}

#[test]
fn installed_files_are_sealed() {
    for case in cases() {
        let app = app(&case);
        let files = rendered(&app);
        for (name, text) in &files[..2] {
            assert_eq!(seal::check(text), seal::Seal::Intact(app.name.clone()), "{name}");
        }
    }
}

#[test]
fn release_of_the_other_kind_is_refused() {
    let apps: Vec<_> = cases().iter().map(|case| app(case)).collect();
    let of = |kind: fn(&Runtime) -> bool| apps.iter().find(|app| kind(&app.run.runtime)).unwrap();
    let container = of(|runtime| matches!(runtime, Runtime::Docker(_)));
    let program = of(|runtime| matches!(runtime, Runtime::Program(_)));
    for (app, other) in [(container, program), (program, container)] {
        let error = render::environment(app, Color::Blue, &release(other)).unwrap_err();
        assert!(format!("{error:#}").contains("the other kind"), "{error:#}");
    }
}

#[test]
fn every_template_has_one_struct() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut named = Vec::new();
    for entry in fs::read_dir(root.join("src/render")).unwrap() {
        let text = fs::read_to_string(entry.unwrap().path()).unwrap();
        let paths = text.split("#[template(path = \"").skip(1);
        named.extend(paths.map(|rest| rest.split('"').next().unwrap().to_owned()));
    }
    let mut present: Vec<_> = fs::read_dir(root.join("templates"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| !matches!(name.as_str(), "README.md" | "askama.toml"))
        .collect();
    named.sort();
    present.sort();
    assert_eq!(named, present);
}

fn shown(output: &Output) -> String {
    String::from_utf8_lossy(&[&output.stdout[..], &output.stderr[..]].concat()).into_owned()
}

#[test]
fn systemd_accepts_every_unit() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        // systemd wants to find the programs, which need not be on this machine.
        let text = text
            .replace("/usr/bin/docker", "/bin/true")
            .replace("/usr/bin/bgctl", "/bin/true");
        fs::write(path, text).unwrap();
    };
    let mut units = vec!["bgctl-switch@shop.service".to_owned(), "nginx.service".to_owned()];
    write("bgctl-switch@.service", include_str!("../units/bgctl-switch@.service"));
    write("nginx.service", include_str!("../units/nginx.service"));
    for case in cases() {
        let app = app(&case);
        let unit = render::unit(&app, "/bin/true".into(), &docker("/bin/true")).unwrap();
        write(UnitName::template(&app.name).as_str(), &unit);
        units.push(UnitName::instance(&app.name, app.ports.blue).to_string());
        for companion in &app.companions {
            let unit = render::companion_unit(&app, companion, "/bin/true".into(), &docker("/bin/true")).unwrap();
            write(UnitName::companion_template(&app.name, &companion.name).as_str(), &unit);
            let replica = companion.all().next().unwrap();
            units.push(UnitName::companion(&app.name, Color::Blue, &replica).to_string());
        }
    }
    for unit in units {
        let output = Command::new("systemd-analyze")
            .args(["verify", "--man=no"])
            .arg(folder.path().join(&unit))
            .output()
            .unwrap();
        let complaints = shown(&output);
        let ours: Vec<_> = complaints
            .lines()
            .filter(|line| line.contains(folder.path().to_str().unwrap()) || line.contains(&unit))
            .collect();
        assert!(output.status.success() && ours.is_empty(), "{unit}\n{complaints}");
    }
}

#[test]
fn units_are_confined() {
    let folder = tempfile::tempdir().unwrap();
    for case in cases() {
        let mut app = app(&case);
        app.name = AppName::parse("confined").unwrap();
        let path = folder.path().join("confined@9001.service");
        let (program, engine) = (Utf8Path::new("/bin/true"), docker("/bin/true"));
        let mut units = vec![render::unit(&app, program, &engine).unwrap()];
        let companions = app.companions.iter();
        units.extend(companions.map(|companion| render::companion_unit(&app, companion, program, &engine).unwrap()));
        for unit in units {
            fs::write(&path, unit).unwrap();
            let output = Command::new("systemd-analyze")
                .args(["security", "--offline=true", "--threshold=30", "--no-pager"])
                .arg(&path)
                .output()
                .unwrap();
            assert!(output.status.success(), "{}: {}", case.display(), shown(&output));
            assert!(shown(&output).contains("Overall exposure level"), "{}", shown(&output));
        }
    }
}

/// Reads sites on its standard input and has nginx check them in one configuration, with every path it would open in a
/// folder of its own.
const NGINX_TEST: &str = r#"
set -e
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
openssl req -x509 -newkey rsa:2048 -nodes -days 1 -subj /CN=test -keyout "$folder/site.key" -out "$folder/site.pem" 2>/dev/null
sed -e "s#/etc/ssl/#$folder/#; s#/var/log/nginx/#$folder/#; s#/run/bgctl/#$folder/#" > "$folder/sites.conf"
printf 'pid %s/pid;\nevents {}\nhttp {\ninclude %s/sites.conf;\n}\n' "$folder" "$folder" > "$folder/nginx.conf"
PATH=$PATH:/usr/sbin nginx -t -q -e stderr -c "$folder/nginx.conf"
"#;

/// nginx of the host in a container that `BGCTL_HOST` names, or else of this machine.
fn nginx_shell() -> Command {
    if let Ok(host) = std::env::var("BGCTL_HOST") {
        let mut command = Command::new("docker");
        command.args(["exec", "--interactive", &host, "sh", "-c", NGINX_TEST]);
        return command;
    }
    assert!(
        Path::new("/usr/sbin/nginx").exists(),
        "needs nginx here, or BGCTL_HOST with the name of a host container"
    );
    let mut command = Command::new("sh");
    command.args(["-c", NGINX_TEST]);
    command
}

fn nginx_accepts(sites: &str) -> Output {
    let mut child = nginx_shell()
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(sites.as_bytes()).unwrap();
    child.wait_with_output().unwrap()
}

#[test]
fn nginx_accepts_all_sites_together() {
    let mut sites = shared();
    for case in cases() {
        sites += &site(&app(&case));
    }
    let output = nginx_accepts(&sites);
    // From nginx 1.25.1 on; older ones know nothing else.
    let is_known = |line: &str| line.contains("the \"listen ... http2\" directive is deprecated");
    let said = shown(&output);
    assert!(output.status.success() && said.lines().all(is_known), "{said}");
    let output = nginx_accepts(&format!("{sites}nonsense;\n"));
    assert!(!output.status.success());
}

#[test]
fn sites_that_replace_those_of_0_1_0_are_accepted() {
    let app = app(&cases()[0]);
    let site = site_with(&app, Some("/run/bgctl/shop.sock".into()));
    let output = nginx_accepts(&(shared() + &site));
    assert!(
        output.status.success() && shown(&output).is_empty(),
        "{}",
        shown(&output)
    );
}

#[test]
fn fifty_sites_cause_no_warning() {
    let case = cases().into_iter().find(|case| case.ends_with("article")).unwrap();
    let mut sites = shared();
    for number in 0..50 {
        let mut app = app(&case);
        app.name = AppName::parse(format!("customer-portal-number-{number}")).unwrap();
        app.site.server_names = vec![format!("www.customer-{number}.example.org").parse().unwrap()];
        app.site.default_server = false;
        app.ports.blue = Port::new(20_000 + 2 * number).unwrap();
        app.ports.green = Port::new(20_001 + 2 * number).unwrap();
        sites += &site(&app);
    }
    let output = nginx_accepts(&sites);
    assert!(
        output.status.success() && shown(&output).is_empty(),
        "{}",
        shown(&output)
    );
}
