//! Limits of the process: open files, sizes of files.

use crate::driver::{Place, Run, good_child};
use std::fs;
use tachograph::{Mode, info};

fn set_limit(resource: libc::__rlimit_resource_t, limit: u64) -> u64 {
    let mut now = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the pointer is to a local value.
    assert_eq!(unsafe { libc::getrlimit(resource, &raw mut now) }, 0);
    let before = now.rlim_cur;
    now.rlim_cur = limit.min(now.rlim_max);
    // SAFETY: as above.
    assert_eq!(unsafe { libc::setrlimit(resource, &raw const now) }, 0);
    before
}

#[test]
fn no_more_open_files() {
    good_child("limits::no_more_open_files", || {
        let place = Place::new();
        let mut run = Run::start(place.config(), &place.dir);
        run.log_calmly(200);
        let open = fs::read_dir("/proc/self/fd").unwrap().count() as u64;
        let before = set_limit(libc::RLIMIT_NOFILE, open - 1);
        info!(logger: run.tacho, target: "another", "one");
        run.log_until_trouble("limit on open files");
        set_limit(libc::RLIMIT_NOFILE, before);
        run.wait_for_service();
        assert_eq!(crate::shared::lines(&run.dir, "another").len(), 1);
        run.close_with(1).assert_exact();
    });
}

#[test]
fn a_limit_on_file_sizes_below_the_segments() {
    good_child("limits::a_limit_on_file_sizes_below_the_segments", || {
        let place = Place::new();
        let mut run = Run::start(place.config(), &place.dir);
        run.log_calmly(200);
        let before = set_limit(libc::RLIMIT_FSIZE, 40 << 10);
        run.log_until_trouble("limit on file sizes");
        run.log_until("records are dropped", |health| health.dropped_full > 0);
        set_limit(libc::RLIMIT_FSIZE, before);
        run.wait_for_service();
        run.log_calmly(200);
        run.close().assert_exact();
    });
}

#[test]
fn views_are_rotated_before_they_meet_a_limit_on_file_sizes() {
    good_child("limits::views_are_rotated_before_they_meet_a_limit_on_file_sizes", || {
        let place = Place::new();
        let mut run = Run::start(place.config().view_bytes_max(1 << 20).view_compress(false), &place.dir);
        run.log_calmly(100);
        set_limit(libc::RLIMIT_FSIZE, 100 << 10);
        run.log_calmly(5000);
        assert_eq!(run.tacho.health().trouble, None);
        for file in fs::read_dir(&place.dir).unwrap().map(Result::unwrap) {
            assert!(file.metadata().unwrap().len() <= 100 << 10, "{:?}", file.path());
        }
        run.close().assert_all_there();
    });
}

#[test]
fn a_synchronous_logger_meets_a_limit_on_file_sizes_in_the_callers_thread() {
    good_child("limits::a_synchronous_logger_meets_a_limit_on_file_sizes_in_the_callers_thread", || {
        let place = Place::new();
        let mut run = Run::start(place.config().mode(Mode::Synchronous), &place.dir);
        run.log(100);
        let before = set_limit(libc::RLIMIT_FSIZE, 20 << 10);
        run.log_until_trouble("limit on file sizes");
        set_limit(libc::RLIMIT_FSIZE, before);
        run.wait_for_service();
        run.log(100);
        // The host's own writes still raise what they raise: the mask is as it was.
        let mut set = std::mem::MaybeUninit::<libc::sigset_t>::uninit();
        // SAFETY: the pointer is to a local value, which the call fills.
        unsafe { libc::pthread_sigmask(libc::SIG_BLOCK, std::ptr::null(), set.as_mut_ptr()) };
        // SAFETY: it was filled.
        assert_eq!(unsafe { libc::sigismember(set.as_ptr(), libc::SIGXFSZ) }, 0);
        run.close().assert_exact();
    });
}
