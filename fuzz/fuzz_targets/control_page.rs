//! See `tachograph::testing::control_page`.
#![no_main]

mod repeatable;

libfuzzer_sys::fuzz_target!(|data: &[u8]| tachograph::testing::control_page(data));
