//! What a disk that hangs does to those who log: nothing. `FIFREEZE` stops a file system of our own, ext4 on a loop device.
//!
//! Needs root, `mkfs.ext4` and `fsfreeze`; is skipped, loudly, without. A watchdog process thaws and unmounts after 10 s,
//! come what may. With optimisation (`cargo test --release --test frozen_disk`) log calls are compared with a thread that
//! logs nothing; without, the code around them would be what is measured, so they are compared with themselves before the
//! freeze.
#![cfg(feature = "cli")]
#![allow(
    missing_docs,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::exit,
    clippy::print_stderr
)]

#[path = "support/collector.rs"]
mod collector;
mod support;

use collector::{Collector, Place, until};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::time::{Duration, Instant};
use support::{SharedWords, child, lines, message};
use tachograph::{Config, Overflow, Worker, WriterCore, info, prepare_thread, start, start_isolated};

const LONG: Duration = Duration::from_secs(120);
const FROZEN: Duration = Duration::from_secs(3);
const THAW_AT_LAST_S: u32 = 10;
/// One after the other: they measure, and each has its own file system.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

fn run(program: &str, args: &[&str]) -> bool {
    Command::new(program).args(args).stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok_and(|s| s.success())
}

/// A file system of our own, mounted at the place's log directory; unmounted when it is dropped.
struct Mount {
    path: PathBuf,
    watchdog: Option<Child>,
}

impl Mount {
    /// `None`, and a word on standard error, where this is not to be had.
    fn new(place: &Place) -> Option<Self> {
        let skip = |why: &str| {
            eprintln!("SKIPPED: the tests of a frozen disk did not run: {why}");
            None
        };
        // SAFETY: geteuid has no preconditions.
        if unsafe { libc::geteuid() } != 0 {
            return skip("they need root");
        }
        if !run("fsfreeze", &["--version"]) {
            return skip("there is no fsfreeze");
        }
        let (image, path) = (place.file("image"), place.dir());
        std::fs::create_dir(&path).unwrap();
        std::fs::File::create(&image).unwrap().set_len(512 << 20).unwrap();
        let (image, target) = (image.to_str().unwrap(), path.to_str().unwrap());
        if !run("mkfs.ext4", &["-q", "-F", image]) {
            return skip("mkfs.ext4 failed");
        }
        if !run("mount", &["-o", "loop", image, target]) {
            return skip("a loop mount is not allowed");
        }
        let mut mount = Self { path, watchdog: None };
        if !mount.freeze() {
            return skip("FIFREEZE is not allowed");
        }
        mount.thaw();
        Some(mount)
    }

    fn freeze(&mut self) -> bool {
        let path = self.path.to_str().unwrap();
        // Its own process group, so that nothing that ends the test ends it too.
        let script = format!("sleep {THAW_AT_LAST_S}; fsfreeze -u '{path}'; umount -l '{path}'");
        let mut watchdog = Command::new("sh");
        watchdog
            .args(["-c", &script])
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        self.watchdog = Some(watchdog.spawn().unwrap());
        run("fsfreeze", &["-f", path])
    }

    /// Whether it was still frozen, and not thawed by the watchdog.
    fn thaw(&mut self) -> bool {
        let frozen = run("fsfreeze", &["-u", self.path.to_str().unwrap()]);
        if let Some(mut watchdog) = self.watchdog.take() {
            // SAFETY: kill has no memory preconditions; the group is that of our child, which was not waited for.
            unsafe { libc::kill(-(watchdog.id() as i32), libc::SIGKILL) };
            watchdog.wait().unwrap();
        }
        frozen
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        self.thaw();
        let path = self.path.to_str().unwrap().to_owned();
        if !run("umount", &[&path]) {
            run("umount", &["-l", &path]);
        }
    }
}

fn config(place: &Place) -> Config {
    Config::new(place.dir())
        .shm_dir(place.shm())
        .overflow(Overflow::DropNewest)
        .writer_core(WriterCore::Unpinned)
        // Less than is logged while the disk is frozen.
        .segments(4)
        .segment_bytes(128 << 10)
        .ring_bytes(64 << 10)
        .rings_spare(2)
}

/// Durations of calls, in nanoseconds.
#[derive(Default)]
struct Calls(Vec<u64>);

impl Calls {
    /// Times `call` again and again, with a pause in between, until `stop`.
    fn of(stop: &AtomicBool, mut call: impl FnMut()) -> Self {
        let mut calls = Self(Vec::with_capacity(4 << 20));
        while !stop.load(Relaxed) {
            let begin = Instant::now();
            call();
            let took = begin.elapsed();
            calls.0.push(took.as_nanos() as u64);
            if cfg!(debug_assertions) {
                // Calls take long enough to be interrupted often on a busy machine, where they are most of what a thread does.
                std::thread::sleep(Duration::from_micros(50));
            }
            while begin.elapsed() < Duration::from_micros(2) {
                std::hint::spin_loop();
            }
        }
        calls.0.sort_unstable();
        calls
    }

    fn p999(&self) -> u64 {
        self.0.get(self.0.len() * 999 / 1000).copied().unwrap_or(0)
    }

    fn max(&self) -> u64 {
        self.0.last().copied().unwrap_or(0)
    }
}

/// The least step of the clock.
fn grain() -> u64 {
    let steps = (0..10_000).map(|_| {
        let begin = Instant::now();
        loop {
            let step = begin.elapsed().as_nanos() as u64;
            if step > 0 {
                break step;
            }
        }
    });
    steps.min().unwrap_or(1)
}

/// Calls of one thread that logs and one that does not, for `time`; in the midst of it, `meanwhile`.
fn measure(time: Duration, log: impl Fn() + Sync, meanwhile: impl FnOnce()) -> (Calls, Calls) {
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let logging = scope.spawn(|| {
            prepare_thread();
            Calls::of(&stop, &log)
        });
        let reference = scope.spawn(|| Calls::of(&stop, || _ = std::hint::black_box(0)));
        let begin = Instant::now();
        meanwhile();
        std::thread::sleep(time.saturating_sub(begin.elapsed()));
        stop.store(true, Relaxed);
        (logging.join().unwrap(), reference.join().unwrap())
    })
}

#[test]
fn log_calls_keep_their_cost_and_all_that_was_not_dropped_is_written_after_the_thaw() {
    let _one = ONE_AT_A_TIME.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let place = Place::new();
    let Some(mut mount) = Mount::new(&place) else { return };
    let tacho = start_isolated(config(&place)).unwrap();
    let called = AtomicU64::new(0);
    // A noisy neighbour can spoil a round on two cores, so the best of three counts.
    let good = (1..=3).any(|round| {
        let log = || info!(logger: &tacho, target: "load", "number {}", called.fetch_add(1, Relaxed));
        let (before, _) = measure(FROZEN / 3, log, || {});
        tacho.flush(LONG).unwrap();
        let dropped = tacho.health().dropped;
        assert!(mount.freeze());
        let (calls, reference) = measure(FROZEN, log, || {
            std::thread::sleep(FROZEN / 3);
            let error = tacho.flush(Duration::from_millis(100)).unwrap_err();
            assert!(error.is_timeout(), "{error}");
            tacho.set_levels("info").unwrap();
        });
        // However busy this machine is, shared memory is full in the end.
        while tacho.health().dropped == dropped {
            (0..1000).for_each(|_| log());
        }
        let lost = tacho.health().dropped - dropped;
        assert!(mount.thaw(), "it was frozen all the time");
        tacho.flush(LONG).unwrap();
        let compared = if cfg!(debug_assertions) { &before } else { &reference };
        let (p999_max, max) = (2 * compared.p999().max(grain()), 100_000_000.max(2 * reference.max()));
        eprintln!(
            "round {round}: {} calls on a frozen disk, {lost} dropped; p99.9 {} ns, before {} ns, of a thread that does \
             not log {} ns; longest {} ns, of that {} ns",
            calls.0.len(),
            calls.p999(),
            before.p999(),
            reference.p999(),
            calls.max(),
            reference.max()
        );
        calls.p999() <= p999_max && calls.max() <= max
    });
    assert!(good, "in no round did the calls keep their cost");
    let health = tacho.health();
    tacho.close(LONG).unwrap();
    let found = lines(&place.dir(), "load");
    let numbers = found.iter().map(|line| {
        let number = message(line).trim_end_matches(" (late)").trim_start_matches("number ");
        number.parse::<u64>().unwrap()
    });
    assert!(numbers.is_sorted_by(|a, b| a < b), "a line stands twice, or before an earlier one");
    let stated = support::stated_drops(lines(&place.dir(), "tachograph").iter().map(|line| message(line)), "ring full");
    assert_eq!(stated, health.dropped);
    assert_eq!(found.len() as u64 + stated, called.into_inner());
}

/// Words that a child shares.
const LOGGED: usize = 0;
const FORK: usize = 1;
const FORKED: usize = 2;

fn words(place: &Place) -> SharedWords {
    SharedWords::open(&place.file("words"), 3)
}

#[test]
#[ignore = "the child of the test below"]
fn child_logs_and_forks_on_demand() {
    let (Ok(path), Ok(shm)) = (std::env::var("FROZEN_PLACE"), std::env::var("FROZEN_SHM")) else { return };
    let place = Place::of(Path::new(&path), Path::new(&shm));
    let words = words(&place);
    let _tacho = start(config(&place).worker(Worker::External).overflow(Overflow::Block)).unwrap();
    for number in 0_u64.. {
        info!(target: "load", "number {}", number);
        words.word(LOGGED).store(number + 1, Release);
        std::thread::sleep(Duration::from_millis(1));
        if words.word(FORK).swap(0, Acquire) == 1 {
            // SAFETY: the child of the fork only ends.
            let forked = unsafe { libc::fork() };
            if forked == 0 {
                // SAFETY: ends the process without running anything of it.
                unsafe { libc::_exit(0) };
            }
            // SAFETY: waits for the child just made; its status is not asked for.
            assert_eq!(unsafe { libc::waitpid(forked, std::ptr::null_mut(), 0) }, forked);
            words.word(FORKED).store(1, Release);
        }
    }
}

#[test]
fn with_a_collector_a_process_logs_forks_and_dies_while_the_disk_is_frozen() {
    let _one = ONE_AT_A_TIME.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let place = Place::new();
    let Some(mut mount) = Mount::new(&place) else { return };
    let words = words(&place);
    let paths = [("FROZEN_PLACE", place.path().to_str().unwrap()), ("FROZEN_SHM", place.shm().to_str().unwrap())];
    let collector = Collector::start(&place, &[]);
    let mut child = child("child_logs_and_forks_on_demand", &paths);
    until("lines are in the file", || place.dir().join("load.log").metadata().is_ok_and(|file| file.len() > 1000));
    let logged = || words.word(LOGGED).load(Acquire);
    assert!(mount.freeze());
    // Beyond what was under way: from here on the collector hangs.
    let goal = logged() + 100;
    until("the child logs on", || logged() >= goal);
    words.word(FORK).store(1, Release);
    until("the child has forked", || words.word(FORKED).load(Acquire) == 1);
    child.kill().unwrap();
    // Returns only when nothing of the process is left: before the thaw, as its result tells.
    let begin = Instant::now();
    child.wait().unwrap();
    let gone = begin.elapsed();
    assert!(mount.thaw(), "it was frozen all the time");
    assert!(gone < Duration::from_secs(1), "it took {gone:?} to die");
    let returned = logged();
    until("what it had logged is in the file", || lines(&place.dir(), "load").len() as u64 >= returned);
    collector.end();
    let found = lines(&place.dir(), "load");
    for (number, line) in found.iter().enumerate() {
        assert_eq!(message(line).trim_end_matches(" (recovered)"), format!("number {number}"));
    }
    assert!(found.len() as u64 <= returned + 1);
}
