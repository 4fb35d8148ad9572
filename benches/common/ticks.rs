//! The counter that calls are timed with.

use std::sync::OnceLock;
use std::time::{Duration, Instant};

/// The counter, read as a log call reads it: the processor may do it early or late by a few instructions, and so little
/// is added to what is measured.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
pub fn now() -> u64 {
    // SAFETY: every x86-64 processor has the instruction.
    unsafe { core::arch::x86_64::_rdtsc() }
}

/// Nanoseconds, where there is no counter that we know how to read.
#[cfg(not(target_arch = "x86_64"))]
#[inline(always)]
pub fn now() -> u64 {
    static START: OnceLock<Instant> = OnceLock::new();
    START.get_or_init(Instant::now).elapsed().as_nanos() as u64
}

/// Nanoseconds of a tick, measured once.
pub fn ns_per_tick() -> f64 {
    static RATE: OnceLock<f64> = OnceLock::new();
    *RATE.get_or_init(|| {
        let (ticks, time) = (now(), Instant::now());
        std::thread::sleep(Duration::from_millis(200));
        time.elapsed().as_nanos() as f64 / (now() - ticks) as f64
    })
}

/// The smallest step that the counter makes between two reads, in nanoseconds.
pub fn grain_ns() -> f64 {
    let mut least = u64::MAX;
    for _ in 0..100_000 {
        let before = now();
        let step = now().wrapping_sub(before);
        if step != 0 {
            least = least.min(step);
        }
    }
    least as f64 * ns_per_tick()
}

/// Spins for so long.
pub fn spin(ticks: u64) {
    let until = now() + ticks;
    while now() < until {
        std::hint::spin_loop();
    }
}
