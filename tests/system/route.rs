//! Whatever holds a request on its way, it is answered once, by the color that is active when it is sent.

use std::thread;
use std::time::Duration;

use crate::app::App;
use crate::host::Host;
use crate::http::{self, Body, all_are, at_once};
use crate::load::{Load, releases};

/// A program that takes every request for `/take`, and closes the connection in the place of an answer. `/taken` tells how many
/// it took.
const TAKER: &str = r#"#!/usr/bin/perl
use IO::Socket::INET;
$SIG{TERM} = sub { exit 0 };
my $server = IO::Socket::INET->new(LocalPort => $ENV{PORT}, Listen => 50, ReuseAddr => 1) or die "$!";
my $taken = 0;
while (my $client = $server->accept) {
    while (my $line = <$client>) {
        my ($path, $length) = (split(/ /, $line))[1];
        while (($line = <$client>) !~ /^\r?\n$/) { $length = $1 if $line =~ /^content-length: (\d+)/i }
        read $client, my $body, $length;
        if ($path eq "/take") { $taken++; last }
        my $answer = $path eq "/taken" ? $taken : "";
        print $client "HTTP/1.1 200 OK\r\nContent-Length: ", length $answer, "\r\n\r\n", $answer;
        $client->flush;
    }
    close $client;
}
"#;

/// A program that answers once `/run/bgctl-gate` is there.
const GATE: &str = r#"#!/usr/bin/perl
use IO::Socket::INET;
$SIG{CHLD} = "IGNORE";
my $server = IO::Socket::INET->new(LocalAddr => "127.0.0.1:9558", Listen => 50, ReuseAddr => 1) or die "$!";
while (my $client = $server->accept) {
    next if fork;
    while (<$client> !~ /^\r?\n$/) { }
    select(undef, undef, undef, 0.02) until -e "/run/bgctl-gate";
    print $client "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n";
    exit;
}
"#;

/// A program that takes its time, and lets five wait.
const BUSY: &str = r#"#!/usr/bin/perl
use IO::Socket::INET;
$SIG{TERM} = sub { exit 0 };
my $server = IO::Socket::INET->new(LocalPort => $ENV{PORT}, Listen => 5, ReuseAddr => 1) or die "$!";
while (my $client = $server->accept) {
    my $length = 0;
    while ((my $line = <$client>) !~ /^\r?\n$/) { $length = $1 if $line =~ /^content-length: (\d+)/i }
    read $client, my $body, $length;
    select(undef, undef, undef, 0.001);
    print $client "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n";
    close $client;
}
"#;

/// A short body of unknown length.
const CHUNKED: Body = Body {
    is_chunked: true,
    parts: 1,
    pause: Duration::ZERO,
};

/// The demo app, which dies at once when it is stopped.
fn dying<'h>(host: &'h Host, name: &str, port: u16) -> App<'h> {
    App::program(host, name, port).set("run.service", vec!["KillSignal=SIGKILL", "SuccessExitStatus=SIGKILL"])
}

#[test]
fn switches_under_load_lose_nothing_of_an_app_that_dies_at_once() {
    let host = Host::with_programs();
    let app = dying(&host, "sudden", 9540).install();
    app.switch("r0");
    let load = Load::on(&app);
    for number in 1..=6 {
        app.switch(&format!("r{number}"));
    }
    let report = load.stop();
    assert_eq!(releases(&report).len(), 7, "{report:#}");
}

#[test]
fn slow_uploads_pass_several_switches() {
    let host = Host::with_programs();
    let app = dying(&host, "slow", 9542).install();
    app.switch("r0");
    let bytes = "x".repeat(20_000);
    let send = |number: usize| {
        thread::sleep(Duration::from_millis(25) * u32::try_from(number).unwrap());
        let body = Body {
            is_chunked: number.is_multiple_of(2),
            parts: 10,
            pause: Duration::from_millis(250),
        };
        http::upload(host.address(), app.site(), "/echo", &bytes, &body)
    };
    let answers = at_once(40, send, || {
        for number in 1..=4 {
            app.switch(&format!("r{number}"));
        }
    });
    all_are(200, &answers);
    for answer in answers.iter().flatten() {
        assert!(answer.body.contains("\"bytes\":20000"), "{answer:?}");
    }
}

#[test]
fn requests_that_a_limit_delays_pass_several_switches() {
    let host = Host::with_programs();
    host.copy_in(
        "/etc/nginx/conf.d/limited.conf",
        "limit_req_zone $server_name zone=limited:32k rate=20r/s;\n",
    );
    host.copy_in("/etc/nginx/limited.d/limit.conf", "limit_req zone=limited burst=100;\n");
    let app = dying(&host, "limited", 9544).install();
    app.switch("r0");
    let answers = at_once(
        60,
        |_| app.try_get("/"),
        || {
            app.switch("r1");
            app.switch("r2");
        },
    );
    all_are(200, &answers);
    app.is_served_by("r2", "blue");
}

#[test]
fn request_that_waits_for_its_permission_is_answered_by_the_color_that_is_active_then() {
    let host = Host::with_programs();
    host.copy_in("/opt/demo/gate", GATE);
    host.succeed("chmod +x /opt/demo/gate && systemd-run --quiet --unit=gate /opt/demo/gate");
    host.copy_in(
        "/etc/nginx/gated.d/auth.conf",
        "auth_request /permission;\n\
         location = /permission {\n    internal;\n    proxy_pass http://127.0.0.1:9558;\n    \
         proxy_pass_request_body off;\n    proxy_set_header Content-Length \"\";\n}\n",
    );
    // The old color stays, and would answer.
    let app = App::program(&host, "gated", 9546)
        .set("drain.keep_warm", true)
        .install();
    host.succeed("touch /run/bgctl-gate");
    app.switch("p1");
    assert_eq!(app.get("/").header("x-release"), "p1");
    host.succeed("rm /run/bgctl-gate");
    let send = |number: usize| match number % 3 {
        0 => app.try_get("/"),
        1 => Some(app.post("/echo", "body")),
        _ => http::upload(host.address(), app.site(), "/echo", "body", &CHUNKED),
    };
    let answers = at_once(6, send, || {
        let waiting = "test $(ss -Htn state established dport = :9558 | wc -l) = 6";
        host.wait_until(waiting);
        app.switch("p2");
        host.succeed("touch /run/bgctl-gate");
    });
    all_are(200, &answers);
    for answer in answers.iter().flatten() {
        assert_eq!(answer.header("x-release"), "p2", "{answer:?}");
    }
    host.succeed("systemctl stop gate; rm /run/bgctl-gate");
}

#[test]
fn request_that_an_app_took_without_an_answer_is_not_sent_again() {
    let host = Host::with_programs();
    host.copy_in("/opt/demo/taker", TAKER);
    host.succeed("chmod +x /opt/demo/taker");
    let app = App::program(&host, "taker", 9548)
        .set("run.exec", "/opt/demo/taker")
        .install();
    app.switch("p1");
    for number in 0..6_u32 {
        // Half of them go over a connection that was used before.
        if number.is_multiple_of(2) {
            assert_eq!(app.get("/").status, 200);
        } else {
            thread::sleep(Duration::from_millis(250));
        }
        assert_eq!(app.get("/take").status, 502);
        assert_eq!(app.post("/take", "body").status, 502);
    }
    assert_eq!(app.get("/taken").body, "12");
}

#[test]
fn requests_do_not_leak_to_the_first_release_while_it_is_staged() {
    let host = Host::with_programs();
    let app = App::program(&host, "staged", 9550)
        .set(
            "verify.commands",
            vec!["until test -e /run/bgctl-first; do sleep 0.1; done"],
        )
        .install();
    let switch = host.spawn("bgctl switch staged --release p1");
    app.wait_for_step("verify");
    host.succeed("curl -fsS http://127.0.0.1:9550/health");
    for _ in 0..5 {
        assert_eq!(app.get("/").status, 503);
        assert_eq!(app.post("/echo", "body").status, 503);
    }
    let slow = Body {
        is_chunked: false,
        parts: 2,
        pause: Duration::from_millis(50),
    };
    let answer = http::upload(host.address(), app.site(), "/echo", "body", &slow).unwrap();
    assert_eq!(answer.status, 503, "{answer:?}");
    host.succeed("touch /run/bgctl-first");
    Host::wait(switch).expect(0);
    app.is_served_by("p1", "blue");
}

#[test]
fn bursts_of_uploads_to_a_short_queue_come_through_as_by_a_plain_proxy() {
    let host = Host::with_programs();
    host.copy_in("/opt/demo/busy", BUSY);
    host.succeed("chmod +x /opt/demo/busy");
    host.copy_in(
        "/etc/nginx/busy.d/plain.conf",
        "location /plain {\n    proxy_pass http://127.0.0.1:9552;\n}\n",
    );
    let app = App::program(&host, "busy", 9552)
        .set("run.exec", "/opt/demo/busy")
        .install();
    app.switch("p1");
    let bytes = "x".repeat(20_000);
    for path in ["/plain", "/ours"] {
        let answers = at_once(40, |_| Some(app.post(path, &bytes)), || {});
        all_are(200, &answers);
    }
}
