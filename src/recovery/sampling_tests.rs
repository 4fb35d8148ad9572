//! The writer is killed before and after each store of sampling, and recovery too: what is in the journal afterwards is
//! what a writer that lived would have written, and the summaries add up.

use super::dead::{Process, for_each_frame, recover, until_killed};
use crate::disk::RealDisk;
use crate::level::Level;
use crate::sampling::rules::{Rules, Sameness, Share};
use crate::sampling::sampler::Sampler;
use crate::segment::layout::{Kind, WRITER_RING, u32_at, u64_at};
use crate::shm::folder;
use crate::shm::words::Words;
use crate::sys::map::Mapping;
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

/// So large that six fill a segment.
const LARGE: usize = 12_000;
/// Calls in a step of the writer.
const BATCH: usize = 6;
const BATCHES: usize = 7;

/// Sites 1 to 3: repeats, spared by their level, a share.
const SITES: [(Level, &str); 3] = [(Level::Info, "feed"), (Level::Error, "feed"), (Level::Info, "ticks")];

fn rules() -> Rules {
    Rules {
        per_interval: 1,
        interval: 50,
        burst: 2,
        sameness: Sameness::Arguments,
        spared_level: Level::Error as u8,
        spared: Vec::new(),
        shares: vec![("ticks".into(), Share::Every(3))],
        seed: 0,
    }
}

/// A process that samples.
fn start() -> Process {
    Process::start(2, &SITES, 4, |estate, writer| {
        let rules = rules();
        let dimensions = Sampler::dimensions(&rules, 8, 16);
        let file = crate::sys::file::create_new(&estate.live.join(folder::SAMPLING)).unwrap();
        file.set_len(dimensions.bytes() as u64).unwrap();
        let words = Words::new(Mapping::shared(&file, dimensions.bytes()).unwrap());
        writer.with_sampling(Sampler::create(words, dimensions, rules))
    })
}

/// One batch of calls, and the writer's step behind it.
fn batch(process: &mut Process, batch: usize) {
    for number in 0..BATCH {
        let turn = batch * BATCH + number;
        let site = [1, 1, 3, 1, 2, 1][number];
        // One message that repeats, one that does so later, and others that need its place.
        let argument = match number {
            0 | 1 => 7,
            3 => turn as u64,
            _ => (batch / 3) as u64,
        };
        process.call(number % 2, site, argument, if site == 2 { LARGE } else { 8 });
    }
    process.step();
}

/// What a journal tells: records by ring, in their order, and counts of summaries by site and cause.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
struct Told {
    records: BTreeMap<u16, Vec<u32>>,
    left_out: BTreeMap<(u32, u32), u64>,
}

fn read(journal: &Path) -> Told {
    let (mut told, mut summaries) = (Told::default(), 0);
    for_each_frame(journal, |frame| {
        if frame.ring != WRITER_RING {
            told.records.entry(frame.ring).or_default().push(frame.seq);
        } else if frame.kind() == Some(Kind::Suppressed) {
            summaries += 1;
            assert_eq!(frame.seq, summaries, "each summary once");
            let key = (u32_at(frame.payload, 0), u32_at(frame.payload, 4));
            *told.left_out.entry(key).or_default() += u64_at(frame.payload, 8);
        } else {
            assert_ne!(frame.kind(), Some(Kind::Dropped));
        }
    });
    told
}

/// What is told of the first `batches` when nobody is killed before they are written.
fn expected(batches: usize) -> Told {
    let mut process = start();
    (0..batches).for_each(|number| batch(&mut process, number));
    let told = read(&recover(&process, &[]));
    let calls = (batches * BATCH) as u64;
    let records: usize = told.records.values().map(Vec::len).sum();
    assert_eq!(records as u64 + told.left_out.values().sum::<u64>(), calls);
    told
}

/// Kills the writer at a point; `None` when it gets through before that.
fn killed_at(point: u64) -> Option<(Process, usize)> {
    let mut process = start();
    let mut at = 0;
    let through = until_killed(Some(point), || {
        while at < BATCHES {
            batch(&mut process, at);
            at += 1;
        }
    });
    through.is_none().then_some((process, at))
}

#[test]
fn without_its_state_what_is_left_is_written_and_the_loss_stated() {
    let mut process = start();
    batch(&mut process, 0);
    fs::write(process.folder.path().join(folder::SAMPLING), [7; 4096]).unwrap();
    (0..5).for_each(|argument| process.call(0, 1, argument / 5, 8));
    let journal = process.folder.path().join("journal");
    fs::create_dir(&journal).unwrap();
    assert_eq!(process.estate.settle(RealDisk::open(&journal).unwrap()).unwrap().0, 5);
    let bytes = fs::read(journal.join("00000001.seg")).unwrap();
    let said = b"the state of sampling was damaged";
    assert!(bytes.windows(said.len()).any(|window| window == said));
}

#[test]
fn a_kill_at_any_store_of_sampling_changes_nothing() {
    let expected: Vec<Told> = (1..=BATCHES).map(expected).collect();
    let all = expected.last().unwrap();
    assert!(all.left_out.len() >= 2 && all.left_out.values().all(|count| *count > 2), "{all:?}");
    let mut points = 0;
    while let Some((process, batch)) = killed_at(points) {
        // Every third time its successor is killed too, early or late.
        let kills: &[u64] = match points % 9 {
            2 => &[points % 7, points % 5],
            5 => &[points % 61],
            8 => &[points % 199, points % 31, 0],
            _ => &[],
        };
        assert_eq!(
            read(&recover(&process, kills)),
            expected[batch],
            "killed at {points} in batch {batch}, then at {kills:?}"
        );
        points += 1;
    }
    println!("{points} points");
    assert!(points > 1000, "{points}");
}
