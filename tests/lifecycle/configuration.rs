//! Configurations: from files, and wrong ones.

use crate::support::{FLUSH, Place, child};
use std::fs;
use tachograph::{Config, Idle, WriterCore, debug, info, start_isolated};

#[test]
fn a_file_configures_a_logger() {
    let place = Place::new();
    let path = place.dir.parent().unwrap().join("tacho.toml");
    let text = format!(
        "dir = {:?}\nlevels = 'warn,file=debug'\nring_bytes = '64 KiB'\nsegments = 3\nsegment_bytes = '256 KiB'\n\
         rings_spare = 0\norder_wait = '10 ms'\nclose_max = '1 min'\nsync = '100 ms'\nmemory = 'anonymous'\nmode = 'synchronous'\n\
         writer_core = 'unpinned'\nidle = 'yield'\nview_compress = false\ntable_bytes = 100_000\n",
        place.dir
    );
    fs::write(&path, text).unwrap();
    let tacho = start_isolated(Config::from_file(&path).unwrap()).unwrap();
    debug!(logger: tacho, target: "file", "debug");
    info!(logger: tacho, target: "other", "info");
    assert_eq!(place.messages("file"), ["debug"]);
    assert!(place.messages("other").is_empty());
    tacho.close(FLUSH).unwrap();
}

#[test]
fn a_wrong_file_is_an_error_that_says_where_and_what() {
    let place = Place::new();
    let path = place.dir.parent().unwrap().join("tacho.toml");
    let error = Config::from_file(&path).unwrap_err();
    assert!(error.is_io() && error.to_string().contains("tacho.toml"), "{error}");
    for (text, expected) in [
        ("dir = 'x'\nrnig_bytes = 1\n", "rnig_bytes"),
        ("dir = 'x'\nring_bytes = '64 furlongs'\n", "KiB"),
        ("dir = 'x'\nring_bytes = -1\n", "ring_bytes"),
        ("dir = 'x'\nring_bytes = 1.5\n", "ring_bytes"),
        ("dir = 'x'\norder_wait = '10'\n", "ms"),
        ("dir = 'x'\norder_wait = '-10 ms'\n", "ms"),
        ("dir = 'x'\nmode = 'later'\n", "later"),
        ("dir = 'x'\nlevel = 'loud'\n", "loud"),
        ("dir = 'x'\nclock = 'sun'\n", "sun"),
        ("dir = 'x'\nsync = 'sometimes'\n", "never"),
        ("dir = 'x'\nwriter_core = -1\n", "writer_core"),
        ("dir = 'x\n", "1"),
        ("", "dir"),
        ("\u{feff}\0", "tacho.toml"),
    ] {
        fs::write(&path, text).unwrap();
        let error = Config::from_file(&path).unwrap_err();
        let said = error.to_string();
        assert!(error.is_config() && said.contains("tacho.toml") && said.contains(expected), "{text:?}: {said}");
    }
    fs::write(&path, [0xff, 0xfe, 0x00]).unwrap();
    assert!(Config::from_file(&path).is_err());
}

#[test]
fn wrong_values_are_refused_before_anything_is_made() {
    let place = Place::new();
    let wrong: [(&str, Config); 9] = [
        ("writer_core", place.config().writer_core(WriterCore::Core(99_999))),
        ("writer_core", place.config().writer_core(WriterCore::Core(usize::MAX))),
        ("levels", place.config().levels("info,feed=loud")),
        ("ring_bytes", place.config().ring_bytes(100_000)),
        ("ring_bytes", place.config().ring_bytes(usize::MAX)),
        ("segments", place.config().segments(usize::MAX)),
        ("idle", place.config().idle(Idle::BusySpin).writer_core(WriterCore::Unpinned)),
        ("text_pattern", place.config().text_pattern("%Z{nonsense")),
        ("shm_bytes_max", place.config().shm_bytes_max(0)),
    ];
    for (field, config) in wrong {
        let error = start_isolated(config).unwrap_err();
        assert!(error.is_config() && error.to_string().contains(field), "{error}");
        assert!(!place.dir.exists(), "{field}: the directory was made");
        assert_eq!(place.live_folders(), 0, "{field}: something is left in shared memory");
    }
}

/// The cores that the thread of that name may run on.
fn cores_of(name: &str) -> String {
    for task in fs::read_dir("/proc/self/task").unwrap() {
        let task = task.unwrap().path();
        if fs::read_to_string(task.join("comm")).unwrap().trim() == name {
            let status = fs::read_to_string(task.join("status")).unwrap();
            let list = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:"));
            return list.unwrap().trim().to_owned();
        }
    }
    panic!("there is no thread {name}");
}

#[test]
fn started_by_a_pinned_thread_the_logger_goes_to_the_core_that_is_named_or_says_that_it_shares_one() {
    let cores = core_affinity::get_core_ids().unwrap();
    let [first, .., last] = cores.as_slice() else {
        eprintln!("SKIPPED: there is one core here");
        return;
    };
    let (first, last) = (*first, *last);
    let (_, output) = child(
        "configuration::started_by_a_pinned_thread_the_logger_goes_to_the_core_that_is_named_or_says_that_it_shares_one",
        |place| {
            assert!(core_affinity::set_for_current(first));
            let named = start_isolated(place.config().writer_core(WriterCore::Core(last.id))).unwrap();
            assert_eq!(named.health().writer_core, Some(last.id as u32));
            assert_eq!(cores_of("tacho-writer"), last.id.to_string());
            assert_ne!(cores_of("tacho-worker"), first.id.to_string());
            named.close(FLUSH).unwrap();
            let auto = start_isolated(place.within("auto").config()).unwrap();
            let remarks = auto.health().remarks;
            assert!(remarks.iter().any(|remark| remark.contains("writer_core")), "{remarks:?}");
            auto.close(FLUSH).unwrap();
        },
    );
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}
