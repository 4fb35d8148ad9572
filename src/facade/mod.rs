//! Other logging interfaces, as ways into the same log: what a program and its dependencies say through [`log`] (feature
//! `log`) or [`tracing`] (feature `tracing`) stands in the same files as what the macros of this crate say, in one order
//! of time, with typed fields.
//!
//! Both look a call up by its metadata (level, target, module, file, line) and the names and types of its fields. What is
//! new gets a definition, as a call site of the macros has one; from then on a call stores its values, and allocates nothing.
//!
//! * `sites`: the definitions.
//! * `draft`: the values of a call, which both interfaces hand out one by one.
//! * `emit`: from a draft to the ring.
//! * `spans`: what `tracing`'s spans add to the events in them.
//!
//! # Limits
//!
//! * 8,192 definitions: pairs of a call and the names and types of its fields. What comes beyond them, and names longer than
//!   1 KiB, goes to the target `overflow`, with its own target as the field `log.target`, and fields as text. So targets that
//!   are made up at run time, one for each connection say, belong into a field.
//! * A record is cut to [`record_bytes_max`](crate::Config::record_bytes_max), as any other. So is what is
//!   formatted, and the fields of a span.
//! * Calls go to the global logger, or to the [`Capture`](crate::Capture) that stands in its place.
//! * Do not log through these interfaces in signal handlers: a thread's first call allocates, and so does a call within a call.
//!
//! # Costs
//!
//! Nanoseconds for one call, in bursts of 1,000, and as a multiple of the macro of this crate that says the same; medians
//! of one run of `cargo bench --features log,tracing --bench facades` (see there for the conditions):
//!
#![doc = include_str!("costs.md")]

mod draft;
mod emit;
mod sites;
#[cfg(feature = "tracing")]
mod spans;

#[cfg(feature = "log")]
pub mod log;
#[cfg(feature = "tracing")]
pub mod tracing;

pub(crate) use draft::prepare;
