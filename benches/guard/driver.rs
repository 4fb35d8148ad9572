//! Runs this program under callgrind, reads what it counted, and holds it against the budgets.

use super::common::{folder, machine};
use super::counted::REPETITIONS;
use super::sites;
use serde_json::json;
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;

const BUDGET: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/guard/budget.txt");
const HEAD: &str = "\
# Instructions of a call, of a record in the writer, of a line of text; bytes of machine code of a call site. A figure that
# is more than 10 % above its line fails the build. Written by: cargo bench --bench guard -- --write
";
/// How far above its budget a figure may be.
const SLACK: f64 = 1.10;
/// Counts are small numbers: one instruction more is not a failure where it is 10 %.
const SLACK_LEAST: f64 = 1.5;

pub(crate) fn run(write: bool) {
    if Command::new("valgrind").arg("--version").output().is_err() {
        println!("SKIPPED: instructions are counted by valgrind, which is not installed");
        return;
    }
    sites::keep();
    let mut figures = instructions();
    figures.extend(bytes());
    if write {
        let lines: Vec<String> = figures.iter().map(|(name, figure)| format!("{figure:>8.1}  {name}\n")).collect();
        fs::write(BUDGET, format!("{HEAD}{}", lines.concat())).unwrap();
        println!("{BUDGET}");
    }
    let budgets = budgets();
    let mut failed = Vec::new();
    println!("{:>9} {:>9}", "measured", "budget");
    for (name, figure) in &figures {
        let budget = budgets.get(name.as_str()).copied();
        println!("{figure:>9.1} {:>9}  {name}", budget.map_or("none".to_owned(), |it| format!("{it:.1}")));
        if budget.is_none_or(|budget| *figure > (budget * SLACK).max(budget + SLACK_LEAST)) {
            failed.push(name.as_str());
        }
    }
    for name in budgets.keys().filter(|name| figures.iter().all(|(known, _)| known != *name)) {
        failed.push(name);
    }
    let all: Vec<_> = figures
        .iter()
        .map(|(name, figure)| json!({ "name": name, "figure": figure, "budget": budgets.get(name.as_str()) }))
        .collect();
    machine::save(&folder(), "guard", &json!({ "figures": all }));
    if !failed.is_empty() {
        eprintln!("above the budget, without one, or no more measured: {}", failed.join("; "));
        eprintln!("if that is wanted: cargo bench --bench guard -- --write, and say why in the commit");
        std::process::exit(1);
    }
}

fn budgets() -> BTreeMap<String, f64> {
    let text = fs::read_to_string(BUDGET).unwrap_or_default();
    let lines = text.lines().filter(|line| !line.starts_with('#')).filter_map(|line| line.trim().split_once("  "));
    lines.map(|(figure, name)| (name.trim().to_owned(), figure.parse().unwrap())).collect()
}

/// Instructions per repetition of each case, in the order of the cases.
fn instructions() -> Vec<(String, f64)> {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("out");
    let run = Command::new("valgrind")
        .args(["--tool=callgrind", "--instr-atstart=no", "--separate-threads=yes"])
        .arg(format!("--callgrind-out-file={}", out.display()))
        .arg(std::env::current_exe().unwrap())
        .arg("--count")
        .output()
        .unwrap();
    assert!(run.status.success(), "under valgrind: {}", String::from_utf8_lossy(&run.stderr));
    let mut counts: Vec<(u64, String, f64)> =
        fs::read_dir(dir.path()).unwrap().filter_map(|it| dump(&it.unwrap().path())).collect();
    counts.sort_by_key(|(number, ..)| *number);
    let mut figures = Vec::new();
    let [few, many] = REPETITIONS.map(|repetitions| format!(" #{repetitions}"));
    for (_, label, count) in &counts {
        let Some(name) = label.strip_suffix(&few) else { continue };
        let other = counts.iter().find(|(_, label, _)| *label == format!("{name}{many}"));
        let (.., more) = other.unwrap_or_else(|| panic!("{name}: counted once only"));
        figures.push((name.to_owned(), (more - count) / (REPETITIONS[1] - REPETITIONS[0]) as f64));
    }
    assert!(figures.len() >= 7, "callgrind left {counts:?}");
    figures
}

/// Number, label and count of a dump of the main thread, whose file ends with `.<number>-01`.
fn dump(path: &Path) -> Option<(u64, String, f64)> {
    let name = path.file_name()?.to_str()?;
    let number = name.strip_suffix("-01")?.rsplit('.').next()?.parse().ok()?;
    let text = fs::read_to_string(path).ok()?;
    let label = text.lines().find_map(|line| line.strip_prefix("desc: Trigger: Client Request: "))?;
    let total =
        text.lines().find_map(|line| line.strip_prefix("totals: ").or_else(|| line.strip_prefix("summary: ")))?;
    Some((number, label.to_owned(), total.trim().parse().ok()?))
}

/// Bytes of machine code per call site, by the sizes of functions.
fn bytes() -> Vec<(String, f64)> {
    let listed = Command::new("nm").args(["-S", "--defined-only"]).arg(std::env::current_exe().unwrap()).output();
    let listed = String::from_utf8(listed.unwrap_or_else(|error| panic!("nm, of binutils: {error}")).stdout).unwrap();
    let size = |name: &str| {
        let line = listed
            .lines()
            .find(|line| line.ends_with(&format!(" {name}")))
            .unwrap_or_else(|| panic!("{name} is in no line of nm"));
        u64::from_str_radix(line.split(' ').nth(1).unwrap(), 16).unwrap()
    };
    let of = |(name, one, nine): &(&str, &str, &str)| {
        ((*name).to_owned(), (size(nine) - size(one)) as f64 / sites::MORE as f64)
    };
    sites::PAIRS.iter().map(of).collect()
}
