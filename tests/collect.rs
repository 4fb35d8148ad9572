//! `tacho collect`: what is logged with `Worker::External` comes into the files once, whoever dies, stops or takes over.
#![cfg(feature = "cli")]
#![allow(
    missing_docs,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::exit
)]

#[path = "support/collector.rs"]
mod collector;
mod support;

use collector::{Collector, Place, until};
use std::path::Path;
use std::process::Child;
use std::sync::atomic::Ordering::{Acquire, Release};
use std::time::{Duration, Instant};
use support::SharedWords;
use support::{child, lines, message};
use tachograph::{Config, Guard, Overflow, Worker, WriterCore, info, start, start_isolated};

const LONG: Duration = Duration::from_secs(120);
/// Words that a child shares: how many calls returned, and whether it is to go on.
const RETURNED: usize = 0;
const STOP: usize = 1;
const ENDED_MS: usize = 2;
const WORDS: usize = 3;

fn config(place: &Place) -> Config {
    Config::new(place.dir())
        .shm_dir(place.shm())
        .worker(Worker::External)
        // The tests' writers would all share the last core.
        .writer_core(WriterCore::Unpinned)
        .segments(6)
        .segment_bytes(128 << 10)
        .record_bytes_max(4 << 10)
        .ring_bytes(64 << 10)
        .rings_spare(1)
        .table_bytes(64 << 10)
        .overflow(Overflow::Block)
        .block_max(Duration::from_secs(60))
        .view_bytes_max(256 << 10)
        .view_backups(1000)
}

/// Logs the numbers from `from` to `to`.
fn log(tacho: &Guard, from: u64, to: u64) {
    for number in from..to {
        info!(logger: tacho, target: "load", "number {}", number);
    }
}

/// The numbers in the view, which must be all from 0 on, each once, in order.
fn numbers(place: &Place) -> u64 {
    let mut next = 0;
    for line in lines(&place.dir(), "load") {
        let text = message(&line).trim_end_matches(" (recovered)").trim_end_matches(" (late)");
        assert_eq!(text, format!("number {next}"), "{line}");
        next += 1;
    }
    next
}

/// Waits until the view has `wanted` numbers.
fn until_there(place: &Place, wanted: u64) {
    let mut found = 0;
    until("all lines are there", || {
        // A backup's new name, or its compression, can come between listing and reading.
        found = std::panic::catch_unwind(|| numbers(place)).unwrap_or(found);
        found >= wanted
    });
    assert_eq!(numbers(place), wanted);
}

fn words(place: &Place) -> SharedWords {
    SharedWords::open(&place.file("words"), WORDS)
}

fn logging_child(place: &Place, test: &str) -> Child {
    child(test, &[("COLLECT_PLACE", place.path().to_str().unwrap()), ("COLLECT_SHM", place.shm().to_str().unwrap())])
}

/// In a child: its place.
fn in_child() -> Option<Place> {
    let variable = |name| std::env::var(name).ok();
    Some(Place::of(Path::new(&variable("COLLECT_PLACE")?), Path::new(&variable("COLLECT_SHM")?)))
}

#[test]
#[ignore = "the child of tests below"]
fn child_logs_until_it_is_told_to_exit() {
    let Some(place) = in_child() else { return };
    let words = words(&place);
    let tacho = start(config(&place)).unwrap();
    for number in 0_u64.. {
        info!(target: "load", "number {}", number);
        words.word(RETURNED).store(number + 1, Release);
        if words.word(STOP).load(Acquire) == 1 {
            // Without dropping the guard.
            std::process::exit(0);
        }
        if number % 64 == 0 {
            std::thread::sleep(Duration::from_millis(1));
        }
    }
    drop(tacho);
}

#[test]
fn a_process_that_exits_or_is_killed_is_in_the_files_whole() {
    for kill in [false, true] {
        let place = Place::new();
        let words = words(&place);
        let collector = Collector::start(&place, &[]);
        let mut child = logging_child(&place, "child_logs_until_it_is_told_to_exit");
        until("some records were logged", || words.word(RETURNED).load(Acquire) >= 3_000);
        if kill {
            child.kill().unwrap();
        } else {
            words.word(STOP).store(1, Release);
        }
        child.wait().unwrap();
        // Killed between the record and the word that says that the call returned.
        let returned = words.word(RETURNED).load(Acquire);
        until("all lines are there, and the live folder is gone", || {
            place.live_folders() == 0
                && std::panic::catch_unwind(|| numbers(&place)).is_ok_and(|found| found >= returned)
        });
        let found = numbers(&place);
        assert!(found == returned || found == returned + 1, "{found} found, {returned} returned");
        collector.end();
        assert_eq!(numbers(&place), found);
        assert!(!place.dir().join("tachograph.log").exists(), "nothing was dropped or damaged");
        assert!(place.shm().read_dir().unwrap().next().is_none(), "nothing is left in shared memory");
    }
}

#[test]
fn without_a_collector_shared_memory_absorbs_and_health_says_so() {
    let place = Place::new();
    let tacho = start_isolated(config(&place)).unwrap();
    log(&tacho, 0, 1000);
    let threads = std::fs::read_dir("/proc/self/task")
        .unwrap()
        .filter_map(|task| std::fs::read_to_string(task.unwrap().path().join("comm")).ok());
    assert_eq!(threads.filter(|name| name.trim() == "tacho-worker").count(), 0);
    let trouble = tacho.health().trouble.expect("nobody collects");
    assert!(trouble.contains("no collector since") && trouble.contains("tacho collect -D"), "{trouble}");
    until("the writer has taken all", || tacho.health().written == 1000);
    let error = tacho.flush(Duration::from_millis(50)).unwrap_err();
    assert!(error.is_timeout());
    let text = error.to_string();
    assert!(text.contains("1000 records are not in the views yet") && text.contains("no collector"), "{text}");
    let collector = Collector::start(&place, &[]);
    tacho.flush(LONG).unwrap();
    assert_eq!(numbers(&place), 1000);
    tacho.sync(LONG).unwrap();
    let health = tacho.health();
    assert_eq!((health.trouble.as_deref(), health.rendered_records), (None, 1000), "{health}");
    // The one that comes next goes on behind what the one before took.
    collector.end();
    log(&tacho, 1000, 2000);
    assert!(tacho.health().trouble.is_some_and(|text| text.contains("no collector since")));
    let _collector = Collector::start(&place, &[]);
    tacho.close(LONG).unwrap();
    assert_eq!(numbers(&place), 2000);
}

#[test]
fn what_shared_memory_cannot_hold_is_counted_and_stated() {
    let place = Place::new();
    let tacho = start_isolated(config(&place).overflow(Overflow::DropNewest)).unwrap();
    let text = "x".repeat(1000);
    const CALLS: u64 = 3_000;
    for number in 0..CALLS {
        info!(logger: &tacho, target: "load", "number {} {}", number, &*text);
    }
    assert!(tacho.health().dropped > 0, "{}", tacho.health());
    let _collector = Collector::start(&place, &[]);
    tacho.flush(LONG).unwrap();
    let health = tacho.health();
    tacho.close(LONG).unwrap();
    let found = lines(&place.dir(), "load");
    let stated = support::stated_drops(lines(&place.dir(), "tachograph").iter().map(|line| message(line)), "ring full");
    assert_eq!((found.len() as u64 + stated, stated), (CALLS, health.dropped));
}

#[test]
fn two_collectors_of_which_the_active_one_is_killed_lose_and_double_nothing() {
    let place = Place::new();
    let words = words(&place);
    let mut child = logging_child(&place, "child_logs_until_it_is_told_to_exit");
    let mut active = Collector::start(&place, &[]);
    active.until_said("collecting");
    for kill in 1..=5 {
        let waiting = Collector::start(&place, &[]);
        waiting.until_said("another collector is at work");
        let wanted = words.word(RETURNED).load(Acquire) + 1_500;
        until("more was logged", || words.word(RETURNED).load(Acquire) >= wanted);
        active.kill();
        waiting.until_said("collecting");
        active = waiting;
        assert!(child.try_wait().unwrap().is_none(), "the child ended by itself, kill {kill}");
    }
    words.word(STOP).store(1, Release);
    child.wait().unwrap();
    until_there(&place, words.word(RETURNED).load(Acquire));
    active.end();
    assert_eq!(numbers(&place), words.word(RETURNED).load(Acquire));
}

#[test]
fn workers_within_and_without_hand_over_to_each_other() {
    let place = Place::new();
    let run = |worker: Worker, from: u64| {
        let tacho = start_isolated(config(&place).worker(worker)).unwrap();
        log(&tacho, from, from + 500);
        tacho
    };
    run(Worker::Thread, 0).close(LONG).unwrap();
    // Nobody collects: what it leaves is recovered by the next process, whose worker is a thread.
    let error = run(Worker::External, 500).close(Duration::from_millis(50)).unwrap_err();
    assert!(error.is_timeout() && error.to_string().contains("shared memory"), "{error}");
    run(Worker::Thread, 1000).close(LONG).unwrap();
    assert_eq!(numbers(&place), 1500);
    let collector = Collector::start(&place, &[]);
    run(Worker::External, 1500).close(LONG).unwrap();
    assert_eq!(numbers(&place), 2000);
    // Beside a collector, which may be the one that renders.
    let within = run(Worker::Thread, 2000);
    within.flush(LONG).unwrap();
    within.close(LONG).unwrap();
    collector.end();
    run(Worker::Thread, 2500).close(LONG).unwrap();
    let outcome = run(Worker::External, 3000).close(Duration::from_millis(50));
    assert!(outcome.is_err());
    // One that is only to tidy up.
    Collector::start(&place, &["--exit-when-idle"]).ended();
    assert_eq!(numbers(&place), 3500);
}

#[test]
fn different_settings_are_named() {
    let place = Place::new();
    let collector = Collector::start(&place, &[]);
    let first = start_isolated(config(&place)).unwrap();
    log(&first, 0, 1);
    first.flush(LONG).unwrap();
    let second = start_isolated(config(&place).archive_bytes_max(5_u64 << 20)).unwrap();
    log(&second, 1, 2);
    second.flush(LONG).unwrap();
    collector.until_said("archive_bytes_max is 5242880, not 1073741824");
    until("health says so too", || second.health().trouble.is_some_and(|text| text.contains("archive_bytes_max")));
    assert_eq!(first.health().trouble, None);
    second.close(LONG).unwrap();
    first.close(LONG).unwrap();
    assert_eq!(numbers(&place), 2);
}

#[test]
#[ignore = "the child of the test below"]
fn child_forks_and_ends_while_its_collector_is_stopped() {
    let Some(place) = in_child() else { return };
    let words = words(&place);
    let tacho = start(config(&place)).unwrap();
    log(&tacho, 0, 100);
    tacho.flush(LONG).unwrap();
    words.word(RETURNED).store(100, Release);
    until("the collector is stopped", || words.word(STOP).load(Acquire) == 1);
    log(&tacho, 100, 200);
    // SAFETY: the child of the fork only ends.
    let forked = unsafe { libc::fork() };
    if forked == 0 {
        // SAFETY: ends the process without running anything of it.
        unsafe { libc::_exit(0) };
    }
    let mut status = 1;
    // SAFETY: waits for the child just made.
    assert_eq!(unsafe { libc::waitpid(forked, &raw mut status, 0) }, forked);
    assert_eq!(status, 0);
    tacho.set_levels("warn").unwrap();
    tacho.set_levels("info").unwrap();
    let begin = Instant::now();
    let error = tacho.close(Duration::from_millis(200)).unwrap_err();
    words.word(ENDED_MS).store(1 + begin.elapsed().as_millis() as u64, Release);
    assert!(error.to_string().contains("100 records are not in the views yet"), "{error}");
    std::process::exit(0);
}

#[test]
fn a_process_whose_collector_is_stopped_can_fork_and_end() {
    let place = Place::new();
    let words = words(&place);
    let collector = Collector::start(&place, &[]);
    let mut child = logging_child(&place, "child_forks_and_ends_while_its_collector_is_stopped");
    until("the child has logged", || words.word(RETURNED).load(Acquire) == 100);
    collector.stop();
    words.word(STOP).store(1, Release);
    // Waiting for it at all shows that it ends while the collector does not run.
    assert!(child.wait().unwrap().success());
    assert!(words.word(ENDED_MS).load(Acquire) > 200, "it gave the collector its time");
    assert_eq!(numbers(&place), 100);
    collector.go_on();
    until_there(&place, 200);
}
