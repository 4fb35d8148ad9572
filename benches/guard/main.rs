//! Instructions of the hot path, counted by callgrind, and bytes of machine code of a call site, against budgets that fail the
//! build. Unlike times, they are the same on a busy machine.
//!
//! ```text
//! cargo bench --bench guard               # fails where a figure is more than 10 % above its budget
//! cargo bench --bench guard -- --write    # what is measured becomes the budget: benches/guard/budget.txt
//! ```
//!
//! Needs `valgrind` and `nm`. A figure is a difference of two counts, so what happens once is not in it. The figures hold for
//! x86-64 and for the compiler with which they were written.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::exit,
    reason = "a benchmark"
)]

#[path = "../common/mod.rs"]
mod common;

#[cfg(all(feature = "testing", target_arch = "x86_64"))]
mod counted;
#[cfg(all(feature = "testing", target_arch = "x86_64"))]
mod driver;
#[cfg(all(feature = "testing", target_arch = "x86_64"))]
mod sites;

#[cfg(all(feature = "testing", target_arch = "x86_64"))]
fn main() {
    let has = |wanted: &str| std::env::args().any(|argument| argument == wanted);
    if has("--count") {
        counted::all();
    } else {
        driver::run(has("--write"));
    }
}

#[cfg(all(not(feature = "testing"), target_arch = "x86_64"))]
fn main() {
    common::again_with_internals("guard");
}

#[cfg(not(target_arch = "x86_64"))]
fn main() {
    println!("SKIPPED: the budgets are those of x86-64");
}
