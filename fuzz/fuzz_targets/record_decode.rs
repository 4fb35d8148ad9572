//! See `tachograph::testing::record_decode`.
#![no_main]

mod repeatable;

libfuzzer_sys::fuzz_target!(|data: &[u8]| tachograph::testing::record_decode(data));
