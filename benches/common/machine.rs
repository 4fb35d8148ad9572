//! Cores, CPU time, memory: what the machine is asked for and what it says.

use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

/// The cores of the process, as they were when this was first asked: a thread that is pinned sees its own only.
fn all_cores() -> &'static [usize] {
    static CORES: OnceLock<Vec<usize>> = OnceLock::new();
    CORES.get_or_init(|| core_affinity::get_core_ids().unwrap_or_default().iter().map(|core| core.id).collect())
}

/// The first core, for the producer, and the second, for back ends.
pub fn cores() -> (usize, Option<usize>) {
    let all = all_cores();
    (all.first().copied().unwrap_or(0), all.get(1).copied())
}

pub fn pin(core: usize) {
    cores();
    core_affinity::set_for_current(core_affinity::CoreId { id: core });
}

/// Lets the thread run on all cores of the machine that the process may use.
pub fn unpin() {
    // SAFETY: a zeroed `cpu_set_t` is an empty set.
    let mut all: libc::cpu_set_t = unsafe { std::mem::zeroed() };
    for core in 0..libc::CPU_SETSIZE as usize {
        // SAFETY: `core` is below the size of the set.
        unsafe { libc::CPU_SET(core, &mut all) };
    }
    // SAFETY: the set lives for the call; the kernel takes what of it the process may use.
    unsafe { libc::sched_setaffinity(0, size_of::<libc::cpu_set_t>(), &raw const all) };
}

/// CPU time of all threads of the process, in nanoseconds.
pub fn cpu_ns() -> u64 {
    used_ns(libc::RUSAGE_SELF)
}

/// CPU time of the calling thread, in nanoseconds.
pub fn thread_cpu_ns() -> u64 {
    used_ns(libc::RUSAGE_THREAD)
}

fn used_ns(who: libc::c_int) -> u64 {
    let mut usage = std::mem::MaybeUninit::<libc::rusage>::zeroed();
    // SAFETY: the place is a `rusage`, which the call fills.
    unsafe { libc::getrusage(who, usage.as_mut_ptr()) };
    // SAFETY: all zeros is a valid `rusage`, whatever the call did.
    let usage = unsafe { usage.assume_init() };
    let ns = |time: libc::timeval| time.tv_sec as u64 * 1_000_000_000 + time.tv_usec as u64 * 1000;
    ns(usage.ru_utime) + ns(usage.ru_stime)
}

/// A number of `/proc/self/status` in KiB: `VmHWM` is the most that was resident, `VmRSS` what is.
pub fn memory_kib(name: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix(name));
    line.and_then(|rest| rest.trim_start_matches(':').split_whitespace().next()?.parse().ok()).unwrap_or(0)
}

/// What figures should be read with.
pub fn machine() -> Value {
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let cpu = read("/proc/cpuinfo");
    let model =
        cpu.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": ")).map_or("unknown", |it| it.1);
    let memory = read("/proc/meminfo").split_whitespace().nth(1).and_then(|kib| kib.parse::<u64>().ok()).unwrap_or(0);
    json!({
        "cpu": model,
        "cores": all_cores().len(),
        "memory_gib": (memory as f64 / f64::from(1 << 20)).round(),
        "kernel": read("/proc/sys/kernel/osrelease").trim(),
        "load_before": read("/proc/loadavg").split_whitespace().next(),
        "unix_s": std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_or(0, |it| it.as_secs()),
    })
}

/// Writes figures to `<target>/bench/<name>.json`.
pub fn save(folder: &Path, name: &str, value: &Value) -> PathBuf {
    std::fs::create_dir_all(folder).unwrap();
    let path = folder.join(format!("{name}.json"));
    std::fs::write(&path, format!("{value:#}\n")).unwrap();
    path
}
