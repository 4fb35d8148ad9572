//! The guard of a running logger: flush, sync, levels, health, close.

use super::core::Core;
use super::{followers, global, lease, register, start};
use crate::config::{Mode, Worker};
use crate::error::{Error, Kind};
use crate::health::Health;
use crate::levels::Levels;
use crate::logger::component::{Component, component};
use crate::shm::control::state;
use crate::shm::journal;
use crate::writer::step::Stamp;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Targets of calls through a [`Logger`] that name none.
const DEFAULT_COMPONENT: &str = "main";
/// How often a waiting thread looks.
const LOOK: Duration = Duration::from_millis(1);

/// A running logger, for `logger:`. Clones are the same logger.
#[derive(Clone, Debug)]
pub struct Logger {
    core: Arc<Core>,
    default: Component,
}

impl Logger {
    pub(crate) fn new(core: Arc<Core>) -> Self {
        Self { core, default: component(DEFAULT_COMPONENT) }
    }

    pub(crate) fn core(&self) -> &Arc<Core> {
        &self.core
    }

    pub(crate) fn default_component(&self) -> Component {
        self.default
    }

    /// As [`Guard::flush`].
    ///
    /// # Errors
    /// As there.
    pub fn flush(&self, time: Duration) -> Result<(), Error> {
        let goal = goal(self.core());
        self.reach(goal, time, "flush", |core| core.control.worker.rendered.load(Ordering::Acquire))
    }

    /// As [`Guard::sync`].
    ///
    /// # Errors
    /// As there.
    pub fn sync(&self, time: Duration) -> Result<(), Error> {
        let begin = Instant::now();
        let goal = goal(self.core());
        self.reach(goal, time, "sync", |core| core.control.worker.rendered.load(Ordering::Acquire))?;
        let left = time.saturating_sub(begin.elapsed());
        self.reach(goal, left, "sync", |core| {
            if core.control.worker.on_disk() < goal {
                core.control.request.sync.fetch_add(1, Ordering::Release);
                core.bell.wish(|wishes| wishes.sync = true);
            }
            core.control.worker.on_disk()
        })
    }

    fn reach(&self, goal: u64, time: Duration, what: &str, mut reached: impl FnMut(&Core) -> u64) -> Result<(), Error> {
        let core = self.core();
        if core.is_forked() {
            return Err(Error::new(Kind::Closed, format!("cannot {what} a logger of the parent process"), ""));
        }
        if core.closing.is_closed() {
            return Err(Error::new(Kind::Closed, format!("cannot {what} a logger that is closed"), ""));
        }
        // `None` where no clock counts so far.
        let until = Instant::now().checked_add(time);
        loop {
            if core.config.mode == Mode::Synchronous {
                start::step_inline(core);
            }
            if reached(core) >= goal {
                return Ok(());
            }
            let left = left(until);
            if left.is_zero() {
                return Err(self.behind(what, time, goal));
            }
            core.bell.wish(|_| {});
            core.bell.wait(LOOK.min(left));
        }
    }

    fn behind(&self, what: &str, time: Duration, goal: u64) -> Error {
        let core = self.core();
        let health = Health::of(core);
        let missing = if core.control.worker.rendered.load(Ordering::Acquire) >= goal {
            "all records are in the views, and not all of that is on disk yet".to_owned()
        } else {
            format!("{} records are not in the views yet", health.written.saturating_sub(health.rendered_records))
        };
        let trouble = health.trouble.map_or(String::new(), |trouble| format!(" ({trouble})"));
        let text = format!("{what} was not done within {time:?}: {missing}{trouble}");
        let advice = match core.config.worker {
            Worker::Thread => "nothing is lost by that; wait longer, or look at the disk",
            Worker::External => {
                "nothing is lost by that: they are in shared memory, and the collector takes them from there"
            }
        };
        Error::new(Kind::Timeout, text, advice)
    }
}

/// What the writer's watermark must pass for all that was logged by now to be in the journal.
pub(crate) fn goal(core: &Core) -> u64 {
    // Before the clock is read: a step that gets so far has seen the request.
    core.control.request.summaries.fetch_add(1, Ordering::AcqRel);
    match core.stamp {
        Stamp::Manual => core.control.writer.watermark.load(Ordering::Acquire).saturating_add(2),
        Stamp::Counter | Stamp::Coarse => core.now(),
    }
}

/// The threads of a logger.
#[derive(Debug, Default)]
pub(crate) struct Threads {
    pub(crate) writer: Option<JoinHandle<()>>,
    pub(crate) worker: Option<JoinHandle<()>>,
}

/// Keeps a logger running; dropping it closes the logger: everything that was logged before is written, within
/// [`Config::close_max`](crate::Config::close_max). Log calls after that do nothing.
#[derive(Debug)]
#[must_use = "the logger is closed when the guard is dropped: keep it in a variable"]
pub struct Guard {
    logger: Logger,
    threads: Threads,
    global: bool,
    closed: bool,
}

impl Guard {
    pub(crate) fn new(logger: Logger, threads: Threads, global: bool) -> Self {
        Self { logger, threads, global, closed: false }
    }

    fn core(&self) -> &Arc<Core> {
        &self.logger.core
    }

    /// The logger, for `logger:` and for other threads.
    pub fn logger(&self) -> &Logger {
        &self.logger
    }

    /// The log directory.
    pub fn dir(&self) -> &Path {
        &self.core().config.dir
    }

    /// Waits until everything that was logged before this call, by any thread, can be read in the files of the views. What
    /// [sampling](crate::Config::sampling) left out stands there in summaries.
    ///
    /// # Errors
    /// [`Error::is_timeout`] when `time` is over before; it says what is behind. Nothing is lost by that.
    pub fn flush(&self, time: Duration) -> Result<(), Error> {
        self.logger.flush(time)
    }

    /// As [`flush`](Self::flush), and the files are on disk, those of the journal too.
    ///
    /// # Errors
    /// As [`flush`](Self::flush).
    pub fn sync(&self, time: Duration) -> Result<(), Error> {
        self.logger.sync(time)
    }

    /// How the logger is. In a forked child: how the parent's is, with a remark that it is the parent's.
    pub fn health(&self) -> Health {
        Health::of(self.core())
    }

    /// Changes levels while the logger runs: directives as in [`Config::levels`](crate::Config::levels), added to those in force.
    ///
    /// # Errors
    /// [`Error::is_config`] for directives that cannot be understood; nothing is changed then.
    pub fn set_levels(&self, directives: &str) -> Result<(), Error> {
        let mut result = Ok(());
        register::set_levels(self.core(), |levels| {
            let merged = format!("{levels},{directives}");
            match Levels::parse(&merged, crate::LevelFilter::Info) {
                Ok(merged) => *levels = merged,
                Err(error) => result = Err(Error::config("levels", error)),
            }
        });
        result
    }

    /// Closes the logger as dropping the guard does, with a time limit of its own, and tells how it went.
    ///
    /// # Errors
    /// [`Error::is_timeout`] when `time` was over before everything was written. What is left stays in shared memory; the next logger
    /// of the directory writes it.
    pub fn close(mut self, time: Duration) -> Result<(), Error> {
        self.shut_down(time)
    }

    fn shut_down(&mut self, time: Duration) -> Result<(), Error> {
        if self.closed || self.core().is_forked() {
            self.closed = true;
            return Ok(());
        }
        self.closed = true;
        let until = Instant::now().checked_add(time);
        let core = Arc::clone(self.core());
        register::disable_all(&core);
        if self.global {
            global::retire(&core);
            followers::tell();
        }
        for ring in core.pool.rings() {
            ring.close();
        }
        lease::release(&core);
        let done = self.end_threads(&core, until);
        if done && core.config.worker == Worker::External {
            return self.leave_to_collector(&core, until, time);
        }
        if done && Health::of(&core).is_drained() {
            core.control.identity.state.store(state::CLOSED, Ordering::Release);
            // What cannot be removed is found empty by the next recovery.
            if core.memory.remove().is_ok() {
                journal::forget_live_at(&core.journal_folder);
            }
            core.leave();
            if core.segments.newest() == 0 {
                journal::abandon(&core.journal_folder);
            }
            return Ok(());
        }
        if done {
            core.memory.unlock();
            core.leave();
        }
        // Else a thread may still be at work there: the lock falls with the process, and recovery comes then.
        Err(self.logger.behind("close", time, u64::MAX))
    }

    /// The end of a logger without a worker of its own: the collector gets until `until` to take everything, and then the
    /// folder, which it removes as it does for those who died.
    fn leave_to_collector(&self, core: &Arc<Core>, until: Option<Instant>, time: Duration) -> Result<(), Error> {
        let goal = core.control.writer.watermark.load(Ordering::Acquire);
        let reached = loop {
            if core.control.worker.rendered.load(Ordering::Acquire) >= goal {
                break true;
            }
            let left = left(until);
            if left.is_zero() {
                break false;
            }
            std::thread::sleep(LOOK.min(left));
        };
        core.control.identity.state.store(state::CLOSED, Ordering::Release);
        let behind = (!reached).then(|| self.logger.behind("close", time, u64::MAX));
        core.memory.unlock();
        behind.map_or(Ok(()), Err)
    }

    /// Lets writer and worker finish; `false` when the time was over before.
    fn end_threads(&mut self, core: &Arc<Core>, until: Option<Instant>) -> bool {
        // Taken out, because it holds the core that holds it.
        let inline = core.inline.lock().unwrap_or_else(std::sync::PoisonError::into_inner).take();
        if let Some(mut inline) = inline {
            while core.closing.has_calls() && !left(until).is_zero() {
                std::thread::sleep(LOOK.min(left(until)));
            }
            let _errors = crate::sys::thread::FileSizeErrors::begin();
            return inline.finish(core);
        }
        core.writer_stop.store(true, Ordering::Release);
        let writer_done = ended(self.threads.writer.take(), until, || core.bell.wish(|_| {}));
        if !writer_done {
            core.abandon.store(true, Ordering::Release);
        }
        core.bell.wish(|wishes| wishes.stop = true);
        ended(self.threads.worker.take(), until, || {}) && writer_done
    }
}

/// Time until `until`.
fn left(until: Option<Instant>) -> Duration {
    until.map_or(Duration::MAX, |until| until.saturating_duration_since(Instant::now()))
}

/// Waits for a thread to end; after `until` it is left to itself.
fn ended(thread: Option<JoinHandle<()>>, until: Option<Instant>, mut nudge: impl FnMut()) -> bool {
    let Some(thread) = thread else { return true };
    while !thread.is_finished() {
        let left = left(until);
        if left.is_zero() {
            return false;
        }
        nudge();
        std::thread::sleep(LOOK.min(left));
    }
    thread.join().is_ok()
}

impl Drop for Guard {
    fn drop(&mut self) {
        let time = self.core().config.close_max;
        // Nobody is left to be told; what could not be written is in shared memory and found there.
        let _ = self.shut_down(time);
    }
}
