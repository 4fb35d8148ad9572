//! What is said on standard error about the journals.

use crate::args::Args;
use crate::{NOTHING, TROUBLE};
use std::collections::BTreeSet;
use std::io::{self, ErrorKind, Write as _};
use std::path::Path;
use std::process::ExitCode;
use tachograph::format::escape::push_text;
use tachograph::reader::dir::LogDir;
use tachograph::reader::follow::{About, Follower};
use tachograph::recover::left_in_rings;
use tachograph::segment::layout::VERSION;

/// Opens the log directory; an error says what to do.
pub(crate) fn open(path: &Path) -> io::Result<LogDir> {
    LogDir::open(path).map_err(|error| match error.kind() {
        ErrorKind::NotFound => io::Error::new(
            ErrorKind::NotFound,
            format!("{error}\ngive the directory that the program logs to with -D DIR, or set TACHO_DIR"),
        ),
        _ => error,
    })
}

/// A text as a terminal may see it: names in directories can be anything. Line ends stay.
pub(crate) fn shown(text: &str) -> String {
    let line = |line: &str| {
        let mut out = Vec::new();
        push_text(line, &mut out);
        String::from_utf8(out).unwrap_or_default()
    };
    text.split('\n').map(line).collect::<Vec<_>>().join("\n")
}

/// Says which records are in the rings of dead processes: they are in no journal yet.
pub(crate) fn rings(dir: &Path, talk: &mut Talk) {
    for (process, records) in left_in_rings(dir) {
        talk.say(format!(
            "{process}: it died with {records} records in its rings, not shown; tacho recover brings them"
        ));
    }
}

/// Says everything once.
pub(crate) struct Talk {
    quiet: bool,
    said: BTreeSet<String>,
    trouble: bool,
    /// Journals were not read to their ends: what they lack there is not missed.
    partial: bool,
}

impl Talk {
    pub(crate) fn new(args: &Args) -> Self {
        Self { quiet: args.quiet, said: BTreeSet::new(), trouble: false, partial: false }
    }

    /// Who asked has seen enough before the journals ended.
    pub(crate) fn seen_enough(&mut self) {
        self.partial = true;
    }

    /// Says what is new about the journals.
    pub(crate) fn about(&mut self, follower: &Follower) {
        for about in follower.about() {
            self.process(&about);
        }
    }

    fn process(&mut self, about: &About) {
        let process = &about.process;
        if let Some(version) = about.newer {
            let why = format!("its layout has version {version}, this tacho knows {VERSION}");
            self.trouble(format!("{process}: not read: {why}; use the tacho of the program that wrote it"));
        }
        if let Some(error) = &about.error {
            self.trouble(format!("{process}: {error}"));
        }
        if let Some(error) = &about.live_error {
            self.say(format!("{process}: reading the archive only: {error}"));
        } else if !about.live && !about.files && !about.sealed && !self.partial {
            let meaning = "live memory is absent, what was not archived is not shown";
            self.say(format!("{process}: reading the archive only: {meaning}"));
        }
        let tally = &about.tally;
        if let Some(at) = tally.damaged_at {
            let place = format!("the first in segment {} at offset {}", at.segment, at.offset);
            self.say(format!("{process}: {} damaged bytes, {place}", tally.damaged_bytes));
        }
        if tally.missing_segments > 0 {
            let why = "retention took them, or they were not copied";
            self.say(format!("{process}: {} segments are missing: {why}", tally.missing_segments));
        }
        if tally.unknown > 0 {
            self.say(format!("{process}: {} frames were not understood", tally.unknown));
        }
    }

    /// Says what went wrong: the command ends so.
    pub(crate) fn trouble(&mut self, text: String) {
        self.trouble = true;
        if !self.said.contains(&text) {
            let _ = writeln!(io::stderr(), "tacho: {}", shown(&text));
            self.said.insert(text);
        }
    }

    pub(crate) fn say(&mut self, text: String) {
        if !self.quiet && !self.said.contains(&text) {
            let _ = writeln!(io::stderr(), "tacho: {}", shown(&text));
            self.said.insert(text);
        }
    }

    /// Whether something went wrong.
    pub(crate) fn troubled(&self) -> bool {
        self.trouble
    }

    /// How a command ends that may find nothing.
    pub(crate) fn code_of_search(&self, found: bool) -> ExitCode {
        match (self.trouble, found) {
            (true, _) => ExitCode::from(TROUBLE),
            (false, true) => ExitCode::SUCCESS,
            (false, false) => ExitCode::from(NOTHING),
        }
    }

    /// How the command ends.
    pub(crate) fn code(&self) -> ExitCode {
        if self.trouble { ExitCode::from(TROUBLE) } else { ExitCode::SUCCESS }
    }
}
