//! What must be true when a worker has ended.

use std::collections::BTreeSet;
use std::rc::Rc;

use bgctl::engine::Outcome;
use bgctl::journal::Event;
use bgctl::model::Color;
use bgctl::plan::{Plan, PlannedStep, Step, Verb};

use crate::worker::{Ran, Site, is_past_return, work};
use crate::world::{World, is_alone};

/// A switch, the host before it, and how the present case came about.
pub struct Case<'a> {
    /// The plan.
    pub plan: &'a Plan,
    /// The host before.
    pub before: &'a World,
    /// The present case, for people.
    pub told: String,
}

impl Case<'_> {
    fn demand(&self, holds: bool, rule: &str, site: &Site) {
        assert!(
            holds,
            "{rule}\ncase: {}\n{}\nbefore: {:#?}",
            self.told,
            site.story(self.plan),
            self.before
        );
    }

    /// Judges how a worker ended. One that is stuck is mended and taken up again, and must then come to an end.
    /// Returns the final outcome.
    pub fn judge(&self, ran: &Ran) -> Outcome {
        self.judge_journal(&ran.site);
        match ran.outcome {
            Outcome::Done => match self.plan.verb {
                Verb::Switch | Verb::Rollback | Verb::Promote => self.judge_done(&ran.site),
                Verb::Stage => self.judge_staged(&ran.site),
                Verb::Abort => self.judge_taken_down(&ran.site),
            },
            Outcome::RolledBack => self.judge_rolled_back(&ran.site),
            Outcome::Stuck => return self.mend(ran),
        }
        ran.outcome
    }

    /// Past the point of no return nothing is undone, and what was undone in part does not go on.
    fn judge_journal(&self, site: &Site) {
        let undo = |event: &Event| matches!(event, Event::UndoStarted { .. });
        self.demand(
            !is_past_return(self.plan, &site.journal) || !site.journal.iter().any(undo),
            "a switch past its point of no return went back",
            site,
        );
    }

    fn judge_done(&self, site: &Site) {
        let (plan, world, old) = (self.plan, &site.world, self.plan.to.other());
        let release = Some(&plan.release);
        let demand = |holds, rule| self.demand(holds, rule, site);
        demand(
            world.route.serves(plan.to),
            "done: nginx sends requests to the new color",
        );
        demand(
            *world.dark.get(plan.to) || world.running.get(plan.to).as_ref() == release,
            "done: the new release runs, unless it did not come back from a reboot",
        );
        demand(
            world.pinned.get(plan.to).as_ref() == release,
            "done: the new release is pinned",
        );
        demand(*world.enabled.get(plan.to), "done: the new color is enabled");
        demand(world.staged.is_none(), "done: nothing is staged any more");
        demand(!world.enabled.get(old), "done: the old color is not enabled");
        let wanted = plan.steps.iter().find_map(|planned| match &planned.step {
            Step::StartCompanions { replicas, .. } => Some(replicas.iter().collect::<BTreeSet<_>>()),
            _ => None,
        });
        let companions = world.companions.get(plan.to);
        demand(
            companions.keys().eq(wanted.unwrap_or_default()) && companions.values().all(|of| *of == plan.release),
            "done: the companions of the new release run",
        );
        demand(
            world.companions.get(old).is_empty(),
            "done: no companion of the old color is left",
        );
        if !world.meddled {
            demand(
                world.cursor.active == Some(plan.to),
                "done: the cursor is at the new color",
            );
            demand(
                world.cursor.release.as_ref() == release,
                "done: the cursor names the new release",
            );
        }
        self.judge_meddled(site);
        let stops = |step: &Step| matches!(step, Step::Stop { color, .. } if *color == old);
        let stopped = world.running.get(old).is_none();
        if plan.steps.iter().any(|planned| stops(&planned.step)) {
            demand(stopped, "done: the old color is stopped");
        } else {
            let warm = world.running.get(old) == self.before.running.get(old);
            demand(warm || world.boot > 0, "done: the old color is kept warm");
        }
    }

    /// The release runs in the idle color, and all else is as it was.
    fn judge_staged(&self, site: &Site) {
        let (plan, world) = (self.plan, &site.world);
        let release = Some(&plan.release);
        let demand = |holds, rule| self.demand(holds, rule, site);
        let staged = world.staged.as_ref();
        demand(
            staged == Some(&(plan.to, plan.release.clone())),
            "staged: it is on record",
        );
        demand(world.pinned.get(plan.to).as_ref() == release, "staged: it is pinned");
        demand(*world.enabled.get(plan.to), "staged: it comes back after a reboot");
        let runs = world.running.get(plan.to).as_ref() == release;
        demand(
            runs || *world.dark.get(plan.to),
            "staged: it runs, unless it did not come back",
        );
        self.judge_others(site);
    }

    /// Nothing is left in the idle color, and all else is as it was.
    fn judge_taken_down(&self, site: &Site) {
        let (world, to) = (&site.world, self.plan.to);
        let demand = |holds, rule| self.demand(holds, rule, site);
        demand(world.staged.is_none(), "taken down: nothing is on record");
        demand(world.running.get(to).is_none(), "taken down: nothing runs");
        demand(!world.enabled.get(to), "taken down: nothing comes back after a reboot");
        demand(world.pinned.get(to).is_none(), "taken down: nothing is pinned");
        self.judge_others(site);
    }

    /// Of the traffic, the cursor and the other color.
    fn judge_others(&self, site: &Site) {
        let (world, before, old) = (&site.world, self.before, self.plan.to.other());
        let demand = |holds, rule| self.demand(holds, rule, site);
        demand(world.route == before.route, "where nginx sends requests");
        demand(world.meddled || world.cursor == before.cursor, "what the cursor says");
        demand(
            world.pinned.get(old) == before.pinned.get(old),
            "what is pinned to the other color",
        );
        demand(
            world.enabled.get(old) == before.enabled.get(old),
            "whether the other color is enabled",
        );
        demand(self.runs_as_before(world, old), "what the other color runs");
    }

    fn judge_rolled_back(&self, site: &Site) {
        let (world, before) = (&site.world, self.before);
        let demand = |holds, rule| self.demand(holds, rule, site);
        demand(world.route == before.route, "rolled back: where nginx sends requests");
        demand(world.pinned == before.pinned, "rolled back: what is pinned");
        for color in Color::BOTH {
            let is_enabled = *world.enabled.get(color);
            demand(
                is_enabled == *before.enabled.get(color) || (!is_enabled && self.takes_boot(color)),
                "rolled back: what is enabled",
            );
        }
        if let Some(from) = self.plan.from {
            demand(
                world.companions.get(from) == before.companions.get(from),
                "rolled back: the companions of the color that serves",
            );
        }
        let others = world.companions.get(self.plan.to);
        demand(
            others.is_empty() || others == before.companions.get(self.plan.to),
            "rolled back: no companion of the new release is left",
        );
        demand(
            world.staged == before.staged || (is_alone(self.plan) && world.staged.is_none()),
            "rolled back: what is staged",
        );
        if !world.meddled {
            demand(
                world.cursor.active == before.cursor.active,
                "rolled back: the cursor's color",
            );
            demand(
                world.cursor.release == before.cursor.release,
                "rolled back: the cursor's release",
            );
        }
        self.judge_meddled(site);
        for color in Color::BOTH {
            demand(self.runs_as_before(world, color), "rolled back: what runs");
        }
    }

    /// Whether the switch takes a color's start at boot for good, beside another one that is to be the only one.
    fn takes_boot(&self, color: Color) -> bool {
        let disables = |planned: &PlannedStep| planned.step == Step::Disable { color } && planned.undo.is_empty();
        color == self.plan.to && self.plan.steps.iter().any(disables)
    }

    /// What no undo brings back: something that ran in the idle color was stopped; a reboot starts what is enabled and
    /// ends what is not.
    fn runs_as_before(&self, world: &World, color: Color) -> bool {
        let (now, then) = (world.running.get(color), self.before.running.get(color));
        let stops = |step: &Step| matches!(step, Step::Stop { color: other, .. } if *other == color);
        let revives = |step: &Step| matches!(step, Step::Revive { color: other, .. } if *other == color);
        let planned = &self.plan.steps;
        let taken = color == self.plan.to
            && planned.iter().any(|each| stops(&each.step))
            && !planned.iter().any(|each| each.undo.iter().any(revives));
        let booted = world.boot > 0;
        let starts = *self.before.enabled.get(color);
        now == then
            || (taken && now.is_none())
            || (booted && !starts && now.is_none())
            || (booted && starts && now == self.before.pinned.get(color))
            || (booted && now.is_none() && *world.dark.get(color))
    }

    fn judge_meddled(&self, site: &Site) {
        let theirs = site.world.cursor.moved_by.as_deref() == Some("elsewhere/0001");
        self.demand(
            theirs == site.world.meddled,
            "the cursor that somebody else moved stays",
            site,
        );
    }

    /// Stuck is only what is broken for good; the color that serves stays up, and a new worker ends it once it is mended.
    fn mend(&self, ran: &Ran) -> Outcome {
        let demand = |holds, rule| self.demand(holds, rule, &ran.site);
        let broken = ran.site.world.broken.as_ref().map(|broken| &broken.step);
        let fails = |step: usize| &self.plan.steps[step];
        demand(broken.is_some(), "stuck with nothing broken");
        demand(
            match ran.site.journal.last() {
                Some(Event::Failed { step, .. }) => {
                    Some(&fails(*step).step) == broken && is_past_return(self.plan, &ran.site.journal)
                }
                Some(Event::UndoFailed { step, .. }) => broken.is_some_and(|broken| fails(*step).undo.contains(broken)),
                _ => false,
            },
            "stuck at something else than what is broken",
        );
        demand(
            ran.pauses.ends_with(&[1, 2, 3, 4]),
            "it waits longer after each failure",
        );
        let mut left = ran.site.clone();
        Rc::make_mut(&mut left.world).broken = None;
        let again = work(self.plan, self.before, left, &[]);
        self.demand(
            again.outcome != Outcome::Stuck,
            "stuck after it was mended",
            &again.site,
        );
        self.judge(&again)
    }
}
