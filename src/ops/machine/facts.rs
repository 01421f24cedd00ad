//! All of an app as it is, also what somebody changed by hand.

use std::ffi::OsStr;
use std::time::Duration;

use camino::Utf8PathBuf;
use procfs::process::Process;

use crate::drift::{
    ColorFacts, ContainerFact, CursorFact, Damaged, DeferredFact, Facts, FileFact, FileState, Pin, StagedFact,
    SwitchFact,
};
use crate::host::identity;
use crate::host::systemd::UnitState;
use crate::journal::Record;
use crate::model::{
    ActiveState, AppName, Artifact, ByColor, Color, Holder, NotALease, ReleaseId, Route, Runtime, StateError, Stored,
    UnitName,
};
use crate::ops::install::{Change, Files, NotOurs, not_ours};
use crate::ops::installed::is_edited;
use crate::ops::program;
use crate::proxy::nginx::{self, route};
use crate::render;
use crate::runtime::docker::Docker;
use crate::state::known;
use crate::state::staged;
use crate::state::switches::Switches;

use super::Machine;

/// How long the store may take to answer who only looks: they want to know now what there is to know.
const PATIENCE: Duration = Duration::from_millis(1500);

/// Asks the store for who only looks; fails where it does not answer within 1.5 s.
pub async fn ask<T>(question: impl Future<Output = eyre::Result<T>>) -> eyre::Result<T> {
    let answer = tokio::time::timeout(PATIENCE, question).await;
    answer.unwrap_or_else(|_| Err(eyre::eyre!("the store does not answer within {PATIENCE:?}")))
}

/// One look at all of an app.
#[derive(Debug)]
pub struct Look {
    /// What differs is decided from this.
    pub facts: Facts,
    /// The units of both colors.
    pub units: ByColor<UnitState>,
    /// The units of both colors' companions, in the order of their facts.
    pub companions: ByColor<Vec<UnitState>>,
    /// The open switch, where its journal can be read.
    pub open: Option<Record>,
}

impl Machine {
    /// Looks at everything, once; `files` are those of the app as it was installed. What is damaged is a fact; errors where
    /// something cannot be read at all, or was written by a newer bgctl and everything depends on it.
    pub async fn look(&self, files: &Files) -> eyre::Result<Look> {
        let name = &self.app.name;
        let (route, has_route) = self.route_fact()?;
        let (known, mut damaged) = self.known_releases()?;
        let (open, record) = self.open_switch().await?.unzip();
        damaged.extend(self.damaged_journals(open.as_ref())?);
        let deferred = self.deferred_fact(&mut damaged);
        let staged = self.staged_fact(&mut damaged);
        let look = async {
            tokio::join!(
                self.cursor_fact(),
                nginx::ask(name, self.settings.nginx.control_port),
                self.color_facts(Color::Blue),
                self.color_facts(Color::Green),
            )
        };
        let (cursor, nginx, blue, green) = Box::pin(look).await;
        let ((blue, blue_unit, blue_companions), (green, green_unit, green_companions)) = (blue?, green?);
        let companions = ByColor {
            blue: blue_companions,
            green: green_companions,
        };
        let units = ByColor {
            blue: blue_unit,
            green: green_unit,
        };
        let (cursor, lease) = cursor.unwrap_or_else(|why| (self.unknown(&why, &mut damaged), Ok(None)));
        let worker = UnitName::switch(name);
        let worker_file = self.systemd.unit_file(&worker).await?;
        let nginx_unit = &self.settings.nginx.unit;
        let is_down = self.systemd.active_state(nginx_unit).await?.is_down();
        let facts = Facts {
            nginx_down: is_down.then(|| nginx_unit.clone()),
            app: name.clone(),
            host: identity::read()?,
            cursor,
            lease,
            deferred,
            staged,
            has_route,
            route,
            nginx: nginx
                .as_ref()
                .map(|answered| answered.route)
                .map_err(|error| format!("{error:#}")),
            colors: ByColor { blue, green },
            known,
            files: self.file_facts(files, &units, nginx.as_ref().ok())?,
            worker: (worker, worker_file),
            damaged,
            open,
            stop_first: self.app.strategy.is_stop_first(),
            keep_warm: self.app.drain.keep_warm,
            drain: self.app.drain.timeout,
        };
        let open = record.flatten();
        Ok(Look {
            facts,
            units,
            companions,
            open,
        })
    }

    /// Where nginx sends requests, and whether a route says so. Without one it sends requests that were not held to blue, and a site
    /// of bgctl 0.1.0 has its own way.
    fn route_fact(&self) -> eyre::Result<(Route, bool)> {
        let route = nginx::current_route(&self.layout, &self.app.name)?;
        let has_route = route::read(&self.routes())?.is_some();
        Ok((route.unwrap_or(Route::To(Color::Blue)), has_route))
    }

    /// The cursor and who holds the lease; errors if the store does not tell soon, see [`ask`].
    async fn cursor_fact(&self) -> eyre::Result<(CursorFact, Result<Option<Holder>, NotALease>)> {
        let look = ask(async { self.store().await?.look(&self.app.name).await }).await?;
        let cursor = match look.cursor {
            Ok(Some(stored)) => {
                self.saw(stored.clone());
                CursorFact::Is(stored)
            }
            Ok(None) => CursorFact::Missing,
            Err(StateError::Damaged(error)) => CursorFact::Broken(format!("{error:#}")),
            Err(error) => return Err(error.into()),
        };
        Ok((cursor, look.holder))
    }

    fn unknown(&self, why: &eyre::Report, broken: &mut Vec<Damaged>) -> CursorFact {
        let known = known::read(&self.layout, &self.app.name).unwrap_or_else(|error| {
            broken.push(damaged(self.layout.known_cursor(&self.app.name), &error));
            None
        });
        let why = format!("{why:#}");
        CursorFact::Unknown { why, known }
    }

    fn deferred_fact(&self, broken: &mut Vec<Damaged>) -> Option<DeferredFact> {
        let journal = self.deferred();
        let deferred = journal.read().unwrap_or_else(|error| {
            broken.push(damaged(journal.path().to_owned(), &error));
            None
        })?;
        let Stored { cursor, .. } = deferred.stored()?;
        let (path, at) = (journal.path().to_owned(), deferred.at);
        Some(DeferredFact { path, cursor, at })
    }

    fn staged_fact(&self, broken: &mut Vec<Damaged>) -> Option<StagedFact> {
        let staged = staged::read(&self.layout, &self.app.name).unwrap_or_else(|error| {
            broken.push(damaged(self.layout.staged(&self.app.name), &error));
            None
        })?;
        let has_expired = staged.has_expired(jiff::Timestamp::now());
        Some(StagedFact { staged, has_expired })
    }

    async fn color_facts(&self, color: Color) -> eyre::Result<(ColorFacts, UnitState, Vec<UnitState>)> {
        let unit = self.unit(color);
        let state = self.systemd.state(&unit).await?;
        let (companions, companion_units) = self.companion_facts(color).await?.into_iter().unzip();
        let facts = ColorFacts {
            state: state.active,
            unit_file: self.systemd.unit_file(&unit).await?,
            pinned: self.pin_fact(color)?,
            changed: self
                .pinned_release(color)
                .ok()
                .and_then(|release| program::changed(&release).ok()?),
            running: running(&state),
            container: self
                .container_fact(color, state.active)
                .await
                .unwrap_or(ContainerFact::Fine),
            companions,
            unit,
        };
        Ok((facts, state, companion_units))
    }

    /// Errors where the engine, or the record of the release, does not tell.
    async fn container_fact(&self, color: Color, state: ActiveState) -> eyre::Result<ContainerFact> {
        if matches!(self.app.run.runtime, Runtime::Program(_)) {
            return Ok(ContainerFact::Fine);
        }
        let docker = Docker::connect(&self.settings.docker.socket).await?;
        let name = self.container(color);
        if state.is_down() && docker.is_running(&name).await? {
            return Ok(ContainerFact::LeftRunning(name));
        }
        match self.pinned_release(color)?.artifact {
            Artifact::Image { image, .. } if !docker.has(&image.reference()?).await? => {
                Ok(ContainerFact::NoImage(image))
            }
            _ => Ok(ContainerFact::Fine),
        }
    }

    fn pin_fact(&self, color: Color) -> eyre::Result<Pin> {
        match self.pinned(color) {
            Ok(None) => Ok(Pin::Nothing),
            Ok(Some(id)) => Ok(Pin::Release(id)),
            Err(StateError::Newer(error)) => Err(error),
            Err(StateError::Damaged(error) | StateError::Failed(error)) => Ok(Pin::Broken(format!("{error:#}"))),
        }
    }

    /// The releases that can be read, and those that cannot.
    fn known_releases(&self) -> eyre::Result<(Vec<ReleaseId>, Vec<Damaged>)> {
        let releases = self.releases();
        let (mut known, mut broken) = (Vec::new(), Vec::new());
        for id in releases.ids()? {
            match releases.read(&id) {
                Ok(release) if release.fits(&self.app) => known.push(id),
                Ok(_) => {}
                Err(error) => broken.push(damaged(releases.path(&id), &error)),
            }
        }
        Ok((known, broken))
    }

    fn damaged_journals(&self, open: Option<&SwitchFact>) -> eyre::Result<Vec<Damaged>> {
        let switches = Switches::new(&self.layout, &self.app.name);
        let is_open = switches.open_id().ok().flatten();
        let mut broken = Vec::new();
        for id in switches.ids()? {
            // Of the open one it is told already.
            if open.is_none() || is_open.as_ref() != Some(&id) {
                broken.extend(
                    switches
                        .read(&id)
                        .err()
                        .map(|error| damaged(switches.path(&id), &error)),
                );
            }
        }
        Ok(broken)
    }

    async fn open_switch(&self) -> eyre::Result<Option<(SwitchFact, Option<Record>)>> {
        let name = &self.app.name;
        let switches = Switches::new(&self.layout, name);
        let read = || switches.open_id()?.map(|id| switches.read(&id)).transpose();
        match read() {
            Ok(None) => Ok(None),
            Ok(Some(record)) => {
                let open = record.as_open();
                let running = !self.systemd.active_state(&UnitName::switch(name)).await?.is_down();
                Ok(Some((SwitchFact::Is { open, running }, Some(record))))
            }
            Err(StateError::Newer(error)) => Err(error),
            Err(StateError::Damaged(error) | StateError::Failed(error)) => {
                Ok(Some((SwitchFact::Broken(format!("{error:#}")), None)))
            }
        }
    }

    fn file_facts(
        &self,
        files: &Files,
        units: &ByColor<UnitState>,
        answered: Option<&nginx::Answered>,
    ) -> eyre::Result<Vec<FileFact>> {
        let name = &self.app.name;
        let mut facts: Vec<_> = files.rendered().filter_map(|change| file_fact(name, change)).collect();
        if facts.is_empty() {
            // Not a link that masks one of them, of which is told already.
            let template = self.layout.template_unit(name);
            let is_stale = |unit: &UnitState| unit.needs_reload && unit.fragment.as_ref() == Some(&template);
            if Color::BOTH.into_iter().any(|color| is_stale(units.get(color))) {
                let (path, state) = (template, FileState::NotRead);
                facts.push(FileFact { path, state });
            }
            let version = render::site_version(&files.site.new);
            if answered.is_some_and(|answered| answered.version.as_deref() != version) {
                let (path, state) = (files.site.path.clone(), FileState::NotServed);
                facts.push(FileFact { path, state });
            }
        }
        if is_edited(&self.layout, name)? {
            let (path, state) = (self.layout.manifest(name), FileState::NotInstalled);
            facts.push(FileFact { path, state });
        }
        Ok(facts)
    }
}

fn damaged(path: Utf8PathBuf, error: &StateError) -> Damaged {
    Damaged {
        path,
        why: format!("{error:#}"),
        is_newer: matches!(error, StateError::Newer(_)),
    }
}

fn file_fact(app: &AppName, change: &Change) -> Option<FileFact> {
    // A seal that was changed alone is a change, too.
    let state = match (&change.old, not_ours(app, change)) {
        (None, _) => FileState::Missing,
        (_, Some(NotOurs::Of(owner))) => FileState::Of(owner),
        (_, Some(NotOurs::Edited | NotOurs::Foreign)) => FileState::Edited,
        (_, None) if change.is_needed() => FileState::Outdated,
        (_, None) => return None,
    };
    let path = change.path.clone();
    Some(FileFact { path, state })
}

/// The release that the main process of an instance was started with: its own environment (proc(5), `/proc/PID/environ`), or
/// that of the docker client, which is started with the same.
pub(super) fn running(state: &UnitState) -> Option<ReleaseId> {
    let process = Process::new(state.main_process?.try_into().ok()?).ok()?;
    let environment = process.environ().ok()?;
    ReleaseId::parse(environment.get(OsStr::new("BGCTL_RELEASE"))?.to_str()?).ok()
}
