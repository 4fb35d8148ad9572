//! Sources and the follower, on journals in a directory and control pages written by hand.

use super::archive::Archive;
use super::dir::LogDir;
use super::follow::{Follower, HOLD_MAX, REFRESH_INTERVAL, Start, Until};
use super::live::Owner;
use super::record::Body;
use super::source::{Extent, Source as _};
use super::testing::*;
use crate::segment::layout::HEADER_BYTES;
use crate::shm::control::{CONTROL_BYTES, Control, MAGIC, Slot, VERSION};
use flate2::{Compression, write::GzEncoder};
use std::fs::{self, File};
use std::io::Write as _;
use std::mem::offset_of;
use std::path::{Path, PathBuf};
use std::thread::sleep;
use tempfile::TempDir;

const SEGMENT_BYTES: usize = 64 << 10;
const SLOTS: usize = 4;

/// A process as others see it: its folder, its live memory, its lock.
struct Host {
    folder: PathBuf,
    shm: PathBuf,
    control: Vec<u8>,
    lock: Option<File>,
}

impl Host {
    fn new(root: &Path, name: &str) -> Self {
        let (folder, shm) = (root.join("logs/.journal").join(name), root.join("shm").join(name));
        fs::create_dir_all(&folder).unwrap();
        fs::create_dir_all(&shm).unwrap();
        fs::write(folder.join("shm"), format!("{}\n", shm.display())).unwrap();
        let lock = File::create(shm.join("lock")).unwrap();
        assert!(crate::sys::file::try_lock(&lock, true).unwrap());
        let mut host = Self { folder, shm, control: vec![0; CONTROL_BYTES], lock: Some(lock) };
        host.word(offset_of!(Control, identity.magic), MAGIC);
        host.word(offset_of!(Control, identity.version), u64::from(VERSION));
        host.word(offset_of!(Control, identity.slots), SLOTS as u64);
        host.word(offset_of!(Control, identity.segment_bytes), SEGMENT_BYTES as u64);
        host
    }

    fn word(&mut self, at: usize, value: u64) {
        self.control[at..at + 8].copy_from_slice(&value.to_le_bytes());
        fs::write(self.shm.join("control"), &self.control).unwrap();
    }

    fn watermark(&mut self, ticks: u64) {
        self.word(offset_of!(Control, writer.watermark), ticks);
    }

    /// Puts a segment into a slot, over what is left of its last use.
    fn live(&mut self, slot: usize, number: u64, bytes: &[u8], sealed: bool) {
        let at = offset_of!(Control, slots) + slot * size_of::<Slot>();
        self.word(at, 0);
        let path = self.shm.join(format!("live.{slot}"));
        let mut memory = fs::read(&path).unwrap_or_else(|_| vec![0x5a; SEGMENT_BYTES]);
        memory[..bytes.len()].copy_from_slice(bytes);
        memory[bytes.len()..bytes.len() + 8].fill(0);
        fs::write(path, memory).unwrap();
        self.word(at + offset_of!(Slot, end), if sealed { bytes.len() as u64 } else { 0 });
        self.word(at, number);
    }

    fn free(&mut self, slot: usize) {
        self.word(offset_of!(Control, slots) + slot * size_of::<Slot>(), 0);
    }

    fn archive(&self, number: u64, bytes: &[u8]) {
        fs::write(self.folder.join(format!("{number:08}.seg")), bytes).unwrap();
    }

    fn compress(&self, number: u64) {
        let plain = self.folder.join(format!("{number:08}.seg"));
        fs::write(self.folder.join(format!("{number:08}.seg.gz")), gzip(&fs::read(&plain).unwrap())).unwrap();
        fs::remove_file(plain).unwrap();
    }
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn take(follower: &mut Follower) -> Vec<String> {
    let mut lines = Vec::new();
    while follower.advance() {
        let record = follower.current().unwrap();
        lines.push(match record.body {
            Body::Message { site, payload } => {
                let mut text = String::new();
                site.plan.message(payload, &mut text).unwrap();
                text
            }
            Body::Damage { bytes } => format!("damage {bytes}"),
            _ => "other".to_owned(),
        });
    }
    lines
}

fn open(root: &TempDir, until: Until) -> Follower {
    Follower::open(LogDir::open(&root.path().join("logs")).unwrap(), until, Start::First).unwrap()
}

fn orders(range: std::ops::Range<u64>) -> Vec<String> {
    range.map(|n| format!("order {n}")).collect()
}

#[test]
fn a_journal_is_followed_from_live_memory_to_the_archive_and_its_compression() {
    let root = TempDir::new().unwrap();
    let mut host = Host::new(root.path(), "a");
    let mut journal = JournalBuilder::new(1);
    let mut follower = open(&root, Until::Forever);
    let mut seen = Vec::new();
    let mut n = 0;
    for round in 0..60_u64 {
        for _ in 0..3 {
            journal.record(0, 100 + n, n);
            n += 1;
        }
        let number = journal.header.number;
        host.live(number as usize % SLOTS, number, &journal.bytes, false);
        host.watermark(100 + n - 1);
        if round % 2 == 0 {
            follower.poll().unwrap();
            seen.extend(take(&mut follower));
            assert_eq!(seen, orders(0..n), "shown before anything is archived");
        }
        if round % 5 == 4 {
            journal.roll();
            let (number, bytes) = journal.done.last().unwrap();
            host.live(*number as usize % SLOTS, *number, bytes, true);
            // The worker lags by some segments; what it has archived, it compresses later.
            for (number, bytes) in &journal.done {
                match journal.header.number - number {
                    2 => {
                        host.archive(*number, bytes);
                        host.free(*number as usize % SLOTS);
                    }
                    4 => host.compress(*number),
                    _ => {}
                }
            }
        }
    }
    follower.poll().unwrap();
    seen.extend(take(&mut follower));
    assert_eq!(seen, orders(0..n));
    let tallies: Vec<_> =
        follower.about().map(|about| (about.tally.damaged_bytes, about.tally.missing_segments)).collect();
    assert_eq!(tallies, [(0, 0)]);
    // A reader that begins now has it all from three places.
    assert_eq!(take(&mut open(&root, Until::Now)), orders(0..n));
}

#[test]
fn a_slow_reader_goes_on_in_the_archive_where_it_was_in_live_memory() {
    let root = TempDir::new().unwrap();
    let mut host = Host::new(root.path(), "a");
    let mut journal = JournalBuilder::new(1);
    for n in 0..10 {
        journal.record(0, n + 1, n);
    }
    host.live(0, 1, &journal.bytes, false);
    host.watermark(10);
    let mut follower = open(&root, Until::Forever);
    assert_eq!(take(&mut follower), orders(0..10));
    for n in 10..30 {
        journal.record(0, n + 1, n);
    }
    journal.roll();
    host.archive(1, &journal.done[0].1);
    host.compress(1);
    for n in 30..40 {
        journal.record(0, n + 1, n);
    }
    // The slot holds the next segment, over the bytes of the one that is being read.
    host.live(0, 2, &journal.bytes, false);
    host.watermark(40);
    follower.poll().unwrap();
    assert_eq!(take(&mut follower), orders(10..40));
}

#[test]
fn nothing_of_a_living_process_goes_out_before_its_watermark_unless_it_stands_still() {
    let root = TempDir::new().unwrap();
    let (mut one, mut two) = (Host::new(root.path(), "a"), Host::new(root.path(), "b"));
    let (mut journal_one, mut journal_two) = (JournalBuilder::new(1), JournalBuilder::new(2));
    journal_one.record(0, 10, 1);
    journal_one.record(0, 30, 3);
    journal_two.record(0, 20, 2);
    one.live(0, 1, &journal_one.bytes, false);
    two.live(0, 1, &journal_two.bytes, false);
    one.watermark(30);
    two.watermark(15);
    let mut follower = open(&root, Until::Forever);
    assert_eq!(take(&mut follower), orders(1..2));
    follower.poll().unwrap();
    assert_eq!(take(&mut follower), orders(0..0));
    sleep(HOLD_MAX);
    follower.poll().unwrap();
    assert_eq!(take(&mut follower), orders(2..4));
}

#[test]
fn owners_are_known_by_their_lock_and_new_processes_are_found() {
    let root = TempDir::new().unwrap();
    let mut host = Host::new(root.path(), "a");
    let mut journal = JournalBuilder::new(1);
    journal.record(0, 1, 0);
    host.live(0, 1, &journal.bytes, false);
    let source = LogDir::open(&root.path().join("logs")).unwrap().processes().unwrap()[0].source();
    assert_eq!((source.owner(), source.is_live()), (Owner::Alive, true));
    let mut follower = open(&root, Until::Forever);
    assert_eq!(take(&mut follower), orders(0..0), "no watermark yet");
    host.lock = None;
    let other = Host::new(root.path(), "b");
    let mut late = JournalBuilder::new(2);
    late.record(0, 2, 1);
    other.archive(1, &late.bytes);
    sleep(REFRESH_INTERVAL);
    fs::remove_dir_all(&other.shm).unwrap();
    follower.poll().unwrap();
    assert_eq!(take(&mut follower), orders(0..1), "nothing says that the other one is dead");
    sleep(HOLD_MAX);
    follower.poll().unwrap();
    assert_eq!(take(&mut follower), orders(1..2));
    let mut owners: Vec<Owner> = follower.about().map(|about| about.owner).collect();
    owners.sort_by_key(|owner| *owner as u8);
    assert_eq!(owners, [Owner::Dead, Owner::Unknown]);
}

#[test]
fn hostile_live_memory_is_refused_and_the_archive_read() {
    let root = TempDir::new().unwrap();
    let mut host = Host::new(root.path(), "a");
    let mut journal = JournalBuilder::new(1);
    journal.record(0, 1, 0);
    host.archive(1, &journal.bytes);
    for (at, value) in [
        (offset_of!(Control, identity.slots), u64::MAX),
        (offset_of!(Control, identity.segment_bytes), u64::MAX),
        (offset_of!(Control, identity.magic), 7),
    ] {
        let before = host.control.clone();
        host.word(at, value);
        let mut follower = open(&root, Until::Now);
        assert_eq!(take(&mut follower), orders(0..1));
        let about = follower.about().next().unwrap();
        assert!(!about.live && about.live_error.is_some(), "{about:?}");
        host.control = before;
    }
    let slot = offset_of!(Control, slots);
    host.word(slot, 1);
    host.word(slot + offset_of!(Slot, end), u64::MAX);
    fs::write(host.shm.join("live.0"), [0; 100]).unwrap();
    take(&mut open(&root, Until::Now));
    // Links are not followed, neither here nor there.
    fs::remove_file(host.shm.join("control")).unwrap();
    std::os::unix::fs::symlink("/etc/passwd", host.shm.join("control")).unwrap();
    let mut follower = open(&root, Until::Now);
    assert_eq!(take(&mut follower), orders(0..1));
    assert!(follower.about().next().unwrap().live_error.is_some());
    fs::remove_file(host.folder.join("00000001.seg")).unwrap();
    std::os::unix::fs::symlink("/etc/passwd", host.folder.join("00000001.seg")).unwrap();
    let mut follower = open(&root, Until::Now);
    assert_eq!(take(&mut follower), orders(0..0));
    assert!(follower.about().next().unwrap().error.unwrap().contains("00000001.seg"));
}

#[test]
fn a_dead_process_ends_where_its_archive_ends() {
    let root = TempDir::new().unwrap();
    let mut host = Host::new(root.path(), "a");
    host.lock = None;
    fs::remove_file(host.shm.join("control")).unwrap();
    let mut journal = JournalBuilder::new(1);
    journal.record(0, 1, 0);
    let whole = journal.bytes.len();
    journal.record(0, 2, 1);
    host.archive(1, &journal.bytes[..whole + 16]);
    assert_eq!(take(&mut open(&root, Until::Now)), ["order 0", "damage 16"]);
    assert_eq!(take(&mut open(&root, Until::Forever)), ["order 0"], "recovery may still bring more");
}

#[test]
fn compressed_segments_are_read_in_any_window_and_a_broken_one_as_far_as_it_goes() {
    let root = TempDir::new().unwrap();
    let host = Host::new(root.path(), "a");
    let mut journal = JournalBuilder::new(1);
    for n in 0..5_000 {
        journal.record(0, n + 1, n);
    }
    journal.roll();
    host.archive(1, &journal.done[0].1);
    host.compress(1);
    let whole = &journal.done[0].1;
    for window in [1, 7, 100, 4096, 70_000, 1 << 20] {
        let mut archive = Archive::folder(&host.folder);
        let mut bytes = Vec::new();
        while bytes.len() < whole.len().min(window * 3000) {
            let mut part = Vec::new();
            let offset = bytes.len() as u64;
            archive.read(1, offset, window, &mut part).unwrap();
            bytes.append(&mut part);
        }
        assert_eq!(bytes[..], whole[..bytes.len()], "window {window}");
        let mut again = Vec::new();
        let back = bytes.len().saturating_sub(1000);
        archive.read(1, back as u64, 500, &mut again).unwrap();
        assert_eq!(again[..], whole[back..(back + 500).min(whole.len())], "window {window}");
    }
    assert_eq!(take(&mut open(&root, Until::Now)), orders(0..5_000));
    let path = host.folder.join("00000001.seg.gz");
    let packed = fs::read(&path).unwrap();
    fs::write(&path, &packed[..packed.len() / 2]).unwrap();
    host.archive(2, &{
        let mut next = journal.clone();
        next.record(0, 6_000, 5_000);
        next.bytes
    });
    let seen = take(&mut open(&root, Until::Now));
    assert!(seen.len() > 1_000 && seen.len() < 5_000);
    assert!(seen[seen.len() - 2].starts_with("damage"), "{}", seen[seen.len() - 2]);
    assert_eq!(seen.last().unwrap(), "order 5000");
}

#[test]
fn segments_copied_alone_are_readable() {
    let root = TempDir::new().unwrap();
    let mut journal = JournalBuilder::new(1);
    for n in 0..30 {
        journal.record(0, n + 1, n);
        if n % 10 == 9 {
            journal.roll();
        }
    }
    let copies = root.path().join("copies");
    fs::create_dir(&copies).unwrap();
    fs::write(copies.join("second.seg"), &journal.done[1].1).unwrap();
    fs::write(copies.join("third.seg.gz"), gzip(&journal.done[2].1)).unwrap();
    let mut follower = Follower::open(LogDir::open(&copies).unwrap(), Until::Now, Start::First).unwrap();
    assert_eq!(take(&mut follower), orders(10..30));
    let dir = LogDir::files(vec![copies.join("third.seg.gz")]);
    assert_eq!(take(&mut Follower::open(dir, Until::Now, Start::First).unwrap()), orders(20..30));
    let mut noise = journal.done[0].1.clone();
    noise[..HEADER_BYTES].fill(1);
    fs::write(copies.join("noise.seg"), noise).unwrap();
    let mut follower = Follower::open(LogDir::open(&copies).unwrap(), Until::Now, Start::First).unwrap();
    let mut seen = take(&mut follower);
    seen.retain(|line| !line.starts_with("damage"));
    assert_eq!(seen, orders(0..30), "frames tell what the header does not");
    assert!(LogDir::open(&root.path().join("nowhere")).is_err());
    assert!(LogDir::open(root.path()).unwrap_err().to_string().contains("no journal"));
}

#[test]
fn since_begins_with_the_segment_that_matters_and_a_hole_is_counted() {
    let root = TempDir::new().unwrap();
    let host = Host::new(root.path(), "a");
    fs::remove_dir_all(&host.shm).unwrap();
    let mut journal = JournalBuilder::new(1);
    let second = 1_000_000_000;
    for n in 0..10_u64 {
        journal.record(0, n * 100 * second + 1, n);
        journal.roll();
    }
    for (number, bytes) in &journal.done {
        host.archive(*number, bytes);
    }
    let dir = LogDir::open(&root.path().join("logs")).unwrap();
    let since = START_NS + 650 * second as i64;
    let mut follower = Follower::open(dir.clone(), Until::Now, Start::Since(since)).unwrap();
    assert_eq!(take(&mut follower), orders(6..10));
    fs::remove_file(host.folder.join("00000008.seg")).unwrap();
    let mut follower = Follower::open(dir, Until::Now, Start::Since(since)).unwrap();
    assert_eq!(take(&mut follower), ["order 6", "order 8", "order 9"]);
    assert_eq!(follower.about().next().unwrap().tally.missing_segments, 1);
}

#[test]
fn a_missing_segment_says_which_is_next() {
    let root = TempDir::new().unwrap();
    let host = Host::new(root.path(), "a");
    let mut archive = Archive::folder(&host.folder);
    let mut out = Vec::new();
    assert_eq!(archive.read(1, 0, 100, &mut out).unwrap(), Extent::Missing { next: None });
    host.archive(5, &[1; 10]);
    assert_eq!(archive.read(1, 0, 100, &mut out).unwrap(), Extent::Missing { next: Some(5) });
    assert_eq!(archive.read(5, 0, 100, &mut out).unwrap(), Extent::Growing);
    assert_eq!(archive.read(5, 0, 4, &mut out).unwrap(), Extent::More);
    host.archive(6, &[]);
    assert_eq!(archive.read(5, 4, 100, &mut out).unwrap(), Extent::End);
}

#[test]
fn a_slot_that_is_used_again_while_it_is_read_gives_nothing_of_the_wrong_segment() {
    use std::os::unix::fs::FileExt as _;
    let root = TempDir::new().unwrap();
    let mut host = Host::new(root.path(), "a");
    host.live(0, 1, &[1; 4096], false);
    let control = File::options().write(true).open(host.shm.join("control")).unwrap();
    let memory = File::options().write(true).open(host.shm.join("live.0")).unwrap();
    let stop = std::sync::atomic::AtomicBool::new(false);
    let slot = offset_of!(Control, slots) as u64;
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for number in (2_u64..).take_while(|_| !stop.load(std::sync::atomic::Ordering::Relaxed)) {
                control.write_at(&0_u64.to_le_bytes(), slot).unwrap();
                memory.write_at(&[number as u8; 4096], 0).unwrap();
                control.write_at(&number.to_le_bytes(), slot).unwrap();
            }
        });
        // Ends the other thread when this one fails as well.
        let _stop = Stop(&stop);
        let uid = std::os::unix::fs::MetadataExt::uid(&root.path().metadata().unwrap());
        let mut live = super::live::Live::open(&host.shm, uid).unwrap().unwrap();
        let (mut good, mut tries) = (0, 0);
        while good < 2_000 && tries < 2_000_000 {
            tries += 1;
            let Some(number) = live.numbers().unwrap().first().copied() else { continue };
            let mut bytes = Vec::new();
            if live.read(number, 0, 4096, &mut bytes).unwrap().is_some() {
                good += 1;
                assert!(bytes.iter().all(|byte| *byte == number as u8), "bytes of another segment than {number}");
            }
        }
        assert!(good > 0, "the slot was never read");
    });
}

struct Stop<'a>(&'a std::sync::atomic::AtomicBool);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.store(true, std::sync::atomic::Ordering::Relaxed);
    }
}

/// Reads `packed` as a compressed segment: the records, and whether damage was stated.
fn read_packed(root: &TempDir, host: &Host, packed: &[u8]) -> (Vec<String>, bool) {
    fs::write(host.folder.join("00000001.seg.gz"), packed).unwrap();
    let mut follower = open(root, Until::Now);
    let (orders, other): (Vec<_>, Vec<_>) = take(&mut follower).into_iter().partition(|line| line.starts_with("order"));
    let lost = follower.about().any(|about| about.tally.damaged_bytes > 0);
    (orders, lost || other.iter().any(|line| line.starts_with("damage")))
}

/// A process that ended, whose one segment holds 40 records; the segment, and where each record ends in it.
fn ended_journal(root: &TempDir) -> (Host, Vec<u8>, Vec<usize>) {
    let mut host = Host::new(root.path(), "a");
    host.lock = None;
    fs::remove_dir_all(&host.shm).unwrap();
    let mut journal = JournalBuilder::new(1);
    let mut ends = Vec::new();
    for n in 0..40 {
        journal.record(0, n + 1, n);
        ends.push(journal.bytes.len());
    }
    (host, journal.bytes, ends)
}

#[test]
fn every_prefix_of_a_compressed_segment() {
    let root = TempDir::new().unwrap();
    let (host, bytes, ends) = ended_journal(&root);
    let packed = gzip(&bytes);
    assert_eq!(read_packed(&root, &host, &packed), (orders(0..40), false));
    for end in 1..packed.len() {
        let mut inflated = Vec::new();
        let _ = std::io::Read::read_to_end(&mut flate2::read::GzDecoder::new(&packed[..end]), &mut inflated);
        let whole = ends.iter().filter(|end| **end <= inflated.len()).count() as u64;
        let (read, damage) = read_packed(&root, &host, &packed[..end]);
        assert!(read.len() as u64 >= whole, "{end} of {}: {} of {whole} records", packed.len(), read.len());
        assert_eq!(read, orders(0..read.len() as u64), "the first {end} bytes");
        assert!(damage, "the first {end} bytes are not all, and nothing says so");
    }
}

#[test]
fn every_bit_of_a_compressed_segment_flipped() {
    let root = TempDir::new().unwrap();
    let (host, bytes, ends) = ended_journal(&root);
    let packed = gzip(&bytes);
    for bit in 0..packed.len() * 8 {
        let mut flipped = packed.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        let mut inflated = Vec::new();
        let _ = std::io::Read::read_to_end(&mut flate2::read::GzDecoder::new(&flipped[..]), &mut inflated);
        let same = inflated.iter().zip(&bytes).take_while(|(a, b)| a == b).count();
        let whole = ends.iter().filter(|end| **end <= same).count();
        let (read, damage) = read_packed(&root, &host, &flipped);
        assert!(read.len() >= whole, "bit {bit}: {} of {whole} records before the damage", read.len());
        assert_eq!(read[..whole], orders(0..whole as u64), "bit {bit}");
        // A changed distance copies whole frames, checksums and all, to where others were.
        let numbers: Vec<u64> = read.iter().map(|line| line.strip_prefix("order ").unwrap().parse().unwrap()).collect();
        assert!(numbers.is_sorted_by(|a, b| a < b) && numbers.last() < Some(&40), "bit {bit}: {numbers:?}");
        assert!(
            damage || read == orders(0..40),
            "bit {bit}: {} records, and nothing says that one is missing",
            read.len()
        );
    }
}
