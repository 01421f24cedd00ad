//! Everything that differs, in words, and what puts it right.

use camino::Utf8Path;

use super::{
    ContainerFact, CursorFact, DeferredFact, Facts, FileFact, FileState, Pin, Repair, SwitchFact, is_own, release,
    serving, staged,
};
use crate::model::{ActiveState, Color, Cursor, ReleaseId, ResolvedImage, Route, UnitFile};

/// One thing that is not as it should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// What, a sentence.
    pub what: String,
    /// The command that puts it right.
    pub command: String,
    /// What `bgctl repair` does about it; nothing where that is not its to decide.
    pub repairs: Vec<Repair>,
}

/// Everything that differs. While a switch is open only what is none of its doing, and where no worker runs what would keep
/// the next one from its end.
pub fn differences(facts: &Facts) -> Vec<Difference> {
    let mut all = Differences {
        facts,
        found: Vec::new(),
    };
    all.records();
    all.files();
    all.lease();
    all.store();
    if let Some(SwitchFact::Is { running, .. }) = facts.open {
        if !running && matches!(facts.cursor, CursorFact::Broken(_)) {
            all.cursor();
        }
        return all.found;
    }
    all.traffic();
    for color in Color::BOTH {
        all.color(color);
    }
    all.cursor();
    all.found
}

pub(super) struct Differences<'f> {
    pub(super) facts: &'f Facts,
    found: Vec<Difference>,
}

impl Differences<'_> {
    /// What `bgctl repair` puts right, and nothing else does as well.
    pub(super) fn repair(&mut self, what: String, repairs: impl IntoIterator<Item = Repair>) {
        let command = format!("bgctl repair {}", self.facts.app);
        self.add(what, command, repairs);
    }

    pub(super) fn add(&mut self, what: String, command: String, repairs: impl IntoIterator<Item = Repair>) {
        self.found.push(Difference {
            what,
            command,
            repairs: repairs.into_iter().collect(),
        });
    }

    pub(super) fn advise(&mut self, what: String, command: String) {
        self.add(what, command, []);
    }

    fn records(&mut self) {
        let facts = self.facts;
        let app = &facts.app;
        match &facts.open {
            Some(SwitchFact::Broken(why)) => self.repair(why.clone(), [Repair::GiveUpSwitch]),
            Some(SwitchFact::Is { open, running: false }) => {
                let what = format!("switch {} is open, and no worker runs", open.id);
                self.advise(what, format!("bgctl resume {app}"));
            }
            Some(SwitchFact::Is { running: true, .. }) | None => {}
        }
        for damaged in &facts.damaged {
            if damaged.is_newer {
                self.advise(
                    damaged.why.clone(),
                    format!("bgctl status {app}, of the bgctl that wrote it"),
                );
                continue;
            }
            self.repair(damaged.why.clone(), [Repair::SetAside(damaged.path.clone())]);
        }
    }

    fn files(&mut self) {
        let facts = self.facts;
        for FileFact { path, state } in &facts.files {
            self.file(path, state);
        }
        let (unit, file) = &facts.worker;
        match file {
            UnitFile::Enabled => {}
            UnitFile::Disabled => {
                let what = format!("{unit} does not start at boot, so no interrupted switch would be resumed");
                self.add(what, format!("systemctl enable {unit}"), [Repair::Write]);
            }
            UnitFile::Masked => {
                let repairs = [Repair::Unmask(unit.clone()), Repair::Write];
                self.add(format!("{unit} is masked"), format!("systemctl unmask {unit}"), repairs);
            }
        }
    }

    fn file(&mut self, path: &Utf8Path, state: &FileState) {
        match state {
            FileState::Missing => self.repair(format!("{path} is missing"), [Repair::Write]),
            FileState::Edited => self.repair(format!("{path} was changed by hand"), [Repair::Write]),
            FileState::Outdated => {
                self.repair(format!("{path} is not what bgctl install would write"), [Repair::Write]);
            }
            FileState::Of(owner) => {
                let what = format!("{path} belongs to the app {owner}");
                self.advise(what, format!("bgctl uninstall {owner}"));
            }
            FileState::NotRead => {
                let what = format!("{path} was changed since systemd read it");
                self.add(what, "systemctl daemon-reload".to_owned(), [Repair::Write]);
            }
            FileState::NotServed => self.repair(format!("{path} was changed since nginx read it"), [Repair::Write]),
            FileState::NotInstalled => {
                let what = format!("{path} was changed, and not installed since");
                self.advise(what, format!("bgctl install {path}"));
            }
        }
    }

    fn lease(&mut self) {
        match &self.facts.lease {
            Ok(Some(holder)) => {
                if let Some(delete) = holder.delete() {
                    let what = format!(
                        "the lease of {} never expires: it is held by {}",
                        self.facts.app, holder.lease
                    );
                    self.advise(what, delete);
                }
            }
            Ok(None) => {}
            Err(none) => self.advise(none.to_string(), none.delete()),
        }
    }

    fn store(&mut self) {
        let CursorFact::Unknown { why, known } = &self.facts.cursor else {
            return;
        };
        let instead = known
            .as_ref()
            .map_or("", |_| ", what this host last knew of it is shown");
        let what = format!("the cursor is not known{instead}: {why}");
        self.advise(what, format!("bgctl status {}", self.facts.app));
    }

    fn traffic(&mut self) {
        let (facts, route) = (self.facts, self.facts.route);
        let target = serving(facts);
        if !facts.has_route {
            let what = format!("the route is missing, and nginx sends requests to {route}");
            self.repair(what, [Repair::MakeRoute(route)]);
        }
        match (target, route) {
            (Some(to), _) if !route.serves(to) => {
                let what = match route {
                    Route::Held => format!("requests are held, and {to} is to serve"),
                    _ => format!("the route leads to {route}, where nothing answers, and {to} is to serve"),
                };
                self.repair(what, [Repair::Route(Route::To(to))]);
            }
            (None, Route::To(_)) => {
                let what = format!("the route leads to {route}, and no release is there that could serve");
                self.advise(what, format!("bgctl switch {}", facts.app));
            }
            (None, Route::Held) => {
                let what = "requests are held, and no release is there that could serve".to_owned();
                self.advise(what, format!("bgctl switch {}", facts.app));
            }
            (Some(_), _) | (None, Route::None) => {}
        }
        // A site that has to be written is told of already.
        let is_told = facts.files.iter().any(|file| file.path.extension() == Some("conf"));
        if let Some(unit) = &facts.nginx_down {
            return self.advise(format!("{unit} does not run"), format!("systemctl start {unit}"));
        }
        match &facts.nginx {
            Ok(said) if *said != route && facts.has_route => {
                let what = format!("nginx sends requests to {said}, and the route leads to {route}");
                self.repair(what, [Repair::Write]);
            }
            Err(error) if !is_told => {
                let what = format!("nginx does not answer for this app: {error}");
                self.repair(what, [Repair::Write]);
            }
            Ok(_) | Err(_) => {}
        }
    }

    fn color(&mut self, color: Color) {
        let here = self.facts.colors.get(color);
        self.container(color, &here.container);
        self.companions(color);
        self.serves_staged(color);
        if here.unit_file == UnitFile::Masked {
            let (unit, command) = (&here.unit, format!("systemctl unmask {}", here.unit));
            // Whether it starts at boot is seen only when it is not masked any more.
            let is_to_be_down = self.is_idle(color) && staged::within(self.facts, color).is_none();
            let idle = is_to_be_down.then_some(Repair::Disable(color));
            let repairs = [Repair::Unmask(unit.clone())].into_iter().chain(idle);
            self.add(format!("{unit} is masked"), command, repairs);
        }
        if serving(self.facts) == Some(color) {
            self.pin(color);
            self.serves(color);
        } else if let Some(fact) = staged::within(self.facts, color) {
            self.staged(fact);
        } else {
            if here.is_up() && self.facts.keep_warm {
                self.pin(color);
            } else if let Pin::Broken(why) = &here.pinned {
                self.repair(why.clone(), [Repair::Pin(color, None)]);
            }
            self.idles(color);
        }
    }

    fn container(&mut self, color: Color, fact: &ContainerFact) {
        match fact {
            ContainerFact::Fine => {}
            ContainerFact::LeftRunning(name) => {
                let unit = &self.facts.colors.get(color).unit;
                let what = format!("container {name} runs, and {unit}, which it belongs to, is down");
                self.advise(what, format!("docker rm --force {name}"));
            }
            // A rollback pulls it again.
            ContainerFact::NoImage(_)
                if serving(self.facts) != Some(color) && staged::within(self.facts, color).is_none() => {}
            ContainerFact::NoImage(image) => {
                let is_to = staged::within(self.facts, color).map_or("is to serve", |_| "is staged");
                let what = format!("{color} {is_to}, and its image {image} is not on this host: a restart needs it");
                let command = match image {
                    ResolvedImage::Registry { .. } => format!("docker pull {image}"),
                    ResolvedImage::Local { .. } => format!("bgctl switch {}", self.facts.app),
                };
                self.advise(what, command);
            }
        }
    }

    /// What is pinned to a color is what is to run there.
    fn pin(&mut self, color: Color) {
        let facts = self.facts;
        let here = facts.colors.get(color);
        let right = release(facts, color);
        let repair = right.clone().map(|id| Repair::Pin(color, Some(id)));
        let is_right = matches!(&here.pinned, Pin::Release(id) if Some(id) == right.as_ref());
        let again = format!("bgctl switch {}", facts.app);
        match (&here.pinned, &here.running) {
            _ if right.is_none() => self.advise(format!("{color} runs what is not on record"), again),
            (Pin::Release(id), Some(running)) if here.is_up() && running != id && is_right => {
                let what = format!("{color} runs {running}, which is not on record, and {id} is pinned to it");
                self.advise(what, again);
            }
            (Pin::Release(id), _) if is_right && !facts.known.contains(id) => {
                let what = format!("release {id}, which is pinned to {color}, is not on record");
                self.advise(what, again);
            }
            (Pin::Release(id), Some(running)) if !is_right => {
                self.repair(format!("{color} runs {running}, and {id} is pinned to it"), repair);
            }
            (Pin::Broken(why), _) => self.repair(why.clone(), repair),
            (Pin::Nothing, _) => self.repair(format!("nothing is pinned to {color}"), repair),
            (Pin::Release(_), _) => {}
        }
    }

    /// The color that is to serve runs, and comes back after a reboot.
    fn serves(&mut self, color: Color) {
        let here = self.facts.colors.get(color);
        let unit = &here.unit;
        if let (Some(path), Pin::Release(id)) = (&here.changed, &here.pinned) {
            let what =
                format!("{path} was changed since release {id} was made of it, and the next start of {color} runs it");
            self.advise(what, format!("bgctl switch {}", self.facts.app));
        }
        if !here.is_up() {
            let what = format!("{color} is to serve, and {unit} is {}", here.state);
            let other = color.other();
            let is_alone = !self.facts.stop_first || self.facts.colors.get(other).state.is_down();
            let clear = (!is_alone).then_some(Repair::Clear(other));
            let repairs = clear.into_iter().chain([Repair::Start(color)]);
            self.add(what, format!("systemctl start {unit}"), repairs);
        }
        if here.unit_file != UnitFile::Enabled {
            let what = format!("{color} is to serve, and {unit} does not start at boot");
            self.add(what, format!("systemctl enable {unit}"), [Repair::Enable(color)]);
        }
    }

    /// Where nothing can serve, the color that requests go to stays as it is.
    pub(super) fn is_idle(&self, color: Color) -> bool {
        match serving(self.facts) {
            Some(serving) => serving != color,
            None => !self.facts.route.serves(color),
        }
    }

    fn idles(&mut self, color: Color) {
        let facts = self.facts;
        let here = facts.colors.get(color);
        let unit = &here.unit;
        if here.unit_file == UnitFile::Enabled && self.is_idle(color) {
            let what = format!("{color} is idle, and {unit} starts at boot");
            self.add(what, format!("systemctl disable {unit}"), [Repair::Disable(color)]);
        }
        let is_down = here.state.is_down() || here.state == ActiveState::Deactivating;
        if !is_down && !facts.keep_warm {
            let repairs = [Repair::Drain(color, facts.drain), Repair::Stop(color)];
            self.add(
                format!("{color} is idle, and {unit} runs"),
                format!("systemctl stop {unit}"),
                repairs,
            );
        }
    }

    fn cursor(&mut self) {
        let facts = self.facts;
        let target = serving(facts);
        let right = target.and_then(|color| release(facts, color));
        let repair = [Repair::Cursor(target, right.clone())];
        let agrees =
            |said: &Cursor| said.active == target && (right.is_none() || said.release == right || target.is_none());
        if let Some(deferred) = &facts.deferred {
            let is_so = agrees(&deferred.cursor);
            self.deferred(deferred, is_so);
            if is_so && matches!(&facts.cursor, CursorFact::Is(_)) {
                return;
            }
        }
        let said = match &facts.cursor {
            CursorFact::Is(stored) => &stored.cursor,
            CursorFact::Missing => return self.repair("the cursor is missing".to_owned(), repair),
            CursorFact::Broken(why) => return self.repair(why.clone(), repair),
            CursorFact::Unknown { .. } => return,
        };
        if agrees(said) {
            return;
        }
        let what = format!(
            "the cursor says {}, and {} serves",
            words(said),
            of(target, right.as_ref())
        );
        // Another host is ahead of this one, or nothing of what it says is here.
        if !is_own(facts, said) || target.is_none() {
            self.advise(what, format!("bgctl switch {}", facts.app));
        } else {
            self.repair(what, repair);
        }
    }

    /// What this host did without the store; `is_so` where that still is what serves.
    fn deferred(&mut self, deferred: &DeferredFact, is_so: bool) {
        let DeferredFact { path, cursor, at } = deferred;
        let did = format!("this host moved to {} without the store at {at:.0}", words(cursor));
        if !is_so {
            let what = format!("{did}, and that is not what serves now");
            return self.repair(what, [Repair::SetAside(path.clone())]);
        }
        let what = format!("{did}, and tells it when it answers");
        match &self.facts.cursor {
            CursorFact::Unknown { .. } => self.advise(what, format!("systemctl start {}", self.facts.worker.0)),
            _ => self.repair(what, [Repair::Publish]),
        }
    }
}

fn words(cursor: &Cursor) -> String {
    of(cursor.active, cursor.release.as_ref())
}

fn of(color: Option<Color>, release: Option<&ReleaseId>) -> String {
    let release = release.map(|release| format!(" with {release}")).unwrap_or_default();
    format!("{}{release}", Color::or_none(color))
}
