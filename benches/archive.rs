//! What an operator waits for: all records as text, and searches over the archived journal, beside `zcat` and `zgrep` over
//! the same records as compressed text. All programs run on one core; each result is counted on both sides.
//!
//! `cargo bench --bench archive` leaves `archive.json` under `target/bench/`.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a benchmark"
)]

mod common;

use common::machine::{self, cores, pin, unpin};
use common::{config, folder, quick, rounds};
use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};
use std::fs::{self, File};
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use tachograph::{Component, Overflow, component, error, info, start, warn};

const RECORDS: u64 = 1_000_000;
const TIME_MAX: Duration = Duration::from_secs(60);
const COMPONENTS: u64 = 10;
/// One record in so many is a warning, an error.
const WARNING: u64 = 50;
const ERROR: u64 = 1000;

fn main() {
    let Some(tacho) = option_env!("CARGO_BIN_EXE_tacho") else {
        return println!("SKIPPED: needs the command `tacho`, feature `cli`");
    };
    if Command::new("zgrep").arg("--version").output().is_err() {
        return println!("SKIPPED: needs zcat and zgrep, of gzip");
    }
    let (records, rounds) = (if quick() { 20_000 } else { RECORDS }, rounds());
    let dir = tempfile::tempdir().unwrap();
    let logs = dir.path().join("logs");
    unpin();
    log(&logs, records);
    compress(&logs);
    let plain = output(Command::new(tacho).arg("--dir").arg(&logs).arg("cat"));
    assert_eq!(lines(&plain), records, "all records are in the journal");
    let gz = dir.path().join("text.gz");
    let mut encoder = GzEncoder::new(File::create(&gz).unwrap(), Compression::new(3));
    encoder.write_all(&plain).unwrap();
    encoder.finish().unwrap();

    // A millisecond in the middle, as a time and as the beginning of lines.
    let middle =
        String::from_utf8_lossy(plain.split(|byte| *byte == b'\n').nth(records as usize / 2).unwrap()).into_owned();
    let (millisecond, _) = middle.split_at("2026-11-20T14:37:58.609".len());
    let (since, until) = (format!("{millisecond}000000Z"), format!("{millisecond}999999Z"));
    drop(plain);
    let id = (records / 2).to_string();
    let searches: [(&str, &[&str], String); 5] = [
        ("everything to text", &["cat"], String::new()),
        ("by time: a millisecond", &["cat", "--since", &since, "--until", &until], format!("^{millisecond}")),
        ("by level: error and above", &["cat", "-p", "error"], " ERROR ".to_owned()),
        ("by target", &["cat", "-u", "component_7"], " component_7 ".to_owned()),
        ("by field", &["grep", &format!("order_id={id}")], format!("order_id={id} ")),
    ];
    pin(cores().0);
    let machine = machine::machine();
    let mut cases = Vec::new();
    for (name, arguments, pattern) in &searches {
        eprintln!("archive: {name}");
        let mut ours = Command::new(tacho);
        ours.arg("--dir").arg(&logs).args(*arguments);
        let mut theirs = Command::new(if pattern.is_empty() { "zcat" } else { "zgrep" });
        theirs.args((!pattern.is_empty()).then_some(pattern)).arg(&gz);
        cases.push(beside(name, &mut ours, &mut theirs, rounds));
    }
    if quick() {
        println!("archive: every search found the same as zgrep");
    } else {
        let bytes =
            json!({ "journal_bytes": size(&logs.join(".journal")), "text_gz_bytes": fs::metadata(&gz).unwrap().len() });
        let all = json!({ "machine": machine, "rounds": rounds, "records": records, "bytes": bytes, "cases": cases });
        println!("{}", machine::save(&folder(), "archive", &all).display());
    }
}

/// Records of ten components, with fields, a few of them warnings and errors.
fn log(dir: &Path, records: u64) {
    let config = config(dir).archive_compress(true).view_compress(false);
    let tacho = start(config.overflow(Overflow::Block).block_max(TIME_MAX)).unwrap();
    let components: Vec<Component> = (0..COMPONENTS).map(|number| component(&format!("component_{number}"))).collect();
    for i in 0..records {
        let logger = components[(i * 7919 % COMPONENTS) as usize];
        // Prices that walk, as prices do.
        let price = 100_000.0 + ((i * 2_654_435_761) % 10_000) as f64 / 100.0;
        if i % ERROR == 0 {
            error!(logger: logger, order_id = i, price = price, venue = "XNAS"; "order rejected");
        } else if i % WARNING == 0 {
            warn!(logger: logger, order_id = i, price = price, venue = "XNAS"; "order is late");
        } else {
            info!(logger: logger, order_id = i, price = price, venue = "XNAS"; "order filled");
        }
    }
    tacho.close(TIME_MAX).unwrap();
    assert_eq!(tacho_lines(dir), records, "every record has its line");
}

/// Has the next logger compress what the last one left when it closed: the archive is searched as it lies there for years.
fn compress(dir: &Path) {
    let tacho = start(config(dir).archive_compress(true)).unwrap();
    let journals = || fs::read_dir(dir.join(".journal")).unwrap().map(|entry| entry.unwrap().path());
    let segments = || journals().filter_map(|journal| fs::read_dir(journal).ok()).flatten().map(|entry| entry.unwrap());
    let is_plain = |entry: &fs::DirEntry| entry.file_name().to_string_lossy().ends_with(".seg");
    let begin = Instant::now();
    while segments().any(|entry| is_plain(&entry)) {
        assert!(begin.elapsed() < TIME_MAX, "a segment is not compressed");
        std::thread::sleep(Duration::from_millis(10));
    }
    tacho.close(TIME_MAX).unwrap();
}

fn tacho_lines(dir: &Path) -> u64 {
    let files = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    files.filter(|path| path.to_string_lossy().contains("component_")).map(|path| lines(&fs::read(path).unwrap())).sum()
}

fn lines(text: &[u8]) -> u64 {
    text.iter().filter(|byte| **byte == b'\n').count() as u64
}

fn output(command: &mut Command) -> Vec<u8> {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

/// Both in turn; both must find as many lines.
fn beside(name: &str, ours: &mut Command, theirs: &mut Command, rounds: usize) -> Value {
    let (found, wanted) = (lines(&output(ours)), lines(&output(theirs)));
    assert_eq!(found, wanted, "{name}: {ours:?} beside {theirs:?}");
    assert!(found > 0, "{name}: something is found");
    let mut seconds: [Vec<f64>; 2] = Default::default();
    for round in 0..rounds {
        for turn in [round % 2, (round + 1) % 2] {
            let command = [&mut *ours, &mut *theirs].into_iter().nth(turn).unwrap();
            let begin = Instant::now();
            assert!(command.stdout(Stdio::null()).status().unwrap().success());
            seconds[turn].push(begin.elapsed().as_secs_f64());
        }
    }
    json!({ "case": name, "lines": found, "tacho_seconds": seconds[0], "gzip_seconds": seconds[1] })
}

/// Bytes of all files below.
fn size(path: &Path) -> u64 {
    let entries = fs::read_dir(path).unwrap().map(|entry| entry.unwrap());
    let of =
        |entry: fs::DirEntry| if entry.path().is_dir() { size(&entry.path()) } else { entry.metadata().unwrap().len() };
    entries.map(of).sum()
}
