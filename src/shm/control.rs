//! The control page of a process: mapped by its owner, read by anybody with `read_at`.
//!
//! Every field is an atomic word that only its stated writer stores to. A reader in another process trusts none of
//! them: numbers are checked against the limits here before use.

pub use super::ask::Ask;
pub use super::statement::Statement;
pub use super::text::Text;
pub use crate::segment::protocol::Slot;
use std::sync::atomic::{AtomicI64, AtomicU32, AtomicU64, Ordering};

/// First word of a control page.
pub const MAGIC: u64 = u64::from_le_bytes(*b"TACHOCTL");
/// Version of this layout.
pub const VERSION: u32 = 3;
/// Bytes of the file.
pub const CONTROL_BYTES: usize = 16 * 1024;
/// The most live segments that a process can have.
pub const SLOTS_MAX: usize = 64;

/// States of the process, in [`Identity::state`].
pub mod state {
    /// The folder is being made.
    pub const STARTING: u32 = 1;
    /// Records are taken.
    pub const RUNNING: u32 = 2;
    /// The guard was dropped; what was logged is on disk.
    pub const CLOSED: u32 = 3;
}

/// What the worker is at, in [`WorkerWords::activity`].
pub mod activity {
    /// Nothing: between two steps.
    pub const RESTING: u32 = 0;
    /// Appending to the archive.
    pub const ARCHIVING: u32 = 1;
    /// Appending to the views.
    pub const RENDERING: u32 = 2;
    /// Forcing files to disk.
    pub const SYNCING: u32 = 3;
    /// Recovering dead processes, election, compression, retention.
    pub const UPKEEP: u32 = 4;
}

/// How ticks become time from a tick on, and until the next anchor.
#[derive(Debug)]
#[repr(C)]
pub struct AnchorWords {
    /// Odd while the writer changes the words.
    pub version: AtomicU64,
    /// The anchor's tick.
    pub ticks: AtomicU64,
    /// Nanoseconds since the Unix epoch at that tick.
    pub unix_ns: AtomicI64,
    /// Nanoseconds per tick with 32 fractional bits.
    pub rate: AtomicU64,
    /// How often the wall clock was set, as far as any process of the directory saw.
    pub steps: AtomicU64,
    /// By how many nanoseconds the wall clock was before the line when it was last measured.
    pub correction_ns: AtomicI64,
}

/// Stored by the owner while it starts and closes.
#[derive(Debug)]
#[repr(C, align(128))]
pub struct Identity {
    /// [`MAGIC`].
    pub magic: AtomicU64,
    /// [`VERSION`].
    pub version: AtomicU32,
    /// See [`state`].
    pub state: AtomicU32,
    /// Random identity of the process, as in its segments.
    pub process: [AtomicU64; 2],
    /// Identity of the boot.
    pub boot: [AtomicU64; 2],
    /// Process id, in the owner's namespace.
    pub pid: AtomicU32,
    /// Number of live segments.
    pub slots: AtomicU32,
    /// Bytes of each live segment.
    pub segment_bytes: AtomicU64,
    /// When the logger was started, nanoseconds since the Unix epoch.
    pub started_unix_ns: AtomicI64,
    /// Ticks per second, nominal.
    pub ticks_per_s: AtomicU64,
    /// Bytes of each ring.
    pub ring_bytes: AtomicU64,
    /// Rings that exist (`ring.0` …).
    pub rings: AtomicU32,
    /// Zero.
    pub reserved: AtomicU32,
    /// Flags of the process's segments.
    pub segment_flags: AtomicU64,
    /// What the flight recorder goes by; zeros where there is none.
    pub flight: [AtomicU64; 3],
}

/// Stored by the writer thread.
#[derive(Debug)]
#[repr(C, align(128))]
pub struct WriterWords {
    /// Tick of the last step, by the clock that stamps the records.
    pub heartbeat: AtomicU64,
    /// Every record with a tick up to this one is in the live segments, late ones excepted. With a manual clock: the
    /// number of steps.
    pub watermark: AtomicU64,
    /// Number of the growing segment.
    pub segment: AtomicU64,
    /// Records appended.
    pub written: AtomicU64,
    /// Records that sampling counted and did not append, by cause.
    pub sampled_out: [AtomicU64; crate::sampling::CAUSES],
    /// Records that are remembered: they stand in the rings, and are written only if an error follows.
    pub remembered: AtomicU64,
    /// Records that were remembered, and were forgotten because no error followed in time.
    pub forgotten: AtomicU64,
    /// Records dropped, all causes, as stated in the journal.
    pub dropped: AtomicU64,
    /// Records that came later than `order_wait` allows.
    pub late: AtomicU64,
    /// Bytes appended, frames of the writer included.
    pub bytes: AtomicU64,
    /// Segments sealed.
    pub rotations: AtomicU64,
    /// Steps that found no free segment to go on with.
    pub starved: AtomicU64,
    /// The processor's ticks at the last step, whatever stamps the records.
    pub alive: AtomicU64,
    /// Of the calls without a ring, those that the journal states. Stored before a rotation: recovery adds what the
    /// newest segment states.
    pub without_ring: AtomicU64,
    /// Core that the writer is pinned to, plus 1; 0 when it is not.
    pub core: AtomicU32,
    /// Zero.
    pub reserved: AtomicU32,
}

/// Stored by the worker.
#[derive(Debug)]
#[repr(C, align(128))]
pub struct WorkerWords {
    /// When the worker came to its present activity, nanoseconds of `CLOCK_MONOTONIC`; 0 before the first.
    pub heartbeat: AtomicU64,
    /// Number of the segment that is being archived; those before it are on disk, and their slots free.
    pub archive_number: AtomicU64,
    /// Offset in it up to which it is on disk.
    pub archive_offset: AtomicU64,
    /// Every record with a tick up to this one stands in the process's views.
    pub rendered: AtomicU64,
    /// The same, and on disk for sure.
    pub synced: AtomicU64,
    /// Every record with a tick up to this one stands in the journal's files, on disk for sure.
    pub archive_synced: AtomicU64,
    /// Errors of the disk so far.
    pub errors: AtomicU64,
    /// Lines that the renderer has appended to views, those of other processes included.
    pub lines: AtomicU64,
    /// Records of this process taken by the views; one may stand in several, or in none.
    pub records: AtomicU64,
    /// 1 when the worker ended with everything on disk.
    pub drained: AtomicU64,
    /// Records lost behind the writer: live memory was taken away before it was archived.
    pub lost: AtomicU64,
    /// Archived segments given up before their time, because there was no room.
    pub given_up_segments: AtomicU64,
    /// Backups of views given up for that reason.
    pub given_up_backups: AtomicU64,
    /// Bytes of both.
    pub given_up_bytes: AtomicU64,
    /// Records in them that were in no view yet. Counted before they are deleted.
    pub given_up_records: AtomicU64,
    /// Those of them that a statement stands for; recovery states the others.
    pub given_up_stated: AtomicU64,
    /// See [`activity`].
    pub activity: AtomicU32,
    /// Zero.
    pub reserved: AtomicU32,
}

impl WorkerWords {
    /// Every record with a tick up to this one is on disk for sure, in the views and in the journal. Different processes may
    /// see to the two.
    pub fn on_disk(&self) -> u64 {
        self.synced.load(Ordering::Acquire).min(self.archive_synced.load(Ordering::Acquire))
    }
}

/// Stored by whoever steers the process: its own guard, or `tacho`.
#[derive(Debug)]
#[repr(C, align(128))]
pub struct RequestWords {
    /// Counts requests to force the process's lines and its journal to disk, for a renderer or archiver in another process.
    pub sync: AtomicU64,
    /// Counts requests to write the summaries of all that sampling left out so far.
    pub summaries: AtomicU64,
    /// Drops that no ring could count: no ring was to be had, or the logger was closed.
    pub dropped_without_ring: AtomicU64,
    /// To the worker: put the active files of views away; the name of one, or nothing for all.
    pub rotate: Ask,
    /// To the writer, which is in the process: change levels; directives as in
    /// [`Config::levels`](crate::Config::levels), behind a `!` where targets need not be known.
    pub level: Ask,
}

/// The page.
#[derive(Debug)]
#[repr(C, align(128))]
pub struct Control {
    /// Who.
    pub identity: Identity,
    /// The writer's words.
    pub writer: WriterWords,
    /// The worker's words.
    pub worker: WorkerWords,
    /// Requests.
    pub request: RequestWords,
    /// The present anchor.
    pub anchor: AnchorWords,
    /// What the worker has to say in the log.
    pub statement: Statement,
    /// The live segments.
    pub slots: [Slot; SLOTS_MAX],
    /// The present fault of the disk, in the worker's words.
    pub trouble: Text,
}

const _: () = assert!(size_of::<Control>() <= CONTROL_BYTES);
