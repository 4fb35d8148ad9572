//! `tacho tail`: the last records, and those to come.

use crate::args::{Args, Tail};
use crate::journal::OUTPUT_BYTES;
use crate::line;
use crate::select::Select;
use crate::talk::{self, Talk};
use std::collections::VecDeque;
use std::io::{self, BufWriter, Write as _};
use std::process::ExitCode;
use std::time::{Duration, Instant};
use tachograph::format::line::LineFormat;
use tachograph::reader::dir::LogDir;
use tachograph::reader::follow::{Follower, Start, Until};

/// How long a follower sleeps when there is no news.
const POLL_INTERVAL: Duration = Duration::from_millis(20);
/// How often journals are looked at for something to say.
const TALK_INTERVAL: Duration = Duration::from_secs(1);
/// Segments of each journal in which the last records are looked for first.
const SEGMENTS_TRIED: usize = 2;
/// With more than so many, all may as well be read.
const SEGMENTS_TRIED_MAX: usize = 32;

pub(crate) fn run(args: &Args, tail: &Tail) -> io::Result<ExitCode> {
    let mut select = Select::new(&tail.filter)?.only_messages(tail.show.output);
    let mut format = line::format(&tail.show)?;
    let mut talk = Talk::new(args);
    let dir = open(args, tail.follow, &mut talk)?;
    let until = if tail.follow { Until::Forever } else { Until::Now };
    let whole = select.since_ns.map_or(Start::First, Start::Since);
    let mut segments = SEGMENTS_TRIED;
    let (mut follower, last) = loop {
        let start = if segments <= SEGMENTS_TRIED_MAX { Start::Last(segments) } else { whole };
        let mut follower = Follower::open(dir.clone(), until, start)?;
        let mut last = Last::new(tail.lines);
        last.collect(&mut follower, &mut select, &mut *format);
        if segments > SEGMENTS_TRIED_MAX || last.is_sure(&follower) {
            break (follower, last);
        }
        segments *= 4;
    };
    let mut out = BufWriter::with_capacity(OUTPUT_BYTES, io::stdout().lock());
    for (_, text) in &last.lines {
        out.write_all(text)?;
    }
    out.flush()?;
    talk.about(&follower);
    select.about(&mut talk);
    talk::rings(&args.dir, &mut talk);
    drop(last);
    if tail.follow {
        follow(&mut follower, &mut select, &mut *format, &mut talk, &mut out)?;
    }
    Ok(talk.code())
}

/// Opens the log directory; a follower waits for it to come.
fn open(args: &Args, follow: bool, talk: &mut Talk) -> io::Result<LogDir> {
    let mut said = false;
    loop {
        match talk::open(&args.dir) {
            Err(error) if follow && error.kind() == io::ErrorKind::NotFound => {
                if !said {
                    talk.say(format!("waiting for a logger to start in {}", args.dir.display()));
                    said = true;
                }
                std::thread::sleep(POLL_INTERVAL);
            }
            opened => return opened,
        }
    }
}

fn follow(
    follower: &mut Follower,
    select: &mut Select,
    format: &mut dyn LineFormat,
    talk: &mut Talk,
    out: &mut impl io::Write,
) -> io::Result<()> {
    let mut text = Vec::new();
    let mut talked = Instant::now();
    loop {
        std::thread::sleep(POLL_INTERVAL);
        follower.poll()?;
        while follower.advance() {
            if let Some(record) = follower.current().filter(|record| select.wants(record)) {
                text.clear();
                format.line(&record, &mut text);
                out.write_all(&text)?;
            }
        }
        out.flush()?;
        if talked.elapsed() >= TALK_INTERVAL {
            talk.about(follower);
            select.about(talk);
            talked = Instant::now();
        }
    }
}

/// The last lines, each with its time.
struct Last {
    lines_max: usize,
    lines: VecDeque<(i64, Vec<u8>)>,
}

impl Last {
    fn new(lines_max: usize) -> Self {
        Self { lines_max, lines: VecDeque::new() }
    }

    /// Goes over everything that is there.
    fn collect(&mut self, follower: &mut Follower, select: &mut Select, format: &mut dyn LineFormat) {
        while follower.advance() {
            let Some(record) = follower.current().filter(|record| select.wants(record)) else { continue };
            let mut text = Vec::new();
            if self.lines.len() >= self.lines_max {
                text = self.lines.pop_front().unwrap_or_default().1;
                text.clear();
            }
            if self.lines_max > 0 {
                format.line(&record, &mut text);
                self.lines.push_back((record.unix_ns, text));
            }
        }
    }

    /// Whether these are the last lines of all, though the follower did not begin with the first segments.
    fn is_sure(&self, follower: &Follower) -> bool {
        let complete_from_ns = follower.complete_from_ns();
        if complete_from_ns == i64::MIN || self.lines_max == 0 {
            return true;
        }
        // One journal is read in its order; of several, each may have left out what belongs between these lines.
        let complete = || self.lines.iter().all(|(unix_ns, _)| *unix_ns >= complete_from_ns);
        self.lines.len() >= self.lines_max && (follower.processes() == 1 || complete())
    }
}
