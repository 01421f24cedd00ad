//! Companions: workers of the same release beside the active color, never two generations of one.

use serde_json::Value;

use crate::app::App;
use crate::host::Host;

/// The app and its worker. The worker holds a lock that no other one of its number may hold, writes down what befalls it, and after
/// its quiet signal it finishes what it has and ends. The worker of the release `bad`, or of `bad-too`, ends at its start.
const CREW: &str = r#"#!/bin/sh
test "$1" = work || exec "$DEMO"
say() { echo "$BGCTL_RELEASE $BGCTL_REPLICA $1" >>"$STATE_DIRECTORY/said"; }
exec 9>"$STATE_DIRECTORY/lock.$BGCTL_REPLICA"
flock -n 9 || { say twice; exit 7; }
case $BGCTL_RELEASE in bad*) echo "no queue here" >&2; exit 3 ;; esac
trap 'quiet=1; say quiet' USR1
trap 'say end; exit' TERM
say "start $2 ${PORT:-without port}"
while test -z "$quiet"; do sleep 0.05 9>&-; done
sleep 0.3 9>&-
say finished
"#;

/// Where the worker writes.
fn said(app: &App<'_>) -> String {
    app.host().succeed(&format!("cat /var/lib/{}/said", app.name()))
}

/// What it said since the last question.
#[track_caller]
fn says(app: &App<'_>, lines: &[&str]) {
    let said = said(app);
    app.host()
        .succeed(&format!("truncate -s 0 /var/lib/{}/said", app.name()));
    let mut told: Vec<_> = said.lines().collect();
    // Replicas move at the same time; what one says stays in order.
    told.sort_by_key(|line| line.split(' ').nth(1).map(str::to_owned));
    assert_eq!(told, lines, "{said}");
}

fn crew(app: App<'_>, replicas: i64) -> App<'_> {
    let mut worker = toml::Table::new();
    worker.insert("name".to_owned(), "worker".into());
    worker.insert("args".to_owned(), vec!["work", "{release}/{color}"].into());
    worker.insert("replicas".to_owned(), replicas.into());
    worker.insert("quiet_signal".to_owned(), "USR1".into());
    worker.insert("stop_timeout".to_owned(), "10s".into());
    app.set("companion", vec![toml::Value::Table(worker)])
}

fn program<'h>(host: &'h Host, name: &str, port: u16) -> App<'h> {
    host.copy_in("/opt/demo/crew", CREW);
    host.succeed("chmod 755 /opt/demo/crew");
    App::program(host, name, port)
        .set("run.exec", "/opt/demo/crew")
        .set("run.state_directory", true)
        .set("run.env.DEMO", "/opt/demo/bdd-assistant")
}

fn container<'h>(host: &'h Host, name: &str, port: u16) -> App<'h> {
    host.copy_program();
    host.copy_in("/opt/crew/crew", CREW);
    host.succeed(&format!(
        "chmod 755 /opt/crew/crew && mkdir -p /var/lib/{name} && chmod 777 /var/lib/{name} && tar -ch -C / --hard-dereference \
         $(ldd /bin/sh /usr/bin/flock /usr/bin/sleep | grep -o '/[^ :]*[^ :]' | sort -u | sed s,^/,,) \
         opt/demo/bdd-assistant -C /opt/crew crew | docker import --change 'ENTRYPOINT [\"/crew\"]' --change 'ENV PATH=/usr/bin:/bin' - crew:1"
    ));
    App::docker(host, name, port)
        .set("run.image", "crew:1")
        .set("run.env.DEMO", "/opt/demo/bdd-assistant")
        .set("run.env.STATE_DIRECTORY", "/state")
        .set("run.volumes", vec![format!("/var/lib/{name}:/state")])
        .set(
            "run.docker_options",
            vec!["--publish=127.0.0.1::9090", "--ulimit=nofile=4096"],
        )
}

/// `is-active` and `is-enabled` of the worker's first replica in a color.
fn worker(app: &App<'_>, color: &str) -> String {
    let unit = format!("{}_worker@{color}-1", app.name());
    let output = app.host().run(&format!(
        "systemctl is-active {unit}; systemctl is-enabled {unit} 2>/dev/null"
    ));
    output.stdout.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[track_caller]
fn is_in(app: &App<'_>, color: &str) {
    let other = if color == "blue" { "green" } else { "blue" };
    assert_eq!(worker(app, color), "active enabled");
    assert_eq!(worker(app, other), "inactive disabled");
}

fn companions(status: &Value, color: usize) -> &Value {
    &status["colors"][color]["companions"]
}

/// Moves there and back, with a release whose worker does not start in between.
#[track_caller]
fn moves(app: &App<'_>) {
    let switch = |release: &str| app.bgctl("switch", &format!("--release {release}"));
    switch("p1").expect(0);
    is_in(app, "blue");
    says(app, &["p1 1 start p1/blue without port"]);
    switch("p2").expect(0);
    is_in(app, "green");
    says(
        app,
        &["p1 1 quiet", "p1 1 finished", "p2 1 start p2/green without port"],
    );

    let failed = switch("bad").expect(1);
    let told = format!(
        "cannot start {}_worker@blue-1.service: it did not stay up: ",
        app.name()
    );
    assert!(failed.error().contains(&told), "{failed:?}");
    assert!(failed.stderr.contains("no queue here"), "{failed:?}");
    is_in(app, "green");
    says(
        app,
        &["p2 1 quiet", "p2 1 finished", "p2 1 start p2/green without port"],
    );

    app.bgctl("rollback", "").expect(0);
    is_in(app, "blue");
    says(app, &["p2 1 quiet", "p2 1 finished", "p1 1 start p1/blue without port"]);
    let status = app.status();
    assert_eq!(status["problems"], Value::Array(Vec::new()), "{status:#}");
    let worker = &companions(&status, 0)[0];
    assert_eq!(
        (&worker["name"], &worker["running"], &worker["wanted"]),
        (&"worker".into(), &1.into(), &1.into())
    );
    assert_eq!(companions(&status, 1), &Value::Array(Vec::new()));
}

#[test]
fn program_takes_its_worker_with_it() {
    let host = Host::with_programs();
    let app = crew(program(&host, "crew", 9930), 1).install();
    moves(&app);

    // What was overwritten does not keep a failed switch from putting the worker back.
    host.succeed("echo '# changed' >>/opt/demo/crew");
    app.bgctl("switch", "--release bad-too").expect(1);
    is_in(&app, "blue");
    says(
        &app,
        &["p1 1 quiet", "p1 1 finished", "p1 1 start p1/blue without port"],
    );
    host.copy_in("/opt/demo/crew", CREW);

    // A rollback finds what it starts, also where the manifest has it no more; a hand at work is put right.
    let app = app.set("companion", toml::Value::Array(Vec::new())).install();
    app.switch("p3");
    assert_eq!(worker(&app, "blue"), "inactive disabled");
    says(&app, &["p1 1 quiet", "p1 1 finished"]);
    app.bgctl("rollback", "").expect(0);
    is_in(&app, "blue");
    host.succeed("systemctl disable --now crew_worker@blue-1 && systemctl start crew_worker@blue-1");
    let problems = app.status()["problems"].to_string();
    assert!(
        problems.contains("crew_worker@blue-1.service does not start at boot"),
        "{problems}"
    );
    host.succeed("systemctl stop crew_worker@blue-1");
    app.bgctl("repair", "").expect(0);
    is_in(&app, "blue");

    app.bgctl("uninstall", "--yes").expect(0);
    let units =
        host.run("systemctl list-unit-files --no-legend 'crew*'; systemctl list-units --all --no-legend 'crew*'");
    assert_eq!(units.stdout, "");
    host.succeed("! ls -d /var/lib/bgctl/crew /etc/systemd/system/crew* /etc/systemd/system/*/crew* 2>/dev/null");
}

#[test]
fn container_takes_its_worker_with_it() {
    let host = Host::with_images();
    let app = crew(container(&host, "hands", 9932), 1).install();
    moves(&app);
    let running = || host.succeed("docker ps --format '{{.Names}}' --filter name=^/hands");
    assert_eq!(
        running().lines().collect::<Vec<_>>(),
        ["hands_worker-blue-1", "hands-9932"]
    );
    let publishes = host.succeed("docker port hands_worker-blue-1");
    assert_eq!(publishes, "");
    app.bgctl("uninstall", "--yes").expect(0);
    assert_eq!(host.succeed("docker ps -aq --filter name=^/hands"), "");
}

#[test]
fn replicas_of_the_active_color_come_back_after_a_power_cut_and_no_others() {
    let host = Host::boot("companions");
    host.use_local_store();
    let app = crew(program(&host, "crew", 9934), 3).install();
    app.switch("p1");
    app.switch("p2");
    let again = |number: u8, from: &str, to: &str| format!("{from} {number} {to}");
    let expected: Vec<_> = (1..=3)
        .flat_map(|number| {
            [
                again(number, "p1", "start p1/blue without port"),
                again(number, "p1", "quiet"),
                again(number, "p1", "finished"),
                again(number, "p2", "start p2/green without port"),
            ]
        })
        .collect();
    says(&app, &expected.iter().map(String::as_str).collect::<Vec<_>>());
    host.reboot();
    host.wait_for_unit("crew_worker@green-3");
    is_in(&app, "green");
    host.wait_until("test $(wc -l </var/lib/crew/said) = 3");
    assert!(
        said(&app)
            .lines()
            .all(|line| line.starts_with("p2 ") && line.contains(" start ")),
        "{}",
        said(&app)
    );

    // In the middle of the way back nothing is twice either.
    let child = host.spawn("exec bgctl switch crew --release bad");
    app.wait_for_step("undo: ");
    host.reboot();
    drop(Host::wait(child));
    app.wait_until_closed();
    for number in 1..=3 {
        host.wait_for_unit(&format!("crew_worker@green-{number}"));
    }
    is_in(&app, "green");
    assert!(!said(&app).contains("twice"), "{}", said(&app));
    assert_eq!(app.status()["problems"], Value::Array(Vec::new()));
}
