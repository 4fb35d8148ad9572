//! What a call costs: two readings of a clock around it, and what those two cost by themselves.
//!
//! On x86-64 the clock is the processor's time-stamp counter, read behind an `lfence`, so that the reading waits for
//! the work before it. Elsewhere it is [`Instant`], whose grain may be coarser than the call.

use std::fmt;
use std::hint::black_box;
use std::time::{Duration, Instant};

const EMPTY_TIMINGS: usize = 10_000;
#[cfg(target_arch = "x86_64")]
const CALIBRATION: Duration = Duration::from_millis(20);

/// The clock, with what is needed to read its ticks as time.
#[derive(Debug)]
pub(crate) struct Stopwatch {
    #[cfg(not(target_arch = "x86_64"))]
    origin: Instant,
    ns_per_tick: f64,
    /// The median of an empty timing.
    empty_ticks: u64,
    /// The smallest step that the clock was seen to make.
    grain_ticks: u64,
}

/// The clock's present reading.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
pub(crate) fn ticks(_: &Stopwatch) -> u64 {
    use std::arch::x86_64::{_mm_lfence, _rdtsc};
    // SAFETY: every x86-64 processor has this instruction, which touches no memory.
    unsafe { _mm_lfence() };
    // SAFETY: reads a counter and touches no memory.
    unsafe { _rdtsc() }
}

/// The clock's present reading.
#[cfg(not(target_arch = "x86_64"))]
#[inline(always)]
pub(crate) fn ticks(stopwatch: &Stopwatch) -> u64 {
    stopwatch.origin.elapsed().as_nanos() as u64
}

impl Stopwatch {
    #[cfg(target_arch = "x86_64")]
    pub(crate) const CLOCK: &str = "the processor's time-stamp counter";
    #[cfg(not(target_arch = "x86_64"))]
    pub(crate) const CLOCK: &str = "std::time::Instant";

    /// Measures the clock itself first.
    pub(crate) fn calibrated() -> Self {
        let mut stopwatch = Self {
            #[cfg(not(target_arch = "x86_64"))]
            origin: Instant::now(),
            ns_per_tick: 1.0,
            empty_ticks: 0,
            grain_ticks: 0,
        };
        #[cfg(target_arch = "x86_64")]
        {
            let (begin, first) = (Instant::now(), ticks(&stopwatch));
            std::thread::sleep(CALIBRATION);
            let (time, last) = (begin.elapsed(), ticks(&stopwatch));
            stopwatch.ns_per_tick = time.as_nanos() as f64 / (last - first) as f64;
        }
        let mut empty = Vec::with_capacity(EMPTY_TIMINGS);
        for _ in 0..EMPTY_TIMINGS {
            let before = ticks(&stopwatch);
            empty.push(black_box(ticks(&stopwatch)) - before);
        }
        empty.sort_unstable();
        stopwatch.empty_ticks = at(&empty, 0.5);
        let steps = empty.iter().zip(empty.iter().skip(1)).map(|(less, more)| more - less);
        stopwatch.grain_ticks = steps.chain(empty.first().copied()).filter(|step| *step > 0).min().unwrap_or_default();
        stopwatch
    }

    /// What `timings` say.
    pub(crate) fn summary(&self, mut timings: Vec<u64>) -> Cost {
        timings.sort_unstable();
        let ns = |ticks: u64| ticks as f64 * self.ns_per_tick;
        Cost {
            calls: timings.len(),
            median_ns: ns(at(&timings, 0.5)),
            p999_ns: ns(at(&timings, 0.999)),
            max_ns: ns(timings.last().copied().unwrap_or_default()),
            empty_ns: ns(self.empty_ticks),
            grain_ns: ns(self.grain_ticks),
        }
    }
}

/// The least value that is not below `share` of the others.
fn at(sorted: &[u64], share: f64) -> u64 {
    let rank = (sorted.len() as f64 * share).ceil() as usize;
    sorted.get(rank.saturating_sub(1)).copied().unwrap_or_default()
}

/// What a call cost.
#[derive(Debug)]
pub(crate) struct Cost {
    calls: usize,
    median_ns: f64,
    p999_ns: f64,
    max_ns: f64,
    empty_ns: f64,
    grain_ns: f64,
}

impl fmt::Display for Cost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { calls, median_ns, p999_ns, max_ns, empty_ns, grain_ns } = self;
        writeln!(f, "  median {median_ns:.0} ns, 99.9th percentile {p999_ns:.0} ns, longest {max_ns:.0} ns")?;
        writeln!(f, "  {calls} calls of the market-data thread, each timed with {};", Stopwatch::CLOCK)?;
        write!(
            f,
            "  the timing alone takes {empty_ns:.0} ns, contained in these numbers; the clock's grain is {grain_ns:.1} ns"
        )
    }
}
