//! The switches of an app on disk: `switches/NNNN.jsonl`, and `open`, a link to the one that is not finished. Beside that
//! one is `NNNN.abort` if it is to be rolled back, and `NNNN.confirm` if a person has confirmed its release.

use std::io::{Seek as _, Write as _};

use camino::{Utf8Path, Utf8PathBuf};
use eyre::WrapErr as _;

use crate::journal::{self, Entry, Event, Head, Next, Record};
use crate::model::{AppName, OpenSwitch, ReleaseId, StateError, SwitchId, Unreadable, sealed};
use crate::plan::Plan;

use super::saved;
use crate::files;
use crate::host::layout::Layout;

/// How many of the last switches are kept.
const KEPT: usize = 50;
/// How many of those before that are kept that made a release active: one of them made the active release active, whatever failed since.
const KEPT_DONE: usize = 10;

/// What a person asks of the open switch, by an empty file beside its journal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Request {
    /// That its next worker rolls it back.
    Abort,
    /// That its release stays.
    Confirm,
}

impl Request {
    const ALL: [Self; 2] = [Self::Abort, Self::Confirm];

    /// What the name of its file ends with, after the dot.
    fn extension(self) -> &'static str {
        match self {
            Self::Abort => "abort",
            Self::Confirm => "confirm",
        }
    }
}

/// The switches of an app.
#[derive(Clone, Debug)]
pub struct Switches {
    app: AppName,
    folder: Utf8PathBuf,
    link: Utf8PathBuf,
}

impl Switches {
    /// Those of `app`.
    pub fn new(layout: &Layout, app: &AppName) -> Self {
        Self {
            app: app.clone(),
            folder: layout.switches_dir(app),
            link: layout.open_link(app),
        }
    }

    /// The id of the open switch.
    pub fn open_id(&self) -> Result<Option<SwitchId>, StateError> {
        let link = &self.link;
        let target = files::read_link(link).wrap_err_with(|| format!("cannot read {link}"))?;
        let parse = |target: String| {
            let name = Utf8Path::new(&target).file_stem().unwrap_or_default();
            SwitchId::parse(name).wrap_err_with(|| format!("cannot follow {link}"))
        };
        // As an error of what stands on disk: nobody typed this.
        let damaged = |error: eyre::Report| Unreadable::Damaged(format!("{error:#}")).at(link, &self.app);
        target.map(parse).transpose().map_err(damaged)
    }

    fn bytes(&self, path: &Utf8Path) -> Result<Vec<u8>, StateError> {
        let gone = || Unreadable::Damaged("there is no such file".to_owned()).at(path, &self.app);
        files::read_bytes(path)?.ok_or_else(gone)
    }

    /// The open switch.
    pub fn open(&self) -> Result<Option<OpenSwitch>, StateError> {
        let Some(id) = self.open_id()? else { return Ok(None) };
        Ok(Some(self.read(&id)?.as_open()))
    }

    /// Opens a switch: writes its plan, and then the link that makes it the open one. Whoever takes it up puts both on disk
    /// before anything is done ([`Switches::resume`]), so that nobody waits twice for it.
    pub fn begin(&self, plan: &Plan) -> eyre::Result<()> {
        let head = Head {
            version: journal::VERSION,
            opened: jiff::Timestamp::now(),
            plan: plan.clone(),
        };
        let path = self.path(&plan.switch);
        files::write_unsynced(&path, sealed::line(&head)?, 0o600)?;
        let target = format!("switches/{}.jsonl", plan.switch);
        files::symlink_unsynced(Utf8Path::new(&target), &self.link).map(drop)
    }

    /// Asks something of the open switch.
    pub fn request(&self, id: &SwitchId, what: Request) -> eyre::Result<()> {
        files::write(&self.requested(id, what), "", 0o600)
    }

    /// Whether somebody asked for that.
    pub fn is_requested(&self, id: &SwitchId, what: Request) -> eyre::Result<bool> {
        Ok(files::read_bytes(&self.requested(id, what))?.is_some())
    }

    fn forget_requests(&self, id: &SwitchId) -> eyre::Result<()> {
        let mut all = Request::ALL.into_iter();
        all.try_for_each(|what| files::remove(&self.requested(id, what)).map(drop))
    }

    /// Closes the open switch, with its last event on disk.
    pub fn close(&self) -> eyre::Result<()> {
        if let Some(id) = self.open_id()? {
            files::sync_data(&self.path(&id))?;
            self.forget_requests(&id)?;
        }
        files::remove(&self.link)?;
        self.prune()
    }

    /// Closes the open switch where no worker ever took it up: whoever opened it was killed before it had one. The app's
    /// lock is held, as it is by who opens a switch until a worker lives.
    pub fn close_unbegun(&self) -> eyre::Result<()> {
        // An error is reported by whoever needs to read it.
        let Ok(Some(id)) = self.open_id() else { return Ok(()) };
        let is_unbegun = || self.read(&id).is_ok_and(|record| record.entries.is_empty());
        if !is_unbegun() {
            return Ok(());
        }
        // A worker that begins just now has it.
        let lock = files::Lock::try_take(&self.path(&id))?;
        if lock.is_some() && is_unbegun() {
            tracing::warn!("closed switch {id} of {}: it was opened and never begun", self.app);
            self.close()?;
        }
        Ok(())
    }

    /// Closes the open switch, whose journal cannot be read, and moves that aside.
    pub fn give_up(&self, layout: &Layout) -> eyre::Result<()> {
        if let Ok(target) = self.link.read_link_utf8() {
            let journal = target.file_name().map(|name| self.folder.join(name));
            if let Some(path) = journal {
                // Its number is given again.
                for what in Request::ALL {
                    files::remove(&path.with_extension(what.extension()))?;
                }
                saved::put_aside(layout, &path)?;
            }
        }
        files::remove(&self.link).map(drop)
    }

    /// One switch.
    pub fn read(&self, id: &SwitchId) -> Result<Record, StateError> {
        let path = self.path(id);
        let parsed = Record::parse(&self.bytes(&path)?);
        let (record, _) = parsed.map_err(|error| error.at(&path, &self.app))?;
        Ok(record)
    }

    /// One switch, to be gone on with. It is on disk, as is that it is open, when this returns.
    pub fn resume(&self, id: &SwitchId) -> eyre::Result<(Record, Log)> {
        files::sync_dir(&self.folder)?;
        files::sync_dir(self.link.parent().unwrap_or(&self.folder))?;
        let path = self.path(id);
        let bytes = self.bytes(&path)?;
        let mut file = files::open_to_append(&path)?;
        let (record, whole) = Record::parse(&bytes).map_err(|error| error.at(&path, &self.app))?;
        if whole < bytes.len() {
            file.set_len(whole.try_into()?)?;
            file.seek(std::io::SeekFrom::End(0))?;
        }
        Ok((record, Log { file }))
    }

    /// The ids of all switches on record, newest first.
    pub fn ids(&self) -> eyre::Result<Vec<SwitchId>> {
        let names = files::names_in(&self.folder)?;
        let stems = names.iter().filter_map(|name| name.strip_suffix(".jsonl"));
        let mut ids: Vec<_> = stems.filter_map(|stem| SwitchId::parse(stem).ok()).collect();
        ids.sort_by_key(|id| std::cmp::Reverse(id.number()));
        Ok(ids)
    }

    /// The id of the next switch.
    pub fn next_id(&self) -> eyre::Result<SwitchId> {
        let last = self.ids()?.first().map(SwitchId::number).unwrap_or_default();
        Ok(SwitchId::numbered(last + 1))
    }

    /// The release that was active before `active`: what the last switch that was done says, if that one made `active` active.
    pub fn previous_release(&self, active: Option<&ReleaseId>) -> eyre::Result<Option<ReleaseId>> {
        let finished = self.readable()?.find(made_active);
        // A journal that is lost or damaged must not make an older switch look like the last one.
        let last = finished.filter(|record| Some(&record.head.plan.release) == active);
        Ok(last.and_then(|record| record.head.plan.replaces))
    }

    /// Whether a release may have answered requests, by the switches on record. What cannot be read may be about any release.
    pub fn may_have_served(&self, release: &ReleaseId) -> eyre::Result<bool> {
        let may = |id| self.read(&id).map_or(true, |record| record.may_have_served(release));
        Ok(self.ids()?.into_iter().any(may))
    }

    /// The releases that a switch on record is about.
    pub fn releases(&self) -> eyre::Result<Vec<ReleaseId>> {
        let plans = self.readable()?.map(|record| record.head.plan);
        Ok(plans
            .flat_map(|plan| std::iter::once(plan.release).chain(plan.replaces))
            .collect())
    }

    /// Those on record that can be read, newest first. An old one that cannot be is no reason not to deploy.
    fn readable(&self) -> eyre::Result<impl Iterator<Item = Record>> {
        let read = |id| match self.read(&id) {
            Ok(record) => Some(record),
            Err(error) => {
                tracing::warn!("{error:#}");
                None
            }
        };
        Ok(self.ids()?.into_iter().filter_map(read))
    }

    fn prune(&self) -> eyre::Result<()> {
        let is_done = |id: &SwitchId| self.read(id).is_ok_and(|record| made_active(&record));
        let mut done = 0;
        for id in self.ids()?.into_iter().skip(KEPT) {
            if done < KEPT_DONE && is_done(&id) {
                done += 1;
            } else {
                files::remove(&self.path(&id))?;
            }
        }
        // One that was asked for when its switch had just ended.
        let open = self.open_id()?;
        for name in files::names_in(&self.folder)? {
            let (asked, extension) = name.rsplit_once('.').unwrap_or_default();
            let asked = Request::ALL
                .map(Request::extension)
                .contains(&extension)
                .then_some(asked);
            if asked.is_some() && asked != open.as_ref().map(SwitchId::as_str) {
                files::remove(&self.folder.join(name))?;
            }
        }
        Ok(())
    }

    /// The file of a switch.
    pub fn path(&self, id: &SwitchId) -> Utf8PathBuf {
        self.folder.join(format!("{id}.jsonl"))
    }

    fn requested(&self, id: &SwitchId, what: Request) -> Utf8PathBuf {
        self.folder.join(format!("{id}.{}", what.extension()))
    }
}

/// Whether a switch is done and has made its release active: what was only staged is nothing to go back to.
fn made_active(record: &Record) -> bool {
    record.head.plan.verb.makes_active() && record.next() == Next::Finished
}

/// The journal of the open switch, to be appended to.
#[derive(Debug)]
pub struct Log {
    file: std::fs::File,
}

impl Log {
    /// Writes an event, at the present time. It is on disk when this returns, together with all before it; only what was
    /// done gets there with the next event, or when the switch is closed, since it can be done again.
    pub fn append(&mut self, event: Event) -> eyre::Result<Entry> {
        let entry = Entry {
            at: jiff::Timestamp::now(),
            event,
        };
        self.file.write_all(sealed::line(&entry)?.as_bytes())?;
        if !matches!(entry.event, Event::Done { .. } | Event::UndoDone { .. }) {
            self.file.sync_data()?;
        }
        Ok(entry)
    }
}
