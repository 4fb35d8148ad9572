//! A place for the text of one number.

use core::fmt::{self, Write};

/// A short text on the stack; a longer one on the heap.
pub(super) struct Text {
    stack: [u8; 64],
    len: usize,
    heap: String,
}

impl Text {
    pub(super) fn of(write: impl FnOnce(&mut Self) -> fmt::Result) -> Self {
        let mut text = Self { stack: [0; 64], len: 0, heap: String::new() };
        // Writing here cannot fail, and std's numbers do not.
        let _ = write(&mut text);
        text
    }

    pub(super) fn as_str(&self) -> &str {
        if !self.heap.is_empty() {
            return &self.heap;
        }
        self.stack.get(..self.len).and_then(|bytes| core::str::from_utf8(bytes).ok()).unwrap_or_default()
    }
}

impl Write for Text {
    fn write_str(&mut self, part: &str) -> fmt::Result {
        let end = self.len + part.len();
        match self.stack.get_mut(self.len..end) {
            Some(place) if self.heap.is_empty() => {
                place.copy_from_slice(part.as_bytes());
                self.len = end;
            }
            _ => {
                if self.heap.is_empty() {
                    let start = self.as_str().to_owned();
                    self.heap = start;
                }
                self.heap.push_str(part);
            }
        }
        Ok(())
    }
}
