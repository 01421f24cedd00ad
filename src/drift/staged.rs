//! What is staged: it runs, it comes back after a reboot, and it takes no traffic.

use crate::model::{ActiveState, Color, Staged, UnitFile};

use super::difference::Differences;
use super::{Facts, Pin, Repair, StagedFact, serving};

/// What is staged in a color, to which no requests go; `None` where nothing is.
pub(super) fn within(facts: &Facts, color: Color) -> Option<&StagedFact> {
    let staged = facts.staged.as_ref().filter(|fact| fact.staged.color == color);
    staged.filter(|_| !facts.route.serves(color))
}

impl Differences<'_> {
    /// A color that serves is not staged any more: somebody moved the traffic there.
    pub(super) fn serves_staged(&mut self, color: Color) {
        let facts = self.facts;
        let serves = serving(facts) == Some(color) || facts.route.serves(color);
        let staged = facts
            .staged
            .as_ref()
            .filter(|fact| fact.staged.color == color && serves);
        if let Some(StagedFact { staged, .. }) = staged {
            let what = format!(
                "{color} is to serve, and {} is on record as staged there",
                staged.release
            );
            self.repair(what, [Repair::Unstage]);
        }
    }

    pub(super) fn staged(&mut self, fact: &StagedFact) {
        let facts = self.facts;
        let Staged { color, release, .. } = &fact.staged;
        let here = facts.colors.get(*color);
        let unit = &here.unit;
        let abort = format!("bgctl abort {}", facts.app);
        if fact.has_expired || facts.stop_first {
            let what = if fact.has_expired {
                format!("release {release}, which is staged in {color}, has expired")
            } else {
                format!(
                    "release {release} is staged in {color}, and only one color may run (strategy = \"stop-first\")"
                )
            };
            let mut repairs = vec![Repair::Unstage, Repair::Disable(*color), Repair::Stop(*color)];
            if let Pin::Broken(_) = here.pinned {
                repairs.push(Repair::Pin(*color, None));
            }
            return self.add(what, abort, repairs);
        }
        if let Some(other) = here
            .running
            .as_ref()
            .filter(|running| here.is_up() && *running != release)
        {
            return self.advise(
                format!("release {release} is staged in {color}, which runs {other}"),
                abort,
            );
        }
        if !facts.known.contains(release) {
            return self.advise(
                format!("release {release}, which is staged in {color}, is not on record"),
                abort,
            );
        }
        let pin = [Repair::Pin(*color, Some(release.clone()))];
        match &here.pinned {
            Pin::Release(pinned) if pinned == release => {}
            Pin::Release(other) => self.repair(
                format!("{release} is staged in {color}, and {other} is pinned to it"),
                pin,
            ),
            Pin::Nothing => self.repair(
                format!("{release} is staged in {color}, and nothing is pinned to it"),
                pin,
            ),
            Pin::Broken(why) => self.repair(why.clone(), pin),
        }
        if let Some(path) = &here.changed {
            let what = format!("{path} was changed since {release}, which is staged in {color}, was made of it");
            self.advise(what, format!("bgctl stage {}", facts.app));
        }
        if !here.is_up() && here.state != ActiveState::Activating {
            let what = format!("{release} is staged in {color}, and {unit} is {}", here.state);
            self.add(what, format!("systemctl start {unit}"), [Repair::Start(*color)]);
        }
        if here.unit_file != UnitFile::Enabled {
            let what = format!("{release} is staged in {color}, and {unit} does not start at boot");
            self.add(what, format!("systemctl enable {unit}"), [Repair::Enable(*color)]);
        }
    }
}
