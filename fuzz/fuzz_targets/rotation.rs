//! See `tachograph::testing::rotation`.
#![no_main]

mod repeatable;

libfuzzer_sys::fuzz_target!(|data: &[u8]| tachograph::testing::rotation(data));
