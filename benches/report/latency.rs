//! What a call costs, without other loggers.

use super::figures::{Figures, case, cases, median, name_of, pooled, quantile, rounds, shown, spread, table};
use serde_json::Value;

pub(crate) const QUANTILES: [&str; 6] = ["p50", "p90", "p99", "p99.9", "p99.99", "max"];

/// Medians of the percentiles of single calls.
pub(crate) fn percentiles(case: &Value, under: &[&str]) -> Vec<Option<f64>> {
    QUANTILES.iter().map(|quantile| median(rounds(case, &[under, &["call_ns", quantile]].concat()))).collect()
}

fn row(case: &Value) -> Vec<String> {
    let mut row = vec![name_of(case).to_owned(), spread(rounds(case, &["burst_mean_ns", "p50"]), 1)];
    row.extend(percentiles(case, &[]).into_iter().map(|value| shown(value, 0)));
    row
}

fn head() -> Vec<&'static str> {
    [&["case", "mean of a burst"], &QUANTILES[..]].concat()
}

fn has_pauses(case: &Value) -> bool {
    !case["rounds"][0]["after_ms"].is_null()
}

pub(crate) fn bursts(figures: &Figures) -> Option<String> {
    case(&figures.latency, "TSC read")?;
    let rows = cases(&figures.latency).iter().filter(|case| has_pauses(case)).map(row).collect();
    Some(table(&head(), rows))
}

/// Threads, full rings, rotation, pressure.
pub(crate) fn conditions(figures: &Figures) -> Option<String> {
    case(&figures.latency, "TSC read")?;
    let rows = cases(&figures.latency).iter().filter(|case| !has_pauses(case)).map(row).collect();
    Some(table(&head(), rows))
}

pub(crate) const PAUSES: [&str; 3] = ["1", "10", "100"];

/// First calls after pauses with warm and with emptied caches: p50 / p99 of all rounds together.
pub(crate) fn after_pauses(case: &Value, under: &[&str]) -> Vec<String> {
    let columns = ["after_ms", "after_ms_cold"].into_iter().flat_map(|kind| PAUSES.map(|ms| (kind, ms)));
    let of = |(kind, ms)| {
        let all = pooled(case, &[under, &[kind, ms]].concat());
        format!("{} / {}", shown(quantile(&all, 0.5), 0), shown(quantile(&all, 0.99), 0))
    };
    columns.map(of).collect()
}

pub(crate) const PAUSES_HEAD: [&str; 7] =
    ["case", "1 ms", "10 ms", "100 ms", "1 ms, cold", "10 ms, cold", "100 ms, cold"];

pub(crate) fn pauses(figures: &Figures) -> Option<String> {
    case(&figures.latency, "TSC read")?;
    let all = cases(&figures.latency).iter().filter(|case| has_pauses(case));
    let rows = all.map(|case| [vec![name_of(case).to_owned()], after_pauses(case, &[])].concat()).collect();
    Some(table(&PAUSES_HEAD, rows))
}
