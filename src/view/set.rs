//! All views of a directory, driven step by step.
//!
//! ```text
//!   push, push, … ──Full──▶ write(cursor) ──Done──▶ push …          maintain ──Job──▶ run (another thread)
//!                              │                                       ▲                  │
//!                              └─Blocked─▶ wait, write again           └──── finished ◀───┘
//! ```
//!
//! * A fault of the whole disk (full, quota, I/O error, read-only) blocks: the batch waits in the intent page.
//! * A fault of one view (permission, a directory in its place, a full disk of its own, …) isolates it: its unwritten bytes are carried in the
//!   intent page, its cursor stays, the others go on. When its file can be written again, [`ViewSet::behind`] names
//!   it, and the caller feeds it from its own cursor until it has caught up.
//!
//! One thread at a time uses it; it starts no thread, reads no clock, and holds at most one batch in memory.

use super::Kinds;
use super::backoff::Backoff;
use super::chunks::Chunks;
use super::cursor::Cursor;
use super::file::{Events, ViewFiles};
use super::intent::{Batch, IntentPage, Intents, NewEntry, PLACE_BYTES, Place};
use super::names::{OVERFLOW, is_stem};
use super::route::{ComponentViews, Config, ConfigError, Format, Routes, base};
use crate::disk::{self, Disk};
use crate::format::line::LineFormat;
use crate::level::LevelFilter;
use crate::reader::record::RecordRef;
use std::collections::{HashMap, HashSet};
use std::io;
use std::sync::Arc;

/// Bytes that an entry takes in the intent page beside its lines and its view's name.
const ENTRY_BYTES: usize = PLACE_BYTES + 16;

/// What one batch holds, if the page has room for it: so little that it is still in the cache when it is written down, and
/// again when it is appended ...
const BATCH_BYTES: usize = 128 << 10;
/// ... and so much more for each view that appends stay few.
const BATCH_VIEW_BYTES: usize = 8 << 10;

/// A view, as long as the [`ViewSet`] lives.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct ViewId(usize);

/// What became of a pushed record.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[must_use]
pub enum Push {
    /// Its lines wait for the next [`ViewSet::write`].
    Taken,
    /// Nothing was taken: [`ViewSet::write`] first, then push it again.
    Full,
}

/// How far a write came.
#[derive(Clone, PartialEq, Eq, Debug)]
#[must_use]
pub enum Progress {
    /// All lines are in their files, or held back for views that fail alone; the cursor holds.
    Done,
    /// The disk takes nothing. Write again, with the same cursor or a later one, at `retry_ns` or after.
    Blocked {
        /// When another attempt makes sense.
        retry_ns: i64,
        /// What was done, to which file, and what went wrong.
        error: String,
    },
}

/// What was found when a set was opened.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Recovery {
    /// The page held no batch: there is no cursor to go on from. Say where to begin by [`ViewSet::write`].
    pub fresh: bool,
    /// A batch had been interrupted; the next call completes it.
    pub interrupted: bool,
    /// The page was damaged: around the cursor, lines may be missing or doubled.
    pub damaged: bool,
}

/// Whether a view is written.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ViewState {
    /// It is.
    Healthy,
    /// It can be written again, and is being fed what it missed.
    Behind,
    /// It cannot be written.
    Failing {
        /// What was done, to which file, and what went wrong.
        error: String,
        /// Attempts so far.
        attempts: u32,
        /// When the next one is due.
        retry_ns: i64,
    },
}

/// A view's state, for health reports.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ViewStatus {
    /// Its name.
    pub name: String,
    /// Whether it is written.
    pub state: ViewState,
    /// What happened to its files.
    pub events: Events,
}

pub(super) struct View<D: Disk> {
    pub(super) stem: String,
    pub(super) files: ViewFiles<D>,
    format: usize,
    /// Lines that no batch has yet.
    pub(super) pending: Vec<u8>,
    /// What they may take in an intent page at most; part of the set's `pending_cost`.
    cost: usize,
    /// The part of it that is not their bytes, and up to how many of those it holds.
    overhead: usize,
    overhead_to: usize,
    /// So many bytes of pending lines make it crowded.
    crowded_from: usize,
    pub(super) behind: Option<Cursor>,
    /// The last checkpoint names the end of its files.
    pub(super) marked: bool,
    backoff: Backoff,
    error: String,
    used: u64,
}

impl<D: Disk> View<D> {
    /// What the pending lines take in an intent page at most. Of two chunks in a row, each for a file, at least one
    /// line of the second did not fit beside the first, so together they are longer than a file.
    #[inline]
    fn cost_now(&mut self) -> usize {
        let bytes = self.pending.len();
        if bytes == 0 {
            return 0;
        }
        if bytes >= self.overhead_to || self.cost == 0 {
            self.find_overhead();
        }
        bytes + self.overhead
    }

    #[cold]
    fn find_overhead(&mut self) {
        let file_bytes = usize::try_from(self.files.settings().file_bytes_max).unwrap_or(usize::MAX).max(1);
        let files = self.pending.len() / file_bytes;
        self.overhead = (2 * files + 4) * (ENTRY_BYTES + self.stem.len());
        self.overhead_to = (files + 1).saturating_mul(file_bytes);
    }

    /// Whether one more line could make so many backups that the file of the last checkpoint's mark is not kept.
    #[inline]
    fn is_crowded(&self) -> bool {
        self.pending.len() >= self.crowded_from
    }
}

pub(super) struct Current {
    batch: Batch,
    views: Vec<usize>,
    pub(super) committed: bool,
}

impl Current {
    pub(super) fn undone(&self, view: usize) -> bool {
        self.batch.entries.iter().zip(&self.views).any(|(entry, owner)| *owner == view && !entry.is_done())
    }

    /// What the entries that are not done take in the next batch.
    fn undone_cost(&self) -> usize {
        let undone = self.batch.entries.iter().filter(|entry| !entry.is_done());
        undone.map(|entry| entry.bytes.len() + ENTRY_BYTES + entry.view.len()).sum()
    }
}

/// All views of a directory.
pub struct ViewSet<D: Disk, P: IntentPage> {
    pub(super) disk: Arc<D>,
    pub(super) intents: Intents<P>,
    config: Config,
    pub(super) views: Vec<View<D>>,
    pub(super) by_stem: HashMap<String, usize>,
    components: HashSet<usize>,
    formats: Vec<(Format, Box<dyn LineFormat>)>,
    routes: Routes,
    pub(super) current: Option<Current>,
    pub(super) cursor: Cursor,
    pending_cost: usize,
    /// A view has pending lines for so many files that they must be written before there are more.
    crowded: bool,
    blocked: Backoff,
    error: String,
    /// What blocks is that there is no room.
    full: bool,
    pub(super) job: Option<usize>,
    pub(super) job_backoff: Backoff,
    pub(super) next_listing_ns: Option<i64>,
    names_changed: bool,
    /// What an earlier process wrote may not be on the medium.
    pub(super) inherited: bool,
    /// The caller makes checkpoints.
    pub(super) checkpointed: bool,
    /// A backup waits for a checkpoint to be compressed.
    pub(super) checkpoint_wanted: bool,
    written: u64,
    lines: u64,
    oversize: u64,
    rendered: Vec<(usize, usize, usize)>,
}

impl<D: Disk, P: IntentPage> ViewSet<D, P> {
    /// Takes a directory and the memory that outlives the process. [`Self::cursor`] then says where to read on.
    ///
    /// # Errors
    /// [`ConfigError`] for a configuration that is refused; nothing was touched then.
    pub fn open(disk: Arc<D>, page: P, config: Config) -> Result<(Self, Recovery), ConfigError> {
        config.check()?;
        let (intents, opened) = Intents::open(page);
        let mut set = Self {
            disk,
            intents,
            views: Vec::new(),
            by_stem: HashMap::new(),
            components: HashSet::new(),
            formats: Vec::new(),
            routes: Routes::default(),
            current: None,
            cursor: Cursor::default(),
            pending_cost: 0,
            crowded: false,
            blocked: Backoff::default(),
            error: String::new(),
            full: false,
            job: None,
            job_backoff: Backoff::default(),
            next_listing_ns: None,
            names_changed: false,
            inherited: false,
            checkpointed: false,
            checkpoint_wanted: false,
            written: 0,
            lines: 0,
            oversize: 0,
            rendered: Vec::new(),
            config,
        };
        for index in 0..set.config.views.len() {
            if let Some(view) = set.config.views.get(index).map(|view| view.name.clone()) {
                set.view(&view);
            }
        }
        let recovery =
            Recovery { fresh: opened.batch.is_none(), interrupted: opened.interrupted, damaged: opened.damaged };
        if let Some(batch) = opened.batch {
            set.cursor = batch.cursor.clone();
            let views = batch.entries.iter().map(|entry| set.view(&entry.view)).collect();
            for (stem, cursor) in &batch.behind {
                let index = set.view(stem);
                if let Some(view) = set.views.get_mut(index) {
                    view.behind = Some(cursor.clone());
                }
            }
            let current = Current { batch, views, committed: !opened.interrupted };
            if current.committed {
                set.leave_behind(&current);
            }
            set.current = Some(current);
        }
        Ok((set, recovery))
    }

    /// Says that an earlier process had a view of this name, as [`Self::status`] listed it: its backups are kept in order
    /// from now on, also if nothing is logged to it. Names that nobody vouches for are never touched.
    pub fn adopt(&mut self, name: &str) {
        if is_stem(name) {
            self.view(name);
        }
    }

    /// Up to here everything is in the views, or will be before anything else is.
    pub fn cursor(&self) -> &Cursor {
        &self.cursor
    }

    /// Gives the page back.
    pub fn into_page(self) -> P {
        self.intents.into_page()
    }

    /// Lines that were given up, because one record's lines alone did not fit the intent page.
    pub fn oversize(&self) -> u64 {
        self.oversize
    }

    /// Lines taken since the set was opened, those for each of several views counted.
    pub fn lines(&self) -> u64 {
        self.lines
    }

    /// The state of each view.
    pub fn status(&self) -> impl Iterator<Item = ViewStatus> + '_ {
        self.views.iter().map(|view| ViewStatus {
            name: view.stem.clone(),
            state: match (view.backoff.retry_ns(), &view.behind) {
                (Some(retry_ns), _) => {
                    ViewState::Failing { error: view.error.clone(), attempts: view.backoff.attempts(), retry_ns }
                }
                (None, Some(_)) => ViewState::Behind,
                (None, None) => ViewState::Healthy,
            },
            events: view.files.events,
        })
    }

    /// Whether every view is written and has missed nothing.
    pub fn is_healthy(&self) -> bool {
        self.blocked.attempts() == 0
            && self.views.iter().all(|view| view.backoff.retry_ns().is_none() && view.behind.is_none())
    }

    /// Why the whole disk is not written, if it is not.
    pub fn blocked(&self) -> Option<&str> {
        (self.blocked.attempts() > 0).then_some(self.error.as_str())
    }

    /// Whether the whole disk is not written because there is no room on it.
    pub fn is_out_of_room(&self) -> bool {
        self.full && self.blocked.attempts() > 0
    }

    /// The directory is another one: every view compares its file with its name before it appends again.
    pub fn look_again(&mut self) {
        self.views.iter_mut().for_each(|view| view.files.look_again());
    }

    /// Closes files that were deleted, so that their room comes free.
    pub fn close_deleted(&mut self) {
        for view in &mut self.views {
            view.files.close_deleted(&self.disk);
        }
    }

    /// There is room again, or some other reason to write at once what is blocked.
    pub fn hurry(&mut self) {
        self.blocked.hurry();
    }

    /// Where the views stand: all cursors that anything is still to be rendered from.
    pub fn cursors(&self) -> impl Iterator<Item = &Cursor> {
        std::iter::once(&self.cursor).chain(self.views.iter().filter_map(|view| view.behind.as_ref()))
    }

    /// Takes a record for all views that show it. Records must come in the order in which they are to stand.
    pub fn push(&mut self, record: &RecordRef<'_>) -> Push {
        self.push_to(record, None)
    }

    /// A view that can be written again and has missed records, and where it stopped.
    pub fn behind(&self) -> Option<(ViewId, &Cursor)> {
        let waits = |index| self.current.as_ref().is_some_and(|current| current.undone(index));
        self.views.iter().enumerate().find_map(|(index, view)| {
            let cursor = view.behind.as_ref()?;
            (view.backoff.attempts() == 0 && !waits(index)).then_some((ViewId(index), cursor))
        })
    }

    /// Takes a record for a view that is [behind](Self::behind).
    pub fn push_behind(&mut self, view: ViewId, record: &RecordRef<'_>) -> Push {
        self.push_to(record, Some(view.0))
    }

    fn push_to(&mut self, record: &RecordRef<'_>, only: Option<usize>) -> Push {
        let cost_max = self.cost_max();
        let batch_max = (cost_max / 2).min(BATCH_BYTES + self.views.len() * BATCH_VIEW_BYTES);
        if self.pending_cost > batch_max || self.crowded {
            return Push::Full;
        }
        let route = self.route(record.target);
        self.rendered.clear();
        let mut at = 0;
        while let Some((index, filter, kinds)) = self.routes.get(route, at) {
            at += 1;
            if filter.passes(record.level) && kinds.pass(&record.body) && only.is_none_or(|only| only == index) {
                self.render(index, only.is_some(), record);
            }
        }
        if self.pending_cost <= cost_max {
            self.lines += self.rendered.len() as u64;
            return Push::Taken;
        }
        self.crowded = false;
        let rendered = std::mem::take(&mut self.rendered);
        for (index, begin, _) in &rendered {
            if let Some(view) = self.views.get_mut(*index) {
                view.pending.truncate(*begin);
            }
            self.count(*index);
        }
        let lines = rendered.len();
        self.rendered = rendered;
        if self.pending_cost > 0 {
            return Push::Full;
        }
        self.oversize += lines as u64;
        Push::Taken
    }

    /// Brings the costs up to date after a change to a view's pending lines.
    fn count(&mut self, index: usize) {
        if let Some(view) = self.views.get_mut(index) {
            let cost = view.cost_now();
            self.pending_cost = self.pending_cost - view.cost + cost;
            view.cost = cost;
        }
    }

    /// Forgets a view's pending lines.
    fn clear_pending(&mut self, index: usize) {
        self.crowded = false;
        if let Some(view) = self.views.get_mut(index) {
            view.pending.clear();
        }
        self.count(index);
    }

    #[inline]
    fn render(&mut self, index: usize, for_behind: bool, record: &RecordRef<'_>) {
        let Some(view) = self.views.get(index).filter(|view| view.behind.is_some() == for_behind) else { return };
        let (begin, format) = (view.pending.len(), view.format);
        if self.rendered.is_empty() || !self.copy_twin(index, format) {
            let (Some(view), Some((_, writer))) = (self.views.get_mut(index), self.formats.get_mut(format)) else {
                return;
            };
            writer.line(record, &mut view.pending);
        }
        let Some(view) = self.views.get_mut(index) else { return };
        let cost = view.cost_now();
        self.pending_cost = self.pending_cost - std::mem::replace(&mut view.cost, cost) + cost;
        self.crowded |= view.is_crowded();
        self.rendered.push((index, begin, view.pending.len() - begin));
    }

    /// Gives a view the line that another one of the same format got, if one did.
    fn copy_twin(&mut self, index: usize, format: usize) -> bool {
        let is_twin = |other: usize| self.views.get(other).is_some_and(|it| it.format == format);
        let Some((other, from, bytes)) = self.rendered.iter().find(|(other, ..)| is_twin(*other)).copied() else {
            return false;
        };
        let Ok([other, view]) = self.views.get_disjoint_mut([other, index]) else { return false };
        view.pending.extend_from_slice(other.pending.get(from..from + bytes).unwrap_or_default());
        true
    }

    /// What may wait for the next batch. An eighth of the page is left for cursors; carried lines get half at most.
    fn cost_max(&self) -> usize {
        self.intents.bytes_max() / 8 * 3
    }

    /// Whether the views that fail keep so much that the next batch would not have its room.
    fn is_laden(&self, current: &Current) -> bool {
        current.undone_cost() > self.intents.bytes_max() / 2
    }

    /// Puts all pushed lines into their files. `cursor` is where the caller stands: behind the last pushed record.
    ///
    /// After [`Progress::Blocked`] nothing is lost; call again.
    pub fn write(&mut self, cursor: &Cursor, now_ns: i64) -> Progress {
        let settled = self.settle(now_ns);
        if settled != Progress::Done || (*cursor == self.cursor && self.pending_cost == 0) {
            return settled;
        }
        let behind = self.views.iter().filter_map(|view| Some((view.stem.clone(), view.behind.clone()?))).collect();
        self.publish(None, cursor, behind, now_ns)
    }

    /// The same for a view that is behind: it now stands at `cursor`. With the cursor of the set it has caught up.
    ///
    /// After [`Progress::Blocked`], ask [`Self::behind`] again where to go on: it knows what was taken.
    pub fn write_behind(&mut self, view: ViewId, cursor: &Cursor, now_ns: i64) -> Progress {
        let settled = self.settle(now_ns);
        if settled != Progress::Done {
            self.clear_pending(view.0);
            return settled;
        }
        let caught_up = *cursor == self.cursor;
        let mut behind = Vec::new();
        for (index, other) in self.views.iter().enumerate() {
            let own = if index == view.0 { (!caught_up).then_some(cursor) } else { other.behind.as_ref() };
            behind.extend(own.map(|own| (other.stem.clone(), own.clone())));
        }
        let main = self.cursor.clone();
        let progress = self.publish(Some((view.0, (!caught_up).then(|| cursor.clone()))), &main, behind, now_ns);
        self.clear_pending(view.0);
        progress
    }

    fn publish(
        &mut self,
        only: Option<(usize, Option<Cursor>)>,
        cursor: &Cursor,
        behind: Vec<(String, Cursor)>,
        now_ns: i64,
    ) -> Progress {
        let mut carried: Vec<(usize, Vec<u8>, Option<Place>, usize)> = Vec::new();
        if let Some(current) = &self.current {
            for (entry, view) in current.batch.entries.iter().zip(&current.views).filter(|(entry, _)| !entry.is_done())
            {
                carried.push((*view, self.intents.entry_bytes(entry).to_vec(), entry.place, entry.done));
            }
        }
        let mut entries = Vec::new();
        let mut views = Vec::new();
        for (index, bytes, place, done) in &carried {
            if let Some(view) = self.views.get(*index) {
                entries.push(NewEntry { view: &view.stem, bytes, place: *place, done: *done });
                views.push(*index);
            }
        }
        for (index, view) in self.views.iter().enumerate().filter(|(_, view)| !view.pending.is_empty()) {
            if only.as_ref().map_or(view.behind.is_none(), |(only, _)| *only == index) {
                let file_bytes = view.files.bytes_expected(&self.disk);
                let bytes_max = view.files.file_bytes_max(&self.disk);
                for bytes in (Chunks { rest: &view.pending, file_bytes, bytes_max }) {
                    entries.push(NewEntry { view: &view.stem, bytes, place: None, done: 0 });
                    views.push(index);
                }
            }
        }
        let batch = match self.intents.publish(&entries, cursor, &behind) {
            Ok(batch) => batch,
            Err(error) => {
                self.error = error.to_string();
                self.blocked.fail(now_ns);
                return self.block(now_ns);
            }
        };
        self.written += 1;
        for index in &views {
            if let Some(view) = self.views.get_mut(*index) {
                view.used = self.written;
            }
            self.clear_pending(*index);
        }
        // From here on the batch is what the caller need not bring again.
        if let Some((index, behind)) = only
            && let Some(view) = self.views.get_mut(index)
        {
            view.behind = behind;
        }
        self.current = Some(Current { batch, views, committed: false });
        self.cursor = cursor.clone();
        self.settle(now_ns)
    }

    fn block(&self, now_ns: i64) -> Progress {
        Progress::Blocked { retry_ns: self.blocked.retry_ns().unwrap_or(now_ns), error: self.error.clone() }
    }

    /// Appends what is missing of the current batch, and commits it.
    pub(super) fn settle(&mut self, now_ns: i64) -> Progress {
        let Some(mut current) = self.current.take() else { return Progress::Done };
        let progress = self.settle_current(&mut current, now_ns);
        self.current = Some(current);
        progress
    }

    fn settle_current(&mut self, current: &mut Current, now_ns: i64) -> Progress {
        if !current.committed && !self.blocked.is_due(now_ns) {
            return self.block(now_ns);
        }
        let files = Arc::clone(&self.disk);
        for index in 0..current.batch.entries.len() {
            let done = current.batch.entries.get(index).is_none_or(super::intent::Entry::is_done);
            let Some(&owner) = current.views.get(index).filter(|_| !done) else { continue };
            let Some(view) = self.views.get_mut(owner).filter(|view| view.backoff.is_due(now_ns)) else { continue };
            let before = view.files.events.rotations;
            match view.files.deliver(&files, &mut self.intents, &mut current.batch, index, now_ns) {
                Ok(()) => {
                    view.backoff = Backoff::default();
                    if view.files.events.rotations != before {
                        self.next_listing_ns = None;
                        self.names_changed = true;
                    }
                }
                Err(error) => {
                    let said = disk::say(&format!("appending to {}", view.files.base()), &error);
                    let is_of_disk = disk::is_of_disk(&error);
                    if !current.committed && is_of_disk && !disk::is_elsewhere(&*files, view.files.base(), &error) {
                        self.error = said;
                        self.full = disk::is_full(&error);
                        self.blocked.fail(now_ns);
                        return self.block(now_ns);
                    }
                    view.error = said;
                    view.backoff.fail(now_ns);
                }
            }
        }
        if !current.committed && self.is_laden(current) {
            let failing = self.views.iter().rfind(|view| view.backoff.attempts() > 0);
            self.error = failing.map_or_else(String::new, |view| view.error.clone());
            self.blocked.fail(now_ns);
            return self.block(now_ns);
        }
        self.blocked = Backoff::default();
        if !current.committed {
            self.intents.commit(&current.batch);
            current.committed = true;
            self.leave_behind(current);
        }
        self.spare_descriptors();
        Progress::Done
    }

    /// Views whose lines are not all out stay where this batch ends, if they were not behind already.
    fn leave_behind(&mut self, current: &Current) {
        for (entry, owner) in current.batch.entries.iter().zip(&current.views) {
            if let Some(view) = self.views.get_mut(*owner).filter(|_| !entry.is_done()) {
                let table = current.batch.behind.iter().find(|(stem, _)| *stem == view.stem);
                view.behind = Some(table.map_or_else(|| current.batch.cursor.clone(), |(_, cursor)| cursor.clone()));
                // What was pushed since comes again from there.
                self.clear_pending(*owner);
            }
        }
    }

    fn spare_descriptors(&mut self) {
        let mut open = self.views.iter().filter(|view| view.files.is_open()).count();
        while open > self.config.open_files_max.max(1) {
            let oldest = self.views.iter_mut().filter(|view| view.files.is_open()).min_by_key(|view| view.used);
            let Some(oldest) = oldest else { return };
            if oldest.files.close(&self.disk).is_err() {
                return;
            }
            open -= 1;
        }
    }

    /// Returns when every line written so far, and every name, is on the medium.
    ///
    /// # Errors
    /// The first error, with the file's name.
    pub fn sync(&mut self) -> io::Result<()> {
        let mut first = self.sync_inherited();
        let mut dirty = self.names_changed;
        for view in &mut self.views {
            dirty |= view.files.is_dirty();
            if let Err(error) = view.files.sync(&self.disk) {
                let said = io::Error::new(error.kind(), format!("syncing {}: {error}", view.files.base()));
                first = first.and(Err(said));
            }
        }
        if dirty {
            let synced = self.disk.sync_dir();
            self.names_changed = synced.is_err();
            let said = |error: io::Error| io::Error::new(error.kind(), format!("syncing the log directory: {error}"));
            first = first.and(synced.map_err(said));
        }
        first
    }

    /// The view of this name, or that of the component or target of this name.
    pub fn named(&self, name: &str) -> Option<String> {
        let component = name.split("::").next().unwrap_or(name);
        let stems = || self.views.iter().map(|view| &view.stem);
        let file = name.strip_suffix(".log").unwrap_or(name);
        stems().find(|stem| *stem == file).or_else(|| stems().find(|stem| *stem == component)).cloned()
    }

    /// Puts the active file of every view, or of the one named `only`, away, as if it were full. Views whose lines wait are
    /// left alone.
    ///
    /// # Errors
    /// The first error, with the file's name; the other views were rotated.
    pub fn rotate(&mut self, only: Option<&str>, now_ns: i64) -> io::Result<()> {
        let mut first = Ok(());
        for (index, view) in self.views.iter_mut().enumerate() {
            if only.is_some_and(|only| only != view.stem)
                || self.current.as_ref().is_some_and(|current| current.undone(index))
            {
                continue;
            }
            if let Err(error) = view.files.rotate(&self.disk, now_ns) {
                let said = io::Error::new(error.kind(), format!("rotating {}: {error}", view.files.base()));
                first = first.and(Err(said));
            }
        }
        self.next_listing_ns = None;
        self.names_changed = true;
        first
    }

    /// The route of a target; made, and its component's view with it, when the target is new.
    fn route(&mut self, target: &str) -> usize {
        if let Some(route) = self.routes.find(target) {
            return route;
        }
        let mut route = Vec::new();
        for (index, view) in self.config.views.iter().enumerate() {
            let filter = view.filter.for_target(target);
            if filter != LevelFilter::Off {
                route.push((index, filter, view.filter.kinds));
            }
        }
        if let Some(components) = &self.config.components {
            let (level, views_max) = (components.level, components.views_max);
            let mut stem = self.config.stem_of(target);
            let known = self.by_stem.get(&stem).is_some_and(|index| self.components.contains(index));
            if !known && self.components.len() >= views_max {
                stem = OVERFLOW.to_owned();
            }
            let index = self.view(&stem);
            if stem != OVERFLOW {
                self.components.insert(index);
            }
            if level != LevelFilter::Off {
                route.push((index, level, Kinds::ALL));
            }
        }
        self.routes.insert(target, route)
    }

    /// The view with this stem, made if it is new.
    pub(super) fn view(&mut self, stem: &str) -> usize {
        if let Some(index) = self.by_stem.get(stem) {
            return *index;
        }
        let configured = self.config.views.iter().find(|view| view.name == stem);
        let (format, settings) = match (configured, &self.config.components) {
            (Some(view), _) => (view.format.clone(), view.rotation.clone()),
            (None, Some(views)) => (views.format.clone(), views.rotation.clone()),
            (None, None) => (Format::default(), ComponentViews::default().rotation),
        };
        let format = self.formats.iter().position(|(known, _)| *known == format).unwrap_or_else(|| {
            let writer = format.writer();
            self.formats.push((format, writer));
            self.formats.len() - 1
        });
        let index = self.views.len();
        let files = ViewFiles::new(base(stem), settings);
        self.views.push(View {
            stem: stem.to_owned(),
            crowded_from: usize::try_from(files.batch_bytes_max()).unwrap_or(usize::MAX),
            files,
            format,
            pending: Vec::new(),
            cost: 0,
            overhead: 0,
            overhead_to: 0,
            behind: None,
            marked: false,
            backoff: Backoff::default(),
            error: String::new(),
            used: 0,
        });
        self.by_stem.insert(stem.to_owned(), index);
        self.next_listing_ns = None;
        index
    }
}
