//! Brings what dead processes left in shared memory into their journals on disk.
//!
//! Recovery is the dead writer's successor: it takes the lock of the live folder, maps what is there, and goes on with the
//! same state machine where the writer was killed: rings are drained into the live segments, those are sealed and
//! archived, and only then the folder goes. At every instant shared memory is in a state in which the writer itself could
//! have been killed, so recovery may be killed at any instant too, and the next one goes on. Two cannot meet: the lock
//! is exclusive.
//!
//! Every call that was dropped and not yet stated is stated here, and so is a call that the death interrupted when it was
//! counted before. What is stated already the journal knows, so nothing is stated twice.
//!
//! Live segments that somebody damaged get back what the archive has of them ([`archived`]), and what was damaged is
//! stated.
//!
//! What a ring still holds is in the journal already when the journal accounts for its call number. The newest
//! segment suffices to know that, because the writer gives a ring's records back before it rotates.

mod archived;
mod page;

use crate::clock::anchor::{Anchor, Anchors, RATE_ONE};
use crate::clock::ticks;
use crate::disk::{Disk, RealDisk};
use crate::flight;
use crate::ring::memory::Ring;
use crate::ring::pool::{Pool, RINGS_MAX};
use crate::sampling::Sampler;
use crate::segment::layout::{HEADER_BYTES, Header, Kind, is_remembered, u16_at, u64_at};
use crate::segment::live::LiveSegments;
use crate::segment::protocol::Slot;
use crate::segment::scan::{Item, Scanner, Tail};
use crate::shm::control::{Control, state};
use crate::shm::directory;
use crate::shm::directory::JOURNAL;
use crate::shm::folder::{self, Folder};
use crate::shm::foreign::{Foreign, invalid, looked, map_file, map_rest, newest_known};
use crate::shm::journal;
use crate::shm::table::Table;
use crate::shm::words::Words;
use crate::sys::file::{open_existing, open_regular};
use crate::sys::map::page_bytes;
use crate::worker::archive::Archive;
use crate::writer::heir::{Inheritance, TICKS_MAX};
use crate::writer::journal::Origin;
use crate::writer::step::{Ground, Pace, Stamp, Writer};
use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;

/// Nobody gives up so many records; what says so is damaged.
const GIVEN_UP_MAX: u64 = 1 << 48;

/// What was recovered from one process.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Recovered {
    /// Name of the process's journal.
    pub(crate) process: String,
    /// Records that stood in rings only.
    pub(crate) records: u64,
    /// What of its memory was damaged, in words; the log has them too.
    pub(crate) damage: Vec<String>,
    /// It had not closed its logger.
    pub(crate) crashed: bool,
}

/// Recovers every dead process of the log directory `dir`, whose journals go to the folder `journals` and whose processes have their live folders in `shared`.
///
/// A process that cannot be recovered does not keep the others from it; the first error is returned after all were tried.
pub(crate) fn recover_all<D: Disk>(journals: &D, dir: &Path, shared: Option<&Path>) -> io::Result<Vec<Recovered>> {
    let mut recovered = Vec::new();
    let LiveFolders { folders, mut fault } = live_folders(dir, shared);
    for live in folders {
        match recover_into(journals, &live) {
            Ok(Some(one)) => recovered.push(one),
            Ok(None) => {}
            Err(error) => {
                let text = format!("recovering {}: {error}", live.display());
                fault.get_or_insert(io::Error::new(error.kind(), text));
            }
        }
    }
    fault.map_or(Ok(recovered), Err)
}

/// The live folders of a directory, as far as they could be found.
pub(crate) struct LiveFolders {
    pub(crate) folders: BTreeSet<PathBuf>,
    /// Why there may be more: the first look that failed. Others' journals, which may not be looked into, are none of ours.
    pub(crate) fault: Option<io::Error>,
}

/// Live folders of the directory: those that stand beside ours, and those that journals point to.
pub(crate) fn live_folders(dir: &Path, shared: Option<&Path>) -> LiveFolders {
    use io::ErrorKind::{NotADirectory, NotFound, PermissionDenied};
    let (mut folders, mut fault) = (BTreeSet::new(), None);
    let journals = dir.join(JOURNAL);
    if directory::copied_from(&journals).is_some() {
        // All of it is the original's.
        return LiveFolders { folders, fault };
    }
    let mut see = |path: &Path, error: io::Error| {
        if ![NotFound, NotADirectory, PermissionDenied].contains(&error.kind()) {
            let text = format!("looking for what dead processes left in {}: {error}", path.display());
            fault.get_or_insert(io::Error::new(error.kind(), text));
        }
    };
    if let Some(shared) = shared {
        for entry in listed(shared, &mut see) {
            match entry.file_type() {
                Ok(kind) if kind.is_dir() => drop(folders.insert(entry.path())),
                Ok(_) => {}
                Err(error) => see(&entry.path(), error),
            }
        }
    }
    for journal in listed(&journals, &mut see) {
        let pointer = journal.path().join(directory::POINTER);
        let live = match directory::read_text(&pointer) {
            Ok(text) => PathBuf::from(text.trim_end()),
            // Nonsense that somebody put there points to nothing.
            Err(error) if [io::ErrorKind::InvalidData, io::ErrorKind::InvalidInput].contains(&error.kind()) => continue,
            Err(error) => {
                see(&pointer, error);
                continue;
            }
        };
        let strange = !live.is_absolute() || live.file_name() != Some(&journal.file_name());
        if strange || directory::is_of_another(&live, &journals) {
            continue;
        }
        match folder::look_whose(&live) {
            Ok(true) => drop(folders.insert(live)),
            Ok(false) => {}
            Err(error) => see(&live, error),
        }
    }
    LiveFolders { folders, fault }
}

/// What is in a folder.
fn listed(path: &Path, see: &mut impl FnMut(&Path, io::Error)) -> Vec<fs::DirEntry> {
    let mut entries = Vec::new();
    match fs::read_dir(path) {
        Ok(all) => {
            for entry in all {
                match entry {
                    Ok(entry) => entries.push(entry),
                    Err(error) => see(path, error),
                }
            }
        }
        Err(error) => see(path, error),
    }
    entries
}

/// Recovers one process; `None` where it lives, is recovered by somebody else, or left nothing.
pub(crate) fn recover_one(journals: &Path, live: &Path) -> io::Result<Option<Recovered>> {
    recover_into(&RealDisk::open(journals)?, live)
}

/// The same, into the folder of journals `disk`.
fn recover_into<D: Disk>(disk: &D, live: &Path) -> io::Result<Option<Recovered>> {
    let folder = match Folder::adopt(live) {
        Ok(Some(folder)) => folder,
        Ok(None) => return Ok(None),
        // No lock: its owner is just making it, or it was removed meanwhile.
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let process = live.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let names = || names_in(disk, &process);
    let Some(estate) = Estate::map(live, names)? else {
        // Killed before it could log, or while its folder was being removed.
        folder.remove()?;
        // Else it is over when it has not changed for an hour.
        let _ = journal::abandon_dead(disk, &process);
        return Ok(None);
    };
    let crashed = estate.memory.control.identity.state.load(Ordering::Relaxed) != state::CLOSED;
    let (records, damage) = estate.settle(disk.make_folder(&process)?)?;
    folder.remove()?;
    // As above.
    let _ = disk.folder(&process).and_then(|folder| journal::forget_live(&folder));
    Ok(Some(Recovered { process, records, damage, crashed }))
}

/// What a dead process left.
struct Estate {
    memory: Foreign,
    pool: Pool,
    table: Table,
    /// Numbers of rings that gave nothing, because they are damaged, are missing, or were never finished.
    unusable: Vec<u16>,
    live: PathBuf,
    /// Its control page was damaged, and is made again.
    is_rebuilt: bool,
}

impl Estate {
    /// Maps it; `None` where it was never complete.
    /// `archived` tells the names of the files in its journal's folder.
    fn map(live: &Path, archived: impl FnOnce() -> io::Result<Vec<String>>) -> io::Result<Option<Self>> {
        let is_rebuilt = Foreign::has_damaged_page(live)?;
        let memory = if is_rebuilt {
            page::rebuild(live, &archived()?)?.map(|control| Foreign::over(live, control)).transpose()?
        } else {
            Foreign::map(live)?
        };
        let Some(memory) = memory else { return Ok(None) };
        let table_path = live.join(folder::TABLE);
        let table_bytes = looked(fs::symlink_metadata(&table_path))?.map_or(0, |meta| meta.len());
        let table_bytes = usize::try_from(table_bytes).map_err(|_| invalid("too large"))?.max(page_bytes());
        let table = Table::adopt(map_rest(&table_path, table_bytes)?);
        let (mut rings, mut unusable) = (Vec::new(), Vec::new());
        // Rings are missing in between where somebody removed their files.
        for number in 0..ring_count(live)? {
            let file = open_existing(&live.join(folder::ring_name(number)), true);
            // A ring that is damaged, or was never finished, gives nothing; the others do.
            let ring = looked(file.and_then(|file| Ring::adopt(&file, number)))?;
            if ring.is_none() {
                unusable.push(number);
            }
            rings.push(ring);
        }
        Ok(Some(Self { memory, pool: Pool::adopt(rings), table, unusable, live: live.to_path_buf(), is_rebuilt }))
    }

    fn ground(&self) -> Ground<'_> {
        Ground { control: &self.memory.control, segments: &self.memory.segments, pool: &self.pool, table: &self.table }
    }

    /// The state of sampling, as the newest segment completes it; `None` where nothing was sampled, or nothing of it can
    /// be used: then everything that is left is written.
    fn sampler(&self, newest: &Newest) -> io::Result<Option<Sampler>> {
        let path = self.live.join(folder::SAMPLING);
        let Some(about) = looked(fs::symlink_metadata(&path))? else { return Ok(None) };
        // One that was cut to nothing, or is no file, is no state.
        let bytes = usize::try_from(about.len()).map_err(|_| invalid("too large"))?;
        if bytes == 0 || !about.is_file() {
            return Ok(None);
        }
        let Some(memory) = looked(map_file(&path, bytes))? else { return Ok(None) };
        let words = Words::adopt(memory);
        Ok(Sampler::adopt(words, newest.inheritance.summary))
    }

    /// What the process remembered by.
    fn flight(&self) -> Option<flight::Rules> {
        let remembers = |ring: &Ring| ring.header().remembered.turn.load(Ordering::Relaxed) != 0;
        let known = flight::Rules::load(&self.memory.control.identity.flight);
        known.or_else(|| self.pool.rings().any(remembers).then_some(flight::Rules::KEEP_ALL))
    }

    /// What is to be said of rings that were in use and cannot be read. One without a byte in it, and behind which no other
    /// was made, was being made when its process died, unless the journal has records of it.
    fn damaged_rings(&self, newest: &Newest) -> io::Result<Vec<String>> {
        let accounted = &newest.inheritance.accounted;
        let made = self.pool.made() as u16;
        let mut numbers: Vec<u16> =
            accounted.keys().copied().filter(|number| *number >= made && usize::from(*number) < RINGS_MAX).collect();
        for number in self.unusable.iter().copied() {
            if number + 1 < made || accounted.contains_key(&number) || self.holds_something(number)? {
                numbers.push(number);
            }
        }
        numbers.sort_unstable();
        let text = |number| {
            format!("ring {number} was damaged or removed by somebody else: the records that it held are lost")
        };
        Ok(numbers.into_iter().map(text).collect())
    }

    /// Whether a ring's file has a byte in its first words.
    fn holds_something(&self, number: u16) -> io::Result<bool> {
        let mut head = [0; 64];
        let file = looked(open_regular(&self.live.join(folder::ring_name(number))))?.flatten();
        match file.map_or(Ok(()), |file| file.read_exact_at(&mut head, 0)) {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
            read => read.map(|()| head != [0; 64]),
        }
    }

    /// States records that its worker gave up with archived segments, and died before it said so.
    fn state_given_up(&self, writer: &mut Writer, ticks: u64) {
        let words = &self.memory.control.worker;
        let counted = words.given_up_records.load(Ordering::Relaxed);
        let lost = counted.saturating_sub(words.given_up_stated.load(Ordering::Relaxed));
        let text =
            format!("archived segments were given up for want of room; {lost} records in them were in no view yet");
        if (1..=GIVEN_UP_MAX).contains(&lost) && writer.note(self.ground(), ticks, &text) {
            words.given_up_stated.store(counted, Ordering::Relaxed);
        }
    }

    /// Drains and archives everything; returns how many records came out of the rings, and what was damaged.
    fn settle<D: Disk>(&self, journal: D) -> io::Result<(u64, Vec<String>)> {
        let ground = self.ground();
        let Foreign { control, segments, .. } = &self.memory;
        let mut damage = archived::restore(control, segments, &journal)?;
        if self.is_rebuilt {
            damage.push("the control page was damaged or removed by somebody else: what it counted is lost".to_owned());
        }
        let newest = Newest::find(control, segments);
        let mut archive = Archive::new(journal, self.memory.archived());
        let mut writer = Writer::new(newest.origin(control), newest.number, newest.anchors(control), newest.pace())
            .with_sampling(self.sampler(&newest)?)
            .with_flight(self.flight());
        writer.adopt(ground, &newest.inheritance);
        archive.step(control, segments, false)?;
        writer.mark_recovered(ground);
        let sampled = control.writer.sampled_out.iter().any(|count| count.load(Ordering::Relaxed) != 0);
        if !writer.samples() && (sampled || self.live.join(folder::SAMPLING).try_exists()?) {
            let text =
                "the state of sampling was damaged or removed: what it left out since its last summaries is not told";
            writer.note(ground, newest.inheritance.newest, text);
        }
        if !self.table.is_headed() {
            let lost = "records of call sites that the journal does not define yet are shown as bytes";
            damage.push(format!("the table of definitions was damaged or removed by somebody else: {lost}"));
        }
        damage.extend(self.damaged_rings(&newest)?);
        for text in &damage {
            writer.note(ground, newest.inheritance.newest, text);
        }
        self.state_given_up(&mut writer, newest.inheritance.newest);
        let mut records = 0;
        let mut before = archive.position();
        // Later than every tick of the dead.
        let heartbeat = control.writer.heartbeat.load(Ordering::Relaxed).min(TICKS_MAX);
        let now = ticks::now().max(newest.inheritance.newest).max(heartbeat);
        loop {
            let done = writer.step(ground, now, || (0, 0));
            records += done.records;
            archive.step(control, segments, false)?;
            if writer.is_emptied(ground) && writer.summarise_all(ground, now) && writer.end_flight(ground) {
                break;
            }
            if done.records + done.left_out == 0 && archive.position() == before {
                return Err(invalid("its rings cannot be drained, because its live segments are damaged"));
            }
            before = archive.position();
        }
        writer.finish(ground, now);
        archive.step(control, segments, false)?;
        archive.sync_all()?;
        if archive.position().0 <= writer.journal.number() {
            return Err(invalid("its live segments are damaged: not all of them could be archived"));
        }
        Ok((records, damage))
    }
}

/// Names of the files in the folder of a process's journal.
fn names_in<D: Disk>(journals: &D, process: &str) -> io::Result<Vec<String>> {
    let mut names = Vec::new();
    match journals.folder(process) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        folder => folder?.list(&mut |name| names.push(name.to_owned()))?,
    }
    Ok(names)
}

/// How many rings the folder has, or had.
fn ring_count(live: &Path) -> io::Result<u16> {
    let mut count = 0;
    for entry in fs::read_dir(live)? {
        let name = entry?.file_name();
        let number = name.to_str().and_then(|name| name.strip_prefix("ring.")?.parse::<u16>().ok());
        count = count.max(number.filter(|number| usize::from(*number) < RINGS_MAX).map_or(0, |number| number + 1));
    }
    Ok(count)
}

/// What the newest segment tells.
struct Newest {
    number: u64,
    header: Option<Header>,
    anchors: Vec<Anchor>,
    inheritance: Inheritance,
}

impl Newest {
    fn find(control: &Control, segments: &LiveSegments) -> Self {
        let slots = || segments.slots().enumerate();
        let number = |slot: &Slot| slot.number.load(Ordering::Acquire);
        let mut found = Self { number: 0, header: None, anchors: Vec::new(), inheritance: Inheritance::default() };
        let Some((index, slot)) = slots().max_by_key(|(_, slot)| number(slot)) else { return found };
        // The newest segment has no slot any more when the writer was killed just as it took that slot for the next one.
        found.number = number(slot).max(newest_known(control));
        // All but the newest were sealed. One that says otherwise is damaged, and would keep its slot for ever.
        for (other, _) in slots().filter(|(other, slot)| *other != index && number(slot) != 0 && slot.end() == 0) {
            segments.seal(control, other, segments.published_end(other) as u64, 0);
        }
        let bytes = segments.dead_bytes(index);
        let Some(header) = Header::decode(bytes).ok().filter(|header| header.number == number(slot)) else {
            // Nobody can tell what stands there; readers say that it is damaged.
            if number(slot) != 0 && slot.end() == 0 {
                segments.seal(control, index, segments.published_end(index) as u64, 0);
            }
            return found;
        };
        found.header = Some(header);
        let sealed = slot.end();
        let end = usize::try_from(sealed).ok().filter(|end| *end != 0).unwrap_or(bytes.len());
        let mut at = HEADER_BYTES;
        let mut tally = crate::writer::journal::Tally::default();
        let mut was_sealed = false;
        let body = bytes.get(HEADER_BYTES..end).unwrap_or_default();
        for item in Scanner::new(body, HEADER_BYTES as u64, header.salt, Tail::Final) {
            // Damage is what was never written, or what somebody else did; frames behind it count all the same.
            let Item::Frame { offset, frame } = item else { continue };
            at = offset as usize + frame.bytes();
            tally.frames += 1;
            was_sealed = frame.kind() == Some(Kind::Seal);
            found.take(&frame, &mut tally);
        }
        if was_sealed {
            // Killed between the seal and the word that says so.
            segments.seal(control, index, at as u64, tally.records);
        } else if sealed == 0 {
            found.inheritance.growing = Some((index, header.salt, at, tally));
        }
        found
    }

    fn take(&mut self, frame: &crate::segment::scan::Frame<'_>, tally: &mut crate::writer::journal::Tally) {
        let known = &mut self.inheritance;
        match frame.kind() {
            None if frame.ring != crate::segment::layout::WRITER_RING => {
                tally.record(frame.ticks);
                known.newest = known.newest.max(frame.ticks);
                if is_remembered(frame.site) {
                    known.remembered.insert(frame.ring, frame.seq);
                } else {
                    known.accounted.insert(frame.ring, frame.seq.wrapping_add(1));
                }
            }
            Some(Kind::Dropped) => {
                known.newest = known.newest.max(frame.ticks);
                known.accounted.insert(u16_at(frame.payload, 0), frame.seq);
            }
            Some(Kind::Suppressed) => {
                known.newest = known.newest.max(frame.ticks);
                known.summary = Some(frame.seq);
            }
            Some(Kind::Watermark) => known.watermark = known.watermark.max(frame.ticks),
            Some(Kind::Anchor) => {
                let unix_ns = u64_at(frame.payload, 0) as i64;
                self.anchors.push(Anchor { ticks: frame.ticks, unix_ns, rate: u64_at(frame.payload, 8) });
            }
            _ => {}
        }
    }

    fn origin(&self, control: &Control) -> Origin {
        let pair = |words: &[std::sync::atomic::AtomicU64; 2]| {
            let [low, high] = words;
            let value = u128::from(low.load(Ordering::Relaxed)) | u128::from(high.load(Ordering::Relaxed)) << 64;
            value.to_le_bytes()
        };
        let identity = &control.identity;
        Origin {
            process: pair(&identity.process),
            boot: pair(&identity.boot),
            ticks_per_s: identity.ticks_per_s.load(Ordering::Relaxed),
            flags: identity.segment_flags.load(Ordering::Relaxed),
        }
    }

    fn anchors(&self, control: &Control) -> Anchors {
        let words = &control.anchor;
        let stored = Anchor {
            ticks: words.ticks.load(Ordering::Relaxed),
            unix_ns: words.unix_ns.load(Ordering::Relaxed),
            rate: words.rate.load(Ordering::Relaxed),
        };
        // The page's own anchor serves where no segment has one; those in the segment are what readers know.
        let rate = if stored.rate == 0 { RATE_ONE } else { stored.rate };
        Anchors::resume(&self.anchors, Anchor { rate, ..stored })
    }

    fn pace(&self) -> Pace {
        let manual = self.header.is_some_and(|header| header.flags & crate::segment::layout::FLAG_MANUAL_CLOCK != 0);
        let stamp = if manual { Stamp::Manual } else { Stamp::Counter };
        // Nobody is in the midst of a call any more, and no clock is asked.
        Pace { order_wait: 0, slack: 0, stamp, anchor_busy: u64::MAX, anchor_idle: u64::MAX }
    }
}

#[cfg(test)]
mod dead;
#[cfg(test)]
mod estate_tests;
#[cfg(test)]
mod flight_tests;
#[cfg(test)]
mod sampling_tests;
