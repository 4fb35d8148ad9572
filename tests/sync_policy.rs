//! What is forced to disk, and when, under each [`Sync`]: counted by strace in a child that ends without a close.
//!
//! That a synced file keeps what it had is the promise of the disk, and that a loss of power costs no more than what was
//! not synced is tried in `worker::survive`, with a disk that keeps any part of the rest.
#![cfg(target_os = "linux")]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "a test that fails, or is skipped, says so"
)]

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};
use tachograph::{Config, Sync, info, start_isolated};
use tempfile::TempDir;

const INTERVAL: Duration = Duration::from_millis(20);
/// Records of each of the segments that are filled are many.
const SEGMENTS: usize = 6;
const PATIENCE: Duration = Duration::from_secs(60);

fn archived(dir: &Path) -> BTreeSet<String> {
    let folders = std::fs::read_dir(dir.join(".journal")).unwrap().flatten().filter(|entry| entry.path().is_dir());
    let files = folders.flat_map(|folder| std::fs::read_dir(folder.path()).unwrap().flatten());
    files.map(|file| file.file_name().into_string().unwrap()).filter(|name| name.ends_with(".seg")).collect()
}

#[test]
#[ignore = "a child process of the tests below"]
fn child_fills_segments_and_dies() {
    let Some(dir) = std::env::var_os("SYNC_DIR") else { return };
    let dir = Path::new(&dir);
    let sync = match std::env::var("SYNC_POLICY").unwrap().as_str() {
        "never" => Sync::Never,
        "interval" => Sync::Interval(INTERVAL),
        _ => Sync::EachSegment,
    };
    let config = Config::new(dir).shm_dir(dir.join("shm")).segments(4_usize).segment_bytes(64_usize << 10);
    let config = config.record_bytes_max(4096_usize).ring_bytes(64_usize << 10).rings_spare(1_usize);
    let tacho = start_isolated(config.table_bytes(64_usize << 10).archive_compress(false).sync(sync)).unwrap();
    // Begins behind what a start syncs.
    std::fs::write(dir.join("begin"), "").unwrap();
    let end = Instant::now() + PATIENCE;
    while archived(dir).len() <= SEGMENTS && Instant::now() < end {
        (0..100).for_each(|n| info!(logger: tacho, target: "orders", "order {n} of many"));
        std::thread::sleep(Duration::from_millis(1));
    }
    // However slow the machine is, everything is in the files; what is forced to disk is the interval's doing.
    tacho.flush(PATIENCE).unwrap();
    // Time for several intervals, with something to sync in each.
    for n in 0..10 {
        info!(logger: tacho, target: "orders", "order {n} of a few");
        std::thread::sleep(2 * INTERVAL);
    }
    std::thread::sleep(20 * INTERVAL);
    std::fs::write(dir.join("end"), "").unwrap();
    std::process::abort();
}

/// Names of files in the order in which they were forced to disk, between begin and end; and the finished segments.
fn synced(policy: &str) -> Option<(Vec<String>, BTreeSet<String>)> {
    let root = TempDir::new().unwrap();
    let dir = root.path().join("logs");
    std::fs::create_dir_all(dir.join("shm")).unwrap();
    let trace = root.path().join("trace");
    let mut command = Command::new("strace");
    command.args(["-f", "-y", "-e", "trace=fsync,fdatasync,openat", "-o"]).arg(&trace);
    command.arg(std::env::current_exe().unwrap());
    command.args(["--exact", "child_fills_segments_and_dies", "--ignored", "--nocapture", "--test-threads", "1"]);
    command.env("SYNC_DIR", &dir).env("SYNC_POLICY", policy);
    let output = match command.output() {
        Ok(output) if dir.join("end").exists() => output,
        outcome => {
            assert!(!dir.join("begin").exists(), "the child did not come to its end: {outcome:?}");
            eprintln!("SKIPPED: no child could be traced: {outcome:?}");
            return None;
        }
    };
    let text = String::from_utf8_lossy(&std::fs::read(&trace).unwrap()).into_owned();
    let position = |name: &str| text.find(&format!("logs/{name}\"")).unwrap_or_else(|| panic!("no {name}: {output:?}"));
    let between = text.get(position("begin")..position("end")).unwrap();
    let calls = between.lines().filter(|line| line.contains("fsync(") || line.contains("fdatasync("));
    let names =
        calls.filter_map(|line| Some(line.split_once('<')?.1.split_once('>')?.0.rsplit_once('/')?.1.to_owned()));
    let mut segments = archived(&dir);
    segments.pop_last();
    Some((names.collect(), segments))
}

#[test]
fn without_a_policy_no_segment_is_forced_to_disk() {
    let Some((names, segments)) = synced("never") else { return };
    assert!(segments.len() >= SEGMENTS, "{segments:?}");
    // Views are synced once for the checkpoint that stands before a view's first lines.
    let of_ours: Vec<_> = names.iter().filter(|name| name.ends_with(".seg")).collect();
    assert!(of_ours.is_empty(), "{names:?}");
}

#[test]
fn at_an_interval_segments_and_views_are_forced_to_disk() {
    let Some((names, segments)) = synced("interval") else { return };
    let missing: Vec<_> = segments.iter().filter(|segment| !names.contains(segment)).collect();
    assert!(missing.is_empty(), "{missing:?} of {names:?}");
    let growing = names.iter().filter(|name| name.ends_with(".seg")).count();
    assert!(growing > segments.len(), "the growing one as well: {names:?}");
    assert!(names.iter().any(|name| name == "orders.log"), "{names:?}");
}

#[test]
fn each_finished_segment_is_forced_to_disk_once() {
    let Some((names, segments)) = synced("each") else { return };
    for segment in &segments {
        let times = names.iter().filter(|name| *name == segment).count();
        assert_eq!(times, 1, "{segment}: {names:?}");
    }
}
