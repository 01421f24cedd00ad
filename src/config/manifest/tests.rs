mod release;
mod stage;
mod verify;

use super::*;

use crate::model::{AppName, Check, ImageRef, Listen, Listening, Runtime};

const HEAD: &str = "name = \"shop\"\n[run]\nimage = \"shop\"\ncontainer_port = 80\n";
const EXEC: &str = "name = \"shop\"\n[run]\nexec = \"/opt/shop/bin/shop\"\n";

fn error(text: &str) -> String {
    parse(text, "shop.toml").unwrap_err().to_string()
}

/// Position and sentence of the error that each tail makes when it follows `head`.
fn errors(head: &str, tails: &[&str]) -> String {
    let line = |tail: &&str| {
        let error = parse(&format!("{head}{tail}"), "shop.toml").expect_err(tail);
        let (line, column) = error.position().unwrap_or_default();
        format!("{line}:{column} {}\n", error.message())
    };
    tails.iter().map(line).collect()
}

#[test]
fn little_is_needed() {
    insta::assert_debug_snapshot!(parse(HEAD, "shop.toml").unwrap());
}

#[test]
fn everything_can_be_said() {
    let text = r#"
name = "shop"
[run]
image = "localhost:5000/shop:1"
container_port = 8080
args = ["--port", "{port}"]
env = { KEY = "value" }
env_file = "/etc/shop.env"
credentials = { db = "/etc/shop/db.password" }
volumes = ["/srv/data:/data:ro"]
memory = "256M"
stop_timeout = "45s"
docker_options = ["--ulimit=nofile=65536"]
service = ["LimitNOFILE=65536"]
[ports]
blue = 81
green = 9102
allow_privileged = true
[health]
path = "/health"
expect = 204
interval = "500ms"
timeout = "3s"
deadline = "2m"
healthy_for = "5s"
[verify]
commands = ["curl -fsS http://127.0.0.1:$PORT/api/stories"]
timeout = "10s"
[nginx]
server_name = ["example.org", "*.example.org"]
listen = ["443", "[::]:443"]
default_server = true
certificate = "/etc/ssl/x.pem"
certificate_key = "/etc/ssl/x.key"
max_body_size = 0
read_timeout = "1h"
send_timeout = "30s"
include = "/etc/nginx/own.d/"
[stage]
expires = "2h"
[bake]
duration = "5m"
[drain]
timeout = "0s"
keep_warm = true
"#;
    insta::assert_debug_snapshot!(parse(text, "shop.toml").unwrap());
}

#[test]
fn program_of_the_host() {
    let text = format!(
        "{EXEC}working_directory = \"/srv\"\nstate_directory = true\n[health]\ncommand = [\"/usr/bin/check\", \"{{port}}\"]\n"
    );
    let app = parse(&text, "shop.toml").unwrap();
    insta::assert_debug_snapshot!((app.run.runtime, app.health.check), @r#"
    (
        Program(
            Program {
                path: "/opt/shop/bin/shop",
                working_directory: Some(
                    "/srv",
                ),
                on_change: None,
                state_directory: true,
            },
        ),
        Command {
            program: "/usr/bin/check",
            arguments: [
                "{port}",
            ],
        },
    )
    "#);
}

#[test]
fn names_come_through() {
    let app = parse(HEAD, "shop.toml").unwrap();
    assert_eq!(app.name, AppName::parse("shop").unwrap());
    assert_eq!(app.site.listen, [Listening::plain(Listen::parse("80").unwrap())]);
    assert_eq!(app.health.check, Check::Tcp);
    let Runtime::Docker(docker) = app.run.runtime else {
        panic!("not docker")
    };
    assert_eq!(docker.image, ImageRef::parse("shop").unwrap());
}

#[test]
fn errors_show_the_place() {
    insta::assert_snapshot!(error("name = \"Shop\"\n"), @r#"
    cannot use "Shop" as the name of an app: 'S' is not one of a-z, 0-9 and -
     --> shop.toml:1:8
      |
    1 | name = "Shop"
      |        ^^^^^^
    "#);
    insta::assert_snapshot!(error(&format!("{HEAD}[health]\npathh = \"/health\"\n")), @r#"
    cannot use the key "pathh": there is no such key, did you mean "path"?
     --> shop.toml:6:1
      |
    6 | pathh = "/health"
      | ^^^^^
    "#);
    insta::assert_snapshot!(error("name = \"shop\"\n[run\n"), @"
    cannot read this as TOML: unclosed table, expected `]`
     --> shop.toml:2:5
      |
    2 | [run
      |     ^
    ");
    insta::assert_snapshot!(error("name = \"shop\"\n"), @"
    cannot do without [run]: it says what runs, by image or by exec
     --> shop.toml
    ");
    insta::assert_snapshot!(error("name = \"shop\"\n[run]\nenv = { PORT = \"s3cret\" }\n"), @r#"
    cannot use "PORT" as the name of an environment variable: bgctl sets PORT and the names that start with BGCTL_ itself
     --> shop.toml:3:9
    "#);
}

#[test]
fn missing_keys_are_named() {
    let texts = [
        "",
        "name = \"a\"",
        "[run]\nimage = \"a\"\ncontainer_port = 80",
        "name = \"a\"\n[run]\n",
    ];
    insta::assert_snapshot!(errors("", &texts), @r#"
    0:0 cannot do without a name: write name = "..." at the top
    0:0 cannot do without [run]: it says what runs, by image or by exec
    0:0 cannot do without a name: write name = "..." at the top
    2:1 cannot do without something to run: give image (with container_port) or exec in [run]
    "#);
}

#[test]
fn names_and_keys_refused() {
    let texts = [
        "name = \"a/b\"",
        "name = \"a%b\"",
        "name = \"a\\nb\"",
        "name = \"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\"",
        "name = 1",
        "name = \"a\"\nname = \"b\"",
        "name = \"a\"\nports = 9001",
        "name = \"a\"\n[deploy]\n",
        "name = \"a\"\n[drain]\nkeepwarm = true",
    ];
    insta::assert_snapshot!(errors("", &texts), @r#"
    1:8 cannot use "a/b" as the name of an app: '/' is not one of a-z, 0-9 and -
    1:8 cannot use "a%b" as the name of an app: '%' is not one of a-z, 0-9 and -
    1:8 cannot use "a\nb" as the name of an app: '\n' is not one of a-z, 0-9 and -
    1:8 cannot use "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa" as the name of an app: it has 47 characters, and 40 is the most
    1:8 cannot use this value: it must be a string
    2:1 cannot read this as TOML: duplicate key
    2:9 cannot use this value: it must be a table
    2:2 cannot use the key "deploy": the keys here are name, run, companion, ports, health, verify, nginx, switch, stage, bake, drain
    3:1 cannot use the key "keepwarm": there is no such key, did you mean "keep_warm"?
    "#);
}

#[test]
fn containers_refused() {
    let docker = [
        "exec = \"/bin/shop\"",
        "working_directory = \"/\"",
        "volumes = [\"/data\"]",
        "docker_options = [\"nginx\"]",
        "docker_options = [\"--name=x\"]",
        "args = [\"a\\nb\"]",
        "env = { BGCTL_X = \"1\" }",
        "env = { \"A-B\" = \"1\" }",
        "env = { A = 1 }",
        "env = { A = \"1\\u0000\" }",
        "env_file = \"shop.env\"",
        "credentials = { \"a/b\" = \"/x\" }",
        "credentials = { a = \"x\" }",
        "memory = \"5M\"",
        "memory = \"5 apples\"",
        "memory = true",
        "stop_timeout = \"0s\"",
        "stop_timeout = 30",
        "stop_timeout = \"30\"",
        "service = [\"LimitNOFILE\"]",
        "service = [\"A=b\\nExecStart=/x\"]",
    ];
    insta::assert_snapshot!(errors(HEAD, &docker), @r#"
    5:8 cannot run both image and exec: one is a container, the other a program of the host
    5:21 cannot use working_directory with image: it has no meaning there
    5:11 cannot use "/data" as a volume: it must be SOURCE:TARGET, as in "/srv/data:/data:ro"
    5:18 cannot use "nginx" as an option of docker run: write an option and its value as one, as in "--ulimit=nofile=65536"
    5:18 cannot use "--name=x" as an option of docker run: the unit runs the container itself, with its own name, in the foreground
    5:8 cannot use this text: it must be one line, and has '\n'
    5:9 cannot use "BGCTL_X" as the name of an environment variable: bgctl sets PORT and the names that start with BGCTL_ itself
    5:9 cannot use "A-B" as the name of an environment variable: it must be letters, digits and _, and not start with a digit
    5:13 cannot use this value: it must be a string
    5:13 cannot use this text: it has '\0'
    5:12 cannot use "shop.env" as a path: it must start with /
    5:17 cannot use "a/b" as the id of a credential: it must be letters, digits and ._-, and not start with a dot
    5:21 cannot use "x" as a path: it must start with /
    5:10 cannot use so little memory: 6M is the least
    5:10 cannot use "5 apples" as a size: write bytes, or a number with K, M or G, as in "256M"
    5:10 cannot use this value: it must be a size, as in "256M", or a number of bytes
    5:16 cannot use 0 as stop_timeout: it must be more
    5:16 cannot use this value: it must be a time with its unit in quotes, as in "30s"
    5:16 cannot use "30" as a time: write a number with its unit, as in "30s", "2m" or "500ms"
    5:11 cannot use "LimitNOFILE" as a line of [Service]: it must be Key=Value, as in "LimitNOFILE=65536"
    5:11 cannot use "A=b\nExecStart=/x" as a line of [Service]: it must be one line
    "#);
}

#[test]
fn programs_refused() {
    let exec = [
        "image = \"shop\"",
        "container_port = 80",
        "volumes = []",
        "docker_options = []",
        "memory = \"3M\"",
        "state_directory = \"yes\"",
    ];
    insta::assert_snapshot!(errors(EXEC, &exec), @"
    3:8 cannot run both image and exec: one is a container, the other a program of the host
    4:18 cannot use container_port with exec: it has no meaning there
    4:11 cannot use volumes with exec: it has no meaning there
    4:18 cannot use docker_options with exec: it has no meaning there
    4:10 cannot use so little memory: 4M is the least
    4:19 cannot use this value: it must be true or false
    ");
    let run = [
        "image = \"shop\"",
        "image = \"--privileged\"\ncontainer_port = 80",
        "image = \"shop\"\ncontainer_port = 0",
        "exec = \"bin/shop\"",
        "exec = \"/opt/a=b\"",
        "exec = \"/opt/a b\"",
    ];
    insta::assert_snapshot!(errors("name = \"shop\"\n[run]\n", &run), @r#"
    2:1 cannot run an image without container_port: the port that the app listens on in its container
    3:9 cannot use "--privileged" as an image reference: it must start with a letter or digit
    4:18 cannot use "0" as a port: ports are 1 to 65535
    3:8 cannot use "bin/shop" as a path: it must start with /
    3:8 cannot use "/opt/a=b" as a program: it must be an absolute path without '='
    3:8 cannot use "/opt/a b" as a path: ' ' has a meaning of its own in units and nginx sites
    "#);
}

#[test]
fn ports_refused() {
    let tails = [
        "blue = 9002",
        "blue = 9000\ngreen = 9000",
        "green = 443",
        "blue = 70000",
        "blue = \"9001\"",
        "blue = 1.5",
    ];
    insta::assert_snapshot!(errors(&format!("{HEAD}[ports]\n"), &tails), @r#"
    6:8 cannot use port 9002 for both colors: blue and green run side by side
    7:9 cannot use port 9000 for both colors: blue and green run side by side
    6:9 cannot use port 443 for green: ports below 1024 need allow_privileged = true in [ports]
    6:8 cannot use "70000" as a port: ports are 1 to 65535
    6:8 cannot use this value: it must be a whole number
    6:8 cannot use this value: it must be a whole number
    "#);
}

#[test]
fn health_checks_refused() {
    let tails = [
        "path = \"health\"",
        "path = \"/a b\"",
        "path = \"/\\\"\"",
        "path = \"/\"\ntcp = true",
        "tcp = true\ncommand = [\"/bin/true\"]",
        "tcp = false",
        "expect = 200",
        "path = \"/\"\nexpect = 99",
        "path = \"/\"\nexpect = 600",
        "command = []",
        "command = [\"check\"]",
        "command = \"/bin/check\"",
        "interval = \"0s\"",
        "timeout = \"0s\"",
        "deadline = \"0s\"",
        "deadline = \"1s\"",
        "timeout = \"61s\"",
        "healthy_for = \"60s\"",
    ];
    insta::assert_snapshot!(errors(&format!("{HEAD}[health]\n"), &tails), @r#"
    6:8 cannot use "health" as the path of the health check: it must start with /
    6:8 cannot use "/a b" as the path of the health check: ' ' has no place in it, write it as %XX
    6:8 cannot use "/\"" as the path of the health check: '"' has no place in it, write it as %XX
    7:7 cannot use more than one check: give one of path, tcp, command and image
    7:11 cannot use more than one check: give one of path, tcp, command and image
    6:7 cannot do without a check: give path, command, or tcp or image = true
    6:10 cannot use expect without path: only an HTTP check has a request and a status
    7:10 cannot use "99" as an HTTP status: it must be 100 to 599
    7:10 cannot use "600" as an HTTP status: it must be 100 to 599
    6:11 cannot use this as a command: it must be a list, with the absolute path of a program first
    6:11 cannot use this as a command: it must be a list, with the absolute path of a program first
    6:11 cannot use this value: it must be a list
    6:12 cannot use 0 as interval: it must be more
    6:11 cannot use 0 as timeout: it must be more
    6:12 cannot use 0 as deadline: it must be more
    6:12 cannot use a deadline of 1s: one try alone may take 2s (timeout)
    6:11 cannot use a deadline of 60s: one try alone may take 61s (timeout)
    6:15 cannot use 60s as healthy_for: it must be shorter than the deadline, 60s
    "#);
}

#[test]
fn sites_refused() {
    let tails = [
        "server_name = []",
        "server_name = [\"a b\"]",
        "server_name = [\"a\", \"b\", \"a\"]",
        "listen = [\"9001\"]",
        "listen = [\"80\", \"127.0.0.1:9002\"]",
        "listen = [\"http\"]",
        "listen = 80",
        "certificate = \"/x.pem\"",
        "certificate_key = \"/x.key\"",
        "certificate = \"x.pem\"\ncertificate_key = \"/x.key\"",
        "read_timeout = \"0s\"",
        "send_timeout = \"0s\"",
        "max_body_size = -1",
        "include = \"nginx.d\"",
        "include = \"/etc/nginx/a;b\"",
    ];
    insta::assert_snapshot!(errors(&format!("{HEAD}[nginx]\n"), &tails), @r#"
    6:15 cannot use an empty list as server_name: leave it out for its default
    6:15 cannot use "a b" as a server name: it must be a host name, where * may stand for its first or last part
    6:26 cannot use a twice in server_name
    6:11 cannot listen on 9001: 9001 is the port of blue
    6:17 cannot listen on 127.0.0.1:9002: 9002 is the port of green
    6:11 cannot use "http" as an address to listen on: it must be PORT, ADDRESS:PORT or [IPV6]:PORT
    6:10 cannot use this value: it must be a list
    6:15 cannot use certificate without certificate_key
    6:19 cannot use certificate_key without certificate
    6:15 cannot use "x.pem" as a path: it must start with /
    6:16 cannot use 0 as read_timeout: it must be more
    6:16 cannot use 0 as send_timeout: it must be more
    6:17 cannot use "-1" as a size: write bytes, or a number with K, M or G, as in "256M"
    6:11 cannot use "nginx.d" as a path: it must start with /
    6:11 cannot use "/etc/nginx/a;b" as a path: ';' has a meaning of its own in units and nginx sites
    "#);
}

#[test]
fn file_that_is_not_there_is_named() {
    let error = read(Utf8Path::new("/nonexistent/shop.toml")).unwrap_err();
    assert!(
        format!("{error:#}").starts_with("cannot read /nonexistent/shop.toml: "),
        "{error:#}"
    );
}
