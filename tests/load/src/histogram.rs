//! Latencies in bounded memory.

use serde::Serialize;

/// Each power of two is divided into 2^7 parts: a value is told to 0.8 %.
const PRECISION: u32 = 7;

/// Counts of microseconds, log-linear: what is told is never below what was measured.
#[derive(Debug, Default)]
pub struct Histogram {
    counts: Vec<u64>,
    total: u64,
    max: u64,
}

/// Latencies, milliseconds.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Latency {
    /// Half of the answers took at most this long.
    pub p50: f64,
    /// 90 of 100 took at most this long.
    pub p90: f64,
    /// 99 of 100 took at most this long.
    pub p99: f64,
    /// 999 of 1000 took at most this long.
    pub p999: f64,
    /// The slowest.
    pub max: f64,
}

impl Histogram {
    /// Counts one value, microseconds.
    pub fn record(&mut self, us: u64) {
        let bucket = bucket(us);
        if self.counts.len() <= bucket {
            self.counts.resize(bucket + 1, 0);
        }
        if let Some(count) = self.counts.get_mut(bucket) {
            *count += 1;
        }
        self.total += 1;
        self.max = self.max.max(us);
    }

    /// What is told.
    pub fn latency(&self) -> Latency {
        let at = |per_mille| milliseconds(self.quantile(per_mille));
        Latency {
            p50: at(500),
            p90: at(900),
            p99: at(990),
            p999: at(999),
            max: milliseconds(self.max),
        }
    }

    /// The value that so many of a thousand do not exceed, microseconds.
    fn quantile(&self, per_mille: u64) -> u64 {
        let rank = (self.total * per_mille).div_ceil(1000);
        let mut counted = 0;
        for (bucket, count) in self.counts.iter().enumerate() {
            counted += count;
            if counted >= rank && *count > 0 {
                return upper(bucket).min(self.max);
            }
        }
        self.max
    }
}

/// The bucket of a value.
fn bucket(us: u64) -> usize {
    let shift = us.checked_ilog2().unwrap_or(0).saturating_sub(PRECISION);
    let bucket = (u64::from(shift) << PRECISION) + (us >> shift);
    usize::try_from(bucket).unwrap_or(usize::MAX)
}

/// The largest value of a bucket.
fn upper(bucket: usize) -> u64 {
    let shift = (bucket >> PRECISION).saturating_sub(1);
    let part = u64::try_from(bucket - (shift << PRECISION)).unwrap_or(u64::MAX);
    ((part + 1) << shift) - 1
}

/// Microseconds as milliseconds.
#[expect(
    clippy::cast_precision_loss,
    reason = "exact below 2^53 microseconds, which is the year 2255"
)]
pub fn milliseconds(us: u64) -> f64 {
    us as f64 / 1000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bucket_holds_what_is_put_into_it() {
        for us in (0..10_000).chain([65_535, 65_536, 1_000_000, 30_000_000, u64::MAX >> 1]) {
            let top = upper(bucket(us));
            assert!(top >= us && top - us <= us / 128, "{us} is told as {top}");
            assert!(bucket(top) == bucket(us) && bucket(top + 1) == bucket(us) + 1, "{us}");
        }
    }

    #[test]
    fn quantiles_are_told_to_a_percent() {
        let mut histogram = Histogram::default();
        for us in 1..=100_000 {
            histogram.record(us);
        }
        let latency = histogram.latency();
        for (told, real) in [
            (latency.p50, 50.0),
            (latency.p90, 90.0),
            (latency.p99, 99.0),
            (latency.p999, 99.9),
        ] {
            assert!(told >= real && told < real * 1.008, "{told} for {real}");
        }
        assert!((latency.max - 100.0).abs() < f64::EPSILON);
    }

    #[test]
    fn one_value_is_every_quantile() {
        let mut histogram = Histogram::default();
        histogram.record(777);
        let latency = histogram.latency();
        assert!((latency.p50 - 0.777).abs() < 1e-9 && (latency.p999 - 0.777).abs() < 1e-9);
    }
}
