//! The power is cut while many switches stand still, each at another moment: after the boot all of them come to their ends by
//! themselves, and nginx sends nobody elsewhere than where its route led when the power went, until they move it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};

use crate::app::App;
use crate::course::{Course, Moment, each_moment, host, reached};
use crate::host::{Host, wait};
use crate::part;
use crate::settled::settled;
use crate::trap::{self, Fate, Point};

/// What the disk says of a switch after the power was cut.
struct Cut<'h> {
    course: Course<'h>,
    /// Where its worker was; none where the switch is over.
    moment: Option<Moment>,
    /// The color that nginx sent requests to.
    route: &'static str,
}

impl Cut<'_> {
    /// Where it must end, by itself: where it is over, it stays as it is.
    fn end(&self) -> (&str, &str) {
        let goes_forth = match self.moment {
            Some(_) => !self.course.goes_back,
            None => self.route == "green",
        };
        if goes_forth { ("r1", "green") } else { ("v1", "blue") }
    }

    /// The release that serves in the end where etcd is away as well: what was not promoted by then goes back.
    fn end_alone(&self) -> &str {
        let step = |moment: &Moment| moment.rsplit(' ').next().and_then(|step| step.parse::<usize>().ok());
        match self.moment.as_ref().map(step) {
            None => self.end().0,
            Some(Some(step)) if step > PROMOTE || self.moment == Some(format!("after {PROMOTE}")) => "r1",
            Some(_) => "v1",
        }
    }
}

/// A course of its own for each moment of such a course, and their points.
fn courses<'h>(host: &'h Host, make: impl Fn(&'h Host, &str, u16) -> Course<'h>) -> Vec<(Course<'h>, Point)> {
    let first = make(host, "a00", 9100);
    let (points, _) = first.record();
    // So that all are alike.
    let (back, _) = (first.app.bgctl("rollback", "").status, settled(&first.app));
    assert_eq!(back, if first.goes_back { 3 } else { 0 });
    let mut points = each_moment(points);
    // Its first: what is asked for there is not yet done.
    points.dedup_by(|next, first| next.1 == first.1);
    let others = (1..).map(|number| make(host, &format!("a{number:02}"), 9100 + 2 * number));
    let points = part::of(points, 3).into_iter().map(|(point, _)| point);
    std::iter::once(first).chain(others).zip(points).collect()
}

/// Begins all switches, lets each stand still at its point, and cuts the power.
fn cut<'h>(host: &'h Host, courses: Vec<(Course<'h>, Point)>) -> Vec<Cut<'h>> {
    let mut clients = Vec::new();
    for (course, point) in &courses {
        trap::set(host, &course.worker(), point, Fate::Frozen);
        clients.push(course.begin(1));
    }
    for (course, _) in &courses {
        trap::is_frozen(host, &course.worker());
    }
    host.power_off();
    for mut client in clients {
        client.wait().unwrap();
    }
    let disk = tempfile::tempdir().unwrap();
    for folder in ["bgctl", "bgctl-routes"] {
        host.copy_out(&format!("/var/lib/{folder}"), disk.path());
    }
    let look = |(course, _): (Course<'h>, Point)| {
        let state = disk.path().join("bgctl").join(course.app.name());
        let route = disk.path().join("bgctl-routes").join(course.app.name()).join("active");
        // Where a worker comes to differs with how busy the machine is, and a client closes what no worker takes up.
        let open = std::fs::read_link(state.join("open")).ok();
        let journal = open.map(|open| std::fs::read_to_string(state.join(open)).unwrap());
        Cut {
            moment: journal.map(|journal| reached(&journal)),
            route: match std::fs::read_link(route).unwrap().to_str() {
                Some("to.green") => "green",
                _ => "blue",
            },
            course,
        }
    };
    courses.into_iter().map(look).collect()
}

/// The colors that answered for each app while `work` was done, in order.
fn answers(host: &Host, cut: &[Cut<'_>], work: impl FnOnce()) -> BTreeMap<String, Vec<String>> {
    let over = AtomicBool::new(false);
    let names: Vec<_> = cut.iter().map(|each| each.course.app.name().to_owned()).collect();
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

/// Cuts the power, and waits until all switches have come to their ends, without a hand; how many moments were met.
fn cut_and_boot<'h>(host: &'h Host, make: impl Fn(&'h Host, &str, u16) -> Course<'h>) -> usize {
    let cut = cut(host, courses(host, make));
    host.plug_in();
    let answers = answers(host, &cut, || {
        for each in &cut {
            let (release, color) = settled(&each.course.app);
            let name = each.course.app.name();
            assert_eq!(
                (release.as_str(), color.as_str()),
                each.end(),
                "{name}: {:?}",
                each.moment
            );
        }
    });
    for each in &cut {
        let (name, route, end) = (each.course.app.name(), each.route, each.end().1);
        let colors = &answers[name];
        assert!(
            *colors == [end] || *colors == [route, end],
            "{name}, {:?}, {route} before: {colors:?}",
            each.moment
        );
    }
    let moments: BTreeSet<_> = cut.iter().filter_map(|each| each.moment.as_deref()).collect();
    eprintln!("cut at {moments:?}");
    for each in &cut {
        Host::wait(each.course.begin(2)).expect(i32::from(each.course.goes_back));
    }
    moments.len()
}

#[test]
fn switch_is_done_after_a_power_cut_at_any_moment() {
    let host = host("cut-forth");
    let moments = cut_and_boot(&host, |host, name, port| {
        Course::forth(App::program(host, name, port).install())
    });
    assert!(moments > if part::is_all() { 9 } else { 2 }, "{moments}");
}

#[test]
fn failing_switch_is_rolled_back_after_a_power_cut_at_any_moment() {
    let host = host("cut-back");
    let moments = cut_and_boot(&host, Course::back);
    assert!(moments > if part::is_all() { 5 } else { 1 }, "{moments}");
}

#[test]
fn with_etcd_away_at_the_boot_as_well_what_was_promoted_is_done_and_all_else_goes_back() {
    let host = host("cut-alone");
    let courses = courses(&host, |host, name, port| {
        Course::forth(App::program(host, name, port).install())
    });
    host.succeed("systemctl disable etcd");
    let cut = cut(&host, courses);
    host.plug_in();
    host.wait_until_booted();
    host.fail("systemctl is-active etcd");
    for each in &cut {
        let (app, moment) = (&each.course.app, &each.moment);
        // Of a promote that has begun nobody can know what became of it before etcd is back.
        if *moment == Some(format!("in {PROMOTE}")) {
            assert_ne!(app.open_switch(), "", "{}", app.name());
            continue;
        }
        app.wait_until_closed();
        let release = each.end_alone();
        let answer = || {
            Some(app.get("/").header("x-release") == release)
                .filter(|is| *is)
                .ok_or(())
        };
        assert!(wait(answer).is_ok(), "{}: {moment:?}", app.name());
    }
    host.succeed("systemctl start etcd");
    for each in &cut {
        let (app, moment) = (&each.course.app, &each.moment);
        assert_eq!(settled(app).0, each.end_alone(), "{}: {moment:?}", app.name());
    }
}

/// The step that moves the cursor.
const PROMOTE: usize = 3;
