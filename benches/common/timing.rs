//! How calls are timed, the same for our own and for other loggers: in bursts, and one by one after pauses.

use super::ticks::{now, ns_per_tick, spin};
use hdrhistogram::Histogram;
use serde_json::{Map, Value, json};
use std::hint::black_box;
use std::time::Duration;

/// Calls in a burst; then the producer pauses, as a strategy does between two events.
pub const BURST: usize = 20;
/// Pauses before a single call, in milliseconds.
pub const PAUSES_MS: [u64; 3] = [1, 10, 100];
/// What is walked in a pause to empty the caches that a thread has for itself.
const WALK_BYTES: usize = 4 << 20;
/// Percentiles that are kept.
const QUANTILES: [(&str, f64); 6] =
    [("p50", 0.5), ("p90", 0.9), ("p99", 0.99), ("p99.9", 0.999), ("p99.99", 0.9999), ("max", 1.0)];

/// How much is measured.
#[derive(Clone, Copy)]
pub struct Plan {
    pub bursts: usize,
    /// Length of the pause between bursts: enough for a back end to keep up.
    pub pause_ns: f64,
    /// Single calls after each of [`PAUSES_MS`].
    pub singles: [usize; 3],
    /// The same with emptied caches.
    pub cold: [usize; 3],
}

/// What one round measured of one case, in ticks.
pub struct Case {
    /// Means of bursts, in thousandths of ticks.
    burst: Histogram<u64>,
    /// Calls in bursts.
    call: Histogram<u64>,
    after_pause: [Vec<u64>; 3],
    after_cold_pause: [Vec<u64>; 3],
}

pub fn histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, 1 << 40, 3).unwrap()
}

pub fn add(histogram: &mut Histogram<u64>, value: u64) {
    histogram.saturating_record(value.max(1));
}

/// Percentiles, in nanoseconds where the histogram has ticks and `unit` is 1.
pub fn quantiles(histogram: &Histogram<u64>, unit: f64) -> Value {
    let of = |quantile| round(histogram.value_at_quantile(quantile) as f64 * unit * ns_per_tick());
    let mut object: Map<String, Value> =
        QUANTILES.iter().map(|(name, quantile)| ((*name).to_owned(), json!(of(*quantile)))).collect();
    object.insert("count".to_owned(), json!(histogram.len()));
    Value::Object(object)
}

fn round(ns: f64) -> f64 {
    (ns * 100.0).round() / 100.0
}

impl Default for Case {
    fn default() -> Self {
        Self {
            burst: histogram(),
            call: histogram(),
            after_pause: Default::default(),
            after_cold_pause: Default::default(),
        }
    }
}

impl Case {
    /// Takes in what another thread measured of the same.
    pub fn merge(&mut self, other: &Self) {
        self.burst.add(&other.burst).unwrap();
        self.call.add(&other.call).unwrap();
    }

    /// Takes in calls that were timed elsewhere.
    pub fn of_calls(calls: impl Iterator<Item = u64>) -> Self {
        let mut case = Self::default();
        calls.for_each(|ticks| add(&mut case.call, ticks));
        case
    }

    pub fn calls(&self) -> u64 {
        self.call.len()
    }

    /// In nanoseconds; first calls one by one.
    pub fn json(&self) -> Value {
        let list =
            |ticks: &Vec<u64>| -> Vec<f64> { ticks.iter().map(|it| round(*it as f64 * ns_per_tick())).collect() };
        let by_pause = |all: &[Vec<u64>; 3]| -> Map<String, Value> {
            PAUSES_MS.iter().zip(all).map(|(ms, ticks)| (ms.to_string(), json!(list(ticks)))).collect()
        };
        let mut object = Map::new();
        if !self.burst.is_empty() {
            object.insert("burst_mean_ns".to_owned(), quantiles(&self.burst, 0.001));
        }
        object.insert("call_ns".to_owned(), quantiles(&self.call, 1.0));
        if self.after_pause.iter().any(|it| !it.is_empty()) {
            object.insert("after_ms".to_owned(), Value::Object(by_pause(&self.after_pause)));
        }
        if self.after_cold_pause.iter().any(|it| !it.is_empty()) {
            object.insert("after_ms_cold".to_owned(), Value::Object(by_pause(&self.after_cold_pause)));
        }
        Value::Object(object)
    }
}

/// Times `call` in bursts and after pauses; `i` is the number of the next call.
#[inline(always)]
pub fn measure(plan: Plan, i: &mut u64, call: &mut impl FnMut(u64)) -> Case {
    let mut case = Case::default();
    bursts(plan, &mut case, i, call);
    let mut walk = vec![1_u64; WALK_BYTES / 8];
    for (pause, ms) in PAUSES_MS.into_iter().enumerate() {
        let sleep = || std::thread::sleep(Duration::from_millis(ms));
        for _ in 0..plan.singles[pause] {
            sleep();
            case.after_pause[pause].push(single(i, call));
        }
        for _ in 0..plan.cold[pause] {
            sleep();
            walk.iter_mut().step_by(8).for_each(|word| *word += 1);
            black_box(&mut walk);
            case.after_cold_pause[pause].push(single(i, call));
        }
    }
    case
}

/// Alternates bursts in which each call is timed with bursts timed as a whole, because timing costs more than a call.
#[inline(always)]
pub fn bursts(plan: Plan, case: &mut Case, i: &mut u64, call: &mut impl FnMut(u64)) {
    let pause = (plan.pause_ns / ns_per_tick()) as u64;
    for burst in 0..plan.bursts {
        if burst % 2 == 0 {
            let begin = now();
            for _ in 0..BURST {
                call(*i);
                *i += 1;
            }
            add(&mut case.burst, now().wrapping_sub(begin) * 1000 / BURST as u64);
        } else {
            for _ in 0..BURST {
                let ticks = single(i, call);
                add(&mut case.call, ticks);
            }
        }
        spin(pause);
    }
}

#[inline(always)]
fn single(i: &mut u64, call: &mut impl FnMut(u64)) -> u64 {
    let before = now();
    call(*i);
    let after = now();
    *i += 1;
    after.wrapping_sub(before)
}
