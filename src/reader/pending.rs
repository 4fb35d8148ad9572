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
    /// The entry before `start` is the one that went out last, and its bytes are still needed.
    is_out: bool,
    /// The chunk of the entry that went out last.
    open: Open,
    /// Buffers to be used again.
    spare: Vec<Vec<u8>>,
}

/// The chunk that entries go out of, which most of them do one after the other.
#[derive(Clone, Copy, Default, Debug)]
struct Open {
    number: u32,
    segment: u64,
    base: u64,
    /// Entries of it that went out and were not taken off the chunk's count yet.
    out: usize,
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
            is_out: false,
            open: Open::default(),
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

    /// Makes the first entry the [current](Self::current) one, if its key is not beyond `key_max`; gives its key and place.
    #[inline]
    pub(super) fn advance(&mut self, key_max: u64) -> Option<(u64, Position)> {
        let entry = self.entries.get(self.start).filter(|entry| entry.key <= key_max)?;
        let (key, chunk, at) = (entry.key, entry.chunk, entry.at);
        self.start += 1;
        self.is_out = true;
        if self.open.out == 0 || self.open.number != chunk {
            self.turn_to(chunk);
        }
        self.open.out += 1;
        Some((key, Position { segment: self.open.segment, offset: self.open.base + u64::from(at) }))
    }

    /// Entries go out of another chunk from now on.
    #[inline(never)]
    fn turn_to(&mut self, number: u32) {
        self.close();
        let chunk = self.chunks.get(number.wrapping_sub(self.chunk_first) as usize);
        let (segment, base) = chunk.map_or((0, 0), |chunk| (chunk.segment, chunk.base));
        self.open = Open { number, segment, base, out: 0 };
    }

    /// The entry that went out last, until [`release`](Self::release).
    #[inline]
    pub(super) fn current(&self) -> Option<&Entry> {
        if self.is_out { self.entries.get(self.start.wrapping_sub(1)) } else { None }
    }

    /// Says that no entry that went out is needed any more.
    #[inline]
    pub(super) fn release(&mut self) {
        self.is_out = false;
        if self.open.out > 0 {
            self.close();
        }
    }

    /// Gives back the memory of entries that have gone out, once they were [released](Self::release); costs as much as
    /// there are entries waiting, at most.
    pub(super) fn compact(&mut self) {
        debug_assert!(!self.is_out, "compacted before released");
        if self.start > 0 && self.start >= self.len() {
            self.entries.drain(..self.start);
            self.start = 0;
        }
    }

    /// Takes the entries that went out off their chunk's count.
    fn close(&mut self) {
        let out = std::mem::take(&mut self.open.out);
        let index = self.open.number.wrapping_sub(self.chunk_first) as usize;
        let Some(chunk) = self.chunks.get_mut(index).filter(|_| out > 0) else { return };
        chunk.entries -= out;
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
