//! What other sites of the host, which are none of bgctl's, do to one that is.

use crate::app::App;
use crate::host::Host;
use crate::lock::Lock;

/// A host whose nginx a test may break, restart and repair, alone.
fn host() -> (Host, Lock) {
    let host = Host::shared("vhosts", Host::use_local_store);
    let alone = host.alone();
    (host, alone)
}

/// The warnings of `bgctl status APP --json`.
fn warnings(app: &App<'_>) -> Vec<String> {
    let status = app.status();
    let all = status["warnings"].as_array().unwrap();
    all.iter()
        .map(|each| each["warning"].as_str().unwrap().to_owned())
        .collect()
}

#[test]
fn visitors_that_another_site_answers_are_told_and_fail_no_switch() {
    let host = Host::with_programs();
    let address = host.address();
    // First, so that nginx has one socket for all IPv4 addresses of the port.
    App::program(&host, "shadowed", 9708)
        .set("nginx.listen", vec!["9710"])
        .install();
    host.copy_in(
        "/etc/nginx/conf.d/neighbour.conf",
        &format!(
            "server {{\n    listen 127.0.0.1:9710;\n    listen {address}:9710;\n    listen [::]:9710;\n    return 418;\n}}\n"
        ),
    );
    let app = App::program(&host, "shadowed", 9708).set("nginx.listen", vec!["9710"]);
    let app = app.set("nginx.read_timeout", "61s");
    let installed = app.try_install().expect(0);
    let told = [
        "127.0.0.1:9710".to_owned(),
        format!("{address}:9710"),
        "[::]:9710".to_owned(),
    ];
    let told = told.map(|address| {
        format!(
            "visitors who ask {address} for shadowed.test are answered by a site of /etc/nginx/conf.d/neighbour.conf"
        )
    });
    for warning in &told {
        assert!(installed.stderr.contains(warning), "{warning}: {installed:?}");
    }
    app.switch("p1");
    app.switch("p2");
    app.bgctl("rollback", "").expect(0);
    let found = warnings(&app);
    assert!(
        found.len() == 3 && told.iter().all(|warning| found.contains(warning)),
        "{found:#?}"
    );
    assert_eq!(app.status()["agrees"], true);
    // Where the site listens there as well, the name decides.
    let app = app
        .set(
            "nginx.listen",
            vec![
                "9710".to_owned(),
                "127.0.0.1:9710".to_owned(),
                format!("{address}:9710"),
                "[::]:9710".to_owned(),
            ],
        )
        .install();
    assert_eq!(warnings(&app), [""; 0]);
    let ask = |to: &str| {
        let ask =
            format!("curl -s -o /dev/null -w '%{{http_code}}' --connect-to ::{to}:9710 http://shadowed.test:9710/");
        host.succeed(&ask)
    };
    for to in ["127.0.0.1".to_owned(), address.to_string()] {
        assert_eq!(ask(&to), "200", "{to}");
    }
}

#[test]
fn address_that_nginx_takes_only_by_a_restart_is_told_and_taken_by_one() {
    let (host, _alone) = host();
    let address = host.address();
    host.copy_in(
        "/etc/nginx/conf.d/exact.conf",
        &format!("server {{\n    listen {address}:9716;\n    return 418;\n}}\n"),
    );
    host.succeed("nginx -t -q && nginx -s reload");
    let listens = format!("ss -Hltn sport = :9716 | grep -F {address}:9716");
    host.wait_until(&listens);
    let app = App::program(&host, "everywhere", 9714).set("nginx.listen", vec!["9716"]);
    let refused = app.try_install().expect(3);
    assert!(
        refused.stderr.contains("bind() to 0.0.0.0:9716 failed")
            && refused.stderr.contains("the same command with --restart-nginx"),
        "{refused:?}"
    );
    host.fail("test -e /etc/nginx/sites-enabled/everywhere.conf");
    host.succeed(&listens);
    host.bgctl(&format!("install {} --restart-nginx", app.manifest()))
        .expect(0);
    app.switch("p1");
    let ask = "curl -s -o /dev/null -w '%{http_code}' http://everywhere.test:9716/ --connect-to";
    assert_eq!(host.succeed(&format!("{ask} ::127.0.0.1:9716")), "200");

    // What else listens on the port is no matter of nginx: it is not stopped for that.
    host.succeed(
        "systemd-run --quiet --unit=squatter perl -MIO::Socket::INET -e \
         'my $s = IO::Socket::INET->new(LocalAddr => \"127.0.0.1\", LocalPort => 9720, Listen => 1, ReuseAddr => 1) or die; sleep'",
    );
    host.wait_until("ss -Hltn sport = :9720 | grep -q .");
    let other = App::program(&host, "squatted", 9718).set("nginx.listen", vec!["9720"]);
    other.write_manifest();
    let master = host.succeed("systemctl show -P MainPID nginx");
    let refused = host
        .bgctl(&format!("install {} --restart-nginx", other.manifest()))
        .expect(3);
    assert!(
        refused.stderr.contains("listens on 127.0.0.1:9720: stop it"),
        "{refused:?}"
    );
    assert_eq!(host.succeed("systemctl show -P MainPID nginx"), master);
    host.succeed("systemctl stop squatter");
    host.fail("test -e /etc/nginx/sites-enabled/squatted.conf");

    // Without the app nginx has to listen on the exact address again, which is the same the other way round.
    let refused = app.bgctl("uninstall", "--yes").expect(3);
    assert!(
        refused.stderr.contains("the same command with --restart-nginx"),
        "{refused:?}"
    );
    assert_eq!(host.succeed(&format!("{ask} ::127.0.0.1:9716")), "200");
    app.bgctl("uninstall", "--yes --restart-nginx").expect(0);
    host.succeed(&listens);
    host.succeed("rm /etc/nginx/conf.d/exact.conf && nginx -s reload");
}

#[test]
fn faults_of_other_sites_are_named_and_stop_no_switch() {
    let (host, _alone) = host();
    let app = App::program(&host, "whole", 9722).install();
    app.switch("p1");
    assert_eq!(warnings(&app), [""; 0]);
    let broken = [
        (
            "no_such_directive on;",
            "unknown directive \"no_such_directive\" in /etc/nginx/conf.d/blog.conf:1",
        ),
        (
            "server { listen 9724 ssl; ssl_certificate /etc/ssl/gone.pem; ssl_certificate_key /etc/ssl/gone.key; }",
            "cannot load certificate \"/etc/ssl/gone.pem\"",
        ),
    ];
    for (number, (text, reason)) in (1..).zip(broken) {
        host.copy_in("/etc/nginx/conf.d/blog.conf", &format!("{text}\n"));
        let changed = App::program(&host, "whole", 9722).set("nginx.read_timeout", "7s");
        for refused in [
            changed.try_install().expect(3),
            app.bgctl("uninstall", "--yes").expect(3),
        ] {
            let error = refused.error();
            let named = [reason, "which is not at fault", "/etc/nginx/conf.d/blog.conf"];
            assert!(named.iter().all(|named| error.contains(named)), "{refused:?}");
        }
        app.switch(&format!("q{number}"));
        app.bgctl("rollback", "").expect(0);
        let found = warnings(&app);
        assert!(
            found.len() == 1 && found[0].contains(reason) && found[0].contains("it would not start again"),
            "{found:?}"
        );
        host.succeed("rm /etc/nginx/conf.d/blog.conf && nginx -t -q");
    }
    app.bgctl("uninstall", "--yes").expect(0);
}
