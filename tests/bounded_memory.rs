//! Whatever stands in the files, who reads them takes no more memory than [`BASE_BYTES`] and [`TIMES`] what there is to
//! read, inflated; and of a compressed file never more than [`MOST_BYTES`], however much it inflates to.
//!
//! The bytes that are allocated at the same time are counted, by thread.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that fails says so")]

use flate2::{Compression, write::GzEncoder};
use proptest::prelude::*;
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tachograph::reader::dir::LogDir;
use tachograph::reader::follow::{Follower, Start, Until};
use tachograph::reader::live::Live;
use tachograph::reader::mark::Mark;
use tachograph::segment::append::encode_frame;
use tachograph::segment::layout::{Header, WRITER_RING};
use tachograph::verify::{Report, verify};
use tachograph::view::{Checkpoint, Cursor};
use tachograph::{Config, info, start_isolated};
use tempfile::TempDir;

/// Windows, buffers to inflate into, tables by number: what is taken for a few bytes already.
const BASE_BYTES: usize = 24 << 20;
/// An entry of 40 bytes for a frame of 24, what a vector has in reserve, and twice that while it grows.
const TIMES: usize = 8;
/// What waits for its watermark is limited, to 64 MiB, and so are small files: three times that while a vector grows.
const MOST_BYTES: usize = 256 << 20;

thread_local! {
    /// Bytes of this thread that are allocated, and the most that were, while it is watched.
    static WATCHED: Cell<Option<(isize, isize)>> = const { Cell::new(None) };
}

struct Counting;

fn count(bytes: isize) {
    let _ = WATCHED.try_with(|it| {
        it.set(it.get().map(|(now, most)| (now + bytes, most.max(now + bytes))));
    });
}

// SAFETY: all is passed on to the system's allocator; counting allocates nothing.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size().cast_signed());
        // SAFETY: the caller's promises are passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, place: *mut u8, layout: Layout) {
        count(-layout.size().cast_signed());
        // SAFETY: the caller's promises are passed on.
        unsafe { System.dealloc(place, layout) }
    }

    unsafe fn realloc(&self, place: *mut u8, layout: Layout, bytes: usize) -> *mut u8 {
        // Both are there while it is copied.
        count(bytes.cast_signed());
        count(-layout.size().cast_signed());
        // SAFETY: the caller's promises are passed on.
        unsafe { System.realloc(place, layout, bytes) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// The most bytes that this thread had allocated at the same time while `f` ran.
fn most(f: impl FnOnce()) -> usize {
    WATCHED.set(Some((0, 0)));
    f();
    WATCHED.take().map_or(0, |(_, most)| most).cast_unsigned()
}

fn allowed(bytes: usize) -> usize {
    (BASE_BYTES + TIMES * bytes).min(MOST_BYTES)
}

/// Reads a log directory as `tacho` and a view do, and checks it.
fn read(dir: &Path) -> usize {
    most(|| {
        for until in [Until::Now, Until::Forever] {
            let Ok(mut follower) = LogDir::open(dir).and_then(|dir| Follower::open(dir, until, Start::First)) else {
                return;
            };
            while follower.advance() {
                assert!(follower.current().is_some());
            }
            let _ = follower.poll();
        }
        let mut report = Report::default();
        let _ = verify(dir, &mut report, &mut |_| {});
    })
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// A log directory with one file in one journal.
fn directory(name: &str, bytes: &[u8]) -> TempDir {
    let root = TempDir::new().unwrap();
    let folder = root.path().join(".journal/a");
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join(name), bytes).unwrap();
    root
}

fn header() -> Vec<u8> {
    let header = Header {
        process: [1; 16],
        number: 1,
        salt: 7,
        ticks: 0,
        unix_ns: 0,
        ticks_per_s: 1_000_000_000,
        boot: [1; 16],
        flags: 0,
    };
    header.encode().to_vec()
}

/// Frames with right checksums, and anything in them.
fn frames() -> impl Strategy<Value = Vec<u8>> {
    let ring = prop_oneof![3 => Just(WRITER_RING), 2 => 0..3_u16, 1 => any::<u16>()];
    let site = prop_oneof![4 => 0..12_u32, 1 => (1_u32 << 20) - 4..1 << 20, 1 => any::<u32>(), 1 => u32::MAX - 4..];
    let word = prop_oneof![0..8_u32, (1_u32 << 20) - 2..(1 << 20) + 2, any::<u32>()];
    let payload = proptest::collection::vec(word, 0..20);
    let frame = (ring, site, prop_oneof![0..4_u32, any::<u32>()], 0..9_u64, payload);
    proptest::collection::vec(frame, 0..200).prop_map(|frames| {
        let mut bytes = header();
        for (ring, site, seq, ticks, payload) in frames {
            let payload: Vec<u8> = payload.into_iter().flat_map(u32::to_le_bytes).collect();
            encode_frame(&mut bytes, 7, ring, ticks, site, seq, &payload);
        }
        bytes
    })
}

/// What a process left on disk and in shared memory: paths below one root, and bytes.
fn left_behind() -> &'static [(PathBuf, Vec<u8>)] {
    static LEFT: std::sync::OnceLock<Vec<(PathBuf, Vec<u8>)>> = std::sync::OnceLock::new();
    LEFT.get_or_init(|| {
        let root = TempDir::new().unwrap();
        let (logs, shm) = (root.path().join("logs"), root.path().join("shm"));
        fs::create_dir(&shm).unwrap();
        let config = Config::new(&logs).shm_dir(&shm).segments(4_usize).segment_bytes(64_usize << 10);
        let config = config.record_bytes_max(4096_usize).ring_bytes(64_usize << 10).rings_spare(1_usize);
        let tacho = start_isolated(config.table_bytes(64_usize << 10)).unwrap();
        (0..3_000).for_each(|n| info!(logger: tacho, target: "orders", order_id = n; "order {n} of many"));
        tacho.flush(Duration::from_secs(60)).unwrap();
        let (mut left, mut folders) = (Vec::new(), vec![root.path().to_owned()]);
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).unwrap().flatten() {
                let path = entry.path();
                if path.is_dir() {
                    folders.push(path);
                } else if let Ok(bytes) = fs::read(&path) {
                    left.push((path.strip_prefix(root.path()).unwrap().to_owned(), bytes));
                }
            }
        }
        left.sort();
        assert!(left.iter().any(|(path, _)| path.ends_with("control")), "{left:?}");
        left
    })
}

/// Puts down what was left, somewhere else, and changed.
fn put_down(changes: &[(prop::sample::Index, prop::sample::Index, u8)]) -> (TempDir, usize) {
    let root = TempDir::new().unwrap();
    let left = left_behind();
    let live = left.iter().find(|(path, _)| path.ends_with("control")).unwrap().0.parent().unwrap();
    let mut all = 0;
    for (index, (path, bytes)) in left.iter().enumerate() {
        let mut bytes = bytes.clone();
        if path.file_name().is_some_and(|name| name == "shm") {
            bytes = format!("{}\n", root.path().join(live).display()).into_bytes();
        }
        for (_, at, value) in changes.iter().filter(|(file, _, _)| file.index(left.len()) == index) {
            match (value, bytes.len()) {
                (_, 0) => {}
                (0..16, length) => bytes.truncate(at.index(length)),
                (_, length) => bytes[at.index(length)] = *value,
            }
        }
        all += bytes.len();
        let path = root.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }
    (root, all)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn segments_of_any_bytes(bytes in proptest::collection::vec(any::<u8>(), 0..4000), with_header: bool) {
        let bytes = if with_header { [header(), bytes].concat() } else { bytes };
        for (name, file) in [("00000001.seg", bytes.clone()), ("00000001.seg.gz", gzip(&bytes))] {
            let root = directory(name, &file);
            let taken = read(root.path());
            prop_assert!(taken <= allowed(bytes.len()), "{taken} bytes for {}", bytes.len());
        }
    }

    #[test]
    fn segments_of_any_frames(
        bytes in frames(),
        changes in proptest::collection::vec(any::<(prop::sample::Index, u8)>(), 0..4),
    ) {
        let mut packed = packed(&bytes);
        for (at, value) in &changes {
            let at = at.index(packed.len());
            packed[at] = *value;
        }
        let files = [("00000001.seg", bytes.clone()), ("00000001.seg.gz", gzip(&bytes)), ("00000001.seg.gz", packed)];
        for (name, file) in files {
            let root = directory(name, &file);
            let taken = read(root.path());
            prop_assert!(taken <= allowed(bytes.len()), "{taken} bytes for {}", bytes.len());
        }
    }

    #[test]
    fn what_a_process_left_changed_anywhere(
        changes in proptest::collection::vec(any::<(prop::sample::Index, prop::sample::Index, u8)>(), 0..12),
    ) {
        let (root, bytes) = put_down(&changes);
        let taken = read(&root.path().join("logs"));
        prop_assert!(taken <= allowed(bytes), "{taken} bytes for {bytes}");
    }

    #[test]
    fn small_things_of_any_bytes(
        bytes in proptest::collection::vec(any::<u8>(), 0..600),
        head in proptest::collection::vec(any::<u32>(), 0..4),
    ) {
        let head: Vec<u8> = head.into_iter().flat_map(u32::to_le_bytes).collect();
        let bytes = [head, bytes].concat();
        let with_magic = [b"TACHOCK1".as_slice(), &bytes].concat();
        let taken = most(|| {
            let _ = (Cursor::decode(&bytes), Mark::decode(&bytes), Header::decode(&bytes));
            let _ = (Checkpoint::decode(&bytes), Checkpoint::decode(&with_magic));
        });
        prop_assert!(taken <= 1024 + TIMES * bytes.len(), "{taken} bytes for {}", bytes.len());
        let root = TempDir::new().unwrap();
        let control = root.path().join("control");
        let (_, real) = left_behind().iter().find(|(path, _)| path.ends_with("control")).unwrap();
        let real: Vec<u8> = real.iter().enumerate().map(|(at, byte)| if at < 64 { *byte } else { bytes[at % bytes.len().max(1)..].first().copied().unwrap_or(0) }).collect();
        for page in [&bytes, &real] {
            fs::write(&control, page).unwrap();
            let taken = most(|| {
                let Ok(Some(mut live)) = Live::open(root.path(), rustix::process::geteuid().as_raw()) else { return };
                for number in live.numbers().unwrap_or_default() {
                    let _ = live.read(number, 0, 4096, &mut Vec::new());
                }
            });
            prop_assert!(taken <= BASE_BYTES / 16, "{taken} bytes for a control page");
        }
    }

    #[test]
    fn settings_of_any_text(text in r#"(\[\[?[a-z]{0,6}\]?\]|[a-z_]{1,16} = ("[a-z0-9 ]{0,20}"|[0-9]{1,20}|\[{0,40})|.{0,20}|\n){0,40}"#) {
        let root = TempDir::new().unwrap();
        let file = root.path().join("tachograph.toml");
        fs::write(&file, &text).unwrap();
        let taken = most(|| drop(Config::from_file(&file)));
        prop_assert!(taken <= (1 << 20) + 64 * text.len(), "{taken} bytes for {}", text.len());
    }
}

#[test]
fn a_gzip_bomb_is_read_in_bounded_memory() {
    const BYTES: usize = 96 << 20;
    let bomb = |unit: &[u8], start: &[u8]| {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(start).unwrap();
        let block = unit.repeat((1 << 20) / unit.len());
        (0..BYTES / block.len()).for_each(|_| encoder.write_all(&block).unwrap());
        encoder.finish().unwrap()
    };
    let mut frame = Vec::new();
    encode_frame(&mut frame, 7, 3, 1, 1, 9, &[]);
    let mut note = Vec::new();
    encode_frame(&mut note, 7, WRITER_RING, 1, 10, 0, &[0; 16]);
    let mut unknown = Vec::new();
    encode_frame(&mut unknown, 7, WRITER_RING, 1, 99, 0, &[0; 40]);
    for (what, unit, start) in [
        ("a frame of an unknown kind over and over", unknown, header()),
        ("zeros", vec![0; 64], Vec::new()),
        ("zeros behind a header", vec![0; 64], header()),
        ("one record over and over", frame, header()),
        ("one note over and over", note, header()),
    ] {
        let packed = bomb(&unit, &start);
        assert!(packed.len() < BYTES / 20, "{what}: {} bytes", packed.len());
        let root = directory("00000001.seg.gz", &packed);
        let taken = read(root.path());
        println!("{what}: {} bytes inflate to {BYTES}, read with {taken}", packed.len());
        assert!(taken <= MOST_BYTES, "{what}: {taken} bytes");
    }
}

#[test]
fn a_packed_segment_is_read_in_bounded_memory() {
    const BYTES: usize = 32 << 20;
    let mut frame = Vec::new();
    encode_frame(&mut frame, 7, 3, 1, 1, 9, &[]);
    for (what, unit) in [("one record over and over", frame), ("zeros", vec![0; 64])] {
        let segment = [header(), unit.repeat(BYTES / unit.len())].concat();
        let packed = packed(&segment);
        assert!(packed.len() < BYTES / 500, "{what}: {} bytes", packed.len());
        let root = directory("00000001.seg.gz", &packed);
        let taken = read(root.path());
        println!("{what}: {} bytes unpack to {BYTES}, read with {taken}", packed.len());
        assert!(taken <= MOST_BYTES, "{what}: {taken} bytes");
    }
}

fn packed(segment: &[u8]) -> Vec<u8> {
    tachograph::segment::packed::pack(segment, tachograph::compress::Codec::Gzip(3)).unwrap()
}

#[test]
fn files_larger_than_any_of_ours_are_not_read_whole() {
    let root = directory("00000001.seg", &header());
    let sparse = |name: &str| fs::File::create(root.path().join(name)).unwrap().set_len(8 << 30).unwrap();
    for name in [".journal/configuration", ".journal/views", ".journal/cursor", ".journal/a/shm", ".journal/id"] {
        sparse(name);
        let taken = read(root.path());
        println!("{name}: {taken}");
        assert!(taken <= MOST_BYTES, "{name}: {taken} bytes");
        fs::remove_file(root.path().join(name)).unwrap();
    }
    sparse("tachograph.toml");
    let taken = most(|| drop(Config::from_file(root.path().join("tachograph.toml"))));
    assert!(taken <= MOST_BYTES, "a configuration of 8 GiB: {taken} bytes");
}

#[test]
fn the_counter_counts() {
    assert_eq!(most(|| drop(std::hint::black_box(vec![1_u8; 1000]))), 1000);
    assert!(most(|| drop(std::hint::black_box((0..1000_u32).collect::<std::collections::BTreeSet<_>>()))) > 4000);
}
