//! What a log call costs the thread that makes it: each call timed, with the timing itself, a bare read of the counter
//! and a bare store of the same bytes beside it in the same run.
//!
//! `cargo bench --bench latency` leaves `latency.json` under `target/bench/`, from which `cargo bench --bench report` makes
//! tables.

#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a benchmark"
)]

mod cases;
#[path = "../common/mod.rs"]
mod common;
mod stress;

use common::timing::{Case, Plan};
use common::{folder, machine, quick, rounds, ticks};
use serde_json::{Value, json};

/// Enough between bursts for the writer to drain the ring.
const PAUSE_NS: f64 = 5_000.0;
const WHOLE: Plan = Plan { bursts: 40_000, pause_ns: PAUSE_NS, singles: [100, 30, 5], cold: [60, 20, 4] };
const QUICK: Plan = Plan { bursts: 100, pause_ns: PAUSE_NS, singles: [3, 1, 1], cold: [1, 1, 1] };

fn main() {
    let (plan, rounds) = (if quick() { QUICK } else { WHOLE }, rounds());
    let machine = machine::machine();
    let mut report = Report::default();
    for round in 0..rounds {
        eprintln!("latency: round {} of {rounds}", round + 1);
        machine::pin(machine::cores().0);
        cases::floor(plan, &mut report);
        cases::calls(plan, &mut report);
        stress::threads(plan, &mut report);
        stress::full_ring(plan, &mut report);
        stress::rotation(plan, &mut report);
        stress::memory_pressure(plan, &mut report);
    }
    if quick() {
        println!("latency: every case ran, every record was there");
    } else {
        let all = json!({
            "machine": machine, "grain_ns": ticks::grain_ns(), "ns_per_tick": ticks::ns_per_tick(), "rounds": rounds,
            "dropped": cases::DROPPED.load(std::sync::atomic::Ordering::Relaxed), "cases": report.cases,
        });
        println!("{}", machine::save(&folder(), "latency", &all).display());
    }
}

/// All cases in the order in which they came, each with its rounds.
#[derive(Default)]
struct Report {
    cases: Vec<Value>,
}

impl Report {
    fn add(&mut self, name: &str, case: &Case) {
        match self.cases.iter_mut().find(|known| known["case"] == name) {
            Some(known) => known["rounds"].as_array_mut().unwrap().push(case.json()),
            None => self.cases.push(json!({ "case": name, "rounds": [case.json()] })),
        }
    }
}
