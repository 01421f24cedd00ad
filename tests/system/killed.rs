//! Whatever is at work is killed wherever it makes a difference: at every system call by which it changes anything. What it had
//! begun comes to its end, and no request fails meanwhile.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::app::App;
use crate::host::Host;
use crate::load::Load;
use crate::settled::settled;
use crate::trap::{self, Fate, Point};

/// What a program was about when it came to a point: `before`, `in` or `after` a step, or its undo.
fn moments(points: &[(Point, String)]) -> Vec<(Point, String)> {
    let mut now = "before 0".to_owned();
    let mut moments = Vec::new();
    for (point, line) in points {
        let event = [
            ("started", ["before", "in"]),
            ("done", ["after", "after"]),
            ("failed", ["after", "after"]),
            ("undo-started", ["before undo", "in undo"]),
            ("undo-done", ["after undo", "after undo"]),
        ]
        .into_iter()
        .find_map(|(event, [at, then])| {
            let (_, step) = line.split_once(&format!(r#"\"event\":\"{event}\",\"step\":"#))?;
            let step: String = step.chars().take_while(char::is_ascii_digit).collect();
            Some((format!("{at} {step}"), format!("{then} {step}")))
        });
        let (at, then) = event.unwrap_or_else(|| (now.clone(), now.clone()));
        moments.push((point.clone(), at));
        now = then;
    }
    moments
}

/// The steps of a plan that are undone when its bake fails.
fn undone(head: &Value) -> Vec<usize> {
    let steps = head["plan"]["steps"].as_array().unwrap();
    let has_undo = |index: &usize| steps[*index]["undo"].as_array().is_some_and(|undo| !undo.is_empty());
    (0..steps.len()).filter(has_undo).collect()
}

/// Fails where a moment of a step is not among those that were tried.
#[track_caller]
fn covers(tried: &BTreeSet<String>, steps: impl IntoIterator<Item = usize>, of: &str) {
    for step in steps {
        for moment in ["before", "in", "after"] {
            let moment = format!("{moment}{of} {step}");
            assert!(tried.contains(&moment), "{moment} is not among {tried:?}");
        }
    }
}

fn host(name: &str) -> Host {
    let host = Host::boot(name);
    host.succeed("mkdir -p /opt/demo && cp /vagrant/target/*-linux-gnu/release/bdd-assistant /opt/demo/");
    trap::prepare(&host);
    host
}

/// Kills the workers of switches that go well at those of their points that are `chosen`.
fn kill_forth(app: &App<'_>, releases: [&str; 2], chosen: impl Fn(&Point) -> bool) {
    let name = trap::worker(app.name());
    app.switch(releases[0]);
    app.switch(releases[1]);
    trap::record(app.host(), &name);
    app.switch(releases[0]);
    let moments = moments(&trap::points(app.host(), &name));
    let steps = app.journal()[0]["plan"]["steps"].as_array().unwrap().len();
    let load = Load::on(app);
    let (mut tried, mut count) = (BTreeSet::new(), 0);
    for (number, (point, moment)) in moments.into_iter().filter(|(point, _)| chosen(point)).enumerate() {
        let release = if app.is_container() {
            releases[(number + 1) % 2].to_owned()
        } else {
            format!("k{number}")
        };
        let before = settled(app).0;
        trap::set(app.host(), &name, &point, Fate::Killed);
        let output = app.try_switch(&release);
        let told = format!("{moment}, {point:?}: {output:?}");
        // Of a worker that is dead before it is there nobody waits for the next one.
        let expected = match output.status {
            3 if moment == "before 0" => &before,
            status => {
                assert_eq!(status, 0, "{told}");
                &release
            }
        };
        assert_eq!(settled(app).0, *expected, "{told}");
        if trap::has_killed(app.host(), &name, &point) {
            count += 1;
            tried.insert(moment);
        }
    }
    load.stop();
    eprintln!("{}: killed {count} times: {tried:?}", app.name());
    covers(&tried, 0..steps, "");
}

#[test]
fn a_worker_killed_at_any_call_ends_what_it_began() {
    let host = host("killed-forth");
    let app = App::program(&host, "shop", 9100).install();
    kill_forth(&app, ["p1", "p2"], |_| true);
}

#[test]
fn a_worker_killed_at_any_call_on_the_way_back_takes_all_back() {
    let host = host("killed-back");
    // Sick is what took traffic after it was verified.
    let healthy = "curl -fsS http://127.0.0.1:$PORT/health && ! test -e /run/sick/$PORT";
    let check = ["/bin/sh", "-c", healthy].map(toml::Value::from).to_vec();
    let app = App::program(&host, "shop", 9100)
        .without("health.path")
        .set("health.command", check)
        .set("bake.duration", "5s");
    let app = app.install();
    host.succeed("mkdir /run/sick");
    app.switch("p1");
    let app = app
        .set("verify.commands", vec!["mkdir -p /run/sick && touch /run/sick/$PORT"])
        .install();
    let name = trap::worker("shop");
    let fail = |release: &str| {
        host.succeed("rm -f /run/sick/*");
        app.bgctl("switch", &format!("--release {release}"))
    };
    trap::record(&host, &name);
    fail("bad").expect(1);
    let moments = moments(&trap::points(&host, &name));
    let undone = undone(&app.journal()[0]);
    let load = Load::on(&app);
    let (mut tried, mut count) = (BTreeSet::new(), 0);
    for (number, (point, moment)) in moments
        .into_iter()
        .skip_while(|(_, moment)| !moment.contains("undo"))
        .enumerate()
    {
        trap::set(&host, &name, &point, Fate::Killed);
        let output = fail(&format!("bad{number}"));
        let told = format!("{moment}, {point:?}: {output:?}");
        assert_eq!(output.status, 1, "{told}");
        assert_eq!(settled(&app), ("p1".to_owned(), "blue".to_owned()), "{told}");
        if trap::has_killed(&host, &name, &point) {
            count += 1;
            tried.insert(moment);
        }
    }
    load.stop();
    eprintln!("killed {count} times: {tried:?}");
    covers(&tried, undone, " undo");
}
