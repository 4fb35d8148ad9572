//! `docs/OPERATIONS.md` is true: its commands and flags exist, its alert rules are accepted and name metrics of ours.
#![cfg(all(feature = "cli", target_os = "linux"))]
#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stderr, reason = "a test that fails says so")]

use std::collections::BTreeSet;
use std::fs;
use std::process::Command;
use tachograph::health::check::{Limits, check};
use tachograph::health::metrics;
use tachograph::health::report::Report;
use tachograph::health::shippers::CheckedShipper;
use tachograph::health::vitals::{Count, DiskState, Ring, Vitals};

const GUIDE: &str = include_str!("../docs/OPERATIONS.md");

fn block(language: &str) -> &'static str {
    let (_, behind) = GUIDE.split_once(&format!("```{language}\n")).unwrap();
    behind.split_once("```").unwrap().0
}

/// What `--help` says of a command, by its words.
fn help(words: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_tacho")).args(words).arg("--help").output().unwrap();
    assert!(output.status.success(), "{words:?}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn every_command_and_flag_in_the_guide_exists() {
    let mut tried = 0;
    let code = GUIDE.lines().filter(|line| line.starts_with("    ") || line.contains("tacho -q"));
    for line in code.filter(|line| line.contains("tacho ")) {
        let (_, command) = line.split_once("tacho ").unwrap();
        let command = command.split(" #").next().unwrap().split(" || ").next().unwrap();
        let mut words = command.split_whitespace();
        let mut known = help(&[]);
        let mut subcommand = Vec::new();
        while let Some(word) = words.next() {
            match word {
                "-D" => drop(words.next()),
                "-q" => {}
                _ if word.starts_with('-') => {
                    let number = word.starts_with("-1") || word.starts_with("-5");
                    assert!(number || known.contains(word), "{line:?}: {word} is not in\n{known}");
                }
                _ if subcommand.is_empty() || (subcommand == ["archive"]) => {
                    assert!(known.contains(&format!("\n  {word} ")), "{line:?}: no command {word}");
                    subcommand.push(word);
                    known = help(&subcommand);
                    tried += 1;
                }
                _ => {}
            }
        }
    }
    assert!(tried > 30, "{tried}");
}

#[test]
fn the_alert_rules_name_metrics_of_ours() {
    let count = Count { name: "info".to_owned(), records: 1, bytes: 1 };
    let disk = DiskState { measured_unix_ns: 1, full_in_s: Some(1), ..DiskState::default() };
    let vitals = Vitals {
        process: "p".to_owned(),
        levels: vec![count.clone()],
        targets: vec![count],
        rings: vec![Ring::default()],
        disk,
        ..Vitals::default()
    };
    let mut report = Report::new("d", 1, vec![check(None, vitals, &Limits::default())], Vec::new());
    report.shippers.push(CheckedShipper::default());
    let ours = metrics::text(&report);
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let named: BTreeSet<&str> =
        block("yaml").split(|c| !is_name(c)).filter(|word| word.starts_with("tachograph_")).collect();
    assert!(named.len() >= 8, "{named:?}");
    for name in named {
        let sample = |line: &str| line.strip_prefix(name).is_some_and(|rest| rest.starts_with(['{', ' ']));
        assert!(ours.lines().any(sample), "{name} is not in\n{ours}");
    }
}

#[test]
fn promtool_accepts_the_alert_rules() {
    let file = tempfile::Builder::new().suffix(".yml").tempfile().unwrap();
    fs::write(file.path(), block("yaml")).unwrap();
    let Ok(output) = Command::new("promtool").args(["check", "rules"]).arg(file.path()).output() else {
        return eprintln!("SKIPPED: no promtool");
    };
    let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    let rules = block("yaml").matches("- alert:").count();
    assert!(output.status.success() && rules > 8 && said.contains(&format!("{rules} rules found")), "{said}");
}

#[test]
fn the_pictures_are_there_and_small() {
    for line in GUIDE.lines().filter(|line| line.starts_with("![")) {
        let path = line.split_once("](").unwrap().1.trim_end_matches(')');
        let bytes = fs::metadata(format!("{}/docs/{path}", env!("CARGO_MANIFEST_DIR"))).unwrap().len();
        assert!((1_000..200_000).contains(&bytes), "{path}: {bytes}");
    }
}
