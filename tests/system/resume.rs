//! A switch that is stuck is taken up again, when a person mended what it was stuck at.

use crate::app::App;
use crate::host::Host;
use crate::load::{Load, releases};

#[test]
fn stuck_switch_is_resumed_and_every_verb_is_safe_at_any_moment() {
    let host = Host::with_programs();
    let app = App::program(&host, "resume", 9364)
        .set("health.deadline", "3s")
        .install();
    let nothing = app.bgctl("resume", "").expect(0);
    assert!(nothing.stdout.contains("nothing to resume"), "{nothing:?}");
    app.switch("p1");
    app.switch("p2");
    host.copy_in("/opt/demo/mute", "#!/bin/sh\nexec sleep infinity\n");
    host.succeed("chmod +x /opt/demo/mute");
    let load = Load::on(&app);
    // What blue goes back to is gone when it is to go back.
    let client = host.spawn("bgctl switch resume --exec /opt/demo/mute --release p3");
    app.wait_for_step("start blue");
    host.succeed("mv /var/lib/bgctl/resume/releases/p1.json /root/");
    app.bgctl("repair", "").expect(5);
    let stuck = Host::wait(client).expect(4);
    assert!(
        stuck.stdout.contains("bgctl resume resume") && stuck.stdout.contains("p2 still serves in green"),
        "{stuck:?}"
    );
    let status = app.status();
    assert_eq!(status["problems"][0]["repair"], "bgctl resume resume", "{status:#}");
    // A worker that is resumed and fails again says so again.
    app.bgctl("resume", "").expect(4);
    let advised = app.bgctl("repair", "").expect(4);
    assert!(advised.stderr.contains("bgctl resume resume"), "{advised:?}");
    host.succeed("mv /root/p1.json /var/lib/bgctl/resume/releases/");
    let ended = app.bgctl("resume", "--json").expect(1).json();
    assert_eq!(ended["outcome"], "rolled-back", "{ended:#}");
    app.is_served_by("p2", "green");
    app.bgctl("resume", "").expect(0);
    app.bgctl("abort", "").expect(3);
    app.bgctl("repair", "").expect(0);

    assert_eq!(releases(&load.stop()), ["p2 in green"]);

    // One that runs is followed, by as many as want to; and of two that abort it both are told how it ended.
    let app = app.set("bake.duration", "30s").install();
    let load = Load::on(&app);
    app.bgctl("switch", "--release p4 --detach").expect(0);
    app.wait_for_step("bake");
    let follower = host.spawn("bgctl resume resume");
    let aborts = ["bgctl abort resume", "bgctl abort resume"].map(|command| host.spawn(command));
    let codes = aborts.map(|abort| Host::wait(abort).status);
    // The second one may come when nothing is open any more.
    assert!(
        codes.contains(&0) && codes.iter().all(|code| [0, 3].contains(code)),
        "{codes:?}"
    );
    Host::wait(follower).expect(1);
    app.is_served_by("p2", "green");
    assert_eq!(releases(&load.stop()), ["p2 in green", "p4 in blue"]);
}
