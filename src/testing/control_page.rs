//! What a killed process left in shared memory, overwritten at will: control page, table of definitions, headers of
//! live segments and ring, and where it sampled the state of that. Readers and recovery neither panic, nor hang, nor take more memory than there is to read; and
//! where nothing was changed, nothing is missing.

use super::simulator::with_the_dead;
use crate::reader::live::Live;
use crate::recovery::recover_one;
use crate::shm::directory::JOURNAL;
use std::fs::OpenOptions;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::Path;

/// The files, the one most often looked at first; the last is there with sampling.
const FILES: [&str; 7] = ["control", "table", "live.0", "live.1", "live.2", "ring.0", "sampling"];
/// Overwritten words at most.
const CHANGES_MAX: usize = 64;
/// More than a read that was limited to less may give.
const WINDOW_BYTES: usize = 4096;

/// See the module.
pub fn control_page(data: &[u8]) {
    let (first, data) = data.split_first().unwrap_or((&0, &[]));
    let (waiting, sampling) = (u32::from(first % 64), first & 64 != 0);
    with_the_dead(waiting, sampling, |logs, live| {
        let changes = data.chunks_exact(4).take(CHANGES_MAX);
        let changed = changes.len() > 0;
        let files = FILES.get(..FILES.len() - usize::from(!sampling)).unwrap_or_default();
        changes.for_each(|change| scribble(live, files, change));
        read(live);
        let recovered = recover_one(&logs.join(JOURNAL), live);
        if !changed {
            // Of the ten that repeat, two are written.
            let records = u64::from(waiting) + if sampling { 2 } else { 10 };
            assert_eq!(recovered.unwrap().map(|recovered| recovered.records), Some(records));
            assert!(!live.exists());
        }
        // What could not be recovered is still there for the next attempt, which does not fare otherwise.
        if live.exists() {
            let _ = recover_one(&logs.join(JOURNAL), live);
        }
    });
}

/// Overwrites a word: file, offset in words (two bytes), and which value.
fn scribble(live: &Path, files: &[&str], change: &[u8]) {
    let &[file, low, high, value] = change else { return };
    let Some(name) = files.get(usize::from(file) % files.len()) else { return };
    let Ok(file) = OpenOptions::new().read(true).write(true).open(live.join(name)) else { return };
    let words = file.metadata().map_or(0, |about| about.size() / 8).max(1);
    let at = u64::from(u16::from_le_bytes([low, high])) % words * 8;
    let mut word = [0; 8];
    if file.read_exact_at(&mut word, at).is_err() {
        return;
    }
    let before = u64::from_le_bytes(word);
    let after = match value % 8 {
        0 => 0,
        1 => u64::MAX,
        2 => before.wrapping_add(8),
        3 => before.wrapping_sub(1),
        4 => before ^ 1 << (value / 8),
        5 => u64::from(value / 8),
        6 => 1 << (value / 4),
        _ => before.rotate_left(32),
    };
    let _ = file.write_all_at(&after.to_le_bytes(), at);
}

/// As `tacho` and a renderer in another process read it.
fn read(live: &Path) {
    let Ok(Some(mut reader)) = Live::open(live, crate::sys::file::user_id()) else { return };
    let _ = reader.watermark();
    for number in reader.numbers().unwrap_or_default() {
        let (mut out, mut offset) = (Vec::new(), 0);
        for _ in 0..64 {
            out.clear();
            let Ok(Some(_)) = reader.read(number, offset, WINDOW_BYTES, &mut out) else { break };
            assert!(out.len() <= WINDOW_BYTES);
            offset += out.len() as u64;
            if out.is_empty() {
                break;
            }
        }
    }
}
