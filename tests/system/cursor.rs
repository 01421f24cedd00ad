//! etcd says something else: nothing is done that the cursor does not allow.

use crate::app::App;
use crate::host::Host;
use crate::load::{Load, releases};

#[test]
fn a_cursor_that_somebody_moved_meanwhile_stays_where_they_moved_it() {
    let host = Host::with_images();
    let app = App::docker(&host, "theirs", 9170).install();
    app.switch("v1");
    let load = Load::on(&app);
    app.bgctl("switch", &format!("{} --detach", app.release("late")))
        .expect(0);
    app.wait_for_step("start green");
    host.succeed("etcdctl put /theirs/instance none");
    let report = app.bgctl("switch", "--follow --json").expect(1).json();
    let error = report["error"].as_str().unwrap();
    assert!(
        error.starts_with("cannot promote green: ") && error.contains("moved the cursor"),
        "{report:#}"
    );
    assert_eq!(host.succeed("etcdctl get --print-value-only /theirs/instance"), "none");
    assert_eq!(app.get("/").header("x-release"), "v1");
    assert_eq!(
        (app.unit_state("blue"), app.unit_state("green")),
        ("active enabled".into(), "inactive disabled".into())
    );
    assert_eq!(releases(&load.stop()), ["v1 in blue"]);
    // Status tells the two apart.
    let status = app.status();
    assert_eq!(
        (&status["serving"], &status["agrees"]),
        (&"blue".into(), &false.into()),
        "{status:#}"
    );
}
