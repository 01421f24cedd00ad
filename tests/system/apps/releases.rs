//! Releases that never served, releases that are gone back to, and apps that do not end.

use super::{container, program};
use crate::host::Host;

#[test]
fn release_that_never_served_is_made_anew_under_its_name() {
    let host = Host::with_programs();
    let app = program(&host, "commits", 9850).install();
    app.switch("a1b2");
    let app = app.set("run.env.HOSTS", "wrong.test").install();
    app.bgctl("switch", "--release c3d4").expect(1);
    let app = app.set("run.env.HOSTS", "commits.test").install();
    app.switch("c3d4");
    app.is_served_by("c3d4", "green");
    // What served stays what it was.
    let app = app.set("run.env.HOSTS", "commits.test other.test").install();
    for served in ["a1b2", "c3d4"] {
        let refused = app.bgctl("switch", &format!("--release {served}")).expect(3);
        assert!(refused.error().contains("a release of this name exists"), "{refused:?}");
    }
    app.is_served_by("c3d4", "green");
}

#[test]
fn rollback_runs_the_checks_of_the_release_that_it_goes_back_to() {
    let host = Host::with_programs();
    let own = |release: &str| vec![format!("test \"$BGCTL_RELEASE\" = {release}")];
    let app = program(&host, "checked", 9852)
        .set("verify.commands", own("p1"))
        .install();
    app.switch("p1");
    let app = app
        .set("verify.commands", own("p2"))
        .set("health.path", "/port")
        .install();
    app.switch("p2");
    app.bgctl("rollback", "").expect(0);
    app.is_served_by("p1", "blue");
}

#[test]
fn app_that_has_to_be_killed_is_told() {
    let programs = Host::with_programs();
    let app = program(&programs, "stubborn", 9854)
        .set("run.env.STUBBORN", "1")
        .set("run.stop_timeout", "1s")
        .install();
    app.switch("p1");
    let told = "it did not end within 1s of being asked to, and was killed";
    let switched = app.bgctl("switch", "--release p2").expect(0);
    assert!(
        switched.stderr.contains(told) || switched.stdout.contains(told),
        "{switched:?}"
    );
    let images = Host::with_images();
    let app = container(&images, "willful", 9856)
        .set("run.env.STUBBORN", "1")
        .set("run.stop_timeout", "1s")
        .install();
    app.bgctl("switch", "--release c1").expect(0);
    let switched = app.bgctl("switch", "--release c2").expect(0);
    assert!(
        switched.stderr.contains(told) || switched.stdout.contains(told),
        "{switched:?}"
    );
    // One that ends is not told of.
    let app = app.set("run.env.STUBBORN", "").install();
    app.bgctl("switch", "--release c3").expect(0);
    let switched = app.bgctl("switch", "--release c4").expect(0);
    assert!(!format!("{switched:?}").contains("was killed"), "{switched:?}");
}
