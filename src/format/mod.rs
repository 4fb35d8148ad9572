//! From the bytes of a record back to text, exactly as `format!` would have put it.
//!
//! A [`Plan`] is made once for each call site: its format string, parsed ([`spec`]), and where each placeholder finds its
//! value in the payload. Rendering follows `std::fmt` to the byte, flags and quirks included; what std does with a
//! value and its flags is done here by the kind of value: padding.rs, number.rs, float.rs, and render.rs for what is nested.
//!
//! A value that was cut at the record limit ends in [`CUT_MARK`].

pub mod decoded;
mod digits;
pub mod escape;
mod float;
mod heads;
pub mod json;
mod json_value;
mod key_value;
pub mod line;
pub mod logfmt;
mod marks;
mod number;
mod output;
mod padding;
pub mod pattern;
mod plan;
mod quick;
mod render;
pub mod spec;
mod text;
pub mod time;

pub use decoded::{Decoded, ValueRef};
pub(crate) use digits::is_same;
pub use number::Decimal;
pub use plan::{Field, Plan, PlanError};

/// Stands behind a text, or in place of the elements, that a record had no room for.
pub const CUT_MARK: &str = "…";

/// How long a rendered message or value may become; the rest is cut. Fits any record many times over, and stops one that
/// was made to grow without end by its widths.
pub const TEXT_BYTES_MAX: usize = 4 << 20;

#[cfg(test)]
mod line_tests;
#[cfg(test)]
mod quick_tests;
#[cfg(test)]
mod tests;
