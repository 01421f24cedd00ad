//! Paths with settings of their own: events, gRPC, files of both colors; and pages for when nothing answers.

use toml::{Table, Value};

use crate::app::App;
use crate::host::Host;
use crate::http;

/// A program that sends one event at once, and another one when `/run/bgctl-events` is there. Its answers end with the connection.
const EVENTS: &str = r#"#!/usr/bin/perl
use IO::Socket::INET;
$SIG{TERM} = sub { exit 0 };
$SIG{CHLD} = "IGNORE";
my $server = IO::Socket::INET->new(LocalPort => $ENV{PORT}, Listen => 50, ReuseAddr => 1) or die "$!";
while (my $client = $server->accept) {
    next if fork;
    $client->autoflush(1);
    my ($path, $length) = ((split / /, scalar <$client>)[1], 0);
    while ((my $line = <$client>) !~ /^\r?\n$/) { $length = $1 if $line =~ /^content-length: (\d+)/i }
    my $body = "";
    read $client, $body, $length;
    my $type = $path eq "/health" ? "text/plain" : "text/event-stream";
    print $client "HTTP/1.1 200 OK\r\nContent-Type: $type\r\nConnection: close\r\n\r\ndata: one\n\n";
    exit if $path eq "/health" || $length;
    select(undef, undef, undef, 0.02) until -e "/run/bgctl-events";
    print $client "data: two\n\n";
    exit;
}
"#;

/// A program that has one file below each folder, named after its release.
const FILES: &str = r#"#!/usr/bin/perl
use IO::Socket::INET;
$SIG{TERM} = sub { exit 0 };
my $server = IO::Socket::INET->new(LocalPort => $ENV{PORT}, Listen => 50, ReuseAddr => 1) or die "$!";
while (my $client = $server->accept) {
    my $path = (split / /, scalar <$client>)[1];
    while (<$client> !~ /^\r?\n$/) { }
    my $status = $path =~ m{/\Q$ENV{BGCTL_RELEASE}\E$|^/health$} ? "200 OK" : "404 Not Found";
    my $body = "$status by $ENV{BGCTL_RELEASE}";
    print $client "HTTP/1.1 $status\r\nConnection: close\r\nContent-Length: ", length $body, "\r\n\r\n", $body;
    close $client;
}
"#;

/// A program that answers each request of gRPC with its release, when the request has ended.
const GRPC: &str = r#"#!/usr/bin/perl
use IO::Socket::INET;
$SIG{TERM} = sub { exit 0 };
$SIG{CHLD} = "IGNORE";
sub text { pack "C/a*", shift }
sub frame {
    my ($type, $flags, $stream, $body) = @_;
    pack("Cn", length($body) >> 16, length($body) & 65535) . pack("CCN", $type, $flags, $stream) . $body;
}
my $server = IO::Socket::INET->new(LocalPort => $ENV{PORT}, Listen => 50, ReuseAddr => 1) or die "$!";
while (my $client = $server->accept) {
    next if fork;
    $client->autoflush(1);
    read $client, my $preface, 24;
    print $client frame(4, 0, 0, "");
    while (read($client, my $head, 9) == 9) {
        my ($high, $low, $type, $flags, $stream) = unpack "CnCCN", $head;
        my ($length, $body) = (($high << 16) + $low, "");
        read $client, $body, $length if $length;
        print $client frame($type, 1, 0, $type == 6 ? $body : "") if ($type == 4 || $type == 6) && !($flags & 1);
        next unless ($type == 0 || $type == 1) && $flags & 1;
        print $client frame(1, 4, $stream, "\x88\0" . text("content-type") . text("application/grpc")),
            frame(0, 0, $stream, pack("CN/a*", 0, $ENV{BGCTL_RELEASE})),
            frame(1, 5, $stream, "\0" . text("grpc-status") . text("0"));
    }
    exit;
}
"#;

/// An app of this program.
fn program<'h>(host: &'h Host, name: &str, port: u16, text: &str) -> App<'h> {
    let path = format!("/opt/demo/{name}");
    host.copy_in(&path, text);
    host.succeed(&format!("chmod +x {path}"));
    App::program(host, name, port).set("run.exec", path)
}

/// A table of strings, numbers and truth values.
fn table<const N: usize>(keys: [(&str, Value); N]) -> Value {
    Value::Table(
        keys.into_iter()
            .map(|(key, value)| (key.to_owned(), value))
            .collect::<Table>(),
    )
}

#[test]
fn events_are_passed_on_at_once_and_have_limits_of_their_own() {
    let host = Host::with_programs();
    host.copy_in(
        "/etc/nginx/events.d/gzip.conf",
        "gzip on;\ngzip_types *;\ngzip_proxied any;\ngzip_min_length 1;\ngzip_http_version 1.0;\n",
    );
    let events = table([
        ("path", "/events".into()),
        ("buffering", false.into()),
        ("max_body_size", "1M".into()),
        ("read_timeout", "1h".into()),
    ]);
    let app = program(&host, "events", 9738, EVENTS)
        .set("nginx.read_timeout", "1s")
        .set("nginx.max_body_size", "1k")
        .set("nginx.location", vec![events])
        .install();
    app.switch("p1");
    let kinds = ["", "--http1.0", "-H 'Connection: close'", "--compressed"];
    let clients: Vec<_> = (0..)
        .zip(kinds)
        .map(|(number, kind)| {
            let ask = "curl -sSN --connect-to ::127.0.0.1:80 http://events.test/events";
            host.spawn(&format!("{ask} {kind} >/run/events.{number}"))
        })
        .collect();
    for number in 0..kinds.len() {
        host.wait_until(&format!("grep 'data: one' /run/events.{number}"));
    }
    // Longer than any other path may be silent.
    assert_eq!(app.get("/other").status, 200);
    std::thread::sleep(std::time::Duration::from_millis(1500));
    host.succeed("touch /run/bgctl-events");
    for (number, client) in (0..).zip(clients) {
        Host::wait(client).expect(0);
        host.succeed(&format!("grep 'data: two' /run/events.{number}"));
    }
    host.succeed("rm /run/bgctl-events");
    let body = "x".repeat(20_000);
    assert_eq!(app.post("/events/new", &body).status, 200);
    assert!(
        http::request(host.address(), app.site(), "POST", "/", "", &body).is_none_or(|answer| answer.status == 413)
    );
}

#[test]
fn files_of_one_release_are_found_as_long_as_both_colors_run() {
    let host = Host::with_programs();
    let app = program(&host, "files", 9740, FILES)
        .set("nginx.shared_paths", vec!["/assets/"])
        .set("drain.keep_warm", true)
        .install();
    let is = |path: &str, answer: &str| {
        let (method, path) = path.split_once(' ').unwrap_or(("GET", path));
        let got = http::request(host.address(), app.site(), method, path, "", "").unwrap();
        let got = format!("{} {}", got.status, got.body);
        assert!(got.contains(answer), "{path}: {got}");
    };
    app.switch("p1");
    is("/assets/p1", "200 OK by p1");
    // Nothing runs beside it: the answer is its own.
    is("/assets/p2", "404 Not Found by p1");
    app.switch("p2");
    for _ in 0..2 {
        is("/assets/p1", "200 OK by p1");
        is("/assets/p2", "200 OK by p2");
        is("/assets/p3", "404 Not Found by p2");
        is("/other/p1", "404 Not Found by p2");
        is("POST /assets/p1", "405 ");
    }
    app.bgctl("rollback", "").expect(0);
    is("/assets/p2", "200 OK by p2");
    is("/assets/p3", "404 Not Found by p1");
    host.succeed("systemctl stop files@9741");
    is("/assets/p2", "404 Not Found by p1");
    is("/assets/p1", "200 OK by p1");
}

#[test]
fn calls_of_grpc_are_answered_by_the_active_color() {
    let host = Host::with_programs();
    let app = program(&host, "calls", 9742, GRPC)
        .without("health.path")
        .set(
            "nginx.listen",
            vec![table([("address", "9744".into()), ("http2", true.into())])],
        )
        .set("nginx.protocol", "grpc")
        .set("nginx.max_body_size", 0)
        .install();
    let call = |bytes: usize| {
        host.run(&format!(
            "head -c {bytes} /dev/zero | curl -sS --http2-prior-knowledge -D - -H 'content-type: application/grpc' \
             -H 'te: trailers' --data-binary @- --connect-to ::127.0.0.1:9744 http://calls.test:9744/demo.Calls/Call | tr '\\0' ."
        ))
        .stdout
    };
    // By 502, unless nginx closes the stream while curl still sends: then curl shows nothing of an answer.
    let early = call(5);
    assert!(!early.contains("grpc-status: 0"), "{early}");
    for release in ["p1", "p2", "p3"] {
        app.switch(release);
        for bytes in [5, 30_000] {
            let answer = call(bytes);
            let is_whole = answer.starts_with("HTTP/2 200") && answer.contains("grpc-status: 0");
            assert!(is_whole && answer.contains(release), "{bytes}: {answer}");
        }
    }
    app.bgctl("rollback", "").expect(0);
    assert!(call(5).contains("p2"), "{}", call(5));
}

#[test]
fn pages_of_the_manifest_are_shown_while_nothing_answers() {
    let host = Host::with_programs();
    host.copy_in("/srv/papers/down.html", "down for a moment\n");
    host.copy_in("/srv/papers/soon.html", "coming soon\n");
    let app = App::program(&host, "papers", 9746)
        .set("nginx.error_page", "/srv/papers/down.html")
        .set("nginx.empty_page", "/srv/papers/soon.html")
        .set("nginx.read_timeout", "1s")
        .install();
    let is_page = |answer: &http::Response, status: u16, body: &str| {
        assert_eq!((answer.status, &*answer.body), (status, body), "{answer:?}");
        assert_eq!(answer.header("content-type"), "text/html", "{answer:?}");
    };
    for answer in [app.get("/any/path"), app.post("/echo", "body")] {
        is_page(&answer, 503, "coming soon\n");
    }
    app.switch("p1");
    app.is_served_by("p1", "blue");
    is_page(&app.get("/slow?ms=3000"), 504, "down for a moment\n");
    for path in ["/.bgctl/error-page", "/.bgctl/empty-page"] {
        assert_eq!(app.get(path).status, 404, "{path}");
    }
    app.post("/unhealthy", "");
    assert!(app.get("/health").body.contains("unhealthy"));
    host.succeed("systemctl stop papers@9746");
    for answer in [app.get("/any/path"), app.post("/echo", "body")] {
        is_page(&answer, 502, "down for a moment\n");
    }
}
