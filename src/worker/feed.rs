//! The records of all journals of the directory, in the order of the views, from a cursor on.
//!
//! This process's own live segments are read where they are mapped; everybody else's by `read_at`, from live memory or
//! the archive.

use super::process::Process;
use crate::clock::instant::Instant;
use crate::clock::ticks::unix_ns;
use crate::reader::archive::Archive;
use crate::reader::dir::{LogDir, ProcessSource};
use crate::reader::journal::{Fed, Journal};
use crate::reader::live::{Owner, owner};
use crate::reader::mark::{MARK_BYTES, Mark};
use crate::reader::merge::{JournalId, Merge, Step};
use crate::reader::record::RecordRef;
use crate::reader::source::{Extent, Source};
use crate::segment::layout::FRAME_BYTES_MAX;
use crate::shm::control::Control;
use crate::shm::control_page::ControlPage;
use crate::shm::directory::{JOURNAL, POINTER};
use crate::shm::foreign;
use crate::shm::journal;
use crate::sys::file::may_pass;
use crate::view::{Cursor, ProcessCursor};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// Bytes that are read at once: they and what is made of them stay in the cache until their lines are rendered.
const WINDOW_BYTES: usize = 64 << 10;
const _: () = assert!(WINDOW_BYTES >= FRAME_BYTES_MAX, "any frame must fit");
/// How often the directory is looked at for new processes.
const LIST_INTERVAL: Duration = Duration::from_millis(250);
/// How long a process without news may hold back the lines of others.
const HOLD_MAX: Duration = Duration::from_secs(1);
/// How long the folder of a journal may be missing that was read from: who lives makes it again.
const GONE_MAX: Duration = Duration::from_secs(3600);
/// How long processes whose control page cannot be seen wait for a checkpoint, which tells them how far they are rendered.
const UNTOLD_MAX: Duration = Duration::from_millis(250);

/// This process's journal.
struct OwnSource {
    process: Arc<dyn Process>,
    archive: Archive,
}

impl Source for OwnSource {
    fn read(&mut self, number: u64, offset: u64, bytes_max: usize, out: &mut Vec<u8>) -> io::Result<Extent> {
        let segments = self.process.segments();
        // Slots are freed on this same thread, between two steps of the views: what is not free now cannot be used again meanwhile.
        // What is may change under our hands, and is read from the archive.
        let slot = if number < segments.archiving() { None } else { segments.slot_of(number) };
        if let Some((index, slot)) = slot {
            let end = slot.end();
            let bytes = segments.copy_published(index, offset, bytes_max, out).bytes as u64;
            return Ok(match bytes {
                _ if end != 0 && offset + bytes >= end => Extent::End,
                0 => Extent::Growing,
                _ => Extent::More,
            });
        }
        if number > segments.newest() {
            return Ok(Extent::Missing { next: None });
        }
        self.archive.read(number, offset, bytes_max, out)
    }

    fn watermark(&mut self) -> io::Result<Option<u64>> {
        // SYNC POINT with the store of `watermark` in the writer.
        Ok(Some(self.process.control().writer.watermark.load(Ordering::Acquire)))
    }
}

enum Place {
    Own(OwnSource),
    Other(ProcessSource),
}

struct Member {
    place: Place,
    quiet_since: Option<Instant>,
    at_end: bool,
    /// It had no news for long, and nobody is seen to write it: it is asked again when the directory is listed, not with
    /// each step. There may be hundreds of such journals.
    rests: bool,
    /// Since its last news, it was looked whether live memory has come, and the journal was read to its end again.
    looked_again: bool,
    /// The live watermark up to which everything of this journal went out, with the next write.
    passed: Option<u64>,
    /// Where another process waits to be told how far its records are rendered.
    control: Option<ControlPage>,
    /// The live folder of that page.
    live: Option<PathBuf>,
    /// Since when the journal's folder has been missing.
    gone_since: Option<Instant>,
    /// The process is dead, and nothing that it left comes any more: what the next read to the end finds is all.
    over: bool,
    /// Records that the views took, and that the process was not told of yet.
    taken: u64,
    /// How many requests to sync it had when they were last looked at.
    sync_seen: u64,
    error: Option<String>,
}

/// All journals from a cursor on.
pub(super) struct Feed {
    /// The process that this is in, whose segments are mapped here anyway.
    own: Option<Arc<dyn Process>>,
    path: PathBuf,
    dir: LogDir,
    merge: Merge,
    members: BTreeMap<JournalId, Member>,
    /// Folders that were seen; `None` where nothing is left to be rendered.
    known: HashMap<String, Option<JournalId>>,
    /// Where journals that are not in the merge yet are to be taken up.
    places: HashMap<[u8; 16], Mark>,
    /// Where this feed ends, journal by journal; `None` for one that goes on for ever.
    until: Option<HashMap<[u8; 16], Mark>>,
    listed: Option<Instant>,
    /// Since when a process that cannot be told how far it is rendered has had news that no checkpoint has.
    untold_since: Option<Instant>,
    /// Records counted of the journal that the last of them came from.
    counted: Option<(JournalId, u64)>,
}

impl Feed {
    /// A feed that goes on behind `cursor`.
    pub(super) fn new(own: Option<&Arc<dyn Process>>, path: &Path, cursor: &Cursor) -> io::Result<Self> {
        Self::of(own, path, cursor, None)
    }

    /// A feed from `cursor` to `until`, which another feed reached: the same records that that one gave between the two.
    ///
    /// A cursor of it says nothing of what comes behind `until`.
    pub(super) fn between(
        own: Option<&Arc<dyn Process>>,
        path: &Path,
        cursor: &Cursor,
        until: &Cursor,
    ) -> io::Result<Self> {
        Self::of(own, path, cursor, Some(decode(until)))
    }

    fn of(
        own: Option<&Arc<dyn Process>>,
        path: &Path,
        cursor: &Cursor,
        until: Option<HashMap<[u8; 16], Mark>>,
    ) -> io::Result<Self> {
        let mut feed = Self {
            own: own.cloned(),
            path: path.to_path_buf(),
            dir: LogDir::open(path)?,
            merge: Merge::new(),
            members: BTreeMap::new(),
            known: HashMap::new(),
            places: decode(cursor),
            until,
            listed: None,
            untold_since: None,
            counted: None,
        };
        feed.list()?;
        Ok(feed)
    }

    /// Looks for processes that came, if it is time to; lets those that had nothing be asked again.
    pub(super) fn poll(&mut self) -> io::Result<()> {
        let listing = self.listed.is_none_or(|at| at.elapsed() >= LIST_INTERVAL);
        if listing {
            for (id, member) in &mut self.members {
                let Place::Other(source) = &mut member.place else { continue };
                source.refresh();
                let Some(name) = self.merge.journal(*id).map(Journal::name) else { continue };
                let folder = self.path.join(JOURNAL).join(name);
                let is_there = match folder.symlink_metadata() {
                    Ok(about) => about.is_dir(),
                    Err(error) => may_pass(&error),
                };
                if is_there {
                    member.gone_since = None;
                    member.over = is_over(&folder, source, member.live.as_deref());
                } else {
                    let gone = member.gone_since.get_or_insert_with(Instant::now).elapsed() >= GONE_MAX;
                    let untouched = self.merge.journal(*id).is_some_and(Journal::is_untouched);
                    let dead = member.live.as_deref().is_some_and(|live| owner(live) != Owner::Alive);
                    member.over = gone || untouched || dead;
                }
                // A process makes its folder first and its live memory after.
                if member.control.is_none()
                    && source.is_live()
                    && let Some((live, control)) = control_of(&folder)
                {
                    self.merge.set_boot(*id, boot_of(&control));
                    (member.live, member.control) = (Some(live), Some(control));
                }
            }
            self.list()?;
        }
        for member in self.members.values_mut() {
            member.rests &= !listing;
            member.at_end = member.rests;
        }
        Ok(())
    }

    /// Closes the archived segments that are open, so that the room of deleted ones comes free.
    pub(super) fn close_files(&mut self) {
        for member in self.members.values_mut() {
            match &mut member.place {
                Place::Own(source) => source.archive.close(),
                Place::Other(source) => source.close(),
            }
        }
    }

    /// The next [`poll`](Self::poll) lists the directory.
    pub(super) fn look_again(&mut self) {
        self.listed = None;
    }

    fn list(&mut self) -> io::Result<()> {
        let processes = self.dir.processes()?;
        self.forget_removed(processes.iter().map(|process| process.name()).collect());
        for process in processes {
            if self.known.contains_key(process.name()) {
                continue;
            }
            let end = self.until.as_ref().map(|until| until.get(&name_key(process.name())).copied());
            if end == Some(None) {
                continue;
            }
            if journal::is_rendered(&self.folder_of(process.name())) {
                self.known.insert(process.name().to_owned(), None);
                continue;
            }
            let own = self.own.as_ref().filter(|own| own.name() == process.name());
            let mut source = process.source();
            let mut journal = match self.places.get(&name_key(process.name())) {
                Some(mark) => Journal::resume(process.name(), *mark),
                None => Journal::new(process.name()),
            };
            if let Some(end) = end.flatten() {
                journal.end_at(end);
            }
            // The first segments of a journal may have been given up.
            let first = if own.is_some() { None } else { source.numbers()?.first().copied() };
            if let Some(first) = first.filter(|first| *first > journal.want().segment) {
                journal.start_at(first);
            }
            // A journal without a segment does not say by itself when its process was alive.
            let seen = if own.is_some() { None } else { control_of(&self.folder_of(process.name())) };
            let (live, control) = seen.unzip();
            if let Some(control) = own.map(|own| own.control()).or(control.as_deref()) {
                journal.set_boot(boot_of(control));
            }
            let over = own.is_none() && is_over(&self.folder_of(process.name()), &mut source, live.as_deref());
            let place = match own {
                Some(own) => Place::Own(OwnSource {
                    process: Arc::clone(own),
                    archive: Archive::folder(&self.folder_of(process.name())),
                }),
                None => Place::Other(source),
            };
            let id = self.merge.add(journal);
            self.known.insert(process.name().to_owned(), Some(id));
            self.members.insert(
                id,
                Member {
                    place,
                    quiet_since: None,
                    at_end: false,
                    rests: false,
                    looked_again: false,
                    passed: None,
                    live,
                    control,
                    gone_since: None,
                    over,
                    taken: 0,
                    sync_seen: 0,
                    error: None,
                },
            );
        }
        self.listed = Some(Instant::now());
        Ok(())
    }

    fn folder_of(&self, process: &str) -> PathBuf {
        self.path.join(JOURNAL).join(process)
    }

    /// Forgets folders that are gone and from which nothing was to be rendered.
    fn forget_removed(&mut self, there: HashSet<&str>) {
        self.known.retain(|name, id| id.is_some() || there.contains(name.as_str()));
    }

    /// Journals that are over, and of which everything went out; how many there are.
    pub(super) fn finished(&self) -> usize {
        self.members.iter().filter(|(id, member)| self.is_finished(**id, member)).count()
    }

    fn is_finished(&self, id: JournalId, member: &Member) -> bool {
        let is_current = self.merge.current_journal() == Some(id);
        let is_empty = self.merge.journal(id).is_some_and(Journal::is_empty);
        member.over && member.at_end && member.error.is_none() && is_empty && !is_current
    }

    /// Of the [`finished`](Self::finished) ones, those that stand in the cursor `rendered` just as far as they are.
    pub(super) fn rendered(&self, rendered: &Cursor) -> Vec<(JournalId, String)> {
        let marks = decode(rendered);
        let finished = self.members.iter().filter(|(id, member)| self.is_finished(**id, member));
        let journals = finished.filter_map(|(id, _)| Some((*id, self.merge.journal(*id)?)));
        let rendered = journals.filter(|(_, journal)| {
            journal.mark().is_some_and(|mark| marks.get(&name_key(journal.name())) == Some(&mark))
        });
        rendered.map(|(id, journal)| (id, journal.name().to_owned())).collect()
    }

    /// Journals that the cursor has and this feed passed over, because it is said of them that all is in the views.
    pub(super) fn passed_over(&self) -> Vec<String> {
        let known = self.known.iter().filter(|(name, id)| id.is_none() && self.places.contains_key(&name_key(name)));
        let mut names: Vec<_> = known.map(|(name, _)| name.clone()).collect();
        names.sort_unstable();
        names
    }

    /// Leaves out a journal from which nothing is to be rendered any more.
    pub(super) fn leave_out(&mut self, id: JournalId) {
        self.book();
        if let Some(journal) = self.merge.remove(id) {
            self.places.remove(&name_key(journal.name()));
            self.known.insert(journal.name().to_owned(), None);
        }
        self.members.remove(&id);
    }

    /// Says that a checkpoint follows, which tells those whose control page cannot be seen from here; whether it has to.
    pub(super) fn take_untold(&mut self) -> bool {
        self.untold_since.take().is_some()
    }

    /// Whether another process asked for a sync since the last look, or one that can only read the checkpoint waits for it.
    pub(super) fn sync_wanted(&mut self) -> bool {
        let mut wanted = self.untold_since.is_some_and(|since| since.elapsed() >= UNTOLD_MAX);
        for member in self.members.values_mut() {
            if let Some(control) = &member.control {
                let asked = control.request.sync.load(Ordering::Acquire);
                wanted |= asked != member.sync_seen;
                member.sync_seen = asked;
            }
        }
        wanted
    }

    /// Tells the processes whose records are rendered, and synced if `synced`, how far they are.
    pub(super) fn tell(&mut self, synced: bool) {
        self.book();
        for (id, member) in &mut self.members {
            let Some(journal) = self.merge.journal(*id) else { continue };
            // While more is ready, everything before the record that went out last.
            let passed = if journal.has_ready() { journal.passed() } else { member.passed };
            let Some(passed) = passed else { continue };
            let worker = match (&member.place, &member.control) {
                (Place::Own(source), _) => &source.process.control().worker,
                (Place::Other(_), Some(control)) => &control.worker,
                (Place::Other(_), None) => continue,
            };
            worker.records.fetch_add(std::mem::take(&mut member.taken), Ordering::Relaxed);
            // SYNC POINT with the loads in `flush`: the lines are in their files.
            worker.rendered.fetch_max(passed, Ordering::Release);
            if synced {
                worker.synced.fetch_max(passed, Ordering::Release);
            }
        }
    }

    /// Counts the current record: the views took it.
    #[inline]
    pub(super) fn count(&mut self) {
        match (self.merge.current_journal(), &mut self.counted) {
            (Some(id), Some((of, records))) if *of == id => *records += 1,
            (Some(id), _) => {
                self.book();
                self.counted = Some((id, 1));
            }
            (None, _) => {}
        }
    }

    /// Adds what was counted to the journal that it came from.
    fn book(&mut self) {
        if let Some((id, records)) = self.counted.take()
            && let Some(member) = self.members.get_mut(&id)
        {
            member.taken += records;
        }
    }

    /// Goes on to the next record; `false` when there is none now.
    #[inline]
    pub(super) fn advance(&mut self) -> bool {
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
    pub(super) fn current(&self) -> Option<RecordRef<'_>> {
        self.merge.current()
    }

    /// The segment that is read at present, of each journal by its [key](name_key).
    pub(super) fn reading(&self) -> impl Iterator<Item = ([u8; 16], u64)> {
        self.merge.journals().map(|(_, journal)| (name_key(journal.name()), journal.want().segment))
    }

    /// Where the feed stands: behind the current record, or before it.
    pub(super) fn cursor(&self, behind: bool) -> Cursor {
        let mut cursor = Cursor::default();
        let current = self.merge.current_journal().filter(|_| !behind);
        for (id, journal) in self.merge.journals() {
            let process = name_key(journal.name());
            let mark = if current == Some(id) { journal.mark_before() } else { journal.mark() };
            // Without a mark now, an earlier one: after a crash lines could stand twice, but none is lost.
            let Some(mark) = mark.or_else(|| self.places.get(&process).copied()) else { continue };
            cursor.processes.push(ProcessCursor { process, segment: mark.start.number, offset: 0 });
            cursor.merge.extend_from_slice(&mark.encode());
        }
        cursor
    }

    /// Whether everything went out but for what living processes are still to complete.
    pub(super) fn is_done(&self) -> bool {
        self.members.iter().all(|(id, member)| {
            let alive = matches!(&member.place, Place::Other(source) if source.owner() == Owner::Alive);
            alive || (member.at_end && self.merge.journal(*id).is_none_or(Journal::is_empty))
        })
    }

    /// Whether the [`cursor`](Self::cursor) would tell of every journal how far it has come, and not how far it had come
    /// earlier, nor of late records in wait: another feed can end there.
    pub(super) fn is_exact(&self, behind: bool) -> bool {
        let current = self.merge.current_journal().filter(|_| !behind);
        self.merge.journals().all(|(id, journal)| {
            let mark = if current == Some(id) { journal.mark_before() } else { journal.mark() };
            mark.is_some_and(|mark| mark.late.is_none())
        })
    }

    /// What went wrong last with some journal.
    pub(super) fn error(&self) -> Option<&str> {
        self.members.values().find_map(|member| member.error.as_deref())
    }

    fn read(&mut self, id: JournalId) {
        let (Some(member), Some(journal)) = (self.members.get_mut(&id), self.merge.journal_mut(id)) else { return };
        let result = member.read(journal);
        member.error = result.as_ref().err().map(ToString::to_string);
        if result.unwrap_or(false) {
            member.quiet_since = None;
            member.looked_again = false;
            if matches!(member.place, Place::Other(_)) && member.control.is_none() {
                self.untold_since.get_or_insert_with(Instant::now);
            }
        }
        if !member.at_end {
            return;
        }
        // All that went out once is there to be read: nothing is to be waited for.
        let again = self.until.is_some();
        let quiet = again || member.quiet_since.get_or_insert_with(Instant::now).elapsed() >= HOLD_MAX;
        // The dead bring no more once they were recovered; until then they are waited for, if not for ever.
        let over = match &member.place {
            Place::Own(_) => false,
            Place::Other(source) => source.owner() != Owner::Alive && (quiet || !source.is_live()),
        };
        if let Place::Other(source) = &mut member.place
            && over
            && !member.looked_again
        {
            // A process that just started may have archived a segment by now, and more is to come that belongs between its
            // records: without live memory, what was read is all only if it was read after that was looked for.
            source.refresh();
            member.looked_again = true;
            member.at_end = false;
            return;
        }
        if over {
            if member.over
                && let Err(error) = member.close(journal)
            {
                member.error = Some(error.to_string());
            }
            match member.error {
                None => journal.let_out(),
                // More is there to be read.
                Some(_) => journal.hurry(),
            }
            member.at_end = !journal.has_ready();
            let unseen = matches!(&member.place, Place::Other(source) if !source.is_live());
            member.rests = member.at_end && quiet && unseen && !again;
        }
        self.merge.wait_for(id, !(quiet || over));
    }
}

impl Member {
    /// Feeds the journal until it has a record ready or nothing more is to be had; says whether there was news.
    fn read(&mut self, journal: &mut Journal) -> io::Result<bool> {
        self.at_end = true;
        let mut news = false;
        let source: &mut dyn Source = match &mut self.place {
            Place::Own(source) => source,
            Place::Other(source) => source,
        };
        // Loaded before the journal is read to its end, so that it holds for what is read.
        let watermark = source.watermark()?;
        loop {
            if journal.is_at_end() {
                journal.let_out();
                self.at_end = !journal.has_ready();
                return Ok(news);
            }
            let want = journal.want();
            let mut bytes = journal.buffer();
            let extent = source.read(want.segment, want.offset, WINDOW_BYTES, &mut bytes)?;
            match journal.feed(bytes, extent) {
                Fed::Progress => {
                    news = true;
                    if journal.has_ready() {
                        self.at_end = false;
                        return Ok(news);
                    }
                }
                Fed::Retry => {}
                Fed::Idle => {
                    if let Some(watermark) = watermark {
                        // Of a process in an unknown boot it is no news that it lives.
                        news |= journal.raise(watermark) && *journal.boot() != [0; 16];
                        self.passed = Some(watermark);
                    }
                    self.at_end = !journal.has_ready();
                    return Ok(news);
                }
                Fed::Newer(version) => {
                    return Err(io::Error::other(format!(
                        "the journal {} has layout {version}, which is newer than this program; update it to have these records in the views",
                        journal.name()
                    )));
                }
            }
        }
    }

    /// Takes what is left of the last segment, which will not grow any more: a loss of power can leave zeros in its midst,
    /// which are as what is not written yet, and whole records behind them.
    fn close(&mut self, journal: &mut Journal) -> io::Result<()> {
        let Place::Other(source) = &mut self.place else { return Ok(()) };
        if source.is_live() {
            return Ok(());
        }
        while !journal.is_at_end() {
            let want = journal.want();
            let mut bytes = journal.buffer();
            let extent = source.read(want.segment, want.offset, WINDOW_BYTES, &mut bytes)?;
            // A lost header costs another round: its frames tell how they are to be read.
            if extent != Extent::Growing || bytes.is_empty() || journal.feed(bytes, Extent::End) != Fed::Progress {
                return Ok(());
            }
        }
        Ok(())
    }
}

/// Whether the process of the journal in `folder` is dead, and all that it left is there to be read by `source` from now on.
/// `live`: its live folder, if that was ever seen.
fn is_over(folder: &Path, source: &mut ProcessSource, live: Option<&Path>) -> bool {
    // Others may have deleted what the folder says of a process that lives.
    let alive = live.is_some_and(|live| owner(live) == Owner::Alive);
    let over = !alive && journal::is_over(folder, unix_ns()).unwrap_or(false);
    if over {
        source.refresh();
    }
    over
}

/// The live folder and the control page of another living process, if they can be seen from here.
fn control_of(folder: &Path) -> Option<(PathBuf, ControlPage)> {
    let live = PathBuf::from(crate::shm::directory::read_text(&folder.join(POINTER)).ok()?.trim_end());
    let control = foreign::control_of(&live).ok()?;
    Some((live, control))
}

fn boot_of(control: &Control) -> [u8; 16] {
    let [low, high] = control.identity.boot.each_ref().map(|word| u128::from(word.load(Ordering::Relaxed)));
    (low | high << 64).to_le_bytes()
}

pub(super) fn decode(cursor: &Cursor) -> HashMap<[u8; 16], Mark> {
    let marks = cursor.merge.chunks_exact(MARK_BYTES).map(Mark::decode);
    cursor.processes.iter().zip(marks).filter_map(|(place, mark)| Some((place.process, mark?))).collect()
}

/// A journal's name as a key of fixed size: FNV-1a, 128 bits.
pub(crate) fn name_key(name: &str) -> [u8; 16] {
    const PRIME: u128 = 0x0000_0000_0100_0000_0000_0000_0000_013b;
    let basis = 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d_u128;
    let hash = name.bytes().fold(basis, |hash, byte| (hash ^ u128::from(byte)).wrapping_mul(PRIME));
    hash.to_le_bytes()
}
