//! Records as text lines, by a pattern.
//!
//! The default pattern gives
//!
//! ```text
//! 2026-11-20T13:02:37.123456789Z INFO     order_watcher [market-data] order filled order_id=42 price=105433.6
//! ```
//!
//! A pattern is text with placeholders; `{{` and `}}` are braces:
//!
//! | placeholder | stands for |
//! |---|---|
//! | `{time}` | the time in UTC, with nanoseconds; `{time:s}`, `{time:ms}`, `{time:us}` show fewer digits |
//! | `{local}` | the time in the configured zone, with its offset; digits as with `{time}` |
//! | `{level}` | the level, padded to 8 columns |
//! | `{target}` | the target |
//! | `{thread}` | the thread's name |
//! | `{tid}` | the kernel's number of the thread |
//! | `{process}` | the process's name in the journal |
//! | `{seq}` | the low half of the number of the call on its thread |
//! | `{file}`, `{line}`, `{module}` | where the call stands in the source; `-` for what has no call |
//! | `{message}` | the message |
//! | `{fields}` | the key-value fields as logfmt, `key=value`, strings quoted where they have to be |
//!
//! A space directly before `{fields}` belongs to it: without fields there is none. Records that came too late for their
//! place end in ` (late)`, those taken from the memory of a dead process in ` (recovered)`.

use super::digits::push_u64;
use super::escape::push_text;
use super::heads::Heads;
use super::key_value::push_fields;
use super::line::{LINE_BYTES_MAX, LineFormat, message, payload};
use super::marks::push_marks;
use super::time::{Clock, LocalClock, Precision, Zone};
use crate::level::Level;
use crate::reader::record::{Body, RecordRef};
use std::fmt;
use std::ops::Range;
use std::str::FromStr;

/// The pattern that is used where none is configured.
pub const DEFAULT_PATTERN: &str = "{time} {level} {target} [{thread}] {message} {fields}";

#[derive(Clone, PartialEq, Eq, Debug)]
enum Part {
    Literal(String),
    Time(Precision),
    Local(Precision),
    Level,
    Target,
    Thread,
    Tid,
    Process,
    Seq,
    File,
    Line,
    Module,
    Message,
    /// With what stands before the first field.
    Fields(&'static str),
}

const NAMES: [(&str, Part); 19] = [
    ("time", Part::Time(Precision::Nanos)),
    ("time:s", Part::Time(Precision::Seconds)),
    ("time:ms", Part::Time(Precision::Millis)),
    ("time:us", Part::Time(Precision::Micros)),
    ("local", Part::Local(Precision::Nanos)),
    ("local:s", Part::Local(Precision::Seconds)),
    ("local:ms", Part::Local(Precision::Millis)),
    ("local:us", Part::Local(Precision::Micros)),
    ("level", Part::Level),
    ("target", Part::Target),
    ("thread", Part::Thread),
    ("tid", Part::Tid),
    ("process", Part::Process),
    ("seq", Part::Seq),
    ("file", Part::File),
    ("line", Part::Line),
    ("module", Part::Module),
    ("message", Part::Message),
    ("fields", Part::Fields("")),
];

/// A parsed pattern.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Pattern {
    parts: Vec<Part>,
}

impl Default for Pattern {
    fn default() -> Self {
        Self {
            parts: vec![
                Part::Time(Precision::Nanos),
                Part::Literal(" ".to_owned()),
                Part::Level,
                Part::Literal(" ".to_owned()),
                Part::Target,
                Part::Literal(" [".to_owned()),
                Part::Thread,
                Part::Literal("] ".to_owned()),
                Part::Message,
                Part::Fields(" "),
            ],
        }
    }
}

/// Why a text is no pattern.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PatternError {
    /// Offset in the pattern, in bytes.
    pub at: usize,
    /// What is wrong there.
    pub reason: String,
}

impl fmt::Display for PatternError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "pattern, at byte {}: {}", self.at, self.reason)
    }
}

impl std::error::Error for PatternError {}

/// The pattern as it may be written: parsed again, it gives the same.
impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for part in &self.parts {
            match (part, NAMES.iter().find(|(_, known)| known == part)) {
                (Part::Literal(text), _) => f.write_str(&text.replace('{', "{{").replace('}', "}}"))?,
                (Part::Fields(before), _) => write!(f, "{before}{{fields}}")?,
                (_, Some((name, _))) => write!(f, "{{{name}}}")?,
                (_, None) => {}
            }
        }
        Ok(())
    }
}

impl FromStr for Pattern {
    type Err = PatternError;

    fn from_str(pattern: &str) -> Result<Self, PatternError> {
        let mut parts = Vec::new();
        let mut literal = String::new();
        let mut rest = pattern;
        let fail = |rest: &str, reason: String| Err(PatternError { at: pattern.len() - rest.len(), reason });
        while let Some(c) = rest.chars().next() {
            let behind = rest.get(c.len_utf8()..).unwrap_or_default();
            match c {
                '{' | '}' if behind.starts_with(c) => {
                    literal.push(c);
                    rest = behind.get(1..).unwrap_or_default();
                }
                '{' => {
                    let Some((name, tail)) = behind.split_once('}') else {
                        return fail(rest, "`{` without its `}`; a literal brace is `{{`".to_owned());
                    };
                    let Some((_, part)) = NAMES.iter().find(|(known, _)| *known == name) else {
                        let known: Vec<_> = NAMES.iter().map(|(name, _)| *name).collect();
                        return fail(
                            rest,
                            format!("no placeholder is called {name:?}; there are {}", known.join(", ")),
                        );
                    };
                    let spaced = matches!(part, Part::Fields(_)) && literal.ends_with(' ') && literal.pop().is_some();
                    if !literal.is_empty() {
                        parts.push(Part::Literal(std::mem::take(&mut literal)));
                    }
                    parts.push(if spaced { Part::Fields(" ") } else { part.clone() });
                    rest = tail;
                }
                '}' => return fail(rest, "`}` without its `{`; a literal brace is `}}`".to_owned()),
                c if c.is_control() => return fail(rest, "a control character; a record is one line".to_owned()),
                c => {
                    literal.push(c);
                    rest = behind;
                }
            }
        }
        if !literal.is_empty() {
            parts.push(Part::Literal(literal));
        }
        Ok(Self { parts })
    }
}

/// Puts records as text lines.
#[derive(Clone, Debug)]
pub struct TextFormat {
    pattern: Pattern,
    stages: Vec<Stage>,
    heads: Heads,
    clock: Clock,
    local: LocalClock,
    since: Clock,
    scratch: String,
    colored: bool,
}

/// What a line is put together from.
#[derive(Clone, Debug)]
enum Stage {
    /// Parts that are the same for records of the same level, target and thread.
    Head(Range<usize>),
    /// Another part.
    Part(usize),
}

impl Default for TextFormat {
    fn default() -> Self {
        Self::new(Pattern::default())
    }
}

impl TextFormat {
    /// Lines by this pattern.
    pub fn new(pattern: Pattern) -> Self {
        Self {
            stages: stages(&pattern.parts),
            pattern,
            heads: Heads::default(),
            clock: Clock::default(),
            local: LocalClock::default(),
            since: Clock::default(),
            scratch: String::new(),
            colored: false,
        }
    }

    /// The zone of `{local}`; UTC unless set.
    #[must_use]
    pub fn zone(mut self, zone: Zone) -> Self {
        self.local = LocalClock::new(zone);
        self
    }

    /// Colours the level, for terminals; files are never coloured.
    #[must_use]
    pub fn colored(mut self, colored: bool) -> Self {
        self.colored = colored;
        self
    }
}

impl LineFormat for TextFormat {
    fn line(&mut self, record: &RecordRef<'_>, out: &mut Vec<u8>) {
        let begin = out.len();
        let Self { pattern, stages, heads, clock, local, since, scratch, colored } = self;
        let parts = &pattern.parts;
        let mut texts = heads.of(record, |out, ends| {
            for stage in &*stages {
                let Stage::Head(range) = stage else { continue };
                parts.get(range.clone()).into_iter().flatten().for_each(|part| push_head(part, *colored, record, out));
                ends.push(out.len());
            }
        });
        // Where the fields begin in the payload, once the message was put.
        let mut fields_at = None;
        for stage in &*stages {
            let part = match stage {
                Stage::Head(_) => {
                    texts.push_next(out);
                    continue;
                }
                Stage::Part(index) => parts.get(*index),
            };
            match part {
                Some(Part::Time(precision)) => clock.push(record.unix_ns, *precision, out),
                Some(Part::Local(precision)) => local.push(record.unix_ns, *precision, out),
                Some(Part::Seq) => push_u64(record.seq.into(), out),
                Some(Part::File) => push_site(record, out, |site, out| push_text(&site.file, out)),
                Some(Part::Line) => push_site(record, out, |site, out| push_u64(site.line.into(), out)),
                Some(Part::Module) => push_site(record, out, |site, out| push_text(&site.module, out)),
                Some(Part::Message) => fields_at = push_message(&record.body, since, scratch, out),
                Some(Part::Fields(before)) => push_fields(&record.body, fields_at, before, scratch, out),
                Some(Part::Literal(_) | Part::Level | Part::Target | Part::Thread | Part::Tid | Part::Process)
                | None => {}
            }
        }
        push_marks(record, (" (", ")"), (begin, LINE_BYTES_MAX), out);
    }
}

/// Whether a part is the same for records of the same level, target and thread.
const fn is_of_head(part: &Part) -> bool {
    use Part::{Level, Literal, Process, Target, Thread, Tid};
    matches!(part, Literal(_) | Level | Target | Thread | Tid | Process)
}

fn stages(parts: &[Part]) -> Vec<Stage> {
    let mut stages = Vec::new();
    for (index, part) in parts.iter().enumerate() {
        match stages.last_mut() {
            Some(Stage::Head(range)) if is_of_head(part) => range.end = index + 1,
            _ if is_of_head(part) => stages.push(Stage::Head(index..index + 1)),
            _ => stages.push(Stage::Part(index)),
        }
    }
    stages
}

fn push_head(part: &Part, colored: bool, record: &RecordRef<'_>, out: &mut Vec<u8>) {
    match part {
        Part::Literal(text) => out.extend_from_slice(text.as_bytes()),
        Part::Level => push_level(record.level, colored, out),
        Part::Target => push_text(record.target, out),
        Part::Thread => push_text(&record.thread.name, out),
        Part::Tid => push_u64(record.thread.tid.into(), out),
        Part::Process => push_text(record.process, out),
        _ => {}
    }
}

/// Appends the message; says where the fields begin in the payload, if that came to light.
#[inline]
fn push_message(body: &Body<'_>, since: &mut Clock, scratch: &mut String, out: &mut Vec<u8>) -> Option<usize> {
    if let Body::Message { site, payload } = body
        && let Some(fields_at) = site.plan.line_message::<false>(payload, scratch, out)
    {
        return Some(fields_at);
    }
    scratch.clear();
    message(body, since, scratch);
    push_text(scratch, out);
    None
}

fn push_level(level: Level, colored: bool, out: &mut Vec<u8>) {
    let name = level.as_str();
    if colored {
        out.extend_from_slice(color(level));
    }
    out.extend_from_slice(name.as_bytes());
    if colored {
        out.extend_from_slice(b"\x1b[0m");
    }
    out.extend_from_slice(b"        ".get(name.len()..).unwrap_or_default());
}

/// What terminals are told before a level's name: the colours that other loggers give these levels.
const fn color(level: Level) -> &'static [u8] {
    match level {
        Level::Critical => b"\x1b[1;97;41m",
        Level::Error => b"\x1b[1;31m",
        Level::Warn => b"\x1b[33m",
        Level::Info => b"\x1b[32m",
        Level::Debug => b"\x1b[34m",
        Level::Trace => b"\x1b[2m",
    }
}

fn push_site(
    record: &RecordRef<'_>,
    out: &mut Vec<u8>,
    push: impl FnOnce(&crate::record::definition::SiteDef, &mut Vec<u8>),
) {
    match payload(&record.body) {
        Some((site, _)) => push(&site.def, out),
        None => out.push(b'-'),
    }
}
