//! `[[verify]]` and `[verify]`.

use super::*;
use crate::model::{Asks, HttpAssertion, VerifyCheck};

fn checks(tail: &str) -> Vec<VerifyCheck> {
    parse(&format!("{EXEC}{tail}"), "shop.toml").unwrap().verify.checks
}

fn asked(check: &VerifyCheck) -> &HttpAssertion {
    match &check.asks {
        Asks::Http(wanted) => wanted,
        Asks::Command(_) => panic!("{check}"),
    }
}

#[test]
fn commands_alone_share_a_time() {
    assert!(checks("").is_empty() && checks("[verify]\n").is_empty());
    let [one, two] = &checks("[verify]\ncommands = [\"true\", \"test -e /x\"]\ntimeout = \"7s\"\n")[..] else {
        panic!()
    };
    assert_eq!(
        (one.to_string().as_str(), two.to_string().as_str()),
        ("true", "test -e /x")
    );
    assert_eq!(
        (one.timeout, two.timeout, one.retries),
        (Duration::from_secs(7), one.timeout, 0)
    );
}

#[test]
fn checks_have_defaults_of_their_kind() {
    let site = "[nginx]\nserver_name = [\"shop.example\"]\ncertificate = \"/c\"\ncertificate_key = \"/k\"\n";
    let [command, request] = &checks(&format!(
        "[[verify]]\ncommand = \"true\"\n[[verify]]\npath = \"/a?b\"\n{site}"
    ))[..] else {
        panic!()
    };
    assert_eq!(command.timeout, Duration::from_secs(60));
    assert_eq!((request.timeout, request.retries), (Duration::from_secs(10), 0));
    assert_eq!(request.to_string(), "GET /a?b");
    let wanted = asked(request);
    assert_eq!(wanted.status, [200].into());
    // As a user of the site asks.
    assert_eq!(wanted.host.as_deref(), Some("shop.example"));
    assert_eq!(wanted.headers["X-Forwarded-Proto"], "https");
}

#[test]
fn everything_of_an_answer_can_be_said() {
    let text = r#"
[[verify]]
name = "stories"
path = "/api/stories"
method = "GET"
host = "inner.example"
headers = { Accept = "application/json" }
status = [200, 203]
header = { Content-Type = "application/json; $x" }
body_contains = "stories\n"
json = { "/0/title" = "one", "/0/votes" = -1, "/0/share" = 0.5, "/0/open" = false }
timeout = "1500ms"
retries = 100
"#;
    let [check] = &checks(text)[..] else { panic!() };
    insta::assert_debug_snapshot!(check, @r#"
    VerifyCheck {
        name: Some(
            "stories",
        ),
        asks: Http(
            HttpAssertion {
                method: Get,
                path: "/api/stories",
                host: Some(
                    "inner.example",
                ),
                headers: {
                    "Accept": "application/json",
                },
                status: {
                    200,
                    203,
                },
                header: {
                    "Content-Type": "application/json; $x",
                },
                body_contains: Some(
                    "stories\n",
                ),
                json: {
                    JsonPointer(
                        "/0/open",
                    ): Bool(false),
                    JsonPointer(
                        "/0/share",
                    ): Number(0.5),
                    JsonPointer(
                        "/0/title",
                    ): String("one"),
                    JsonPointer(
                        "/0/votes",
                    ): Number(-1),
                },
            },
        ),
        timeout: 1.5s,
        retries: 100,
    }
    "#);
    let head = "[[verify]]\npath = \"/\"\nmethod = \"HEAD\"\nstatus = 301\nheader.location = \"/b\"\n";
    assert_eq!(checks(head)[0].to_string(), "HEAD /");
}

#[test]
fn checks_refused() {
    let table = [
        "commands = [\"\"]",
        "commands = [\"a\\u0000\"]",
        "timeout = \"0s\"",
        "path = \"/\"",
    ];
    insta::assert_snapshot!(errors(&format!("{HEAD}[verify]\n"), &table), @r#"
    6:13 cannot use this as a command: it must be text for /bin/sh
    6:13 cannot use this as a command: it must be text for /bin/sh
    6:11 cannot use 0 as timeout: it must be more
    6:1 cannot use the key "path": the keys here are commands, timeout
    "#);
    let tails = [
        "",
        "timeout = \"1s\"",
        "command = \"true\"\npath = \"/\"",
        "command = \" \"",
        "command = [\"true\"]",
        "command = \"true\"\nstatus = 200",
        "command = \"true\"\njson = {}",
        "command = \"true\"\nmemori = 1",
        "command = \"true\"\ntimeout = \"0s\"",
        "command = \"true\"\nretries = -1",
        "command = \"true\"\nretries = 101",
        "command = \"true\"\nretries = \"1\"",
        "command = \"true\"\nuser = \"0\"",
        "command = \"true\"\nuser = \"a b\"",
        "command = \"true\"\nmemory = \"7M\"",
        "path = \"/\"\nuser = \"root\"",
        "path = \"/\"\nmemory = \"1G\"",
        "command = \"true\"\nname = \" \"",
        "command = \"true\"\nname = \"a\\nb\"",
        "command = \"true\"\nname = \"a\"\n[[verify]]\npath = \"/\"\nname = \"a\"",
    ];
    insta::assert_snapshot!(errors(&format!("{HEAD}[[verify]]\n"), &tails), @r#"
    5:1 cannot check nothing: give command or path
    5:1 cannot check nothing: give command or path
    7:8 cannot use command and path in one check: give each a [[verify]] of its own
    6:11 cannot use this as a command: it must be text for /bin/sh
    6:11 cannot use this value: it must be a string
    7:10 cannot use status with command: only a check with path has a request and an answer
    7:8 cannot use json with command: only a check with path has a request and an answer
    7:1 cannot use the key "memori": there is no such key, did you mean "memory"?
    7:11 cannot use 0 as timeout: it must be more
    7:11 cannot use -1 as retries: it must be 0 to 100
    7:11 cannot use 101 as retries: it must be 0 to 100
    7:11 cannot use this value: it must be a whole number
    7:8 cannot use "0" as the name of a user: it must be letters, digits, _ and -, and start with no digit
    7:8 cannot use "a b" as the name of a user: it must be letters, digits, _ and -, and start with no digit
    7:10 cannot use so little memory: 8M is the least
    7:8 cannot use user with path: only a check with command has a process
    7:10 cannot use memory with path: only a check with command has a process
    7:8 cannot use this as the name of a check: it must have 1 to 60 characters
    7:8 cannot use this text: it must be one line, and has '\n'
    8:1 cannot have two checks named a
    "#);
    insta::assert_snapshot!(errors(&format!("verify = 1\n{HEAD}"), &[""]), @"1:10 cannot use this value: it must be a table [verify], or tables [[verify]]");
}

#[test]
fn requests_refused() {
    let tails = [
        "path = \"http://other/\"",
        "path = \"/a b\"",
        "path = \"/\"\nmethod = \"POST\"",
        "path = \"/\"\nmethod = \"HEAD\"\njson = { \"/a\" = 1 }",
        "path = \"/\"\nmethod = \"HEAD\"\nbody_contains = \"a\"",
        "path = \"/\"\nstatus = 99",
        "path = \"/\"\nstatus = [200, 600]",
        "path = \"/\"\nstatus = []",
        "path = \"/\"\nstatus = \"200\"",
        "path = \"/\"\nbody_contains = \"\"",
        "path = \"/\"\njson = { a = 1 }",
        "path = \"/\"\njson = { \"/a~\" = 1 }",
        "path = \"/\"\njson = { \"/a\" = [1] }",
        "path = \"/\"\njson = { \"/a\" = nan }",
        "path = \"/\"\njson = { \"/a\" = 2026-01-01 }",
        "path = \"/\"\nheaders = { host = \"a\" }",
        "path = \"/\"\nheader = { \"a b\" = \"a\" }",
        "path = \"/\"\nheader = { A = \"a\", a = \"b\" }",
        "path = \"/\"\nhost = \"a b\"",
    ];
    insta::assert_snapshot!(errors(&format!("{HEAD}[[verify]]\n"), &tails), @r#"
    6:8 cannot use "http://other/" as the path of a request: it must start with /
    6:8 cannot use "/a b" as the path of a request: ' ' has no place in it, write it as %XX
    7:10 cannot use "POST" as a method: it must be GET or HEAD
    8:8 cannot use json with HEAD, whose answer has no body
    8:17 cannot use body_contains with HEAD, whose answer has no body
    7:10 cannot use "99" as an HTTP status: it must be 100 to 599
    7:10 cannot use "600" as an HTTP status: it must be 100 to 599
    7:10 cannot use an empty list as status: no answer has one of none
    7:10 cannot use this value: it must be an HTTP status, or a list of them
    7:17 cannot use empty text as body_contains: every body has it
    7:10 cannot use "a" as a place in JSON: it must start with /, as in "/stories/0/title" (RFC 6901)
    7:10 cannot use "/a~" as a place in JSON: write ~ as ~0, and / within a name as ~1 (RFC 6901)
    7:17 cannot use this value: it must be text, a number, true or false
    7:17 cannot use this number: JSON has neither inf nor nan
    7:17 cannot use this value: it must be text, a number, true or false
    7:13 cannot use "host" as a header: it is the connection's, or has a key of its own ([health] host)
    7:12 cannot use "a b" as a header: it must be letters, digits, - and _
    7:10 cannot use the header a twice
    7:8 cannot use "a b" as a Host: it must be NAME or NAME:PORT
    "#);
}
