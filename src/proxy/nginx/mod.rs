//! nginx: putting sites in place so that a bad one never stays, moving the route, and asking what it serves.
//!
//! ```text
//! tested, not in place -> written by rename -> reload -> new workers run -> the site answers
//!          |                                      |             |                 |
//!          v                                      +-------------+-----------------+--> the old files back, reload
//!       refused, and nothing was written
//! ```

mod addresses;
mod ask;
mod dump;
pub mod hold;
pub mod holes;
pub mod old;
pub mod route;
mod said;
mod servers;
pub mod sites;
mod staged;
mod workers;

use std::cell::OnceCell;
use std::time::Duration;

use camino::Utf8Path;

use self::addresses::Holder;
pub use self::ask::{Answered, Health, Way, ask, health};
use self::said::{no_conflict, refused, warnings};
pub use self::servers::Taken;
use self::staged::Tested;
pub use self::workers::Snapshot;
use crate::files;
use crate::host::command::{Command, Failed};
use crate::host::layout::Layout;
use crate::host::systemd::Systemd;
use crate::model::{AppName, Hinted, NginxSettings, Port, Route, Site};

/// Where nginx sends the requests of an app, by its route, or by what bgctl 0.1.0 left where it has none. Returns `None` where it
/// has neither.
pub fn current_route(layout: &Layout, app: &AppName) -> eyre::Result<Option<Route>> {
    Ok(route::read(&layout.route_dir(app))?.or_else(|| old::route(&layout.app(app))))
}

/// How long a check of the configuration, or its reload, may take.
const CHECK: Duration = Duration::from_secs(60);

/// Nothing is left that would show it.
const NOT_IN_PLACE: &str = "correct the file or the setting that it names, then try again";

/// The option by which nginx tests its configuration, and the one by which it shows it as well (nginx(8)).
const TESTS: &str = "-t";
const SHOWS: &str = "-T";

/// The most of a configuration that is read, bytes.
const DUMP: usize = 16 << 20;

/// How long a reloaded nginx may take to answer as its new site says.
const PROOF: Duration = Duration::from_secs(10);

/// The host's nginx.
#[derive(Clone, Debug)]
pub struct Nginx {
    settings: NginxSettings,
    systemd: Systemd,
    may_restart: bool,
}

/// A file of its configuration as it is to be.
#[derive(Clone, Copy, Debug)]
pub struct Change<'a> {
    /// Where.
    pub path: &'a Utf8Path,
    /// What is to stand there; none: no file.
    pub text: Option<&'a str>,
}

/// What shows that nginx serves a site.
#[derive(Clone, Copy, Debug)]
pub struct Proof<'a> {
    /// The app.
    pub app: &'a AppName,
    /// Its site.
    pub site: &'a Site,
    /// The port by which nginx is asked.
    pub control_port: Port,
    /// Where the app's route leads.
    pub route: Route,
    /// The version that the site's text tells.
    pub version: Option<&'a str>,
}

impl Proof<'_> {
    fn is_given_by(&self, answered: &Answered) -> bool {
        answered.route == self.route && answered.version.as_deref() == self.version
    }
}

impl Nginx {
    /// The nginx that `settings` name.
    pub fn new(settings: NginxSettings, systemd: Systemd) -> Self {
        Self {
            settings,
            systemd,
            may_restart: false,
        }
    }

    /// The same, which restarts nginx where it can take an address only so.
    #[must_use]
    pub fn restarting(self, may_restart: bool) -> Self {
        Self { may_restart, ..self }
    }

    /// Makes nginx read its configuration anew, and waits until workers run that have read it. Errors where nginx keeps the old
    /// one, with what it wrote to its error log meanwhile.
    pub async fn reload(&self) -> eyre::Result<()> {
        self.reload_from().await.map(drop)
    }

    async fn reload_from(&self) -> eyre::Result<Snapshot> {
        let unit = &self.settings.unit;
        let before = Snapshot::take(self.systemd.state(unit).await?.main_process)?;
        // It failed to start with a new configuration, and gets the old one back.
        if self.may_restart && self.systemd.active_state(unit).await?.is_down() {
            self.systemd.relaunch(unit, CHECK).await?;
            return Ok(before);
        }
        self.systemd.reload_unit(unit, CHECK).await?;
        let Some(kept) = before.wait_for_new(PROOF).await? else {
            return Ok(before);
        };
        match kept.address_in_use().map(addresses::holder).transpose()? {
            Some(Holder::Nginx) if self.may_restart => {
                self.systemd.relaunch(unit, CHECK).await?;
                Ok(before)
            }
            holder => Err(kept.report(holder.map(|holder| holder.hint(unit)))),
        }
    }

    /// Makes `changes`, which are in one folder, and makes nginx serve the site that `proof` is about. Returns what nginx was
    /// before, or `None` where nothing had to be done.
    ///
    /// Errors where nginx does not run, refuses the configuration, does not take it, or answers otherwise; then the files that
    /// were there before are back and nginx serves those, unless the error says otherwise.
    pub async fn put(&self, changes: &[Change<'_>], proof: &Proof<'_>) -> eyre::Result<Option<Snapshot>> {
        // They may be on disk, and nginx not have read them: whoever wrote them was killed, or a reload failed.
        let is_there = is_there(changes)?;
        let answered = ask::ask(proof.app, proof.control_port);
        if is_there && answered.await.is_ok_and(|answered| proof.is_given_by(&answered)) {
            return Ok(None);
        }
        self.change("put", changes, Some(proof)).await.map(Some)
    }

    /// Removes the files of `changes`, and makes nginx forget them. Says whether there were any. Errors where nginx refuses the
    /// configuration without them; then they are back.
    pub async fn remove(&self, changes: &[Change<'_>]) -> eyre::Result<bool> {
        if is_there(changes)? {
            return Ok(false);
        }
        self.change("remove", changes, None).await.map(|_| true)
    }

    async fn change(&self, verb: &str, changes: &[Change<'_>], proof: Option<&Proof<'_>>) -> eyre::Result<Snapshot> {
        self.needs_to_run().await?;
        let what = format!("cannot {verb} {}", names(changes));
        let is_tested = self.test_staged(&what, changes, proof).await?;
        let old = read(changes)?;
        put(changes
            .iter()
            .map(|change| (change.path, change.text.map(str::as_bytes))))?;
        let (error, reloaded) = match self.check_unless(is_tested, proof).await {
            Err(error) => (error, false),
            Ok(()) => match self.serve(proof).await {
                Err(error) => (error, true),
                Ok(before) => return Ok(before),
            },
        };
        put(changes
            .iter()
            .map(|change| change.path)
            .zip(old.iter().map(Option::as_deref)))?;
        if let Err(error) = self.test().await {
            return Err(hinted_as(&error, not_at_fault(&what, &error)));
        }
        // A reload costs every app idle connections: without one before there is nothing for one to undo.
        let back = if reloaded { self.reload().await } else { Ok(()) };
        let back = match back {
            Ok(()) => "what was there before is back".to_owned(),
            Err(worse) => format!("and with what was there before: {worse:#}"),
        };
        Err(hinted_as(&error, eyre::eyre!("{what}: {error:#}; {back}")))
    }

    /// Tests the configuration as it would be, before anything is written; says whether that could be done. Errors where nginx
    /// would refuse it, and says whether it does so without the change as well.
    async fn test_staged(&self, what: &str, changes: &[Change<'_>], proof: Option<&Proof<'_>>) -> eyre::Result<bool> {
        let tested = match staged::test(&self.settings.test, changes, CHECK).await? {
            Tested::Impossible => return Ok(false),
            Tested::Ran(tested) => tested,
        };
        let error = match tested {
            Ok(output) => match no_conflict(proof.map(|proof| proof.site), &warnings(&output)) {
                Ok(()) => return Ok(true),
                Err(error) => error,
            },
            Err(failed) => match self.test().await {
                Ok(_) => refused(&failed, NOT_IN_PLACE.to_owned()),
                Err(error) => {
                    return Err(hinted_as(&error, not_at_fault(what, &error)));
                }
            },
        };
        Err(hinted_as(&error, eyre::eyre!("{what}: {error:#}; nothing was written")))
    }

    /// Checks nginx's whole configuration as it is on disk; its warnings. Errors with all that nginx said.
    async fn test(&self) -> eyre::Result<Vec<String>> {
        let (program, arguments) = self
            .settings
            .test
            .split_first()
            .ok_or_else(|| eyre::eyre!("cannot check nginx's configuration: no command is set for it"))?;
        let said = Command::new(program, arguments, CHECK).run().await;
        Ok(warnings(&said.map_err(|failed| {
            refused(&failed, format!("`{}` shows it", failed.command))
        })?))
    }

    /// The visitors of `site`, whose server block is in `file`, that other server blocks of the configuration on disk answer. Returns
    /// none where the command that tests the configuration cannot show it. Errors where nginx refuses the configuration: it
    /// would not start again.
    pub async fn taken(&self, file: &Utf8Path, site: &Site) -> eyre::Result<Vec<Taken>> {
        let Some(shown) = shown(&self.settings.test).await else {
            return self.test().await.map(|_| Vec::new());
        };
        let dump = shown.map_err(|failed| refused(&failed, format!("`{}` shows it", failed.command)))?;
        Ok(servers::taken(&dump, file, site))
    }

    /// Tells the processes of this nginx from others. Where none is called nginx, it is not known what nginx is here, and every
    /// process may be one.
    pub fn processes(&self) -> impl Fn(u32) -> bool {
        let unit = self.settings.unit.clone();
        let is_told = OnceCell::new();
        move |process| workers::is_nginx(process, &unit) || !*is_told.get_or_init(workers::is_any_nginx)
    }

    async fn check_unless(&self, is_tested: bool, proof: Option<&Proof<'_>>) -> eyre::Result<()> {
        if is_tested {
            return Ok(());
        }
        no_conflict(proof.map(|proof| proof.site), &self.test().await?)
    }

    async fn serve(&self, proof: Option<&Proof<'_>>) -> eyre::Result<Snapshot> {
        let before = self.reload_from().await?;
        if let Some(proof) = proof {
            ask::wait_for(proof, PROOF).await?;
        }
        Ok(before)
    }

    async fn needs_to_run(&self) -> eyre::Result<()> {
        let unit = &self.settings.unit;
        let state = self.systemd.active_state(unit).await?;
        if state.is_down() {
            return Err(Hinted::new(
                format!("cannot change nginx's sites: {unit} is {state}"),
                format!("start it with `systemctl enable --now {unit}`"),
            )
            .into());
        }
        Ok(())
    }
}

/// nginx's configuration, all files of it, as its own `-T` shows it. Returns `None` where `test`, the command that tests it, has no
/// `-t` in whose place that could stand.
async fn shown(test: &[String]) -> Option<Result<String, Failed>> {
    let [program, arguments @ ..] = test else { return None };
    let mut arguments = arguments.to_vec();
    let option = arguments.iter_mut().find(|argument| *argument == TESTS)?;
    SHOWS.clone_into(option);
    let said = Command::new(program, arguments, CHECK).keeping(DUMP).run().await;
    Some(said.map(|said| said.stdout))
}

/// Whether a test of the configuration is this host's own nginx.
fn is_nginx(test: &[String]) -> bool {
    test.first()
        .is_some_and(|program| Utf8Path::new(program).file_name() == Some("nginx"))
}

fn names(changes: &[Change<'_>]) -> String {
    let paths: Vec<_> = changes.iter().map(|change| change.path.as_str()).collect();
    format!("the site {}", paths.join(" and "))
}

fn read(changes: &[Change<'_>]) -> eyre::Result<Vec<Option<Vec<u8>>>> {
    changes.iter().map(|change| files::read_bytes(change.path)).collect()
}

/// Whether all is on disk as it is to be.
fn is_there(changes: &[Change<'_>]) -> eyre::Result<bool> {
    let wanted = changes.iter().map(|change| change.text.map(str::as_bytes));
    Ok(read(changes)?.iter().map(Option::as_deref).eq(wanted))
}

/// The configuration holds nothing secret, and nginx in a container may run as anyone. What the sites share comes first, and goes
/// last: there is no moment at which nginx could not start.
fn put<'a>(changes: impl Iterator<Item = (&'a Utf8Path, Option<&'a [u8]>)>) -> eyre::Result<()> {
    let (written, removed): (Vec<_>, Vec<_>) = changes.partition(|(_, text)| text.is_some());
    for (path, text) in written {
        files::write(path, text.unwrap_or_default(), 0o644)?;
    }
    for (path, _) in removed.into_iter().rev() {
        files::remove(path)?;
    }
    Ok(())
}

/// `report` with the hint and the details of `error`.
fn hinted_as(error: &eyre::Report, report: eyre::Report) -> eyre::Report {
    let (hint, details) = match Hinted::find(error) {
        Some(hinted) => (hinted.hint().to_owned(), hinted.details().to_vec()),
        None => ("see nginx's error log".to_owned(), Vec::new()),
    };
    Hinted::from(report, hint).with_details(details).into()
}

/// Of a change without which nginx refuses its configuration as well, with this error.
fn not_at_fault(what: &str, error: &eyre::Report) -> eyre::Report {
    eyre::eyre!("{what}, which is not at fault: {error:#}")
}
