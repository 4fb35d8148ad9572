//! Whether the shared-memory file system outlives this process.
//!
//! In a container it usually does not: `/dev/shm` is a mount of the container's own, which goes with its first process.
//! Only what can be seen from within is known here; a pod or an orchestrator may do otherwise.

use std::fs;
use std::path::Path;

/// Processes that stand before a container's only program, and end when it does.
const INITS: [&str; 6] = ["docker-init", "tini", "dumb-init", "catatonit", "podman-init", "s6-svscan"];

/// Why what is logged will not survive this process, if that can be told.
pub(crate) fn doubt(shm_dir: &Path) -> Option<String> {
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let first = std::process::id() == 1
        || (std::os::unix::process::parent_id() == 1 && INITS.contains(&read("/proc/1/comm").trim()));
    let path = fs::canonicalize(shm_dir).ok()?;
    (first && is_containers_own(&path, &read("/proc/self/mountinfo"))).then(|| {
        format!(
            "crash survival ends with the container: {} is the container's own, and this is its first process; mount a \
             volume of type tmpfs there that outlives the container (Docker: --ipc=host or --ipc=container:…), or have \
             an init process stay",
            shm_dir.display()
        )
    })
}

/// Whether the mount around `path` is one that a container engine made for the container alone: a tmpfs whose source it
/// calls "shm".
fn is_containers_own(path: &Path, mountinfo: &str) -> bool {
    let mounts = mountinfo.lines().filter_map(|line| {
        let (here, there) = line.split_once(" - ")?;
        let point = here.split(' ').nth(4)?;
        let mut there = there.split(' ');
        let own = there.next() == Some("tmpfs") && there.next() == Some("shm");
        path.starts_with(point).then_some((point.len(), own))
    });
    // Of mounts at the same place the last lies on top.
    mounts.max_by_key(|(length, _)| *length).is_some_and(|(_, own)| own)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mount_of_the_container_is_told_from_one_of_the_host() {
        let root = "600 500 0:50 / / rw - overlay overlay rw\n";
        let docker = format!("{root}610 600 0:60 / /dev/shm rw,nosuid - tmpfs shm rw,size=65536k");
        let host = format!("{root}611 600 0:25 / /dev/shm rw,nosuid - tmpfs tmpfs rw");
        assert!(is_containers_own(Path::new("/dev/shm"), &docker));
        assert!(is_containers_own(Path::new("/dev/shm/deeper"), &docker));
        assert!(!is_containers_own(Path::new("/dev/shm"), &host));
        assert!(!is_containers_own(Path::new("/run/tacho"), &docker));
        let over = format!("{docker}\n612 610 0:25 / /dev/shm rw,nosuid - tmpfs tmpfs rw");
        assert!(!is_containers_own(Path::new("/dev/shm"), &over), "something else was mounted over it");
        assert!(!is_containers_own(Path::new("/dev/shm"), "nonsense"));
    }
}
