//! Moving the cursor.

use crate::model::{Color, Cursor, Hinted, ReleaseId, Revision};
use crate::plan::Plan;
use crate::store::SetError;

use super::Machine;

impl Machine {
    /// Moves the cursor to `to`. That this switch did so before it was interrupted is as good.
    pub(super) async fn promote(
        &self,
        plan: &Plan,
        expected: Revision,
        to: Color,
        release: &ReleaseId,
    ) -> eyre::Result<()> {
        let by = plan.mover.clone();
        let cursor = Cursor {
            active: Some(to),
            release: Some(release.clone()),
            moved_by: Some(by),
        };
        match self
            .store()
            .await?
            .compare_and_set(&self.app.name, &self.app.ports, expected, &cursor)
            .await
        {
            Ok(_) => Ok(()),
            Err(SetError::Conflict(Some(now))) if now.cursor == cursor => Ok(()),
            Err(SetError::Conflict(now)) => {
                let app = &self.app.name;
                let who = now
                    .and_then(|now| now.cursor.moved_by)
                    .unwrap_or_else(|| "somebody".to_owned());
                Err(Hinted::new(
                    format!("cannot promote {to}: {who} moved the cursor of {app} since this switch was planned"),
                    format!("look at what is active now, and switch again: bgctl status {app}"),
                )
                .into())
            }
            Err(SetError::Failed(error)) => Err(error),
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
        let store = self.store().await?;
        let Some(now) = store.get(&self.app.name).await? else {
            return Ok(());
        };
        let by = plan.mover.clone();
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
        let moved = store.compare_and_set(&self.app.name, &self.app.ports, now.revision, &back);
        match moved.await {
            Ok(_) => Ok(()),
            Err(SetError::Conflict(_)) => eyre::bail!("cannot move the cursor back: it was moved at the same time"),
            Err(SetError::Failed(error)) => Err(error),
        }
    }
}
