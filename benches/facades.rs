//! What a call costs through `log` and through `tracing`, beside the macro of this crate that says the same.
//!
//! `cargo bench --features log,tracing --bench facades` prints the table that stands in `src/facade/costs.md`. Each figure is
//! the median of bursts of 1,000 calls, which are shorter than the ring; after each the writer drains it. The cases take turns in
//! each round, so that what disturbs the machine disturbs all. At the end every record is asked for.

#![allow(missing_docs, clippy::unwrap_used, clippy::print_stdout, clippy::print_stderr, reason = "a benchmark")]

use std::hint::black_box;
use std::path::Path;
use std::time::{Duration, Instant};
use tachograph::reader::dir::LogDir;
use tachograph::reader::follow::{Follower, Start, Until};
use tachograph::reader::record::Body;
use tachograph::{Config, facade, prepare_thread, start};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

const BURST: u64 = 1000;
/// Enough for the writer to drain a burst.
const PAUSE: Duration = Duration::from_millis(2);

/// One way of saying something.
struct Case {
    /// The row.
    what: &'static str,
    /// The column.
    by: &'static str,
    /// Whether it leaves a record.
    records: bool,
    call: Box<dyn FnMut(u64)>,
    ns: Vec<f64>,
}

fn case(what: &'static str, by: &'static str, records: bool, call: impl FnMut(u64) + 'static) -> Case {
    // The loop is within the closure, so that a call is not one through a pointer.
    let mut call = call;
    let burst = move |first: u64| (first..first + BURST).for_each(&mut call);
    Case { what, by, records, call: Box::new(burst), ns: Vec::new() }
}

const LITERAL: &str = "a literal";
const FIELDS: &str = "a literal and three fields (u64, f64, &str)";
const ARGUMENTS: &str = "three arguments (u64, u64, f64)";
const SPAN: &str = "a literal and three fields, within two spans of two fields each";
const LEVEL: &str = "disabled: more verbose than any target's level";
const TARGET: &str = "disabled: another target has that level, this one has not";

fn cases() -> Vec<Case> {
    let outer = tracing::info_span!("session", venue = "XNAS", session = 7_u64);
    let inner = tracing::info_span!(parent: &outer, "order", order_id = 42_u64, side = "buy");
    vec![
        case(LITERAL, "macro", true, |_| tachograph::info!("order accepted by the venue")),
        case(LITERAL, "log", true, |_| log::info!("order accepted by the venue")),
        case(LITERAL, "tracing", true, |_| tracing::info!("order accepted by the venue")),
        case(FIELDS, "macro", true, |n| tachograph::info!(n, px = 1.5 + n as f64, venue = "XNAS"; "order filled")),
        case(FIELDS, "log", true, |n| log::info!(n, px = 1.5 + n as f64, venue = "XNAS"; "order filled")),
        case(FIELDS, "tracing", true, |n| tracing::info!(n, px = 1.5 + n as f64, venue = "XNAS", "order filled")),
        case(ARGUMENTS, "macro", true, |n| tachograph::info!("iteration {}, int {}, double {}", n, n ^ 1, n as f64)),
        case(ARGUMENTS, "log", true, |n| log::info!("iteration {}, int {}, double {}", n, n ^ 1, n as f64)),
        case(ARGUMENTS, "tracing", true, |n| tracing::info!("iteration {}, int {}, double {}", n, n ^ 1, n as f64)),
        case(SPAN, "tracing", true, {
            move |n| {
                let _within = &outer;
                tracing::info!(parent: &inner, n, px = 1.5 + n as f64, venue = "XNAS", "order filled");
            }
        }),
        case(LEVEL, "macro", false, |n| tachograph::trace!("detail {}", n)),
        case(LEVEL, "log", false, |n| log::trace!("detail {}", n)),
        case(LEVEL, "tracing", false, |n| tracing::trace!("detail {}", n)),
        case(TARGET, "macro", false, |n| tachograph::debug!("detail {}", n)),
        case(TARGET, "log", false, |n| log::debug!("detail {}", n)),
        case(TARGET, "tracing", false, |n| tracing::debug!("detail {}", n)),
    ]
}

fn main() {
    let quick = std::env::args().any(|arg| arg == "--test");
    let rounds = if quick { 2 } else { 300 };
    // The writer takes the last core.
    if let Some(first) = core_affinity::get_core_ids().unwrap_or_default().first() {
        core_affinity::set_for_current(*first);
    }
    let dir = tempfile::tempdir().unwrap();
    let config = Config::new(dir.path()).archive_compress(false).health_interval(Duration::ZERO);
    let tacho = start(config.levels("info,another=debug")).unwrap();
    facade::log::install().unwrap();
    tracing_subscriber::registry().with(facade::tracing::layer()).init();
    prepare_thread();
    let mut cases = cases();
    let (mut calls, mut tsc) = (0, Vec::new());
    for round in 0..rounds {
        for case in &mut cases {
            let begin = Instant::now();
            (case.call)(black_box(round * BURST));
            case.ns.push(begin.elapsed().as_nanos() as f64 / BURST as f64);
            calls += if case.records { BURST } else { 0 };
            std::thread::sleep(PAUSE);
        }
        let begin = Instant::now();
        for _ in 0..BURST {
            // SAFETY: an instruction that every processor of this architecture has.
            #[cfg(target_arch = "x86_64")]
            black_box(unsafe { core::arch::x86_64::_rdtsc() });
        }
        tsc.push(begin.elapsed().as_nanos() as f64 / BURST as f64);
    }
    tacho.flush(Duration::from_secs(120)).unwrap();
    let health = tacho.health();
    tacho.close(Duration::from_secs(120)).unwrap();
    assert_eq!((messages(dir.path()), health.dropped, health.called()), (calls, 0, calls), "{health}");
    if quick {
        println!("facades: every case ran, every record was there");
    } else {
        print(&cases, median(&mut tsc));
    }
}

/// Messages of this program in the journal.
fn messages(dir: &Path) -> u64 {
    let mut follower = Follower::open(LogDir::open(dir).unwrap(), Until::Now, Start::First).unwrap();
    let mut messages = 0;
    while follower.advance() {
        let record = follower.current().unwrap();
        messages += u64::from(matches!(record.body, Body::Message { .. }) && record.target == module_path!());
    }
    messages
}

fn print(cases: &[Case], tsc: f64) {
    println!("| one call | this crate's macro | `log` | `tracing` |\n|---|---|---|---|");
    let mut rows: Vec<&str> = Vec::new();
    for case in cases.iter().filter(|case| case.records || case.by == "macro") {
        if !rows.contains(&case.what) {
            rows.push(case.what);
        }
    }
    for row in rows {
        let of = |by: &str| {
            cases.iter().find(|case| case.what == row && case.by == by).map(|case| median(&mut case.ns.clone()))
        };
        let base = of("macro").or_else(|| {
            cases.iter().find(|case| case.what == FIELDS && case.by == "macro").map(|case| median(&mut case.ns.clone()))
        });
        let show = |ns: Option<f64>| match (ns, base) {
            (Some(ns), Some(base)) => format!("{ns:.1} ns ({:.1}×)", ns / base),
            _ => "–".to_owned(),
        };
        println!("| {row} | {} | {} | {} |", show(of("macro")), show(of("log")), show(of("tracing")));
    }
    println!("\nA bare read of the time-stamp counter took {tsc:.1} ns in the same run.");
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}
