//! Entries that were decoded and have not gone out yet, with the bytes that they stand in.
//!
//! An entry is 40 bytes and owns nothing; bytes are kept in the chunks in which they were read, until their last entry
//! has gone out. Entries come in the order of the journal and go out by key, equal keys in the order of the journal.

use super::definitions::NONE;
use super::record::Position;
use std::collections::VecDeque;

/// What an entry is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum What {
    /// A record; `extra` is the place of its component.
    Message,
    /// The same, the definition of the call site in front of the payload.
    Inline,
    /// `Kind::Dropped`.
    Dropped,
    /// `Kind::Suppressed`; `extra` is an index to [`Rare::Suppressed`].
    Suppressed,
    /// `Kind::Note`.
    Note,
    /// `extra` is an index to [`Rare::Damage`].
    Damage,
    /// `extra` is an index to [`Rare::Unknown`].
    Unknown,
}

/// One record to come.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entry {
    /// Place in the order.
    pub(super) key: u64,
    /// Time.
    pub(super) unix_ns: i64,
    /// Number of the chunk.
    pub(super) chunk: u32,
    /// Where the frame begins in the chunk.
    pub(super) at: u32,
    /// Place of the call site.
    pub(super) site: u32,
    /// Place of the thread.
    pub(super) thread: u32,
    /// See [`What`].
    pub(super) extra: u32,
    /// What it is.
    pub(super) what: What,
    /// See [`RecordRef`](super::record::RecordRef).
    pub(super) late: bool,
    /// See [`RecordRef`](super::record::RecordRef).
    pub(super) recovered: bool,
    /// See [`RecordRef`](super::record::RecordRef).
    pub(super) flight: bool,
}

const _: () = assert!(size_of::<Entry>() == 40);

/// What few entries need besides.
#[derive(Debug)]
pub(super) enum Rare {
    Suppressed { since_ns: i64, component: u32 },
    Damage { offset: u64, bytes: u64, ticks: u64 },
    Unknown { reason: String },
}

/// Bytes of a segment, as read.
#[derive(Debug)]
pub(super) struct Chunk {
    pub(super) bytes: Vec<u8>,
    pub(super) segment: u64,
    /// Offset of the first byte in the segment.
    pub(super) base: u64,
    pub(super) rare: Vec<Rare>,
    /// Entries that have not gone out.
    entries: usize,
}

impl Chunk {
    /// Memory that it takes.
    fn bytes_kept(&self) -> usize {
        let texts =
            self.rare.iter().map(|rare| if let Rare::Unknown { reason } = rare { reason.capacity() } else { 0 });
        self.bytes.capacity() + self.rare.capacity() * size_of::<Rare>() + texts.sum::<usize>()
    }
}

/// The queue.
#[derive(Debug)]
pub(super) struct Pending {
    entries: Vec<Entry>,
    /// Entries before this one have gone out.
    start: usize,
    sorted: bool,
    chunks: VecDeque<Chunk>,
    /// Number of the first of `chunks`; numbers wrap.
    chunk_first: u32,
    chunk_bytes: usize,
    /// Buffers to be used again.
    spare: Vec<Vec<u8>>,
}

/// Buffers that are kept for further use.
const SPARE_MAX: usize = 2;

impl Pending {
    pub(super) fn new() -> Self {
        Self {
            entries: Vec::new(),
            start: 0,
            sorted: true,
            chunks: VecDeque::new(),
            chunk_first: 0,
            chunk_bytes: 0,
            spare: Vec::new(),
        }
    }

    /// An empty buffer.
    pub(super) fn buffer(&mut self) -> Vec<u8> {
        self.spare.pop().unwrap_or_default()
    }

    /// Takes a buffer back that no entry needs.
    pub(super) fn recycle(&mut self, mut buffer: Vec<u8>) {
        if self.spare.len() < SPARE_MAX && buffer.capacity() > 0 {
            buffer.clear();
            self.spare.push(buffer);
        }
    }

    /// The number of the chunk that the next [`add_chunk`](Self::add_chunk) adds.
    pub(super) fn chunk_next(&self) -> u32 {
        self.chunk_first.wrapping_add(self.chunks.len() as u32)
    }

    /// Adds an entry, which must refer to the chunk that is added next.
    #[inline]
    pub(super) fn push(&mut self, entry: Entry) {
        if self.sorted {
            self.sorted = self.entries.last().is_none_or(|last| last.key <= entry.key);
        }
        self.entries.push(entry);
    }

    /// Entries that have not gone out.
    pub(super) fn len(&self) -> usize {
        self.entries.len() - self.start
    }

    /// Bytes that are kept for entries that have not gone out, entries included.
    pub(super) fn bytes(&self) -> usize {
        self.chunk_bytes + self.len() * size_of::<Entry>()
    }

    /// Adds the bytes that the last `entries` entries stand in.
    pub(super) fn add_chunk(&mut self, bytes: Vec<u8>, segment: u64, base: u64, rare: Vec<Rare>, entries: usize) {
        if entries == 0 {
            self.recycle(bytes);
            return;
        }
        let chunk = Chunk { bytes, segment, base, rare, entries };
        self.chunk_bytes += chunk.bytes_kept();
        self.chunks.push_back(chunk);
    }

    /// Brings the entries into order.
    pub(super) fn settle(&mut self) {
        if !self.sorted {
            if let Some(waiting) = self.entries.get_mut(self.start..) {
                waiting.sort_by_key(|entry| entry.key);
            }
            self.sorted = true;
        }
    }

    /// The first entry by key, once [settled](Self::settle).
    #[inline]
    pub(super) fn front(&self) -> Option<&Entry> {
        debug_assert!(self.sorted, "asked before settled");
        self.entries.get(self.start)
    }

    /// The greatest key, once [settled](Self::settle).
    pub(super) fn last_key(&self) -> Option<u64> {
        self.entries.last().map(|entry| entry.key)
    }

    /// The key at which more than half of the entries are at or before.
    pub(super) fn median_key(&self) -> Option<u64> {
        self.entries.get(self.start + self.len() / 2).map(|entry| entry.key)
    }

    /// Takes the first entry. Its bytes are kept until [`release`](Self::release).
    #[inline]
    pub(super) fn pop(&mut self) -> Option<Entry> {
        let entry = *self.entries.get(self.start)?;
        self.start += 1;
        if self.start == self.entries.len() {
            self.entries.clear();
            self.start = 0;
        }
        Some(entry)
    }

    /// Gives back the memory of entries that have gone out; costs as much as there are entries waiting, at most.
    pub(super) fn compact(&mut self) {
        if self.start > self.len() {
            self.entries.drain(..self.start);
            self.start = 0;
        }
    }

    /// Says that an entry that was taken is needed no more.
    #[inline]
    pub(super) fn release(&mut self, entry: &Entry) {
        let index = entry.chunk.wrapping_sub(self.chunk_first) as usize;
        let Some(chunk) = self.chunks.get_mut(index) else { return };
        chunk.entries -= 1;
        if chunk.entries == 0 {
            self.drop_chunk(index);
        }
    }

    #[cold]
    fn drop_chunk(&mut self, index: usize) {
        if let Some(chunk) = self.chunks.get_mut(index) {
            self.chunk_bytes -= chunk.bytes_kept();
            chunk.rare = Vec::new();
            let bytes = std::mem::take(&mut chunk.bytes);
            self.recycle(bytes);
        }
        while self.chunks.front().is_some_and(|chunk| chunk.entries == 0) {
            self.chunks.pop_front();
            self.chunk_first = self.chunk_first.wrapping_add(1);
        }
    }

    /// The bytes that an entry stands in.
    #[inline]
    pub(super) fn chunk(&self, entry: &Entry) -> Option<&Chunk> {
        self.chunks.get(entry.chunk.wrapping_sub(self.chunk_first) as usize)
    }

    /// Where an entry stands in the journal.
    #[inline]
    pub(super) fn position(&self, entry: &Entry) -> Position {
        let chunk = self.chunk(entry);
        chunk.map_or(Position::default(), |chunk| Position {
            segment: chunk.segment,
            offset: chunk.base + u64::from(entry.at),
        })
    }

    /// The first segment that an entry in wait, or the current one, stands in.
    pub(super) fn oldest_segment(&self) -> Option<u64> {
        self.chunks.front().map(|chunk| chunk.segment)
    }

    /// Places of the threads of all entries.
    pub(super) fn threads_mut(&mut self) -> impl Iterator<Item = &mut u32> {
        self.entries.iter_mut().map(|entry| &mut entry.thread)
    }
}

impl Entry {
    /// An entry for something without a frame that can be looked up.
    pub(super) fn bare(what: What, key: u64, unix_ns: i64, chunk: u32, thread: u32, extra: u32) -> Self {
        Self {
            key,
            unix_ns,
            chunk,
            at: 0,
            site: NONE,
            thread,
            extra,
            what,
            late: false,
            recovered: false,
            flight: false,
        }
    }
}
