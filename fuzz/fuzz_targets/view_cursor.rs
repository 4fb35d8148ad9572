//! See `tachograph::testing::view_cursor`.
#![no_main]

mod repeatable;

libfuzzer_sys::fuzz_target!(|data: &[u8]| tachograph::testing::view_cursor(data));
