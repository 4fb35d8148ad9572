//! The tick counter of the processor.
//!
//! x86-64: the time-stamp counter, when the processor says that it runs at one rate in all states (CPUID
//! 8000_0007h, EDX bit 8; AMD APM vol. 3, Intel SDM vol. 2A). aarch64: the virtual counter. Otherwise
//! `clock_gettime(CLOCK_MONOTONIC)` in nanoseconds, which can be a system call; `health` then says so.

/// What [`now`] reads.
pub(crate) const SOURCE: &str = if cfg!(target_arch = "x86_64") {
    "time-stamp counter"
} else if cfg!(target_arch = "aarch64") {
    "virtual counter"
} else {
    "clock_gettime"
};

/// Ticks since some moment before the boot.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
pub(crate) fn now() -> u64 {
    // SAFETY: every x86-64 processor has the instruction; user code may use it unless the host disables it for the
    // whole process (PR_SET_TSC), which is checked by nobody because the C library's clock would die of it as well.
    unsafe { core::arch::x86_64::_rdtsc() }
}

/// Ticks since some moment before the boot.
#[cfg(target_arch = "aarch64")]
#[inline(always)]
pub(crate) fn now() -> u64 {
    let ticks: u64;
    // SAFETY: Linux lets user code read the virtual counter; the instruction touches no memory.
    unsafe { core::arch::asm!("mrs {}, cntvct_el0", out(reg) ticks, options(nomem, nostack, preserves_flags)) };
    ticks
}

/// Nanoseconds since the boot.
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
#[inline(always)]
pub(crate) fn now() -> u64 {
    monotonic_ns()
}

/// Whether [`now`] counts at one rate whatever the processor does.
pub(crate) fn is_steady() -> bool {
    #[cfg(target_arch = "x86_64")]
    {
        let leaves = core::arch::x86_64::__cpuid(0x8000_0000).eax;
        leaves >= 0x8000_0007 && core::arch::x86_64::__cpuid(0x8000_0007).edx & 1 << 8 != 0
    }
    #[cfg(not(target_arch = "x86_64"))]
    {
        true
    }
}

/// Nanoseconds of the monotonic clock.
pub(crate) fn monotonic_ns() -> u64 {
    gettime(libc::CLOCK_MONOTONIC) as u64
}

/// Nanoseconds since the Unix epoch.
pub(crate) fn unix_ns() -> i64 {
    gettime(libc::CLOCK_REALTIME)
}

// The fields differ in type over the platforms.
#[allow(clippy::unnecessary_cast)]
fn gettime(clock: libc::clockid_t) -> i64 {
    #[cfg(any(test, fuzzing, feature = "testing"))]
    if let Some(now) = super::instant::simulated::now() {
        return i64::try_from(now).unwrap_or(i64::MAX);
    }
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` is valid for writing; the clocks named here exist everywhere, so the call cannot fail.
    unsafe { libc::clock_gettime(clock, &raw mut time) };
    (time.tv_sec as i64).saturating_mul(1_000_000_000).saturating_add(time.tv_nsec as i64)
}

/// A tick and the wall clock at the same moment, as near as `tries` attempts get: the wall clock is read between two
/// ticks, and the attempt with the least distance between them counts.
pub(crate) fn sample(ticks_now: impl Fn() -> u64, tries: u32) -> (u64, i64) {
    nearest(ticks_now, unix_ns, tries)
}

/// The same for the monotonic clock.
pub(crate) fn sample_monotonic(tries: u32) -> (u64, u64) {
    nearest(now, monotonic_ns, tries)
}

fn nearest<T: Default>(ticks_now: impl Fn() -> u64, clock: impl Fn() -> T, tries: u32) -> (u64, T) {
    let mut best = (u64::MAX, 0, T::default());
    for _ in 0..tries.max(1) {
        let before = ticks_now();
        let time = clock();
        let after = ticks_now();
        let distance = after.wrapping_sub(before);
        if distance < best.0 {
            best = (distance, before.wrapping_add(distance / 2), time);
        }
    }
    (best.1, best.2)
}
