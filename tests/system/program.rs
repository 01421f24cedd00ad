//! The executable runtime, and what systemd and nginx themselves say about what is rendered.

use std::process::Command;

use crate::app::App;
use crate::host::Host;
use crate::lock::folder;

#[test]
fn rendered_unit_is_hardened_and_systemd_finds_nothing_wrong_with_it() {
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
fn unit_of_a_container_is_one_that_systemd_finds_nothing_wrong_with() {
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
fn program_gets_its_arguments_environment_and_credentials() {
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
    assert!(
        !log.contains("race conditions"),
        "systemd says so of credentials: {log}"
    );
}

/// A library that tells who loads it, as `/opt/NAME.so` in the host.
fn copy_preload(host: &Host, name: &str) {
    let source = "#include <stdio.h>\n#include <unistd.h>\n__attribute__((constructor)) static void loaded(void) {\n\
                  dprintf(2, \"loaded by uid %d\\n\", (int)getuid());\n}\n";
    let (text, library) = (folder().join(format!("{name}.c")), folder().join(format!("{name}.so")));
    std::fs::write(&text, source).unwrap();
    let built = Command::new("gcc")
        .args(["-shared", "-fPIC", "-o"])
        .args([&library, &text])
        .status();
    assert!(built.unwrap().success());
    host.succeed(&format!("cp /vagrant/target/system-tests/{name}.so /opt/{name}.so"));
}

/// The variables of the process that runs in a unit, a line each.
fn environment(host: &Host, unit: &str) -> Vec<String> {
    let list = host.succeed(&format!(
        "tr '\\0' '\\n' </proc/$(systemctl show -P MainPID {unit})/environ"
    ));
    list.lines().map(str::to_owned).collect()
}

#[test]
fn variables_of_an_app_reach_the_app_alone() {
    let host = Host::with_programs();
    copy_preload(&host, "alone");
    // Only what is linked dynamically loads it, and the app is not.
    host.copy_in("/opt/demo/through-sh", "#!/bin/sh\nexec /opt/demo/bdd-assistant\n");
    host.succeed("chmod +x /opt/demo/through-sh");
    host.copy_in(
        "/etc/systemd/system/alone@.service.d/own.conf",
        "[Service]\nExecStartPre=/bin/sh -c 'env >&2'\nExecStartPost=+/bin/sh -c 'env >&2'\nExecStop=/bin/sh -c 'env >&2'\n",
    );
    let set = [
        ("CREDENTIALS_DIRECTORY", "/nowhere"),
        ("HOME", "/home of the app"),
        ("LD_PRELOAD", "/opt/alone.so"),
        ("MAINPID", "1"),
        ("NOTIFY_SOCKET", "/run/nobody"),
        ("PATH", "/nowhere"),
        ("SHELLOPTS", "xtrace"),
        ("TOKEN", "a b  c $HOME ${PATH} %i \"q\" 'r' `id` \\ # end"),
        ("UID", "0"),
    ];
    let mut app = App::program(&host, "alone", 9178).set("run.exec", "/opt/demo/through-sh");
    for (name, value) in set {
        app = app.set(&format!("run.env.{name}"), value);
    }
    let app = app.install();
    app.switch("p1");
    app.switch("p2");

    let is_set =
        |environment: &[String], name: &str| environment.iter().any(|line| line.starts_with(&format!("{name}=")));
    let app_has = environment(&host, "alone@9179");
    for (name, value) in set {
        assert!(app_has.contains(&format!("{name}={value}")), "{name}: {app_has:?}");
    }
    assert!(app_has.contains(&"PORT=9179".to_owned()) && app_has.contains(&"BGCTL_COLOR=green".to_owned()));
    assert!(
        !app_has.iter().any(|line| line.starts_with("BGCTL_ENV_")),
        "{app_has:?}"
    );

    let log = host.succeed("journalctl -q -u alone@9178 -u alone@9179 --output=cat");
    let loaded: Vec<_> = log.lines().filter(|line| line.starts_with("loaded by uid ")).collect();
    assert!(!loaded.is_empty() && !loaded.contains(&"loaded by uid 0"), "{loaded:?}");
    let others: Vec<_> = log.lines().map(str::to_owned).collect();
    assert_eq!(
        others.iter().filter(|line| *line == "BGCTL_RELEASE=p1").count(),
        3,
        "before, after, and at the end: {log}"
    );
    for (name, value) in set.iter().filter(|(name, _)| !["HOME", "PATH"].contains(name)) {
        let line = format!("{name}={value}");
        assert!(!others.contains(&line), "{line} in {log}");
    }
    assert!(!is_set(&others, "LD_PRELOAD") && !is_set(&others, "TOKEN"), "{log}");
}

#[test]
fn health_check_does_not_run_with_the_libraries_of_the_app() {
    let host = Host::with_programs();
    host.succeed("mkdir -p /opt/broken && echo broken >/opt/broken/libc.so.6");
    // The app has no use for it: it is linked statically.
    let app = App::program(&host, "libs", 9470)
        .set("run.env.LD_LIBRARY_PATH", "/opt/broken")
        .install();
    app.switch("p1");
    app.is_served_by("p1", "blue");
    assert!(environment(&host, "libs@9470").contains(&"LD_LIBRARY_PATH=/opt/broken".to_owned()));
}

#[test]
fn start_waits_for_the_main_process_whatever_the_app_calls_so() {
    let host = Host::with_programs();
    let app = App::program(&host, "main", 9472)
        .set("run.env.MAINPID", "1")
        .set("run.env.EXIT_AT_START", "3")
        .set("health.deadline", "50s")
        .install();
    let since = std::time::Instant::now();
    let failed = app.try_switch("p1").expect(1);
    assert!(since.elapsed().as_secs() < 25, "it ended at once: {failed:?}");
}

#[test]
fn pin_of_0_1_0_starts_until_the_next_switch() {
    let host = Host::with_programs();
    let app = App::program(&host, "older", 9474).set("run.env.TOKEN", "one").install();
    app.switch("p1");
    let folder = "/var/lib/bgctl/older";
    // As 0.1.0 wrote it: no record, the app's variables under their names, and a sum over the version and the text.
    host.succeed(&format!(
        "cd {folder} && rm 9474.json && sed -e 1d -e 's/^BGCTL_RELEASE=.*/BGCTL_RELEASE=p1/' -e 's/^BGCTL_ENV_//' \
         -e 's,^BGCTL_EXEC=.*,BGCTL_EXEC=\"/opt/demo/bdd-assistant\",' -e 's/^BGCTL_ARGS=.*/BGCTL_ARGS=\"\"/' 9474.env >/root/older.env && \
         sum=$({{ echo 2; cat /root/older.env; }} | sha256sum | cut -c 1-16) && \
         {{ echo \"# bgctl state 2 sum:$sum\"; cat /root/older.env; }} >9474.env"
    ));
    host.succeed("systemctl restart older@9474");
    app.is_served_by("p1", "blue");
    assert!(environment(&host, "older@9474").contains(&"TOKEN=one".to_owned()));
    assert_eq!(app.status()["problems"], serde_json::json!([]));
    app.switch("p2");
    app.switch("p3");
    app.is_served_by("p3", "blue");
    assert_eq!(
        host.succeed(&format!("grep -c '^TOKEN=' {folder}/9474.env || true")),
        "0"
    );
}

#[test]
fn unit_started_by_hand_is_health_gated_as_in_a_switch() {
    let host = Host::with_programs();
    let app = App::program(&host, "hand", 9174)
        .set("health.deadline", "6s")
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
fn health_deadline_is_one_for_the_unit_and_the_switch() {
    let host = Host::with_programs();
    // Healthy to the unit's own user after 4 s, and to the switch never.
    host.copy_in(
        "/opt/demo/late-and-never",
        "#!/bin/sh\ntest \"$(id -u)\" != 0 || exit 1\ntest -e /tmp/first || touch /tmp/first\n\
         test $(($(date +%s) - $(stat -c %Y /tmp/first))) -ge 4\n",
    );
    host.succeed("chmod +x /opt/demo/late-and-never");
    let app = App::program(&host, "once", 9482)
        .without("health.path")
        .set("health.command", vec!["/opt/demo/late-and-never"])
        .set("health.deadline", "6s")
        .install();
    let report = app.try_switch("p1").expect(1).json();
    let error = report["error"].as_str().unwrap();
    assert!(
        error.contains("/opt/demo/late-and-never did not succeed within 6s"),
        "{error}"
    );
    // With a deadline for each of them it was 10 s.
    let ms = report["total_ms"].as_u64().unwrap();
    assert!((5_500..9_900).contains(&ms), "{report:#}");
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
