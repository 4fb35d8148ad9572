//! What shared memory tells of a process: counters, lags, fill, conditions, at one moment.
//!
//! Taken from the control page, the health page and the headers of the rings, mapped or copied. Nothing that stands there is
//! believed: whatever is beyond its limits counts as 0.

use super::histogram::{quantile, upper};
use crate::level::Level;
use crate::ring::protocol::{CAUSES, RingHeader};
use crate::segment::layout::{CAUSE_INTERRUPTED, CAUSE_LOST, CAUSE_WITHOUT_RING, u16_at, u32_at};
use crate::shm::control::{Control, SLOTS_MAX, activity, state};
use crate::shm::health_page::{self, HealthWords};
use crate::supervisor::Phase;
use serde::{Deserialize, Serialize};
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

/// Rings that are told of one by one; the fullest of them.
const RINGS_MAX: usize = 64;

/// Whether a process lives.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Life {
    /// It holds its lock.
    #[default]
    Alive,
    /// It died, and what it left waits for recovery.
    Dead,
    /// It closed its logger; a collector has not taken everything yet.
    Closed,
}

/// Records, or the bytes of their frames, of one level or target.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Count {
    /// The level or target.
    pub name: String,
    /// Records in the journal.
    pub records: u64,
    /// Bytes of their frames.
    pub bytes: u64,
}

/// Records that were lost before the journal, by cause.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Drops {
    /// The ring was full.
    pub full: u64,
    /// The record's fixed part was larger than a record may be.
    pub too_large: u64,
    /// The call came from a signal handler that interrupted another call.
    pub reentrant: u64,
    /// A value panicked while it was copied.
    pub panicked: u64,
    /// The thread had no ring.
    pub without_ring: u64,
    /// The process died within the call, or the cause is not known.
    pub interrupted: u64,
    /// Somebody truncated, removed or overwrote the ring.
    pub lost: u64,
}

impl Drops {
    /// All of them.
    pub fn total(&self) -> u64 {
        self.by_cause().iter().fold(0, |sum, (_, count)| sum.saturating_add(*count))
    }

    /// Cause and count.
    pub fn by_cause(&self) -> [(&'static str, u64); 7] {
        [
            ("ring full", self.full),
            ("too large", self.too_large),
            ("in a signal handler", self.reentrant),
            ("panicked", self.panicked),
            ("without a ring", self.without_ring),
            ("interrupted", self.interrupted),
            ("lost", self.lost),
        ]
    }
}

/// The ring of a thread.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Ring {
    /// Its number.
    pub number: u32,
    /// The thread that logged to it last; empty before its first record.
    pub thread: String,
    /// The system's number of that thread.
    pub tid: u32,
    /// Bytes that wait for the writer.
    pub fill_bytes: u64,
    /// The most that ever waited.
    pub high_water_bytes: u64,
    /// Its size.
    pub size_bytes: u64,
}

/// Waits of records in their rings: for each step of the writer that took records, that of the oldest of them.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Lag {
    /// Nanoseconds: half of the steps were not above it.
    pub p50_ns: u64,
    /// 99 of 100 were not above it.
    pub p99_ns: u64,
    /// 999 of 1,000 were not above it.
    pub p999_ns: u64,
    /// The longest.
    pub max_ns: u64,
    /// Sum over the steps.
    pub sum_ns: u64,
    /// Bounds in nanoseconds and counts of the buckets that are not empty, in ascending order; each to an eighth.
    pub buckets: Vec<(u64, u64)>,
}

/// What stamps the records.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct ClockState {
    /// `counter`, `coarse` or `manual`.
    pub stamp: String,
    /// The processor has a counter that runs at one rate.
    pub steady: bool,
    /// Ticks are the same times in all processes of the directory.
    pub shared: bool,
    /// How often the wall clock was set.
    pub steps: u64,
    /// By how many nanoseconds the wall clock was before the records' time.
    pub correction_ns: i64,
}

/// The disk as whoever archives the journal found it.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct DiskState {
    /// When, nanoseconds since the Unix epoch; 0 before the first look.
    pub measured_unix_ns: i64,
    /// Bytes of all files in the log directory.
    pub used_bytes: u64,
    /// Bytes that the file system has left.
    pub free_bytes: u64,
    /// Bytes of the file system.
    pub total_bytes: u64,
    /// `disk_bytes_cap`, if there is one.
    pub cap_bytes: Option<u64>,
    /// Bytes below the cap.
    pub cap_free_bytes: u64,
    /// Bytes that are to be kept free below it.
    pub cap_kept_bytes: u64,
    /// Seconds until the file system is full at the present rate, if it fills.
    pub full_in_s: Option<u64>,
    /// When files were last forced to disk, nanoseconds since the Unix epoch; 0 before.
    pub synced_unix_ns: i64,
}

/// An error that was met, however often.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Met {
    /// What was done, on what, what went wrong.
    pub text: String,
    /// How often.
    pub count: u64,
    /// First time, nanoseconds since the Unix epoch.
    pub first_unix_ns: i64,
    /// Last time.
    pub last_unix_ns: i64,
}

/// A service that the process [supervises](crate::supervisor): a thread of it, or a child.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct ServiceState {
    /// Its name.
    pub name: String,
    /// Where it is in its life.
    pub phase: Phase,
    /// Since when, nanoseconds since the Unix epoch.
    pub since_unix_ns: i64,
    /// How often it was started.
    pub starts: u32,
    /// Restarts that count at present, and how many there may be.
    pub restarts: (u32, u32),
    /// When it last showed life, nanoseconds since the Unix epoch; `None` without a heartbeat.
    pub beat_unix_ns: Option<i64>,
    /// Why it last ended with an error; empty where it never did.
    pub reason: String,
}

/// A process at one moment. Counters are since its start.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Vitals {
    /// Name of its journal.
    pub process: String,
    /// Its number, in its own namespace.
    pub pid: u32,
    /// Whether it lives.
    pub life: Life,
    /// Version of the library in it; empty where the health page is of another version, and what stands there not known.
    pub version: String,
    /// When this was taken, nanoseconds since the Unix epoch.
    pub taken_unix_ns: i64,
    /// When the logger was started.
    pub started_unix_ns: i64,
    /// Records in the journal.
    pub written: u64,
    /// Bytes of the journal.
    pub journal_bytes: u64,
    /// Records and bytes by level.
    pub levels: Vec<Count>,
    /// Records and bytes by target, most records first. Those beyond 255 targets, and those that carry their own
    /// definition, are `(other)`.
    pub targets: Vec<Count>,
    /// Records that were lost before the journal.
    pub dropped: Drops,
    /// Records lost behind the writer.
    pub lost: u64,
    /// Records that sampling left out: repeats, by `every`, by `probability`.
    pub sampled_out: [u64; 3],
    /// Records that came later than `order_wait` allows.
    pub late: u64,
    /// Rings, the fullest first, 64 at most.
    pub rings: Vec<Ring>,
    /// How long records waited for the writer.
    pub writer_lag: Lag,
    /// How long the writer has not run; `None` where nobody can know.
    pub writer_silent_ns: Option<u64>,
    /// How long the worker has been at what it does; `None` before its first step.
    pub worker_silent_ns: Option<u64>,
    /// What that is: `resting`, `archiving`, `rendering`, `syncing`, `upkeep`.
    pub worker_activity: String,
    /// Records that the views have not taken yet.
    pub view_lag_records: u64,
    /// By how much the moment up to which everything stands in the views is behind the writer, in nanoseconds.
    pub view_lag_ns: u64,
    /// Live segments, and how many of them are free.
    pub segments: u32,
    /// See `segments`.
    pub segments_free: u32,
    /// Segments finished.
    pub rotations: u64,
    /// Rounds in which the writer found no free segment.
    pub starved: u64,
    /// Files compressed.
    pub compressions: u64,
    /// Lines appended to views by its worker.
    pub lines: u64,
    /// Whether its worker renders the views of the directory.
    pub renders: bool,
    /// Views, as far as it renders them.
    pub views: u64,
    /// Views that cannot be written.
    pub views_failing: u64,
    /// What its worker says of the files: a trouble, or a remark.
    pub trouble: String,
    /// Whether that is a trouble.
    pub in_trouble: bool,
    /// Distinct errors, the latest first.
    pub errors: Vec<Met>,
    /// All failures of the disk.
    pub disk_errors: u64,
    /// The disk.
    pub disk: DiskState,
    /// Dead processes that its worker recovered, which had not closed their logger.
    pub crashed: u64,
    /// Records that those had in their rings only.
    pub recovered: u64,
    /// The clock.
    pub clock: ClockState,
    /// The core that the writer is to be pinned to.
    pub core_wanted: Option<u32>,
    /// The core that it is pinned to.
    pub core: Option<u32>,
    /// What was logged survives the death of the process.
    pub survives_kill: bool,
    /// Live memory cannot be swapped out.
    pub locked: bool,
    /// Live memory is smaller than was configured.
    pub shrunk: bool,
    /// What had to be done otherwise than configured.
    pub remarks: String,
    /// The services that it supervises, if it does.
    #[serde(default)]
    pub services: Vec<ServiceState>,
}

/// The clocks at the moment of taking.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Now {
    pub(crate) unix_ns: i64,
    pub(crate) monotonic_ns: u64,
    pub(crate) ticks: u64,
}

impl Now {
    pub(crate) fn read() -> Self {
        use crate::clock::ticks;
        Self { unix_ns: ticks::unix_ns(), monotonic_ns: ticks::monotonic_ns(), ticks: ticks::now() }
    }
}

fn get(word: &AtomicU64) -> u64 {
    word.load(Ordering::Relaxed)
}

fn time(word: &AtomicI64) -> i64 {
    word.load(Ordering::Relaxed)
}

/// The ring behind this header, and what was dropped on it.
pub(crate) fn ring(number: u32, header: &RingHeader, size_bytes: u64) -> (Ring, [u64; CAUSES]) {
    let consumed = &header.consumed;
    let fill = header.produced.head.load(Ordering::Relaxed).saturating_sub(consumed.tail.load(Ordering::Relaxed));
    let mut payload: Vec<u8> =
        consumed.thread.iter().flat_map(|word| word.load(Ordering::Relaxed).to_le_bytes()).collect();
    let length = usize::try_from(u64::from(u32_at(&payload, 0))).unwrap_or(0);
    payload.drain(..8.min(payload.len()));
    let name = payload.get(..length).and_then(|known| known.get(8..8 + usize::from(u16_at(known, 2))));
    let ring = Ring {
        number,
        thread: name.map(|name| String::from_utf8_lossy(name).into_owned()).unwrap_or_default(),
        tid: if name.is_some() { u32_at(&payload, 4) } else { 0 },
        fill_bytes: fill.min(size_bytes),
        high_water_bytes: consumed.high_water.load(Ordering::Relaxed).min(size_bytes),
        size_bytes,
    };
    (ring, header.refused.dropped.each_ref().map(|count| count.load(Ordering::Relaxed)))
}

/// What is known of the rings.
#[derive(Clone, Debug, Default)]
pub(crate) struct Rings {
    pub(crate) rings: Vec<Ring>,
    /// Drops by cause on all of them.
    pub(crate) dropped: [u64; CAUSES],
}

impl FromIterator<(Ring, [u64; CAUSES])> for Rings {
    fn from_iter<I: IntoIterator<Item = (Ring, [u64; CAUSES])>>(all: I) -> Self {
        let mut rings = Self::default();
        for (ring, dropped) in all {
            rings.dropped.iter_mut().zip(dropped).for_each(|(sum, count)| *sum = sum.saturating_add(count));
            rings.rings.push(ring);
        }
        rings.rings.retain(|ring| ring.high_water_bytes > 0 || ring.fill_bytes > 0 || !ring.thread.is_empty());
        rings.rings.sort_by_key(|ring| std::cmp::Reverse((ring.fill_bytes, ring.high_water_bytes)));
        rings.rings.truncate(RINGS_MAX);
        rings
    }
}

/// Converts ticks to nanoseconds.
#[derive(Clone, Copy)]
struct Rate(u64);

impl Rate {
    fn ns(self, ticks: u64) -> u64 {
        let ns = u128::from(ticks) * 1_000_000_000 / u128::from(self.0.max(1));
        u64::try_from(ns).unwrap_or(u64::MAX)
    }
}

impl Vitals {
    /// Reads the pages of a process.
    pub(crate) fn take(
        process: &str,
        life: Life,
        (control, page): (&Control, Option<&HealthWords>),
        rings: Rings,
        now: Now,
    ) -> Self {
        let (identity, writer, worker) = (&control.identity, &control.writer, &control.worker);
        let closed = identity.state.load(Ordering::Relaxed) == state::CLOSED;
        let mut vitals = Self {
            process: process.to_owned(),
            pid: identity.pid.load(Ordering::Relaxed),
            life: if closed { Life::Closed } else { life },
            taken_unix_ns: now.unix_ns,
            started_unix_ns: time(&identity.started_unix_ns),
            written: get(&writer.written),
            journal_bytes: get(&writer.bytes),
            lost: get(&worker.lost).saturating_add(get(&worker.given_up_records)),
            sampled_out: writer.sampled_out.each_ref().map(get),
            late: get(&writer.late),
            worker_activity: activity_name(worker.activity.load(Ordering::Relaxed)).to_owned(),
            rotations: get(&writer.rotations),
            starved: get(&writer.starved),
            lines: get(&worker.lines),
            trouble: control.trouble.read(),
            disk_errors: get(&worker.errors),
            core: writer.core.load(Ordering::Relaxed).checked_sub(1),
            survives_kill: true,
            locked: true,
            ..Self::default()
        };
        let heartbeat = get(&worker.heartbeat);
        vitals.worker_silent_ns = (heartbeat != 0).then(|| now.monotonic_ns.saturating_sub(heartbeat));
        let slots = control.slots.iter().take((identity.slots.load(Ordering::Relaxed) as usize).min(SLOTS_MAX));
        vitals.segments = slots.len() as u32;
        vitals.segments_free = slots.filter(|slot| slot.is_free()).count() as u32;
        vitals.clock.steps = get(&control.anchor.steps);
        vitals.clock.correction_ns = time(&control.anchor.correction_ns);
        let rate = Rate(get(&identity.ticks_per_s));
        if let Some(page) = page {
            vitals.take_page(page, rate);
        }
        vitals.take_drops(control, page, rings);
        let manual = vitals.clock.stamp == "manual";
        let synchronous = page.is_some_and(|page| get(&page.owner.synchronous) != 0);
        if !manual && !synchronous {
            vitals.writer_silent_ns = Some(rate.ns(now.ticks.saturating_sub(get(&writer.alive))));
        }
        if synchronous {
            vitals.worker_silent_ns = None;
        }
        vitals.view_lag_records = vitals.written.saturating_sub(get(&worker.records));
        let rendered = get(&worker.rendered);
        if !manual && vitals.written > 0 {
            vitals.view_lag_ns = if rendered == 0 {
                u64::try_from(now.unix_ns.saturating_sub(vitals.started_unix_ns)).unwrap_or(0)
            } else {
                rate.ns(get(&writer.watermark).saturating_sub(rendered))
            };
        }
        vitals
    }

    fn take_page(&mut self, page: &HealthWords, rate: Rate) {
        let (owner, census, upkeep) = (&page.owner, &page.census, &page.upkeep);
        self.version = owner.build.read();
        self.remarks = owner.remarks.read();
        let stamp = match get(&owner.stamp) {
            0 => "counter",
            1 => "coarse",
            _ => "manual",
        };
        self.clock.stamp = stamp.to_owned();
        (self.clock.steady, self.clock.shared) = (get(&owner.steady) != 0, get(&owner.time_shared) != 0);
        self.core_wanted = u32::try_from(get(&owner.core_wanted)).ok().and_then(|core| core.checked_sub(1));
        self.survives_kill = get(&owner.survives) != 0;
        self.locked = get(&owner.locked) != 0;
        self.shrunk = get(&owner.shrunk) != 0;
        let count = |name: String, words: &health_page::Counts| Count {
            name,
            records: get(&words.records),
            bytes: get(&words.bytes),
        };
        let name = |number: usize| {
            Level::from_u8(number as u8).map_or_else(|| "unknown".to_owned(), |level| level.as_str().to_lowercase())
        };
        self.levels = census.levels.iter().enumerate().map(|(number, words)| count(name(number), words)).collect();
        self.levels.retain(|level| level.records > 0);
        self.targets =
            census.targets.iter().filter_map(|words| Some(count(words.read_name()?, &words.counts))).collect();
        self.targets.retain(|target| target.records > 0);
        self.targets.sort_by_key(|target| std::cmp::Reverse(target.records));
        if stamp != "manual" {
            let counts = census.lag.iter().map(get).enumerate().filter(|(_, count)| *count > 0);
            let buckets: Vec<(u64, u64)> = counts.map(|(index, count)| (rate.ns(upper(index)), count)).collect();
            self.writer_lag = Lag {
                p50_ns: quantile(&buckets, 0.5),
                p99_ns: quantile(&buckets, 0.99),
                p999_ns: quantile(&buckets, 0.999),
                max_ns: rate.ns(get(&census.lag_max)),
                sum_ns: rate.ns(get(&census.lag_sum)),
                buckets,
            };
        }
        self.compressions = get(&upkeep.compressions);
        self.renders = get(&upkeep.renders) != 0;
        (self.views, self.views_failing) = (get(&upkeep.views), get(&upkeep.views_failing));
        self.in_trouble = get(&upkeep.in_trouble) != 0;
        (self.crashed, self.recovered) = (get(&upkeep.crashed), get(&upkeep.recovered));
        let some = |word: &AtomicU64| Some(get(word)).filter(|value| *value != u64::MAX);
        self.disk = DiskState {
            measured_unix_ns: time(&upkeep.measured_unix_ns),
            used_bytes: get(&upkeep.used),
            free_bytes: get(&upkeep.free),
            total_bytes: get(&upkeep.total),
            cap_bytes: some(&upkeep.cap),
            cap_free_bytes: get(&upkeep.cap_free),
            cap_kept_bytes: get(&upkeep.cap_kept),
            full_in_s: some(&upkeep.full_in_s),
            synced_unix_ns: time(&upkeep.synced_unix_ns),
        };
        let met = |words: &health_page::ErrorWords| Met {
            text: words.text.read(),
            count: get(&words.count),
            first_unix_ns: time(&words.first_unix_ns),
            last_unix_ns: time(&words.last_unix_ns),
        };
        self.errors = page.errors.iter().map(met).filter(|met| met.count > 0).collect();
        self.errors.sort_by_key(|met| std::cmp::Reverse(met.last_unix_ns));
    }

    /// What the journal states and what the rings count: the more of both, as each can be ahead of the other.
    fn take_drops(&mut self, control: &Control, page: Option<&HealthWords>, rings: Rings) {
        let stated = page.map(|page| page.census.dropped.each_ref().map(get)).unwrap_or_default();
        let stated = |cause: u32| stated.get(cause as usize).copied().unwrap_or(0);
        let [full, too_large, reentrant, panicked] = rings.dropped;
        self.dropped = Drops {
            full: full.max(stated(0)),
            too_large: too_large.max(stated(1)),
            reentrant: reentrant.max(stated(2)),
            panicked: panicked.max(stated(3)),
            without_ring: get(&control.request.dropped_without_ring).max(stated(CAUSE_WITHOUT_RING)),
            interrupted: stated(CAUSE_INTERRUPTED),
            lost: stated(CAUSE_LOST),
        };
        self.rings = rings.rings;
    }

    /// Records for which a log call was made, but for those still in rings.
    pub fn called(&self) -> u64 {
        self.sampled_out
            .iter()
            .fold(self.written, |sum, out| sum.saturating_add(*out))
            .saturating_add(self.dropped.total())
    }
}

fn activity_name(number: u32) -> &'static str {
    match number {
        activity::ARCHIVING => "archiving",
        activity::RENDERING => "rendering",
        activity::SYNCING => "syncing",
        activity::UPKEEP => "upkeep",
        _ => "resting",
    }
}
