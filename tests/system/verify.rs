//! The checks of a release, before it takes traffic.

use toml::Table;

use crate::app::App;
use crate::host::Host;
use crate::load::{Load, releases};

/// The app with these checks, in TOML.
fn with<'h>(app: App<'h>, checks: &str) -> App<'h> {
    let checks: Table = checks.parse().unwrap();
    app.set("verify", checks["verify"].clone()).install()
}

#[test]
fn release_that_answers_otherwise_than_it_should_takes_no_traffic() {
    const OF_ANY: &str = r#"
        [[verify]]
        path = "/api/stories?all"
        status = [200, 203]
        header = { Content-Type = "application/json" }
        body_contains = "["
        [[verify]]
        path = "/nowhere"
        method = "HEAD"
        status = 404
    "#;
    const OF_BLUE: &str = r#"
        [[verify]]
        name = "color"
        path = "/health"
        header = { X-Color = "blue" }
        json = { "/status" = "healthy" }
        retries = 1
    "#;
    const OF_P1: &str = r#"
        [[verify]]
        path = "/api/instance"
        json = { "/release" = "p1", "/healthy" = true }
        retries = 1
    "#;
    let host = Host::with_programs();
    let app = with(App::program(&host, "vfhttp", 9870), &[OF_ANY, OF_BLUE, OF_P1].concat());
    app.switch("p1");
    let refused = |app: &App<'_>, said: &str| {
        let load = Load::on(app);
        let output = app.bgctl("switch", "--release p2").expect(1);
        assert_eq!(releases(&load.stop()), ["p1 in blue"]);
        assert_eq!(output.error(), format!("cannot verify green: {said}"), "{output:?}");
        app.is_served_by("p1", "blue");
    };
    refused(
        &app,
        "color: GET /health answered 200 with X-Color: \"green\", expected \"blue\"",
    );
    let app = with(app, &[OF_ANY, OF_P1].concat());
    refused(
        &app,
        "GET /api/instance answered 200 with \"p2\" at /release, expected \"p1\"",
    );
    let app = with(app, OF_ANY);
    app.switch("p2");
    // A rollback asks what its own release was asked.
    let report = app.bgctl("rollback", "--json").expect(0).json();
    assert_eq!(report["outcome"], "done", "{report:#}");
}

#[test]
fn command_is_bounded_and_leaves_nothing() {
    let host = Host::with_programs();
    let app = App::program(&host, "vfbound", 9872).install();
    app.switch("p1");
    let check = |app, line: &str, more: &str| {
        let checks = format!("[[verify]]\ncommand = '''{line}'''\n{more}\n");
        with(app, &checks)
    };
    let sleeper = "exec sleep 7654";
    let forks = format!("setsid sleep 7654 & ({sleeper}) & echo begun; {sleeper}");
    let mut cases = vec![
        (
            forks.as_str(),
            "timeout = \"1s\"",
            vec!["it was killed after 1s: begun"],
        ),
        (
            "echo \"no ${BGCTL_APP} %n\" >&2; exit 7",
            "retries = 1",
            vec!["exit status: 7: no vfbound %n"],
        ),
        (
            "true",
            "user = \"nobody-here\"\nretries = 1",
            vec!["there is no user nobody-here on this host"],
        ),
        (
            "yes | head -c 200K; exec sleep 7654",
            "timeout = \"1s\"",
            vec!["it was killed after 1s"],
        ),
    ];
    if host.has_memory_controller() {
        // Where the kernel's word of it does not reach systemd (cgroup v1), it only knows how the process ended.
        let says = vec!["it needed more memory than its 16 MiB", "it was killed by signal 9"];
        cases.push(("exec tail -c 200M /dev/zero", "memory = \"16M\"", says));
    }
    let mut app = app;
    for (line, more, says) in cases {
        app = check(app, line, more);
        let load = Load::on(&app);
        let output = app.bgctl("switch", "--release p2").expect(1);
        let error = output.error();
        assert!(error.starts_with("cannot verify green: cannot run `"), "{output:?}");
        assert!(says.iter().any(|says| error.contains(says)), "{says:?}: {output:?}");
        assert_eq!(releases(&load.stop()), ["p1 in blue"]);
        let unit = "bgctl-verify-vfbound.service";
        host.fail("pgrep -xf 'sleep 7654'");
        assert_eq!(
            host.succeed(&format!("systemctl show -P LoadState {unit}")).trim(),
            "not-found"
        );
    }
    let own = "test $(id -u) != 0 && ! test -e /var/lib/bgctl/vfbound && touch /tmp/mine && ! touch /usr/mine && \
               test \"$BGCTL_PREVIOUS_RELEASE/$BGCTL_RELEASE/$BGCTL_COLOR\" = p1/p2/green && \
               test \"${BGCTL_URL}\" = http://127.0.0.1:$PORT && curl -fsS $BGCTL_URL/health";
    let root = "test $(id -u) = 0 && ! test -e /var/lib/bgctl/vfbound";
    let both = format!("[[verify]]\ncommand = '''{own}'''\n[[verify]]\ncommand = '''{root}'''\nuser = \"root\"\n");
    let app = with(app, &both);
    app.switch("p2");
}

#[test]
fn command_ends_with_its_worker() {
    let host = Host::with_programs();
    let app = App::program(&host, "vfkilled", 9874).install();
    app.switch("p1");
    let line =
        "echo run >>/run/vfkilled; test $(wc -l </run/vfkilled) = 2 || exec sleep 7655; ! pgrep -xf 'sleep 7655'";
    let app = app.set("verify.commands", vec![line]).install();
    app.bgctl("switch", "--release p2 --detach").expect(0);
    host.wait_until("pgrep -xf 'sleep 7655'");
    host.succeed("systemctl kill --kill-who=main -s KILL bgctl-switch@vfkilled");
    app.wait_until_closed();
    app.is_served_by("p2", "green");
    assert_eq!(host.succeed("wc -l </run/vfkilled").trim(), "2");
    app.bgctl("switch", "--release p3 --detach").expect(0);
    host.wait_until("pgrep -xf 'sleep 7655'");
    app.bgctl("abort", "").expect(0);
    host.fail("pgrep -xf 'sleep 7655'");
    app.is_served_by("p2", "green");
}
