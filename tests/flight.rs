//! The flight recorder: what is below the level stands in the log directly before the error that followed, and only then;
//! every call is accounted for; a kill loses nothing of it.
//!
//! The recorder against its model, and killed at every store, is in `src/recovery/flight_tests.rs`.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

mod support;

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use support::{SharedWords, child, lines, message};
use tachograph::reader::dir::LogDir;
use tachograph::reader::follow::{Follower, Start, Until};
use tachograph::reader::record::Body;
use tachograph::verify::{Report, verify};
use tachograph::{
    Config, FlightRecorder, FlightScope, Guard, Level, LineFormat, Mode, Overflow, component, critical, debug, error,
    info, prepare_thread, start, start_isolated, trace, warn,
};

const LONG: Duration = Duration::from_secs(60);

fn config(dir: &Path, recorder: FlightRecorder) -> Config {
    Config::new(dir)
        .segment_bytes(256_usize << 10)
        .segments(8_usize)
        .record_bytes_max(1_usize << 10)
        .ring_bytes(64_usize << 10)
        .overflow(Overflow::Block)
        .block_max(LONG)
        .flight_recorder(recorder.bytes(32 << 10))
}

fn recorder(records: u64) -> FlightRecorder {
    FlightRecorder::new().records(records)
}

/// The messages of a view, marks included, but for ` (late)`, which a busy machine may add.
fn said(dir: &Path, view: &str) -> Vec<String> {
    lines(dir, view).iter().map(|line| message(line).replace(" (late)", "")).collect()
}

fn closed(tacho: Guard) {
    tacho.close(LONG).unwrap();
}

/// Whether `tacho verify` finds the directory whole.
fn is_whole(dir: &Path) {
    let mut report = Report::default();
    verify(dir, &mut report, &mut |_| ()).unwrap();
    assert!(!report.is_damaged() && !report.is_incomplete(), "{report:?}");
    assert!(report.journals.iter().all(|journal| journal.missing == 0), "{report:?}");
}

#[test]
fn the_last_records_stand_directly_before_the_error_marked_and_with_their_own_times() {
    let dir = tempfile::tempdir().unwrap();
    let tacho = start_isolated(config(dir.path(), recorder(3))).unwrap();
    (0..5).for_each(|number| debug!(logger: &tacho, target: "oms", "step {}", number));
    trace!(logger: &tacho, target: "oms", "too fine");
    info!(logger: &tacho, target: "oms", "all well");
    debug!(logger: &tacho, target: "oms", "step {}", 5);
    std::thread::sleep(Duration::from_millis(2));
    warn!(logger: &tacho, target: "oms", "odd");
    error!(logger: &tacho, target: "oms", "lost");
    error!(logger: &tacho, target: "oms", "lost again");
    (6..8).for_each(|number| debug!(logger: &tacho, target: "oms", "step {}", number));
    tacho.flush(LONG).unwrap();
    let health = tacho.health();
    assert_eq!((health.written, health.remembered, health.forgotten, health.called()), (7, 2, 3, 12), "{health}");
    assert!(health.is_ok() && health.to_string().contains("2 remembered, 3 forgotten"), "{health}");
    closed(tacho);
    let expected = ["all well", "odd", "step 3 (flight)", "step 4 (flight)", "step 5 (flight)", "lost", "lost again"];
    assert_eq!(said(dir.path(), "oms"), expected);
    let all = lines(dir.path(), "oms");
    let time = |index: usize| all[index].split(' ').next().unwrap();
    // Remembered: 3 and 4 are older than "all well", 5 than "odd".
    assert!(time(2) < time(3) && time(3) < time(0) && time(0) < time(4) && time(4) < time(1), "{all:#?}");
    assert!(all[2].contains(" DEBUG "), "{}", all[2]);
    is_whole(dir.path());
}

#[test]
fn json_has_the_mark_as_a_field_and_a_view_shows_what_its_filter_takes() {
    let dir = tempfile::tempdir().unwrap();
    let config = config(dir.path(), recorder(10))
        .view_format(LineFormat::Json)
        .view(tachograph::View::new("errors").level(tachograph::LevelFilter::Error));
    let tacho = start_isolated(config).unwrap();
    debug!(logger: &tacho, target: "oms", order = 7; "sent");
    error!(logger: &tacho, target: "oms", "refused");
    closed(tacho);
    let all = lines(dir.path(), "oms");
    assert!(all[0].contains("\"message\":\"sent\"") && all[0].ends_with("\"order\":7,\"flight\":true}"), "{all:?}");
    assert!(!all[1].contains("flight") && all.len() == 2, "{all:?}");
    assert_eq!(lines(dir.path(), "errors").len(), 1);
}

#[test]
fn an_error_brings_what_its_own_thread_remembers_or_what_all_do() {
    for scope in [FlightScope::Thread, FlightScope::Process] {
        let dir = tempfile::tempdir().unwrap();
        let tacho = start_isolated(config(dir.path(), recorder(100).scope(scope))).unwrap();
        let (told, failed) = (std::sync::mpsc::channel::<()>(), std::sync::mpsc::channel::<()>());
        std::thread::scope(|scope| {
            let (sender, receiver) = (told.0, failed.1);
            let tacho = &tacho;
            scope.spawn(move || {
                debug!(logger: tacho, target: "oms", "other");
                sender.send(()).unwrap();
                receiver.recv().unwrap();
            });
            told.1.recv().unwrap();
            debug!(logger: tacho, target: "oms", "own");
            // The writer has seen the other thread's record.
            tacho.flush(LONG).unwrap();
            error!(logger: tacho, target: "oms", "lost");
            tacho.flush(LONG).unwrap();
            failed.0.send(()).unwrap();
        });
        closed(tacho);
        let own = ["own (flight)", "lost"];
        let all = ["other (flight)", "own (flight)", "lost"];
        assert_eq!(said(dir.path(), "oms"), if scope == FlightScope::Thread { &own[..] } else { &all[..] });
        is_whole(dir.path());
    }
}

#[test]
fn levels_of_targets_and_components_decide_also_when_they_change() {
    let dir = tempfile::tempdir().unwrap();
    let recorder = recorder(100).level(Level::Trace).trigger(Level::Critical);
    let tacho = start(config(dir.path(), recorder).levels("warn,quiet=off,fine=debug")).unwrap();
    let risk = component("risk");
    let round = |name: &str| {
        info!(target: "main", "{} main", name);
        error!(target: "quiet", "{} quiet", name);
        debug!(target: "fine", "{} fine", name);
        info!(logger: risk, "{} risk", name);
        critical!(target: "main", "{} end", name);
        tacho.flush(LONG).unwrap();
    };
    round("a");
    tacho.set_levels("main=info,risk=off,quiet=critical").unwrap();
    round("b");
    tacho.set_levels("warn,risk=trace").unwrap();
    round("c");
    closed(tacho);
    let main = ["a main (flight)", "a end", "b main", "b end", "c main", "c end"];
    assert_eq!(said(dir.path(), "main"), main);
    assert_eq!(said(dir.path(), "fine"), ["a fine", "b fine", "c fine"]);
    assert_eq!(said(dir.path(), "risk"), ["a risk (flight)", "c risk"]);
    assert_eq!(said(dir.path(), "quiet"), ["b quiet (flight)", "c quiet (flight)"]);
}

#[test]
fn a_synchronous_logger_remembers_too_and_its_line_is_there_when_the_call_returns() {
    let dir = tempfile::tempdir().unwrap();
    let tacho = start_isolated(config(dir.path(), recorder(2)).mode(Mode::Synchronous)).unwrap();
    (0..3).for_each(|number| debug!(logger: &tacho, target: "oms", "step {}", number));
    assert!(!dir.path().join("oms.log").exists());
    error!(logger: &tacho, target: "oms", "lost");
    assert_eq!(said(dir.path(), "oms"), ["step 1 (flight)", "step 2 (flight)", "lost"]);
    closed(tacho);
    is_whole(dir.path());
}

#[test]
fn a_thread_that_comes_after_another_does_not_show_what_that_one_remembered() {
    let dir = tempfile::tempdir().unwrap();
    let tacho = start_isolated(config(dir.path(), recorder(100)).rings_spare(1_usize)).unwrap();
    for name in ["first", "second"] {
        let tacho = &tacho;
        std::thread::scope(|scope| {
            scope.spawn(move || {
                debug!(logger: tacho, target: "oms", "{} thinks", name);
                if name == "second" {
                    error!(logger: tacho, target: "oms", "{} fails", name);
                }
            });
        });
    }
    tacho.flush(LONG).unwrap();
    // Forgotten already where the second thread got the first one's ring.
    let health = tacho.health();
    assert_eq!(health.remembered + health.forgotten, 1, "{health}");
    closed(tacho);
    assert_eq!(said(dir.path(), "oms"), ["second thinks (flight)", "second fails"]);
    is_whole(dir.path());
}

#[test]
fn every_call_is_written_forgotten_or_remembered_over_rotations_and_full_tables() {
    const THREADS: u64 = 3;
    const CALLS: u64 = 30_000;
    let dir = tempfile::tempdir().unwrap();
    let recorder = recorder(50).scope(FlightScope::Process);
    let tacho =
        start_isolated(config(dir.path(), recorder).view_bytes_max(64_u64 << 10).view_backups(10_000_u32)).unwrap();
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            let tacho = &tacho;
            scope.spawn(move || {
                for number in 0..CALLS {
                    match number % 500 {
                        499 => error!(logger: tacho, target: "oms", "{} {} error", thread, number),
                        50 | 250 => info!(logger: tacho, target: "oms", "{} {} info", thread, number),
                        _ => debug!(logger: tacho, target: "oms", "{} {} debug", thread, number),
                    }
                }
            });
        }
    });
    tacho.flush(LONG).unwrap();
    let health = tacho.health();
    assert_eq!((health.called(), health.dropped), (THREADS * CALLS, 0), "{health}");
    closed(tacho);
    // Of each thread: at most so many marked in a row, then an error of somebody, and the numbers ascend.
    let mut next = [[0_u64; 2]; THREADS as usize];
    let (mut written, mut since) = (0, [0_u64; THREADS as usize]);
    for said in said(dir.path(), "oms") {
        let words: Vec<&str> = said.split(' ').collect();
        let (thread, number) = (words[0].parse::<usize>().unwrap(), words[1].parse::<u64>().unwrap());
        let marked = words[2] == "debug";
        assert_eq!(marked, said.ends_with(" (flight)"), "{said}");
        let place = &mut next[thread][usize::from(marked)];
        assert!(number >= *place, "{said}");
        *place = number + 1;
        since[thread] += u64::from(marked);
        assert!(since[thread] <= 50, "{said}");
        if words[2] == "error" {
            since = [0; THREADS as usize];
        }
        written += 1;
    }
    assert_eq!(written, health.written);
    is_whole(dir.path());
}

#[test]
#[ignore = "the child of the test below"]
fn child_remembers_until_it_is_killed() {
    let Ok(dir) = std::env::var("KILL_DIR") else { return };
    let acknowledged = SharedWords::open(&Path::new(&dir).join("acknowledged"), 2);
    let tacho = start(config(&Path::new(&dir).join("logs"), recorder(RECORDS))).unwrap();
    prepare_thread();
    for number in 0_u64.. {
        match number % 97 {
            96 => error!(target: "oms", "{}", number),
            13 | 55 => info!(target: "oms", "{}", number),
            _ => debug!(target: "oms", "{}", number),
        }
        acknowledged.word(0).store(number + 1, Ordering::Release);
    }
    drop(tacho);
}

/// What the child remembers.
const RECORDS: u64 = 30;

/// Kills a child after `time`; what it remembered stands at the end of its log.
fn kill_once(time: Duration) {
    let dir = tempfile::tempdir().unwrap();
    let logs = dir.path().join("logs");
    let acknowledged = SharedWords::open(&dir.path().join("acknowledged"), 2);
    let mut child = child("child_remembers_until_it_is_killed", &[("KILL_DIR", dir.path().to_str().unwrap())]);
    while acknowledged.word(0).load(Ordering::Acquire) == 0 {
        assert!(child.try_wait().unwrap().is_none(), "the child ended by itself");
        std::thread::yield_now();
    }
    let until = Instant::now() + time;
    while Instant::now() < until {
        std::thread::yield_now();
    }
    child.kill().unwrap();
    child.wait().unwrap();
    let returned = acknowledged.word(0).load(Ordering::Acquire);
    // With no recorder: what the dead process remembered is written all the same.
    let other = config(&logs, recorder(1)).flight_recorder(None);
    start_isolated(other).unwrap().close(LONG).unwrap();
    let kind = |number: u64| match number % 97 {
        96 => 'e',
        13 | 55 => 'i',
        _ => 'd',
    };
    let expected = |calls: u64| {
        let (mut all, mut memory) = (Vec::new(), Vec::new());
        for number in 0..calls {
            match kind(number) {
                'd' => memory.push(number),
                kind => {
                    if kind == 'e' {
                        all.extend(memory.drain(..).rev().take(RECORDS as usize).rev_in_order());
                    }
                    all.push(format!("{number}"));
                }
            }
        }
        all.extend(memory.drain(..).rev().take(RECORDS as usize).rev_in_order());
        all
    };
    let found: Vec<String> = said(&logs, "oms").iter().map(|line| line.replace(" (recovered)", "")).collect();
    assert!(
        found == expected(returned) || found == expected(returned + 1),
        "{returned} calls returned: {:#?}",
        &found[found.len().saturating_sub(100)..]
    );
    is_whole(&logs);
}

/// The end of what is remembered, in its order again.
trait InOrder {
    fn rev_in_order(self) -> std::vec::IntoIter<String>;
}

impl<I: Iterator<Item = u64>> InOrder for I {
    fn rev_in_order(self) -> std::vec::IntoIter<String> {
        let mut all: Vec<String> = self.map(|number| format!("{number} (flight)")).collect();
        all.reverse();
        all.into_iter()
    }
}

#[test]
fn after_kill_9_the_log_ends_with_what_was_remembered() {
    let kills: u64 = std::env::var("TACHO_KILLS").ok().and_then(|text| text.parse().ok()).unwrap_or(15);
    let mut seed = 0x9e37_79b9_7f4a_7c15_u64;
    for _ in 0..kills {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        kill_once(Duration::from_micros((seed >> 33) % 30_000));
    }
}

#[test]
fn readers_that_begin_in_the_midst_find_what_was_remembered_at_its_place() {
    let dir = tempfile::tempdir().unwrap();
    let tacho = start_isolated(config(dir.path(), recorder(20))).unwrap();
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for number in 0..20_000_u64 {
                if number % 100 == 99 {
                    error!(logger: &tacho, target: "oms", "{}", number);
                } else {
                    debug!(logger: &tacho, target: "oms", "{}", number);
                }
            }
            stop.store(true, Ordering::Release);
        });
        // Another thread's records stand between those in the journal, never within a block.
        while !stop.load(Ordering::Acquire) {
            info!(logger: &tacho, target: "other", "between");
        }
    });
    tacho.flush(LONG).unwrap();
    let mut follower = Follower::open(LogDir::open(dir.path()).unwrap(), Until::Now, Start::First).unwrap();
    let (mut block, mut blocks) = (Vec::new(), 0);
    while follower.advance() {
        let record = follower.current().unwrap();
        let Body::Message { site, payload } = record.body else { continue };
        let mut text = String::new();
        site.plan.message(payload, &mut text).unwrap();
        assert!(!(record.flight && record.late), "one mark suffices");
        if record.flight {
            block.push(text.parse::<u64>().unwrap());
        } else if record.target == "oms" {
            let number: u64 = text.parse().unwrap();
            assert_eq!(block, (number - 20..number).collect::<Vec<_>>());
            block.clear();
            blocks += 1;
        } else {
            assert!(block.is_empty(), "{text} within {block:?}");
        }
    }
    assert_eq!(blocks, 200);
    closed(tacho);
}
