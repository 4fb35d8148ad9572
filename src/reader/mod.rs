//! Goes over journals, live or archived, of one process or many, and hands out records in the order of time.

pub mod archive;
pub mod cursor;
pub mod definitions;
pub mod dir;
mod file;
pub mod follow;
pub mod journal;
pub mod live;
pub mod mark;
pub mod merge;
mod packed;
mod pending;
pub mod record;
mod sieve;
pub mod source;
pub mod time;
pub mod wanted;

#[cfg(test)]
mod packed_tests;
#[cfg(test)]
mod properties;
#[cfg(test)]
mod source_tests;
#[cfg(any(test, fuzzing, feature = "testing"))]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
