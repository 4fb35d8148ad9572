//! Nothing is lost by any death: processes log, die in every way that there is, and the next logger of the directory brings
//! every record whose call returned into the views, once, in the order of its thread.
//!
//! * [`stress`]: SIGKILL at random instants of start, logging, rotation and close, one directory over all of them.
//!   `TACHO_KILLS=1000 cargo test --release --test kill stress` is the long version.
//! * [`ends`]: the other ways to die.
//! * [`owners`]: who is dead: stopped processes and threads, zombies, forked children, numbers used again.
//! * [`several`]: many processes in one directory, the renderer or those that recover being killed.
//! * [`syscalls`]: killed before or after, or refused, each system call; a sample, or all with `TACHO_SWEEP=all`.
//!
//! What is thrown by dice is the same in every run; `TACHO_SEED=7` makes it another, `TACHO_SEED=random` each time.
//!
//! What must be there is decided by `support/oracle.rs`, which [`oracle_tests`] tries out.
#![allow(
    missing_docs,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::exit,
    clippy::print_stderr,
    clippy::print_stdout
)]

mod ends;
mod load;
mod oracle_tests;
mod owners;
mod place;
mod several;
mod stress;
#[path = "../support/mod.rs"]
mod support;
mod syscalls;
