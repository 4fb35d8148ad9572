//! `tacho` as an operator uses it, on journals written by hand.
#![cfg(feature = "cli")]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that fails says so")]

#[path = "support/journals.rs"]
mod journals;

use journals::testing::*;
use journals::*;
use std::fs::{self, OpenOptions};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::process::Stdio;
use std::time::{Duration, Instant};
use tempfile::TempDir;

#[test]
fn cat_shows_all_processes_in_the_order_of_time() {
    let root = two_processes();
    let logs = root.path().join("logs");
    let all = lines(&logs, &["cat"]);
    assert_eq!(all.iter().map(|line| number(line)).collect::<Vec<_>>(), (0..20).collect::<Vec<_>>());
    assert_eq!(all[0], "2026-11-20T12:00:00.000000000Z INFO     trades::kraken [thread-0] order 0 qty=0");
    assert_eq!(all[8], "2026-11-20T12:00:08.000000000Z WARN     oms [thread-1] order 8 qty=16");
    assert_eq!(lines(&logs, &["cat", "-o", "raw"])[3], "order 3");
    for line in lines(&logs, &["cat", "-o", "json"]) {
        let json: serde_json::Value = serde_json::from_str(&line).unwrap();
        assert_eq!(json["message"], format!("order {}", json["qty"].as_u64().unwrap() / 2));
    }
}

#[test]
fn filters_choose() {
    let root = two_processes();
    let logs = root.path().join("logs");
    let numbers = |args: &[&str]| -> Vec<u64> {
        let all = lines(&logs, &[&["cat"], args].concat());
        all.iter().map(|line| number(line)).collect()
    };
    assert_eq!(numbers(&["-u", "risk"]), [7]);
    assert_eq!(numbers(&["-u", "risk", "--unit", "oms"]), [7, 8]);
    assert_eq!(numbers(&["-u", "trades"]).len(), 18);
    assert_eq!(numbers(&["-u", "trades::kraken"]).len(), 18);
    assert!(numbers(&["-u", "trade"]).is_empty());
    assert_eq!(numbers(&["-p", "warn"]), [7, 8]);
    assert_eq!(numbers(&["-p", "error"]), [7]);
    assert_eq!(numbers(&["-g", "qty=3[02]$"]), [15, 16]);
    assert_eq!(numbers(&["-g", "^order 1. "]), (10..20).collect::<Vec<_>>());
    assert_eq!(numbers(&["--since", "2026-11-20 12:00:17"]), [17, 18, 19]);
    assert_eq!(numbers(&["--since", "2026-11-20T12:00:05Z", "--until", "2026-11-20T13:00:06+01:00"]), [5, 6]);
    assert_eq!(numbers(&["--until", "@1795176001"]), [0, 1]);
    assert!(numbers(&["--since", "2099-01-01"]).is_empty());
}

#[test]
fn tail_shows_the_last() {
    let root = two_processes();
    let logs = root.path().join("logs");
    let numbers = |args: &[&str]| -> Vec<u64> {
        let all = lines(&logs, &[&["tail"], args].concat());
        all.iter().map(|line| number(line)).collect()
    };
    assert_eq!(numbers(&[]), (10..20).collect::<Vec<_>>());
    assert_eq!(numbers(&["-n", "3"]), [17, 18, 19]);
    assert_eq!(numbers(&["-n", "0"]), [0; 0]);
    assert_eq!(numbers(&["-n", "1000"]).len(), 20);
    assert_eq!(numbers(&["-n", "1", "-p", "warn"]), [8], "in a segment that is not looked into first");
    assert_eq!(numbers(&["-n", "2", "--until", "@1795176001"]), [0, 1]);
}

#[test]
fn a_copied_segment_is_shown() {
    let root = two_processes();
    let segment = folder(&root, "20261120T120000Z-1-aaaa").join("00000002.seg");
    let output = run(&["cat", segment.to_str().unwrap(), "-o", "raw"]);
    assert_eq!(String::from_utf8(output.stdout).unwrap(), "order 2\norder 4\norder 6\n");
    assert_eq!((output.status.code(), output.stderr.len()), (Some(0), 0));
    let alone = root.path().join("alone");
    fs::create_dir(&alone).unwrap();
    fs::copy(&segment, alone.join("00000002.seg")).unwrap();
    assert_eq!(lines(&alone, &["cat", "-o", "raw"]), ["order 2", "order 4", "order 6"]);
}

#[test]
fn what_is_wrong_is_said_and_the_rest_shown() {
    let root = two_processes();
    let one = folder(&root, "20261120T120000Z-1-aaaa");
    let mut segments = JournalBuilder::new(3);
    segments.record(0, 1, 1);
    let mut bytes = segments.bytes.clone();
    bytes[8] = 9;
    let crc = crc32c::crc32c(&bytes[..120]);
    bytes[120..124].copy_from_slice(&crc.to_le_bytes());
    store(&folder(&root, "c"), &[(1, bytes)]);
    store(&folder(&root, "d"), &segments.segments());
    fs::remove_file(one.join("00000002.seg")).unwrap();
    let last = one.join("00000003.seg");
    let mut bytes = fs::read(&last).unwrap();
    let middle = bytes.len() - 150;
    bytes[middle] ^= 1;
    fs::write(&last, bytes).unwrap();
    let logs = root.path().join("logs");
    let output = run(&["-D", logs.to_str().unwrap(), "cat"]);
    let talk = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{talk}");
    assert!(talk.contains("version 9"), "{talk}");
    assert!(talk.contains("1 segments are missing"), "{talk}");
    assert!(talk.contains("damaged bytes, the first in segment 3 at offset"), "{talk}");
    assert!(talk.contains("d: reading the archive only: live memory is absent"), "{talk}");
    assert!(String::from_utf8(output.stdout).unwrap().lines().count() >= 16);
    let quiet = run(&["-q", "-D", logs.to_str().unwrap(), "cat"]);
    assert_eq!(String::from_utf8(quiet.stderr).unwrap().lines().count(), 1, "only what could not be read");
}

#[test]
fn mistakes_are_explained() {
    let root = TempDir::new().unwrap();
    let output = run(&["-D", root.path().join("nowhere").to_str().unwrap(), "cat"]);
    let talk = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(talk.contains("nowhere") && talk.contains("-D DIR"), "{talk}");
    assert_eq!(output.stdout.len(), 0);
    let root = two_processes();
    let logs = root.path().join("logs");
    for (args, word) in [(["--since", "soon"], "--since"), (["-g", "("], "--grep"), (["-p", "loud"], "loud")] {
        let output = run(&[&["-D", logs.to_str().unwrap(), "cat"], &args[..]].concat());
        let talk = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{talk}");
        assert!(talk.contains(word), "{talk}");
    }
    assert!(String::from_utf8(run(&["tail", "--help"]).stdout).unwrap().contains("Examples:"));
}

#[test]
fn the_directory_may_come_from_the_environment() {
    let root = two_processes();
    let output = tacho(&["tail", "-n", "1", "-o", "raw"]).env("TACHO_DIR", root.path().join("logs")).output().unwrap();
    assert_eq!(output.stdout, b"order 19\n");
}

#[test]
fn a_closed_pipe_is_success() {
    let root = TempDir::new().unwrap();
    let mut journal = JournalBuilder::new(1);
    for n in 0..50_000 {
        journal.record(0, n, n);
    }
    store(&folder(&root, "a"), &journal.segments());
    let logs = root.path().join("logs");
    let mut child =
        tacho(&["-D", logs.to_str().unwrap(), "cat"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut first = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut first).unwrap();
    let status = child.wait().unwrap();
    let mut talk = String::new();
    child.stderr.take().unwrap().read_to_string(&mut talk).unwrap();
    assert_eq!((status.code(), &*talk), (Some(0), ""));
}

#[test]
fn tail_follows_across_segments_and_new_processes() {
    let root = TempDir::new().unwrap();
    let one = folder(&root, "a");
    let mut journal = JournalBuilder::new(1);
    journal.record(0, 1, 0);
    journal.watermark(1);
    store(&one, &journal.segments());
    let logs = root.path().join("logs");
    let mut child =
        tacho(&["-q", "-D", logs.to_str().unwrap(), "tail", "-f", "-o", "raw"]).stdout(Stdio::piped()).spawn().unwrap();
    let (send, receive) = std::sync::mpsc::channel();
    let stdout = child.stdout.take().unwrap();
    std::thread::spawn(move || {
        for line in BufReader::new(stdout).lines() {
            send.send(line.unwrap()).unwrap();
        }
    });
    let next = |wanted: &str| {
        let line = receive.recv_timeout(Duration::from_secs(10));
        assert_eq!(line.as_deref(), Ok(wanted));
    };
    next("order 0");
    // The file grows by pieces that end anywhere.
    let mut stored = journal.bytes.len();
    for n in 1..10_u64 {
        journal.record(0, n + 1, n);
        journal.watermark(n + 1);
        let mut file = OpenOptions::new().append(true).open(one.join("00000001.seg")).unwrap();
        let half = stored + (journal.bytes.len() - stored) / 2 + 3;
        file.write_all(&journal.bytes[stored..half]).unwrap();
        std::thread::sleep(Duration::from_millis(30));
        file.write_all(&journal.bytes[half..]).unwrap();
        stored = journal.bytes.len();
        next(&format!("order {n}"));
    }
    journal.roll();
    store(&one, &journal.segments());
    journal.record(0, 100, 10);
    journal.watermark(100);
    store(&one, &journal.segments());
    next("order 10");
    let mut other = JournalBuilder::new(2);
    other.record(0, 50, 11);
    other.watermark(50);
    let begun = Instant::now();
    store(&folder(&root, "b"), &other.segments());
    next("order 11");
    assert!(begun.elapsed() < Duration::from_secs(5));
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(receive.recv_timeout(Duration::from_secs(5)).is_err(), "nothing twice");
}
