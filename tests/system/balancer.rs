//! A site behind a balancer, and addresses that speak more than HTTP.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use toml::{Table, Value};

use crate::app::App;
use crate::host::Host;
use crate::http;
use crate::site::MIRROR;

/// An app that answers each request with its own head.
fn mirror<'h>(host: &'h Host, name: &str, port: u16) -> App<'h> {
    host.copy_in("/opt/demo/mirror", MIRROR);
    host.succeed("chmod +x /opt/demo/mirror");
    App::program(host, name, port)
        .set("run.exec", "/opt/demo/mirror")
        .set("health.path", "/any")
}

/// A listen address with options.
fn listen(address: &str, options: &[&str]) -> Value {
    let mut table = Table::new();
    table.insert("address".to_owned(), address.into());
    for option in options {
        table.insert((*option).to_owned(), true.into());
    }
    table.into()
}

#[track_caller]
fn has(head: &str, lines: &[&str]) {
    let head = head.to_lowercase();
    for line in lines {
        assert!(head.lines().any(|there| there == *line), "no {line} in {head}");
    }
}

/// What a client says who wants to be somebody else.
const FORGED: &str = "X-Forwarded-For: 6.6.6.6, 203.0.113.9\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Host: public.test\r\nX-Real-IP: 6.6.6.6\r\n";

#[test]
fn proxies_that_are_trusted_say_who_asked_and_nobody_else_does() {
    let host = Host::with_programs();
    host.copy_in("/etc/nginx/trusting.d/deny.conf", "deny 203.0.113.10;\n");
    let app = mirror(&host, "trusting", 9726)
        .set("nginx.trusted_proxies", vec!["127.0.0.1", "2001:db8::/32"])
        .install();
    app.switch("p1");
    let headers = FORGED.trim_end().split("\r\n").map(|line| format!("-H '{line}'"));
    let headers = headers.collect::<Vec<_>>().join(" ");
    let ask = format!("curl -s --connect-to ::127.0.0.1:80 http://trusting.test/ {headers}");
    has(
        &host.succeed(&ask),
        &[
            "x-real-ip: 203.0.113.9",
            "x-forwarded-for: 6.6.6.6, 203.0.113.9, 127.0.0.1",
            "x-forwarded-proto: https",
            "x-forwarded-host: public.test",
            "host: trusting.test",
        ],
    );
    // Who it is that asked is what access rules and the log go by.
    let denied = ask.replace("203.0.113.9", "203.0.113.10");
    assert_eq!(
        host.succeed(&format!("{denied} -o /dev/null -w '%{{http_code}}'")),
        "403"
    );
    host.succeed("grep '^203.0.113.9 ' /var/log/nginx/trusting.access.log");
    // Nothing said is nothing to pass on.
    let silent = host.succeed("curl -s --connect-to ::127.0.0.1:80 http://trusting.test/");
    has(
        &silent,
        &[
            "x-real-ip: 127.0.0.1",
            "x-forwarded-for: 127.0.0.1",
            "x-forwarded-proto: http",
        ],
    );
    let forged = http::request(host.address(), app.site(), "GET", "/", FORGED, "")
        .unwrap()
        .body;
    has(&forged, &["x-forwarded-proto: http", "x-forwarded-host: trusting.test"]);
    for said in ["6.6.6.6", "203.0.113.9", "public.test"] {
        assert!(!forged.contains(said), "{forged}");
    }
}

#[test]
fn proxy_protocol_names_the_client() {
    let host = Host::with_programs();
    // This machine, as the host sees it.
    let balancers = host.succeed("ip -4 route show default | sed 's/.* via \\([0-9.]*\\) .*/\\1/'");
    let app = mirror(&host, "balanced", 9728)
        .set("nginx.trusted_proxies", vec![balancers])
        .set("nginx.listen", vec![listen("9730", &["proxy_protocol"])])
        .install();
    app.switch("p1");
    app.switch("p2");
    let mut stream = TcpStream::connect((host.address(), 9730)).unwrap();
    write!(
        stream,
        "PROXY TCP4 198.51.100.7 192.0.2.1 4711 80\r\nGET / HTTP/1.0\r\nHost: balanced.test\r\n{FORGED}\r\n"
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    has(
        &answer,
        &[
            "x-real-ip: 198.51.100.7",
            "x-forwarded-for: 198.51.100.7",
            "x-forwarded-proto: http",
            "x-forwarded-host: balanced.test",
        ],
    );
    assert!(!answer.contains("6.6.6.6"), "{answer}");
    // Clients of another site on that address, who speak plain HTTP, would not be understood.
    let other = App::program(&host, "unbalanced", 9748).set("nginx.listen", vec!["9730"]);
    let refused = other.try_install().expect(3);
    assert!(
        refused
            .error()
            .starts_with("cannot listen on 9730: of unbalanced and balanced one has proxy_protocol"),
        "{refused:?}"
    );
}

#[test]
fn addresses_without_tls_send_clients_to_those_with_it_but_for_challenges() {
    let host = Host::with_programs();
    host.succeed("openssl req -x509 -newkey rsa:2048 -nodes -subj /CN=test -days 30 -keyout /etc/ssl/redirect.key -out /etc/ssl/redirect.pem");
    host.copy_in("/srv/acme/.well-known/acme-challenge/token", "the challenge\n");
    let app = App::program(&host, "secured", 9732)
        .set("nginx.certificate", "/etc/ssl/redirect.pem")
        .set("nginx.certificate_key", "/etc/ssl/redirect.key")
        .set(
            "nginx.listen",
            vec![
                listen("9734", &["redirect_to_https"]),
                listen("9735", &["tls", "http2"]),
            ],
        )
        .install();
    app.switch("p1");
    let ask = |url: &str, more: &str| {
        host.succeed(&format!(
            "curl -sk -D - --resolve '*:9734:127.0.0.1' --resolve '*:9735:127.0.0.1' {more} '{url}'"
        ))
    };
    let challenge = "/.well-known/acme-challenge/token";
    let redirect = ask("http://secured.test:9734/path?query=1", "");
    assert!(redirect.starts_with("HTTP/1.1 301 "), "{redirect}");
    assert!(
        redirect.contains("Location: https://secured.test:9735/path?query=1\r\n"),
        "{redirect}"
    );
    assert!(!redirect.to_lowercase().contains("x-release"), "{redirect}");
    let by_app = ask(&format!("http://secured.test:9734{challenge}"), "");
    assert!(by_app.to_lowercase().contains("x-release: p1"), "{by_app}");
    let secret = ask("https://secured.test:9735/", "--http2");
    assert!(
        secret.starts_with("HTTP/2 200") && secret.contains("x-release: p1"),
        "{secret}"
    );
    let status = app.status();
    assert_eq!(status["url"], "https://secured.test:9735/", "{status:#}");
    assert_eq!(status["warnings"], serde_json::json!([]), "{status:#}");

    app.set("nginx.acme_root", "/srv/acme").install();
    for url in ["http://secured.test:9734", "https://secured.test:9735"] {
        let answer = ask(&format!("{url}{challenge}"), "");
        assert!(answer.ends_with("the challenge"), "{answer}");
    }
}
