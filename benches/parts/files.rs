//! What the worker does with files: decisions on rotation and retention, and compression.

use super::common::numbers_line;
use criterion::{Criterion, Throughput};
use flate2::read::GzDecoder;
use std::hint::black_box;
use std::io::Read as _;
use tachograph::compress::{Codec, gzip};
use tachograph::disk::{Disk, MemDisk};
use tachograph::view::names::{Label, Part};
use tachograph::view::rotation::{Facts, Listing, Op, Settings, Slot, plan_rotation, plan_upkeep};

const MIB: u64 = 1 << 20;
const NOW_NS: i64 = 1_795_176_000_000_000_000;
/// Lines of the file that is compressed.
const LINES: u64 = 20_000;

pub(crate) fn all(criterion: &mut Criterion) {
    decisions(criterion);
    compress(criterion);
}

/// A view with ten compressed backups and a full file.
fn listing() -> Listing {
    let slot = |age: u32| Slot {
        gz: Some(Facts { bytes: MIB, mtime_ns: NOW_NS - i64::from(age) * 60_000_000_000 }),
        ..Slot::default()
    };
    let slots = (1..=10).map(|number| (Label::Number(number), slot(number))).collect();
    Listing { active_bytes: Some(10 * MIB), slots, temp: false }
}

fn settings() -> Settings {
    Settings {
        file_bytes_max: 10 * MIB,
        backups: 10,
        compress: Some(Codec::Gzip(3)),
        compress_delay_ns: 0,
        bytes_total_max: Some(17 * MIB),
        age_max_ns: None,
        period: None,
        dated: false,
    }
}

fn decisions(criterion: &mut Criterion) {
    let (listing, settings) = (listing(), settings());
    let renames = plan_rotation(&listing, &settings, NOW_NS);
    assert!(renames.contains(&Op::Rename { from: Part::Active, to: Part::Plain(Label::Number(1)) }), "{renames:?}");
    let deletions = plan_upkeep(&listing, &settings, false, NOW_NS);
    assert!(deletions.iter().any(|op| matches!(op, Op::Unlink { .. })), "the total is above its limit: {deletions:?}");
    let mut group = criterion.benchmark_group("decisions");
    group.bench_function("rotation of a view with ten backups", |bencher| {
        bencher.iter(|| plan_rotation(black_box(&listing), &settings, NOW_NS));
    });
    group.bench_function("retention of a view with ten backups", |bencher| {
        bencher.iter(|| plan_upkeep(black_box(&listing), &settings, false, NOW_NS));
    });
    group.finish();
}

fn compress(criterion: &mut Criterion) {
    let mut text = Vec::new();
    for i in 0..LINES {
        text.extend(
            format!("2026-11-20T14:37:58.{i:09}Z INFO     bench [main] {}\n", numbers_line(i * 7919)).into_bytes(),
        );
    }
    let disk = MemDisk::new();
    disk.outside_write("plain", &text);
    let source = disk.open_read("plain").unwrap();
    let once = |level| {
        let sink = disk.create_new("packed").unwrap();
        let summary = gzip(&disk, &source, &sink, level).unwrap();
        let packed = disk.bytes("packed").unwrap();
        disk.unlink("packed").unwrap();
        (summary, packed)
    };
    let mut back = Vec::new();
    GzDecoder::new(once(3).1.as_slice()).read_to_end(&mut back).unwrap();
    assert!(back == text, "what was inflated is what was compressed");
    let mut group = criterion.benchmark_group("gzip");
    group.throughput(Throughput::Bytes(text.len() as u64));
    for level in [1, 3, 6] {
        group.bench_function(format!("text, level {level}"), |bencher| bencher.iter(|| once(level).0));
    }
    group.finish();
}
