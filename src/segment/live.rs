//! The live segments of a process: a fixed set of mapped files that the writer fills in turn.
//!
//! Rotation is the choice of another slot: no page fault, no system call. A slot is free again when the worker has put
//! all of it on disk.
//!
//! Others can truncate the files or scribble over them. So what the process decides by, it has in memory of its own: which
//! slot holds which segment, how far that is filled. The words in the control page repeat it for other processes and
//! for recovery. A slot whose memory was lost is given up by the writer, archived as far as it goes, mapped
//! anew by the worker while nobody has it, and used again.
//!
//! In which order words are stored and loaded is told, and checked, in [`protocol`](super::protocol).

use super::layout::{
    FRAME_BYTES_MAX, FRAME_HEADER_BYTES, HEADER_BYTES, Header, UNIT_BYTES, WRITER_RING, u16_at, u32_at,
};
use super::protocol::{self, published_bytes};
use crate::shm::control::{Control, Slot};
use crate::sync::{AtomicU32, AtomicU64, Ordering, fence};
use crate::sys::map::Mapping;
use std::sync::atomic::AtomicBool;

/// Numbers of segments beyond this are no numbers of segments.
const NUMBER_MAX: u64 = 1 << 48;

/// The mapped slots, shared by the writer and the readers of the same process.
#[derive(Debug)]
pub(crate) struct LiveSegments {
    places: Vec<Place>,
    segment_bytes: usize,
    /// Number of the newest segment.
    newest: AtomicU64,
    /// Number of the segment that is being archived.
    archiving: AtomicU64,
}

/// A slot with its memory.
#[derive(Debug)]
struct Place {
    memory: Mapping,
    words: Slot,
    /// Somebody has the slot for himself: the writer while it fills it, the worker while it maps it anew.
    taken: AtomicBool,
    /// Offset up to which frames were published as of the writer's last step.
    filled: AtomicU64,
    /// Records in the sealed segment, as its writer counted them.
    records: AtomicU64,
}

impl Place {
    fn new(memory: Mapping) -> Self {
        let zero = || AtomicU64::new(0);
        Self { memory, words: Slot::empty(), taken: AtomicBool::new(false), filled: zero(), records: zero() }
    }
}

impl LiveSegments {
    /// Slots over mappings of `segment_bytes` each.
    pub(crate) fn new(memory: Vec<Mapping>, segment_bytes: usize) -> Self {
        for mapping in &memory {
            mapping.populate();
        }
        Self::over(memory, segment_bytes)
    }

    fn over(memory: Vec<Mapping>, segment_bytes: usize) -> Self {
        let places = memory.into_iter().map(Place::new).collect();
        Self { places, segment_bytes, newest: AtomicU64::new(0), archiving: AtomicU64::new(0) }
    }

    /// The slots that a dead process left, as its control page says. What cannot be true there is taken for nothing.
    pub(crate) fn adopt(memory: Vec<Mapping>, segment_bytes: usize, control: &Control) -> Self {
        let segments = Self::over(memory, segment_bytes);
        for (place, words) in segments.places.iter().zip(&control.slots) {
            let plausible = words.number.load(Ordering::Acquire) <= NUMBER_MAX && words.end() <= segment_bytes as u64;
            if !plausible {
                words.begin_use();
            }
            place.words.copy_from(words);
        }
        segments
    }

    /// By who archives the journal of another process, which lives: takes over what its control page says by now.
    pub(crate) fn follow(&self, control: &Control) {
        for (place, words) in self.places.iter().zip(&control.slots) {
            let number = words.number.load(Ordering::Acquire);
            let end = words.end();
            // The writer takes the number away before it changes the rest.
            fence(Ordering::Acquire);
            let torn = words.number.load(Ordering::Relaxed) != number;
            let plausible = number <= NUMBER_MAX && end <= self.segment_bytes as u64;
            if torn || !plausible || (place.words.holds(number) && place.words.end() == end) {
                continue;
            }
            place.words.begin_use();
            place.words.seal(end);
            if words.is_archived_to(end) {
                place.words.free();
            }
            place.words.name(number);
        }
        self.newest.store(control.writer.segment.load(Ordering::Acquire), Ordering::Release);
    }

    /// Keeps the pages of all slots in memory; `false` when the limit forbids it.
    pub(crate) fn lock(&self) -> bool {
        self.places.iter().filter(|place| !place.memory.lock()).count() == 0
    }

    /// How many there are.
    pub(crate) fn count(&self) -> usize {
        self.places.len()
    }

    /// The largest frame that surely fits into a segment beside the definitions that it needs.
    pub(crate) fn frame_bytes_max(&self) -> usize {
        self.segment_bytes / 2
    }

    /// The words of a slot.
    pub(crate) fn slot(&self, slot: usize) -> Option<&Slot> {
        self.places.get(slot).map(|place| &place.words)
    }

    /// The words of all slots.
    pub(crate) fn slots(&self) -> impl Iterator<Item = &Slot> {
        self.places.iter().map(|place| &place.words)
    }

    /// The memory of a slot.
    pub(crate) fn memory(&self, slot: usize) -> Option<&Mapping> {
        self.places.get(slot).map(|place| &place.memory)
    }

    /// The slot that holds segment `number`, if any does.
    pub(crate) fn slot_of(&self, number: u64) -> Option<(usize, &Slot)> {
        self.slots().enumerate().find(|(_, slot)| slot.holds(number))
    }

    /// Whether the bytes of a slot are not all that was stored there.
    #[inline]
    pub(crate) fn is_lost(&self, slot: usize) -> bool {
        self.places.get(slot).is_some_and(|place| place.memory.is_lost())
    }

    /// Number of the newest segment, 0 before the first.
    pub(crate) fn newest(&self) -> u64 {
        self.newest.load(Ordering::Acquire)
    }

    /// By the writer: segment `number` begins.
    pub(crate) fn begin(&self, control: &Control, number: u64) {
        self.newest.store(number, Ordering::Release);
        control.writer.segment.store(number, Ordering::Release);
    }

    /// Number of the segment that is being archived; those before it are on disk, and their slots free.
    pub(crate) fn archiving(&self) -> u64 {
        self.archiving.load(Ordering::Relaxed)
    }

    /// By the worker: it is at `offset` of segment `number`.
    pub(crate) fn archive_at(&self, control: &Control, number: u64, offset: u64) {
        self.archiving.store(number, Ordering::Relaxed);
        control.worker.archive_number.store(number, Ordering::Relaxed);
        control.worker.archive_offset.store(offset, Ordering::Relaxed);
    }

    /// By the worker: all of the slot's segment is on disk.
    pub(crate) fn free(&self, control: &Control, slot: usize) {
        for words in [self.slot(slot), control.slots.get(slot)].into_iter().flatten() {
            words.free();
        }
    }

    /// Whether the slot's segment is on disk, or it never held one.
    fn is_free(&self, control: &Control, slot: usize) -> bool {
        let Some(own) = self.slot(slot) else { return false };
        // Who archives may be another process, which has the control page only.
        own.is_free() || control.slots.get(slot).is_some_and(|shared| shared.is_archived_to(own.end()))
    }

    /// Takes a slot that is free for oneself: for the writer one that is `whole`, for mapping it anew one that is not.
    /// Give it back by [`let_go`](Self::let_go).
    pub(crate) fn take_free(&self, control: &Control, whole: bool) -> Option<usize> {
        self.places.iter().enumerate().find_map(|(index, place)| {
            let wanted = || place.memory.is_lost() != whole && self.is_free(control, index);
            if !wanted() || place.taken.swap(true, Ordering::Acquire) {
                return None;
            }
            // The other may have had it between the two.
            if wanted() {
                return Some(index);
            }
            self.let_go(index);
            None
        })
    }

    /// See [`take_free`](Self::take_free).
    pub(crate) fn let_go(&self, slot: usize) {
        if let Some(place) = self.places.get(slot) {
            place.taken.store(false, Ordering::Release);
        }
    }

    /// By the writer: frames are published up to `at`.
    pub(crate) fn fill(&self, slot: usize, at: usize) {
        if let Some(place) = self.places.get(slot) {
            place.filled.store(at as u64, Ordering::Release);
        }
    }

    /// Up to where at least frames were published; 0 in a slot that is just begun.
    pub(crate) fn filled(&self, slot: usize) -> u64 {
        self.places.get(slot).map_or(0, |place| place.filled.load(Ordering::Acquire))
    }

    /// By the writer: the segment ends at `end` and has so many records.
    pub(crate) fn seal(&self, control: &Control, slot: usize, end: u64, records: u64) {
        let Some(place) = self.places.get(slot) else { return };
        place.records.store(records, Ordering::Relaxed);
        place.filled.store(end, Ordering::Release);
        for words in [Some(&place.words), control.slots.get(slot)].into_iter().flatten() {
            words.seal(end);
        }
        self.let_go(slot);
    }

    /// Records in a sealed segment, as its writer counted them.
    pub(crate) fn records(&self, slot: usize) -> u64 {
        self.places.get(slot).map_or(0, |place| place.records.load(Ordering::Relaxed))
    }

    /// Says in a control page that was lost what it must say.
    pub(crate) fn restore(&self, control: &Control) {
        for (own, shared) in self.slots().zip(&control.slots) {
            shared.copy_from(own);
        }
        control.writer.segment.store(self.newest(), Ordering::Release);
        control.worker.archive_number.store(self.archiving(), Ordering::Relaxed);
    }

    fn word(&self, slot: usize, offset: usize) -> Option<&AtomicU32> {
        let mapping = self.memory(slot)?;
        if offset.checked_add(4)? > self.segment_bytes || !offset.is_multiple_of(4) {
            return None;
        }
        // SAFETY: the word lies within the mapping and is aligned; first words of frames are only accessed as atomics
        // while a segment grows.
        Some(unsafe { &*mapping.as_ptr().wrapping_add(offset).cast::<AtomicU32>() })
    }

    /// Copies published bytes of `slot` from `offset` on to the end of `out`, at most about `limit`, whole frames only.
    /// `offset` is 0 or the start of a frame.
    ///
    /// The caller makes sure that the slot is not reused meanwhile, by being the one who frees it, or checks
    /// `Slot::number` before and after.
    pub(crate) fn copy_published(&self, slot: usize, offset: u64, limit: usize, out: &mut Vec<u8>) -> Copied {
        let Ok(start) = usize::try_from(offset) else { return Copied::default() };
        let first = if start == 0 { HEADER_BYTES } else { start };
        // What the writer said at the end of a step is known without a walk over it. The rest is only looked for when there
        // is nothing else.
        // At least one frame, however large it is.
        let most = start.saturating_add(limit.max(HEADER_BYTES + FRAME_BYTES_MAX));
        let mut end = usize::try_from(self.filled(slot)).unwrap_or(0).min(most);
        if end <= first {
            end = first;
            while end - start < limit
                && let Some(next) = self.next_frame(slot, end)
            {
                end = next;
            }
        }
        let begin = out.len();
        self.copy_range(slot, start, end, out);
        // The last frame may be cut, and somebody may have taken the memory away: then zeros were copied.
        let mut copied = Copied { bytes: first - start, records: 0 };
        for frame in Frames::of(out.get(begin..).unwrap_or_default(), copied.bytes) {
            copied.bytes = frame.end;
            copied.records += u64::from(frame.ring != WRITER_RING);
        }
        copied.bytes = copied.bytes.min(out.len() - begin);
        out.truncate(begin + copied.bytes);
        copied
    }

    /// The end of the frame that is published at `at`.
    fn next_frame(&self, slot: usize, at: usize) -> Option<usize> {
        let bytes = published_bytes(self.word(slot, at)?);
        (bytes >= FRAME_HEADER_BYTES && at + bytes <= self.segment_bytes).then_some(at + bytes)
    }

    /// Where what is published in a slot ends, by the lengths of its frames.
    pub(crate) fn published_end(&self, slot: usize) -> usize {
        std::iter::successors(Some(HEADER_BYTES), |at| self.next_frame(slot, *at)).last().unwrap_or(HEADER_BYTES)
    }

    /// Copies the bytes `start .. end` of a slot, all of which are final, to the end of `out`; returns how many there are.
    pub(crate) fn copy_range(&self, slot: usize, start: usize, end: usize, out: &mut Vec<u8>) -> usize {
        let Some(mapping) = self.memory(slot) else { return 0 };
        if end > self.segment_bytes || start > end {
            return 0;
        }
        // SAFETY: the bytes lie within the mapping and belong to published frames, which the writer does not touch
        // until the slot is freed; see the callers' duty above.
        let bytes = unsafe { std::slice::from_raw_parts(mapping.as_ptr().wrapping_add(start), end - start) };
        out.extend_from_slice(bytes);
        end - start
    }

    /// By the successor of a dead writer: the slot holds segment `number`, of which it is not known where it ends, or
    /// nothing (0).
    pub(crate) fn rename(&self, control: &Control, slot: usize, number: u64) {
        for words in [self.slot(slot), control.slots.get(slot)].into_iter().flatten() {
            words.begin_use();
            words.name(number);
        }
    }

    /// By the successor of a dead writer: puts `bytes` at `start` of a slot, if they have room there.
    pub(crate) fn put(&self, slot: usize, start: usize, bytes: &[u8]) {
        let Some(mapping) = self.memory(slot) else { return };
        if start.checked_add(bytes.len()).is_some_and(|end| end <= self.segment_bytes) {
            // SAFETY: the bytes lie within the mapping, nobody else writes there (the owner's lock is held by the caller),
            // and no slice of `dead_bytes` is in use.
            unsafe { mapping.as_ptr().wrapping_add(start).copy_from_nonoverlapping(bytes.as_ptr(), bytes.len()) };
        }
    }

    /// All bytes of a slot whose writer is dead.
    pub(crate) fn dead_bytes(&self, slot: usize) -> &[u8] {
        let Some(mapping) = self.memory(slot) else { return &[] };
        // SAFETY: the mapping is that long, and nobody writes there: the owner's lock is held by the caller.
        unsafe { std::slice::from_raw_parts(mapping.as_ptr(), self.segment_bytes) }
    }
}

/// What [`LiveSegments::copy_published`] copied.
#[derive(Clone, Copy, Default, Debug)]
pub(crate) struct Copied {
    pub(crate) bytes: usize,
    /// Frames among them that are not the writer's own.
    pub(crate) records: u64,
}

/// The frames of some bytes, by their lengths alone, from the offset `at` on; ends at what is no length.
#[derive(Debug)]
pub(crate) struct Frames<'a> {
    bytes: &'a [u8],
    at: usize,
}

/// A frame among others: where it ends, and the ring that it is of.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Extent {
    pub(crate) end: usize,
    pub(crate) ring: u16,
}

impl<'a> Frames<'a> {
    pub(crate) fn of(bytes: &'a [u8], at: usize) -> Self {
        Self { bytes, at }
    }
}

impl Iterator for Frames<'_> {
    type Item = Extent;

    fn next(&mut self) -> Option<Extent> {
        let frame = self.bytes.get(self.at..).filter(|rest| rest.len() >= FRAME_HEADER_BYTES)?;
        let bytes = usize::from(u16_at(frame, 0)) * UNIT_BYTES;
        if bytes < FRAME_HEADER_BYTES || bytes > frame.len() {
            return None;
        }
        self.at += bytes;
        Some(Extent { end: self.at, ring: u16_at(frame, 2) })
    }
}

/// Where the writer stands in the growing segment.
#[derive(Debug)]
pub(crate) struct Appender {
    slot: usize,
    salt: u32,
    /// Offset of the next frame.
    at: usize,
    /// Offset that frames must not pass.
    limit: usize,
    base: *mut u8,
    /// The segment's header, to be put there once more if it is lost; `None` where the writer took over.
    header: Option<[u8; HEADER_BYTES]>,
}

// SAFETY: the pointer is into a mapping that `LiveSegments` keeps, and only the owner of the appender writes there.
unsafe impl Send for Appender {}

impl Appender {
    /// Opens a slot that was taken, for a segment with this header, of which the last `reserve` bytes are kept for the seal.
    pub(crate) fn open(
        segments: &LiveSegments,
        control: &Control,
        slot: usize,
        header: &Header,
        reserve: usize,
    ) -> Option<Self> {
        let place = segments.places.get(slot)?;
        let words = [&place.words, control.slots.get(slot)?];
        let base = place.memory.as_ptr();
        place.filled.store(0, Ordering::Relaxed);
        words.iter().for_each(|words| words.begin_use());
        segments.word(slot, HEADER_BYTES)?.store(0, Ordering::Relaxed);
        let bytes = header.encode();
        let limit = segments.segment_bytes.checked_sub(reserve)?;
        let appender = Self { slot, salt: header.salt, at: HEADER_BYTES, limit, base, header: Some(bytes) };
        appender.put_header();
        words.iter().for_each(|words| words.name(header.number));
        Some(appender)
    }

    /// Puts the header into the segment: at its beginning, and again when it was lost.
    pub(crate) fn put_header(&self) {
        if let Some(bytes) = &self.header {
            // SAFETY: a segment is larger than a header, and the slot is this appender's.
            unsafe { self.base.copy_from_nonoverlapping(bytes.as_ptr(), HEADER_BYTES) };
        }
    }

    /// Goes on in a slot whose writer died, behind its last whole frame, which ends at `at`.
    pub(crate) fn adopt(segments: &LiveSegments, slot: usize, salt: u32, at: usize, reserve: usize) -> Option<Self> {
        let base = segments.memory(slot)?.as_ptr();
        let limit = segments.segment_bytes.checked_sub(reserve)?;
        // What a half-made frame left behind the last whole one must not be taken for one.
        segments.word(slot, at)?.store(0, Ordering::Release);
        Some(Self { slot, salt, at, limit, base, header: None })
    }

    /// The slot's index.
    pub(crate) fn slot(&self) -> usize {
        self.slot
    }

    /// Offset behind the last frame.
    pub(crate) fn at(&self) -> usize {
        self.at
    }

    /// Whether a frame of `bytes` fits before the reserve.
    #[inline]
    pub(crate) fn fits(&self, bytes: usize) -> bool {
        self.at + bytes <= self.limit
    }

    /// Lets frames use the reserve: for the seal.
    pub(crate) fn open_reserve(&mut self, segments: &LiveSegments) {
        self.limit = segments.segment_bytes - UNIT_BYTES;
    }

    /// Appends a frame whose bytes are whole but for the checksum, as they stand in a ring. `false` when it does not fit.
    #[inline]
    pub(crate) fn append(&mut self, frame: &[u8]) -> bool {
        let bytes = frame.len();
        if bytes < FRAME_HEADER_BYTES || !self.fits(bytes) || usize::from(u16_at(frame, 0)) * UNIT_BYTES != bytes {
            return false;
        }
        let place = self.base.wrapping_add(self.at);
        let crc = crate::crc::frame(self.salt, frame, |offset, word| {
            // SAFETY: a word of the frame, which `fits` keeps within the slot's mapping, aligned; nobody else writes there.
            unsafe { place.wrapping_add(offset).cast::<u64>().write(u64::from_ne_bytes(word)) };
        });
        let first = u32_at(frame, 0);
        // SAFETY: within the frame that `append` checked, aligned, and not yet visible to any reader.
        unsafe { place.wrapping_add(4).cast::<u32>().write(crc.to_le()) };
        // SAFETY: `limit` leaves a word behind the last frame; it is aligned and readers only load it as an atomic.
        let next = unsafe { &*place.wrapping_add(bytes).cast::<AtomicU32>() };
        // SAFETY: as above, for the first word of this frame.
        let word = unsafe { &*place.cast::<AtomicU32>() };
        protocol::publish(word, first, next);
        self.at += bytes;
        true
    }
}
