//! A simulated logging process: the real shared state, writer and worker, and threads that log.

use super::disk::{SimDisk, Weather};
use crate::callsite::Site;
use crate::clock::anchor::{Anchors, RATE_ONE};
use crate::clock::instant::simulated;
use crate::clock::{Clock, ManualClock};
use crate::config::{self, Config, Identity, Mode, Sampling, Sync};
use crate::logger::component::LogTo;
use crate::logger::core::{Core, Wishes};
use crate::logger::emit::{Erased, record};
use crate::logger::lease::Lease;
use crate::logger::start::make;
use crate::recovery;
use crate::ring::protocol::Consumed;
use crate::shm::control::state;
use crate::shm::directory::{Directory, JOURNAL};
use crate::shm::folder::{directory_folder, private_folder};
use crate::shm::journal::{self, Hold};
use crate::value::Args;
use crate::view::intent::PAGE_BYTES_MIN;
use crate::view::{Config as ViewsConfig, ViewConfig};
use crate::worker::Worker;
use crate::worker::process::Attached;
use crate::writer::journal::Origin;
use crate::writer::step::{Pace, Stamp, Writer};
use crate::{error, info};
use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Identity of the simulated directory.
const ID: &str = "0123456789abcdef0123456789abcdef";
/// How long the writer waits for a call in progress, in ticks, which are nanoseconds here.
const ORDER_WAIT: u64 = 1_000_000;
const ANCHOR_BUSY: u64 = 1_000_000_000;
const ANCHOR_IDLE: u64 = 60_000_000_000;

/// A thread that logs.
#[derive(Debug)]
pub struct Producer {
    lease: Lease,
}

impl LogTo for Producer {
    fn takes(&self, _: &'static Site) -> bool {
        true
    }

    fn take<A: Args>(&self, site: &'static Site, args: A) {
        record(&self.lease, site, &Erased(&args));
    }
}

/// What the processes of a run have in common.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) dir: PathBuf,
    pub(super) clock: ManualClock,
    pub(super) weather: Weather,
    pub(super) views: ViewsConfig,
    pub(super) archive_bytes_max: u64,
    /// Journals of dead processes that are kept.
    pub(super) journals_max: usize,
    pub(super) compress: bool,
    pub(super) sync: Sync,
    /// Repeats are left out.
    pub(super) sampling: bool,
}

impl Drop for Place {
    fn drop(&mut self) {
        simulated::set(None);
        let _ = std::fs::remove_dir_all(&self.dir);
    }
}

impl Place {
    /// A place in a folder of its own in memory, with the view `view`; the clocks stand at `now` from here on.
    pub(super) fn new(view: ViewConfig, now: u64) -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let name = format!("tacho-simulator-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let dir = PathBuf::from("/dev/shm").join(name);
        let _ = std::fs::remove_dir_all(&dir);
        std::fs::create_dir(&dir).unwrap();
        simulated::set(Some(now));
        Self {
            dir,
            clock: ManualClock::new(now),
            weather: Weather::default(),
            views: ViewsConfig { views: vec![view], components: None, open_files_max: 4 },
            archive_bytes_max: 1 << 40,
            journals_max: usize::MAX,
            compress: false,
            sync: Sync::Interval(Duration::from_millis(50)),
            sampling: false,
        }
    }

    pub(super) fn logs(&self) -> PathBuf {
        self.dir.join("logs")
    }

    /// The folder of live folders.
    pub(super) fn shared(&self) -> PathBuf {
        directory_folder(&self.dir, ID)
    }

    /// Numbers of the processes that have something in shared memory.
    pub(super) fn live_processes(&self) -> BTreeSet<u32> {
        let entries = std::fs::read_dir(self.shared()).into_iter().flatten().flatten();
        entries.filter_map(|entry| entry.file_name().to_str()?.strip_prefix("process-")?.parse().ok()).collect()
    }

    /// As of a process whose worker is a collector, or not.
    fn config_of(&self, external: bool) -> Config {
        self.config().worker(if external { config::Worker::External } else { config::Worker::Thread })
    }

    fn config(&self) -> Config {
        let mut config = Config::new(self.logs())
            .shm_dir(&self.dir)
            .segments(3_usize)
            .segment_bytes(64_usize << 10)
            .ring_bytes(64_usize << 10)
            .record_bytes_max(2_usize << 10)
            .rings_spare(0_usize)
            .table_bytes(64_usize << 10)
            .archive_compress(self.compress)
            .archive_bytes_max(self.archive_bytes_max)
            .sync(self.sync)
            .health_interval(Duration::ZERO)
            .gzip_level(1_u32)
            .clock(Clock::Manual(self.clock.clone()));
        if self.sampling {
            // As few identities as can be, so that they drive each other out.
            let sampling = Sampling::new().per_interval(2).interval(Duration::from_millis(100)).entries(8);
            config = config.sampling(sampling.identity(Identity::Field("key".to_owned())));
        }
        config.views = Some(self.views.clone());
        config
    }

    /// The folder in shared memory, and a small page for the views in it, where there is none.
    fn prepare(&self) {
        let shared = self.shared();
        private_folder(&shared, None).unwrap();
        let page = shared.join("views");
        if !page.exists() {
            std::fs::File::create(page).unwrap().set_len(2 * PAGE_BYTES_MIN as u64).unwrap();
        }
        let journals = self.logs().join(JOURNAL);
        std::fs::create_dir_all(&journals).unwrap();
        if !journals.join("id").exists() {
            std::fs::write(journals.join("id"), format!("{ID}\n")).unwrap();
        }
    }
}

/// What of a process is on disk.
#[derive(Clone, Copy, Debug)]
pub(super) struct Synced {
    /// Up to which tick its records were told to be.
    pub(super) ticks: u64,
    /// The first segment that is not finished.
    pub(super) segment: u64,
}

/// A process that lives.
pub(super) struct Alive {
    pub(super) number: u32,
    pub(super) core: Arc<Core>,
    writer: Writer,
    /// Absent where a collector does its work.
    worker: Option<Worker<SimDisk>>,
    /// Its worker came to the end of a step.
    pub(super) has_worked: bool,
    /// With their numbers.
    pub(super) producers: Vec<(u32, Producer)>,
}

impl Alive {
    /// Starts process `number`. What [`start`](crate::start) does, but for threads, terms and cores. `external`: a collector
    /// does the worker's work.
    pub(super) fn start(place: &Place, number: u32, external: bool) -> Self {
        place.prepare();
        let path = place.logs();
        let process = format!("process-{number:03}");
        let folder = path.join(JOURNAL).join(&process);
        std::fs::create_dir(&folder).unwrap();
        let mut identity = [7; 16];
        identity[..4].copy_from_slice(&number.to_le_bytes());
        let hold = Arc::new(Hold::take(&folder).unwrap().expect("nobody has it"));
        let directory = Directory { path: path.clone(), id: ID.to_owned(), process, folder, hold, identity };
        let config = place.config_of(external);
        let (core, made) = make(&config, &directory, Vec::new()).unwrap();
        let live = core.memory.folder().expect("/dev/shm has room").to_path_buf();
        directory.point_to(&live).unwrap();
        core.memory.keep();
        // The clock is set by hand, but it stands for the counter.
        core.control.identity.segment_flags.store(0, Ordering::Relaxed);
        core.control.identity.state.store(state::RUNNING, Ordering::Release);
        let now = core.now();
        let origin = Origin { process: identity, boot: core.boot, ticks_per_s: core.ticks_per_s, flags: 0 };
        let pace = Pace {
            order_wait: ORDER_WAIT,
            slack: 0,
            stamp: Stamp::Counter,
            anchor_busy: ANCHOR_BUSY,
            anchor_idle: ANCHOR_IDLE,
        };
        let anchors = Anchors::new(now, i64::try_from(now).unwrap(), RATE_ONE);
        let writer = Writer::new(origin, 0, anchors, pace).with_sampling_of(made);
        let worker = (!external).then(|| Self::worker(place, &core, &live));
        Self { number, core, writer, worker, has_worked: false, producers: Vec::new() }
    }

    fn worker(place: &Place, core: &Arc<Core>, live: &Path) -> Worker<SimDisk> {
        // Compression is done within the step.
        let config = place.config().mode(Mode::Synchronous);
        let disk = SimDisk::open(&place.logs(), &place.weather).unwrap();
        let process = || Arc::clone(core) as Arc<dyn crate::worker::process::Process>;
        let mut worker = Worker::on(disk, &config, &place.logs(), live.parent(), Some(process())).unwrap();
        worker.keep_journals(place.journals_max);
        worker.tend(process(), 1, String::new()).unwrap();
        // Every other one archives beside rendering, as they all do where there is a backlog and a core for it.
        if core.process_name.bytes().last().is_some_and(|digit| digit % 2 == 1) {
            worker.simulate_beside();
        }
        worker
    }

    /// A thread begins to log, if it gets a ring.
    pub(super) fn begin_thread(&mut self, key: u32) {
        if let Some(lease) = Lease::take(Arc::clone(&self.core)) {
            self.producers.push((key, Producer { lease }));
        }
    }

    /// A call of producer `index`; says whether the record was taken. Those with the same number `repeats` are repeats.
    pub(super) fn log(&self, index: usize, n: u32, filler: usize, repeats: Option<u32>) -> bool {
        let Some((key, producer)) = self.producers.get(index) else { return false };
        let dropped = || self.core.pool.dropped().iter().sum::<u64>();
        let before = dropped();
        let (ticks, text) = (self.core.now(), "x".repeat(filler));
        match repeats {
            Some(repeats) => {
                info!(logger: producer, target: "sim", key = repeats; "<{} {} {} {}>", key, n, ticks, text)
            }
            None => error!(logger: producer, target: "sim", "<{} {} {} {}>", key, n, ticks, text),
        }
        dropped() == before
    }

    pub(super) fn write(&mut self) {
        crate::writer::thread::step(&self.core, &mut self.writer);
    }

    /// A step of the writer as far as a death between the last append and the words that give the ring's room back. A step
    /// that rotates gives it back before; such a one is done whole.
    pub(super) fn write_to_the_release(&mut self) {
        let segment = || self.core.control.writer.segment.load(Ordering::Relaxed);
        let consumed = || self.core.pool.rings().last().map(|ring| &ring.header().consumed);
        let words =
            |consumed: &Consumed| (consumed.tail.load(Ordering::Relaxed), consumed.called.load(Ordering::Relaxed));
        let before = (segment(), consumed().map(words));
        crate::writer::thread::step(&self.core, &mut self.writer);
        if let (true, Some((tail, called)), Some(consumed)) = (segment() == before.0, before.1, consumed()) {
            consumed.called.store(called, Ordering::Relaxed);
            consumed.tail.store(tail, Ordering::Relaxed);
        }
    }

    pub(super) fn work(&mut self, sync: bool) {
        if let Some(worker) = &mut self.worker {
            worker.step(Wishes { sync, stop: false });
            self.has_worked = true;
        }
    }

    /// Whether nothing keeps its worker from its work, and all of it is done.
    pub(super) fn is_done(&self) -> bool {
        self.worker.as_ref().is_none_or(|worker| worker.trouble().is_none() && worker.is_done())
    }

    /// Whether a collector is to do its worker's work.
    pub(super) fn is_external(&self) -> bool {
        self.worker.is_none()
    }

    /// Asks for a rotation of the views.
    pub(super) fn ask_to_rotate(&self) {
        self.core.control.request.rotate.put("");
    }

    /// Asks for all summaries, as a flush does.
    pub(super) fn ask_for_summaries(&self) {
        self.core.control.request.summaries.fetch_add(1, Ordering::AcqRel);
    }

    /// No call is taken any more.
    pub(super) fn close(&mut self) {
        self.core.closing.close();
        self.core.pool.rings().for_each(crate::ring::memory::Ring::close);
        self.producers.clear();
    }

    /// Whether the writer has brought all to the journal, and ended it.
    pub(super) fn finish_writer(&mut self) -> bool {
        self.write();
        let now = self.core.now();
        let ended = self.writer.is_drained(self.core.ground()) && self.writer.summarise_all(self.core.ground(), now);
        if ended {
            self.writer.finish(self.core.ground(), now);
        }
        ended
    }

    /// A step of the worker's end; whether it was the last. Of a collector that is the one which says that all is rendered.
    pub(super) fn finish_worker(&mut self) -> bool {
        let words = &self.core.control;
        let is_rendered =
            || words.worker.rendered.load(Ordering::Acquire) >= words.writer.watermark.load(Ordering::Acquire);
        self.worker.as_mut().map_or_else(is_rendered, Worker::finish)
    }

    /// Leaves, all of it being on disk.
    pub(super) fn leave(self) {
        self.core.control.identity.state.store(state::CLOSED, Ordering::Release);
        if self.worker.is_none() {
            // The collector removes the folder, or who recovers.
            self.core.memory.unlock();
            return;
        }
        self.core.memory.remove().unwrap();
        journal::forget_live_at(&self.core.journal_folder);
        self.core.leave();
        if self.core.segments.newest() == 0 {
            journal::abandon(&self.core.journal_folder);
        }
    }

    /// What it was told is on disk.
    pub(super) fn synced(&self) -> Synced {
        let worker = &self.core.control.worker;
        Synced { ticks: worker.on_disk(), segment: worker.archive_number.load(Ordering::Relaxed) }
    }

    /// Written, left out by sampling, and dropped, as the control page tells.
    pub(super) fn counted(&self) -> (u64, u64, u64) {
        let words = &self.core.control.writer;
        let load = |word: &AtomicU64| word.load(Ordering::Relaxed);
        (load(&words.written), words.sampled_out.iter().map(load).sum(), load(&words.dropped))
    }
}

/// A worker of its own, for the processes that have none.
pub(super) struct Collector(Worker<SimDisk>);

impl Collector {
    /// What [`collect`](crate::collect) does, but for terms and for the lock by which there is only one.
    pub(super) fn start(place: &Place) -> io::Result<Self> {
        let config = place.config_of(true).mode(Mode::Synchronous);
        let disk = SimDisk::open(&place.logs(), &place.weather)?;
        let mut worker = Worker::on(disk, &config, &place.logs(), Some(&place.shared()), None)?;
        worker.keep_journals(place.journals_max);
        Ok(Self(worker))
    }

    /// Looks who is there, and does a step.
    pub(super) fn work(&mut self, place: &Place) {
        for live in recovery::live_folders(&place.logs(), Some(&place.shared())).folders {
            if live.file_name().is_some_and(|name| self.0.tends(name)) {
                continue;
            }
            if let Ok(Some(process)) = Attached::to(&live) {
                let first = process.archived();
                // What fails is tried again with the next step.
                let _ = self.0.tend(Arc::new(process), first, String::new());
            }
        }
        self.0.release_dead();
        self.0.step(Wishes::default());
    }

    /// A step of its end, at which processes may go on; whether it was the last.
    pub(super) fn finish(&mut self) -> bool {
        self.0.release_dead();
        self.0.finish()
    }
}
