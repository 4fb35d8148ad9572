//! The decoder and the merge together, on journals of all kinds.

use super::journal::{Fed, Journal};
use super::merge::{JournalId, Merge, Step};
use super::record::{Body, Position, RecordRef};
use super::source::Extent;
use super::testing::*;
use crate::level::Level;
use crate::segment::layout::{HEADER_BYTES, Kind, SITE_INLINE};

/// A record as the tests compare it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Seen {
    pub(super) text: String,
    pub(super) ticks: u64,
    pub(super) ring: u16,
    pub(super) late: bool,
    pub(super) position: Position,
}

pub(super) fn seen(record: &RecordRef<'_>) -> Seen {
    let text = match record.body {
        Body::Message { site, payload } => {
            let mut text = String::new();
            site.plan.message(payload, &mut text).unwrap();
            text
        }
        Body::Dropped { count, cause } => format!("dropped {count} {cause}"),
        Body::Suppressed { count, since_ns, site, payload, .. } => {
            let mut text = String::new();
            site.plan.message(payload, &mut text).unwrap();
            format!("suppressed {count} since {since_ns}: {text}")
        }
        Body::Note { text } => format!("note {text}"),
        Body::Damage { bytes } => format!("damage {bytes}"),
        Body::Unknown { reason } => format!("unknown {reason}"),
    };
    Seen { text, ticks: record.ticks, ring: record.ring, late: record.late, position: record.position }
}

pub(super) fn drain(merge: &mut Merge, out: &mut Vec<Seen>) {
    while merge.advance() == Step::Record {
        out.push(seen(&merge.current().unwrap()));
    }
}

/// Feeds segments in windows of `window` bytes, which grow where a frame needs more, as a live journal or a finished one.
pub(super) fn feed_all(
    merge: &mut Merge,
    id: JournalId,
    segments: &[(u64, Vec<u8>)],
    window: usize,
    live: bool,
    out: &mut Vec<Seen>,
) {
    let mut more = 0;
    loop {
        let journal = merge.journal_mut(id).unwrap();
        let want = journal.want();
        let Some((number, bytes)) = segments.iter().find(|(number, _)| *number == want.segment) else { break };
        let from = want.offset as usize;
        let end = (from + window + more).min(bytes.len());
        let last = end == bytes.len();
        let growing = live && *number == segments.last().unwrap().0;
        let extent = match (last, growing) {
            (_, true) => Extent::Growing,
            (true, false) => Extent::End,
            (false, false) => Extent::More,
        };
        let mut buffer = journal.buffer();
        buffer.extend_from_slice(&bytes[from..end]);
        let fed = journal.feed(buffer, extent);
        drain(merge, out);
        match fed {
            Fed::Progress | Fed::Retry => more = 0,
            Fed::Idle if last => break,
            Fed::Idle => more += 8,
            Fed::Newer(_) => break,
        }
    }
}

/// Says that nothing more is to come.
pub(super) fn finish(merge: &mut Merge, ids: &[JournalId]) {
    for id in ids {
        merge.journal_mut(*id).unwrap().let_out();
        merge.wait_for(*id, false);
    }
}

fn read_one(segments: &[(u64, Vec<u8>)]) -> Vec<Seen> {
    read_windows(segments, 1 << 20, false)
}

pub(super) fn read_windows(segments: &[(u64, Vec<u8>)], window: usize, live: bool) -> Vec<Seen> {
    let mut merge = Merge::new();
    let mut journal = Journal::new("p");
    journal.start_at(segments.first().map_or(1, |segment| segment.0));
    let id = merge.add(journal);
    let mut out = Vec::new();
    feed_all(&mut merge, id, segments, window, live, &mut out);
    merge.journal_mut(id).unwrap().let_out();
    drain(&mut merge, &mut out);
    out
}

pub(super) fn texts(seen: &[Seen]) -> Vec<&str> {
    seen.iter().map(|seen| &*seen.text).collect()
}

#[test]
fn threads_come_in_the_order_of_time_and_late_ones_at_once() {
    let mut journal = JournalBuilder::new(1);
    for (ring, ticks, n) in [(0, 10, 1), (0, 30, 3), (1, 20, 2), (1, 50, 5)] {
        journal.record(ring, ticks, n);
    }
    journal.watermark(30);
    journal.record(2, 25, 90);
    journal.record(0, 40, 4);
    journal.watermark(60);
    let seen = read_one(&journal.segments());
    assert_eq!(texts(&seen), ["order 1", "order 2", "order 3", "order 90", "order 4", "order 5"]);
    assert_eq!(seen.iter().map(|seen| seen.late).collect::<Vec<_>>(), [false, false, false, true, false, false]);
}

#[test]
fn a_manual_clock_keeps_the_order_in_which_records_stand() {
    let mut journal = JournalBuilder::new(1);
    journal.header.flags = crate::segment::layout::FLAG_MANUAL_CLOCK;
    journal.bytes[..HEADER_BYTES].copy_from_slice(&journal.header.encode());
    for (n, ticks) in [50, 10, 90, 20].into_iter().enumerate() {
        journal.record(n as u16 % 2, ticks, n as u64);
    }
    let mut merge = Merge::new();
    let id = merge.add(Journal::new("p"));
    let mut out = Vec::new();
    feed_all(&mut merge, id, &journal.segments(), 1 << 20, true, &mut out);
    assert_eq!(texts(&out), ["order 0", "order 1", "order 2", "order 3"]);
    assert!(out.iter().all(|seen| !seen.late));
    assert!(!merge.journal_mut(id).unwrap().raise(7), "steps are no ticks");
}

#[test]
fn a_thread_whose_clock_goes_back_keeps_its_order() {
    let mut journal = JournalBuilder::new(1);
    for (n, ticks) in [50, 40, 30, 60].into_iter().enumerate() {
        journal.record(0, ticks, n as u64);
    }
    assert_eq!(texts(&read_one(&journal.segments())), ["order 0", "order 1", "order 2", "order 3"]);
}

#[test]
fn nothing_goes_out_before_its_watermark_but_late_records_do() {
    let mut journal = JournalBuilder::new(1);
    journal.record(0, 10, 1);
    journal.record(0, 20, 2);
    let mut merge = Merge::new();
    let id = merge.add(Journal::new("p"));
    let mut out = Vec::new();
    feed_all(&mut merge, id, &journal.segments(), 1 << 20, true, &mut out);
    assert!(out.is_empty());
    merge.journal_mut(id).unwrap().raise(10);
    drain(&mut merge, &mut out);
    assert_eq!(texts(&out), ["order 1"]);
    journal.watermark(15);
    journal.record(1, 12, 3);
    feed_all(&mut merge, id, &journal.segments(), 1 << 20, true, &mut out);
    assert_eq!(texts(&out), ["order 1", "order 3"]);
    assert!(out[1].late);
    merge.journal_mut(id).unwrap().let_out();
    drain(&mut merge, &mut out);
    assert_eq!(texts(&out), ["order 1", "order 3", "order 2"]);
}

#[test]
fn every_window_size_gives_the_same() {
    let mut journal = JournalBuilder::new(1);
    for n in 0..40 {
        journal.record((n % 3) as u16, 100 + n * 7 % 40, n);
        if n % 10 == 9 {
            journal.watermark(100 + n);
        }
        if n % 16 == 15 {
            journal.roll();
        }
    }
    let whole = read_one(&journal.segments());
    assert_eq!(whole.len(), 40);
    for window in 1..600 {
        assert_eq!(read_windows(&journal.segments(), window, false), whole, "window {window}");
        assert_eq!(read_windows(&journal.segments(), window, true), whole, "live, window {window}");
    }
}

#[test]
fn a_record_says_who_when_and_where() {
    let mut journal = JournalBuilder::new(1);
    journal.record(2, 1_500, 1);
    let component = [&COMPONENT.to_le_bytes()[..], &payload(2)].concat();
    journal.record_of(SITE_OF_COMPONENT, 9, 1_600, &component);
    let inline = definition(1, Level::Critical, Some("feed"));
    let inline = [&(inline.len() as u32).to_le_bytes()[..], &inline, &payload(3)].concat();
    journal.record_of(SITE_INLINE, 1, 1_700, &inline);
    journal.own(Kind::Recovered, 0, &[]);
    journal.record_of(SITE_ERROR, 1, 1_800, &payload(4));
    let mut merge = Merge::new();
    let mut reader = Journal::new("20261120T120000Z-1-abcd");
    let mut buffer = reader.buffer();
    buffer.extend_from_slice(&journal.bytes);
    assert_eq!(reader.feed(buffer, Extent::End), Fed::Progress);
    reader.let_out();
    merge.add(reader);
    let mut lines = Vec::new();
    while merge.advance() == Step::Record {
        let record = merge.current().unwrap();
        let seen = seen(&record);
        lines.push(format!(
            "{} {} {} {}/{} {} {} {}",
            record.unix_ns - START_NS,
            record.level,
            record.target,
            record.thread.name,
            record.thread.tid,
            record.process,
            record.recovered,
            seen.text
        ));
    }
    assert_eq!(
        lines,
        [
            "1500 INFO trades::kraken thread-2/1002 20261120T120000Z-1-abcd false order 1",
            "1600 WARN oms ?/0 20261120T120000Z-1-abcd false order 2",
            "1700 CRITICAL feed thread-1/1001 20261120T120000Z-1-abcd false order 3",
            "1800 ERROR risk thread-1/1001 20261120T120000Z-1-abcd true order 4",
        ]
    );
}

#[test]
fn losses_summaries_and_notes_stand_where_they_belong() {
    let mut journal = JournalBuilder::new(1);
    journal.record(0, 10, 1);
    let dropped = [&0_u16.to_le_bytes()[..], &[0; 2], &2_u32.to_le_bytes(), &1204_u64.to_le_bytes()].concat();
    journal.own(Kind::Dropped, 20, &dropped);
    journal.record(0, 20, 2);
    let head = [&SITE.to_le_bytes()[..], &[0; 4], &55_u64.to_le_bytes(), &5_u64.to_le_bytes()].concat();
    journal.own(Kind::Suppressed, 15, &[head, payload(8)].concat());
    let note = [&[3, 0, 4, 0][..], &5_u32.to_le_bytes(), b"tacho", b"hello"].concat();
    journal.own(Kind::Note, 30, &note);
    journal.own(Kind::Suppressed, 31, &[0xee; 40]);
    journal.record_of(4_000_000_000, 0, 32, &[1, 2]);
    let seen = read_one(&journal.segments());
    let all = texts(&seen);
    assert_eq!(
        all[..4],
        ["order 1", &*format!("suppressed 55 since {}: order 8", START_NS + 5), "dropped 1204 2", "order 2",]
    );
    assert_eq!(all[4], "note ohell");
    assert!(all[5].starts_with("unknown a frame of the writer's"), "{all:?}");
    assert!(all[6].contains("unknown call site: ring 0, site 4000000000, 8 bytes: 01 02 00"), "{all:?}");
}

#[test]
fn damage_costs_one_record_and_is_said() {
    let mut journal = JournalBuilder::new(1);
    let mut ends = vec![journal.bytes.len()];
    for n in 0..10 {
        journal.record(0, 100 + n, n);
        ends.push(journal.bytes.len());
    }
    for at in ends[0]..journal.bytes.len() {
        let mut segments = journal.segments();
        segments[0].1[at] ^= 0x40;
        let hit = ends.iter().filter(|end| **end <= at).count() - 1;
        let seen = read_one(&segments);
        assert_eq!(seen.len(), 10, "byte {at}");
        for (n, seen) in seen.iter().enumerate() {
            let text = if n == hit { "damage 40".to_owned() } else { format!("order {n}") };
            assert_eq!(seen.text, text, "byte {at}");
            assert_eq!(seen.position.offset as usize, ends[n], "byte {at}");
        }
    }
}

#[test]
fn frames_that_stand_twice_are_damage_and_those_in_another_order_are_not() {
    let mut journal = JournalBuilder::new(1);
    let mut parts = Vec::new();
    parts.push(0..journal.bytes.len());
    for n in 0..6 {
        if n == 3 {
            journal.own(Kind::Dropped, 103, &[[0_u64, 1].map(u64::to_le_bytes)].concat().concat());
        } else {
            journal.record(0, 100 + n, n);
        }
        parts.push(parts[parts.len() - 1].end..journal.bytes.len());
    }
    let in_order = |order: &[usize]| {
        let bytes: Vec<u8> = order.iter().flat_map(|part| &journal.bytes[parts[*part].clone()]).copied().collect();
        let seen = read_one(&[(1, bytes)]);
        let mut texts: Vec<String> = texts(&seen).into_iter().map(str::to_owned).collect();
        texts.sort();
        texts
    };
    let all = in_order(&[0, 1, 2, 3, 4, 5, 6]);
    assert_eq!(all.len(), 6);
    assert_eq!(in_order(&[0, 5, 6, 3, 4, 1, 2]), all);
    let with = |damage: &[&str]| {
        let mut with: Vec<String> = all.iter().cloned().chain(damage.iter().map(|&text| text.to_owned())).collect();
        with.sort();
        with
    };
    assert_eq!(in_order(&[0, 1, 1, 2, 3, 4, 1, 5, 6, 6]), with(&["damage 40"; 3]));
    assert_eq!(in_order(&[0, 5, 6, 3, 4, 1, 2, 3, 4]), with(&["damage 40"; 2]));
}

#[test]
fn a_torn_tail_is_damage_only_when_nothing_more_comes() {
    let mut journal = JournalBuilder::new(1);
    journal.record(0, 1, 1);
    let whole = journal.bytes.len();
    journal.record(0, 2, 2);
    for end in whole + 1..journal.bytes.len() {
        let torn = [(1, journal.bytes[..end].to_vec())];
        assert_eq!(texts(&read_windows(&torn, 1 << 20, true)), ["order 1"]);
        assert_eq!(texts(&read_one(&torn)), ["order 1", &*format!("damage {}", end - whole)]);
    }
}

#[test]
fn damage_in_growing_bytes_needs_a_second_look() {
    let mut journal = JournalBuilder::new(1);
    journal.record(0, 1, 1);
    let half = journal.bytes.len();
    journal.record(0, 2, 2);
    let mut reader = Journal::new("p");
    // A copy that saw the first word of a frame before the rest of it.
    let mut early = journal.bytes.clone();
    early[half + 30..].fill(0);
    early.resize(early.len() + 64, 0);
    assert_eq!(reader.feed(early.clone(), Extent::Growing), Fed::Retry);
    assert_eq!(reader.want().offset as usize, half);
    assert_eq!(reader.tally().damaged_bytes, 0);
    assert_eq!(reader.feed(journal.bytes[half..].to_vec(), Extent::Growing), Fed::Progress);
    assert_eq!((reader.tally().records, reader.tally().damaged_bytes), (2, 0));
    // The same, but it stays so.
    let mut reader = Journal::new("p");
    reader.feed(early.clone(), Extent::Growing);
    reader.feed(early[half..].to_vec(), Extent::Growing);
    assert!(reader.tally().damaged_bytes > 0);
}

#[test]
fn a_missing_segment_is_counted_and_an_unreadable_one_is_passed_over() {
    let mut journal = JournalBuilder::new(1);
    for n in 0..4 {
        journal.record(0, n, n);
        journal.roll();
    }
    let segments = journal.segments();
    let mut reader = Journal::new("p");
    assert_eq!(reader.feed(segments[0].1.clone(), Extent::End), Fed::Progress);
    assert_eq!(reader.feed(Vec::new(), Extent::Missing { next: None }), Fed::Idle);
    assert_eq!(reader.feed(Vec::new(), Extent::Missing { next: Some(3) }), Fed::Progress);
    assert_eq!(reader.tally().missing_segments, 1);
    let mut bad = segments[2].1.clone();
    bad.iter_mut().for_each(|byte| *byte ^= 0x55);
    let (first, second) = bad.split_at(200);
    assert_eq!(reader.feed(first.to_vec(), Extent::More), Fed::Progress);
    assert_eq!(reader.feed(second.to_vec(), Extent::End), Fed::Progress);
    assert_eq!(reader.tally().damaged_bytes, bad.len() as u64);
    assert_eq!(reader.feed(segments[3].1.clone(), Extent::End), Fed::Progress);
    let mut newer = segments[4].1.clone();
    newer[8] = 9;
    let crc = crc32c::crc32c(&newer[..HEADER_BYTES - 8]);
    newer[HEADER_BYTES - 8..HEADER_BYTES - 4].copy_from_slice(&crc.to_le_bytes());
    assert_eq!(reader.feed(newer, Extent::End), Fed::Newer(9));
    reader.let_out();
    let mut merge = Merge::new();
    merge.add(reader);
    let mut out = Vec::new();
    drain(&mut merge, &mut out);
    assert_eq!(texts(&out), ["order 0", &*format!("damage {}", bad.len()), "order 3"]);
}

#[test]
fn too_much_in_wait_goes_out_unmarked() {
    let mut journal = JournalBuilder::new(1);
    for n in 0..20_000 {
        journal.record(0, 100 + n, n);
    }
    let mut merge = Merge::new();
    let mut reader = Journal::new("p");
    reader.set_pending_bytes_max(256 << 10);
    let id = merge.add(reader);
    let mut out = Vec::new();
    feed_all(&mut merge, id, &journal.segments(), 64 << 10, true, &mut out);
    assert!(out.len() > 10_000, "{}", out.len());
    assert!(merge.journal(id).unwrap().tally().forced > 0);
    journal.record(1, 5, 77_777);
    feed_all(&mut merge, id, &journal.segments(), 64 << 10, true, &mut out);
    let last = out.last().unwrap();
    assert_eq!((&*last.text, last.late), ("order 77777", false));
    merge.journal_mut(id).unwrap().let_out();
    drain(&mut merge, &mut out);
    assert_eq!(out.len(), 20_001);
}

#[test]
fn processes_merge_and_only_those_that_are_waited_for_hold_back() {
    let (mut one, mut two) = (JournalBuilder::new(1), JournalBuilder::new(2));
    for n in 0..5 {
        one.record(0, n * 10, n);
        two.record(0, n * 10 + 5, 100 + n);
    }
    one.watermark(100);
    let mut merge = Merge::new();
    let (a, b) = (merge.add(Journal::new("a")), merge.add(Journal::new("b")));
    let mut out = Vec::new();
    feed_all(&mut merge, a, &one.segments(), 1 << 20, true, &mut out);
    assert!(out.is_empty(), "b was not heard of");
    assert_eq!(merge.advance(), Step::Blocked(b));
    feed_all(&mut merge, b, &two.segments(), 1 << 20, true, &mut out);
    assert!(out.is_empty(), "b has no watermark");
    merge.journal_mut(b).unwrap().raise(20);
    drain(&mut merge, &mut out);
    assert_eq!(texts(&out), ["order 0", "order 100", "order 1", "order 101", "order 2"]);
    merge.wait_for(b, false);
    drain(&mut merge, &mut out);
    assert_eq!(texts(&out[5..]), ["order 3", "order 4"]);
    merge.journal_mut(b).unwrap().let_out();
    drain(&mut merge, &mut out);
    assert_eq!(texts(&out[7..]), ["order 102", "order 103", "order 104"]);
    let late: Vec<&str> = out.iter().filter(|seen| seen.late).map(|seen| &*seen.text).collect();
    assert_eq!(late, ["order 102", "order 103"], "they are older than order 4");
}

#[test]
fn processes_of_different_boots_merge_by_time() {
    let (mut one, mut two) = (JournalBuilder::new(1), JournalBuilder::new(2));
    two.header.boot = [9; 16];
    two.bytes[..HEADER_BYTES].copy_from_slice(&two.header.encode());
    let anchor = [(START_NS + 1_000).to_le_bytes(), (1_u64 << 32).to_le_bytes()].concat();
    two.own(Kind::Anchor, 0, &anchor);
    one.record(0, 500, 1);
    two.record(0, 1, 2);
    one.record(0, 1_500, 3);
    let mut merge = Merge::new();
    let (a, b) = (merge.add(Journal::new("a")), merge.add(Journal::new("b")));
    let mut out = Vec::new();
    feed_all(&mut merge, a, &one.segments(), 1 << 20, false, &mut out);
    feed_all(&mut merge, b, &two.segments(), 1 << 20, false, &mut out);
    finish(&mut merge, &[a, b]);
    drain(&mut merge, &mut out);
    assert_eq!(texts(&out), ["order 1", "order 2", "order 3"]);
}

#[test]
fn threads_that_come_and_go_do_not_pile_up_and_keep_their_names() {
    let mut journal = JournalBuilder::new(1);
    for n in 0..5_000_u64 {
        let name = format!("worker-{n}");
        let thread = [&1_u16.to_le_bytes()[..], &(name.len() as u16).to_le_bytes(), &[0; 4], name.as_bytes()].concat();
        journal.own(Kind::Thread, n, &thread);
        journal.record(1, n, n);
        if n % 100 == 0 {
            journal.watermark(n);
        }
    }
    let mut merge = Merge::new();
    let id = merge.add(Journal::new("p"));
    let mut names = 0;
    for end in (HEADER_BYTES..journal.bytes.len()).step_by(4096).chain([journal.bytes.len()]) {
        let reader = merge.journal_mut(id).unwrap();
        let from = reader.want().offset as usize;
        reader.feed(journal.bytes[from.min(end)..end].to_vec(), Extent::Growing);
        if end == journal.bytes.len() {
            reader.let_out();
        }
        while merge.advance() == Step::Record {
            let record = merge.current().unwrap();
            assert_eq!(record.thread.name, format!("worker-{}", record.ticks));
            names += 1;
        }
    }
    assert_eq!(names, 5_000);
}
