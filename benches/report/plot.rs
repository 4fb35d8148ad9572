//! Plots as SVG, by hand: lines over categories with a logarithmic axis, and bars.

use super::figures::{Figures, case, cases, median, name_of, pooled, quantile, rounds};
use super::latency::{self, PAUSES, QUANTILES};
use super::peers::{is_floor, is_ours, ordered, rates};
use serde_json::Value;
use std::fmt::Write as _;

const WIDTH: f64 = 860.0;
const HEIGHT: f64 = 460.0;
const LEFT: f64 = 70.0;
const RIGHT: f64 = 250.0;
const TOP: f64 = 50.0;
const BOTTOM: f64 = 45.0;
const COLORS: [&str; 10] =
    ["#1f77b4", "#ff7f0e", "#2ca02c", "#9467bd", "#8c564b", "#e377c2", "#7f7f7f", "#bcbd22", "#17becf", "#aec7e8"];
const OURS: &str = "#d62728";
const FLOOR: &str = "#000000";

struct Series {
    name: String,
    color: &'static str,
    wide: bool,
    values: Vec<Option<f64>>,
}

/// Percentiles of single calls in bursts.
pub(crate) fn percentiles(figures: &Figures) -> Option<String> {
    let series = peers(figures, |peer| latency::percentiles(peer, &["latency", "numbers"]))?;
    Some(lines("A call in a burst of 20, (u64, u64, f64): ns, with the timing", &QUANTILES, &series))
}

/// The 99th percentile of first calls.
pub(crate) fn first_call(figures: &Figures) -> Option<String> {
    let of = |peer: &Value| -> Vec<Option<f64>> {
        let kinds = ["after_ms", "after_ms_cold"].into_iter().flat_map(|kind| PAUSES.map(|ms| (kind, ms)));
        kinds.map(|(kind, ms)| quantile(&pooled(peer, &["latency", "numbers", kind, ms]), 0.99)).collect()
    };
    let labels = ["1 ms", "10 ms", "100 ms", "1 ms, cold", "10 ms, cold", "100 ms, cold"];
    Some(lines("The first call after a pause, 99th percentile: ns, with the timing", &labels, &peers(figures, of)?))
}

fn peers(figures: &Figures, of: impl Fn(&Value) -> Vec<Option<f64>>) -> Option<Vec<Series>> {
    let mut colors = COLORS.iter().cycle();
    let all = ordered(figures);
    if all.is_empty() {
        return None;
    }
    let series = all.into_iter().map(|peer| Series {
        name: name_of(peer).to_owned(),
        color: if is_ours(peer) {
            OURS
        } else if is_floor(peer) {
            FLOOR
        } else {
            colors.next().unwrap()
        },
        wide: is_ours(peer),
        values: of(peer),
    });
    Some(series.collect())
}

pub(crate) fn throughput(figures: &Figures) -> Option<String> {
    let mut all: Vec<&Value> = cases(&figures.peers).iter().filter(|peer| !is_floor(peer)).collect();
    if all.is_empty() {
        return None;
    }
    let rate = |peer: &Value, run| median(rates(peer, run)).unwrap_or(0.0);
    all.sort_by(|one, other| rate(other, "one_producer").total_cmp(&rate(one, "one_producer")));
    let bars: Vec<(String, bool, [f64; 2])> = all
        .iter()
        .map(|peer| {
            (name_of(peer).to_owned(), is_ours(peer), [rate(peer, "one_producer"), rate(peer, "two_producers")])
        })
        .collect();
    Some(rows("Text on disk, end to end: million records a second, with one producer (dark) and two (light)", &bars))
}

/// The run at a steady rate.
pub(crate) fn soak(figures: &Figures) -> Option<String> {
    let values: Vec<Option<f64>> = QUANTILES.iter().map(|key| figures.soak["call_ns"][*key].as_f64()).collect();
    values[0]?;
    let mut series = vec![Series { name: "steady 200,000 a second".to_owned(), color: OURS, wide: true, values }];
    if let Some(floor) = case(&figures.latency, "store of the same bytes + TSC") {
        let values = QUANTILES.iter().map(|key| median(rounds(floor, &["call_ns", key]))).collect();
        series.push(Series { name: "bare store + TSC, in bursts".to_owned(), color: FLOOR, wide: false, values });
    }
    Some(lines("Calls of the whole run: ns, with the timing", &QUANTILES, &series))
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;")
}

fn begin(title: &str, height: f64) -> String {
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" font-family=\"sans-serif\" font-size=\"12\">\n\
         <rect width=\"{WIDTH}\" height=\"{height}\" fill=\"white\"/>\n\
         <text x=\"{LEFT}\" y=\"24\" font-size=\"15\">{}</text>\n",
        escaped(title)
    )
}

/// Series over categories, the axis logarithmic.
fn lines(title: &str, labels: &[&str], series: &[Series]) -> String {
    let values =
        || series.iter().flat_map(|series| series.values.iter().flatten()).copied().filter(|value| *value > 0.0);
    let least = values().fold(f64::MAX, f64::min).log10().floor();
    let most = values().fold(1.0, f64::max).log10().ceil().max(least + 1.0);
    let x = |at: usize| LEFT + (WIDTH - LEFT - RIGHT) * at as f64 / (labels.len() - 1).max(1) as f64;
    let y = |value: f64| HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * (value.max(1e-9).log10() - least) / (most - least);
    let mut svg = begin(title, HEIGHT);
    for power in least as i32..=most as i32 {
        let value = 10_f64.powi(power);
        let (at, right) = (y(value), WIDTH - RIGHT);
        let _ = writeln!(svg, "<line x1=\"{LEFT}\" y1=\"{at:.1}\" x2=\"{right}\" y2=\"{at:.1}\" stroke=\"#ddd\"/>");
        let _ = writeln!(svg, "<text x=\"{}\" y=\"{:.1}\" text-anchor=\"end\">{value}</text>", LEFT - 8.0, at + 4.0);
    }
    for (at, label) in labels.iter().enumerate() {
        let _ = writeln!(
            svg,
            "<text x=\"{:.1}\" y=\"{}\" text-anchor=\"middle\">{label}</text>",
            x(at),
            HEIGHT - BOTTOM + 20.0
        );
    }
    for (number, series) in series.iter().enumerate() {
        let points: Vec<String> = series
            .values
            .iter()
            .enumerate()
            .filter_map(|(at, value)| Some(format!("{:.1},{:.1}", x(at), y((*value)?))))
            .collect();
        let (color, width) = (series.color, if series.wide { 3.0 } else { 1.5 });
        let dashes = if series.color == FLOOR { " stroke-dasharray=\"5 3\"" } else { "" };
        let points = points.join(" ");
        let _ = writeln!(
            svg,
            "<polyline points=\"{points}\" fill=\"none\" stroke=\"{color}\" stroke-width=\"{width}\"{dashes}/>"
        );
        let (left, at) = (WIDTH - RIGHT + 20.0, TOP + 10.0 + 20.0 * number as f64);
        let _ = writeln!(
            svg,
            "<line x1=\"{left}\" y1=\"{at}\" x2=\"{}\" y2=\"{at}\" stroke=\"{color}\" stroke-width=\"{width}\"{dashes}/>",
            left + 22.0
        );
        let _ = writeln!(svg, "<text x=\"{}\" y=\"{}\">{}</text>", left + 28.0, at + 4.0, escaped(&series.name));
    }
    svg.push_str("</svg>\n");
    svg
}

/// Two bars in each row.
fn rows(title: &str, bars: &[(String, bool, [f64; 2])]) -> String {
    const ROW: f64 = 34.0;
    const NAMES: f64 = 230.0;
    let height = TOP + ROW * bars.len() as f64 + 10.0;
    let most = bars.iter().flat_map(|(.., values)| values).copied().fold(0.1, f64::max);
    let mut svg = begin(title, height);
    for (number, (name, ours, values)) in bars.iter().enumerate() {
        let at = TOP + ROW * number as f64;
        let _ = writeln!(
            svg,
            "<text x=\"{}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
            NAMES - 8.0,
            at + 19.0,
            escaped(name)
        );
        let color = if *ours { OURS } else { COLORS[0] };
        for (part, value) in values.iter().enumerate() {
            let (y, width) = (at + 2.0 + 14.0 * part as f64, (WIDTH - NAMES - 60.0) * value / most);
            let opacity = if part == 0 { 1.0 } else { 0.5 };
            let _ = writeln!(
                svg,
                "<rect x=\"{NAMES}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"12\" fill=\"{color}\" opacity=\"{opacity}\"/>\n\
                 <text x=\"{:.1}\" y=\"{:.1}\" font-size=\"10\">{value:.2}</text>",
                NAMES + width + 4.0,
                y + 10.0
            );
        }
    }
    svg.push_str("</svg>\n");
    svg
}
