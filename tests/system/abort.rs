//! Taking back what runs.

use crate::app::App;
use crate::host::Host;
use crate::load::{Load, releases, wait_for_release};

#[test]
fn switch_is_aborted_while_its_release_starts() {
    let host = Host::with_images();
    let app = App::docker(&host, "abort", 9150).install();
    app.switch("v1");
    let load = Load::on(&app);
    let client = host.spawn(&format!("bgctl switch abort {}", app.release("late")));
    app.wait_for_step("start green");
    let output = app.bgctl("abort", "").expect(0);
    assert!(output.stdout.contains("rolled back"), "{output:?}");
    Host::wait(client).expect(1);
    app.is_served_by("v1", "blue");
    assert_eq!(host.run("docker ps -aq --filter name=^/abort-9151$").stdout, "");
    assert_eq!(releases(&load.stop()), ["v1 in blue"]);

    let nothing = app.bgctl("abort", "").expect(3);
    assert!(nothing.error().starts_with("cannot abort: "), "{nothing:?}");
}

#[test]
fn switch_is_aborted_while_it_bakes_and_no_request_is_lost() {
    let host = Host::with_images();
    let app = App::docker(&host, "unbake", 9152).set("bake.duration", "30s").install();
    app.bgctl("switch", &format!("{} --detach", app.release("v1")))
        .expect(0);
    wait_for_release(&app, "v1");
    // The first release ever: there is nothing to go back to, and nothing is what it goes back to.
    app.bgctl("abort", "").expect(0);
    assert_eq!((app.get("/").status, app.cursor()), (503, "none none".into()));

    let app = app.set("bake.duration", "0s").install();
    app.switch("v1");
    let app = app.set("bake.duration", "30s").install();
    let load = Load::on(&app);
    app.bgctl("switch", &format!("{} --detach", app.release("v2")))
        .expect(0);
    wait_for_release(&app, "v2");
    let report = app.bgctl("abort", "--json").expect(0).json();
    assert_eq!(report["outcome"], "rolled-back", "{report:#}");
    app.is_served_by("v1", "blue");
    assert_eq!(releases(&load.stop()), ["v1 in blue", "v2 in green"]);
}
