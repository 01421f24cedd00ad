//! Going back: to a release as it was, not only to its name.

use crate::app::App;
use crate::host::Host;
use crate::load::{Load, releases};

/// The value of a variable in the container that runs in a color.
fn variable(app: &App<'_>, color: &str, name: &str) -> String {
    let format = "{{range .Config.Env}}{{println .}}{{end}}";
    let container = format!("{}-{}", app.name(), app.port(color));
    let all = app
        .host()
        .succeed(&format!("docker inspect --format '{format}' {container}"));
    let prefix = format!("{name}=");
    all.lines()
        .find_map(|line| line.strip_prefix(&prefix))
        .unwrap_or_default()
        .to_owned()
}

#[test]
fn previous_release_comes_back_with_its_own_image_and_environment_and_again_toggles() {
    let host = Host::with_images();
    let app = App::docker(&host, "back", 9120)
        .set("run.env.MARK", "old")
        .set("run.docker_options", vec!["--label=x=old"]);
    let app = app.install();
    app.switch("v1");
    // A new manifest: other variables and settings for what is released from now on.
    let app = app
        .set("run.env.MARK", "new")
        .set("run.docker_options", vec!["--label=x=new"])
        .install();
    app.switch("v2");
    assert_eq!(variable(&app, "green", "MARK"), "new");

    let load = Load::on(&app);
    let report = app.bgctl("rollback", "--json").expect(0).json();
    assert_eq!(
        (&report["verb"], &report["release"], &report["replaces"]),
        (&"rollback".into(), &"v1".into(), &"v2".into())
    );
    app.is_served_by("v1", "blue");
    assert_eq!(variable(&app, "blue", "MARK"), "old");
    // What the image itself says about its release, whatever bgctl calls it.
    assert_eq!(variable(&app, "blue", "RELEASE"), "v1");
    assert_eq!(
        host.succeed("docker inspect --format '{{.Config.Labels.x}}' back-9120"),
        "old"
    );

    app.bgctl("rollback", "").expect(0);
    app.is_served_by("v2", "green");
    assert_eq!(
        (variable(&app, "green", "MARK"), variable(&app, "green", "RELEASE")),
        ("new".into(), "v2".into())
    );
    assert_eq!(releases(&load.stop()), ["v2 in green", "v1 in blue"]);
}

#[test]
fn any_release_on_record_can_be_named_and_others_cannot() {
    let host = Host::with_images();
    let app = App::docker(&host, "named", 9122).install();
    for release in ["v1", "v2", "v3"] {
        app.switch(release);
    }
    app.bgctl("rollback", "--to v1").expect(0);
    app.is_served_by("v1", "green");

    let unknown = app.bgctl("rollback", "--to v9").expect(3);
    assert!(
        unknown.error().starts_with("cannot roll back named to v9: "),
        "{unknown:?}"
    );
    assert!(
        unknown.stderr.contains("hint: ") && unknown.stderr.contains("v1, v2, v3"),
        "{unknown:?}"
    );
    let same = app.bgctl("rollback", "--to v1").expect(3);
    assert!(same.error().starts_with("cannot roll back named to v1: "), "{same:?}");
    app.is_served_by("v1", "green");
}

#[test]
fn with_nothing_to_go_back_to_it_is_refused() {
    let host = Host::with_programs();
    let app = App::program(&host, "first", 9120).install();
    let refused = app.bgctl("rollback", "").expect(3);
    assert!(refused.error().starts_with("cannot roll back first: "), "{refused:?}");
    app.switch("p1");
    let refused = app.bgctl("rollback", "").expect(3);
    assert!(refused.error().starts_with("cannot roll back first: "), "{refused:?}");
    app.is_served_by("p1", "blue");
}

#[test]
fn while_the_old_color_is_warm_a_rollback_is_a_flip_only() {
    let host = Host::with_programs();
    let app = App::program(&host, "warm", 9122).set("drain.keep_warm", true).install();
    app.switch("p1");
    app.switch("p2");
    assert_eq!(
        app.unit_state("blue"),
        "active disabled",
        "the old color is kept warm, and does not come back at boot"
    );
    let started = |color: &str| {
        host.succeed(&format!(
            "systemctl show -P ActiveEnterTimestampMonotonic -P MainPID {}",
            app.unit(color)
        ))
    };
    let before = (started("blue"), started("green"));

    let load = Load::on(&app);
    let report = app.bgctl("rollback", "--json").expect(0).json();
    assert_eq!(releases(&load.stop()), ["p2 in green", "p1 in blue"]);
    assert_eq!(
        (started("blue"), started("green")),
        before,
        "nothing was started or stopped"
    );
    assert_eq!(
        (app.unit_state("blue"), app.unit_state("green")),
        ("active enabled".into(), "active disabled".into())
    );
    assert_eq!(app.get("/").header("x-release"), "p1");
    assert_eq!(app.cursor(), "blue p1");
    assert!(report["total_ms"].as_u64() < Some(2_000), "{report:#}");
    let role = |color: &str| host.succeed(&format!("systemctl show -P Description {}", app.unit(color)));
    assert!(
        role("blue").contains("active") && role("green").contains("idle"),
        "{} {}",
        role("blue"),
        role("green")
    );
}
