//! See `tachograph::testing::segment_pack`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| tachograph::testing::segment_pack(data));
