//! Views: the files that an operator reads.
//!
//! A view is a reader of the journals that appends lines to a file: a name, a filter, a format and a rotation. Records
//! come in through [`ViewSet`], in the order in which they are to stand in the files; each of their lines goes out
//! exactly once, whatever dies in between.
//!
//! * [`names`], [`rotation`], [`backoff`], [`Filter`]: pure decisions.
//! * [`intent`]: what makes it exactly once.
//! * [`checkpoint`], [`tail`]: what makes it so where the intent page is lost.
//! * [`Disk`](crate::disk::Disk): the seam to the file system, and a file system that fails on demand.
//! * [`ViewSet`]: routes records to views and drives the rest, step by step; its caller has the threads.

pub mod backoff;
pub mod checkpoint;
mod chunks;
pub mod cursor;
pub(crate) mod file;
mod filter;
pub mod intent;
mod job;
pub mod names;
#[cfg(test)]
mod real_tests;
pub mod rotation;
mod route;
mod set;
mod survive;
pub mod tail;
#[cfg(any(test, fuzzing, feature = "testing"))]
pub mod testing;
mod upkeep;

pub use checkpoint::Checkpoint;
pub use cursor::{Cursor, ProcessCursor};
pub use file::Events;
pub use filter::{Filter, Kind, Kinds};
pub use job::{Job, JobResult};
pub use route::{ComponentViews, Config, ConfigError, Format, ViewConfig};
pub use set::{Progress, Push, Recovery, ViewId, ViewSet, ViewState, ViewStatus};
pub use survive::Restored;
