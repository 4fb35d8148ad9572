//! CPU time per record, thread by thread: who pays for what, whatever else the machine is doing.
//!
//! `cargo bench --bench cpu [-- RECORDS [ROUNDS [json]]]` prints, for the best of some rounds, nanoseconds of CPU time per
//! record of the logging thread, the writer and the worker, and the rate end to end. Under
//! `valgrind --tool=callgrind --separate-threads=yes` the same program says where they go.
#![allow(missing_docs, clippy::unwrap_used, clippy::print_stdout, reason = "a benchmark")]

mod common;

use common::config;
use common::machine::{cores, pin};
use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};
use tachograph::{Config, LineFormat, Overflow, prepare_thread, start};

const FLUSH: Duration = Duration::from_secs(60);

/// CPU time of each thread of this process so far, in nanoseconds.
fn cpu() -> BTreeMap<String, u64> {
    let mut all = BTreeMap::new();
    for task in std::fs::read_dir("/proc/self/task").unwrap().flatten() {
        let read = |name: &str| std::fs::read_to_string(task.path().join(name)).unwrap_or_default();
        let ns = read("schedstat").split(' ').next().and_then(|ns| ns.parse::<u64>().ok()).unwrap_or(0);
        *all.entry(read("comm").trim().to_owned()).or_insert(0) += ns;
    }
    all
}

/// Nothing is lost, whatever that costs.
fn settings(dir: &Path, json: bool) -> Config {
    let config = config(dir).overflow(Overflow::Block).block_max(FLUSH);
    if json { config.view_format(LineFormat::Json) } else { config }
}

fn round(records: u64, json: bool) -> (Vec<(String, f64)>, f64) {
    let dir = tempfile::tempdir().unwrap();
    pin(cores().0);
    let tacho = start(settings(dir.path(), json)).unwrap();
    prepare_thread();
    tacho.flush(FLUSH).unwrap();
    let before = cpu();
    let begin = Instant::now();
    (0..records).for_each(|i| numbers!(i));
    tacho.flush(FLUSH).unwrap();
    let seconds = begin.elapsed().as_secs_f64();
    let spent = cpu().into_iter().filter_map(|(name, ns)| {
        let ns = ns - before.get(&name).copied().unwrap_or(0);
        (ns > 0).then_some((name, ns as f64 / records as f64))
    });
    let spent = spent.collect();
    assert_eq!(tacho.health().dropped, 0);
    tacho.close(FLUSH).unwrap();
    (spent, records as f64 / seconds / 1e6)
}

fn main() {
    let numbers: Vec<u64> = std::env::args().skip(1).filter_map(|arg| arg.parse().ok()).collect();
    let json = std::env::args().any(|arg| arg == "json");
    let quick = std::env::args().any(|arg| arg == "--test");
    let records = numbers.first().copied().unwrap_or(if quick { 10_000 } else { 1_000_000 });
    let rounds = numbers.get(1).copied().unwrap_or(if quick { 1 } else { 5 });
    let (mut best, mut rate) = (BTreeMap::<String, f64>::new(), 0_f64);
    for _ in 0..rounds {
        let (spent, reached) = round(records, json);
        rate = rate.max(reached);
        for (name, ns) in spent {
            let known = best.entry(name).or_insert(f64::INFINITY);
            *known = known.min(ns);
        }
    }
    for (name, ns) in &best {
        println!("{name:16} {ns:8.1} ns of CPU per record");
    }
    println!("end to end       {rate:8.2} M records/s, text on disk");
}
