//! Records per second through the whole pipeline, until they can be read in the journal and as text on disk, and the limits of
//! the machine beside them in the same rounds.
//!
//! `cargo bench --bench pipeline` leaves `pipeline.json` under `target/bench/`. Before anything is measured, a run is read back:
//! each record once, in order, with the right text, in the journal and in the view.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a benchmark"
)]

#[path = "../common/mod.rs"]
mod common;
mod limits;

use common::machine::{self, cores, cpu_ns, pin, unpin};
use common::{config, folder, numbers_line, quick, read_journal, rounds};
use serde_json::{Value, json};
use std::path::Path;
use std::time::{Duration, Instant};
use tachograph::{Guard, Overflow, prepare_thread, start};

/// Records of one run.
const RECORDS: u64 = 1_000_000;
const FLUSH: Duration = Duration::from_secs(120);

/// What one run took.
struct Run {
    seconds: f64,
    cpu_ns: u64,
}

/// Times `f`, wall and CPU of all threads.
fn timed<T>(f: impl FnOnce() -> T) -> (Run, T) {
    let (cpu, begin) = (cpu_ns(), Instant::now());
    let result = f();
    (Run { seconds: begin.elapsed().as_secs_f64(), cpu_ns: cpu_ns() - cpu }, result)
}

type Measured = (&'static str, fn(u64) -> Run);

/// In the order of each round.
const ALL: [Measured; 10] = [
    ("memcpy into a warm mapping", limits::memcpy),
    ("raw two-thread transfer", limits::transfer),
    ("journal, one producer", |count| logged(1, count, in_journal)),
    ("journal, two producers", |count| logged(2, count, in_journal)),
    ("write(2) of the text, 64 KiB at a time", |count| limits::write(count, 64 << 10)),
    ("write(2) of the text, line by line", |count| limits::write(count, 1)),
    ("text, one producer", |count| logged(1, count, in_view)),
    ("text, two producers", |count| logged(2, count, in_view)),
    ("start with the defaults", |_| started()),
    ("close, nothing left", |_| closed()),
];

fn main() {
    let (count, rounds) = (if quick() { 10_000 } else { RECORDS }, rounds());
    let machine = machine::machine();
    check(count.min(100_000));
    let mut cases: Vec<Value> = ALL.iter().map(|(name, _)| json!({ "case": name, "rounds": [] })).collect();
    for round in 0..rounds {
        eprintln!("pipeline: round {} of {rounds}", round + 1);
        // Backwards every second time: what drifts in a round favours nobody.
        let mut order: Vec<usize> = (0..ALL.len()).collect();
        if round % 2 == 1 {
            order.reverse();
        }
        for case in order {
            pin(cores().0);
            let run = ALL[case].1(count);
            cases[case]["rounds"].as_array_mut().unwrap().push(json!({
                "seconds": run.seconds,
                "cpu_ns_per_record": run.cpu_ns as f64 / count as f64,
            }));
        }
    }
    if quick() {
        println!("pipeline: every case ran, every record was there");
    } else {
        let all = json!({ "machine": machine, "rounds": rounds, "records": count, "cases": cases });
        println!("{}", machine::save(&folder(), "pipeline", &all).display());
    }
}

/// A logger that loses nothing, and this thread made ready.
fn logger(dir: &Path) -> Guard {
    // The logger's threads may run where the thread may that starts it.
    unpin();
    let tacho = start(config(dir).overflow(Overflow::Block).block_max(Duration::from_secs(60))).unwrap();
    pin(cores().0);
    prepare_thread();
    tacho
}

/// All records are there, in order, with the right text.
fn check(count: u64) {
    let dir = tempfile::tempdir().unwrap();
    let tacho = logger(dir.path());
    (0..count).for_each(|i| numbers!(i));
    tacho.close(FLUSH).unwrap();
    let mut next = 0;
    let (messages, dropped) = read_journal(dir.path(), |i, line| {
        assert_eq!(i, next, "in order, none twice, none missing");
        assert_eq!(line, numbers_line(i));
        next += 1;
    });
    assert_eq!((messages, dropped), (count, 0));
    let text = std::fs::read_to_string(dir.path().join("bench.log")).unwrap();
    assert_eq!(text.lines().count() as u64, count);
    assert!(text.lines().enumerate().all(|(i, line)| line.contains(&numbers_line(i as u64))), "the view has them too");
}

/// `count` records of so many threads, until `done` says that they can be read.
fn logged(producers: u64, count: u64, done: fn(&Guard, u64)) -> Run {
    let dir = tempfile::tempdir().unwrap();
    let tacho = logger(dir.path());
    let each = count / producers;
    let (run, ()) = timed(|| {
        std::thread::scope(|scope| {
            for _ in 1..producers {
                // Wherever the scheduler puts it: the first core is the first producer's, the second the writer's.
                scope.spawn(|| {
                    unpin();
                    (0..each).for_each(|i| numbers!(i));
                });
            }
            (0..each).for_each(|i| numbers!(i));
        });
        done(&tacho, each * producers);
    });
    let health = tacho.health();
    assert_eq!((health.written, health.dropped), (each * producers, 0), "{health}");
    tacho.close(FLUSH).unwrap();
    run
}

/// Waits until the writer has published as many records in shared memory, where any process can read them.
fn in_journal(tacho: &Guard, count: u64) {
    while tacho.health().written < count {
        std::hint::spin_loop();
    }
}

/// Waits until the lines can be read in the file.
fn in_view(tacho: &Guard, _: u64) {
    tacho.flush(FLUSH).unwrap();
}

fn started() -> Run {
    let dir = tempfile::tempdir().unwrap();
    let (run, tacho) = timed(|| logger(dir.path()));
    tacho.close(FLUSH).unwrap();
    run
}

fn closed() -> Run {
    let dir = tempfile::tempdir().unwrap();
    let tacho = logger(dir.path());
    numbers!(1_u64);
    tacho.flush(FLUSH).unwrap();
    let (run, ()) = timed(|| tacho.close(FLUSH).unwrap());
    run
}
