//! `tacho recover`: what the dead left comes to disk, the living are left alone.
#![cfg(feature = "cli")]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test that fails says so")]

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use tachograph::{Config, info, start_isolated};
use tempfile::TempDir;

const RECORDS: usize = 300;

struct Place {
    root: TempDir,
    shm: TempDir,
}

impl Place {
    fn new() -> Self {
        let shm = tempfile::Builder::new().prefix("tacho-recover-").tempdir_in("/dev/shm").unwrap();
        Self { root: TempDir::new().unwrap(), shm }
    }

    fn dir(&self) -> String {
        self.root.path().join("logs").to_str().unwrap().to_owned()
    }

    fn tacho(&self, command: &str, args: &[&str]) -> Output {
        let mut tacho = Command::new(env!("CARGO_BIN_EXE_tacho"));
        tacho.args(["-D", &self.dir(), command]).args(args);
        if command == "recover" {
            tacho.args(["--shm-dir", self.shm.path().to_str().unwrap()]);
        }
        tacho.output().unwrap()
    }

    fn recover(&self, args: &[&str]) -> (i32, String) {
        let output = self.tacho("recover", args);
        let text = [output.stdout, output.stderr].concat();
        (output.status.code().unwrap(), String::from_utf8(text).unwrap())
    }

    /// A process that has logged, and waits for a line on its standard input to do what `end` says.
    fn logger(&self, end: &str) -> Child {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--exact", "child_logs_and_ends", "--ignored", "--nocapture", "--test-threads", "1"]);
        command.env("RECOVER_DIR", self.dir()).env("RECOVER_SHM", self.shm.path()).env("RECOVER_END", end);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        assert!(lines.any(|line| line.unwrap().ends_with("logged")), "the child logs");
        child
    }

    fn numbers(&self) -> Vec<usize> {
        let text = fs::read_to_string(Path::new(&self.dir()).join("orders.log")).unwrap_or_default();
        let number = |line: &str| line.split("order ").nth(1).unwrap().split(' ').next().unwrap().parse().unwrap();
        text.lines().map(number).collect()
    }

    fn processes(&self) -> usize {
        let parents = fs::read_dir(self.shm.path()).unwrap().flatten();
        parents
            .flat_map(|parent| fs::read_dir(parent.path()).unwrap())
            .flatten()
            .filter(|it| it.path().is_dir())
            .count()
    }
}

fn end(mut child: Child) {
    child.stdin.take().unwrap().write_all(b"end\n").unwrap();
    child.wait().unwrap();
}

#[test]
#[ignore = "a child process of the tests below"]
fn child_logs_and_ends() {
    let Ok(dir) = std::env::var("RECOVER_DIR") else { return };
    let config = Config::new(dir).shm_dir(std::env::var("RECOVER_SHM").unwrap());
    let config = config.segments(4_usize).segment_bytes(512_usize << 10).ring_bytes(256_usize << 10);
    let tacho = start_isolated(config.rings_spare(1_usize).table_bytes(64_usize << 10)).unwrap();
    let forks = std::env::var("RECOVER_END").unwrap() == "fork";
    // The last ones just before it dies: no view has them then.
    let early = if forks { RECORDS / 2 } else { RECORDS };
    (0..early).for_each(|n| info!(logger: tacho, target: "orders", "order {n} of many"));
    // Behind whatever the harness has begun.
    println!("\nlogged");
    let mut line = String::new();
    std::io::stdin().read_line(&mut line).unwrap();
    (early..RECORDS).for_each(|n| info!(logger: tacho, target: "orders", "order {n} of many"));
    if forks {
        // Behind the back of the C library, whose handlers would close the lock in the child.
        // SAFETY: the child calls nothing but system calls.
        let child = unsafe { libc::syscall(libc::SYS_clone, libc::SIGCHLD, 0, 0, 0, 0) };
        if child == 0 {
            // SAFETY: no preconditions.
            unsafe { libc::sleep(120) };
        }
        fs::write(std::env::var("RECOVER_SHM").unwrap() + "/forked", child.to_string()).unwrap();
    }
    // SAFETY: a system call without preconditions; nothing is closed or flushed.
    unsafe { libc::raise(libc::SIGKILL) };
}

#[test]
fn the_dead_come_to_disk_and_into_the_views_once() {
    let place = Place::new();
    end(place.logger("kill"));
    let (code, said) = place.recover(&["--dry-run"]);
    assert_eq!((code, said.contains(": dead, "), place.processes()), (0, true, 1), "{said}");
    let (code, said) = place.recover(&[]);
    assert_eq!((code, said.contains(": recovered, ")), (0, true), "{said}");
    assert_eq!(place.numbers(), (0..RECORDS).collect::<Vec<_>>());
    assert_eq!(place.processes(), 0);
    let (code, said) = place.recover(&[]);
    assert_eq!((code, said.contains("nothing to recover")), (0, true), "{said}");
    assert_eq!(place.numbers().len(), RECORDS);
    assert_eq!(place.tacho("verify", &[]).status.code(), Some(0));
}

#[test]
fn the_living_are_left_alone_and_render_what_is_recovered() {
    let place = Place::new();
    let (alive, dead) = (place.logger("kill"), place.logger("kill"));
    let pid = alive.id().to_string();
    end(dead);
    let (code, said) = place.recover(&["--force", &pid]);
    assert_eq!(code, 2, "{said}");
    assert!(said.contains(&format!("process {pid} is alive and has its lock open")), "{said}");
    end(alive);
    let (code, said) = place.recover(&[]);
    assert_eq!(code, 0, "{said}");
    assert_eq!(place.numbers().len(), 2 * RECORDS);
}

#[test]
fn a_lock_that_only_a_forked_child_holds_is_broken_on_request() {
    let place = Place::new();
    let parent = place.logger("fork");
    let pid = parent.id().to_string();
    end(parent);
    let child: i32 = fs::read_to_string(place.shm.path().join("forked")).unwrap().parse().unwrap();
    fs::remove_file(place.shm.path().join("forked")).unwrap();
    let (code, said) = place.recover(&[]);
    assert_eq!((code, said.contains("alive, left alone")), (0, true), "{said}");
    let (code, said) = place.recover(&["--force", "999999999"]);
    assert_eq!((code, said.contains("no process of that name")), (2, true), "{said}");
    let (code, said) = place.recover(&["--force", &pid]);
    assert_eq!((code, said.contains(": recovered, ")), (0, true), "{said}");
    assert_eq!(place.numbers(), (0..RECORDS).collect::<Vec<_>>());
    // SAFETY: the child of our child, which sleeps.
    unsafe { libc::kill(child, libc::SIGKILL) };
}

#[test]
fn a_copy_leaves_the_shared_memory_of_the_original_alone() {
    let place = Place::new();
    end(place.logger("kill"));
    let copy = place.root.path().join("copy");
    let copied = Command::new("cp").arg("-a").args([&place.dir(), copy.to_str().unwrap()]).status().unwrap();
    assert!(copied.success());
    let tacho = |args: &[&str]| {
        let output = Command::new(env!("CARGO_BIN_EXE_tacho")).arg("-D").arg(&copy).args(args).output().unwrap();
        (output.status.code().unwrap(), String::from_utf8([output.stdout, output.stderr].concat()).unwrap())
    };
    let shm = place.shm.path().to_str().unwrap();
    for args in [&["recover", "--shm-dir", shm, "--dry-run"][..], &["recover", "--shm-dir", shm]] {
        let (code, said) = tacho(args);
        let original = place.dir();
        assert!(code == 0 && said.contains("this is a copy of ") && said.contains(&original), "{args:?}: {said}");
        assert_eq!(place.processes(), 1, "{args:?}: what the original left is there");
    }
    // By now it has an identity of its own; it shows what was copied, and still takes nothing.
    let (code, said) = tacho(&["recover", "--shm-dir", shm]);
    assert_eq!((code, place.processes()), (0, 1), "{said}");
    assert_eq!(tacho(&["cat"]).0, 0);
    let logger = start_isolated(Config::new(&copy).shm_dir(place.shm.path()).segments(3_usize)).unwrap();
    logger.close(std::time::Duration::from_secs(60)).unwrap();
    // The original has it all.
    let (code, said) = place.recover(&[]);
    assert_eq!((code, said.contains(": recovered, ")), (0, true), "{said}");
    assert_eq!(place.numbers(), (0..RECORDS).collect::<Vec<_>>());
}

#[test]
fn what_is_no_log_directory_is_said() {
    let place = Place::new();
    let (code, said) = place.recover(&[]);
    assert_eq!((code, said.contains("no journal is in")), (2, true), "{said}");
    assert!(!Path::new(&place.dir()).exists(), "nothing is made");
}
