//! From the rings to captured records: the writer is stepped within each call, and its journal read at once.

use super::record::CapturedRecord;
use crate::logger::core::{Core, Stepped};
use crate::reader::journal::{Fed, Journal};
use crate::reader::merge::{JournalId, Merge, Step};
use crate::reader::source::Extent;
use crate::writer::step::Writer;
use std::fmt;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

/// Bytes that are read at once.
const WINDOW_BYTES: usize = 64 << 10;

/// What one capture has.
#[derive(Debug)]
pub(super) struct Subscription {
    /// The one thread that it is about; all of them without one.
    thread: Option<u32>,
    records: Mutex<Vec<CapturedRecord>>,
}

impl Subscription {
    pub(super) fn records(&self) -> MutexGuard<'_, Vec<CapturedRecord>> {
        self.records.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Those who want records. Clones are the same list.
#[derive(Clone, Debug, Default)]
pub(super) struct Subscribers(Arc<Mutex<Vec<Weak<Subscription>>>>);

impl Subscribers {
    /// Makes one more, who gets what comes from now on.
    pub(super) fn join(&self, thread: Option<u32>) -> Arc<Subscription> {
        let subscription = Arc::new(Subscription { thread, records: Mutex::default() });
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|one| one.strong_count() > 0);
        all.push(Arc::downgrade(&subscription));
        subscription
    }

    fn deliver(&self, record: &CapturedRecord) {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for one in all.iter().filter_map(Weak::upgrade) {
            if one.thread.is_none_or(|thread| thread == record.thread_id) {
                one.records().push(record.clone());
            }
        }
    }
}

/// The writer of a logger in memory, and the reader of its journal.
pub(super) struct Sink {
    writer: Writer,
    merge: Merge,
    journal: JournalId,
    subscribers: Subscribers,
    /// The oldest segment that was not given back.
    oldest: u64,
}

impl fmt::Debug for Sink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sink").finish_non_exhaustive()
    }
}

impl Sink {
    pub(super) fn new(core: &Core, writer: Writer, subscribers: Subscribers) -> Self {
        let mut merge = Merge::new();
        let journal = merge.add(Journal::new(&core.process_name));
        Self { writer, merge, journal, subscribers, oldest: 1 }
    }

    /// Takes what the writer has published.
    fn read(&mut self, core: &Core) {
        loop {
            let Some(journal) = self.merge.journal_mut(self.journal) else { return };
            let want = journal.want();
            let mut bytes = journal.buffer();
            let extent = match core.segments.slot_of(want.segment) {
                Some((index, slot)) => {
                    let end = slot.end.load(Ordering::Acquire);
                    let copied =
                        core.segments.copy_published(index, want.offset, WINDOW_BYTES, &mut bytes).bytes as u64;
                    match copied {
                        _ if end != 0 && want.offset + copied >= end => Extent::End,
                        0 => Extent::Growing,
                        _ => Extent::More,
                    }
                }
                None => Extent::Missing { next: None },
            };
            let fed = journal.feed(bytes, extent);
            // Nothing more comes before what was fed: who logged it waits for it.
            journal.let_out();
            self.give_back(core);
            while self.merge.advance() == Step::Record {
                if let Some(record) = self.merge.current() {
                    self.subscribers.deliver(&CapturedRecord::of(&record));
                }
            }
            if matches!(fed, Fed::Idle | Fed::Newer(_)) {
                return;
            }
        }
    }

    /// Lets the writer use again what was read to its end.
    fn give_back(&mut self, core: &Core) {
        let wanted = self.merge.journal(self.journal).map_or(0, |journal| journal.want().segment);
        while self.oldest < wanted {
            if let Some((index, _)) = core.segments.slot_of(self.oldest) {
                core.segments.free(&core.control, index);
            }
            self.oldest += 1;
        }
    }
}

impl Stepped for Sink {
    fn step(&mut self, core: &Arc<Core>) {
        loop {
            let done = crate::writer::thread::step(core, &mut self.writer);
            self.read(core);
            if !done.starved {
                return;
            }
        }
    }

    fn finish(&mut self, core: &Arc<Core>) -> bool {
        self.step(core);
        self.writer.finish(core.ground(), core.now());
        self.read(core);
        core.control.worker.drained.store(1, Ordering::Release);
        true
    }
}
