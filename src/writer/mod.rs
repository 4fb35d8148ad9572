//! The writer: drains the rings into the live segments.
//!
//! * [`census`]: what it counts of the records.
//! * [`definitions`]: which call sites and components the present segment has defined already.
//! * [`journal`]: the growing segment and its rotation.
//! * [`step`]: one round over all rings; the state machine.
//! * [`take`]: takes the records of one, with what must stand before each.
//! * [`losses`]: states the calls that brought none.
//! * [`lane`]: what it knows of a ring.
//! * [`heir`]: how it goes on where one that died left off.
//! * [`sampled`]: what sampling adds to it.
//! * [`time`]: what time a tick is.
//! * [`idle`]: what to do when there is nothing to do.
//! * [`thread`]: the loop around the state machine, pinned to its core.

pub(crate) mod census;
pub(crate) mod definitions;
pub(crate) mod flight;
pub(crate) mod heir;
pub(crate) mod idle;
pub(crate) mod journal;
mod lane;
mod losses;
mod run;
pub(crate) mod sampled;
pub(crate) mod step;
mod take;
pub(crate) mod thread;
pub(crate) mod time;

#[cfg(test)]
mod loss_tests;
