//! See `tachograph::testing::format_spec`.
#![no_main]

mod repeatable;

libfuzzer_sys::fuzz_target!(|data: &[u8]| tachograph::testing::format_spec(data));
