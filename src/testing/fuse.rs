//! Ends the writer at a chosen point between two stores, as a kill does.

use std::cell::Cell;

thread_local! {
    static LEFT: Cell<Option<u64>> = const { Cell::new(None) };
    static BEFORE: Cell<Option<u64>> = const { Cell::new(None) };
}

/// What a burnt fuse unwinds with.
pub(crate) struct Killed;

/// The thread unwinds at the point number `points` from here, counted from 0; never with `None`.
pub(crate) fn set(points: Option<u64>) {
    BEFORE.set(LEFT.replace(points));
}

/// How many points were left of the last setting but one.
pub(crate) fn left() -> Option<u64> {
    BEFORE.get()
}

/// A point at which a kill may come: before and after each store.
pub(crate) fn burn() {
    match LEFT.get() {
        None => {}
        Some(0) => {
            LEFT.set(None);
            // No panic, whose hook would print a line for each of thousands.
            std::panic::resume_unwind(Box::new(Killed));
        }
        Some(left) => LEFT.set(Some(left - 1)),
    }
}
