//! Other loggers.

use super::figures::{Figures, cases, median, name_of, number, rounds, shown, sorted, spread, table};
use super::latency::{PAUSES_HEAD, QUANTILES, after_pauses, percentiles};
use serde_json::Value;

/// No logger.
pub(crate) fn is_floor(peer: &Value) -> bool {
    name_of(peer).contains("TSC")
}

pub(crate) fn is_ours(peer: &Value) -> bool {
    name_of(peer).starts_with("tachograph")
}

/// Other loggers, without those of which too few records arrived to compare anything.
pub(crate) fn others(figures: &Figures) -> impl Iterator<Item = &Value> {
    cases(&figures.peers).iter().filter(|peer| !is_floor(peer) && !is_ours(peer))
}

/// In the order of the median of their bursts.
pub(crate) fn ordered(figures: &Figures) -> Vec<&Value> {
    let mut all: Vec<&Value> = cases(&figures.peers).iter().collect();
    let key = |peer: &Value| median(rounds(peer, &["latency", "numbers", "burst_mean_ns", "p50"])).unwrap_or(f64::MAX);
    all.sort_by(|one, other| key(one).total_cmp(&key(other)));
    all
}

/// Records of a run that are not in the file, in per cent, in the worst round.
fn lost(peer: &Value, run: &str) -> Option<f64> {
    let (records, found) = (rounds(peer, &[run, "records"]), rounds(peer, &[run, "found"]));
    let lost = records.iter().zip(&found).map(|(records, found)| (records - found) / records * 100.0);
    sorted(lost.collect()).last().copied()
}

fn name(peer: &Value) -> String {
    if is_ours(peer) { format!("**{}**", name_of(peer)) } else { name_of(peer).to_owned() }
}

pub(crate) fn bursts(figures: &Figures) -> Option<String> {
    if cases(&figures.peers).is_empty() {
        return None;
    }
    let head = [&["logger", "mean of a burst"], &QUANTILES[..], &["with a string: mean", "p99.9", "lost"]].concat();
    let row = |peer: &&Value| {
        let mut row = vec![name(peer), spread(rounds(peer, &["latency", "numbers", "burst_mean_ns", "p50"]), 1)];
        row.extend(percentiles(peer, &["latency", "numbers"]).into_iter().map(|value| shown(value, 0)));
        row.push(shown(median(rounds(peer, &["latency", "text", "burst_mean_ns", "p50"])), 1));
        row.push(shown(median(rounds(peer, &["latency", "text", "call_ns", "p99.9"])), 0));
        row.push(percent(lost(peer, "latency")));
        row
    };
    Some(table(&head, ordered(figures).iter().map(row).collect()))
}

fn percent(value: Option<f64>) -> String {
    match value {
        Some(0.0) => "0".to_owned(),
        Some(value) => format!("{value:.1} %"),
        None => "–".to_owned(),
    }
}

pub(crate) fn pauses(figures: &Figures) -> Option<String> {
    if cases(&figures.peers).is_empty() {
        return None;
    }
    let row = |peer: &&Value| [vec![name(peer)], after_pauses(peer, &["latency", "numbers"])].concat();
    let head = [&["logger"], &PAUSES_HEAD[1..]].concat();
    Some(table(&head, ordered(figures).iter().map(row).collect()))
}

/// Millions of records a second that arrived, round by round.
pub(crate) fn rates(peer: &Value, run: &str) -> Vec<f64> {
    let (found, seconds) = (rounds(peer, &[run, "found"]), rounds(peer, &[run, "seconds"]));
    found.iter().zip(&seconds).map(|(found, seconds)| found / seconds / 1e6).collect()
}

/// The other logger that was fastest to have its lines on disk, and its rate.
pub(crate) fn best<'a>(figures: &'a Figures, run: &str) -> Option<(&'a str, f64)> {
    let rated = others(figures).filter_map(|peer| Some((name_of(peer), median(rates(peer, run))?)));
    rated.max_by(|one, other| one.1.total_cmp(&other.1))
}

pub(crate) fn throughput(figures: &Figures) -> Option<String> {
    let mut all: Vec<&Value> = cases(&figures.peers).iter().filter(|peer| !is_floor(peer)).collect();
    if all.is_empty() {
        return None;
    }
    let key = |peer: &Value| median(rates(peer, "one_producer")).unwrap_or(0.0);
    all.sort_by(|one, other| key(other).total_cmp(&key(one)));
    let row = |peer: &&Value| {
        let at = |key| median(rounds(peer, &["one_producer", key]));
        vec![
            name(peer),
            spread(rates(peer, "one_producer"), 2),
            spread(rates(peer, "two_producers"), 2),
            shown(at("cpu_ns_per_record"), 0),
            shown(at("bytes_per_record"), 0),
            at("memory_max_kib").map_or("–".to_owned(), |kib| number(kib / 1024.0, 0)),
            percent(
                sorted(["one_producer", "two_producers"].iter().filter_map(|run| lost(peer, run)).collect())
                    .last()
                    .copied(),
            ),
        ]
    };
    let head =
        ["logger", "one producer, M/s", "two producers, M/s", "CPU ns a record", "bytes a line", "memory, MiB", "lost"];
    Some(table(&head, all.iter().map(row).collect()))
}
