//! The parts of the pipeline one by one, by criterion; each is first shown to give the right result.
//!
//! `cargo bench --bench parts` leaves its figures in `target/bench/criterion/`. What is not public is opened by the feature
//! `testing`, with which this benchmark builds itself again where it is missing.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a benchmark"
)]

#[path = "../common/mod.rs"]
mod common;
#[cfg(feature = "testing")]
mod files;
#[cfg(feature = "testing")]
mod inside;
#[cfg(feature = "testing")]
mod records;

#[cfg(feature = "testing")]
fn main() {
    use std::time::Duration;
    let mut criterion = criterion::Criterion::default()
        .output_directory(&common::folder().join("criterion"))
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_secs(2))
        .sample_size(20)
        .configure_from_args();
    records::all(&mut criterion);
    inside::all(&mut criterion);
    files::all(&mut criterion);
    criterion.final_summary();
}

#[cfg(not(feature = "testing"))]
fn main() {
    common::again_with_internals("parts");
}
