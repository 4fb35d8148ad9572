//! Who may touch which bytes of the table of definitions, and when: the orders of loads and stores, without the memory.
//!
//! The entries are a chain of lengths. Each begins with a word: its length in bytes, a multiple of 8, plus [`RESERVED`]
//! until its payload is whole; 0 at the chain's end. A thread takes the place at `used` by exchanging its word from 0;
//! whoever finds a place taken moves `used` on past it. So the chain has no hole, wherever a thread is killed:
//!
//! ```text
//! appender: word 0 → length | RESERVED ──▶ all: used moves on ──▶ payload ──▶ word = length ──▶ walker: payload
//! ```
//!
//! `used` is a word of the process, because others can truncate the table or scribble over it. A word below it that is no
//! length is a hole: the walker that finds it bridges it up to `used`, with an entry of kind 0, and says that the chain is
//! incomplete. Who appends all definitions again ([`Chain::begin_again`] first) puts them behind the bridge, or, where one
//! more bridge leads past them, finds the chain incomplete once more.

use crate::sync::{AtomicBool, AtomicU32, AtomicU64, Ordering, fence};

/// Where the entries start.
pub(super) const START: usize = 16;
/// Bytes of an entry's header: its word, its kind.
pub(super) const ENTRY_HEADER: usize = 8;
/// Bit of an entry's word: the payload is being written.
const RESERVED: u32 = 1;

/// Where the words are.
pub(super) trait Ground {
    /// Bytes there.
    fn bytes(&self) -> usize;
    /// The word at `offset`; none outside, or where none can begin.
    fn word(&self, offset: usize) -> Option<&AtomicU32>;
}

/// What the process knows of its chain.
#[derive(Debug)]
pub(super) struct Chain {
    /// Where the next entry goes.
    used: AtomicU64,
    /// Entries were lost; all are to be appended again.
    incomplete: AtomicBool,
    /// How often that was begun.
    begun: AtomicU64,
}

/// What stands at an offset.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Link {
    /// An entry of so many bytes, which is never changed again.
    Whole(usize),
    /// One of so many bytes, whose thread writes it, or was killed while it did.
    Unfinished(usize),
    /// None.
    End,
}

impl Chain {
    /// An empty chain, in zeroed memory.
    pub(super) fn new() -> Self {
        Self::at(START as u64)
    }

    /// The chain that a dead process left: only to be walked.
    pub(super) fn ended() -> Self {
        Self::at(0)
    }

    fn at(used: u64) -> Self {
        Self { used: AtomicU64::new(used), incomplete: AtomicBool::new(false), begun: AtomicU64::new(0) }
    }

    /// Whether entries were lost and all are to be appended again.
    #[inline]
    pub(super) fn is_incomplete(&self) -> bool {
        // SYNC POINT with the store in `bridge`: `used` is seen no earlier than that bridge saw it.
        self.incomplete.load(Ordering::Acquire)
    }

    /// All entries that are noted are about to be appended again.
    pub(super) fn begin_again(&self) {
        self.incomplete.store(false, Ordering::Release);
        self.begun.fetch_add(1, Ordering::Relaxed);
        // Pairs with the fence in `define`.
        fence(Ordering::SeqCst);
    }

    /// Appends an entry, and notes that it is there for who appends all again; once more if that was begun in between: it
    /// need not have found the note, and a bridge may lead past the entry. `false` when there is no room.
    pub(super) fn define(&self, append: impl Fn() -> bool, note: impl Fn()) -> bool {
        loop {
            let begun = self.begun.load(Ordering::Relaxed);
            if !append() {
                return false;
            }
            note();
            // Pairs with the fence in `begin_again`: either what follows it finds the note, or this finds it begun.
            fence(Ordering::SeqCst);
            if self.begun.load(Ordering::Relaxed) == begun {
                return true;
            }
        }
    }

    /// Bytes up to the chain's end.
    pub(super) fn used(&self) -> u64 {
        self.used.load(Ordering::Relaxed)
    }

    /// Takes the place of an entry of `length` bytes, a multiple of 8, for the calling thread alone, until it is
    /// [published](publish). `None` when there is no room.
    pub(super) fn reserve(&self, ground: &impl Ground, length: u32) -> Option<usize> {
        loop {
            // SYNC POINT with the exchange in `advance`.
            let at = self.used.load(Ordering::Acquire);
            let place = usize::try_from(at).ok()?;
            // One word beyond the entry must stay zero: the end of the chain.
            let end = place.checked_add(length as usize)?.checked_add(ENTRY_HEADER)?;
            if end > ground.bytes() {
                return None;
            }
            match ground.word(place)?.compare_exchange(0, length | RESERVED, Ordering::AcqRel, Ordering::Acquire) {
                Ok(_) => {
                    self.advance(at, length);
                    return Some(place);
                }
                // No length of an entry: somebody scribbles here.
                Err(taken) if !is_length(taken & !RESERVED) => return None,
                Err(taken) => self.advance(at, taken & !RESERVED),
            }
        }
    }

    /// The entry at `at` is `length` long: the next one goes behind it.
    fn advance(&self, at: u64, length: u32) {
        // SYNC POINT with the loads in `reserve` and `link`: who sees `used` behind an entry sees that its place is taken.
        let next = at.saturating_add(u64::from(length));
        let _ = self.used.compare_exchange(at, next, Ordering::AcqRel, Ordering::Relaxed);
    }

    /// What stands at `offset`. Bridges a hole.
    pub(super) fn link(&self, ground: &impl Ground, offset: usize) -> Link {
        let Some(word) = ground.word(offset) else { return Link::End };
        // SYNC POINT with the exchange in `advance`. Before the word: an entry below it was reserved already, so its word
        // was not zero. The other way about, one that is appended between the two looks would pass for a hole.
        let used = self.used.load(Ordering::Acquire);
        // SYNC POINT with the store in `publish`.
        let seen = word.load(Ordering::Acquire);
        let length = seen & !RESERVED;
        let fits = offset.checked_add(length as usize).is_some_and(|end| end <= ground.bytes());
        match (is_length(length) && fits, seen & RESERVED != 0) {
            (true, false) => Link::Whole(length as usize),
            (true, true) => Link::Unfinished(length as usize),
            (false, _) => {
                if (offset as u64) < used {
                    self.bridge(ground, offset, used, seen);
                }
                Link::End
            }
        }
    }

    /// Bridges the hole at `offset`, below `used`, whose word was `seen`: the chain goes on with the next entry to be
    /// appended. Who finds another word there by now was not the first to bridge it.
    fn bridge(&self, ground: &impl Ground, offset: usize, used: u64, seen: u32) {
        let length = used.checked_sub(offset as u64).and_then(|length| u32::try_from(length).ok());
        if let (Some(length), Some(word), Some(kind)) = (length, ground.word(offset), ground.word(offset + 4)) {
            kind.store(0, Ordering::Relaxed);
            let _ = word.compare_exchange(seen, length, Ordering::AcqRel, Ordering::Relaxed);
        }
        // SYNC POINT with the load in `is_incomplete`: what the bridge leads past is appended again.
        self.incomplete.store(true, Ordering::Release);
    }
}

/// The payload of the entry of `length` bytes at `place` is whole.
pub(super) fn publish(ground: &impl Ground, place: usize, length: u32) {
    if let Some(word) = ground.word(place) {
        // SYNC POINT with the load in `Chain::link`.
        word.store(length, Ordering::Release);
    }
}

/// Whether a word without its flag is the length of an entry.
fn is_length(word: u32) -> bool {
    word as usize >= ENTRY_HEADER && word.is_multiple_of(8)
}

#[cfg(all(test, loom))]
mod models {
    //! `RUSTFLAGS="--cfg loom" cargo test --lib --release models`

    use super::*;
    use loom::cell::UnsafeCell;
    use loom::sync::Arc;
    use loom::thread;

    /// Entries have a header and eight bytes of payload: here one cell.
    const LENGTH: u32 = 16;
    const ENTRIES: usize = 10;

    struct Model {
        chain: Chain,
        /// The memory from [`START`] on.
        words: Vec<AtomicU32>,
        payloads: Vec<UnsafeCell<u32>>,
    }

    // SAFETY: loom checks the accesses to `payloads` itself and fails the model on a race.
    unsafe impl Sync for Model {}

    impl Ground for Model {
        fn bytes(&self) -> usize {
            START + self.words.len() * 4
        }

        fn word(&self, offset: usize) -> Option<&AtomicU32> {
            self.words.get(offset.checked_sub(START)? / 4)
        }
    }

    fn model() -> Arc<Model> {
        Arc::new(Model {
            chain: Chain::new(),
            words: (0..ENTRIES * 4 + 2).map(|_| AtomicU32::new(0)).collect(),
            payloads: (0..=ENTRIES).map(|_| UnsafeCell::new(0)).collect(),
        })
    }

    fn cell(model: &Model, place: usize) -> &UnsafeCell<u32> {
        &model.payloads[(place - START) / LENGTH as usize]
    }

    fn append(model: &Model, kind: u32) {
        assert!(append_if_room(model, kind));
    }

    /// As `Table::append`.
    fn append_if_room(model: &Model, kind: u32) -> bool {
        let Some(place) = model.chain.reserve(model, LENGTH) else { return false };
        model.word(place + 4).unwrap().store(kind, Ordering::Relaxed);
        cell(model, place).with_mut(|payload| {
            // SAFETY: the protocol gives the payload of a reserved entry to its thread alone; loom checks it.
            unsafe { *payload = kind }
        });
        publish(model, place, LENGTH);
        true
    }

    /// The kinds of the entries from `at` on, and where the walk ended; 0 for one that is unfinished, or a bridge.
    fn walk(model: &Model, mut at: usize) -> (Vec<u32>, usize) {
        let mut kinds = Vec::new();
        loop {
            match model.chain.link(model, at) {
                Link::End => return (kinds, at),
                Link::Unfinished(length) => {
                    kinds.push(0);
                    at += length;
                }
                Link::Whole(length) => {
                    let kind = model.word(at + 4).unwrap().load(Ordering::Relaxed);
                    if kind != 0 {
                        let payload = cell(model, at).with(|payload| {
                            // SAFETY: the payload of a whole entry is not changed; loom checks it.
                            unsafe { *payload }
                        });
                        assert_eq!(payload, kind);
                    }
                    kinds.push(kind);
                    at += length;
                }
            }
        }
    }

    /// All orders with so many preemptions at most: of three threads there are too many else.
    fn explore(preemptions: usize, f: impl Fn() + Sync + Send + 'static) {
        let mut builder = loom::model::Builder::new();
        builder.preemption_bound = Some(preemptions);
        builder.check(f);
    }

    #[test]
    fn models_an_entry_being_appended_is_no_hole() {
        loom::model(|| {
            let shared = model();
            let theirs = Arc::clone(&shared);
            let appender = thread::spawn(move || {
                append(&theirs, 1);
                append(&theirs, 2);
            });
            let (seen, at) = walk(&shared, START);
            assert!(seen.iter().zip([1, 2]).all(|(kind, appended)| [0, appended].contains(kind)));
            let (more, _) = walk(&shared, at);
            appender.join().unwrap();
            assert!(!shared.chain.is_incomplete(), "{seen:?} {more:?}");
            assert_eq!(walk(&shared, START).0, [1, 2]);
        });
    }

    #[test]
    fn models_two_appenders_and_a_walker() {
        explore(3, || {
            let shared = model();
            let appenders = [1, 2].map(|kind| {
                let theirs = Arc::clone(&shared);
                thread::spawn(move || append(&theirs, kind))
            });
            let (seen, at) = walk(&shared, START);
            assert!(seen.len() <= 2 && at <= START + 2 * LENGTH as usize);
            for appender in appenders {
                appender.join().unwrap();
            }
            assert!(!shared.chain.is_incomplete());
            let mut all = walk(&shared, START).0;
            assert!(seen.iter().zip(&all).all(|(kind, appended)| [0, *appended].contains(kind)));
            all.sort_unstable();
            assert_eq!(all, [1, 2], "each has a place of its own");
        });
    }

    #[test]
    fn models_an_appender_that_died_with_a_place_reserved_holds_up_nobody() {
        explore(3, || {
            let shared = model();
            let (dying, living) = (Arc::clone(&shared), Arc::clone(&shared));
            // Killed between the exchange of the word and that of `used`: whoever comes next moves on past it.
            let dying = thread::spawn(move || {
                let word = dying.word(START).unwrap();
                let _ = word.compare_exchange(0, LENGTH | RESERVED, Ordering::AcqRel, Ordering::Acquire);
            });
            let living = thread::spawn(move || append(&living, 2));
            walk(&shared, START);
            dying.join().unwrap();
            living.join().unwrap();
            append(&shared, 3);
            let kinds = walk(&shared, START).0;
            assert!(kinds == [0, 2, 3] || kinds == [2, 3], "{kinds:?}");
            assert!(!shared.chain.is_incomplete());
        });
    }

    /// A model in which kinds 1 and 2 can be defined.
    struct Defined {
        model: Arc<Model>,
        noted: [AtomicBool; 2],
    }

    impl Defined {
        /// As `register::define_site`.
        fn define(&self, kind: u32) {
            let note = || self.noted[kind as usize - 1].store(true, Ordering::Relaxed);
            assert!(self.model.chain.define(|| append_if_room(&self.model, kind), note));
        }

        /// A step of the writer: it walks; where entries were lost, all that are noted are appended again.
        fn step(&self) {
            walk(&self.model, START);
            if self.model.chain.is_incomplete() {
                self.model.chain.begin_again();
                for (noted, kind) in self.noted.iter().zip(1..) {
                    if noted.load(Ordering::Relaxed) {
                        assert!(append_if_room(&self.model, kind));
                    }
                }
            }
        }
    }

    /// After a truncation and an extension, where `1` was defined.
    fn truncated() -> Arc<Defined> {
        let defined = Defined { model: model(), noted: [AtomicBool::new(false), AtomicBool::new(false)] };
        defined.define(1);
        defined.model.words.iter().for_each(|word| word.store(0, Ordering::Relaxed));
        Arc::new(defined)
    }

    #[test]
    fn models_what_is_defined_while_a_hole_is_bridged_is_found_or_appended_again() {
        explore(3, || {
            let shared = truncated();
            let theirs = Arc::clone(&shared);
            // The writer in the other thread: loom finds the orders to try from the last access to each word alone.
            let writer = thread::spawn(move || theirs.step());
            shared.define(2);
            // As `Table::mend`, by the worker: a second walker.
            walk(&shared.model, START);
            writer.join().unwrap();
            // The writer's next step, and the walk that finds what that appended.
            shared.step();
            let kinds = walk(&shared.model, START).0;
            assert!(!shared.model.chain.is_incomplete());
            assert!(kinds.contains(&1) && kinds.contains(&2), "{kinds:?}");
        });
    }

    #[test]
    fn models_who_followed_a_bridge_finds_it_where_it_was() {
        explore(4, || {
            let shared = truncated();
            let theirs = Arc::clone(&shared);
            let writer = thread::spawn(move || {
                theirs.model.chain.link(&*theirs.model, START);
                let bridge = theirs.model.chain.link(&*theirs.model, START);
                (theirs.model.chain.link(&*theirs.model, START), bridge)
            });
            append(&shared.model, 2);
            shared.model.chain.link(&*shared.model, START);
            let (again, bridge) = writer.join().unwrap();
            assert!(bridge != Link::End && again == bridge);
            assert_eq!(shared.model.chain.link(&*shared.model, START), bridge);
        });
    }
}
