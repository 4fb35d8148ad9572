//! The counter that calls are timed with.

use std::sync::OnceLock;
use std::time::{Duration, Instant};

/// The counter, read as a log call reads it: the processor may do it early or late by a few instructions, and so little
/// is added to what is measured.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
pub(crate) fn now() -> u64 {
    // SAFETY: every x86-64 processor has the instruction.
    unsafe { core::arch::x86_64::_rdtsc() }
}

/// Nanoseconds, where there is no counter that we know how to read.
#[cfg(not(target_arch = "x86_64"))]
#[inline(always)]
pub(crate) fn now() -> u64 {
    static START: OnceLock<Instant> = OnceLock::new();
    START.get_or_init(Instant::now).elapsed().as_nanos() as u64
}

/// Nanoseconds of a tick, measured once.
pub(crate) fn ns_per_tick() -> f64 {
    static RATE: OnceLock<f64> = OnceLock::new();
    *RATE.get_or_init(|| {
        let (ticks, time) = (now(), Instant::now());
        std::thread::sleep(Duration::from_millis(200));
        time.elapsed().as_nanos() as f64 / (now() - ticks) as f64
    })
}
