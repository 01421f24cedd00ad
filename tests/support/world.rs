//! A host that is nothing but its state, changed by steps as a real one would be, and judged after every one of them.

use std::collections::BTreeMap;

use bgctl::model::{ByColor, Color, Cursor, Observed, ReleaseId, Replica, Revision, Route};
use bgctl::plan::{OnFailure, Plan, PlannedStep, Step};

use crate::builders::OVERLAPPING;

/// What is true of a host; also what survives the death of a worker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct World {
    /// The store's record.
    pub cursor: Cursor,
    /// Its revision.
    pub revision: Revision,
    /// Where nginx sends requests.
    pub route: Route,
    /// What starts in a color.
    pub pinned: ByColor<Option<ReleaseId>>,
    /// What runs in a color, and is healthy.
    pub running: ByColor<Option<ReleaseId>>,
    /// What starts at boot.
    pub enabled: ByColor<bool>,
    /// The companions that run in a color, each with its release; they come back after a reboot.
    pub companions: ByColor<BTreeMap<Replica, ReleaseId>>,
    /// What is on record as staged.
    pub staged: Option<(Color, ReleaseId)>,
    /// How often the host was booted.
    pub boot: u32,
    /// Somebody else moved the cursor.
    pub meddled: bool,
    /// What no longer works, until somebody mends it.
    pub broken: Option<Broken>,
    /// A color is down, and no step of ours is to blame: it was before, or did not come back at a boot.
    pub dark: ByColor<bool>,
}

/// A step that fails from now on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Broken {
    /// Which.
    pub step: Step,
    /// Whether it fails after it had its effect.
    pub late: bool,
}

/// One thing of two, to change it.
pub fn of<T>(pair: &mut ByColor<T>, color: Color) -> &mut T {
    match color {
        Color::Blue => &mut pair.blue,
        Color::Green => &mut pair.green,
    }
}

/// A step that would hurt users or the next switch, whoever asked for it.
#[derive(Debug)]
pub struct Violation(pub String);

/// How a step ends: well, with an error, or it must never have been asked for.
pub type Performed = Result<Result<(), &'static str>, Violation>;

fn violation<T>(message: impl Into<String>) -> Result<T, Violation> {
    Err(Violation(message.into()))
}

/// Whether a switch ends the old color before it starts the new one, or there is no old one.
pub fn is_alone(plan: &Plan) -> bool {
    let retires = |planned: &PlannedStep| planned.on_failure == OnFailure::Retry;
    plan.verb.makes_active() && !plan.steps.iter().any(retires)
}

impl World {
    /// The host that was observed so.
    pub fn new(observed: &Observed) -> Self {
        let stored = observed.cursor.clone().unwrap();
        let running = |color: Color| {
            let instance = observed.instances.get(color);
            instance.pinned.clone().filter(|_| !instance.state.is_down())
        };
        let companions = |color: Color| {
            let pinned = observed.instances.get(color).pinned.as_ref();
            let all = observed.companions.get(color).iter().cloned();
            all.zip(pinned.into_iter().cycle().cloned()).collect()
        };
        let pair = |of: &dyn Fn(Color) -> Option<ReleaseId>| ByColor {
            blue: of(Color::Blue),
            green: of(Color::Green),
        };
        Self {
            cursor: stored.cursor,
            revision: stored.revision,
            route: observed.route,
            pinned: pair(&|color| observed.instances.get(color).pinned.clone()),
            running: pair(&running),
            enabled: ByColor {
                blue: observed.instances.blue.enabled,
                green: observed.instances.green.enabled,
            },
            companions: ByColor {
                blue: companions(Color::Blue),
                green: companions(Color::Green),
            },
            staged: observed.staged.clone().map(|staged| (staged.color, staged.release)),
            boot: 0,
            meddled: false,
            broken: None,
            dark: ByColor {
                blue: running(Color::Blue).is_none(),
                green: running(Color::Green).is_none(),
            },
        }
    }

    /// Everything stops, and what is enabled and has something pinned comes back.
    pub fn reboot(&mut self) {
        self.boot += 1;
        for color in Color::BOTH {
            let comes_back = *self.enabled.get(color) && !self.fails_to_start(color);
            *of(&mut self.running, color) = self.pinned.get(color).clone().filter(|_| comes_back);
            *of(&mut self.dark, color) = self.running.get(color).is_none();
        }
    }

    /// The boot that a worker reads.
    pub fn boot_id(&self) -> String {
        format!("boot-{}", self.boot)
    }

    /// Somebody else moves the cursor.
    pub fn meddle(&mut self) {
        self.meddled = true;
        self.revision.0 += 1;
        self.cursor = Cursor {
            active: Some(Color::Blue),
            release: Some(ReleaseId::parse("theirs").unwrap()),
            moved_by: Some("elsewhere/0001".to_owned()),
        };
    }

    fn fails(&self, step: &Step) -> bool {
        self.broken.as_ref().is_some_and(|broken| broken.step == *step)
    }

    fn fails_to_start(&self, color: Color) -> bool {
        let broken = self.broken.as_ref().map(|broken| &broken.step);
        matches!(broken, Some(Step::Start { color: other, .. }) if *other == color)
    }

    /// Performs a step, unless it is broken.
    pub fn perform(&mut self, plan: &Plan, step: &Step) -> Performed {
        let late = self.broken.as_ref().is_some_and(|broken| broken.late);
        if self.fails(step) && !late {
            return Ok(Err("it is broken"));
        }
        let ended = self.effect(plan, step)?;
        Ok(ended.and(if self.fails(step) { Err("it is broken") } else { Ok(()) }))
    }

    /// What a step does to the host.
    pub fn effect(&mut self, plan: &Plan, step: &Step) -> Performed {
        let serves = |color: Color| self.route.serves(color);
        match step {
            Step::Pin { color, release } => {
                let running = self.running.get(*color);
                if running.is_some() && running != release {
                    return violation(format!("{step} while it runs {running:?}"));
                }
                release.clone_into(of(&mut self.pinned, *color));
            }
            Step::Start { color, .. } if self.running.get(*color).is_some() => {}
            Step::Start { color, .. } => match self.pinned.get(*color).clone() {
                None => return Ok(Err("nothing is pinned")),
                pinned => *of(&mut self.running, *color) = pinned,
            },
            Step::Stop { color, .. } | Step::Disable { color } | Step::Drain { color, .. } if serves(*color) => {
                return violation(format!("{step} while it serves"));
            }
            Step::Stop { color, .. } => *of(&mut self.running, *color) = None,
            Step::Drain { .. } => {}
            Step::Enable { color } => *of(&mut self.enabled, *color) = true,
            Step::Disable { color } => *of(&mut self.enabled, *color) = false,
            Step::Verify { color, .. } | Step::Bake { color, .. } | Step::Await { color, .. } => {
                return self.look_at(plan, *color);
            }
            Step::Confirm { color, .. } if serves(*color) => return self.look_at(plan, *color),
            Step::Confirm { .. } => return Ok(Err("nginx answers with another color")),
            Step::Stage { color, release, .. } => {
                let runs = self.running.get(*color).as_ref() == Some(release);
                if !runs || !self.enabled.get(*color) {
                    return violation(format!("{step} while it does not run, now and after a boot"));
                }
                self.staged = Some((*color, release.clone()));
            }
            Step::Restage { staged } => self.staged = Some((staged.color, staged.release.clone())),
            Step::Unstage { .. } => self.staged = None,
            Step::Prove { color, release, .. } if self.pinned.get(*color).as_ref() == Some(release) => {}
            Step::Prove { .. } => return Ok(Err("it is not what was staged")),
            Step::Revive { color, .. } => {
                let pinned = self.pinned.get(*color).clone();
                let running = of(&mut self.running, *color);
                *running = running.take().or(pinned);
            }
            Step::Promote { expected, to, release } | Step::Defer { expected, to, release } => {
                return self.promote(plan, *expected, *to, release);
            }
            Step::Demote { expected, to, release } => self.demote(plan, *expected, *to, release.as_ref()),
            Step::Recall => self.recall(plan),
            Step::StopCompanions { color, replicas, .. } => {
                of(&mut self.companions, *color).retain(|replica, _| !replicas.contains(replica));
            }
            Step::StartCompanions {
                color,
                release,
                replicas,
                ..
            } => self.start_companions(*color, release, replicas)?,
            Step::Route { to: Route::To(to) } if *to == plan.to => {
                self.look_at(plan, *to)?
                    .map_err(|_| Violation(format!("{step} while it is down")))?;
                self.route = Route::To(*to);
            }
            Step::Hold { .. } => self.route = Route::Held,
            Step::Route { to } => self.route = *to,
        }
        Ok(Ok(()))
    }

    /// They begin where users are, with the release that is there.
    fn start_companions(&mut self, color: Color, release: &ReleaseId, replicas: &[Replica]) -> Result<(), Violation> {
        if !self.route.serves(color) {
            return violation(format!("companions start in {color}, which does not serve"));
        }
        if self.pinned.get(color).as_ref() != Some(release) {
            return violation(format!(
                "companions of {release} start in {color}, which is not its color"
            ));
        }
        let started = replicas.iter().map(|replica| (replica.clone(), release.clone()));
        of(&mut self.companions, color).extend(started);
        Ok(())
    }

    fn look_at(&self, plan: &Plan, color: Color) -> Performed {
        match self.running.get(color) {
            Some(release) if *release == plan.release => Ok(Ok(())),
            Some(other) => violation(format!("{color} is judged while it runs {other}")),
            None => Ok(Err("it does not answer")),
        }
    }

    fn promote(&mut self, plan: &Plan, expected: Revision, to: Color, release: &ReleaseId) -> Performed {
        if self.running.get(to).as_ref() != Some(release) || !self.enabled.get(to) {
            return violation(format!(
                "{to} is promoted with {release} and does not run it, now and after a boot"
            ));
        }
        let next = Cursor {
            active: Some(to),
            release: Some(release.clone()),
            moved_by: Some(plan.holder.clone()),
        };
        if self.cursor == next {
            return Ok(Ok(()));
        }
        if self.revision != expected {
            return Ok(Err("somebody else moved the cursor"));
        }
        self.revision.0 += 1;
        self.cursor = next;
        Ok(Ok(()))
    }

    /// What is deferred here is what this host takes for the cursor; the one in the store is none of its business.
    fn recall(&mut self, plan: &Plan) {
        if self.cursor.moved_by.as_ref() == Some(&plan.holder) {
            self.cursor = Cursor {
                active: plan.from,
                release: plan.replaces.clone(),
                moved_by: None,
            };
        }
    }

    fn demote(&mut self, plan: &Plan, expected: Revision, to: Option<Color>, release: Option<&ReleaseId>) {
        let moved_by = Some(plan.holder.clone());
        if self.revision == expected {
            self.revision.0 += 1;
        } else if self.cursor.moved_by == moved_by {
            self.revision.0 += 1;
            self.cursor = Cursor {
                active: to,
                release: release.cloned(),
                moved_by,
            };
        }
    }

    /// A switch that stops the old color first never has both colors run, nor both come back after a reboot; unless that was so
    /// before.
    pub fn check_alone(&self, plan: &Plan, before: &Self) -> Result<(), Violation> {
        let both = |pair: &ByColor<bool>| pair.blue && pair.green;
        let run = |world: &Self| world.running.blue.is_some() && world.running.green.is_some();
        if !is_alone(plan) {
            return Ok(());
        }
        if run(self) && !run(before) && !both(&before.enabled) {
            return violation("both colors run");
        }
        if both(&self.enabled) && !both(&before.enabled) {
            return violation("both colors come back after a reboot");
        }
        Ok(())
    }

    /// What must hold at every moment: the serving color runs what it should, and comes back after a reboot.
    pub fn check(&mut self, plan: &Plan, before: &Self) -> Result<(), Violation> {
        self.check_alone(plan, before)?;
        for color in Color::BOTH {
            *of(&mut self.dark, color) &= self.running.get(color).is_none();
        }
        let names = |color: Color| {
            self.companions
                .get(color)
                .keys()
                .map(|replica| replica.companion.as_str())
        };
        let twice = names(Color::Blue).find(|name| names(Color::Green).any(|other| other == *name));
        if let Some(name) = twice.filter(|name| *name != OVERLAPPING) {
            return violation(format!("two generations of {name} run"));
        }
        if !plan.verb.makes_active() && self.route != before.route {
            return violation(format!("a {} moved traffic", plan.verb.as_str()));
        }
        if self.staged.as_ref().is_some_and(|(color, _)| self.route.serves(*color)) {
            return violation("what serves is on record as staged");
        }
        let Some(color) = self.route.color() else { return Ok(()) };
        let running = self.running.get(color).as_ref();
        let promised = match before.running.get(color).as_ref() {
            _ if color == plan.to => Some(&plan.release),
            None => before.pinned.get(color).as_ref(),
            running => running,
        };
        // Where only one may run, what was down before and came back by a reboot is stopped as well, and stays down as before.
        let was_down = is_alone(plan) && before.running.get(color).is_none() && running.is_none();
        if running != promised && !self.dark.get(color) && !was_down {
            return violation(format!("{color} serves and runs {running:?}, not {promised:?}"));
        }
        if !self.enabled.get(color) && (before.route != self.route || *before.enabled.get(color)) {
            return violation(format!("{color} serves and does not come back after a reboot"));
        }
        Ok(())
    }
}
