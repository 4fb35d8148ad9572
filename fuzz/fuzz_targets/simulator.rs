//! See `tachograph::testing::simulator`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| tachograph::testing::simulator(data));
