//! The budget of the design, each line with its figure.

use super::figures::{Figures, case, cases, median, name_of, number, pooled, quantile, ratio, rounds, shown};
use super::latency::PAUSES;
use super::peers::{best, is_ours, others, rates};
use serde_json::Value;

#[derive(Clone)]
struct Line {
    what: String,
    budget: String,
    /// The figure, and whether it meets the budget; `None` where it was not measured.
    found: Option<(String, bool)>,
}

pub(crate) fn table(figures: &Figures) -> Option<String> {
    case(&figures.latency, "TSC read")?;
    let lines = [calls(figures), tails(figures), behind(figures), files(figures)].concat();
    let mut text = String::from("| what | budget | measured | |\n|---|---|---|---|\n");
    for Line { what, budget, found } in &lines {
        let (figure, verdict) = match found {
            Some((figure, true)) => (figure.as_str(), "met"),
            Some((figure, false)) => (figure.as_str(), "**missed**"),
            None => ("not measured", ""),
        };
        text.push_str(&format!("| {what} | {budget} | {figure} | {verdict} |\n"));
    }
    Some(text)
}

fn line(what: &str, budget: &str, found: Option<(String, bool)>) -> Line {
    Line { what: what.to_owned(), budget: budget.to_owned(), found }
}

/// Means over bursts, against a read of the counter in the same rounds.
fn calls(figures: &Figures) -> Vec<Line> {
    let means =
        |name: &str| case(&figures.latency, name).map(|it| rounds(it, &["burst_mean_ns", "p50"])).unwrap_or_default();
    let tsc = means("TSC read");
    [
        ("enabled call in a burst, (u64, u64, f64)", "(u64, u64, f64)", 1.15),
        ("the same with a 32-byte string", "with a 32-byte string", 1.5),
        ("coarse clock", "(u64, u64, f64), coarse clock", 0.5),
        ("disabled call", "disabled call", 0.1),
    ]
    .into_iter()
    .map(|(what, name, most)| {
        let all = means(name);
        let found = ratio(&all, &tsc).map(|ratio| {
            let figure = format!("{ratio:.2} × ({} ns of {} ns)", shown(median(all), 1), shown(median(tsc.clone()), 1));
            // To what the table shows.
            (figure, (ratio * 100.0).round() <= most * 100.0)
        });
        line(what, &format!("≤ {most} × one TSC read"), found)
    })
    .collect()
}

/// p99.9 in bursts and first calls, against the best of the peers; a grain of the clock does not count.
fn tails(figures: &Figures) -> Vec<Line> {
    let grain = figures.peers["grain_ns"].as_f64().unwrap_or(0.0);
    let budget = format!("≤ the best peer + {} ns, the clock's grain", number(grain, 0));
    let against = |what: &str, of: &dyn Fn(&Value) -> Option<f64>| {
        let ours = case(&figures.peers, "tachograph").and_then(of);
        let theirs = others(figures)
            .filter_map(|peer| Some((name_of(peer), of(peer)?)))
            .min_by(|one, other| one.1.total_cmp(&other.1));
        let found = ours.zip(theirs).map(|(ours, (name, theirs))| {
            (format!("{} ns; {name}: {} ns", number(ours, 0), number(theirs, 0)), ours <= theirs + grain * 1.01)
        });
        line(what, &budget, found)
    };
    let mut lines = vec![against("99.9th percentile of single calls", &|peer| {
        median(rounds(peer, &["latency", "numbers", "call_ns", "p99.9"]))
    })];
    for ms in PAUSES {
        for (name, part) in [("p50", 0.5), ("p99", 0.99)] {
            lines.push(against(&format!("first call after {ms} ms, {name}"), &|peer| {
                quantile(&pooled(peer, &["latency", "numbers", "after_ms", ms]), part)
            }));
        }
    }
    lines
}

/// How fast records can be read behind the ring.
fn behind(figures: &Figures) -> Vec<Line> {
    let seconds = |name: &str| case(&figures.pipeline, name).map(|it| rounds(it, &["seconds"])).unwrap_or_default();
    let journal = ratio(&seconds("raw two-thread transfer"), &seconds("journal, one producer")).map(|ratio| {
        let records = figures.pipeline["records"].as_f64().unwrap_or(0.0);
        let rate = |name| median(seconds(name)).map(|seconds| records / seconds / 1e6);
        let rates = (shown(rate("journal, one producer"), 1), shown(rate("raw two-thread transfer"), 1));
        (format!("{ratio:.2} × ({} of {} M/s)", rates.0, rates.1), ratio >= 0.5)
    });
    let mut lines = vec![line(
        "journal, one producer, until readable by another process",
        "≥ 0.5 × the raw two-thread transfer, and ahead of every peer with a binary log (there is none in Rust)",
        journal,
    )];
    for (run, what) in [("one_producer", "one producer"), ("two_producers", "two producers")] {
        let ours = cases(&figures.peers).iter().find(|peer| is_ours(peer)).and_then(|peer| median(rates(peer, run)));
        let found = ours.zip(best(figures, run)).map(|(ours, (name, theirs))| {
            (format!("{:.2} × ({ours:.2} M/s; {name}: {theirs:.2} M/s)", ours / theirs), ours >= 2.0 * theirs)
        });
        lines.push(line(&format!("text on disk, end to end, {what}"), "two cores: ≥ 2 × the best text logger", found));
    }
    lines
}

/// What the worker and the operator's command do.
fn files(figures: &Figures) -> Vec<Line> {
    let gzip = |what: &str| {
        let rows = figures.size["rows"].as_array()?;
        rows.iter().find(|row| row["what"] == what)?["bytes_per_record"][1].as_f64()
    };
    let size = gzip("journal").zip(gzip("text")).map(|(journal, text)| {
        (format!("{:.2} × ({journal:.1} of {text:.1} bytes a record)", journal / text), journal <= 0.5 * text)
    });
    let mut lines = vec![line("journal.gz", "≤ 1/2 of the bytes of text.gz", size)];
    for name in ["rotation", "rotation and compression"] {
        let tail = |part: &str| {
            let case = case(&figures.latency, &format!("{name}: {part}"));
            case.map(|case| rounds(case, &["call_ns", "p99.9"])).unwrap_or_default()
        };
        let (near, elsewhere) = (tail("within 1 ms of one"), tail("elsewhere"));
        let found = ratio(&near, &elsewhere).map(|ratio| {
            let figure = format!("{ratio:.2} × ({} of {} ns)", shown(median(near), 0), shown(median(elsewhere), 0));
            (figure, ratio <= 1.5)
        });
        lines.push(line(&format!("{name}: p99.9 of calls within 1 ms"), "≤ 1.5 × elsewhere", found));
    }
    for case in cases(&figures.archive) {
        let seconds = |key: &str| -> Vec<f64> {
            case[key].as_array().map_or(Vec::new(), |all| all.iter().filter_map(Value::as_f64).collect())
        };
        let (ours, theirs) = (seconds("tacho_seconds"), seconds("gzip_seconds"));
        let decode = name_of(case) == "everything to text";
        let least = if decode { 1.0 } else { 5.0 };
        let found = ratio(&theirs, &ours).map(|ratio| {
            let figure = format!("{ratio:.1} × ({} of {} s)", shown(median(ours), 2), shown(median(theirs), 2));
            (figure, ratio >= least)
        });
        let (what, budget) = if decode {
            ("everything to text, one core".to_owned(), "≥ the rate of `zcat` of text.gz")
        } else {
            (format!("search {}", name_of(case)), "≥ 5 × the rate of `zgrep` of text.gz")
        };
        lines.push(line(&what, budget, found));
    }
    lines
}
