//! What differs among companions.

use super::difference::Differences;
use super::{CompanionFact, Pin, Repair, serving};
use crate::model::{Color, UnitFile};

impl Differences<'_> {
    /// Those of the color that is to serve run, and no others.
    pub(super) fn companions(&mut self, color: Color) {
        let is_serving = serving(self.facts) == Some(color);
        let is_idle = self.is_idle(color);
        let facts = self.facts;
        let here = facts.colors.get(color);
        let mut surplus = Vec::new();
        for companion in &here.companions {
            if is_serving && companion.is_wanted {
                self.companion_serves(color, companion);
            } else if is_serving || is_idle {
                let stays = companion.state.is_down() && companion.unit_file != UnitFile::Enabled;
                surplus.extend((!stays).then_some(companion));
            }
        }
        for CompanionFact { unit, replica, .. } in surplus {
            let what = if is_serving {
                format!("{unit} is up or starts at boot, and the release of {color} has no such companion")
            } else {
                format!("{color} is idle, and its companion {unit} is up or starts at boot")
            };
            let command = format!("systemctl disable --now {unit}");
            self.add(what, command, [Repair::StopCompanions(color, vec![replica.clone()])]);
        }
    }

    fn companion_serves(&mut self, color: Color, companion: &CompanionFact) {
        let facts = self.facts;
        let unit = &companion.unit;
        let start = Repair::StartCompanions(color);
        if companion.unit_file == UnitFile::Masked {
            let repairs = [Repair::Unmask(unit.clone()), start];
            return self.add(format!("{unit} is masked"), format!("systemctl unmask {unit}"), repairs);
        }
        let is_right = match (&companion.file, &facts.colors.get(color).pinned) {
            (Pin::Release(of), Pin::Release(pinned)) => of == pinned,
            (Pin::Broken(why), _) => return self.repair(why.clone(), [start]),
            // What is pinned is told of already.
            (_, Pin::Nothing | Pin::Broken(_)) => return,
            (Pin::Nothing, Pin::Release(_)) => false,
        };
        if !is_right {
            return self.repair(format!("{unit} is not set up for the release of {color}"), [start]);
        }
        if !companion.is_up() {
            let what = format!(
                "companion {} of {color} is to run, and {unit} is {}",
                companion.replica, companion.state
            );
            self.add(what, format!("systemctl start {unit}"), [start.clone()]);
        }
        if companion.unit_file != UnitFile::Enabled {
            let what = format!(
                "companion {} of {color} is to run, and {unit} does not start at boot",
                companion.replica
            );
            self.add(what, format!("systemctl enable {unit}"), [start]);
        }
    }
}
