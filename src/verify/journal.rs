//! One journal: every segment from its first to its last byte, and the numbers of the calls over all of them.

use super::{FileReport, JournalReport, Report};
use crate::reader::archive::{Archive, segment_number};
use crate::reader::live::{self, Owner};
use crate::reader::record::CallSite;
use crate::reader::source::{Extent, Source as _};
use crate::record::definition::unpadded;
use crate::segment::layout::{
    FRAME_BYTES_MAX, HEADER_BYTES, Header, HeaderError, Kind, SALT_AT, SITE_INLINE, SITE_MAX, UNIT_BYTES, VERSION,
    WRITER_RING, bare_site, is_remembered, u16_at, u32_at, u64_at,
};
use crate::segment::salvage::find_salt;
use crate::segment::scan::{Frame, Item, Scanner, Tail};
use crate::shm::directory::POINTER;
use crate::sys::file::open_regular;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

/// Bytes that are read at once; several of the largest frames.
const WINDOW_BYTES: usize = 4 * FRAME_BYTES_MAX;
/// Problems that are named of a file at most.
const PROBLEMS_MAX: usize = 16;

/// The segment files in a folder by number; the plain one where both are there.
pub(super) fn segments(folder: &Path) -> io::Result<BTreeMap<u64, PathBuf>> {
    let mut segments = BTreeMap::new();
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name();
        let Some(number) = name.to_str().and_then(segment_number) else { continue };
        let plain = entry.path().extension().is_some_and(|end| end == "seg");
        if plain || !segments.contains_key(&number) {
            segments.insert(number, entry.path());
        }
    }
    Ok(segments)
}

/// Whether the process of a journal lives, and whether its live memory is there.
pub(super) fn owner(folder: &Path) -> (Owner, bool) {
    let mut text = String::new();
    if let Ok(Some(file)) = open_regular(&folder.join(POINTER)) {
        let _ = file.take(4096).read_to_string(&mut text);
    }
    let shm = Path::new(text.trim_end());
    if !shm.is_absolute() {
        return (Owner::Unknown, false);
    }
    (live::owner(shm), shm.join("control").symlink_metadata().is_ok())
}

/// Calls on a ring, as the journal tells them.
#[derive(Default)]
struct Calls {
    /// The number that comes next.
    next: Option<u32>,
    holes: u64,
    dropped: u64,
    /// Records that the flight recorder brought later than their time, the number of the last of them, and how many it
    /// forgot.
    remembered: u64,
    remembered_last: Option<u32>,
    forgotten: u64,
}

/// A journal being checked.
pub(super) struct Walk {
    report: JournalReport,
    files: Vec<FileReport>,
    owner: Owner,
    live: bool,
    last: Option<u64>,
    calls: HashMap<u16, Calls>,
    suppressed: u64,
    twice: u64,
    /// Segments are missing between others.
    is_gapped: bool,
}

/// What a segment defined so far, and counted.
#[derive(Default)]
struct Segment {
    sites: HashSet<u32>,
    frames: u64,
    records: u64,
    /// A seal, with its counts of frames and records, was the last frame.
    seal: Option<(u64, u64)>,
}

impl Walk {
    pub(super) fn new(process: &str, owner: Owner, live: bool) -> Self {
        Self {
            report: JournalReport { process: process.to_owned(), ..JournalReport::default() },
            files: Vec::new(),
            owner,
            live,
            last: None,
            calls: HashMap::new(),
            suppressed: 0,
            twice: 0,
            is_gapped: false,
        }
    }

    /// Checks a segment file. `number` is what its name says; `is_last` that no later one is there.
    pub(super) fn segment(&mut self, path: &Path, number: Option<u64>, is_last: bool, progress: &mut dyn FnMut(u64)) {
        let mut file = FileReport::new(path);
        if let (Some(last), Some(number)) = (self.last, number)
            && number > last + 1
        {
            let problem = format!("segments {} to {} are missing between others", last + 1, number - 1);
            self.report.problems.push(problem);
            self.is_gapped = true;
            self.forget();
        } else if self.last.is_none() && number.is_none_or(|number| number != 1) {
            self.forget();
        }
        self.last = number.or(self.last);
        let mut segment = Segment::default();
        let whole = self.walk(path, number, is_last, &mut segment, &mut file, progress);
        match whole {
            Ok(()) => self.judge_end(is_last, &segment, &mut file),
            Err(error) => file.unchecked = Some(error.to_string()),
        }
        file.frames = segment.frames;
        file.records = segment.records;
        self.report.records += segment.records;
        let more = file.problems.len().saturating_sub(PROBLEMS_MAX);
        if more > 0 {
            file.problems.truncate(PROBLEMS_MAX);
            file.problems.push(format!("and {more} more like these"));
        }
        self.files.push(file);
    }

    /// What came before cannot be held against what comes.
    fn forget(&mut self) {
        for calls in self.calls.values_mut() {
            calls.next = None;
        }
    }

    fn walk(
        &mut self,
        path: &Path,
        number: Option<u64>,
        is_last: bool,
        segment: &mut Segment,
        file: &mut FileReport,
        progress: &mut dyn FnMut(u64),
    ) -> io::Result<()> {
        let growing = is_last && self.owner == Owner::Alive;
        let mut source = Archive::files(BTreeMap::from([(1, path.to_owned())]));
        let (mut at, mut salt, mut told) = (0_u64, None, 0_u64);
        loop {
            let mut bytes = Vec::new();
            let extent = source.read(1, at, WINDOW_BYTES, &mut bytes)?;
            let ends = extent != Extent::More;
            if matches!(extent, Extent::Missing { .. }) {
                return Err(io::Error::new(io::ErrorKind::NotFound, "it was removed meanwhile"));
            }
            let mut from = 0;
            if at == 0 {
                salt = self.header(&bytes, number, growing, file)?;
                from = HEADER_BYTES;
            } else if salt.is_none() {
                salt = find_salt(&bytes, None);
                if salt.is_some() {
                    // Whole frames may stand before: from the start again, with the salt known.
                    at = HEADER_BYTES as u64;
                    continue;
                }
            }
            let read = bytes.len() as u64;
            let before = at;
            match salt {
                Some(salt) => {
                    let tail = match (ends, growing) {
                        (true, true) => Tail::Growing,
                        (true, false) => Tail::Final,
                        (false, _) => Tail::Window,
                    };
                    let body = bytes.get(from..).unwrap_or_default();
                    let mut scanner = Scanner::new(body, at + from as u64, salt, tail);
                    for item in scanner.by_ref() {
                        match item {
                            Item::Frame { frame, .. } => self.frame(&frame, segment, file),
                            Item::Damage { offset, bytes } => {
                                segment.seal = None;
                                file.add_damage(offset, bytes);
                            }
                        }
                    }
                    at = scanner.position();
                }
                None if ends => file.add_damage(0, at + read),
                None => at += read,
            }
            told = told.max(before + read);
            progress(read.min(told - before));
            if let Extent::Broken { lost } = extent {
                file.problems
                    .push(format!("it cannot be inflated beyond offset {}: {lost} bytes are lost", before + read));
                file.add_damage(before + read, lost);
            }
            if ends {
                return Ok(());
            }
            if at == before {
                // No frame is larger than a window: cannot be, but must not be for ever either.
                at += UNIT_BYTES as u64;
            }
        }
    }

    /// The segment's salt, from its header or else from its frames.
    fn header(
        &self,
        bytes: &[u8],
        number: Option<u64>,
        growing: bool,
        file: &mut FileReport,
    ) -> io::Result<Option<u32>> {
        match Header::decode(bytes) {
            Ok(header) => {
                if number.is_some_and(|number| number != header.number) {
                    file.problems.push(format!("its header says that it is segment {}", header.number));
                }
                return Ok(Some(header.salt));
            }
            Err(HeaderError::Version(version)) => {
                let why =
                    format!("its layout {version} is newer than this program's, {VERSION}; use the one that wrote it");
                return Err(io::Error::new(io::ErrorKind::Unsupported, why));
            }
            Err(HeaderError::Short) if growing => return Ok(Some(0)),
            Err(HeaderError::Short) => file.problems.push("it is shorter than a header".to_owned()),
            Err(HeaderError::Magic | HeaderError::Checksum) => {
                file.problems.push("its header is damaged".to_owned());
            }
        }
        let hint = bytes.get(..HEADER_BYTES).map(|header| u64_at(header, SALT_AT) as u32);
        let salt = find_salt(bytes.get(HEADER_BYTES..).unwrap_or_default(), hint);
        if salt.is_some() {
            file.add_damage(0, HEADER_BYTES as u64);
        }
        Ok(salt)
    }

    fn frame(&mut self, frame: &Frame<'_>, segment: &mut Segment, file: &mut FileReport) {
        let mut bad = |what: String| {
            if file.problems.len() < 2 * PROBLEMS_MAX {
                file.problems.push(what);
            }
        };
        segment.frames += 1;
        segment.seal = None;
        let payload = frame.payload;
        if frame.ring != WRITER_RING {
            segment.records += 1;
            let site = bare_site(frame.site);
            if site == SITE_INLINE {
                let bytes = u32_at(payload, 0) as usize;
                let definition = payload.get(4..).and_then(|rest| rest.get(..bytes)).unwrap_or_default();
                if unpadded(definition, CallSite::decode).is_none() {
                    bad("a record carries a definition that is malformed".to_owned());
                }
            } else if site <= SITE_MAX && !segment.sites.contains(&site) {
                bad(format!("a record is of call site {site}, which is not defined before it"));
            }
            if is_remembered(frame.site) {
                self.remembered(frame.ring, frame.seq);
            } else {
                self.call(frame.ring, frame.seq, true);
            }
            return;
        }
        match frame.kind() {
            Some(Kind::Site) => match unpadded(payload, CallSite::decode) {
                Some(site) => {
                    segment.sites.insert(site.def.id);
                }
                None => bad("the definition of a call site is malformed".to_owned()),
            },
            Some(Kind::Thread) => {
                // A name takes a call's number, and those of threads that logged nothing stand nowhere.
                let calls = self.calls_of(u16_at(payload, 0));
                if calls.next.is_some_and(|next| frame.seq.wrapping_sub(next).cast_signed() >= 0) {
                    calls.next = Some(frame.seq.wrapping_add(1));
                }
            }
            Some(Kind::Dropped) => {
                let ring = u16_at(payload, 0);
                self.call(ring, frame.seq, false);
                let dropped = &mut self.calls.entry(ring).or_default().dropped;
                *dropped = dropped.saturating_add(u64_at(payload, 8));
            }
            Some(Kind::Flight) => {
                let calls = self.calls_of(u16_at(payload, 0));
                calls.forgotten = calls.forgotten.max(u64_at(payload, 8));
            }
            Some(Kind::Suppressed) => self.suppressed = self.suppressed.saturating_add(u64_at(payload, 8)),
            Some(Kind::Seal) => segment.seal = Some((u64_at(payload, 0), u64_at(payload, 24))),
            Some(_) => {}
            None => bad(format!("a frame of the writer's is of an unknown kind, {}", frame.site)),
        }
    }

    /// A ring's calls begin with 0 in the first segment, and anywhere if that is not there.
    fn calls_of(&mut self, ring: u16) -> &mut Calls {
        let next = (self.last == Some(1)).then_some(0);
        self.calls.entry(ring).or_insert_with(|| Calls { next, ..Calls::default() })
    }

    /// Takes note of a call's number, or of one up to which all before are accounted for.
    fn call(&mut self, ring: u16, seq: u32, is_record: bool) {
        let calls = self.calls_of(ring);
        let next = calls.next.unwrap_or(seq);
        let ahead = seq.wrapping_sub(next).cast_signed();
        match u64::try_from(ahead) {
            Ok(hole) => {
                calls.holes += hole;
                calls.next = Some(seq.wrapping_add(u32::from(is_record)));
            }
            Err(_) if is_record => self.twice += 1,
            Err(_) => {}
        }
    }

    /// Takes note of a record that stands behind its place: its number was passed over as a hole, or comes behind all
    /// that were seen.
    fn remembered(&mut self, ring: u16, seq: u32) {
        let calls = self.calls_of(ring);
        let ahead = |last: u32| seq.wrapping_sub(last).cast_signed();
        if calls.remembered_last.is_some_and(|last| ahead(last) <= 0) {
            self.twice += 1;
            return;
        }
        calls.remembered_last = Some(seq);
        calls.remembered += 1;
        if calls.next.is_none_or(|next| ahead(next) >= 0) {
            // Its own number is a hole that it fills.
            calls.holes += u64::from(seq.wrapping_sub(calls.next.unwrap_or(seq))) + 1;
            calls.next = Some(seq.wrapping_add(1));
        }
    }

    fn judge_end(&self, is_last: bool, segment: &Segment, file: &mut FileReport) {
        match segment.seal {
            // The seal does not count itself.
            Some((frames, records)) if file.damaged_bytes == 0 && frames != 0 => {
                let there = (segment.frames - 1, segment.records);
                if there != (frames, records) {
                    file.problems.push(format!(
                        "its seal counts {frames} frames with {records} records, and there are {} with {}",
                        there.0, there.1
                    ));
                }
            }
            Some(_) => {}
            None if !is_last => file.problems.push("it ends without its seal: what followed is lost".to_owned()),
            None if self.owner == Owner::Alive => file.notes.push("it grows".to_owned()),
            None if self.live => file.notes.push("it is not complete; tacho recover brings the rest".to_owned()),
            None => file.notes.push("it ends without its seal: what was in shared memory is gone".to_owned()),
        }
    }

    /// The journal as a whole.
    pub(super) fn finish(mut self, report: &mut Report) {
        let stated = |calls: &Calls| calls.dropped.saturating_add(calls.remembered).saturating_add(calls.forgotten);
        let unstated: u64 = self.calls.values().map(|calls| calls.holes.saturating_sub(stated(calls))).sum();
        let holes: u64 = self.calls.values().map(|calls| calls.holes.saturating_sub(calls.remembered)).sum();
        let missing = unstated.saturating_sub(self.suppressed);
        self.report.missing = missing;
        self.report.accounted = holes - missing.min(holes);
        if missing > 0 {
            // The summary of what was left out before a gap can have stood in it.
            let text = if self.is_gapped {
                format!("{missing} records are missing; what says why may have stood in the missing segments")
            } else {
                format!("{missing} records are missing, and nothing in the journal says why")
            };
            // The summary of repeats comes after them, and what is remembered is not written yet.
            if self.owner == Owner::Alive || self.live {
                self.report.notes.push(text)
            } else {
                self.report.problems.push(text)
            }
        }
        if self.twice > 0 {
            self.report.problems.push(format!("{} records stand twice or in the wrong order", self.twice));
        }
        report.files.append(&mut self.files);
        if !self.report.process.is_empty() {
            report.journals.push(self.report);
        }
    }
}
