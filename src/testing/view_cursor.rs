//! What says how far the views have come, as any bytes: the cursor and its marks, the small files beside it, and the page
//! of intents. Nothing panics or reads beyond its input; what is understood says the same when it is written again; and a
//! set of views opens on any page, writes, and finds its own page whole after that.

use crate::disk::MemDisk;
use crate::format::pattern::Pattern;
use crate::reader::journal::Journal;
use crate::reader::mark::Mark;
use crate::reader::record::Thread;
use crate::view::intent::Intents;
use crate::view::testing::{cursor, note};
use crate::view::{Config, Cursor, Format, Progress, Push, ViewConfig, ViewSet};
use std::sync::Arc;

const PAGE_BYTES: usize = 8192;
const NOW_NS: i64 = 1_000_000_000_000;

/// See the module.
pub fn view_cursor(data: &[u8]) {
    decoded(data);
    let (&first, changes) = data.split_first().unwrap_or((&0, &[]));
    let mut page = match first % 3 {
        0 => vec![0; PAGE_BYTES],
        lines => written(usize::from(lines) * 3, first & 4 != 0),
    };
    for change in changes.chunks_exact(3) {
        let at = usize::from(u16::from_le_bytes([change[0], change[1]])) % page.len();
        page[at] = change[2];
    }
    opened(page);
}

fn decoded(data: &[u8]) {
    if let Some(cursor) = Cursor::decode(data) {
        let mut again = Vec::new();
        cursor.encode(&mut again);
        assert_eq!(again, data);
        assert!(cursor.processes.len() * 32 + cursor.merge.len() <= data.len());
    }
    if let Some(mark) = Mark::decode(data) {
        assert_eq!(Mark::decode(&mark.encode()), Some(mark));
        let mut journal = Journal::resume("process", mark);
        assert_eq!(journal.want().segment, mark.start.number);
        let _ = (journal.mark(), journal.mark_before());
        journal.end_at(mark);
        let _ = (journal.mark(), journal.mark_before(), journal.is_at_end(), mark.is_out(1, mark.read));
    }
    let _ = crate::worker::cursor::decode(data);
    let _ = crate::worker::names::decode(data);
    let _ = crate::config::stored::Stored::decode(data).map(|stored| stored.views());
}

fn set(page: Vec<u8>) -> ViewSet<MemDisk, Vec<u8>> {
    let format = Format::text("{message}".parse::<Pattern>().unwrap_or_default());
    let view = ViewConfig { name: "all".to_owned(), format, ..ViewConfig::default() };
    let config = Config { views: vec![view], components: None, open_files_max: 4 };
    ViewSet::open(Arc::new(MemDisk::new()), page, config).unwrap().0
}

/// A page in which batches stand; `twice`: in both halves.
fn written(lines: usize, twice: bool) -> Vec<u8> {
    let mut set = set(vec![0; PAGE_BYTES]);
    let thread = Thread { name: "t".to_owned(), tid: 1 };
    for round in 0..=u64::from(twice) {
        for line in 0..lines {
            assert_eq!(set.push(&note("target", &thread, line as u32, "a line of text")), Push::Taken);
        }
        assert_eq!(set.write(&cursor(round + 1), NOW_NS), Progress::Done);
    }
    set.into_page()
}

fn opened(page: Vec<u8>) {
    let (intents, opened) = Intents::open(page.clone());
    for entry in opened.batch.iter().flat_map(|batch| &batch.entries) {
        assert!(entry.bytes.end <= page.len() && intents.entry_bytes(entry).len() == entry.bytes.len());
    }
    let mut set = set(page);
    let thread = Thread { name: "t".to_owned(), tid: 1 };
    let _ = set.write(&cursor(3), NOW_NS);
    if set.push(&note("target", &thread, 9, "the next line")) == Push::Taken {
        let _ = set.write(&cursor(4), NOW_NS);
    }
    let (_, again) = Intents::open(set.into_page());
    assert!(!again.damaged, "the page is damaged after it was used");
}
