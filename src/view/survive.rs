//! A set of views over the loss of its intent page: checkpoints, and the way back to the last one.

use super::checkpoint::{Checkpoint, Mark, ViewMark};
use super::intent::{IntentPage, Stamp};
use super::names::{Part, is_stem};
use super::set::{Progress, ViewSet};
use crate::disk::Disk;
use std::io;

/// What the way back to a checkpoint did to a view.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Restored {
    /// The view.
    pub view: String,
    /// Bytes cut off behind the checkpoint; their lines are rendered again.
    pub bytes: u64,
    /// The place of the checkpoint was not found: nothing was cut, lines may stand twice.
    pub lost: bool,
}

impl<D: Disk, P: IntentPage> ViewSet<D, P> {
    /// Takes up what an earlier process left: the views of its last checkpoint, and files that it may not have
    /// synced. From then on, [checkpoints](Self::checkpoint) are made.
    pub fn inherit(&mut self, last: &Checkpoint) {
        (self.inherited, self.checkpointed) = (!last.clean, true);
        for ViewMark { view, .. } in last.views.iter().filter(|it| is_stem(&it.view)) {
            let index = self.view(view);
            if let Some(view) = self.views.get_mut(index) {
                view.marked = true;
                if !last.clean {
                    view.files.assume_rotated();
                }
            }
        }
    }

    /// Goes back to the last checkpoint, because the intent page was lost: what stands behind it in the views' files is cut,
    /// unless the renderer had ended in order: then it is others'. [`Self::cursor`] is the checkpoint's after that.
    ///
    /// # Errors
    /// The first error, with the view's name; calling again goes on.
    pub fn restore(&mut self, last: &Checkpoint, now_ns: i64) -> io::Result<Vec<Restored>> {
        let mut restored = Vec::new();
        for ViewMark { view: stem, mark, cursor } in last.views.iter().filter(|it| is_stem(&it.view)) {
            let index = self.view(stem);
            let Some(view) = self.views.get_mut(index) else { continue };
            if !last.clean {
                let cut = view.files.cut_back(&self.disk, *mark);
                let cut = cut.map_err(|error| io::Error::new(error.kind(), format!("cutting {stem}.log: {error}")))?;
                if cut.bytes > 0 || cut.lost {
                    restored.push(Restored { view: stem.clone(), bytes: cut.bytes, lost: cut.lost });
                }
            }
            view.behind.clone_from(cursor);
        }
        if !last.clean {
            // Also where nothing was cut, for the same reason.
            self.disk.sync_dir()?;
        }
        // The page gets a first cursor to go on from.
        let _ = self.write(&last.cursor, now_ns);
        self.cursor = last.cursor.clone();
        Ok(restored)
    }

    /// Says which page of the directory this one is.
    pub fn set_stamp(&mut self, stamp: Stamp) {
        self.intents.set_stamp(stamp);
    }

    /// Whether a checkpoint must be made before lines are written: a view gets its first ones, or the backup at which the
    /// last checkpoint stands may soon go.
    pub fn needs_checkpoint(&self) -> bool {
        self.views.iter().any(|view| !view.pending.is_empty() && (!view.marked || view.files.needs_checkpoint()))
    }

    /// Whether a checkpoint must be made before files are put away for another reason than new lines.
    pub fn needs_checkpoint_to_rotate(&self) -> bool {
        self.checkpointed && self.views.iter().any(|view| view.files.needs_checkpoint())
    }

    /// Whether something waits for a checkpoint that need not come at once.
    pub fn wants_checkpoint(&self) -> bool {
        self.checkpoint_wanted
    }

    /// Completes the batch under way, without what was pushed since.
    pub fn complete(&mut self, now_ns: i64) -> Progress {
        self.settle(now_ns)
    }

    /// How far the views are, [synced](Self::sync) just before; `None` while a batch is under way. Views whose lines wait
    /// are as far as in `last`.
    ///
    /// # Errors
    /// That of the file system.
    pub fn checkpoint(&mut self, last: &Checkpoint) -> io::Result<Option<Checkpoint>> {
        if self.current.as_ref().is_some_and(|current| !current.committed) {
            return Ok(None);
        }
        let mut next = Checkpoint { epoch: last.epoch, clean: false, cursor: self.cursor.clone(), views: Vec::new() };
        for (index, view) in self.views.iter_mut().enumerate() {
            if self.current.as_ref().is_some_and(|current| current.undone(index)) {
                let mut known = last.of(&view.stem).cloned().unwrap_or_default();
                known.view.clone_from(&view.stem);
                known.cursor.get_or_insert_with(|| last.cursor.clone());
                next.views.push(known);
                continue;
            }
            // What cannot be looked at is not cut either.
            let mark = view.files.mark(&self.disk).unwrap_or(Mark::Unknown);
            next.views.push(ViewMark { view: view.stem.clone(), mark, cursor: view.behind.clone() });
        }
        Ok(Some(next))
    }

    /// The checkpoint is on the medium.
    pub fn checkpointed(&mut self, checkpoint: &Checkpoint) {
        self.checkpoint_wanted = false;
        for mark in &checkpoint.views {
            let Some(index) = self.by_stem.get(&mark.view).copied() else { continue };
            let busy = self.current.as_ref().is_some_and(|current| current.undone(index));
            if let Some(view) = self.views.get_mut(index) {
                view.marked = true;
                if !busy {
                    view.files.checkpointed();
                }
            }
        }
    }

    /// Syncs files that an earlier process may have written without.
    pub(super) fn sync_inherited(&mut self) -> io::Result<()> {
        if !self.inherited {
            return Ok(());
        }
        let mut names = Vec::new();
        self.disk.list(&mut |name| {
            if let Some((_, Part::Active | Part::Plain(_))) = self.part_of(name) {
                names.push(name.to_owned());
            }
        })?;
        for name in names {
            // What cannot be opened is not ours, or gone.
            if let Ok(file) = self.disk.open_read(&name) {
                self.disk.sync(&file)?;
            }
        }
        self.disk.sync_dir()?;
        self.inherited = false;
        Ok(())
    }
}
