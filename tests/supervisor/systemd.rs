//! What the service manager is told: readiness, and a watchdog that goes by the writer, not by a thread of its own.

use crate::shared::child;
use crate::{Ends, PATIENCE, small, until};
use std::fs;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::path::Path;
use std::ptr::null_mut;
use std::time::Duration;

const DIR: &str = "TACHO_SYSTEMD_DIR";
/// Microseconds: a sign of life is due in every quarter of it.
const WATCHDOG_US: &str = "400000";

/// Serves until its directory has a file `end`.
#[test]
#[ignore = "a child of the other tests"]
fn serves() {
    let Some(dir) = std::env::var_os(DIR) else { return };
    let dir = Path::new(&dir);
    let tacho = tachograph::start(small(&dir.join("logs"))).unwrap();
    let systemd = tachograph::systemd::ready(&tacho).unwrap();
    systemd.status("1 service runs\nREADY=1");
    until("the end", || dir.join("end").exists());
}

fn next(socket: &UnixDatagram, wait: Duration) -> Option<String> {
    let mut bytes = [0; 1024];
    socket.set_read_timeout(Some(wait)).unwrap();
    let count = socket.recv(&mut bytes).ok()?;
    Some(String::from_utf8(bytes[..count].to_vec()).unwrap())
}

fn ptrace(request: libc::c_uint, thread: libc::pid_t) -> bool {
    // SAFETY: none of the requests here passes memory.
    unsafe { libc::ptrace(request, thread, null_mut::<libc::c_void>(), null_mut::<libc::c_void>()) != -1 }
}

fn writer_of(pid: u32) -> libc::pid_t {
    let threads = fs::read_dir(format!("/proc/{pid}/task")).unwrap().flatten();
    let mut named =
        threads.filter(|thread| fs::read_to_string(thread.path().join("comm")).unwrap() == "tacho-writer\n");
    named.next().unwrap().file_name().to_str().unwrap().parse().unwrap()
}

#[test]
fn the_watchdog_is_fed_by_the_writer_alone() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("notify");
    let socket = UnixDatagram::bind(&path).unwrap();
    let environment = [
        (DIR, dir.path().to_str().unwrap()),
        ("NOTIFY_SOCKET", path.to_str().unwrap()),
        ("WATCHDOG_USEC", WATCHDOG_US),
    ];
    let mut child = Ends(child("systemd::serves", &environment));
    assert_eq!(next(&socket, PATIENCE).as_deref(), Some("READY=1"));
    assert_eq!(next(&socket, PATIENCE).as_deref(), Some("STATUS=1 service runs"));
    for _ in 0..3 {
        assert_eq!(next(&socket, PATIENCE).as_deref(), Some("WATCHDOG=1"));
    }
    let writer = writer_of(child.0.id());
    if !ptrace(libc::PTRACE_SEIZE, writer) {
        eprintln!("SKIPPED: a thread cannot be stopped here: {}", std::io::Error::last_os_error());
        return;
    }
    assert!(ptrace(libc::PTRACE_INTERRUPT, writer));
    let mut status = 0;
    // SAFETY: the status is a local.
    assert_eq!(unsafe { libc::waitpid(writer, &raw mut status, libc::__WALL) }, writer);
    // One that was on its way, and one for a last step of the writer's.
    let mut late = 0;
    while next(&socket, Duration::from_millis(1_000)).is_some() {
        late += 1;
        assert!(late <= 6, "the writer stands still, and is said to be alive");
    }
    assert!(ptrace(libc::PTRACE_DETACH, writer));
    assert_eq!(next(&socket, PATIENCE).as_deref(), Some("WATCHDOG=1"), "it moves again");

    fs::write(dir.path().join("end"), "").unwrap();
    let mut last = String::new();
    until("it is said that it stops", || {
        last = next(&socket, PATIENCE).unwrap();
        last == "STOPPING=1"
    });
    assert_eq!(child.code(), Some(0));
}

#[test]
fn without_a_service_manager_nothing_happens_and_another_process_has_no_watchdog() {
    let dir = tempfile::tempdir().unwrap();
    let name = format!("tacho-test-{}", std::process::id());
    let socket = UnixDatagram::bind_addr(&SocketAddr::from_abstract_name(&name).unwrap()).unwrap();
    let address = format!("@{name}");
    let environment = [
        (DIR, dir.path().to_str().unwrap()),
        ("NOTIFY_SOCKET", &address),
        ("WATCHDOG_USEC", "40000"),
        ("WATCHDOG_PID", "1"),
    ];
    let mut child = Ends(child("systemd::serves", &environment));
    let mut told = Vec::new();
    until("it stops", || {
        told.extend(next(&socket, PATIENCE));
        fs::write(dir.path().join("end"), "").unwrap();
        told.last().is_some_and(|last| last == "STOPPING=1")
    });
    assert_eq!(told, ["READY=1", "STATUS=1 service runs", "STOPPING=1"]);
    assert_eq!(child.code(), Some(0));

    let mut alone = Ends(crate::shared::child("systemd::serves", &[(DIR, dir.path().to_str().unwrap())]));
    assert_eq!(alone.code(), Some(0));
}
