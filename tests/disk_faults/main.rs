//! Disks that are full, broken, taken away or limited: the process lives, nothing is lost without being counted and
//! stated, health tells it, and all resumes by itself.
//!
//! One [driver](driver::Run) logs before, during and after a fault, and checks what is left. Faults that need a process of
//! their own run this binary again as a child. What cannot be tried on a machine (no root, no mount, no strace) is
//! skipped, and said so on stderr.
//!
//! `TACHO_DISK_FAULTS=N` fails each system call of [`syscalls`] at its first N occurrences, for N = 40 some five minutes;
//! the default is 3.
#![allow(
    missing_docs,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::exit,
    clippy::print_stderr
)]

mod driver;
mod full;
mod limits;
mod mounted;
mod removed;
#[path = "../support/mod.rs"]
mod shared;
mod syscalls;
