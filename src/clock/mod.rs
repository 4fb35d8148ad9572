//! Time: ticks at the call site, nanoseconds for the reader.
//!
//! * [`ticks`]: the time-stamp counter, and what stands in for it.
//! * [`line`](mod@line): what time a tick is, for all processes of a directory; pure.
//! * [`anchor`]: the same, as it stands in one journal; pure.
//! * [`instant`]: by what the worker waits.

pub(crate) mod anchor;
pub(crate) mod instant;
pub(crate) mod line;
pub(crate) mod ticks;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// What stamps the records.
#[derive(Clone, Debug, Default)]
pub enum Clock {
    /// The processor's time-stamp counter: exact order over all threads. The call costs what reading it costs. The default.
    #[default]
    Ticks,
    /// A word that the writer refreshes every 10 µs while it does not sleep, so that the call reads no counter at all: the
    /// cheapest call. Exact order within a thread, between threads to one refresh.
    Coarse,
    /// A clock that the program sets: for replays and back-tests. Order is kept within a thread.
    Manual(ManualClock),
}

/// A clock that the program sets, in nanoseconds since the Unix epoch. Clones are the same clock.
///
/// ```
/// let clock = tachograph::ManualClock::new(1_700_000_000_000_000_000);
/// let config = tachograph::Config::new("logs").clock(clock.clone());
/// clock.set(1_700_000_000_000_000_500);
/// ```
#[derive(Clone, Debug)]
pub struct ManualClock(pub(crate) Arc<AtomicU64>);

impl ManualClock {
    /// A clock that stands at `unix_ns`.
    pub fn new(unix_ns: u64) -> Self {
        Self(Arc::new(AtomicU64::new(unix_ns)))
    }

    /// Sets the clock; one relaxed store. Records logged later by this thread bear this time.
    #[inline]
    pub fn set(&self, unix_ns: u64) {
        self.0.store(unix_ns, Ordering::Relaxed);
    }

    /// Where it stands.
    #[inline]
    pub fn unix_ns(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl From<ManualClock> for Clock {
    fn from(clock: ManualClock) -> Self {
        Self::Manual(clock)
    }
}
