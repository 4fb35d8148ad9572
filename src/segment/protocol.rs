//! Who may touch which bytes of a live segment, and when: the orders of loads and stores, without the memory.
//!
//! A frame, by the one writer: everything of it but its first word is stored, then the first word of the frame to come
//! is zeroed, then the frame's first word is stored with release ([`publish`]). A reader that loads a first word with
//! acquire ([`published_bytes`]) and finds it set sees the frame and the zero behind it.
//!
//! A slot goes round like this; each arrow is a release store that the next one loads with acquire:
//!
//! ```text
//! writer: begin_use, header, name(n) ──▶ worker: holds(n)
//! writer: frames, seal(end)          ──▶ worker: end() first, then what is published; all of it on disk: free
//! worker: free                       ──▶ writer: is_free, begin_use, …
//! ```
//!
//! Who reads a slot without being the one who frees it (another process) compares the number before and after the copy:
//! [`Slot::begin_use`] takes the number away before a byte is changed.

use super::layout::UNIT_BYTES;
use crate::sync::{AtomicU32, AtomicU64, Ordering, fence};

/// Publishes a frame of which all but the first word was stored; `next` is the first word of the frame to come.
#[inline(always)]
pub(crate) fn publish(first: &AtomicU32, word: u32, next: &AtomicU32) {
    next.store(0, Ordering::Relaxed);
    // SYNC POINT with the load in `published_bytes`: the frame and the zero word behind it are there.
    first.store(word.to_le(), Ordering::Release);
}

/// Bytes of the frame that begins with `first`, as its writer says; 0 when it is not published yet.
#[inline(always)]
pub(crate) fn published_bytes(first: &AtomicU32) -> usize {
    // SYNC POINT with the store of the first word in `publish`.
    let word = u32::from_le(first.load(Ordering::Acquire));
    (word & 0xffff) as usize * UNIT_BYTES
}

/// The words of one live segment: file `live.<index>`.
#[derive(Debug)]
#[repr(C)]
pub struct Slot {
    /// Number of the segment that the slot holds, 0 for none. Changed only while no reader may use the slot: a reader
    /// loads it before and after copying bytes, and throws them away when it changed.
    pub(crate) number: AtomicU64,
    /// 0 while the segment grows, then the offset behind its last frame.
    pub(crate) end: AtomicU64,
    /// 0 until the worker has all of the segment on disk, then `end`: the slot is free.
    ///
    /// Not the worker's progress: that could reach the end before the worker knows that it is the end, and the slot
    /// would be used again under its hands.
    archived: AtomicU64,
    reserved: AtomicU64,
}

impl Slot {
    /// By the writer: the bytes are about to change.
    pub(crate) fn begin_use(&self) {
        self.number.store(0, Ordering::Relaxed);
        // Readers of other processes that still copy must find out: whoever sees a byte stored behind this fence sees
        // the number gone.
        fence(Ordering::Release);
        self.end.store(0, Ordering::Relaxed);
        self.archived.store(0, Ordering::Relaxed);
    }

    /// By the writer: the header, and the zero word behind it, of segment `number` are there.
    pub(crate) fn name(&self, number: u64) {
        // SYNC POINT with the load in `holds`.
        self.number.store(number, Ordering::Release);
    }

    /// Whether the slot holds segment `number`.
    pub(crate) fn holds(&self, number: u64) -> bool {
        // SYNC POINT with the store in `name`.
        self.number.load(Ordering::Acquire) == number
    }

    /// By the writer: the segment ends at `end`, where all of it is published.
    pub(crate) fn seal(&self, end: u64) {
        // SYNC POINT with the load in `end`.
        self.end.store(end, Ordering::Release);
    }

    /// Where the segment ends; 0 while it grows. Loaded before its bytes, all of which are then published.
    pub(crate) fn end(&self) -> u64 {
        // SYNC POINT with the store in `seal`.
        self.end.load(Ordering::Acquire)
    }

    /// By the worker: all of the sealed segment is on disk, and nobody in this process reads the slot any more.
    pub(crate) fn free(&self) {
        // SYNC POINT with the loads in `is_free` and `is_archived_to`: what was read, was read before.
        self.archived.store(self.end.load(Ordering::Relaxed), Ordering::Release);
    }

    /// A slot that never held a segment.
    pub(crate) fn empty() -> Self {
        let zero = || AtomicU64::new(0);
        Self { number: zero(), end: zero(), archived: zero(), reserved: zero() }
    }

    /// Takes over what another slot says.
    pub(crate) fn copy_from(&self, other: &Self) {
        self.begin_use();
        self.archived.store(other.archived.load(Ordering::Relaxed), Ordering::Relaxed);
        self.seal(other.end());
        self.name(other.number.load(Ordering::Acquire));
    }

    /// Whether somebody has put all of a segment that ends at `end` on disk.
    pub(crate) fn is_archived_to(&self, end: u64) -> bool {
        // SYNC POINT with the store in `free`.
        end != 0 && self.archived.load(Ordering::Acquire) == end
    }

    /// Whether the writer may use the slot: it never held a segment, or that is on disk.
    pub(crate) fn is_free(&self) -> bool {
        let end = self.end.load(Ordering::Acquire);
        if end == 0 {
            return self.number.load(Ordering::Relaxed) == 0;
        }
        // SYNC POINT with the store in `free`.
        self.archived.load(Ordering::Acquire) == end
    }
}

#[cfg(all(test, loom))]
mod models {
    //! `RUSTFLAGS="--cfg loom" cargo test --lib --release models`

    use super::*;
    use loom::cell::UnsafeCell;
    use loom::sync::Arc;
    use loom::thread;

    /// Frames of one word and a body; the last word is the zero behind the last frame.
    const FRAMES: usize = 2;

    struct Model {
        slot: Slot,
        words: Vec<AtomicU32>,
        bodies: Vec<UnsafeCell<u64>>,
    }

    // SAFETY: loom checks the accesses to `bodies` itself and fails the model on a race.
    unsafe impl Sync for Model {}

    fn model() -> Arc<Model> {
        Arc::new(Model {
            slot: Slot::empty(),
            // What an earlier use of the memory left.
            words: (0..=FRAMES).map(|_| AtomicU32::new(7)).collect(),
            bodies: (0..FRAMES).map(|_| UnsafeCell::new(0)).collect(),
        })
    }

    fn open(model: &Model, number: u64) {
        model.slot.begin_use();
        model.words[0].store(0, Ordering::Relaxed);
        model.slot.name(number);
    }

    fn append(model: &Model, frame: usize, body: u64) {
        model.bodies[frame].with_mut(|place| {
            // SAFETY: the protocol gives an unpublished frame to the writer alone; loom checks it.
            unsafe { *place = body }
        });
        publish(&model.words[frame], 1, &model.words[frame + 1]);
    }

    /// The bodies of the published frames from `from` on.
    fn copy(model: &Model, from: usize) -> Vec<u64> {
        let published = |frame: &usize| published_bytes(&model.words[*frame]) != 0;
        let body = |frame: usize| {
            model.bodies[frame].with(|place| {
                // SAFETY: published frames are not changed; loom checks it.
                unsafe { *place }
            })
        };
        (from..=FRAMES).take_while(published).map(body).collect()
    }

    #[test]
    fn models_a_reader_sees_whole_frames_in_their_order_and_nothing_of_an_earlier_use() {
        loom::model(|| {
            let shared = model();
            let theirs = Arc::clone(&shared);
            let writer = thread::spawn(move || {
                open(&theirs, 1);
                append(&theirs, 0, 10);
                append(&theirs, 1, 11);
                theirs.slot.seal(FRAMES as u64);
            });
            if shared.slot.holds(1) {
                let end = shared.slot.end() as usize;
                let seen = copy(&shared, 0);
                assert_eq!(seen, [10, 11][..seen.len()]);
                assert!(end == 0 || seen.len() == end, "who sees the end sees everything before it");
            }
            writer.join().unwrap();
            assert_eq!(copy(&shared, 0), [10, 11]);
        });
    }

    /// The worker's steps as `worker::archive` takes them.
    struct Worker {
        number: u64,
        offset: usize,
        disk: Vec<u64>,
    }

    impl Worker {
        fn step(&mut self, model: &Model) {
            if !model.slot.holds(self.number) {
                return;
            }
            let end = model.slot.end() as usize;
            let new = copy(model, self.offset);
            self.offset += new.len();
            self.disk.extend(new);
            if end != 0 && self.offset == end {
                model.slot.free();
                (self.number, self.offset) = (self.number + 1, 0);
            }
        }
    }

    #[test]
    fn models_a_slot_is_used_again_only_when_the_worker_is_through_with_it() {
        loom::model(|| {
            let shared = model();
            let theirs = Arc::clone(&shared);
            let writer = thread::spawn(move || {
                open(&theirs, 1);
                append(&theirs, 0, 10);
                theirs.slot.seal(1);
                let again = theirs.slot.is_free();
                if again {
                    open(&theirs, 2);
                    append(&theirs, 0, 20);
                    theirs.slot.seal(1);
                }
                again
            });
            let mut worker = Worker { number: 1, offset: 0, disk: Vec::new() };
            worker.step(&shared);
            worker.step(&shared);
            let again = writer.join().unwrap();
            worker.step(&shared);
            worker.step(&shared);
            assert_eq!(worker.disk, if again { vec![10, 20] } else { vec![10] }, "no segment is lost or read twice");
        });
    }

    #[test]
    fn models_the_worker_reads_a_slot_again_only_while_it_has_not_freed_it() {
        loom::model(|| {
            let shared = model();
            open(&shared, 1);
            append(&shared, 0, 10);
            shared.slot.seal(1);
            let theirs = Arc::clone(&shared);
            let writer = thread::spawn(move || {
                if theirs.slot.is_free() {
                    open(&theirs, 2);
                    append(&theirs, 0, 20);
                }
            });
            let mut worker = Worker { number: 1, offset: 0, disk: Vec::new() };
            // The renderer, on the same thread, as `worker::feed` reads. To ask the slot whether it is free would not do:
            // it may be in use for the next segment by then.
            let render = |shared: &Model, worker: &Worker| {
                if worker.number <= 1 && shared.slot.holds(1) {
                    assert_eq!(copy(shared, 0), [10]);
                }
            };
            render(&shared, &worker);
            worker.step(&shared);
            render(&shared, &worker);
            writer.join().unwrap();
        });
    }

    #[test]
    fn models_a_foreign_reader_notices_that_the_slot_was_used_again() {
        loom::model(|| {
            // A foreign reader copies by `pread` while the writer stores; so the bytes are atomics here.
            let shared = Arc::new((model(), AtomicU64::new(0)));
            let (slot, body) = (&shared.0.slot, &shared.1);
            slot.begin_use();
            body.store(10, Ordering::Relaxed);
            slot.name(1);
            let theirs = Arc::clone(&shared);
            let writer = thread::spawn(move || {
                theirs.0.slot.begin_use();
                theirs.1.store(20, Ordering::Relaxed);
                theirs.0.slot.name(2);
            });
            if slot.holds(1) {
                let copied = body.load(Ordering::Relaxed);
                // Between two system calls of the reader.
                fence(Ordering::Acquire);
                assert!(!slot.holds(1) || copied == 10);
            }
            writer.join().unwrap();
        });
    }
}
