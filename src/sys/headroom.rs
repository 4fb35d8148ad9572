//! How much shared memory may be taken before it hurts.
//!
//! Touching tmpfs pages beyond the memory control group's limit is no error but an OOM kill, so both the file system's
//! room and the group's are asked before anything is allocated. A group's limit holds for all groups within it, so each
//! is asked up to the top of what can be seen; what lies above a container's own root cannot be.

use crate::clock::instant::is_simulated;
use std::ffi::CString;
use std::fs;
use std::io;
use std::mem::MaybeUninit;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// Of what a memory control group has left, bytes that stay for the program and for the worker's own heap.
const HEAP_BYTES: u64 = 8 << 20;

/// Bytes that can still be allocated under `folder`, by the file system and by the memory control group.
pub(crate) fn available_bytes(folder: &Path) -> io::Result<u64> {
    Ok(file_system_bytes(folder)?.min(control_group_bytes()))
}

/// Bytes free for this user in the file system of `path`.
// The fields differ in type over the platforms.
#[allow(clippy::unnecessary_cast)]
pub(crate) fn file_system_bytes(path: &Path) -> io::Result<u64> {
    let path = CString::new(path.as_os_str().as_bytes())?;
    let mut stat = MaybeUninit::<libc::statvfs>::zeroed();
    // SAFETY: the path is a C string and `stat` has room for the answer.
    if unsafe { libc::statvfs(path.as_ptr(), stat.as_mut_ptr()) } != 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: zeroed memory is a valid statvfs, and the call filled it.
    let stat = unsafe { stat.assume_init() };
    Ok((stat.f_bavail as u64).saturating_mul(stat.f_frsize as u64))
}

/// Bytes that may be taken of what the tightest memory control group around this process has left; all there are without
/// a limit.
pub(crate) fn control_group_bytes() -> u64 {
    if is_simulated() {
        return u64::MAX;
    }
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let groups = groups(&read("/proc/self/cgroup"), &read("/proc/self/mountinfo"));
    let least = groups.iter().flat_map(Group::up).filter_map(|folder| left_in(&folder)).min();
    least.map_or(u64::MAX, |bytes| bytes.saturating_sub(HEAP_BYTES))
}

/// A memory control group: its folder, and that of the topmost one that can be seen.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Group {
    folder: PathBuf,
    top: PathBuf,
}

impl Group {
    /// The folders of the group and of all around it.
    fn up(&self) -> impl Iterator<Item = PathBuf> {
        let depth = self.folder.components().count().saturating_sub(self.top.components().count());
        self.folder.ancestors().take(depth + 1).map(Path::to_path_buf).collect::<Vec<_>>().into_iter()
    }
}

/// The memory control groups of a process, by the texts of `/proc/self/cgroup` and `/proc/self/mountinfo`.
fn groups(cgroup: &str, mountinfo: &str) -> Vec<Group> {
    let mut groups = Vec::new();
    for line in cgroup.lines() {
        let mut parts = line.splitn(3, ':');
        let (Some(_), Some(controllers), Some(path)) = (parts.next(), parts.next(), parts.next()) else { continue };
        let unified = controllers.is_empty();
        if !unified && !controllers.split(',').any(|name| name == "memory") {
            continue;
        }
        for mount in mountinfo.lines().filter_map(Mount::parse).filter(|mount| mount.has_memory(unified)) {
            // The path is as seen from the root of the process's namespace of groups, as is the root of the mount. Where
            // one is not within the other, the mount shows a container's own groups under a name of the host.
            let within = Path::new(path).strip_prefix(mount.root).unwrap_or(Path::new(""));
            let plain = within.components().all(|part| matches!(part, std::path::Component::Normal(_)));
            let top = PathBuf::from(mount.point);
            let folder =
                if plain { within.iter().fold(top.clone(), |path, part| path.join(part)) } else { top.clone() };
            groups.push(Group { folder: if folder.is_dir() || cfg!(test) { folder } else { top.clone() }, top });
        }
    }
    groups
}

/// A line of mountinfo.
struct Mount<'a> {
    root: &'a str,
    point: &'a str,
    kind: &'a str,
    options: &'a str,
}

impl<'a> Mount<'a> {
    fn parse(line: &'a str) -> Option<Self> {
        let (here, there) = line.split_once(" - ")?;
        let mut here = here.split(' ').skip(3);
        let mut there = there.split(' ');
        let (root, point, kind) = (here.next()?, here.next()?, there.next()?);
        Some(Self { root, point, kind, options: there.nth(1).unwrap_or_default() })
    }

    fn has_memory(&self, unified: bool) -> bool {
        match self.kind {
            "cgroup2" => unified,
            "cgroup" => !unified && self.options.split(',').any(|option| option == "memory"),
            _ => false,
        }
    }
}

/// Bytes that a group's own limit leaves; `None` without one. Pages of files that the kernel would drop first do not
/// count as used.
fn left_in(group: &Path) -> Option<u64> {
    let text = |name: &str| fs::read_to_string(group.join(name)).ok();
    let number = |name: &str| text(name)?.trim().parse::<u64>().ok();
    // Beyond `memory.high` a group is not killed but held up, which serves no better.
    let limits = ["memory.max", "memory.high", "memory.limit_in_bytes"];
    let limit = limits.iter().filter_map(|name| number(name)).min()?;
    let used = number("memory.current").or_else(|| number("memory.usage_in_bytes"))?;
    Some(left(limit, used, &text("memory.stat").unwrap_or_default()))
}

fn left(limit: u64, used: u64, stat: &str) -> u64 {
    let value = |name: &str| stat.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.parse().ok());
    // Version 1 has the sum over the groups within under another name.
    let droppable = value("total_inactive_file").or_else(|| value("inactive_file")).unwrap_or(0);
    limit.saturating_sub(used.saturating_sub(droppable))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn room_is_told_for_a_real_folder_and_an_error_for_none() {
        assert!(available_bytes(Path::new("/tmp")).unwrap() > 0);
        assert!(available_bytes(Path::new("/does/not/exist")).is_err());
    }

    fn folders(cgroup: &str, mountinfo: &str) -> Vec<(String, String)> {
        let text = |path: &Path| path.display().to_string();
        groups(cgroup, mountinfo).iter().map(|group| (text(&group.folder), text(&group.top))).collect()
    }

    #[test]
    fn groups_are_found_on_hosts_and_in_containers_of_both_versions() {
        let v2 = "30 24 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate";
        let at = |folder: &str, top: &str| vec![(folder.to_owned(), top.to_owned())];
        let host = folders("0::/system.slice/bot.service", v2);
        assert_eq!(host, at("/sys/fs/cgroup/system.slice/bot.service", "/sys/fs/cgroup"));
        // A container with a namespace of groups: its own group is the root.
        assert_eq!(folders("0::/", v2), at("/sys/fs/cgroup", "/sys/fs/cgroup"));
        // A group beside the namespace's root cannot be seen.
        assert_eq!(folders("0::/../other", v2), at("/sys/fs/cgroup", "/sys/fs/cgroup"));
        // A container in the host's namespace: the mount shows its own part only.
        let part = "30 24 0:26 /docker/abc /sys/fs/cgroup/memory ro,nosuid - cgroup cgroup rw,memory";
        assert_eq!(
            folders("4:memory:/docker/abc/sub\n3:cpu:/docker/abc", part),
            at("/sys/fs/cgroup/memory/sub", "/sys/fs/cgroup/memory")
        );
        assert_eq!(folders("4:memory:/elsewhere", part), at("/sys/fs/cgroup/memory", "/sys/fs/cgroup/memory"));
        // Both versions, memory in the first.
        let both = "31 24 0:27 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n\
                    32 24 0:28 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw";
        assert_eq!(
            folders("4:memory:/a/b\n0::/", both),
            [
                at("/sys/fs/cgroup/memory/a/b", "/sys/fs/cgroup/memory"),
                at("/sys/fs/cgroup/unified", "/sys/fs/cgroup/unified")
            ]
            .concat()
        );
        assert_eq!(folders("nonsense", "nonsense"), []);
    }

    #[test]
    fn all_groups_up_to_the_top_are_asked() {
        let group = Group { folder: "/sys/fs/cgroup/a/b".into(), top: "/sys/fs/cgroup".into() };
        let up: Vec<PathBuf> = group.up().collect();
        assert_eq!(up, [Path::new("/sys/fs/cgroup/a/b"), Path::new("/sys/fs/cgroup/a"), Path::new("/sys/fs/cgroup")]);
    }

    #[test]
    fn the_tightest_limit_holds_and_droppable_pages_are_free() {
        assert_eq!(left(100, 30, ""), 70);
        assert_eq!(left(100, 130, "inactive_file 40\nfile 90"), 10);
        assert_eq!(left(100, 130, "inactive_file 5\ntotal_inactive_file 40"), 10);
        assert_eq!(left(100, 300, "inactive_file 40"), 0);
        let top = tempfile::tempdir().unwrap();
        let inner = top.path().join("inner");
        fs::create_dir(&inner).unwrap();
        let limit = |folder: &Path, max: &str| fs::write(folder.join("memory.max"), max).unwrap();
        fs::write(inner.join("memory.current"), "50\n").unwrap();
        limit(&inner, "max\n");
        assert_eq!(left_in(&inner), None);
        limit(&inner, "70\n");
        assert_eq!(left_in(&inner), Some(20));
        fs::write(inner.join("memory.high"), "60\n").unwrap();
        assert_eq!(left_in(&inner), Some(10));
    }
}
