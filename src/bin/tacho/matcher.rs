//! Regular expressions for the message and fields of a record.

use crate::line;
use regex::bytes::{Regex, RegexBuilder};
use std::io;
use std::ops::Range;
use tachograph::format::line::LineFormat as _;
use tachograph::format::pattern::TextFormat;
use tachograph::reader::record::RecordRef;

/// The most bytes that a compiled pattern may take.
const REGEX_BYTES_MAX: usize = 10 << 20;

/// How patterns are to be understood.
#[derive(Clone, Copy, Default, Debug)]
pub(crate) struct Manner {
    /// Upper and lower case are the same.
    pub(crate) ignore_case: bool,
    /// The text itself is meant.
    pub(crate) fixed: bool,
}

/// Patterns that must all match.
pub(crate) struct Matcher {
    regexes: Vec<Regex>,
    text: TextFormat,
    line: Vec<u8>,
}

impl Matcher {
    /// Of no pattern, which matches everything.
    pub(crate) fn new() -> io::Result<Self> {
        Ok(Self { regexes: Vec::new(), text: line::pattern("{message} {fields}")?, line: Vec::new() })
    }

    /// Adds a pattern: one of `alternatives` must match.
    ///
    /// # Errors
    /// When one is no regular expression, or too large.
    pub(crate) fn add(&mut self, alternatives: &[&str], manner: Manner) -> Result<(), String> {
        let compile = |pattern: &str| {
            let builder = &mut RegexBuilder::new(pattern);
            builder.case_insensitive(manner.ignore_case).size_limit(REGEX_BYTES_MAX).build()
        };
        let of = |pattern: &&str| if manner.fixed { regex::escape(pattern) } else { (*pattern).to_owned() };
        let patterns: Vec<String> = alternatives.iter().map(of).collect();
        for pattern in &patterns {
            compile(pattern).map_err(|error| error.to_string())?;
        }
        let joined = match patterns.as_slice() {
            [one] => one.clone(),
            // Each for itself was right, so that none can end the other's group.
            _ => format!("(?:{})", patterns.join(")|(?:")),
        };
        self.regexes.push(compile(&joined).map_err(|error| error.to_string())?);
        Ok(())
    }

    /// Whether all match.
    pub(crate) fn matches(&mut self, record: &RecordRef<'_>) -> bool {
        if self.regexes.is_empty() {
            return true;
        }
        self.line.clear();
        self.text.line(&line::unmarked(record), &mut self.line);
        let line = self.line.strip_suffix(b"\n").unwrap_or(&self.line);
        self.regexes.iter().all(|regex| regex.is_match(line))
    }

    /// Where they match in a line, in its order, none within another.
    pub(crate) fn places(&self, line: &[u8]) -> Vec<Range<usize>> {
        let found = self.regexes.iter().flat_map(|regex| regex.find_iter(line).map(|found| found.range()));
        let mut all: Vec<Range<usize>> = found.filter(|range| !range.is_empty()).collect();
        all.sort_unstable_by_key(|range| (range.start, std::cmp::Reverse(range.end)));
        let mut end = 0;
        all.retain(|range| {
            let apart = range.start >= end;
            end = end.max(range.end);
            apart
        });
        all
    }
}
