//! How a line of a foreign program stands in the journal, for both sides: [`Recorder`] writes it, [`push_exact`] makes
//! the very bytes of it again.
//!
//! The message is the line without its end. A line of UTF-8 that ended in `\n` has no more than that; what differs
//! stands in fields:
//!
//! | field | meaning |
//! |---|---|
//! | `ingest.end` | what followed: `lf`, `crlf`, or `none` at the end of the stream, and between parts of a line |
//! | `ingest.part` | the line came in several records; this is the n-th, from 1 |
//! | `ingest.escaped` | `true`: not UTF-8; bytes that are none stand as `\xNN`, and each backslash twice |

use super::level;
use super::lines::{End, LINE_BYTES_MAX, Splitter};
use std::borrow::Cow;
use tachograph::format::{Decoded, Field};
use tachograph::{Component, Level, log};

/// Bytes of a piece that has to be escaped, at most: each may become four.
const ESCAPED_BYTES_MAX: usize = LINE_BYTES_MAX / 4;
/// What a record must have room for: a piece, fields and what stands around them.
pub(crate) const RECORD_BYTES_MAX: usize = LINE_BYTES_MAX + 1024;

const END: &str = "ingest.end";
const ESCAPED: &str = "ingest.escaped";

/// Logs the lines of one stream.
pub(crate) struct Recorder {
    component: Component,
    /// The level of lines that state none.
    level: Level,
    splitter: Splitter,
    line: Line,
}

/// The line that the next piece belongs to.
#[derive(Default)]
struct Line {
    /// How many of its parts were recorded.
    parts: u32,
    /// What its first piece stated.
    level: Option<Level>,
}

impl Recorder {
    pub(crate) fn new(component: Component, level: Level) -> Self {
        Self { component, level, splitter: Splitter::default(), line: Line::default() }
    }

    /// Whether a line has begun that is not in the journal yet.
    pub(crate) fn is_within_line(&self) -> bool {
        self.splitter.is_within_line()
    }

    /// Takes more of the stream.
    pub(crate) fn push(&mut self, bytes: &[u8]) {
        let (line, component, level) = (&mut self.line, self.component, self.level);
        self.splitter.push(bytes, &mut |piece, end| line.record(component, level, piece, end));
    }

    /// Records what there is of the present line; what comes then is its next part.
    pub(crate) fn cut(&mut self) {
        let (line, component, level) = (&mut self.line, self.component, self.level);
        self.splitter.cut(&mut |piece, end| line.record(component, level, piece, end));
    }

    /// The stream has ended.
    pub(crate) fn finish(&mut self) {
        let (line, component, level) = (&mut self.line, self.component, self.level);
        self.splitter.finish(&mut |piece, end| line.record(component, level, piece, end));
    }
}

impl Line {
    fn record(&mut self, component: Component, otherwise: Level, piece: &[u8], end: End) {
        if self.parts == 0 {
            self.level = level::stated(piece);
        }
        let level = self.level.unwrap_or(otherwise);
        if let Ok(text) = std::str::from_utf8(piece) {
            self.emit(component, level, text, false, end);
        } else {
            let mut rest = piece;
            while let Some((now, later)) = rest.split_at_checked(ESCAPED_BYTES_MAX).filter(|(_, rest)| !rest.is_empty())
            {
                self.emit(component, level, &escaped(now), true, End::Cut);
                rest = later;
            }
            self.emit(component, level, &escaped(rest), true, end);
        }
        if end != End::Cut {
            *self = Self::default();
        }
    }

    fn emit(&mut self, component: Component, level: Level, text: &str, escaped: bool, end: End) {
        if self.parts > 0 || end == End::Cut {
            self.parts = self.parts.saturating_add(1);
        }
        let ended = match end {
            End::Lf => "lf",
            End::CrLf => "crlf",
            End::Nothing | End::Cut => "none",
        };
        // A call site for each shape: most lines have no field at all, and a field that says nothing is not shown.
        match (self.parts, escaped, end) {
            (0, false, End::Lf) => log!(level, logger: component, "{}", text),
            (0, false, _) => log!(level, logger: component, "ingest.end" = ended; "{}", text),
            (0, true, _) => {
                log!(level, logger: component, "ingest.end" = ended, "ingest.escaped" = true; "{}", text)
            }
            (part, false, _) => {
                log!(level, logger: component, "ingest.part" = part, "ingest.end" = ended; "{}", text)
            }
            (part, true, _) => log!(
                level, logger: component,
                "ingest.part" = part, "ingest.end" = ended, "ingest.escaped" = true; "{}", text
            ),
        }
    }
}

/// What the fields of a record say of how its message was a line.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Shape {
    end: &'static [u8],
    escaped: bool,
}

impl Shape {
    /// Of a record's fields; those of records that are no ingested lines say nothing.
    pub(crate) fn of<'a>(fields: impl Iterator<Item = Field<'a>>) -> Self {
        let mut shape = Self { end: b"\n", escaped: false };
        for field in fields {
            match (field.name, field.value.decode()) {
                (END, Ok(Decoded::Str(end))) => {
                    shape.end = match end.text {
                        "crlf" => b"\r\n",
                        "none" => b"",
                        _ => b"\n",
                    };
                }
                (ESCAPED, Ok(Decoded::Bool(escaped))) => shape.escaped = escaped,
                _ => {}
            }
        }
        shape
    }
}

/// Appends the line as it came.
pub(crate) fn push_exact(message: &str, shape: Shape, out: &mut Vec<u8>) {
    if shape.escaped {
        unescape(message, out);
    } else {
        out.extend_from_slice(message.as_bytes());
    }
    out.extend_from_slice(shape.end);
}

/// Any bytes as text, so that [`unescape`] can make them again.
fn escaped(bytes: &[u8]) -> Cow<'_, str> {
    let mut out = String::with_capacity(bytes.len() * 2);
    for chunk in bytes.utf8_chunks() {
        for (index, text) in chunk.valid().split('\\').enumerate() {
            out.push_str(if index > 0 { "\\\\" } else { "" });
            out.push_str(text);
        }
        for byte in chunk.invalid() {
            out.push_str("\\x");
            for digit in [byte >> 4, byte & 0xf] {
                out.push(char::from_digit(digit.into(), 16).unwrap_or_default());
            }
        }
    }
    Cow::Owned(out)
}

fn unescape(text: &str, out: &mut Vec<u8>) {
    let mut rest = text.as_bytes();
    while let Some(at) = memchr::memchr(b'\\', rest) {
        let (clean, escape) = rest.split_at_checked(at).unwrap_or((rest, &[]));
        out.extend_from_slice(clean);
        let byte = |digits: &[u8]| u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok();
        let (made, taken) = match (escape.get(1), escape.get(2..4).and_then(byte)) {
            (Some(b'x'), Some(byte)) => (byte, 4),
            (Some(b'\\'), _) => (b'\\', 2),
            _ => (b'\\', 1),
        };
        out.push(made);
        rest = escape.get(taken..).unwrap_or_default();
    }
    out.extend_from_slice(rest);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn bytes_that_are_no_text_are_visible() {
        assert_eq!(escaped(b"a\xffb \\x \xe2\x82 \xe2\x82\xac"), "a\\xffb \\\\x \\xe2\\x82 \u{20ac}");
    }

    proptest! {
        #[test]
        fn escaping_loses_nothing(bytes in prop::collection::vec(prop_oneof![any::<u8>(), Just(b'\\'), Just(b'x')], 0..64)) {
            let text = escaped(&bytes);
            prop_assert!(text.len() <= bytes.len() * 4);
            let mut back = Vec::new();
            unescape(&text, &mut back);
            prop_assert_eq!(back, bytes);
        }
    }
}
