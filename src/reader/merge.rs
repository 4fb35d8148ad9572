//! Brings the journals of many processes into one order.
//!
//! Ticks of one boot compare over processes; processes of different boots compare by time. A record goes out when no
//! journal that is waited for can still bring an earlier one: each has an entry ready, or its watermark has passed. A
//! journal that is not waited for any more does not hold back others; what it brings later goes out at once. So does
//! what a journal holds that is added after later records of others went out. Both are marked as late.
//!
//! Pure: the caller feeds the journals. [`Merge::advance`] says which has to be.

use super::journal::Journal;
use super::record::RecordRef;

/// Number of a journal in a merge.
pub type JournalId = usize;

/// What [`Merge::advance`] did.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Step {
    /// [`Merge::current`] has the next record.
    Record,
    /// Nothing can go out before this journal is fed, or is not waited for any more.
    Blocked(JournalId),
    /// No journal has anything that may go out.
    Empty,
}

struct Slot {
    journal: Journal,
    waited_for: bool,
}

/// The merge.
#[derive(Default)]
pub struct Merge {
    slots: Vec<Option<Slot>>,
    current: Option<JournalId>,
    run: Option<Run>,
    /// Of the journal that is out: what is below this key is older than what went out of others.
    late_below: u64,
}

/// A journal whose entries go out without a look at the others, up to these bounds.
struct Run {
    id: JournalId,
    key_max: u64,
    unix_ns_max: i64,
}

impl Merge {
    /// A merge of no journals.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a journal, which is waited for. Of equal ticks, the journal that was added first goes first.
    pub fn add(&mut self, journal: Journal) -> JournalId {
        self.run = None;
        let slot = Some(Slot { journal, waited_for: true });
        match self.slots.iter().position(Option::is_none) {
            Some(id) => {
                if let Some(free) = self.slots.get_mut(id) {
                    *free = slot;
                }
                id
            }
            None => {
                self.slots.push(slot);
                self.slots.len() - 1
            }
        }
    }

    /// Takes a journal out, with what it still holds.
    pub fn remove(&mut self, id: JournalId) -> Option<Journal> {
        self.run = None;
        if self.current == Some(id) {
            self.current = None;
        }
        self.slots.get_mut(id)?.take().map(|slot| slot.journal)
    }

    /// A journal.
    pub fn journal(&self, id: JournalId) -> Option<&Journal> {
        self.slots.get(id)?.as_ref().map(|slot| &slot.journal)
    }

    /// A journal, to be fed.
    pub fn journal_mut(&mut self, id: JournalId) -> Option<&mut Journal> {
        self.run = None;
        self.current = None;
        self.slots.get_mut(id)?.as_mut().map(|slot| &mut slot.journal)
    }

    /// [`Journal::set_boot`], and the current record stays.
    pub fn set_boot(&mut self, id: JournalId, boot: [u8; 16]) {
        self.run = None;
        if let Some(Some(slot)) = self.slots.get_mut(id) {
            slot.journal.set_boot(boot);
        }
    }

    /// All journals.
    pub fn journals(&self) -> impl Iterator<Item = (JournalId, &Journal)> {
        self.slots.iter().enumerate().filter_map(|(id, slot)| Some((id, &slot.as_ref()?.journal)))
    }

    /// The journal of the current record.
    pub fn current_journal(&self) -> Option<JournalId> {
        self.current
    }

    /// Says whether a journal that brings nothing holds back the others.
    pub fn wait_for(&mut self, id: JournalId, waited_for: bool) {
        self.run = None;
        if let Some(Some(slot)) = self.slots.get_mut(id) {
            slot.waited_for = waited_for;
        }
    }

    /// Of the journals that have nothing ready, and that pass `filter`, the one that is complete the least far.
    pub fn hungriest(&self, mut filter: impl FnMut(JournalId) -> bool) -> Option<JournalId> {
        let hungry = self.journals().filter(|(id, journal)| journal.front().is_none() && filter(*id));
        hungry.min_by_key(|(_, journal)| journal.limit_unix_ns()).map(|(id, _)| id)
    }

    /// Goes on to the next record, if one may go out.
    #[inline]
    pub fn advance(&mut self) -> Step {
        if let Some(run) = &self.run
            && let Some(Some(slot)) = self.slots.get_mut(run.id)
            && (run.unix_ns_max == i64::MAX || slot.journal.front().is_some_and(|next| next.unix_ns <= run.unix_ns_max))
            && slot.journal.advance(run.key_max)
        {
            return Step::Record;
        }
        self.turn()
    }

    /// Chooses the journal that goes first, and how far it may go alone.
    fn turn(&mut self) -> Step {
        self.run = None;
        self.current = None;
        let Some(id) = self.first() else { return Step::Empty };
        match self.run_of(id) {
            Ok(run) => self.run = Some(run),
            Err(blocker) => return Step::Blocked(blocker),
        }
        if let Some(Some(slot)) = self.slots.get_mut(id)
            && slot.journal.advance(u64::MAX)
        {
            self.current = Some(id);
            self.late_below = self.passed_by_others(id);
            return Step::Record;
        }
        Step::Empty
    }

    /// The journal with the least entry.
    fn first(&self) -> Option<JournalId> {
        let mut first: Option<(JournalId, &Journal)> = None;
        for (id, journal) in self.journals() {
            let Some(entry) = journal.front() else { continue };
            let before = first.and_then(|(_, best)| Some((best, best.front()?))).is_none_or(|(best, least)| {
                if best.boot() == journal.boot() { entry.key < least.key } else { entry.unix_ns < least.unix_ns }
            });
            if before {
                first = Some((id, journal));
            }
        }
        first.map(|(id, _)| id)
    }

    /// How far `id`, which has the least entry, may go, or for which journal it has to wait.
    fn run_of(&self, id: JournalId) -> Result<Run, JournalId> {
        let journal = self.journal(id).ok_or(id)?;
        let entry = journal.front().ok_or(id)?;
        let mut run = Run { id, key_max: u64::MAX, unix_ns_max: i64::MAX };
        for (other_id, slot) in self.slots.iter().enumerate() {
            let Some(Slot { journal: other, waited_for }) = slot else { continue };
            if other_id == id {
                continue;
            }
            let same_boot = other.boot() == journal.boot();
            match other.front() {
                Some(next) if same_boot => {
                    let tie = u64::from(other_id < id);
                    run.key_max = run.key_max.min(next.key.saturating_sub(tie));
                }
                Some(next) => {
                    let tie = i64::from(other_id < id);
                    run.unix_ns_max = run.unix_ns_max.min(next.unix_ns.saturating_sub(tie));
                }
                None if !waited_for => {}
                None if same_boot => {
                    let passed = other.limit().filter(|limit| *limit >= entry.key).ok_or(other_id)?;
                    run.key_max = run.key_max.min(passed);
                }
                None => {
                    let passed = other.limit_unix_ns().filter(|limit| *limit >= entry.unix_ns).ok_or(other_id)?;
                    run.unix_ns_max = run.unix_ns_max.min(passed);
                }
            }
        }
        Ok(run)
    }

    /// The greatest key that went out of other journals with the same ticks.
    fn passed_by_others(&self, id: JournalId) -> u64 {
        let Some(journal) = self.journal(id) else { return 0 };
        let others = self.journals().filter(|(other, it)| *other != id && it.boot() == journal.boot());
        others.filter_map(|(_, other)| other.key_out()).max().unwrap_or(0)
    }

    /// The record that [`advance`](Self::advance) went to.
    #[inline]
    pub fn current(&self) -> Option<RecordRef<'_>> {
        let journal = self.journal(self.current?)?;
        let late = self.late_below > 0 && journal.key_out().is_some_and(|key| key < self.late_below);
        journal.current_or_late(late)
    }
}
