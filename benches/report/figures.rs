//! What was measured, and how rounds become one figure.

use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};

/// The results of each benchmark; `Null` where there are none.
pub(crate) struct Figures {
    pub(crate) latency: Value,
    pub(crate) pipeline: Value,
    pub(crate) peers: Value,
    pub(crate) archive: Value,
    pub(crate) size: Value,
    pub(crate) scale: Value,
    pub(crate) soak: Value,
    pub(crate) guard: Value,
    pub(crate) criterion: PathBuf,
}

impl Figures {
    pub(crate) fn load(folder: &Path) -> Self {
        let read = |name: &str| {
            let text = fs::read_to_string(folder.join(format!("{name}.json"))).ok();
            text.and_then(|text| serde_json::from_str(&text).ok()).unwrap_or(Value::Null)
        };
        Self {
            latency: read("latency"),
            pipeline: read("pipeline"),
            peers: read("peers"),
            archive: read("archive"),
            size: read("size"),
            scale: read("scale"),
            soak: read("soak"),
            guard: read("guard"),
            criterion: folder.join("criterion"),
        }
    }
}

/// The cases of a benchmark.
pub(crate) fn cases(results: &Value) -> &[Value] {
    ["cases", "peers"].iter().find_map(|key| results[*key].as_array()).map_or(&[], Vec::as_slice)
}

/// The case of this name.
pub(crate) fn case<'a>(results: &'a Value, name: &str) -> Option<&'a Value> {
    cases(results).iter().find(|case| name_of(case) == name)
}

pub(crate) fn name_of(case: &Value) -> &str {
    case["case"].as_str().or(case["name"].as_str()).unwrap_or("?")
}

/// A number of each round, at `path`.
pub(crate) fn rounds(case: &Value, path: &[&str]) -> Vec<f64> {
    let at = |round: &Value| path.iter().fold(round, |value, key| &value[*key]).as_f64();
    case["rounds"].as_array().map_or(Vec::new(), |rounds| rounds.iter().filter_map(at).collect())
}

/// The lists of all rounds at `path` together, in order.
pub(crate) fn pooled(case: &Value, path: &[&str]) -> Vec<f64> {
    let at = |round: &Value| path.iter().fold(round, |value, key| &value[*key]).as_array().cloned().unwrap_or_default();
    let rounds = case["rounds"].as_array().cloned().unwrap_or_default();
    sorted(rounds.iter().flat_map(at).filter_map(|value| value.as_f64()).collect())
}

pub(crate) fn sorted(mut values: Vec<f64>) -> Vec<f64> {
    values.sort_by(f64::total_cmp);
    values
}

pub(crate) fn median(values: Vec<f64>) -> Option<f64> {
    quantile(&sorted(values), 0.5)
}

/// Of values in order, by nearest rank.
pub(crate) fn quantile(values: &[f64], quantile: f64) -> Option<f64> {
    let rank = (quantile * values.len() as f64).ceil() as usize;
    values.get(rank.saturating_sub(1)).copied()
}

/// The median of the ratios of two cases, round by round.
pub(crate) fn ratio(above: &[f64], below: &[f64]) -> Option<f64> {
    median(above.iter().zip(below).map(|(above, below)| above / below).collect())
}

/// With thousands apart, and as many decimals.
pub(crate) fn number(value: f64, decimals: usize) -> String {
    let text = format!("{value:.decimals$}");
    let (whole, rest) =
        text.split_once('.').map_or((text.as_str(), String::new()), |(it, rest)| (it, format!(".{rest}")));
    let (sign, digits) = whole.strip_prefix('-').map_or(("", whole), |digits| ("-", digits));
    let mut out = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place) % 3 == 0 {
            out.push(',');
        }
        out.push(digit);
    }
    format!("{sign}{out}{rest}")
}

/// A number, or a dash.
pub(crate) fn shown(value: Option<f64>, decimals: usize) -> String {
    value.map_or("–".to_owned(), |value| number(value, decimals))
}

/// The median, and the least and greatest round.
pub(crate) fn spread(values: Vec<f64>, decimals: usize) -> String {
    let values = sorted(values);
    match (values.first(), values.last(), quantile(&values, 0.5)) {
        (Some(least), Some(most), Some(median)) => {
            format!("{} ({}–{})", number(median, decimals), number(*least, decimals), number(*most, decimals))
        }
        _ => "–".to_owned(),
    }
}

/// A table in Markdown, all columns but the first to the right.
pub(crate) fn table(head: &[&str], rows: Vec<Vec<String>>) -> String {
    let mut text = format!("| {} |\n|---|{}\n", head.join(" | "), "---:|".repeat(head.len() - 1));
    rows.iter().for_each(|row| text.push_str(&format!("| {} |\n", row.join(" | "))));
    text
}
