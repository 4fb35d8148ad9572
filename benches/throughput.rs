//! Records per second through the whole pipeline, and of the pure parts that anyone can call: encode, format, decode.
//!
//! Each measurement first checks that what it measures gives the right result.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic, reason = "a benchmark")]

mod common;

use common::{TEXT, config, cores, numbers_line, pin, read_journal};
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use std::hint::black_box;
use std::path::Path;
use std::time::{Duration, Instant};
use tachograph::format::json::JsonFormat;
use tachograph::format::line::LineFormat;
use tachograph::format::pattern::TextFormat;
use tachograph::reader::journal::Journal;
use tachograph::reader::record::{Body, CallSite, Position, RecordRef, Thread};
use tachograph::record::encoded::Encoded;
use tachograph::segment::append::encode_frame;
use tachograph::segment::scan::{Item, Scanner, Tail};
use tachograph::{Guard, Level, Overflow, prepare_thread, start};

/// Records of one end-to-end run.
const RECORDS: u64 = 1_000_000;
const FLUSH: Duration = Duration::from_secs(60);

fn example() -> Encoded {
    let i = 12_345_678_u64;
    tachograph::__encode!(1024; "Logging iteration: {}, int: {}, double: {}, {}", i, i ^ 1, i as f64, TEXT)
}

fn pure(criterion: &mut Criterion) {
    let encoded = example();
    let site = CallSite::decode(&encoded.definition).unwrap();
    let expected = "Logging iteration: 12345678, int: 12345679, double: 12345678, ORDER-ACCEPTED-XNAS-AAPL-0012345";
    let mut message = String::new();
    site.plan.message(&encoded.payload, &mut message).unwrap();
    assert_eq!(message, expected);

    let mut group = criterion.benchmark_group("pure");
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
    scan(criterion, &encoded);
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
    let _ = Journal::new("");
}

/// Logs `count` records from this thread.
fn log(count: u64) {
    (0..count).for_each(|i| numbers!(i));
}

/// A logger that loses nothing, and this thread made ready.
fn logger(dir: &Path) -> Guard {
    pin(cores().0);
    let tacho = start(config(dir).overflow(Overflow::Block).block_max(FLUSH)).unwrap();
    prepare_thread();
    tacho
}

/// All records are there, in order, with the right text.
fn check(dir: &Path, count: u64) {
    let mut next = 0;
    let (messages, dropped) = read_journal(dir, |i, line| {
        assert_eq!(i, next, "in order, none twice, none missing");
        assert_eq!(line, numbers_line(i));
        next += 1;
    });
    assert_eq!((messages, dropped), (count, 0));
    let text = std::fs::read_to_string(dir.join("bench.log")).unwrap();
    assert_eq!(text.lines().count() as u64, count);
    assert!(text.lines().enumerate().all(|(i, line)| line.contains(&numbers_line(i as u64))), "the view has them too");
}

fn end_to_end(criterion: &mut Criterion) {
    let quick = std::env::args().any(|arg| arg == "--test");
    let count = if quick { 10_000 } else { RECORDS };
    let dir = tempfile::tempdir().unwrap();
    let tacho = logger(dir.path());
    log(count);
    tacho.close(FLUSH).unwrap();
    check(dir.path(), count);

    let mut group = criterion.benchmark_group("end to end, one producer");
    group.throughput(Throughput::Elements(count)).sample_size(10).measurement_time(Duration::from_secs(10));
    for (name, done) in [
        ("journal, until readable by another process", in_journal as fn(&Guard, u64)),
        ("text on disk, flush included", |tacho, _| tacho.flush(FLUSH).unwrap()),
    ] {
        group.bench_function(name, |bencher| {
            bencher.iter_custom(|iterations| {
                let mut total = Duration::ZERO;
                for _ in 0..iterations {
                    let dir = tempfile::tempdir().unwrap();
                    let tacho = logger(dir.path());
                    let begin = Instant::now();
                    log(count);
                    done(&tacho, count);
                    total += begin.elapsed();
                    let health = tacho.health();
                    assert_eq!((health.written, health.dropped), (count, 0), "{health}");
                    tacho.close(FLUSH).unwrap();
                }
                total
            });
        });
    }
    group.finish();
}

/// Waits until the writer has published as many records.
fn in_journal(tacho: &Guard, count: u64) {
    while tacho.health().written < count {
        std::hint::spin_loop();
    }
}

fn encode(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("encode");
    group.throughput(Throughput::Elements(1));
    // With a definition and two vectors each time: an upper bound. `parts` has the call as the ring takes it.
    group.bench_function("definition and payload on the heap", |bencher| {
        bencher.iter_batched(|| (), |()| black_box(example()), BatchSize::SmallInput);
    });
    group.finish();
}

criterion_group!(benches, encode, pure, end_to_end);
criterion_main!(benches);
