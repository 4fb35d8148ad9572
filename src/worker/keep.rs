//! Keeps the archive small: finished segments are compressed, the oldest go when there are too many bytes.
//!
//! The limit holds before the disk is used: the growing segment counts as full, and the compressed copy that is being made
//! as large as its original. Segments that are not in the views yet are spared up to [`SPARED`] times the limit, or
//! until nothing else can make room for the views on a full disk; those that a reader's cursor awaits (`reader/cursor.rs`)
//! as far, but they go before any that are not in the views. Of processes that are dead and all of whose records are in
//! the views at most [`JOURNALS_MAX`] are kept. A folder goes with its last segment.

use super::archive::segment_name;
use super::feed::name_key;
use super::pack;
use super::slow;
use crate::clock::instant::Instant;
use crate::clock::ticks::unix_ns;
use crate::compress::Codec;
use crate::config::Config;
use crate::disk::{Disk, read_small};
use crate::reader::archive::segment_number;
use crate::reader::cursor;
use crate::segment::layout::{HEADER_BYTES, Header, WRITER_RING};
use crate::segment::scan::{Item, Scanner, Tail};
use crate::shm::directory::POINTER;
use crate::shm::journal;
use crate::sys::file::may_pass;
use crate::view::backoff::Backoff;
use flate2::read::MultiGzDecoder;
use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::io::{self, Read};
use std::path::Path;
use std::time::Duration;

/// Segments that are still to be rendered are spared until the archive has so many times its limit.
pub(super) const SPARED: u64 = 2;
/// How often the archive is measured.
const RETAIN_INTERVAL: Duration = Duration::from_secs(5);
/// The newest segment of a dead process that was not changed for so long is not spared, rendered or not: 60 s.
const QUIET_NS: i64 = 60_000_000_000;
/// So many journals of dead processes are kept, however small they are.
const JOURNALS_MAX: usize = 1_000;
/// The largest segment: no more is read of what claims to be one.
const SEGMENT_BYTES_MAX: u64 = 1 << 30;
/// The longest file that says where a process's live folder is.
const POINTER_BYTES_MAX: usize = 4096;

/// A segment: its process, and the name of its file in the folder of that; of the plain one, if that is there too.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Place {
    process: String,
    name: String,
}

/// Compression and retention of the archived journal.
pub(super) struct Keeper<D: Disk> {
    journals: D,
    compress: bool,
    codec: Codec,
    bytes_max: u64,
    /// Journals of dead processes that are kept.
    pub(super) journals_max: usize,
    todo: VecDeque<Place>,
    busy: Option<Place>,
    /// What is being compressed was deleted meanwhile.
    given_up: bool,
    backoff: Backoff,
    /// The processes whose journals are archived here.
    tended: Vec<String>,
    retained_at: Option<Instant>,
    /// Bytes that may be written before the archive is measured again.
    ahead: u64,
    /// The last segment of which was said that it goes, as long as it is not gone.
    going: Option<Place>,
}

/// The segments that are still to be rendered, of each journal by its [key](name_key): the first, and the one up to which
/// was read. Of a journal that is not named, all are.
pub(crate) type Needed = HashMap<[u8; 16], (u64, u64)>;

/// A segment that is about to be deleted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Going {
    /// Bytes that come free.
    pub(super) bytes: u64,
    /// Records of it that do not stand in the views yet; of one that is in work at most so many.
    pub(super) lost: u64,
    /// A reader's cursor had not passed it.
    pub(super) awaited: bool,
}

/// What a segment that is given up costs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Cost {
    /// Nothing: it is in the views, and no cursor awaits it.
    Rendered,
    /// It is in the views, but a reader with a cursor of its own has not passed it.
    Awaited,
    /// Its records: nothing of it was read yet.
    Unread,
    /// Some of it is in the views, the rest in the renderer's memory: lost if that dies now.
    InWork,
}

impl<D: Disk> Keeper<D> {
    /// The keeper of the journals in `journals`.
    pub(super) fn new(config: &Config, journals: D) -> Self {
        Self {
            journals,
            compress: config.archive_compress,
            codec: config.codec(),
            bytes_max: config.archive_bytes_max,
            journals_max: JOURNALS_MAX,
            todo: VecDeque::new(),
            busy: None,
            given_up: false,
            backoff: Backoff::default(),
            tended: Vec::new(),
            retained_at: None,
            // The growing one, and the copy that compression makes.
            ahead: config.segment_bytes as u64 * if config.archive_compress { 2 } else { 1 },
            going: None,
        }
    }

    /// The processes whose journals are archived here from now on.
    pub(super) fn tend(&mut self, processes: Vec<String>) {
        self.tended = processes;
    }

    /// These segments of a process are complete on disk.
    pub(super) fn finished(&mut self, process: &str, numbers: &[u64]) {
        self.retained_at = None;
        if self.compress {
            let place = |number: &u64| Place { process: process.to_owned(), name: segment_name(*number) };
            self.todo.extend(numbers.iter().map(place));
        }
    }

    /// A segment to be compressed now; one at a time.
    pub(super) fn next_to_compress(&mut self, now_ns: i64) -> io::Result<Option<slow::Segment<D>>> {
        if self.busy.is_some() || !self.backoff.is_due(now_ns) {
            return Ok(None);
        }
        let Some(place) = self.todo.pop_front() else { return Ok(None) };
        match self.journals.folder(&place.process) {
            Ok(folder) => {
                let segment = slow::Segment { folder, name: place.name.clone(), codec: self.codec };
                self.busy = Some(place);
                Ok(Some(segment))
            }
            // Gone with all that was in it.
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => {
                self.todo.push_front(place);
                self.backoff.fail(now_ns);
                Err(error)
            }
        }
    }

    /// The compressed copy is whole and synced: the plain one goes. What was given up while it was compressed goes with its
    /// copy, because it counts as lost.
    pub(super) fn compressed(&mut self, of: &slow::Segment<D>, outcome: io::Result<()>, now_ns: i64) -> io::Result<()> {
        let (place, given_up) = (self.busy.take(), std::mem::take(&mut self.given_up));
        let replace = || match of.folder.stat_name(&of.packed_name())? {
            // Others deleted the copy since: then the plain one is all there is.
            None => Ok(false),
            Some(_) if given_up => of.folder.unlink(&of.packed_name()).map(|()| true),
            Some(_) => of.folder.unlink(&of.name).map(|()| true),
        };
        match outcome.and_then(|()| replace()) {
            Ok(replaced) => {
                self.todo.extend(place.filter(|_| !replaced && !given_up));
                self.backoff = Backoff::default();
                Ok(())
            }
            // Others deleted it: there is nothing to be compressed.
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) => {
                self.backoff.fail(now_ns);
                self.todo.extend(place);
                Err(error)
            }
        }
    }

    /// Whether a segment is being compressed.
    pub(super) fn is_busy(&self) -> bool {
        self.busy.is_some()
    }

    /// Finds finished segments that an earlier process left uncompressed, and those whose plain file outlived it.
    fn find_leftovers(&mut self, segments: &[Segment]) {
        if !self.compress {
            return;
        }
        for Segment { place, newest, lives, .. } in segments {
            let known = self.busy.as_ref() == Some(place) || self.todo.contains(place);
            let plain = place.name.ends_with(".seg");
            let tended = self.tended.contains(&place.process);
            if plain && !known && (!lives || (tended && !newest)) {
                self.todo.push_back(place.clone());
            }
        }
    }

    /// Whether a process lives, or was not recovered yet; so it is taken where that cannot be told at the moment.
    fn lives(&self, process: &str, folder: &D) -> bool {
        let left_something = || match read_small(folder, POINTER, POINTER_BYTES_MAX) {
            Err(error) if may_pass(&error) => true,
            read => {
                let text = read.ok().flatten().and_then(|bytes| String::from_utf8(bytes).ok());
                text.is_some_and(|live| Path::new(live.trim_end()).try_exists().unwrap_or(true))
            }
        };
        self.tended.iter().any(|tended| tended == process)
            || left_something()
            || journal::is_held(folder).unwrap_or(true)
    }

    /// Opens the folder of the journals anew where its path no longer leads to it; says whether it had to.
    pub(super) fn revalidate(&self) -> io::Result<bool> {
        self.journals.revalidate()
    }

    /// Whether a segment was finished since the archive was measured.
    pub(super) fn is_to_measure(&self) -> bool {
        self.retained_at.is_none()
    }

    /// Deletes the oldest finished segments while all of them together are too large, and folders without a segment of
    /// processes that are over; says whether any went. `say` is told of each before it goes.
    pub(super) fn retain(&mut self, needed: &Needed, mut say: impl FnMut(Going)) -> io::Result<bool> {
        if self.retained_at.is_some_and(|at| at.elapsed() < RETAIN_INTERVAL) {
            return Ok(false);
        }
        self.retained_at = Some(Instant::now());
        let mut emptied = BTreeSet::new();
        let segments = self.segments_and(|process| emptied.extend([process.to_owned()]))?;
        self.find_leftovers(&segments);
        let crowd = crowd(&segments, self.journals_max);
        let (crowd, segments): (Vec<_>, Vec<_>) =
            segments.into_iter().partition(|segment| crowd.contains(&segment.place.process));
        let mut going = too_many(segments, needed, self.ahead, self.bytes_max);
        going.extend(crowd);
        let gone = going.iter().try_for_each(|segment| self.delete(segment, needed, &mut say));
        let any = !going.is_empty();
        emptied.extend(going.into_iter().filter(|segment| !segment.lives).map(|segment| segment.place.process));
        for process in emptied.iter().filter(|process| !self.tended.contains(process)) {
            // What cannot be removed is found again.
            let _ = journal::remove_if_empty(&self.journals, process);
        }
        gone.map(|()| any)
    }

    /// The oldest segment that may be given up for want of room, at this cost: a finished one.
    pub(super) fn oldest(&self, needed: &Needed, cost: Cost) -> io::Result<Option<Segment>> {
        let segments = self.segments()?.into_iter().filter(|segment| !segment.newest && !segment.is_being_read(needed));
        let wanted = segments.filter(|segment| segment.cost(needed) == cost);
        Ok(wanted.min_by(|a, b| a.age.cmp(&b.age)))
    }

    /// Deletes a segment, if nobody else did. Before that `say` is told what goes, once, so that no loss goes untold
    /// wherever this process dies.
    pub(super) fn delete(&mut self, segment: &Segment, needed: &Needed, say: &mut impl FnMut(Going)) -> io::Result<()> {
        let Segment { place, bytes, copies, .. } = segment;
        let gone = |error: &io::Error| error.kind() == io::ErrorKind::NotFound;
        let folder = match self.journals.folder(&place.process) {
            Err(error) if gone(&error) => return Ok(()),
            opened => opened?,
        };
        if self.going.as_ref() != Some(place) {
            let counted = if segment.is_needed(needed) { count_records(&folder, &place.name) } else { Ok(0) };
            let lost = match counted {
                Err(error) if gone(&error) => return Ok(()),
                counted => counted?,
            };
            say(Going { bytes: *bytes, lost, awaited: segment.awaited });
            self.going = Some(place.clone());
        }
        // By the last of them it is known again, should one not go now.
        for name in copies.iter().chain([&place.name]) {
            match folder.unlink(name) {
                Err(error) if !gone(&error) => return Err(error),
                _ => {}
            }
        }
        self.given_up |= self.busy.as_ref() == Some(place);
        self.going = None;
        Ok(())
    }

    fn segments(&self) -> io::Result<Vec<Segment>> {
        self.segments_and(|_| ())
    }

    /// All segments; `empty` is told of folders in which there is none.
    fn segments_and(&self, mut empty: impl FnMut(&str)) -> io::Result<Vec<Segment>> {
        let mut processes = Vec::new();
        self.journals.list_folders(&mut |name| processes.push(name.to_owned()))?;
        let readers = readers(&self.journals)?;
        let mut segments = Vec::new();
        for process in processes {
            let folder = match self.journals.folder(&process) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                opened => opened?,
            };
            let awaited_from = readers.iter().map(|reader| reader.get(&process).copied().unwrap_or(0)).min();
            let mut forms: BTreeMap<u64, BTreeSet<String>> = BTreeMap::new();
            folder.list(&mut |name| {
                if let Some(number) = segment_number(name) {
                    forms.entry(number).or_default().insert(name.to_owned());
                }
            })?;
            // The newest segment of a process is being appended to, or may be.
            let Some(newest) = forms.keys().last().copied() else {
                empty(&process);
                continue;
            };
            let lives = self.lives(&process, &folder);
            let rendered = !lives && journal::is_marked_rendered(&folder)?;
            for (number, names) in forms {
                // The plain one, whose name is the start of the others', comes first.
                let mut there = Vec::new();
                let (mut bytes, mut mtime_ns) = (0_u64, i64::MAX);
                for name in names {
                    let Some(stat) = folder.stat_name(&name)? else { continue };
                    (bytes, mtime_ns) = (bytes.saturating_add(stat.bytes), mtime_ns.min(stat.mtime_ns));
                    there.push(name);
                }
                let mut names = there.into_iter();
                let Some(name) = names.next() else { continue };
                let age = (mtime_ns, process.clone(), number);
                let place = Place { process: process.clone(), name };
                // Before it is rendered for good it may still be read, whoever wrote it; for a while that is likely.
                let still = unix_ns().saturating_sub(mtime_ns) > QUIET_NS;
                let newest = newest == number && !rendered && (lives || !still);
                let awaited = awaited_from.is_some_and(|first| number >= first);
                let copies = names.collect();
                segments.push(Segment { age, place, copies, bytes, newest, lives, rendered, awaited });
            }
        }
        Ok(segments)
    }
}

/// Of each reader with a cursor, the first segments that it awaits, by the names of the journals. What is no cursor awaits
/// nothing.
pub(crate) fn readers<D: Disk>(journals: &D) -> io::Result<Vec<HashMap<String, u64>>> {
    let mut names = Vec::new();
    journals.list(&mut |name| {
        if cursor::reader_of(name).is_some() {
            names.push(name.to_owned());
        }
    })?;
    let mut readers = Vec::new();
    for name in names {
        let bytes = read_small(journals, &name, cursor::FILE_BYTES_MAX).ok().flatten();
        if let Some(cursor) = bytes.and_then(|bytes| cursor::Cursor::decode(&bytes).ok()) {
            readers.push(cursor.marks.into_iter().map(|(name, mark)| (name, mark.start.number)).collect());
        }
    }
    Ok(readers)
}

/// A segment of the archive, with all its forms: while it is compressed, and until the plain file is deleted, there are two,
/// and neither may go as if the other kept its records.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Segment {
    /// Time of the last change in nanoseconds, process, number.
    pub(super) age: (i64, String, u64),
    place: Place,
    /// The names of its other forms.
    copies: Vec<String>,
    /// Of all forms.
    bytes: u64,
    /// It is the newest of a process that may live, or died just now: it grows, or may grow, or is being read.
    newest: bool,
    /// Its process may live.
    lives: bool,
    /// All of the journal is in the views.
    rendered: bool,
    /// A reader's cursor has not passed it.
    awaited: bool,
}

impl Segment {
    fn is_needed(&self, needed: &Needed) -> bool {
        let (_, process, number) = &self.age;
        !self.rendered && needed.get(&name_key(process)).is_none_or(|(first, _)| number >= first)
    }

    /// What is lost with it.
    fn cost(&self, needed: &Needed) -> Cost {
        match (self.is_needed(needed), self.is_in_work(needed)) {
            (false, _) if self.awaited => Cost::Awaited,
            (false, _) => Cost::Rendered,
            (true, false) => Cost::Unread,
            (true, true) => Cost::InWork,
        }
    }

    /// Whether it is the one that is read at present.
    fn is_being_read(&self, needed: &Needed) -> bool {
        let (_, process, number) = &self.age;
        needed.get(&name_key(process)).is_some_and(|(_, read)| read == number)
    }

    /// Whether some of its records are in the views already, or on their way: which ones is not known here.
    fn is_in_work(&self, needed: &Needed) -> bool {
        let (_, process, number) = &self.age;
        needed.get(&name_key(process)).is_some_and(|(first, read)| (first..=read).contains(&number))
    }
}

/// The processes, rendered all of them, whose journals are the oldest beyond `journals_max`.
fn crowd(segments: &[Segment], journals_max: usize) -> BTreeSet<String> {
    let mut journals: BTreeMap<&str, &(i64, String, u64)> = BTreeMap::new();
    for Segment { age, place, .. } in segments.iter().filter(|segment| segment.rendered) {
        let newest = journals.entry(&place.process).or_insert(age);
        *newest = (*newest).max(age);
    }
    let mut by_age: Vec<_> = journals.into_iter().map(|(process, age)| (age, process)).collect();
    by_age.sort_unstable();
    by_age.truncate(by_age.len().saturating_sub(journals_max));
    by_age.into_iter().map(|(_, process)| process.to_owned()).collect()
}

/// The oldest segments that have to go for the others, and `ahead` bytes more, to be within `bytes_max`, or, for those that
/// are still needed or awaited, within [`SPARED`] times that.
fn too_many(mut segments: Vec<Segment>, needed: &Needed, ahead: u64, bytes_max: u64) -> Vec<Segment> {
    let mut total = segments.iter().fold(ahead, |sum, segment| sum.saturating_add(segment.bytes));
    segments.retain(|segment| !segment.newest);
    segments.sort_by(|a, b| a.age.cmp(&b.age));
    let (mut spared, free): (Vec<_>, Vec<_>) =
        segments.into_iter().partition(|segment| segment.is_needed(needed) || segment.awaited);
    spared.retain(|segment| !segment.is_in_work(needed));
    let mut going = Vec::new();
    for (group, limit) in [(free, bytes_max), (spared, bytes_max.saturating_mul(SPARED))] {
        for segment in group {
            if total <= limit {
                break;
            }
            total -= segment.bytes;
            going.push(segment);
        }
    }
    going
}

/// How many records a segment holds: as the indices of its blocks say, or as many as can be found.
fn count_records<D: Disk>(folder: &D, name: &str) -> io::Result<u64> {
    let file = folder.open_read(name)?;
    if !name.ends_with(".seg")
        && let Some(records) = pack::records(folder, &file)?
    {
        return Ok(records);
    }
    let mut bytes = Vec::new();
    let reader = FileReader { disk: folder, file: &file, at: 0 };
    let read = if name.ends_with(".gz") {
        MultiGzDecoder::new(reader).take(SEGMENT_BYTES_MAX).read_to_end(&mut bytes)
    } else {
        reader.take(SEGMENT_BYTES_MAX).read_to_end(&mut bytes)
    };
    // What cannot be read is no record any more; what was read before counts.
    let _ = read;
    let Ok(header) = Header::decode(&bytes) else { return Ok(0) };
    let body = bytes.get(HEADER_BYTES..).unwrap_or_default();
    let frames = Scanner::new(body, HEADER_BYTES as u64, header.salt, Tail::Final).filter_map(|item| match item {
        Item::Frame { frame, .. } => Some(frame),
        Item::Damage { .. } => None,
    });
    Ok(frames.filter(|frame| frame.kind().is_none() && frame.ring != WRITER_RING).count() as u64)
}

struct FileReader<'a, D: Disk> {
    disk: &'a D,
    file: &'a D::File,
    at: u64,
}

impl<D: Disk> Read for FileReader<'_, D> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let count = self.disk.read_at(self.file, out, self.at)?;
        self.at += count as u64;
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::{Fault, MemDisk, write_all_at};
    use crate::segment::append::encode_frame;

    fn place(number: u64) -> Place {
        Place { process: "p".to_owned(), name: segment_name(number) }
    }

    fn segment(age: i64, number: u64, bytes: u64, newest: bool) -> Segment {
        let (lives, rendered, awaited, copies) = (true, false, false, Vec::new());
        Segment {
            age: (age, "p".into(), number),
            place: place(number),
            copies,
            bytes,
            newest,
            lives,
            rendered,
            awaited,
        }
    }

    #[test]
    fn beyond_so_many_journals_that_are_rendered_the_oldest_go() {
        let of = |process: &str, age, number, rendered| {
            let place = Place { process: process.to_owned(), name: segment_name(number) };
            Segment { place, age: (age, process.to_owned(), number), rendered, ..segment(age, number, 1, false) }
        };
        let all =
            [of("a", 1, 1, true), of("b", 2, 1, true), of("a", 5, 2, true), of("c", 3, 1, true), of("d", 0, 1, false)];
        let going = |max| crowd(&all, max).into_iter().collect::<Vec<_>>();
        assert_eq!(
            (going(3), going(2), going(1)),
            (vec![], vec!["b".to_owned()], vec!["b".to_owned(), "c".to_owned()])
        );
    }

    /// Journals with three segments of one process, of two records each, and a fourth that grows.
    fn archive() -> MemDisk {
        let disk = MemDisk::new();
        disk.set_now(unix_ns());
        let folder = disk.make_folder("p").unwrap();
        for number in 1..=4 {
            let (process, boot) = ([1; 16], [2; 16]);
            let header = Header { process, number, salt: 7, ticks: 0, unix_ns: 0, ticks_per_s: 1, boot, flags: 0 };
            let mut bytes = header.encode().to_vec();
            (0..2).for_each(|seq| encode_frame(&mut bytes, 7, 0, 1, 9, seq, &[0; 8]));
            let file = folder.open_write(&segment_name(number)).unwrap();
            write_all_at(&folder, &file, &bytes, 0).unwrap();
        }
        disk
    }

    #[test]
    fn what_a_segment_costs_is_told_once_and_before_it_is_deleted() {
        let needed = HashMap::from([(name_key("p"), (2, 3))]);
        for fault in [Fault::Crash(0), Fault::Errno(libc::EIO, 0)] {
            for at in 0.. {
                let disk = archive();
                let mut keeper = Keeper::new(&Config::new("logs"), disk.clone());
                let victim = keeper.oldest(&needed, Cost::InWork).unwrap().unwrap();
                let before = disk.ops();
                disk.inject(at, fault);
                let mut said = Vec::new();
                let mut delete = || keeper.delete(&victim, &needed, &mut |going: Going| said.push(going.lost));
                let first = delete();
                disk.revive();
                let gone = disk.bytes("p/00000002.seg").is_none();
                let again = delete();
                assert!(said == [2] && again.is_ok(), "{fault:?} at {at}: {said:?}");
                assert!(disk.bytes("p/00000002.seg").is_none() && gone == first.is_ok());
                if first.is_ok() {
                    assert!(disk.ops() > before && at > 0);
                    break;
                }
            }
        }
    }

    /// A copy of `name` beside it, as compression makes it; that what it holds is not packed makes no difference here.
    fn copy(disk: &MemDisk, name: &str) {
        let bytes = disk.bytes(name).unwrap();
        let file = disk.open_write(&format!("{name}.gz")).unwrap();
        write_all_at(disk, &file, &bytes, 0).unwrap();
    }

    #[test]
    fn both_forms_of_a_segment_go_together_and_their_records_count_once() {
        let needed = HashMap::from([(name_key("p"), (1, 1))]);
        for fault_at in 0.. {
            let disk = archive();
            copy(&disk, "p/00000002.seg");
            let mut keeper = Keeper::new(&Config::new("logs"), disk.clone());
            keeper.bytes_max = 1;
            disk.inject(fault_at, Fault::Errno(libc::EIO, 0));
            let mut said = Vec::new();
            let mut passes = 0;
            while passes < 3 {
                passes += 1;
                keeper.retained_at = None;
                let _ = keeper.retain(&needed, |going| said.push(going.lost));
            }
            let left: Vec<_> = (1..=4).filter(|n| disk.bytes(&format!("p/{}", segment_name(*n))).is_some()).collect();
            assert!(said == [2, 2] && left == [1, 4], "fault at {fault_at}: said {said:?}, left {left:?}");
            assert!(disk.bytes("p/00000002.seg.gz").is_none(), "fault at {fault_at}");
            if disk.ops() < fault_at {
                break;
            }
        }
    }

    #[test]
    fn the_copy_of_what_was_given_up_goes_and_without_a_copy_the_plain_one_stays() {
        let needed = HashMap::new();
        let disk = archive();
        let mut keeper = Keeper::new(&Config::new("logs"), disk.clone());
        let begin = |keeper: &mut Keeper<MemDisk>, number: u64| {
            keeper.todo.clear();
            keeper.finished("p", &[number]);
            keeper.next_to_compress(0).unwrap().unwrap()
        };
        // It is done, and somebody deletes the copy before this is known.
        let busy = begin(&mut keeper, 1);
        keeper.compressed(&busy, Ok(()), 0).unwrap();
        assert!(disk.bytes("p/00000001.seg").is_some() && !keeper.is_busy());
        let busy = begin(&mut keeper, 1);
        copy(&disk, "p/00000001.seg");
        keeper.compressed(&busy, Ok(()), 0).unwrap();
        assert!(disk.bytes("p/00000001.seg").is_none() && disk.bytes("p/00000001.seg.gz").is_some());
        // The oldest go, the one in work among them; its copy comes after that.
        let busy = begin(&mut keeper, 2);
        let plain = disk.bytes("p/00000002.seg").unwrap();
        keeper.bytes_max = 1;
        let mut said = Vec::new();
        keeper.retain(&needed, |going| said.push(going.lost)).unwrap();
        // In the copy of the first there are none.
        assert_eq!((said, disk.names()), (vec![0, 2, 2], vec!["p/00000004.seg".to_owned()]));
        let file = disk.open_write("p/00000002.seg.gz").unwrap();
        write_all_at(&disk, &file, &plain, 0).unwrap();
        keeper.compressed(&busy, Ok(()), 0).unwrap();
        assert_eq!(disk.names(), ["p/00000004.seg"]);
        // Only that one.
        copy(&disk, "p/00000004.seg");
        let busy = begin(&mut keeper, 4);
        keeper.compressed(&busy, Ok(()), 0).unwrap();
        assert_eq!(disk.names(), ["p/00000004.seg.gz"]);
    }

    #[test]
    fn what_was_never_read_goes_before_what_may_yet_be_rendered() {
        let disk = archive();
        let keeper = Keeper::new(&Config::new("logs"), disk.clone());
        let oldest = |first, read, cost| {
            let needed = HashMap::from([(name_key("p"), (first, read))]);
            keeper.oldest(&needed, cost).unwrap().map(|segment| segment.age.2)
        };
        assert_eq!(oldest(2, 2, Cost::Rendered), Some(1));
        assert_eq!((oldest(1, 2, Cost::Rendered), oldest(1, 2, Cost::Unread)), (None, Some(3)));
        // What is being read newest, and so does what grows.
        assert_eq!((oldest(1, 2, Cost::InWork), oldest(3, 3, Cost::InWork)), (Some(1), None));
        assert_eq!(oldest(1, 3, Cost::Unread), None);
    }

    #[test]
    fn what_a_cursor_awaits_is_spared_up_to_the_hard_limit_and_told_of() {
        let disk = archive();
        let keeper = Keeper::new(&Config::new("logs"), disk.clone());
        // All four are in the views.
        let needed = HashMap::from([(name_key("p"), (5, 5))]);
        assert_eq!(keeper.oldest(&needed, Cost::Awaited).unwrap(), None);
        let start = crate::reader::mark::SegmentStart { number: 2, watermark: None, recovered: false, ticks: 0 };
        let read = crate::reader::record::Position { segment: 2, offset: 0 };
        let mark = crate::reader::mark::Mark { start, read, out_last: None, late: None, whole: false };
        let cursor = cursor::Cursor { marks: BTreeMap::from([("p".to_owned(), mark)]) };
        let file = disk.open_write("otlp.cursor").unwrap();
        write_all_at(&disk, &file, &cursor.encode(), 0).unwrap();
        let oldest = |cost| keeper.oldest(&needed, cost).unwrap().map(|segment| segment.age.2);
        assert_eq!((oldest(Cost::Rendered), oldest(Cost::Awaited)), (Some(1), Some(2)));
        let all = || keeper.segments().unwrap();
        let bytes = all()[0].bytes;
        let going = |max| too_many(all(), &needed, 0, max).iter().map(|segment| segment.age.2).collect::<Vec<_>>();
        assert_eq!((going(3 * bytes), going(2 * bytes - 1), going(bytes)), (vec![1], vec![1], vec![1, 2]));
        let mut said = Vec::new();
        let mut keeper = Keeper::new(&Config::new("logs"), disk.clone());
        let victim = keeper.oldest(&needed, Cost::Awaited).unwrap().unwrap();
        keeper.delete(&victim, &needed, &mut |going: Going| said.push((going.lost, going.awaited))).unwrap();
        assert_eq!(said, [(0, true)]);
    }

    #[test]
    fn what_is_rendered_for_good_is_not_spared_whatever_cursors_say() {
        let rendered = Segment { rendered: true, lives: false, ..segment(1, 1, 10, false) };
        assert_eq!(too_many(vec![rendered.clone()], &HashMap::new(), 0, 5), [rendered]);
    }

    fn going(segments: &[Segment], first_needed: u64, ahead: u64, bytes_max: u64) -> Vec<u64> {
        let needed = HashMap::from([(name_key("p"), (first_needed, first_needed))]);
        too_many(segments.to_vec(), &needed, ahead, bytes_max).iter().map(|segment| segment.age.2).collect()
    }

    #[test]
    fn the_oldest_go_until_the_rest_fits_and_the_newest_stay() {
        let all = [segment(3, 3, 10, true), segment(1, 1, 10, false), segment(1, 2, 10, false)];
        assert!(going(&all, 9, 0, 30).is_empty());
        assert_eq!(going(&all, 9, 0, 25), [1]);
        assert_eq!(going(&all, 9, 0, 1), [1, 2]);
        // What is written before the next look is part of the limit.
        assert_eq!(going(&all, 9, 10, 30), [1]);
    }

    #[test]
    fn what_is_not_rendered_is_spared_up_to_the_hard_limit() {
        let all =
            [segment(1, 1, 10, false), segment(2, 2, 10, false), segment(3, 3, 10, false), segment(4, 4, 10, true)];
        assert_eq!(going(&all, 2, 0, 20), [1]);
        assert!(going(&all, 1, 0, 20).is_empty());
        assert_eq!(going(&all, 2, 0, 10), [1, 3]);
        assert!(too_many(all.to_vec(), &HashMap::new(), 0, 20).is_empty(), "an unknown journal is not rendered");
    }
}
