//! A ring in shared memory.
//!
//! ```text
//! file   ┌ header page ┬ data: capacity, a power of two and of pages ┐
//! mapped ┌ header page ┬ data ┬ the same data again ┐      private: ┌ Handle ┐ wiped in forked children
//! ```

use super::handle::Handle;
use super::protocol::{Producer, RingHeader};
use crate::sys::map::{Mapping, page_bytes};
use std::fs::File;
use std::io;
use std::mem::offset_of;
use std::ptr;
use std::sync::atomic::{AtomicPtr, AtomicU64, Ordering};

/// First word of a ring file.
pub(crate) const MAGIC: u64 = u64::from_le_bytes(*b"TACHORNG");
/// The smallest ring.
pub(crate) const RING_BYTES_MIN: usize = 64 * 1024;

/// A mapped ring, with the page that its producer works on.
#[derive(Debug)]
pub(crate) struct Ring {
    shared: Mapping,
    private: Mapping,
    capacity: usize,
    /// Where the data begins in `shared`.
    header_bytes: usize,
    number: u16,
    /// Records on it that say which thread follows; they are calls to the ring, but not to who logs.
    announced: AtomicU64,
}

/// Bytes of the file of a ring with `capacity` bytes of data.
pub(crate) fn file_bytes(capacity: usize) -> usize {
    page_bytes() + capacity
}

impl Ring {
    /// Maps the ring that stands, or is to stand, in `file`, which is allocated with [`file_bytes`].
    pub(crate) fn map(file: &File, capacity: usize, number: u16) -> io::Result<Self> {
        let header_bytes = page_bytes();
        debug_assert!(capacity.is_power_of_two() && capacity.is_multiple_of(header_bytes));
        debug_assert!(size_of::<RingHeader>() <= header_bytes);
        let shared = Mapping::mirrored(file, header_bytes, capacity)?;
        let private = Mapping::wiped_on_fork(header_bytes)?;
        Ok(Self { shared, private, capacity, header_bytes, number, announced: AtomicU64::new(0) })
    }

    /// Makes a new ring in `file`, every page present.
    pub(crate) fn create(file: &File, capacity: usize, number: u16) -> io::Result<Self> {
        let ring = Self::map(file, capacity, number)?;
        ring.shared.populate();
        let fixed = &ring.header().fixed;
        fixed.capacity.store(capacity as u64, Ordering::Relaxed);
        fixed.number.store(u64::from(number), Ordering::Relaxed);
        fixed.magic.store(MAGIC, Ordering::Release);
        Ok(ring)
    }

    /// Maps the ring that a dead process left in `file`.
    pub(crate) fn adopt(file: &File, number: u16) -> io::Result<Self> {
        let damaged = || io::Error::new(io::ErrorKind::InvalidData, "not a ring");
        let bytes = usize::try_from(file.metadata()?.len()).map_err(|_| damaged())?;
        let capacity = bytes.checked_sub(page_bytes()).ok_or_else(damaged)?;
        if !capacity.is_power_of_two() || capacity < RING_BYTES_MIN || !capacity.is_multiple_of(page_bytes()) {
            return Err(damaged());
        }
        let ring = Self::map(file, capacity, number)?;
        if ring.is_whole() { Ok(ring) } else { Err(damaged()) }
    }

    /// The shared words.
    pub(crate) fn header(&self) -> &RingHeader {
        // SAFETY: the first page of the mapping is a header for as long as the mapping lives; all its fields are
        // atomics, for which any bytes are valid.
        unsafe { &*self.shared.as_ptr().cast::<RingHeader>() }
    }

    /// Bytes of data.
    pub(crate) fn capacity(&self) -> u64 {
        self.capacity as u64
    }

    /// The ring's number in its process.
    pub(crate) fn number(&self) -> u16 {
        self.number
    }

    /// The first data byte; twice the capacity may be read from here.
    pub(crate) fn data(&self) -> *mut u8 {
        self.shared.as_ptr().wrapping_add(self.header_bytes)
    }

    /// The producer's page as it is; zeroed before the first [`arm`](Self::arm) and in forked children.
    pub(crate) fn handle(&self) -> *const Handle {
        self.private.as_ptr().cast()
    }

    /// Makes the handle ready for a (new) producer thread, which continues the ring where it stands.
    ///
    /// The caller must hold the ring alone: it came out of the pool.
    pub(crate) fn arm(&self, clock: *const AtomicU64, payload_bytes_max: u32, called: u64) {
        // SAFETY: the private page is writable, aligned and larger than a handle. This field and those below are the new
        // producer's alone: whoever closes the ring meanwhile uses `ring` and `producer` only, see `close`.
        unsafe { self.field::<*mut u8>(offset_of!(Handle, data)).write(self.data()) };
        // SAFETY: as above.
        unsafe { self.field::<u64>(offset_of!(Handle, mask)).write(self.capacity as u64 - 1) };
        // SAFETY: as above.
        unsafe { self.field::<u32>(offset_of!(Handle, number)).write(u32::from(self.number) << 16) };
        // SAFETY: as above.
        unsafe { self.field::<u32>(offset_of!(Handle, payload_bytes_max)).write(payload_bytes_max) };
        // SAFETY: as above.
        unsafe { self.field::<*const AtomicU64>(offset_of!(Handle, clock)).write(clock) };
        self.producer().attach(self.header(), self.capacity as u64, called);
        // SYNC POINT with the load in `close`: the producer is attached.
        self.armed().store(ptr::from_ref(self.header()).cast_mut(), Ordering::Release);
    }

    /// From any thread: the ring takes no more records. Nothing in a ring that was never armed, or in a forked child.
    pub(crate) fn close(&self) {
        // SYNC POINT with the store in `arm`.
        if !self.armed().load(Ordering::Acquire).is_null() {
            self.producer().close();
        }
    }

    /// [`Handle::ring`] by itself: the rest of the handle is another thread's.
    fn armed(&self) -> &AtomicPtr<RingHeader> {
        // SAFETY: the page lives as long as `self`, is aligned, and zeros are a valid null pointer; an atomic may be shared.
        unsafe { &*self.field::<AtomicPtr<RingHeader>>(offset_of!(Handle, ring)) }
    }

    /// [`Handle::producer`] by itself. All its fields are cells and atomics; the cells are used by the producer's thread only.
    fn producer(&self) -> &Producer {
        // SAFETY: the page lives as long as `self`, is aligned, and zeros are a valid producer.
        unsafe { &*self.field::<Producer>(offset_of!(Handle, producer)) }
    }

    /// A field of the handle, by its offset.
    fn field<T>(&self, offset: usize) -> *mut T {
        self.private.as_ptr().wrapping_add(offset).cast()
    }

    /// Keeps the ring's pages from being swapped out, where the limit allows it.
    pub(crate) fn lock(&self) -> bool {
        self.shared.lock()
    }

    /// Its shared memory.
    pub(crate) fn memory(&self) -> &Mapping {
        &self.shared
    }

    /// Whether somebody truncated, removed or overwrote it: it takes no further thread, and what it cannot account for is
    /// lost.
    #[inline]
    pub(crate) fn is_lost(&self) -> bool {
        self.shared.is_lost()
    }

    /// Whether what is stored once still stands there.
    pub(crate) fn is_whole(&self) -> bool {
        let fixed = &self.header().fixed;
        fixed.magic.load(Ordering::Acquire) == MAGIC
            && fixed.capacity.load(Ordering::Relaxed) == self.capacity as u64
            && fixed.number.load(Ordering::Relaxed) == u64::from(self.number)
    }

    /// From now on [`is_lost`](Self::is_lost).
    pub(crate) fn mark_lost(&self) {
        self.shared.mark_lost();
    }

    /// Whether a call is in progress, as its producer says for itself.
    pub(crate) fn is_busy(&self) -> bool {
        self.producer().is_busy()
    }

    /// By its producer's thread: it has said who it is.
    pub(crate) fn count_announced(&self) {
        self.announced.fetch_add(1, Ordering::Relaxed);
    }

    /// How many threads have said on this ring who they are.
    pub(crate) fn announced(&self) -> u64 {
        self.announced.load(Ordering::Relaxed)
    }

    /// Calls on the ring so far, dropped ones included, as its producer counts them for itself.
    pub(crate) fn called(&self) -> u64 {
        self.producer().called()
    }
}

const _: () = assert!(size_of::<Handle>() <= 4096);
