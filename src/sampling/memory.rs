//! The state of sampling as words of shared memory, changed in steps that a kill cannot split.
//!
//! ```text
//!   words  0         64          64 + C      + 2·RINGS     + 8·entries      + stride·(entries + 1)
//!         ┌─────────┬───────────┬───────────┬─────────────┬────────────────┐
//!         │ head    │ rules     │ rings     │ entries     │ buffers        │
//!         └─────────┴───────────┴───────────┴─────────────┴────────────────┘
//!   head   magic │ version │ entries │ stride │ payload │ out ×3 │ summaries │ intent │ spare │ redo: count, (word, value) ×16
//!   ring   calls applied │ records left out
//!   entry  hash │ site, cause │ start │ tokens │ last │ suppressed │ since │ buffer, payload words
//! ```
//!
//! A step is a list of words and their new values. It is stored in the redo area, then its count (which makes it valid),
//! then the words are stored where they belong, then the count is zeroed. So a step is done when its count is stored;
//! who comes after a kill stores the words of a valid step again ([`Memory::redo`]). Payloads are copied into the spare
//! buffer before, where nobody looks until a step makes it an entry's buffer and that one's the spare.
//!
//! There is one user at a time: the writer, or after its death recovery, which holds the lock of the folder. A store is a
//! release store only so that the compiler keeps the stores in their order: a kill then leaves a prefix of them.

use super::place::Place;
use crate::shm::words::Words;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// First word.
const MAGIC: u64 = u64::from_le_bytes(*b"TACHOSMP");
/// Version of this layout.
const VERSION: u64 = 1;

/// Why records are left out. Index into [`Memory::out`], and stored with a summary.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u32)]
pub(crate) enum Cause {
    /// More messages of one identity than an interval may have.
    Repeat = 0,
    /// Of the target, only each so manieth is written.
    Every = 1,
    /// Of the target, only a random share is written.
    Probability = 2,
}

/// Number of causes.
pub(crate) const CAUSES: usize = 3;

const HEAD_ENTRIES: usize = 2;
const HEAD_STRIDE: usize = 3;
const HEAD_PAYLOAD: usize = 4;
const HEAD_OUT: usize = 5;
const HEAD_SUMMARIES: usize = HEAD_OUT + CAUSES;
const HEAD_INTENT: usize = HEAD_SUMMARIES + 1;
const HEAD_SPARE: usize = HEAD_INTENT + 1;
const REDO: usize = HEAD_SPARE + 1;
/// Words that a step can change.
const REDO_MAX: usize = 16;
const RULES: usize = 64;
/// Words for the encoded rules, their length in bytes first.
const RULES_WORDS: usize = 4096;
/// Bytes that encoded rules may have.
pub(crate) const RULES_BYTES_MAX: usize = (RULES_WORDS - 1) * 8;
const RINGS: usize = RULES + RULES_WORDS;
const RING_WORDS: usize = 2;
const ENTRIES: usize = RINGS + RING_WORDS * crate::ring::pool::RINGS_MAX;
const ENTRY_WORDS: usize = 8;

const _: () = assert!(REDO + 1 + 2 * REDO_MAX <= RULES);

/// A word of an entry.
#[derive(Clone, Copy, Debug)]
pub(super) enum At {
    /// Hash of the identity; 0 where the entry is free.
    Hash = 0,
    /// Number of the call site, and of the [`Cause`] in the upper half.
    Site = 1,
    /// Tick at which the interval began.
    Start = 2,
    /// Messages that may still be written; calls so far where each so manieth is.
    Tokens = 3,
    /// Greatest tick.
    Last = 4,
    /// Records left out since the last summary.
    Suppressed = 5,
    /// Tick of the first of them.
    Since = 6,
    /// Number of the buffer, and in the upper half how many words of payload stand there.
    Buffer = 7,
}

/// How much there is of what.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Dimensions {
    /// Entries, those of the target rules included.
    pub(crate) entries: usize,
    /// Words of the longest payload that is kept.
    pub(crate) payload_words: usize,
}

impl Dimensions {
    /// A cache line more than the payload, or the beginnings of all buffers would fall into few sets of the cache.
    const fn stride(self) -> usize {
        self.payload_words.next_multiple_of(8) + 8
    }

    const fn buffers(self) -> usize {
        ENTRIES + self.entries * ENTRY_WORDS
    }

    /// Bytes of the file.
    pub(crate) const fn bytes(self) -> usize {
        (self.buffers() + (self.entries + 1) * self.stride()) * 8
    }
}

/// The words, by name.
#[derive(Debug)]
pub(super) struct Memory {
    place: Arc<Place>,
    dimensions: Dimensions,
}

/// Changes that belong together.
#[derive(Debug, Default)]
pub(super) struct Step {
    changes: [(usize, u64); REDO_MAX],
    count: usize,
    /// It leaves a record out.
    left_out: Option<Cause>,
}

impl Memory {
    /// Fresh state in zeroed memory of [`Dimensions::bytes`], with the encoded rules that it belongs to.
    pub(super) fn create(words: Words, dimensions: Dimensions, rules: &[u8]) -> Option<Self> {
        if words.len() * 8 < dimensions.bytes() || rules.len() > RULES_BYTES_MAX {
            return None;
        }
        let memory = Self { place: Arc::new(Place::new(words)), dimensions };
        memory.begin(rules);
        Some(memory)
    }

    /// Writes the state of one that knows nothing into zeros.
    fn begin(&self, rules: &[u8]) {
        let (memory, dimensions) = (self, self.dimensions);
        memory.store(RULES, rules.len() as u64);
        memory.put(RULES + 1, rules);
        for entry in 0..dimensions.entries {
            memory.store(memory.place(entry, At::Buffer), entry as u64);
        }
        for (word, value) in [
            (HEAD_SPARE, dimensions.entries),
            (HEAD_ENTRIES, dimensions.entries),
            (HEAD_STRIDE, dimensions.stride()),
            (HEAD_PAYLOAD, dimensions.payload_words),
        ] {
            memory.store(word, value as u64);
        }
        memory.store(1, VERSION);
        memory.store(0, MAGIC);
    }

    /// Where it stands.
    pub(super) fn home(&self) -> &Arc<Place> {
        &self.place
    }

    /// Begins anew over whatever stands there, going on from these counts of records left out and of summaries.
    pub(super) fn begin_again(&self, rules: &[u8], out: [u64; CAUSES], summaries: u64) {
        // Nobody takes it for a state before all of it is there.
        (0..self.place.words.len()).for_each(|index| self.store(index, 0));
        for (cause, count) in out.into_iter().enumerate() {
            self.store(HEAD_OUT + cause, count);
        }
        self.store(HEAD_SUMMARIES, summaries);
        self.begin(rules);
    }

    /// What a dead writer left, its last step completed; `None` where it cannot be used.
    pub(super) fn adopt(words: Words) -> Option<Self> {
        let word = |index: usize| words.get(index).map_or(0, |word| word.load(Ordering::Acquire));
        let size = |index| usize::try_from(word(index)).ok().filter(|size| *size < 1 << 24);
        let dimensions = Dimensions { entries: size(HEAD_ENTRIES)?, payload_words: size(HEAD_PAYLOAD)? };
        let known = word(0) == MAGIC && word(1) == VERSION && word(HEAD_STRIDE) == dimensions.stride() as u64;
        if !known || words.len() * 8 < dimensions.bytes() {
            return None;
        }
        let memory = Self { place: Arc::new(Place::new(words)), dimensions };
        memory.redo();
        Some(memory)
    }

    pub(super) fn dimensions(&self) -> Dimensions {
        self.dimensions
    }

    /// The encoded rules.
    pub(super) fn rules(&self) -> Vec<u8> {
        let bytes = usize::try_from(self.load(RULES)).unwrap_or(0).min(RULES_BYTES_MAX);
        let mut rules = Vec::with_capacity(bytes + 8);
        self.read(RULES + 1, bytes.div_ceil(8), &mut rules);
        rules.truncate(bytes);
        rules
    }

    /// A word of an entry.
    #[inline]
    pub(super) fn entry(&self, entry: usize, at: At) -> u64 {
        self.load(self.place(entry, at))
    }

    /// Calls on a ring up to the last one that changed anything here.
    pub(super) fn applied(&self, ring: u16) -> u64 {
        self.load(RINGS + usize::from(ring) * RING_WORDS)
    }

    /// Records of a ring that were left out.
    #[cfg(test)]
    pub(super) fn left_out(&self, ring: u16) -> u64 {
        self.load(RINGS + usize::from(ring) * RING_WORDS + 1)
    }

    /// Records that were left out, by cause.
    pub(super) fn out(&self) -> [u64; CAUSES] {
        std::array::from_fn(|cause| self.load(HEAD_OUT + cause))
    }

    /// Summaries that were written and taken note of.
    pub(super) fn summaries(&self) -> u64 {
        self.load(HEAD_SUMMARIES)
    }

    /// The entry whose summary was about to be written.
    pub(super) fn intent(&self) -> Option<usize> {
        usize::try_from(self.load(HEAD_INTENT)).ok()?.checked_sub(1)
    }

    /// Says that the summary of `entry` is about to be written, or that none is.
    pub(super) fn intend(&self, entry: Option<usize>) {
        self.store(HEAD_INTENT, entry.map_or(0, |entry| entry as u64 + 1));
    }

    /// Whether the payload of an entry is `payload`.
    pub(super) fn holds(&self, entry: usize, payload: &[u8]) -> bool {
        let (at, words) = self.buffer(entry);
        words * 8 == payload.len()
            && payload
                .chunks_exact(8)
                .enumerate()
                .all(|(index, bytes)| self.load(at + index) == bytes.try_into().map_or(0, u64::from_le_bytes))
    }

    /// Appends the payload of an entry.
    pub(super) fn payload(&self, entry: usize, out: &mut Vec<u8>) {
        let (at, words) = self.buffer(entry);
        self.read(at, words, out);
    }

    /// Where an entry's payload stands, and how many words of it.
    fn buffer(&self, entry: usize) -> (usize, usize) {
        let word = self.entry(entry, At::Buffer);
        let words = usize::try_from(word >> 32).unwrap_or(0).min(self.dimensions.payload_words);
        (self.buffer_at(word & 0xffff_ffff), words)
    }

    fn buffer_at(&self, number: u64) -> usize {
        let number = usize::try_from(number).unwrap_or(0).min(self.dimensions.entries);
        self.dimensions.buffers() + number * self.dimensions.stride()
    }

    #[inline]
    fn place(&self, entry: usize, at: At) -> usize {
        ENTRIES + entry.min(self.dimensions.entries) * ENTRY_WORDS + at as usize
    }

    #[inline]
    fn load(&self, index: usize) -> u64 {
        self.place.words.get(index).map_or(0, |word| word.load(Ordering::Relaxed))
    }

    #[inline]
    fn store(&self, index: usize, value: u64) {
        #[cfg(test)]
        crate::testing::fuse::burn();
        if let Some(word) = self.place.words.get(index) {
            word.store(value, Ordering::Release);
        }
        #[cfg(test)]
        crate::testing::fuse::burn();
    }

    fn put(&self, index: usize, bytes: &[u8]) {
        for (index, bytes) in (index..).zip(bytes.chunks(8)) {
            let mut word = [0; 8];
            if let Some(place) = word.get_mut(..bytes.len()) {
                place.copy_from_slice(bytes);
            }
            self.store(index, u64::from_le_bytes(word));
        }
    }

    fn read(&self, index: usize, words: usize, out: &mut Vec<u8>) {
        for index in index..index + words {
            out.extend_from_slice(&self.load(index).to_le_bytes());
        }
    }

    /// Does all of a step.
    pub(super) fn commit(&self, step: &Step) {
        let changes = step.changes.get(..step.count).unwrap_or_default();
        match changes {
            [] => {}
            // One store cannot be split.
            [(word, value)] => self.store(*word, *value),
            _ => {
                for (number, (word, value)) in changes.iter().enumerate() {
                    self.store(REDO + 1 + 2 * number, *word as u64);
                    self.store(REDO + 2 + 2 * number, *value);
                }
                self.store(REDO, step.count as u64);
                for (word, value) in changes {
                    self.store(*word, *value);
                }
                self.store(REDO, 0);
            }
        }
    }

    /// Completes the step in which the last writer was killed.
    fn redo(&self) {
        let count = usize::try_from(self.load(REDO)).unwrap_or(usize::MAX);
        if count <= REDO_MAX {
            for number in 0..count {
                let word = usize::try_from(self.load(REDO + 1 + 2 * number)).unwrap_or(usize::MAX);
                let ours = (HEAD_OUT..REDO).contains(&word) || (RINGS..self.dimensions.buffers()).contains(&word);
                if ours {
                    self.store(word, self.load(REDO + 2 + 2 * number));
                }
            }
        }
        self.store(REDO, 0);
    }
}

impl Step {
    /// Changes nothing so far.
    #[inline]
    pub(super) fn clear(&mut self) {
        (self.count, self.left_out) = (0, None);
    }

    /// Why it leaves a record out, if it does.
    #[inline]
    pub(super) fn left_out(&self) -> Option<Cause> {
        self.left_out
    }

    #[inline]
    fn set(&mut self, memory: &Memory, word: usize, value: u64) {
        if memory.load(word) == value {
            return;
        }
        debug_assert!(self.count < REDO_MAX);
        if let Some(place) = self.changes.get_mut(self.count) {
            *place = (word, value);
            self.count += 1;
        }
    }

    /// Changes a word of an entry.
    #[inline]
    pub(super) fn entry(&mut self, memory: &Memory, entry: usize, at: At, value: u64) {
        self.set(memory, memory.place(entry, at), value);
    }

    /// Stamps a ring with a call; `left_out` also counts it as such.
    #[inline]
    pub(super) fn call(&mut self, memory: &Memory, ring: u16, called: u64, left_out: Option<Cause>) {
        let at = RINGS + usize::from(ring) * RING_WORDS;
        self.set(memory, at, called);
        self.left_out = left_out;
        if let Some(cause) = left_out {
            self.set(memory, at + 1, memory.load(at + 1).saturating_add(1));
            let out = HEAD_OUT + cause as usize;
            self.set(memory, out, memory.load(out).saturating_add(1));
        }
    }

    /// Copies a payload, which fits, to the spare buffer, and makes that the entry's.
    pub(super) fn payload(&mut self, memory: &Memory, entry: usize, payload: &[u8]) {
        let words = payload.len().div_ceil(8);
        debug_assert!(words <= memory.dimensions.payload_words);
        let (spare, before) = (memory.load(HEAD_SPARE), memory.entry(entry, At::Buffer));
        memory.put(memory.buffer_at(spare), payload);
        self.entry(memory, entry, At::Buffer, spare | (words as u64) << 32);
        self.set(memory, HEAD_SPARE, before & 0xffff_ffff);
    }

    /// A summary of `entry` was written: nothing of it is left out any more, and the intent is done.
    pub(super) fn summarised(&mut self, memory: &Memory, entry: usize) {
        self.entry(memory, entry, At::Suppressed, 0);
        self.set(memory, HEAD_SUMMARIES, memory.load(HEAD_SUMMARIES).wrapping_add(1));
        self.set(memory, HEAD_INTENT, 0);
    }
}
