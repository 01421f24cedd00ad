//! Switches that are interrupted, at every moment of their workers.

use std::collections::BTreeSet;
use std::process::Child;

use serde_json::Value;

use crate::app::App;
use crate::host::{Host, Output};
use crate::settled::settled;
use crate::trap::{self, Point};

/// What a worker is about when it comes to a point: `before`, `in` or `after` a step, or `before undo`, and so on.
pub type Moment = String;

/// The moments of the points that were recorded of a worker.
pub fn moments(points: &[(Point, String)]) -> Vec<(Point, Moment)> {
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

/// The moment that a switch has come to by its journal: the last one that is on record.
pub fn reached(journal: &str) -> Moment {
    let events = journal.lines().rev();
    let mut events = events.filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let reached = events.find_map(|event| {
        let at = match event["event"].as_str()? {
            "started" => "in",
            "done" | "failed" => "after",
            "undo-started" => "in undo",
            "undo-done" => "after undo",
            _ => return None,
        };
        Some(format!("{at} {}", event["step"]))
    });
    reached.unwrap_or_else(|| "before 0".to_owned())
}

/// The first and the last point of each moment. How often a call is made before a point differs a little from run to run: of two
/// one is met.
pub fn each_moment(moments: Vec<(Point, Moment)>) -> Vec<(Point, Moment)> {
    let mut each: Vec<(Point, Moment)> = Vec::new();
    for (point, moment) in moments {
        if each.iter().filter(|(_, there)| *there == moment).count() == 2 {
            each.pop();
        }
        each.push((point, moment));
    }
    each
}

/// A switch that is begun again and again.
pub struct Course<'h> {
    /// The app.
    pub app: App<'h>,
    /// Whether it ends by going back.
    pub goes_back: bool,
}

impl<'h> Course<'h> {
    /// One that goes well; `v1` goes on in blue until then.
    pub fn forth(app: App<'h>) -> Self {
        app.switch("v1");
        Self { app, goes_back: false }
    }

    /// One whose release falls sick as soon as it takes traffic, and answers all the same; `v1` goes on in blue.
    pub fn back(host: &'h Host, name: &str, port: u16) -> Self {
        let healthy = "curl -fsS http://127.0.0.1:$PORT/health && ! test -e /var/lib/sick/$PORT";
        let check = ["/bin/sh", "-c", healthy].map(toml::Value::from).to_vec();
        host.succeed("mkdir -p /var/lib/sick");
        let app = App::program(host, name, port)
            .without("health.path")
            .set("health.command", check)
            .install();
        app.switch("v1");
        let app = app
            .set("bake.duration", "5s")
            .set("verify.commands", vec!["touch /var/lib/sick/$PORT"])
            .install();
        Self { app, goes_back: true }
    }

    /// The name by which its worker is trapped.
    pub fn worker(&self) -> String {
        trap::worker(self.app.name())
    }

    /// The release of a try. Of containers there are but two.
    pub fn release(&self, number: usize) -> String {
        if self.app.is_container() {
            ["v2", "v1"][number % 2].to_owned()
        } else {
            format!("r{number}")
        }
    }

    /// Begins a try, and does not wait for its end.
    pub fn begin(&self, number: usize) -> Child {
        let (name, idle) = (self.app.name(), self.app.port("green"));
        let release = self.app.release(&self.release(number));
        self.app.host().spawn(&format!(
            "rm -f /var/lib/sick/{idle}; bgctl switch {name} {release} --json"
        ))
    }

    /// The points of its worker that matter, with their moments, and the steps that it goes through.
    pub fn record(&self) -> (Vec<(Point, Moment)>, Vec<usize>) {
        trap::record(self.app.host(), &self.worker());
        Host::wait(self.begin(0)).expect(i32::from(self.goes_back));
        let mut moments = moments(&trap::points(self.app.host(), &self.worker()));
        let journal = self.app.journal();
        let steps = journal[0]["plan"]["steps"].as_array().unwrap();
        let mut steps: Vec<_> = steps.iter().enumerate().collect();
        if self.goes_back {
            let first = moments.iter().position(|(_, moment)| moment.contains("undo"));
            moments.drain(..first.unwrap());
            steps.retain(|(_, step)| step["undo"].as_array().is_some_and(|undo| !undo.is_empty()));
        }
        (moments, steps.into_iter().map(|(index, _)| index).collect())
    }

    /// Fails where a try that was interrupted did not come to its end.
    #[track_caller]
    pub fn is_over(&self, number: usize, before: &str, output: &Output, told: &str) {
        let expected = match output.status {
            0 if !self.goes_back => self.release(number),
            1 if self.goes_back => before.to_owned(),
            // Nobody waits for the next worker where the first one was dead before it was there.
            3 if told.starts_with("before 0") => before.to_owned(),
            _ => panic!("{told}: {output:?}"),
        };
        assert_eq!(settled(&self.app).0, expected, "{told}: {output:?}");
    }

    /// Fails where a moment of a step was not tried.
    #[track_caller]
    pub fn covers(&self, tried: &BTreeSet<Moment>, steps: Vec<usize>) {
        let of = if self.goes_back { " undo" } else { "" };
        for step in steps {
            for moment in ["before", "in", "after"] {
                let moment = format!("{moment}{of} {step}");
                assert!(tried.contains(&moment), "{moment} is not among {tried:?}");
            }
        }
    }
}

/// A host of its own, with the demo app as a program, and traps.
pub fn host(name: &str) -> Host {
    let host = Host::boot(name);
    host.copy_program();
    trap::prepare(&host);
    host
}
