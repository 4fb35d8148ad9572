//! Shared memory that is short, absent, or taken away under our hands by others.
//!
//! What needs a process of its own runs this binary again as a child. What needs mounts, a control group or another
//! user says so on stderr and is skipped where it may not. The number of disturbances is 200 in total; set
//! `TACHO_DISTURBANCES` for more.
#![allow(
    missing_docs,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stderr,
    clippy::multiple_unsafe_ops_per_block,
    clippy::exit
)]

mod disk;
mod disturbed;
mod group;
mod sigbus;
mod small;
#[path = "../lifecycle/support.rs"]
#[allow(dead_code)]
mod support;
