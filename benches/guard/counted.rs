//! What is counted: runs under callgrind, which dumps its counters at marks.

use super::common::{TEXT, config};
use crate::{numbers, text};
use std::arch::asm;
use std::ffi::CString;
use std::hint::black_box;
use std::time::Duration;
use tachograph::format::line::LineFormat;
use tachograph::format::pattern::TextFormat;
use tachograph::reader::record::{Body, CallSite, Position, RecordRef, Thread};
use tachograph::testing::bench::Appending;
use tachograph::{Clock, Config, Idle, Level, prepare_thread, start};

/// Each case is counted with so many repetitions; the difference is that of one, times the difference.
pub(crate) const REPETITIONS: [u64; 2] = [1000, 3000];
const CLOSE_MAX: Duration = Duration::from_secs(120);

/// A request of callgrind: `callgrind.h` has their numbers.
#[repr(u64)]
enum Request {
    Zero = 0x4354_0001,
    DumpAt = 0x4354_0003,
    Start = 0x4354_0004,
    Stop = 0x4354_0005,
}

/// Asks callgrind for something; does nothing outside of it.
fn ask(request: Request, argument: u64) {
    let words = [request as u64, argument, 0, 0, 0, 0];
    // SAFETY: the rotations give `rdi` back its value, and exchanging a register with itself does nothing: to a processor this is no
    // operation. Valgrind knows the sequence, reads the words that `rax` points to, and answers in `rdx`.
    unsafe {
        asm!(
            "rol rdi, 3", "rol rdi, 13", "rol rdi, 61", "rol rdi, 51", "xchg rbx, rbx",
            in("rax") words.as_ptr(), inout("rdx") 0_u64 => _,
        );
    }
}

/// Counts `repeat` with both numbers of repetitions.
#[inline(always)]
fn count(name: &str, mut repeat: impl FnMut(u64)) {
    // Whatever happens once: call sites become known, pages and caches are there.
    repeat(100);
    for repetitions in REPETITIONS {
        let label = CString::new(format!("{name} #{repetitions}")).unwrap();
        ask(Request::Start, 0);
        ask(Request::Zero, 0);
        repeat(black_box(repetitions));
        ask(Request::DumpAt, label.as_ptr() as u64);
        ask(Request::Stop, 0);
    }
}

fn small(config: Config) -> Config {
    config.segments(4).segment_bytes(2 << 20).rings_spare(1)
}

pub(crate) fn all() {
    calls();
    coarse();
    line();
    step();
}

fn calls() {
    let dir = tempfile::tempdir().unwrap();
    let tacho = start(small(config(dir.path()))).unwrap();
    prepare_thread();
    count("call, (u64, u64, f64)", |n| (0..n).for_each(|i| numbers!(i)));
    count("call, 32-byte string", |n| (0..n).for_each(|i| text!(i, black_box(TEXT))));
    count("call, two typed fields", |n| {
        (0..n).for_each(|i| tachograph::info!(target: "bench", order_id = i, price = i as f64; "order filled"));
    });
    count("disabled call", |n| (0..n).for_each(|i| tachograph::debug!(target: "bench", "{}", i)));
    let health = tacho.health();
    assert_eq!(health.dropped, 0, "{health}");
    tacho.close(CLOSE_MAX).unwrap();
}

fn coarse() {
    let dir = tempfile::tempdir().unwrap();
    // A coarse clock needs a writer that does not sleep.
    let tacho = start(small(config(dir.path())).clock(Clock::Coarse).idle(Idle::Yield)).unwrap();
    prepare_thread();
    count("call, (u64, u64, f64), coarse clock", |n| (0..n).for_each(|i| numbers!(i)));
    tacho.close(CLOSE_MAX).unwrap();
}

/// A record to a line of text.
fn line() {
    let i = 12_345_678_u64;
    let encoded =
        tachograph::__encode!(1024; "Logging iteration: {}, int: {}, double: {}, {}", i, i ^ 1, i as f64, TEXT);
    let site = CallSite::decode(&encoded.definition).unwrap();
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
    let (mut format, mut out) = (TextFormat::default(), Vec::with_capacity(1 << 20));
    count("text line", |n| {
        for _ in 0..n {
            out.clear();
            format.line(black_box(&record), &mut out);
        }
    });
}

/// The writer: from the ring into the segment.
fn step() {
    let mut writer = Appending::new(1 << 20, 4, 2 << 20);
    let i = 0_u64;
    writer.define(&tachograph::__encode!(1024; "Logging iteration: {}, int: {}, double: {}", i, i ^ 1, i as f64));
    // The calls before it are not in the count: they are made outside of it.
    for repetitions in [100, REPETITIONS[0], REPETITIONS[1]] {
        (0..repetitions).for_each(|i| numbers!(logger: writer.sender(), i));
        let label = CString::new(format!("writer, a record #{repetitions}")).unwrap();
        ask(Request::Start, 0);
        ask(Request::Zero, 0);
        let records = writer.step();
        ask(Request::DumpAt, label.as_ptr() as u64);
        ask(Request::Stop, 0);
        assert_eq!(records, repetitions);
    }
}
