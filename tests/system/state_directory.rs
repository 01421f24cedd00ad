//! A program with a directory to write to. Both colors share it, and since version 257 systemd maps the ids of what is in it.

use crate::app::App;
use crate::host::Host;

/// Writes down each start, and then once in a while that it still runs.
const PROGRAM: &str = r#"#!/bin/sh
echo "$BGCTL_COLOR $BGCTL_RELEASE" >>"$STATE_DIRECTORY/starts" || exit 9
while :; do echo >"$STATE_DIRECTORY/$BGCTL_COLOR.beat" || exit 9; sleep 0.1; done &
exec /opt/demo/bdd-assistant
"#;

fn app<'h>(host: &'h Host, name: &str, port: u16) -> App<'h> {
    host.copy_in("/opt/demo/keeps", PROGRAM);
    host.succeed("chmod +x /opt/demo/keeps");
    App::program(host, name, port)
        .set("run.exec", "/opt/demo/keeps")
        .set("run.state_directory", true)
}

/// Waits until a color has written since now.
#[track_caller]
fn writes(app: &App<'_>, color: &str) {
    let file = format!("/var/lib/{}/{color}.beat", app.name());
    app.host().wait_until(&format!(
        "test -s {file} && truncate -s 0 {file} && sleep 0.3 && test -s {file}"
    ));
}

#[test]
fn both_colors_write_to_it_and_find_what_the_other_one_wrote() {
    let host = Host::with_programs();
    let app = app(&host, "keeps", 9604).set("drain.keep_warm", true).install();
    app.switch("p1");
    app.switch("p2");
    writes(&app, "blue");
    writes(&app, "green");
    app.switch("p3");
    app.bgctl("rollback", "").expect(0);
    let starts = host.succeed("cat /var/lib/keeps/starts");
    let expected = ["blue p1", "green p2", "blue p3"];
    assert_eq!(
        starts.lines().collect::<Vec<_>>(),
        expected,
        "a rollback finds green warm"
    );
    assert_eq!(host.succeed("readlink /var/lib/keeps"), "private/keeps");
    let owner = host.succeed("stat -c %U /var/lib/private/keeps/starts");
    assert_eq!(owner == "nobody", host.systemd_version() >= 257, "mapped from {owner}");
    let user = host.succeed("ps -o user= -p $(systemctl show -P MainPID keeps@9605)");
    assert_ne!(user, "root");
    let again = app.try_install().expect(0);
    assert!(again.stdout.contains("nothing to do"), "{again:?}");
}

#[test]
fn files_of_an_older_systemd_are_found_by_a_newer_one() {
    let host = Host::with_programs();
    let app = app(&host, "heir", 9606).install();
    app.switch("p1");
    // As up to version 256, which gives the files to the user of the unit: a host that was upgraded boots with that.
    host.succeed(
        "user=$(systemctl show -P UID heir@9606) && systemctl stop heir@9606 && \
         chown -R $user:$user /var/lib/private/heir && systemctl start heir@9606",
    );
    writes(&app, "blue");
    app.switch("p2");
    writes(&app, "green");
    let starts = host.succeed("cat /var/lib/heir/starts");
    assert_eq!(starts.lines().collect::<Vec<_>>(), ["blue p1", "blue p1", "green p2"]);
    app.is_served_by("p2", "green");
}
