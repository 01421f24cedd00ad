//! Whatever is at work is killed wherever it makes a difference: at every system call by which it changes anything. What it had
//! begun comes to its end, nobody is kept from what comes next, and no request fails meanwhile.

use std::collections::BTreeSet;

use crate::app::App;
use crate::course::{Course, Moment, each_moment, host};
use crate::host::{Host, Output, wait};
use crate::load::Load;
use crate::part;
use crate::settled::settled;
use crate::trap::{self, Fate, Point};

impl Course<'_> {
    /// Interrupts its worker at these points, or a part of them, under load; `interrupt` says how the switch ended, and whether that point
    /// was reached.
    fn interrupt(
        &self,
        points: Vec<(Point, Moment)>,
        steps: Vec<usize>,
        interrupt: impl Fn(&Self, usize, &Point) -> (Output, bool),
    ) {
        let load = Load::on(&self.app);
        let mut tried = BTreeSet::new();
        let (mut before, mut count) = (settled(&self.app).0, 0);
        let mut number = 0;
        for (point, moment) in part::of(points, 3) {
            // How often a call is made before it differs a little from run to run, and with that whether it is reached.
            for _ in 0..3 {
                number += 1;
                let (output, is_reached) = interrupt(self, number, &point);
                self.is_over(number, &before, &output, &format!("{moment}, {point:?}"));
                before = settled(&self.app).0;
                if is_reached {
                    count += 1;
                    tried.insert(moment);
                    break;
                }
            }
        }
        load.stop();
        eprintln!(
            "{}: interrupted at {count} points of {} moments",
            self.app.name(),
            tried.len()
        );
        if part::is_all() {
            self.covers(&tried, steps);
        }
        assert!(count > 0, "no point was reached");
    }

    /// Its worker is killed there.
    fn kill(&self, number: usize, point: &Point) -> (Output, bool) {
        let host = self.app.host();
        trap::set(host, &self.worker(), point, Fate::Killed);
        let output = Host::wait(self.begin(number));
        self.app.wait_until_closed();
        (output, trap::has_killed(host, &self.worker(), point))
    }

    /// Its unit is stopped there, and started again.
    fn stop(&self, number: usize, point: &Point) -> (Output, bool) {
        let (host, unit) = (self.app.host(), format!("bgctl-switch@{}", self.app.name()));
        trap::set(host, &self.worker(), point, Fate::Frozen);
        let client = self.begin(number);
        let is_frozen = trap::is_frozen(host, &self.worker());
        host.succeed(&format!("systemctl stop {unit} && systemctl start {unit}"));
        (Host::wait(client), is_frozen)
    }
}

#[test]
fn worker_killed_at_any_call_ends_what_it_began() {
    let host = host("killed-forth");
    let course = Course::forth(App::program(&host, "shop", 9100).install());
    let (points, steps) = course.record();
    course.interrupt(points, steps, Course::kill);
}

#[test]
fn worker_killed_at_any_call_on_the_way_back_takes_all_back() {
    let host = host("killed-back");
    let course = Course::back(&host, "shop", 9100);
    let (points, steps) = course.record();
    course.interrupt(points, steps, Course::kill);
}

#[test]
fn worker_of_containers_killed_at_any_moment_leaves_none_astray() {
    let host = host("killed-boxed");
    host.push_images();
    let course = Course::forth(App::docker(&host, "boxed", 9100).install());
    let (points, steps) = course.record();
    course.interrupt(each_moment(points), steps, Course::kill);
}

#[test]
fn worker_whose_unit_is_stopped_at_any_moment_goes_on_when_it_is_started() {
    let host = host("stopped");
    let forth = Course::forth(App::program(&host, "forth", 9100).install());
    let back = Course::back(&host, "back", 9102);
    for course in [forth, back] {
        let (points, steps) = course.record();
        course.interrupt(each_moment(points), steps, Course::stop);
    }
}

/// Runs a command of bgctl again and again, each time killed at another of its points, at all of them or at every `each`-th, and says
/// which; `before` makes ready for it, and `after` looks what became of it.
fn kill_command(host: &Host, command: &str, each: usize, before: impl Fn(), after: impl Fn(usize, &str)) {
    before();
    trap::record(host, "command");
    host.run(&format!("trapped command {command}"));
    let points = trap::points(host, "command");
    after(0, "to its end");
    for (number, (point, line)) in (1..).zip(part::of(points, each)) {
        before();
        trap::set(host, "command", &point, Fate::Killed);
        host.run(&format!(
            "trapped command {}",
            command.replace("NUMBER", &number.to_string())
        ));
        after(number, &format!("{point:?}: {line}"));
    }
}

#[test]
fn switch_whose_command_line_is_killed_at_any_call_keeps_nobody_from_the_next() {
    let host = host("killed-line");
    let app = App::program(&host, "shop", 9100).install();
    app.switch("v1");
    let load = Load::on(&app);
    kill_command(
        &host,
        "bgctl switch shop --release kNUMBER",
        3,
        || {},
        |number, told| {
            // What it began continues, and whoever comes meanwhile is told so.
            let next = || {
                let output = app.try_switch(&format!("n{number}"));
                if output.status == 5 { Err(output) } else { Ok(output) }
            };
            let next = wait(next).unwrap_or_else(|busy| panic!("{told}: {busy:?}"));
            assert_eq!(next.status, 0, "{told}: {next:?}");
            assert_eq!(settled(&app).0, format!("n{number}"), "{told}");
        },
    );
    load.stop();
}

#[test]
fn abort_that_is_killed_at_any_call_leaves_a_worker_at_work() {
    let host = host("killed-abort");
    let app = App::program(&host, "shop", 9100).install();
    app.switch("v1");
    let app = app.set("bake.duration", "60s").install();
    let load = Load::on(&app);
    kill_command(
        &host,
        "bgctl abort shop",
        3,
        || {
            app.bgctl("switch", "--detach").expect(0);
            app.wait_for_step("bake");
        },
        |_, told| {
            // It bakes on, or goes back; by itself.
            let is_at_work = "! test -L /var/lib/bgctl/shop/open || systemctl is-active -q bgctl-switch@shop";
            host.wait_until(is_at_work);
            let again = app.bgctl("abort", "");
            assert!([0, 3].contains(&again.status), "{told}: {again:?}");
            assert_eq!(settled(&app), ("v1".into(), "blue".into()), "{told}");
        },
    );
    load.stop();
}

#[test]
fn installation_and_its_removal_killed_in_the_middle_are_completed_by_the_same_again() {
    let host = host("killed-install");
    let app = App::program(&host, "shop", 9100).install();
    let install = format!("bgctl install {}", app.manifest());
    let uninstall = "bgctl uninstall shop --yes";
    kill_command(
        &host,
        &install,
        8,
        || drop(host.succeed(uninstall)),
        |_, told| {
            host.succeed("nginx -t -q");
            let again = host.run(&install);
            assert_eq!(again.status, 0, "{told}: {again:?}");
            host.fail("ls -d /run/bgctl-test-*");
            let status = app.status();
            assert_eq!(
                status["problems"].as_array().map(Vec::len),
                Some(0),
                "{told}: {status:#}"
            );
            assert_eq!(app.get("/").status, 503);
        },
    );
    kill_command(
        &host,
        uninstall,
        8,
        || drop(host.succeed(&install)),
        |_, told| {
            host.succeed("nginx -t -q");
            let again = host.run(&format!("test ! -e /etc/bgctl/apps/shop.toml || {uninstall}"));
            assert_eq!(again.status, 0, "{told}: {again:?}");
            let left = "find /var/lib/bgctl /etc/bgctl/apps /etc/nginx /etc/systemd/system -name '*shop*' -o -name '.*.[0-9]*-[0-9]*'";
            let left = host.run(left).stdout;
            assert_eq!(left, "", "{told}");
        },
    );
}

#[test]
fn changed_app_whose_installation_is_killed_in_the_middle_is_what_the_same_again_says() {
    let host = host("killed-change");
    let app = App::program(&host, "shop", 9100).install();
    app.switch("v1");
    host.succeed(&format!("cp {} /root/original.toml", app.manifest()));
    let changed = App::program(&host, "shop", 9100).set("nginx.max_body_size", "1k");
    changed.write_manifest();
    let install = format!("bgctl install {}", app.manifest());
    // A worker of nginx that ends still answers one request or two.
    let is_answered = |status: u16, told: &str| {
        let look = || match app.post("/healthy", &"x".repeat(2000)).status {
            got if got == status => Ok(()),
            got => Err(got),
        };
        wait(look).unwrap_or_else(|got| panic!("{told}: {got} and not {status}"));
    };
    kill_command(
        &host,
        &install,
        6,
        || {
            host.succeed("bgctl install /root/original.toml");
            is_answered(200, "as it was");
        },
        |_, told| {
            host.succeed("nginx -t -q");
            let again = host.run(&install);
            assert_eq!(again.status, 0, "{told}: {again:?}");
            host.fail("ls -d /run/bgctl-test-*");
            is_answered(413, told);
            let status = app.status();
            let problems = status["problems"].as_array().map(Vec::len);
            assert_eq!(problems, Some(0), "{told}: {status:#}");
            app.is_served_by("v1", "blue");
        },
    );
}
