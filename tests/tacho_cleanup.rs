//! `tacho cleanup --emergency`: giant logs of other programs go to the archive, and no byte is lost.
#![cfg(all(feature = "cli", target_os = "linux"))]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::print_stderr, reason = "a test that fails says so")]

use std::fs::{self, File, OpenOptions};
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use tempfile::TempDir;

fn tacho(dir: &Path, args: &[&str]) -> Output {
    command(dir, args).output().unwrap()
}

fn command(dir: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tacho"));
    command.args(["-D", dir.to_str().unwrap(), "cleanup", "--emergency"]).args(args).env_remove("TACHO_DIR");
    command
}

/// Numbered lines: what is missing or doubled shows.
fn line(number: u64) -> String {
    format!(
        "2026-11-20 12:00:00,123 - kraken_bot - INFO - tick {number:012} price={}\n",
        number.wrapping_mul(7919) % 100_000
    )
}

fn write_lines(path: &Path, range: std::ops::Range<u64>) {
    let mut text = String::new();
    range.for_each(|number| text.push_str(&line(number)));
    OpenOptions::new().append(true).create(true).open(path).unwrap().write_all(text.as_bytes()).unwrap();
}

/// What the archives below a log directory hold of a file, the oldest first.
fn archived(dir: &Path, name: &str) -> String {
    let mut folders: Vec<PathBuf> =
        fs::read_dir(dir.join("archive")).unwrap().map(|entry| entry.unwrap().path()).collect();
    folders.sort();
    let mut text = String::new();
    for folder in folders {
        if let Ok(file) = File::open(folder.join(format!("{name}.gz"))) {
            flate2::read::MultiGzDecoder::new(file).read_to_string(&mut text).unwrap();
        }
    }
    text
}

/// What a file holds, a hole at its beginning excepted.
fn rest(path: &Path) -> String {
    let mut bytes = Vec::new();
    File::open(path).unwrap().read_to_end(&mut bytes).unwrap();
    let begin = bytes.iter().position(|byte| *byte != 0).unwrap_or(bytes.len());
    String::from_utf8(bytes.split_off(begin)).unwrap()
}

fn expected(lines: u64) -> String {
    (0..lines).map(line).collect()
}

fn assert_same(found: &str, wanted: &str) {
    // Not by `assert_eq`, which would print all of it.
    let at = found.bytes().zip(wanted.bytes()).position(|(a, b)| a != b).unwrap_or(found.len().min(wanted.len()));
    assert!(found == wanted, "{} bytes instead of {}; they differ at {at}", found.len(), wanted.len());
}

/// On a file system that can collapse, as ext4 and XFS can; `None` where there is none.
fn collapsing() -> Option<TempDir> {
    let dir = TempDir::new_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let mut file = File::create(dir.path().join("probe")).unwrap();
    file.write_all(&vec![1; 1 << 20]).unwrap();
    let flags = rustix::fs::FallocateFlags::COLLAPSE_RANGE;
    let can = rustix::fs::fallocate(&file, flags, 0, 64 << 10).is_ok();
    if !can {
        eprintln!("SKIPPED: the file system of the target directory cannot collapse files");
    }
    can.then_some(dir)
}

fn way(output: &Output) -> String {
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["schema"], 1);
    report["files"][0]["way"].as_str().unwrap().to_owned()
}

#[test]
fn a_log_that_nobody_writes_is_taken_off() {
    let Some(root) = collapsing() else { return };
    let log = root.path().join("bot.log");
    write_lines(&log, 0..200_000);
    let bytes = fs::metadata(&log).unwrap().len();
    let output = tacho(root.path(), &["--json", log.to_str().unwrap()]);
    // Without root there may be processes that cannot be looked into; then a hole is what is safe.
    assert!(["collapse", "punch"].contains(&way(&output).as_str()));
    assert_same(&(archived(root.path(), "bot.log") + &rest(&log)), &expected(200_000));
    let about = fs::metadata(&log).unwrap();
    assert!(about.blocks() * 512 < bytes / 100, "{} blocks", about.blocks());
    // The manifest says what is there.
    let folder = fs::read_dir(root.path().join("archive")).unwrap().next().unwrap().unwrap().path();
    let manifest: serde_json::Value = serde_json::from_slice(&fs::read(folder.join("manifest.json")).unwrap()).unwrap();
    let entry = &manifest["files"][0];
    let inflated = archived(root.path(), "bot.log");
    assert_eq!(entry["bytes"], inflated.len());
    assert_eq!(entry["compressed_bytes"], fs::metadata(folder.join("bot.log.gz")).unwrap().len());
    assert_eq!(fs::metadata(&folder).unwrap().permissions().mode() & 0o777, 0o750);
    assert_eq!(entry["sha256"], sha256sum(&inflated));
}

fn sha256sum(text: &str) -> String {
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(file.path(), text).unwrap();
    let output = Command::new("sha256sum").arg(file.path()).output().unwrap();
    String::from_utf8(output.stdout).unwrap()[..64].to_owned()
}

/// Runs the clean-up on a file that a program goes on to write; gives what was done and how many lines there are then.
fn beside_a_writer(dir: &Path, log: &Path, append: bool) -> (String, u64) {
    let begun = 200_000;
    write_lines(log, 0..begun);
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let writer = scope.spawn(|| {
            let mut file = OpenOptions::new().append(append).write(true).open(log).unwrap();
            file.seek(SeekFrom::End(0)).unwrap();
            let mut number = begun;
            while !stop.load(Ordering::Relaxed) {
                file.write_all(line(number).as_bytes()).unwrap();
                number += 1;
                std::thread::sleep(Duration::from_micros(200));
            }
            number
        });
        let output = tacho(dir, &["--json", log.to_str().unwrap()]);
        stop.store(true, Ordering::Relaxed);
        let lines = writer.join().unwrap();
        assert!(lines > begun, "nothing was written meanwhile");
        (way(&output), lines)
    })
}

#[test]
fn what_is_appended_meanwhile_is_not_lost() {
    let Some(root) = collapsing() else { return };
    let log = root.path().join("bot.log");
    let (way, lines) = beside_a_writer(root.path(), &log, true);
    assert!(["collapse", "punch"].contains(&way.as_str()));
    assert_same(&(archived(root.path(), "bot.log") + &rest(&log)), &expected(lines));
}

#[test]
fn one_who_writes_at_a_place_of_its_own_gets_a_hole() {
    let root = TempDir::new_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let log = root.path().join("bot.log");
    let (way, lines) = beside_a_writer(root.path(), &log, false);
    assert_eq!(way, "punch");
    let text = archived(root.path(), "bot.log") + &rest(&log);
    assert_same(&text, &expected(lines));
    assert_eq!(fs::metadata(&log).unwrap().len(), text.len() as u64, "the size stays");
    // Once more: what is a hole is not archived again.
    write_lines(&log, lines..lines + 50_000);
    let again = tacho(root.path(), &[log.to_str().unwrap()]);
    assert_eq!(again.status.code(), Some(0), "{}", String::from_utf8_lossy(&again.stderr));
    assert_same(&(archived(root.path(), "bot.log") + &rest(&log)), &expected(lines + 50_000));
}

#[test]
fn memory_file_systems_get_a_hole() {
    if !Path::new("/dev/shm").is_dir() {
        eprintln!("SKIPPED: no /dev/shm");
        return;
    }
    let root = TempDir::new_in("/dev/shm").unwrap();
    let log = root.path().join("bot.log");
    let (way, lines) = beside_a_writer(root.path(), &log, true);
    assert_eq!(way, "punch");
    assert_same(&(archived(root.path(), "bot.log") + &rest(&log)), &expected(lines));
    let about = fs::metadata(&log).unwrap();
    assert!(about.blocks() * 512 + (8 << 20) < about.len(), "{} blocks of {}", about.blocks(), about.len());
}

#[test]
fn killed_at_any_time_it_leaves_every_line_somewhere() {
    let root = TempDir::new_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let log = root.path().join("bot.log");
    write_lines(&log, 0..300_000);
    let mut killed = 0;
    for round in 0..12_u64 {
        let mut child = command(root.path(), &["-q", log.to_str().unwrap()]).stdout(Stdio::null()).spawn().unwrap();
        let begun = Instant::now();
        while begun.elapsed() < Duration::from_millis(40 * round) && child.try_wait().unwrap().is_none() {
            std::thread::sleep(Duration::from_millis(1));
        }
        child.kill().unwrap();
        killed += u32::from(child.wait().unwrap().code().is_none());
        // A second apart, so that archives sort as they were made.
        std::thread::sleep(Duration::from_millis(1001).saturating_sub(begun.elapsed()));
    }
    // On a quick machine the later rounds find nothing left to do.
    assert!(killed > 0, "{killed} kills");
    let mut folders: Vec<PathBuf> =
        fs::read_dir(root.path().join("archive")).unwrap().map(|e| e.unwrap().path()).collect();
    folders.sort();
    let mut seen = vec![0_u8; 300_000];
    let mut count = |text: &str| {
        for whole in text.split_inclusive('\n').filter(|line| line.ends_with('\n')) {
            let number = whole.split("tick ").nth(1).and_then(|rest| rest.get(..12)?.parse::<usize>().ok());
            if let Some(number) = number.filter(|number| whole == line(*number as u64)) {
                seen[number] += 1;
            }
        }
    };
    // Pieces end within lines: what was archived and given back is followed by what came next, in its order.
    let mut whole = String::new();
    for folder in folders {
        let Ok(bytes) = fs::read(folder.join("bot.log.gz")) else { continue };
        let mut text = Vec::new();
        // A member that was just being written may be cut.
        let _ = flate2::read::MultiGzDecoder::new(&bytes[..]).read_to_end(&mut text);
        let text = String::from_utf8(text).unwrap();
        count(&text);
        whole.push_str(&text);
    }
    count(&rest(&log));
    whole.push_str(&rest(&log));
    count(&whole);
    let missing = seen.iter().filter(|seen| **seen == 0).count();
    assert_eq!(missing, 0, "lines are neither archived nor left");
}

#[test]
fn our_own_small_and_binary_files_are_left_alone() {
    let root = TempDir::new_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let dir = root.path();
    {
        let shm = TempDir::new().unwrap();
        let config = tachograph::Config::new(dir).shm_dir(shm.path());
        let guard = tachograph::start_isolated(config).unwrap();
        tachograph::info!(logger: guard, target: "ours", "a line");
        guard.flush(Duration::from_secs(60)).unwrap();
    }
    // Another wrote into our file: it is ours all the same.
    write_lines(&dir.join("ours.log"), 0..20_000);
    write_lines(&dir.join("small.log"), 0..10);
    write_lines(&dir.join("data.bin"), 0..20_000);
    fs::write(dir.join("core.log"), vec![0; 1 << 20]).unwrap();
    write_lines(&dir.join("old.log.gz"), 0..20_000);
    fs::create_dir(dir.join("sub")).unwrap();
    write_lines(&dir.join("sub/bot.log.2026-11-19"), 0..20_000);
    std::os::unix::fs::symlink(dir.join("sub/bot.log.2026-11-19"), dir.join("link.log")).unwrap();
    let output = tacho(dir, &["--larger-than", "1 MB", "--dry-run", "--json"]);
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let paths: Vec<&str> =
        report["files"].as_array().unwrap().iter().map(|file| file["path"].as_str().unwrap()).collect();
    assert_eq!(paths, [dir.join("sub/bot.log.2026-11-19").to_str().unwrap()]);
    assert!(!dir.join("archive").exists(), "a dry run does nothing");
    assert_same(&rest(&dir.join("sub/bot.log.2026-11-19")), &expected(20_000));

    for (path, why) in
        [("ours.log", "a file of Tachograph's own"), ("link.log", "links are not followed"), ("none", "No such")]
    {
        let output = tacho(dir, &[dir.join(path).to_str().unwrap()]);
        assert_eq!(output.status.code(), Some(2), "{path}");
        assert!(String::from_utf8_lossy(&output.stderr).contains(why), "{path}");
    }
    let output = tacho(dir, &["--larger-than", "1 MB"]);
    assert_eq!(output.status.code(), Some(0));
    assert_same(
        &(archived(dir, "sub_bot.log.2026-11-19") + &rest(&dir.join("sub/bot.log.2026-11-19"))),
        &expected(20_000),
    );
    let output = tacho(dir, &["--larger-than", "1 MB"]);
    assert!(output.stdout.is_empty() && String::from_utf8_lossy(&output.stderr).contains("no log of another program"));
    // Less than a block cannot be given back: nothing is archived, and no folder is left for it.
    let archives = || fs::read_dir(dir.join("archive")).unwrap().count();
    let before = archives();
    let output = tacho(dir, &[dir.join("small.log").to_str().unwrap()]);
    assert_eq!((output.status.code(), archives()), (Some(0), before));
    assert!(String::from_utf8_lossy(&output.stdout).contains("nothing to archive"));
    let usage = Command::new(env!("CARGO_BIN_EXE_tacho")).args(["cleanup", "/tmp"]).output().unwrap();
    assert_eq!(usage.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&usage.stderr).contains("--emergency"));
}

#[test]
fn what_is_compressed_by_zstd_or_packed_comes_out_of_an_archive_as_it_was() {
    let root = TempDir::new().unwrap();
    let dir = root.path();
    // Whatever is in them, and whether this build knows zstd or not: a packed segment is gzip, too, and not what it inflates to.
    let files = ["orders.log.1.zst", "00000001.seg.zst", "00000001.seg.gz"].map(|name| dir.join(name));
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::new(1));
    encoder.write_all(b"TACHOPAK and what stands behind it").unwrap();
    let gzip = encoder.finish().unwrap();
    let contents = [&b"\x28\xb5\x2f\xfd one of zstd"[..], b"\x54\x2a\x4d\x18", &gzip];
    files.iter().zip(contents).for_each(|(path, bytes)| fs::write(path, bytes).unwrap());
    let names: Vec<&str> = files.iter().map(|path| path.to_str().unwrap()).collect();
    let (status, out, err) = archive(dir, &[&["create", "--name", "made"], names.as_slice()].concat());
    assert_eq!((status, err.as_str()), (0, ""), "{out}");
    let (status, out, _) = archive(dir, &["verify"]);
    assert_eq!((status, out.lines().filter(|line| line.ends_with(": ok")).count()), (0, 3), "{out}");
    let to = dir.join("to");
    fs::create_dir(&to).unwrap();
    assert_eq!(archive(dir, &["extract", "made", "--to", to.to_str().unwrap()]).0, 0);
    for (path, bytes) in files.iter().zip(contents) {
        let name = path.file_name().unwrap();
        assert_eq!(fs::read(dir.join("archive/made").join(name)).unwrap(), bytes, "{name:?} in the archive");
        assert_eq!(fs::read(to.join(name)).unwrap(), bytes, "{name:?}");
    }
    // Two of one name; and damage is seen.
    let (status, _, err) = archive(dir, &["create", "--name", "two", names[0], names[0]]);
    assert_eq!((status, err.as_str()), (0, ""));
    assert!(dir.join("archive/two/orders.log.1.2.zst").exists());
    fs::write(dir.join("archive/two/orders.log.1.zst"), b"\x28\xb5\x2f\xfd one of zst!").unwrap();
    assert_eq!(archive(dir, &["verify", "two"]).0, 1);
}

fn archive(dir: &Path, args: &[&str]) -> (i32, String, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_tacho"))
        .args(["-D", dir.to_str().unwrap(), "archive"])
        .args(args)
        .env_remove("TACHO_DIR")
        .output()
        .unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

#[test]
fn archives_are_made_listed_checked_unpacked_and_deleted() {
    let root = TempDir::new().unwrap();
    let dir = root.path();
    let (status, out, err) = archive(dir, &["list"]);
    assert_eq!((status, out.as_str(), err.as_str()), (0, "", "tacho: no archives\n"));
    let (plain, packed) = (dir.join("a.log"), dir.join("a.log.1.gz"));
    write_lines(&plain, 0..5_000);
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::new(1));
    encoder.write_all(expected(3_000).as_bytes()).unwrap();
    fs::write(&packed, encoder.finish().unwrap()).unwrap();
    for name in ["first", "second", "third"] {
        let made = ["create", "--name", name, plain.to_str().unwrap(), packed.to_str().unwrap()];
        let (status, out, err) = archive(dir, &made);
        assert_eq!((status, err.as_str()), (0, ""), "{out}");
        assert!(out.contains("2 files, "), "{out}");
        let (status, _, err) = archive(dir, &made);
        assert!(status == 2 && err.contains("there is an archive"), "{err}");
    }
    let stored = dir.join("archive/first");
    assert_eq!(fs::read(stored.join("a.log.1.gz")).unwrap(), fs::read(&packed).unwrap(), "stored as it is");
    let (_, out, _) = archive(dir, &["list"]);
    let names: Vec<&str> = out.lines().skip(1).map(|line| line.split(' ').next_back().unwrap()).collect();
    assert_eq!(names, ["first", "second", "third"]);
    let (status, out, _) = archive(dir, &["verify"]);
    assert_eq!((status, out.lines().filter(|line| line.ends_with(": ok")).count()), (0, 6));

    let to = dir.join("to");
    fs::create_dir(&to).unwrap();
    let into = ["extract", "first", "--to", to.to_str().unwrap()];
    assert_eq!(archive(dir, &into).0, 0);
    assert_same(&rest(&to.join("a.log")), &expected(5_000));
    assert_same(&rest(&to.join("a.log.1")), &expected(3_000));
    let (status, _, err) = archive(dir, &into);
    assert!(status == 2 && err.contains("File exists"), "{err}");
    assert_eq!(archive(dir, &[&into[..], &["--force"]].concat()).0, 0);
    assert_same(&archive(dir, &["extract", "second", "a.log.gz", "--stdout"]).1, &expected(5_000));
    for (name, why) in [("fourth", "no archive"), ("../archive/first", "no archive"), ("..", "no archive")] {
        let (status, _, err) = archive(dir, &["extract", name]);
        assert!(status == 2 && err.contains(why), "{name}: {err}");
    }
    let (status, _, err) = archive(dir, &["extract", "first", "b.log.gz"]);
    assert!(status == 2 && err.contains("it has: a.log.gz, a.log.1.gz"), "{err}");

    // One byte of the content, and a file that is missing.
    let victim = dir.join("archive/second/a.log.gz");
    let mut bytes = fs::read(&victim).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&victim, bytes).unwrap();
    fs::remove_file(dir.join("archive/third/a.log.1.gz")).unwrap();
    let (status, out, _) = archive(dir, &["verify", "--json"]);
    let report: serde_json::Value = serde_json::from_str(&out).unwrap();
    let bad = report["files"].as_array().unwrap().iter().filter(|file| file["ok"] == false).count();
    assert_eq!((status, bad), (1, 2), "{report}");
    assert_eq!(archive(dir, &["extract", "second", "--to", root.path().join("to").to_str().unwrap(), "--force"]).0, 2);

    // A manifest that names a file elsewhere is not followed.
    let manifest = dir.join("archive/first/manifest.json");
    let text = fs::read_to_string(&manifest).unwrap();
    fs::write(&manifest, text.replace("\"name\": \"a.log.gz\"", "\"name\": \"../../a.log\"")).unwrap();
    assert_eq!(archive(dir, &["verify", "first"]).0, 1);
    assert_eq!(archive(dir, &["extract", "first", "--to", to.to_str().unwrap(), "--force"]).0, 2);

    assert_eq!(archive(dir, &["cleanup"]).0, 2, "what to delete must be said");
    fs::create_dir(dir.join("archive/foreign")).unwrap();
    let (_, out, _) = archive(dir, &["cleanup", "--keep", "1", "--dry-run"]);
    assert_eq!(out.lines().count(), 2, "{out}");
    assert!(out.starts_with("first: ") && dir.join("archive/first").exists());
    let (status, out, err) = archive(dir, &["cleanup", "--keep", "1"]);
    // The file that its manifest does not name any more keeps the first one's folder.
    assert_eq!(status, 2, "{out}{err}");
    assert!(err.contains("archive/first") && plain.exists() && dir.join("archive/first/a.log.gz").exists());
    assert!(
        !dir.join("archive/second").exists()
            && dir.join("archive/third").exists()
            && dir.join("archive/foreign").exists()
    );
    assert_eq!(archive(dir, &["cleanup", "--older-than", "1h"]).1, "");
    let (_, out, _) = archive(dir, &["cleanup", "--max-size", "1", "--json"]);
    let report: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!(report["deleted"][0]["name"], "third");
}
