//! A wish that something ends, which can be waited for.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// A cancellation token. Clones are the same token; once cancelled it stays so.
#[derive(Clone, Debug, Default)]
pub struct Cancel(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    cancelled: AtomicBool,
    lock: Mutex<()>,
    changed: Condvar,
}

impl Cancel {
    /// One that is not cancelled.
    pub fn new() -> Self {
        Self::default()
    }

    /// Cancels it, and wakes who waits.
    pub fn cancel(&self) {
        // SYNC POINT with the load in `is_cancelled`: what was done before is seen by who finds it cancelled.
        self.0.cancelled.store(true, Ordering::Release);
        // Who has looked and does not wait yet holds the lock until it waits.
        drop(self.0.lock.lock().unwrap_or_else(PoisonError::into_inner));
        self.0.changed.notify_all();
    }

    /// Whether it is cancelled. Costs one load.
    #[inline]
    pub fn is_cancelled(&self) -> bool {
        // SYNC POINT with the store in `cancel`.
        self.0.cancelled.load(Ordering::Acquire)
    }

    /// Waits until it is cancelled, for at most `time`; whether it is.
    pub fn wait(&self, time: Duration) -> bool {
        let until = Instant::now().checked_add(time);
        let mut lock = self.0.lock.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            if self.is_cancelled() {
                return true;
            }
            let left = until.map_or(Duration::MAX, |until| until.saturating_duration_since(Instant::now()));
            if left.is_zero() {
                return false;
            }
            lock = self.0.changed.wait_timeout(lock, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}
