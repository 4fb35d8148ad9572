//! A run: processes that come, log, stand still, are killed and end, on a disk that fails, until all of it is well again.

use super::dice::Dice;
use super::disk::Killed;
use super::oracle::{BASE, Call, Mercy, TAKEN, Thread, Trust, archived, read, renamed};
use super::process::{Alive, Collector, Place, Synced};
use crate::clock::instant::simulated;
use crate::config::Sync;
use crate::disk::Fault;
use crate::format::pattern::Pattern;
use crate::shm::directory::{JOURNAL, POINTER};
use crate::shm::journal::OUT_OF_SIGHT_NS_MAX;
use crate::view::file::CHECK_NS;
use crate::view::names::Part;
use crate::view::rotation::Settings;
use crate::view::{Format, ViewConfig};
use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::Ordering;

/// When a run begins: later than any counter of the machine, so that recovery, which looks at that too, sees the same in
/// every run.
pub(super) const BEGIN_NS: u64 = 1 << 62;
/// Processes at a time.
const PROCESSES_MAX: usize = 3;
/// Threads of a process.
const THREADS_MAX: usize = 3;
const MS: u64 = 1_000_000;

/// What a run saw, so that a test can tell that it tried what it should.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Seen {
    /// Log calls.
    pub calls: u64,
    /// Records that found no room.
    pub dropped: u64,
    /// Records that sampling left out, of processes that ended well.
    pub left_out: u64,
    /// Times that power failed.
    pub power_losses: u64,
    /// Processes that were killed between steps.
    pub kills: u64,
    /// Processes that were killed at an operation of the disk.
    pub kills_within: u64,
    /// Processes that ended well.
    pub closed: u64,
    /// Deeds of outsiders.
    pub deeds: u64,
    /// Steps of collectors.
    pub collected: u64,
    /// Collectors that were killed, or ended.
    pub collectors: u64,
    /// Changing operations of the disk.
    pub ops: u64,
    /// A number that two runs have in common only if they did the same.
    pub trace: u64,
}

struct World<'a> {
    dice: Dice<'a>,
    place: Place,
    now: u64,
    alive: Vec<Alive>,
    /// Some processes have no worker.
    collecting: bool,
    collector: Option<Collector>,
    /// The end: no fault comes any more.
    well: bool,
    started: u32,
    threads: BTreeMap<u32, Thread>,
    mercy: Mercy,
    file_bytes_max: u64,
    backups: u32,
    /// Outsiders changed files of the view.
    meddled: bool,
    /// A process was killed since everything was last written.
    crashed: bool,
    /// Records in journals that were given up, of processes that are gone.
    given_up: u64,
    /// Room was limited, so that files may be given up.
    short: bool,
    /// A collector was killed meanwhile: what it gave up while it worked for nobody is told nowhere.
    untold: bool,
    /// Power may fail. The disk is well all the while, and nobody meddles: where it takes no checkpoint, lines may be doubled.
    power: bool,
    power_lost: bool,
    /// The same, and no renderer was there since.
    ravaged: bool,
    /// What processes that were killed had on disk.
    synced: BTreeMap<u32, Synced>,
    loud: bool,
    seen: Seen,
}

/// Runs what `dice` decides, and panics when a promise is broken.
pub(super) fn run(mut dice: Dice<'_>) -> Seen {
    let settings = dice.below(4096);
    let (file_bytes_max, backups) = match settings % 4 {
        0 => (1 << 30, 100),
        1 => (12 << 10, 10_000),
        2 => (32 << 10, 10_000),
        _ => (8 << 10, 3),
    };
    let rotation = Settings {
        file_bytes_max,
        backups,
        compress: (settings & 4 != 0).then_some(crate::compress::Codec::Gzip(1)),
        compress_delay_ns: 100 * MS as i64,
        dated: settings & 32 != 0,
        ..Settings::default()
    };
    let format = Format::text("{message}".parse::<Pattern>().unwrap_or_default());
    let view = ViewConfig { name: "all".to_owned(), format, rotation, ..ViewConfig::default() };
    let mut place = Place::new(view, BEGIN_NS);
    place.compress = settings & 8 != 0;
    if settings & 16 != 0 {
        place.sync = Sync::EachSegment;
    }
    if settings & 64 != 0 {
        place.journals_max = 1;
    }
    place.sampling = settings & 128 != 0;
    let power = settings & 0x300 == 0x300;
    if power {
        place.weather.keep_medium();
    }
    let mut world = World {
        dice,
        place,
        now: BEGIN_NS,
        alive: Vec::new(),
        collecting: settings & 0xc00 == 0xc00,
        collector: None,
        well: false,
        started: 0,
        threads: BTreeMap::new(),
        mercy: Mercy { oldest: backups < 100, records: 0 },
        file_bytes_max,
        backups,
        meddled: false,
        crashed: false,
        given_up: 0,
        short: false,
        untold: false,
        power,
        power_lost: false,
        ravaged: false,
        synced: BTreeMap::new(),
        loud: std::env::var_os("TACHO_SAY").is_some(),
        seen: Seen::default(),
    };
    world.start();
    while world.dice.goes_on() {
        world.step();
    }
    world.end();
    world.seen
}

impl World<'_> {
    fn advance(&mut self, ns: u64) {
        self.now += ns;
        self.place.clock.set(self.now);
        simulated::set(Some(self.now));
    }

    /// Tells what is done, with `TACHO_SAY`.
    #[expect(clippy::print_stderr, reason = "for who replays a seed")]
    fn say(&self, what: impl FnOnce(&Self) -> String) {
        if self.loud {
            eprintln!("{:>14} ns, {:>4} operations: {}", self.now - BEGIN_NS, self.place.weather.ops(), what(self));
        }
    }

    fn start(&mut self) {
        // Who cannot make its files is refused, which is no matter of this.
        self.place.weather.calm();
        self.place.weather.set_room(None);
        self.started += 1;
        let external = self.collecting && self.dice.one_in(2);
        self.say(|world| format!("process {} starts, external: {external}", world.started));
        self.alive.push(Alive::start(&self.place, self.started, external));
    }

    /// Some process, if there is one.
    fn any(&mut self) -> Option<usize> {
        (!self.alive.is_empty()).then(|| self.dice.below(self.alive.len() as u64) as usize)
    }

    fn step(&mut self) {
        let pause = self.dice.below(2_000);
        self.advance(pause);
        if self.collecting && self.dice.one_in(3) {
            self.step_collector();
        }
        let what = self.dice.below(32);
        self.say(|world| format!("step {what}, {} alive", world.alive.len()));
        match what {
            0..=7 => self.log(),
            8..=14 => self.with(Alive::write),
            15..=21 => self.with(|process| process.work(false)),
            22 => self.with(|process| process.work(true)),
            23 | 24 => {
                let time = [MS, 10 * MS, 120 * MS, 700 * MS][self.dice.below(4) as usize];
                self.advance(time);
            }
            25 => {
                let (after, partial) = (self.dice.below(24), self.dice.below(200) as usize);
                self.say(|_| format!("death in {after} operations, {partial}"));
                self.place.weather.inject(after, Fault::Crash(partial));
            }
            26 | 27 if self.power => {
                if self.dice.one_in(3) {
                    self.lose_power();
                }
            }
            26 => {
                let error = [libc::ENOSPC, libc::EIO, libc::EACCES, libc::EFBIG, libc::EMFILE, libc::EROFS];
                let error = error[self.dice.below(6) as usize];
                let (after, partial) = (self.dice.below(16), self.dice.below(200) as usize);
                // Files are given up to make room.
                self.short |= error == libc::ENOSPC;
                self.say(|_| format!("error {error} in {after} operations, {partial}"));
                self.place.weather.inject(after, Fault::Errno(error, partial));
            }
            27 => {
                let room = self.dice.below(40_000);
                self.short |= room.is_multiple_of(2);
                self.place.weather.set_room(room.is_multiple_of(2).then_some(room));
            }
            28 | 29 if self.alive.len() < PROCESSES_MAX => self.start(),
            28 | 29 => {
                if let Some(index) = self.any() {
                    if self.dice.one_in(2) {
                        self.alive[index].write_to_the_release();
                    }
                    self.seen.kills += 1;
                    self.kill(index);
                }
            }
            30 => match self.dice.below(6) {
                0 if !self.power => self.meddle(),
                0..=3 => {
                    if let Some(index) = self.any() {
                        self.seen.kills += 1;
                        self.kill(index);
                    }
                }
                4 => self.with(|process| process.ask_to_rotate()),
                _ => self.with(|process| process.ask_for_summaries()),
            },
            _ => {
                if let Some(index) = self.any() {
                    self.close(index, 40);
                }
            }
        }
        if self.alive.is_empty() {
            self.start();
        }
    }

    /// Has the collector work, be killed, or end.
    fn step_collector(&mut self) {
        match self.dice.below(8) {
            0..=5 => self.collect(),
            6 if self.collector.is_some() => self.kill_collector(),
            _ => drop(self.end_collector(20)),
        }
    }

    /// Has the collector do a step; there is one from then on, unless it was killed in the midst of it.
    fn collect(&mut self) {
        let Some(mut collector) = self.collector.take().or_else(|| Collector::start(&self.place).ok()) else { return };
        self.say(|_| "the collector works".to_owned());
        self.seen.collected += 1;
        if self.let_collector(|place| collector.work(place)).is_some() {
            self.ravaged = false;
            self.collector = Some(collector);
        }
    }

    /// Lets the collector do something; `None` if it was killed.
    fn let_collector<T>(&mut self, what: impl FnOnce(&Place) -> T) -> Option<T> {
        match catch_unwind(AssertUnwindSafe(|| what(&self.place))) {
            Ok(done) => Some(done),
            Err(cause) if cause.is::<Killed>() => {
                self.seen.kills_within += 1;
                if self.power && self.dice.one_in(2) {
                    self.lose_power();
                } else {
                    self.kill_collector();
                }
                None
            }
            Err(cause) => resume_unwind(cause),
        }
    }

    fn kill_collector(&mut self) {
        self.say(|_| "the collector dies".to_owned());
        self.collector = None;
        self.untold |= self.short;
        self.seen.collectors += 1;
        self.crashed = true;
        self.check(false);
    }

    /// Ends the collector as `tacho collect` does, if it comes to its end within `rounds`.
    fn end_collector(&mut self, rounds: u32) -> bool {
        let Some(mut collector) = self.collector.take() else { return true };
        self.say(|_| "the collector ends".to_owned());
        self.seen.collectors += 1;
        for _ in 0..rounds {
            self.advance(60 * MS);
            match self.let_collector(|_| collector.finish()) {
                Some(true) => return true,
                Some(false) => {}
                None => return false,
            }
        }
        // It was given up, as one that is killed.
        self.untold |= self.short;
        self.crashed = true;
        false
    }

    fn log(&mut self) {
        let Some(index) = self.any() else { return };
        let process = &mut self.alive[index];
        if process.producers.len() < THREADS_MAX && (process.producers.is_empty() || self.dice.one_in(8)) {
            let key = self.threads.len() as u32;
            self.threads.insert(key, Thread { process: process.number, ..Thread::default() });
            process.begin_thread(key);
        }
        let thread = self.dice.below(process.producers.len() as u64) as usize;
        let (count, filler) = (1 + self.dice.below(64), self.dice.below(600) as usize);
        let keys = if self.place.sampling { self.dice.below(3) * 6 } else { 0 };
        self.say(|world| {
            let (key, process) = (world.alive[index].producers[thread].0, world.alive[index].number);
            format!("thread {key} of process {process} logs {count}, from {} on", world.threads[&key].calls.len())
        });
        for _ in 0..count {
            self.advance(100);
            let key = (keys > 0).then(|| self.dice.below(keys) as u32);
            let process = &self.alive[index];
            let calls = &mut self.threads.get_mut(&process.producers[thread].0).unwrap().calls;
            let taken = process.log(thread, calls.len() as u32, filler, key);
            calls.push(Call { taken, ticks: self.now, key, excused: false, unsynced: false });
            self.seen.calls += 1;
            self.seen.dropped += u64::from(!taken);
        }
    }

    /// Has some process do something, in the midst of which it may be killed.
    fn with(&mut self, what: impl FnOnce(&mut Alive)) {
        if let Some(index) = self.any() {
            self.let_do(index, what);
        }
    }

    /// The same for this one; `None` if it was killed.
    fn let_do<T>(&mut self, index: usize, what: impl FnOnce(&mut Alive) -> T) -> Option<T> {
        let process = self.alive.get_mut(index)?;
        match catch_unwind(AssertUnwindSafe(|| what(process))) {
            Ok(done) => {
                self.ravaged &= !process.has_worked;
                Some(done)
            }
            Err(cause) if cause.is::<Killed>() => {
                self.seen.kills_within += 1;
                if self.power && self.dice.one_in(2) {
                    self.lose_power();
                } else {
                    self.kill(index);
                }
                None
            }
            Err(cause) => resume_unwind(cause),
        }
    }

    fn kill(&mut self, index: usize) {
        let process = self.alive.swap_remove(index);
        self.say(|_| format!("process {} dies", process.number));
        self.given_up += given_up(&process);
        self.synced.insert(process.number, process.synced());
        drop(process);
        self.crashed = true;
        self.check(false);
    }

    /// Power fails, for all processes at once: what stood in shared memory is gone, on disk is what was synced, and any of
    /// the rest.
    fn lose_power(&mut self) {
        self.say(|_| "power fails".to_owned());
        for process in &self.alive {
            self.synced.insert(process.number, process.synced());
        }
        // Of processes that left nothing in shared memory all is synced.
        let left: BTreeSet<u32> = self.place.live_processes();
        for thread in self.threads.values_mut().filter(|thread| left.contains(&thread.process)) {
            let synced = self.synced.get(&thread.process).map_or(0, |synced| synced.ticks);
            // What sampling left out is in no file before its summary is.
            let lost = |call: &&mut Call| call.ticks > synced || call.key.is_some();
            thread.calls.iter_mut().filter(lost).for_each(|call| call.unsynced = true);
        }
        let each_segment = self.place.sync == Sync::EachSegment;
        let finished = |process: &str, segment| {
            let number = process.strip_prefix("process-").and_then(|number| number.parse().ok());
            number.and_then(|number| self.synced.get(&number)).is_some_and(|synced| segment < synced.segment)
        };
        let before = each_segment.then(|| archived(&self.place.logs(), finished));
        self.alive.clear();
        self.collector = None;
        let _ = std::fs::remove_dir_all(self.place.shared());
        let page_bytes = if self.dice.one_in(2) { 512 } else { 4096 };
        let (logs, dice) = (self.place.logs(), &mut self.dice);
        self.place.weather.lose_power(&logs, page_bytes, &mut |end| dice.below(end as u64) as usize);
        if let Some(before) = before {
            archived(&logs, |_, _| true).check_kept(&before);
        }
        self.power_lost = true;
        self.ravaged = true;
        self.crashed = true;
        self.seen.power_losses += 1;
    }

    /// Ends a process as the guard does, if it comes to its end within `rounds`; else what it left is for recovery.
    fn close(&mut self, index: usize, rounds: u32) {
        self.say(|world| format!("process {} closes", world.alive[index].number));
        self.alive[index].close();
        let mut drained = false;
        let mut ended = false;
        let external = self.alive[index].is_external();
        for _ in 0..rounds {
            self.advance(60 * MS);
            if external && !self.collect_for(index) {
                return;
            }
            let Some(done) = self.let_do(index, |process| {
                process.work(false);
                process.finish_writer()
            }) else {
                return;
            };
            drained = done;
            if drained {
                break;
            }
        }
        for _ in 0..rounds {
            if !drained || ended {
                break;
            }
            self.advance(60 * MS);
            if external && !self.collect_for(index) {
                return;
            }
            let Some(done) = self.let_do(index, Alive::finish_worker) else { return };
            ended = done;
        }
        let process = self.alive.swap_remove(index);
        self.given_up += given_up(&process);
        self.say(|world| format!("it ended: {ended}, its writer: {drained}, given up by now: {}", world.given_up));
        if !ended {
            self.synced.insert(process.number, process.synced());
            self.crashed = true;
            return;
        }
        let (written, left_out, dropped) = process.counted();
        self.seen.left_out += left_out;
        let of_process = |thread: &&Thread| thread.process == process.number;
        let calls = |taken| {
            self.threads
                .values()
                .filter(of_process)
                .flat_map(|thread| &thread.calls)
                .filter(|call| call.taken == taken)
                .count()
        };
        let counted = (written + left_out, dropped);
        assert_eq!(counted, (calls(true) as u64, calls(false) as u64), "called = written + left out + dropped");
        if external {
            self.synced.insert(process.number, process.synced());
            // What it left in shared memory is taken away by who comes next.
            self.crashed = true;
        }
        process.leave();
        self.seen.closed += 1;
        self.check(false);
    }

    /// Has the collector work while process `index` waits for it; `false` if power failed, which ends all. At the end, where
    /// nobody is killed, the others work too: one of them may be the renderer.
    fn collect_for(&mut self, index: usize) -> bool {
        let number = self.alive[index].number;
        self.collect();
        for other in 0..self.alive.len() {
            if self.well && other != index {
                self.let_do(other, |process| process.work(false));
            }
        }
        self.alive.get(index).is_some_and(|process| process.number == number)
    }

    /// An outsider deletes, renames or cuts a file of the view.
    fn meddle(&mut self) {
        let mut names: Vec<_> = std::fs::read_dir(self.place.logs())
            .into_iter()
            .flatten()
            .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
            .filter(|name| Part::parse(BASE, name).is_some())
            .collect();
        names.sort_unstable();
        let Some(name) = names.get(self.dice.below(names.len() as u64) as usize) else { return };
        let path = self.place.logs().join(name);
        match self.dice.below(3) {
            0 => std::fs::remove_file(path).unwrap(),
            1 => std::fs::rename(path, self.place.logs().join(format!("{TAKEN}{}", self.now))).unwrap(),
            _ => drop(std::fs::File::create(path).unwrap()),
        }
        self.say(|_| format!("an outsider at {name}"));
        self.meddled = true;
        self.seen.deeds += 1;
        for thread in self.threads.values_mut() {
            thread.calls.iter_mut().for_each(|call| call.excused = true);
        }
    }

    /// What was written into a renamed file, before it had to be noticed that it was, may be there and nowhere else.
    fn excuse_renamed(&mut self) {
        for (at, thread, n) in renamed(&self.place.logs()) {
            let calls = self.threads.get_mut(&thread).map(|thread| &mut thread.calls);
            if let Some(call) = calls.and_then(|calls| calls.get_mut(n as usize)) {
                call.excused |= call.ticks < at + CHECK_NS as u64;
            }
        }
    }

    /// All is well again: everything must arrive.
    fn end(&mut self) {
        self.place.weather.calm();
        self.place.weather.set_room(None);
        self.well = true;
        for round in 0..8 {
            self.advance(round * 250 * MS);
            for index in 0..self.alive.len() {
                self.let_do(index, |process| {
                    process.write();
                    process.work(false);
                });
            }
            if self.collecting {
                self.collect();
            }
            if self.alive.iter().all(Alive::is_done) {
                break;
            }
        }
        while !self.alive.is_empty() {
            let before = self.seen.closed;
            self.close(0, 200);
            assert_eq!(self.seen.closed, before + 1, "a process does not come to its end on a disk that is well");
        }
        assert!(self.end_collector(200), "a collector does not come to its end on a disk that is well");
        self.collecting = false;
        // Whatever the dead left is brought to the files by the next process.
        self.start();
        self.log();
        if self.power_lost {
            // Whose live memory is nowhere to be seen is not over before: it may be in another container. Until then nobody looks
            // behind a hole in its last segment.
            self.advance(OUT_OF_SIGHT_NS_MAX as u64 + 1_000 * MS);
        }
        for round in 0..5 {
            self.advance(round * 250 * MS);
            self.let_do(0, |process| {
                process.write();
                process.work(false);
            });
            if self.place.live_processes().len() <= 1 && self.alive.iter().all(Alive::is_done) {
                break;
            }
        }
        self.check_folders();
        self.close(0, 200);
        assert!(self.alive.is_empty());
        self.crashed = false;
        self.verify();
        self.check(true);
        self.check_archived();
        let left: Vec<_> = std::fs::read_dir(self.place.shared()).into_iter().flatten().flatten().collect();
        assert!(left.is_empty(), "left in shared memory: {left:?}");
        self.seen.ops = self.place.weather.ops();
        self.seen.trace = self.place.weather.trace();
    }

    fn check(&mut self, complete: bool) {
        if self.ravaged {
            return;
        }
        self.excuse_renamed();
        let trust = Trust { meddled: self.meddled, power_lost: self.power_lost };
        let found = read(&self.place.logs(), self.file_bytes_max, !complete, trust);
        self.say(|_| format!("{} dropped, {:?}, {:#?}", found.dropped, found.notes, found.said));
        let mut mercy = self.mercy;
        if self.short {
            let known = self.given_up + self.alive.iter().map(given_up).sum::<u64>();
            mercy = Mercy { oldest: true, records: if self.untold { u64::MAX } else { known } };
        }
        found.check(&self.threads, mercy, complete);
        let labels_max = self.backups as usize + 1;
        assert!(self.meddled || self.crashed || found.files <= 2 * labels_max, "{} files", found.files);
        if complete && !self.meddled && !self.power_lost && !mercy.oldest {
            let dropped = self.threads.values().flat_map(|thread| &thread.calls).filter(|call| !call.taken).count();
            assert_eq!(found.dropped, dropped as u64, "dropped, and stated");
        }
    }

    /// What was logged stands in the journals, where none is given up, and what stands in them stands in the view too: the one
    /// is made of the other.
    fn check_archived(&self) {
        if self.short {
            return;
        }
        let archived = archived(&self.place.logs(), |_, _| true);
        if self.place.journals_max == usize::MAX {
            archived.check(&self.threads);
        }
        if self.meddled || self.mercy.oldest {
            return;
        }
        let trust = Trust { meddled: false, power_lost: self.power_lost };
        read(&self.place.logs(), self.file_bytes_max, false, trust).check_archived(&archived);
    }

    /// Where no more than so many journals of the dead are kept, the folders of the others go.
    fn check_folders(&mut self) {
        if self.place.journals_max == usize::MAX {
            return;
        }
        for _ in 0..3 {
            self.advance(6_000 * MS);
            self.let_do(0, |process| process.work(true));
        }
        let journals = std::fs::read_dir(self.place.logs().join(JOURNAL)).unwrap().map(|entry| entry.unwrap().path());
        // Whose recovery was killed at its very end is over when its folder has not changed for an hour.
        let folders = journals.filter(|path| path.is_dir() && !path.join(POINTER).exists()).count();
        self.say(|_| format!("{folders} journals"));
        assert!(folders <= self.place.journals_max, "{folders} folders of dead processes");
    }

    /// The archive is whole and misses nothing.
    fn verify(&self) {
        let mut report = crate::verify::Report::default();
        crate::verify::verify(&self.place.logs(), &mut report, &mut |_| ()).unwrap();
        self.say(|_| format!("{:#?}", report.journals));
        if self.power_lost {
            return;
        }
        // A segment that was given up for want of room can have stood between others: what is in work goes last. So can the
        // summary of what was left out before it.
        if self.short {
            let is_known =
                |problem: &String| problem.ends_with("missing between others") || problem.ends_with("missing segments");
            report.journals.iter_mut().for_each(|it| it.problems.retain(|problem| !is_known(problem)));
        }
        assert!(!report.is_damaged(), "{report:?}");
        let missing: u64 = report.journals.iter().map(|journal| journal.missing).sum();
        assert!(self.short || missing == 0, "{report:?}");
    }
}

/// Records that a process's worker says were lost.
fn given_up(process: &Alive) -> u64 {
    let words = &process.core.control.worker;
    words.given_up_records.load(Ordering::Relaxed) + words.lost.load(Ordering::Relaxed)
}
