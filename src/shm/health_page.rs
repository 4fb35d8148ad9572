//! The health page of a process: what writer and worker count beyond the [control page](super::control), for anybody to
//! read without the process noticing, also when it is dead and its live folder still stands.
//!
//! Every field is an atomic word of one stated writer. Whoever reads trusts none of them: lengths are held against the
//! arrays here, texts need not be UTF-8. Another layout is another [`VERSION`], and a reader says so.
//!
//! | part | stored by |
//! |---|---|
//! | [`Owner`] | the process: at its start, and when its memory changes |
//! | [`Census`] | the writer, after each step that took records |
//! | [`Upkeep`], [`ErrorWords`] | whoever archives the journal: its worker or a collector |

use super::text::Text;
use crate::health::histogram::BUCKETS;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

/// First word of a health page.
pub const MAGIC: u64 = u64::from_le_bytes(*b"TACHOHLT");
/// Version of this layout.
pub const VERSION: u64 = 1;
/// Bytes of the file.
pub const HEALTH_BYTES: usize = 64 * 1024;
/// Targets that are counted by name; the first place is for all others.
pub const TARGETS: usize = 256;
/// Bytes of a target's name; what is longer is cut.
pub const NAME_BYTES_MAX: usize = NAME_WORDS * 8;
/// Errors that are kept apart; of more, those seen longest ago are forgotten.
pub const ERRORS: usize = 16;
/// Causes of a drop: those of a ring, and those that only the writer knows.
pub const DROP_CAUSES: usize = 7;
/// Levels by their number; the first is for numbers that are none.
pub const LEVELS: usize = 7;
const NAME_WORDS: usize = 13;

/// What the process is, and how its memory is.
#[derive(Debug)]
#[repr(C, align(128))]
pub struct Owner {
    /// [`MAGIC`], stored last.
    pub magic: AtomicU64,
    /// [`VERSION`].
    pub version: AtomicU64,
    /// What stamps the records: 0 the processor's counter, 1 a coarse clock, 2 a manual one.
    pub stamp: AtomicU64,
    /// 1 where the counter is one, and runs at one rate in all states of the processor.
    pub steady: AtomicU64,
    /// 1 where ticks are the same times in all processes of the directory.
    pub time_shared: AtomicU64,
    /// 1 while live memory outlives the process.
    pub survives: AtomicU64,
    /// 1 while live memory is locked.
    pub locked: AtomicU64,
    /// The core that the writer is to be pinned to, plus 1; 0 for none.
    pub core_wanted: AtomicU64,
    /// 1 where live memory is smaller than was configured.
    pub shrunk: AtomicU64,
    /// 1 where no threads serve the logger: nobody is silent there.
    pub synchronous: AtomicU64,
    /// Version of the library.
    pub build: Text,
    /// What had to be done otherwise than configured.
    pub remarks: Text,
}

/// Records and their bytes in the journal.
#[derive(Debug)]
#[repr(C)]
pub struct Counts {
    /// Records.
    pub records: AtomicU64,
    /// Bytes of their frames.
    pub bytes: AtomicU64,
}

/// What was logged to one target.
#[derive(Debug)]
#[repr(C)]
pub struct TargetWords {
    /// Bytes of the name; 0 while the place is free.
    name_bytes: AtomicU64,
    name: [AtomicU64; NAME_WORDS],
    /// What came.
    pub counts: Counts,
}

/// What the writer counts.
#[derive(Debug)]
#[repr(C, align(128))]
pub struct Census {
    /// By level.
    pub levels: [Counts; LEVELS],
    /// Drops that the journal states, by cause.
    pub dropped: [AtomicU64; DROP_CAUSES],
    /// The longest wait of a record in its ring, in ticks.
    pub lag_max: AtomicU64,
    /// Sum of what is in `lag`, in ticks.
    pub lag_sum: AtomicU64,
    /// For each step that took records, how long the oldest of them had waited, in ticks; see
    /// [`histogram`](crate::health::histogram).
    pub lag: [AtomicU64; BUCKETS],
    /// By target.
    pub targets: [TargetWords; TARGETS],
}

/// What whoever works for the process finds on disk.
#[derive(Debug)]
#[repr(C, align(128))]
pub struct Upkeep {
    /// When the directory was measured, nanoseconds since the Unix epoch; 0 before.
    pub measured_unix_ns: AtomicI64,
    /// Bytes of all files in the log directory.
    pub used: AtomicU64,
    /// Bytes that the file system has left for this user.
    pub free: AtomicU64,
    /// Bytes of the file system.
    pub total: AtomicU64,
    /// `disk_bytes_cap`; `u64::MAX` without one.
    pub cap: AtomicU64,
    /// Bytes below the cap.
    pub cap_free: AtomicU64,
    /// Bytes that are to be kept free below the cap.
    pub cap_kept: AtomicU64,
    /// Seconds until the file system is full at the present rate; `u64::MAX` when it does not fill.
    pub full_in_s: AtomicU64,
    /// When files were last forced to disk, nanoseconds since the Unix epoch; 0 before.
    pub synced_unix_ns: AtomicI64,
    /// Files compressed.
    pub compressions: AtomicU64,
    /// Views, and how many of them cannot be written.
    pub views: AtomicU64,
    /// See `views`.
    pub views_failing: AtomicU64,
    /// 1 while the trouble of the control page is one, and not a remark.
    pub in_trouble: AtomicU64,
    /// 1 while this worker renders the views of the directory.
    pub renders: AtomicU64,
    /// Dead processes whose records this worker brought back, that had not closed their logger.
    pub crashed: AtomicU64,
    /// Records of theirs that stood in rings only.
    pub recovered: AtomicU64,
}

/// An error that the worker met.
#[derive(Debug)]
#[repr(C, align(128))]
pub struct ErrorWords {
    /// How often; 0 while the place is free.
    pub count: AtomicU64,
    /// First time, nanoseconds since the Unix epoch.
    pub first_unix_ns: AtomicI64,
    /// Last time.
    pub last_unix_ns: AtomicI64,
    /// What was done, on what, what went wrong.
    pub text: Text,
}

/// The page.
#[derive(Debug)]
#[repr(C, align(128))]
pub struct HealthWords {
    /// The process.
    pub owner: Owner,
    /// The writer's counts.
    pub census: Census,
    /// The worker's.
    pub upkeep: Upkeep,
    /// Errors, in no order.
    pub errors: [ErrorWords; ERRORS],
}

const _: () = assert!(size_of::<HealthWords>() <= HEALTH_BYTES);

/// Whether the page is whole, and of this version.
pub(crate) fn is_ours(page: &HealthWords) -> bool {
    let owner = &page.owner;
    owner.magic.load(Ordering::Acquire) == MAGIC && owner.version.load(Ordering::Relaxed) == VERSION
}

impl TargetWords {
    /// By the writer: the place is for this target.
    pub(crate) fn name(&self, name: &str) {
        let bytes = name.len().min(NAME_BYTES_MAX);
        for (word, part) in self.name.iter().zip(name.as_bytes().get(..bytes).unwrap_or_default().chunks(8)) {
            let mut padded = [0; 8];
            padded.iter_mut().zip(part).for_each(|(to, from)| *to = *from);
            word.store(u64::from_le_bytes(padded), Ordering::Relaxed);
        }
        // SYNC POINT with the load in `read_name`: the name is there. It never changes.
        self.name_bytes.store(bytes as u64, Ordering::Release);
    }

    /// The target's name; `None` while the place is free.
    pub(crate) fn read_name(&self) -> Option<String> {
        // SYNC POINT with the store in `name`.
        let length = usize::try_from(self.name_bytes.load(Ordering::Acquire)).ok()?;
        let bytes: Vec<u8> = self.name.iter().flat_map(|word| word.load(Ordering::Relaxed).to_le_bytes()).collect();
        let name = bytes.get(..length).filter(|name| !name.is_empty())?;
        Some(String::from_utf8_lossy(name).into_owned())
    }
}
