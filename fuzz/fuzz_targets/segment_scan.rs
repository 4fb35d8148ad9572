//! See `tachograph::testing::segment_scan`.
#![no_main]

mod repeatable;

libfuzzer_sys::fuzz_target!(|data: &[u8]| tachograph::testing::segment_scan(data));
