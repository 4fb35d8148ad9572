//! Properties of readers, for journals of any kind.

use super::journal::{Fed, Journal};
use super::merge::{JournalId, Merge, Step};
use super::record::Position;
use super::source::Extent;
use super::testing::*;
use super::tests::{Seen, drain, feed_all, finish, read_windows, seen, texts};
use proptest::prelude::*;

/// What a test writes: records (ring, tick), and watermarks that keep their promise but for late ones.
#[derive(Clone, Debug)]
enum Act {
    Record {
        ring: u16,
        ahead: u64,
    },
    Late {
        ring: u16,
        behind: u64,
    },
    Watermark,
    Roll,
    /// Something that is no frame.
    Damage {
        units: usize,
    },
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        20 => (0_u16..4, 1_u64..50).prop_map(|(ring, ahead)| Act::Record { ring, ahead }),
        1 => (0_u16..4, 0_u64..50).prop_map(|(ring, behind)| Act::Late { ring, behind }),
        4 => Just(Act::Watermark),
        1 => Just(Act::Roll),
    ]
}

fn acts() -> impl Strategy<Value = Vec<Act>> {
    prop::collection::vec(act(), 0..200)
}

fn damaged_acts() -> impl Strategy<Value = Vec<Act>> {
    let damage = (1_usize..40).prop_map(|units| Act::Damage { units });
    prop::collection::vec(prop_oneof![20 => act(), 1 => damage], 0..200)
}

/// Writes what the acts say; rings keep their own order, as threads do.
fn write(process: u8, acts: &[Act]) -> JournalBuilder {
    let mut journal = JournalBuilder::new(process);
    let (mut mark, mut rings, mut n) = (0, [0_u64; 4], 1000 * u64::from(process));
    for act in acts {
        match *act {
            Act::Record { ring, ahead } => {
                let last = &mut rings[usize::from(ring)];
                *last = (*last).max(mark) + ahead;
                journal.record(ring, *last, n);
                n += 1;
            }
            Act::Late { ring, behind } => {
                let last = &mut rings[usize::from(ring)];
                *last = (*last).max(mark.saturating_sub(behind));
                journal.record(ring, *last, n);
                n += 1;
            }
            Act::Watermark => {
                mark += 25;
                journal.watermark(mark);
            }
            Act::Roll => journal.roll(),
            Act::Damage { units } => journal.bytes.extend(vec![0xa5; 8 * units]),
        }
    }
    journal
}

/// A journal that is read in the steps of a test.
struct Life {
    merge: Merge,
    id: JournalId,
}

impl Life {
    fn new(journal: Journal) -> Self {
        let mut merge = Merge::new();
        let id = merge.add(journal);
        Self { merge, id }
    }

    fn journal(&self) -> &Journal {
        self.merge.journal(self.id).unwrap()
    }

    /// Reads so many bytes, if all that is ready went out; with `hurry`, all of it is ready then, as behind a live
    /// watermark. Lets so many records out at most.
    fn step(
        &mut self,
        segments: &[(u64, Vec<u8>)],
        (window, hurry, most): (usize, bool, usize),
        out: &mut Vec<String>,
    ) {
        let journal = self.merge.journal_mut(self.id).unwrap();
        if !journal.has_ready() {
            let want = journal.want();
            if let Some((_, bytes)) = segments.iter().find(|(number, _)| *number == want.segment) {
                let bytes = &bytes[want.offset as usize..];
                let mut most = window;
                loop {
                    let given = bytes[..most.min(bytes.len())].to_vec();
                    let fed = journal.feed(given, Extent::Growing);
                    if fed == Fed::Progress || (fed == Fed::Idle && most >= bytes.len()) {
                        break;
                    }
                    most += 64;
                }
            }
            if hurry {
                self.merge.journal_mut(self.id).unwrap().hurry();
            }
        }
        self.drain(most, out);
    }

    fn drain(&mut self, most: usize, out: &mut Vec<String>) {
        for _ in 0..most {
            if self.merge.advance() != Step::Record {
                break;
            }
            out.push(seen(&self.merge.current().unwrap()).text);
        }
    }
}

/// Damage in one piece, wherever what was read at once ended.
fn in_one_piece(all: Vec<Seen>) -> Vec<Seen> {
    let bytes = |seen: &Seen| seen.text.strip_prefix("damage ").and_then(|text| text.parse::<u64>().ok());
    let mut out: Vec<Seen> = Vec::new();
    for seen in all {
        let before = out.last().and_then(|before| Some((before.position, bytes(before)?)));
        match (before, bytes(&seen)) {
            (Some((at, count)), Some(more)) if Position { offset: at.offset + count, ..at } == seen.position => {
                out.last_mut().unwrap().text = format!("damage {}", count + more);
            }
            _ => out.push(seen),
        }
    }
    out
}

proptest! {
    #[test]
    fn whatever_is_written_comes_once_sorted_but_for_late_ones(
        one in acts(),
        two in acts(),
        windows in (1_usize..2000, 1_usize..2000),
        live: bool,
    ) {
        let (one, two) = (write(1, &one), write(2, &two));
        let mut merge = Merge::new();
        let (a, b) = (merge.add(Journal::new("a")), merge.add(Journal::new("b")));
        let mut out = Vec::new();
        feed_all(&mut merge, a, &one.segments(), windows.0, live, &mut out);
        feed_all(&mut merge, b, &two.segments(), windows.1, live, &mut out);
        finish(&mut merge, &[a, b]);
        drain(&mut merge, &mut out);
        let mut all: Vec<&str> = texts(&out);
        all.sort_unstable();
        all.dedup();
        prop_assert_eq!(all.len() as u64, one.records + two.records);
        prop_assert_eq!(out.len() as u64, one.records + two.records);
        let on_time: Vec<u64> = out.iter().filter(|seen| !seen.late).map(|seen| seen.ticks).collect();
        prop_assert!(on_time.is_sorted(), "{:?}", on_time);
        let number = |seen: &Seen| seen.text.trim_start_matches("order ").parse::<u64>().unwrap();
        for process in [1, 2] {
            for ring in 0..4 {
                let of_ring = |seen: &&Seen| seen.ring == ring && number(seen) / 1000 == process;
                let numbers: Vec<u64> = out.iter().filter(of_ring).map(number).collect();
                prop_assert!(numbers.is_sorted(), "ring {} of {}: {:?}", ring, process, numbers);
            }
        }
    }

    #[test]
    fn a_resumed_journal_goes_on_exactly_where_the_other_was(
        acts in damaged_acts(),
        window in 64_usize..2000,
        stop_at in 0_usize..200,
    ) {
        let segments = write(1, &acts).segments();
        let whole = read_windows(&segments, window, true);
        let mut merge = Merge::new();
        let id = merge.add(Journal::new("p"));
        let (mut out, mut more) = (Vec::new(), 0);
        'feeding: loop {
            while out.len() < stop_at && merge.advance() == Step::Record {
                out.push(seen(&merge.current().unwrap()));
            }
            if out.len() >= stop_at && merge.journal(id).unwrap().mark().is_some() {
                break;
            }
            let journal = merge.journal_mut(id).unwrap();
            let want = journal.want();
            let Some((_, bytes)) = segments.iter().find(|(number, _)| *number == want.segment) else { break };
            let end = (want.offset as usize + window + more).min(bytes.len());
            let given = bytes[want.offset as usize..end].to_vec();
            if journal.feed(given, Extent::Growing) == Fed::Idle {
                if end == bytes.len() {
                    break 'feeding;
                }
                more += 8;
            }
        }
        if let Some(mark) = merge.journal(id).unwrap().mark() {
            let mark = super::mark::Mark::decode(&mark.encode()).unwrap();
            let mut merge = Merge::new();
            let id = merge.add(Journal::resume("p", mark));
            feed_all(&mut merge, id, &segments, window, true, &mut out);
            merge.journal_mut(id).unwrap().let_out();
            drain(&mut merge, &mut out);
            prop_assert_eq!(in_one_piece(out), in_one_piece(whole));
        }
    }

    #[test]
    fn a_journal_that_was_hurried_is_resumed_without_loss_or_repeat(
        acts in acts(),
        windows in prop::collection::vec((64_usize..900, any::<bool>(), 0_usize..12), 1..40),
        stops in prop::collection::vec((0_usize..30, any::<bool>()), 1..8),
        (from, part) in (0_usize..5, 0_usize..20),
    ) {
        let segments = write(1, &acts).segments();
        let mut whole: Vec<String> = read_windows(&segments, 4096, true).into_iter().map(|seen| seen.text).collect();
        let mut life = Life::new(Journal::new("p"));
        let (mut out, mut at) = (Vec::new(), windows.iter().cycle());
        let mut marks = Vec::new();
        for (steps, before) in &stops {
            for (window, hurry, most) in at.by_ref().take(*steps) {
                life.step(&segments, (*window, *hurry, *most), &mut out);
            }
            let journal = life.journal();
            let is_current = life.merge.current().is_some();
            let mark = if *before && is_current { journal.mark_before() } else { journal.mark() };
            let Some(mark) = mark else { continue };
            if *before && is_current {
                out.pop();
            }
            let mark = super::mark::Mark::decode(&mark.encode()).unwrap();
            marks.push((mark, out.len()));
            life = Life::new(Journal::resume("p", mark));
        }
        let ends = marks.get(from..).unwrap_or_default().iter().filter(|(mark, _)| mark.late.is_none());
        if let (Some((start, first)), [mid, .., (end, last)]) = (marks.get(from), &ends.collect::<Vec<_>>()[..]) {
            let mut of: Vec<String> = out[*first..*last].to_vec();
            let mut again = Vec::new();
            let between = |start: super::mark::Mark, end: super::mark::Mark| {
                let mut journal = Journal::resume("p", start);
                journal.end_at(end);
                Life::new(journal)
            };
            // Interrupted once; until then with an earlier goal.
            let mut life = between(*start, mid.0);
            for (window, hurry, most) in windows.iter().cycle().take(part) {
                life.step(&segments, (*window, *hurry, *most), &mut again);
            }
            let reached = life.journal().mark();
            if reached.is_none() {
                again.clear();
            }
            life = between(reached.unwrap_or(*start), *end);
            for _ in 0..2000 {
                if life.journal().is_at_end() {
                    break;
                }
                life.step(&segments, (512, false, 5), &mut again);
            }
            prop_assert!(life.journal().is_at_end());
            life.merge.journal_mut(life.id).unwrap().let_out();
            life.drain(usize::MAX, &mut again);
            let reached = life.journal().mark().map(|mark| (mark.out_last, mark.read));
            prop_assert_eq!(reached, Some((end.out_last, end.read)));
            of.sort_unstable();
            again.sort_unstable();
            prop_assert_eq!(again, of);
        }
        for _ in 0..2000 {
            life.step(&segments, (4096, true, usize::MAX), &mut out);
        }
        out.sort_unstable();
        whole.sort_unstable();
        prop_assert_eq!(out, whole);
    }

    #[test]
    fn any_bytes_are_survived(
        mut bytes in prop::collection::vec(any::<u8>(), 0..600),
        good_header: bool,
        frames in prop::collection::vec((any::<u16>(), any::<u64>(), 0_u32..12, prop::collection::vec(any::<u8>(), 0..80), any::<bool>()), 0..20),
    ) {
        let mut journal = JournalBuilder::new(3);
        if good_header {
            for (ring, ticks, site, payload, own) in frames {
                let ring = if own { u16::MAX } else { ring };
                journal.record_of(site, ring, ticks, &payload);
            }
            journal.bytes.extend_from_slice(&bytes);
            bytes = journal.bytes;
        }
        for extent in [Extent::End, Extent::Growing, Extent::More, Extent::Broken { lost: 9 }] {
            let mut reader = Journal::new("p");
            reader.feed(bytes.clone(), extent);
            reader.let_out();
            let mut merge = Merge::new();
            merge.add(reader);
            while merge.advance() == Step::Record {
                let record = merge.current();
                prop_assert!(record.is_some());
            }
        }
    }
}
