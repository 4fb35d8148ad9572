//! From a configuration to running threads, and the one global logger.

use super::closing::Closing;
use super::core::{Bell, Core, Stepped, bits};
use super::guard::{Guard, Logger, Threads};
use super::tenancy::Tenancy;
use super::{component, global, lease};
use crate::callsite::SITES_MAX;
use crate::clock::anchor::{Anchor, Anchors, RATE_ONE};
use crate::clock::line::{INTERVAL_NS, Line};
use crate::clock::{Clock, ticks};
use crate::config::stored::Stored;
use crate::config::terms::Terms;
use crate::config::{self, Config, Memory, Mode};
use crate::error::Error;
use crate::flight;
use crate::levels::Levels;
use crate::ring::pool::Pool;
use crate::sampling::Sampler;
use crate::sampling::memory::Dimensions;
use crate::sampling::rules::Rules;
use crate::segment::live::LiveSegments;
use crate::shm::clock_page::ClockPage;
use crate::shm::control::{self, CONTROL_BYTES};
use crate::shm::control_page::{ControlPage, HealthPage};
use crate::shm::directory::Directory;
use crate::shm::folder::{self, Folder};
use crate::shm::health_page::{self, HEALTH_BYTES};
use crate::shm::journal::{self, Hold};
use crate::shm::lifetime;
use crate::shm::memory::{LEAST, LiveMemory, Sizes, spared};
use crate::shm::table::Table;
use crate::shm::words::Words;
use crate::sys;
use crate::sys::fork::Home;
use crate::sys::headroom::control_group_bytes;
use crate::sys::map::Mapping;
use crate::worker::page::PAGE_BYTES;
use crate::worker::views;
use crate::worker::{Inline, Worker};
use crate::writer::journal::Origin;
use crate::writer::step::{Pace, Stamp, Writer};
use crate::writer::thread as writer_thread;
use crate::writer::time::publish_anchor;
use crossbeam_utils::CachePadded;
use std::cell::Cell;
use std::fs::File;
use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, RwLock};
use std::time::Duration;

static NEXT_ID: AtomicU64 = AtomicU64::new(1);

/// Time over which the rate of the counter is first measured.
const CALIBRATION: Duration = Duration::from_millis(10);
/// Attempts to read counter and clock at the same moment, so that a thread that loses its core in between measures well.
const SAMPLE_TRIES: u32 = 20;
/// See [`Pace::slack`].
const SLACK: Duration = Duration::from_micros(2);
/// How long `start` waits for the writer's first step.
const WRITER_START_MAX: Duration = Duration::from_millis(200);
/// How often one that is about to publish the first line is waited for.
const FIRST_TRIES: u32 = 1_000;
const ANCHOR_IDLE: Duration = Duration::from_secs(60);

/// Starts the global logger, the one that the macros log to where no `logger:` is given. It runs until the returned
/// guard is dropped; keep the guard in `main`.
///
/// Before this call, and after the guard is gone, log calls do nothing. A new `start` is possible then. In a forked child
/// no logger runs until the child starts one.
///
/// What happens to a running logger when its process ends in some other way, forks, or panics, stands in the
/// [crate's documentation](crate#what-is-defined).
///
/// Takes some 20 ms: live memory is allocated and touched page by page, so that no later log call meets a fault.
///
/// # Errors
/// When a global logger is running already ([`Error::is_already_started`]), when the configuration cannot work
/// ([`Error::is_config`]), and when the log directory cannot be used ([`Error::is_io`]). Missing shared memory is no
/// error: anonymous memory serves instead, and [`Health`](crate::Health) says so.
pub fn start(config: Config) -> Result<Guard, Error> {
    global::none_is_running()?;
    let (core, threads) = launch(config)?;
    global::become_global(core, threads)
}

/// Starts a logger of its own beside the global one, for tests and for programs with several logs: records reach it
/// through `logger: &guard` only.
///
/// # Errors
/// As [`start`], but for the one about another logger.
pub fn start_isolated(config: Config) -> Result<Guard, Error> {
    let (core, threads) = launch(config)?;
    Ok(Guard::new(Logger::new(core), threads, false))
}

/// Gets the calling thread ready to log to the global logger, so that its first call is as quick as the others: takes a
/// ring and touches what the call will touch. Does nothing while no logger is running.
pub fn prepare_thread() {
    crate::value::touch_scratch();
    #[cfg(any(feature = "log", feature = "tracing"))]
    crate::facade::prepare();
    let _ = lease::with_global(|_| ());
}

thread_local! {
    static STEPPING: Cell<bool> = const { Cell::new(false) };
}

/// Steps what is behind the rings of a synchronous logger.
///
/// A signal handler that logs while its own thread steps leaves its record to the step that it interrupted or to the next: it
/// would wait for itself.
pub(crate) fn step_inline(core: &Arc<Core>) {
    if STEPPING.replace(true) {
        return;
    }
    step_inline_once(core);
    STEPPING.set(false);
}

fn step_inline_once(core: &Arc<Core>) {
    let mut inline = core.inline.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(inline) = inline.as_mut() {
        let _errors = sys::thread::FileSizeErrors::begin();
        inline.step(core);
    }
}

/// Where ticks come from, and how they become time at first.
struct Time {
    stamp: Stamp,
    manual: Option<Arc<AtomicU64>>,
    ticks_per_s: u64,
    anchors: Anchors,
    started_unix_ns: i64,
    page: Option<Arc<ClockPage>>,
}

/// `page` is what time a tick is for the other processes of the directory, if it can be had.
fn time(clock: &Clock, page: impl FnOnce() -> Option<ClockPage>) -> Time {
    if let Clock::Manual(clock) = clock {
        let now = clock.unix_ns();
        let started_unix_ns = i64::try_from(now).unwrap_or(i64::MAX);
        return Time {
            stamp: Stamp::Manual,
            manual: Some(Arc::clone(&clock.0)),
            ticks_per_s: 1_000_000_000,
            anchors: Anchors::new(now, started_unix_ns, RATE_ONE),
            started_unix_ns,
            page: None,
        };
    }
    let page = page().map(Arc::new);
    let line = page.as_deref().and_then(ClockPage::read).unwrap_or_else(|| first_line(page.as_deref()));
    let per_s = (1_000_000_000_u128 << 32) / u128::from(line.rate.max(1));
    Time {
        stamp: if matches!(clock, Clock::Coarse) { Stamp::Coarse } else { Stamp::Counter },
        manual: None,
        ticks_per_s: u64::try_from(per_s).unwrap_or(1_000_000_000),
        anchors: Anchors::of(line),
        started_unix_ns: line.unix_ns(ticks::now()),
        page,
    }
}

/// The line of a directory in which nobody measured yet. Of several that come at once, one is the first, and the others
/// take its line.
fn first_line(page: Option<&ClockPage>) -> Line {
    let rate = rate();
    for _ in 0..FIRST_TRIES {
        let now = ticks::now();
        let claim = page.and_then(|page| page.claim(now, now));
        if let Some(line) = page.and_then(ClockPage::read) {
            return line;
        }
        if page.is_some() && claim.is_none() {
            std::thread::yield_now();
            continue;
        }
        let (ticks, unix_ns) = ticks::sample(ticks::now, SAMPLE_TRIES);
        let line = Line::new(ticks, unix_ns, rate);
        if let Some(claim) = claim {
            claim.publish(&line);
        }
        return line;
    }
    let (ticks, unix_ns) = ticks::sample(ticks::now, SAMPLE_TRIES);
    Line::new(ticks, unix_ns, rate)
}

/// Nanoseconds per tick, 32 fractional bits; measured once per process.
fn rate() -> u64 {
    static RATE: AtomicU64 = AtomicU64::new(0);
    let known = RATE.load(Ordering::Relaxed);
    if known != 0 {
        return known;
    }
    let begin = ticks::sample_monotonic(SAMPLE_TRIES);
    std::thread::sleep(CALIBRATION);
    let end = ticks::sample_monotonic(SAMPLE_TRIES);
    let ns = u128::from(end.1.saturating_sub(begin.1)) << 32;
    let rate = u64::try_from(ns / u128::from(end.0.saturating_sub(begin.0).max(1))).unwrap_or(RATE_ONE).max(1);
    RATE.store(rate, Ordering::Relaxed);
    rate
}

/// The sizes that the configuration asks for.
fn wanted(config: &Config) -> Sizes {
    Sizes {
        segments: config.segments,
        segment_bytes: config.segment_bytes,
        ring_bytes: config.ring_bytes,
        rings: config.rings_spare.max(1),
        table_bytes: config.table_bytes,
        // The ticks of an interval take no room.
        sampling_bytes: sampling(config, |_| 1).map_or(0, |(_, dimensions)| dimensions.bytes()),
        page_bytes: PAGE_BYTES,
    }
}

/// The rules of sampling and the room that they need, if anything is sampled.
fn sampling(config: &Config, ticks_in: impl Fn(Duration) -> u64) -> Option<(Rules, Dimensions)> {
    let sampling = config.sampling.as_ref()?;
    let rules = sampling.rules(ticks_in);
    let dimensions = Sampler::dimensions(&rules, sampling.watched(), config.record_bytes_max);
    Some((rules, dimensions))
}

/// Shared memory for a logger, as much of what is wanted as can be had; else the reason why not.
fn shared_memory(
    config: &Config,
    directory: &Directory,
    remarks: &mut Vec<String>,
) -> Result<(LiveMemory, Sizes), String> {
    if config.memory != Memory::Shared {
        return Err("anonymous memory was asked for".to_owned());
    }
    let group = group(config).map_err(|error| error.to_string())?;
    let wanted = wanted(config);
    let folder = Folder::create(
        &config.shm_dir,
        &directory.id,
        &directory.process,
        group,
        config.worker == config::Worker::Thread,
    )
    .map_err(|error| error.to_string())?;
    let path = folder.path().to_path_buf();
    let memory = LiveMemory::new(Some(folder), config.shm_bytes_max);
    let left = memory.left();
    let Some(sizes) = wanted.fit(left) else {
        let _ = memory.remove();
        return Err(format!(
            "{} has room for {left} bytes within the file system, the memory control group and `shm_bytes_max`, the least is \
             {}; give it more (Docker: --shm-size), or lower segments, segment_bytes and ring_bytes",
            path.display(),
            wanted.floor().total()
        ));
    };
    if sizes != wanted {
        remarks.push(format!(
            "shared memory is short ({left} bytes can be used): {} segments of {} bytes, rings of {} bytes; bursts fill them \
             sooner",
            sizes.segments, sizes.segment_bytes, sizes.ring_bytes
        ));
    }
    Ok((memory, sizes))
}

/// Memory that dies with the process, within what the memory control group has left.
fn anonymous_memory(config: &Config, remarks: &mut Vec<String>) -> Result<(LiveMemory, Sizes), Error> {
    let (wanted, left) = (wanted(config), spared(control_group_bytes()));
    let least = wanted.floor().total();
    if config.shm_bytes_max < least {
        let message = format!("{} is less than the least possible, {least}", config.shm_bytes_max);
        return Err(Error::config("shm_bytes_max", message));
    }
    let room = left.min(config.shm_bytes_max);
    let Some(sizes) = wanted.fit(room).or_else(|| wanted.at_most(&LEAST).fit(room)) else {
        let error = io::Error::from(io::ErrorKind::OutOfMemory);
        let what = format!("the memory control group has {left} bytes left, too few to log to");
        return Err(Error::io(what, &config.dir, error, "raise its limit (memory.max; Docker: --memory)"));
    };
    if sizes != wanted {
        remarks.push(format!(
            "memory is short ({room} bytes can be used): {} segments of {} bytes, rings of {} bytes; bursts fill them sooner",
            sizes.segments, sizes.segment_bytes, sizes.ring_bytes
        ));
    }
    Ok((LiveMemory::new(None, config.shm_bytes_max), sizes))
}

/// The group that may read live state.
fn group(config: &Config) -> Result<Option<u32>, Error> {
    if config.shm_group.is_empty() {
        return Ok(None);
    }
    let known = sys::file::group_id(&config.shm_group);
    known.map(Some).ok_or_else(|| Error::config("shm_group", format!("the system has no group {:?}", config.shm_group)))
}

/// The shared state of a logger, in shared memory or else anonymous.
pub(crate) fn make(config: &Config, directory: &Directory, remarks: Vec<String>) -> Result<(Arc<Core>, Writer), Error> {
    let mut said = remarks.clone();
    let lost = match shared_memory(config, directory, &mut said) {
        Ok((memory, sizes)) => {
            said.extend(lifetime::doubt(&config.shm_dir));
            // Before there is a control page: whoever finds that finds this too.
            store_terms(&memory, config)?;
            // Others may have taken meanwhile what was free.
            match build(config.clone(), memory, sizes, Name::of(directory), said) {
                Ok(made) => return Ok(made),
                Err(error) => error.to_string(),
            }
        }
        Err(why) => why,
    };
    let mut said = remarks;
    let mut config = config.clone();
    if config.worker == config::Worker::External {
        said.push("no collector can see anonymous memory: a thread of this process does its work".to_owned());
        config.worker = config::Worker::Thread;
    }
    said.push(format!("crash survival is off, what is logged last dies with the process: {lost}"));
    let (memory, sizes) = anonymous_memory(&config, &mut said)?;
    build(config, memory, sizes, Name::of(directory), said)
}

fn map(memory: &LiveMemory, name: &str, bytes: usize) -> Result<Mapping, Error> {
    let wrap = |error: io::Error| {
        let folder = memory.folder().map_or_else(|| name.into(), |folder| folder.join(name));
        Error::io(format!("cannot map {bytes} bytes of live memory"), &folder, error, "see `shm_bytes_max`")
    };
    let file: File = memory.file(name, bytes).map_err(wrap)?;
    Mapping::shared(&file, bytes).map_err(wrap)
}

/// Who the process is to those who read its journal.
struct Name {
    identity: [u8; 16],
    process: String,
    folder: PathBuf,
    /// The folder's lock; `None` where there is no folder.
    hold: Option<Arc<Hold>>,
}

/// Puts the worker's part of the configuration where a worker in another process finds it.
fn store_terms(memory: &LiveMemory, config: &Config) -> Result<(), Error> {
    let Some(folder) = memory.folder() else { return Ok(()) };
    let path = folder.join(folder::TERMS);
    let terms = Terms::of(config, &views::check(config)?).encode();
    let written = sys::file::create_new(&path).and_then(|mut file| {
        file.write_all(&terms)?;
        memory.group().map_or(Ok(()), |group| sys::file::share(&file, group))
    });
    written.map_err(|error| Error::io("cannot write", &path, error, "is the shared-memory file system full?"))
}

impl Name {
    fn of(directory: &Directory) -> Self {
        Self {
            identity: directory.identity,
            process: directory.process.clone(),
            folder: directory.folder.clone(),
            hold: Some(Arc::clone(&directory.hold)),
        }
    }
}

fn launch(config: Config) -> Result<(Arc<Core>, Threads), Error> {
    if config.dir.as_os_str().is_empty() {
        return Err(Error::config("dir", "it is empty; \".\" is the working directory"));
    }
    let (cores, remark) = cores(&config);
    let pin = config.check(&cores)?;
    // Before anything is made, because a text that is no level must leave nothing behind.
    levels(&config)?;
    let terms = Stored::of(&views::check(&config)?);
    group(&config)?;
    let _errors = sys::thread::FileSizeErrors::begin();
    let mut remarks: Vec<_> = remark.into_iter().collect();
    if !ticks::is_steady() {
        remarks.push("the processor's counter does not run at one rate: times can be wrong".to_owned());
    }
    if config.sigbus_handler
        && let Err(error) = sys::fault::install()
    {
        remarks.push(format!(
            "the handler of SIGBUS could not be set ({error}): who truncates live memory kills the process"
        ));
    }
    let directory = Directory::open(&config.dir)?;
    let tenancy = Tenancy::enter(&directory.journals(), &terms).inspect_err(|_| journal::abandon(&directory.folder))?;
    let (core, writer) = make(&config, &directory, remarks).inspect_err(|_| journal::abandon(&directory.folder))?;
    *core.tenancy.lock().unwrap_or_else(PoisonError::into_inner) = Some(tenancy);
    if let Some(folder) = core.memory.folder() {
        directory.point_to(folder)?;
    }
    let worker = match core.config.worker {
        config::Worker::Thread => Some(Worker::new(&core, &directory)?),
        config::Worker::External => None,
    };
    let threads = run(&core, writer, worker, pin, cores)?;
    core.memory.keep();
    // Until the writer has looked at its core and its rings once: from then on health tells what is.
    let until = std::time::Instant::now() + WRITER_START_MAX;
    while threads.writer.is_some()
        && core.control.writer.watermark.load(Ordering::Acquire) == 0
        && std::time::Instant::now() < until
    {
        std::thread::sleep(Duration::from_micros(50));
    }
    core.control.identity.state.store(control::state::RUNNING, Ordering::Release);
    Ok((core, threads))
}

/// Cores for our threads. Whoever pins a thread to one core and calls `start` on it does not mean them to share it: where
/// another core is named for the writer, they may use all that the process may.
fn cores(config: &Config) -> (Vec<usize>, Option<String>) {
    let cores = sys::thread::cores();
    let [only] = cores.as_slice() else { return (cores, None) };
    match config.writer_core {
        config::WriterCore::Core(core) if core != *only => (sys::thread::permitted_cores(), None),
        config::WriterCore::Auto if sys::thread::permitted_cores().len() > 1 => {
            let remark = format!(
                "start was called by a thread that is pinned to core {only}, so writer and worker share that core: \
                 call start before pinning, or name another core by writer_core"
            );
            (cores, Some(remark))
        }
        _ => (cores, None),
    }
}

/// A logger without directory, disk and threads: each call brings its record to what `behind` makes of the writer.
pub(crate) fn launch_in_memory<S: Stepped + 'static>(
    mut config: Config,
    behind: impl FnOnce(&Arc<Core>, Writer) -> S,
) -> Result<Arc<Core>, Error> {
    config.mode = Mode::Synchronous;
    config.memory = Memory::Anonymous;
    config.check(&sys::thread::cores())?;
    let sizes = wanted(&config);
    let memory = LiveMemory::new(None, config.shm_bytes_max);
    let name =
        Name { identity: sys::file::random_16(), process: "memory".to_owned(), folder: PathBuf::new(), hold: None };
    let (core, writer) = build(config, memory, sizes, name, Vec::new())?;
    let behind = behind(&core, writer);
    *core.inline.lock().unwrap_or_else(PoisonError::into_inner) = Some(Box::new(behind));
    core.control.identity.state.store(control::state::RUNNING, Ordering::Release);
    Ok(core)
}

fn levels(config: &Config) -> Result<Levels, Error> {
    Levels::parse(&config.levels, config.level).map_err(|error| Error::config("levels", error))
}

/// The shared state of a logger, its live memory mapped and touched, and its writer.
fn build(
    mut config: Config,
    memory: LiveMemory,
    sizes: Sizes,
    name: Name,
    remarks: Vec<String>,
) -> Result<(Arc<Core>, Writer), Error> {
    let levels = levels(&config)?;
    let is_shrunk = sizes != wanted(&config);
    config.segment_bytes = sizes.segment_bytes;
    config.segments = sizes.segments;
    config.table_bytes = sizes.table_bytes;
    config.record_bytes_max = config.record_bytes_max.min(sizes.segment_bytes / 4);
    let control = ControlPage::new(map(&memory, folder::CONTROL, CONTROL_BYTES)?);
    let health = Arc::new(HealthPage::new(map(&memory, folder::HEALTH, HEALTH_BYTES)?));
    let table = Table::create(map(&memory, folder::TABLE, sizes.table_bytes)?);
    let mut slots = Vec::with_capacity(sizes.segments);
    for slot in 0..sizes.segments {
        slots.push(map(&memory, &folder::live_name(slot), sizes.segment_bytes)?);
    }
    let segments = LiveSegments::new(slots, sizes.segment_bytes);
    memory.note_locked(segments.lock());
    memory.note_locked(control.memory().lock() && health.memory().lock() && table.memory().lock());
    let pool = Pool::new(sizes.ring_bytes);
    for _ in 0..config.rings_spare.min(sizes.rings) {
        pool.make(&memory).map_err(|error| {
            let folder = memory.folder().unwrap_or(&config.dir).to_path_buf();
            Error::io("cannot make a ring in", &folder, error, "see `shm_bytes_max` and `ring_bytes`")
        })?;
    }
    lease::guard_forks();
    let boot = sys::boot::boot_id();
    let time = time(&config.clock, || {
        let all = memory.folder()?.parent()?;
        ClockPage::open(all, boot, memory.group()).ok()
    });
    let advice = "is the limit on memory reached?";
    let home = Home::new().map_err(|error| Error::io("cannot map a page for", &config.dir, error, advice))?;
    let core = Arc::new(Core {
        id: NEXT_ID.fetch_add(1, Ordering::Relaxed),
        memory,
        control,
        health,
        table,
        pool,
        segments,
        page_bytes: sizes.page_bytes,
        levels: RwLock::new(levels),
        ticks_per_s: time.ticks_per_s,
        started_unix_ns: time.started_unix_ns,
        boot,
        clock_page: time.page.clone(),
        sampling: OnceLock::new(),
        process: name.identity,
        process_name: name.process,
        journal_folder: name.folder,
        hold: name.hold,
        remarks,
        is_shrunk,
        coarse: CachePadded::new(AtomicU64::new(ticks::now())),
        manual: time.manual,
        stamp: time.stamp,
        closing: Closing::default(),
        lost: AtomicU64::new(0),
        is_unnamed: AtomicBool::new(false),
        writer_stop: AtomicBool::new(false),
        abandon: AtomicBool::new(false),
        bell: Bell::default(),
        defined_sites: bits(SITES_MAX as usize),
        defined_components: bits(component::COMPONENTS_MAX + 1),
        pid: std::process::id(),
        home,
        inline: Mutex::new(None),
        tenancy: Mutex::new(None),
        config,
    });
    let sampler = match sampling(&core.config, |time| core.ticks_in(time)) {
        None => None,
        Some((rules, dimensions)) => {
            let words = Words::new(map(&core.memory, folder::SAMPLING, dimensions.bytes())?);
            Sampler::create(words, dimensions, rules)
        }
    };
    if let Some(sampler) = &sampler {
        let _ = core.sampling.set(sampler.place());
    }
    describe(&core);
    // Last, because recovery takes what has an identity for complete.
    identify(&core, time.anchors.current(), control::state::STARTING);
    let writer = writer(&core, time.anchors).with_sampling(sampler).with_clock(time.page);
    let writer = writer.with_flight(core.config.flight_rules());
    let writer = writer.with_health(Arc::clone(&core.health));
    Ok((core, writer))
}

fn writer(core: &Core, anchors: Anchors) -> Writer {
    let pace = Pace {
        order_wait: core.ticks_in(core.config.order_wait),
        slack: core.ticks_in(SLACK),
        stamp: core.stamp,
        anchor_busy: core.ticks_in(Duration::from_nanos(INTERVAL_NS)),
        anchor_idle: core.ticks_in(ANCHOR_IDLE),
    };
    let origin = Origin { process: core.process, boot: core.boot, ticks_per_s: core.ticks_per_s, flags: core.flags() };
    Writer::new(origin, 0, anchors, pace)
}

/// Says in the control page who the process is.
pub(crate) fn identify(core: &Core, anchor: Anchor, state: u32) {
    let identity = &core.control.identity;
    let halves = |bytes: &[u8; 16]| {
        let word = u128::from_le_bytes(*bytes);
        [word as u64, (word >> 64) as u64]
    };
    for (word, value) in identity.process.iter().zip(halves(&core.process)) {
        word.store(value, Ordering::Relaxed);
    }
    for (word, value) in identity.boot.iter().zip(halves(&core.boot)) {
        word.store(value, Ordering::Relaxed);
    }
    identity.pid.store(core.pid, Ordering::Relaxed);
    identity.slots.store(core.config.segments as u32, Ordering::Relaxed);
    identity.segment_bytes.store(core.config.segment_bytes as u64, Ordering::Relaxed);
    identity.started_unix_ns.store(core.started_unix_ns, Ordering::Relaxed);
    identity.ticks_per_s.store(core.ticks_per_s, Ordering::Relaxed);
    identity.segment_flags.store(core.flags(), Ordering::Relaxed);
    flight::Rules::store(core.config.flight_rules().as_ref(), &identity.flight);
    identity.ring_bytes.store(core.config.ring_bytes as u64, Ordering::Relaxed);
    identity.version.store(control::VERSION, Ordering::Relaxed);
    identity.state.store(state, Ordering::Relaxed);
    core.control.writer.alive.store(ticks::now(), Ordering::Relaxed);
    publish_anchor(&core.control.anchor, anchor);
    identity.magic.store(control::MAGIC, Ordering::Release);
}

/// Says in the health page what the process is.
pub(crate) fn describe(core: &Core) {
    let (owner, config) = (&core.health.owner, &core.config);
    let say = |word: &AtomicU64, value: u64| word.store(value, Ordering::Relaxed);
    let wanted = match config.writer_core {
        config::WriterCore::Core(core) => core as u64 + 1,
        config::WriterCore::Auto => {
            sys::thread::cores().last().filter(|core| **core > 0).map_or(0, |core| *core as u64 + 1)
        }
        config::WriterCore::Unpinned => 0,
    };
    say(
        &owner.stamp,
        match core.stamp {
            Stamp::Counter => 0,
            Stamp::Coarse => 1,
            Stamp::Manual => 2,
        },
    );
    say(&owner.steady, u64::from(ticks::SOURCE != "clock_gettime" && ticks::is_steady()));
    say(&owner.time_shared, u64::from(core.clock_page.is_some()));
    say(&owner.core_wanted, if config.mode == Mode::Threads { wanted } else { 0 });
    say(&owner.shrunk, u64::from(core.is_shrunk));
    say(&owner.synchronous, u64::from(config.mode == Mode::Synchronous));
    say(&owner.survives, u64::from(core.memory.outlives_process()));
    say(&owner.locked, u64::from(core.memory.is_locked()));
    owner.build.say(env!("CARGO_PKG_VERSION"));
    owner.remarks.say(&core.remarks.join("; "));
    say(&owner.version, health_page::VERSION);
    owner.magic.store(health_page::MAGIC, Ordering::Release);
}

fn run(
    core: &Arc<Core>,
    writer: Writer,
    worker: Option<Worker>,
    pin: Option<usize>,
    cores: Vec<usize>,
) -> Result<Threads, Error> {
    if core.config.mode == Mode::Synchronous
        && let Some(worker) = worker
    {
        *core.inline.lock().unwrap_or_else(PoisonError::into_inner) = Some(Box::new(Inline::new(writer, worker)));
        return Ok(Threads::default());
    }
    let spawn = |name: &str, body: Box<dyn FnOnce() + Send>| {
        std::thread::Builder::new().name(name.to_owned()).spawn(body).map_err(|error| {
            Error::io(
                format!("cannot start the thread {name} for"),
                &core.config.dir,
                error,
                "is the limit on threads reached?",
            )
        })
    };
    let (writing, idle, all) = (Arc::clone(core), core.config.idle, cores.clone());
    let writer = spawn("tacho-writer", Box::new(move || writer_thread::run(&writing, writer, pin, &all, idle)))?;
    let mut threads = Threads { writer: Some(writer), worker: None };
    if let Some(worker) = worker {
        let working = Arc::clone(core);
        let worker = spawn("tacho-worker", Box::new(move || crate::worker::run(&working, worker, &cores)));
        if worker.is_err() {
            core.writer_stop.store(true, Ordering::Release);
        }
        threads.worker = Some(worker?);
    }
    Ok(threads)
}
