//! The same random numbers in each run: hash tables get their seeds from `getrandom`, and without this the same seed of
//! the fuzzer would go other ways through them each time.

use std::sync::atomic::{AtomicU64, Ordering};

/// In the place of the C library's: SplitMix64 from 0 on.
///
/// # Safety
/// `buffer` has room for `bytes`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn getrandom(buffer: *mut u8, bytes: usize, _flags: u32) -> isize {
    static STATE: AtomicU64 = AtomicU64::new(0);
    for at in 0..bytes {
        let state = STATE.fetch_add(0x9e37_79b9_7f4a_7c15, Ordering::Relaxed);
        let mixed = (state ^ state >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        // SAFETY: `at` is below `bytes`, for which the caller has room.
        unsafe { buffer.add(at).write((mixed >> 32) as u8) };
    }
    bytes as isize
}
