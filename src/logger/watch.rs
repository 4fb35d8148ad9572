//! Whether somebody takes what the writer puts into shared memory, as health tells it.
//!
//! Looks at the control page and at a lock in shared memory, and waits for nothing: neither for the worker, nor for the
//! disk that it may hang on.

use super::core::Core;
use crate::clock::ticks::{monotonic_ns, unix_ns};
use crate::config::{Mode, Worker};
use crate::shm::control::activity;
use crate::shm::folder::has_archiver;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// A worker that has been at the same step of its work for longer is in trouble.
const SILENT_MAX: Duration = Duration::from_secs(5);

/// What keeps lines from their files, if anything does.
pub(crate) fn trouble(core: &Core) -> Option<String> {
    let said = core.control.trouble.read();
    absence(core).or_else(|| (!said.is_empty()).then_some(said))
}

/// Why nobody takes anything, if that is so.
fn absence(core: &Core) -> Option<String> {
    if core.config.mode != Mode::Threads || core.is_forked() {
        return None;
    }
    let heartbeat = core.control.worker.heartbeat.load(Ordering::Relaxed);
    let since_start = || unix_ns().saturating_sub(core.control.identity.started_unix_ns.load(Ordering::Relaxed));
    let silent_ns = match heartbeat {
        0 => since_start().unsigned_abs(),
        _ => monotonic_ns().saturating_sub(heartbeat),
    };
    if core.config.worker == Worker::External
        && let Some(folder) = core.memory.folder()
    {
        match has_archiver(folder) {
            Ok(true) => {}
            Ok(false) => return Some(no_collector(core, silent_ns)),
            Err(error) => {
                return Some(format!("cannot see whether a collector is there: {}: {error}", folder.display()));
            }
        }
    }
    // Not yet a step: the worker, or the collector, has only just come.
    if heartbeat == 0 || silent_ns < SILENT_MAX.as_nanos() as u64 {
        return None;
    }
    let since = since(silent_ns);
    Some(match core.control.worker.activity.load(Ordering::Relaxed) {
        activity::ARCHIVING => format!("the worker has been appending to the archive since {since}: the disk hangs"),
        activity::RENDERING => format!("the worker has been appending to the views since {since}: the disk hangs"),
        activity::SYNCING => {
            format!("the worker has been forcing files to disk since {since}: the disk hangs or is slow")
        }
        activity::UPKEEP => format!("the worker has been tending the log directory since {since}: the disk hangs"),
        _ => format!("the worker has not run since {since}: is it stopped?"),
    })
}

fn no_collector(core: &Core, silent_ns: u64) -> String {
    let free = core.control.slots.iter().take(core.segments.count()).filter(|slot| slot.is_free()).count();
    format!(
        "no collector since {}: start \"tacho collect -D {}\"; {free} of {} live segments are free, after them records are \
         lost",
        since(silent_ns),
        core.config.dir.display(),
        core.segments.count()
    )
}

/// The time that was so long ago.
fn since(ns: u64) -> String {
    let then = i128::from(unix_ns()) - i128::from(ns);
    jiff::Timestamp::from_nanosecond(then)
        .map_or_else(|_| "long ago".to_owned(), |time| time.strftime("%Y-%m-%d %H:%M:%S UTC").to_string())
}
