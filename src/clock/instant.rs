//! The clock by which the worker and the readers wait: monotonic, in nanoseconds, in simulations the simulator's.

use super::ticks::monotonic_ns;
use std::ops::Add;
use std::time::Duration;

/// A moment of the monotonic clock; as [`std::time::Instant`], but for simulations, in which time stands still until it is
/// moved.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct Instant(u64);

impl Instant {
    /// This moment.
    pub(crate) fn now() -> Self {
        Self(monotonic_ns())
    }

    /// How long ago it was.
    pub(crate) fn elapsed(self) -> Duration {
        Duration::from_nanos(monotonic_ns().saturating_sub(self.0))
    }
}

impl Add<Duration> for Instant {
    type Output = Self;

    fn add(self, time: Duration) -> Self {
        Self(self.0.saturating_add(u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)))
    }
}

/// Whether the calling thread runs a simulation: whole lives in a blink, in which what only costs time is left out.
pub(crate) fn is_simulated() -> bool {
    #[cfg(any(test, fuzzing, feature = "testing"))]
    return simulated::now().is_some();
    #[cfg(not(any(test, fuzzing, feature = "testing")))]
    false
}

/// The clocks of a simulation, which belong to the thread that runs it.
#[cfg(any(test, fuzzing, feature = "testing"))]
pub(crate) mod simulated {
    use std::cell::Cell;

    thread_local! {
        static NOW: Cell<Option<u64>> = const { Cell::new(None) };
    }

    /// From now on both the monotonic and the wall clock of this thread show `ns`; `None` ends it.
    pub(crate) fn set(ns: Option<u64>) {
        NOW.set(ns);
    }

    /// What they show, if they are simulated.
    pub(crate) fn now() -> Option<u64> {
        NOW.get()
    }
}
