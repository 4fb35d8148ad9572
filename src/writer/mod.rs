//! The writer: drains the rings into the live segments.
//!
//! * [`census`]: what it counts of the records.
//! * [`definitions`]: which call sites and components the present segment has defined already.
//! * [`journal`]: the growing segment and its rotation.
//! * [`step`]: one round over all rings; the state machine.
//! * [`sampled`]: what sampling adds to it.
//! * [`time`]: what time a tick is.
//! * [`idle`]: what to do when there is nothing to do.
//! * [`thread`]: the loop around the state machine, pinned to its core.

pub(crate) mod census;
pub(crate) mod definitions;
pub(crate) mod flight;
pub(crate) mod idle;
pub(crate) mod journal;
mod run;
pub(crate) mod sampled;
pub(crate) mod step;
pub(crate) mod thread;
pub(crate) mod time;

#[cfg(test)]
mod loss_tests;
