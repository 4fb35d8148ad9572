//! Others truncate, copy and remove the files of views and archive on disk while the logger runs.

use crate::support::{FLUSH, good_child};
use std::fs::{self, OpenOptions};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tachograph::{Overflow, info, start};

/// What is done to a file.
fn strike(round: usize, path: &Path) {
    match round % 3 {
        0 => drop(OpenOptions::new().write(true).open(path).map(|file| file.set_len(0))),
        // As logrotate does it.
        1 => {
            let _ = fs::copy(path, path.with_extension("copy"));
            drop(OpenOptions::new().write(true).open(path).map(|file| file.set_len(0)));
        }
        _ => drop(fs::remove_file(path)),
    }
}

fn archives(dir: &Path) -> Vec<PathBuf> {
    let listed = |path: &Path| fs::read_dir(path).into_iter().flatten().flatten().map(|entry| entry.path());
    let folders: Vec<PathBuf> = listed(&dir.join(".journal")).filter(|path| path.is_dir()).collect();
    let files = folders.iter().flat_map(|folder| listed(folder));
    files.filter(|path| path.to_str().unwrap().contains(".seg")).collect()
}

#[test]
fn the_process_lives_and_goes_on() {
    good_child("disk::the_process_lives_and_goes_on", |place| {
        let tacho =
            start(place.config().view_bytes_max(1_u64 << 36).overflow(Overflow::Block).block_max(FLUSH)).unwrap();
        let (stop, progress) = (AtomicBool::new(false), AtomicU64::new(0));
        std::thread::scope(|scope| {
            for thread in 0..2 {
                let (stop, progress) = (&stop, &progress);
                scope.spawn(move || {
                    while !stop.load(Ordering::Relaxed) {
                        let number = progress.fetch_add(1, Ordering::Relaxed);
                        info!(target: "struck", "{thread} {number}");
                        if number.is_multiple_of(50) {
                            std::thread::sleep(Duration::from_micros(500));
                        }
                    }
                });
            }
            for round in 0..60 {
                let before = progress.load(Ordering::Relaxed);
                let files = if round % 2 == 0 { vec![place.dir.join("struck.log")] } else { archives(&place.dir) };
                if let Some(path) = files.get(round % files.len().max(1)) {
                    strike(round / 2, path);
                }
                let begin = Instant::now();
                while progress.load(Ordering::Relaxed) < before + 500 {
                    assert!(begin.elapsed() < FLUSH, "no progress: {}", tacho.health());
                    std::thread::sleep(Duration::from_millis(2));
                }
            }
            stop.store(true, Ordering::Relaxed);
        });
        tacho.flush(FLUSH).unwrap();
        // The name of a view that was removed is looked at once a second.
        let begin = Instant::now();
        let mut number = 0;
        while !place.lines("struck").iter().any(|line| line.contains("after")) {
            assert!(begin.elapsed() < FLUSH, "nothing comes any more: {}", tacho.health());
            info!(target: "struck", "after {number}");
            number += 1;
            tacho.flush(FLUSH).unwrap();
            std::thread::sleep(Duration::from_millis(20));
        }
        let health = tacho.health();
        assert_eq!((health.dropped, health.lost), (0, 0), "{health}");
        assert_eq!(health.written, progress.load(Ordering::Relaxed) + number);
        tacho.close(FLUSH).unwrap();
    });
}
