//! What a log call costs the thread that makes it: each call timed, with the timing itself, a bare read of the counter
//! and a bare store of the same bytes beside it in the same run.
//!
//! `cargo bench --bench latency` prints tables in Markdown and leaves `latency.json` under `target/bench/`.

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
mod report;
mod ticks;

use common::{TEXT, config, cores, pin, read_journal};
use hdrhistogram::Histogram;
use report::{Case, Report};
use std::hint::black_box;
use std::path::Path;
use std::time::Duration;
use tachograph::{Clock, Idle, prepare_thread, start};
use ticks::now;

/// Calls in a burst; then the producer pauses, as a strategy does between two events.
const BURST: usize = 20;
/// Length of the pause between bursts: enough for the writer to drain the ring.
const PAUSE_NS: f64 = 5_000.0;
/// Pauses before a single call.
const PAUSES: [Duration; 3] = [Duration::from_millis(1), Duration::from_millis(10), Duration::from_millis(100)];

/// How much is measured.
#[derive(Clone, Copy)]
struct Plan {
    rounds: usize,
    bursts: usize,
    /// Calls after each of [`PAUSES`].
    singles: [usize; 3],
}

const WHOLE: Plan = Plan { rounds: 5, bursts: 40_000, singles: [300, 60, 12] };
const QUICK: Plan = Plan { rounds: 1, bursts: 100, singles: [3, 1, 1] };

fn main() {
    let quick = std::env::args().any(|arg| arg == "--test");
    let plan = if quick { QUICK } else { WHOLE };
    let mut report = Report::new(ticks::ns_per_tick());
    for round in 0..plan.rounds {
        eprintln!("round {} of {}", round + 1, plan.rounds);
        round_of(plan, &mut report);
    }
    if quick {
        println!("latency: every case ran, every record was there");
    } else {
        print!("{}", report.markdown());
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("bench").join("latency.json");
        report.save(&path).unwrap();
        println!("\n{}", path.display());
    }
}

/// All cases once.
fn round_of(plan: Plan, report: &mut Report) {
    pin(cores().0);
    let mut place = vec![0_u64; 1 << 19];
    measure(plan, report, "timing alone", |_| 0);
    measure(plan, report, "TSC read", |_| {
        black_box(now());
        0
    });
    measure(plan, report, "store of the same bytes", |i| store(&mut place, i, 6, i));
    measure(plan, report, "store of the same bytes + TSC", |i| store(&mut place, i, 6, now()));

    logged(Clock::Ticks, || measure_calls(plan, report, ""));
    logged(Clock::Coarse, || measure_calls(plan, report, ", coarse clock"));
}

/// Starts a logger, runs `f`, which makes calls and says how many, and checks that all of them are there.
fn logged(clock: Clock, f: impl FnOnce() -> u64) {
    let dir = tempfile::tempdir().unwrap();
    // A coarse clock needs a writer that does not sleep.
    let idle = if matches!(clock, Clock::Coarse) { Idle::Yield } else { Idle::default() };
    let tacho = start(config(dir.path()).clock(clock).idle(idle)).unwrap();
    prepare_thread();
    let calls = f();
    tacho.flush(Duration::from_secs(120)).unwrap();
    let health = tacho.health();
    tacho.close(Duration::from_secs(120)).unwrap();
    let mut sum = 0_u64;
    let (messages, dropped) = read_journal(dir.path(), |i, _| sum = sum.wrapping_add(i));
    black_box(sum);
    assert_eq!((messages + dropped, health.called()), (calls, calls), "{health}");
    assert_eq!(dropped, 0, "a ring that is full is another benchmark: {health}");
}

/// The cases that log; says how many records they do.
fn measure_calls(plan: Plan, report: &mut Report, suffix: &str) -> u64 {
    let mut calls = measure(plan, report, &format!("(u64, u64, f64){suffix}"), |i| {
        numbers!(i);
        1
    });
    calls += measure(plan, report, &format!("with a 32-byte string{suffix}"), |i| {
        text!(i, TEXT);
        1
    });
    if suffix.is_empty() {
        measure(plan, report, "disabled call", |i| {
            tachograph::debug!(target: "bench", "{}", i);
            0
        });
        calls += two_threads(plan, report);
    }
    calls
}

/// Two threads that log at the same time; the second one is pinned where there is a third core.
fn two_threads(plan: Plan, report: &mut Report) -> u64 {
    let third = core_affinity::get_core_ids().unwrap_or_default().get(2).map(|core| core.id);
    let plan = Plan { singles: [0; 3], ..plan };
    let mut cases = [Case::default(), Case::default()];
    let [first, second] = &mut cases;
    let calls = std::thread::scope(|scope| {
        let other = scope.spawn(move || {
            if let Some(core) = third {
                pin(core);
            }
            prepare_thread();
            bursts(plan, second, &mut |i| {
                numbers!(i);
                1
            })
        });
        let calls = bursts(plan, first, &mut |i| {
            numbers!(i);
            1
        });
        calls + other.join().unwrap()
    });
    let [first, second] = cases;
    report.add("(u64, u64, f64), two threads: first", first);
    report.add("(u64, u64, f64), two threads: second", second);
    calls
}

/// Stores a record's words as a ring would get them, without a ring.
#[inline(always)]
fn store(place: &mut [u64], i: u64, words: usize, time: u64) -> u64 {
    let at = (i as usize * words) % (place.len() - words);
    let place = &mut place[at..at + words];
    place[0] = 6;
    place[1] = time;
    place[2] = i;
    place[3] = i;
    place[4] = i ^ 1;
    place[5] = (i as f64).to_bits();
    black_box(place);
    0
}

/// Times `call` in bursts and after pauses; says how many records it logged.
fn measure(plan: Plan, report: &mut Report, name: &str, mut call: impl FnMut(u64) -> u64) -> u64 {
    let mut case = Case::default();
    let logged = bursts(plan, &mut case, &mut call) + singles(plan, &mut case, &mut call);
    report.add(name, case);
    logged
}

/// Alternates bursts in which each call is timed with bursts timed as a whole, because timing costs more than a call.
#[inline(always)]
fn bursts(plan: Plan, case: &mut Case, call: &mut impl FnMut(u64) -> u64) -> u64 {
    let pause = (PAUSE_NS / ticks::ns_per_tick()) as u64;
    let (mut i, mut logged) = (0_u64, 0);
    for burst in 0..plan.bursts {
        let begin = now();
        if burst % 2 == 0 {
            for _ in 0..BURST {
                logged += call(i);
                i += 1;
            }
            add(&mut case.burst, (now() - begin) * 1000 / BURST as u64);
        } else {
            for _ in 0..BURST {
                let before = now();
                logged += call(i);
                let after = now();
                add(&mut case.call, after.wrapping_sub(before));
                i += 1;
            }
        }
        let until = now() + pause;
        while now() < until {
            std::hint::spin_loop();
        }
    }
    logged
}

fn singles(plan: Plan, case: &mut Case, call: &mut impl FnMut(u64) -> u64) -> u64 {
    let (mut i, mut logged) = (0_u64, 0);
    for ((pause, count), histogram) in PAUSES.iter().zip(plan.singles).zip(&mut case.after_pause) {
        for _ in 0..count {
            std::thread::sleep(*pause);
            let before = now();
            logged += call(i);
            let after = now();
            add(histogram, after.wrapping_sub(before));
            i += 1;
        }
    }
    logged
}

fn add(histogram: &mut Histogram<u64>, value: u64) {
    histogram.saturating_record(value.max(1));
}
