//! The one logger that the macros log to where no `logger:` is given.
//!
//! Its place is a lock that is held for a moment only, so that no call waits for what a start has to do. A signal handler
//! can interrupt that moment on its own thread; it then finds no logger instead of waiting for itself.

use super::core::Core;
use super::guard::{Guard, Logger, Threads};
use super::{followers, register};
use crate::error::{Error, Kind};
use std::cell::Cell;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

static GLOBAL: RwLock<Option<Arc<Core>>> = RwLock::new(None);
/// The id of the global logger, 0 without one.
static GLOBAL_ID: AtomicU64 = AtomicU64::new(0);

thread_local! {
    static HERE: Cell<bool> = const { Cell::new(false) };
}

/// Says, as long as it lives, that this thread takes or holds the lock.
struct Here;

impl Here {
    /// `None` when the thread says so already.
    fn enter() -> Option<Self> {
        if HERE.replace(true) { None } else { Some(Self) }
    }
}

impl Drop for Here {
    fn drop(&mut self) {
        HERE.set(false);
    }
}

/// The global logger, if one is running in this process.
pub(crate) fn current() -> Option<Arc<Core>> {
    let Some(_here) = Here::enter() else { return current_if_free() };
    let slot = GLOBAL.read().unwrap_or_else(PoisonError::into_inner);
    slot.as_ref().filter(|core| !core.is_forked()).cloned()
}

/// As [`current`], but `None` when that would mean to wait: for a start or a close that is under way.
pub(crate) fn current_if_free() -> Option<Arc<Core>> {
    let slot = GLOBAL.try_read().ok()?;
    slot.as_ref().filter(|core| !core.is_forked()).cloned()
}

/// Whether `core` is the global logger.
pub(crate) fn is_global(core: &Core) -> bool {
    GLOBAL_ID.load(Ordering::Acquire) == core.id
}

/// Calls `f` while it is certain that there is no global logger; else, or when that is not certain at once, does nothing.
pub(crate) fn if_none(f: impl FnOnce()) {
    if let Ok(slot) = GLOBAL.try_read()
        && slot.as_ref().is_none_or(|core| core.is_forked())
    {
        f();
    }
}

/// Makes a running logger the global one; where there is one already, it is closed again.
pub(crate) fn become_global(core: Arc<Core>, threads: Threads) -> Result<Guard, Error> {
    if let Some(running) = put(&core) {
        let error = already_started(&running);
        drop(Guard::new(Logger::new(core), threads, false));
        return Err(error);
    }
    // Without the lock, because it takes as long as there are call sites. Whatever logs meanwhile finds the logger by
    // itself; whoever waits for this function to return finds everything enabled.
    register::adopt_all(&core);
    followers::tell();
    Ok(Guard::new(Logger::new(core), threads, true))
}

/// Puts `core` into the place, unless another one runs there: that is returned.
fn put(core: &Arc<Core>) -> Option<Arc<Core>> {
    let _here = Here::enter();
    let mut slot = GLOBAL.write().unwrap_or_else(PoisonError::into_inner);
    if let Some(running) = slot.as_ref().filter(|running| !running.is_forked()) {
        return Some(Arc::clone(running));
    }
    // The logger of the parent of this process must never be dropped here: its memory and lock are the parent's.
    std::mem::forget(slot.replace(Arc::clone(core)));
    GLOBAL_ID.store(core.id, Ordering::Release);
    None
}

/// An error if a global logger is running in this process.
pub(crate) fn none_is_running() -> Result<(), Error> {
    current().map_or(Ok(()), |core| Err(already_started(&core)))
}

fn already_started(core: &Core) -> Error {
    let what = match core.journal_folder.parent() {
        Some(_) => format!("a global logger is running already, with the directory {}", core.config.dir.display()),
        None => "a global logger is running already, a Capture".to_owned(),
    };
    Error::new(Kind::AlreadyStarted, what, "keep its guard and use that, or start this one with start_isolated")
}

/// The global logger is gone from now on.
pub(crate) fn retire(core: &Core) {
    let _here = Here::enter();
    let mut slot = GLOBAL.write().unwrap_or_else(PoisonError::into_inner);
    if slot.as_ref().is_some_and(|running| running.id == core.id) {
        *slot = None;
        GLOBAL_ID.store(0, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Config;
    use crate::logger::component;
    use std::sync::mpsc;
    use std::time::{Duration, Instant};

    /// The only unit test that starts the global logger: there is one per process.
    #[test]
    fn first_calls_do_not_wait_while_a_start_defines_what_is_known() {
        let place = tempfile::tempdir().unwrap();
        let config = Config::new(place.path().join("logs")).memory(crate::Memory::Anonymous);
        component::component("of_the_test");
        let (held, is_held) = mpsc::channel();
        let (go, may_go) = mpsc::channel::<()>();
        let found = std::thread::scope(|scope| {
            // Whoever lists the components keeps their lock, and so keeps the start from defining them.
            scope.spawn(move || {
                let mut first = true;
                component::for_each(|_| {
                    if std::mem::take(&mut first) {
                        held.send(()).unwrap();
                        let _ = may_go.recv();
                    }
                });
            });
            is_held.recv().unwrap();
            let starting = scope.spawn(|| crate::start(config).unwrap());
            let until = Instant::now() + Duration::from_secs(30);
            let mut found = None;
            while found.is_none() && Instant::now() < until {
                found = current_if_free();
                std::thread::yield_now();
            }
            go.send(()).unwrap();
            drop(starting.join().unwrap());
            found
        });
        assert!(found.is_some(), "the start keeps the lock while it waits for another one");
    }

    #[test]
    fn who_interrupts_the_holder_of_the_lock_does_not_wait_for_it() {
        let _here = Here::enter();
        let _slot = GLOBAL.write().unwrap_or_else(PoisonError::into_inner);
        assert!(current().is_none());
    }
}
