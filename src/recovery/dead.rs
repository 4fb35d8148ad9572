//! A process within this one, up to its death, for tests of recovery: rings, live segments and a writer that is stepped.

use super::Estate;
use crate::callsite::SiteInfo;
use crate::clock::anchor::{Anchors, RATE_ONE};
use crate::disk::RealDisk;
use crate::level::Level;
use crate::record::definition::encode_site;
use crate::ring::handle::Handle;
use crate::ring::pool::Pool;
use crate::segment::append::frame_bytes;
use crate::segment::layout::{HEADER_BYTES, Header, Kind};
use crate::segment::live::LiveSegments;
use crate::segment::scan::{Frame, Item, Scanner, Tail};
use crate::shm::control::CONTROL_BYTES;
use crate::shm::control_page::ControlPage;
use crate::shm::foreign::Foreign;
use crate::shm::memory::LiveMemory;
use crate::shm::table::Table;
use crate::sys::map::Mapping;
use crate::testing::fuse::{self, Killed};
use crate::value::{Type, Types};
use crate::writer::journal::Origin;
use crate::writer::step::{Done, Pace, Stamp, Writer};
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

const SEGMENT_BYTES: usize = 64 << 10;
pub(super) const RING_BYTES: usize = 64 << 10;

/// A process that logs, up to its death.
pub(super) struct Process {
    pub(super) estate: Estate,
    pub(super) writer: Writer,
    clock: Box<AtomicU64>,
    pub(super) folder: tempfile::TempDir,
}

fn memory(bytes: usize) -> Mapping {
    let file = crate::sys::file::memory_file(c"estate", bytes).unwrap();
    Mapping::shared(&file, bytes).unwrap()
}

/// Where a sync costs nothing, if there is such a place.
fn folder() -> tempfile::TempDir {
    tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap()
}

impl Process {
    /// With `rings` rings and these call sites, numbered from 1, of which each takes a `u64`; `furnish` gets the folder and
    /// the writer.
    pub(super) fn start(
        rings: usize,
        sites: &[(Level, &'static str)],
        segments: usize,
        furnish: impl FnOnce(&Estate, Writer) -> Writer,
    ) -> Self {
        let folder = folder();
        let clock = Box::new(AtomicU64::new(1000));
        let pool = Pool::new(RING_BYTES);
        let anonymous = LiveMemory::new(None, u64::MAX);
        for _ in 0..rings {
            let (ring, called) = pool.take(&anonymous).unwrap();
            ring.arm(&raw const *clock, 16 << 10, called);
        }
        let table = Table::create(memory(64 << 10));
        for (number, (level, target)) in (1..).zip(sites) {
            let info = SiteInfo {
                level: *level,
                target: Some(target),
                module: "m",
                file: "f",
                line: 1,
                column: 1,
                format: "{}",
                fields: &[],
            };
            let types = Types { first: Some((&Type::U64, &Types { first: None })) };
            let bytes = encode_site(number, &info, &types, &mut []);
            assert!(table.append(Kind::Site as u32, bytes, |out| _ = encode_site(number, &info, &types, out)));
        }
        let segments = LiveSegments::new((0..segments).map(|_| memory(SEGMENT_BYTES)).collect(), SEGMENT_BYTES);
        let estate = Estate {
            unusable: Vec::new(),
            memory: Foreign { control: ControlPage::new(memory(CONTROL_BYTES)), health: None, segments },
            pool,
            table,
            live: folder.path().to_path_buf(),
            is_rebuilt: false,
        };
        let pace =
            Pace { order_wait: 0, slack: 0, stamp: Stamp::Counter, anchor_busy: u64::MAX, anchor_idle: u64::MAX };
        let origin = Origin { process: [1; 16], boot: [2; 16], ticks_per_s: 1_000_000_000, flags: 0 };
        let writer = furnish(&estate, Writer::new(origin, 0, Anchors::new(1000, 0, RATE_ONE), pace));
        Self { estate, writer, clock, folder }
    }

    /// A call of `site` on a ring, three ticks behind the last.
    pub(super) fn call(&self, ring: usize, site: u32, argument: u64, bytes: usize) {
        self.clock.fetch_add(3, Ordering::Relaxed);
        // SAFETY: the page lives as long as the ring, which the pool keeps; `start` armed it.
        let handle: &Handle = unsafe { &*self.estate.pool.ring(ring).unwrap().handle() };
        let fill = |out: *mut u8| {
            // SAFETY: every payload here has eight bytes at least.
            unsafe { out.cast::<u64>().write_unaligned(argument) };
        };
        let header = handle.header().unwrap();
        handle.producer.refresh(header, handle.capacity());
        // SAFETY: as above, and `fill` does not unwind.
        unsafe { handle.write(header, frame_bytes(bytes), true, site, fill) }.unwrap();
    }

    /// The writer's step behind all calls so far.
    pub(super) fn step(&mut self) -> Done {
        let now = self.clock.fetch_add(1, Ordering::Relaxed) + 1;
        self.clock.fetch_add(1, Ordering::Relaxed);
        self.writer.step(self.estate.ground(), now, || (0, 0))
    }

    /// The time.
    pub(super) fn now(&self) -> u64 {
        self.clock.load(Ordering::Relaxed)
    }
}

/// What `f` returns, or `None` where the fuse ended it after `points`.
pub(super) fn until_killed<T>(points: Option<u64>, f: impl FnOnce() -> T) -> Option<T> {
    fuse::set(points);
    let outcome = catch_unwind(AssertUnwindSafe(f));
    fuse::set(None);
    match outcome {
        Ok(done) => Some(done),
        Err(cause) => {
            assert!(cause.is::<Killed>(), "it failed by itself");
            None
        }
    }
}

/// Recovers a dead process, whose recovery is killed at the points `kills` in turn; returns the folder of its journal.
pub(super) fn recover(process: &Process, kills: &[u64]) -> PathBuf {
    let journal = process.folder.path().join("journal");
    fs::create_dir(&journal).unwrap();
    let settle = || process.estate.settle(RealDisk::open(&journal).unwrap()).unwrap();
    if !kills.iter().any(|kill| until_killed(Some(*kill), settle).is_some()) {
        settle();
    }
    journal
}

/// Calls `each` with every frame of a journal, which must be whole.
pub(super) fn for_each_frame(journal: &Path, mut each: impl FnMut(&Frame<'_>)) {
    let mut files: Vec<_> = fs::read_dir(journal).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    for file in files {
        let bytes = fs::read(&file).unwrap();
        let header = Header::decode(&bytes).unwrap();
        for item in Scanner::new(&bytes[HEADER_BYTES..], HEADER_BYTES as u64, header.salt, Tail::Final) {
            let Item::Frame { frame, .. } = item else { panic!("damage in {}", file.display()) };
            each(&frame);
        }
    }
}
