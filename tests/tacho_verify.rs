//! `tacho verify`: what it finds, and what it does not take for damage.
#![cfg(feature = "cli")]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that fails says so")]

#[path = "../src/reader/testing.rs"]
mod testing;

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use tachograph::segment::append::encode_frame;
use tachograph::segment::layout::{Kind, WRITER_RING};
use tempfile::TempDir;
use testing::*;

fn verify(args: &[&str]) -> (i32, String, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_tacho")).arg("verify").args(args).env_remove("TACHO_DIR").output();
    let output = output.unwrap();
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    (output.status.code().unwrap(), text(&output.stdout), text(&output.stderr))
}

fn dir(root: &TempDir, args: &[&str]) -> (i32, String, String) {
    verify(&[&["-D", root.path().join("logs").to_str().unwrap()], args].concat())
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// A journal of three segments, the first compressed, with drops and repeats that are stated.
fn journal() -> (TempDir, PathBuf) {
    let root = TempDir::new().unwrap();
    let folder = root.path().join("logs/.journal/20261120T120000Z-1-aaaa");
    fs::create_dir_all(&folder).unwrap();
    let mut journal = JournalBuilder::new(1);
    for n in 0..90 {
        journal.record((n % 3) as u16, n, n);
        if n == 10 {
            journal.lose(1, 5);
            let dropped = [[1, 0, 0, 0, 1, 0, 0, 0], [5, 0, 0, 0, 0, 0, 0, 0]].concat();
            let (salt, next) = (journal.header.salt, journal.next_call(1));
            encode_frame(&mut journal.bytes, salt, WRITER_RING, n, Kind::Dropped as u32, next, &dropped);
        }
        if n == 20 {
            journal.lose(2, 3);
            let repeat = [&SITE.to_le_bytes()[..], &[0; 4], &3_u64.to_le_bytes(), &1_u64.to_le_bytes(), &payload(3)];
            journal.own(Kind::Suppressed, n, &repeat.concat());
        }
        if n % 30 == 29 {
            journal.roll();
        }
    }
    let segments = &journal.done;
    fs::write(folder.join("00000001.seg.gz"), gzip(&segments[0].1)).unwrap();
    fs::write(folder.join("00000002.seg"), &segments[1].1).unwrap();
    fs::write(folder.join("00000003.seg"), &segments[2].1).unwrap();
    (root, folder)
}

fn change(path: &Path, change: impl FnOnce(&mut Vec<u8>)) {
    let mut bytes = fs::read(path).unwrap();
    change(&mut bytes);
    fs::write(path, bytes).unwrap();
}

#[test]
fn what_is_whole_is_clean_and_stated_losses_are_no_damage() {
    let (root, folder) = journal();
    let (code, out, err) = dir(&root, &[]);
    assert_eq!((code, &*err), (0, ""), "{out}");
    assert!(out.contains("3 files") && out.contains("90 records; 0 files not ok"), "{out}");
    let (code, out, _) = dir(&root, &["--json"]);
    let json: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!((code, &json["ok"], &json["journals"][0]["accounted"]), (0, &true.into(), &8.into()), "{out}");
    let (code, out, _) = verify(&[folder.join("00000001.seg.gz").to_str().unwrap()]);
    assert_eq!((code, out.contains("30 records")), (0, true), "{out}");
}

#[test]
fn a_flipped_byte_is_found_where_it_is() {
    let (root, folder) = journal();
    change(&folder.join("00000002.seg"), |bytes| {
        let at = bytes.len() - 90;
        bytes[at] ^= 1;
    });
    let (code, out, _) = dir(&root, &["--json"]);
    let json: serde_json::Value = serde_json::from_str(&out).unwrap();
    let file = &json["files"][1];
    assert_eq!(
        (code, &file["ok"], &file["damaged_bytes"], &file["records"]),
        (1, &false.into(), &40.into(), &29.into())
    );
    assert_eq!(json["journals"][0]["missing"], 1, "{out}");
}

#[test]
fn what_is_cut_missing_or_doubled_is_found() {
    let (root, folder) = journal();
    let one = folder.join("00000001.seg.gz");
    change(&one, |bytes| bytes.truncate(bytes.len() / 2));
    let (code, out, _) = dir(&root, &[]);
    assert_eq!((code, out.contains("cannot be inflated beyond")), (1, true), "{out}");

    let (root, folder) = journal();
    // At the end of a frame: nothing is damaged, and yet something is gone.
    change(&folder.join("00000002.seg"), |bytes| bytes.truncate(bytes.len() - 56 - 80));
    let (code, out, _) = dir(&root, &[]);
    assert_eq!(
        (code, out.contains("ends without its seal"), out.contains("2 records missing")),
        (1, true, true),
        "{out}"
    );

    let (root, folder) = journal();
    fs::remove_file(folder.join("00000002.seg")).unwrap();
    let (code, out, _) = dir(&root, &[]);
    assert_eq!((code, out.contains("segments 2 to 2 are missing between others")), (1, true), "{out}");

    let (root, folder) = journal();
    fs::remove_file(folder.join("00000001.seg.gz")).unwrap();
    let (code, out, _) = dir(&root, &[]);
    assert_eq!(code, 0, "retention takes the first: {out}");

    let (root, folder) = journal();
    fs::copy(folder.join("00000002.seg"), folder.join("00000004.seg")).unwrap();
    let (code, out, _) = dir(&root, &[]);
    assert_eq!(
        (code, out.contains("header says that it is segment 2"), out.contains("stand twice")),
        (1, true, true),
        "{out}"
    );
}

#[test]
fn small_files_are_checked_too() {
    for name in ["cursor", "configuration", "views", "id"] {
        let (root, folder) = journal();
        fs::write(folder.parent().unwrap().join(name), "x").unwrap();
        let (code, out, _) = dir(&root, &[]);
        assert_eq!((code, out.contains(&format!("{name}: NOT OK"))), (1, true), "{out}");
    }
}

#[test]
fn what_cannot_be_checked_is_neither_clean_nor_damaged() {
    let (root, folder) = journal();
    change(&folder.join("00000003.seg"), |bytes| {
        bytes[8] = 9;
        let crc = crc32c::crc32c(&bytes[..120]);
        bytes[120..124].copy_from_slice(&crc.to_le_bytes());
    });
    let (code, out, _) = dir(&root, &[]);
    assert_eq!((code, out.contains("newer than this program")), (2, true), "{out}");
    let (code, out, err) = verify(&["/nowhere/at\x1b[31mall"]);
    assert_eq!((code, err.contains("cannot check /nowhere"), err.contains('\x1b')), (2, true, false), "{out}{err}");
    fs::remove_dir_all(folder.parent().unwrap()).unwrap();
    assert_eq!(dir(&root, &[]).0, 2);
}

#[test]
fn a_real_logger_leaves_a_clean_directory() {
    let root = TempDir::new().unwrap();
    let logs = root.path().join("logs");
    let config =
        tachograph::Config::new(&logs).segments(4_usize).segment_bytes(65_536_usize).record_bytes_max(4096_usize);
    let tacho = tachograph::start_isolated(config.ring_bytes(65_536_usize).table_bytes(65_536_usize)).unwrap();
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let tacho = &tacho;
            // More than the rings hold: some are dropped, and that is stated.
            scope.spawn(move || (0..5_000).for_each(|n| tachograph::info!(logger: tacho, "{thread} {n}")));
        }
    });
    let (code, out, _) = verify(&["-D", logs.to_str().unwrap()]);
    assert_eq!(code, 0, "while it runs: {out}");
    tacho.close(std::time::Duration::from_secs(60)).unwrap();
    let (code, out, _) = verify(&["-D", logs.to_str().unwrap()]);
    assert_eq!(code, 0, "{out}");
}
