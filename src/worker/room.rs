//! What is given up when the disk is full: the oldest first, be it an archived segment or a backup of a view.
//!
//! One file goes at a time, and only as much as the failing write needs: first what is in the views already and what is put
//! away, of which what a reader's cursor awaits comes last. When nothing of that is left, live memory fills, and the newest records are dropped and counted. Lines come
//! before the archive: while they wait for room nothing more is archived, and where archives that are in no view
//! yet are all that is left, the oldest of them goes for the lines' sake, its records counted as lost. Else a disk full of
//! unrendered archives would stay so for ever. Last of all go segments that were read and are not in the views: their records
//! are in the renderer's memory only, and lost if it is killed before it has written them; all of them are counted.
//!
//! A loss is counted in shared memory before the file is deleted, and stated in the log behind that; what a dead process
//! counted and did not state, recovery states.

use super::keep::{Cost, Going, Keeper, Needed, Segment};
use super::views::Views;
use crate::disk::Disk;
use crate::level::Level;
use crate::shm::control::{Control, WorkerWords};
use std::io;
use std::sync::atomic::Ordering;

/// Before the numbers of what was not stated.
const UNSAID: &str = "given up: ";

/// What was given up: not stated yet, and not counted yet.
#[derive(Default, Debug)]
pub(super) struct GivenUp {
    unstated: Sums,
    uncounted: Sums,
}

#[derive(Clone, Copy, Default, Debug)]
struct Sums {
    segments: u64,
    backups: u64,
    bytes: u64,
    lost: u64,
    awaited: u64,
}

impl GivenUp {
    fn add(&mut self, add: impl Fn(&mut Sums)) {
        add(&mut self.unstated);
        add(&mut self.uncounted);
    }

    /// Notes a segment that has to go.
    pub(super) fn lose(&mut self, going: Going) {
        self.add(|sums| {
            sums.segments += 1;
            sums.bytes += going.bytes;
            sums.lost += going.lost;
            sums.awaited += u64::from(going.awaited);
        });
    }

    /// Adds what is not counted yet.
    pub(super) fn count(&self, words: &WorkerWords) {
        let Sums { segments, backups, bytes, lost, .. } = self.uncounted;
        words.given_up_segments.fetch_add(segments, Ordering::Relaxed);
        words.given_up_backups.fetch_add(backups, Ordering::Relaxed);
        words.given_up_bytes.fetch_add(bytes, Ordering::Relaxed);
        words.given_up_records.fetch_add(lost, Ordering::Relaxed);
    }

    /// All is counted.
    pub(super) fn counted(&mut self) {
        self.uncounted = Sums::default();
    }

    /// Hands what is to be said of it to the writer of the first of `pages`, once that has room for it.
    pub(super) fn state<'a>(&mut self, mut pages: impl Iterator<Item = &'a Control>) {
        let (Some(text), Some(first)) = (self.statement(), pages.next()) else { return };
        if first.statement.offer(Level::Warn, &text) {
            let lost = std::mem::take(&mut self.unstated).lost;
            for page in std::iter::once(first).chain(pages) {
                page.worker.given_up_stated.fetch_add(lost, Ordering::Relaxed);
            }
        }
    }

    /// What no page has counted, as [`take_over`](Self::take_over) understands it. What a page has, recovery states.
    pub(super) fn unsaid(&self) -> Option<String> {
        let Sums { segments, backups, bytes, lost, awaited } = self.uncounted;
        (segments > 0 || backups > 0).then(|| format!("{UNSAID}{segments} {backups} {bytes} {lost} {awaited}"))
    }

    /// Adds what another did not state; `false`, and nothing done, for other words.
    pub(super) fn take_over(&mut self, line: &str) -> bool {
        let Some(numbers) = line.strip_prefix(UNSAID) else { return false };
        let numbers: Option<Vec<u64>> = numbers.split(' ').map(|number| number.parse().ok()).collect();
        if let Some([segments, backups, bytes, lost, awaited]) = numbers.as_deref() {
            self.add(|sums| {
                sums.segments = sums.segments.saturating_add(*segments);
                sums.backups = sums.backups.saturating_add(*backups);
                sums.bytes = sums.bytes.saturating_add(*bytes);
                sums.lost = sums.lost.saturating_add(*lost);
                sums.awaited = sums.awaited.saturating_add(*awaited);
            });
        }
        true
    }

    fn statement(&self) -> Option<String> {
        let Sums { segments, backups, bytes, lost, awaited } = self.unstated;
        let mut files = Vec::new();
        for (count, what) in [(segments, "archived segments"), (backups, "backups")] {
            if count > 0 {
                files.push(format!("{count} {what}"));
            }
        }
        let records = match lost {
            0 => String::new(),
            lost => format!("; {lost} records in them were in no view yet"),
        };
        let awaited = match awaited {
            0 => String::new(),
            count => format!("; {count} of them had not been read by all who keep a cursor, such as tacho ship"),
        };
        (!files.is_empty())
            .then(|| format!("{} given up for want of room: {bytes} bytes{records}{awaited}", files.join(" and ")))
    }
}

/// A file that may be given up.
enum Oldest {
    Segment(Segment),
    /// Name and bytes.
    Backup(String, u64),
}

/// The oldest file that may go without a loss: an archived segment that is in the views, or a backup of one; when there is
/// none, a segment that only a reader's cursor awaits.
fn oldest<D: Disk>(keeper: &Keeper<D>, views: &Views<D>, needed: &Needed) -> io::Result<Option<Oldest>> {
    Ok(match (keeper.oldest(needed, Cost::Rendered)?, views.oldest_backup()?) {
        (Some(segment), backup) if backup.as_ref().is_none_or(|(_, age, _)| segment.age.0 <= *age) => {
            Some(Oldest::Segment(segment))
        }
        (_, Some((name, _, bytes))) => Some(Oldest::Backup(name, bytes)),
        (_, None) => keeper.oldest(needed, Cost::Awaited)?.map(Oldest::Segment),
    })
}

/// Deletes the oldest file that may go without a loss, before room is wanting; `false` when there is none. That is
/// how files are kept below a cap, and nothing to be stated.
/// What a cursor awaited is.
pub(super) fn keep<D: Disk>(keeper: &mut Keeper<D>, views: &mut Views<D>, given_up: &mut GivenUp) -> io::Result<bool> {
    let needed = views.needed()?;
    match oldest(keeper, views, &needed)? {
        Some(Oldest::Segment(segment)) => keeper.delete(&segment, &needed, &mut |going: Going| {
            if going.awaited {
                given_up.lose(going);
            }
        })?,
        Some(Oldest::Backup(name, bytes)) => views.give_up(&name, bytes)?,
        None => return Ok(false),
    }
    views.close_archives();
    Ok(true)
}

/// Deletes the oldest file that may be given up; `false` when there is none. `count` counts what is given up, before a segment
/// is deleted.
pub(super) fn make<D: Disk>(
    keeper: &mut Keeper<D>,
    views: &mut Views<D>,
    given_up: &mut GivenUp,
    count: impl Fn(&mut GivenUp),
) -> io::Result<bool> {
    let lose = |given_up: &mut GivenUp, going| {
        given_up.lose(going);
        count(given_up);
    };
    let needed = views.needed()?;
    match oldest(keeper, views, &needed)? {
        Some(Oldest::Segment(segment)) => {
            keeper.delete(&segment, &needed, &mut |going| lose(given_up, going))?;
        }
        Some(Oldest::Backup(name, bytes)) => {
            views.give_up(&name, bytes)?;
            given_up.add(|sums| {
                sums.backups += 1;
                sums.bytes += bytes;
            });
        }
        None => {
            if !views.is_out_of_room() {
                return Ok(false);
            }
            let spared = match keeper.oldest(&needed, Cost::Unread)? {
                None => keeper.oldest(&needed, Cost::InWork)?,
                unread => unread,
            };
            let Some(segment) = spared else { return Ok(false) };
            keeper.delete(&segment, &needed, &mut |going| lose(given_up, going))?;
        }
    }
    views.hurry();
    Ok(true)
}
