//! Where a program lies, and what becomes of it under its release.

use super::{SERVER, program};
use crate::host::Host;

#[test]
fn program_that_its_unit_cannot_reach_is_refused_with_what_lifts_it() {
    let host = Host::with_programs();
    let app = program(&host, "homely", 9842);
    host.succeed(&format!(
        "mkdir -p /home/homely /tmp/homely /opt/closed && for folder in /home/homely /tmp/homely /opt/closed; do \
         cp {SERVER} $folder/server; done; chmod 700 /opt/closed; \
         sed '1s,.*,#!/home/homely/perl,' {SERVER} >/opt/apps/homely && chmod 755 /opt/apps/homely && \
         cp /usr/bin/perl /home/homely/"
    ));
    let app = app.install();
    app.switch("p1");
    let unit = "homely@9842.service";
    for (path, told, hint) in [
        (
            "/home/homely/server",
            format!("cannot run /home/homely/server: ProtectHome=yes of {unit} hides /home from it"),
            "service = [\"ProtectHome=read-only\"]",
        ),
        (
            "/tmp/homely/server",
            format!("cannot run /tmp/homely/server: PrivateTmp=yes of {unit} gives it a /tmp of its own, where that is not"),
            "service = [\"BindReadOnlyPaths=/tmp/homely/server\"]",
        ),
        (
            "/opt/closed/server",
            "cannot run /opt/closed/server: the user that DynamicUser=yes makes for it may not enter or run /opt/closed, which has \
             mode 0700"
                .to_owned(),
            "chmod o+x /opt/closed",
        ),
        (
            "/opt/apps/homely",
            format!(
                "cannot run /opt/apps/homely, whose interpreter is /home/homely/perl: ProtectHome=yes of {unit} hides /home from it"
            ),
            "service = [\"ProtectHome=read-only\"]",
        ),
    ] {
        let refused = app.bgctl("switch", &format!("--exec {path} --release p2"));
        assert_ne!(refused.status, 0);
        assert_eq!(refused.error(), told);
        assert!(refused.stderr.contains(hint), "{refused:?}");
    }
    app.is_served_by("p1", "blue");
    assert_eq!(app.journal()[0]["plan"]["release"], "p1", "no switch was opened");
    // By a drop-in and by the manifest.
    host.copy_in(
        "/etc/systemd/system/homely@.service.d/own.conf",
        "[Service]\nProtectHome=read-only\n",
    );
    host.succeed("systemctl daemon-reload");
    app.bgctl("switch", "--exec /home/homely/server --release p2").expect(0);
    app.is_served_by("p2", "green");
    let app = app
        .set("run.service", vec!["BindReadOnlyPaths=/tmp/homely/server"])
        .install();
    app.bgctl("switch", "--exec /tmp/homely/server --release p3").expect(0);
    app.is_served_by("p3", "blue");
}

#[test]
fn working_directory_that_its_unit_cannot_enter_is_refused() {
    let host = Host::with_programs();
    host.succeed("mkdir -p /root/rooted");
    let app = program(&host, "rooted", 9844)
        .set("run.working_directory", "/root/rooted")
        .install();
    let refused = app.bgctl("switch", "--release p1");
    assert_ne!(refused.status, 0);
    assert_eq!(
        refused.error(),
        format!(
            "cannot run {SERVER} in working_directory /root/rooted: ProtectHome=yes of rooted@9844.service hides /root from it"
        )
    );
}

/// Two releases of a program, each in a folder of its own, of which one is `current`.
fn make_releases(host: &Host, folder: &str) {
    host.succeed(&format!(
        "mkdir -p {folder}/releases/1 {folder}/releases/2 && for one in 1 2; do \
         sed \"s/healthy/code $one/\" {SERVER} >{folder}/releases/$one/server; chmod 755 {folder}/releases/$one/server; done && \
         ln -sfn releases/1 {folder}/current"
    ));
}

#[test]
fn link_that_moves_moves_no_release() {
    let host = Host::with_programs();
    let app = program(&host, "linked", 9846).set("run.exec", "/opt/linked/current/server");
    make_releases(&host, "/opt/linked");
    let app = app.install();
    app.switch("p1");
    host.succeed("ln -sfn releases/2 /opt/linked/current");
    app.is_restarted_after("systemctl kill -s KILL linked@9846", "blue");
    assert_eq!(app.get("/health").body, "code 1\n");
    assert_eq!(app.status()["problems"], serde_json::json!([]));
    app.switch("p2");
    assert_eq!(app.get("/health").body, "code 2\n");
    app.bgctl("rollback", "").expect(0);
    assert_eq!(app.get("/health").body, "code 1\n");
}

#[test]
fn program_that_was_overwritten_is_told_and_a_rollback_to_it_refused() {
    let host = Host::with_programs();
    let app = program(&host, "written", 9848).set("run.exec", "/opt/written/server");
    let write = |code: u8| {
        host.succeed(&format!(
            "mkdir -p /opt/written && sed 's/healthy/code {code}/' {SERVER} >/opt/written/new && chmod 755 /opt/written/new && \
             mv /opt/written/new /opt/written/server"
        ));
    };
    write(1);
    let app = app.install();
    app.switch("p1");
    write(2);
    let problems = app.status()["problems"].to_string();
    assert!(
        problems.contains("/opt/written/server was changed since release p1 was made of it"),
        "{problems}"
    );
    // What serves is never left down.
    app.is_restarted_after("systemctl kill -s KILL written@9848", "blue");
    assert_eq!(app.get("/health").body, "code 2\n");
    let log = host.succeed("journalctl -q -u written@9848 --output=cat");
    assert!(
        log.contains("/opt/written/server was changed since the release was made of it"),
        "{log}"
    );
    app.switch("p2");
    assert_eq!(app.status()["problems"], serde_json::json!([]));
    let refused = app.bgctl("rollback", "");
    assert_ne!(refused.status, 0);
    assert!(
        refused
            .error()
            .starts_with("cannot start release p1 of written: /opt/written/server was changed"),
        "{refused:?}"
    );
    app.is_served_by("p2", "green");
    let app = app.set("run.changed_program", "warn").install();
    let warned = app.bgctl("rollback", "").expect(0);
    assert!(warned.stderr.contains("what starts is not what it was"), "{warned:?}");
    app.is_served_by("p1", "blue");
    // The same content again, in another file: it is the release again.
    write(1);
    assert_eq!(app.status()["problems"], serde_json::json!([]));
}

#[test]
fn release_that_runs_still_is_gone_back_to_whatever_became_of_its_file() {
    let host = Host::with_programs();
    let app = program(&host, "warmed", 9858)
        .set("run.exec", "/opt/warmed/server")
        .set("drain.keep_warm", true);
    let write = |code: u8| {
        host.succeed(&format!(
            "mkdir -p /opt/warmed && sed 's/healthy/code {code}/' {SERVER} >/opt/warmed/new && chmod 755 /opt/warmed/new && \
             mv /opt/warmed/new /opt/warmed/server"
        ));
    };
    write(1);
    let app = app.install();
    app.switch("p1");
    write(2);
    app.switch("p2");
    assert_eq!(app.get("/health").body, "code 2\n");
    let back = app.bgctl("rollback", "").expect(0);
    assert!(
        back.stderr
            .contains("/opt/warmed/server was changed since: the next start of release p1 runs it"),
        "{back:?}"
    );
    assert_eq!(app.get("/health").body, "code 1\n");
}
