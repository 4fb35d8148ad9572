//! One entry of the table of mapped ranges: who claims it, who reads it, and how a lost page is replaced once.
//!
//! The words are guarded by a version, which is changed before and after them: a reader has all of them as they were at
//! one time, or none. Whoever faults in a range has it mapped, so its entry stands still while the fault is handled.

use crate::sync::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering, fence, spin_loop};

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

impl Range {
    pub(super) fn free() -> Self {
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

    /// Puts a mapping of `process` here; `false` where there is one.
    pub(super) fn claim(&self, shape: Shape, process: u32) -> bool {
        let version = self.version.load(Ordering::Relaxed);
        let claim = || self.version.compare_exchange(version, version | CHANGING, Ordering::AcqRel, Ordering::Relaxed);
        if version % STATES != FREE || claim().is_err() {
            return false;
        }
        // Whoever sees a word stored below sees the version changed.
        fence(Ordering::Release);
        self.process.store(process, Ordering::Relaxed);
        self.base.store(shape.base, Ordering::Relaxed);
        self.bytes.store(shape.bytes, Ordering::Relaxed);
        self.mirror.store(shape.mirror, Ordering::Relaxed);
        // A fork may have copied it in the midst of a parent's fault.
        self.busy.store(false, Ordering::Relaxed);
        self.renew(shape);
        // SYNC POINT with the first load in `read`.
        self.version.store((version | CHANGING) - CHANGING + LIVE, Ordering::Release);
        true
    }

    /// Takes the mapping out, by who put it here.
    pub(super) fn release(&self) {
        let version = self.version.load(Ordering::Relaxed);
        // The next use has another version, so that a reader that slept in between notices.
        self.version.store((version / STATES + 1) * STATES + FREE, Ordering::Release);
    }

    /// The entry's words, if it is live, of `process`, and did not change meanwhile.
    pub(super) fn read(&self, process: u32) -> Option<Shape> {
        // SYNC POINT with the store of a live version in `claim`.
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
    pub(super) fn mend(
        &self,
        shape: Shape,
        offset: usize,
        page: usize,
        mut replace: impl FnMut(Patch) -> bool,
    ) -> bool {
        loop {
            if let Some(done) = self.try_mend(shape, offset, page, &mut replace) {
                return done;
            }
            // The holder is another thread, in this same handler, which no signal interrupts.
            spin_loop();
        }
    }

    /// The same; `None` while another thread is at it.
    fn try_mend(
        &self,
        shape: Shape,
        offset: usize,
        page: usize,
        replace: &mut impl FnMut(Patch) -> bool,
    ) -> Option<bool> {
        // SYNC POINT with the store below: what the holder before replaced is there.
        if self.busy.swap(true, Ordering::Acquire) {
            return None;
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
        Some(done)
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

#[cfg(all(test, loom))]
mod models {
    //! `RUSTFLAGS="--cfg loom" cargo test --lib --release models`

    use super::*;
    use loom::sync::Arc;
    use loom::thread;

    const ONE: Shape = Shape { base: 0x1000, bytes: 0x2000, mirror: 0x2000 };
    const OTHER: Shape = Shape { base: 0x7000, bytes: 0x9000, mirror: 0x1000 };

    #[test]
    fn models_an_entry_that_is_used_again_is_read_whole_or_not_at_all() {
        loom::model(|| {
            let range = Arc::new(Range::free());
            assert!(range.claim(ONE, 1));
            let theirs = Arc::clone(&range);
            let owner = thread::spawn(move || {
                theirs.release();
                assert!(theirs.claim(OTHER, 1));
            });
            if let Some(read) = range.read(1) {
                assert!([ONE, OTHER].contains(&read), "{read:?}");
            }
            owner.join().unwrap();
            assert_eq!(range.read(1), Some(OTHER));
        });
    }

    #[test]
    fn models_an_entry_is_no_other_process_s() {
        loom::model(|| {
            let range = Arc::new(Range::free());
            assert!(range.claim(ONE, 1));
            let theirs = Arc::clone(&range);
            let owner = thread::spawn(move || {
                theirs.release();
                assert!(theirs.claim(OTHER, 2));
            });
            assert!(range.read(1).is_none_or(|read| read == ONE));
            owner.join().unwrap();
            assert_eq!((range.read(1), range.read(2)), (None, Some(OTHER)));
        });
    }

    #[test]
    fn models_an_entry_is_claimed_once() {
        loom::model(|| {
            let range = Arc::new(Range::free());
            let theirs = Arc::clone(&range);
            let other = thread::spawn(move || theirs.claim(OTHER, 1));
            let mine = range.claim(ONE, 1);
            let other = other.join().unwrap();
            assert!(mine != other, "{mine} {other}");
            assert_eq!(range.read(1), Some(if mine { ONE } else { OTHER }));
        });
    }

    /// Two threads fault in one page, or in two of which one's replacement covers the other's.
    fn faults(first: usize, second: usize) {
        loom::model(move || {
            let range = Arc::new(Range::free());
            assert!(range.claim(ONE, 1));
            let replaced = Arc::new([AtomicU64::new(0), AtomicU64::new(0)]);
            let fault = |range: &Range, replaced: &[AtomicU64; 2], offset: usize| {
                let done = range.try_mend(ONE, offset, 0x1000, &mut |patch: Patch| {
                    let from = (patch.start - ONE.base) / 0x1000;
                    for page in &replaced[from..from + patch.bytes / 0x1000] {
                        // Not an atomic addition: none but this thread may be here.
                        page.store(page.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
                    }
                    true
                });
                // Who finds the other at it would try again: loom does not bear that one waits. Who comes second finds the
                // page there that the first one put.
                if let Some(done) = done {
                    assert!(done && replaced[offset / 0x1000].load(Ordering::Relaxed) == 1);
                    assert!(range.is_lost());
                }
            };
            let theirs = (Arc::clone(&range), Arc::clone(&replaced));
            let other = thread::spawn(move || fault(&theirs.0, &theirs.1, second));
            fault(&range, &replaced, first);
            other.join().unwrap();
            assert!(replaced.iter().all(|page| page.load(Ordering::Relaxed) <= 1));
        });
    }

    #[test]
    fn models_a_page_is_replaced_once() {
        faults(0x1004, 0x1ff8);
    }

    #[test]
    fn models_a_page_within_what_another_thread_replaces_is_replaced_once() {
        faults(0x4, 0x1004);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_replaced_is_not_replaced_again_and_a_mirror_in_both_halves() {
        let shape = Shape { base: 1 << 41, bytes: 0x9000, mirror: 0x1000 };
        let range = Range::free();
        assert!(range.claim(shape, 1) && !range.claim(shape, 1));
        let mend = |offset: usize| {
            let mut patch = None;
            assert!(range.mend(shape, offset, 0x1000, |wanted| {
                patch = Some((wanted.start - shape.base, wanted.bytes, wanted.twin.map(|twin| twin - shape.base)));
                true
            }));
            patch
        };
        assert!(!range.is_lost());
        assert_eq!(mend(0x3004), Some((0x3000, 0x2000, Some(0x7000))));
        assert!(range.is_lost());
        assert_eq!(mend(0x8000), None, "the twin of a page that was replaced");
        assert_eq!(mend(0x5000), Some((0x1000, 0x2000, Some(0x5000))));
        assert_eq!(mend(0x10), Some((0, 0x1000, None)));
        assert!((0..0x9000).step_by(0x1000).all(|offset| mend(offset).is_none()));
        range.renew(shape);
        assert!(!range.is_lost());
        assert!(!range.mend(shape, 0, 0x1000, |_| false));
        assert!(!range.is_lost());
    }
}
