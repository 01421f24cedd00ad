//! Every scenario, with what befalls its workers one after the other.

use std::rc::Rc;

use bgctl::engine::Outcome;
use bgctl::journal::Event;
use bgctl::plan::{OnFailure, Plan};

use crate::judge::Case;
use crate::scenarios;
use crate::worker::{Ran, Script, Site, work};
use crate::world::World;

/// A plan, the host it was made for, and how many cases were seen.
pub struct Explorer {
    /// The scenario.
    pub name: &'static str,
    /// The plan.
    pub plan: Plan,
    /// The host it was made for.
    pub before: World,
    /// How many workers there were.
    pub cases: usize,
}

/// Runs a test on every scenario, and says how many cases there were; `least` keeps it from seeing fewer some day.
pub fn everywhere(what: &str, least: usize, test: impl Fn(&mut Explorer)) {
    let mut cases = 0;
    for scenario in scenarios::all() {
        let mut explorer = Explorer {
            name: scenario.name,
            before: World::new(&scenario.observed),
            plan: scenario.plan,
            cases: 0,
        };
        test(&mut explorer);
        cases += explorer.cases;
    }
    println!("{what}: {cases} cases");
    assert!(cases >= least, "{what}: only {cases} cases, there were {least}");
}

impl Explorer {
    /// A first worker.
    pub fn start(&mut self, script: &Script) -> Ran {
        let site = Site {
            world: Rc::new(self.before.clone()),
            journal: Vec::new(),
        };
        self.resume(site, script, "start")
    }

    /// A worker that takes up what is left; it ends as it must.
    pub fn resume(&mut self, left: Site, script: &Script, told: &str) -> Ran {
        self.cases += 1;
        let ran = work(&self.plan, &self.before, left, script);
        self.end(&ran, &format!("{}: {told}, then {script:?}", self.name));
        ran
    }

    fn end(&self, ran: &Ran, told: &str) -> Outcome {
        let case = Case {
            plan: &self.plan,
            before: &self.before,
            told: told.to_owned(),
        };
        let ended = case.judge(ran);
        assert_eq!(
            ended,
            self.expected(&ran.site.journal),
            "{told}\n{}",
            ran.site.story(&self.plan)
        );
        ended
    }

    /// A switch goes back where a step failed or a person asked for it, before the point of no return and its end.
    fn expected(&self, journal: &[Event]) -> Outcome {
        let last = self.plan.steps.len() - 1;
        for event in journal {
            match event {
                Event::Failed { .. } | Event::AbortRequested => return Outcome::RolledBack,
                Event::Started { step } if self.plan.steps[*step].on_failure == OnFailure::Retry => break,
                Event::Done { step, .. } if *step == last => break,
                _ => {}
            }
        }
        Outcome::Done
    }
}

/// The worker dies at every moment from `first` on; what is left, in the same boot and after a reboot. Moments that
/// leave the same are one.
pub fn deaths(ran: &Ran, first: usize) -> Vec<(String, Site)> {
    let mut deaths = Vec::new();
    let differs = |moment: &usize| *moment == first || ran.trail[*moment] != ran.trail[*moment - 1];
    for moment in (first..ran.trail.len()).filter(differs) {
        let left = ran.dead_at(moment);
        let mut rebooted = left.clone();
        Rc::make_mut(&mut rebooted.world).reboot();
        deaths.push((format!("dead at {moment}"), left));
        deaths.push((format!("dead at {moment} by a reboot"), rebooted));
    }
    deaths
}

/// The moment in which the step `number` was performed.
pub fn moment_of(ran: &Ran, number: usize) -> usize {
    let performed = |window: &(usize, usize)| window.0 == window.1;
    let events = |moment: usize| ran.trail[moment].1;
    (1..ran.trail.len())
        .filter(|moment| performed(&(events(moment - 1), events(*moment))))
        .nth(number)
        .unwrap()
}
