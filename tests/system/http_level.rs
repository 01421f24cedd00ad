//! What an operator sets for all sites of the host, where nginx's configuration has `http {`.

use crate::app::App;
use crate::host::Host;
use crate::http::{all_are, at_once};
use crate::includes::{PAGE, write_page};
use crate::load::{Load, releases};
use crate::lock::Lock;

/// Directives of the level of `http`; they are gone when this is dropped. One test at a time has them, and the host.
struct Level<'h> {
    host: &'h Host,
    /// Held.
    #[expect(dead_code, reason = "it is released when this is dropped")]
    alone: Lock,
}

impl<'h> Level<'h> {
    fn of(host: &'h Host) -> Self {
        Self {
            host,
            alone: host.alone(),
        }
    }

    /// Has these, and no others, when all workers of nginx know them.
    fn set(&self, directives: &str) {
        self.host.copy_in(FILE, &format!("{directives}\n"));
        self.host.succeed(&format!("nginx -t -q && {RELOAD}"));
    }
}

impl Drop for Level<'_> {
    fn drop(&mut self) {
        let removed = self.host.run(&format!("rm -f {FILE}; {RELOAD}"));
        assert!(removed.status == 0 || std::thread::panicking(), "{removed:?}");
    }
}

const FILE: &str = "/etc/nginx/conf.d/level.conf";
const RELOAD: &str = "old=$(pgrep -f '[n]ginx: worker') && nginx -s reload && \
                      for each in $old; do while kill -0 $each 2>/dev/null; do sleep 0.02; done; done";

/// A host whose nginx also speaks HTTP/2, with a certificate.
fn host() -> Host {
    Host::shared("http-level", |host| {
        host.use_local_store();
        write_page(host);
        host.succeed(
            "openssl req -x509 -newkey rsa:2048 -nodes -subj /CN=test -days 30 -keyout /etc/ssl/test.key -out /etc/ssl/test.pem",
        );
        host.copy_in(
            "/etc/nginx/conf.d/http2.conf",
            "server {\n    listen 443 ssl http2 default_server;\n    ssl_certificate /etc/ssl/test.pem;\n    \
             ssl_certificate_key /etc/ssl/test.key;\n    return 404;\n}\n",
        );
    })
}

/// With a certificate.
fn secret<'h>(host: &'h Host, name: &str, port: u16) -> App<'h> {
    App::program(host, name, port)
        .set("nginx.listen", vec!["443"])
        .set("nginx.certificate", "/etc/ssl/test.pem")
        .set("nginx.certificate_key", "/etc/ssl/test.key")
}

#[test]
fn settings_for_all_sites_neither_hinder_an_installation_nor_a_switch() {
    let host = host();
    let level = Level::of(&host);
    let apps = || {
        let open = App::program(&host, "open", 9100);
        (open, secret(&host, "secret", 9102))
    };
    let (open, secret) = apps();
    open.install().switch("p0");
    secret.install().switch("p0");
    let levels = [
        (
            "deny all; auth_basic closed; auth_basic_user_file /etc/passwd; root /nowhere; client_max_body_size 1; limit_rate 100k;",
            403,
        ),
        (
            "limit_req_zone $server_port zone=level:32k rate=1r/m; limit_req zone=level; \
             limit_conn_zone $server_port zone=level_conn:32k; limit_conn level_conn 1; \
             proxy_request_buffering off; proxy_buffering off; proxy_next_upstream error; keepalive_timeout 0;",
            503,
        ),
        (
            "proxy_cache_path /var/cache/nginx keys_zone=level:1m; proxy_cache level; proxy_cache_valid any 1h; \
             proxy_ignore_headers Cache-Control Expires; \
             error_page 404 500 502 503 504 /oops.html; proxy_intercept_errors on; recursive_error_pages on; \
             open_file_cache max=1000; open_file_cache_valid 60s; open_file_cache_errors on; disable_symlinks on;",
            200,
        ),
        (
            "underscores_in_headers on; gzip_types *; gzip_proxied any; gzip_min_length 1; gzip_http_version 1.0;",
            200,
        ),
    ];
    for (number, (directives, status)) in (1..).zip(levels) {
        level.set(directives);
        let (open, secret) = apps();
        // A text that differs is put in place, with all questions about it.
        let time = format!("{}s", 60 + number);
        let (open, secret) = (
            open.set("nginx.read_timeout", &*time),
            secret.set("nginx.read_timeout", &*time),
        );
        for app in [&open, &secret] {
            let installed = app.try_install();
            assert_eq!(installed.status, 0, "{directives}: {installed:?}");
            let switched = app.try_switch(&format!("p{number}"));
            assert_eq!(switched.status, 0, "{directives}: {switched:?}");
            let back = app.bgctl("rollback", "");
            assert_eq!(back.status, 0, "{directives}: {back:?}");
            let status = app.status();
            assert_eq!(status["agrees"], true, "{directives}: {status:#}");
        }
        open.try_get("/");
        assert_eq!(open.get("/").status, status, "{directives}");
    }
}

#[test]
fn caches_of_files_and_bans_on_links_do_not_delay_a_switch() {
    let host = host();
    let level = Level::of(&host);
    let app = App::program(&host, "cached", 9104).install();
    app.switch("p0");
    level.set("open_file_cache max=1000; open_file_cache_valid 60s; open_file_cache_errors on; disable_symlinks on;");
    let load = Load::on(&app);
    for (release, color) in [("p1", "green"), ("p2", "blue"), ("p3", "green")] {
        app.switch(release);
        app.is_served_by(release, color);
    }
    let report = load.stop();
    assert_eq!(
        releases(&report),
        ["p0 in blue", "p1 in green", "p2 in blue", "p3 in green"]
    );
}

#[test]
fn requests_that_a_limit_for_all_sites_delays_pass_several_switches() {
    let host = host();
    let level = Level::of(&host);
    let app = App::program(&host, "delayed", 9106).install();
    app.switch("p0");
    level.set("limit_req_zone $server_port zone=level:32k rate=20r/s; limit_req zone=level burst=100;");
    let answers = at_once(
        40,
        |_| app.try_get("/"),
        || {
            app.switch("p1");
            app.switch("p2");
        },
    );
    all_are(200, &answers);
    app.is_served_by("p2", "blue");
}

#[test]
fn pages_for_all_sites_are_shown_for_errors_of_nginx() {
    let host = host();
    let level = Level::of(&host);
    level.set("error_page 502 503 504 /oops.html;");
    host.copy_in("/etc/nginx/shown.d/page.conf", PAGE);
    let app = App::program(&host, "shown", 9108)
        .set("nginx.read_timeout", "500ms")
        .install();
    app.switch("p1");
    let is_page = |path: &str, status: u16| {
        let answer = app.get(path);
        assert_eq!(
            (answer.status, &*answer.body),
            (status, "the operator's page\n"),
            "{answer:?}"
        );
    };
    is_page("/slow?ms=2000", 504);
    host.succeed("systemctl stop shown@9108");
    is_page("/", 502);
    host.succeed("systemctl start shown@9108");
    app.is_served_by("p1", "blue");
}

#[test]
fn upload_by_http2_without_a_length_is_answered_by_the_color_that_is_active_when_it_is_whole() {
    let host = host();
    let _level = Level::of(&host);
    // The old color stays, and would answer.
    let app = secret(&host, "stream", 9110).set("drain.keep_warm", true).install();
    app.switch("p1");
    let upload = host.spawn(
        "rm -f /run/go; (printf hello; until test -e /run/go; do sleep 0.02; done; printf world) | \
         curl -skSv --http2 --resolve stream.test:443:127.0.0.1 -D - -X POST -T - https://stream.test/echo 2>/run/curl",
    );
    host.wait_until("grep '^> POST /echo HTTP/2' /run/curl");
    app.switch("p2");
    host.succeed("touch /run/go");
    let answer = Host::wait(upload).expect(0).stdout;
    assert!(
        answer.starts_with("HTTP/2 200") && answer.contains("x-release: p2") && answer.contains("\"bytes\":10"),
        "{answer}"
    );
}
