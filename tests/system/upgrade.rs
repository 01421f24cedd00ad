//! A host that bgctl 0.1.0 installed, as it was found on its disk (`upgrade/0.1.0`), under load while this bgctl takes over.

use crate::app::App;
use crate::host::Host;
use crate::load::{Load, releases};

/// Requests that go on until an installation is over: short ones, and uploads that take 3 s. Ends well where all of them do.
const REQUESTS: &str = r#"
set -e
send() { curl -sSf -o /dev/null -H 'Host: shop.test' "$@"; }
slow() { head -c 60000 /dev/zero | send --limit-rate 20k --data-binary @- http://127.0.0.1/echo; }
uploads=
for n in 1 2 3 4 5 6; do slow & uploads="$uploads $!"; sleep 0.2; done
until test -e /run/installed; do
    send http://127.0.0.1/api/instance
    head -c 20000 /dev/zero | send --data-binary @- http://127.0.0.1/echo
done
for upload in $uploads; do wait $upload; done
"#;

/// The app of the fixtures: two releases were switched to, and the third is on its way where a switch is open.
fn shop<'h>(host: &'h Host, case: &str, instances: &str) -> App<'h> {
    host.succeed(&format!(
        "cp -a /vagrant/tests/system/upgrade/0.1.0/{case}/. / && cd /var/lib/bgctl/shop && chown -R 0:0 . && \
         mkdir -p flag names/p1 names/p2 names/p3 serving/none && chmod 700 releases switches && \
         find . -name '*.env' -exec chmod 600 {{}} + && systemctl daemon-reload && systemctl restart nginx && \
         systemctl start {instances}"
    ));
    App::program(host, "shop", 9001)
}

fn host(name: &str) -> Host {
    let host = Host::boot(name);
    host.use_local_store();
    host
}

/// Installs what the host has, and fails where anything of 0.1.0 is left.
#[track_caller]
fn install(app: &App<'_>) {
    let host = app.host();
    host.bgctl("install /etc/bgctl/apps/shop.toml").expect(0);
    host.fail(
        "ls -d /var/lib/bgctl/shop/flag /var/lib/bgctl/shop/serving /var/lib/bgctl/shop/names \
         /etc/systemd/system/nginx.service.d 2>/dev/null | grep .",
    );
    host.fail("nginx -T 2>&1 | grep unix:");
    let status = app.status();
    assert_eq!(status["problems"], serde_json::json!([]), "{status:#}");
    host.succeed("systemctl restart nginx");
}

#[test]
fn apps_of_0_1_0_are_migrated_by_an_installation_and_no_request_is_lost() {
    let host = host("upgrade");
    let app = shop(&host, "active", "shop@9002");
    // Before that a switch is refused, and says what to do.
    let refused = app.bgctl("switch", "--release p3").expect(3);
    assert!(refused.stderr.contains("bgctl install"), "{refused:?}");
    // A reload of nginx closes idle connections, so each of these requests has one of its own.
    let requests = host.spawn(REQUESTS);
    host.wait_until("grep -c 'POST /echo' /var/log/nginx/shop.access.log");
    host.bgctl("install /etc/bgctl/apps/shop.toml").expect(0);
    host.succeed("touch /run/installed");
    Host::wait(requests).expect(0);
    host.succeed("touch /run/go");
    let load = Load::on(&app);
    app.switch("p3");
    assert_eq!(releases(&load.stop()), ["p2 in green", "p3 in blue"]);
    app.bgctl("rollback", "").expect(0);
    app.is_served_by("p2", "green");
    install(&app);
    app.is_served_by("p2", "green");
}

#[test]
fn switches_that_0_1_0_opened_come_to_their_end() {
    let host = host("upgrade-open");
    for (case, before) in [
        ("verify", vec!["p2 in green", "p3 in blue"]),
        ("bake", vec!["p3 in blue"]),
    ] {
        host.succeed("rm -f /run/go");
        let app = shop(&host, case, "shop@9001 shop@9002");
        let load = Load::with(&app, &["--no-keep-alive"]);
        host.succeed("systemctl start --no-block bgctl-switch@shop");
        if case == "verify" {
            app.wait_for_step("verify");
            host.succeed("touch /run/go");
        }
        app.wait_until_closed();
        assert_eq!(releases(&load.stop()), before, "{case}");
        install(&app);
        app.is_served_by("p3", "blue");
        app.bgctl("uninstall", "--yes").expect(0);
    }
}
