//! The table of mapped ranges that the handler of SIGBUS looks faults up in.
//!
//! Lock-free and async-signal-safe to read: chunks of [entries](Range) that are never freed. What can change under the
//! reader's eyes is somebody else's entry, and only must not be taken for the range that is looked for.
//!
//! Entries bear the number of the process: a forked child has its parent's mappings, but no business in them.

pub(crate) use super::entry::{Range, Shape};

use std::ptr;
use std::sync::atomic::{AtomicPtr, Ordering};

/// Entries of a chunk; another one is made when all are full.
const CHUNK: usize = 256;

struct Chunk {
    ranges: [Range; CHUNK],
    next: Link,
}

/// The way to a chunk, which is made when it is needed.
struct Link(AtomicPtr<Chunk>);

static FIRST: Link = Link::to_none();

impl Link {
    const fn to_none() -> Self {
        Self(AtomicPtr::new(ptr::null_mut()))
    }

    /// The chunk, if there is one. Async-signal-safe.
    fn get(&self) -> Option<&'static Chunk> {
        // SAFETY: null, or a chunk that was leaked by `get_or_make`.
        unsafe { self.0.load(Ordering::Acquire).as_ref() }
    }

    fn get_or_make(&self) -> &'static Chunk {
        if let Some(chunk) = self.get() {
            return chunk;
        }
        let ranges = std::array::from_fn(|_| Range::free());
        let made = Box::into_raw(Box::new(Chunk { ranges, next: Self::to_none() }));
        match self.0.compare_exchange(ptr::null_mut(), made, Ordering::AcqRel, Ordering::Acquire) {
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
    std::iter::successors(FIRST.get(), |chunk| chunk.next.get())
}

/// The live range of the calling process that `address` lies in. Async-signal-safe.
pub(super) fn find(address: usize, process: u32) -> Option<(&'static Range, Shape)> {
    chunks().flat_map(|chunk| &chunk.ranges).find_map(|range| {
        let shape = range.read(process)?;
        let within = (shape.base..shape.base.saturating_add(shape.bytes)).contains(&address);
        within.then_some((range, shape))
    })
}

/// A range in the table; gone from it on drop, which must come before the memory is unmapped.
#[derive(Debug)]
pub(crate) struct Registered {
    range: &'static Range,
    pub(crate) shape: Shape,
}

/// Puts a mapping of the calling process into the table. Lock-free; allocates when many ranges are mapped.
pub(crate) fn register(shape: Shape) -> Registered {
    let process = std::process::id();
    let mut chunk = FIRST.get_or_make();
    loop {
        if let Some(range) = chunk.ranges.iter().find(|range| range.claim(shape, process)) {
            return Registered { range, shape };
        }
        chunk = chunk.next.get_or_make();
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
        self.range.release();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicBool;

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
