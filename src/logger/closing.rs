//! The end of a logger, and the calls that are on the cold path meanwhile.
//!
//! A call there may count a drop when no ring can be had. The writer states drops, so it must not end before such a call
//! does: either the call sees that the logger is closed, and counts nothing any more, or who ends the logger sees the call,
//! and waits for it. Never on the hot path; any thread may call these.

use crate::sync::{AtomicBool, AtomicU64, Ordering, fence};

/// Whether a logger is closed, and how many calls are on its cold path.
#[derive(Debug, Default)]
pub(crate) struct Closing {
    closed: AtomicBool,
    calls: AtomicU64,
}

impl Closing {
    /// From now on nothing is logged. Afterwards [`has_calls`](Self::has_calls) tells of every call that
    /// [was let in](Self::enter), in this thread and in those that it tells.
    pub(crate) fn close(&self) {
        self.closed.store(true, Ordering::Release);
        // Pairs with the fences in `enter` and in `Lease::take`, between what is said there and their look at the flag:
        // one of the two sees the other.
        fence(Ordering::SeqCst);
    }

    /// Whether [`close`](Self::close) was called.
    pub(crate) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }

    /// Begins a call on the cold path; `None` when the logger is closed, and nothing may be counted any more.
    pub(crate) fn enter(&self) -> Option<ColdCall<'_>> {
        self.calls.fetch_add(1, Ordering::Relaxed);
        let call = ColdCall(self);
        // Pairs with the fence in `close`.
        fence(Ordering::SeqCst);
        (!self.closed.load(Ordering::Relaxed)).then_some(call)
    }

    /// Whether a call is on the cold path. Asked after [`close`](Self::close).
    pub(crate) fn has_calls(&self) -> bool {
        self.calls.load(Ordering::Acquire) != 0
    }
}

/// A call on the cold path, until it is dropped.
#[derive(Debug)]
pub(crate) struct ColdCall<'a>(&'a Closing);

impl Drop for ColdCall<'_> {
    fn drop(&mut self) {
        // SYNC POINT with the load in `has_calls`: what the call counted is there.
        self.0.calls.fetch_sub(1, Ordering::Release);
    }
}

#[cfg(all(test, loom))]
mod models {
    //! `RUSTFLAGS="--cfg loom" cargo test --lib --release models`

    use super::*;
    use loom::sync::Arc;
    use loom::thread;

    #[derive(Default)]
    struct Model {
        closing: Closing,
        dropped: AtomicU64,
        stop: AtomicBool,
    }

    /// Threads that count a drop each, if they are let in; says whether they were.
    fn callers(shared: &Arc<Model>, count: usize) -> Vec<thread::JoinHandle<bool>> {
        let call = |shared: Arc<Model>| {
            let call = shared.closing.enter();
            if call.is_some() {
                shared.dropped.fetch_add(1, Ordering::Relaxed);
            }
            call.is_some()
        };
        (0..count).map(|_| Arc::clone(shared)).map(|shared| thread::spawn(move || call(shared))).collect()
    }

    /// Who finds no call on the cold path knows of all that were counted.
    fn ends_behind_the_last_count(ended: Option<u64>, callers: Vec<thread::JoinHandle<bool>>) {
        let let_in: u64 = callers.into_iter().map(|caller| u64::from(caller.join().unwrap())).sum();
        assert!(ended.is_none_or(|seen| seen == let_in), "{ended:?} seen, {let_in} counted");
    }

    #[test]
    fn models_what_was_counted_on_the_cold_path_is_seen_at_the_end() {
        loom::model(|| {
            let shared = Arc::new(Model::default());
            let callers = callers(&shared, 2);
            shared.closing.close();
            let ended = (!shared.closing.has_calls()).then(|| shared.dropped.load(Ordering::Relaxed));
            ends_behind_the_last_count(ended, callers);
        });
    }

    #[test]
    fn models_the_writer_that_is_told_to_stop_sees_it_too() {
        loom::model(|| {
            let shared = Arc::new(Model::default());
            let callers = callers(&shared, 1);
            let theirs = Arc::clone(&shared);
            let writer = thread::spawn(move || {
                let over = theirs.stop.load(Ordering::Acquire) && !theirs.closing.has_calls();
                over.then(|| theirs.dropped.load(Ordering::Relaxed))
            });
            shared.closing.close();
            shared.stop.store(true, Ordering::Release);
            ends_behind_the_last_count(writer.join().unwrap(), callers);
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_is_let_in_until_the_logger_is_closed_and_seen_as_long_as_it_lasts() {
        let closing = Closing::default();
        let call = closing.enter().unwrap();
        closing.close();
        assert!(closing.is_closed() && closing.has_calls() && closing.enter().is_none());
        drop(call);
        assert!(!closing.has_calls());
    }
}
