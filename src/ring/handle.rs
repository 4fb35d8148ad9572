//! The producer's side of a ring, as the logging thread holds it.
//!
//! A handle stands on a private page that a forked child finds zeroed ([`Mapping::wiped_on_fork`]). All zeros is a valid
//! handle: one without a ring, whose calls take the cold path. So a child can never touch its parent's ring, at no
//! cost on the hot path.
//!
//! [`Mapping::wiped_on_fork`]: crate::sys::map::Mapping::wiped_on_fork

use super::protocol::{Producer, RingHeader};
use crate::segment::layout::FRAME_HEADER_BYTES;
use crate::sys::map::page_bytes;
use std::sync::atomic::{AtomicPtr, AtomicU64, Ordering};

/// What a thread needs to log, all in two cache lines.
#[derive(Debug)]
#[repr(C, align(64))]
pub(crate) struct Handle {
    /// The shared words; null where there is no ring. An atomic, because who closes the logger asks for it on another
    /// thread, and that thread may just be given the ring; relaxed on the hot path, which reads what its own thread stored.
    pub(crate) ring: AtomicPtr<RingHeader>,
    /// The first data byte; what runs over the end lands at the start, because the data is mapped twice.
    pub(crate) data: *mut u8,
    /// Capacity minus one.
    pub(crate) mask: u64,
    /// The ring's number where a frame's first word has it.
    pub(crate) number: u32,
    /// Records with a larger payload are cut.
    pub(crate) payload_bytes_max: u32,
    /// The word to read the time from; null to read the time-stamp counter.
    pub(crate) clock: *const AtomicU64,
    /// Head, limit and call number.
    pub(crate) producer: Producer,
}

/// Between `begin` and `commit`: runs only when the caller's code unwinds, and costs nothing when it does not.
struct Unfinished<'a> {
    producer: &'a Producer,
    header: &'a RingHeader,
}

impl Drop for Unfinished<'_> {
    #[cold]
    fn drop(&mut self) {
        self.producer.give_up(self.header);
    }
}

/// The place of a record that was begun, between `begin` and `commit`.
#[derive(Debug)]
pub(crate) struct Claim {
    /// Where the frame starts.
    at: *mut u8,
    /// The call's number on the ring.
    called: u64,
}

impl Handle {
    /// The tick of now: one TSC read, or one load with a coarse or manual clock.
    #[inline(always)]
    pub(crate) fn now(&self) -> u64 {
        if self.clock.is_null() {
            return crate::clock::ticks::now();
        }
        // SAFETY: a clock word outlives every handle that points to it: it lives in the logger that the ring's lease
        // keeps alive.
        unsafe { &*self.clock }.load(Ordering::Relaxed)
    }

    /// The shared words, if there is a ring.
    #[inline(always)]
    pub(crate) fn header(&self) -> Option<&RingHeader> {
        // SAFETY: null, or the header of a mapping that the thread's lease keeps alive.
        unsafe { self.ring.load(Ordering::Relaxed).cast_const().as_ref() }
    }

    /// Where the ring is mapped and how many bytes, while a call on it is in progress.
    pub(crate) fn in_use(&self) -> Option<(*mut u8, usize)> {
        let header = self.ring.load(Ordering::Relaxed);
        let bytes = page_bytes() + 2 * usize::try_from(self.capacity()).ok()?;
        (!header.is_null() && self.producer.is_busy()).then_some((header.cast(), bytes))
    }

    /// Bytes of the ring.
    pub(crate) fn capacity(&self) -> u64 {
        self.mask + 1
    }

    /// Writes one record of `bytes` (header included, a multiple of 8), whose payload `fill` stores, all of it unless it
    /// `is_padded`.
    ///
    /// # Errors
    /// Nothing was written; see [`Refusal`](super::protocol::Refusal).
    ///
    /// # Panics
    /// When `fill` does, which may run code of the user ([`Value::parts`](crate::Value::parts)). The call is a drop then.
    ///
    /// # Safety
    /// `fill` must write at most `bytes` less the frame header.
    #[inline(always)]
    pub(crate) unsafe fn write(
        &self,
        header: &RingHeader,
        bytes: usize,
        is_padded: bool,
        site: u32,
        fill: impl FnOnce(*mut u8),
    ) -> Result<(), super::protocol::Refusal> {
        let (position, called) = self.producer.begin(header, bytes as u64)?;
        let claim = Claim { at: self.data.wrapping_add((position & self.mask) as usize), called };
        let ticks = self.now();
        let first = (bytes / 8) as u64 | u64::from(self.number);
        claim.store(0, first);
        claim.store(1, ticks);
        claim.store(2, u64::from(site) | claim.called << 32);
        // The last word of a padded payload is zeroed first, so that padding is zero; `fill` overwrites the rest of it.
        if is_padded && bytes > FRAME_HEADER_BYTES {
            claim.store(bytes / 8 - 1, 0);
        }
        let unfinished = Unfinished { producer: &self.producer, header };
        fill(claim.at.wrapping_add(FRAME_HEADER_BYTES));
        std::mem::forget(unfinished);
        self.producer.commit(header, bytes as u64);
        Ok(())
    }
}

impl Claim {
    /// Stores a word of the frame; in bounds because frames are claimed in whole words.
    #[inline(always)]
    fn store(&self, word: usize, value: u64) {
        let address = self.at.wrapping_add(word * 8).cast::<u64>();
        // SAFETY: the claim covers this word: `write` passes words of the frame only, the ring is 8-byte aligned, and
        // up to one capacity behind the start of the data is mapped.
        unsafe { address.write(value.to_le()) };
    }
}
