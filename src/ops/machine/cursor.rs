//! Moving the cursor.
//!
//! An answer of the store that does not come leaves open whether the cursor moved. It is asked for again until it is
//! known, for as long as the settings say: both colors run meanwhile, and traffic stays where it is.

use std::time::{Duration, Instant};

use eyre::WrapErr as _;

use crate::engine::{Effects as _, StepError};
use crate::host::identity;
use crate::model::{Color, Cursor, Hinted, Holder, Lease, ReleaseId, Revision, Stored};
use crate::plan::Plan;
use crate::state::deferred::Journal;
use crate::store::{LeaseError, SetError};

use super::Machine;

/// The time between two attempts at a store that does not answer.
const AGAIN: Duration = Duration::from_millis(500);

/// Why a cursor did not move.
enum Missed {
    /// The store said so, or was not asked.
    Certain(eyre::Report),
    /// The store was not reached this time.
    Away(eyre::Report),
    /// It may have moved.
    Open(eyre::Report),
}

/// What became of a promote that the store did not know of.
#[derive(Debug, PartialEq, Eq)]
pub enum Published {
    /// The store says now what this host says.
    Moved(Cursor),
    /// Another host moved the cursor meanwhile, and it stays as it is; none where it was removed.
    Overruled(Option<Stored>),
}

impl Machine {
    /// Moves the cursor to `to`. That this switch did so before it was interrupted is as good. Errors with
    /// [`StepError::Untouched`] where no attempt can have moved it.
    pub(super) async fn promote(
        &self,
        plan: &Plan,
        expected: Revision,
        to: Color,
        release: &ReleaseId,
    ) -> Result<(), StepError> {
        let cursor = moved(plan, to, release);
        let message = || format!("cannot promote {to}");
        let mut is_open = false;
        loop {
            let error = match self.try_promote(plan, expected, &cursor).await {
                Ok(revision) => {
                    self.silent_since.take();
                    self.saw(Stored { cursor, revision });
                    return Ok(());
                }
                Err(Missed::Certain(error) | Missed::Away(error)) if !is_open => {
                    return Err(StepError::Untouched(error.wrap_err(message())));
                }
                Err(Missed::Certain(error)) => return Err(error.wrap_err(message()).into()),
                Err(Missed::Open(error) | Missed::Away(error)) => error,
            };
            is_open = true;
            self.wait_for_store("promote", error).await.wrap_err_with(message)?;
        }
    }

    /// The revision that it is moved at.
    async fn try_promote(&self, plan: &Plan, expected: Revision, cursor: &Cursor) -> Result<Revision, Missed> {
        let app = &self.app;
        let lease = lease_of(plan);
        let held = match self.lazy.hold(&lease).await {
            Ok(held) => held,
            Err(LeaseError::HeldBy(by)) => return Err(Missed::Certain(taken(&by, plan))),
            Err(LeaseError::Failed(error)) => return Err(Missed::Away(error)),
        };
        let store = self.store().await.map_err(Missed::Away)?;
        let set = store.compare_and_set_held(&app.name, &app.ports, expected, cursor, held);
        match set.await {
            Ok(revision) => Ok(revision),
            Err(SetError::Conflict(Some(now))) if now.cursor == *cursor => Ok(now.revision),
            Err(SetError::Conflict(now)) => Err(Missed::Certain(overtaken(now, plan))),
            Err(SetError::LeaseLost(Some(by))) if by.lease.by != lease.by => Err(Missed::Certain(taken(&by, plan))),
            Err(SetError::LeaseLost(_)) => {
                // It expired while this slept, and nobody has held it since: what was planned on is there still.
                self.lazy.forget(held).await;
                Box::pin(self.try_promote(plan, expected, cursor)).await
            }
            Err(SetError::Refused(error)) => Err(Missed::Away(error)),
            Err(SetError::Unknown(error)) => Err(Missed::Open(error)),
        }
    }

    /// Moves the cursor back where this switch moved it. Where it has not moved since `expected` it moves on, to what it
    /// says already: a promote whose answer was lost then comes too late. Whoever else moved it is right.
    pub(super) async fn demote(
        &self,
        plan: &Plan,
        expected: Revision,
        to: Option<Color>,
        release: Option<&ReleaseId>,
    ) -> eyre::Result<()> {
        loop {
            match self.try_demote(plan, expected, to, release).await {
                Ok(()) => {
                    self.silent_since.take();
                    return Ok(());
                }
                Err(Missed::Certain(error)) => return Err(error),
                Err(Missed::Away(error) | Missed::Open(error)) => self.wait_for_store("undo: demote", error).await?,
            }
        }
    }

    async fn try_demote(
        &self,
        plan: &Plan,
        expected: Revision,
        to: Option<Color>,
        release: Option<&ReleaseId>,
    ) -> Result<(), Missed> {
        let store = self.store().await.map_err(Missed::Away)?;
        let now = store.get(&self.app.name).await;
        let Some(now) = now.map_err(|error| Missed::Away(error.into()))? else {
            return Ok(());
        };
        let by = plan.holder.clone();
        let back = if now.revision == expected {
            now.cursor
        } else if now.cursor.moved_by.as_ref() == Some(&by) && now.cursor.active == Some(plan.to) {
            Cursor {
                active: to,
                release: release.cloned(),
                moved_by: Some(by),
            }
        } else {
            return Ok(());
        };
        let set = store.compare_and_set(&self.app.name, &self.app.ports, now.revision, &back);
        match set.await {
            Ok(revision) => {
                self.saw(Stored { cursor: back, revision });
                Ok(())
            }
            Err(SetError::Conflict(_) | SetError::LeaseLost(_)) => Err(Missed::Certain(eyre::eyre!(
                "cannot move the cursor back: it was moved at the same time"
            ))),
            Err(SetError::Refused(error)) => Err(Missed::Away(error)),
            Err(SetError::Unknown(error)) => Err(Missed::Open(error)),
        }
    }

    /// Waits a moment before the store is asked again. Errors with `error` where it has been silent for longer than the settings
    /// allow; each time that it answers, the count begins anew.
    async fn wait_for_store(&self, what: &str, error: eyre::Report) -> eyre::Result<()> {
        let since = self.silent_since.get().unwrap_or_else(Instant::now);
        self.silent_since.set(Some(since));
        if since.elapsed() >= self.settings.store.patience() {
            return Err(error);
        }
        self.announce(&format!("{what}: the store is asked again: {error:#}"));
        tokio::time::sleep(AGAIN).await;
        Ok(())
    }

    /// Writes down that the cursor is to move.
    pub(super) fn defer(&self, plan: &Plan, expected: Revision, to: Color, release: &ReleaseId) -> eyre::Result<()> {
        self.deferred().push(expected, moved(plan, to, release))
    }

    /// Removes what this switch wrote down.
    pub(super) fn recall(&self, plan: &Plan) -> eyre::Result<()> {
        self.deferred().pop(&plan.holder)
    }

    pub(super) fn deferred(&self) -> Journal {
        Journal::new(&self.layout, &self.app.name)
    }

    /// Tells the store what it does not know of yet, unless another host moved the cursor meanwhile; none where it knows all.
    /// Fails where the store cannot be asked.
    pub async fn publish(&self) -> eyre::Result<Option<Published>> {
        let journal = self.deferred();
        loop {
            let Some((deferred, ours)) = journal
                .read()?
                .and_then(|d| d.stored().map(|stored| (d, stored.cursor)))
            else {
                return Ok(None);
            };
            let store = self.store().await?;
            let there = store.get(&self.app.name).await?;
            let published = match there {
                Some(there) if there.cursor.active == ours.active && there.cursor.release == ours.release => {
                    Published::Moved(there.cursor)
                }
                Some(there) if deferred.may_move(&there, &identity::read()?) => {
                    let set = store.compare_and_set(&self.app.name, &self.app.ports, there.revision, &ours);
                    match set.await {
                        Ok(_) => Published::Moved(ours),
                        // Somebody was faster: it is looked at again.
                        Err(SetError::Conflict(_) | SetError::LeaseLost(_)) => continue,
                        Err(SetError::Refused(error) | SetError::Unknown(error)) => return Err(error),
                    }
                }
                there => Published::Overruled(there),
            };
            journal.clear()?;
            return Ok(Some(published));
        }
    }
}

/// The lease of a switch.
pub fn lease_of(plan: &Plan) -> Lease {
    Lease {
        by: plan.holder.clone(),
        verb: plan.verb.as_str().to_owned(),
        release: Some(plan.release.clone()),
        since: jiff::Timestamp::now(),
    }
}

fn moved(plan: &Plan, to: Color, release: &ReleaseId) -> Cursor {
    Cursor {
        active: Some(to),
        release: Some(release.clone()),
        moved_by: Some(plan.holder.clone()),
    }
}

fn overtaken(now: Option<Stored>, plan: &Plan) -> eyre::Report {
    let who = now.and_then(|now| now.cursor.moved_by);
    let who = who.unwrap_or_else(|| "somebody".to_owned());
    let app = &plan.app;
    let message = format!("{who} moved the cursor of {app} since this switch was planned");
    let hint = format!("look at what is active now, and switch again: bgctl status {app}");
    Hinted::new(message, hint).into()
}

fn taken(by: &Holder, plan: &Plan) -> eyre::Report {
    let app = &plan.app;
    let message = format!("this switch lost its lease of {app}, which is now held by {by}");
    let hint = by.delete();
    let hint = hint.unwrap_or_else(|| format!("switch again when that has ended: bgctl status {app}"));
    Hinted::new(message, hint).into()
}
