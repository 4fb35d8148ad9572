//! What a line says of how its record came to the log.

use crate::reader::record::RecordRef;

/// The marks of a record that hold, in their order: `flight`, `late`, `recovered`.
pub(super) fn marks(record: &RecordRef<'_>) -> impl Iterator<Item = &'static str> {
    let all = [(record.flight, "flight"), (record.late, "late"), (record.recovered, "recovered")];
    all.into_iter().filter_map(|(holds, mark)| holds.then_some(mark))
}

/// Appends the marks, each between `before` and `after`, behind a line that began at `begin` and is cut so that it has, with them and its
/// end, at most `bytes_max` bytes.
#[inline]
pub(super) fn push_marks(
    record: &RecordRef<'_>,
    (before, after): (&str, &str),
    (begin, bytes_max): (usize, usize),
    out: &mut Vec<u8>,
) {
    if !(record.flight || record.late || record.recovered) && out.len() - begin < bytes_max {
        return out.push(b'\n');
    }
    let bytes: usize = marks(record).map(|mark| before.len() + mark.len() + after.len()).sum();
    super::line::cut(begin, bytes_max - bytes - 1, out);
    for mark in marks(record) {
        for part in [before, mark, after] {
            out.extend_from_slice(part.as_bytes());
        }
    }
    out.push(b'\n');
}
