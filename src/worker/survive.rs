//! Where rendering begins: behind the batch in the intent page, or, where that page is lost, at the checkpoint on disk.
//!
//! Page and checkpoint have an epoch. It is raised, on disk first, whenever a page begins, whatever memory that is in; so a
//! page that a renderer left, and that was not the last, is known and not believed. The same holds for one of another boot.

use super::cursor::{load, save};
use crate::clock::ticks::unix_ns as now_ns;
use crate::disk::Disk;
use crate::sys::boot::boot_id;
use crate::sys::file::may_pass;
use crate::view::intent::{IntentPage, Stamp, stamp, wipe};
use crate::view::{Checkpoint, Config, Progress, Restored, ViewSet};
use std::io;
use std::sync::Arc;

/// The views, ready to be written.
pub(super) struct Stood<D: Disk, P: IntentPage> {
    pub(super) set: ViewSet<D, P>,
    /// The checkpoint on disk.
    pub(super) last: Checkpoint,
    /// What is to be said in the log.
    pub(super) said: Vec<String>,
}

/// Opens the views of `disk` where the last renderer stopped.
pub(super) fn open<D: Disk, P: IntentPage>(
    disk: &Arc<D>,
    journals: &D,
    page: P,
    config: Config,
) -> io::Result<Stood<D, P>> {
    open_in(boot_id(), disk, journals, page, config)
}

pub(super) fn open_in<D: Disk, P: IntentPage>(
    boot: [u8; 16],
    disk: &Arc<D>,
    journals: &D,
    mut page: P,
    config: Config,
) -> io::Result<Stood<D, P>> {
    let loaded = match load(journals) {
        Err(error) if may_pass(&error) => return Err(error),
        loaded => loaded,
    };
    let found = stamp(&page);
    let newer = loaded.as_ref().is_ok_and(|last| last.as_ref().is_some_and(|last| last.epoch != found.epoch));
    let stale = newer || (found.boot != boot && found != Stamp::default());
    if stale {
        wipe(&mut page);
    }
    let (mut set, recovery) = ViewSet::open(Arc::clone(disk), page, config).map_err(io::Error::other)?;
    if !recovery.fresh {
        // Without the file, what it said is in the page as well.
        let mut last = loaded.ok().flatten().unwrap_or_default();
        last.epoch = found.epoch;
        set.inherit(&last);
        // Who ended in order was killed before the page went. What is written from now on is to be cut should it be lost; on
        // a full disk lines go on without.
        let unclean = Checkpoint { clean: false, ..last.clone() };
        if last.clean && save(journals, &unclean).is_ok() {
            last = unclean;
        }
        return Ok(Stood { set, last, said: Vec::new() });
    }
    let mut last = loaded?.unwrap_or_default();
    // A page in which nothing stands yet was not lost: then what follows the marks is others'.
    last.clean |= found.epoch != 0 && !stale && !recovery.damaged;
    let restored = set.restore(&last, now_ns())?;
    set.inherit(&last);
    last = set.checkpoint(&last)?.unwrap_or(last);
    last.epoch = last.epoch.saturating_add(1);
    // On a full disk lines go on without; only a power loss, or another renderer, would have them doubled then.
    match save(journals, &last) {
        Ok(()) => set.checkpointed(&last),
        // It may have got its name all the same, and the page must not be older than that: where this cannot be seen, the page
        // begins another time.
        Err(_) if load(journals)?.is_some_and(|there| there.epoch == last.epoch) => {}
        Err(_) => last.epoch -= 1,
    }
    set.set_stamp(Stamp { epoch: last.epoch, boot });
    Ok(Stood { set, last, said: restored.iter().map(say).collect() })
}

/// Saves how far the views are, all of it being synced; says whether all of it was told. `clean`: nothing follows.
pub(super) fn checkpoint<D: Disk, P: IntentPage>(
    set: &mut ViewSet<D, P>,
    last: &mut Checkpoint,
    journals: &D,
    clean: bool,
) -> io::Result<bool> {
    let Some(next) = set.checkpoint(last)? else { return Ok(false) };
    let next = Checkpoint { clean, ..next };
    if next != *last {
        save(journals, &next)?;
    }
    set.checkpointed(&next);
    *last = next;
    Ok(true)
}

/// Makes the checkpoint that must be there before what was pushed is written.
pub(super) fn checkpoint_before_lines<D: Disk, P: IntentPage>(
    set: &mut ViewSet<D, P>,
    last: &mut Checkpoint,
    journals: &D,
) -> io::Result<()> {
    if set.needs_checkpoint() && set.complete(now_ns()) == Progress::Done {
        set.sync()?;
        checkpoint(set, last, journals, false)?;
    }
    Ok(())
}

fn say(Restored { view, bytes, lost }: &Restored) -> String {
    if *lost {
        return format!(
            "{view}.log was changed by another program before the shared memory of the views was lost: the lines since the last sync stand in it twice"
        );
    }
    format!(
        "the shared memory of the views was lost: {bytes} bytes of {view}.log since the last sync were cut off, and their records are written again"
    )
}

#[cfg(test)]
#[path = "survive_tests.rs"]
mod tests;
