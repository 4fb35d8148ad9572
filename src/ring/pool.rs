//! The rings of a process: made ahead, given to threads, taken back when they end.
//!
//! A ring that came back keeps its number and its count of calls; what its last thread left in it is drained by the
//! writer as ever, and the next thread's records follow behind.
//!
//! A ring whose memory was lost goes to no further thread. When its last one has given it back and the writer has
//! accounted for all its calls, it is retired: its memory is given up, its number is not used again.

use super::memory::{Ring, file_bytes};
use super::protocol::CAUSES;
use crate::shm::folder::ring_name;
use crate::shm::memory::LiveMemory;
use crossbeam_queue::ArrayQueue;
use std::io;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};

/// The most rings, and so the most threads that can log at the same time.
pub(crate) const RINGS_MAX: usize = 4096;
/// When memory gets short, rings are made no smaller than this.
const RING_BYTES_FLOOR: usize = 256 << 10;

#[derive(Debug, Default)]
struct Place {
    ring: OnceLock<Ring>,
    /// Calls on the ring when it last came back.
    called: AtomicU64,
    /// How far the ring was filled when it last came back.
    head: AtomicU64,
    /// One of the constants in [`life`].
    life: AtomicU32,
}

/// Whose a ring is.
mod life {
    /// Nobody's, and fit for anybody.
    pub(super) const FREE: u32 = 0;
    /// A thread's.
    pub(super) const LEASED: u32 = 1;
    /// It was lost, and its last thread is gone.
    pub(super) const RETURNED: u32 = 2;
    /// All its calls are accounted for.
    pub(super) const SETTLED: u32 = 3;
    /// Its memory is given up.
    pub(super) const RETIRED: u32 = 4;
}

/// Places of a chunk.
const CHUNK: usize = 64;

/// The places of all rings that there can be, made in chunks as they are asked for: most processes have a handful.
#[derive(Debug)]
struct Places(Box<[OnceLock<Box<[Place]>>]>);

impl Places {
    fn none() -> Self {
        Self((0..RINGS_MAX / CHUNK).map(|_| OnceLock::new()).collect())
    }

    /// The place with this number, as long as there has been a [`make`](Self::make) for it.
    fn get(&self, number: usize) -> Option<&Place> {
        self.0.get(number / CHUNK)?.get()?.get(number % CHUNK)
    }

    /// The same, made if need be; `None` beyond the last.
    fn make(&self, number: usize) -> Option<&Place> {
        let chunk = self.0.get(number / CHUNK)?;
        chunk.get_or_init(|| (0..CHUNK).map(|_| Place::default()).collect()).get(number % CHUNK)
    }
}

/// All rings, and those that no thread has.
#[derive(Debug)]
pub(crate) struct Pool {
    places: Places,
    made: AtomicU32,
    free: ArrayQueue<u16>,
    making: Mutex<()>,
    ring_bytes: usize,
    /// Drops by cause on rings that are settled.
    settled: [AtomicU64; CAUSES],
    /// Records that were lost with rings.
    lost: AtomicU64,
}

impl Pool {
    /// An empty pool of rings of `ring_bytes`.
    pub(crate) fn new(ring_bytes: usize) -> Self {
        Self {
            places: Places::none(),
            made: AtomicU32::new(0),
            free: ArrayQueue::new(RINGS_MAX),
            making: Mutex::new(()),
            ring_bytes,
            settled: [const { AtomicU64::new(0) }; CAUSES],
            lost: AtomicU64::new(0),
        }
    }

    /// A pool of rings that a dead process left, for their consumer; `rings` are in the order of their numbers.
    pub(crate) fn adopt(rings: Vec<Option<Ring>>) -> Self {
        let pool = Self::new(0);
        let made = rings.len().min(RINGS_MAX);
        for (number, ring) in rings.into_iter().take(made).enumerate() {
            if let (Some(place), Some(ring)) = (pool.places.make(number), ring) {
                let _ = place.ring.set(ring);
            }
        }
        pool.made.store(made as u32, Ordering::Release);
        pool
    }

    /// Makes one more ring and puts it among the free ones. System calls and page faults: not for the hot path.
    pub(crate) fn make(&self, memory: &LiveMemory) -> io::Result<()> {
        let number = self.make_ring(memory)?;
        let _ = self.free.push(number);
        Ok(())
    }

    fn make_ring(&self, memory: &LiveMemory) -> io::Result<u16> {
        let _one_at_a_time = self.making.lock().unwrap_or_else(PoisonError::into_inner);
        let made = self.made.load(Ordering::Acquire);
        let number = u16::try_from(made).unwrap_or(u16::MAX);
        let place = self.places.make(usize::from(number)).ok_or_else(|| {
            io::Error::other(format!("{RINGS_MAX} threads have rings already; no more can log at the same time"))
        })?;
        let mut bytes = self.ring_bytes;
        let file = loop {
            match memory.file(&ring_name(number), file_bytes(bytes)) {
                Ok(file) => break file,
                Err(_) if bytes > RING_BYTES_FLOOR => bytes /= 2,
                Err(error) => return Err(error),
            }
        };
        let ring = Ring::create(&file, bytes, number)
            .inspect_err(|_| memory.give_back(&ring_name(number), file_bytes(bytes)))?;
        memory.note_locked(ring.lock());
        let _ = place.ring.set(ring);
        self.made.store(made + 1, Ordering::Release);
        Ok(number)
    }

    /// Takes a free ring, or makes one when there is none (the stated cold exception to invariant 2). The caller is its
    /// only producer until it gives it back.
    pub(crate) fn take(&self, memory: &LiveMemory) -> io::Result<(&Ring, u64)> {
        loop {
            let number = match self.free.pop() {
                Some(number) => number,
                None => self.make_ring(memory)?,
            };
            let place = self.places.get(usize::from(number)).ok_or_else(|| io::Error::other("no such ring"))?;
            let ring = place.ring.get().ok_or_else(|| io::Error::other("no such ring"))?;
            // A head that is not where its last thread left it would not be found by the writer again.
            if ring.header().produced.head.load(Ordering::Acquire) != place.head.load(Ordering::Acquire) {
                ring.mark_lost();
            }
            if ring.is_lost() {
                place.life.store(life::RETURNED, Ordering::Release);
                continue;
            }
            place.life.store(life::LEASED, Ordering::Release);
            return Ok((ring, place.called.load(Ordering::Acquire)));
        }
    }

    /// Gives a ring back after `called` calls on it, filled up to `head`.
    pub(crate) fn give_back(&self, number: u16, called: u64, head: u64) {
        let Some(place) = self.places.get(usize::from(number)) else { return };
        place.called.store(called, Ordering::Release);
        place.head.store(head, Ordering::Release);
        if place.ring.get().is_some_and(Ring::is_lost) {
            place.life.store(life::RETURNED, Ordering::Release);
        } else {
            place.life.store(life::FREE, Ordering::Release);
            let _ = self.free.push(number);
        }
    }

    /// By the writer: whether a lost ring has no thread any more, so that its count of calls is final.
    pub(crate) fn is_returned(&self, number: usize) -> bool {
        self.places.get(number).is_some_and(|place| place.life.load(Ordering::Acquire) == life::RETURNED)
    }

    /// By the writer: all calls on a lost ring that was returned are in the journal or stated as drops; these are all drops
    /// on it, by cause.
    pub(crate) fn settle(&self, number: usize, dropped: &[u64; CAUSES]) {
        let Some(place) = self.places.get(number) else { return };
        for (sum, count) in self.settled.iter().zip(dropped) {
            sum.fetch_add(*count, Ordering::Relaxed);
        }
        place.life.store(life::SETTLED, Ordering::Release);
    }

    /// Whether [`settle`](Self::settle) was called for a ring.
    pub(crate) fn is_settled(&self, number: usize) -> bool {
        self.places.get(number).is_some_and(|place| place.life.load(Ordering::Acquire) >= life::SETTLED)
    }

    /// Gives up the memory of rings that are settled.
    pub(crate) fn retire(&self, memory: &LiveMemory) {
        for number in 0..self.made() {
            let Some(place) = self.places.get(number) else { continue };
            let retired = || {
                let (from, to) = (life::SETTLED, life::RETIRED);
                place.life.compare_exchange(from, to, Ordering::AcqRel, Ordering::Relaxed).is_ok()
            };
            if let Some(ring) = place.ring.get()
                && retired()
            {
                ring.memory().discard();
                memory.give_back(&ring_name(number as u16), file_bytes(ring.capacity() as usize));
            }
        }
    }

    /// By the writer: so many more records were lost with rings.
    pub(crate) fn count_lost(&self, count: u64) {
        self.lost.fetch_add(count, Ordering::Relaxed);
    }

    /// Records that were lost with rings.
    pub(crate) fn lost(&self) -> u64 {
        self.lost.load(Ordering::Relaxed)
    }

    /// Drops by cause, on all rings.
    pub(crate) fn dropped(&self) -> [u64; CAUSES] {
        let mut sums = self.settled.each_ref().map(|sum| sum.load(Ordering::Relaxed));
        for (number, ring) in self.rings().enumerate() {
            if self.is_settled(number) {
                continue;
            }
            for (sum, count) in sums.iter_mut().zip(&ring.header().refused.dropped) {
                *sum = sum.saturating_add(count.load(Ordering::Relaxed));
            }
        }
        sums
    }

    /// Free rings.
    pub(crate) fn free(&self) -> usize {
        self.free.len()
    }

    /// Rings that exist.
    pub(crate) fn made(&self) -> usize {
        self.made.load(Ordering::Acquire) as usize
    }

    /// The ring with this number.
    pub(crate) fn ring(&self, number: usize) -> Option<&Ring> {
        self.places.get(number)?.ring.get()
    }

    /// All rings that exist now.
    pub(crate) fn rings(&self) -> impl Iterator<Item = &Ring> {
        (0..self.made()).filter_map(|number| self.ring(number))
    }
}
