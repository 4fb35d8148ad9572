//! From start to the end of a logger, and everything that can come between.
//!
//! What needs a process of its own, because it is about the one global logger or because a process must die, runs this
//! binary again as a child: see [`support::child`].
#![allow(
    missing_docs,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::exit
)]

mod clocks;
mod configuration;
mod death;
mod definitions;
mod faults;
mod forks;
#[cfg(target_arch = "x86_64")]
#[path = "../support/interrupt.rs"]
mod interrupt;
mod isolated;
mod levels;
mod panic_hook;
mod panics;
mod records;
#[path = "../support/mod.rs"]
mod shared;
mod signals;
mod start_stop;
mod support;
mod synchronous;
mod threads;
mod views;
