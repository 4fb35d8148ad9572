//! Calls under conditions that a strategy may meet: many threads, a ring that is full, files that rotate, memory under pressure.

use super::Report;
use super::cases::{logged, logged_or_dropped};
use super::common::machine::{cores, pin, unpin};
use super::common::ticks::{now, ns_per_tick, spin};
use super::common::timing::{BURST, Case, Plan, bursts};
use crate::numbers;
use std::collections::BTreeMap;
use std::fs;
use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tachograph::prepare_thread;
use tachograph::reader::archive::Archive;
use tachograph::segment::layout::Header;

const THREADS: [usize; 4] = [1, 2, 4, 8];
/// What counts as near to a rotation.
const NEAR: f64 = 1e6;
/// What the thread that presses on memory takes and gives back.
const PRESSURE_BYTES: usize = 256 << 20;

/// Threads that log at the same time, pinned nowhere.
pub(crate) fn threads(plan: Plan, report: &mut Report) {
    for count in THREADS {
        logged(
            |config| config.rings_spare(8),
            |_, _| {
                let plan = Plan { bursts: plan.bursts / 4, ..plan };
                let one = || {
                    prepare_thread();
                    let (mut case, mut i) = (Case::default(), 0);
                    bursts(plan, &mut case, &mut i, &mut |i| numbers!(i));
                    (case, i)
                };
                // Threads of a pinned thread would all be on its core.
                let done = std::thread::scope(|scope| {
                    unpin();
                    let all: Vec<_> = (0..count).map(|_| scope.spawn(one)).collect();
                    pin(cores().0);
                    all.into_iter().map(|thread| thread.join().unwrap()).collect::<Vec<_>>()
                });
                let mut all = Case::default();
                done.iter().for_each(|(case, _)| all.merge(case));
                report.add(&format!("threads: {count}"), &all);
                done.iter().map(|(_, calls)| calls).sum()
            },
        );
    }
}

/// A small ring and no pause: the writer cannot keep up, and calls are dropped.
pub(crate) fn full_ring(plan: Plan, report: &mut Report) {
    let mut case = Case::default();
    let (calls, dropped) = logged_or_dropped(
        |config| config.ring_bytes(256 << 10),
        |_, _| {
            let calls = (plan.bursts * BURST / 2) as u64;
            let all = (0..calls).map(timed);
            case = Case::of_calls(all.map(|(_, ticks)| ticks));
            calls
        },
    );
    report.add("ring of 256 KiB, no pause", &case);
    eprintln!("  ring of 256 KiB, no pause: {dropped} of {calls} dropped");
}

/// One call: when it began, and how long it took.
#[inline(always)]
fn timed(i: u64) -> (u64, u64) {
    let before = now();
    numbers!(i);
    (before, now().wrapping_sub(before))
}

/// Segments and files that are often full, with and without compression of what is put away.
pub(crate) fn rotation(plan: Plan, report: &mut Report) {
    for (name, compress) in [("rotation", false), ("rotation and compression", true)] {
        let (mut near, mut elsewhere, mut count) = (Vec::new(), Vec::new(), 0);
        logged(
            |config| {
                let config = config.segments(16).segment_bytes(1 << 20).view_bytes_max(4 << 20).view_backups(1000);
                config.archive_compress(compress).view_compress(compress).view_compress_delay(Duration::ZERO)
            },
            |tacho, from| {
                let pause = (4.0 * plan.pause_ns / ns_per_tick()) as u64;
                let mut calls = Vec::with_capacity(plan.bursts * BURST);
                for i in 0..plan.bursts as u64 {
                    calls.extend((0..BURST as u64).map(|k| timed(i * BURST as u64 + k)));
                    spin(pause);
                }
                tacho.flush(Duration::from_secs(120)).unwrap();
                let rotations = rotations(from, calls[0].0);
                count = rotations.len();
                let window = (NEAR / ns_per_tick()) as u64;
                for (begin, ticks) in &calls {
                    let after = rotations.partition_point(|rotation| *rotation + window < *begin);
                    let is_near =
                        rotations.get(after).is_some_and(|rotation| rotation.saturating_sub(window) <= *begin);
                    if is_near { &mut near } else { &mut elsewhere }.push(*ticks);
                }
                calls.len() as u64
            },
        );
        eprintln!("  {name}: {count} rotations, {} calls within 1 ms of one", near.len());
        report.add(&format!("{name}: within 1 ms of one"), &Case::of_calls(near.into_iter()));
        report.add(&format!("{name}: elsewhere"), &Case::of_calls(elsewhere.into_iter()));
    }
}

/// When the segments of an archive were begun, those after `first`; in order.
fn rotations(dir: &Path, first: u64) -> Vec<u64> {
    let mut all: Vec<u64> =
        segments(&dir.join(".journal")).iter().filter_map(|path| header(path)).map(|it| it.ticks).collect();
    all.retain(|ticks| *ticks > first);
    all.sort_unstable();
    all
}

fn segments(journals: &Path) -> Vec<PathBuf> {
    let listed = |path: &Path| fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<PathBuf> =
        listed(journals).filter(|path| path.is_dir()).flat_map(|it| listed(&it).collect::<Vec<_>>()).collect();
    files.retain(|path| path.to_string_lossy().contains(".seg"));
    files
}

/// `None` where the file was just replaced by its compressed form.
fn header(path: &Path) -> Option<Header> {
    Archive::files(BTreeMap::from([(1, path.to_owned())])).header(1).ok()??.ok()
}

/// Another thread takes, touches and gives back memory over and over: page faults, and the producer's lines leave the caches
/// that the cores share.
pub(crate) fn memory_pressure(plan: Plan, report: &mut Report) {
    let stop = AtomicBool::new(false);
    logged(
        |config| config,
        |_, _| {
            std::thread::scope(|scope| {
                unpin();
                scope.spawn(|| {
                    while !stop.load(Ordering::Relaxed) {
                        black_box(vec![1_u8; PRESSURE_BYTES]);
                    }
                });
                pin(cores().0);
                let (mut case, mut i) = (Case::default(), 0);
                bursts(plan, &mut case, &mut i, &mut |i| numbers!(i));
                stop.store(true, Ordering::Relaxed);
                report.add("memory pressure", &case);
                i
            })
        },
    );
}
