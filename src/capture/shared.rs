//! The one logger behind all captures that take from the plain macros: the first of them starts it as the global
//! logger, the last one to go closes it.

use super::sink::{Sink, Subscribers, Subscription};
use crate::error::Error;
use crate::logger::guard::{Guard, Logger, Threads};
use crate::logger::{global, start};
use std::sync::{Arc, Mutex, PoisonError};

/// What all of them have together.
#[derive(Debug)]
struct Running {
    guard: Guard,
    subscribers: Subscribers,
    captures: usize,
}

static RUNNING: Mutex<Option<Running>> = Mutex::new(None);

/// One capture's share.
#[derive(Debug)]
pub(super) struct Shared {
    logger: Logger,
}

impl Shared {
    /// Joins the running captures, or becomes the first.
    pub(super) fn join(thread: Option<u32>) -> Result<(Self, Arc<Subscription>), Error> {
        let mut running = RUNNING.lock().unwrap_or_else(PoisonError::into_inner);
        if running.as_ref().is_some_and(|running| running.guard.logger().core().is_forked()) {
            // Those of the parent process are not ours to close.
            std::mem::forget(running.take());
        }
        let all = match &mut *running {
            Some(all) => all,
            none => none.insert(first()?),
        };
        all.captures += 1;
        let subscription = all.subscribers.join(thread);
        Ok((Self { logger: all.guard.logger().clone() }, subscription))
    }

    pub(super) fn logger(&self) -> &Logger {
        &self.logger
    }
}

fn first() -> Result<Running, Error> {
    let subscribers = Subscribers::default();
    let deliver = subscribers.clone();
    global::none_is_running()?;
    let core = start::launch_in_memory(super::config(), |core, writer| Sink::new(core, writer, deliver))?;
    let guard = global::become_global(core, Threads::default())?;
    Ok(Running { guard, subscribers, captures: 0 })
}

impl Drop for Shared {
    fn drop(&mut self) {
        let mut running = RUNNING.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(all) = &mut *running else { return };
        // In a forked child the count is of the parent's captures, and of none of ours.
        if !Arc::ptr_eq(all.guard.logger().core(), self.logger.core()) {
            return;
        }
        all.captures -= 1;
        if all.captures == 0 {
            // Under the lock: whoever comes next finds no global logger.
            *running = None;
        }
    }
}
