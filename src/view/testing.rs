//! The views' whole machinery against an in-memory directory, driven by bytes: one function for the property test, the
//! fuzz target and the replay of corpora.
//!
//! The bytes are read as operations: log some lines, write, rotate, compress, keep, crash at the n-th next operation of
//! the disk (with part of an append done), restart, run out of space, an outsider deleting, renaming or cutting files.
//! A caller that keeps to the protocol plays the worker; a list of all lines plays the journal. After each operation:
//!
//! * no line stands twice, none is cut, and each view's lines are in order, from the oldest backup to the active file;
//! * a line is missing only if retention deleted a file of lines that are all older than every line left, when the
//!   number of backups, their bytes or their age asked for it, or if an outsider took it;
//! * no file is larger than its limit, unless it is one line; there are not more backups, nor more bytes, than allowed, and
//!   in the end none that is too old;
//! * a name that ends in `.gz` is a complete gzip file.

use super::names::Part;
use super::rotation::{Period, Settings};
use super::{
    ComponentViews, Config, Cursor, Format, Job, JobResult, ProcessCursor, Progress, Push, ViewConfig, ViewSet,
};
use crate::disk::{Fault, MemDisk};
use crate::format::pattern::Pattern;
use crate::level::Level;
use crate::reader::record::{Body, Position, RecordRef, Thread};
use std::collections::BTreeSet;
use std::io::Read;
use std::sync::Arc;

/// A record whose message is `text`.
pub fn note<'a>(target: &'a str, thread: &'a Thread, seq: u32, text: &'a str) -> RecordRef<'a> {
    RecordRef {
        unix_ns: 0,
        ticks: u64::from(seq),
        level: Level::Info,
        target,
        process: "process",
        thread,
        ring: 0,
        seq,
        position: Position { segment: 1, offset: u64::from(seq) },
        late: false,
        flight: false,
        recovered: false,
        body: Body::Note { text },
    }
}

/// A cursor that stands behind so many lines.
pub fn cursor(lines: u64) -> Cursor {
    Cursor { processes: vec![ProcessCursor { process: [1; 16], segment: 1, offset: lines }], merge: Vec::new() }
}

/// What a finished model run saw, so that a test can tell that it tried what it should.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Seen {
    /// Lines logged.
    pub lines: u64,
    /// Crashes.
    pub crashes: u64,
    /// Rotations.
    pub rotations: u64,
    /// Compressed backups.
    pub compressed: u64,
    /// Views that failed alone and caught up.
    pub caught_up: u64,
}

const FILE_BYTES_MAX: u64 = 100;
/// Room for one file and a half beside the active one.
const TOTAL_BYTES_MAX: u64 = 260;
const AGE_MAX_NS: i64 = 30 * STEP_NS;
const NOW_NS: i64 = 1_000_000_000_000;
const STEP_NS: i64 = 1_000_000_000;
const TARGETS: [&str; 2] = ["a", "b"];

struct Model {
    disk: Arc<MemDisk>,
    set: Option<ViewSet<MemDisk, Vec<u8>>>,
    page: Vec<u8>,
    config: Config,
    rotation: Settings,
    now_ns: i64,
    /// Lines logged, by target; the line's number is its place.
    journal: Vec<(usize, String)>,
    /// When they were logged.
    logged_ns: Vec<i64>,
    /// The worker's place in the journal.
    at: usize,
    /// Lines that outsiders or retention took.
    gone: BTreeSet<usize>,
    /// An outsider has meddled: order and counts no longer hold exactly.
    meddled: bool,
    crash_armed: bool,
    jobs: Vec<Job<MemDisk>>,
    /// Done, and not taken back yet.
    results: Vec<JobResult<MemDisk>>,
    thread: Thread,
    seen: Seen,
}

/// Runs the operations that `data` spells, and panics when a promise is broken.
#[allow(clippy::panic, reason = "a broken promise must be seen")]
pub fn check_rotation_model(data: &[u8]) -> Seen {
    let (&first, rest) = data.split_first().unwrap_or((&0, &[]));
    let backups = u32::from(first % 4);
    let settings = Settings {
        file_bytes_max: FILE_BYTES_MAX,
        backups,
        compress: (first & 4 != 0).then_some(crate::compress::Codec::Gzip(1)),
        compress_delay_ns: 2 * STEP_NS,
        dated: first & 16 != 0,
        period: (first & 32 != 0).then_some(Period::every(25 * STEP_NS)),
        bytes_total_max: (first & 64 != 0).then_some(TOTAL_BYTES_MAX),
        age_max_ns: (first & 128 != 0).then_some(AGE_MAX_NS),
    };
    let format = Format::text("{message}".parse::<Pattern>().unwrap_or_default());
    let all =
        ViewConfig { name: "all".to_owned(), format: format.clone(), rotation: settings.clone(), ..Default::default() };
    let mut model = Model {
        disk: Arc::new(MemDisk::new()),
        set: None,
        page: vec![0; 8192],
        config: Config {
            views: vec![all],
            components: Some(ComponentViews { format, rotation: settings.clone(), ..ComponentViews::default() }),
            open_files_max: if first & 8 == 0 { 2 } else { 16 },
        },
        rotation: settings,
        now_ns: NOW_NS,
        journal: Vec::new(),
        logged_ns: Vec::new(),
        at: 0,
        gone: BTreeSet::new(),
        meddled: false,
        crash_armed: false,
        jobs: Vec::new(),
        results: Vec::new(),
        thread: Thread { name: "t".to_owned(), tid: 1 },
        seen: Seen::default(),
    };
    model.restart();
    for pair in rest.chunks(2) {
        let (op, value) = (pair.first().copied().unwrap_or(0), pair.get(1).copied().unwrap_or(0));
        model.step(op, value);
        model.check(false);
    }
    model.finish();
    model.seen
}

impl Model {
    fn step(&mut self, op: u8, value: u8) {
        self.now_ns += STEP_NS;
        self.disk.set_now(self.now_ns);
        match op % 16 {
            0..=4 => self.log(value),
            5..=7 => self.write(),
            8 => self.upkeep(),
            9 => self.run_jobs(value),
            10 => {
                let _ = self.set.as_mut().map(|set| set.rotate(None, self.now_ns));
            }
            11 => {
                self.disk.inject(u64::from(value % 32), Fault::Crash(usize::from(value / 4)));
                self.crash_armed = true;
            }
            12 => {
                let error = match value % 4 {
                    0 => libc::EACCES,
                    1 => libc::EIO,
                    2 => libc::ENOSPC,
                    _ => libc::EFBIG,
                };
                self.disk.inject(u64::from(value / 4 % 8), Fault::Errno(error, usize::from(value / 8)));
            }
            13 => self.disk.set_space(value.is_multiple_of(2).then_some(u64::from(value))),
            14 => self.meddle(value),
            _ => {
                self.page = self.set.take().map_or_else(Vec::new, ViewSet::into_page);
                self.forget_jobs();
                self.restart();
            }
        }
        if self.disk.crashed() {
            self.seen.crashes += 1;
            self.page = self.set.take().map_or_else(Vec::new, ViewSet::into_page);
            self.forget_jobs();
            self.disk.revive();
            self.crash_armed = false;
            self.restart();
        }
    }

    fn restart(&mut self) {
        self.collect_unlinked();
        let page = std::mem::take(&mut self.page);
        let (mut set, recovery) = match ViewSet::open(Arc::clone(&self.disk), page, self.config.clone()) {
            Ok(opened) => opened,
            Err(error) => panic_with(&error.to_string()),
        };
        assert!(!recovery.damaged, "a kill damages no page");
        TARGETS.into_iter().for_each(|target| set.adopt(target));
        self.at = set.cursor().processes.first().map_or(0, |place| place.offset as usize);
        self.set = Some(set);
    }

    fn log(&mut self, value: u8) {
        for n in 0..=value % 8 {
            let number = self.journal.len();
            // Now and then a line that is longer than a file may be.
            let filler = if value == 255 && n == 0 { 150 } else { usize::from(value / 8) };
            let line = format!("<{number}:{}>", "x".repeat(filler));
            self.journal.push((usize::from(value % 16 == 3), line));
            self.logged_ns.push(self.now_ns);
        }
    }

    /// What the worker does: feed what is new, then views that are behind.
    fn write(&mut self) {
        let Some(set) = &mut self.set else { return };
        while let Some((target, line)) = self.journal.get(self.at) {
            let target = TARGETS.get(*target).copied().unwrap_or_default();
            match set.push(&note(target, &self.thread, self.at as u32, line)) {
                Push::Taken => self.at += 1,
                Push::Full => {
                    if set.write(&cursor(self.at as u64), self.now_ns) != Progress::Done {
                        return;
                    }
                }
            }
        }
        if set.write(&cursor(self.at as u64), self.now_ns) != Progress::Done {
            return;
        }
        while let Some((view, from)) = set.behind() {
            let mut at = from.processes.first().map_or(0, |place| place.offset as usize);
            while let Some((target, line)) = self.journal.get(..self.at).and_then(|journal| journal.get(at)) {
                let target = TARGETS.get(*target).copied().unwrap_or_default();
                if set.push_behind(view, &note(target, &self.thread, at as u32, line)) == Push::Taken {
                    at += 1;
                } else if set.write_behind(view, &cursor(at as u64), self.now_ns) != Progress::Done {
                    // The lines are in a published batch or still pending; the set knows, the next pass goes on.
                    return;
                }
            }
            if set.write_behind(view, &cursor(at as u64), self.now_ns) != Progress::Done {
                return;
            }
            self.seen.caught_up += 1;
        }
    }

    fn upkeep(&mut self) {
        let Some(set) = &mut self.set else { return };
        if let Ok(Some(job)) = set.maintain(self.now_ns) {
            self.jobs.push(job);
        }
    }

    /// Does the jobs; their results may be taken back only the next time.
    fn run_jobs(&mut self, value: u8) {
        self.results.extend(std::mem::take(&mut self.jobs).into_iter().map(Job::run));
        if value % 4 == 3 {
            return;
        }
        for result in std::mem::take(&mut self.results) {
            if let Some(set) = &mut self.set
                && set.finished(result, self.now_ns).is_ok()
                && !self.disk.crashed()
            {
                self.seen.compressed += 1;
            }
        }
    }

    fn forget_jobs(&mut self) {
        self.jobs.clear();
        self.results.clear();
    }

    fn meddle(&mut self, value: u8) {
        let names = self.disk.names();
        let Some(name) = names.get(usize::from(value / 4) % names.len().max(1)).cloned() else { return };
        self.collect_unlinked();
        self.meddled = true;
        let taken = lines(&name, &self.disk.bytes(&name).unwrap_or_default());
        match value % 4 {
            0 => self.disk.outside_delete(&name),
            1 => self.disk.outside_rename(&name, &format!("foreign.{}", self.now_ns)),
            2 => self.disk.outside_write(&name, b""),
            _ => return,
        }
        self.gone.extend(taken.into_iter().flatten());
        // Lines of a batch under way may have been in the file, whole or in part.
        self.gone.extend(self.at.saturating_sub(400)..self.at);
    }

    /// Notes what was deleted through the disk, and whether that was right.
    fn collect_unlinked(&mut self) {
        let unlinked = self.disk.take_unlinked();
        for (index, (name, bytes)) in unlinked.iter().enumerate() {
            let Some((base, part)) = own(name) else { continue };
            if part == Part::Temp {
                continue;
            }
            let deleted = lines(name, bytes);
            let left = self.view_lines(base);
            // The copy may have gone by its turn in the same step.
            let twin = |(other, bytes): &(String, Vec<u8>)| *other != *name && lines(other, bytes) == deleted;
            let copied = deleted.iter().flatten().all(|line| left.contains(line))
                || (matches!(part, Part::Plain(_)) && unlinked.iter().skip(index + 1).any(twin));
            if !copied && !self.meddled {
                let with_it = unlinked.iter().filter(|(other, _)| own(other).is_some_and(|(other, _)| other == base));
                assert!(
                    self.may_go(base, part, &deleted, with_it.map(|(_, bytes)| bytes.len() as u64)),
                    "{name} was deleted, with {:?}",
                    self.rotation
                );
                if let (Some(newest), Some(oldest)) = (deleted.iter().flatten().max(), left.first()) {
                    assert!(newest < oldest, "{name} was deleted while older lines stay");
                }
            }
        }
    }

    /// Whether the settings allow that retention deleted this part of a view, whose lines were `deleted`; `unlinked` are the
    /// sizes of all files of the view that were deleted in the same step.
    fn may_go(&self, base: &str, part: Part, deleted: &[Option<usize>], unlinked: impl Iterator<Item = u64>) -> bool {
        let settings = &self.rotation;
        if part == Part::Active {
            return settings.backups == 0;
        }
        let files = self.files(base);
        let gone: Vec<u64> = unlinked.collect();
        // The active file may be about to become a backup.
        let count = match part.number() {
            Some(number) => number >= settings.backups,
            None => files.len() + gone.len() > settings.backups as usize,
        };
        let bytes: u64 = files.iter().map(|(_, bytes)| *bytes).chain(gone).sum();
        let too_large = settings.bytes_total_max.is_some_and(|total| bytes > total - FILE_BYTES_MAX);
        // A file's last line is written when it was logged, or later.
        let logged = deleted.iter().flatten().filter_map(|line| self.logged_ns.get(*line)).max();
        let age_ns = logged.map_or(i64::MAX, |logged| self.now_ns - logged);
        count || too_large || settings.age_max_ns.is_some_and(|age_max| age_ns > age_max)
    }

    /// The files of a view and their sizes, those under way excepted.
    fn files(&self, base: &str) -> Vec<(Part, u64)> {
        let sized = |name: String| {
            let part = Part::parse(base, &name).filter(|part| *part != Part::Temp)?;
            Some((part, self.disk.bytes(&name).unwrap_or_default().len() as u64))
        };
        self.disk.names().into_iter().filter_map(sized).collect()
    }

    fn view_lines(&self, base: &str) -> Vec<usize> {
        let mut files: Vec<_> =
            self.disk.names().into_iter().filter_map(|name| Some((Part::parse(base, &name)?, name))).collect();
        files.retain(|(part, _)| *part != Part::Temp);
        // The oldest first; under one label the plain file is the newer.
        files.sort_by_key(|(part, _)| std::cmp::Reverse((part.label(), matches!(part, Part::Gz(_)))));
        let mut all = Vec::new();
        for (index, (part, name)) in files.iter().enumerate() {
            let bytes = self.disk.bytes(name).unwrap_or_default();
            let present: Vec<_> = lines(name, &bytes).into_iter().flatten().collect();
            // A crash between the compressed copy's name and the plain one's end leaves both.
            let next = files.get(index + 1).filter(|(next, _)| next.label() == part.label());
            let twin = next.map(|(_, next)| lines(next, &self.disk.bytes(next).unwrap_or_default()));
            if twin.is_some_and(|twin| twin.into_iter().flatten().eq(present.iter().copied())) {
                continue;
            }
            all.extend(present);
        }
        all
    }

    fn check(&mut self, complete: bool) {
        self.collect_unlinked();
        for (base, shows) in [("all.log", None), ("a.log", Some(0)), ("b.log", Some(1))] {
            let present = self.view_lines(base);
            if !self.meddled {
                assert!(present.is_sorted_by(|a, b| a < b), "{base}: lines double or out of order: {present:?}");
            }
            let unique: BTreeSet<_> = present.iter().copied().collect();
            assert!(self.meddled || unique.len() == present.len(), "{base}: a line stands twice");
            if complete && !self.meddled {
                let first = present.first().copied().unwrap_or(self.journal.len());
                for (number, (target, _)) in self.journal.iter().enumerate().skip(first) {
                    let belongs = shows.is_none_or(|shows| shows == *target);
                    assert_eq!(unique.contains(&number), belongs, "{base}: line {number} of {}", self.journal.len());
                }
            } else if complete {
                // After an outsider's deed lines are missing only near it; what was logged later is all there.
                let missing = |(number, (target, _)): (usize, &(usize, String))| {
                    let belongs = shows.is_none_or(|shows| shows == *target);
                    let older = unique.first().is_some_and(|first| number < *first);
                    belongs && !older && !self.gone.contains(&number) && !unique.contains(&number)
                };
                let missing = self.journal.iter().enumerate().find(|line| missing(*line)).map(|(number, _)| number);
                assert!(missing.is_none() || unique.is_empty(), "{base}: line {missing:?} is lost");
            }
        }
        for name in self.disk.names() {
            let Some((_, part)) = own(&name) else { continue };
            let bytes = self.disk.bytes(&name).unwrap_or_default();
            if matches!(part, Part::Active | Part::Plain(_)) && !self.meddled {
                let one_line = bytes.iter().filter(|byte| **byte == b'\n').count() <= 1;
                assert!(bytes.len() as u64 <= FILE_BYTES_MAX || one_line, "{name} has {} bytes", bytes.len());
            }
            let backups = self.rotation.backups;
            assert!(part.number().is_none_or(|number| number <= backups.max(1) || self.meddled), "{name}");
        }
        for base in ["all.log", "a.log", "b.log"] {
            let names = self.disk.names();
            let labels: BTreeSet<_> = names.iter().filter_map(|name| Part::parse(base, name)?.label()).collect();
            assert!(labels.len() <= self.rotation.backups as usize || self.meddled, "{base}: {labels:?}");
            self.check_limits(base, complete);
        }
    }

    /// The limits of bytes and age. A compressed file can be larger than a small plain one, until the next upkeep.
    fn check_limits(&self, base: &str, complete: bool) {
        let files = self.files(base);
        let is_normal = |(part, bytes): &(Part, u64)| *part != Part::Active || *bytes <= FILE_BYTES_MAX;
        if self.meddled || !files.iter().all(is_normal) {
            return;
        }
        let bytes: u64 = files.iter().map(|(_, bytes)| bytes).sum();
        if let Some(total) = self.rotation.bytes_total_max
            && (complete || self.rotation.compress.is_none())
        {
            assert!(bytes <= total, "{base}: {bytes} bytes in {files:?}");
        }
        if complete && self.rotation.age_max_ns.is_some() {
            assert!(files.iter().all(|(part, _)| *part == Part::Active), "{base}: too old: {files:?}");
        }
    }

    /// The disk is well again: everything must arrive.
    fn finish(&mut self) {
        self.disk.revive();
        self.disk.set_space(None);
        for _ in 0..40 {
            self.now_ns += 20 * STEP_NS;
            self.disk.set_now(self.now_ns);
            self.write();
            self.upkeep();
            self.run_jobs(0);
        }
        let Some(set) = &self.set else { return };
        assert_eq!(set.cursor(), &cursor(self.journal.len() as u64));
        assert!(set.behind().is_none() && set.blocked().is_none());
        assert_eq!(set.oversize(), 0);
        for status in set.status() {
            assert_eq!(status.state, super::ViewState::Healthy, "{}", status.name);
            self.seen.rotations += status.events.rotations;
        }
        self.seen.lines = self.journal.len() as u64;
        for name in self.disk.names() {
            if let Some((_, part)) = own(&name) {
                assert!(part != Part::Temp, "a temporary file is left");
                // Beside a compressed file that an outsider changed, the plain one stays.
                let plain = matches!(part, Part::Plain(_)) && !self.meddled;
                assert!(!plain || self.config.views.iter().any(|view| view.rotation.compress.is_none()), "{name}");
            }
        }
        self.check(true);
    }
}

fn own(name: &str) -> Option<(&'static str, Part)> {
    ["all.log", "a.log", "b.log"].into_iter().find_map(|base| Some((base, Part::parse(base, name)?)))
}

/// The numbers of the lines in a file; `None` for one that is not whole.
#[allow(clippy::panic, reason = "a broken promise must be seen")]
fn lines(name: &str, bytes: &[u8]) -> Vec<Option<usize>> {
    let mut plain = Vec::new();
    if name.ends_with(".gz") && !bytes.is_empty() {
        let read = flate2::read::GzDecoder::new(bytes).read_to_end(&mut plain);
        assert!(read.is_ok(), "{name} is no complete gzip file");
    } else if !name.ends_with(".tmp") {
        plain.extend_from_slice(bytes);
    }
    let text = String::from_utf8_lossy(&plain).into_owned();
    let number = |line: &str| line.strip_prefix('<')?.strip_suffix('>')?.split_once(':')?.0.parse().ok();
    text.lines().map(number).collect()
}

#[allow(clippy::panic, reason = "a broken promise must be seen")]
fn panic_with(text: &str) -> ! {
    panic!("{text}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig { cases: 2000, max_shrink_iters: 20_000, ..ProptestConfig::default() })]
        #[test]
        fn any_operations_keep_every_promise(data in proptest::collection::vec(any::<u8>(), 0..160)) {
            check_rotation_model(&data);
        }

        #[test]
        fn without_outsiders_nothing_is_lost(
            first in any::<u8>(),
            ops in proptest::collection::vec((prop_oneof![0..14_u8, Just(15)], any::<u8>()), 0..120),
        ) {
            let mut data = vec![first];
            data.extend(ops.into_iter().flat_map(|(op, value)| [op, value]));
            check_rotation_model(&data);
        }
    }

    /// `cargo test --release --lib view::testing -- --ignored --nocapture`
    #[test]
    #[ignore = "takes a minute"]
    fn many_seeds() {
        let mut seen = Seen::default();
        for seed in 1..=200_000_u64 {
            let mut state = seed;
            let mut byte = || {
                // SplitMix64.
                state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
                let mixed = (state ^ state >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
                (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb) >> 33
            };
            let mut data = vec![byte() as u8];
            for _ in 0..byte() % 120 {
                // Every other seed without outsiders, because these excuse losses near them.
                let op = byte() as u8 % 16;
                data.push(if op == 14 && seed % 2 == 0 { 5 } else { op });
                data.push(byte() as u8);
            }
            let run = std::panic::catch_unwind(|| check_rotation_model(&data));
            let run = run.unwrap_or_else(|_| panic!("seed {seed}: {data:?}"));
            seen.lines += run.lines;
            seen.crashes += run.crashes;
            seen.rotations += run.rotations;
            seen.compressed += run.compressed;
            seen.caught_up += run.caught_up;
        }
        println!("{seen:?}");
        assert!(seen.crashes > 1000 && seen.compressed > 1000 && seen.caught_up > 1000);
    }

    #[test]
    fn a_crash_at_every_operation_of_the_disk_loses_and_doubles_nothing() {
        let mut seen = Seen::default();
        for first in 0..16 {
            for at in 0..32_u8 {
                for partial in 0..8_u8 {
                    let mut data = vec![first];
                    for round in 0..6_u8 {
                        data.extend([
                            0,
                            100 + round,
                            5,
                            0,
                            8,
                            0,
                            9,
                            0,
                            0,
                            255,
                            11,
                            at | partial << 5,
                            0,
                            64,
                            5,
                            0,
                            8,
                            0,
                            9,
                            0,
                        ]);
                    }
                    let run = check_rotation_model(&data);
                    seen.crashes += run.crashes;
                    seen.rotations += run.rotations;
                    seen.compressed += run.compressed;
                }
            }
        }
        assert!(seen.crashes > 1000 && seen.rotations > 1000 && seen.compressed > 1000, "{seen:?}");
    }
}
