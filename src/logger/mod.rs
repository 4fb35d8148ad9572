//! A running logger: what its threads share, and how calls reach it.
//!
//! * [`core`]: the shared state of one logger.
//! * [`emit`]: the hot path, and the cold path behind it.
//! * [`lease`]: the ring that a thread holds.
//! * [`global`]: the one that calls without `logger:` reach.
//! * [`register`]: call sites, components and levels.
//! * [`closing`]: that the end waits for the calls on the cold path.
//! * [`component`]: handles for targets that are not known when the program is compiled.
//! * [`start`](mod@start): from a configuration to running threads.
//! * [`tenancy`]: that all who use a directory render the same views.
//! * [`followers`]: who keeps something in step with the levels.
//! * [`guard`]: flush, sync, close.
//! * [`watch`]: whether somebody takes what was logged.

pub(crate) mod closing;
pub(crate) mod component;
pub(crate) mod core;
pub(crate) mod emit;
pub(crate) mod followers;
pub(crate) mod global;
pub(crate) mod guard;
pub(crate) mod lease;
pub(crate) mod register;
pub(crate) mod start;
pub(crate) mod tenancy;
pub(crate) mod watch;
