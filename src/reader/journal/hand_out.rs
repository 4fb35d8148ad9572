//! From an entry to the record that is handed out.

use super::super::pending::{Chunk, Entry, Rare, What};
use super::super::record::{Body, OWN_TARGET, Position, RecordRef};
use super::{Journal, payload_of};
use crate::level::Level;
use crate::segment::layout::{FRAME_HEADER_BYTES, UNIT_BYTES, WRITER_RING, u16_at, u32_at, u64_at};

impl Journal {
    /// The current record.
    pub fn current(&self) -> Option<RecordRef<'_>> {
        self.current_or_late(false)
    }

    /// The same, marked late where others of the merge went before it that are later.
    #[inline]
    pub(in super::super) fn current_or_late(&self, passed: bool) -> Option<RecordRef<'_>> {
        let entry = self.pending.current()?;
        let chunk = self.pending.chunk(entry)?;
        let frame = chunk.bytes.get(entry.at as usize..).unwrap_or_default();
        // What stands for no frame has none.
        let head = frame.first_chunk::<FRAME_HEADER_BYTES>().unwrap_or(&[0; FRAME_HEADER_BYTES]);
        let payload_end = usize::from(u16_at(head, 0)) * UNIT_BYTES;
        let payload = frame.get(FRAME_HEADER_BYTES..payload_end).unwrap_or_default();
        let thread = self.definitions.thread(entry.thread)?;
        let record = |level, target, body| RecordRef {
            unix_ns: entry.unix_ns,
            ticks: u64_at(head, 8),
            level,
            target,
            process: &self.name,
            thread,
            ring: u16_at(head, 2),
            seq: u32_at(head, 20),
            position: Position { segment: chunk.segment, offset: chunk.base + u64::from(entry.at) },
            late: entry.late | (passed && !entry.recovered && !entry.flight),
            recovered: entry.recovered,
            flight: entry.flight,
            body,
        };
        if entry.what == What::Message {
            let site = self.definitions.site(entry.site)?;
            let (target, payload) = self.target(site.def.target.as_deref(), entry.extra, payload);
            return Some(record(site.def.level, target, Body::Message { site, payload }));
        }
        self.rare(entry, chunk, (frame, payload), record(Level::Warn, OWN_TARGET, Body::Unknown { reason: "" }))
    }

    /// The current record, where it is no plain message.
    #[cold]
    fn rare<'a>(
        &'a self,
        entry: &Entry,
        chunk: &'a Chunk,
        (frame, payload): (&'a [u8], &'a [u8]),
        mut record: RecordRef<'a>,
    ) -> Option<RecordRef<'a>> {
        match entry.what {
            What::Message | What::Inline => {
                let site = self.definitions.site(entry.site)?;
                record.level = site.def.level;
                let payload = payload_of(entry.what, payload);
                let (target, payload) = self.target(site.def.target.as_deref(), entry.extra, payload);
                record.target = target;
                record.body = Body::Message { site, payload };
            }
            What::Dropped => {
                record.ring = u16_at(payload, 0);
                record.body = Body::Dropped { count: u64_at(payload, 8), cause: u32_at(payload, 4) };
            }
            What::Suppressed => {
                let site = self.definitions.site(entry.site)?;
                record.level = site.def.level;
                let Some(Rare::Suppressed { since_ns, component }) = chunk.rare.get(entry.extra as usize) else {
                    return Some(record);
                };
                let count = u64_at(payload, 8);
                let last = payload_of(What::Suppressed, payload);
                let (target, payload) = self.target(site.def.target.as_deref(), *component, last);
                record.target = target;
                let cause = u32_at(frame, FRAME_HEADER_BYTES + 4);
                record.body = Body::Suppressed { site, cause, payload, count, since_ns: *since_ns };
            }
            What::Note => {
                let target = usize::from(u16_at(payload, 2));
                let text = u32_at(payload, 4) as usize;
                let words = payload.get(8..).unwrap_or_default();
                record.level = Level::from_u8(u16_at(payload, 0) as u8).unwrap_or(Level::Warn);
                record.target = utf8_prefix(words.get(..target).unwrap_or_default());
                let words = words.get(target..).unwrap_or_default();
                record.body = Body::Note { text: utf8_prefix(words.get(..text).unwrap_or(words)) };
            }
            What::Damage => {
                if let Some(Rare::Damage { offset, bytes, ticks }) = chunk.rare.get(entry.extra as usize) {
                    record.level = Level::Error;
                    (record.ticks, record.position.offset, record.ring, record.seq) = (*ticks, *offset, WRITER_RING, 0);
                    record.body = Body::Damage { bytes: *bytes };
                }
            }
            What::Unknown => {
                if let Some(Rare::Unknown { reason }) = chunk.rare.get(entry.extra as usize) {
                    record.body = Body::Unknown { reason };
                }
            }
        }
        Some(record)
    }

    /// The target, and the payload without the component's number.
    #[inline]
    fn target<'a>(&'a self, target: Option<&'a str>, component: u32, payload: &'a [u8]) -> (&'a str, &'a [u8]) {
        match target {
            Some(target) => (target, payload),
            None => (self.definitions.component(component).unwrap_or("?"), payload.get(4..).unwrap_or_default()),
        }
    }
}

/// The text up to the first byte that is none.
fn utf8_prefix(bytes: &[u8]) -> &str {
    match std::str::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) => {
            bytes.get(..error.valid_up_to()).and_then(|good| std::str::from_utf8(good).ok()).unwrap_or_default()
        }
    }
}
