//! A record as readers hand it out, and views, `tacho` and tests take it.
//!
//! Everything in it is borrowed from the reader's buffers and holds until the reader is asked for the next record.
//! The message is still the bytes that the log call copied; [`CallSite::plan`] turns them into text.

use crate::format::Plan;
use crate::level::Level;
use crate::record::definition::{SiteDef, decode_site};

/// The target of what the logger or the reader says itself.
pub const OWN_TARGET: &str = "tachograph";

/// Where a frame stands in the journal of its process.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Position {
    /// Number of the segment, from 1.
    pub segment: u64,
    /// Offset in the segment, in bytes.
    pub offset: u64,
}

/// Who logged.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Thread {
    /// The thread's name; `?` where its definition is missing.
    pub name: String,
    /// The kernel's id of the thread; 0 where its definition is missing.
    pub tid: u32,
}

/// A call site as a journal defines it, ready to be rendered.
#[derive(Debug)]
pub struct CallSite {
    /// What the journal says of it.
    pub def: SiteDef,
    /// How its payloads become text.
    pub plan: Plan,
}

impl CallSite {
    /// Reads a definition frame's payload; `None` where it is malformed.
    pub fn decode(definition: &[u8]) -> Option<Self> {
        let def = decode_site(definition).ok()?;
        let plan = Plan::new(&def).ok()?;
        Some(Self { def, plan })
    }
}

/// One record.
#[derive(Clone, Copy, Debug)]
pub struct RecordRef<'a> {
    /// The time, nanoseconds since the Unix epoch.
    pub unix_ns: i64,
    /// The time in ticks of the process's clock.
    pub ticks: u64,
    /// How urgent.
    pub level: Level,
    /// What it is about; the text before the first `::` is the component.
    pub target: &'a str,
    /// Name of the process's journal.
    pub process: &'a str,
    /// Who logged.
    pub thread: &'a Thread,
    /// The ring that the record went through.
    pub ring: u16,
    /// Low half of the number of the call on that ring.
    pub seq: u32,
    /// Where the frame stands.
    pub position: Position,
    /// The record came after readers had been told that everything up to its time is there.
    pub late: bool,
    /// The record was taken from the memory of a process that had died.
    pub recovered: bool,
    /// The flight recorder remembered the record; it was written, later than its time, because of the record that it
    /// stands before. Such records are never late.
    pub flight: bool,
    /// What it says.
    pub body: Body<'a>,
}

/// What a record says.
#[derive(Clone, Copy, Debug)]
pub enum Body<'a> {
    /// A log call.
    Message {
        /// The call.
        site: &'a CallSite,
        /// Arguments, then fields; the component's number is taken off, padding is still there.
        payload: &'a [u8],
    },
    /// Records were lost here.
    Dropped {
        /// How many.
        count: u64,
        /// Why, as a number of the writer's.
        cause: u32,
    },
    /// Records were counted, not written.
    Suppressed {
        /// The call.
        site: &'a CallSite,
        /// Why, as a number of the writer's.
        cause: u32,
        /// The payload of one of them, as in [`Body::Message`].
        payload: &'a [u8],
        /// How many.
        count: u64,
        /// Since when, nanoseconds since the Unix epoch.
        since_ns: i64,
    },
    /// The logger's own words.
    Note {
        /// The words.
        text: &'a str,
    },
    /// Bytes at [`RecordRef::position`] that are no undamaged frame.
    Damage {
        /// How many.
        bytes: u64,
    },
    /// An undamaged frame that cannot be understood.
    Unknown {
        /// Why, and its bytes.
        reason: &'a str,
    },
}
