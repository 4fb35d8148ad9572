//! Packed segments in the archive: the same records as plain ones, and as many as are whole where they are damaged.

use super::archive::Archive;
use super::dir::LogDir;
use super::follow::{Follower, Start, Until};
use super::record::Body;
use super::source::{Extent, Source as _};
use super::testing::{COMPONENT, JournalBuilder, SITE, SITE_ERROR, SITE_OF_COMPONENT, payload};
use super::wanted::{Value, Wanted};
use crate::compress::Codec;
use crate::level::{Level, LevelFilter};
use crate::segment::layout::Kind;
use crate::segment::packed::{Chain, pack};
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::ops::Range;
use std::path::Path;
use tempfile::TempDir;

/// More than two blocks of them.
const RECORDS: u64 = 2_600;

/// A segment with that many orders, with a kilobyte behind each that nobody asks for.
fn segment() -> Vec<u8> {
    segment_of(RECORDS)
}

fn segment_of(records: u64) -> Vec<u8> {
    let mut journal = JournalBuilder::new(1);
    for n in 0..records {
        if n % 100 == 99 {
            journal.watermark(n);
        }
        let mut bytes = payload(n);
        bytes.extend((0..125).flat_map(|place| (n ^ place).wrapping_mul(0x9e37_79b9_7f4a_7c15).to_le_bytes()));
        journal.record_of(SITE, (n % 4) as u16, n + 1, &bytes);
    }
    journal.roll();
    journal.done.remove(0).1
}

/// What is read of a file: the numbers of the orders, and bytes of damage and where the first of them stand.
fn read(path: &Path) -> (Vec<u64>, u64, Option<u64>) {
    let dir = LogDir::files(vec![path.to_owned()]);
    let mut follower = Follower::open(dir, Until::Now, Start::First).unwrap();
    let (mut orders, mut stated) = (Vec::new(), 0);
    while follower.advance() {
        let record = follower.current().unwrap();
        match record.body {
            Body::Message { site, payload } => {
                let mut text = String::new();
                site.plan.message(payload, &mut text).unwrap();
                orders.push(text.strip_prefix("order ").unwrap().parse().unwrap());
            }
            Body::Damage { bytes } => stated += bytes,
            _ => panic!("neither an order nor damage"),
        }
    }
    let tally = follower.about().next().unwrap().tally;
    assert_eq!(stated, tally.damaged_bytes, "damage is counted and stated");
    (orders, stated, tally.damaged_at.map(|at| at.offset))
}

#[test]
fn blocks_without_anything_wanted_are_not_even_inflated() {
    let (root, segment) = (TempDir::new().unwrap(), segment_of(3 * RECORDS));
    let file = pack(&segment, Codec::Gzip(3)).unwrap();
    let path = root.path().join("00000001.seg.gz");
    // Orders with their times, bytes of damage, and how many blocks were passed over.
    let read = |file: &[u8], wanted: Wanted| {
        fs::write(&path, file).unwrap();
        let mut follower = Follower::open(LogDir::files(vec![path.clone()]), Until::Now, Start::First).unwrap();
        follower.set_wanted(wanted.clone());
        let mut found = Vec::new();
        while follower.advance() {
            let record = follower.current().unwrap();
            let in_time = (wanted.since_ns..=wanted.until_ns).contains(&record.unix_ns);
            if let (Body::Message { payload, .. }, true, true) =
                (&record.body, in_time, wanted.level.passes(record.level))
            {
                found.push((payload.to_vec(), record.unix_ns, record.late));
            }
        }
        let tally = follower.about().next().unwrap().tally;
        (found, tally.damaged_bytes, tally.blocks_passed)
    };
    let (all, damage, passed) = read(&file, Wanted::default());
    assert_eq!((all.len() as u64, damage, passed), (3 * RECORDS, 0, 0));
    let members = members(&file);
    assert!(members.len() >= 7, "{}", members.len());
    // The first block has the definitions, the last one the seal: both are read whatever is wanted.
    let last = members.len() - 1;
    let middle = members[last / 2].1.start * all.len() as u64 / segment.len() as u64;
    let middle_ns = all[middle as usize].1;
    let none = Wanted { level: LevelFilter::Critical, ..Wanted::default() };
    let since = Wanted { since_ns: middle_ns, ..Wanted::default() };
    let until = Wanted { until_ns: middle_ns, ..Wanted::default() };
    for (wanted, least) in [(&none, last - 1), (&since, last / 2 - 1), (&until, last / 2 - 1)] {
        let expected: Vec<_> = all
            .iter()
            .filter(|(_, ns, _)| (wanted.since_ns..=wanted.until_ns).contains(ns) && wanted.level == LevelFilter::Trace)
            .cloned()
            .collect();
        let (found, damage, passed) = read(&file, wanted.clone());
        assert!(found == expected, "{wanted:?}: {} of {}", found.len(), expected.len());
        assert_eq!(damage, 0, "{wanted:?}");
        assert!(passed as usize >= least && (passed as usize) < last, "{wanted:?}: {passed} of {}", members.len());
        // What is passed over could not be inflated: so it was not.
        let mut ruined = file.clone();
        let kept = |number: usize| match () {
            () if number == 0 || number == last => true,
            () if *wanted == none => false,
            () if *wanted == since => number + 1 >= last / 2,
            () => number <= last / 2 + 1,
        };
        for (number, (at, _)) in members.iter().enumerate().filter(|(number, _)| !kept(*number)) {
            let place = at.start + at.len() / 2;
            ruined[place] ^= 0x55;
            assert!(number > 0);
        }
        assert!(ruined != file);
        let (again, damage, _) = read(&ruined, wanted.clone());
        assert!(again == expected && damage == 0, "{wanted:?}: {damage} bytes of damage");
        assert!(read(&ruined, Wanted::default()).1 > 0, "who wants all meets the damage");
    }
}

/// Whoever wants some records gets those, as he would who reads all of them and looks at each.
#[test]
fn what_is_wanted_comes_as_if_all_was_read() {
    let mut journal = JournalBuilder::new(1);
    let named =
        |number: u32, name: &[u8]| [&number.to_le_bytes()[..], &(name.len() as u32).to_le_bytes(), name].concat();
    journal.own(Kind::Component, 0, &named(4, b"oms::router"));
    journal.own(Kind::Component, 0, &named(5, b"omsx"));
    for n in 0..60_000_u64 {
        let (ring, ticks) = ((n % 4) as u16, n * 11 + 1);
        match n % 10 {
            // Of the components 3, 4 and 5, and one that nobody defined.
            0..=5 => {
                let component = COMPONENT + (n * 7 % 4) as u32;
                journal.record_of(
                    SITE_OF_COMPONENT,
                    ring,
                    ticks,
                    &[&component.to_le_bytes()[..], &payload(n)].concat(),
                );
            }
            6 if (n / 10).is_multiple_of(40) => journal.record_of(SITE_ERROR, ring, ticks, &payload(n)),
            _ => journal.record(ring, ticks, n),
        }
    }
    journal.roll();
    let (root, segment) = (TempDir::new().unwrap(), journal.done.remove(0).1);
    let path = root.path().join("00000001.seg.gz");
    fs::write(&path, pack(&segment, Codec::Gzip(3)).unwrap()).unwrap();
    let read = |wanted: Wanted| {
        let mut follower = Follower::open(LogDir::files(vec![path.clone()]), Until::Now, Start::First).unwrap();
        follower.set_wanted(wanted);
        let mut found = Vec::new();
        while follower.advance() {
            let record = follower.current().unwrap();
            let Body::Message { site, payload } = record.body else { panic!("{:?}", record.body) };
            let mut order = String::new();
            site.plan.message(payload, &mut order).unwrap();
            found.push((record.unix_ns, record.late, record.seq, record.target.to_owned(), record.level, order));
        }
        assert_eq!(follower.about().next().unwrap().tally.damaged_bytes, 0);
        found
    };
    let all = read(Wanted::default());
    assert_eq!(all.len(), 60_000);
    let all_wanted = Wanted::default;
    let of = |targets: &[&str]| targets.iter().map(|target| (*target).to_owned()).collect();
    let value = |name: &str, texts: &[&str]| vec![Value { name: name.to_owned(), texts: of(texts) }];
    let cases = [
        (Wanted { level: LevelFilter::Error, ..all_wanted() }, 1),
        (Wanted { level: LevelFilter::Warn, targets: of(&["oms"]), ..all_wanted() }, 2),
        (Wanted { targets: of(&["oms::router", "risk"]), ..all_wanted() }, 2),
        (Wanted { targets: of(&["trades"]), ..all_wanted() }, 1),
        (Wanted { values: value("qty", &["1554", "119992", "119994", "-3", "x"]), ..all_wanted() }, 3),
        (Wanted { values: value("qty", &["1554.0"]), ..all_wanted() }, 60_000),
        (Wanted { values: value("size", &["1"]), ..all_wanted() }, 0),
    ];
    for (wanted, least) in cases {
        let takes = |(_, _, _, target, level, order): &&(i64, bool, u32, String, Level, String)| {
            let texts = wanted.values.first().map(|value| value.texts.as_slice());
            let qty = (2 * order.trim_start_matches("order ").parse::<u64>().unwrap()).to_string();
            wanted.level.passes(*level) && wanted.takes_target(target) && texts.is_none_or(|texts| texts.contains(&qty))
        };
        let found = read(wanted.clone());
        let expected: Vec<_> = all.iter().filter(takes).collect();
        assert!(found.iter().filter(takes).eq(expected.iter().copied()), "{wanted:?}: {}", found.len());
        // What nobody can be sure of comes along; nothing else does.
        let unsure =
            |(_, _, _, target, ..): &&(i64, bool, u32, String, Level, String)| target.contains('?') || least == 60_000;
        let along = found.iter().filter(|it| !takes(it)).filter(|it| !unsure(it)).count();
        assert!(along == 0 && found.len() >= least, "{wanted:?}: {along} of {}", found.len());
    }
}

/// The members of a packed file: where they are in the file, and what of the segment they hold.
fn members(file: &[u8]) -> Vec<(Range<usize>, Range<u64>)> {
    let root = TempDir::new().unwrap();
    let path = root.path().join("file");
    fs::write(&path, file).unwrap();
    let chain = Chain::walk(&File::open(path).unwrap(), file.len() as u64).unwrap().unwrap();
    assert!(chain.is_whole() && chain.spare.is_some());
    let blocks = chain.blocks.iter().map(|link| {
        let at = link.at as usize;
        (at..at + link.index.member_bytes as usize, u64::from(link.index.raw_at)..link.index.raw_end())
    });
    blocks.collect()
}

fn every() -> Vec<u64> {
    (0..RECORDS).collect()
}

fn codecs() -> Vec<(&'static str, Codec)> {
    let mut codecs = vec![("gz", Codec::Gzip(3))];
    if cfg!(feature = "zstd") {
        codecs.push(("zst", Codec::Zstd(3)));
    }
    codecs
}

#[test]
fn any_window_reads_the_bytes_of_the_segment() {
    let (root, segment) = (TempDir::new().unwrap(), segment());
    for (end, codec) in codecs() {
        let path = root.path().join(format!("00000001.seg.{end}"));
        fs::write(&path, pack(&segment, codec).unwrap()).unwrap();
        assert_eq!(read(&path), (every(), 0, None), "{end}");
        for window in [4096, 70_000, 1 << 20, 5 << 20] {
            let mut archive = Archive::files(BTreeMap::from([(1, path.clone())]));
            let mut bytes = Vec::new();
            loop {
                let mut part = Vec::new();
                let extent = archive.read(1, bytes.len() as u64, window, &mut part).unwrap();
                assert!(extent == Extent::End || part.len() == window, "{extent:?}");
                bytes.append(&mut part);
                if extent == Extent::End {
                    break;
                }
            }
            assert!(bytes == segment, "{end}, window {window}");
            let mut again = Vec::new();
            archive.read(1, 1_046_000, 4000, &mut again).unwrap();
            assert_eq!(again, segment[1_046_000..1_050_000], "backwards, over the edge of a block");
        }
    }
}

#[test]
fn damage_costs_the_block_it_is_in() {
    let (root, segment) = (TempDir::new().unwrap(), segment());
    for (end, codec) in codecs() {
        let file = pack(&segment, codec).unwrap();
        let path = root.path().join(format!("00000001.seg.{end}"));
        let members = members(&file);
        assert_eq!(members.len(), 3);
        let whole = |raw: &Range<u64>| {
            // Of a segment that ends there, what a reader makes.
            let cut = root.path().join("00000001.seg");
            let mut bytes = segment.clone();
            bytes[raw.start as usize..raw.end as usize].fill(0);
            let definitions = if raw.start == 0 { 2048 } else { 0 };
            bytes[..definitions].copy_from_slice(&segment[..definitions]);
            fs::write(&cut, &bytes).unwrap();
            read(&cut).0
        };
        for (number, (at, raw)) in members.iter().enumerate() {
            let mut wanted = whole(raw);
            if raw.start == 0 {
                // The records in the part that was kept for its definitions are gone with the block.
                wanted.retain(|order| *order > 100);
            }
            // In the index, at its start, in its midst, in its last byte; and all of it.
            let places = [at.start..at.start + 1, at.start + 40..at.start + 41, at.end - 1..at.end, at.clone()];
            for place in places.into_iter().chain(std::iter::once(at.start + at.len() / 2..at.start + at.len() / 2 + 1))
            {
                let mut damaged = file.clone();
                damaged[place.clone()].iter_mut().for_each(|byte| *byte ^= 0x55);
                fs::write(&path, &damaged).unwrap();
                let (orders, bytes, from) = read(&path);
                assert!(orders == wanted, "{end}: {place:?} of block {number}: {} of {}", orders.len(), wanted.len());
                let from = from.unwrap();
                assert!(raw.contains(&from) && from < raw.start + 4096, "{end}: block {number}: at {from}");
                assert!(from + bytes == raw.end || bytes == raw.end - from, "{end}: block {number}: {bytes} bytes");
            }
        }
    }
}

#[test]
fn a_file_that_was_cut_gives_the_blocks_that_are_left_and_says_so() {
    let (root, segment) = (TempDir::new().unwrap(), segment());
    let file = pack(&segment, Codec::Gzip(3)).unwrap();
    let path = root.path().join("00000001.seg.gz");
    let members = members(&file);
    for (number, (at, raw)) in members.iter().enumerate() {
        for end in [at.start, at.start + 30, at.end - 1] {
            if end == 0 || (number == 0 && end < at.end - 1) {
                continue;
            }
            fs::write(&path, &file[..end]).unwrap();
            let (orders, bytes, _) = read(&path);
            assert!(orders.iter().copied().eq(0..orders.len() as u64), "cut at {end}");
            assert_eq!(orders.is_empty(), number == 0, "cut at {end}");
            assert!(bytes > 0 || raw.is_empty(), "cut at {end}, and nothing says so");
        }
    }
    // Without the spare alone nothing is missing.
    fs::write(&path, &file[..members[2].0.end]).unwrap();
    assert_eq!(read(&path), (every(), 0, None));
}

#[test]
fn blocks_of_other_files_and_impossible_ones_are_passed_over() {
    let (root, segment) = (TempDir::new().unwrap(), segment());
    let file = pack(&segment, Codec::Gzip(3)).unwrap();
    let path = root.path().join("00000001.seg.gz");
    let members = members(&file);
    let mut other = JournalBuilder::new(2);
    (0..100).for_each(|n| other.record(0, n + 1, n));
    let foreign = pack(&other.bytes, Codec::Gzip(3)).unwrap();
    // A foreign member between, and the second block twice.
    let second = &file[members[1].0.clone()];
    let mixed = [&file[..members[1].0.start], &foreign, second, second, &file[members[2].0.start..]].concat();
    fs::write(&path, mixed).unwrap();
    assert_eq!(read(&path), (every(), 0, None));
}

#[cfg(not(feature = "zstd"))]
#[test]
fn without_the_feature_a_zstd_file_is_refused_clearly() {
    use crate::segment::packed::testing::zstd_head;
    let root = TempDir::new().unwrap();
    let path = root.path().join("00000001.seg.zst");
    fs::write(&path, zstd_head()).unwrap();
    let error = Archive::files(BTreeMap::from([(1, path.clone())])).read(1, 0, 100, &mut Vec::new()).unwrap_err();
    let said = error.to_string();
    assert!(said.contains("feature `zstd`") && said.contains(path.to_str().unwrap()), "{said}");
}
