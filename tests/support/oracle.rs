//! What a log must hold, given what the programs know that wrote it. Pure: it sees lines and numbers, no file and no clock.
//!
//! Each producer is a thread of one run of the load program. It logs [`text`] for the numbers 0, 1, 2, … and keeps how many
//! calls returned. The oracle wants, over all lines of the view in their order:
//!
//! * of each producer every number whose call returned, once, in order, and at most one more: the call that the death met;
//! * each line byte for byte as it was logged;
//! * ` (recovered)` on nothing but an end of what a dead run logged: what its rings still held;
//! * times that never decrease, but for lines that are marked: within a run, and over runs, which have their time from one
//!   page as long as one of them, or what a dead one left, is there. Where the last one closed before the next began, or what
//!   the dead left was recovered, the next measures anew; and a writer that stands still in the midst of a round goes on with the anchor that it had. Then
//!   times may go back by [`CLOCKS_DIFFER_NS_MAX`].
//!
//! Where calls may be dropped, exactly so many may be missing as the log states.

use std::collections::{BTreeMap, BTreeSet};

/// How a run ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum End {
    /// It closed its logger.
    Closed,
    /// It did not.
    Died,
}

/// What one thread of a run knows.
#[derive(Clone, Copy, Debug)]
pub struct Producer {
    pub run: u64,
    pub thread: u64,
    /// Calls that returned.
    pub returned: u64,
    pub end: End,
}

/// What is wrong with a log.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Fault {
    /// These calls returned and have no line: run, thread, the first such number, how many.
    Lost(u64, u64, u64, u64),
    /// A line stands twice.
    Doubled(String),
    /// A line stands behind a later one of its thread.
    Reordered(String),
    /// A line is not what was logged.
    Torn(String),
    /// A line of a call that was never begun, or of a run that nobody knows.
    Invented(String),
    /// A line without a mark is older than one before it.
    TimeWentBack(String),
    /// A line is marked as recovered, but its run closed its logger.
    RecoveredOfTheLiving(String),
    /// A line is not marked as recovered, though an earlier one of its thread is.
    MarkEnded(String),
    /// So many are missing, so many are stated as dropped.
    Unstated(u64, u64),
}

/// What was found in a log without fault.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Tally {
    pub lines: u64,
    pub recovered: u64,
    pub late: u64,
    pub dropped: u64,
}

/// What a producer logs under a number: anything else in its place is torn.
pub fn text(run: u64, thread: u64, number: u64) -> String {
    format!("{run} {thread} {number} {}", filler(run, thread, number))
}

/// The end of [`text`]: of many lengths, and not the same for any two calls close to each other.
pub fn filler(run: u64, thread: u64, number: u64) -> &'static str {
    const WORDS: &str =
        "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ+-*/=_.:;,!?#%&<>abcdefghijklmnopqrst";
    let begin = (run * 13 + thread * 5 + number) % 37;
    let length = 4 + (number * 7 + thread) % 53;
    &WORDS[begin as usize..(begin + length) as usize]
}

/// Goes over the lines of a view.
pub struct Oracle {
    producers: BTreeMap<(u64, u64), State>,
    /// The newest time of a line without a mark, and the same run by run.
    newest_ns: u64,
    of_run: BTreeMap<u64, u64>,
    tally: Tally,
    faults: Vec<Fault>,
}

struct State {
    producer: Producer,
    next: u64,
    missing: BTreeSet<u64>,
    recovered: bool,
}

/// How far the clocks of two processes may be apart, in nanoseconds.
pub const CLOCKS_DIFFER_NS_MAX: u64 = 200_000;
/// More faults of one kind say nothing more.
const FAULTS_MAX: usize = 20;

impl Oracle {
    pub fn new(producers: impl IntoIterator<Item = Producer>) -> Self {
        let state = |producer: Producer| State { producer, next: 0, missing: BTreeSet::new(), recovered: false };
        let producers = producers.into_iter().map(|one| ((one.run, one.thread), state(one))).collect();
        Self { producers, newest_ns: 0, of_run: BTreeMap::new(), tally: Tally::default(), faults: Vec::new() }
    }

    fn fault(&mut self, fault: Fault) {
        if self.faults.len() < FAULTS_MAX {
            self.faults.push(fault);
        }
    }

    /// The next line of the view.
    pub fn line(&mut self, line: &str) {
        self.tally.lines += 1;
        let (rest, recovered) = unmarked(line, " (recovered)");
        let (rest, late) = unmarked(rest, " (late)");
        self.tally.recovered += u64::from(recovered);
        self.tally.late += u64::from(late);
        let Some(read) = Read::parse(rest) else { return self.fault(Fault::Torn(line.to_owned())) };
        if !recovered && !late {
            let newest = self.of_run.entry(read.run).or_default();
            let went_back = read.time_ns < *newest || read.time_ns + CLOCKS_DIFFER_NS_MAX < self.newest_ns;
            *newest = read.time_ns;
            self.newest_ns = self.newest_ns.max(read.time_ns);
            if went_back {
                self.fault(Fault::TimeWentBack(line.to_owned()));
            }
        }
        let Some(state) = self.producers.get_mut(&(read.run, read.thread)) else {
            return self.fault(Fault::Invented(line.to_owned()));
        };
        if read.message != text(read.run, read.thread, read.number) {
            return self.fault(Fault::Torn(line.to_owned()));
        }
        let producer = state.producer;
        let mut found = None;
        if recovered && producer.end == End::Closed {
            found = Some(Fault::RecoveredOfTheLiving(line.to_owned()));
        } else if state.recovered && !recovered {
            found = Some(Fault::MarkEnded(line.to_owned()));
        }
        state.recovered |= recovered;
        let begun = producer.returned + u64::from(producer.end == End::Died);
        if read.number >= begun {
            found = Some(Fault::Invented(line.to_owned()));
        } else if read.number >= state.next {
            state.missing.extend(state.next..read.number);
            state.next = read.number + 1;
        } else if state.missing.remove(&read.number) {
            found = Some(Fault::Reordered(line.to_owned()));
        } else {
            found = Some(Fault::Doubled(line.to_owned()));
        }
        if let Some(fault) = found {
            self.fault(fault);
        }
    }

    /// The verdict, when all lines went by: `dropped` is how many the log states as dropped.
    pub fn verdict(mut self, dropped: u64) -> Result<Tally, Vec<Fault>> {
        let mut missing = 0;
        let mut dying = 0;
        let mut lost = Vec::new();
        for state in self.producers.values_mut() {
            state.missing.extend(state.next..state.producer.returned);
            missing += state.missing.len() as u64;
            dying += u64::from(state.producer.end == End::Died);
            if let Some(first) = state.missing.first() {
                let Producer { run, thread, .. } = state.producer;
                lost.push(Fault::Lost(run, thread, *first, state.missing.len() as u64));
            }
        }
        // A dying call may be a dropped one too.
        if missing > dropped || dropped > missing + dying {
            if dropped > 0 {
                self.fault(Fault::Unstated(missing, dropped));
            }
            lost.into_iter().for_each(|fault| self.fault(fault));
        }
        self.tally.dropped = dropped;
        if self.faults.is_empty() { Ok(self.tally) } else { Err(self.faults) }
    }
}

fn unmarked<'a>(line: &'a str, mark: &str) -> (&'a str, bool) {
    line.strip_suffix(mark).map_or((line, false), |rest| (rest, true))
}

/// A line, taken apart: `<time> INFO     load [load-<thread>] <run> <thread> <number> <filler>`.
struct Read<'a> {
    /// Nanoseconds since some moment, as if all months had 31 days.
    time_ns: u64,
    message: &'a str,
    run: u64,
    thread: u64,
    number: u64,
}

impl<'a> Read<'a> {
    fn parse(line: &'a str) -> Option<Self> {
        let (time, rest) = line.split_once(" INFO     load [load-")?;
        let (name, message) = rest.split_once("] ")?;
        let mut words = message.split(' ').map(str::parse::<u64>);
        let mut word = || words.next()?.ok();
        let read = Self { time_ns: time_ns(time)?, message, run: word()?, thread: word()?, number: word()? };
        (name.parse() == Ok(read.thread)).then_some(read)
    }
}

/// A time such as `2026-11-20T13:02:37.123456789Z`.
fn time_ns(text: &str) -> Option<u64> {
    let parts: Vec<u64> = text.split(['-', 'T', ':', '.', 'Z']).map_while(|part| part.parse().ok()).collect();
    let [year, month, day, hour, minute, second, ns] = parts[..] else { return None };
    let days = (year * 12 + month) * 31 + day;
    let seconds = ((days * 24 + hour) * 60 + minute) * 60 + second;
    let same = format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{ns:09}Z") == text;
    same.then(|| (seconds % 1_000_000_000) * 1_000_000_000 + ns)
}
