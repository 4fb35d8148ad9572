//! Where a run of lines is cut, so that no line is split over two files and no file is larger than its limit.

/// Cuts lines into what fits the files that they will go to; never within a line.
pub(super) struct Chunks<'a> {
    /// The lines.
    pub(super) rest: &'a [u8],
    /// What the first file has already.
    pub(super) file_bytes: u64,
    /// The limit of a file.
    pub(super) bytes_max: u64,
}

impl<'a> Iterator for Chunks<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        if self.rest.is_empty() {
            return None;
        }
        let room = self.bytes_max.saturating_sub(std::mem::take(&mut self.file_bytes));
        let room = usize::try_from(room).unwrap_or(usize::MAX);
        if self.rest.len() <= room {
            return Some(std::mem::take(&mut self.rest));
        }
        let newline = |byte: &u8| *byte == b'\n';
        let fits = self.rest.get(..room).and_then(|part| part.iter().rposition(newline));
        if fits.is_none() && (room as u64) < self.bytes_max {
            // Nothing fits the present file: it is left, and a new one has all of its room.
            return self.next();
        }
        // A single line that is longer than a file may be gets a file of its own.
        let end = fits.or_else(|| self.rest.iter().position(newline)).map_or(self.rest.len(), |newline| newline + 1);
        let (chunk, rest) = self.rest.split_at_checked(end)?;
        self.rest = rest;
        Some(chunk)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn cut_at_lines_only() {
        let cut = |rest, file_bytes, bytes_max| -> Vec<&[u8]> { Chunks { rest, file_bytes, bytes_max }.collect() };
        let lines = b"aa\nbb\nc\n";
        assert_eq!(cut(lines, 0, 100), [lines]);
        assert_eq!(cut(lines, 0, 6), [&b"aa\nbb\n"[..], b"c\n"]);
        assert_eq!(cut(lines, 3, 6), [&b"aa\n"[..], b"bb\nc\n"]);
        assert_eq!(cut(lines, 5, 6), [&b"aa\nbb\n"[..], b"c\n"]);
        assert_eq!(cut(lines, 0, 1), [&b"aa\n"[..], b"bb\n", b"c\n"]);
        assert_eq!(cut(b"", 0, 1), [b""; 0]);
    }

    proptest! {
        #[test]
        fn nothing_is_lost_and_limits_hold(text in "([a-z]{0,30}\n){0,20}", file_bytes in 0_u64..60, bytes_max in 1_u64..60) {
            let chunks: Vec<&[u8]> = Chunks { rest: text.as_bytes(), file_bytes, bytes_max }.collect();
            prop_assert_eq!(chunks.concat(), text.as_bytes());
            for chunk in chunks {
                let one = chunk.iter().filter(|byte| **byte == b'\n').count() == 1;
                prop_assert!(chunk.ends_with(b"\n") && (chunk.len() as u64 <= bytes_max || one));
            }
        }
    }
}
