//! Programs that others use, over a rotating JSON view: each gets every record exactly once while it is less than one
//! rotation behind. Each is skipped, loudly, where it is not installed (`.ci/prepare.sh` installs them).
//!
//! `TACHO_CONSUMED=100000 cargo test --release --test consumers` logs so many records (default 5,000).
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stderr
)]

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tachograph::{Config, Guard, Idle, LineFormat, Overflow, View, WriterCore, info, start_isolated};

const FLUSH: Duration = Duration::from_secs(60);
/// How long a consumer may take for what is already in the file.
const PATIENCE: Duration = Duration::from_secs(60);
/// A file holds about 130 records of 150 bytes.
const FILE_BYTES: u64 = 20_000;
/// So far a consumer may be behind.
const LAG_MAX: u64 = 60;

fn records() -> u64 {
    std::env::var("TACHO_CONSUMED").map_or(5000, |text| text.parse().expect("a number"))
}

fn start(dir: &Path) -> Guard {
    let view = View::new("flat").format(LineFormat::Json).bytes_max(FILE_BYTES).backups(10_000);
    // What health says of this machine is no record of the test.
    let config = Config::new(dir)
        .health_interval(Duration::ZERO)
        .components(false)
        .view(view)
        .segment_bytes(256_usize << 10)
        .segments(4_usize)
        .ring_bytes(64_usize << 10)
        .rings_spare(0_usize)
        .writer_core(WriterCore::Unpinned)
        .idle(Idle::Sleep)
        .overflow(Overflow::Block)
        .block_max(PATIENCE);
    start_isolated(config).unwrap()
}

/// Whether a program is there; says so loudly where it is not.
fn has(program: &str, argument: &str) -> bool {
    let found = Command::new(program).arg(argument).stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok();
    if !found {
        eprintln!("SKIPPED: {program} is not installed; it was not tried as a consumer");
    }
    found
}

/// A child that ends with the test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Logs, never farther ahead of the consumer than it may be behind.
fn log_beside(tacho: &Guard, first: u64, received: impl Fn() -> u64) {
    let catch_up = |goal: u64| {
        let until = Instant::now() + PATIENCE;
        while received() < goal {
            assert!(Instant::now() < until, "the consumer has {} of {goal}", received());
            std::thread::sleep(Duration::from_millis(1));
        }
    };
    for n in first..records() {
        info!(logger: tacho, target: "files", n = n, fill = "........................."; "event");
        catch_up((n + 1).saturating_sub(LAG_MAX));
    }
    tacho.flush(FLUSH).unwrap();
    catch_up(records());
}

fn number(line: &str) -> u64 {
    let value: serde_json::Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
    value["n"].as_u64().unwrap_or_else(|| panic!("no number: {line}"))
}

fn first_record(tacho: &Guard) {
    info!(logger: tacho, target: "files", n = 0, fill = "........................."; "event");
    tacho.flush(FLUSH).unwrap();
}

fn rotated(dir: &Path) {
    let backups = fs::read_dir(dir)
        .unwrap()
        .filter(|entry| entry.as_ref().unwrap().file_name().to_str().unwrap().starts_with("flat.log."));
    assert!(backups.count() as u64 > records() / 200, "the view was not rotated");
}

#[test]
fn tail_follows_every_rotation() {
    if !has("tail", "--version") {
        return;
    }
    let root = tempfile::tempdir().unwrap();
    let dir = root.path().join("logs");
    let tacho = start(&dir);
    first_record(&tacho);
    let mut command = Command::new("tail");
    command.args(["-F", "-n", "+1", "-s", "0.01"]).arg(dir.join("flat.log"));
    let mut tail = Running(command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap());
    let (count, lines) = (Arc::new(AtomicU64::new(0)), Arc::new(Mutex::new(Vec::new())));
    let out = BufReader::new(tail.0.stdout.take().unwrap());
    let reader = {
        let (count, lines) = (Arc::clone(&count), Arc::clone(&lines));
        std::thread::spawn(move || {
            for line in out.lines() {
                lines.lock().unwrap().push(line.unwrap());
                count.fetch_add(1, Ordering::Release);
            }
        })
    };
    log_beside(&tacho, 1, || count.load(Ordering::Acquire));
    tacho.close(FLUSH).unwrap();
    drop(tail);
    reader.join().unwrap();
    let there: Vec<u64> = lines.lock().unwrap().iter().map(|line| number(line)).collect();
    same(&there, &(0..records()).collect::<Vec<_>>());
    rotated(&dir);
}

/// Not by `assert_eq`, which would print thousands of lines.
fn same<T: PartialEq + std::fmt::Debug>(there: &[T], wanted: &[T]) {
    let at = there.iter().zip(wanted).position(|(a, b)| a != b).unwrap_or(there.len().min(wanted.len()));
    let around = |all: &[T]| format!("{:?}", all.iter().skip(at.saturating_sub(2)).take(5).collect::<Vec<_>>());
    assert!(
        there == wanted,
        "{} of {}; at {at}: {} instead of {}",
        there.len(),
        wanted.len(),
        around(there),
        around(wanted)
    );
}

#[test]
fn rsyslog_takes_and_parses_every_record() {
    let modules = ["x86_64", "aarch64"].map(|machine| format!("/usr/lib/{machine}-linux-gnu/rsyslog/mmjsonparse.so"));
    let parses = modules.iter().map(String::as_str).chain(["/usr/lib64/rsyslog/mmjsonparse.so"]);
    if !has("rsyslogd", "-v") {
        return;
    }
    if !parses.map(PathBuf::from).any(|path| path.exists()) {
        return eprintln!("SKIPPED: rsyslogd has no module mmjsonparse; it was not tried as a consumer");
    }
    let root = tempfile::tempdir().unwrap();
    let dir = root.path().join("logs");
    let tacho = start(&dir);
    first_record(&tacho);
    let (conf, out, state) = (root.path().join("conf"), root.path().join("out"), root.path().join("state"));
    fs::create_dir(&state).unwrap();
    // The configuration that we ship, with other paths, and of each record what the test wants to see.
    let ours = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/rsyslog/tachograph.conf");
    let mut text = fs::read_to_string(ours).unwrap();
    let unparsed = root.path().join("unparsed");
    for (theirs, here) in [
        ("/var/log/trading/*.log", dir.join("*.log").display().to_string()),
        ("/var/log/tachograph.out", out.display().to_string()),
        ("/var/log/tachograph.unparsed", unparsed.display().to_string()),
        ("%$!timestamp% %$!level% %$!logger% %$!message% %$!all-json%", "%$!n% %$!logger%".to_owned()),
    ] {
        assert_eq!(text.matches(theirs).count(), 1, "{theirs}");
        text = text.replace(theirs, &here);
    }
    text.insert_str(0, &format!("global(workDirectory={state:?} maxMessageSize=\"64k\")\n"));
    fs::write(&conf, text).unwrap();
    let mut command = Command::new("rsyslogd");
    command.arg("-n").arg("-f").arg(&conf).arg("-i").arg(root.path().join("pid"));
    let said = fs::File::create(root.path().join("said")).unwrap();
    let rsyslog = Running(command.stdout(Stdio::null()).stderr(Stdio::from(said)).spawn().unwrap());
    let received = || fs::read(&out).map_or(0, |bytes| bytes.iter().filter(|byte| **byte == b'\n').count() as u64);
    log_beside(&tacho, 1, received);
    tacho.close(FLUSH).unwrap();
    drop(rsyslog);
    let there: Vec<String> = fs::read_to_string(&out).unwrap().lines().map(str::to_owned).collect();
    same(&there, &(0..records()).map(|n| format!("{n} files")).collect::<Vec<_>>());
    assert!(!unparsed.exists(), "{}", fs::read_to_string(&unparsed).unwrap());
    rotated(&dir);
}

#[test]
fn lnav_reads_every_file_of_a_view() {
    if !has("lnav", "-V") {
        return;
    }
    let root = tempfile::tempdir().unwrap();
    let dir = root.path().join("logs");
    let formats = root.path().join("conf/formats/tachograph");
    fs::create_dir_all(&formats).unwrap();
    let ours = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/lnav/tachograph.json");
    fs::copy(ours, formats.join("tachograph.json")).unwrap();
    let tacho = start(&dir);
    first_record(&tacho);
    log_beside(&tacho, 1, || u64::MAX);
    tacho.close(FLUSH).unwrap();
    let mut files: Vec<PathBuf> = fs::read_dir(&dir).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.is_file());
    assert!(files.len() as u64 > records() / 200, "the view was not rotated");
    let mut command = Command::new("lnav");
    command.arg("-n").arg("-I").arg(root.path().join("conf")).env("HOME", root.path()).stdin(Stdio::null());
    command.args([
        "-c",
        ";SELECT count(*) AS all_lines, count(DISTINCT seq) AS calls, max(seq) - min(seq) AS span FROM tachograph_json",
    ]);
    command.args(["-c", ":write-csv-to -"]).args(&files);
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let all = records();
    assert_eq!(said.trim().lines().next_back(), Some(format!("{all},{all},{}", all - 1).as_str()), "{said}");
}
