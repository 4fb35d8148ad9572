//! Renders the views of the directory, while this process is the one elected to do so.
//!
//! One process of those that log to a directory renders the journals of all of them; a lock on disk says which. When it
//! dies, the lock falls and another goes on at the cursor, which stands in shared memory with the lines being appended.

use super::cursor::load;
use super::feed::{Feed, decode, name_key};
use super::keep::Needed;
use super::names;
use super::page::{Page, Room};
use super::process::Process;
use super::survive::{self, Stood};
use crate::clock::instant::Instant;
use crate::clock::ticks::unix_ns as now_ns;
use crate::config::Config;
use crate::disk::Disk;
use crate::error::Error;
use crate::reader::record::{Body, Position};
use crate::shm::directory::JOURNAL;
use crate::shm::folder::private_folder;
use crate::shm::journal::{confirm_rendered, left_nothing, mark_rendered};
use crate::sys::file::may_pass;
use crate::view::{
    Checkpoint, Config as ViewsConfig, Cursor, Events, Job, JobResult, Progress, Push, ViewId, ViewSet, ViewState,
};
use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// File whose lock says who renders.
pub(crate) const ELECTION: &str = "renderer";
/// The answer of a worker that is asked to rotate, and does not render: another one does.
pub(crate) const NOT_THE_RENDERER: &str = "another process renders the views";
/// Records that one step takes at most, so that the archive is never kept waiting.
const RECORDS_PER_STEP: u32 = 8_000;
/// Journals that are finished and still in the cursor, with a hundred bytes each: beyond them a checkpoint is made early.
const FINISHED_MAX: usize = 32;
/// The least time between two such checkpoints.
const LEAVE_OUT_INTERVAL: Duration = Duration::from_millis(100);

/// The views of a directory, seen from one of its processes.
pub(crate) struct Views<D: Disk> {
    dir: PathBuf,
    disk: Arc<D>,
    /// The folder of the journals.
    journals: D,
    config: ViewsConfig,
    /// The folder of live folders; `None` with anonymous memory.
    shared: Option<PathBuf>,
    /// The process that this is a thread of.
    own: Option<Arc<dyn Process>>,
    elected: Option<Elected<D>>,
    /// The cursor was saved since the last change.
    saved: bool,
    /// Those who wait know how far the last step came.
    told: bool,
    trouble: Option<String>,
    /// What is to be said in the log of how rendering began.
    said: Vec<String>,
}

struct Elected<D: Disk> {
    set: ViewSet<D, Page>,
    feed: Feed,
    /// Dropped after those: the next one may begin.
    lock: D::Lock,
    /// What is saved of how far the views are.
    last: Checkpoint,
    /// What happened to the files of each view, as far as it was said.
    known: HashMap<String, Events>,
    /// The feed's current record found no room and is pushed again first.
    held: bool,
    /// Records were pushed since the last write.
    unwritten: bool,
    /// The last write did not come to its end.
    blocked: bool,
    /// The cursor of the last write told of every journal how far it had come: a view that is behind can be fed up to it.
    exact: bool,
    /// How many views' names are stored.
    names: usize,
    save_error: Option<String>,
    /// When journals were left out of the cursor last.
    left_out_at: Option<Instant>,
}

/// The views that `config` asks for.
pub(crate) fn check(config: &Config) -> Result<ViewsConfig, Error> {
    config.views_wanted()
}

impl<D: Disk> Views<D> {
    /// The views of `config`, for the log directory `disk` at the path `dir`.
    pub(super) fn new(
        config: ViewsConfig,
        disk: Arc<D>,
        journals: D,
        dir: &Path,
        shared: Option<&Path>,
        own: Option<Arc<dyn Process>>,
    ) -> Self {
        Self {
            dir: dir.to_path_buf(),
            disk,
            journals,
            config,
            shared: shared.map(Path::to_path_buf),
            own,
            elected: None,
            saved: true,
            told: true,
            trouble: None,
            said: Vec::new(),
        }
    }

    /// Whether this process renders.
    pub(super) fn is_elected(&self) -> bool {
        self.elected.is_some()
    }

    /// Looks for other journals with the next step: what others logged and closed by now shall not wait for the next renderer.
    pub(super) fn look_again(&mut self) {
        if let Some(elected) = &mut self.elected {
            elected.feed.look_again();
        }
    }

    /// Whether every line that can be written by now is.
    pub(super) fn is_done(&self) -> bool {
        self.elected.as_ref().is_none_or(|elected| {
            !elected.blocked && !elected.unwritten && elected.set.is_healthy() && elected.feed.is_done()
        })
    }

    /// What keeps lines from their files, if anything does.
    pub(super) fn trouble(&self) -> Option<String> {
        let views = self.elected.as_ref().filter(|elected| !elected.set.is_healthy()).and_then(|elected| {
            let failing = elected.set.status().find_map(|status| match status.state {
                ViewState::Failing { error, .. } => Some(error),
                ViewState::Healthy | ViewState::Behind => None,
            });
            elected.set.blocked().map(str::to_owned).or(failing)
        });
        let feed = || self.elected.as_ref().and_then(|elected| elected.feed.error().map(str::to_owned));
        let saving = || self.elected.as_ref().and_then(|elected| elected.save_error.clone());
        views.or_else(feed).or_else(saving).or_else(|| self.trouble.clone())
    }

    /// Becomes the renderer if nobody is.
    pub(super) fn stand(&mut self) -> io::Result<bool> {
        if self.elected.is_some() {
            return Ok(true);
        }
        let Some(lock) = self.journals.lock(ELECTION)? else { return Ok(false) };
        let page = match &self.shared {
            Some(folder) => {
                let room = self.own.as_ref().map_or_else(Room::default, |own| own.page_room());
                // Who recovers the last process removes it, while nothing else is in it.
                let opened = private_folder(folder, room.group).and_then(|()| Page::open(folder, &room));
                match (opened, &self.own) {
                    (Ok(page), _) => page,
                    // An anonymous page is for memory that cannot be had; the next look finds the one that is there.
                    (Err(error), _) if may_pass(&error) => return Err(error),
                    (Err(error), Some(own)) => {
                        own.say(format!("the views are not exact over a crash: no page in shared memory: {error}"));
                        Page::anonymous(room.bytes)?
                    }
                    (Err(error), None) => return Err(error),
                }
            }
            None => Page::anonymous(self.own.as_ref().map_or_else(Room::default, |own| own.page_room()).bytes)?,
        };
        let Stood { mut set, last, said } = survive::open(&self.disk, &self.journals, page, self.config.clone())?;
        self.said.extend(said);
        names::adopt(&mut set, &*self.disk, &self.journals)?;
        let feed = Feed::new(self.own.as_ref(), &self.dir, set.cursor())?;
        // The next cursor lacks them: without the file they would be rendered again after a loss of power.
        feed.passed_over().iter().try_for_each(|process| confirm_rendered(&self.journals, process))?;
        self.saved = false;
        self.elected = Some(Elected {
            set,
            feed,
            lock,
            last,
            known: HashMap::new(),
            held: false,
            unwritten: false,
            blocked: false,
            exact: true,
            names: 0,
            save_error: None,
            left_out_at: None,
        });
        Ok(true)
    }

    /// Renders what is there; says whether there may be more at once.
    pub(super) fn step(&mut self) -> io::Result<bool> {
        let Some(elected) = &mut self.elected else { return Ok(false) };
        elected.feed.poll()?;
        elected.catch_up(&self.journals, self.own.as_ref(), &self.dir)?;
        let round = elected.round(&self.journals);
        if round.taken {
            self.saved = false;
        }
        self.told = !(round.written && elected.set.is_healthy());
        Ok(round.more && round.written)
    }

    /// Views, and how many of them cannot be written.
    pub(super) fn states(&self) -> (u64, u64) {
        let states = self.elected.iter().flat_map(|elected| elected.set.status());
        states.fold((0, 0), |(all, failing), status| {
            (all + 1, failing + u64::from(matches!(status.state, ViewState::Failing { .. })))
        })
    }

    /// Lines appended so far, while this process renders.
    pub(super) fn lines(&self) -> Option<u64> {
        self.elected.as_ref().map(|elected| elected.set.lines())
    }

    /// The segments that are still to be rendered. Who does not render knows what was rendered at the last sync.
    pub(super) fn needed(&self) -> io::Result<Needed> {
        match &self.elected {
            Some(elected) => {
                let mut needed = first_needed(elected.set.cursors());
                // What was read since the last write is in memory.
                for (process, reading) in elected.feed.reading() {
                    if let Some((_, read)) = needed.get_mut(&process) {
                        *read = reading.max(*read);
                    }
                }
                Ok(needed)
            }
            None => load(&self.journals).map(|last| needed_by(&last.unwrap_or_default())),
        }
    }

    /// Whether all that the journal of process `name` has before `place` (segment, offset) is in the views, as the checkpoint
    /// of another renderer says.
    pub(super) fn is_rendered(&self, name: &str, (segment, offset): (u64, u64)) -> io::Result<bool> {
        let Some(last) = load(&self.journals)? else { return Ok(false) };
        let behind = last.views.iter().filter_map(|view| view.cursor.as_ref());
        let passed = |cursor: &Cursor| {
            let mark = decode(cursor).remove(&name_key(name));
            mark.is_some_and(|mark| mark.whole && mark.read >= Position { segment, offset })
        };
        Ok(std::iter::once(&last.cursor).chain(behind).all(passed))
    }

    /// Whether lines wait for room on the disk.
    pub(super) fn is_out_of_room(&self) -> bool {
        self.elected.as_ref().is_some_and(|elected| elected.set.is_out_of_room())
    }

    /// There may be room now: deleted files are closed, and what waits is written at once.
    pub(super) fn hurry(&mut self) {
        if let Some(elected) = &mut self.elected {
            elected.set.close_deleted();
            elected.feed.close_files();
            elected.set.hurry();
        }
    }

    /// Closes archived segments that are open for reading: what was deleted is gone for this process, too.
    pub(super) fn close_archives(&mut self) {
        if let Some(elected) = &mut self.elected {
            elected.feed.close_files();
        }
    }

    /// The oldest backup of all views, with time and bytes; see [`ViewSet::oldest_backup`].
    pub(super) fn oldest_backup(&self) -> io::Result<Option<(String, i64, u64)>> {
        self.elected.as_ref().map_or(Ok(None), |elected| elected.set.oldest_backup())
    }

    /// Deletes it.
    pub(super) fn give_up(&mut self, name: &str, bytes: u64) -> io::Result<()> {
        self.elected.as_mut().map_or(Ok(()), |elected| elected.set.give_up(name, bytes))
    }

    /// Goes on in the directory to which the path leads now; says whether it is another one. Where somebody else renders
    /// that one, this process does no longer.
    pub(super) fn revalidate(&mut self) -> io::Result<bool> {
        let moved = self.disk.revalidate()?;
        let journals_moved = self.journals.revalidate()?;
        if let Some(elected) = self.elected.as_mut().filter(|_| moved) {
            elected.set.look_again();
        }
        if let Some(elected) = &mut self.elected
            && !self.journals.is_lock_of(&elected.lock, ELECTION)?
        {
            // Also where only the file was deleted: the lock of a file without a name keeps nobody away.
            match self.journals.lock(ELECTION)? {
                Some(lock) => elected.lock = lock,
                None => self.elected = None,
            }
            self.saved = false;
        }
        Ok(moved || journals_moved)
    }

    /// What others did to the views' files since the last call.
    pub(super) fn incidents(&mut self) -> Vec<String> {
        let mut said = std::mem::take(&mut self.said);
        let Some(elected) = &mut self.elected else { return said };
        for status in elected.set.status() {
            let Events { truncated, replaced, lost_bytes, displaced, .. } = status.events;
            let known = elected.known.entry(status.name.clone()).or_default();
            if truncated > known.truncated {
                let bytes = lost_bytes - known.lost_bytes;
                said.push(format!("another program cut {bytes} bytes off {}.log", status.name));
            }
            if replaced > known.replaced {
                said.push(format!("another program deleted or renamed {}.log; it was made again", status.name));
            }
            if displaced > known.displaced {
                said.push(format!(
                    "lines around here may be torn, because another program changed {}.log",
                    status.name
                ));
            }
            *known = status.events;
        }
        said
    }

    /// Rotation of names, retries, retention; gives out what is to be compressed.
    pub(super) fn maintain(&mut self) -> io::Result<Option<Job<D>>> {
        let Some(elected) = &mut self.elected else { return Ok(None) };
        let names = elected.set.status().count();
        if names != elected.names {
            names::save(&elected.set, &self.journals)?;
            elected.names = names;
        }
        elected.set.maintain(now_ns())
    }

    /// Takes back a finished job.
    pub(super) fn finished(&mut self, result: JobResult<D>) -> io::Result<()> {
        self.elected.as_mut().map_or(Ok(()), |elected| elected.set.finished(result, now_ns()))
    }

    /// Forces everything to disk, and then the cursor that says so.
    pub(super) fn sync(&mut self) -> io::Result<()> {
        let Some(elected) = &mut self.elected else { return Ok(()) };
        if elected.feed.finished() > 0 {
            self.saved &= !elected.write_cursor(&self.journals);
        }
        elected.set.sync()?;
        self.saved &= !elected.feed.take_untold();
        if !self.saved || elected.set.wants_checkpoint() {
            self.saved = elected.save(&self.journals, false)?;
        }
        if !elected.unwritten && !elected.blocked && elected.set.is_healthy() {
            elected.feed.tell(true);
            if self.saved {
                self.saved = !elected.leave_out_rendered(&self.journals, &self.dir);
            }
        }
        Ok(())
    }

    /// Tells everybody how far the last step came.
    pub(super) fn tell(&mut self) {
        if let Some(elected) = &mut self.elected
            && !self.told
        {
            elected.feed.tell(false);
            self.told = true;
        }
    }

    /// Whether another process waits for its records to be on disk.
    pub(super) fn sync_wanted(&mut self) -> bool {
        self.elected
            .as_mut()
            .is_some_and(|elected| elected.feed.sync_wanted() || elected.set.wants_checkpoint() || elected.is_crowded())
    }

    /// Puts the active file of the view `name` away, or those of all views where it is empty. Returns the names of the views
    /// and how it went; or why nothing was done.
    pub(super) fn rotate(&mut self, name: &str) -> Result<(Vec<String>, io::Result<()>), String> {
        let Some(elected) = &self.elected else { return Err(NOT_THE_RENDERER.to_owned()) };
        let mut names: Vec<String> = elected.set.status().map(|status| status.name).collect();
        if !name.is_empty() {
            let Some(view) = elected.set.named(name) else {
                let all = if names.is_empty() { "none by now".to_owned() } else { names.join(", ") };
                return Err(format!("no file of the views is named {name:?}; there is {all}"));
            };
            names = vec![view];
        }
        let synced = if elected.set.needs_checkpoint_to_rotate() { self.sync() } else { Ok(()) };
        let only = (!name.is_empty()).then(|| names.first().cloned()).flatten();
        let rotate = |elected: &mut Elected<D>| elected.set.rotate(only.as_deref(), now_ns());
        let done = synced.and_then(|()| self.elected.as_mut().map_or(Ok(()), rotate));
        Ok((names, done))
    }

    /// Stops being the renderer, with everything synced: the cursor on disk is all that the next one needs.
    pub(super) fn retire(&mut self) -> io::Result<()> {
        self.sync()?;
        if let Some(elected) = &mut self.elected {
            // What was left out since is not in the last checkpoint.
            elected.write(&self.journals);
            elected.save(&self.journals, true)?;
        }
        if let Some(elected) = self.elected.take() {
            // The lock is held until the page is gone.
            elected.set.into_page().remove()?;
        }
        Ok(())
    }

    /// What was met so far is no trouble of the next attempt.
    pub(super) fn forget_trouble(&mut self) {
        self.trouble = None;
        if let Some(elected) = &mut self.elected {
            elected.save_error = None;
        }
    }

    /// Remembers what went wrong, for health.
    pub(super) fn note(&mut self, trouble: String) {
        self.trouble = Some(trouble);
    }
}

/// What a round did.
struct Round {
    /// Records were taken.
    taken: bool,
    /// There may be more records at once.
    more: bool,
    /// All lines of the records pushed so far are in their files.
    written: bool,
}

impl<D: Disk> Elected<D> {
    /// Pushes records and writes their lines.
    fn round(&mut self, journals: &D) -> Round {
        let mut round = Round { taken: false, more: true, written: true };
        if self.blocked && !self.write(journals) {
            return Round { written: false, ..round };
        }
        for _ in 0..RECORDS_PER_STEP {
            if !std::mem::take(&mut self.held) && !self.feed.advance() {
                round.more = false;
                break;
            }
            let Some(record) = self.feed.current() else { continue };
            let is_logged = matches!(record.body, Body::Message { .. } | Body::Unknown { .. });
            match self.set.push(&record) {
                Push::Taken => {
                    round.taken = true;
                    // What the logger says of itself is no record that anybody logged.
                    if is_logged {
                        self.feed.count();
                    }
                    self.unwritten = true;
                }
                Push::Full => {
                    self.held = true;
                    if !self.write(journals) {
                        break;
                    }
                }
            }
        }
        round.written = self.write(journals);
        round
    }

    /// Gives a view that could not be written for a while what it missed.
    fn catch_up(&mut self, journals: &D, own: Option<&Arc<dyn Process>>, dir: &Path) -> io::Result<()> {
        // Whatever was pushed is written first, so that the cursor of the set is where all other views stand.
        if self.held || !self.write(journals) || !self.exact {
            return Ok(());
        }
        let goal = self.set.cursor().clone();
        let Some((view, cursor)) = self.set.behind().map(|(view, cursor)| (view, cursor.clone())) else {
            return Ok(());
        };
        let mut feed = Feed::between(own, dir, &cursor, &goal)?;
        while feed.advance() {
            let Some(record) = feed.current() else { continue };
            while self.set.push_behind(view, &record) == Push::Full {
                if self.set.write_behind(view, &feed.cursor(false), now_ns()) != Progress::Done
                    || !still_behind(&self.set, view)
                {
                    return Ok(());
                }
            }
        }
        // What blocks it now is found again by the next step.
        let failed = feed.error().map(str::to_owned);
        let reached = if failed.is_some() { feed.cursor(true) } else { goal };
        let _ = self.set.write_behind(view, &reached, now_ns());
        failed.map_or(Ok(()), |error| Err(io::Error::other(error)))
    }

    /// Writes what was pushed; `false` while the disk takes nothing.
    fn write(&mut self, journals: &D) -> bool {
        if self.unwritten || self.blocked {
            self.save_before_lines(journals);
            // A record that is held was not pushed: the cursor must stand before it.
            let cursor = self.feed.cursor(!self.held);
            self.exact = self.feed.is_exact(!self.held);
            self.blocked = matches!(self.set.write(&cursor, now_ns()), Progress::Blocked { .. });
            self.unwritten = self.blocked;
        }
        !self.blocked
    }
}

impl<D: Disk> Elected<D> {
    /// Whether so many journals wait to be left out of the cursor that it is time to.
    fn is_crowded(&self) -> bool {
        self.left_out_at.is_none_or(|at| at.elapsed() >= LEAVE_OUT_INTERVAL) && self.feed.finished() >= FINISHED_MAX
    }

    /// Writes where the feed stands, also where no lines led there; says whether that was news.
    fn write_cursor(&mut self, journals: &D) -> bool {
        let before = self.set.cursor().clone();
        self.unwritten = true;
        self.write(journals);
        *self.set.cursor() != before
    }

    /// Leaves journals of the dead out of the cursor that are in the views for good, as the checkpoint that was just saved
    /// says; whether there were any.
    fn leave_out_rendered(&mut self, journals: &D, dir: &Path) -> bool {
        if self.feed.finished() == 0 || self.last.views.iter().any(|view| view.cursor.is_some()) {
            return false;
        }
        self.left_out_at = Some(Instant::now());
        let mut any = false;
        for (id, name) in self.feed.rendered(&self.last.cursor) {
            let marked = match journals.folder(&name) {
                // It went with all that was in it.
                Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(true),
                folder => folder.and_then(|folder| {
                    mark_rendered(&folder, || left_nothing(&dir.join(JOURNAL).join(&name), now_ns()))
                }),
            };
            // What cannot be said now keeps its place in the cursor, and is tried again.
            if marked.unwrap_or(false) {
                self.feed.leave_out(id);
                any = true;
            }
        }
        // So that the next write has a cursor without them.
        self.unwritten |= any;
        any
    }

    /// Saves how far the views are; says whether all of it was told.
    fn save(&mut self, journals: &D, clean: bool) -> io::Result<bool> {
        let saved = survive::checkpoint(&mut self.set, &mut self.last, journals, clean)?;
        if saved {
            // It makes up for one that could not be made before lines.
            self.save_error = None;
        }
        Ok(saved)
    }

    /// Without this checkpoint a power loss could have lines doubled, which is better than to withhold them.
    fn save_before_lines(&mut self, journals: &D) {
        let saved = survive::checkpoint_before_lines(&mut self.set, &mut self.last, journals);
        self.save_error = saved.err().map(|error| format!("saving how far the views are: {error}"));
    }
}

/// The segments of each journal that are still to be rendered, as a checkpoint says.
pub(crate) fn needed_by(last: &Checkpoint) -> Needed {
    let behind = last.views.iter().filter_map(|view| view.cursor.as_ref());
    first_needed(std::iter::once(&last.cursor).chain(behind))
}

/// The first segment of each journal that is needed by one of the cursors; a journal that one of them lacks is not in it.
fn first_needed<'a>(cursors: impl Iterator<Item = &'a Cursor>) -> Needed {
    let firsts = |cursor: &Cursor| -> Needed {
        decode(cursor).into_iter().map(|(process, mark)| (process, (mark.start.number, mark.read.segment))).collect()
    };
    let both = |mut needed: Needed, cursor: Needed| {
        needed.retain(|process, (first, read)| {
            let Some((other_first, other_read)) = cursor.get(process) else { return false };
            (*first, *read) = ((*first).min(*other_first), (*read).max(*other_read));
            true
        });
        needed
    };
    cursors.map(firsts).reduce(both).unwrap_or_default()
}

fn still_behind<D: Disk>(set: &ViewSet<D, Page>, view: ViewId) -> bool {
    set.behind().is_some_and(|(id, _)| id == view)
}
