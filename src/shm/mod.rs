//! What a process keeps in shared memory, and how others find and read it.
//!
//! ```text
//! logs/.journal/id                         identity of the log directory, 32 hexadecimal digits, and where it was made
//! logs/.journal/<process>/shm              one line: where the process's live folder is
//! logs/.journal/<process>/lock             flock of the process too, for who does not see its shared memory
//! logs/.journal/<process>/rendered         the process is over, and all of it is in the views
//! logs/.journal/<process>/00000042.seg     archived segments
//! /dev/shm/tachograph-<uid>-<id>/clock                what time a tick is
//! /dev/shm/tachograph-<uid>-<id>/<process>/lock       flock of the owner, as long as it lives
//!                                          archiver   flock of who puts the journal on disk
//!                                          worker     what a worker must know of the configuration
//!                                          control    counters, states, switches ([`control`])
//!                                          health     more counters ([`health_page`])
//!                                          services   services that it supervises, if it does ([`services_page`])
//!                                          table      definitions: call sites, components
//!                                          sampling   what sampling left out, if it is on
//!                                          live.3     a live segment
//!                                          ring.17    a thread's ring
//! ```
//!
//! `<process>` is `<UTC start>-<pid>-<4 hex digits>`, for example `20261120T130237Z-4711-9f3a`: it sorts by time.

pub mod ask;
mod chain;
pub(crate) mod clock_page;
pub mod control;
pub(crate) mod control_page;
pub(crate) mod directory;
pub(crate) mod folder;
pub(crate) mod foreign;
pub mod health_page;
pub(crate) mod journal;
pub(crate) mod lifetime;
pub(crate) mod memory;
pub(crate) mod services_page;
pub mod statement;
pub(crate) mod table;
pub mod text;
pub(crate) mod words;
