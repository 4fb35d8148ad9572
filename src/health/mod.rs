//! How a logger is: counters and conditions, read without disturbing it, by the program itself or from outside.
//!
//! * [`Health`]: what [`Guard::health`](crate::Guard::health) tells the program.
//! * [`vitals`]: what shared memory tells anybody of a process, alive or dead.
//! * [`look`]: the vitals of all processes of a log directory; what `tacho health` shows.
//! * [`check`]: vitals to findings: ok, warning, critical, with reasons and advice. Pure.
//! * [`shippers`]: the same of who reads the journals with a cursor of its own, such as `tacho ship`.
//! * [`report`]: vitals and findings as JSON, `health.json`.
//! * [`metrics`]: the same for Prometheus, `metrics.prom`.
//! * [`event`]: a finding that begins or ends, as the callback and the command get it.
//! * [`histogram`]: log-scaled buckets.
//!
//! The layout of what is read stands in `shm::health_page`; who checks, and when, in `worker::checkup`.

pub mod check;
pub mod event;
pub mod histogram;
pub mod look;
pub mod metrics;
pub mod report;
pub mod shippers;
pub mod vitals;

use crate::clock::ticks;
use crate::logger::core::Core;
use crate::logger::watch;
use crate::writer::step::Stamp;
use std::fmt;
use std::path::PathBuf;
use std::sync::atomic::Ordering;

/// A snapshot of a logger's counters and conditions.
///
/// Conservation: `called = written + sampled_out + forgotten + dropped + remembered + waiting`.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Health {
    /// The log directory.
    pub dir: PathBuf,
    /// Name of the process's journal.
    pub process: String,
    /// Records in the journal.
    pub written: u64,
    /// Records that sampling counted and left out, all causes.
    pub sampled_out: u64,
    /// Of them: repeats beyond what an interval may have.
    pub sampled_out_repeats: u64,
    /// Of them: by [`Sampling::every`](crate::Sampling::every).
    pub sampled_out_every: u64,
    /// Of them: by [`Sampling::probability`](crate::Sampling::probability).
    pub sampled_out_probability: u64,
    /// Records that the [flight recorder](crate::FlightRecorder) remembers at present.
    pub remembered: u64,
    /// Records that it remembered and forgot, because no error followed in time. Nobody had asked for them: they are no
    /// loss.
    pub forgotten: u64,
    /// Records that were lost, all causes.
    pub dropped: u64,
    /// Of them: the ring was full.
    pub dropped_full: u64,
    /// Of them: the record's fixed part was larger than a record may be.
    pub dropped_too_large: u64,
    /// Of them: the call came from a signal handler that interrupted another call.
    pub dropped_reentrant: u64,
    /// Of them: a [`Value`](crate::Value) of the user's panicked while it was being copied.
    pub dropped_panicked: u64,
    /// Of them: the thread had no ring.
    pub dropped_without_ring: u64,
    /// Of them: somebody truncated, removed or overwrote the ring in shared memory.
    pub dropped_lost: u64,
    /// Records lost behind the writer: somebody truncated or overwrote a live segment before it was archived, or
    /// archives had to be given up before they stood in the views.
    pub lost: u64,
    /// Archived segments that were given up before their time, because the disk was full or [`lost`](Self::lost).
    pub given_up_segments: u64,
    /// Backups of views that were given up, because the disk was full.
    pub given_up_backups: u64,
    /// Bytes of what was given up.
    pub given_up_bytes: u64,
    /// Records that came later than `order_wait` allows, marked `late` in the views.
    pub late: u64,
    /// Records of this process that the views have taken; one may stand in several, or in none.
    pub rendered_records: u64,
    /// Lines that the renderer has appended to views, those of other processes of the directory included.
    pub lines: u64,
    /// Bytes of the journal so far.
    pub journal_bytes: u64,
    /// Segments finished.
    pub rotations: u64,
    /// Rounds in which the writer found no free segment, because the disk was behind.
    pub starved: u64,
    /// Faults of the disk.
    pub disk_errors: u64,
    /// What keeps lines from their files, if anything does: a fault of the disk, a disk that hangs, no collector.
    pub trouble: Option<String>,
    /// Rings that exist, and how many of them no thread has.
    pub rings: (usize, usize),
    /// The fullest that any ring was, in bytes, and its size.
    pub ring_high_water: (u64, u64),
    /// The core that the writer is pinned to.
    pub writer_core: Option<u32>,
    /// What stamps the records, and how it becomes time.
    pub clock: ClockHealth,
    /// Whether what was logged survives the death of the process.
    pub survives_kill: bool,
    /// Whether live memory is locked; else it can be swapped out, and a log call then waits for the disk.
    pub locked: bool,
    /// What had to be done otherwise than configured, and why.
    pub remarks: Vec<String>,
    drained: bool,
}

/// What stamps the records, and how it becomes time.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ClockHealth {
    /// Where ticks come from: `time-stamp counter`, `virtual counter`, `clock_gettime` (a call can be a system call),
    /// `coarse` or `manual`.
    pub source: &'static str,
    /// Whether the processes of the directory give equal ticks equal times. A process without shared memory measures for
    /// itself: its times differ from theirs by microseconds.
    pub shared: bool,
    /// How often the wall clock was set by more than 1 ms while somebody logged to the directory.
    pub steps: u64,
    /// By how many nanoseconds the wall clock was before the records' time when it was last measured; below zero: behind.
    pub correction_ns: i64,
}

impl ClockHealth {
    fn of(core: &Core) -> Self {
        let words = &core.control.anchor;
        Self {
            source: match core.stamp {
                Stamp::Counter => ticks::SOURCE,
                Stamp::Coarse => "coarse",
                Stamp::Manual => "manual",
            },
            shared: core.clock_page.is_some(),
            steps: words.steps.load(Ordering::Relaxed),
            correction_ns: words.correction_ns.load(Ordering::Relaxed),
        }
    }
}

impl fmt::Display for ClockHealth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shared = if self.shared { "shared" } else { "not shared" };
        let (steps, correction) = (self.steps, self.correction_ns);
        write!(f, "{}, {shared}, set {steps} times, last correction {correction:+} ns", self.source)
    }
}

/// What a forked child is told.
const FORKED: &str = "this process is a forked child: it logs nothing until it starts a logger of its own; the counters \
                      are those of its parent";

impl Health {
    pub(crate) fn of(core: &Core) -> Self {
        let writer = &core.control.writer;
        let worker = &core.control.worker;
        let load = |word: &std::sync::atomic::AtomicU64| word.load(Ordering::Relaxed);
        let mut high_water = (0, 0);
        for ring in core.pool.rings() {
            high_water = high_water.max((ring.header().consumed.high_water.load(Ordering::Relaxed), ring.capacity()));
        }
        let [full, too_large, reentrant, panicked] = core.pool.dropped();
        let lost = core.pool.lost();
        let without_ring = load(&core.control.request.dropped_without_ring);
        // Locks of the parent's threads stay locked in a child for ever, so nothing here takes one.
        let forked = core.is_forked();
        let mut remarks = remarks(core);
        if forked {
            remarks.push(FORKED.to_owned());
        }
        let [repeats, every, probability] = writer.sampled_out.each_ref().map(load);
        let pinned = writer.core.load(Ordering::Relaxed);
        Self {
            dir: core.config.dir.clone(),
            process: core.process_name.clone(),
            written: load(&writer.written),
            sampled_out: sum([repeats, every, probability]),
            sampled_out_repeats: repeats,
            sampled_out_every: every,
            sampled_out_probability: probability,
            remembered: load(&writer.remembered),
            forgotten: load(&writer.forgotten),
            dropped: sum([full, too_large, reentrant, panicked, lost, without_ring]),
            dropped_full: full,
            dropped_too_large: too_large,
            dropped_reentrant: reentrant,
            dropped_panicked: panicked,
            dropped_without_ring: without_ring,
            dropped_lost: lost,
            lost: sum([load(&core.lost), load(&worker.given_up_records)]),
            given_up_segments: load(&worker.given_up_segments),
            given_up_backups: load(&worker.given_up_backups),
            given_up_bytes: load(&worker.given_up_bytes),
            late: load(&writer.late),
            rendered_records: load(&worker.records),
            lines: load(&worker.lines),
            journal_bytes: load(&writer.bytes),
            rotations: load(&writer.rotations),
            starved: load(&writer.starved),
            disk_errors: load(&worker.errors),
            trouble: if forked { None } else { watch::trouble(core) },
            rings: (core.pool.made(), core.pool.free()),
            ring_high_water: high_water,
            writer_core: pinned.checked_sub(1),
            clock: ClockHealth::of(core),
            survives_kill: core.memory.outlives_process() && !forked,
            locked: core.memory.is_locked(),
            remarks,
            drained: worker.drained.load(Ordering::Acquire) != 0,
        }
    }

    /// Records for which a log call was made, but for those still in rings.
    pub fn called(&self) -> u64 {
        sum([self.written, self.sampled_out, self.remembered, self.forgotten, self.dropped])
    }

    /// Whether nothing is lost, late or in trouble.
    pub fn is_ok(&self) -> bool {
        self.dropped == 0 && self.lost == 0 && self.trouble.is_none() && self.survives_kill && self.remarks.is_empty()
    }

    /// Everything is on disk: the worker said so as its last word.
    pub(crate) fn is_drained(&self) -> bool {
        self.drained
    }
}

/// What was said at the start, and what has changed since.
fn remarks(core: &Core) -> Vec<String> {
    let mut remarks = core.remarks.clone();
    if core.memory.folder().is_some() && !core.memory.outlives_process() {
        remarks.push("crash survival is impaired: live memory was truncated or removed by somebody else".to_owned());
    }
    if core.config.sigbus_handler && core.memory.folder().is_some() && !crate::sys::fault::is_installed() {
        remarks.push(
            "the program has set a handler of SIGBUS over ours: who truncates live memory kills the process, unless it \
             passes on to the one before"
                .to_owned(),
        );
    }
    remarks
}

impl fmt::Display for Health {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = if self.is_ok() { "ok" } else { "look" };
        writeln!(f, "tachograph {state}: {} ({})", self.dir.display(), self.process)?;
        writeln!(
            f,
            "  records   {} written, {} dropped, {} sampled out, {} late",
            self.written, self.dropped, self.sampled_out, self.late
        )?;
        if self.dropped > 0 {
            writeln!(
                f,
                "  dropped   {} ring full, {} too large, {} in signal handlers, {} panicked, {} without a ring, {} lost",
                self.dropped_full,
                self.dropped_too_large,
                self.dropped_reentrant,
                self.dropped_panicked,
                self.dropped_without_ring,
                self.dropped_lost
            )?;
        }
        if self.sampled_out > 0 {
            writeln!(
                f,
                "  sampled   {} repeats, {} by every, {} by probability",
                self.sampled_out_repeats, self.sampled_out_every, self.sampled_out_probability
            )?;
        }
        if self.remembered > 0 || self.forgotten > 0 {
            writeln!(f, "  flight    {} remembered, {} forgotten", self.remembered, self.forgotten)?;
        }
        if self.lost > 0 {
            writeln!(f, "  lost      {} records behind the writer", self.lost)?;
        }
        if self.given_up_bytes > 0 {
            writeln!(
                f,
                "  given up  {} segments, {} backups for want of room: {} bytes",
                self.given_up_segments, self.given_up_backups, self.given_up_bytes
            )?;
        }
        writeln!(f, "  views     {} lines", self.lines)?;
        writeln!(f, "  journal   {} bytes, {} segments finished", self.journal_bytes, self.rotations)?;
        let (made, free) = self.rings;
        let (fill, size) = self.ring_high_water;
        writeln!(f, "  rings     {made} ({free} free), fullest {fill} of {size} bytes")?;
        match self.writer_core {
            Some(core) => writeln!(f, "  writer    pinned to core {core}")?,
            None => writeln!(f, "  writer    not pinned")?,
        }
        writeln!(f, "  clock     {}", self.clock)?;
        let survival = if self.survives_kill { "yes" } else { "no" };
        write!(f, "  survives kill -9: {survival}")?;
        if !self.locked {
            let advice = "raise the limit on locked memory (ulimit -l; LimitMEMLOCK= of systemd)";
            write!(f, "\n  memory    can be swapped out: {advice}")?;
        }
        if let Some(trouble) = &self.trouble {
            write!(f, "\n  trouble   {trouble}")?;
        }
        self.remarks.iter().try_for_each(|remark| write!(f, "\n  remark    {remark}"))
    }
}

/// Whatever others have written over the counters.
fn sum<const N: usize>(counts: [u64; N]) -> u64 {
    counts.into_iter().fold(0, u64::saturating_add)
}
