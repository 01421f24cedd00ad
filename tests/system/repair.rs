//! Hands at work: what somebody stopped, edited or removed is named, and put right; what they wrote is kept.

use crate::app::{App, IMAGE};
use crate::host::{Host, Output};
use crate::load::{Load, releases, wait_for_release};

/// What `bgctl status` says is wrong, a line each: the problem, and the command.
fn problems(app: &App<'_>) -> Vec<String> {
    let status = app.status();
    let text = |problem: &serde_json::Value, key: &str| problem[key].as_str().unwrap().to_owned();
    let problems = status["problems"].as_array().unwrap().iter();
    problems
        .map(|problem| format!("{} => {}", text(problem, "problem"), text(problem, "repair")))
        .collect()
}

/// Does each hand; `status` names it with its problem, and one `repair` leaves the app served by `release` in `color` with
/// nothing to tell.
#[track_caller]
fn is_put_right(app: &App<'_>, hands: &[(&str, &str)], release: &str, color: &str) -> Output {
    let all: Vec<_> = hands.iter().map(|(hand, _)| *hand).collect();
    app.host().succeed(&all.join(" && "));
    let found = problems(app);
    for (hand, problem) in hands {
        assert!(found.iter().any(|line| line.contains(problem)), "{hand}: {found:#?}");
    }
    let repaired = app.bgctl("repair", "").expect(0);
    app.is_served_by(release, color);
    let again = app.bgctl("repair", "").expect(0);
    assert!(
        again.stdout.contains("nothing to do"),
        "{hands:?}: {repaired:?}\n{again:?}"
    );
    repaired
}

#[test]
fn drift_that_users_do_not_notice_is_repaired_unnoticed() {
    let host = Host::with_images();
    let app = App::docker(&host, "hands", 9360).install();
    app.switch("v1");
    app.switch("v2");
    assert_eq!(problems(&app), Vec::<String>::new());
    let load = Load::on(&app);
    let hands = [
        ("systemctl disable -q hands@9361", "systemctl enable hands@9361.service"),
        ("systemctl mask -q hands@9360", "systemctl unmask hands@9360.service"),
        (
            "systemctl disable -q bgctl-switch@hands",
            "systemctl enable bgctl-switch@hands.service",
        ),
        (
            "etcdctl del --prefix /hands/",
            "the cursor is missing => bgctl repair hands",
        ),
        ("rm /var/lib/bgctl/hands/9361.env", "nothing is pinned to green"),
    ];
    // Said, and not done.
    host.succeed(hands[3].0);
    let refused = app.try_switch("v3").expect(3);
    assert!(refused.stderr.contains("hint: bgctl repair hands"), "{refused:?}");
    let dry = app.bgctl("repair", "--dry-run").expect(0);
    assert!(
        dry.stdout.contains("would  make the cursor say green with v2"),
        "{dry:?}"
    );
    assert_eq!(problems(&app), ["the cursor is missing => bgctl repair hands"]);
    is_put_right(&app, &hands, "v2", "green");
    let hands = [
        ("systemctl mask -q hands@9361", "systemctl unmask hands@9361.service"),
        (
            "systemctl start hands@9360 && systemctl enable -q hands@9360",
            "systemctl stop hands@9360.service",
        ),
        ("true", "systemctl disable hands@9360.service"),
        (
            "etcdctl put /hands/instance purple",
            "key /hands/instance: cannot use \"purple\"",
        ),
        (
            "sed -i 's/=v2/=v1/' /var/lib/bgctl/hands/9361.env",
            "9361.env: its checksum does not fit",
        ),
    ];
    is_put_right(&app, &hands, "v2", "green");
    let hands = [
        ("etcdctl del /hands/release", "key /hands/release: it is missing"),
        (
            "cd /var/lib/bgctl/hands && cp 9360.json 9361.json && cp 9360.env 9361.env",
            "green runs v2, and v1 is pinned to it",
        ),
        (
            ": >/var/lib/bgctl/hands/9360.env",
            "9360.env: its checksum does not fit",
        ),
    ];
    is_put_right(&app, &hands, "v2", "green");
    let hand = (
        "etcdctl put /hands/instance blue",
        "the cursor says blue with v2, and green with v2 serves",
    );
    is_put_right(&app, &[hand], "v2", "green");
    assert_eq!(releases(&load.stop()), ["v2 in green"]);
    app.switch("v3");
    app.is_served_by("v3", "blue");
}

#[test]
fn drift_that_takes_an_app_down_is_repaired() {
    let host = Host::with_images();
    let app = App::docker(&host, "gone", 9362).install();
    app.switch("v1");
    app.switch("v2");
    let hands = [
        ("systemctl stop gone@9363", "systemctl start gone@9363.service"),
        ("systemctl mask -q gone@9363", "systemctl unmask gone@9363.service"),
        (
            "rm -r /var/lib/bgctl-routes/gone",
            "the route is missing, and nginx sends requests to blue",
        ),
        (
            "true",
            "the route leads to blue, where nothing answers, and green is to serve",
        ),
    ];
    is_put_right(&app, &hands, "v2", "green");
    let none = "the route leads to none, where nothing answers, and green is to serve";
    is_put_right(
        &app,
        &[("ln -sfn to.none /var/lib/bgctl-routes/gone/active", none)],
        "v2",
        "green",
    );
    // All that still says green is that it is enabled.
    let hands = [
        ("systemctl stop gone@9363", "systemctl start gone@9363.service"),
        (
            "ln -sfn to.blue /var/lib/bgctl-routes/gone/active",
            "the route leads to blue, where nothing answers, and green is to serve",
        ),
        ("etcdctl del --prefix /gone/", "the cursor is missing"),
    ];
    is_put_right(&app, &hands, "v2", "green");
    // Its container: systemd brings that back by itself.
    host.succeed("docker rm --force gone-9363");
    host.wait_until("curl -sf -H 'Host: gone.test' http://127.0.0.1/health");
    host.wait_for_unit("gone@9363");
    assert_eq!(problems(&app), Vec::<String>::new());
    // Its image, which no other app uses, is pulled again.
    let image = format!("{IMAGE}:own");
    host.succeed(&format!(
        "printf 'FROM {IMAGE}:v1\\nENV RELEASE=own\\n' | docker build -q -t {image} - && docker push -q {image}"
    ));
    app.switch("own");
    host.succeed("systemctl stop gone@9362");
    host.succeed(&format!(
        "docker image rm --force {image} $(sed -n 's/^BGCTL_IMAGE=\"\\(.*\\)\"/\\1/p' /var/lib/bgctl/gone/9362.env)"
    ));
    app.bgctl("repair", "").expect(0);
    app.is_served_by("own", "blue");
}

#[test]
fn files_of_the_operator_are_kept() {
    let host = Host::with_programs();
    let app = App::program(&host, "wrote", 9360).install();
    app.switch("p1");
    // nginx and systemd are reloaded, and for a moment a site is one that nginx refuses.
    let _stir = host.stir();
    let (unit, site) = (
        "/etc/systemd/system/wrote@.service",
        "/etc/nginx/sites-enabled/wrote.conf",
    );
    let drop_in = "/etc/systemd/system/wrote@.service.d/own.conf";
    host.copy_in(drop_in, "[Service]\nEnvironment=OWN=yes\n");
    host.succeed("systemctl daemon-reload");
    let sums = || host.succeed(&format!("sha256sum {unit} {site} {drop_in}"));
    let before = sums();
    for (hand, path) in [
        (
            format!("sed -i 's/^RestartSec=.*/RestartSec=7s/' {unit} && systemctl daemon-reload"),
            unit,
        ),
        (format!("echo '# my own' >>{site}"), site),
        (
            format!("sed -i '0,/listen 80;/s//listen 80; # managed by Certbot/' {site}"),
            site,
        ),
        (format!("echo 'nonsense of mine' >{site}"), site),
    ] {
        host.succeed(&hand);
        let edited = host.succeed(&format!("cat {path}"));
        // What would be taken away, and what is.
        let line = |text: &str| edited.lines().any(|line| text.contains(&format!("-{line}\n")));
        let said = app.bgctl("repair", "--dry-run").expect(0).stdout;
        assert!(
            said.contains(&format!("would take away of {path}")) && line(&said),
            "{said}"
        );
        let repaired = is_put_right(&app, &[("true", &format!("{path} was changed by hand"))], "p1", "blue");
        assert_eq!(sums(), before);
        assert!(
            repaired
                .stderr
                .contains(&format!("  keeps  {path} as it is in /etc/bgctl/saved")),
            "{repaired:?}"
        );
        assert!(line(&repaired.stderr), "{repaired:?}");
        let kept = repaired
            .stderr
            .lines()
            .find_map(|line| line.trim().strip_prefix("kept what was changed by hand in "));
        let kept = kept.unwrap_or_else(|| panic!("it does not say where: {repaired:?}"));
        assert_eq!(host.succeed(&format!("cat {kept}")), edited);
    }
    // It has read its configuration once it has a worker that it did not have.
    let workers = "pgrep -P $(cat /run/nginx.pid)";
    let reload = format!(
        "old=$({workers}) && systemctl reload nginx && until {workers} | grep -qvxF \"$old\"; do sleep 0.05; done"
    );
    for (hand, problem) in [
        (format!("rm {site}"), format!("{site} is missing")),
        (format!("rm {site} && {reload}"), format!("{site} is missing")),
        // As of somebody who was killed between writing it and nginx's reload.
        (
            format!(
                "cp {site} /root/site && sed -i 's/X-Bgctl-Site \"..../X-Bgctl-Site \"none/' {site} && {reload} && cp /root/site {site}"
            ),
            format!("{site} was changed since nginx read it"),
        ),
        (
            format!("rm {unit} && systemctl daemon-reload"),
            format!("{unit} is missing"),
        ),
    ] {
        is_put_right(&app, &[(&hand, &problem)], "p1", "blue");
        assert_eq!(sums(), before);
    }
    app.switch("p2");
}

#[test]
fn switch_that_is_stuck_for_what_is_damaged_goes_on_after_a_repair() {
    let host = Host::with_programs();
    let app = App::program(&host, "strand", 9372).install();
    app.switch("p1");
    let app = app.set("bake.duration", "20s").install();
    let load = Load::on(&app);
    let client = host.spawn("bgctl switch strand --release p2");
    app.wait_for_step("bake");
    wait_for_release(&app, "p2");
    host.succeed("truncate -s 20 /var/lib/bgctl/strand/cursor.json");
    assert_eq!(app.post("/unhealthy", "").status, 200);
    let stuck = Host::wait(client).expect(4);
    assert!(stuck.stderr.contains("hint: bgctl repair strand"), "{stuck:?}");
    app.bgctl("resume", "").expect(4);
    let repaired = app.bgctl("repair", "").expect(4);
    assert!(
        repaired
            .stderr
            .contains("is open, and no worker runs: bgctl resume strand"),
        "{repaired:?}"
    );
    app.bgctl("resume", "").expect(1);
    app.is_served_by("p1", "blue");
    load.stop();
}

#[test]
fn damaged_files_are_named_and_never_used() {
    let host = Host::with_programs();
    let app = App::program(&host, "platter", 9362).install();
    app.switch("p1");
    app.switch("p2");
    let load = Load::on(&app);
    let state = "/var/lib/bgctl/platter";
    // A bit of a digit: a port, a revision.
    for (file, hand) in [
        ("cursor.json", "sed -i 's/9363/9367/'"),
        ("cursor.json", "truncate -s 20"),
        ("cursor.json", "truncate -s 0"),
        ("manifest.toml", "sed -i 's/9363/9367/'"),
    ] {
        host.succeed(&format!("{hand} {state}/{file}"));
        let refused = app.try_switch("p3").expect(3);
        assert!(
            refused.error().starts_with(&format!("cannot use {state}/{file}: "))
                && refused.stderr.contains("hint: bgctl repair platter"),
            "{refused:?}"
        );
        app.bgctl("repair", "").expect(0);
        assert_eq!(problems(&app), Vec::<String>::new());
        app.is_served_by("p2", "green");
    }
    // The release that could be gone back to, and the journal that says which one that is.
    host.succeed(&format!(
        "sed -i '/created/s/20/21/' {state}/releases/p1.json && grep -q 'created.*21' {state}/releases/p1.json"
    ));
    let refused = app.bgctl("rollback", "").expect(3);
    assert!(
        refused
            .error()
            .starts_with(&format!("cannot use {state}/releases/p1.json: ")),
        "{refused:?}"
    );
    is_put_right(&app, &[("true", "p1.json: its checksum does not fit")], "p2", "green");
    host.succeed(&format!("test -e /etc/bgctl/saved/*{state}/releases/p1.json"));
    app.bgctl("rollback", "").expect(3);
    // Blue was to run it, and does not return to it.
    app.bgctl("switch", "--exec /bin/false --release bad").expect(1);
    app.is_served_by("p2", "green");
    // The journal of an open switch: its worker cannot continue, and says why.
    app.switch("p3");
    host.succeed(&format!(
        "cd {state} && ln -s switches/0004.jsonl open && sed -i '1s/blue/green/' switches/0004.jsonl"
    ));
    let refused = app.bgctl("switch", "--follow").expect(3);
    assert!(
        refused
            .error()
            .starts_with(&format!("cannot use {state}/switches/0004.jsonl: ")),
        "{refused:?}"
    );
    app.bgctl("resume", "").expect(3);
    app.bgctl("abort", "").expect(3);
    let refused = app.try_switch("p4").expect(3);
    assert!(refused.stderr.contains("hint: bgctl repair platter"), "{refused:?}");
    is_put_right(
        &app,
        &[("true", "0004.jsonl: line 1: its checksum does not fit")],
        "p3",
        "blue",
    );
    assert_eq!(releases(&load.stop()), ["p2 in green", "p3 in blue"]);
    // What a newer bgctl wrote stays as it is.
    host.succeed(&format!(
        "cd {state} && cp cursor.json kept && printf '{{\"version\": 9' >cursor.json && \
         printf ',\\n\"sum\": \"%.16s\"}}\\n' \"$(printf '{{\"version\": 9' | sha256sum)\" >>cursor.json"
    ));
    let refused = app.try_switch("p5").expect(3);
    assert!(refused.error().contains("written by a newer bgctl"), "{refused:?}");
    app.bgctl("repair", "").expect(4);
    host.succeed(&format!(
        "cd {state} && grep -q '\"version\": 9' cursor.json && mv kept cursor.json"
    ));
    assert_eq!(problems(&app), Vec::<String>::new());
    app.switch("p5");
}
