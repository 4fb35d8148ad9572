//! The process's append-only table of definitions, in shared memory.
//!
//! A call site or component stands here before a record may refer to it, so that recovery can name what a dead process
//! logged in its last instant. Threads append without locks; the writer and recovery walk.
//!
//! ```text
//!  0        8        16
//! ┌────────┬────────┬──────────┬────────────────┬─ …
//! │ magic  │ zero   │ word kind│ payload, padded│ word kind …
//! └────────┴────────┴──────────┴────────────────┴─ …
//! ```
//!
//! How entries are taken, published and found, also where others truncate the table or scribble over it: [`chain`](super::chain).

use super::chain::{Chain, ENTRY_HEADER, Ground, Link, START, publish};
use crate::segment::layout::u32_at;
use crate::sync::{AtomicU32, AtomicU64, Ordering};
use crate::sys::map::Mapping;

/// First word of the table.
pub(crate) const MAGIC: u64 = u64::from_le_bytes(*b"TACHODEF");

/// A table that this process owns.
#[derive(Debug)]
pub(crate) struct Table {
    memory: Mapping,
    chain: Chain,
}

impl Ground for Mapping {
    fn bytes(&self) -> usize {
        self.bytes()
    }

    fn word(&self, offset: usize) -> Option<&AtomicU32> {
        if offset.checked_add(4)? > self.bytes() || !offset.is_multiple_of(4) {
            return None;
        }
        // SAFETY: the word lies within the mapping, is aligned, and is only ever accessed as an atomic.
        Some(unsafe { &*self.as_ptr().wrapping_add(offset).cast() })
    }
}

impl Table {
    /// A table in zeroed memory.
    pub(crate) fn create(memory: Mapping) -> Self {
        memory.populate();
        let table = Self { memory, chain: Chain::new() };
        table.magic().store(MAGIC, Ordering::Release);
        table
    }

    /// The table that a dead process left. What is wrong in it is found when it is walked.
    pub(crate) fn adopt(memory: Mapping) -> Self {
        Self { memory, chain: Chain::ended() }
    }

    fn magic(&self) -> &AtomicU64 {
        // SAFETY: a mapping has at least a page, which is aligned; the word is only ever accessed as an atomic.
        unsafe { &*self.memory.as_ptr().cast() }
    }

    /// Whether its first word is that of a table.
    pub(crate) fn is_headed(&self) -> bool {
        self.magic().load(Ordering::Acquire) == MAGIC
    }

    /// Its memory.
    pub(crate) fn memory(&self) -> &Mapping {
        &self.memory
    }

    /// Whether definitions were lost and are to be appended again.
    #[inline]
    pub(crate) fn is_incomplete(&self) -> bool {
        self.chain.is_incomplete()
    }

    /// All definitions that are noted are about to be appended again.
    pub(crate) fn begin_again(&self) {
        self.chain.begin_again();
    }

    /// Appends a definition by `append`, and notes by `note` that the table has it, for who appends all again. `false` when
    /// the table is full.
    pub(crate) fn define(&self, append: impl Fn() -> bool, note: impl Fn()) -> bool {
        self.chain.define(append, note)
    }

    /// Looks whether the chain is whole from its start, and bridges what is not.
    pub(crate) fn mend(&self) {
        self.magic().store(MAGIC, Ordering::Release);
        let mut at = START;
        while let Entry::Whole { next, .. } | Entry::Unfinished { next } = self.entry(at) {
            at = next;
        }
    }

    /// Appends an entry whose payload of `bytes` bytes `fill` writes. `false` when the table is full. No lock, no
    /// allocation, no system call; from any thread.
    pub(crate) fn append(&self, kind: u32, bytes: usize, fill: impl FnOnce(&mut [u8])) -> bool {
        let Ok(length) = u32::try_from(ENTRY_HEADER + bytes.next_multiple_of(8)) else { return false };
        let Some(place) = self.chain.reserve(&self.memory, length) else { return false };
        if let Some(word) = self.memory.word(place + 4) {
            word.store(kind, Ordering::Relaxed);
        }
        let payload = self.memory.as_ptr().wrapping_add(place + ENTRY_HEADER);
        // SAFETY: these bytes lie within the mapping, and are this thread's alone until they are published.
        let payload = unsafe { std::slice::from_raw_parts_mut(payload, bytes) };
        fill(payload);
        publish(&self.memory, place, length);
        true
    }

    /// Bytes that are free.
    pub(crate) fn room(&self) -> usize {
        self.memory.bytes().saturating_sub(usize::try_from(self.chain.used()).unwrap_or(usize::MAX))
    }

    /// The payload of the whole entry at `offset`, with its kind and the offset of the next entry.
    pub(crate) fn entry(&self, offset: usize) -> Entry<'_> {
        let length = match self.chain.link(&self.memory, offset) {
            Link::End => return Entry::End,
            Link::Unfinished(length) => return Entry::Unfinished { next: offset + length },
            Link::Whole(length) => length,
        };
        let start = self.memory.as_ptr().wrapping_add(offset);
        // SAFETY: the bytes lie within the mapping and are never changed again once the word is published.
        let bytes = unsafe { std::slice::from_raw_parts(start, length) };
        Entry::Whole {
            kind: u32_at(bytes, 4),
            payload: bytes.get(ENTRY_HEADER..).unwrap_or_default(),
            next: offset + length,
        }
    }

    /// Offset of the first entry.
    pub(crate) const fn start() -> usize {
        START
    }
}

/// What stands at an offset of the table.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Entry<'a> {
    /// A definition.
    Whole {
        /// Its kind, a number of [`Kind`](crate::segment::layout::Kind).
        kind: u32,
        /// The definition, with padding.
        payload: &'a [u8],
        /// Where the next entry is.
        next: usize,
    },
    /// A thread is writing it, or was killed while it did.
    Unfinished {
        /// Where the next entry is.
        next: usize,
    },
    /// No entry.
    End,
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;
    use std::sync::atomic::AtomicBool;

    fn table(bytes: usize) -> Table {
        let file = crate::sys::file::memory_file(c"table", bytes).unwrap();
        Table::create(Mapping::shared(&file, bytes).unwrap())
    }

    fn all(table: &Table) -> Vec<(u32, Vec<u8>)> {
        let (mut at, mut found) = (Table::start(), Vec::new());
        loop {
            match table.entry(at) {
                Entry::Whole { kind, payload, next } => {
                    found.push((kind, payload.to_vec()));
                    at = next;
                }
                Entry::Unfinished { next } => at = next,
                Entry::End => return found,
            }
        }
    }

    #[test]
    fn many_threads_append_and_nothing_is_lost_or_mixed() {
        let table = table(1 << 20);
        std::thread::scope(|scope| {
            for thread in 0..4_u8 {
                let table = &table;
                scope.spawn(move || {
                    for round in 0..500_u16 {
                        let bytes = usize::from(round % 40);
                        assert!(table.append(u32::from(round), bytes, |payload| payload.fill(thread + 1)));
                    }
                });
            }
        });
        let found = all(&table);
        assert_eq!(found.len(), 2_000);
        for (kind, payload) in &found {
            let filled: HashSet<u8> = payload.iter().copied().filter(|byte| *byte != 0).collect();
            assert_eq!(filled.len(), usize::from(kind % 40 != 0), "one thread's bytes in one entry");
        }
    }

    /// A walker that looks just where an entry is being appended once took it for a hole, and wrote over it.
    #[test]
    fn an_entry_that_is_just_being_appended_is_no_hole() {
        const ENTRIES: u32 = 80_000;
        for _ in 0..8 {
            let table = table(4 << 20);
            let appended = AtomicBool::new(false);
            std::thread::scope(|scope| {
                scope.spawn(|| {
                    let mut at = Table::start();
                    while !appended.load(Ordering::Acquire) {
                        if let Entry::Whole { next, .. } | Entry::Unfinished { next } = table.entry(at) {
                            at = next;
                        }
                    }
                });
                for kind in 1..=ENTRIES {
                    assert!(table.append(kind, 24, |payload| payload.fill(1)));
                }
                appended.store(true, Ordering::Release);
            });
            assert!(!table.is_incomplete());
            assert_eq!(all(&table).len(), ENTRIES as usize);
        }
    }

    #[test]
    fn a_hole_is_bridged_and_what_comes_behind_it_is_found() {
        let table = table(1 << 16);
        for kind in 1..=20 {
            assert!(table.append(kind, 40, |payload| payload.fill(1)));
        }
        assert!(!table.is_incomplete());
        // As a truncation to the fifth entry, and an extension.
        let from = START + 4 * 48;
        for offset in (from..table.memory.bytes()).step_by(4) {
            table.memory.word(offset).unwrap().store(0, Ordering::Relaxed);
        }
        assert_eq!(all(&table).len(), 4);
        assert!(table.is_incomplete());
        table.begin_again();
        assert!(table.append(21, 40, |payload| payload.fill(2)));
        let kinds: Vec<u32> = all(&table).iter().map(|(kind, _)| *kind).collect();
        assert_eq!(kinds, [1, 2, 3, 4, 0, 21]);
        assert!(!table.is_incomplete());
    }

    #[test]
    fn scribbled_lengths_neither_hang_nor_lead_outside() {
        for word in [1_u32, 3, 7, 9, 0xffff_fff8, 0x7fff_ffff, 1 << 20] {
            let table = table(4096);
            assert!(table.append(1, 16, |payload| payload.fill(1)));
            table.memory.word(START).unwrap().store(word, Ordering::Relaxed);
            let _ = all(&table);
            table.memory.word(START + 24).unwrap().store(word, Ordering::Relaxed);
            while table.append(2, 100, |payload| payload.fill(2)) {}
            let _ = all(&table);
        }
    }

    #[test]
    fn a_full_table_says_so() {
        let table = table(4096);
        let mut taken = 0;
        while table.append(1, 100, |payload| payload.fill(9)) {
            taken += 1;
        }
        assert_eq!(taken, (4096 - START - ENTRY_HEADER) / 112);
        assert_eq!(all(&table).len(), taken);
    }
}
