//! The table of mapped ranges that the handler of SIGBUS looks faults up in.
//!
//! Lock-free and async-signal-safe to read: chunks of entries that are never freed, each entry guarded by a version
//! that is changed before and after its words. Whoever faults in a range has it mapped, so its entry stands still
//! while the fault is handled; what can change under the reader's eyes is somebody else's, and only must not be taken
//! for the range that is looked for.
//!
//! Entries bear the number of the process: a forked child has its parent's mappings, but no business in them.

use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicU32, AtomicU64, AtomicUsize, Ordering, fence};

/// Entries of a chunk; the first chunk is static, further ones are made when it is full.
const CHUNK: usize = 256;
/// The low bits of a version.
const FREE: u64 = 0;
const CHANGING: u64 = 1;
const LIVE: u64 = 2;
const STATES: u64 = 4;

/// How a range is laid out.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Shape {
    /// First address, of a page.
    pub(crate) base: usize,
    /// Bytes mapped.
    pub(crate) bytes: usize,
    /// Offset of the first of two mappings of the same data, each up to half of what is behind it; `bytes` for none.
    pub(crate) mirror: usize,
}

/// A mapped range, and whether its memory is still the file's.
#[derive(Debug)]
pub(crate) struct Range {
    version: AtomicU64,
    process: AtomicU32,
    base: AtomicUsize,
    bytes: AtomicUsize,
    mirror: AtomicUsize,
    /// From this offset on the header part was replaced.
    head_lost: AtomicUsize,
    /// From this offset behind `mirror` on the data was replaced.
    data_lost: AtomicUsize,
    /// Somebody found that the memory is not what it was.
    lost: AtomicBool,
    /// A handler is at work.
    busy: AtomicBool,
}

struct Chunk {
    ranges: [Range; CHUNK],
    next: AtomicPtr<Chunk>,
}

static FIRST: Chunk = Chunk::new();

impl Chunk {
    const fn new() -> Self {
        Self { ranges: [const { Range::free() }; CHUNK], next: AtomicPtr::new(ptr::null_mut()) }
    }

    fn next(&self) -> Option<&'static Self> {
        // SAFETY: null, or a chunk that was leaked by `all_or_more`.
        unsafe { self.next.load(Ordering::Acquire).as_ref() }
    }

    /// The chunk behind this one, made if need be.
    fn next_or_new(&self) -> &'static Self {
        if let Some(next) = self.next() {
            return next;
        }
        let made = Box::into_raw(Box::new(Self::new()));
        match self.next.compare_exchange(ptr::null_mut(), made, Ordering::AcqRel, Ordering::Acquire) {
            // SAFETY: it was just made, and is never freed.
            Ok(_) => unsafe { &*made },
            Err(theirs) => {
                // SAFETY: nobody has seen ours.
                drop(unsafe { Box::from_raw(made) });
                // SAFETY: not null, and never freed.
                unsafe { &*theirs }
            }
        }
    }
}

fn chunks() -> impl Iterator<Item = &'static Chunk> {
    std::iter::successors(Some(&FIRST), |chunk| chunk.next())
}

/// The live range of the calling process that `address` lies in. Async-signal-safe.
pub(super) fn find(address: usize, process: u32) -> Option<(&'static Range, Shape)> {
    chunks().flat_map(|chunk| &chunk.ranges).find_map(|range| {
        let shape = range.read(process)?;
        let within = (shape.base..shape.base.saturating_add(shape.bytes)).contains(&address);
        within.then_some((range, shape))
    })
}

impl Range {
    const fn free() -> Self {
        Self {
            version: AtomicU64::new(FREE),
            process: AtomicU32::new(0),
            base: AtomicUsize::new(0),
            bytes: AtomicUsize::new(0),
            mirror: AtomicUsize::new(0),
            head_lost: AtomicUsize::new(0),
            data_lost: AtomicUsize::new(0),
            lost: AtomicBool::new(false),
            busy: AtomicBool::new(false),
        }
    }

    /// The entry's words, if it is live, of `process`, and did not change meanwhile.
    fn read(&self, process: u32) -> Option<Shape> {
        // SYNC POINT with the store of a live version in `register`.
        let version = self.version.load(Ordering::Acquire);
        if version % STATES != LIVE || self.process.load(Ordering::Relaxed) != process {
            return None;
        }
        let shape = Shape {
            base: self.base.load(Ordering::Relaxed),
            bytes: self.bytes.load(Ordering::Relaxed),
            mirror: self.mirror.load(Ordering::Relaxed),
        };
        fence(Ordering::Acquire);
        (self.version.load(Ordering::Relaxed) == version).then_some(shape)
    }

    /// Whether the memory is no longer what its file had.
    pub(crate) fn is_lost(&self) -> bool {
        self.lost.load(Ordering::Acquire)
    }

    /// Says that it is not.
    pub(crate) fn mark_lost(&self) {
        self.lost.store(true, Ordering::Release);
    }

    /// The range was mapped anew, onto another file.
    pub(super) fn renew(&self, shape: Shape) {
        self.head_lost.store(shape.mirror, Ordering::Relaxed);
        self.data_lost.store(shape.bytes.saturating_sub(shape.mirror) / 2, Ordering::Relaxed);
        self.lost.store(false, Ordering::Release);
    }

    /// Runs `replace` with what is to be replaced so that `offset` is there again; one thread at a time, and not where
    /// another has done it meanwhile. `false` when it failed. Async-signal-safe.
    pub(super) fn mend(&self, shape: Shape, offset: usize, page: usize, replace: impl FnOnce(Patch) -> bool) -> bool {
        // The holder is another thread, in this same handler, which no signal interrupts.
        while self.busy.swap(true, Ordering::Acquire) {
            std::hint::spin_loop();
        }
        let data_bytes = (shape.bytes - shape.mirror) / 2;
        let (lost, at) = match offset.checked_sub(shape.mirror) {
            None => (&self.head_lost, offset),
            Some(behind) => (&self.data_lost, if behind < data_bytes { behind } else { behind - data_bytes }),
        };
        let from = at - at % page;
        let to = lost.load(Ordering::Relaxed);
        let done = from >= to || {
            let start = if offset < shape.mirror { from } else { shape.mirror + from };
            let twin = (offset >= shape.mirror).then_some(start + data_bytes);
            replace(Patch { start: shape.base + start, bytes: to - from, twin: twin.map(|twin| shape.base + twin) })
        };
        if done {
            lost.fetch_min(from, Ordering::Relaxed);
            self.mark_lost();
        }
        self.busy.store(false, Ordering::Release);
        done
    }
}

/// Memory to be replaced.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Patch {
    pub(super) start: usize,
    pub(super) bytes: usize,
    /// Where the same memory is mapped once more.
    pub(super) twin: Option<usize>,
}

/// A range in the table; gone from it on drop, which must come before the memory is unmapped.
#[derive(Debug)]
pub(crate) struct Registered {
    range: &'static Range,
    pub(crate) shape: Shape,
}

/// Puts a mapping of the calling process into the table. Lock-free; allocates when many ranges are mapped.
pub(crate) fn register(shape: Shape) -> Registered {
    let mut chunk = &FIRST;
    loop {
        for range in &chunk.ranges {
            let version = range.version.load(Ordering::Relaxed);
            let claim =
                || range.version.compare_exchange(version, version | CHANGING, Ordering::AcqRel, Ordering::Relaxed);
            if version % STATES == FREE && claim().is_ok() {
                // Whoever sees a word stored below sees the version changed.
                fence(Ordering::Release);
                range.process.store(std::process::id(), Ordering::Relaxed);
                range.base.store(shape.base, Ordering::Relaxed);
                range.bytes.store(shape.bytes, Ordering::Relaxed);
                range.mirror.store(shape.mirror, Ordering::Relaxed);
                // A fork may have copied it in the midst of a parent's fault.
                range.busy.store(false, Ordering::Relaxed);
                range.renew(shape);
                // SYNC POINT with the load in `read`.
                range.version.store((version | CHANGING) - CHANGING + LIVE, Ordering::Release);
                return Registered { range, shape };
            }
        }
        chunk = chunk.next_or_new();
    }
}

impl Registered {
    /// Its entry.
    pub(crate) fn range(&self) -> &'static Range {
        self.range
    }

    /// The range was mapped anew, onto another file.
    pub(crate) fn renew(&self) {
        self.range.renew(self.shape);
    }
}

impl Drop for Registered {
    fn drop(&mut self) {
        let version = self.range.version.load(Ordering::Relaxed);
        // The next use has another version, so that a reader that slept in between notices.
        self.range.version.store((version / STATES + 1) * STATES + FREE, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Addresses that no mapping has.
    const FAR: usize = 1 << 40;

    fn me() -> u32 {
        std::process::id()
    }

    #[test]
    fn ranges_are_found_while_they_are_registered_and_by_their_process_only() {
        let shape = |index: usize| Shape { base: FAR + index * 0x4000, bytes: 0x2000, mirror: 0x2000 };
        let all: Vec<Registered> = (0..3 * CHUNK).map(|index| register(shape(index))).collect();
        for index in [0, 1, CHUNK, 3 * CHUNK - 1] {
            let found = |address| find(address, me()).map(|(_, shape)| shape);
            assert_eq!(found(shape(index).base), Some(shape(index)));
            assert_eq!(found(shape(index).base + 0x1fff), Some(shape(index)));
            assert_eq!(found(shape(index).base + 0x2000), None);
            assert!(find(shape(index).base, me() + 1).is_none());
        }
        drop(all);
        assert!(find(shape(0).base, me()).is_none() && find(shape(3 * CHUNK - 1).base, me()).is_none());
    }

    #[test]
    fn what_was_replaced_is_not_replaced_again_and_a_mirror_in_both_halves() {
        let shape = Shape { base: FAR << 1, bytes: 0x9000, mirror: 0x1000 };
        let registered = register(shape);
        let mend = |offset: usize| {
            let mut patch = None;
            assert!(registered.range().mend(shape, offset, 0x1000, |wanted| {
                patch = Some((wanted.start - shape.base, wanted.bytes, wanted.twin.map(|twin| twin - shape.base)));
                true
            }));
            patch
        };
        assert!(!registered.range().is_lost());
        assert_eq!(mend(0x3004), Some((0x3000, 0x2000, Some(0x7000))));
        assert!(registered.range().is_lost());
        assert_eq!(mend(0x8000), None, "the twin of a page that was replaced");
        assert_eq!(mend(0x5000), Some((0x1000, 0x2000, Some(0x5000))));
        assert_eq!(mend(0x10), Some((0, 0x1000, None)));
        assert!((0..0x9000).step_by(0x1000).all(|offset| mend(offset).is_none()));
        registered.renew();
        assert!(!registered.range().is_lost());
        assert!(!registered.range().mend(shape, 0, 0x1000, |_| false));
        assert!(!registered.range().is_lost());
    }

    #[test]
    fn a_reader_never_sees_half_of_an_entry() {
        let stop = AtomicBool::new(false);
        let (low, high) = (Shape { base: FAR << 2, bytes: 0x1000, mirror: 0x1000 }, FAR << 3);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    drop(register(low));
                    // With the base of the other this one's length would reach over `high`.
                    drop(register(Shape { base: (FAR << 3) + (FAR << 2), bytes: FAR << 4, mirror: FAR << 4 }));
                }
            });
            for _ in 0..200_000 {
                assert!(find(high, me()).is_none());
            }
            stop.store(true, Ordering::Relaxed);
        });
    }
}
