//! Cuts a stream of bytes into lines. Pure, and without loss: the pieces, each with its end, are the stream.

use memchr::memchr;

/// Bytes of a line at most; what is longer comes in several pieces.
pub(crate) const LINE_BYTES_MAX: usize = 15 << 10;

/// What follows a piece in the stream.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum End {
    /// `\n`
    Lf,
    /// `\r\n`
    CrLf,
    /// The end of the stream.
    Nothing,
    /// More of the same line.
    Cut,
}

/// Cuts a stream into lines.
#[derive(Default)]
pub(crate) struct Splitter {
    /// What has been seen of the line that is not at its end yet; at most [`LINE_BYTES_MAX`] between calls.
    pending: Vec<u8>,
}

impl Splitter {
    /// Whether a line has begun and not ended.
    pub(crate) fn is_within_line(&self) -> bool {
        !self.pending.is_empty()
    }

    /// Takes more of the stream.
    pub(crate) fn push(&mut self, mut bytes: &[u8], each: &mut impl FnMut(&[u8], End)) {
        while let Some((line, rest)) = memchr(b'\n', bytes).and_then(|at| bytes.split_at_checked(at)) {
            if self.pending.is_empty() {
                end(line, each);
            } else {
                self.extend(line, each);
                end(&self.pending, each);
                self.pending.clear();
            }
            bytes = rest.get(1..).unwrap_or_default();
        }
        self.extend(bytes, each);
    }

    /// Hands out what there is of the line; what comes then is its next piece.
    pub(crate) fn cut(&mut self, each: &mut impl FnMut(&[u8], End)) {
        if !self.pending.is_empty() {
            each(&self.pending, End::Cut);
            self.pending.clear();
        }
    }

    /// The stream has ended.
    pub(crate) fn finish(&mut self, each: &mut impl FnMut(&[u8], End)) {
        if !self.pending.is_empty() {
            each(&self.pending, End::Nothing);
            self.pending.clear();
        }
    }

    /// Adds to the pending line, and hands out what is too long of it.
    fn extend(&mut self, mut bytes: &[u8], each: &mut impl FnMut(&[u8], End)) {
        while self.pending.len() + bytes.len() > LINE_BYTES_MAX {
            let (now, later) = bytes.split_at_checked(LINE_BYTES_MAX - self.pending.len()).unwrap_or((bytes, &[]));
            self.pending.extend_from_slice(now);
            let at = boundary(&self.pending, LINE_BYTES_MAX);
            let kept = self.pending.split_off(at);
            each(&self.pending, End::Cut);
            self.pending = kept;
            bytes = later;
        }
        self.pending.extend_from_slice(bytes);
    }
}

/// Hands out the last of a line, which a line feed follows.
fn end(line: &[u8], each: &mut impl FnMut(&[u8], End)) {
    let (mut line, end) = match line.strip_suffix(b"\r") {
        Some(line) => (line, End::CrLf),
        None => (line, End::Lf),
    };
    while line.len() > LINE_BYTES_MAX {
        let (now, later) = line.split_at_checked(boundary(line, LINE_BYTES_MAX)).unwrap_or((line, &[]));
        each(now, End::Cut);
        line = later;
    }
    each(line, end);
}

/// The last place not behind `max` that is not within a character of UTF-8; `max` where there is none near.
fn boundary(bytes: &[u8], max: usize) -> usize {
    let within = |at: usize| bytes.get(at).is_some_and(|byte| byte & 0xc0 == 0x80);
    let starts = |at: usize| bytes.get(at).is_some_and(|byte| *byte >= 0xc0);
    // What stands behind `max` may not be known yet: a character whose end is missing moves on as a whole.
    let begin = (max.saturating_sub(3)..max).rev().find(|at| !within(*at)).filter(|at| starts(*at));
    match begin {
        Some(begin) if begin > 0 && bytes.get(begin..max).is_some_and(|head| !is_whole(head)) => begin,
        _ => max,
    }
}

/// Whether the bytes are whole characters, or what no further bytes would make one.
fn is_whole(head: &[u8]) -> bool {
    std::str::from_utf8(head).err().is_none_or(|error| error.error_len().is_some())
}

#[cfg(test)]
#[allow(clippy::indexing_slicing, reason = "a test that fails says so")]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn split(chunks: &[&[u8]], cuts: bool) -> Vec<(Vec<u8>, End)> {
        let mut pieces = Vec::new();
        let mut each = |bytes: &[u8], end| pieces.push((bytes.to_vec(), end));
        let mut splitter = Splitter::default();
        for chunk in chunks {
            splitter.push(chunk, &mut each);
            assert!(splitter.pending.len() <= LINE_BYTES_MAX);
            if cuts {
                splitter.cut(&mut each);
            }
        }
        splitter.finish(&mut each);
        pieces
    }

    fn joined(pieces: &[(Vec<u8>, End)]) -> Vec<u8> {
        let mut bytes = Vec::new();
        for (piece, end) in pieces {
            bytes.extend_from_slice(piece);
            bytes.extend_from_slice(match end {
                End::Lf => b"\n",
                End::CrLf => b"\r\n",
                End::Nothing | End::Cut => b"",
            });
        }
        bytes
    }

    #[test]
    fn lines_end_as_they_did() {
        let pieces = split(&[b"one\n\r\ntwo\r", b"\nth", b"ree\rfour\n\nlast"], false);
        let expected: [(&[u8], End); 6] = [
            (b"one", End::Lf),
            (b"", End::CrLf),
            (b"two", End::CrLf),
            (b"three\rfour", End::Lf),
            (b"", End::Lf),
            (b"last", End::Nothing),
        ];
        assert_eq!(pieces, expected.map(|(bytes, end)| (bytes.to_vec(), end)));
        assert!(split(&[b""], false).is_empty());
    }

    #[test]
    fn a_long_line_is_cut_between_characters() {
        for shift in 0..4 {
            let line = format!("{}{}", "x".repeat(shift), "🚀".repeat(LINE_BYTES_MAX / 4 * 2 + 10));
            for chunk in [1000, 64 << 10, usize::MAX] {
                let whole = [line.as_bytes(), b"\n"].concat();
                let chunks: Vec<_> = whole.chunks(chunk.min(whole.len())).collect();
                let pieces = split(&chunks, false);
                assert_eq!(pieces.len(), 3, "{chunk}");
                assert_eq!(joined(&pieces), whole);
                for (piece, end) in &pieces {
                    assert!(piece.len() <= LINE_BYTES_MAX && std::str::from_utf8(piece).is_ok(), "{chunk} {shift}");
                    assert!(*end == End::Cut || *end == End::Lf);
                }
            }
        }
        let bytes = vec![0xbf; LINE_BYTES_MAX + 1];
        assert_eq!(split(&[&bytes], false)[0].0.len(), LINE_BYTES_MAX);
        let exact = vec![b'x'; LINE_BYTES_MAX];
        assert_eq!(split(&[&exact, b"\n"], false), [(exact, End::Lf)]);
    }

    proptest! {
        #[test]
        fn nothing_is_lost(
            parts in prop::collection::vec(
                prop_oneof![
                    "[\\r\\n\\x00a\u{1f680}]{0,8}".prop_map(String::into_bytes),
                    prop::collection::vec(any::<u8>(), 0..40),
                    (LINE_BYTES_MAX - 3..LINE_BYTES_MAX * 2 + 3).prop_map(|len| vec![b'y'; len]),
                ],
                0..12,
            ),
            cuts: bool,
        ) {
            let chunks: Vec<_> = parts.iter().map(Vec::as_slice).collect();
            let pieces = split(&chunks, cuts);
            prop_assert_eq!(joined(&pieces), parts.concat());
            prop_assert!(pieces.iter().all(|(piece, _)| piece.len() <= LINE_BYTES_MAX && !piece.contains(&b'\n')));
        }
    }
}
