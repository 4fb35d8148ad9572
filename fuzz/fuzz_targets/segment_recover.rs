//! See `tachograph::testing::segment_recover`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| tachograph::testing::segment_recover(data));
