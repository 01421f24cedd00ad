//! The command line only follows: it can go away, come back, and come second.

use crate::app::App;
use crate::host::Host;

#[test]
fn detached_switch_runs_on_and_can_be_followed() {
    let host = Host::with_images();
    let app = App::docker(&host, "detach", 9140).install();
    app.switch("v1");
    let started = app
        .bgctl("switch", &format!("{} --detach --json", app.release("late")))
        .expect(0)
        .json();
    assert_eq!(started["outcome"], "running", "{started:#}");
    let followed = app.bgctl("switch", "--follow --json").expect(0).json();
    assert_eq!(
        (&followed["outcome"], &followed["release"]),
        (&"done".into(), &"late".into())
    );
    assert_eq!(followed["switch"], started["switch"]);
    app.is_served_by("late", "green");

    let nothing = app.bgctl("switch", "--follow").expect(3);
    assert!(nothing.error().starts_with("cannot follow: "), "{nothing:?}");
}

#[test]
fn ctrl_c_ends_the_following_and_not_the_switch() {
    let host = Host::with_images();
    let app = App::docker(&host, "ctrlc", 9142).install();
    app.switch("v1");
    let client = host.spawn(&format!("exec bgctl switch ctrlc {}", app.release("late")));
    app.wait_for_step("start green");
    host.succeed("pkill -INT -f '^bgctl switch ctrlc'");
    let output = Host::wait(client).expect(130);
    for said in [
        "to late continues: start green",
        "bgctl switch ctrlc --follow",
        "bgctl abort ctrlc",
    ] {
        assert!(output.stderr.contains(said), "{said}: {output:?}");
    }
    assert_ne!(app.open_switch(), "");
    app.bgctl("switch", "--follow").expect(0);
    app.is_served_by("late", "green");
}

#[test]
fn follower_that_cannot_see_the_end_is_told_so_and_follows_again() {
    let host = Host::boot("no-bus");
    host.copy_program();
    let gate = "while test -e /run/gate; do sleep 0.1; done";
    let app = App::program(&host, "unseen", 9100).set("verify.commands", vec![gate]);
    let app = app.install();
    app.switch("p1");
    host.succeed("touch /run/gate");
    let client = host.spawn("bgctl switch unseen --release p2");
    app.wait_for_step("verify");
    // The unit of the worker, which is started again, would bring the bus back.
    host.succeed("systemctl mask --runtime dbus.socket && systemctl stop dbus.socket dbus.service");
    let lost = Host::wait(client).expect(4);
    assert!(
        lost.error().starts_with("cannot tell how switch 0002 of unseen ends: "),
        "{lost:?}"
    );
    assert!(lost.stderr.contains("bgctl switch unseen --follow"), "{lost:?}");
    host.succeed("systemctl unmask --runtime dbus.socket && systemctl start dbus.socket");
    let again = host.spawn("bgctl switch unseen --follow");
    app.wait_for_step("verify");
    host.succeed("rm /run/gate");
    Host::wait(again).expect(0);
    app.is_served_by("p2", "green");
}

#[test]
fn second_switch_and_whatever_else_would_disturb_is_told_that_one_runs() {
    let host = Host::with_images();
    let app = App::docker(&host, "busy", 9144).install();
    app.switch("v1");
    app.switch("v2");
    app.bgctl("switch", &format!("{} --detach", app.release("late")))
        .expect(0);
    let second = app.bgctl("switch", &app.release("v3")).expect(5);
    assert!(second.error().starts_with("cannot "), "{second:?}");
    assert!(
        second.stderr.contains("hint: ") && second.stderr.contains("--follow"),
        "{second:?}"
    );
    for verb in ["rollback", "stage", "promote"] {
        app.bgctl(verb, "").expect(5);
    }
    app.bgctl("uninstall", "--yes").expect(5);
    app.try_install().expect(5);
    let status = app.status();
    assert_eq!(
        (&status["open_switch"]["release"], &status["open_switch"]["running"]),
        (&"late".into(), &true.into())
    );
    app.bgctl("switch", "--follow").expect(0);
    app.is_served_by("late", "blue");
}

#[test]
fn second_command_during_a_pull_is_told_that_one_is_at_work() {
    let host = Host::with_images();
    let app = App::docker(&host, "pulls", 9148).install();
    app.switch("v1");
    app.switch("v2");
    // A registry that takes connections and never answers.
    host.succeed("systemd-run --quiet --unit=mute systemd-socket-activate --listen=5999 sleep infinity");
    let first = host.spawn("exec bgctl switch pulls --image localhost:5999/slow:1 --release slow");
    host.wait_until("grep -q '^bgctl switch' /var/lib/bgctl/pulls/lock");
    let second = [
        app.bgctl("switch", &app.release("v3")),
        app.bgctl("rollback", ""),
        app.bgctl("uninstall", "--yes"),
        app.bgctl("repair", ""),
        app.try_install(),
    ];
    for refused in second {
        let refused = refused.expect(5);
        assert!(refused.error().contains(": bgctl switch (process "), "{refused:?}");
    }
    assert_eq!(app.status()["cursor"]["release"], "v2");
    app.bgctl("abort", "").expect(3);
    host.succeed("pkill -INT -f '^bgctl switch pulls'");
    Host::wait(first);
    host.succeed("systemctl stop mute");
    app.switch("v3");
    app.is_served_by("v3", "blue");
}

#[test]
fn following_starts_no_worker() {
    let host = Host::with_programs();
    let app = App::program(&host, "still", 9406).install();
    app.switch("p1");
    let gate = "while test -e /run/still; do sleep 0.1; done";
    let app = app.set("verify.commands", vec![gate]).install();
    host.succeed("touch /run/still");
    app.bgctl("switch", "--release p2 --detach").expect(0);
    app.wait_for_step("verify");
    host.succeed("systemctl stop bgctl-switch@still");
    let followed = app.bgctl("switch", "--follow").expect(4);
    assert!(followed.stderr.contains("bgctl resume still"), "{followed:?}");
    host.fail("systemctl is-active bgctl-switch@still");
    host.succeed("rm /run/still");
    app.bgctl("resume", "").expect(0);
    app.is_served_by("p2", "green");
}

#[test]
fn two_switches_at_the_very_same_time_are_one_and_a_refusal() {
    let host = Host::with_programs();
    let app = App::program(&host, "race", 9140).install();
    app.switch("p1");
    let both = ["p2", "p3"].map(|release| host.spawn(&format!("bgctl switch race --release {release} --json")));
    let both = both.map(Host::wait);
    let mut codes = [both[0].status, both[1].status];
    codes.sort_unstable();
    // Where one was done before the other looked, both were done.
    assert!(codes == [0, 5] || codes == [0, 0], "{both:?}");
    app.wait_until_closed();
    let (release, color) = if codes == [0, 0] {
        (app.get("/").header("x-release").to_owned(), "blue")
    } else {
        (if both[0].status == 0 { "p2" } else { "p3" }.to_owned(), "green")
    };
    app.is_served_by(&release, color);
}

#[test]
fn status_follows_a_release_from_color_to_color() {
    let host = Host::with_images();
    let app = App::docker(&host, "shown", 9146).install();
    app.switch("v1");
    app.switch("v2");
    let status = app.status();
    assert_eq!(
        (&status["serving"], &status["agrees"]),
        (&"green".into(), &true.into()),
        "{status:#}"
    );
    assert_eq!(status["problems"].as_array().map(Vec::len), Some(0), "{status:#}");
    let colors = status["colors"].as_array().unwrap();
    let green = colors.iter().find(|color| color["color"] == "green").unwrap();
    assert_eq!(
        (&green["role"], &green["state"], &green["enabled"]),
        (&"active".into(), &"active".into(), &true.into())
    );
    assert_eq!(
        (&green["release"], &green["healthy"], &green["port"]),
        (&"v2".into(), &true.into(), &9147.into())
    );
    let is_measured = green["memory_bytes"].as_u64() > Some(10_000);
    assert!(
        is_measured == host.has_memory_controller() && green["since"].is_string(),
        "{green:#}"
    );
    let blue = colors.iter().find(|color| color["color"] == "blue").unwrap();
    assert_eq!(
        (&blue["role"], &blue["state"], &blue["enabled"]),
        (&"idle".into(), &"inactive".into(), &false.into())
    );

    // For people.
    let text = app.bgctl("status", "").expect(0).stdout;
    assert!(
        text.contains("green with v2") && text.contains("shown@9147.service"),
        "{text}"
    );
    let all = host.bgctl("status").expect(0).stdout;
    assert!(
        all.lines()
            .any(|line| line.starts_with("shown ") && line.contains("v2")),
        "{all}"
    );
    let nobody = host.fail("runuser -u nobody -- bgctl status");
    assert!(nobody.stderr.contains("hint: sudo bgctl status"), "{nobody:?}");

    // What does not agree is told.
    host.succeed("ln -sfn to.blue /var/lib/bgctl-routes/shown/active");
    let status = app.status();
    assert_eq!(status["agrees"], false, "{status:#}");
    assert_ne!(status["problems"].as_array().map(Vec::len), Some(0), "{status:#}");
    host.succeed("ln -sfn to.green /var/lib/bgctl-routes/shown/active");
}
