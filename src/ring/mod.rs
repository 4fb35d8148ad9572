//! The ring: one per thread, lock-free, single producer, single consumer, in shared memory.
//!
//! * [`protocol`]: the indices and their memory orderings, without memory; model-checked by loom.
//! * [`handle`]: the producer's side as the logging thread holds it.
//! * [`memory`]: a ring in shared memory: header page, data mapped twice, and the producer's private page.
//! * [`consumer`]: what the writer does with it.
//! * [`remembered`]: the records that were taken and stay in the ring, in case an error follows.
//! * [`pool`]: the rings of a process, given to threads and taken back.

pub(crate) mod consumer;
pub(crate) mod handle;
pub(crate) mod memory;
pub(crate) mod pool;
pub(crate) mod protocol;
pub(crate) mod remembered;
pub(crate) mod waiting;

#[cfg(test)]
mod interrupt_tests;
