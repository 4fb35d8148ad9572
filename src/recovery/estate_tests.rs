//! Recovery of what could only be left by a kill between two stores, or by damage: made by hand.

use super::recover_one;
use crate::segment::layout::{HEADER_BYTES, Header};
use crate::segment::scan::{Item, Scanner, Tail};
use crate::shm::control::{CONTROL_BYTES, Control};
use crate::shm::foreign::control_of;
use crate::{Config, Mode, info, start_isolated};
use std::fs;
use std::os::unix::fs::{DirBuilderExt, FileExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::time::Duration;

const CLOSE: Duration = Duration::from_secs(60);

fn config(dir: &Path) -> Config {
    Config::new(dir.join("logs"))
        .shm_dir(dir.join("shm"))
        .segments(3_usize)
        .segment_bytes(64_usize << 10)
        .ring_bytes(64_usize << 10)
        .record_bytes_max(1_usize << 10)
        .table_bytes(64_usize << 10)
        .mode(Mode::Synchronous)
}

fn copy_folder(from: &Path, to: &Path) {
    fs::DirBuilder::new().mode(0o700).create(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let (path, to) = (entry.as_ref().unwrap().path(), to.join(entry.unwrap().file_name()));
        if path.is_dir() {
            copy_folder(&path, &to);
        } else {
            fs::copy(&path, &to).unwrap();
        }
    }
}

/// The only folder in `path`.
fn inner(path: &Path) -> PathBuf {
    fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path()).find(|path| path.is_dir()).unwrap()
}

/// Copies a logger with three records in its journal and two in a ring, lets `change` work on the live folder and control page,
/// and gives back the lines that the next logger leaves.
fn lines_after(change: impl FnOnce(&Path, &Control)) -> Vec<String> {
    lines_and_notes_after(change).0
}

/// A copy of a logger with three records in its journal and two in a ring: its directory, and its live folder.
fn dead(place: &Path) -> (PathBuf, PathBuf) {
    let (dir, copy) = (place.join("one"), place.join("copy"));
    fs::create_dir_all(dir.join("shm")).unwrap();
    let tacho = start_isolated(config(&dir)).unwrap();
    (0..3).for_each(|number| info!(logger: tacho, target: "t", "{number}"));
    let inline = tacho.logger().core().inline.lock().unwrap().take();
    (3..5).for_each(|number| info!(logger: tacho, target: "t", "{number}"));
    copy_folder(&dir, &copy);
    // It stands for the original: its identity does not say where it was made.
    let id = copy.join("logs/.journal/id");
    let text = fs::read_to_string(&id).unwrap();
    fs::write(&id, format!("{}\n", text.lines().next().unwrap())).unwrap();
    *tacho.logger().core().inline.lock().unwrap() = inline;
    tacho.close(CLOSE).unwrap();

    let live = inner(&inner(&copy.join("shm")));
    let pointer = copy.join("logs/.journal").join(live.file_name().unwrap()).join("shm");
    fs::write(pointer, live.to_str().unwrap()).unwrap();
    (copy, live)
}

/// The same, and what the logger itself says in the log.
fn lines_and_notes_after(change: impl FnOnce(&Path, &Control)) -> (Vec<String>, String) {
    let place = tempfile::tempdir_in("/dev/shm").unwrap();
    let (copy, live) = dead(place.path());
    change(&live, &control_of(&live).unwrap());
    let next = start_isolated(config(&copy)).unwrap();
    next.flush(CLOSE).unwrap();
    assert_eq!(next.health().disk_errors, 0, "{}", next.health());
    next.close(CLOSE).unwrap();
    let text = fs::read_to_string(copy.join("logs/t.log")).unwrap();
    let lines = text.lines().map(|line| line.split_once("] ").unwrap().1.to_owned()).collect();
    (lines, fs::read_to_string(copy.join("logs/tachograph.log")).unwrap_or_default())
}

#[test]
fn a_ring_that_cannot_be_read_is_stated_and_the_rest_recovered() {
    let open = |live: &Path| fs::OpenOptions::new().write(true).open(live.join("ring.0")).unwrap();
    let damages: [&dyn Fn(&Path); 5] = [
        &|live| open(live).write_all_at(b"garbage!", 0).unwrap(),
        &|live| open(live).write_all_at(&[0; 4096], 0).unwrap(),
        &|live| open(live).set_len(0).unwrap(),
        &|live| open(live).set_len(5000).unwrap(),
        &|live| fs::remove_file(live.join("ring.0")).unwrap(),
    ];
    for (number, damage) in damages.into_iter().enumerate() {
        let (lines, notes) = lines_and_notes_after(|live, _| damage(live));
        assert_eq!(lines, ["0", "1", "2"], "damage {number}");
        let stated = notes.lines().filter(|line| line.contains("ring 0 was damaged or removed by somebody else"));
        assert_eq!(stated.count(), 1, "damage {number}: {notes}");
    }
    // One that was just being made held nothing.
    let unfinished = |live: &Path| {
        let next = (0..).find(|number| !live.join(format!("ring.{number}")).exists()).unwrap();
        fs::write(live.join(format!("ring.{next}")), b"").unwrap();
    };
    let (lines, notes) = lines_and_notes_after(|live, _| unfinished(live));
    assert!(lines == EXPECTED && !notes.contains("damaged"), "{notes}");
}

#[test]
fn a_control_page_that_was_cut_overwritten_or_removed_is_made_again_from_the_segments() {
    let open = |live: &Path| fs::OpenOptions::new().write(true).open(live.join("control")).unwrap();
    let damages: [&dyn Fn(&Path); 7] = [
        &|live| fs::remove_file(live.join("control")).unwrap(),
        &|live| open(live).set_len(0).unwrap(),
        &|live| open(live).set_len(100).unwrap(),
        &|live| open(live).set_len(1 << 20).unwrap(),
        &|live| open(live).write_all_at(&[0; CONTROL_BYTES], 0).unwrap(),
        &|live| open(live).write_all_at(&[0xff; CONTROL_BYTES], 0).unwrap(),
        &|live| open(live).write_all_at(&[7; CONTROL_BYTES - 8], 8).unwrap(),
    ];
    for (number, damage) in damages.into_iter().enumerate() {
        let (lines, notes) = lines_and_notes_after(|live, _| damage(live));
        assert_eq!(lines, EXPECTED, "damage {number}: {notes}");
        let stated =
            notes.lines().filter(|line| line.contains("the control page was damaged or removed by somebody else"));
        assert_eq!(stated.count(), 1, "damage {number}: {notes}");
    }
}

#[test]
fn a_table_or_a_state_of_sampling_that_was_cut_or_overwritten_does_not_keep_the_rest() {
    let damages: [&dyn Fn(&Path); 5] = [
        &|live| fs::write(live.join("table"), b"").unwrap(),
        &|live| fs::write(live.join("table"), [0xff; 5000]).unwrap(),
        &|live| fs::remove_file(live.join("table")).unwrap(),
        &|live| fs::write(live.join("sampling"), b"").unwrap(),
        &|live| fs::write(live.join("sampling"), [0xff; 5000]).unwrap(),
    ];
    for (number, damage) in damages.into_iter().enumerate() {
        let (lines, notes) = lines_and_notes_after(|live, _| {
            assert!(live.join(crate::shm::folder::TABLE).exists());
            damage(live);
        });
        let count = |text| notes.lines().filter(|line| line.contains(text)).count();
        if number < 3 {
            // What was logged at a place for the first time is there, as bytes.
            assert_eq!(lines, ["0", "1", "2"], "damage {number}: {notes}");
            assert_eq!((count("table of definitions was damaged"), count("unknown call site")), (1, 2), "{notes}");
        } else {
            assert_eq!(lines, EXPECTED, "damage {number}: {notes}");
            assert_eq!(count("the state of sampling was damaged or removed"), 1, "damage {number}: {notes}");
        }
    }
}

#[test]
fn what_a_dead_worker_gave_up_and_did_not_state_is_stated() {
    let given_up = |counted, stated| {
        lines_and_notes_after(|_, control| {
            control.worker.given_up_records.store(counted, Ordering::Relaxed);
            control.worker.given_up_stated.store(stated, Ordering::Relaxed);
        })
    };
    let (lines, notes) = given_up(7, 2);
    assert!(lines == EXPECTED && notes.contains("for want of room; 5 records in them were in no view yet"), "{notes}");
    for (counted, stated) in [(7, 7), (7, 8), (u64::MAX, 0)] {
        let (lines, notes) = given_up(counted, stated);
        assert!(lines == EXPECTED && !notes.contains("for want of room"), "{counted} {stated}: {notes}");
    }
}

#[test]
fn what_the_archive_has_of_a_damaged_live_segment_is_kept() {
    let place = tempfile::tempdir_in("/dev/shm").unwrap();
    let (copy, live) = dead(place.path());
    let segment = copy.join("logs/.journal").join(live.file_name().unwrap()).join("00000001.seg");
    let archived = fs::read(&segment).unwrap();
    let header = Header::decode(&archived).unwrap();
    let frames = |bytes: &[u8]| {
        let scanner = Scanner::new(&bytes[HEADER_BYTES..], HEADER_BYTES as u64, header.salt, Tail::Final);
        let whole = scanner.inspect(|item| assert!(matches!(item, Item::Frame { .. }), "{item:?}"));
        whole.filter(|item| matches!(item, Item::Frame { frame, .. } if frame.ring == 0)).count()
    };
    assert_eq!(frames(&archived), 3);
    let slot = control_of(&live).unwrap().slots.iter().position(|slot| slot.holds(1)).unwrap();
    let name = format!("live.{slot}");
    let open = |live: &Path| fs::OpenOptions::new().write(true).open(live.join(&name)).unwrap();
    let flip = |live: &Path, at: usize| open(live).write_all_at(&[archived[at] ^ 0x41], at as u64).unwrap();
    let damages: [&dyn Fn(&Path); 6] = [
        &|live| (0..archived.len()).step_by(40).for_each(|at| flip(live, at)),
        &|live| open(live).write_all_at(&vec![0; archived.len()], 0).unwrap(),
        &|live| open(live).write_all_at(&[0xff; 64 << 10], 0).unwrap(),
        &|live| open(live).set_len(0).unwrap(),
        &|live| open(live).set_len(200).unwrap(),
        &|live| fs::remove_file(live.join(&name)).unwrap(),
    ];
    let recover = |damage: &dyn Fn(&Path)| {
        let again = place.path().join("again");
        copy_folder(&copy, &again);
        let live = inner(&inner(&again.join("shm")));
        damage(&live);
        let recovered = recover_one(&again.join("logs/.journal"), &live).unwrap().unwrap();
        let bytes = fs::read(again.join(segment.strip_prefix(&copy).unwrap())).unwrap();
        assert!(bytes.starts_with(&archived) && !live.exists());
        fs::remove_dir_all(again).unwrap();
        (recovered, bytes)
    };
    let whole = recover(&|_| ());
    assert!(whole.0.damage.is_empty() && frames(&whole.1) == 5, "{whole:?}");
    for (number, damage) in damages.into_iter().enumerate() {
        let (recovered, bytes) = recover(damage);
        let stated = recovered.damage.iter().filter(|text| text.contains("segment 1 was damaged in shared memory"));
        assert_eq!((stated.count(), recovered.records, frames(&bytes)), (1, 2, 5), "damage {number}: {recovered:?}");
        let note = b"segment 1 was damaged in shared memory";
        assert!(bytes.windows(note.len()).any(|window| window == note));
    }
    // Memory of another segment is no copy of this one, whatever the words beside it say.
    let (recovered, _) = recover(&|live| {
        let mut other = archived.clone();
        other[..HEADER_BYTES].copy_from_slice(&Header { number: 2, salt: 9, ..header }.encode());
        open(live).write_all_at(&other, 0).unwrap();
    });
    assert_eq!((recovered.records, recovered.damage.len()), (2, 1), "{recovered:?}");
}

const EXPECTED: [&str; 5] = ["0", "1", "2", "3 (recovered)", "4 (recovered)"];

#[test]
fn what_was_in_the_ring_comes_behind_the_journal() {
    assert_eq!(lines_after(|_, _| ()), EXPECTED);
}

#[test]
fn a_number_is_not_used_again_when_the_newest_segments_slot_was_just_taken() {
    let lines = lines_after(|_, control| {
        let slot = control.slots.iter().find(|slot| slot.holds(1)).unwrap();
        // As an earlier recovery leaves it: all of the segment on disk, its slot taken for the next one, and then killed.
        control.worker.archive_number.store(2, Ordering::Relaxed);
        slot.begin_use();
    });
    assert_eq!(lines, EXPECTED);
}

#[test]
fn a_newest_segment_without_a_header_does_not_keep_the_rest() {
    let lines = lines_after(|live, control| {
        let slot = control.slots.iter().position(|slot| slot.holds(1)).unwrap();
        let file = fs::OpenOptions::new().write(true).open(live.join(format!("live.{slot}"))).unwrap();
        file.write_all_at(&[0; 128], 0).unwrap();
    });
    assert_eq!(lines, EXPECTED);
}
