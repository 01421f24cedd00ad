//! When the next request is due.

use std::cell::Cell;
use std::time::{Duration, Instant};

/// Most requests of a run: bounds the memory that ids and counts take.
const MOST: u64 = 50_000_000;

/// Hands out the requests of a run, one at a time, to whichever connection is free.
#[derive(Debug)]
pub struct Pace {
    start: Instant,
    gap: Option<Duration>,
    next: Cell<u64>,
    posts_per_million: u64,
}

/// One request that is to be sent.
#[derive(Clone, Copy, Debug)]
pub struct Ticket {
    /// When; `None`: as soon as the connection is free.
    pub due: Option<Instant>,
    /// For a POST: its number, from 0.
    pub post: Option<u64>,
}

impl Pace {
    /// So many requests a second (0: as fast as answers come) from `start` on, of which `posts`, 0 to 1, are POST.
    pub fn new(start: Instant, rate: u32, posts: f64) -> Self {
        let gap = (rate > 0).then(|| Duration::from_secs(1) / rate.max(1));
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "0 to 1 million by the option's bounds"
        )]
        let posts_per_million = (posts * 1e6).round() as u64;
        Self {
            start,
            gap,
            next: Cell::new(0),
            posts_per_million,
        }
    }

    /// The next request; `None` where there were as many as one run may have.
    pub fn next(&self) -> Option<Ticket> {
        let number = self.next.get();
        if number >= MOST {
            return None;
        }
        self.next.set(number + 1);
        // The share of POSTs, spread evenly: the number of those before this one, and with this one.
        let posts = |requests| requests * self.posts_per_million / 1_000_000;
        let post = (posts(number + 1) > posts(number)).then(|| posts(number));
        let due = self
            .gap
            .map(|gap| self.start + Duration::from_nanos(nanos(gap).saturating_mul(number)));
        Some(Ticket { due, post })
    }
}

/// Whole nanoseconds.
fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn posts_have_their_share_and_a_number_of_their_own() {
        let pace = Pace::new(Instant::now(), 0, 0.3);
        let posts: Vec<_> = (0..1000).filter_map(|_| pace.next().unwrap().post).collect();
        assert_eq!(posts, (0..300).collect::<Vec<_>>());
        assert!(Pace::new(Instant::now(), 0, 0.0).next().unwrap().post.is_none());
        assert_eq!(Pace::new(Instant::now(), 0, 1.0).next().unwrap().post, Some(0));
    }

    #[test]
    fn rate_is_kept_over_all() {
        let start = Instant::now();
        let pace = Pace::new(start, 1500, 0.0);
        let last = (0..=1500).map(|_| pace.next().unwrap().due.unwrap()).last().unwrap();
        let off = (last - start).abs_diff(Duration::from_secs(1));
        assert!(off < Duration::from_millis(1), "{off:?}");
    }
}
