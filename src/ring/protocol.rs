//! Who may touch which bytes of a ring, and when.
//!
//! Positions are byte counts since the ring was made; they never wrap (2^64 bytes at 10 GB/s take 58 years). The data
//! byte of position `p` is `p & (capacity - 1)`. Invariant: `tail <= head <= tail + capacity`. Bytes `tail .. head` belong to
//! the consumer, the rest to the producer.
//!
//! The algorithm is Lamport's queue with the cached opposite index of "FastForward" and "MCRingBuffer" (Giacomoni 2008,
//! Lee 2010): the producer looks at `tail` only when its last view of it says full, and never loads from a line that
//! the consumer polls, because such a load would wait for the other core; stores to it do not.
//!
//! `mark` lets the writer tell time order (design, section 4a.1): the producer stores `head + 1` *before* it reads the
//! clock, and the commit's `head` is beyond it, so a call is in progress exactly while `mark > head`.

use crate::sync::{AtomicBool, AtomicU64, Ordering, fence};
use std::cell::Cell;
use std::sync::atomic::{AtomicBool as OwnBool, AtomicU64 as Own, Ordering as Relax};

/// Why the oldest record since was not taken. Index into [`Refused::dropped`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u32)]
pub(crate) enum Cause {
    /// The ring had no room, and the policy is to drop, or waiting took too long.
    Full = 0,
    /// The record's fixed part is larger than any record may be.
    TooLarge = 1,
    /// The call interrupted another log call of the same thread (a signal handler).
    Reentrant = 2,
    /// The caller's code panicked while its value was being copied.
    Panicked = 3,
}

/// Number of causes that a ring counts.
pub(crate) const CAUSES: usize = 4;

/// The words that producer and consumer share; each group on lines of its own (two, as adjacent lines are fetched in pairs).
#[derive(Debug)]
#[repr(C, align(128))]
pub(crate) struct RingHeader {
    /// What the ring is; stored once.
    pub(crate) fixed: Fixed,
    /// Stored by the producer on each call, polled by the consumer.
    pub(crate) produced: Produced,
    /// Stored by the producer when it drops.
    pub(crate) refused: Refused,
    /// Stored by the consumer.
    pub(crate) consumed: Consumed,
    /// Stored by the consumer where records are remembered.
    pub(crate) remembered: RememberedWords,
}

/// What the ring is.
#[derive(Debug)]
#[repr(C, align(128))]
pub(crate) struct Fixed {
    pub(crate) magic: AtomicU64,
    pub(crate) capacity: AtomicU64,
    pub(crate) number: AtomicU64,
}

#[derive(Debug)]
#[repr(C, align(128))]
pub(crate) struct Produced {
    /// Behind the last committed record.
    pub(crate) head: AtomicU64,
    /// `head + 1` at the beginning of the last call.
    pub(crate) mark: AtomicU64,
}

#[derive(Debug)]
#[repr(C, align(128))]
pub(crate) struct Refused {
    /// Calls so far, dropped ones included, as of the last drop.
    pub(crate) called: AtomicU64,
    /// Drops by cause.
    pub(crate) dropped: [AtomicU64; CAUSES],
}

#[derive(Debug)]
#[repr(C, align(128))]
pub(crate) struct Consumed {
    /// Behind the last record that was taken: it stands in a segment, or is accounted for, or is remembered.
    pub(crate) tail: AtomicU64,
    /// What is before may be overwritten: `tail`, but where records are remembered.
    pub(crate) free: AtomicU64,
    /// Number of calls up to `tail`, drops included. Stored before `tail`.
    pub(crate) called: AtomicU64,
    /// Most bytes that were ever waiting.
    pub(crate) high_water: AtomicU64,
    /// Drops by cause that the journal states. Stored behind the statement, so that a kill in between can make the next
    /// statement's cause wrong, never its count.
    pub(crate) stated: [AtomicU64; CAUSES],
    /// Who logs behind `tail`: the payload of the last thread definition that was taken, its length in bytes first. For
    /// recovery, whose segment need not have it.
    pub(crate) thread: [AtomicU64; THREAD_WORDS],
}

/// What of a ring is remembered. Two states, of which the one that `turn` says holds, so that a kill leaves one whole.
#[derive(Debug)]
#[repr(C, align(128))]
pub(crate) struct RememberedWords {
    /// Number of changes; 0 where nothing is remembered.
    pub(crate) turn: AtomicU64,
    /// Where the remembered records begin; how many were forgotten.
    pub(crate) states: [[AtomicU64; 2]; 2],
}

/// Words for a thread's definition: a length, eight bytes of numbers, 128 of name.
pub(crate) const THREAD_WORDS: usize = 18;

#[cfg(loom)]
impl RingHeader {
    pub(crate) fn new(capacity: u64) -> Self {
        let word = || AtomicU64::new(0);
        Self {
            fixed: Fixed { magic: word(), capacity: AtomicU64::new(capacity), number: word() },
            produced: Produced { head: word(), mark: word() },
            refused: Refused { called: word(), dropped: std::array::from_fn(|_| word()) },
            consumed: Consumed {
                tail: word(),
                free: word(),
                called: word(),
                high_water: word(),
                stated: std::array::from_fn(|_| word()),
                thread: std::array::from_fn(|_| word()),
            },
            remembered: RememberedWords { turn: word(), states: [[word(), word()], [word(), word()]] },
        }
    }
}

/// The producer's private state. Not shared with anybody but signal handlers of the same thread.
#[derive(Debug, Default)]
#[repr(C)]
pub(crate) struct Producer {
    /// Where the next record goes.
    head: Cell<u64>,
    /// Up to where records may go, as far as is known: the cached `free` plus the capacity. 0 once the ring is closed,
    /// which another thread does; hence an atomic, of which the producer uses relaxed loads and stores only.
    limit: AtomicU64,
    /// Calls that were begun or dropped, those excepted that interrupted others. An atomic, because a signal handler may log
    /// in the midst of counting a drop.
    called: Own,
    /// Calls that interrupted others: counted apart, because the interrupted call may be about to store `called`.
    reentered: Own,
    /// A call is in progress; one that finds this set came from a signal handler and is refused.
    busy: OwnBool,
    /// The ring takes no more records: its logger was closed.
    closed: AtomicBool,
}

/// The call was refused; the caller goes to the cold path.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Refusal {
    /// No room as far as the cached `free` tells.
    Full,
    /// A call of this thread is in progress.
    Reentrant,
}

impl Producer {
    /// Continues where the ring stands, whatever this producer was before. The caller must be the ring's only producer.
    ///
    /// By stores to the fields, because [`close`](Self::close) may come from another thread meanwhile.
    pub(crate) fn attach(&self, header: &RingHeader, capacity: u64, called: u64) {
        let head = header.produced.head.load(Ordering::Relaxed);
        let free = header.consumed.free.load(Ordering::Acquire);
        self.head.set(head);
        self.called.store(called, Relax::Relaxed);
        self.reentered.store(0, Relax::Relaxed);
        self.busy.store(false, Relax::Relaxed);
        self.closed.store(false, Ordering::Relaxed);
        // Held against `head` before the first record, by `refresh`.
        self.limit.store(free.wrapping_add(capacity), Ordering::Relaxed);
    }

    /// Begins a call that needs `bytes`: returns the position to write to and the call's number.
    ///
    /// The clock must be read after this, see the module's text.
    #[inline(always)]
    pub(crate) fn begin(&self, header: &RingHeader, bytes: u64) -> Result<(u64, u64), Refusal> {
        if self.busy.load(Relax::Relaxed) {
            return Err(Refusal::Reentrant);
        }
        self.busy.store(true, Relax::Relaxed);
        // A signal handler that runs from here on finds `busy`, so what is loaded below stays true. The fence orders
        // nothing but the compiler, which is enough within one thread.
        #[cfg(not(loom))]
        std::sync::atomic::compiler_fence(Ordering::SeqCst);
        let head = self.head.get();
        // Relaxed: the writer's use of the mark is a matter of time, not of visibility of other data.
        header.produced.mark.store(head + 1, Ordering::Relaxed);
        if head + bytes > self.limit.load(Ordering::Relaxed) {
            header.produced.mark.store(head, Ordering::Relaxed);
            self.busy.store(false, Relax::Relaxed);
            return Err(Refusal::Full);
        }
        // Counted here and not in the commit, so that whoever interrupts this call finds it counted exactly if `mark` and
        // `busy` say that it is there. What interrupted it so far goes before it, what comes from here on behind it.
        let called = self.called.load(Relax::Relaxed);
        self.called.store(called.wrapping_add(1), Relax::Relaxed);
        #[cfg(not(loom))]
        std::sync::atomic::compiler_fence(Ordering::SeqCst);
        Ok((head, called.wrapping_add(self.reentered.load(Relax::Relaxed))))
    }

    /// Ends a call begun with the same `bytes`, whose record has been written.
    #[inline(always)]
    pub(crate) fn commit(&self, header: &RingHeader, bytes: u64) {
        let head = self.head.get() + bytes;
        self.head.set(head);
        // SYNC POINT with the load of `head` in `Consumer::available`: publishes the record's bytes.
        header.produced.head.store(head, Ordering::Release);
        #[cfg(not(loom))]
        std::sync::atomic::compiler_fence(Ordering::SeqCst);
        self.busy.store(false, Relax::Relaxed);
    }

    /// Ends a call that was begun and will not be finished, because the caller's code unwinds through it. Its record
    /// becomes a drop: it has its number already.
    #[cold]
    pub(crate) fn give_up(&self, header: &RingHeader) {
        if let Some(count) = header.refused.dropped.get(Cause::Panicked as usize) {
            count.fetch_add(1, Ordering::Relaxed);
        }
        // SYNC POINT with the load of `called` in `Consumer::trailing_drops`, as in `drop_one`.
        header.refused.called.fetch_max(self.called(), Ordering::AcqRel);
        header.produced.mark.store(self.head.get(), Ordering::Release);
        #[cfg(not(loom))]
        std::sync::atomic::compiler_fence(Ordering::SeqCst);
        self.busy.store(false, Relax::Relaxed);
    }

    /// Looks again at what the consumer gave back; returns the bytes that are free now.
    #[cold]
    pub(crate) fn refresh(&self, header: &RingHeader, capacity: u64) -> u64 {
        let (free, head) = loop {
            let head = self.head.get();
            // SYNC POINT with the store of `free` in `Consumer::publish`: the consumer has read what will be overwritten.
            let free = header.consumed.free.load(Ordering::Acquire);
            #[cfg(not(loom))]
            std::sync::atomic::compiler_fence(Ordering::SeqCst);
            // A signal handler may have logged between the two loads. Then they are of different times, and what both say
            // together, that the ring is broken, would be false.
            if self.head.get() == head {
                break (free, head);
            }
        };
        if free > head || head - free > capacity {
            // No consumer can have stored that: somebody truncated the ring or scribbled over it, and it is given up.
            self.close();
            return 0;
        }
        let limit = free + capacity;
        self.limit.store(limit, Ordering::Relaxed);
        // `close` may have come between; it sets its flag first, so either we see the flag or it overwrites our limit.
        fence(Ordering::SeqCst);
        if self.closed.load(Ordering::Relaxed) {
            self.limit.store(0, Ordering::Relaxed);
            return 0;
        }
        limit - head
    }

    /// Counts a call that left no record. May be interrupted by itself.
    #[cold]
    pub(crate) fn drop_one(&self, header: &RingHeader, cause: Cause) {
        let counter = if cause == Cause::Reentrant { &self.reentered } else { &self.called };
        counter.fetch_add(1, Relax::Relaxed);
        if let Some(count) = header.refused.dropped.get(cause as usize) {
            count.fetch_add(1, Ordering::Relaxed);
        }
        // SYNC POINT with the load of `called` in `Consumer::trailing_drops`: every record before the drop is visible
        // to who sees the drop, and that a call is in progress if this one interrupted it.
        header.refused.called.fetch_max(self.called(), Ordering::AcqRel);
    }

    /// Calls so far.
    pub(crate) fn called(&self) -> u64 {
        self.called.load(Relax::Relaxed).wrapping_add(self.reentered.load(Relax::Relaxed))
    }

    /// Behind the last committed record. For the producer's own thread.
    pub(crate) fn head(&self) -> u64 {
        self.head.get()
    }

    /// From any thread: the ring takes no more records, the producer's next call takes the cold path.
    pub(crate) fn close(&self) {
        self.closed.store(true, Ordering::Relaxed);
        fence(Ordering::SeqCst);
        self.limit.store(0, Ordering::Relaxed);
    }

    /// The next call takes the cold path, which may open the ring again.
    pub(crate) fn shut(&self) {
        self.limit.store(0, Ordering::Relaxed);
    }

    /// Whether [`close`](Self::close) was called.
    pub(crate) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Relaxed)
    }

    /// Whether a call of this thread is in progress.
    pub(crate) fn is_busy(&self) -> bool {
        self.busy.load(Relax::Relaxed)
    }
}

/// The consumer's private state: the writer's, or recovery's after it.
#[derive(Debug)]
pub(crate) struct Consumer {
    /// Up to where records were taken. Never read from shared memory but when the consumer is made.
    pub(crate) tail: u64,
    /// What the producer was last told.
    released: u64,
    /// Number of calls up to `tail`.
    pub(crate) called: u64,
    /// What is remembered of what was taken, where anything is to be.
    pub(crate) memory: Option<Remembered>,
}

/// The records before a consumer's tail that may still be wanted. They stay in the ring.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Remembered {
    /// Where the first of them stands, or the tail.
    pub(crate) at: u64,
    /// How many there are, beside those that stand in a segment.
    pub(crate) count: u64,
    /// How many were there and are not any more, without having been written.
    pub(crate) forgotten: u64,
}

impl Consumer {
    /// A consumer that continues where the last one published that it was.
    pub(crate) fn attach(header: &RingHeader) -> Self {
        let tail = header.consumed.tail.load(Ordering::Acquire);
        let called = header.consumed.called.load(Ordering::Acquire);
        Self { tail, released: tail, called, memory: None }
    }

    /// A consumer of nothing, in the place of a ring that cannot be read.
    pub(crate) fn none() -> Self {
        Self::at(0)
    }

    /// A consumer that only looks, from `tail` on.
    pub(crate) fn at(tail: u64) -> Self {
        Self { tail, released: tail, called: 0, memory: None }
    }

    /// The positions of committed records that were not taken yet. Empty, too, when the indices cannot be true.
    pub(crate) fn available(&self, header: &RingHeader, capacity: u64) -> u64 {
        // SYNC POINT with the store of `head` in `Producer::commit`.
        let head = header.produced.head.load(Ordering::Acquire);
        if head < self.tail || head - self.tail > capacity {
            return self.tail;
        }
        let high_water = &header.consumed.high_water;
        if head - self.tail > high_water.load(Ordering::Relaxed) {
            high_water.store(head - self.tail, Ordering::Relaxed);
        }
        head
    }

    /// Takes `bytes` off, a record with the call number `called` (low half known).
    pub(crate) fn advance(&mut self, bytes: u64, called: u64) {
        self.tail += bytes;
        self.called = called;
    }

    /// Gives the taken bytes back to the producer, in batches: always when `force`, else from 1/16 of the capacity on.
    pub(crate) fn release(&mut self, header: &RingHeader, capacity: u64, force: bool) {
        if self.is_due(capacity, force) {
            self.publish(header);
        }
    }

    /// Whether [`release`](Self::release) would do anything.
    pub(crate) fn is_due(&self, capacity: u64, force: bool) -> bool {
        let pending = self.tail - self.released;
        pending != 0 && (force || pending >= capacity / 16)
    }

    /// Stores up to where records were taken and what of them is remembered, and gives the rest back to the producer.
    ///
    /// In this order, so that a kill in between leaves what is remembered before `tail`, and not overwritten.
    pub(crate) fn publish(&mut self, header: &RingHeader) {
        let consumed = &header.consumed;
        store(&consumed.called, self.called);
        store(&consumed.tail, self.tail);
        self.released = self.tail;
        let free = match &self.memory {
            None => self.tail,
            Some(memory) => {
                let words = &header.remembered;
                // 0 says that nothing is remembered.
                let turn = match words.turn.load(Ordering::Relaxed).wrapping_add(1) {
                    0 => 2,
                    turn => turn,
                };
                let [even, odd] = &words.states;
                let [at, forgotten] = if turn.is_multiple_of(2) { even } else { odd };
                store(at, memory.at);
                store(forgotten, memory.forgotten);
                store(&words.turn, turn);
                memory.at
            }
        };
        // SYNC POINT with the load of `free` in `Producer::refresh`.
        store(&consumed.free, free);
    }

    /// Stores how many calls are accounted for, also when no record was taken.
    pub(crate) fn release_called(&self, header: &RingHeader) {
        header.consumed.called.store(self.called, Ordering::Release);
    }

    /// Whether a call is in progress, and so may still bring a record with an earlier tick than the present one.
    pub(crate) fn in_progress(&self, header: &RingHeader) -> bool {
        // The mark is loaded before `head`: a call that begins between the two reads its clock later than our caller
        // did, and so needs no waiting for.
        let mark = header.produced.mark.load(Ordering::Acquire);
        mark > header.produced.head.load(Ordering::Acquire)
    }

    /// Drops behind the last record, if the ring is drained: they have no record after them that would show the hole.
    /// `dead` says that the producer died, so that a call in progress will not end.
    ///
    /// They stay until the journal states them and [`account`](Self::account) is told.
    pub(crate) fn trailing_drops(&self, header: &RingHeader, dead: bool) -> u64 {
        // SYNC POINT with the store of `called` in `Producer::drop_one`; loaded before `head`, so that an unchanged
        // head proves that no record stands between.
        let called = header.refused.called.load(Ordering::Acquire);
        if header.produced.head.load(Ordering::Acquire) != self.tail || called <= self.called {
            return 0;
        }
        // A drop that interrupted a call stands behind it, and so shows when its record is there.
        if !dead && self.in_progress(header) {
            return 0;
        }
        called - self.called
    }

    /// The journal accounts for `called` calls, the last of which left no record.
    pub(crate) fn account(&mut self, called: u64) {
        self.called = called;
    }
}

/// A release store, whoever loads it: so the compiler keeps the stores in their order, and a kill leaves a prefix of them.
#[inline]
fn store(word: &AtomicU64, value: u64) {
    #[cfg(test)]
    crate::testing::fuse::burn();
    word.store(value, Ordering::Release);
    #[cfg(test)]
    crate::testing::fuse::burn();
}

#[cfg(all(test, loom))]
mod models {
    //! `RUSTFLAGS="--cfg loom" cargo test --lib --release models`

    use super::*;
    use loom::cell::UnsafeCell;
    use loom::sync::Arc;
    use loom::thread;

    const WORDS: usize = 2;
    const CAPACITY: u64 = WORDS as u64;

    struct Model {
        header: RingHeader,
        data: Vec<UnsafeCell<u64>>,
    }

    // SAFETY: loom checks the accesses to `data` itself and fails the model on a race.
    unsafe impl Sync for Model {}

    fn model() -> Arc<Model> {
        let data = (0..WORDS).map(|_| UnsafeCell::new(0)).collect();
        Arc::new(Model { header: RingHeader::new(CAPACITY), data })
    }

    /// Attached before its thread begins: loom finds the orders to try from the last access to each word alone, and a
    /// thread that loads `head` itself before it stores there hides the consumer's load from it.
    fn producer(model: &Model) -> Producer {
        let producer = Producer::default();
        producer.attach(&model.header, CAPACITY, 0);
        producer
    }

    /// One record is one word: `bytes` of the protocol are words here.
    fn produce(model: &Model, producer: &Producer, value: u64) -> bool {
        let begun = producer.begin(&model.header, 1).or_else(|_| {
            producer.refresh(&model.header, CAPACITY);
            producer.begin(&model.header, 1)
        });
        match begun {
            Ok((at, _)) => {
                model.data[at as usize % WORDS].with_mut(|slot| {
                    // SAFETY: the protocol gives this word to the producer alone; loom checks it.
                    unsafe { *slot = value }
                });
                producer.commit(&model.header, 1);
                true
            }
            Err(_) => {
                producer.drop_one(&model.header, Cause::Full);
                false
            }
        }
    }

    /// Takes what is there; returns how many calls are missing before the records taken.
    fn consume(model: &Model, consumer: &mut Consumer, out: &mut Vec<u64>) -> u64 {
        let mut holes = 0;
        let head = consumer.available(&model.header, CAPACITY);
        while consumer.tail < head {
            let value = model.data[consumer.tail as usize % WORDS].with(|slot| {
                // SAFETY: as above, for the consumer.
                unsafe { *slot }
            });
            out.push(value);
            holes += value - consumer.called - 1;
            consumer.advance(1, value);
        }
        consumer.release(&model.header, CAPACITY, true);
        holes
    }

    /// States what was dropped behind the last record; returns how many calls.
    fn trailing(model: &Model, consumer: &mut Consumer) -> u64 {
        let count = consumer.trailing_drops(&model.header, false);
        consumer.account(consumer.called + count);
        count
    }

    #[test]
    fn models_wrap_full_and_drained() {
        loom::model(|| {
            let shared = model();
            let theirs = Arc::clone(&shared);
            let producer = producer(&shared);
            let thread = thread::spawn(move || {
                // Values are call numbers from 1; more of them than words, so that the ring wraps and may be full.
                (1..=3).filter(|value| produce(&theirs, &producer, *value)).collect::<Vec<u64>>()
            });
            let mut consumer = Consumer::attach(&shared.header);
            let mut seen = Vec::new();
            let mut holes = consume(&shared, &mut consumer, &mut seen);
            holes += consume(&shared, &mut consumer, &mut seen);
            let sent = thread.join().unwrap();
            holes += consume(&shared, &mut consumer, &mut seen);
            assert_eq!(seen, sent);
            // Conservation: what was called was taken or is a stated drop.
            holes += trailing(&shared, &mut consumer);
            assert_eq!(seen.len() as u64 + holes, 3);
        });
    }

    #[test]
    fn models_producer_gone_and_next_one_continues() {
        loom::model(|| {
            let shared = model();
            let theirs = Arc::clone(&shared);
            let first = producer(&shared);
            let thread = thread::spawn(move || {
                let one = produce(&theirs, &first, 1);
                let called = first.called();
                drop(first);
                let second = Producer::default();
                second.attach(&theirs.header, CAPACITY, called);
                let two = produce(&theirs, &second, 2);
                (one, two)
            });
            let mut consumer = Consumer::attach(&shared.header);
            let mut seen = Vec::new();
            consume(&shared, &mut consumer, &mut seen);
            assert_eq!(thread.join().unwrap(), (true, true));
            consume(&shared, &mut consumer, &mut seen);
            assert_eq!(seen, [1, 2]);
        });
    }

    #[test]
    fn models_a_call_that_unwinds_is_a_drop_stated_once() {
        loom::model(|| {
            let shared = model();
            let theirs = Arc::clone(&shared);
            let producer = producer(&shared);
            let thread = thread::spawn(move || {
                produce(&theirs, &producer, 1);
                assert!(producer.begin(&theirs.header, 1).is_ok());
                producer.give_up(&theirs.header);
                produce(&theirs, &producer, 3);
            });
            let mut consumer = Consumer::attach(&shared.header);
            let mut seen = Vec::new();
            let mut holes = consume(&shared, &mut consumer, &mut seen);
            let stated = trailing(&shared, &mut consumer);
            assert!(stated == 0 || (stated == 1 && seen == [1]));
            thread.join().unwrap();
            holes += consume(&shared, &mut consumer, &mut seen);
            assert_eq!(seen, [1, 3]);
            assert_eq!(stated + holes, 1, "the drop is stated once, here or by the hole before 3");
            assert!(!consumer.in_progress(&shared.header));
        });
    }

    #[test]
    fn models_a_reader_that_finds_a_trailing_drop_has_seen_every_record_before_it() {
        loom::model(|| {
            let shared = model();
            let theirs = Arc::clone(&shared);
            let producer = producer(&shared);
            let thread = thread::spawn(move || {
                produce(&theirs, &producer, 1);
                producer.drop_one(&theirs.header, Cause::TooLarge);
                produce(&theirs, &producer, 3);
            });
            let mut consumer = Consumer::attach(&shared.header);
            let mut seen = Vec::new();
            let mut holes = consume(&shared, &mut consumer, &mut seen);
            let stated = trailing(&shared, &mut consumer);
            assert!(stated == 0 || (stated == 1 && seen == [1]));
            thread.join().unwrap();
            holes += consume(&shared, &mut consumer, &mut seen);
            assert_eq!(seen, [1, 3]);
            assert_eq!(stated + holes, 1, "the drop is stated once, here or by the hole before 3");
        });
    }

    /// A producer that its own thread and who closes the logger use.
    struct Closing {
        model: Arc<Model>,
        producer: Producer,
        /// The ring's handle points to its header.
        armed: AtomicBool,
        /// The logger is closed.
        closed: AtomicBool,
    }

    // SAFETY: the producer's cells are used by one thread at a time, see `explore_closing`.
    unsafe impl Sync for Closing {}

    /// A logger is closed while a thread takes a ring of it: `armed` says that another thread had that ring before.
    fn explore_closing(armed: bool) {
        loom::model(move || {
            let producer = Producer::default();
            let shared = Arc::new(Closing {
                model: model(),
                producer,
                armed: AtomicBool::new(armed),
                closed: AtomicBool::new(false),
            });
            let theirs = Arc::clone(&shared);
            // As `Lease::take` and `Ring::arm`.
            let thread = thread::spawn(move || {
                theirs.producer.attach(&theirs.model.header, CAPACITY, 0);
                theirs.armed.store(true, Ordering::Release);
                fence(Ordering::SeqCst);
                if theirs.closed.load(Ordering::Acquire) {
                    theirs.producer.close();
                }
                produce(&theirs.model, &theirs.producer, 1)
            });
            // As `Guard::shut_down` and `Ring::close`.
            shared.closed.store(true, Ordering::Release);
            fence(Ordering::SeqCst);
            if shared.armed.load(Ordering::Acquire) {
                shared.producer.close();
            }
            thread.join().unwrap();
            assert!(shared.producer.is_closed());
            assert!(!produce(&shared.model, &shared.producer, 2), "nobody reads this ring any more");
        });
    }

    #[test]
    fn models_a_ring_that_is_taken_while_its_logger_closes_takes_no_more_records() {
        explore_closing(false);
    }

    #[test]
    fn models_a_ring_that_is_taken_again_while_its_logger_closes_takes_no_more_records() {
        explore_closing(true);
    }
}
