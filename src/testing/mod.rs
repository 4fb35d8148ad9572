//! Properties that hold for any bytes, each with several runners: proptests and the replay of the corpora beside
//! them here, the fuzz targets in `fuzz/`.
//!
//! A property is a function of bytes that panics when it does not hold. No part of the interface.
#![allow(
    clippy::panic,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a property fails by panicking"
)]

pub mod bench;
mod control_page;
mod format_spec;
#[cfg(test)]
pub(crate) mod fuse;
mod record_decode;
mod segment_pack;
mod segment_recover;
mod segment_scan;
pub mod simulator;
mod view_cursor;

pub use crate::view::testing::check_rotation_model;
pub use control_page::control_page;
pub use format_spec::format_spec;
pub use record_decode::record_decode;
pub use segment_pack::segment_pack;
pub use segment_recover::segment_recover;
pub use segment_scan::segment_scan;
pub use simulator::simulator;
pub use view_cursor::view_cursor;

/// The views' machinery keeps its promises, whatever the disk and outsiders do.
pub fn rotation(data: &[u8]) {
    check_rotation_model(data);
}

/// Does not hold: a fuzzer that does not find this finds nothing.
pub fn canary(data: &[u8]) {
    assert!(!data.starts_with(b"TACHO"), "the canary sings");
}

/// Takes the front of `data` as input of its own: a length of two bytes, then so many bytes or what there is.
fn split(data: &[u8]) -> (&[u8], &[u8]) {
    let Some((length, rest)) = data.split_at_checked(2) else { return (&[], &[]) };
    let length = usize::from(crate::segment::layout::u16_at(length, 0));
    rest.split_at_checked(length).unwrap_or((rest, &[]))
}

#[cfg(test)]
mod corpus;
