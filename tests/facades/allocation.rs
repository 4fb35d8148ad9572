//! Once a thread has logged what it logs, it allocates nothing any more.

use crate::support::{FLUSH, good_child};
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use tachograph::{facade, start};
use tracing_subscriber::layer::SubscriberExt as _;

thread_local! {
    /// Allocations of this thread while it is watched.
    static ALLOCATIONS: Cell<Option<u64>> = const { Cell::new(None) };
}

struct Counting;

// SAFETY: all is passed on to the system's allocator; counting allocates nothing.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let _ = ALLOCATIONS.try_with(|count| count.set(count.get().map(|count| count + 1)));
        // SAFETY: the caller's promises are passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, place: *mut u8, layout: Layout) {
        // SAFETY: the caller's promises are passed on.
        unsafe { System.dealloc(place, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn allocations(f: impl FnOnce()) -> u64 {
    ALLOCATIONS.set(Some(0));
    f();
    ALLOCATIONS.take().unwrap()
}

#[test]
fn the_steady_path_allocates_nothing() {
    good_child("allocation::the_steady_path_allocates_nothing", |place| {
        assert!(allocations(|| drop(std::hint::black_box(vec![1_u8]))) > 0, "the counter counts");
        let tacho = start(place.config()).unwrap();
        facade::log::install().unwrap();
        tracing::subscriber::set_global_default(tracing_subscriber::registry().with(facade::tracing::layer())).unwrap();
        let span = tracing::info_span!("span", order_id = 1);
        let name = String::from("order_watcher");
        let all = |n: u64| {
            log::info!("literal");
            log::info!(target: &name, n, px = 1.5, who = "N", why:? = n; "formatted {}", n);
            log::debug!("disabled {}", n);
            log::trace!("disabled {}", n);
            tracing::info!("literal");
            span.in_scope(
                || tracing::info!(target: "order_watcher", n, px = 1.5, who = "N", why = ?n, "formatted {n}"),
            );
            tracing::debug!(n, "disabled");
        };
        all(0);
        let later = allocations(|| (1..10_000).for_each(all));
        assert_eq!(later, 0, "drops included");
        tacho.flush(FLUSH).unwrap();
        assert_eq!(tacho.health().called(), 40_000);
    });
}
