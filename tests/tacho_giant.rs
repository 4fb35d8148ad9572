//! `tacho cleanup --emergency` on a giant log that is still being appended to, beside `gzip`; and where a file can only be
//! emptied.
//!
//! Small by default. In earnest, with figures to be read:
//!
//! ```sh
//! TACHO_GIANT_MB=1500 cargo test --release --test tacho_giant -- --nocapture giant
//! ```
#![cfg(all(feature = "cli", target_os = "linux"))]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::print_stderr, reason = "a test that fails says so")]

use sha2::{Digest as _, Sha256};
use std::fs::{self, File, OpenOptions};
use std::io::{BufReader, Read, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// A line as a Python bot writes it; what changes is not as regular as a counter.
fn line(number: u64) -> String {
    let noise = number.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ (number >> 3);
    let (price, quantity) = (94_000 + noise % 9_000, (noise >> 20) % 100_000);
    let (ms, id) = (number % 1_000, noise >> 40);
    let what = match noise % 13 {
        0..7 => format!("INFO - trade {id} BTC/USDT price={price}.{:02} qty=0.{quantity:05}", noise % 100),
        7..11 => {
            format!("INFO - signal ETH/USDT strength=0.{quantity:05} trend={}", ["up", "down"][(noise % 2) as usize])
        }
        11 => format!("WARNING - order {id} refused: position limit, wanted {price}, left {quantity}"),
        _ => format!("ERROR - request {id} timed out after {} ms, retrying", noise % 30_000),
    };
    format!("2026-11-20 12:{:02}:{:02},{ms:03} - kraken_bot.feed - {what}\n", number / 60_000 % 60, number / 1_000 % 60)
}

fn cleanup(dir: &Path, args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tacho"));
    command.args(["-D", dir.to_str().unwrap(), "cleanup", "--emergency", "--json"]).args(args);
    command.env_remove("TACHO_DIR").stdin(Stdio::null()).output().unwrap()
}

fn report(output: &Output) -> serde_json::Value {
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice::<serde_json::Value>(&output.stdout).unwrap()["files"][0].clone()
}

/// Appends lines until told to end; gives their number and the hash of all that was ever written.
struct Appender {
    hash: Sha256,
    number: u64,
}

impl Appender {
    fn new() -> Self {
        Self { hash: Sha256::new(), number: 0 }
    }

    fn write(&mut self, file: &mut File, lines: u64) {
        let mut text = String::new();
        (self.number..self.number + lines).for_each(|number| text.push_str(&line(number)));
        file.write_all(text.as_bytes()).unwrap();
        self.hash.update(text.as_bytes());
        self.number += lines;
    }

    fn fill(&mut self, path: &Path, bytes: u64) {
        let mut file = File::create_new(path).unwrap();
        while file.metadata().unwrap().len() < bytes {
            self.write(&mut file, 10_000);
        }
        file.sync_all().unwrap();
    }

    fn until(&mut self, path: &Path, over: &AtomicBool) {
        let mut file = OpenOptions::new().append(true).open(path).unwrap();
        while !over.load(Ordering::Relaxed) {
            self.write(&mut file, 5);
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

fn hash_into(hash: &mut Sha256, mut from: impl Read) {
    let mut buffer = vec![0; 1 << 20];
    loop {
        match from.read(&mut buffer).unwrap() {
            0 => break,
            got => hash.update(&buffer[..got]),
        }
    }
}

/// What a file holds behind a hole at its beginning.
fn behind_hole(path: &Path) -> File {
    let file = File::open(path).unwrap();
    let begin = rustix::fs::seek(&file, rustix::fs::SeekFrom::Data(0)).unwrap_or(0);
    rustix::fs::seek(&file, rustix::fs::SeekFrom::Start(begin)).unwrap();
    file
}

fn inflated(path: &Path) -> impl Read {
    flate2::read::MultiGzDecoder::new(BufReader::new(File::open(path).unwrap()))
}

fn taken(path: &Path) -> u64 {
    fs::metadata(path).unwrap().blocks() * 512
}

/// Compresses a file with `gzip`, as fast as it does; gives seconds and bytes. `None` where there is no gzip.
fn gzip(file: &Path, level: u32) -> Option<(f64, u64)> {
    let to = file.with_extension(format!("{level}.gz"));
    let begun = Instant::now();
    let mut command = Command::new("gzip");
    command.arg(format!("-{level}")).arg("-c").arg(file).stdout(File::create(&to).unwrap());
    let done = command.status().ok()?.success();
    let figures = (begun.elapsed().as_secs_f64(), fs::metadata(&to).unwrap().len());
    fs::remove_file(&to).unwrap();
    done.then_some(figures)
}

#[test]
fn a_giant_log_that_grows_is_archived_whole_and_its_space_comes_back() {
    let megabytes: u64 = std::env::var("TACHO_GIANT_MB").map_or(12, |text| text.parse().unwrap());
    let root = TempDir::new_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let log = root.path().join("trading_bot.log");
    let mut appender = Appender::new();
    appender.fill(&log, megabytes * 1_000_000);
    let figure = |name: &str, bytes: u64, seconds: f64, compressed: u64| {
        let (ratio, rate) = (bytes as f64 / compressed as f64, bytes as f64 / 1e6 / seconds);
        eprintln!("{name:<44} {seconds:7.2} s  {rate:6.0} MB/s  1/{ratio:.2}");
    };
    let bytes = fs::metadata(&log).unwrap().len();
    eprintln!("a log of {bytes} bytes");
    // Read once, so that nobody reads it from the disk for the others.
    hash_into(&mut Sha256::new(), File::open(&log).unwrap());
    for level in [3, 6] {
        match gzip(&log, level) {
            Some((seconds, compressed)) => figure(&format!("gzip -{level}"), bytes, seconds, compressed),
            None => eprintln!("SKIPPED: no gzip"),
        }
    }
    // Level 3 on a copy, so that the default has the file itself.
    let copy = root.path().join("copy.log");
    fs::copy(&log, &copy).unwrap();
    let begun = Instant::now();
    let quick = report(&cleanup(root.path(), &["--level", "3", copy.to_str().unwrap()]));
    let seconds = begun.elapsed().as_secs_f64();
    let compressed = quick["compressed_bytes"].as_u64().unwrap();
    figure("tacho cleanup --emergency --level 3", bytes, seconds, compressed);

    let before = taken(&log);
    let over = AtomicBool::new(false);
    let (done, seconds) = std::thread::scope(|scope| {
        let appending = scope.spawn(|| appender.until(&log, &over));
        let begun = Instant::now();
        let output = cleanup(root.path(), &[log.to_str().unwrap()]);
        let seconds = begun.elapsed().as_secs_f64();
        over.store(true, Ordering::Relaxed);
        appending.join().unwrap();
        (report(&output), seconds)
    });
    let (archived, compressed) = (done["bytes"].as_u64().unwrap(), done["compressed_bytes"].as_u64().unwrap());
    figure("tacho cleanup --emergency, appended to", archived, seconds, compressed);
    let after = taken(&log);
    eprintln!("{}: {before} bytes were taken, now {after}, and {compressed} by the archive", done["way"]);

    // Archive and rest, one behind the other, are what was written, to the last byte.
    let mut hash = Sha256::new();
    hash_into(&mut hash, inflated(Path::new(done["archived_to"].as_str().unwrap())));
    hash_into(&mut hash, behind_hole(&log));
    assert_eq!(hash.finalize(), appender.hash.finalize(), "bytes are missing, doubled or in another order");
    assert!(after < before / 4, "{before} bytes were taken, {after} are");
    assert!(appender.number > bytes / 200, "{}", appender.number);
}

/// A file system that can neither collapse files nor make holes.
struct Ramfs {
    dir: TempDir,
}

impl Ramfs {
    fn mount() -> Option<Self> {
        let dir = TempDir::new().unwrap();
        let mount = Command::new("mount").args(["-t", "ramfs", "none"]).arg(dir.path()).output();
        if mount.is_ok_and(|output| output.status.success()) {
            return Some(Self { dir });
        }
        eprintln!("SKIPPED: ramfs cannot be mounted here: it takes root");
        None
    }

    fn archive(&self) -> Vec<PathBuf> {
        let folders = fs::read_dir(self.dir.path().join("archive")).into_iter().flatten().flatten();
        folders.map(|entry| entry.path().join("bot.log.gz")).filter(|path| path.exists()).collect()
    }
}

impl Drop for Ramfs {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.dir.path()).status();
    }
}

fn text(mut from: impl Read) -> String {
    let mut text = String::new();
    from.read_to_string(&mut text).unwrap();
    text
}

#[test]
fn where_nothing_else_can_be_done_a_file_without_writers_is_emptied() {
    let Some(ramfs) = Ramfs::mount() else { return };
    let log = ramfs.dir.path().join("bot.log");
    let mut appender = Appender::new();
    appender.fill(&log, 10_000_000);
    let whole = text(File::open(&log).unwrap());
    // A dry run tells so, and does nothing.
    let planned = report(&cleanup(ramfs.dir.path(), &["--dry-run", log.to_str().unwrap()]));
    assert_eq!((&planned["way"], fs::metadata(&log).unwrap().len()), (&"truncate".into(), whole.len() as u64));
    let done = report(&cleanup(ramfs.dir.path(), &[log.to_str().unwrap()]));
    assert_eq!((&done["way"], &done["bytes"]), (&"truncate".into(), &whole.len().into()));
    assert_eq!(fs::metadata(&log).unwrap().len(), 0);
    assert!(text(inflated(&ramfs.archive()[0])) == whole, "the archive does not hold what the file held");
}

#[test]
fn a_file_that_somebody_has_open_is_emptied_only_where_the_user_insists() {
    let Some(ramfs) = Ramfs::mount() else { return };
    let log = ramfs.dir.path().join("bot.log");
    let mut appender = Appender::new();
    appender.fill(&log, 10_000_000);
    let held = OpenOptions::new().append(true).open(&log).unwrap();
    let before = fs::metadata(&log).unwrap().len();
    let refused = cleanup(ramfs.dir.path(), &[log.to_str().unwrap()]);
    let talk = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert_eq!(refused.status.code(), Some(2), "{talk}");
    assert!(talk.contains(&format!("process [{}]", std::process::id())) && talk.contains("--truncate"), "{talk}");
    assert_eq!((fs::metadata(&log).unwrap().len(), ramfs.archive().len()), (before, 0), "nothing was done");
    drop(held);

    let over = AtomicBool::new(false);
    let output = std::thread::scope(|scope| {
        let appending = scope.spawn(|| appender.until(&log, &over));
        let output = cleanup(ramfs.dir.path(), &["--truncate", log.to_str().unwrap()]);
        over.store(true, Ordering::Relaxed);
        appending.join().unwrap();
        output
    });
    assert_eq!(report(&output)["way"], "truncate");
    assert!(fs::metadata(&log).unwrap().len() < before);
    // What was written in between is lost, as was said; all before and all behind is there, whole and once.
    let (archived, rest) = (text(inflated(&ramfs.archive()[0])), text(File::open(&log).unwrap()));
    let whole: String = (0..appender.number).map(line).collect();
    assert!(whole.starts_with(&archived) && archived.len() as u64 >= before, "the archive is no beginning of it");
    assert!(whole.ends_with(&rest) && archived.len() + rest.len() <= whole.len(), "the rest is no end of it");
}
