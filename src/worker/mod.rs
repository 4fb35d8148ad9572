//! The worker: everything that touches the disk.
//!
//! * [`archive`]: live segments to files, and so their release.
//! * [`feed`]: the records of all journals in the order of the views.
//! * [`views`]: those records to lines, while this process is the elected renderer.
//! * [`cursor`]: how far the views are, on disk.
//! * [`survive`]: where rendering begins, with the intent page or without it.
//! * [`names`]: which views there are, on disk.
//! * [`page`]: the shared memory that makes it exact over crashes.
//! * [`keep`]: compression and retention of archived segments.
//! * [`watch`]: live memory that others truncated or removed, made again.
//! * [`slow`]: the thread of low priority that compresses.
//! * [`beside`]: the thread that archives while the worker renders, in a burst.
//!
//! * [`room`]: what is given up when the disk is full.
//! * [`trouble`], [`statement`]: what is said of it all, in health and in the log.
//! * [`unsaid`]: what could not be said, left to the next worker.
//! * [`checkup`], [`alert`]: how everything is, and who is told.
//! * [`process`]: what all of this needs of a logging process.
//!
//! The worker is a state machine with a [`step`](Worker::step). Two are around it: [`thread`], in the logging process, and
//! [`collect`], for the processes of a directory, in a process of its own.

mod alert;
pub(crate) mod archive;
mod beside;
mod checkup;
pub mod collect;
pub(crate) mod cursor;
pub(crate) mod feed;
pub(crate) mod keep;
pub(crate) mod names;
mod pack;
pub(crate) mod page;
pub(crate) mod process;
mod room;
mod slow;
mod statement;
mod survive;
mod thread;
mod trouble;
mod unsaid;
pub(crate) mod views;
mod watch;

use crate::clock::instant::Instant;
use crate::clock::ticks::{monotonic_ns, unix_ns};
use crate::config::headroom;
use crate::config::{Config, Sync};
use crate::disk::capped::{Capped, Ledger};
use crate::disk::{Disk, RealDisk, is_full};
use crate::error::Error;
use crate::logger::core::{Core, Wishes};
use crate::recovery;
use crate::shm::control::activity;
use crate::shm::directory::{self, Directory, JOURNAL};
use archive::Taken;
use beside::Beside;
use checkup::Checkup;
use keep::{Going, Keeper};
use process::{Process, Tended};
use room::GivenUp;
use slow::Slow;
use statement::Statements;
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
pub(crate) use thread::{Inline, run};
use trouble::Troubles;
use views::Views;

/// How long the worker sleeps when nothing happens; a line stands in its file so long after its call at the latest,
/// the writer's sleep and a thread in the midst of a call not counted.
const PAUSE: Duration = Duration::from_millis(2);
/// What one step archives at most, while live memory has room: about what it renders, which is then still in the cache.
const ARCHIVE_BYTES_PER_STEP: u64 = 512 << 10;
/// The pause after a fault of the disk.
const PAUSE_AFTER_FAULT: Duration = Duration::from_millis(50);
/// How often the worker looks at what need not be looked at all the time: election, rings, retention.
const UPKEEP_INTERVAL: Duration = Duration::from_millis(100);
/// How long a process that ends waits for the renderer, another process, to take its last lines.
const RENDERED_BY_OTHERS_MAX: Duration = Duration::from_secs(1);
/// How long a process that ends waits for the compression under way; what it leaves is found by the next one.
const COMPRESSION_END_MAX: Duration = Duration::from_secs(1);
/// How often the files are measured, where their bytes have a cap.
const MEASURE_INTERVAL: Duration = Duration::from_secs(1);
/// Bytes below the cap for what is written past the worker: the stored configuration, names of live folders.
const CAP_RESERVE: u64 = 64 << 10;
/// How often it looks for processes that died.
const RECOVERY_INTERVAL: Duration = Duration::from_millis(500);

/// The worker's state.
pub(crate) struct Worker<D: Disk = RealDisk> {
    tended: Vec<Tended<Capped<D>>>,
    views: Views<Capped<D>>,
    keeper: Keeper<Capped<D>>,
    slow: Slow<Capped<D>>,
    beside: Beside<Capped<D>>,
    disk: Arc<Capped<D>>,
    ledger: Arc<Ledger>,
    /// Bytes that are kept free below the cap.
    headroom: u64,
    measured_at: Option<Instant>,
    /// When nothing was found that may go to keep them free.
    cramped_at: Option<Instant>,
    dir: PathBuf,
    /// The folder of live folders; `None` with anonymous memory.
    shared: Option<PathBuf>,
    journals: Capped<D>,
    looked_at: Option<Instant>,
    sync: Sync,
    synced_at: Instant,
    upkept_at: Option<Instant>,
    recovered_at: Option<Instant>,
    finishing_since: Option<Instant>,
    ending: bool,
    trouble: Option<String>,
    /// What kept lines from their files at the last step.
    waiting: Option<String>,
    troubles: Troubles,
    statements: Statements,
    given_up: GivenUp,
    /// The last sync found no room.
    full: bool,
    checkup: Checkup,
    /// Files compressed.
    compressions: u64,
    /// When all files were last forced to disk; 0 before.
    synced_unix_ns: i64,
    /// Processes recovered that had not closed their logger, and the records that stood in their rings only.
    crashed: (u64, u64),
}

/// How archiving went.
#[derive(Default)]
struct Archived {
    /// An archive met a fault.
    behind: bool,
    /// It was that there is no room.
    full: bool,
    /// There is more to be archived at once.
    left: bool,
}

impl Archived {
    fn add(&mut self, more: Self) {
        self.behind |= more.behind;
        self.full |= more.full;
        self.left = more.left;
    }
}

/// What a step did.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Done {
    /// There may be more to do at once.
    pub(crate) more: bool,
    /// The disk refused something.
    pub(crate) fault: bool,
}

impl Worker {
    /// A worker for `core`, whose log directory is `directory`.
    pub(crate) fn new(core: &Arc<Core>, directory: &Directory) -> Result<Self, Error> {
        let made = RealDisk::open(&directory.path).and_then(|disk| {
            let process = Arc::clone(core) as Arc<dyn Process>;
            let shared = core.memory.folder().and_then(Path::parent);
            let mut worker = Self::on(disk, &core.config, &directory.path, shared, Some(Arc::clone(&process)))?;
            worker.tend(process, 1, String::new())?;
            Ok(worker)
        });
        made.map_err(|error| {
            let advice = "the log directory must be writable for this user; check its path and owner";
            Error::io("cannot open", &directory.path, error, advice)
        })
    }
}

impl<D: Disk<File: 'static> + 'static> Worker<D> {
    /// A worker for the log directory `disk`, at the path `dir`, whose live folders are in `shared`; `own` is the process
    /// that it is a thread of.
    pub(crate) fn on(
        disk: D,
        config: &Config,
        dir: &Path,
        shared: Option<&Path>,
        own: Option<Arc<dyn Process>>,
    ) -> io::Result<Self> {
        let ledger = Ledger::new(config.disk_bytes_max().map(|cap| cap.saturating_sub(CAP_RESERVE)));
        let disk = Arc::new(Capped::new(disk, Arc::clone(&ledger)));
        let journals = || disk.make_folder(JOURNAL);
        let keeper = Keeper::new(config, journals()?);
        let views = views::check(config).map_err(io::Error::other)?;
        disk.measure()?;
        let headroom = headroom(config, &views);
        let (for_views, journals) = (journals()?, journals()?);
        Ok(Self {
            tended: Vec::new(),
            views: Views::new(views, Arc::clone(&disk), for_views, dir, shared, own),
            keeper,
            slow: Slow::new(config.mode),
            beside: Beside::new(),
            disk,
            ledger,
            headroom,
            measured_at: None,
            cramped_at: None,
            dir: dir.to_path_buf(),
            shared: shared.map(Path::to_path_buf),
            journals,
            looked_at: None,
            sync: config.sync,
            synced_at: Instant::now(),
            upkept_at: None,
            recovered_at: None,
            finishing_since: None,
            ending: false,
            trouble: None,
            waiting: None,
            troubles: Troubles::default(),
            statements: Statements::default(),
            given_up: GivenUp::default(),
            full: false,
            checkup: Checkup::new(config),
            compressions: 0,
            synced_unix_ns: 0,
            crashed: (0, 0),
        })
    }

    /// Archives the journal of `process` from segment `number` on.
    /// `remark` is said of it while there is no trouble.
    pub(crate) fn tend(&mut self, process: Arc<dyn Process>, number: u64, remark: String) -> io::Result<()> {
        let folder = self.journals.make_folder(process.name())?;
        self.tended.push(Tended::new(process, folder, number, remark));
        self.name_tended();
        Ok(())
    }

    /// Keeps no more than `journals` journals of dead processes.
    #[cfg(any(test, fuzzing, feature = "testing"))]
    pub(crate) fn keep_journals(&mut self, journals: usize) {
        self.keeper.journals_max = journals;
    }

    /// Whether the journal of that name is archived here.
    pub(crate) fn tends(&self, name: &OsStr) -> bool {
        self.tended.iter().any(|tended| name == tended.process.name())
    }

    /// Gives up the archives of processes that died, so that the next step recovers them.
    pub(crate) fn release_dead(&mut self) {
        let before = self.tended.len();
        // What is on disk but was not forced there would never be.
        self.tended.retain_mut(|tended| !tended.process.is_dead() || tended.archive.sync().is_err());
        if self.tended.len() != before {
            self.recover_next();
            self.name_tended();
        }
    }

    /// The next step looks for processes that died.
    pub(crate) fn recover_next(&mut self) {
        (self.upkept_at, self.recovered_at) = (None, None);
    }

    /// What keeps this from its work, if anything does.
    pub(crate) fn trouble(&self) -> Option<&str> {
        self.trouble.as_deref()
    }

    /// Whether everything that can be in the files is.
    pub(crate) fn is_done(&self) -> bool {
        self.views.is_done()
    }

    fn name_tended(&mut self) {
        self.keeper.tend(self.tended.iter().map(|tended| tended.process.name().to_owned()).collect());
    }

    /// Says what this is at, to those who wonder why they wait.
    fn now_at(&self, activity: u32) {
        let now = monotonic_ns();
        for tended in &self.tended {
            let worker = &tended.process.control().worker;
            worker.activity.store(activity, Ordering::Relaxed);
            worker.heartbeat.store(now, Ordering::Relaxed);
        }
    }

    /// Does what there is to do.
    pub(crate) fn step(&mut self, wishes: Wishes) -> Done {
        self.now_at(activity::ARCHIVING);
        let mut archived = Archived::default();
        let interval = matches!(self.sync, Sync::Interval(interval) if self.synced_at.elapsed() >= interval);
        let asked = self.tended.iter_mut().fold(self.views.sync_wanted(), |any, tended| tended.sync_wanted() || any);
        let syncs = asked || wishes.sync || interval;
        let archive_bytes = if syncs || wishes.stop { u64::MAX } else { ARCHIVE_BYTES_PER_STEP };
        // Room is for the lines first: what they wait for must not go to the archive.
        let waiting = self.views.is_out_of_room();
        let watermarks: Vec<u64> = self.tended.iter().map(|tended| tended.follow()).collect();
        let beside = archive_bytes != u64::MAX && !waiting && self.has_backlog();
        if !waiting {
            let sync_each = self.sync == Sync::EachSegment;
            // What the other thread has taken all of is finished here.
            let bytes_max = if beside { 0 } else { archive_bytes };
            let take = |Tended { process, archive, .. }: &mut Tended<Capped<D>>| {
                archive.step_some(process.control(), process.segments(), sync_each, bytes_max)
            };
            let taken = self.tended.iter_mut().map(take).collect();
            archived.add(self.archived(taken, &watermarks));
        }
        if self.upkept_at.is_none_or(|at| at.elapsed() >= UPKEEP_INTERVAL) || wishes.stop {
            self.upkept_at = Some(Instant::now());
            self.now_at(activity::UPKEEP);
            self.upkeep();
        }
        if self.keeper.is_to_measure() {
            self.retain();
        }
        self.keep_below_cap();
        self.now_at(activity::RENDERING);
        let beside = beside && self.beside.begin(&mut self.tended);
        let rendered = self.views.step();
        if beside {
            let taken = self.beside.end(&mut self.tended);
            archived.add(self.archived(taken, &watermarks));
        }
        let mut more = self.troubles.see("rendering the views", rendered).unwrap_or(false);
        if archived.full || std::mem::take(&mut self.full) || self.views.is_out_of_room() {
            let count = |given_up: &mut GivenUp| count(&self.tended, given_up);
            let made = room::make(&mut self.keeper, &mut self.views, &mut self.given_up, count);
            self.tended.iter_mut().for_each(|tended| tended.archive.close_deleted());
            more |= self.troubles.see("making room", made).unwrap_or(false);
        }
        self.rotate_if_asked();
        if syncs && !archived.behind {
            self.now_at(activity::SYNCING);
            let synced = self.sync_all();
            self.full = synced.as_ref().is_err_and(is_full);
            self.troubles.see("syncing", synced);
            self.synced_at = Instant::now();
        }
        let fault = self.tell();
        self.now_at(activity::RESTING);
        Done { more: more || archived.left, fault }
    }

    /// Whether so much is to be archived that it is done beside the rendering.
    fn has_backlog(&self) -> bool {
        let backlog = |tended: &Tended<Capped<D>>| tended.archive.backlog(tended.process.segments());
        self.views.is_elected() && self.beside.is_worth(self.tended.iter().map(backlog).sum())
    }

    /// From now on there is a core for archiving beside rendering.
    pub(crate) fn work_beside(&mut self) {
        self.beside.allow();
    }

    /// The same, without another thread.
    #[cfg(any(test, fuzzing, feature = "testing"))]
    pub(crate) fn simulate_beside(&mut self) {
        self.beside.simulate();
    }

    /// Sees to what archives took; `watermarks` are those from before.
    fn archived(&mut self, taken: Vec<io::Result<Taken>>, watermarks: &[u64]) -> Archived {
        let mut all = Archived::default();
        for ((tended, taken), before) in self.tended.iter_mut().zip(taken).zip(watermarks) {
            let Tended { process, archive, watermark, .. } = tended;
            all.behind |= taken.is_err();
            all.full |= taken.as_ref().is_err_and(is_full);
            if let Some(taken) = self.troubles.see("archiving the journal", taken) {
                if taken.whole {
                    *watermark = *before;
                }
                all.left |= !taken.whole;
                if !taken.finished.is_empty() {
                    self.keeper.finished(process.name(), &taken.finished);
                }
            }
            for (number, records) in archive.take_lost() {
                process.note_lost(number, records);
            }
        }
        all
    }

    /// Tells the processes, and those who wait, how it goes; says whether this step met a fault.
    fn tell(&mut self) -> bool {
        let (trouble, waiting) = (self.troubles.said(), self.views.trouble());
        let is_waiting = waiting.is_some();
        if let Some(waiting) = waiting.as_ref().filter(|waiting| self.waiting.as_ref() != Some(*waiting)) {
            self.troubles.meet(waiting);
        }
        self.waiting.clone_from(&waiting);
        let trouble = trouble.or(waiting);
        self.publish_upkeep(trouble.is_some());
        let (lines, errors) = (self.views.lines(), self.troubles.take_failures());
        for tended in &mut self.tended {
            tended.say(trouble.as_deref());
            let control = tended.process.control();
            control.worker.errors.fetch_add(errors, Ordering::Relaxed);
            if let Some(lines) = lines {
                control.worker.lines.store(lines, Ordering::Relaxed);
            }
        }
        count(&self.tended, &mut self.given_up);
        // One process's log is enough for what concerns the directory.
        if let Some(first) = self.tended.first() {
            self.statements.step(first.process.control());
        }
        self.given_up.state(self.tended.iter().map(|tended| tended.process.control()));
        self.leave_word();
        // After the trouble is known, so that who waited for a flush finds what health says to be true.
        self.views.tell();
        self.trouble = trouble;
        errors > 0 || is_waiting
    }

    /// Forces to disk what is archived and rendered.
    fn sync_all(&mut self) -> io::Result<()> {
        self.tended.iter_mut().try_for_each(Tended::sync)?;
        self.views.sync()?;
        self.synced_unix_ns = unix_ns();
        Ok(())
    }

    /// Puts the files of views away that somebody asks for; who does not render says so.
    fn rotate_if_asked(&mut self) {
        let asks: Vec<_> = self
            .tended
            .iter()
            .filter_map(|tended| {
                let (number, name) = tended.process.control().request.rotate.waiting()?;
                Some((Arc::clone(&tended.process), number, name))
            })
            .collect();
        let mut answers: BTreeMap<&str, Result<String, String>> = BTreeMap::new();
        for (process, number, name) in &asks {
            // Asked of several processes, it is done once.
            let answer = answers.entry(name).or_insert_with(|| {
                let (names, done) = self.views.rotate(name)?;
                let failed = done.as_ref().err().map(ToString::to_string);
                self.troubles.see("rotating the views", done);
                failed.map_or_else(|| Ok(names.join(", ")), Err)
            });
            process.control().request.rotate.answer(*number, answer);
        }
    }

    fn upkeep(&mut self) {
        let found = self.revalidate();
        self.troubles.see("opening the log directory", found);
        // Before the first line is rendered, so that the lines of the dead stand before those of this process.
        if self.recovered_at.is_none_or(|at| at.elapsed() >= RECOVERY_INTERVAL) {
            self.recovered_at = Some(Instant::now());
            let recovered = recovery::recover_all(&self.journals, &self.dir, self.shared.as_deref());
            self.full |= recovered.as_ref().is_err_and(is_full);
            for one in self.troubles.see("recovering dead processes", recovered).unwrap_or_default() {
                if one.crashed {
                    self.crashed.0 += 1;
                    self.crashed.1 += one.records;
                    self.checkup.note_crash(&one);
                }
            }
            if !self.tended.is_empty() {
                let taken = unsaid::take(&self.journals, &mut self.statements, &mut self.given_up);
                self.troubles.see("reading what another could not say", taken);
                // At once: what a page has counted, recovery states.
                count(&self.tended, &mut self.given_up);
            }
        }
        let look = self.looked_at.is_none_or(|at| at.elapsed() >= watch::LOOK_INTERVAL);
        if look {
            self.looked_at = Some(Instant::now());
        }
        for tended in &self.tended {
            let mended = tended.process.mend(look);
            self.troubles.see("making live memory again", mended);
        }
        let stood = self.views.stand();
        self.troubles.see("becoming the renderer", stood);
        for tended in &self.tended {
            tended.process.make_spare_rings();
        }
        for result in self.slow.take_results() {
            match result {
                slow::Result::View(result) => {
                    self.compressions += u64::from(result.is_ok());
                    let finished = match self.views.finished(result) {
                        // Others deleted it: there is nothing to be compressed.
                        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
                        finished => finished,
                    };
                    self.troubles.see("compressing a backup", finished);
                }
                slow::Result::Segment(segment, outcome) => {
                    self.compressions += u64::from(outcome.is_ok());
                    let compressed = self.keeper.compressed(&segment, outcome, unix_ns());
                    self.troubles.see("compressing a segment", compressed);
                }
            }
        }
        let job = self.views.maintain();
        if let Some(Some(job)) = self.troubles.see("keeping the views' files", job) {
            self.slow.send(slow::Job::View(job));
        }
        if !self.ending {
            match self.keeper.next_to_compress(unix_ns()) {
                Ok(Some(segment)) => self.slow.send(slow::Job::Segment(segment)),
                Ok(None) => {}
                Err(error) => drop(self.troubles.see::<()>("compressing a segment", Err(error))),
            }
        }
        if self.views.is_elected() {
            self.retain();
        } else {
            let learned = self.tended.iter_mut().try_for_each(|tended| tended.learn(&self.views));
            self.troubles.see("reading how far the views are", learned);
        }
        self.views.incidents().into_iter().for_each(|text| self.statements.say(text));
        self.check_up(false);
    }

    /// Leaves to the next worker what there is to say, where nobody is there in whose log it could be; `false` if it cannot.
    fn leave_word(&mut self) -> bool {
        if !self.tended.is_empty() {
            return true;
        }
        let left = unsaid::leave(&self.journals, &self.statements, &self.given_up);
        let is_left = left.is_ok();
        if is_left {
            (self.statements, self.given_up) = Default::default();
        }
        self.troubles.see("leaving word of losses", left);
        is_left
    }

    /// Deletes the oldest while there is little room below the cap, so that nothing that is written has to wait for it.
    fn keep_below_cap(&mut self) {
        if !self.ledger.is_capped() {
            return;
        }
        if self.measured_at.is_none_or(|at| at.elapsed() >= MEASURE_INTERVAL) {
            self.measured_at = Some(Instant::now());
            let measured = self.disk.measure();
            self.troubles.see("measuring the log directory", measured);
        }
        if self.cramped_at.is_some_and(|at| at.elapsed() < UPKEEP_INTERVAL) {
            return;
        }
        self.cramped_at = None;
        while self.ledger.free() < self.headroom {
            let made = room::keep(&mut self.keeper, &mut self.views, &mut self.given_up);
            self.tended.iter_mut().for_each(|tended| tended.archive.close_deleted());
            if self.troubles.see("keeping below disk_bytes_cap", made) != Some(true) {
                self.cramped_at = Some(Instant::now());
                return;
            }
        }
    }

    /// Deletes what the limit of the archive does not leave room for.
    fn retain(&mut self) {
        let needed = self.views.needed();
        let (tended, given_up) = (&self.tended, &mut self.given_up);
        let say = |going: Going| {
            if going.lost > 0 || going.awaited {
                given_up.lose(going);
                count(tended, given_up);
            }
        };
        let gone = needed.and_then(|needed| self.keeper.retain(&needed, say));
        if self.troubles.see("retaining the journal", gone).unwrap_or(true) {
            self.views.close_archives();
        }
    }

    /// Goes on in the directory to which the path leads now, should the one before have been deleted or renamed.
    fn revalidate(&mut self) -> io::Result<()> {
        let mut moved = self.views.revalidate()?;
        moved |= self.journals.revalidate()?;
        moved |= self.keeper.revalidate()?;
        for Tended { process, archive, .. } in &mut self.tended {
            if archive.revalidate()? {
                moved = true;
                if let Some(live) = self.shared.as_ref().map(|shared| shared.join(process.name())) {
                    directory::restore(&self.journals, archive.folder(), &live)?;
                }
            }
            process.hold_journal();
            let restored = archive.take_restored();
            if restored > 0 {
                let what =
                    "another program changed or deleted the growing segment of the journal; it was written again";
                self.statements.say(what.to_owned());
            }
        }
        if moved {
            let dir = self.dir.display();
            self.statements.say(format!("{dir} was deleted or renamed; what stood in it is there no more"));
        }
        Ok(())
    }

    /// The end: everything is archived, rendered and synced, if the disk lets it; of processes that go on, what they
    /// logged by now.
    pub(crate) fn finish(&mut self) -> bool {
        let wishes = Wishes { sync: false, stop: true };
        if !self.ending {
            self.ending = true;
            self.views.look_again();
        }
        // What the last attempt met is no fault of this one.
        self.views.forget_trouble();
        let done = self.step(wishes);
        let since = *self.finishing_since.get_or_insert_with(Instant::now);
        let ends = |tended: &&Tended<Capped<D>>| !tended.process.outlives_worker();
        let archived = self.tended.iter().filter(ends).all(Tended::is_archived);
        // They are safe in the archive; the elected renderer gets time enough to take them.
        let by_others = || {
            let is_rendered = |tended: &Tended<Capped<D>>| {
                let control = tended.process.control();
                control.worker.rendered.load(Ordering::Acquire) >= control.writer.watermark.load(Ordering::Acquire)
            };
            self.tended.iter().filter(ends).all(is_rendered) || since.elapsed() >= RENDERED_BY_OTHERS_MAX
        };
        let rendered = self.views.is_done() && (self.views.is_elected() || by_others());
        let busy = self.keeper.is_busy() || self.checkup.alerts.is_busy();
        let busy = busy && since.elapsed() < COMPRESSION_END_MAX;
        if done.more || done.fault || !archived || !rendered || busy {
            return false;
        }
        self.check_up(true);
        let archives = self.tended.iter_mut().try_for_each(Tended::sync);
        if let Err(error) = archives.and_then(|()| self.views.retire()) {
            self.full = is_full(&error);
            self.views.note(format!("syncing at the end: {error}"));
            return false;
        }
        if !self.leave_word() && since.elapsed() < COMPRESSION_END_MAX {
            return false;
        }
        for tended in self.tended.iter().filter(ends) {
            tended.process.control().worker.drained.store(1, Ordering::Release);
        }
        true
    }
}

/// Counts in the pages of the processes what was given up and is not counted yet.
fn count<D: Disk>(tended: &[Tended<D>], given_up: &mut GivenUp) {
    tended.iter().for_each(|tended| given_up.count(&tended.process.control().worker));
    // Where there is nobody yet whose page could have it, it waits for the next one.
    if !tended.is_empty() {
        given_up.counted();
    }
}
