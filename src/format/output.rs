//! Where rendered text goes: bounded, and indented within `{:#?}`.

use super::{CUT_MARK, TEXT_BYTES_MAX};
use core::fmt::{self, Write};

/// Appends to a string. Within [`indented`](Self::indent) parts each line begins with four spaces per level, as std's
/// `PadAdapter` does it.
pub(super) struct Output<'a> {
    text: &'a mut String,
    /// How long `text` may be.
    end: usize,
    indent: usize,
    at_line_start: bool,
}

impl<'a> Output<'a> {
    pub(super) fn new(text: &'a mut String) -> Self {
        let end = text.len().saturating_add(TEXT_BYTES_MAX);
        Self { text, end, indent: 0, at_line_start: false }
    }

    /// From here on, one level deeper; the line must just have been ended.
    pub(super) fn indent(&mut self) {
        self.indent += 1;
        self.at_line_start = true;
    }

    /// Back by one level.
    pub(super) fn unindent(&mut self) {
        self.indent = self.indent.saturating_sub(1);
    }

    #[inline]
    pub(super) fn push_str(&mut self, text: &str) {
        if self.indent == 0 {
            self.push_within(text);
            return;
        }
        for line in text.split_inclusive('\n') {
            if self.at_line_start {
                for _ in 0..self.indent {
                    self.push_within("    ");
                }
            }
            self.at_line_start = line.ends_with('\n');
            self.push_within(line);
        }
    }

    /// Once something did not fit, nothing does.
    #[inline]
    fn push_within(&mut self, text: &str) {
        if self.text.len().saturating_add(text.len()) <= self.end {
            self.text.push_str(text);
        } else if self.end != 0 {
            self.text.push_str(CUT_MARK);
            self.end = 0;
        }
    }

    pub(super) fn repeat(&mut self, fill: char, count: usize) {
        let mut buffer = [0; 4];
        let fill = &*fill.encode_utf8(&mut buffer);
        for _ in 0..count {
            if self.end == 0 {
                return;
            }
            self.push_str(fill);
        }
    }
}

impl Write for Output<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.push_str(text);
        Ok(())
    }
}
