//! See `tachograph::testing::segment_recover`.
#![no_main]

mod repeatable;

libfuzzer_sys::fuzz_target!(|data: &[u8]| tachograph::testing::segment_recover(data));
