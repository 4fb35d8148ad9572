//! What must be found in the files: each record that was taken, once, in the order of its thread.

use crate::reader::dir::LogDir;
use crate::reader::follow::{Follower, Start, Until};
use crate::reader::record::Body;
use crate::view::names::Part;
use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;
use std::path::Path;

/// Base of the only view's files.
pub(super) const BASE: &str = "all.log";
/// What outsiders call a file of it, before the time when they do.
pub(super) const TAKEN: &str = "taken.";

/// A log call.
#[derive(Clone, Copy, Debug)]
pub(super) struct Call {
    /// The record was taken; others are counted as dropped.
    pub(super) taken: bool,
    /// When it was made.
    pub(super) ticks: u64,
    /// Records of a process with the same key are repeats to sampling; those without one are never left out.
    pub(super) key: Option<u32>,
    /// It may be missing in the view: outsiders took files away.
    pub(super) excused: bool,
    /// It may be missing everywhere: power failed before it was told to be synced.
    pub(super) unsynced: bool,
}

impl Call {
    /// It must be in its journal, once all is well.
    fn is_kept(&self) -> bool {
        self.taken && !self.unsynced && self.key.is_none()
    }

    /// It must be in the view, once all is well.
    fn is_due(&self) -> bool {
        self.is_kept() && !self.excused
    }
}

/// What a thread logged.
#[derive(Debug, Default)]
pub(super) struct Thread {
    /// Number of its process.
    pub(super) process: u32,
    /// Its calls, in order.
    pub(super) calls: Vec<Call>,
}

impl Thread {
    /// Those of the calls `range` that must be in the files.
    fn due(&self, from: u32, to: Option<u32>) -> u64 {
        let to = to.map_or(self.calls.len(), |to| to as usize);
        let calls = self.calls.get(from as usize..to).unwrap_or_default();
        calls.iter().filter(|call| call.is_due()).count() as u64
    }
}

/// What may be missing.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Mercy {
    /// The oldest lines: backups are limited, or were given up for want of room.
    pub(super) oldest: bool,
    /// So many others: archives were given up before they were rendered.
    pub(super) records: u64,
}

/// What happened to the files without the library.
#[derive(Clone, Copy, Debug)]
pub(super) struct Trust {
    /// Outsiders changed files of the view.
    pub(super) meddled: bool,
    /// Power failed.
    pub(super) power_lost: bool,
}

/// A record's line.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Line {
    thread: u32,
    n: u32,
    ticks: u64,
    marked: bool,
    /// Which of [`Found::said`] it stands in.
    file: usize,
}

/// Lines of the view, and how many records it says were dropped.
#[derive(Debug, Default)]
pub(super) struct Found {
    lines: Vec<Line>,
    /// Summaries: how many records were left out, and thread and number of the last of them.
    left_out: Vec<(u64, u32, u32)>,
    pub(super) dropped: u64,
    pub(super) files: usize,
    /// The files, oldest first.
    pub(super) said: Vec<String>,
    /// What else stands there.
    pub(super) notes: Vec<String>,
}

/// Reads the view in `logs`, from the oldest backup on. `unfinished`: the last line may be torn.
pub(super) fn read(logs: &Path, file_bytes_max: u64, unfinished: bool, trust: Trust) -> Found {
    let meddled = trust.meddled;
    let mut files = Vec::new();
    for entry in std::fs::read_dir(logs).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        files.extend(Part::parse(BASE, &name).filter(|part| *part != Part::Temp).map(|part| (part, name)));
    }
    // The oldest first; under one label the plain file is the newer.
    files.sort_by_key(|(part, _)| std::cmp::Reverse((part.label(), matches!(part, Part::Gz(_)))));
    let mut found = Found { files: files.len(), ..Found::default() };
    let texts: Vec<String> = files.iter().map(|(_, name)| text(&logs.join(name))).collect();
    for (index, (part, name)) in files.iter().enumerate() {
        let text = &texts[index];
        // A crash between the compressed copy's name and the plain one's end leaves both.
        let twin = files.get(index + 1).is_some_and(|(next, _)| next.label() == part.label());
        if twin && texts.get(index + 1) == Some(text) {
            continue;
        }
        let lines = text.lines().count();
        found.said.push(format!(
            "{name}: {lines} lines, {:?} to {:?}",
            head(text.lines().next()),
            head(text.lines().last())
        ));
        assert!(
            meddled || lines <= 1 || text.len() as u64 <= file_bytes_max,
            "{name} has {} bytes in {lines} lines",
            text.len()
        );
        let torn = !text.is_empty() && !text.ends_with('\n');
        assert!(!torn || meddled || (unfinished && *part == Part::Active), "{name} ends in a torn line");
        for line in text.lines().take(lines - usize::from(torn)) {
            found.take(line, trust);
        }
    }
    found
}

/// The records in files that outsiders renamed, each with the time when its file was: thread and number. Who renders writes
/// on into the file that it has open until it looks at its name again.
pub(super) fn renamed(logs: &Path) -> Vec<(u64, u32, u32)> {
    let trust = Trust { meddled: true, power_lost: true };
    let mut records = Vec::new();
    for entry in std::fs::read_dir(logs).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name().into_string().unwrap();
        let Some(at) = name.strip_prefix(TAKEN) else { continue };
        // A compressed backup has nothing but what was there before.
        let Ok(text) = String::from_utf8(std::fs::read(entry.path()).unwrap()) else { continue };
        let mut found = Found::default();
        text.lines().for_each(|line| found.take(line, trust));
        let at = at.parse().unwrap();
        records.extend(found.lines.iter().map(|line| (at, line.thread, line.n)));
        records.extend(found.left_out.iter().map(|(_, thread, n)| (at, *thread, *n)));
    }
    records
}

/// What the journals have.
#[derive(Debug, Default)]
pub(super) struct Archived {
    /// Thread and number of each record, in the order in which it stands.
    records: BTreeSet<(u32, u32)>,
    /// Records that are bytes, because the page with their definition was lost with the power.
    as_bytes: usize,
}

/// Reads the journals; only records of which `takes` approves, given the name of their process and their segment.
pub(super) fn archived(logs: &Path, mut takes: impl FnMut(&str, u64) -> bool) -> Archived {
    let mut follower = Follower::open(LogDir::open(logs).unwrap(), Until::Now, Start::First).unwrap();
    let mut archived = Archived::default();
    while follower.advance() {
        let Some(record) = follower.current() else { continue };
        if !takes(record.process, record.position.segment) {
            continue;
        }
        let Body::Message { site, payload } = record.body else {
            archived.as_bytes += usize::from(matches!(record.body, Body::Unknown { .. }));
            continue;
        };
        let mut message = String::new();
        let _ = site.plan.message(payload, &mut message);
        let mut numbers = message.trim_start_matches('<').split(' ').map_while(|part| part.parse().ok());
        if let (Some(thread), Some(n)) = (numbers.next(), numbers.next()) {
            assert!(archived.records.insert((thread, n)), "record {n} of thread {thread} stands in the journal twice");
        }
    }
    archived
}

impl Archived {
    /// Everything that `before` has is here still.
    pub(super) fn check_kept(&self, before: &Self) {
        let gone: Vec<_> = before.records.difference(&self.records).collect();
        assert!(gone.is_empty(), "in finished segments, each forced to disk, and gone with the power: {gone:?}");
    }

    /// Each record that was taken, and told to be synced before power failed, is here.
    pub(super) fn check(&self, threads: &BTreeMap<u32, Thread>) {
        let kept = |(key, thread): (&u32, &Thread)| -> Vec<(u32, u32)> {
            let calls = thread.calls.iter().zip(0..).filter(|(call, _)| call.is_kept());
            calls.map(|(_, n)| (*key, n)).collect()
        };
        let kept = threads.iter().flat_map(kept);
        let missing: Vec<_> = kept.filter(|record| !self.records.contains(record)).collect();
        assert!(missing.len() <= self.as_bytes, "in no journal: {missing:?}");
    }
}

fn head(line: Option<&str>) -> &str {
    line.and_then(|line| line.split_once(" x")).map_or("", |(head, _)| head)
}

fn text(path: &Path) -> String {
    let bytes = std::fs::read(path).unwrap();
    let mut text = String::new();
    if path.extension().is_some_and(|extension| extension == "gz") && !bytes.is_empty() {
        flate2::read::GzDecoder::new(&bytes[..]).read_to_string(&mut text).expect("a whole gzip file");
    } else {
        text = String::from_utf8(bytes).unwrap();
    }
    text
}

impl Found {
    fn take(&mut self, line: &str, trust: Trust) {
        let meddled = trust.meddled;
        if let Some((count, _)) = line.split_once(" records dropped here: ") {
            self.dropped += count.replace(',', "").parse::<u64>().unwrap();
            return;
        }
        if let Some((count, of)) = line.strip_prefix("suppressed ").and_then(|rest| rest.split_once(" repeats since "))
        {
            let last = of.split_once(" of: <").and_then(|(_, last)| last.split_once('>')).map(|(last, _)| last);
            let mut numbers = last.into_iter().flat_map(|last| last.split(' ')).map_while(|part| part.parse().ok());
            let (Some(thread), Some(n)) = (numbers.next(), numbers.next()) else {
                assert!(meddled, "torn: {line}");
                return;
            };
            self.left_out.push((count.replace(',', "").parse().unwrap(), thread, n));
            return;
        }
        let Some(inner) = line.strip_prefix('<') else {
            assert!((trust.power_lost || !line.contains("damaged")) && !line.contains('\0'), "{line}");
            self.notes.push(line.to_owned());
            return;
        };
        let (inner, marks) = inner.split_once('>').unwrap_or_else(|| {
            assert!(meddled, "torn: {line}");
            ("", "")
        });
        let mut parts = inner.split(' ');
        let mut number = || parts.next().and_then(|part| part.parse::<u64>().ok());
        let (Some(thread), Some(n), Some(ticks)) = (number(), number(), number()) else {
            assert!(meddled, "torn: {line}");
            return;
        };
        let filler = parts.next().unwrap_or_default();
        assert!(filler.bytes().all(|byte| byte == b'x') || meddled, "mixed: {line}");
        self.lines.push(Line {
            thread: thread as u32,
            n: n as u32,
            ticks,
            marked: !marks.is_empty(),
            file: self.said.len().saturating_sub(1),
        });
    }

    /// Holds the lines against what was logged; `complete`: everything must be there by now.
    pub(super) fn check(&self, threads: &BTreeMap<u32, Thread>, mercy: Mercy, complete: bool) {
        let mut next: BTreeMap<u32, u32> = BTreeMap::new();
        let mut newest: BTreeMap<u32, u64> = BTreeMap::new();
        let mut holes = 0;
        for line in &self.lines {
            let thread = threads.get(&line.thread).expect("a thread that logged");
            let expected = next.entry(line.thread).or_insert(0);
            assert!(line.n >= *expected, "twice or out of order: {line:?}, expected {expected}; {}", self.places(line));
            let call = thread.calls.get(line.n as usize);
            assert!(call.is_some_and(|call| call.taken && call.ticks == line.ticks), "never taken: {line:?}, {call:?}");
            let missing = thread.due(*expected, Some(line.n));
            if *expected > 0 || !mercy.oldest {
                assert!(mercy.records > 0 || missing == 0, "{missing} records are missing before {line:?}");
                holes += missing;
            }
            *expected = line.n + 1;
            let process = newest.entry(thread.process).or_insert(0);
            assert!(line.ticks >= *process || line.marked, "the time goes back to {line:?} from {process}");
            *process = line.ticks.max(*process);
        }
        for (key, thread) in threads.iter().filter(|_| complete) {
            let from = next.get(key).copied().unwrap_or(0);
            let missing = thread.due(from, None);
            let all_older = mercy.oldest && !next.contains_key(key);
            assert!(
                mercy.records > 0 || missing == 0 || all_older,
                "{missing} records of thread {key} are missing from {from} on"
            );
            holes += if all_older { 0 } else { missing };
        }
        assert!(holes <= mercy.records, "{holes} records are missing, {} may be", mercy.records);
        let exact = complete && !mercy.oldest && mercy.records == 0;
        self.check_sampling(threads, exact);
    }

    /// Where the record of a line stands, each time with the lines around it.
    fn places(&self, of: &Line) -> String {
        let same = |at: &usize| self.lines.get(*at).is_some_and(|line| (line.thread, line.n) == (of.thread, of.n));
        let around = |at: usize| {
            let lines = self.lines.get(at.saturating_sub(2)..(at + 3).min(self.lines.len())).unwrap_or_default();
            format!("in {:?}: {lines:#?}", self.lines.get(at).and_then(|line| self.said.get(line.file)))
        };
        (0..self.lines.len()).filter(same).map(around).collect::<Vec<_>>().join("; ")
    }

    /// What the journals have stands in the lines, or as bytes where the page with its definition was lost with the power.
    pub(super) fn check_archived(&self, Archived { records, .. }: &Archived) {
        let lines: BTreeSet<(u32, u32)> = self.lines.iter().map(|line| (line.thread, line.n)).collect();
        let missing: Vec<_> = records.difference(&lines).collect();
        let as_bytes = self.notes.iter().filter(|note| note.starts_with("unknown call site")).count();
        assert!(missing.len() <= as_bytes, "in a journal, and not in the view: {missing:?}, of {}", records.len());
    }

    /// What is not in the lines is in the summaries, of each process and key; `exact`: by now, to the last record.
    fn check_sampling(&self, threads: &BTreeMap<u32, Thread>, exact: bool) {
        let mut taken: BTreeMap<(u32, u32), (u64, bool)> = BTreeMap::new();
        for thread in threads.values() {
            for call in thread.calls.iter().filter(|call| call.taken) {
                let Some(key) = call.key else { continue };
                let (count, excused) = taken.entry((thread.process, key)).or_default();
                *count += 1;
                *excused |= call.excused || call.unsynced;
            }
        }
        let of = |thread: u32, n: u32| {
            let thread = threads.get(&thread).expect("a thread that logged");
            thread.calls.get(n as usize).and_then(|call| Some((thread.process, call.key?)))
        };
        let mut told: BTreeMap<(u32, u32), u64> = BTreeMap::new();
        for (count, thread, n) in &self.left_out {
            let key = of(*thread, *n).expect("a record that sampling may leave out");
            let is_there = self.lines.iter().any(|line| (line.thread, line.n) == (*thread, *n));
            assert!(!is_there, "record {n} of thread {thread} was left out, and is there");
            *told.entry(key).or_default() += count;
        }
        for line in &self.lines {
            if let Some(key) = of(line.thread, line.n) {
                *told.entry(key).or_default() += 1;
            }
        }
        for (key, (taken, excused)) in taken {
            let told = told.get(&key).copied().unwrap_or(0);
            assert!(told <= taken, "process and key {key:?}: {taken} taken, {told} written or in summaries");
            assert!(!exact || excused || told == taken, "process and key {key:?}: {taken} taken, {told} told");
        }
    }
}
