//! A prepared thread allocates nothing, whatever it copies and however new the call site is.

use super::kinds::{self, Values};
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use tachograph::{Config, FlightRecorder, Level, WriterCore};

thread_local! {
    /// Allocations of this thread while it is watched.
    static ALLOCATIONS: Cell<Option<u64>> = const { Cell::new(None) };
}

struct Counting;

fn count() {
    // A thread that ends has no locals any more, and is watched by nobody.
    let _ = ALLOCATIONS.try_with(|count| count.set(count.get().map(|count| count + 1)));
}

// SAFETY: all is passed on to the system's allocator; counting allocates nothing.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: the caller's promises are passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, place: *mut u8, layout: Layout) {
        count();
        // SAFETY: the caller's promises are passed on.
        unsafe { System.dealloc(place, layout) }
    }

    unsafe fn realloc(&self, place: *mut u8, layout: Layout, bytes: usize) -> *mut u8 {
        count();
        // SAFETY: the caller's promises are passed on.
        unsafe { System.realloc(place, layout, bytes) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Calls of the allocator by this thread while `f` ran.
fn allocations(f: impl FnOnce()) -> u64 {
    ALLOCATIONS.set(Some(0));
    f();
    ALLOCATIONS.take().unwrap()
}

#[test]
fn a_prepared_thread_allocates_nothing_on_first_calls_and_later_ones() {
    assert!(allocations(|| drop(std::hint::black_box(vec![1_u8]))) > 0, "the counter counts");
    // Twice: what is not enabled first is remembered then.
    allocates_nothing(None);
    allocates_nothing(Some(FlightRecorder::new().trigger(Level::Warn)));
}

fn allocates_nothing(recorder: Option<FlightRecorder>) {
    let dir = tempfile::tempdir().unwrap();
    let remembered = u64::from(recorder.is_some());
    let config = Config::new(dir.path()).writer_core(WriterCore::Unpinned).flight_recorder(recorder);
    let tacho = tachograph::start(config).unwrap();
    let calls = std::thread::spawn(|| {
        let values = Values::new();
        tachograph::prepare_thread();
        // Not in `kinds`, which the other tests share: fields, components, and the other levels.
        let more = |i: u64| {
            tachograph::warn!(target: "hot", order_id = i, px = 1.5, venue = "XNAS"; "with fields");
            tachograph::error!(logger: values.risk, "of a component {}", i);
            tachograph::critical!("of the module {i}");
            tachograph::debug!("disabled {}", i);
            // Far longer than a record may be: cut.
            tachograph::info!(target: "hot", "{}", LONG);
        };
        let first = allocations(|| {
            (0..kinds::COUNT).for_each(|i| kinds::log(i, &values));
            more(0);
        });
        assert_eq!(first, 0, "at the first call of each call site");
        let later = allocations(|| {
            (0..100_000).for_each(|i| {
                kinds::log(i, &values);
                more(i);
            });
        });
        assert_eq!(later, 0, "drops included: {} calls are more than the ring holds", 500_000);
        kinds::COUNT + 4 + 100_000 * 5
    });
    let calls = calls.join().unwrap() + 100_001 * remembered;
    tacho.flush(std::time::Duration::from_secs(60)).unwrap();
    let health = tacho.health();
    assert_eq!(health.called(), calls, "{health}");
}

static LONG: &str = match str::from_utf8(&[b'x'; 20_000]) {
    Ok(text) => text,
    Err(_) => "",
};
