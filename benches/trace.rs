//! One order over eight components: `tacho trace order_id=…` beside `zgrep` over the text of the same records.
//!
//! ```text
//! TACHO_TRACE_RECORDS=10000000 cargo bench --bench trace
//! ```
//!
//! Both search the same log directory in the same run, by turns: `tacho` the archived journal, `zgrep` the files of the views,
//! compressed by the worker with the same level. Before a time counts, both have found the same records. `zgrep` shows them file
//! by file; `tacho trace` sorts them by time and says how much lies between.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::indexing_slicing,
    reason = "a benchmark is a program that prints, and fails by panicking"
)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use tachograph::{Config, Overflow, component, info, start, warn};

const COMPONENTS: [&str; 8] =
    ["feed", "signals", "risk", "orders", "order_watcher", "positions", "ledger", "dashboard"];
/// Records when nothing else is said, and in a test run.
const RECORDS: u64 = 1_000_000;
const RECORDS_TEST: u64 = 20_000;
/// Each command runs so often; the median counts.
const ROUNDS: usize = 5;
/// Bytes of a time before its `Z`.
const TIME_BYTES: usize = 29;
const PATIENCE: Duration = Duration::from_secs(3_600);

fn main() {
    let test = std::env::args().any(|argument| argument == "--test");
    let records = std::env::var("TACHO_TRACE_RECORDS").map_or(RECORDS, |text| text.parse().expect("a number"));
    let records = if test { RECORDS_TEST } else { records };
    let root = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let logs = root.path().join("logs");
    fill(&logs, records);
    let (journal, text) = (bytes(&logs.join(".journal")), bytes(&logs));
    println!("{records} records of 8 components: journal {journal} bytes, text {text} bytes, both compressed");

    // In the middle of the time, and so of the files.
    let order = records / 16;
    let condition = format!("order_id={order}");
    let files = view_files(&logs);
    let early = format!("-{}s", 1);
    let rounds = if test { 1 } else { ROUNDS };
    let mut times = [(); 3].map(|()| Vec::new());
    for _ in 0..rounds {
        let zgrep = || Command::new("zgrep").args(["-h", "-w", &condition]).args(&files).output().unwrap();
        let (taken, found) = timed(zgrep);
        times[0].push(taken);
        let tacho = |more: &[&str]| {
            let mut command = Command::new(env!("CARGO_BIN_EXE_tacho"));
            command.arg("-D").arg(&logs).args(["-q", "trace", &condition]).args(more).env_remove("TACHO_DIR");
            command.stdin(Stdio::null()).output().unwrap()
        };
        let (taken, traced) = timed(|| tacho(&[]));
        times[1].push(taken);
        assert_eq!(sorted(&found), sorted(&traced), "both find the same records");
        assert_eq!(found.lines().count(), COMPONENTS.len(), "one of each component");
        let (taken, nothing) = timed(|| tacho(&["--since", &early]));
        times[2].push(taken);
        assert_eq!(nothing, "", "the order is older");
    }
    let [zgrep, trace, pruned] = times.map(median);
    println!("| command | median of {rounds} | zgrep takes times as long |");
    println!("|---|---:|---:|");
    println!("| zgrep -h -w {condition} logs/*.log* | {zgrep:.3} s | 1 |");
    println!("| tacho trace {condition} | {trace:.3} s | {:.2} |", zgrep / trace);
    println!("| tacho trace {condition} --since {early} | {pruned:.3} s | {:.2} |", zgrep / pruned);
}

/// Logs the records, and waits until all of them are archived, in the views, and compressed.
fn fill(logs: &Path, records: u64) {
    let config = || {
        let config = Config::new(logs)
            .overflow(Overflow::Block)
            .block_max(Duration::from_secs(60))
            .health_interval(Duration::ZERO);
        config.archive_bytes_max(1_u64 << 40).view_backups(10_000_u32).view_compress_delay(Duration::ZERO)
    };
    let guard = start(config()).unwrap();
    std::thread::scope(|scope| {
        for (index, name) in COMPONENTS.into_iter().enumerate() {
            scope.spawn(move || {
                let log = component(name);
                for order_id in 0..records / 8 {
                    let noise = (order_id ^ (index as u64) << 60).wrapping_mul(0x9e37_79b9_7f4a_7c15);
                    let (price, quantity) = (90_000.0 + (noise % 1_000_000) as f64 / 100.0, (noise >> 32) % 1_000);
                    if noise.is_multiple_of(97) {
                        warn!(logger: log, order_id, price; "rejected by the exchange, {quantity} left of {}", noise % 5_000);
                    } else {
                        info!(logger: log, order_id, price, symbol = "BTC/USDT"; "passed on {quantity} after {} ns", noise >> 50);
                    }
                }
            });
        }
    });
    guard.sync(PATIENCE).unwrap();
    for process in tachograph::control::processes(logs).unwrap() {
        process.rotate("", PATIENCE).unwrap();
    }
    let end = Instant::now() + PATIENCE;
    let is_plain_backup =
        |path: &PathBuf| path.to_str().is_some_and(|name| name.contains(".log.") && !name.ends_with(".gz"));
    while view_files(logs).iter().any(is_plain_backup) {
        assert!(Instant::now() < end, "the backups are not compressed");
        std::thread::sleep(Duration::from_millis(50));
    }
    drop(guard);
    // Who starts there compresses what the one before left: its last segment.
    drop(start(config()).unwrap());
}

fn view_files(logs: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(logs).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<PathBuf> =
        entries.filter(|path| path.to_str().is_some_and(|name| name.contains(".log"))).collect();
    files.sort();
    files
}

/// The files of a directory and of those below it, but of no hidden one.
fn bytes(dir: &Path) -> u64 {
    let entries = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap());
    let of = |entry: fs::DirEntry| match entry.metadata().unwrap() {
        about if about.is_dir() && entry.file_name().to_str().is_some_and(|name| name.starts_with('.')) => 0,
        about if about.is_dir() => bytes(&entry.path()),
        about => about.len(),
    };
    entries.map(of).sum()
}

fn timed(run: impl FnOnce() -> std::process::Output) -> (f64, String) {
    let begun = Instant::now();
    let output = run();
    let taken = begun.elapsed().as_secs_f64();
    assert!(output.status.code().is_some_and(|code| code < 2), "{}", String::from_utf8_lossy(&output.stderr));
    (taken, String::from_utf8(output.stdout).unwrap())
}

/// The lines, without the spans before them, in an order of their own.
fn sorted(text: &str) -> Vec<&str> {
    fn from_time(line: &str) -> &str {
        &line[line.find("Z ").unwrap() - TIME_BYTES..]
    }
    let mut lines: Vec<&str> = text.lines().map(from_time).collect();
    lines.sort_unstable();
    lines
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
