//! Parts that are not public: checksum, ring, writer, sampling.

use super::common::machine::{cores, pin};
use crate::numbers;
use criterion::{Criterion, Throughput};
use std::hint::black_box;
use std::time::{Duration, Instant};
use tachograph::testing::bench::{Appending, crc, ns_per_tick, seq, transfer};

pub(crate) fn all(criterion: &mut Criterion) {
    checksum(criterion);
    call(criterion);
    two_threads(criterion);
    append(criterion);
    sampling(criterion);
}

const RING_BYTES: usize = 4 << 20;
/// Records that fit into a ring.
const BATCH: u64 = 50_000;
/// Records of a transfer between two threads.
const TRANSFER: u64 = 2_000_000;

fn checksum(criterion: &mut Criterion) {
    assert_ne!(crc(b"123456789"), crc(b"123456788"));
    let mut group = criterion.benchmark_group("CRC-32C");
    for bytes in [64, 200, 4096] {
        let data = vec![0x5a; bytes];
        group.throughput(Throughput::Bytes(bytes as u64));
        group.bench_function(format!("{bytes} bytes"), |bencher| bencher.iter(|| crc(black_box(&data))));
    }
    group.finish();
}

/// Encodes and stores calls, and takes them out again on the same thread: no other core is in play.
fn call(criterion: &mut Criterion) {
    let (sender, mut receiver) = transfer(RING_BYTES);
    let mut group = criterion.benchmark_group("ring, one thread");
    group.throughput(Throughput::Elements(BATCH));
    group.bench_function("encode, TSC, store, commit; taken out untimed", |bencher| {
        bencher.iter_custom(|iterations| {
            let mut total = Duration::ZERO;
            for _ in 0..iterations {
                let begin = Instant::now();
                (0..BATCH).for_each(|i| numbers!(logger: sender, i));
                total += begin.elapsed();
                assert_eq!(receiver.drain(|frame| _ = black_box(frame)), BATCH);
            }
            total
        });
    });
    group.finish();
}

/// The same from one core to another.
fn two_threads(criterion: &mut Criterion) {
    let count = if super::common::quick() { BATCH } else { TRANSFER };
    let other = cores().1;
    let mut group = criterion.benchmark_group("ring, two threads");
    group.throughput(Throughput::Elements(count)).sample_size(10);
    group.bench_function("transfer until all are taken", |bencher| {
        bencher.iter_custom(|iterations| {
            let mut total = Duration::ZERO;
            for _ in 0..iterations {
                let (sender, mut receiver) = transfer(RING_BYTES);
                let begin = Instant::now();
                std::thread::scope(|scope| {
                    scope.spawn(move || {
                        pin(cores().0);
                        (0..count).for_each(|i| numbers!(logger: sender, i));
                    });
                    scope.spawn(move || {
                        if let Some(core) = other {
                            pin(core);
                        }
                        let mut taken = 0;
                        while taken < count {
                            let mut expected = taken as u32;
                            taken += receiver.drain(|frame| {
                                assert_eq!(seq(frame), expected, "in order, none missing");
                                expected += 1;
                            });
                            std::hint::spin_loop();
                        }
                    });
                });
                total += begin.elapsed();
            }
            total
        });
    });
    group.finish();
}

/// What the writer does with records that wait.
fn append(criterion: &mut Criterion) {
    let mut writer = Appending::new(RING_BYTES, 4, 16 << 20);
    let i = 0_u64;
    writer.define(&tachograph::__encode!(1024; "Logging iteration: {}, int: {}, double: {}", i, i ^ 1, i as f64));
    let mut group = criterion.benchmark_group("writer");
    group.throughput(Throughput::Elements(BATCH));
    group.bench_function("drain, checksum, append, publish", |bencher| {
        bencher.iter_custom(|iterations| {
            let mut total = Duration::ZERO;
            for _ in 0..iterations {
                (0..BATCH).for_each(|i| numbers!(logger: writer.sender(), i));
                let begin = Instant::now();
                let records = writer.step();
                total += begin.elapsed();
                assert_eq!(records, BATCH);
            }
            total
        });
    });
    group.finish();
    assert!(writer.bytes() >= BATCH * 48);
}

/// The same with sampling: messages that are all different, and one that repeats.
fn sampling(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("sampling");
    group.throughput(Throughput::Elements(BATCH));
    for (name, distinct) in [("all different: judged and appended", true), ("all the same: judged and counted", false)]
    {
        let per_minute = (60e9 / ns_per_tick()) as u64;
        let mut writer = Appending::new(RING_BYTES, 4, 16 << 20).sampling(per_minute);
        let i = 0_u64;
        writer.define(&tachograph::__encode!(1024; "Logging iteration: {}, int: {}, double: {}", i, i ^ 1, i as f64));
        group.bench_function(name, |bencher| {
            bencher.iter_custom(|iterations| {
                let mut total = Duration::ZERO;
                for round in 0..iterations {
                    let base = round * BATCH;
                    (0..BATCH).for_each(|i| numbers!(logger: writer.sender(), if distinct { base + i } else { 7 }));
                    let begin = Instant::now();
                    let records = writer.step();
                    total += begin.elapsed();
                    assert_eq!(records, BATCH);
                }
                total
            });
        });
    }
    group.finish();
}
