//! Panics as records: a hook that logs each before it unwinds or aborts, and waits until it can be read.

use crate::config::Mode;
use crate::critical;
use crate::logger::guard::goal;
use crate::logger::{global, lease};
use std::backtrace::{Backtrace, BacktraceStatus};
use std::cell::Cell;
use std::panic::{self, PanicHookInfo};
use std::sync::Once;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// How often the hook looks whether its record is in the files.
const LOOK: Duration = Duration::from_millis(1);

static FLUSH_MAX_MS: AtomicU64 = AtomicU64::new(0);

thread_local! {
    /// This thread is within the hook.
    static WITHIN: Cell<bool> = const { Cell::new(false) };
}

/// From now on each panic leaves a record, level [`Critical`](crate::Level::Critical), target `panic`: the message, as fields `location`,
/// `thread`, and `backtrace` where `RUST_BACKTRACE` asks for one. Then the thread waits until the record, and all before it, is
/// in the files, for `flush_max` at most. The hook that was there before runs after that.
///
/// May be called before [`start`](crate::start), and more than once: the last `flush_max` holds. Zero never waits; the record
/// is in shared memory all the same, which outlives the process. Panics go to the global logger only; without one, nothing is added
/// to what the hook before does.
///
/// The hook takes no lock that the panicking thread could hold. A panic in the logger's own threads is logged, and not waited
/// for. One in a hand-written [`Value`](crate::Value), in the midst of a log call, is counted as dropped with that call: the ring has
/// a record begun that it must not add to.
///
/// ```
/// use std::time::Duration;
///
/// tachograph::log_panics(Duration::from_secs(1));
/// ```
pub fn log_panics(flush_max: Duration) {
    static ONCE: Once = Once::new();
    FLUSH_MAX_MS.store(u64::try_from(flush_max.as_millis()).unwrap_or(u64::MAX), Ordering::Relaxed);
    ONCE.call_once(|| {
        let before = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            log(info);
            before(info);
        }));
    });
}

fn log(info: &PanicHookInfo<'_>) {
    // A panic of the hook itself, or while the thread's locals are gone: the hook before has it.
    if WITHIN.try_with(|within| within.replace(true)).unwrap_or(true) {
        return;
    }
    let message = message(info);
    let location = info.location().map(ToString::to_string).unwrap_or_default();
    let thread = std::thread::current();
    let thread = thread.name().unwrap_or("<unnamed>");
    let backtrace = Backtrace::capture();
    if backtrace.status() == BacktraceStatus::Captured {
        let backtrace = backtrace.to_string();
        // Last, because what does not fit is cut.
        critical!(target: "panic", thread, location, backtrace; "panicked: {}", message);
    } else {
        critical!(target: "panic", thread, location; "panicked: {}", message);
    }
    if !lease::is_own_thread() {
        wait(Duration::from_millis(FLUSH_MAX_MS.load(Ordering::Relaxed)));
    }
    let _ = WITHIN.try_with(|within| within.set(false));
}

/// What a panic carries, where it is a text.
fn message<'a>(info: &'a PanicHookInfo<'_>) -> &'a str {
    let payload = info.payload();
    let text = payload.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| payload.downcast_ref::<&'static str>().copied()).unwrap_or("<not a text>")
}

/// Waits until all that was logged by now is in the files. As a flush does, but without its locks.
fn wait(time: Duration) {
    // Without threads the call has returned when its line was in the file.
    let Some(core) = global::current_if_free().filter(|core| core.config.mode == Mode::Threads) else { return };
    let Some(until) = Instant::now().checked_add(time) else { return };
    let goal = goal(&core);
    while core.control.worker.rendered.load(Ordering::Acquire) < goal {
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return;
        }
        core.bell.nudge();
        std::thread::sleep(LOOK.min(left));
    }
}
