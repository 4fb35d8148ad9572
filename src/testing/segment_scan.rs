//! Segments: every undamaged frame is found wherever it stands and however the bytes come, and a journal of any bytes
//! is read to its end.

use super::split;
use crate::reader::journal::{Fed, Journal};
use crate::reader::merge::{Merge, Step};
use crate::reader::source::Extent;
use crate::segment::append::encode_frame;
use crate::segment::layout::{FRAME_BYTES_MAX, HEADER_BYTES, Header, UNIT_BYTES, WRITER_RING};
use crate::segment::scan::{Item, Scanner, Tail};

const SALT: u32 = 0x5a17_0001;
/// What a journal may hold back here, in bytes.
const PENDING_BYTES_MAX: usize = 64 << 10;

/// The bytes are instructions for [`build`], then the size of the windows.
pub fn segment_scan(data: &[u8]) {
    let (recipe, rest) = split(data);
    let (bytes, frames) = build(recipe);
    let window = usize::from(rest.first().copied().unwrap_or(0)) * 64;

    let (whole, damage) = scan(&bytes);
    for offset in &frames {
        assert!(whole.contains(offset), "the frame at {offset} is undamaged and not found");
    }
    let covered: u64 = damage.iter().map(|(_, bytes)| bytes).sum();
    assert!(covered <= bytes.len() as u64);
    assert_eq!(whole, scan_windows(&bytes, window), "in windows of {window} bytes");

    for extent in [Extent::End, Extent::Growing, Extent::More, Extent::Broken { lost: 9 }] {
        read(&bytes, window, extent);
        // The same without a header of ours before it.
        read(recipe, window, extent);
    }
}

/// Frames with bytes between them. Each instruction is a byte: its low half the kind, its high half a size.
pub(super) fn build(recipe: &[u8]) -> (Vec<u8>, Vec<u64>) {
    let header = Header {
        process: [1; 16],
        number: 1,
        salt: SALT,
        ticks: 5,
        unix_ns: 7,
        ticks_per_s: 1_000_000_000,
        boot: [2; 16],
        flags: 0,
    };
    let (mut bytes, mut frames) = (header.encode().to_vec(), Vec::new());
    let mut rest = recipe;
    while let Some((&op, after)) = rest.split_first() {
        let (given, after) = after.split_at(after.len().min(usize::from(op >> 4) * 4));
        rest = after;
        let at = bytes.len();
        let seq = frames.len() as u32;
        match op & 15 {
            // Bytes as they come.
            0..4 => {
                bytes.extend_from_slice(given);
                bytes.resize(bytes.len().next_multiple_of(UNIT_BYTES), 0);
            }
            // A frame that claims more than there is, so that the bytes behind it could be taken for its own.
            4 => bytes.extend_from_slice(&[0xff, 0x01, 0, 0, 1, 2, 3, 4]),
            // A frame of another segment.
            5 => encode_frame(&mut bytes, SALT ^ 1, 0, 1, 1, seq, given),
            // A damaged one.
            6 => {
                encode_frame(&mut bytes, SALT, 0, 1, 1, seq, given);
                if let Some(byte) = bytes.get_mut(at + 9) {
                    *byte ^= 0x10;
                }
            }
            // One of the writer's, of any kind and content.
            7..12 => {
                let (kind, payload) = given.split_first().unwrap_or((&0, &[]));
                encode_frame(&mut bytes, SALT, WRITER_RING, u64::from(op), u32::from(*kind), seq, payload);
                frames.push(at as u64);
            }
            // A record.
            _ => {
                let site = u32::from(given.first().copied().unwrap_or(1));
                encode_frame(&mut bytes, SALT, u16::from(op & 3), u64::from(seq) * 3, site, seq, given);
                frames.push(at as u64);
            }
        }
    }
    (bytes, frames)
}

/// Offsets of frames, and damage, of a finished segment.
fn scan(bytes: &[u8]) -> (Vec<u64>, Vec<(u64, u64)>) {
    let (mut frames, mut damage, mut end) = (Vec::new(), Vec::new(), HEADER_BYTES as u64);
    let body = bytes.get(HEADER_BYTES..).unwrap_or_default();
    for item in Scanner::new(body, HEADER_BYTES as u64, SALT, Tail::Final) {
        let (offset, length) = match item {
            Item::Frame { offset, frame } => {
                frames.push(offset);
                (offset, frame.bytes() as u64)
            }
            Item::Damage { offset, bytes } => {
                damage.push((offset, bytes));
                (offset, bytes)
            }
        };
        assert_eq!(offset, end, "items follow one another without a hole");
        end = offset + length;
    }
    assert_eq!(end, bytes.len() as u64, "every byte belongs to an item");
    (frames, damage)
}

/// The same from pieces of `window` bytes, which grow where a frame needs more.
fn scan_windows(bytes: &[u8], window: usize) -> Vec<u64> {
    let (mut frames, mut at, mut more) = (Vec::new(), HEADER_BYTES, 0);
    loop {
        let end = bytes.len().min(at + (window + more).max(UNIT_BYTES));
        let end = at + (end - at) / UNIT_BYTES * UNIT_BYTES;
        let last = end == bytes.len();
        let piece = bytes.get(at..end).unwrap_or_default();
        let mut scanner = Scanner::new(piece, at as u64, SALT, if last { Tail::Final } else { Tail::Window });
        for item in scanner.by_ref() {
            if let Item::Frame { offset, .. } = item {
                frames.push(offset);
            }
        }
        if last {
            return frames;
        }
        more = if scanner.position() as usize == at { more * 2 + 64 } else { 0 };
        assert!(more <= 4 * FRAME_BYTES_MAX, "a window larger than the largest frame is enough");
        at = scanner.position() as usize;
    }
}

/// Reads `bytes` as the first segment of a journal, in windows, to the end.
fn read(bytes: &[u8], window: usize, last: Extent) {
    let mut journal = Journal::new("p");
    journal.set_pending_bytes_max(PENDING_BYTES_MAX);
    let mut merge = Merge::new();
    let id = merge.add(journal);
    let (mut more, mut records) = (0, 0);
    // Each round takes some bytes, or asks for more of them, or is the last.
    for round in 0.. {
        assert!(round <= 64 + 4 * bytes.len(), "the journal asks for ever");
        let Some(journal) = merge.journal_mut(id) else { return };
        let want = journal.want();
        if want.segment != 1 {
            break;
        }
        let at = usize::try_from(want.offset).unwrap_or(usize::MAX).min(bytes.len());
        let end = bytes.len().min(at + (window + more).max(HEADER_BYTES));
        let extent = if end == bytes.len() { last } else { Extent::More };
        let fed = journal.feed(bytes.get(at..end).unwrap_or_default().to_vec(), extent);
        while merge.advance() == Step::Record {
            assert!(merge.current().is_some());
            records += 1;
        }
        match fed {
            Fed::Progress => more = 0,
            Fed::Retry => {}
            Fed::Idle if end == bytes.len() => break,
            Fed::Idle => more = more * 2 + 64,
            Fed::Newer(_) => return,
        }
    }
    if let Some(journal) = merge.journal_mut(id) {
        journal.let_out();
    }
    while merge.advance() == Step::Record {
        assert!(merge.current().is_some());
        records += 1;
    }
    // The least frame has 24 bytes, and there is at most one piece of damage before each.
    assert!(records <= 2 + bytes.len() / 4, "{records} records from {} bytes", bytes.len());
}
