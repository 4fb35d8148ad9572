//! What others can read, plant and scribble: modes, links, and live files with anything in them.
//!
//! * [`names`]: components, threads and views whose names want to be more than names.
//! * [`users`]: directories that belong to somebody else; needs root.
//!
//! `TACHO_SCRIBBLES=1000 cargo test --test security` scribbles more often than the default, 8 times.
#![cfg(feature = "cli")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a test that fails, or is skipped, says so"
)]

mod names;
mod users;

use std::fs;
use std::os::unix::fs::{FileExt as _, MetadataExt as _, symlink};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;
use tachograph::{Config, Error, Sampling, info, start_isolated};
use tempfile::TempDir;

const CLOSE: Duration = Duration::from_secs(60);

struct Place {
    root: TempDir,
    shm: TempDir,
}

impl Place {
    fn new() -> Self {
        let shm = tempfile::Builder::new().prefix("tacho-security-").tempdir_in("/dev/shm").unwrap();
        Self { root: TempDir::new().unwrap(), shm }
    }

    fn dir(&self) -> PathBuf {
        self.root.path().join("logs")
    }
}

fn config(dir: &Path, shm: &Path) -> Config {
    let config = Config::new(dir).shm_dir(shm).segments(4_usize).segment_bytes(64_usize << 10);
    let config = config.record_bytes_max(4096_usize).ring_bytes(64_usize << 10).rings_spare(1_usize);
    let config = config.table_bytes(64_usize << 10).view_bytes_max(4096_u64).view_compress_delay(Duration::ZERO);
    config.sampling(Sampling::new().per_interval(1_000))
}

fn log(dir: &Path, shm: &Path) -> Result<(), Error> {
    let tacho = start_isolated(config(dir, shm))?;
    (0..2_000).for_each(|n| info!(logger: tacho, target: "orders", "order {n} of many"));
    tacho.close(Duration::from_secs(1))
}

fn child(name: &str, place: &Place) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", name, "--ignored", "--nocapture", "--test-threads", "1"]);
    command.env("SECURITY_DIR", place.dir()).env("SECURITY_SHM", place.shm.path());
    command
}

fn places() -> Option<(PathBuf, PathBuf)> {
    Some((std::env::var("SECURITY_DIR").ok()?.into(), std::env::var("SECURITY_SHM").ok()?.into()))
}

/// Calls `each` with everything below `path`.
fn walk(path: &Path, each: &mut dyn FnMut(&Path)) {
    for entry in fs::read_dir(path).unwrap().flatten() {
        each(&entry.path());
        if entry.file_type().unwrap().is_dir() {
            walk(&entry.path(), each);
        }
    }
}

#[test]
#[ignore = "a child process of the tests below"]
fn child_logs_and_dies() {
    let Some((dir, shm)) = places() else { return };
    let tacho = start_isolated(config(&dir, &shm)).unwrap();
    (0..2_000).for_each(|n| info!(logger: tacho, target: "orders", "order {n} of many"));
    tacho.flush(CLOSE).unwrap();
    (0..50).for_each(|n| info!(logger: tacho, target: "orders", "order {n} of a few"));
    std::process::abort();
}

#[test]
fn nobody_else_can_read_or_write_whatever_the_umask() {
    for umask in [0, 0o022, 0o077] {
        let place = Place::new();
        let mut command = child("child_logs_and_dies", &place);
        let set = move || {
            // SAFETY: a system call that cannot fail.
            unsafe { libc::umask(umask) };
            Ok(())
        };
        // SAFETY: the closure makes a system call and nothing else.
        unsafe { command.pre_exec(set) };
        command.output().unwrap();
        let (mut files, mut live) = (0, 0);
        let check = |path: &Path, of_dir: u32, of_file: u32, count: &mut u32| {
            let about = path.symlink_metadata().unwrap();
            let most = if about.is_dir() { of_dir } else { of_file };
            let mode = about.mode() & 0o777;
            assert_eq!(mode & !most, 0, "{} has mode {mode:o} with umask {umask:o}", path.display());
            assert!(umask & most != 0 || mode == most, "{} has mode {mode:o}, not {most:o}", path.display());
            *count += 1;
        };
        check(&place.dir(), 0o750, 0o640, &mut files);
        walk(&place.dir(), &mut |path| check(path, 0o750, 0o640, &mut files));
        walk(place.shm.path(), &mut |path| check(path, 0o700, 0o600, &mut live));
        assert!(files > 8 && live > 6, "{files} files, {live} in shared memory");
    }
}

#[test]
fn a_planted_link_is_never_followed() {
    let own = ["orders.log", "orders.log.1", "orders.log.gz.tmp", "orders.log.1.gz"];
    let kept = ["id", "configuration", "configuration.lock", "users", "renderer", "cursor", ".cursor.tmp", "views"];
    let names = own.iter().map(|name| (*name).to_owned()).chain(kept.iter().map(|name| format!(".journal/{name}")));
    for (name, dangling) in names.zip([false, true].into_iter().cycle()) {
        {
            let place = Place::new();
            let victim = place.root.path().join("victim");
            if !dangling {
                fs::write(&victim, "of somebody else\n").unwrap();
            }
            let link = place.dir().join(&name);
            fs::create_dir_all(link.parent().unwrap()).unwrap();
            symlink(&victim, &link).unwrap();
            let ended = log(&place.dir(), place.shm.path());
            match fs::read_to_string(&victim) {
                Ok(text) => assert!(!dangling && text == "of somebody else\n", "{name}: {text:?}"),
                Err(_) => assert!(dangling, "{name}: the victim is gone"),
            }
            if let Err(error) = ended {
                assert!(
                    error.to_string().contains(name.trim_start_matches(".journal/.")) || error.is_timeout(),
                    "{name}: {error}"
                );
            }
        }
    }
}

#[test]
fn a_planted_journal_or_folder_in_shared_memory_is_refused_by_name() {
    let place = Place::new();
    let elsewhere = place.root.path().join("elsewhere");
    fs::create_dir_all(&elsewhere).unwrap();
    fs::create_dir_all(place.dir()).unwrap();
    symlink(&elsewhere, place.dir().join(".journal")).unwrap();
    let error = log(&place.dir(), place.shm.path()).unwrap_err();
    assert!(error.to_string().contains(".journal") && error.to_string().contains("somebody else"), "{error}");
    assert_eq!(fs::read_dir(&elsewhere).unwrap().count(), 0);

    let place = Place::new();
    // On a slow machine the lines are not in the files in time; the folder is known by then.
    if let Err(error) = log(&place.dir(), place.shm.path()) {
        assert!(error.is_timeout(), "{error}");
    }
    let id = fs::read_to_string(place.dir().join(".journal/id")).unwrap();
    // SAFETY: no preconditions.
    let uid = unsafe { libc::geteuid() };
    symlink(place.root.path(), place.shm.path().join(format!("tachograph-{uid}-{}", id.lines().next().unwrap())))
        .unwrap();
    let tacho = start_isolated(config(&place.dir(), place.shm.path())).unwrap();
    let said = tacho.health().to_string();
    assert!(said.contains("crash survival is off") && said.contains("planted"), "{said}");
    tacho.close(CLOSE).unwrap();
}

/// `tacho` with 1 GiB of address space and 20 s of processor time.
fn limited(args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tacho"));
    command.args(args);
    let limit = |what, most| {
        let limit = libc::rlimit { rlim_cur: most, rlim_max: most };
        // SAFETY: the structure is valid for the call.
        unsafe { libc::setrlimit(what, &raw const limit) };
    };
    let set = move || {
        limit(libc::RLIMIT_AS, 1 << 30);
        limit(libc::RLIMIT_CPU, 20);
        Ok(())
    };
    // SAFETY: the closure makes system calls and nothing else.
    unsafe { command.pre_exec(set) };
    command.output().unwrap()
}

fn rounds() -> u64 {
    std::env::var("TACHO_SCRIBBLES").ok().and_then(|text| text.parse().ok()).unwrap_or(8)
}

fn dice() -> impl FnMut(u64) -> u64 {
    let mut seed = 0x9e37_79b9_7f4a_7c15_u64;
    move |below: u64| {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        seed % below.max(1)
    }
}

/// Overwrites words of a file; of a large one mostly of the head, where lengths and places stand.
fn scribble(path: &Path, changes: u64, random: &mut impl FnMut(u64) -> u64) {
    let Ok(file) = fs::OpenOptions::new().write(true).open(path) else { return };
    let bytes = file.metadata().unwrap().len();
    for _ in 0..changes {
        let at = if random(2) == 0 { random(bytes.min(1024)) } else { random(bytes) };
        let word = [0, u64::MAX, random(u64::MAX), random(1 << 17), 1 << 63][random(5) as usize].to_le_bytes();
        let count = (1 + random(8)).min(bytes.saturating_sub(at).max(1));
        file.write_all_at(&word[..count as usize], at).unwrap();
    }
}

#[test]
#[ignore = "a child process of the test below"]
fn child_logs_while_others_scribble() {
    let Some((dir, shm)) = places() else { return };
    let tacho = start_isolated(config(&dir, &shm)).unwrap();
    let end = std::time::Instant::now() + CLOSE;
    let mut n = 0_u64;
    println!("logging");
    while !dir.join("stop").exists() && std::time::Instant::now() < end {
        n += 1;
        info!(logger: tacho, target: "orders", "order {n} of many");
        info!(logger: tacho, target: "orders", "the same again");
        std::thread::sleep(Duration::from_micros(100));
    }
    let _ = tacho.flush(Duration::from_secs(1));
    println!("{}", tacho.health());
    let _ = tacho.close(Duration::from_secs(1));
    println!("ended well");
}

/// The clock page, the table of sampling, the page of the views, control page, definitions, segments and rings.
#[test]
fn anything_in_the_shared_memory_of_a_live_process_ends_no_process() {
    use std::io::{BufRead as _, BufReader, Read as _};
    let mut random = dice();
    for round in 0..rounds() {
        let place = Place::new();
        let mut command = child("child_logs_while_others_scribble", &place);
        command.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped());
        let mut process = command.spawn().unwrap();
        let mut said = BufReader::new(process.stdout.take().unwrap());
        let mut line = String::new();
        while !line.contains("logging") {
            line.clear();
            assert!(said.read_line(&mut line).unwrap() > 0, "round {round}: the child did not start");
        }
        let mut names = Vec::new();
        for _ in 0..40 {
            let mut files = Vec::new();
            walk(place.shm.path(), &mut |path| files.extend(path.is_file().then(|| path.to_owned())));
            let path = files[random(files.len() as u64) as usize].clone();
            scribble(&path, 3, &mut random);
            names.push(path.file_name().unwrap().to_string_lossy().into_owned());
            std::thread::sleep(Duration::from_millis(2));
        }
        fs::write(place.dir().join("stop"), "").unwrap();
        let (mut rest, mut talk) = (String::new(), String::new());
        said.read_to_string(&mut rest).unwrap();
        process.stderr.take().unwrap().read_to_string(&mut talk).unwrap();
        let status = process.wait().unwrap();
        assert!(rest.contains("ended well"), "round {round}, {names:?}: {status}: {rest}{talk}");
        assert!(!talk.contains("panicked"), "round {round}, {names:?}: {talk}");
        // Who starts there next either logs, or says what is in the way.
        match log(&place.dir(), place.shm.path()) {
            Ok(()) => {}
            Err(error) => assert!(!error.to_string().is_empty(), "round {round}"),
        }
    }
}

#[test]
fn anything_in_the_files_of_a_journal_is_read_without_a_crash() {
    let mut random = dice();
    for round in 0..rounds() {
        let place = Place::new();
        child("child_logs_and_dies", &place).output().unwrap();
        let mut files = Vec::new();
        for root in [place.dir(), place.shm.path().to_owned()] {
            walk(&root, &mut |path| files.extend((path.is_file() && !path.ends_with("lock")).then(|| path.to_owned())));
        }
        files.sort();
        for path in &files {
            let changes = random(6);
            scribble(path, changes, &mut random);
        }
        let (dir, shm) = (place.dir().to_str().unwrap().to_owned(), place.shm.path().to_str().unwrap().to_owned());
        let commands: [&[&str]; 5] = [
            &["-D", &dir, "cat"],
            &["-D", &dir, "cat", "-o", "json"],
            &["-D", &dir, "tail", "-n", "5"],
            &["-D", &dir, "verify", "--json"],
            &["-D", &dir, "recover", "--shm-dir", &shm],
        ];
        for args in commands {
            let output = limited(args);
            let code = output.status.code();
            let talk = String::from_utf8_lossy(&output.stderr);
            assert!(matches!(code, Some(0..=2)), "round {round}, {args:?}: {:?}: {talk}", output.status);
            assert!(!talk.contains("panicked"), "round {round}, {args:?}: {talk}");
            if args.contains(&"json") {
                for line in String::from_utf8(output.stdout).unwrap().lines() {
                    serde_json::from_str::<serde_json::Value>(line).unwrap();
                }
            }
        }
    }
}
