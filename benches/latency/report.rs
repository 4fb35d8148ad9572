//! From histograms to tables: medians over the rounds.

use hdrhistogram::Histogram;
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::io;
use std::path::Path;

/// Percentiles of the tables.
const QUANTILES: [(&str, f64); 6] =
    [("p50", 0.5), ("p90", 0.9), ("p99", 0.99), ("p99.9", 0.999), ("p99.99", 0.9999), ("max", 1.0)];
const PAUSES: [&str; 3] = ["1 ms", "10 ms", "100 ms"];

/// What one round measured of one case, in ticks.
pub(crate) struct Case {
    /// Means of bursts, in thousandths of ticks.
    pub(crate) burst: Histogram<u64>,
    /// Calls in bursts.
    pub(crate) call: Histogram<u64>,
    /// Single calls after pauses.
    pub(crate) after_pause: [Histogram<u64>; 3],
}

impl Default for Case {
    fn default() -> Self {
        let new = || Histogram::new_with_bounds(1, 1 << 40, 3).unwrap();
        Self { burst: new(), call: new(), after_pause: [new(), new(), new()] }
    }
}

/// All cases in the order in which they came, with their rounds.
pub(crate) struct Report {
    ns_per_tick: f64,
    cases: Vec<(String, Vec<Case>)>,
}

impl Report {
    pub(crate) fn new(ns_per_tick: f64) -> Self {
        Self { ns_per_tick, cases: Vec::new() }
    }

    pub(crate) fn add(&mut self, name: &str, case: Case) {
        match self.cases.iter_mut().find(|(known, _)| known == name) {
            Some((_, rounds)) => rounds.push(case),
            None => self.cases.push((name.to_owned(), vec![case])),
        }
    }

    /// The median over the rounds, in nanoseconds.
    fn median(&self, rounds: &[Case], of: impl Fn(&Case) -> f64) -> f64 {
        let mut values: Vec<f64> = rounds.iter().map(of).collect();
        values.sort_by(f64::total_cmp);
        values.get(values.len() / 2).copied().unwrap_or(0.0) * self.ns_per_tick
    }

    fn burst(&self, rounds: &[Case], quantile: f64) -> f64 {
        self.median(rounds, |case| case.burst.value_at_quantile(quantile) as f64 / 1000.0)
    }

    pub(crate) fn markdown(&self) -> String {
        let mut text = String::from(
            "\nSingle calls in bursts of 20, each timed, and means of bursts; ns, medians over the rounds.\n\n",
        );
        let head: Vec<&str> = QUANTILES.iter().map(|(name, _)| *name).collect();
        let _ = writeln!(text, "| case | burst mean p50 | {} |", head.join(" | "));
        let _ = writeln!(text, "|---|{}", "---:|".repeat(QUANTILES.len() + 1));
        for (name, rounds) in &self.cases {
            let _ = write!(text, "| {name} | {:.1} |", self.burst(rounds, 0.5));
            for (_, quantile) in QUANTILES {
                let value = self.median(rounds, |case| case.call.value_at_quantile(quantile) as f64);
                let _ = write!(text, " {value:.0} |");
            }
            text.push('\n');
        }
        text.push_str("\nThe first call after a pause; ns, p50 / p99, medians over the rounds.\n\n");
        let _ = writeln!(text, "| case | {} |\n|---|---:|---:|---:|", PAUSES.join(" | "));
        for (name, rounds) in self.cases.iter().filter(|(_, rounds)| rounds.iter().all(has_singles)) {
            let _ = write!(text, "| {name} |");
            for pause in 0..PAUSES.len() {
                let at =
                    |quantile| self.median(rounds, |case| case.after_pause[pause].value_at_quantile(quantile) as f64);
                let _ = write!(text, " {:.0} / {:.0} |", at(0.5), at(0.99));
            }
            text.push('\n');
        }
        text
    }

    /// Everything, each round on its own, in nanoseconds.
    pub(crate) fn save(&self, path: &Path) -> io::Result<()> {
        let quantiles = |histogram: &Histogram<u64>, unit: f64| -> Value {
            let of = |quantile| histogram.value_at_quantile(quantile) as f64 * unit * self.ns_per_tick;
            let mut object: serde_json::Map<String, Value> =
                QUANTILES.iter().map(|(name, quantile)| ((*name).to_owned(), json!(of(*quantile)))).collect();
            object.insert("count".to_owned(), json!(histogram.len()));
            Value::Object(object)
        };
        let round = |case: &Case| {
            json!({
                "burst_mean_ns": quantiles(&case.burst, 0.001),
                "call_ns": quantiles(&case.call, 1.0),
                "after_1_ms_ns": quantiles(&case.after_pause[0], 1.0),
                "after_10_ms_ns": quantiles(&case.after_pause[1], 1.0),
                "after_100_ms_ns": quantiles(&case.after_pause[2], 1.0),
            })
        };
        let cases: Vec<Value> = self
            .cases
            .iter()
            .map(|(name, rounds)| json!({ "case": name, "rounds": rounds.iter().map(round).collect::<Vec<_>>() }))
            .collect();
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder)?;
        }
        std::fs::write(path, format!("{:#}\n", json!({ "ns_per_tick": self.ns_per_tick, "cases": cases })))
    }
}

fn has_singles(case: &Case) -> bool {
    case.after_pause.iter().all(|histogram| !histogram.is_empty())
}
