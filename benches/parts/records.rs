//! Records: bytes to text and back.

use super::common::TEXT;
use criterion::{BatchSize, Criterion, Throughput};
use std::hint::black_box;
use tachograph::Level;
use tachograph::format::json::JsonFormat;
use tachograph::format::line::LineFormat;
use tachograph::format::pattern::TextFormat;
use tachograph::reader::record::{Body, CallSite, Position, RecordRef, Thread};
use tachograph::record::encoded::Encoded;
use tachograph::segment::append::encode_frame;
use tachograph::segment::scan::{Item, Scanner, Tail};

pub(crate) fn all(criterion: &mut Criterion) {
    encode(criterion);
    format(criterion);
    scan(criterion, &example());
}

fn example() -> Encoded {
    let i = 12_345_678_u64;
    tachograph::__encode!(1024; "Logging iteration: {}, int: {}, double: {}, {}", i, i ^ 1, i as f64, TEXT)
}

fn format(criterion: &mut Criterion) {
    let encoded = example();
    let site = CallSite::decode(&encoded.definition).unwrap();
    let expected = "Logging iteration: 12345678, int: 12345679, double: 12345678, ORDER-ACCEPTED-XNAS-AAPL-0012345";
    let mut message = String::new();
    site.plan.message(&encoded.payload, &mut message).unwrap();
    assert_eq!(message, expected);

    let mut group = criterion.benchmark_group("format");
    group.throughput(Throughput::Elements(1));
    group.bench_function("message from its bytes", |bencher| {
        bencher.iter(|| {
            message.clear();
            site.plan.message(black_box(&encoded.payload), &mut message).unwrap();
            message.len()
        });
    });
    group.bench_function("format! of the same", |bencher| {
        bencher.iter(|| {
            let i = black_box(12_345_678_u64);
            format!("Logging iteration: {}, int: {}, double: {}, {}", i, i ^ 1, i as f64, black_box(TEXT))
        });
    });
    let thread = Thread { name: "bench".to_owned(), tid: 1 };
    let record = RecordRef {
        unix_ns: 1_795_176_000_000_000_000,
        ticks: 1,
        level: Level::Info,
        target: "bench",
        process: "bench",
        thread: &thread,
        ring: 0,
        seq: 1,
        position: Position::default(),
        late: false,
        flight: false,
        recovered: false,
        body: Body::Message { site: &site, payload: &encoded.payload },
    };
    let formats: [(&str, &mut dyn LineFormat); 2] =
        [("text line", &mut TextFormat::default()), ("JSON line", &mut JsonFormat::default())];
    for (name, format) in formats {
        let mut line = Vec::new();
        format.line(&record, &mut line);
        assert!(String::from_utf8(line.clone()).unwrap().contains(expected), "{name}");
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                line.clear();
                format.line(black_box(&record), &mut line);
                line.len()
            });
        });
    }
    group.finish();
}

/// Frames out of the bytes of a segment.
fn scan(criterion: &mut Criterion, encoded: &Encoded) {
    const FRAMES: u32 = 10_000;
    const SALT: u32 = 7;
    let mut bytes = Vec::new();
    (0..FRAMES).for_each(|seq| encode_frame(&mut bytes, SALT, 0, u64::from(seq), 1, seq, &encoded.payload));
    let count = |bytes: &[u8]| {
        let frames = Scanner::new(bytes, 128, SALT, Tail::Final).filter(|item| matches!(item, Item::Frame { .. }));
        frames.count()
    };
    assert_eq!(count(&bytes), FRAMES as usize);
    let mut group = criterion.benchmark_group("decode");
    group.throughput(Throughput::Elements(u64::from(FRAMES)));
    group.bench_function("scan frames, checksums included", |bencher| bencher.iter(|| count(black_box(&bytes))));
    group.finish();
}

fn encode(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("encode");
    group.throughput(Throughput::Elements(1));
    // With a definition and two vectors each time: an upper bound. `inside` has the call as the ring takes it.
    group.bench_function("definition and payload on the heap", |bencher| {
        bencher.iter_batched(|| (), |()| black_box(example()), BatchSize::SmallInput);
    });
    group.finish();
}
