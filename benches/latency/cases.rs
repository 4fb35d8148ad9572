//! One producer that the writer keeps up with: the floor, and the kinds of calls.

use super::Report;
use super::common::machine::{cores, pin, unpin};
use super::common::ticks::now;
use super::common::timing::{Plan, measure};
use super::common::{TEXT, config, read_journal};
use crate::{numbers, text};
use std::hint::black_box;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tachograph::{Clock, Config, Guard, Idle, prepare_thread, start};

/// Records that were dropped where none should be.
pub(crate) static DROPPED: AtomicU64 = AtomicU64::new(0);

const CLOSE_MAX: Duration = Duration::from_secs(120);

/// What no logger can go below.
pub(crate) fn floor(plan: Plan, report: &mut Report) {
    let mut place = vec![1_u64; 1 << 19];
    report.add("timing alone", &measure(plan, &mut 0, &mut |_| {}));
    report.add("TSC read", &measure(plan, &mut 0, &mut |_| _ = black_box(now())));
    report.add("store of the same bytes", &measure(plan, &mut 0, &mut |i| store(&mut place, i, i)));
    report.add("store of the same bytes + TSC", &measure(plan, &mut 0, &mut |i| store(&mut place, i, now())));
}

/// Stores a record's words as a ring would get them, without a ring.
#[inline(always)]
fn store(place: &mut [u64], i: u64, time: u64) {
    const WORDS: usize = 6;
    let at = (i as usize * WORDS) % (place.len() - WORDS);
    let place = &mut place[at..at + WORDS];
    place.copy_from_slice(&[WORDS as u64, time, i, i, i ^ 1, (i as f64).to_bits()]);
    black_box(place);
}

pub(crate) fn calls(plan: Plan, report: &mut Report) {
    logged(
        |config| config,
        |_, _| {
            let mut i = 0;
            report.add("(u64, u64, f64)", &measure(plan, &mut i, &mut |i| numbers!(i)));
            report.add("with a 32-byte string", &measure(plan, &mut i, &mut |i| text!(i, TEXT)));
            let fields = measure(plan, &mut i, &mut |i| {
                tachograph::info!(target: "bench", order_id = i, price = i as f64; "Logging iteration: {}", i);
            });
            report.add("with two typed fields", &fields);
            let disabled = measure(plan, &mut 0, &mut |i| tachograph::debug!(target: "bench", "{}", i));
            report.add("disabled call", &disabled);
            i
        },
    );
    // A coarse clock needs a writer that does not sleep.
    logged(
        |config| config.clock(Clock::Coarse).idle(Idle::Yield),
        |_, _| {
            let mut i = 0;
            report.add("(u64, u64, f64), coarse clock", &measure(plan, &mut i, &mut |i| numbers!(i)));
            report.add("with a 32-byte string, coarse clock", &measure(plan, &mut i, &mut |i| text!(i, TEXT)));
            i
        },
    );
}

/// Starts a logger, runs `f`, which makes calls and says how many, and checks that all of them are there, or said to be
/// dropped; says how many were.
pub(crate) fn logged_or_dropped(
    set: impl FnOnce(Config) -> Config,
    f: impl FnOnce(&Guard, &Path) -> u64,
) -> (u64, u64) {
    let dir = tempfile::tempdir().unwrap();
    // The logger's threads may run where the thread may that starts it.
    unpin();
    let tacho = start(set(config(dir.path()))).unwrap();
    pin(cores().0);
    prepare_thread();
    let calls = f(&tacho, dir.path());
    tacho.flush(CLOSE_MAX).unwrap();
    let health = tacho.health();
    tacho.close(CLOSE_MAX).unwrap();
    let mut sum = 0_u64;
    let (messages, dropped) = read_journal(dir.path(), |i, _| sum = sum.wrapping_add(i));
    black_box(sum);
    assert_eq!((messages + dropped, health.called()), (calls, calls), "{health}");
    (calls, dropped)
}

/// The same, where the writer is to keep up. On a busy machine it may not; what was dropped is told with the figures, because
/// a call that drops is cheaper than one that records.
pub(crate) fn logged(set: impl FnOnce(Config) -> Config, f: impl FnOnce(&Guard, &Path) -> u64) {
    let (calls, dropped) = logged_or_dropped(set, f);
    if dropped > 0 {
        eprintln!("  {dropped} of {calls} records were dropped: the machine is busy");
        DROPPED.fetch_add(dropped, Ordering::Relaxed);
    }
}
