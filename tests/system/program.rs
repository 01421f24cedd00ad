//! The executable runtime, and what systemd and nginx themselves say about what is rendered.

use crate::app::App;
use crate::host::Host;

#[test]
fn the_rendered_unit_is_hardened_and_systemd_finds_nothing_wrong_with_it() {
    let host = Host::with_programs();
    let app = App::program(&host, "hard", 9170).set("run.memory", "64M").install();
    app.switch("p1");
    host.succeed("systemd-analyze security --no-pager --threshold=30 hard@9170");
    for unit in ["hard@9170.service", "bgctl-switch@hard.service", "nginx.service"] {
        let verified = host.run(&format!("systemd-analyze verify --man=no {unit}")).expect(0);
        let about_us: Vec<_> = verified
            .stderr
            .lines()
            .filter(|line| line.contains("hard@") || line.contains("bgctl"))
            .collect();
        assert!(about_us.is_empty(), "{about_us:?}");
    }
    let user = host.succeed("ps -o user= -p $(systemctl show -P MainPID hard@9170)");
    assert_ne!(user, "root");
    assert_eq!(
        host.succeed("systemctl show -P MemoryMax hard@9170"),
        (64 << 20).to_string()
    );
}

#[test]
fn the_unit_of_a_container_is_one_that_systemd_finds_nothing_wrong_with() {
    let host = Host::with_images();
    let app = App::docker(&host, "fine", 9190).install();
    app.switch("v1");
    for unit in ["fine@9190.service", "bgctl-switch@fine.service", "nginx.service"] {
        let verified = host.run(&format!("systemd-analyze verify --man=no {unit}")).expect(0);
        let about_us: Vec<_> = verified
            .stderr
            .lines()
            .filter(|line| line.contains("fine@") || line.contains("bgctl"))
            .collect();
        assert!(about_us.is_empty(), "{about_us:?}");
    }
}

#[test]
fn a_program_gets_its_arguments_environment_and_credentials() {
    let host = Host::with_programs();
    host.copy_in(
        "/opt/demo/wrapper",
        "#!/bin/sh\nfor each; do echo \"argument <$each>\"; done\necho \"variable <$SPACED>\"\n\
         echo \"credential <$(cat $CREDENTIALS_DIRECTORY/db)>\"\nexec /opt/demo/bdd-assistant\n",
    );
    host.succeed("chmod +x /opt/demo/wrapper && echo hunter2 >/root/db.password && chmod 600 /root/db.password");
    let app = App::program(&host, "args", 9172)
        .set("run.exec", "/opt/demo/wrapper")
        .set(
            "run.args",
            vec!["--port", "{port}", "two words", "100%", "$HOME", "a\"b'c"],
        )
        .set("run.env.SPACED", "a b  c $HOME %i \"q\" \\ end")
        .set("run.credentials.db", "/root/db.password")
        .install();
    app.switch("p1");
    let log = host.succeed("journalctl -q -u args@9172 --output=cat");
    for line in [
        "argument <--port>",
        "argument <9172>",
        "argument <two words>",
        "argument <100%>",
        "argument <$HOME>",
        "argument <a\"b'c>",
        "variable <a b  c $HOME %i \"q\" \\ end>",
        "credential <hunter2>",
    ] {
        assert!(log.lines().any(|there| there == line), "no {line} in:\n{log}");
    }
}

#[test]
fn a_unit_started_by_hand_is_health_gated_as_in_a_switch() {
    let host = Host::with_programs();
    let app = App::program(&host, "hand", 9174)
        .set("health.deadline", "2s")
        .set("run.env.START_DELAY_MS", "700")
        .install();
    app.switch("p1");
    host.succeed("systemctl restart hand@9174");
    assert_eq!(app.get("/health").status, 200, "restart came back, so it is healthy");
    let app = app.set("run.env.UNHEALTHY", "1").install();
    app.try_switch("p2").expect(1);
    app.is_served_by("p1", "blue");
    // Nothing is pinned to green: by hand it does not start, and says why.
    host.fail("systemctl start hand@9175");
}

#[test]
fn drop_ins_and_include_files_of_the_operator_count_and_stay() {
    let host = Host::with_programs();
    let app = App::program(&host, "adapt", 9176).install();
    app.switch("p1");
    host.copy_in(
        "/etc/systemd/system/adapt@.service.d/own.conf",
        "[Service]\nEnvironment=OWN=yes\n",
    );
    host.copy_in("/etc/nginx/adapt.d/own.conf", "add_header X-Own yes always;\n");
    {
        let _stir = host.stir();
        host.succeed("systemctl daemon-reload && systemctl reload nginx");
    }
    let again = app.try_install().expect(0);
    assert!(again.stdout.contains("nothing to do"), "{again:?}");
    app.switch("p2");
    assert!(
        host.succeed("tr '\\0' '\\n' </proc/$(systemctl show -P MainPID adapt@9177)/environ")
            .contains("OWN=yes")
    );
    assert_eq!(app.get("/").header("x-own"), "yes");
}

#[test]
fn nginx_accepts_every_site_that_the_rendering_tests_expect() {
    let host = Host::with_programs();
    let folder = "/root/sites";
    host.succeed(&format!(
        "mkdir {folder} && openssl req -x509 -newkey rsa:2048 -nodes -subj /CN=test -days 1 \
         -keyout {folder}/key -out {folder}/certificate 2>/dev/null"
    ));
    let cases = host.succeed("ls -d /vagrant/tests/render/*/expected");
    assert!(cases.lines().count() >= 5, "{cases}");
    for case in cases.lines() {
        host.succeed(&format!(
            "cat {case}/*.conf | sed 's#\\(ssl_certificate\\) .*#\\1 {folder}/certificate;#; \
             s#\\(ssl_certificate_key\\) .*#\\1 {folder}/key;#' >{folder}/site.conf && \
             echo 'events {{}} http {{ include {folder}/site.conf; }}' >{folder}/nginx.conf && \
             nginx -t -q -c {folder}/nginx.conf"
        ));
    }
}
