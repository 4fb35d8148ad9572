//! See `tachograph::testing::rotation`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| tachograph::testing::rotation(data));
