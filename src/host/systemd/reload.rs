//! Making systemd read what is on disk, and whether it has.
//!
//! Since version 255 systemd says of every unit that it needs a reload once links were made or removed by which any unit is
//! enabled or masked. Nothing but what it shows depends on that reload, so it is owed, and not urgent.

use std::time::{Duration, Instant, SystemTime};

use camino::Utf8Path;

use super::Systemd;
use super::explain::{explain, is_rate_limited};

/// A unit without a file: what is said of it is said of all.
const WITHOUT_FILE: &str = "init.scope";

/// How long a reload may be refused for having been asked for too often (systemd-system.conf(5), `ReloadLimitIntervalSec=`).
const LIMITED: Duration = Duration::from_secs(30);
/// The time between two requests.
const AGAIN: Duration = Duration::from_millis(500);

impl Systemd {
    /// Makes systemd read all unit files anew. Takes hundreds of milliseconds on a busy host. Where systemd limits how often that
    /// may be, it is asked again for 30 s; errors after that.
    pub async fn daemon_reload(&self) -> eyre::Result<()> {
        let began = Instant::now();
        loop {
            let reload = async || self.manager.reload().await;
            match self.patiently(reload).await {
                Err(error) if is_rate_limited(&error) && began.elapsed() < LIMITED => tokio::time::sleep(AGAIN).await,
                reloaded => return reloaded.map_err(|error| explain("make systemd read", &"unit files", &error)),
            }
        }
    }

    /// Makes systemd read the links by which units are enabled, where it asks for that. Errors as [`Systemd::daemon_reload`]
    /// does.
    pub async fn read_links(&self) -> eyre::Result<()> {
        let asks = self.patiently(async || self.asks_for_all().await).await;
        if asks.map_err(|error| explain("look at", &WITHOUT_FILE, &error))? {
            self.daemon_reload().await?;
        }
        Ok(())
    }

    /// Whether what systemd says of a unit, that it needs a reload, is so: its file is newer than what systemd has read, or it is
    /// not said of all units.
    pub(super) async fn is_unread(&self, file: Option<&Utf8Path>) -> zbus::Result<bool> {
        if !self.asks_for_all().await? {
            return Ok(true);
        }
        let read = SystemTime::UNIX_EPOCH + Duration::from_micros(self.manager.units_load_timestamp().await?);
        let written = file.map(|file| fs_err::metadata(file).and_then(|file| file.modified()));
        // One that cannot be looked at any more is not the one that was read.
        Ok(written.is_some_and(|written| written.map_or(true, |written| written > read)))
    }

    async fn asks_for_all(&self) -> zbus::Result<bool> {
        let path = self.manager.load_unit(WITHOUT_FILE).await?;
        self.unit(&path).await?.need_daemon_reload().await
    }
}
