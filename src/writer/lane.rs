//! What the writer knows of a ring, and how it goes on where another left off.

use crate::flight;
use crate::ring::consumer::{Front, Waiting};
use crate::ring::memory::Ring;
use crate::ring::protocol::{CAUSES, Consumer};
use crate::segment::layout::{FRAME_HEADER_BYTES, SITE_THREAD, u32_at};
use std::sync::atomic::Ordering;

/// What the writer knows of a ring.
#[derive(Debug)]
pub(super) struct Lane {
    pub(super) consumer: Consumer,
    /// The last time at which no call was in progress.
    pub(super) clear_at: u64,
    /// Payload of the thread's definition, and the call number from which it holds.
    pub(super) thread: Vec<u8>,
    pub(super) thread_seq: u32,
    /// The segment that has it.
    pub(super) thread_in: u64,
    /// Drops that the journal states, by cause, and those of a lost ring.
    pub(super) dropped: [u64; CAUSES],
    pub(super) lost: u64,
    /// Definitions of threads that were taken, or given up with lost memory.
    pub(super) announced: u64,
    /// Records that the flight recorder forgot, as the journal tells.
    pub(super) forgotten_told: u64,
    /// Of a lost ring: calls on it, and for how many steps it has not seen another.
    pub(super) still: (u64, u32),
}

impl Lane {
    /// For a ring that cannot be read.
    pub(super) fn empty() -> Self {
        Self {
            consumer: Consumer::none(),
            clear_at: 0,
            thread: Vec::new(),
            thread_seq: 0,
            thread_in: 0,
            dropped: [0; CAUSES],
            lost: 0,
            forgotten_told: 0,
            announced: 0,
            still: (0, 0),
        }
    }

    /// Passes over what the journal has already, up to and including the call before `accounted`; the name of the
    /// thread comes from where the last writer put it. `each` gets the records that are passed over.
    pub(super) fn inherit(&mut self, ring: &Ring, accounted: Option<u32>, mut each: impl FnMut(Waiting<'_>)) {
        if let Some((length, words)) = ring.header().consumed.thread.split_first() {
            let bytes: Vec<u8> = words.iter().flat_map(|word| word.load(Ordering::Relaxed).to_le_bytes()).collect();
            let length = usize::try_from(length.load(Ordering::Relaxed)).unwrap_or(0);
            self.thread = bytes.get(..length).unwrap_or_default().to_vec();
        }
        let Some(accounted) = accounted else { return };
        let batch = ring.committed(self.consumer.tail, self.consumer.available(ring.header(), ring.capacity()));
        while let Front::Record(waiting) = self.consumer.front(&batch) {
            // A record is in the journal when its number, which is one less than `called`, is before `accounted`.
            if (waiting.called as u32).wrapping_sub(accounted) as i32 > 0 {
                break;
            }
            if waiting.site == SITE_THREAD {
                self.thread = waiting.bytes.get(FRAME_HEADER_BYTES..).unwrap_or_default().to_vec();
                self.thread_seq = u32_at(waiting.bytes, 20);
            } else {
                each(waiting);
            }
            self.consumer.advance(waiting.bytes.len() as u64, waiting.called);
        }
        // Drops behind the last record may be accounted for as well.
        self.consumer.account(self::accounted(self.consumer.called, Some(&accounted)));
    }

    /// Whether segment `number` says of which thread the ring is.
    #[inline]
    pub(super) fn is_defined_in(&self, number: u64) -> bool {
        self.thread_in == number
    }

    /// Gives the bytes that were taken back to the producer, but for what is remembered; see [`Consumer::release`].
    #[inline]
    pub(super) fn give_back(&mut self, ring: &Ring, flight: Option<&flight::Rules>, force: bool) {
        if let Some(flight) = flight
            && self.consumer.is_due(ring.capacity(), force)
        {
            self.consumer.trim(ring, flight.limits);
        }
        self.consumer.release(ring.header(), ring.capacity(), force);
    }

    pub(super) fn new(ring: &Ring, now: u64) -> Self {
        Self {
            consumer: Consumer::attach(ring.header()),
            clear_at: now,
            thread: Vec::with_capacity(64),
            ..Self::empty()
        }
    }
}

/// The number of calls that the journal accounts for: `told`, or what its newest segment says if that is more.
pub(super) fn accounted(told: u64, low_half: Option<&u32>) -> u64 {
    let ahead = low_half.map_or(0, |half| half.wrapping_sub(told as u32));
    // What is told stands in shared memory, and others may have stored anything there.
    if (ahead as i32) > 0 { told.saturating_add(u64::from(ahead)) } else { told }
}
