//! The power is cut while many switches stand still, each at another moment: after the boot all of them come to their ends by
//! themselves, and nginx sends nobody elsewhere than where its route led when the power went, until they move it.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::app::App;
use crate::course::{Course, Moment, each_moment, host};
use crate::host::{Host, wait};
use crate::settled::settled;
use crate::trap::{self, Fate, Point};

/// A switch that stands still.
struct Frozen<'h> {
    course: Course<'h>,
    /// Where its worker was.
    moment: Moment,
    /// The color that nginx sent requests to.
    route: &'static str,
}

/// A course of its own for each moment of such a course, and their points.
fn courses<'h>(host: &'h Host, make: impl Fn(&'h Host, &str, u16) -> Course<'h>) -> Vec<(Course<'h>, (Point, Moment))> {
    let first = make(host, "a00", 9100);
    let (points, _) = first.record();
    // So that all are alike.
    let (back, _) = (first.app.bgctl("rollback", "").status, settled(&first.app));
    assert_eq!(back, if first.goes_back { 3 } else { 0 });
    let mut points = each_moment(points);
    // Its first: what is asked for there is not yet done.
    points.dedup_by(|next, first| next.1 == first.1);
    let others = (1..).map(|number| make(host, &format!("a{number:02}"), 9100 + 2 * number));
    std::iter::once(first).chain(others).zip(points).collect()
}

/// Begins all switches, lets each stand still at its point, and cuts the power.
fn cut<'h>(host: &'h Host, courses: Vec<(Course<'h>, (Point, Moment))>) -> Vec<Frozen<'h>> {
    let mut clients = Vec::new();
    for (course, (point, _)) in &courses {
        trap::set(host, &course.worker(), point, Fate::Frozen);
        clients.push(course.begin(1));
    }
    let stand = |(course, (_, moment)): (Course<'h>, (Point, Moment))| {
        let is_frozen = trap::is_frozen(host, &course.worker());
        let is_green = course.app.route() == "to.green";
        Frozen {
            moment: if is_frozen { moment } else { "its end".to_owned() },
            route: if is_green { "green" } else { "blue" },
            course,
        }
    };
    let frozen = courses.into_iter().map(stand).collect();
    host.power_off();
    for mut client in clients {
        client.wait().unwrap();
    }
    frozen
}

/// The colors that answered for each app while `work` was done, in order.
fn answers(host: &Host, frozen: &[Frozen<'_>], work: impl FnOnce()) -> BTreeMap<String, Vec<String>> {
    let over = AtomicBool::new(false);
    let names: Vec<_> = frozen.iter().map(|each| each.course.app.name().to_owned()).collect();
    let look = || {
        let mut answers: BTreeMap<_, Vec<String>> = BTreeMap::new();
        while !over.load(Ordering::Relaxed) {
            for name in &names {
                let answer = host.try_get(&format!("{name}.test"), "/api/instance");
                // Before its color is up there is none but nginx's own.
                let Some(answer) = answer.filter(|answer| answer.status == 200) else {
                    continue;
                };
                let (colors, color) = (answers.entry(name.clone()).or_default(), answer.header("x-color"));
                if colors.last().is_none_or(|last| last != color) {
                    colors.push(color.to_owned());
                }
            }
        }
        answers
    };
    std::thread::scope(|scope| {
        let answers = scope.spawn(look);
        let worked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(work));
        over.store(true, Ordering::Relaxed);
        worked.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        answers.join().unwrap()
    })
}

/// Cuts the power, and waits until all switches have come to their ends, without a hand.
fn cut_and_boot<'h>(host: &'h Host, make: impl Fn(&'h Host, &str, u16) -> Course<'h>) {
    let frozen = cut(host, courses(host, make));
    host.plug_in();
    let answers = answers(host, &frozen, || {
        for each in &frozen {
            let app = &each.course.app;
            let ends = if each.course.goes_back {
                ["v1", "blue"]
            } else {
                ["r1", "green"]
            };
            let (release, color) = settled(app);
            assert_eq!(
                [release.as_str(), color.as_str()],
                ends,
                "{}: {}",
                app.name(),
                each.moment
            );
        }
    });
    let mut moments = Vec::new();
    for Frozen { course, moment, route } in &frozen {
        let end = if course.goes_back { "blue" } else { "green" };
        let colors = &answers[course.app.name()];
        assert!(
            *colors == [end] || *colors == [*route, end],
            "{}, {moment}, {route} before: {colors:?}",
            course.app.name()
        );
        moments.push(moment);
    }
    moments.sort();
    moments.dedup();
    eprintln!("cut at {moments:?}");
    assert!(
        moments.len() > if frozen[0].course.goes_back { 10 } else { 18 },
        "{moments:?}"
    );
    for each in &frozen {
        Host::wait(each.course.begin(2)).expect(i32::from(each.course.goes_back));
    }
}

#[test]
fn what_goes_well_is_done_after_a_power_cut_at_any_moment() {
    let host = host("cut-forth");
    cut_and_boot(&host, |host, name, port| {
        Course::forth(App::program(host, name, port).install())
    });
}

#[test]
fn what_goes_back_is_back_after_a_power_cut_at_any_moment() {
    let host = host("cut-back");
    cut_and_boot(&host, Course::back);
}

#[test]
fn with_etcd_away_at_the_boot_as_well_what_was_promoted_is_done_and_all_else_goes_back() {
    let host = host("cut-alone");
    let promoted = |moment: &str| {
        let number = moment.rsplit(' ').next().and_then(|step| step.parse::<usize>().ok());
        number.is_none_or(|step| step > PROMOTE)
    };
    let mut all = courses(&host, |host, name, port| {
        Course::forth(App::program(host, name, port).install())
    });
    // Who stands still at the event that says so has begun the promote: what became of it nobody can know before etcd is back.
    all.retain(|(_, (_, moment))| {
        !["before", "in", "after"]
            .map(|at| format!("{at} {PROMOTE}"))
            .contains(moment)
    });
    host.succeed("systemctl disable etcd");
    let frozen = cut(&host, all);
    host.plug_in();
    host.wait_until_booted();
    host.fail("systemctl is-active etcd");
    for Frozen { course, moment, .. } in &frozen {
        course.app.wait_until_closed();
        let release = if promoted(moment) { "r1" } else { "v1" };
        let answer = || {
            Some(course.app.get("/").header("x-release") == release)
                .filter(|is| *is)
                .ok_or(())
        };
        assert!(wait(answer).is_ok(), "{}: {moment}", course.app.name());
    }
    host.succeed("systemctl start etcd");
    for Frozen { course, moment, .. } in &frozen {
        let release = if promoted(moment) { "r1" } else { "v1" };
        assert_eq!(settled(&course.app).0, release, "{}: {moment}", course.app.name());
    }
}

/// The step that moves the cursor.
const PROMOTE: usize = 3;
