//! The records that a ring remembers: those before the consumer's tail that may still be wanted.
//!
//! They are not copied: the producer is not given their place back. So remembering costs the consumer a counter, and what
//! is remembered outlives the process as the ring does. Between them stand records that were written; where the first of
//! them begins, and how many were forgotten, is stored in the ring's header ([`RememberedWords`]).
//!
//! [`RememberedWords`]: super::protocol::RememberedWords

use super::consumer::{Front, Waiting};
use super::memory::Ring;
use super::protocol::{Consumer, Remembered, RingHeader};
use crate::segment::layout::{COUNT_MAX, SITE_THREAD, is_remembered, u32_at};
use crate::sync::Ordering;

/// How much a ring remembers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Limits {
    /// Records.
    pub(crate) records: u64,
    /// Bytes of the ring, from the first of them on, those that were written included.
    pub(crate) bytes: u64,
}

/// The records from `from` up to `to`, or up to bytes that are none.
fn walk(ring: &Ring, from: u64, to: u64) -> impl Iterator<Item = Waiting<'_>> {
    let mut cursor = Consumer::at(from);
    let batch = ring.committed(from, to);
    std::iter::from_fn(move || {
        let Front::Record(waiting) = cursor.front(&batch) else { return None };
        cursor.advance(waiting.bytes.len() as u64, waiting.called);
        Some(waiting)
    })
}

impl Consumer {
    /// Records are remembered from here on.
    pub(crate) fn begin_memory(&mut self, header: &RingHeader) {
        self.memory = Some(Remembered { at: self.tail, ..Remembered::default() });
        self.publish(header);
    }

    /// Goes on with what a dead consumer remembered; nothing where none did. `written` is the number of the last
    /// remembered record of this ring that the newest segment has.
    pub(crate) fn adopt_memory(&mut self, ring: &Ring, written: Option<u32>) {
        let words = &ring.header().remembered;
        let turn = words.turn.load(Ordering::Acquire);
        let [even, odd] = &words.states;
        let [at, forgotten] = if turn.is_multiple_of(2) { even } else { odd };
        let (at, forgotten) = (at.load(Ordering::Acquire), forgotten.load(Ordering::Acquire).min(COUNT_MAX));
        if turn == 0 || at > self.tail || self.tail - at > ring.capacity() {
            self.memory = Some(Remembered { at: self.tail, ..Remembered::default() });
            return;
        }
        let mut memory = Remembered { at, count: 0, forgotten };
        let mut end = at;
        let first = walk(ring, at, self.tail).next().map_or(0, |waiting| u32_at(waiting.bytes, 20));
        // Low halves, held against the first one, because the segment may be much older than what the ring holds.
        let span = (self.called as u32).wrapping_sub(first);
        let written = written.map(|written| written.wrapping_sub(first)).filter(|written| *written < span);
        for waiting in walk(ring, at, self.tail) {
            end += waiting.bytes.len() as u64;
            if waiting.site == SITE_THREAD {
                memory.forget(end);
            } else if is_remembered(waiting.site) {
                let seq = u32_at(waiting.bytes, 20).wrapping_sub(first);
                memory.count += 1;
                if written.is_some_and(|written| seq <= written) {
                    (memory.at, memory.count) = (end, 0);
                }
            }
        }
        self.memory = Some(memory);
    }

    /// The record at the tail, which is about to be taken, is remembered.
    pub(crate) fn remember(&mut self) {
        if let Some(memory) = &mut self.memory {
            memory.count += 1;
        }
    }

    /// How many records are remembered, and how many were forgotten.
    pub(crate) fn memories(&self) -> (u64, u64) {
        self.memory.as_ref().map_or((0, 0), |memory| (memory.count, memory.forgotten))
    }

    /// Forgets all that is remembered.
    pub(crate) fn forget(&mut self) {
        let tail = self.tail;
        if let Some(memory) = &mut self.memory {
            memory.forget(tail);
        }
    }

    /// Forgets the oldest beyond the limits; what need not be kept can be given back then.
    pub(crate) fn trim(&mut self, ring: &Ring, limits: Limits) {
        let tail = self.tail;
        let Some(memory) = &mut self.memory else { return };
        let bytes_max = limits.bytes.min(ring.capacity() / 2);
        let mut oldest = walk(ring, memory.at, tail);
        while memory.count > 0 {
            // What is no record was overwritten by somebody else, and what is behind cannot be found.
            let Some(waiting) = oldest.next() else { return memory.forget(tail) };
            let counts = is_remembered(waiting.site);
            if counts && memory.count <= limits.records && tail - memory.at <= bytes_max {
                return;
            }
            memory.pass(&waiting);
            memory.forgotten += u64::from(counts);
        }
        memory.at = tail;
    }

    /// The oldest record that is remembered.
    pub(crate) fn oldest_remembered<'a>(&mut self, ring: &'a Ring) -> Option<Waiting<'a>> {
        let tail = self.tail;
        let memory = self.memory.as_mut().filter(|memory| memory.count > 0)?;
        for waiting in walk(ring, memory.at, tail) {
            if is_remembered(waiting.site) {
                return Some(waiting);
            }
            memory.pass(&waiting);
        }
        memory.forget(tail);
        None
    }

    /// [`oldest_remembered`](Self::oldest_remembered) was written.
    pub(crate) fn wrote_remembered(&mut self, waiting: &Waiting<'_>) {
        let tail = self.tail;
        let Some(memory) = &mut self.memory else { return };
        memory.pass(waiting);
        if memory.count == 0 {
            memory.at = tail;
        }
    }
}

impl Remembered {
    /// Nothing is remembered before `tail`.
    fn forget(&mut self, tail: u64) {
        self.forgotten += self.count;
        (self.count, self.at) = (0, tail);
    }

    /// Goes on behind the record at `at`.
    fn pass(&mut self, waiting: &Waiting<'_>) {
        self.at += waiting.bytes.len() as u64;
        self.count -= u64::from(is_remembered(waiting.site));
    }
}
