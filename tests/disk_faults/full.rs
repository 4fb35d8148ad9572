//! Disks without room, for real: a small tmpfs and a small ext4.

use crate::driver::{Place, Run};
use crate::mounted::{Mounted, with_mounts};
use std::fs;
use std::io::Write;
use std::path::Path;

/// Fills the disk up; says how much that took.
fn fill(path: &Path) -> usize {
    let mut file = fs::File::create(path).unwrap();
    let (mut bytes, mut block) = (0, 4096);
    while block > 0 {
        match file.write(&vec![b'x'; block]) {
            Ok(count) => bytes += count,
            Err(_) => block /= 2,
        }
    }
    bytes
}

/// A foreign file takes all room, and goes again.
fn somebody_fills_the_disk(mounted: &Mounted, compress: bool) {
    let dir = mounted.path().join("logs");
    let place = Place::at(&dir);
    let mut run = Run::start(place.config().view_compress(compress).archive_compress(compress), &dir);
    run.log_calmly(500);
    let filler = mounted.path().join("filler");
    fill(&filler);
    // What can be given up goes, until nothing is left.
    run.log_until("records are dropped", |health| {
        fs::OpenOptions::new().append(true).open(&filler).and_then(|mut file| file.write_all(&[b'x'; 4096])).ok();
        health.dropped_full > 0
    });
    run.log_until_trouble("free some space");
    fs::remove_file(&filler).unwrap();
    run.wait_for_service();
    let dropped = run.tacho.health().dropped;
    run.log_calmly(500);
    assert_eq!(run.tacho.health().dropped, dropped, "dropped with room on the disk");
    let left = run.close();
    left.assert_only_the_oldest_went();
    if left.health.given_up_backups == 0 {
        left.assert_exact();
    }
    let given_up = left.health.given_up_segments + left.health.given_up_backups;
    assert_eq!(left.says("given up for want of room"), given_up > 0, "{:?}", left.own);
}

/// We ourselves are what fills it: the limits are larger than the disk.
fn the_logs_outgrow_the_disk(mounted: &Mounted, compress: bool) {
    let dir = mounted.path().join("logs");
    let place = Place::at(&dir);
    let mut run = Run::start(place.config().view_compress(compress).archive_compress(compress), &dir);
    run.log_calmly(30_000);
    run.wait_for_service();
    let left = run.close();
    assert!(left.health.given_up_bytes > 0, "{}", left.health);
    // In bursts that fit the rings, with something to give up, nothing new is lost.
    assert_eq!((left.health.dropped, left.health.lost), (0, 0), "{}", left.health);
    left.assert_only_the_oldest_went();
    assert!(left.says("given up for want of room"), "{:?}", left.own);
}

const MIB: u64 = 1 << 20;

#[test]
fn a_tmpfs_of_one_mib_that_somebody_fills() {
    with_mounts("full::a_tmpfs_of_one_mib_that_somebody_fills", || {
        for compress in [false, true] {
            somebody_fills_the_disk(&Mounted::tmpfs(MIB)?, compress);
        }
        Ok(())
    });
}

#[test]
fn a_tmpfs_of_one_mib_that_the_logs_outgrow() {
    with_mounts("full::a_tmpfs_of_one_mib_that_the_logs_outgrow", || {
        for compress in [false, true] {
            the_logs_outgrow_the_disk(&Mounted::tmpfs(MIB)?, compress);
        }
        Ok(())
    });
}

#[test]
fn a_small_ext4_that_somebody_fills() {
    with_mounts("full::a_small_ext4_that_somebody_fills", || {
        somebody_fills_the_disk(&Mounted::ext4(4 * MIB)?, true);
        Ok(())
    });
}

#[test]
fn a_small_ext4_that_the_logs_outgrow() {
    with_mounts("full::a_small_ext4_that_the_logs_outgrow", || {
        the_logs_outgrow_the_disk(&Mounted::ext4(2 * MIB)?, false);
        Ok(())
    });
}
