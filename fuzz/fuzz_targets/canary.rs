//! See `tachograph::testing::canary`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| tachograph::testing::canary(data));
