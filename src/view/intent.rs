//! What is about to be appended to the views, written down first where a crash cannot reach it.
//!
//! A page of memory that outlives the process (shared memory) holds two halves, used in turn. A batch goes through
//! these steps, each a single store of one word or preceded by one:
//!
//! 1. *publish*: all its bytes are stored in the half that the batch before last left, then `published` is stored;
//! 2. for each entry: *place* (file identity and offset, sealed by a checksum stored last), append, *done*;
//! 3. *commit*: `committed` is stored. From here on the batch's cursor holds.
//!
//! Whoever opens the page after a crash sees either the state before 1, and nothing of the batch was appended; or a
//! published batch, whose entries tell by comparison with the files which bytes are still missing. Entries that a
//! committed half shows as not done belong to views that failed; they are carried into the next batch, so a view that
//! cannot be written neither holds up the others nor loses a byte.
//!
//! ```text
//!  page  0         8        16         24         32      40      56     64            64 + half
//!        ┌─────────┬────────┬──────────┬──────────┬───────┬───────┬──────┬─────────────┬─────────────┐
//!        │ magic   │version │published │committed │ epoch │ boot  │ zero │ half 0      │ half 1      │
//!        └─────────┴────────┴──────────┴──────────┴───────┴───────┴──────┴─────────────┴─────────────┘
//!  half  0      8      12     16      20     24          32          40     48
//!        ┌──────┬──────┬──────┬───────┬──────┬───────────┬───────────┬──────┬────────┬───────┬───────┐
//!        │ seq  │ crc  │ zero │entries│ zero │table bytes│line bytes │ zero │ places │ table │ lines │
//!        └──────┴──────┴──────┴───────┴──────┴───────────┴───────────┴──────┴────────┴───────┴───────┘
//!  place 0      8      16     24      32     40     48
//!        ┌──────┬──────┬──────┬───────┬──────┬──────┐
//!        │ seal │ dev  │ ino  │offset │start │ done │     seal: 0, or 1 << 32 | CRC-32C of the four words behind it
//!        └──────┴──────┴──────┴───────┴──────┴──────┘
//!  table entries × (name_bytes u32, zero u32, length u64, name), cursor_bytes u32, cursor,
//!        views behind u32 × (name_bytes u32, cursor_bytes u32, name, cursor)
//! ```
//!
//! `crc` is CRC-32C over the half from `entries` on, without the places. Batch n stands in half n modulo 2.
//! The page is used by one process at a time, the elected renderer; the lock that elects it is not seen here.

use super::cursor::Cursor;
use crate::disk::Identity;
use crate::segment::layout::{array, u32_at, u64_at};
use std::fmt;
use std::ops::Range;
use std::sync::atomic::{Ordering, fence};

/// First bytes of a page.
pub const MAGIC: [u8; 8] = *b"TACHOINT";
/// Version of this layout.
pub const VERSION: u64 = 1;
/// Bytes before the first half.
pub const PAGE_HEADER_BYTES: usize = 64;
/// Bytes before a half's places.
pub const HALF_HEADER_BYTES: usize = 48;
/// Bytes of a place.
pub const PLACE_BYTES: usize = 48;
/// The smallest page: both halves take a few of the longest lines.
pub const PAGE_BYTES_MIN: usize = 64 * 1024;

const PUBLISHED_AT: usize = 16;
const COMMITTED_AT: usize = 24;
const EPOCH_AT: usize = 32;
const BOOT_AT: usize = 40;
const CRC_FROM: usize = 16;

/// Which page of the directory it is.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Stamp {
    /// Number of the page in the row of all that the directory had. 0: none was given.
    pub epoch: u64,
    /// The boot of the machine that it was made in.
    pub boot: [u8; 16],
}

/// The stamp of a page.
pub fn stamp<P: IntentPage>(page: &P) -> Stamp {
    let bytes = page.bytes();
    if bytes.get(..8) != Some(MAGIC.as_slice()) || bytes.len() < PAGE_HEADER_BYTES {
        return Stamp::default();
    }
    Stamp { epoch: u64_at(bytes, EPOCH_AT), boot: array(bytes, BOOT_AT) }
}

/// Stamps a page; what is in it holds from here on.
pub fn set_stamp<P: IntentPage>(page: &mut P, stamp: Stamp) {
    page.publish(EPOCH_AT, 0);
    page.write(BOOT_AT, &stamp.boot);
    page.publish(EPOCH_AT, stamp.epoch);
}

/// Makes a page one that was never used.
pub fn wipe<P: IntentPage>(page: &mut P) {
    page.publish(0, 0);
    page.write(0, &[0; PAGE_HEADER_BYTES]);
}

/// Memory that outlives the process.
pub trait IntentPage {
    /// All of it.
    fn bytes(&self) -> &[u8];

    /// Stores `bytes` at `at`. What does not fit is not stored.
    fn write(&mut self, at: usize, bytes: &[u8]);

    /// Stores an aligned word with one instruction, after everything stored before (release).
    fn publish(&mut self, at: usize, word: u64);
}

impl IntentPage for Vec<u8> {
    fn bytes(&self) -> &[u8] {
        self
    }

    fn write(&mut self, at: usize, bytes: &[u8]) {
        if let Some(slot) = at.checked_add(bytes.len()).and_then(|end| self.get_mut(at..end)) {
            slot.copy_from_slice(bytes);
        }
    }

    fn publish(&mut self, at: usize, word: u64) {
        fence(Ordering::Release);
        self.write(at, &word.to_le_bytes());
        fence(Ordering::SeqCst);
    }
}

/// Where an entry's bytes go.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Place {
    /// Which file.
    pub identity: Identity,
    /// Offset in it...
    pub offset: u64,
    /// ...of this byte of the entry.
    pub start: u64,
}

/// Lines of one view that go into one file.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Entry {
    /// The view's stem.
    pub view: String,
    /// Where its bytes stand in the page.
    pub bytes: Range<usize>,
    /// Where they go, once that is decided.
    pub place: Option<Place>,
    /// So many of them are in the file for sure.
    pub done: usize,
}

impl Entry {
    /// Whether all bytes are in the file.
    pub fn is_done(&self) -> bool {
        self.done >= self.bytes.len()
    }
}

/// A batch as it stands in the page.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Batch {
    /// Its number.
    pub seq: u64,
    /// What is appended, in this order.
    pub entries: Vec<Entry>,
    /// The cursor that holds after it.
    pub cursor: Cursor,
    /// Views that have come less far, by stem.
    pub behind: Vec<(String, Cursor)>,
}

/// An entry to be published.
#[derive(Clone, Copy, Debug)]
pub struct NewEntry<'a> {
    /// The view's stem.
    pub view: &'a str,
    /// The lines.
    pub bytes: &'a [u8],
    /// For a carried entry, where it went so far.
    pub place: Option<Place>,
    /// For a carried entry, how far it got.
    pub done: usize,
}

/// The batch is larger than half a page.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TooLarge {
    /// Bytes of the batch.
    pub bytes: usize,
    /// Bytes that a half takes.
    pub bytes_max: usize,
}

impl fmt::Display for TooLarge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a batch of {} bytes does not fit the {} bytes of an intent page's half", self.bytes, self.bytes_max)
    }
}

impl std::error::Error for TooLarge {}

/// The protocol over a page.
#[derive(Debug)]
pub struct Intents<P> {
    page: P,
    half_bytes: usize,
}

/// What a page held when it was opened.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Opened {
    /// The last batch, if there ever was one.
    pub batch: Option<Batch>,
    /// It was published and not committed: its appends may be anywhere between none and all.
    pub interrupted: bool,
    /// The page had been used and its bytes do not check: lines may be missing or doubled from there.
    pub damaged: bool,
}

impl<P: IntentPage> Intents<P> {
    /// Takes a page: one of zeros is made a fresh one, any other is read.
    pub fn open(page: P) -> (Self, Opened) {
        let bytes = page.bytes();
        let half_bytes = (bytes.len().saturating_sub(PAGE_HEADER_BYTES) / 2) & !7;
        let known = bytes.get(..8) == Some(MAGIC.as_slice()) && u64_at(bytes, 8) == VERSION;
        let used = bytes.iter().take(PAGE_HEADER_BYTES).any(|byte| *byte != 0);
        let mut intents = Self { page, half_bytes };
        if !known {
            intents.format();
            return (intents, Opened { damaged: used, ..Opened::default() });
        }
        let opened = intents.read();
        if opened.damaged {
            // The cursor that is left, if any, is the one to go on from.
            let seq = opened.batch.as_ref().map_or(0, |batch| batch.seq);
            intents.page.publish(PUBLISHED_AT, seq);
            intents.page.publish(COMMITTED_AT, seq);
        }
        (intents, opened)
    }

    fn format(&mut self) {
        // The magic comes last: a crash before it leaves a page that is formatted again.
        self.page.publish(0, 0);
        self.page.publish(PUBLISHED_AT, 0);
        self.page.publish(COMMITTED_AT, 0);
        self.page.publish(8, VERSION);
        self.page.publish(0, u64::from_le_bytes(MAGIC));
    }

    fn read(&self) -> Opened {
        let published = u64_at(self.page.bytes(), PUBLISHED_AT);
        let committed = u64_at(self.page.bytes(), COMMITTED_AT);
        let interrupted = committed.checked_add(1) == Some(published);
        if published == 0 && committed == 0 {
            return Opened::default();
        }
        if (interrupted || published == committed)
            && let Some(batch) = self.batch(published)
        {
            return Opened { batch: Some(batch), interrupted, damaged: false };
        }
        let newest = [committed, committed.saturating_sub(1)].into_iter().find_map(|seq| self.batch(seq));
        Opened { batch: newest, interrupted: false, damaged: true }
    }

    /// The memory itself.
    pub fn page(&self) -> &P {
        &self.page
    }

    /// Says which page of the directory this is.
    pub fn set_stamp(&mut self, stamp: Stamp) {
        set_stamp(&mut self.page, stamp);
    }

    /// Gives the memory back.
    pub fn into_page(self) -> P {
        self.page
    }

    /// Bytes of lines and tables that one batch may have.
    pub fn bytes_max(&self) -> usize {
        self.half_bytes.saturating_sub(HALF_HEADER_BYTES)
    }

    /// The bytes of an entry.
    pub fn entry_bytes(&self, entry: &Entry) -> &[u8] {
        self.page.bytes().get(entry.bytes.clone()).unwrap_or_default()
    }

    fn half_at(&self, seq: u64) -> usize {
        PAGE_HEADER_BYTES + if seq.is_multiple_of(2) { 0 } else { self.half_bytes }
    }

    /// Writes a batch down. Only when the one before is committed.
    ///
    /// # Errors
    /// [`TooLarge`]; nothing has changed then.
    pub fn publish(
        &mut self,
        entries: &[NewEntry<'_>],
        cursor: &Cursor,
        behind: &[(String, Cursor)],
    ) -> Result<Batch, TooLarge> {
        let table = encode_table(entries, cursor, behind);
        let lines: usize = entries.iter().map(|entry| entry.bytes.len()).sum();
        let places = entries.len() * PLACE_BYTES;
        let bytes = places + table.len() + lines;
        if bytes > self.bytes_max() {
            return Err(TooLarge { bytes, bytes_max: self.bytes_max() });
        }
        let seq = u64_at(self.page.bytes(), COMMITTED_AT).saturating_add(1);
        let at = self.half_at(seq);
        let mut counts = [0; HALF_HEADER_BYTES - CRC_FROM];
        put(&mut counts, 0, &(entries.len() as u64).to_le_bytes());
        put(&mut counts, 8, &(table.len() as u64).to_le_bytes());
        put(&mut counts, 16, &(lines as u64).to_le_bytes());
        let mut crc = crc32c::crc32c_append(crc32c::crc32c(&counts), &table);
        self.page.write(at + CRC_FROM, &counts);
        let places_at = at + HALF_HEADER_BYTES;
        let mut line_at = places_at + places;
        self.page.write(line_at, &table);
        line_at += table.len();
        let mut batch = Batch { seq, entries: Vec::new(), cursor: cursor.clone(), behind: behind.to_vec() };
        for (index, entry) in entries.iter().enumerate() {
            crc = crc32c::crc32c_append(crc, entry.bytes);
            self.page.write(line_at, entry.bytes);
            self.page.write(places_at + index * PLACE_BYTES, &encode_place(entry.place, entry.done));
            batch.entries.push(Entry {
                view: entry.view.to_owned(),
                bytes: line_at..line_at + entry.bytes.len(),
                place: entry.place,
                done: entry.done,
            });
            line_at += entry.bytes.len();
        }
        self.page.write(at + 8, &u64::from(crc).to_le_bytes());
        self.page.write(at, &seq.to_le_bytes());
        self.page.publish(PUBLISHED_AT, seq);
        Ok(batch)
    }

    /// Writes down where an entry's bytes from `place.start` on go, before any of them does.
    pub fn place(&mut self, batch: &mut Batch, index: usize, place: Place) {
        let at = self.half_at(batch.seq) + HALF_HEADER_BYTES + index * PLACE_BYTES;
        let Some(entry) = batch.entries.get_mut(index) else { return };
        // An unsealed place starts at `done`, so that must be right before the old place goes.
        entry.done = usize::try_from(place.start).unwrap_or(entry.done);
        entry.place = Some(place);
        let bytes = encode_place(Some(place), entry.done);
        self.page.publish(at + 40, place.start);
        self.page.publish(at, 0);
        self.page.write(at + 8, bytes.get(8..40).unwrap_or_default());
        self.page.publish(at, u64_at(&bytes, 0));
    }

    /// Forgets where an entry went, because that file is gone: the bytes from `start` on need a new place.
    pub fn unplace(&mut self, batch: &mut Batch, index: usize, start: usize) {
        let at = self.half_at(batch.seq) + HALF_HEADER_BYTES + index * PLACE_BYTES;
        let Some(entry) = batch.entries.get_mut(index) else { return };
        entry.place = None;
        entry.done = start;
        self.page.publish(at + 40, start as u64);
        self.page.publish(at, 0);
    }

    /// Notes that the entry's first `done` bytes are in the file.
    pub fn done(&mut self, batch: &mut Batch, index: usize, done: usize) {
        let at = self.half_at(batch.seq) + HALF_HEADER_BYTES + index * PLACE_BYTES;
        let Some(entry) = batch.entries.get_mut(index) else { return };
        entry.done = done;
        self.page.publish(at + 40, done as u64);
    }

    /// Makes the batch's cursor hold.
    pub fn commit(&mut self, batch: &Batch) {
        self.page.publish(COMMITTED_AT, batch.seq);
    }

    fn batch(&self, seq: u64) -> Option<Batch> {
        let half = self.page.bytes().get(self.half_at(seq)..)?.get(..self.half_bytes)?;
        if seq == 0 || u64_at(half, 0) != seq {
            return None;
        }
        let size = |at| usize::try_from(u64_at(half, at)).ok();
        let (entries, table_bytes, line_bytes) = (size(16)?, size(24)?, size(32)?);
        let table_at = entries.checked_mul(PLACE_BYTES)?.checked_add(HALF_HEADER_BYTES)?;
        let places = half.get(HALF_HEADER_BYTES..table_at)?;
        let lines_at = table_at.checked_add(table_bytes)?;
        let table = half.get(table_at..lines_at)?;
        let lines = half.get(lines_at..lines_at.checked_add(line_bytes)?)?;
        let counts = half.get(CRC_FROM..HALF_HEADER_BYTES)?;
        let crc = crc32c::crc32c_append(crc32c::crc32c_append(crc32c::crc32c(counts), table), lines);
        if u32_at(half, 8) != crc {
            return None;
        }
        decode_table(seq, table, places, self.half_at(seq) + lines_at..self.half_at(seq) + lines_at + line_bytes)
    }
}

fn put(out: &mut [u8], at: usize, bytes: &[u8]) {
    if let Some(slot) = out.get_mut(at..at + bytes.len()) {
        slot.copy_from_slice(bytes);
    }
}

fn encode_place(place: Option<Place>, done: usize) -> [u8; PLACE_BYTES] {
    let mut bytes = [0; PLACE_BYTES];
    put(&mut bytes, 40, &(done as u64).to_le_bytes());
    if let Some(place) = place {
        put(&mut bytes, 8, &place.identity.dev.to_le_bytes());
        put(&mut bytes, 16, &place.identity.ino.to_le_bytes());
        put(&mut bytes, 24, &place.offset.to_le_bytes());
        put(&mut bytes, 32, &place.start.to_le_bytes());
        let seal = place_seal(&bytes);
        put(&mut bytes, 0, &seal.to_le_bytes());
    }
    bytes
}

fn place_seal(place: &[u8]) -> u64 {
    u64::from(crc32c::crc32c(place.get(8..40).unwrap_or_default())) | 1 << 32
}

fn decode_place(bytes: &[u8], length: usize) -> (Option<Place>, usize) {
    let done = usize::try_from(u64_at(bytes, 40)).unwrap_or(0).min(length);
    let identity = Identity { dev: u64_at(bytes, 8), ino: u64_at(bytes, 16) };
    let place = Place { identity, offset: u64_at(bytes, 24), start: u64_at(bytes, 32) };
    let sealed = u64_at(bytes, 0) == place_seal(bytes) && place.start <= length as u64;
    (sealed.then_some(place), done)
}

fn encode_table(entries: &[NewEntry<'_>], cursor: &Cursor, behind: &[(String, Cursor)]) -> Vec<u8> {
    let mut table = Vec::with_capacity(64 * (1 + entries.len() + behind.len()));
    for entry in entries {
        table.extend_from_slice(&(entry.view.len() as u64).to_le_bytes());
        table.extend_from_slice(&(entry.bytes.len() as u64).to_le_bytes());
        table.extend_from_slice(entry.view.as_bytes());
    }
    let mut encoded = Vec::new();
    cursor.encode(&mut encoded);
    table.extend_from_slice(&(encoded.len() as u32).to_le_bytes());
    table.extend_from_slice(&encoded);
    table.extend_from_slice(&(behind.len() as u32).to_le_bytes());
    for (view, cursor) in behind {
        encoded.clear();
        cursor.encode(&mut encoded);
        table.extend_from_slice(&(view.len() as u32).to_le_bytes());
        table.extend_from_slice(&(encoded.len() as u32).to_le_bytes());
        table.extend_from_slice(view.as_bytes());
        table.extend_from_slice(&encoded);
    }
    table
}

/// Takes a table apart; the checksum has been compared, so `None` means a newer or broken writer.
fn decode_table(seq: u64, table: &[u8], places: &[u8], lines: Range<usize>) -> Option<Batch> {
    let mut rest = table;
    let mut batch = Batch { seq, ..Batch::default() };
    let mut at = lines.start;
    for place in places.chunks_exact(PLACE_BYTES) {
        let head = take(&mut rest, 16)?;
        let length = usize::try_from(u64_at(head, 8)).ok()?;
        let view = text(take(&mut rest, usize::try_from(u64_at(head, 0)).ok()?)?)?;
        let end = at.checked_add(length).filter(|end| *end <= lines.end)?;
        let (place, done) = decode_place(place, length);
        batch.entries.push(Entry { view, bytes: at..end, place, done });
        at = end;
    }
    let cursor_bytes = u32_at(take(&mut rest, 4)?, 0) as usize;
    batch.cursor = Cursor::decode(take(&mut rest, cursor_bytes)?)?;
    for _ in 0..u32_at(take(&mut rest, 4)?, 0) {
        let head = take(&mut rest, 8)?;
        let view = text(take(&mut rest, u32_at(head, 0) as usize)?)?;
        batch.behind.push((view, Cursor::decode(take(&mut rest, u32_at(head, 4) as usize)?)?));
    }
    Some(batch)
}

fn take<'a>(rest: &mut &'a [u8], bytes: usize) -> Option<&'a [u8]> {
    let (head, tail) = rest.split_at_checked(bytes)?;
    *rest = tail;
    Some(head)
}

fn text(bytes: &[u8]) -> Option<String> {
    String::from_utf8(bytes.to_vec()).ok()
}

const _: () = assert!(PAGE_HEADER_BYTES.is_multiple_of(8) && HALF_HEADER_BYTES.is_multiple_of(8));
const _: () = assert!(PLACE_BYTES.is_multiple_of(8));

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Stores only so many bytes and words, as a process that is killed does.
    struct Dying {
        bytes: Vec<u8>,
        left: usize,
    }

    impl IntentPage for Dying {
        fn bytes(&self) -> &[u8] {
            &self.bytes
        }

        fn write(&mut self, at: usize, bytes: &[u8]) {
            let count = bytes.len().min(self.left);
            self.left -= count;
            self.bytes.write(at, &bytes[..count]);
        }

        fn publish(&mut self, at: usize, word: u64) {
            if self.left > 0 {
                self.left -= 1;
                self.bytes.publish(at, word);
            }
        }
    }

    fn cursor(offset: u64) -> Cursor {
        let place = super::super::cursor::ProcessCursor { process: [7; 16], segment: 1, offset };
        Cursor { processes: vec![place], merge: b"merge".to_vec() }
    }

    fn entry<'a>(view: &'a str, bytes: &'a [u8]) -> NewEntry<'a> {
        NewEntry { view, bytes, place: None, done: 0 }
    }

    const PLACE: Place = Place { identity: Identity { dev: 1, ino: 2 }, offset: 30, start: 0 };

    /// Runs two batches, with `left` stores before the process dies.
    fn run(left: usize) -> (Vec<u8>, usize) {
        let (intents, _) = Intents::open(vec![0; 4096]);
        let (mut intents, _) = Intents::open(Dying { bytes: intents.into_page(), left });
        let mut batch = intents.publish(&[entry("a", b"one\n")], &cursor(1), &[]).unwrap();
        intents.place(&mut batch, 0, PLACE);
        intents.done(&mut batch, 0, 4);
        intents.commit(&batch);
        let behind = [("b".to_owned(), cursor(0))];
        let mut batch = intents.publish(&[entry("a", b"two\n"), entry("b", b"x\n")], &cursor(2), &behind).unwrap();
        intents.place(&mut batch, 1, PLACE);
        intents.place(&mut batch, 1, Place { offset: 31, start: 1, ..PLACE });
        intents.commit(&batch);
        let page = intents.into_page();
        (page.bytes, page.left)
    }

    #[test]
    fn killed_after_any_store_it_is_before_or_after_each_step() {
        let mut seen = Vec::new();
        for left in 0.. {
            let (page, spare) = run(left);
            let (_, opened) = Intents::open(page);
            assert!(!opened.damaged, "{left}");
            if let Some(batch) = &opened.batch {
                assert_eq!(batch.cursor, cursor(batch.seq));
                for entry in &batch.entries {
                    let place = Place { offset: 30 + entry.done as u64, start: entry.done as u64, ..PLACE };
                    assert!(entry.place.is_none_or(|it| it == place || it == PLACE), "{entry:?}");
                }
            }
            let state = opened.batch.map(|batch| (batch.seq, opened.interrupted));
            if seen.last() != Some(&state) {
                seen.push(state);
            }
            if spare > 0 {
                break;
            }
        }
        assert_eq!(seen, [None, Some((1, true)), Some((1, false)), Some((2, true)), Some((2, false))]);
    }

    #[test]
    fn what_was_published_is_read_back() {
        let (page, _) = run(usize::MAX);
        let (intents, opened) = Intents::open(page);
        let batch = opened.batch.unwrap();
        let lines: Vec<_> =
            batch.entries.iter().map(|entry| (entry.view.as_str(), intents.entry_bytes(entry))).collect();
        assert_eq!(lines, [("a", b"two\n".as_slice()), ("b", b"x\n")]);
        assert_eq!(batch.behind, [("b".to_owned(), cursor(0))]);
        assert_eq!(batch.entries[1].place, Some(Place { offset: 31, start: 1, ..PLACE }));
        assert_eq!(batch.entries[1].done, 1);
    }

    #[test]
    fn a_batch_that_does_not_fit_changes_nothing() {
        let (mut intents, _) = Intents::open(vec![0; 1024]);
        let before = intents.page().clone();
        assert!(intents.publish(&[entry("a", &[b'x'; 500])], &cursor(1), &[]).is_err());
        assert_eq!(*intents.page(), before);
    }

    #[test]
    fn a_flipped_bit_in_the_lines_is_noticed() {
        let (page, _) = run(usize::MAX);
        let at = page.windows(4).position(|part| part == b"two\n").unwrap();
        let mut bad = page;
        bad[at] ^= 1;
        let (intents, opened) = Intents::open(bad);
        assert!(opened.damaged);
        assert_eq!(opened.batch.map(|batch| batch.cursor), Some(cursor(1)));
        assert!(!Intents::open(intents.into_page()).1.damaged);
    }

    proptest! {
        #[test]
        fn any_bytes_are_safe(mut bytes in proptest::collection::vec(any::<u8>(), 0..400), good in any::<bool>()) {
            if good && bytes.len() >= 16 {
                bytes[..8].copy_from_slice(&MAGIC);
                bytes[8..16].copy_from_slice(&VERSION.to_le_bytes());
            }
            let _ = Intents::open(bytes);
        }

        #[test]
        fn damaged_pages_are_safe(flips in proptest::collection::vec((0_usize..4096, any::<u8>()), 1..20)) {
            let (mut page, _) = run(usize::MAX);
            for (at, value) in flips {
                page[at] = value;
            }
            let (intents, opened) = Intents::open(page);
            for entry in opened.batch.iter().flat_map(|batch| &batch.entries) {
                prop_assert_eq!(intents.entry_bytes(entry).len(), entry.bytes.len());
            }
        }
    }
}
