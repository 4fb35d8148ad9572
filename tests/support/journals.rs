//! Journals written by hand, and `tacho` run on them.
#![allow(dead_code, missing_docs, unreachable_pub, clippy::unwrap_used, clippy::indexing_slicing)]

#[path = "../../src/reader/testing.rs"]
pub mod testing;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use tachograph::segment::layout::Kind;
use tempfile::TempDir;
use testing::*;

pub const SECOND: u64 = 1_000_000_000;

pub fn tacho(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tacho"));
    command.args(args).env_remove("TACHO_DIR").env("TZ", "UTC");
    command
}

pub fn run(args: &[&str]) -> Output {
    tacho(args).output().unwrap()
}

/// What stands on standard output of a run that must succeed.
pub fn lines(dir: &Path, args: &[&str]) -> Vec<String> {
    let dir = dir.to_str().unwrap();
    let output = run(&[&["-D", dir], args].concat());
    let talk = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(0), "{args:?}: {talk}");
    String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect()
}

pub fn folder(root: &TempDir, process: &str) -> PathBuf {
    let folder = root.path().join("logs/.journal").join(process);
    fs::create_dir_all(&folder).unwrap();
    folder
}

pub fn store(folder: &Path, segments: &[(u64, Vec<u8>)]) {
    for (number, bytes) in segments {
        fs::write(folder.join(format!("{number:08}.seg")), bytes).unwrap();
    }
}

/// Two processes: ticks are nanoseconds since noon; one record a second, by turns.
pub fn two_processes() -> TempDir {
    let root = TempDir::new().unwrap();
    let (mut one, mut two) = (JournalBuilder::new(1), JournalBuilder::new(2));
    for n in 0..20_u64 {
        let journal = if n % 2 == 0 { &mut one } else { &mut two };
        let ticks = n * SECOND;
        match n {
            7 => journal.record_of(SITE_ERROR, 1, ticks, &payload(n)),
            8 => journal.record_of(SITE_OF_COMPONENT, 1, ticks, &[&COMPONENT.to_le_bytes()[..], &payload(n)].concat()),
            _ => journal.record(0, ticks, n),
        }
        journal.watermark(ticks);
        if n % 6 == 0 {
            journal.roll();
        }
    }
    for journal in [&mut one, &mut two] {
        journal.own(Kind::Seal, 0, &[0; 32]);
    }
    store(&folder(&root, "20261120T120000Z-1-aaaa"), &one.segments());
    store(&folder(&root, "20261120T120000Z-2-bbbb"), &two.segments());
    root
}

pub fn number(line: &str) -> u64 {
    line.split("order ").nth(1).unwrap().split(' ').next().unwrap().parse().unwrap()
}
