//! Shared memory that is absent, full, too small, or beyond the limit of the memory control group.

use crate::support::{FLUSH, Place, child, good_child, is_child};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use tachograph::{Config, Health, info, start, start_isolated};

/// A tmpfs of a size limit, mounted in the directory of a test, and unmounted at its end.
struct Tmpfs(PathBuf);

impl Tmpfs {
    /// `None`, said loudly, where it may not be mounted.
    fn mount(path: &Path, size: &str) -> Option<Self> {
        fs::create_dir_all(path).unwrap();
        let options = format!("size={size}");
        let mount = Command::new("mount").args(["-t", "tmpfs", "-o", &options, "tmpfs"]).arg(path).output();
        match mount {
            Ok(output) if output.status.success() => Some(Self(path.to_owned())),
            other => {
                eprintln!("SKIPPED: a tmpfs of limited size cannot be mounted here: {other:?}");
                None
            }
        }
    }
}

impl Drop for Tmpfs {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

/// Starts a logger as configured, logs, reads it back; how it was.
fn logs(place: &Place, config: Config) -> Health {
    let tacho = start_isolated(config).unwrap();
    for number in 0..1_000 {
        info!(logger: tacho, target: "small", "{number}");
    }
    tacho.flush(FLUSH).unwrap();
    let health = tacho.health();
    assert_eq!((health.written, health.dropped, health.lost), (1_000, 0, 0), "{health}");
    tacho.close(FLUSH).unwrap();
    let expected: Vec<String> = (0..1_000).map(|number| number.to_string()).collect();
    assert_eq!(place.messages("small"), expected);
    health
}

/// A place of its own for each size, and the defaults there.
fn defaults_in(size: &str) -> Option<Health> {
    let place = Place::new();
    let shm = place.shm.join("tmpfs");
    let _tmpfs = Tmpfs::mount(&shm, size)?;
    let health = logs(&place, Config::new(&place.dir).shm_dir(&shm));
    assert_eq!(fs::read_dir(&shm).unwrap().count(), 0, "something is left in {size}");
    Some(health)
}

fn remark(health: &Health, text: &str) {
    assert!(health.remarks.iter().any(|remark| remark.contains(text)), "no {text:?} in {health}");
}

#[test]
fn the_defaults_fit_what_docker_gives() {
    let Some(health) = defaults_in("64m") else { return };
    assert!(health.survives_kill, "{health}");
    remark(&health, "shared memory is short");
}

#[test]
fn any_size_is_lived_with() {
    // In pages of 4 KiB there can be no tmpfs of none: that would be one without a limit.
    for size in ["4k", "64k", "1m", "4m", "8m", "12m", "16m", "24m", "32m", "48m"] {
        let Some(health) = defaults_in(size) else { return };
        if health.survives_kill {
            remark(&health, "shared memory is short");
        } else {
            remark(&health, "crash survival is off");
        }
        let mebibytes: u32 = size.trim_end_matches(['k', 'm']).parse().unwrap();
        assert_eq!(health.survives_kill, size.ends_with('m') && mebibytes >= 12, "{size}: {health}");
    }
}

#[test]
fn memory_that_others_filled_is_lived_with() {
    let place = Place::new();
    let shm = place.shm.join("tmpfs");
    let Some(_tmpfs) = Tmpfs::mount(&shm, "64m") else { return };
    fs::write(shm.join("others"), vec![1; 65 << 20]).unwrap_err();
    let health = logs(&place, Config::new(&place.dir).shm_dir(&shm));
    remark(&health, "crash survival is off");
    remark(&health, "--shm-size");
    // Filled while it runs: what was allocated at the start serves on.
    fs::remove_file(shm.join("others")).unwrap();
    let second = place.within("second");
    let tacho = start_isolated(Config::new(&second.dir).shm_dir(&shm)).unwrap();
    fs::write(shm.join("others"), vec![1; 65 << 20]).unwrap_err();
    std::thread::scope(|scope| {
        for thread in 0..8 {
            let tacho = &tacho;
            scope.spawn(move || {
                for number in 0..500 {
                    info!(logger: tacho, target: "filled", "{thread} {number}");
                }
            });
        }
    });
    tacho.flush(FLUSH).unwrap();
    let health = tacho.health();
    assert!(health.survives_kill, "{health}");
    assert_eq!(second.messages("filled").len() as u64, health.written);
    // Threads for which no ring could be made are counted.
    assert_eq!(health.written + health.dropped_without_ring, 4_000, "{health}");
}

#[test]
fn a_read_only_or_absent_directory_is_lived_with() {
    let place = Place::new();
    let shm = place.shm.join("tmpfs");
    let health = logs(&place, place.config().shm_dir(place.shm.join("absent")));
    remark(&health, "crash survival is off");
    remark(&health, "absent");
    let Some(_tmpfs) = Tmpfs::mount(&shm, "8m,mode=755") else { return };
    assert!(Command::new("mount").args(["-o", "remount,ro"]).arg(&shm).status().unwrap().success());
    let second = place.within("second");
    remark(&logs(&second, second.config().shm_dir(&shm)), "crash survival is off");
}

#[test]
fn the_cap_holds_for_the_living_and_the_dead() {
    let place = Place::new();
    let bytes = |place: &Place| -> u64 {
        fn sum(path: &Path) -> u64 {
            let entries = fs::read_dir(path).into_iter().flatten().flatten();
            let size = |path: PathBuf| if path.is_dir() { sum(&path) } else { fs::metadata(path).unwrap().len() };
            entries.map(|entry| size(entry.path())).sum()
        }
        sum(&place.shm)
    };
    let config = || Config::new(&place.dir).shm_dir(&place.shm).shm_bytes_max(40_u64 << 20);
    let first = start_isolated(config()).unwrap();
    assert!(first.health().survives_kill, "{}", first.health());
    let used = bytes(&place);
    assert!((20 << 20..=40 << 20).contains(&used), "{used}");
    let second = start_isolated(config()).unwrap();
    info!(logger: second, target: "capped", "one");
    assert!(bytes(&place) <= 40 << 20, "{}", bytes(&place));
    assert!(!second.health().remarks.is_empty(), "{}", second.health());
    second.close(FLUSH).unwrap();
    let begin = std::time::Instant::now();
    while place.messages("capped") != ["one"] {
        assert!(begin.elapsed() < FLUSH, "{}", first.health());
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
}

/// A memory control group with a limit; removed at the end.
struct Group(PathBuf);

/// Where a group of the process `pid` may be, and the file that limits it.
fn group_places(pid: u32, limit: u64) -> Vec<(PathBuf, &'static str)> {
    let own = fs::read_to_string("/proc/self/cgroup").unwrap();
    let place = |line: &str| {
        let mut parts = line.splitn(3, ':').skip(1);
        let (root, file) = match parts.next()? {
            "" => ("/sys/fs/cgroup", "memory.max"),
            "memory" => ("/sys/fs/cgroup/memory", "memory.limit_in_bytes"),
            _ => return None,
        };
        let own = Path::new(root).join(parts.next()?.trim_start_matches('/'));
        Some((own.join(format!("tacho-test-{pid}-{limit}")), file))
    };
    own.lines().filter_map(place).collect()
}

impl Group {
    /// `None`, said loudly, where none can be made.
    fn make(limit: u64) -> Option<Self> {
        for (path, file) in group_places(std::process::id(), limit) {
            if fs::create_dir(&path).is_ok() {
                let group = Self(path);
                if fs::write(group.0.join(file), limit.to_string()).is_ok() {
                    return Some(group);
                }
            }
        }
        eprintln!("SKIPPED: no memory control group can be made here");
        None
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        for _ in 0..100 {
            if fs::remove_dir(&self.0).is_ok() {
                return;
            }
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
    }
}

/// Logs with the defaults in a control group of that limit.
fn logs_within(test: &str, limit: u64) -> Option<Place> {
    let _group = if is_child() { None } else { Some(Group::make(limit)?) };
    Some(good_child(test, |place| {
        let groups = group_places(std::os::unix::process::parent_id(), limit);
        let (group, _) = groups.iter().find(|(path, _)| path.is_dir()).expect("the parent made it");
        fs::write(group.join("cgroup.procs"), std::process::id().to_string()).unwrap();
        let tacho = start(Config::new(&place.dir).shm_dir(&place.shm)).unwrap();
        for number in 0..1_000 {
            info!(target: "grouped", "{number}");
        }
        tacho.flush(FLUSH).unwrap();
        let health = tacho.health();
        let survives = if health.survives_kill { "survives" } else { "does not survive" };
        info!(target: "health", "{survives}: {}", health.remarks.join("; "));
        tacho.close(FLUSH).unwrap();
    }))
}

#[test]
fn a_memory_control_group_is_not_exceeded() {
    let test = "small::a_memory_control_group_is_not_exceeded";
    let Some(place) = logs_within(test, 64 << 20) else { return };
    let expected: Vec<String> = (0..1_000).map(|number| number.to_string()).collect();
    assert_eq!(place.messages("grouped"), expected);
    let health = place.messages("health").concat();
    assert!(health.starts_with("survives: ") && health.contains("shared memory is short"), "{health}");
}

#[test]
fn a_memory_control_group_that_is_too_small_costs_crash_survival_only() {
    let test = "small::a_memory_control_group_that_is_too_small_costs_crash_survival_only";
    let Some(place) = logs_within(test, 14 << 20) else { return };
    assert_eq!(place.messages("grouped").len(), 1_000);
    let health = place.messages("health").concat();
    assert!(health.starts_with("does not survive: ") && health.contains("crash survival is off"), "{health}");
}

#[test]
fn memory_that_cannot_be_locked_is_told() {
    let (_, output) = child("small::memory_that_cannot_be_locked_is_told", |place| {
        // SAFETY: a plain structure.
        let limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
        // SAFETY: the structure is whole.
        unsafe { libc::setrlimit(libc::RLIMIT_MEMLOCK, &raw const limit) };
        // SAFETY: as any program may; root may lock whatever the limit says.
        unsafe { libc::setuid(65_534) };
        let logs = std::env::temp_dir().join(format!("tacho-locked-{}", std::process::id()));
        let shm = PathBuf::from(format!("/dev/shm/tacho-locked-{}", std::process::id()));
        fs::create_dir(&shm).unwrap();
        let tacho = start(Config::new(&logs).shm_dir(&shm).segments(4).segment_bytes(512 << 10)).unwrap();
        let health = tacho.health();
        drop(tacho);
        fs::remove_dir_all(logs).unwrap();
        fs::remove_dir_all(shm).unwrap();
        assert!(!health.locked && health.to_string().contains("LimitMEMLOCK"), "{health}");
        let _ = place;
    });
    assert!(output.status.success(), "{output:?}");
}
