//! The example `trading_bot`, run as an operator runs it: what it leaves behind, and what `tail -F` shows meanwhile.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

const FIRST_ID: u64 = 10_218_208;
const TRADES: u64 = 1000;
/// What is waited for lines to come by `tail -F`.
const TAIL_MAX: Duration = Duration::from_secs(30);
/// What is waited for lines that must not come.
const TAIL_QUIET: Duration = Duration::from_millis(1500);

/// The example stands beside the directory of the tests: `cargo test` builds all examples.
fn bot() -> Command {
    let test = std::env::current_exe().unwrap();
    let bot = test.parent().and_then(Path::parent).unwrap().join("examples/trading_bot");
    assert!(bot.exists(), "{} is missing: cargo build --example trading_bot", bot.display());
    Command::new(bot)
}

/// Runs the bot in `dir`, and returns its lines for each file, as it says.
fn run(dir: &Path, args: &[&str]) -> BTreeMap<PathBuf, usize> {
    let output = bot().args(args).current_dir(dir).output().unwrap();
    let (stdout, stderr) = (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
    assert!(output.status.success() && stderr.is_empty(), "{stdout}{stderr}");
    assert!(stdout.contains("ns") && stdout.contains("Try next") && stdout.contains(" 0 dropped"), "{stdout}");
    let said = stdout.lines().filter_map(|line| {
        let (count, path) = line.trim().split_once("  ")?;
        Some((dir.join(path), count.parse().ok()?))
    });
    said.collect()
}

fn text(path: &Path) -> String {
    let bytes = fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    assert!(!bytes.contains(&0), "NUL in {}", path.display());
    String::from_utf8(bytes).unwrap()
}

fn views(logs: &Path) -> Vec<PathBuf> {
    let paths = fs::read_dir(logs).unwrap().map(|entry| entry.unwrap().path());
    let mut views: Vec<_> = paths.filter(|path| path.extension().is_some_and(|end| end == "log")).collect();
    views.sort();
    views
}

/// How often each id stands in the text.
fn ids(text: &str) -> BTreeMap<u64, usize> {
    let mut ids = BTreeMap::new();
    for line in text.lines() {
        let id = line.split(' ').find_map(|word| word.strip_prefix("trade_id=")).unwrap();
        *ids.entry(id.parse().unwrap()).or_default() += 1;
    }
    ids
}

fn each_once(ids: &BTreeMap<u64, usize>, count: u64) {
    assert!(ids.keys().copied().eq(FIRST_ID..FIRST_ID + count), "{} ids", ids.len());
    assert!(ids.values().all(|times| *times == 1));
}

/// Times have a fixed width, so that they compare as text.
fn times_never_decrease(text: &str) {
    let times = text.lines().filter(|line| !line.ends_with(" (late)")).map(|line| line.split(' ').next().unwrap());
    let mut before = "";
    for time in times {
        assert!(time.len() == 30 && time.ends_with('Z') && before <= time, "{time} after {before}");
        before = time;
    }
}

#[test]
fn each_trade_stands_once_in_its_file_and_every_file_holds_what_the_bot_said() {
    let dir = tempfile::tempdir().unwrap();
    let said = run(dir.path(), &[]);
    let logs = dir.path().join("logs");
    assert_eq!(said.keys().cloned().collect::<Vec<_>>(), views(&logs));
    for (path, count) in &said {
        let text = text(path);
        assert_eq!(text.lines().count(), *count, "{}", path.display());
        times_never_decrease(&text);
    }
    each_once(&ids(&text(&logs.join("trades.log"))), TRADES);
}

#[test]
fn a_second_run_appends_and_repeated_trades_have_ids_of_their_own() {
    let dir = tempfile::tempdir().unwrap();
    run(dir.path(), &["--repeat", "3", "--lobster"]);
    let path = dir.path().join("logs/trades.log");
    let first = text(&path);
    each_once(&ids(&first), 3 * TRADES);
    run(dir.path(), &[]);
    let both = text(&path);
    assert!(both.starts_with(&first));
    each_once(&ids(both.strip_prefix(&first).unwrap()), TRADES);
    times_never_decrease(&both);
}

#[test]
fn a_wrong_command_line_is_refused_with_status_2() {
    let dir = tempfile::tempdir().unwrap();
    let wrong: [&[&str]; 7] = [
        &["--nope"],
        &["--repeat", "0"],
        &["--repeat"],
        &["--paced", "--speed", "0"],
        &["--speed", "2"],
        &["x"],
        &["--dir", ""],
    ];
    for args in wrong {
        let output = bot().args(args).current_dir(dir.path()).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{args:?}");
        assert!(output.stdout.is_empty() && output.stderr.starts_with(b"trading_bot: "), "{args:?}");
    }
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
    assert!(bot().arg("--help").output().unwrap().stdout.starts_with(b"A small trading bot"));
}

/// GNU `tail -F` on a file, with its output gathered by a thread.
struct Tail {
    child: Child,
    lines: Receiver<String>,
}

impl Tail {
    /// Returns once `tail` has found that the file is not there yet.
    fn start(path: &Path) -> Self {
        let mut command = Command::new("tail");
        command.arg("-F").arg(path).env("LC_ALL", "C").stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut talk = BufReader::new(child.stderr.take().unwrap());
        let mut said = String::new();
        talk.read_line(&mut said).unwrap();
        assert!(said.contains("cannot open"), "{said}");
        thread::spawn(move || talk.read_to_string(&mut String::new()));
        let lines = gather(child.stdout.take().unwrap());
        Self { child, lines }
    }

    /// The first `count` lines, and whatever comes within some time after them.
    fn lines(&self, count: usize) -> Vec<String> {
        let until = Instant::now() + TAIL_MAX;
        let mut lines = Vec::new();
        while lines.len() < count {
            let left = until.saturating_duration_since(Instant::now());
            lines.push(self.lines.recv_timeout(left).unwrap_or_else(|_| panic!("{} of {count} lines", lines.len())));
        }
        lines.extend(std::iter::from_fn(|| self.lines.recv_timeout(TAIL_QUIET).ok()));
        lines
    }
}

impl Drop for Tail {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn gather(stdout: ChildStdout) -> Receiver<String> {
    let (sender, lines) = channel();
    thread::spawn(move || BufReader::new(stdout).lines().map_while(Result::ok).try_for_each(|line| sender.send(line)));
    lines
}

#[test]
fn tail_f_started_before_the_bot_shows_every_line_once() {
    let dir = tempfile::tempdir().unwrap();
    let logs = dir.path().join("logs");
    fs::create_dir(&logs).unwrap();
    let names = ["trades", "orders", "signals", "risk", "latency", "book", "trading_bot"];
    let tails: Vec<(PathBuf, Tail)> = names
        .iter()
        .map(|name| logs.join(format!("{name}.log")))
        .map(|path| (path.clone(), Tail::start(&path)))
        .collect();
    // 24,602 recorded seconds in about two.
    let said = run(dir.path(), &["--paced", "--speed", "12000", "--lobster"]);
    assert_eq!(said.len(), names.len());
    for (path, tail) in &tails {
        let shown = tail.lines(said[path]);
        let file = text(path);
        assert!(shown.iter().map(String::as_str).eq(file.lines()), "{}", path.display());
    }
}
