//! What foreign programs print, through `tacho run` and `tacho pipe`, and back byte for byte.
//!
//! `TACHO_LOGHUB=DIR cargo test --test ingest` takes the whole files of LogHub from DIR, instead of the excerpts that are
//! in `tests/data/loghub`.
#![cfg(all(feature = "cli", target_os = "linux"))]
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stderr,
    clippy::panic,
    reason = "a test that fails says so"
)]

mod support;

use proptest::prelude::*;
use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Output, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// Far more than anything here takes on a loaded machine.
const PATIENCE: Duration = Duration::from_secs(60);
/// A line that is longer comes in parts.
const LINE_BYTES_MAX: usize = 15 << 10;

fn tacho(dir: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tacho"));
    command.arg("-D").arg(dir).args(args).env_remove("TACHO_DIR").env("TZ", "UTC");
    command
}

/// Feeds a process from a thread of its own, so that neither side waits for the other.
fn feed(mut stdin: ChildStdin, chunks: Vec<Vec<u8>>) {
    std::thread::spawn(move || chunks.iter().all(|chunk| stdin.write_all(chunk).is_ok()));
}

/// Input through a command that must succeed and be silent.
fn pass(mut command: Command, chunks: Vec<Vec<u8>>) {
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    feed(child.stdin.take().unwrap(), chunks);
    let output = child.wait_with_output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    assert_eq!(output.status.code(), Some(0));
}

/// What a component logged, alone: on a loaded machine health may say in the log that a ring was nearly full.
fn raw(dir: &Path, component: &str) -> Vec<u8> {
    let output = tacho(dir, &["cat", "-o", "raw", "-u", component]).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(!said.is_empty(), output.stdout.is_empty(), "{said}");
    assert!(said.is_empty() || said.starts_with("tacho: nothing was found of "), "{said}");
    output.stdout
}

/// What is there of it while somebody still logs, if there is a log already.
fn raw_so_far(dir: &Path) -> Vec<u8> {
    tacho(dir, &["cat", "-o", "raw"]).output().unwrap().stdout
}

/// Says where two inputs differ, which may be long.
fn same(one: &[u8], other: &[u8]) {
    let at = one.iter().zip(other).position(|(one, other)| one != other).unwrap_or(one.len().min(other.len()));
    let near = |bytes: &[u8]| bytes[at.saturating_sub(20)..bytes.len().min(at + 40)].escape_ascii().to_string();
    assert!(one == other, "{} and {} bytes, at {at}: {} and {}", one.len(), other.len(), near(one), near(other));
}

fn through_pipe(input: &[u8], chunk: usize) {
    let root = TempDir::new().unwrap();
    let chunks = input.chunks(chunk.max(1)).map(<[u8]>::to_vec).collect();
    pass(tacho(root.path(), &["pipe", "--component", "x"]), chunks);
    same(&raw(root.path(), "x"), input);
}

/// The lines' levels and messages, as they stand in a view.
fn seen(dir: &Path, view: &str) -> Vec<(String, String)> {
    let lines = support::lines(dir, view);
    let parts = |line: &String| {
        let level = line.split(' ').nth(1).unwrap().to_owned();
        (level, support::message(line).to_owned())
    };
    lines.iter().map(parts).collect()
}

fn configuration(root: &TempDir, options: &str) -> (PathBuf, PathBuf) {
    let (logs, file) = (root.path().join("logs"), root.path().join("tachograph.toml"));
    fs::write(&file, format!("dir = {:?}\n{options}", logs.to_str().unwrap())).unwrap();
    (logs, file)
}

/// Waits for a condition that must come.
fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let begin = Instant::now();
    while !condition() {
        assert!(begin.elapsed() < PATIENCE, "{what} did not come");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn signal(pid: u32, number: i32) {
    // SAFETY: a system call without pointers; the child is not waited for yet.
    assert_eq!(unsafe { libc::kill(pid.cast_signed(), number) }, 0);
}

/// Kills the child of a test that fails.
struct Reaped(Child);

impl Drop for Reaped {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Reaped {
    fn start(mut command: Command) -> Self {
        Self(command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap())
    }

    fn first_line(&mut self) -> String {
        let mut line = String::new();
        BufReader::with_capacity(1, self.0.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        line
    }

    fn code(&mut self) -> Option<i32> {
        until("the end", || self.0.try_wait().unwrap().is_some());
        self.0.wait().unwrap().code()
    }
}

fn run(dir: &Path, options: &[&str], script: &str) -> Output {
    tacho(dir, &[&["run", "--component", "x"], options, &["--", "sh", "-c", script]].concat()).output().unwrap()
}

#[test]
fn real_logs_come_back_and_their_views_rotate() {
    let excerpts = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/loghub");
    let folder = std::env::var_os("TACHO_LOGHUB").map_or(excerpts, PathBuf::from);
    let mut files = 0;
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "log") {
            continue;
        }
        files += 1;
        let input = fs::read(&path).unwrap();
        let root = TempDir::new().unwrap();
        let options = "level = 'trace'\nview_bytes_max = '4 KiB'\nview_backups = 10000\nview_compress_delay = '0 s'";
        let (logs, file) = configuration(&root, options);
        let name = path.file_stem().unwrap().to_str().unwrap();
        let args = ["pipe", "--component", name, "--config", file.to_str().unwrap()];
        let mut child = Reaped::start(tacho(&logs, &args));
        let mut stdin = child.0.stdin.take().unwrap();
        stdin.write_all(&input).unwrap();
        let is_compressed = |entry: fs::DirEntry| entry.file_name().to_string_lossy().ends_with(".gz");
        let compressed = || fs::read_dir(&logs).is_ok_and(|mut all| all.any(|entry| is_compressed(entry.unwrap())));
        until("a compressed backup", compressed);
        drop(stdin);
        assert_eq!(child.code(), Some(0));
        same(&raw(&logs, name), &input);

        let sizes: Vec<_> = support::texts(&logs, name).map(|text| text.len()).collect();
        assert!(sizes.len() > 1 && sizes.iter().all(|size| *size <= 4096), "{name}: {sizes:?}");
        let seen = seen(&logs, name);
        let text = String::from_utf8(input).unwrap();
        assert_eq!(seen.len(), text.lines().count());
        for ((_, message), line) in seen.iter().zip(text.lines()) {
            assert!(message.starts_with(&line.replace('\t', "\\t")), "{message} is not {line}");
        }
    }
    assert_eq!(files, 6);
}

#[test]
fn hostile_bytes_come_back() {
    let all: Vec<u8> = (0..=255).collect();
    let long: Vec<u8> = (0..1 << 20).map(|n: u32| b' ' + (n % 95) as u8).collect();
    let binary: Vec<u8> = (0..100_000_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    let cases: [&[u8]; 12] = [
        b"",
        b"\n",
        b"\r",
        b"\r\n\n\r\r\n",
        b"no end",
        b"nul \0 bell \x07 \x1b[31mred\x1b[0m \x1b]0;title\x07\r\n\t\x7f",
        "\u{202e}reversed \u{2028} \u{feff} ünï 日本語 🚀\n".as_bytes(),
        b"\xff\xfe\\ \\x41 \xe2\x82 \\\\\xc0\n\\ no \\x41 escape\n\xf0\x9f\x9a",
        &all,
        &long,
        &[&long[..], b"\r\n", &all, &long, b"\xff", &long, b"\nend\r\n"].concat(),
        &binary,
    ];
    for input in cases {
        through_pipe(input, usize::MAX);
    }
    for edge in LINE_BYTES_MAX - 1..=LINE_BYTES_MAX + 2 {
        let line = |fill: &str| fill.repeat(edge);
        through_pipe(format!("{}\r\n{}\n{}", line("x"), line("é"), line("y")).as_bytes(), 4096);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, ..ProptestConfig::default() })]
    #[test]
    fn any_bytes_come_back(
        parts in prop::collection::vec(
            prop_oneof![
                prop::collection::vec(any::<u8>(), 0..200),
                "[\\r\\n\\\\x\\x00\\x1b\u{1f680}é]{0,30}".prop_map(String::into_bytes),
                (0..LINE_BYTES_MAX * 3, any::<u8>()).prop_map(|(len, byte)| vec![byte; len]),
            ],
            0..20,
        ),
        chunk in 1..5000_usize,
    ) {
        through_pipe(&parts.concat(), chunk);
    }
}

#[test]
fn a_flood_waits_for_room() {
    let root = TempDir::new().unwrap();
    let options = "ring_bytes = '64 KiB'\nsegment_bytes = '64 KiB'\nsegments = 3\narchive_compress = false\n[health]\ninterval = '0 s'";
    let (logs, file) = configuration(&root, options);
    let input: Vec<u8> = (0..200_000).flat_map(|n| format!("tick {n}\n").into_bytes()).collect();
    pass(tacho(&logs, &["pipe", "-c", "flood", "--config", file.to_str().unwrap()]), vec![input.clone()]);
    same(&raw(&logs, "flood"), &input);
}

#[test]
fn streams_and_levels_are_told_apart() {
    let root = TempDir::new().unwrap();
    let script = "echo plain; echo 'level=debug x'; echo '[error] y'; echo '<2>z'; \
                  echo plain >&2; echo WARNING:root:w >&2; printf 'TRACE no end' >&2";
    let output = run(root.path(), &["--level", "debug", "--stderr-level", "error", "--tee"], script);
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(output.stdout, b"plain\nlevel=debug x\n[error] y\n<2>z\n");
    assert_eq!(output.stderr, b"plain\nWARNING:root:w\nTRACE no end");
    same(&raw(root.path(), "x::stdout"), &output.stdout);
    same(&raw(root.path(), "x::stderr"), &output.stderr);
    let mut seen = seen(root.path(), "x");
    seen.sort();
    let expected = [
        ("CRITICAL", "<2>z"),
        ("DEBUG", "level=debug x"),
        ("DEBUG", "plain"),
        ("ERROR", "[error] y"),
        ("ERROR", "plain"),
        ("TRACE", "TRACE no end ingest.end=none"),
        ("WARN", "WARNING:root:w"),
    ];
    assert_eq!(seen, expected.map(|(level, message)| (level.to_owned(), message.to_owned())));
}

#[test]
fn a_file_configures_as_for_any_program() {
    let root = TempDir::new().unwrap();
    let (logs, file) = configuration(&root, "levels = 'warn,x::stderr=info'\n[sampling]\nper_interval = 3");
    let file = file.to_str().unwrap();
    let script = "echo INFO out; echo WARN out; echo INFO err >&2; for i in 1 2 3 4 5 6 7; do echo WARN again; done";
    assert_eq!(run(&logs, &["--config", file], script).status.code(), Some(0));
    let seen = seen(&logs, "x");
    let count = |text: &str| seen.iter().filter(|(_, message)| message == text).count();
    assert_eq!(
        (count("INFO out"), count("WARN out"), count("INFO err"), count("WARN again")),
        (0, 1, 1, 3),
        "{seen:?}"
    );
    assert!(seen.iter().any(|(_, message)| message.starts_with("suppressed 4 repeats")), "{seen:?}");
    let output = tacho(&logs, &["cat", "-o", "raw", "-u", "x::stdout"]).output().unwrap();
    same(&output.stdout, b"WARN out\nWARN again\nWARN again\nWARN again\n");
    assert!(String::from_utf8(output.stderr).unwrap().contains("summaries"));
}

#[test]
fn ends_are_passed_through() {
    let root = TempDir::new().unwrap();
    let code = |script: &str| run(root.path(), &[], script).status.code();
    assert_eq!(code("exit 0"), Some(0));
    assert_eq!(code("exit 7"), Some(7));
    assert_eq!(code("kill -TERM $$"), Some(143));
    assert_eq!(code("kill -KILL $$"), Some(137));
    let start = |args: &[&str]| {
        let output = tacho(root.path(), &[&["run", "-c", "x"], args].concat()).output().unwrap();
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    };
    let (code, said) = start(&["--", "/nowhere/to be found"]);
    assert!(code == Some(127) && said.contains("/nowhere/to be found"), "{said}");
    assert_eq!(start(&["--", "/etc/passwd"]).0, Some(126));
    let (code, said) = start(&["--config", "/nowhere.toml", "--", "touch", "/nowhere/touched"]);
    assert!(code == Some(125) && said.contains("/nowhere.toml"), "{said}");
}

#[test]
fn signals_are_passed_on() {
    for (number, name) in [
        (libc::SIGTERM, "TERM"),
        (libc::SIGINT, "INT"),
        (libc::SIGHUP, "HUP"),
        (libc::SIGQUIT, "QUIT"),
        (libc::SIGUSR1, "USR1"),
        (libc::SIGUSR2, "USR2"),
    ] {
        if is_ignored(number) {
            eprintln!("SKIPPED: SIG{name} is ignored by who runs the tests (nohup?), and so by all that they start");
            continue;
        }
        let root = TempDir::new().unwrap();
        let script = format!("trap 'echo got {name}; exit 9' {name}; echo ready; read line; echo end of input");
        let command = tacho(root.path(), &["run", "-c", "x", "--tee", "--", "sh", "-c", &script]);
        let mut child = Reaped::start(command);
        let stdin = child.0.stdin.take();
        assert_eq!(child.first_line(), "ready\n");
        signal(child.0.id(), number);
        assert_eq!(child.code(), Some(9), "{name}");
        drop(stdin);
        same(&raw(root.path(), "x"), format!("ready\ngot {name}\n").as_bytes());
    }
}

/// Whether this process ignores a signal.
fn is_ignored(number: i32) -> bool {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let mask = status.split_once("SigIgn:").unwrap().1.lines().next().unwrap().trim();
    u64::from_str_radix(mask, 16).unwrap() & 1 << (number - 1) != 0
}

#[test]
fn what_is_ignored_stays_ignored() {
    let root = TempDir::new().unwrap();
    for (trap, ignored) in [("trap '' HUP INT;", 0b11), ("", 0)] {
        let script = format!("{trap} exec \"$0\" -D \"$1\" run -c x --tee -- grep SigIgn /proc/self/status");
        let mut command = Command::new("sh");
        command.args(["-c", &script, env!("CARGO_BIN_EXE_tacho")]).arg(root.path());
        let output = command.output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        let mask = u64::from_str_radix(text.trim().trim_start_matches("SigIgn:").trim(), 16).unwrap();
        // The runner of the tests may ignore one itself.
        assert_eq!(mask & ignored, ignored, "{text}");
        assert_eq!(mask & 1 << (libc::SIGCHLD - 1), 0, "{text}");
    }
}

#[test]
fn a_grandchild_that_holds_the_pipe_is_not_waited_for() {
    let root = TempDir::new().unwrap();
    let script = "sleep 600 & echo $!; exit 3";
    let command = tacho(root.path(), &["run", "-c", "x", "--grace", "100ms", "--", "sh", "-c", script]);
    let mut child = Reaped::start(command);
    let code = child.code();
    let pid = String::from_utf8(raw_so_far(root.path())).unwrap();
    signal(pid.trim().parse().unwrap(), libc::SIGKILL);
    assert_eq!(code, Some(3));
    let mut said = String::new();
    child.0.stderr.take().unwrap().read_to_string(&mut said).unwrap();
    assert!(said.contains("another process holds its output"), "{said}");
}

#[test]
fn last_words_of_a_grandchild_are_heard() {
    let root = TempDir::new().unwrap();
    let script = "(read line; echo late $line) <&3 & exit 0";
    let mut command = tacho(root.path(), &["run", "-c", "x", "--grace", "60s", "--", "sh", "-c"]);
    command.arg(format!("exec 3<&0; {script}"));
    let mut child = Reaped::start(command);
    child.0.stdin.take().unwrap().write_all(b"words\n").unwrap();
    assert_eq!(child.code(), Some(0));
    same(&raw(root.path(), "x"), b"late words\n");
}

#[test]
fn a_child_that_closes_its_output_is_waited_for() {
    let root = TempDir::new().unwrap();
    let script = "echo said; exec >&- 2>&-; read line; exit 5";
    let mut child = Reaped::start(tacho(root.path(), &["run", "-c", "x", "--", "sh", "-c", script]));
    let mut stdin = child.0.stdin.take().unwrap();
    until("the line", || raw_so_far(root.path()) == b"said\n");
    stdin.write_all(b"go\n").unwrap();
    assert_eq!(child.code(), Some(5));
}

#[test]
fn what_was_read_outlives_tacho() {
    let root = TempDir::new().unwrap();
    let mut child = Reaped::start(tacho(root.path(), &["pipe", "-c", "x", "--tee"]));
    let mut input: Vec<u8> = (0..1000).flat_map(|n| format!("line {n}\n").into_bytes()).collect();
    child.0.stdin.as_mut().unwrap().write_all(&input).unwrap();
    let mut passed = vec![0; input.len()];
    child.0.stdout.as_mut().unwrap().read_exact(&mut passed).unwrap();
    child.0.kill().unwrap();
    child.0.wait().unwrap();
    assert_eq!(tacho(root.path(), &["recover"]).output().unwrap().status.code(), Some(0));
    same(&raw(root.path(), "x"), &input);
    assert_eq!(seen(root.path(), "x").len(), 1000);
    pass(tacho(root.path(), &["pipe", "-c", "x"]), vec![b"again\n".to_vec()]);
    input.extend_from_slice(b"again\n");
    same(&raw(root.path(), "x"), &input);
}

#[test]
fn a_child_ends_when_tacho_is_killed() {
    let root = TempDir::new().unwrap();
    let command = tacho(root.path(), &["run", "-c", "x", "--tee", "--", "sh", "-c", "echo $$; exec yes"]);
    let mut child = Reaped::start(command);
    let pid = child.first_line().trim().to_owned();
    child.0.kill().unwrap();
    child.0.wait().unwrap();
    // A zombie may wait for its new parent.
    let state = || fs::read_to_string(format!("/proc/{pid}/stat")).ok()?.rsplit(") ").next()?.chars().next();
    until("the end of the child", || matches!(state(), None | Some('Z')));
    assert_eq!(tacho(root.path(), &["recover"]).output().unwrap().status.code(), Some(0));
}

#[test]
fn a_line_that_does_not_end_is_recorded_in_parts() {
    let root = TempDir::new().unwrap();
    let mut child = Reaped::start(tacho(root.path(), &["pipe", "-c", "x"]));
    let mut stdin = child.0.stdin.take().unwrap();
    stdin.write_all(b"ERROR are you").unwrap();
    until("the first part", || raw_so_far(root.path()) == b"ERROR are you");
    stdin.write_all(b" sure?\n").unwrap();
    drop(stdin);
    assert_eq!(child.code(), Some(0));
    same(&raw(root.path(), "x"), b"ERROR are you sure?\n");
    let first = ("ERROR".to_owned(), "ERROR are you ingest.part=1 ingest.end=none".to_owned());
    let all = seen(root.path(), "x");
    assert_eq!(all[0], first);
    assert_eq!(all[all.len() - 1].0, "ERROR");
}

#[test]
fn an_interrupted_pipe_keeps_what_it_read() {
    let root = TempDir::new().unwrap();
    let mut child = Reaped::start(tacho(root.path(), &["pipe", "-c", "x", "--tee", "--grace", "50ms"]));
    let mut stdin = child.0.stdin.take().unwrap();
    stdin.write_all(b"first\n").unwrap();
    assert_eq!(child.first_line(), "first\n");
    signal(child.0.id(), libc::SIGTERM);
    assert_eq!(child.code(), Some(128 + libc::SIGTERM));
    drop(stdin);
    same(&raw(root.path(), "x"), b"first\n");
}

#[test]
fn a_terminal_is_given_no_escapes() {
    let root = TempDir::new().unwrap();
    pass(tacho(root.path(), &["pipe", "-c", "x"]), vec![b"a\x1b[31mb\x07\xff\n".to_vec()]);
    let line = format!("{} -D {} cat -o raw", env!("CARGO_BIN_EXE_tacho"), root.path().display());
    let Ok(output) = Command::new("script").args(["-qec", &line, "/dev/null"]).stdin(Stdio::null()).output() else {
        eprintln!("SKIPPED: a_terminal_is_given_no_escapes needs the command `script`, which is not installed");
        return;
    };
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("a\\x1b[31mb\\x07\\xff"), "{text:?}");
    assert!(!text.contains("\x1b[31m"), "{text:?}");
}
