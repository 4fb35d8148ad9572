//! Follows all journals of a log directory: the shell around [`Merge`], which reads and waits for nobody longer than it
//! should.
//!
//! [`Follower::advance`] never sleeps; who follows calls [`Follower::poll`] every now and then.

use super::cursor::Cursor;
use super::dir::{LogDir, Process, ProcessSource};
use super::journal::{Fed, Journal, Tally};
use super::live::Owner;
use super::merge::{JournalId, Merge, Step};
use super::record::RecordRef;
use super::source::{Extent, Source as _};
use super::wanted::Wanted;
use std::collections::{BTreeMap, HashSet};
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Bytes that are read at once from a journal with little news. Twice as many after each full window.
const WINDOW_BYTES_MIN: usize = 16 << 10;
/// Bytes that are read at once at most; more than the largest frame.
const WINDOW_BYTES_MAX: usize = 256 << 10;
/// How often a follower looks for new processes, and whether the known ones live.
pub const REFRESH_INTERVAL: Duration = Duration::from_millis(250);
/// How long a process without news may hold back others.
pub const HOLD_MAX: Duration = Duration::from_secs(1);

/// How long after the time in its header a segment may have been opened: the writer puts its present anchor there, which
/// in a quiet process is a minute old.
const OPENED_AFTER_MAX_NS: i64 = 65_000_000_000;

/// Up to where a follower reads.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Until {
    /// What there is at this time.
    Now,
    /// Go on as long as it is asked.
    Forever,
}

/// Where in the journals a follower begins.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Start {
    /// With the first record.
    First,
    /// With the first segment that may hold records from this time on, nanoseconds since the Unix epoch.
    Since(i64),
    /// With the last so many segments of each journal.
    Last(usize),
}

/// What is known of a process, for those who report it.
#[derive(Clone, Debug)]
pub struct About {
    /// Its name.
    pub process: String,
    /// What was met in its journal.
    pub tally: Tally,
    /// Whether its live memory is read.
    pub live: bool,
    /// Whether its owner is there.
    pub owner: Owner,
    /// The journal is of segment files alone.
    pub files: bool,
    /// The journal was read to the end of a sealed segment: nothing of it can be missing.
    pub sealed: bool,
    /// Why the journal cannot be read on, if it cannot.
    pub error: Option<String>,
    /// Why live memory cannot be read, though it is there.
    pub live_error: Option<String>,
    /// The version of a layout that is too new to be read.
    pub newer: Option<u32>,
}

struct Member {
    source: ProcessSource,
    window: usize,
    /// Nothing more is to be had in this round.
    at_end: bool,
    /// Since when there is no news.
    quiet_since: Option<Instant>,
    error: Option<String>,
}

/// Follows a log directory.
pub struct Follower {
    dir: LogDir,
    until: Until,
    merge: Merge,
    members: BTreeMap<JournalId, Member>,
    known: HashSet<String>,
    refreshed: Instant,
    start: Start,
    wanted: Arc<Wanted>,
    /// Where journals that are not in the merge yet are to be taken up.
    places: Cursor,
    /// Records before this time may have been left out, because of `start`.
    complete_from_ns: i64,
}

impl Follower {
    /// A follower of the processes in `dir`, and of those to come, which are always read from their first record on.
    ///
    /// # Errors
    /// When the directory cannot be listed.
    pub fn open(dir: LogDir, until: Until, start: Start) -> io::Result<Self> {
        Self::new(dir, until, start, Cursor::default())
    }

    /// A follower that goes on where another one had come to, when that one's [`cursor`](Self::cursor) was taken. Segments
    /// that are there no more are counted as missing.
    ///
    /// # Errors
    /// When the directory cannot be listed.
    pub fn resume(dir: LogDir, until: Until, cursor: Cursor) -> io::Result<Self> {
        Self::new(dir, until, Start::First, cursor)
    }

    fn new(dir: LogDir, until: Until, start: Start, places: Cursor) -> io::Result<Self> {
        let mut follower = Self {
            dir,
            until,
            merge: Merge::new(),
            members: BTreeMap::new(),
            known: HashSet::new(),
            refreshed: Instant::now(),
            start,
            wanted: Arc::default(),
            places,
            complete_from_ns: i64::MIN,
        };
        follower.list()?;
        follower.start = Start::First;
        Ok(follower)
    }

    /// Passes over what is not wanted of packed segments, from now on: to be called before anything is read.
    pub fn set_wanted(&mut self, wanted: Wanted) {
        self.wanted = Arc::new(wanted);
    }

    /// How far this has come in each journal, the [current](Self::current) record included. Journals that are gone
    /// are not in it.
    pub fn cursor(&mut self) -> Cursor {
        for (_, journal) in self.merge.journals() {
            // Without a mark now, an earlier one: what went out since comes again, and nothing is passed over.
            if let Some(mark) = journal.mark() {
                self.places.marks.insert(journal.name().to_owned(), mark);
            }
        }
        self.places.clone()
    }

    /// Goes on to the next record; `false` when there is none now.
    ///
    /// # Errors
    /// None that stops others: what cannot be read of a journal stands in [`about`](Self::about).
    pub fn advance(&mut self) -> bool {
        loop {
            let hungry = match self.merge.advance() {
                Step::Record => return true,
                Step::Blocked(id) => Some(id),
                Step::Empty => self.merge.hungriest(|id| self.members.get(&id).is_some_and(|member| !member.at_end)),
            };
            match hungry {
                Some(id) if self.members.get(&id).is_some_and(|member| !member.at_end) => self.read(id),
                _ => return false,
            }
        }
    }

    /// The record that [`advance`](Self::advance) went to.
    pub fn current(&self) -> Option<RecordRef<'_>> {
        self.merge.current()
    }

    /// Looks for news: to be called when [`advance`](Self::advance) found nothing, after a while.
    ///
    /// # Errors
    /// When the directory cannot be listed.
    pub fn poll(&mut self) -> io::Result<()> {
        if self.refreshed.elapsed() >= REFRESH_INTERVAL {
            for member in self.members.values_mut() {
                member.source.refresh();
            }
            self.list()?;
            self.refreshed = Instant::now();
        }
        for member in self.members.values_mut() {
            member.at_end = false;
        }
        Ok(())
    }

    /// From when on no record is left out because of where the journals were begun; the least time if none is at all.
    pub fn complete_from_ns(&self) -> i64 {
        self.complete_from_ns
    }

    /// How many processes are followed.
    pub fn processes(&self) -> usize {
        self.members.len()
    }

    /// What is known of each process.
    pub fn about(&self) -> impl Iterator<Item = About> {
        self.members.iter().filter_map(|(id, member)| {
            let journal = self.merge.journal(*id)?;
            Some(About {
                process: journal.name().to_owned(),
                tally: *journal.tally(),
                live: member.source.is_live(),
                owner: member.source.owner(),
                files: member.source.is_files(),
                sealed: journal.want().offset == 0,
                error: member.error.clone(),
                live_error: member.source.live_error().map(str::to_owned),
                newer: journal.newer(),
            })
        })
    }

    /// Adds processes that were not known.
    fn list(&mut self) -> io::Result<()> {
        let processes = self.dir.processes()?;
        self.forget_gone(&processes.iter().map(Process::name).collect());
        for process in processes {
            if !self.known.insert(process.name().to_owned()) {
                continue;
            }
            let mut source = process.source();
            let (journal, begun) = match self.places.marks.get(process.name()) {
                Some(mark) => (Journal::resume(process.name(), *mark), Ok(i64::MIN)),
                None => {
                    let mut journal = Journal::new(process.name());
                    let begun = begin(&mut source, &mut journal, self.start);
                    (journal, begun)
                }
            };
            let error = begun.as_ref().err().map(ToString::to_string);
            self.complete_from_ns = self.complete_from_ns.max(begun.unwrap_or(i64::MIN));
            let id = self.merge.add(journal);
            let member = Member { source, window: WINDOW_BYTES_MIN, at_end: false, quiet_since: None, error };
            self.members.insert(id, member);
        }
        Ok(())
    }

    /// Lets go of journals whose folders are gone and of which nothing is left to go out.
    fn forget_gone(&mut self, there: &HashSet<&str>) {
        let merge = &self.merge;
        let is_gone = |id: &JournalId| {
            let journal = merge.journal(*id).filter(|journal| !there.contains(journal.name()) && journal.is_empty());
            journal.filter(|_| merge.current_journal() != Some(*id)).map(|journal| (*id, journal.name().to_owned()))
        };
        let gone: Vec<_> = self.members.keys().filter_map(is_gone).collect();
        for (id, name) in gone {
            self.merge.remove(id);
            self.members.remove(&id);
            self.known.remove(&name);
        }
        self.places.marks.retain(|name, _| there.contains(name.as_str()) || self.known.contains(name));
    }

    /// Reads of a journal until it has a record ready or there is nothing more now.
    fn read(&mut self, id: JournalId) {
        let (Some(member), Some(journal)) = (self.members.get_mut(&id), self.merge.journal_mut(id)) else { return };
        let result = member.read(journal, &self.wanted);
        member.error = result.as_ref().err().map(ToString::to_string);
        let news = result.unwrap_or(false);
        if !member.at_end {
            return;
        }
        if news {
            member.quiet_since = None;
        }
        let quiet = member.quiet_since.get_or_insert_with(Instant::now).elapsed() >= HOLD_MAX;
        let owner = member.source.owner();
        let over = self.until == Until::Now || owner == Owner::Dead || quiet;
        if over {
            if self.until == Until::Now && owner != Owner::Alive {
                member.close(journal);
            }
            if owner == Owner::Alive || member.error.is_some() {
                journal.hurry();
            } else {
                journal.let_out();
            }
        }
        // Without live memory there is no telling when news will come.
        let waited_for = !over && owner == Owner::Alive && member.source.is_live();
        self.merge.wait_for(id, waited_for);
    }
}

impl Member {
    /// Says whether there was any news.
    fn read(&mut self, journal: &mut Journal, wanted: &Arc<Wanted>) -> io::Result<bool> {
        self.at_end = true;
        let mut news = false;
        self.source.sift(Some(wanted).filter(|wanted| wanted.sifts() && journal.may_leave_out()));
        // Where bytes up to the next block were not enough.
        let mut whole_at = None;
        // Loaded before the journal is read to its end, so that it holds for what is read.
        let watermark = self.source.watermark()?;
        loop {
            let want = journal.want();
            let mut window = self.window;
            if !wanted.is_all()
                && let Some(block) = self.source.block_from(want.segment, want.offset)
                && journal.may_pass(&block, wanted)
            {
                let before = u64::from(block.raw_at) - want.offset;
                if before == 0 {
                    journal.pass(&block);
                    news = true;
                    continue;
                }
                // Up to there, so that it is not unpacked for the sake of a few bytes.
                if whole_at != Some(want) {
                    window = usize::try_from(before).map_or(window, |before| before.min(window));
                }
            }
            let mut bytes = journal.buffer();
            let extent = self.source.read(want.segment, want.offset, window, &mut bytes)?;
            let got = bytes.len();
            let unpublished = bytes.first_chunk::<4>().is_none_or(|first| *first == [0; 4]);
            match journal.feed(bytes, extent) {
                Fed::Progress => {
                    news = true;
                    let moved = journal.want();
                    if moved.segment == want.segment && (moved.offset - want.offset) as usize > self.window / 2 {
                        self.window = (self.window * 2).min(WINDOW_BYTES_MAX);
                    }
                    if journal.has_ready() {
                        self.at_end = false;
                        return Ok(news);
                    }
                }
                Fed::Retry => {}
                Fed::Idle if window < self.window && whole_at != Some(want) => whole_at = Some(want),
                // A frame larger than the window.
                Fed::Idle if got == self.window && !unpublished && got < WINDOW_BYTES_MAX => {
                    self.window = WINDOW_BYTES_MAX;
                }
                Fed::Idle => {
                    self.window = WINDOW_BYTES_MIN;
                    if let Some(watermark) = watermark {
                        news |= journal.raise(watermark);
                    }
                    self.at_end = !journal.has_ready();
                    return Ok(news);
                }
                Fed::Newer(_) => return Ok(news),
            }
        }
    }

    /// Takes what is left of a segment that will not grow any more.
    fn close(&mut self, journal: &mut Journal) {
        let want = journal.want();
        let mut bytes = journal.buffer();
        let read = self.source.read(want.segment, want.offset, WINDOW_BYTES_MAX, &mut bytes);
        if matches!(read, Ok(Extent::Growing)) && !self.source.is_live() && !bytes.is_empty() {
            journal.feed(bytes, Extent::End);
        }
    }
}

/// Finds the segment to begin with, and tells the journal what its header says. Gives the time from which on nothing is
/// left out.
fn begin(source: &mut ProcessSource, journal: &mut Journal, start: Start) -> io::Result<i64> {
    let numbers = source.numbers()?;
    let index = match start {
        Start::First => 0,
        Start::Last(count) => numbers.len().saturating_sub(count),
        Start::Since(since_ns) => last_begun_before(source, &numbers, since_ns)?,
    };
    let Some(number) = numbers.get(index).copied() else { return Ok(i64::MIN) };
    let left_out = index > 0;
    match source.header(number)? {
        Some(Ok(header)) if header.number == number => {
            journal.begin(&header);
            Ok(if left_out { header.unix_ns.saturating_add(OPENED_AFTER_MAX_NS) } else { i64::MIN })
        }
        _ => {
            journal.start_at(number);
            Ok(if left_out { i64::MAX } else { i64::MIN })
        }
    }
}

/// Index of the last segment that was surely opened before a time. A wall clock that was set back may hide records.
fn last_begun_before(source: &mut ProcessSource, numbers: &[u64], since_ns: i64) -> io::Result<usize> {
    let since_ns = since_ns.saturating_sub(OPENED_AFTER_MAX_NS);
    let (mut low, mut high) = (0, numbers.len());
    while low < high {
        let middle = usize::midpoint(low, high);
        let Some(number) = numbers.get(middle).copied() else { break };
        match source.header(number)? {
            Some(Ok(header)) if header.unix_ns > since_ns => high = middle,
            _ => low = middle + 1,
        }
    }
    Ok(low.saturating_sub(1))
}
