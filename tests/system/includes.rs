//! What an operator has in the include folder of an app.

use std::time::Duration;

use crate::app::App;
use crate::host::Host;
use crate::http::{self, Body};

/// A page of the operator's.
pub const PAGE: &str = "location = /oops.html {\n    internal;\n    allow all;\n    root /srv/pages;\n}\n";

/// Puts the page in place.
pub fn write_page(host: &Host) {
    host.copy_in("/srv/pages/oops.html", "the operator's page\n");
}

#[test]
fn own_location_keeps_what_its_pattern_caught() {
    let host = Host::with_programs();
    host.copy_in(
        "/etc/nginx/caught.d/api.conf",
        "location ~ ^/api/(.*)$ {\n    root /var/lib/bgctl-routes/caught/active;\n    \
         proxy_pass http://caught_active/$1$is_args$args;\n}\n",
    );
    let app = App::program(&host, "caught", 9554).install();
    let slow = Body {
        is_chunked: true,
        parts: 2,
        pause: Duration::from_millis(50),
    };
    for release in ["p1", "p2", "p3"] {
        app.switch(release);
        let is_answered = |answer: &http::Response, body: &str| {
            assert_eq!(
                (answer.status, answer.header("x-release")),
                (200, release),
                "{answer:?}"
            );
            assert!(answer.body.contains(body), "{answer:?}");
        };
        is_answered(&app.get("/api/health?deep=1"), "healthy");
        is_answered(&app.post("/api/echo", "body"), "\"bytes\":4");
        is_answered(&app.post("/api/echo", &"x".repeat(100_000)), "\"bytes\":100000");
        let answer = http::upload(host.address(), app.site(), "/api/echo", "body", &slow).unwrap();
        is_answered(&answer, "\"bytes\":4");
    }
}

#[test]
fn own_pages_are_shown_for_errors_of_nginx_and_answers_of_the_app_stay() {
    let host = Host::with_programs();
    write_page(&host);
    host.copy_in(
        "/etc/nginx/conf.d/paged.conf",
        "limit_req_zone $arg_limited zone=paged:32k rate=1r/m;\n",
    );
    host.copy_in(
        "/etc/nginx/paged.d/pages.conf",
        &format!(
            "error_page 403 413 429 502 503 504 /oops.html;\nproxy_intercept_errors on;\nlimit_req_status 429;\n\
             limit_req zone=paged;\ndeny 127.0.0.1;\n{PAGE}"
        ),
    );
    let app = App::program(&host, "paged", 9556)
        .set("nginx.max_body_size", "1k")
        .set("nginx.read_timeout", "1s")
        .install();
    app.switch("p1");
    let is_page = |answer: &http::Response, status: u16| {
        assert_eq!(
            (answer.status, &*answer.body),
            (status, "the operator's page\n"),
            "{answer:?}"
        );
    };
    assert_eq!(app.get("/?limited=x").status, 200);
    is_page(&app.get("/?limited=x"), 429);
    is_page(&app.post("/echo", &"x".repeat(2000)), 413);
    is_page(&app.get("/slow?ms=3000"), 504);
    let from_here = "curl -sS -w ' %{http_code}' --resolve paged.test:80:127.0.0.1 http://paged.test/";
    assert_eq!(host.succeed(from_here), "the operator's page\n 403");
    app.post("/unhealthy", "");
    let answer = app.get("/health");
    assert_eq!(
        (answer.status, answer.body.contains("unhealthy")),
        (503, true),
        "{answer:?}"
    );
    host.succeed("systemctl stop paged@9556");
    is_page(&app.get("/"), 502);
    is_page(&app.post("/echo", "body"), 502);
    host.succeed("systemctl start paged@9556");
    app.is_served_by("p1", "blue");
}

/// What an operator does to users, and the status that they get by it.
const RULES: [(&str, u16); 5] = [
    ("allow 192.0.2.1; deny all;", 403),
    ("auth_basic closed; auth_basic_user_file /etc/passwd;", 401),
    ("return 301 https://elsewhere.test$request_uri;", 301),
    ("if (-f /run/bgctl-maintenance) { return 503; }", 503),
    (
        "underscores_in_headers on; gzip on; gzip_types *; gzip_proxied any; gzip_min_length 1;",
        200,
    ),
];

#[test]
fn rules_for_users_hinder_no_command_whether_the_site_has_tls_or_not() {
    let host = Host::with_programs();
    host.succeed(
        "openssl req -x509 -newkey rsa:2048 -nodes -subj /CN=test -days 30 -keyout /etc/ssl/rules.key -out /etc/ssl/rules.pem && \
         touch /run/bgctl-maintenance",
    );
    let plain = |time: &str| App::program(&host, "ruled", 9700).set("nginx.read_timeout", time);
    let secret = |time: &str| {
        let app = App::program(&host, "ruled-tls", 9702).set("nginx.read_timeout", time);
        app.set("nginx.listen", vec!["443"])
            .set("nginx.certificate", "/etc/ssl/rules.pem")
            .set("nginx.certificate_key", "/etc/ssl/rules.key")
    };
    let statuses = |app: &App<'_>| {
        let scheme = if app.name() == "ruled" { "http" } else { "https" };
        let ask = format!(
            "head -c 20000 /dev/zero >/run/{name}.body; for body in /dev/null /run/{name}.body; do \
             curl -sk -o /dev/null -w '%{{http_code}} ' -H 'X_under_score: 1' --data-binary @$body \
             --connect-to ::127.0.0.1: {scheme}://{name}.test/echo; done",
            name = app.name(),
        );
        host.succeed(&ask).trim().to_owned()
    };
    for app in [plain("60s"), secret("60s")] {
        app.install().switch("p0");
    }
    for (number, (rule, status)) in (1..).zip(RULES) {
        for name in ["ruled", "ruled-tls"] {
            host.copy_in(&format!("/etc/nginx/{name}.d/rule.conf"), &format!("{rule}\n"));
        }
        // A text that differs is put in place, with all questions about it.
        let time = format!("{}s", 60 + number);
        for app in [plain(&time), secret(&time)] {
            let app = app.install();
            app.switch(&format!("p{number}"));
            assert_eq!(statuses(&app), format!("{status} {status}"), "{rule}");
            app.bgctl("rollback", "").expect(0);
            let now = app.status();
            assert_eq!(
                (&now["agrees"], &now["cursor"]["release"]),
                (&true.into(), &"p0".into()),
                "{rule}: {now:#}"
            );
            assert_eq!(statuses(&app), format!("{status} {status}"), "{rule}");
        }
    }
    for app in [plain("60s"), secret("60s")] {
        host.copy_in(&format!("/etc/nginx/{}.d/rule.conf", app.name()), "deny all;\n");
        app.bgctl("uninstall", "--yes").expect(0);
    }
}

#[test]
fn site_that_nginx_refuses_never_lies_where_nginx_would_read_it() {
    let host = Host::with_programs();
    host.copy_in("/etc/nginx/broken.d/own.conf", "no_such_directive on;\n");
    let app = App::program(&host, "broken", 9560);
    app.write_manifest();
    let install = || {
        let _stir = host.stir();
        let traced =
            "strace -f -y -qq -e trace=openat,rename,renameat,renameat2,link,linkat,symlinkat -o /run/broken.trace";
        let output = host.run(&format!("{traced} bgctl install {}", app.manifest()));
        let written = host
            .run("grep sites-enabled /run/broken.trace | grep -v O_RDONLY")
            .stdout;
        (output, written)
    };
    let (refused, written) = install();
    assert_eq!(refused.status, 3, "{refused:?}");
    assert!(
        refused.error().contains("unknown directive \"no_such_directive\""),
        "{refused:?}"
    );
    assert_eq!(written, "");
    host.succeed("rm /etc/nginx/broken.d/own.conf");
    let (installed, written) = install();
    assert_eq!(installed.status, 0, "{installed:?}");
    assert!(written.contains("broken.conf"), "{written}");
}
