//! What a worker needs of a logging process, whether it is a thread of it or a process of its own.

use super::archive::Archive;
use super::page::Room;
use super::views::Views;
use crate::disk::Disk;
use crate::health::look;
use crate::health::vitals::{Life, Now, Vitals};
use crate::reader::live::{Owner, owner};
use crate::segment::live::LiveSegments;
use crate::shm::control::Control;
use crate::shm::folder::become_archiver;
use crate::shm::folder::is_ours;
use crate::shm::foreign::Foreign;
use crate::shm::health_page::HealthWords;
use crate::sys::lock::Lock;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// A logging process whose journal is archived here, by the right of the archiver's lock in its live folder.
pub(crate) trait Process: Send + Sync {
    /// Name of its journal.
    fn name(&self) -> &str;

    /// Its control page.
    fn control(&self) -> &Control;

    /// Its live segments.
    fn segments(&self) -> &LiveSegments;

    /// Its health page, where it has one that is to be understood.
    fn health(&self) -> Option<&HealthWords>;

    /// How it is.
    fn vitals(&self, now: Now) -> Vitals;

    /// Whether it goes on logging when its worker ends.
    fn outlives_worker(&self) -> bool;

    /// Whether it has ended, and left what it logged to recovery.
    fn is_dead(&self) -> bool;

    /// Makes rings for threads to come, where they can be made.
    fn make_spare_rings(&self) {}

    /// Looks what its live segments hold by now, where that is to be looked for.
    fn follow(&self) {}

    /// Puts right live memory that others truncated, removed or overwrote, where it can be; `look`: after a new look.
    fn mend(&self, _look: bool) -> io::Result<()> {
        Ok(())
    }

    /// Locks the folder of its journal again, should others have deleted the lock's file.
    fn hold_journal(&self) {}

    /// Counts the records of segment `number` that were lost with its memory, as far as they are known.
    fn note_lost(&self, number: u64, records: Option<u64>);

    /// Has something said in the log, where it can be.
    fn say(&self, _text: String) {}

    /// What the views' page may take of shared memory.
    fn page_room(&self) -> Room {
        Room::default()
    }
}

/// A process and the archive of its journal.
pub(super) struct Tended<D: Disk> {
    pub(super) process: Arc<dyn Process>,
    pub(super) archive: Archive<D>,
    /// What is to be said of it when there is no trouble.
    pub(super) remark: String,
    /// What was said last.
    pub(super) said: String,
    /// A watermark, and the place in the journal before which everything up to it stands on disk, until another process is
    /// known to have rendered so far.
    goal: Option<(u64, (u64, u64))>,
    /// The watermark as it was before the archive's last step.
    pub(super) watermark: u64,
    /// Requests for a sync that were seen.
    sync_seen: u64,
}

impl<D: Disk> Tended<D> {
    /// Goes on with segment `number` of its journal, in `folder`.
    pub(super) fn new(process: Arc<dyn Process>, folder: D, number: u64, remark: String) -> Self {
        Self {
            process,
            archive: Archive::new(folder, number),
            remark,
            said: String::new(),
            goal: None,
            watermark: 0,
            sync_seen: 0,
        }
    }

    /// Looks what the live segments hold by now; gives the watermark before.
    pub(super) fn follow(&self) -> u64 {
        // Loaded first: what is at or before it stands in segments that are found then.
        let watermark = self.process.control().writer.watermark.load(Ordering::Acquire);
        self.process.follow();
        watermark
    }

    /// Whether the whole journal is archived, its writer having ended.
    pub(super) fn is_archived(&self) -> bool {
        self.archive.position().0 > self.process.segments().newest()
    }

    /// Whether the process asked for a sync since the last look.
    pub(super) fn sync_wanted(&mut self) -> bool {
        let asked = self.process.control().request.sync.load(Ordering::Acquire);
        std::mem::replace(&mut self.sync_seen, asked) != asked
    }

    /// Forces to disk what was archived, and says so.
    pub(super) fn sync(&mut self) -> io::Result<()> {
        self.archive.sync()?;
        // What the archive took may have been taken from it since.
        if self.archive.is_whole() {
            // SYNC POINT with the loads in `sync`: the records are in their files.
            self.process.control().worker.archive_synced.fetch_max(self.watermark, Ordering::Release);
        }
        Ok(())
    }

    /// Learns from what another renderer saved how far it is, where it cannot see the control page.
    pub(super) fn learn(&mut self, views: &Views<D>) -> io::Result<()> {
        let worker = &self.process.control().worker;
        let rendered = worker.rendered.load(Ordering::Acquire);
        let Some((goal, place)) = self.goal.filter(|(goal, _)| *goal > rendered) else {
            self.goal = Some((self.watermark, self.archive.position()));
            return Ok(());
        };
        if views.is_rendered(self.process.name(), place)? {
            worker.rendered.fetch_max(goal, Ordering::Release);
            worker.synced.fetch_max(goal, Ordering::Release);
        }
        Ok(())
    }

    /// Says what is wrong, in the process's control page.
    pub(super) fn say(&mut self, trouble: Option<&str>) {
        let text = trouble.unwrap_or(&self.remark);
        if self.said != text {
            self.process.control().trouble.say(text);
            self.said = text.to_owned();
        }
    }
}

/// A process that another one archives: mapped, and the archiver's lock held.
pub(crate) struct Attached {
    name: String,
    live: PathBuf,
    memory: Foreign,
    _archiver: Lock,
}

impl Attached {
    /// Attaches to the living process whose live folder is `live`; `None` when it is dead, not ready, or archived by
    /// somebody else.
    pub(crate) fn to(live: &Path) -> io::Result<Option<Self>> {
        let name = live.file_name().and_then(|name| name.to_str()).filter(|_| is_ours(live));
        let (Some(name), Owner::Alive) = (name, owner(live)) else { return Ok(None) };
        let archiver = match become_archiver(live) {
            Ok(Some(lock)) => lock,
            Ok(None) => return Ok(None),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let Some(memory) = Foreign::map(live)? else { return Ok(None) };
        // What the one before said need not be true any more.
        memory.control.trouble.say("");
        Ok(Some(Self { name: name.to_owned(), live: live.to_owned(), memory, _archiver: archiver }))
    }

    /// The first segment that is not all on disk.
    pub(crate) fn archived(&self) -> u64 {
        self.memory.archived()
    }
}

impl Process for Attached {
    fn name(&self) -> &str {
        &self.name
    }

    fn control(&self) -> &Control {
        &self.memory.control
    }

    fn segments(&self) -> &LiveSegments {
        &self.memory.segments
    }

    fn health(&self) -> Option<&HealthWords> {
        self.memory.health.as_deref()
    }

    fn vitals(&self, now: Now) -> Vitals {
        let life = if self.is_dead() { Life::Dead } else { Life::Alive };
        Vitals::take(&self.name, life, (self.control(), self.health()), look::rings(&self.live), now)
    }

    fn outlives_worker(&self) -> bool {
        true
    }

    fn follow(&self) {
        self.memory.segments.follow(&self.memory.control);
    }

    fn note_lost(&self, _number: u64, records: Option<u64>) {
        self.memory.control.worker.lost.fetch_add(records.unwrap_or(0), Ordering::Relaxed);
    }

    fn is_dead(&self) -> bool {
        owner(&self.live) != Owner::Alive
    }
}
