//! What is logged through `log` and `tracing` stands beside what the macros of this crate say: in one order, with typed fields,
//! at the same levels.
//!
//! Each test is a process of its own, because a process has one global logger, one logger behind `log`, and one table of
//! call sites.

#![cfg(target_os = "linux")]
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::exit,
    reason = "tests fail by panicking, children exit"
)]
#![allow(missing_docs, unreachable_pub, reason = "a test")]

mod allocation;
mod beside;
mod levels;
mod limits;
mod spans;
#[path = "../lifecycle/support.rs"]
#[allow(dead_code, reason = "for more tests than these")]
mod support;
mod values;
