//! What of the heads of requests and of answers passes through a site.

use std::io::{Read as _, Write as _};

use crate::app::App;
use crate::host::Host;
use crate::http;

/// A program that answers `/large/BYTES` with a header of that length, accepts every upgrade, and tells the head that it got.
const TALKER: &str = r#"#!/usr/bin/perl
use IO::Socket::INET;
$SIG{TERM} = sub { exit 0 };
$SIG{CHLD} = "IGNORE";
my $server = IO::Socket::INET->new(LocalPort => $ENV{PORT}, Listen => 50, ReuseAddr => 1) or die "$!";
while (my $client = $server->accept) {
    next if fork;
    my $head = "";
    while (my $line = <$client>) { last if $line =~ /^\r?\n$/; $head .= $line; }
    if ($head =~ /^upgrade: *(\S+)/mi) {
        print $client "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: $1\r\n\r\nswitched to $1\n";
        exit;
    }
    my $large = $head =~ m{^GET /large/(\d+)} ? "X-Large: " . "x" x $1 . "\r\n" : "";
    print $client "HTTP/1.1 200 OK\r\n${large}Connection: close\r\nContent-Length: ", length $head, "\r\n\r\n", $head;
    exit;
}
"#;

fn talker<'h>(host: &'h Host, name: &str, port: u16) -> App<'h> {
    host.copy_in("/opt/demo/talker", TALKER);
    host.succeed("chmod +x /opt/demo/talker");
    let app = App::program(host, name, port).set("run.exec", "/opt/demo/talker");
    app.set("health.path", "/large/16000")
}

#[test]
fn large_heads_pass_and_larger_ones_than_the_manifest_says_do_not() {
    let host = Host::with_programs();
    let app = talker(&host, "heads", 9704).install();
    app.switch("p1");
    let with_cookie = |bytes: usize| {
        let cookie = format!("Cookie: {}\r\n", "x".repeat(bytes));
        http::request(host.address(), app.site(), "GET", "/", &cookie, "").map(|answer| answer.status)
    };
    for bytes in [100, 4000, 8000, 16_000, 31_000] {
        assert_eq!(app.get(&format!("/large/{bytes}")).header("x-large").len(), bytes);
        assert_eq!(with_cookie(bytes), Some(200), "{bytes}");
    }
    assert_eq!(app.get("/large/33000").status, 502);
    assert_eq!(with_cookie(33_000), Some(400));
    let app = app.set("nginx.max_head_size", "64k").install();
    assert_eq!(app.get("/large/60000").header("x-large").len(), 60_000);
    // An operator's own settings are left room.
    let app = app.set("nginx.max_head_size", 0).install();
    host.copy_in("/etc/nginx/heads.d/own.conf", "proxy_buffer_size 12k;\n");
    let app = app.set("nginx.read_timeout", "61s").install();
    assert_eq!(app.get("/large/9000").header("x-large").len(), 9000);
    let refused = app.set("nginx.max_head_size", "32k").try_install();
    assert_eq!(refused.status, 3, "{refused:?}");
    assert!(
        refused.error().contains("\"proxy_buffer_size\" directive is duplicate"),
        "{refused:?}"
    );
}

#[test]
fn upgrades_to_anything_but_a_websocket_are_not_tunnelled() {
    let host = Host::with_programs();
    let app = talker(&host, "upgrades", 9706).install();
    app.switch("p1");
    let upgrade = |to: &str| {
        let mut stream = http::connect(host.address()).unwrap();
        write!(
            stream,
            "GET / HTTP/1.1\r\nHost: upgrades.test\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: {to}\r\n\
             HTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA\r\n\r\n"
        )
        .unwrap();
        let mut answer = vec![0; 4096];
        let length = stream.read(&mut answer).unwrap();
        String::from_utf8_lossy(&answer[..length]).to_lowercase()
    };
    for to in ["websocket", "WebSocket"] {
        assert!(upgrade(to).starts_with("http/1.1 101 "), "{}", upgrade(to));
    }
    for to in ["h2c", "tls/1.0", "websocket2"] {
        assert!(upgrade(to).starts_with("http/1.1 200 "), "{}", upgrade(to));
    }
}
