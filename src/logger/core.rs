//! The shared state of one logger.

use super::closing::Closing;
use super::tenancy::Tenancy;
use crate::clock::ticks;
use crate::config::{Config, Overflow};
use crate::levels::Levels;
use crate::ring::pool::Pool;
use crate::sampling;
use crate::segment::layout::FLAG_MANUAL_CLOCK;
use crate::segment::live::LiveSegments;
use crate::shm::clock_page::ClockPage;
use crate::shm::control_page::{ControlPage, HealthPage};
use crate::shm::journal::Hold;
use crate::shm::memory::LiveMemory;
use crate::shm::table::Table;
use crate::sys::fork::Home;
use crate::writer::step::{Ground, Stamp};
use crossbeam_utils::CachePadded;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, OnceLock, PoisonError, RwLock};
use std::time::Duration;

/// How often the word of a coarse clock is refreshed, at most.
const COARSE_INTERVAL: Duration = Duration::from_micros(10);

/// What the worker is asked to do, besides its daily work.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Wishes {
    /// Force to disk what is rendered.
    pub(crate) sync: bool,
    /// Stop when everything is done.
    pub(crate) stop: bool,
}

/// Wakes the worker, and those who wait for it. Never touched on the hot path.
#[derive(Debug, Default)]
pub(crate) struct Bell {
    wishes: Mutex<Wishes>,
    rung: Condvar,
    done: Condvar,
}

impl Bell {
    /// Tells the worker what is wanted.
    pub(crate) fn wish(&self, change: impl FnOnce(&mut Wishes)) {
        change(&mut self.wishes.lock().unwrap_or_else(PoisonError::into_inner));
        self.rung.notify_all();
    }

    /// The worker waits here; returns what is wanted and forgets the wish to sync.
    pub(crate) fn listen(&self, time: Duration) -> Wishes {
        let mut wishes = self.wishes.lock().unwrap_or_else(PoisonError::into_inner);
        if !wishes.sync && !wishes.stop && !time.is_zero() {
            wishes = self.rung.wait_timeout(wishes, time).unwrap_or_else(PoisonError::into_inner).0;
        }
        let taken = *wishes;
        wishes.sync = false;
        taken
    }

    /// Wakes the worker without the lock, for who may hold it: it can miss this, and then looks a little later.
    pub(crate) fn nudge(&self) {
        self.rung.notify_all();
    }

    /// The worker got further.
    pub(crate) fn tell(&self) {
        self.done.notify_all();
    }

    /// Waits until the worker gets further, or `time` is over.
    pub(crate) fn wait(&self, time: Duration) {
        let wishes = self.wishes.lock().unwrap_or_else(PoisonError::into_inner);
        drop(self.done.wait_timeout(wishes, time).unwrap_or_else(PoisonError::into_inner));
    }
}

/// What stands behind the rings of a logger without threads.
pub(crate) trait Stepped: Send + std::fmt::Debug {
    /// Brings everything that is in the rings to where it belongs.
    fn step(&mut self, core: &Arc<Core>);

    /// The same, and everything is closed; `false` when something is left.
    fn finish(&mut self, core: &Arc<Core>) -> bool;
}

/// One logger.
#[derive(Debug)]
pub(crate) struct Core {
    /// Distinguishes the loggers of a process.
    pub(crate) id: u64,
    pub(crate) config: Config,
    pub(crate) memory: LiveMemory,
    pub(crate) control: ControlPage,
    /// What is counted beyond the control page.
    pub(crate) health: Arc<HealthPage>,
    pub(crate) table: Table,
    pub(crate) pool: Pool,
    pub(crate) segments: LiveSegments,
    /// Bytes of the views' page, should this process make it.
    pub(crate) page_bytes: usize,
    pub(crate) levels: RwLock<Levels>,
    pub(crate) ticks_per_s: u64,
    /// When the logger was started, nanoseconds since the Unix epoch.
    pub(crate) started_unix_ns: i64,
    pub(crate) boot: [u8; 16],
    /// What time a tick is, for all processes of the directory; `None` where this one keeps time alone.
    pub(crate) clock_page: Option<Arc<ClockPage>>,
    /// Where the state of sampling stands, if anything is sampled.
    pub(crate) sampling: OnceLock<Arc<sampling::Place>>,
    pub(crate) process: [u8; 16],
    /// Name of the process's journal folder.
    pub(crate) process_name: String,
    /// Where the process's segments are archived.
    pub(crate) journal_folder: PathBuf,
    /// The lock of that folder; `None` where there is none.
    pub(crate) hold: Option<Arc<Hold>>,
    /// What health has to say about the start: fallbacks and their reasons.
    pub(crate) remarks: Vec<String>,
    /// Live memory is smaller than was configured.
    pub(crate) is_shrunk: bool,
    /// The word of a coarse clock. Alone in its lines: what else the writer stores would take them from threads that log.
    pub(crate) coarse: CachePadded<AtomicU64>,
    pub(crate) manual: Option<Arc<AtomicU64>>,
    pub(crate) stamp: Stamp,
    /// Whether it is closed, and the calls on the cold path: the writer does not end before them, so that what they drop
    /// is stated in the log.
    pub(crate) closing: Closing,
    /// Records lost behind the writer.
    pub(crate) lost: AtomicU64,
    /// The control page was made again, and the writer is to say in it who the process is.
    pub(crate) is_unnamed: AtomicBool,
    /// The writer shall end without draining; what is left stays in shared memory.
    pub(crate) abandon: AtomicBool,
    /// The writer shall drain what is there and end.
    pub(crate) writer_stop: AtomicBool,
    pub(crate) bell: Bell,
    /// Bits of the numbers of sites that the table defines.
    pub(crate) defined_sites: Box<[AtomicU64]>,
    pub(crate) defined_components: Box<[AtomicU64]>,
    /// The process in which the logger was started; in forked children it is another.
    pub(crate) pid: u32,
    /// The same, to ask without a system call.
    pub(crate) home: Home,
    /// What is stepped within the call, in synchronous mode.
    pub(crate) inline: Mutex<Option<Box<dyn Stepped>>>,
    /// The right to use the log directory, until the logger is closed.
    pub(crate) tenancy: Mutex<Option<Tenancy>>,
}

impl Core {
    /// What the writer works on.
    pub(crate) fn ground(&self) -> Ground<'_> {
        Ground { control: &self.control, segments: &self.segments, pool: &self.pool, table: &self.table }
    }

    /// The word that records take their time from; null for the counter.
    pub(crate) fn clock_word(&self) -> *const AtomicU64 {
        match (self.stamp, &self.manual) {
            (Stamp::Counter, _) => std::ptr::null(),
            (Stamp::Manual, Some(word)) => Arc::as_ptr(word),
            _ => &raw const *self.coarse,
        }
    }

    /// The time of a step of the writer. That of a coarse clock stands still between two refreshes: a word that changed with
    /// each step would have to come from the writer's cache for each call.
    pub(crate) fn step_time(&self) -> u64 {
        let now = self.now();
        if self.stamp != Stamp::Coarse {
            return now;
        }
        // The writer alone stores it.
        let shown = self.coarse.load(Ordering::Relaxed);
        if now.saturating_sub(shown) < self.ticks_in(COARSE_INTERVAL) {
            return shown;
        }
        self.coarse.store(now, Ordering::Relaxed);
        now
    }

    /// The time in the ticks that stamp the records.
    pub(crate) fn now(&self) -> u64 {
        match (self.stamp, &self.manual) {
            (Stamp::Manual, Some(word)) => word.load(Ordering::Relaxed),
            _ => ticks::now(),
        }
    }

    /// Ticks in `time`.
    pub(crate) fn ticks_in(&self, time: Duration) -> u64 {
        let ticks = time.as_nanos() * u128::from(self.ticks_per_s) / 1_000_000_000;
        u64::try_from(ticks).unwrap_or(u64::MAX)
    }

    /// Flags of the segments.
    pub(crate) fn flags(&self) -> u64 {
        if self.stamp == Stamp::Manual { FLAG_MANUAL_CLOCK } else { 0 }
    }

    /// From now on others may use the log directory with other views, and the journal of this process is no longer held.
    pub(crate) fn leave(&self) {
        if let Some(hold) = &self.hold {
            hold.release();
        }
        drop(self.tenancy.lock().unwrap_or_else(PoisonError::into_inner).take());
    }

    /// Whether calls may wait for room.
    pub(crate) fn blocks(&self) -> bool {
        self.config.overflow == Overflow::Block
    }

    /// Counts a call that found no ring; the writer states it.
    pub(crate) fn drop_without_ring(&self) {
        if let Some(_call) = self.closing.enter() {
            self.control.request.dropped_without_ring.fetch_add(1, Ordering::Release);
        }
    }

    /// Whether this process is a forked child of the one that started the logger.
    pub(crate) fn is_forked(&self) -> bool {
        !self.home.is_here()
    }
}

/// Sets the bit of `number`; returns whether it was set before.
pub(crate) fn test_and_set(bits: &[AtomicU64], number: u32) -> bool {
    let Some(word) = bits.get(number as usize / 64) else { return false };
    let bit = 1 << (number % 64);
    word.fetch_or(bit, Ordering::AcqRel) & bit != 0
}

/// Whether the bit of `number` is set.
pub(crate) fn is_set(bits: &[AtomicU64], number: u32) -> bool {
    bits.get(number as usize / 64).is_some_and(|word| word.load(Ordering::Acquire) & 1 << (number % 64) != 0)
}

/// Clears the bit of `number`.
pub(crate) fn clear(bits: &[AtomicU64], number: u32) {
    if let Some(word) = bits.get(number as usize / 64) {
        word.fetch_and(!(1 << (number % 64)), Ordering::AcqRel);
    }
}

/// Words for `count` bits.
pub(crate) fn bits(count: usize) -> Box<[AtomicU64]> {
    (0..count.div_ceil(64)).map(|_| AtomicU64::new(0)).collect()
}
