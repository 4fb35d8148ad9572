//! The journal's unit: a segment, live in shared memory or archived on disk, with the same bytes in both.
//!
//! * [`layout`]: where each byte stands; the only description of it.
//! * [`append`]: how the writer puts frames in and publishes them.
//! * [`live`]: the segments that the writer fills, in shared memory.
//! * [`protocol`]: in which order their words are stored and loaded; model-checked by loom.
//! * [`packed`]: the same bytes, taken apart for compression.
//! * [`scan`]: how any reader takes them out again, trusting nothing.

pub mod append;
pub mod layout;
pub(crate) mod live;
pub mod packed;
pub(crate) mod protocol;
pub mod salvage;
pub mod scan;
