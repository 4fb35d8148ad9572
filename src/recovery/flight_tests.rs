//! The flight recorder against a model of it: what is written in which order, and how many records are forgotten, whatever is
//! logged, and wherever the writer and its recovery are killed.

use super::dead::{Process, RING_BYTES, for_each_frame, recover, until_killed};
use crate::flight::Rules;
use crate::level::{Level, LevelFilter};
use crate::ring::remembered::Limits;
use crate::segment::append::frame_bytes;
use crate::segment::layout::{Kind, REMEMBERED, SITE_THREAD, WRITER_RING, is_remembered, u16_at, u64_at};
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::path::Path;

/// Call sites 1 to 3.
const SITES: [(Level, &str); 3] = [(Level::Debug, "feed"), (Level::Info, "feed"), (Level::Error, "feed")];
const RINGS: usize = 3;
/// A thread's definition, which has no name.
const THREAD_BYTES: usize = 8;

/// What happens.
#[derive(Clone, Copy, Debug)]
enum Event {
    /// A record that is remembered.
    Debug(usize, usize),
    Info(usize, usize),
    Error(usize, usize),
    /// The ring goes to another thread.
    Thread(usize),
    /// The writer takes a step.
    Step,
}

fn events() -> impl Strategy<Value = Vec<Event>> {
    let bytes = || prop_oneof![8 => 8..200_usize, 1 => 200..2500_usize];
    let event = prop_oneof![
        10 => (0..RINGS, bytes()).prop_map(|(ring, bytes)| Event::Debug(ring, bytes)),
        4 => (0..RINGS, bytes()).prop_map(|(ring, bytes)| Event::Info(ring, bytes)),
        2 => (0..RINGS, bytes()).prop_map(|(ring, bytes)| Event::Error(ring, bytes)),
        1 => (0..RINGS).prop_map(Event::Thread),
        3 => Just(Event::Step),
    ];
    proptest::collection::vec(event, 0..120)
}

fn rules() -> impl Strategy<Value = Rules> {
    (1..12_u64, prop_oneof![500..4000_u64, Just(RING_BYTES as u64)], any::<bool>()).prop_map(
        |(records, bytes, process)| Rules { limits: Limits { records, bytes }, trigger: LevelFilter::Error, process },
    )
}

/// What the journal tells: records with their rings, numbers, and whether they were remembered; those that were forgotten by
/// ring; notices of the recorder that came without need.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
struct Told {
    records: Vec<(u16, u32, bool)>,
    forgotten: BTreeMap<u16, u64>,
}

/// A ring as the model sees it.
#[derive(Clone, Default)]
struct Lane {
    calls: u32,
    /// Taken since the memory was last empty: number, bytes, whether it was remembered.
    taken: Vec<(u32, u64, bool)>,
    forgotten: u64,
}

impl Lane {
    /// The longest end of what was taken that the limits allow; the rest is forgotten.
    fn memory(&mut self, limits: Limits) -> Vec<u32> {
        let bytes_max = limits.bytes.min(RING_BYTES as u64 / 2);
        let (mut kept, mut bytes, mut full) = (Vec::new(), 0, false);
        for (seq, size, remembered) in self.taken.drain(..).rev() {
            bytes += size;
            full |= remembered && (bytes > bytes_max || kept.len() as u64 == limits.records);
            match (remembered, full) {
                (true, false) => kept.push(seq),
                (true, true) => self.forgotten += 1,
                (false, _) => {}
            }
        }
        kept.reverse();
        kept
    }

    fn forget(&mut self) {
        self.forgotten += self.taken.drain(..).filter(|(_, _, remembered)| *remembered).count() as u64;
    }
}

/// What the recorder is to do.
#[derive(Clone, Default)]
struct Model {
    lanes: [Lane; RINGS],
    /// Logged and not taken, in the order of time: what on which ring, its number, its bytes.
    waiting: Vec<(Event, usize, u32, u64)>,
    told: Told,
}

impl Model {
    fn happens(&mut self, event: Event, rules: Rules) {
        let (Event::Debug(ring, bytes) | Event::Info(ring, bytes) | Event::Error(ring, bytes)) = (match event {
            Event::Thread(ring) => Event::Info(ring, THREAD_BYTES),
            Event::Step => return self.step(rules),
            event => event,
        }) else {
            return;
        };
        let lane = &mut self.lanes[ring];
        self.waiting.push((event, ring, lane.calls, frame_bytes(bytes) as u64));
        lane.calls += 1;
    }

    fn step(&mut self, rules: Rules) {
        let mut waiting = std::mem::take(&mut self.waiting);
        if !rules.process {
            // One ring behind the other.
            waiting.sort_by_key(|(_, ring, ..)| *ring);
        }
        for (event, ring, seq, bytes) in waiting {
            match event {
                Event::Thread(_) => {
                    self.lanes[ring].forget();
                    continue;
                }
                Event::Debug(..) => {}
                Event::Error(..) => {
                    let others = (0..RINGS).filter(|other| rules.process && *other != ring);
                    others.chain([ring]).for_each(|ring| self.write(ring, rules));
                    self.told.records.push((ring as u16, seq, false));
                }
                _ => self.told.records.push((ring as u16, seq, false)),
            }
            self.lanes[ring].taken.push((seq, bytes, matches!(event, Event::Debug(..))));
        }
    }

    fn write(&mut self, ring: usize, rules: Rules) {
        let kept = self.lanes[ring].memory(rules.limits);
        self.told.records.extend(kept.into_iter().map(|seq| (ring as u16, seq, true)));
    }

    /// The process dies, or closes.
    fn end(mut self, rules: Rules, closes: bool) -> Told {
        self.step(rules);
        for ring in 0..RINGS {
            if closes {
                self.lanes[ring].forget();
            } else {
                self.write(ring, rules);
            }
        }
        let forgotten = self.lanes.iter().zip(0..).map(|(lane, ring)| (ring, lane.forgotten));
        self.told.forgotten = forgotten.filter(|(_, count)| *count > 0).collect();
        self.told
    }
}

fn start(rules: Rules) -> Process {
    Process::start(RINGS, &SITES, 8, |estate, writer| {
        Rules::store(Some(&rules), &estate.memory.control.identity.flight);
        writer.with_flight(Some(rules))
    })
}

fn happens(process: &mut Process, event: Event) {
    match event {
        Event::Debug(ring, bytes) => process.call(ring, 1 | REMEMBERED, 7, bytes),
        Event::Info(ring, bytes) => process.call(ring, 2, 7, bytes),
        Event::Error(ring, bytes) => process.call(ring, 3, 7, bytes),
        Event::Thread(ring) => process.call(ring, SITE_THREAD, ring as u64, THREAD_BYTES),
        Event::Step => assert!(!process.step().starved),
    }
}

fn read(journal: &Path) -> Told {
    let mut told = Told::default();
    for_each_frame(journal, |frame| {
        if frame.ring != WRITER_RING {
            told.records.push((frame.ring, frame.seq, is_remembered(frame.site)));
        } else if frame.kind() == Some(Kind::Flight) {
            let forgotten = u64_at(frame.payload, 8);
            let known = told.forgotten.entry(u16_at(frame.payload, 0)).or_default();
            assert!(*known <= forgotten, "what is forgotten stays so");
            *known = forgotten;
        } else {
            assert_ne!(frame.kind(), Some(Kind::Dropped));
        }
    });
    told.forgotten.retain(|_, count| *count > 0);
    told
}

/// Whether each record that is marked has the frame that tells before it, in its segment.
fn is_announced(journal: &Path) {
    let mut announced = None;
    for_each_frame(journal, |frame| match frame.kind() {
        Some(Kind::Seal) => announced = None,
        Some(Kind::Flight) => announced = Some(u16_at(frame.payload, 0)),
        None if frame.ring != WRITER_RING && is_remembered(frame.site) => assert_eq!(announced, Some(frame.ring)),
        _ => {}
    });
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn what_is_written_and_forgotten_is_what_the_model_says(
        events in events(), rules in rules(), closes in any::<bool>(),
    ) {
        let (mut process, mut model) = (start(rules), Model::default());
        for event in events {
            happens(&mut process, event);
            model.happens(event, rules);
        }
        if closes {
            process.step();
            let now = process.now();
            process.writer.finish(process.estate.ground(), now);
        }
        let journal = recover(&process, &[]);
        is_announced(&journal);
        prop_assert_eq!(read(&journal), model.end(rules, closes));
    }

    #[test]
    fn a_kill_anywhere_changes_nothing(
        events in events(), rules in rules(), point in 0..3000_u64, again in proptest::collection::vec(0..400_u64, 0..3),
    ) {
        let (mut process, mut model) = (start(rules), Model::default());
        let mut left = Some(point);
        for event in events {
            model.happens(event, rules);
            let through = until_killed(left, || happens(&mut process, event));
            left = crate::testing::fuse::left();
            if through.is_none() {
                break;
            }
        }
        let journal = recover(&process, &again);
        is_announced(&journal);
        prop_assert_eq!(read(&journal), model.end(rules, false));
    }
}

#[test]
fn a_kill_at_any_store_changes_nothing() {
    use Event::{Debug, Error, Info, Step, Thread};
    let rules = Rules { limits: Limits { records: 3, bytes: 4000 }, trigger: LevelFilter::Error, process: true };
    // Frames that fill a segment, so that it is rotated in the midst of what is remembered.
    let large = 15_000;
    let once = [
        Debug(0, 8),
        Debug(1, 8),
        Debug(0, 16),
        Info(0, 8),
        Debug(0, 8),
        Step,
        Debug(0, 24),
        Debug(2, 1300),
        Debug(2, 1300),
        Error(1, 8),
        Info(0, large),
        Step,
        Debug(1, 8),
        Thread(1),
        Debug(1, 8),
        Info(1, large),
        Debug(0, 1900),
        Debug(0, 1900),
        Step,
        Error(0, 8),
        Error(0, 8),
        Debug(2, 8),
        Step,
    ];
    let events: Vec<Event> = [once, once, once].concat();
    let mut points = 0;
    loop {
        let (mut process, mut model) = (start(rules), Model::default());
        let mut left = Some(points);
        let killed = events.iter().any(|event| {
            model.happens(*event, rules);
            let through = until_killed(left, || happens(&mut process, *event));
            left = crate::testing::fuse::left();
            through.is_none()
        });
        if !killed {
            break;
        }
        let kills: &[u64] = match points % 6 {
            2 => &[points % 7, points % 5],
            4 => &[points % 61],
            5 => &[points % 199, points % 31, 0],
            _ => &[],
        };
        let told = read(&recover(&process, kills));
        assert_eq!(told, model.end(rules, false), "killed at {points}, then at {kills:?}");
        points += 1;
    }
    println!("{points} points");
    assert!(points > 400, "{points}");
}
