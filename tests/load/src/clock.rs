//! One clock for durations and for times of day.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// A monotonic clock that knows the time of day at which it was started, so that a correction of the system's clock
/// during a run changes no latency.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    started: Instant,
    unix_us: u64,
}

impl Clock {
    /// Starts it.
    pub fn start() -> Self {
        let unix = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self {
            started: Instant::now(),
            unix_us: u64::try_from(unix.as_micros()).unwrap_or(u64::MAX),
        }
    }

    /// Microseconds since 1970-01-01 00:00 UTC.
    pub fn unix_us(&self, at: Instant) -> u64 {
        let since = at.saturating_duration_since(self.started);
        self.unix_us
            .saturating_add(u64::try_from(since.as_micros()).unwrap_or(u64::MAX))
    }
}
