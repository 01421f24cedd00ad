//! What a client sees of nginx, while colors come and go behind it.

use std::io::{Read, Write};
use std::time::Duration;

use crate::app::App;
use crate::host::Host;
use crate::http;
use crate::load::{Load, releases};

/// A program that answers each request with its own head.
pub const MIRROR: &str = r#"#!/usr/bin/perl
use IO::Socket::INET;
$SIG{TERM} = sub { exit 0 };
my $server = IO::Socket::INET->new(LocalPort => $ENV{PORT}, Listen => 50, ReuseAddr => 1) or die "$!";
while (my $client = $server->accept) {
    my ($head, $length) = ("", 0);
    while (my $line = <$client>) {
        last if $line =~ /^\r?\n$/;
        $length = $1 if $line =~ /^content-length: (\d+)/i;
        $head .= $line;
    }
    read $client, my $body, $length;
    print $client "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: ", length $head, "\r\n\r\n", $head;
    close $client;
}
"#;

#[test]
fn websockets_slow_uploads_and_downloads_pass_a_switch_whole() {
    let host = Host::with_images();
    let app = App::docker(&host, "long", 9200).set("drain.timeout", "6s").install();
    app.switch("v1");
    let long = [
        "--websockets",
        "4",
        "--downloads",
        "4",
        "--uploads",
        "4",
        "--transfer-seconds",
        "4",
    ];
    let load = Load::with(&app, &long);
    app.switch("v2");
    app.switch("v3");
    let report = load.stop();
    assert_eq!(releases(&report), ["v1 in blue", "v2 in green", "v3 in blue"]);
    for kind in ["downloads", "uploads"] {
        assert!(
            report[kind]["whole"].as_u64() >= Some(8) && report[kind]["failed"] == 0,
            "{report:#}"
        );
    }
    let sockets = &report["websockets"];
    assert!(
        sockets["closed_by_server"].as_u64() >= Some(4) && sockets["echoes"].as_u64() > Some(20),
        "{report:#}"
    );
}

#[test]
fn upload_that_outlives_its_color_is_answered_by_the_next_one() {
    let host = Host::with_images();
    let app = App::docker(&host, "upload", 9202).install();
    app.switch("v1");
    let mut stream = http::connect(host.address()).unwrap();
    write!(
        stream,
        "POST /echo HTTP/1.1\r\nHost: upload.test\r\nConnection: close\r\nContent-Length: 10\r\n\r\nhello"
    )
    .unwrap();
    // nginx has chosen a color as soon as it has read the head; it shows no connection to it yet.
    std::thread::sleep(Duration::from_millis(100));
    app.switch("v2");
    app.is_served_by("v2", "green");
    write!(stream, "world").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(
        answer.starts_with("HTTP/1.1 200 ") && answer.contains("\"bytes\":10"),
        "{answer}"
    );
    assert!(answer.to_lowercase().contains("x-release: v2"), "{answer}");
    assert!(
        !answer.to_lowercase().contains("x-bgctl"),
        "what is ours stays inside: {answer}"
    );
    // Who answered in the end.
    host.wait_until("grep 'POST /echo' /var/log/nginx/upload.access.log | grep 'upstream=\"127.0.0.1:9203\" '");
}

#[test]
fn upload_that_ends_while_its_container_stops_is_answered_by_the_next_one() {
    let host = Host::with_images();
    let app = App::docker(&host, "late", 9204).set("drain.timeout", "1s").install();
    app.switch("v1");
    let send = |head: &str| {
        let mut stream = http::connect(host.address()).unwrap();
        write!(stream, "{head} HTTP/1.1\r\nHost: late.test\r\nConnection: close\r\n").unwrap();
        stream
    };
    // For so long it goes on after SIGTERM without listening, and Docker's proxy goes on to accept connections for it.
    let mut slow = send("GET /slow?ms=20000");
    write!(slow, "\r\n").unwrap();
    let mut upload = send("POST /echo");
    write!(upload, "Content-Length: 20000\r\n\r\n{:10000}", "").unwrap();
    let switch = host.spawn(&format!("bgctl switch late {}", app.release("v2")));
    host.wait_until("systemctl is-active late@9204 | grep deactivating && ! curl -m 1 http://127.0.0.1:9204/health");
    write!(upload, "{:10000}", "").unwrap();
    let mut answer = String::new();
    upload.read_to_string(&mut answer).unwrap();
    assert!(
        answer.starts_with("HTTP/1.1 200 ") && answer.contains("\"bytes\":20000"),
        "{answer}"
    );
    assert!(answer.to_lowercase().contains("x-release: v2"), "{answer}");
    assert!(app.unit_state("blue").starts_with("deactivating"));
    drop(slow);
    Host::wait(switch).expect(0);
}

#[test]
fn while_the_active_color_is_down_no_request_leaks_to_a_release_that_is_only_staged() {
    let host = Host::with_programs();
    let app = App::program(&host, "leak", 9200)
        .set("run.env.START_DELAY_MS", "10")
        .install();
    app.switch("p1");
    let app = app
        .set(
            "verify.commands",
            vec!["until test -e /run/leak.go; do sleep 0.1; done"],
        )
        .install();
    let switch = host.spawn("bgctl switch leak --release p2");
    app.wait_for_step("verify");
    host.succeed("systemctl stop leak@9200");
    for _ in 0..5 {
        assert_eq!(app.get("/").status, 502);
        assert_eq!(app.post("/echo", "body").status, 502);
    }
    host.succeed("touch /run/leak.go");
    Host::wait(switch).expect(0);
    app.is_served_by("p2", "green");
    host.succeed("rm /run/leak.go");
}

#[test]
fn access_logs_name_the_instance() {
    let host = Host::with_programs();
    let app = App::program(&host, "logged", 9202).install();
    app.get("/before");
    for (release, port) in [("p1", 9202), ("p2", 9203)] {
        app.switch(release);
        app.get(&format!("/api/stories?{release}"));
        let line = host.succeed(&format!("grep 'stories?{release}' /var/log/nginx/logged.access.log"));
        assert!(line.contains(&format!("upstream=\"127.0.0.1:{port}\" ")), "{line}");
    }
    let line = host.succeed("grep /before /var/log/nginx/logged.access.log");
    assert!(line.contains(" 503 "), "{line}");
}

#[test]
fn questions_of_bgctl_are_answered_on_the_loopback_port_alone() {
    let host = Host::with_programs();
    let app = App::program(&host, "inner", 9204).install();
    let ask = |path: &str| {
        let ask = format!("curl -s -D - -H 'Host: inner.bgctl' http://127.0.0.1:7390{path}");
        host.run(&ask).stdout.to_lowercase()
    };
    assert!(ask("/route").ends_with("\r\n\r\ngreen none0\n"), "{}", ask("/route"));
    app.switch("p1");
    assert!(ask("/route").ends_with("\r\n\r\nblue blue\n"), "{}", ask("/route"));
    for path in ["/health", "/health/held"] {
        let health = ask(path);
        assert!(
            health.starts_with("http/1.1 200") && health.contains("x-bgctl-upstream: 127.0.0.1:9204"),
            "{health}"
        );
    }
    // What the site answers is the app's alone, whatever the path.
    for path in ["/.bgctl/color", "/.bgctl/health", "/.bgctl/hash", "/route"] {
        let answer = app.get(path);
        assert_eq!(answer.header("x-release"), "p1", "{path}: {answer:?}");
    }
    for listener in host.succeed("ss -Hltn sport = :7390").lines() {
        assert!(listener.contains(" 127.0.0.1:7390 "), "{listener}");
    }
}

#[test]
fn answers_of_another_apps_site_do_not_count() {
    let host = Host::boot("other-site");
    host.copy_program();
    let other = App::program(&host, "first", 9100).install();
    let app = App::program(&host, "second", 9102).install();
    other.switch("p1");
    app.switch("p1");
    // nginx has no site of this app any more.
    host.succeed("mv /etc/nginx/sites-enabled/second.conf /root/ && nginx -s reload");
    host.wait_until("bgctl status second | grep '^nginx   does not answer for this app$'");
    let status = app.status();
    assert_eq!(
        (&status["nginx_answers"], &status["serving"], &status["agrees"]),
        (&false.into(), &serde_json::Value::Null, &false.into()),
        "{status:#}"
    );
    let failed = app.bgctl("switch", "--release p2").expect(1);
    assert!(
        failed.error().starts_with("cannot confirm ") && failed.error().contains("no site of this app answers"),
        "{failed:?}"
    );
    app.bgctl("repair", "").expect(0);
    app.switch("p2");
    app.is_served_by("p2", "green");
    other.is_served_by("p1", "blue");
}

#[test]
fn app_is_told_who_asked_and_how() {
    let host = Host::with_programs();
    host.copy_in("/opt/demo/mirror", MIRROR);
    host.succeed("chmod +x /opt/demo/mirror");
    let app = App::program(&host, "mirror", 9206)
        .set("run.exec", "/opt/demo/mirror")
        .set("health.path", "/any");
    let app = app.set("nginx.max_body_size", "1M").install();
    app.switch("p1");
    let ask = |headers: &str| {
        let answer = http::request(host.address(), app.site(), "GET", "/path?query=1", headers, "").unwrap();
        answer.body.to_lowercase()
    };
    let head = ask("X-Forwarded-For: 192.0.2.7\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Host: evil.test\r\n");
    for line in [
        "get /path?query=1 http/1.1",
        "host: mirror.test",
        "x-forwarded-host: mirror.test",
        "x-forwarded-proto: http",
    ] {
        assert!(head.lines().any(|there| there == line), "no {line} in {head}");
    }
    let forwarded = head.lines().find(|line| line.starts_with("x-forwarded-for: ")).unwrap();
    assert!(forwarded.starts_with("x-forwarded-for: 192.0.2.7, "), "{forwarded}");
    assert!(
        !head.contains("connection: close"),
        "nginx keeps its connections: {head}"
    );
    let large = "x".repeat((1 << 20) + 1);
    let answer = http::request(
        host.address(),
        app.site(),
        "POST",
        "/",
        "Expect: 100-continue\r\n",
        &large,
    );
    // nginx may answer and close before the whole body is sent.
    assert!(answer.is_none_or(|answer| answer.status == 413));
}
