//! `bgctl repair`, as decided: every combination of facts that somebody's hands can leave.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::time::Duration;

use bgctl::drift::{
    ColorFacts, CompanionFact, ContainerFact, CursorFact, Damaged, DeferredFact, Difference, Facts, FileFact,
    FileState, Pin, Repair, StagedFact, SwitchFact, differences, repairs, serving,
};
use bgctl::model::{
    ActiveState, AppName, ByColor, Color, Cursor, Holder, HostId, Invalid, Known, Lease, NotALease, OpenSwitch,
    ReleaseId, Replica, Revision, Route, Staged, Stored, SwitchId, UnitFile, UnitName,
};

fn id(release: &str) -> ReleaseId {
    ReleaseId::parse(release).unwrap()
}

fn unit(color: Color) -> UnitName {
    UnitName::service(if color == Color::Blue {
        "shop@9001.service"
    } else {
        "shop@9002.service"
    })
    .unwrap()
}

/// Blue serves r1, green is idle; r1 and r2 are on record, `lost` is not.
fn facts() -> Facts {
    let app = AppName::parse("shop").unwrap();
    Facts {
        host: HostId {
            id: "here".to_owned(),
            earlier: "here-before".to_owned(),
        },
        cursor: cursor(Some(Color::Blue), "r1", "here/0001"),
        lease: Ok(None),
        deferred: None,
        staged: None,
        route: Route::To(Color::Blue),
        has_route: true,
        nginx: Ok(Route::To(Color::Blue)),
        nginx_down: None,
        colors: ByColor {
            blue: color(Color::Blue, true, UnitFile::Enabled, Pin::Release(id("r1")), Some("r1")),
            green: color(Color::Green, false, UnitFile::Disabled, Pin::Nothing, None),
        },
        known: vec![id("r1"), id("r2")],
        files: Vec::new(),
        worker: (UnitName::switch(&app), UnitFile::Enabled),
        damaged: Vec::new(),
        open: None,
        stop_first: false,
        keep_warm: false,
        drain: Duration::from_secs(30),
        app,
    }
}

fn cursor(active: Option<Color>, release: &str, by: &str) -> CursorFact {
    CursorFact::Is(Stored {
        cursor: said(active, release, by),
        revision: Revision(1),
    })
}

fn said(active: Option<Color>, release: &str, by: &str) -> Cursor {
    Cursor {
        active,
        release: active.map(|_| id(release)),
        moved_by: Some(by.to_owned()),
    }
}

fn away(known: Option<Known>) -> CursorFact {
    let why = "etcd is away".to_owned();
    CursorFact::Unknown { why, known }
}

/// What this host did alone.
fn deferred(color: Color) -> DeferredFact {
    DeferredFact {
        path: "/deferred.json".into(),
        cursor: said(Some(color), "r1", "here/0002"),
        at: jiff::Timestamp::UNIX_EPOCH,
    }
}

/// A release that is staged in green.
fn staged(release: &str, has_expired: bool) -> StagedFact {
    let staged = Staged {
        color: Color::Green,
        release: id(release),
        since: jiff::Timestamp::UNIX_EPOCH,
        until: None,
        unit: None,
    };
    StagedFact { staged, has_expired }
}

fn switch(running: bool) -> SwitchFact {
    SwitchFact::Is {
        open: OpenSwitch {
            id: SwitchId::numbered(7),
            release: id("r2"),
            since: jiff::Timestamp::UNIX_EPOCH,
        },
        running,
    }
}

fn is_theirs(cursor: &CursorFact) -> bool {
    matches!(cursor, CursorFact::Is(stored) if stored.cursor.moved_by.as_deref() == Some("there/0001"))
}

fn color(color: Color, is_up: bool, unit_file: UnitFile, pinned: Pin, running: Option<&str>) -> ColorFacts {
    ColorFacts {
        unit: unit(color),
        state: if is_up {
            ActiveState::Active
        } else {
            ActiveState::Inactive
        },
        unit_file,
        pinned,
        changed: None,
        running: running.map(id),
        container: ContainerFact::Fine,
        companions: Vec::new(),
    }
}

fn of(facts: &mut Facts, color: Color) -> &mut ColorFacts {
    match color {
        Color::Blue => &mut facts.colors.blue,
        Color::Green => &mut facts.colors.green,
    }
}

fn start(facts: &mut Facts, color: Color) -> Result<(), String> {
    let here = of(facts, color);
    let Pin::Release(pinned) = here.pinned.clone() else {
        return Err("nothing is pinned".to_owned());
    };
    if here.unit_file == UnitFile::Masked {
        return Err("it is masked".to_owned());
    }
    let is_alone = facts.colors.get(color.other()).state.is_down();
    assert!(is_alone || !facts.stop_first, "both colors run");
    let here = of(facts, color);
    (here.state, here.running) = (ActiveState::Active, Some(pinned));
    Ok(())
}

/// Does to the facts what a repair does to a host. Fails with what would hurt users, or could not be done.
fn perform(facts: &mut Facts, repair: &Repair) -> Result<(), String> {
    let up = |facts: &Facts, color: Color| facts.colors.get(color).is_up();
    match repair {
        Repair::GiveUpSwitch => facts.open = None,
        Repair::SetAside(path) => {
            facts.damaged.retain(|damaged| damaged.path != *path);
            facts.deferred.take_if(|deferred| deferred.path == *path);
        }
        Repair::Publish => {
            let told = facts.deferred.clone().ok_or("there is nothing to tell")?.cursor;
            if matches!(facts.cursor, CursorFact::Unknown { .. }) {
                return Err("the store is away".to_owned());
            }
            if told.active != facts.route.color() {
                return Err("the cursor says what does not serve".to_owned());
            }
            facts.deferred = None;
            if let CursorFact::Is(stored) = &mut facts.cursor
                && stored.cursor.moved_by.as_deref() != Some("there/0001")
            {
                stored.cursor = told;
            }
        }
        Repair::MakeRoute(route) => (facts.has_route, facts.route) = (true, *route),
        Repair::Unmask(unmasked) => {
            for color in Color::BOTH.into_iter().filter(|color| unit(*color) == *unmasked) {
                of(facts, color).unit_file = UnitFile::Enabled;
            }
            for color in Color::BOTH {
                let companions = of(facts, color).companions.iter_mut();
                let unmasked = companions.filter(|companion| companion.unit == *unmasked);
                unmasked.for_each(|companion| companion.unit_file = UnitFile::Enabled);
            }
            if facts.worker.0 == *unmasked {
                facts.worker.1 = UnitFile::Disabled;
            }
        }
        Repair::Write if facts.worker.1 == UnitFile::Masked => return Err("the worker is masked".to_owned()),
        Repair::Write => {
            (facts.nginx, facts.worker.1) = (Ok(facts.route), UnitFile::Enabled);
            facts
                .files
                .retain(|file| matches!(file.state, FileState::Of(_) | FileState::NotInstalled));
        }
        Repair::Pin(color, release) => {
            if release.as_ref().is_some_and(|release| !facts.known.contains(release)) {
                return Err("it is not on record".to_owned());
            }
            let here = of(facts, *color);
            here.pinned = release.clone().map_or(Pin::Nothing, Pin::Release);
        }
        Repair::Start(color) => start(facts, *color)?,
        Repair::Enable(color) => of(facts, *color).unit_file = UnitFile::Enabled,
        Repair::Route(to) => {
            let is_up = |route: Route| route.color().is_some_and(|color| up(facts, color));
            if is_up(facts.route) || !is_up(*to) {
                return Err("users are taken away from what answers".to_owned());
            }
            (facts.route, facts.nginx) = (*to, Ok(*to));
        }
        Repair::Cursor(active, release) => {
            if is_theirs(&facts.cursor) {
                return Err("another host moved it".to_owned());
            }
            let routed = facts.route.color();
            if *active != routed && (active.is_some() || routed.is_some_and(|color| up(facts, color))) {
                return Err("the cursor says what does not serve".to_owned());
            }
            facts.cursor = cursor(
                *active,
                release.as_ref().map_or("lost", ReleaseId::as_str),
                "here/repair",
            );
            if let (CursorFact::Is(stored), None) = (&mut facts.cursor, release) {
                stored.cursor.release = None;
            }
        }
        Repair::Disable(color) | Repair::Drain(color, _) | Repair::Clear(color) | Repair::Stop(color)
            if facts.route.serves(*color) =>
        {
            return Err("it serves".to_owned());
        }
        Repair::Unstage => facts.staged = None,
        Repair::Disable(color) => of(facts, *color).unit_file = UnitFile::Disabled,
        Repair::Drain(..) => {}
        Repair::StopCompanions(color, replicas) => stop_companions(of(facts, *color), replicas),
        Repair::StartCompanions(color) => start_companions(of(facts, *color)),
        Repair::Clear(color) | Repair::Stop(color) => {
            let here = of(facts, *color);
            (here.state, here.running) = (ActiveState::Inactive, None);
        }
    }
    Ok(())
}

fn stop_companions(here: &mut ColorFacts, replicas: &[Replica]) {
    here.companions.retain_mut(|companion| {
        let stops = replicas.contains(&companion.replica);
        if stops {
            (companion.state, companion.unit_file) = (ActiveState::Inactive, UnitFile::Disabled);
            companion.file = Pin::Nothing;
        }
        companion.is_wanted || !stops
    });
}

fn start_companions(here: &mut ColorFacts) {
    for companion in here.companions.iter_mut().filter(|companion| companion.is_wanted) {
        (companion.state, companion.unit_file) = (ActiveState::Active, UnitFile::Enabled);
        companion.file = here.pinned.clone();
    }
}

/// Every way in which one color can be, for a start.
fn every_color(which: Color) -> Vec<ColorFacts> {
    let pins = [
        Pin::Nothing,
        Pin::Release(id("r1")),
        Pin::Release(id("lost")),
        Pin::Broken("it is broken".to_owned()),
    ];
    let mut all = Vec::new();
    for unit_file in [UnitFile::Enabled, UnitFile::Disabled, UnitFile::Masked] {
        for pin in &pins {
            all.push(color(which, false, unit_file, pin.clone(), None));
            for running in [None, Some("r1"), Some("r2"), Some("lost")] {
                all.push(color(which, true, unit_file, pin.clone(), running));
            }
        }
    }
    all
}

fn every_cursor() -> Vec<CursorFact> {
    let mut all = vec![
        CursorFact::Missing,
        CursorFact::Broken("it is broken".to_owned()),
        away(None),
        cursor(None, "", "here/0001"),
    ];
    for by in ["here/0001", "there/0001"] {
        all.extend(Color::BOTH.map(|color| cursor(Some(color), "r1", by)));
    }
    all
}

/// The ways that matter to the other color.
fn some_colors(which: Color) -> Vec<ColorFacts> {
    let matters = |facts: &ColorFacts| {
        facts.unit_file != UnitFile::Masked
            && matches!(&facts.pinned, Pin::Nothing | Pin::Release(_))
            && [None, Some(id("r1"))].contains(&facts.running)
            && facts.is_up() == facts.running.is_some()
            && facts.pinned != Pin::Release(id("lost"))
    };
    every_color(which).into_iter().filter(matters).collect()
}

/// Calls `check` with every way that one color can be, beside some of the other's, and all that is said of them.
fn every(mut check: impl FnMut(&Facts)) {
    let pairs = |blue: Vec<ColorFacts>, green: Vec<ColorFacts>| {
        let with = move |blue: ColorFacts| green.clone().into_iter().map(move |green| (blue.clone(), green));
        blue.into_iter().flat_map(with)
    };
    let [blue, green] = Color::BOTH;
    let all = pairs(every_color(blue), some_colors(green)).chain(pairs(some_colors(blue), every_color(green)));
    let mut facts = facts();
    for (blue, green) in all {
        facts.colors = ByColor { blue, green };
        for cursor in every_cursor() {
            facts.cursor = cursor;
            for (has_route, route) in [
                (true, Route::None),
                (true, Route::To(Color::Blue)),
                (true, Route::To(Color::Green)),
                (true, Route::Held),
                (false, Route::To(Color::Blue)),
            ] {
                (facts.has_route, facts.route, facts.nginx) = (has_route, route, Ok(route));
                for deferred in [None, Some(deferred(Color::Green))] {
                    facts.deferred = deferred;
                    for (stop_first, keep_warm) in [(false, false), (false, true), (true, false)] {
                        (facts.stop_first, facts.keep_warm) = (stop_first, keep_warm);
                        for staged in [None, Some(staged("r1", false)), Some(staged("r1", true))] {
                            facts.staged = staged;
                            check(&facts);
                        }
                    }
                }
            }
        }
    }
}

#[test]
fn differences_are_repaired_once_and_no_user_notices() {
    let mut count = 0;
    every(|before| {
        count += 1;
        let mut after = before.clone();
        for repair in repairs(&differences(before)) {
            if let Err(error) = perform(&mut after, &repair) {
                panic!("{repair}: {error}\n{before:#?}\n{:#?}", differences(before));
            }
        }
        let left = differences(&after);
        assert_eq!(repairs(&left), [], "{left:#?}\nof {before:#?}\nafter {after:#?}");
        let serving = serving(&after);
        assert!(serving.is_none() || serving == after.route.color(), "{before:#?}");
        for difference in &left {
            assert!(!difference.command.is_empty() && !difference.what.is_empty());
        }
    });
    assert_eq!(count, 2 * 60 * 8 * 8 * 5 * 2 * 3 * 3);
}

#[test]
fn color_that_answers_users_is_never_touched_also_where_a_repair_fails() {
    every(|before| {
        let Some(color) = before.route.color().filter(|color| before.colors.get(*color).is_up()) else {
            return;
        };
        assert_eq!(serving(before), Some(color));
        let repairs = repairs(&differences(before));
        for fails in 0..repairs.len() {
            let (mut after, mut failed) = (before.clone(), Vec::new());
            for (index, repair) in repairs.iter().enumerate() {
                let is_barred = repair.is_barred_by(&failed);
                // What cannot be done because something before failed fails as well.
                if index == fails || (!is_barred && perform(&mut after, repair).is_err()) {
                    failed.push(repair.clone());
                }
                let takes = matches!(
                    repair,
                    Repair::Disable(_) | Repair::Drain(..) | Repair::Clear(_) | Repair::Stop(_)
                );
                assert!(
                    is_barred || !takes || failed.is_empty() || index == fails,
                    "{repair} after {failed:?}"
                );
            }
            assert_eq!(after.route, Route::To(color));
            assert!(after.colors.get(color).is_up(), "{before:#?}");
        }
    });
}

#[test]
fn serving_color_of_each_route() {
    let mut lines = Vec::new();
    let name = |color: Option<Color>| Color::or_none(color);
    for route in Route::ALL {
        for (cursor_is, cursor) in [
            ("not known", CursorFact::Missing),
            ("none", cursor(None, "", "here/0001")),
            ("blue", cursor(Some(Color::Blue), "r1", "here/0001")),
            ("green", cursor(Some(Color::Green), "r1", "here/0001")),
            (
                "green by another host",
                self::cursor(Some(Color::Green), "r1", "there/0001"),
            ),
        ] {
            for (up, blue, green) in [
                ("none", false, false),
                ("blue", true, false),
                ("green", false, true),
                ("both", true, true),
            ] {
                let mut facts = facts();
                let pinned = || Pin::Release(id("r1"));
                facts.colors = ByColor {
                    blue: color(Color::Blue, blue, UnitFile::Disabled, pinned(), None),
                    green: color(Color::Green, green, UnitFile::Disabled, pinned(), None),
                };
                (facts.route, facts.cursor) = (route, cursor.clone());
                let serves = name(serving(&facts));
                lines.push(format!("{route:5} | {cursor_is:21} | {up:5} | {serves}"));
            }
        }
    }
    insta::assert_snapshot!(format!(
        "route | cursor                | up    | serves\n{}",
        lines.join("\n")
    ));
}

/// What somebody's hands do.
type Change = Box<dyn FnOnce(&mut Facts)>;

/// The differences and repairs of `facts` after `change`, for people.
fn told(change: impl FnOnce(&mut Facts)) -> String {
    let mut facts = facts();
    change(&mut facts);
    let line = |difference: Difference| {
        let repairs: Vec<_> = difference.repairs.iter().map(ToString::to_string).collect();
        format!(
            "{}\n    {}\n    => {}",
            difference.what,
            difference.command,
            repairs.join(", ")
        )
    };
    differences(&facts).into_iter().map(line).collect::<Vec<_>>().join("\n")
}

fn all_told(cases: Vec<(&str, Change)>) -> String {
    let cases = cases.into_iter();
    let told: Vec<_> = cases
        .map(|(title, change)| format!("# {title}\n{}", told(change)))
        .collect();
    told.join("\n\n")
}

/// Green runs r2, which is staged there.
fn with_staged(facts: &mut Facts) {
    let pinned = Pin::Release(id("r2"));
    facts.colors.green = color(Color::Green, true, UnitFile::Enabled, pinned, Some("r2"));
    facts.staged = Some(staged("r2", false));
}

#[test]
fn staged_release_is_no_drift_and_stays_up() {
    assert_eq!(told(with_staged), "");
    let cases: Vec<(&str, Change)> = vec![
        (
            "it is down",
            Box::new(|facts| of(facts, Color::Green).state = ActiveState::Failed),
        ),
        (
            "it starts",
            Box::new(|facts| of(facts, Color::Green).state = ActiveState::Activating),
        ),
        (
            "it is disabled",
            Box::new(|facts| of(facts, Color::Green).unit_file = UnitFile::Disabled),
        ),
        (
            "it is masked",
            Box::new(|facts| of(facts, Color::Green).unit_file = UnitFile::Masked),
        ),
        (
            "its pin is gone",
            Box::new(|facts| of(facts, Color::Green).pinned = Pin::Nothing),
        ),
        (
            "it runs another release",
            Box::new(|facts| of(facts, Color::Green).running = Some(id("r1"))),
        ),
        (
            "its record is gone",
            Box::new(|facts| facts.known.retain(|known| *known != id("r2"))),
        ),
        (
            "its program was changed",
            Box::new(|facts| of(facts, Color::Green).changed = Some("/opt/shop".into())),
        ),
        (
            "it has expired",
            Box::new(|facts| facts.staged = Some(staged("r2", true))),
        ),
        (
            "it serves",
            Box::new(|facts| {
                (facts.route, facts.nginx) = (Route::To(Color::Green), Ok(Route::To(Color::Green)));
            }),
        ),
        (
            "blue is lost, and nobody else serves",
            Box::new(|facts| {
                facts.colors.blue = color(Color::Blue, false, UnitFile::Disabled, Pin::Nothing, None);
                facts.known = vec![id("r2")];
            }),
        ),
    ];
    let cases = cases.into_iter().map(|(title, change)| {
        let both: Change = Box::new(move |facts| {
            with_staged(facts);
            change(facts);
        });
        (title, both)
    });
    insta::assert_snapshot!(all_told(cases.collect()));
}

#[test]
fn nothing_differs_where_all_is_well() {
    assert_eq!(told(|_| {}), "");
    assert_eq!(
        told(|facts| {
            facts.open = Some(switch(true));
            facts.deferred = Some(deferred(Color::Green));
        }),
        ""
    );
}

#[test]
fn every_difference_is_told_with_its_command() {
    let file = |path: &str, state| FileFact {
        path: path.into(),
        state,
    };
    let cases: Vec<(&str, Change)> = vec![
        (
            "stopped",
            Box::new(|facts| facts.colors.blue.state = ActiveState::Inactive),
        ),
        (
            "disabled",
            Box::new(|facts| facts.colors.blue.unit_file = UnitFile::Disabled),
        ),
        (
            "masked",
            Box::new(|facts| facts.colors.green.unit_file = UnitFile::Masked),
        ),
        (
            "idle and up",
            Box::new(|facts| facts.colors.green.state = ActiveState::Active),
        ),
        (
            "idle at boot",
            Box::new(|facts| facts.colors.green.unit_file = UnitFile::Enabled),
        ),
        ("no route", Box::new(|facts| facts.has_route = false)),
        ("wrong route", Box::new(|facts| facts.route = Route::To(Color::Green))),
        ("nginx is behind", Box::new(|facts| facts.nginx = Ok(Route::None))),
        (
            "nginx is stopped",
            Box::new(|facts| facts.nginx_down = UnitName::service("nginx.service").ok()),
        ),
        (
            "nginx is away",
            Box::new(|facts| facts.nginx = Err("refused".to_owned())),
        ),
        ("no cursor", Box::new(|facts| facts.cursor = CursorFact::Missing)),
        (
            "cursor says another release",
            // As an earlier bgctl of this host moved it.
            Box::new(|facts| facts.cursor = cursor(Some(Color::Blue), "r2", "here-before/0001")),
        ),
        (
            "cursor says none",
            Box::new(|facts| facts.cursor = cursor(None, "", "here/0001")),
        ),
        (
            "another host moved it",
            Box::new(|facts| facts.cursor = cursor(Some(Color::Green), "r2", "there/0001")),
        ),
        ("no store", Box::new(|facts| facts.cursor = away(None))),
        (
            "wrong release",
            Box::new(|facts| facts.colors.blue.pinned = Pin::Release(id("r2"))),
        ),
        (
            "no environment",
            Box::new(|facts| facts.colors.blue.pinned = Pin::Nothing),
        ),
        (
            "a unit",
            Box::new(move |facts| facts.files = vec![file("/etc/systemd/system/shop@.service", FileState::Edited)]),
        ),
        (
            "a site",
            Box::new(move |facts| facts.files = vec![file("/etc/nginx/sites-enabled/shop.conf", FileState::Missing)]),
        ),
        ("the worker", Box::new(|facts| facts.worker.1 = UnitFile::Masked)),
        ("stuck", Box::new(|facts| facts.open = Some(switch(false)))),
        (
            "a release",
            Box::new(|facts| {
                facts.damaged = vec![Damaged {
                    path: "/r2.json".into(),
                    why: "cannot use /r2.json: it is damaged".to_owned(),
                    is_newer: false,
                }];
            }),
        ),
        (
            "the journal",
            Box::new(|facts| facts.open = Some(SwitchFact::Broken("cannot use 0007.jsonl".to_owned()))),
        ),
    ];
    insta::assert_snapshot!(all_told(cases));
}

/// The companion `worker` of a color: wanted where the release has it.
fn worker(color: Color, is_wanted: bool, state: ActiveState, unit_file: UnitFile, file: Pin) -> CompanionFact {
    let replica = Replica::parse("worker", "1").unwrap();
    CompanionFact {
        unit: UnitName::companion(&facts().app, color, &replica),
        replica,
        state,
        unit_file,
        file,
        is_wanted,
    }
}

#[test]
fn companions_of_the_serving_color_run_and_no_others() {
    let files = || {
        let broken = Pin::Broken("it is broken".to_owned());
        [Pin::Nothing, Pin::Release(id("r1")), Pin::Release(id("r2")), broken]
    };
    let mut all = Vec::new();
    for color in Color::BOTH {
        for is_wanted in [true, false] {
            for state in [ActiveState::Active, ActiveState::Activating, ActiveState::Failed] {
                for unit_file in [UnitFile::Enabled, UnitFile::Disabled, UnitFile::Masked] {
                    all.extend(files().map(|file| worker(color, is_wanted, state, unit_file, file)));
                }
            }
        }
    }
    let runs = |facts: &Facts, color: Color| facts.colors.get(color).companions.iter().any(CompanionFact::is_up);
    for companion in all {
        let color = if companion.unit.as_str().contains("blue") {
            Color::Blue
        } else {
            Color::Green
        };
        for keep_warm in [false, true] {
            let mut after = facts();
            after.keep_warm = keep_warm;
            of(&mut after, color).companions.push(companion.clone());
            for repair in repairs(&differences(&after)) {
                perform(&mut after, &repair).unwrap();
                assert!(!(runs(&after, Color::Blue) && runs(&after, Color::Green)));
            }
            assert_eq!(repairs(&differences(&after)), [], "{companion:?}");
            assert_eq!(
                runs(&after, color),
                color == Color::Blue && companion.is_wanted,
                "{companion:?}"
            );
        }
    }
}

#[test]
fn companions_that_differ_are_told_with_their_commands() {
    let right = || Pin::Release(id("r1"));
    let blue = |is_wanted, state, file, pin| {
        let companion = worker(Color::Blue, is_wanted, state, file, pin);
        told(move |facts| facts.colors.blue.companions.push(companion))
    };
    assert_eq!(blue(true, ActiveState::Active, UnitFile::Enabled, right()), "");
    let green = worker(
        Color::Green,
        true,
        ActiveState::Active,
        UnitFile::Disabled,
        Pin::Release(id("r2")),
    );
    let cases = [
        blue(true, ActiveState::Failed, UnitFile::Enabled, right()),
        blue(true, ActiveState::Active, UnitFile::Disabled, right()),
        blue(true, ActiveState::Active, UnitFile::Enabled, Pin::Release(id("r0"))),
        blue(false, ActiveState::Active, UnitFile::Enabled, right()),
        told(|facts| facts.colors.green.companions.push(green)),
    ];
    insta::assert_snapshot!(cases.join("\n\n"), @"
    companion worker 1 of blue is to run, and shop_worker@blue-1.service is failed
        systemctl start shop_worker@blue-1.service
        => start the companions of blue

    companion worker 1 of blue is to run, and shop_worker@blue-1.service does not start at boot
        systemctl enable shop_worker@blue-1.service
        => start the companions of blue

    shop_worker@blue-1.service is not set up for the release of blue
        bgctl repair shop
        => start the companions of blue

    shop_worker@blue-1.service is up or starts at boot, and the release of blue has no such companion
        systemctl disable --now shop_worker@blue-1.service
        => stop companions of blue: worker 1

    green is idle, and its companion shop_worker@green-1.service is up or starts at boot
        systemctl disable --now shop_worker@green-1.service
        => stop companions of green: worker 1
    ");
}

#[test]
fn lease_is_told_where_it_never_expires() {
    let lease = Lease {
        by: "there/0007".to_owned(),
        verb: "switch".to_owned(),
        release: Some(id("r7")),
        since: "2026-11-23T14:00:00Z".parse().unwrap(),
    };
    let held = |endless: Option<&str>| {
        let endless = endless.map(str::to_owned);
        let lease = lease.clone();
        told(move |facts| facts.lease = Ok(Some(Holder { lease, endless })))
    };
    assert_eq!(held(None), "");
    insta::assert_snapshot!(held(Some("/shop/claim")), @"
    the lease of shop never expires: it is held by there/0007 (switch to r7) since 2026-11-23T14:00:00Z
        etcdctl del /shop/claim
        =>
    ");
    let none = NotALease {
        app: facts().app,
        key: "/shop/claim".to_owned(),
        reason: Invalid::new("expected value at line 1 column 1"),
    };
    insta::assert_snapshot!(told(|facts| facts.lease = Err(none)), @"
    cannot tell who holds the lease of shop: key /shop/claim in etcd: expected value at line 1 column 1
        etcdctl del /shop/claim
        =>
    ");
}

#[test]
fn without_the_store_it_is_told_what_this_host_knows_and_did() {
    let cases: Vec<(&str, Change)> = vec![
        (
            "no store, and what was known",
            Box::new(|facts| {
                facts.cursor = away(Some(Known {
                    cursor: said(Some(Color::Green), "r2", "here/0001"),
                    revision: Revision(1),
                    at: jiff::Timestamp::UNIX_EPOCH,
                }));
            }),
        ),
        (
            "no store, and a switch is open",
            Box::new(|facts| (facts.cursor, facts.open) = (away(None), Some(switch(true)))),
        ),
        (
            "this host is ahead of the store",
            Box::new(|facts| {
                facts.deferred = Some(deferred(Color::Blue));
                facts.cursor = cursor(Some(Color::Green), "r2", "here/0001");
            }),
        ),
        (
            "this host is ahead of no cursor",
            Box::new(|facts| (facts.deferred, facts.cursor) = (Some(deferred(Color::Blue)), CursorFact::Missing)),
        ),
        (
            "this host is ahead and the store is away",
            Box::new(|facts| (facts.deferred, facts.cursor) = (Some(deferred(Color::Blue)), away(None))),
        ),
        (
            "this host was ahead, and somebody went back by hand",
            Box::new(|facts| facts.deferred = Some(deferred(Color::Green))),
        ),
    ];
    insta::assert_snapshot!(all_told(cases));
}
