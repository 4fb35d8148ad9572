//! `tacho monitor` on live, dead and copied directories: for scripts, and on a terminal of tmux.
#![cfg(all(feature = "cli", target_os = "linux"))]
#![allow(
    missing_docs,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stderr,
    reason = "a test that fails says so"
)]

#[path = "support/collector.rs"]
mod collector;
#[path = "support/mod.rs"]
mod support;
#[path = "../src/bin/tacho/monitor/terminal.rs"]
#[allow(dead_code, reason = "a part of the command, on a terminal of its own")]
mod terminal;

use collector::{Place, until};
use serde_json::Value;
use std::fs;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::Duration;
use tachograph::{Config, Guard, error, info, start_isolated, warn};
use tempfile::TempDir;

const PATIENCE: Duration = Duration::from_secs(60);

fn monitor(dir: &Path, args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tacho"));
    command.arg("-D").arg(dir).arg("monitor").args(args).env_remove("TACHO_DIR").stdin(Stdio::null());
    command.output().unwrap()
}

fn json(dir: &Path) -> Value {
    let output = monitor(dir, &["0.2", "--once", "--json"]);
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

fn text(output: &Output) -> (i32, String) {
    (output.status.code().unwrap(), String::from_utf8_lossy(&output.stderr).into_owned())
}

fn config(dir: &Path, shm: &Path) -> Config {
    Config::new(dir).shm_dir(shm).segments(4).segment_bytes(2 << 20).ring_bytes(256 << 10)
}

fn logged(place: &Place) -> Guard {
    let guard = start_isolated(config(&place.dir(), place.shm())).unwrap();
    (0..100).for_each(|n: u64| info!(logger: guard, target: "feed", "tick {n}"));
    warn!(logger: guard, target: "risk", order_id = 42; "limit at \x1b[31m{:.0} %", 93.5);
    error!(logger: guard, target: "risk", "rejected");
    guard.flush(PATIENCE).unwrap();
    guard
}

fn names<'a>(rows: &'a Value, key: &str) -> Vec<&'a str> {
    rows.as_array().unwrap().iter().map(|row| row[key].as_str().unwrap()).collect()
}

#[test]
fn scripts_get_rates_rows_and_the_last_warnings_of_a_live_directory() {
    let place = Place::new();
    let guard = logged(&place);
    let report = json(&place.dir());
    assert_eq!((&report["schema"], &report["source"]), (&1.into(), &"live".into()), "{report}");
    assert_eq!(report["processes"][0]["life"], "alive");
    assert!(report["records"]["count"].as_u64() >= Some(102) && report["records"]["per_s"].is_number(), "{report}");
    let targets = names(&report["targets"], "name");
    assert!(targets.contains(&"feed") && targets.contains(&"risk"), "{targets:?}");
    assert!(report["rings"][0]["size_bytes"].as_u64() > Some(0), "{report}");
    assert!(report["disk"]["total_bytes"].as_u64() > Some(0), "{report}");
    // What is logged while the writer's step is under way did not wait for it.
    until("a record waited for the writer", || {
        info!(logger: guard, target: "feed", "one more");
        guard.flush(PATIENCE).unwrap();
        json(&place.dir())["lags"]["writer_max_ns"].as_u64() > Some(0)
    });
    let warnings = names(&report["warnings"], "text");
    assert!(warnings.iter().any(|text| text.ends_with("94 % order_id=42") && !text.contains('\x1b')), "{warnings:?}");
    assert!(warnings.contains(&"rejected") && !warnings.iter().any(|text| text.contains("tick")), "{warnings:?}");

    let plain = monitor(&place.dir(), &["0.2", "--once"]);
    let shown = String::from_utf8(plain.stdout).unwrap();
    assert!(shown.contains("1 process") && shown.contains("rejected") && !shown.contains('\x1b'), "{shown}");
    drop(guard);
}

#[test]
fn what_is_dead_or_copied_is_shown_as_it_was() {
    let place = Place::new();
    let mut child = support::child("child_that_logs_and_waits", &place_of(&place));
    until("it has logged", || place.file("ready").exists());
    child.kill().unwrap();
    child.wait().unwrap();
    let dead = json(&place.dir());
    assert_eq!((&dead["source"], &dead["processes"][0]["life"]), (&"live".into(), &"dead".into()), "{dead}");
    assert_eq!((&dead["state"], &dead["findings"][0]["id"]), (&"critical".into(), &"crashed".into()));
    assert!(names(&dead["warnings"], "text").contains(&"rejected"), "{dead}");

    // A copy has no live memory; with health.json something is known, without it the journals alone.
    let health = health_of(&place.dir());
    let recovered = Command::new(env!("CARGO_BIN_EXE_tacho"))
        .arg("-D")
        .arg(place.dir())
        .args(["-q", "recover", "--shm-dir"])
        .arg(place.shm())
        .status()
        .unwrap();
    assert!(recovered.success());
    let copy = TempDir::new().unwrap();
    let logs = copy.path().join("logs");
    let copied = Command::new("cp").arg("-r").arg(place.dir()).arg(&logs).status().unwrap();
    assert!(copied.success());
    fs::write(logs.join("health.json"), health).unwrap();
    let stored = json(&logs);
    assert_eq!((&stored["source"], &stored["processes"][0]["life"]), (&"stored".into(), &"dead".into()), "{stored}");
    assert_eq!(stored["records"]["per_s"], Value::Null, "what is stored does not move");
    assert!(names(&stored["warnings"], "text").contains(&"rejected"), "{stored}");

    fs::remove_file(logs.join("health.json")).unwrap();
    let alone = monitor(&logs, &["--once", "--json"]);
    assert_eq!(alone.status.code(), Some(1), "no process is known there");
    let alone: Value = serde_json::from_slice(&alone.stdout).unwrap();
    assert_eq!(alone["source"], "journals");
    assert!(names(&alone["warnings"], "text").contains(&"rejected"), "{alone}");
    assert!(alone["disk"]["used_bytes"].as_u64() > Some(0), "{alone}");
}

fn health_of(dir: &Path) -> Vec<u8> {
    Command::new(env!("CARGO_BIN_EXE_tacho")).arg("-D").arg(dir).args(["health", "--json"]).output().unwrap().stdout
}

fn place_of(place: &Place) -> [(&'static str, &str); 2] {
    [("TACHO_PLACE", place.path().to_str().unwrap()), ("TACHO_SHM", place.shm().to_str().unwrap())]
}

#[test]
#[ignore = "a child of other tests"]
fn child_that_logs_and_waits() {
    let path = |name| std::path::PathBuf::from(std::env::var_os(name).unwrap());
    let place = Place::of(&path("TACHO_PLACE"), &path("TACHO_SHM"));
    let _guard = logged(&place);
    fs::write(place.file("ready"), "").unwrap();
    std::thread::sleep(Duration::from_secs(600));
}

#[test]
fn mistakes_and_pipes_are_answered() {
    let root = TempDir::new().unwrap();
    let (status, said) = text(&monitor(&root.path().join("nowhere"), &[]));
    assert!(status == 2 && said.contains("nowhere") && said.contains("-D DIR"), "{said}");
    let (status, said) = text(&monitor(root.path(), &["--once"]));
    assert!(status == 2 && said.contains("no journal is in it"), "{said}");
    for wrong in [&["--json"][..], &["0"], &["never"], &["--since", "today"]] {
        let (status, said) = text(&monitor(root.path(), wrong));
        assert!(status == 2 && said.contains("--help"), "{wrong:?}: {said}");
    }
    let place = Place::new();
    let _guard = logged(&place);
    let (status, said) = text(&monitor(&place.dir(), &[]));
    assert!(status == 2 && said.contains("tacho monitor --once --json"), "{said}");
    let mut command = Command::new(env!("CARGO_BIN_EXE_tacho"));
    command.arg("-D").arg(place.dir()).args(["monitor", "0.1", "--once", "--json"]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), output.stderr.len()), (Some(0), 0), "a closed pipe ends quietly");
}

/// A terminal of tmux, with a server of its own.
struct Tmux {
    home: TempDir,
}

impl Tmux {
    /// Runs a shell command on a terminal of this size; `None` where there is no tmux.
    fn start(columns: u16, rows: u16, shell: &str) -> Option<Self> {
        if !Command::new("tmux").arg("-V").output().is_ok_and(|output| output.status.success()) {
            eprintln!("SKIPPED: no tmux");
            return None;
        }
        let tmux = Self { home: TempDir::new().unwrap() };
        let (columns, rows) = (columns.to_string(), rows.to_string());
        tmux.run(&["-f", "/dev/null", "new-session", "-d", "-x", &columns, "-y", &rows, shell]);
        Some(tmux)
    }

    fn run(&self, args: &[&str]) -> String {
        let mut command = Command::new("tmux");
        command.arg("-S").arg(self.home.path().join("socket")).args(args).env("LC_ALL", "C.UTF-8").env_remove("TMUX");
        let output = command.output().unwrap();
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    fn screen(&self) -> String {
        self.run(&["capture-pane", "-p"])
    }

    #[track_caller]
    fn until_shown(&self, what: &str) -> String {
        let mut shown = String::new();
        until(what, || {
            shown = self.screen();
            shown.contains(what)
        });
        shown
    }

    fn keys(&self, keys: &[&str]) {
        self.run(&[&["send-keys"], keys].concat());
    }
}

impl Drop for Tmux {
    fn drop(&mut self) {
        self.run(&["kill-server"]);
    }
}

/// The shell command that runs `program`, notes its number, and then says how it ended and how the terminal is.
fn told(home: &Path, program: &str) -> String {
    let pid = home.join("pid");
    format!(
        "echo before; sh -c 'echo $$ > {0}.new; mv {0}.new {0}; exec {program}' 2> {1}; echo ended: $?; \
         stty -a | grep -qw -e -icanon -e -echo && echo raw || echo cooked; sleep 600",
        pid.display(),
        home.join("stderr").display()
    )
}

fn pid(home: &Path) -> i32 {
    until("it runs", || home.join("pid").exists());
    fs::read_to_string(home.join("pid")).unwrap().trim().parse().unwrap()
}

fn watching(place: &Place) -> Option<Tmux> {
    let program = format!("{} -D {} monitor 0.2", env!("CARGO_BIN_EXE_tacho"), place.dir().display());
    Tmux::start(100, 30, &told(place.path(), &program))
}

#[test]
fn on_a_terminal_keys_turn_the_pages_and_q_gives_the_terminal_back() {
    let place = Place::new();
    let guard = logged(&place);
    let Some(tmux) = watching(&place) else { return };
    let first = tmux.until_shown("rejected");
    assert!(first.contains("1 Overview") && first.contains("Last warnings") && !first.contains("before"), "{first}");
    tmux.keys(&["Tab"]);
    tmux.until_shown("Processes: ring = high water");
    tmux.keys(&["3"]);
    tmux.until_shown("Targets, over all processes");
    assert!(tmux.screen().contains("feed"));
    tmux.keys(&["Right"]);
    tmux.until_shown("Rings: one per thread");
    tmux.keys(&["BTab", "BTab", "BTab", "BTab", "BTab"]);
    tmux.until_shown("the latest first");
    tmux.keys(&["?"]);
    tmux.until_shown("pause, and go on");
    tmux.keys(&["x", "1", "p"]);
    tmux.until_shown("PAUSED");
    error!(logger: guard, target: "risk", "came in the pause");
    guard.flush(PATIENCE).unwrap();
    std::thread::sleep(Duration::from_millis(600));
    assert!(!tmux.screen().contains("came in the pause"), "{}", tmux.screen());
    tmux.keys(&["p"]);
    tmux.until_shown("came in the pause");

    tmux.run(&["resize-window", "-x", "60", "-y", "20"]);
    until("it is drawn for the new size", || {
        let shown = tmux.screen();
        let box_ends = shown.lines().nth(2).is_some_and(|line| line.trim_end().chars().count() == 60);
        box_ends && shown.contains("? help")
    });
    tmux.keys(&["q"]);
    let after = tmux.until_shown("cooked");
    assert!(after.contains("before") && after.contains("ended: 0"), "{after}");
    assert_eq!(fs::read_to_string(place.file("stderr")).unwrap(), "");
}

/// Whether the screen has a colour, of letters or behind them.
fn is_colored(screen: &str) -> bool {
    let codes = screen.split("\u{1b}[").skip(1).filter_map(|rest| rest.split_once('m').map(|(codes, _)| codes));
    codes
        .flat_map(|codes| codes.split(';'))
        .filter_map(|code| code.parse::<u32>().ok())
        .any(|code| matches!(code, 30..=38 | 40..=48 | 90..=97 | 100..=107))
}

#[test]
fn without_color_all_is_said_in_words() {
    let place = Place::new();
    let _guard = logged(&place);
    for (setting, colored) in [("-u NO_COLOR", true), ("NO_COLOR=", true), ("NO_COLOR=1", false)] {
        let tacho = env!("CARGO_BIN_EXE_tacho");
        let program = format!("env {setting} {tacho} -D {} monitor 0.2", place.dir().display());
        let Some(tmux) = Tmux::start(100, 30, &told(place.path(), &program)) else { return };
        tmux.until_shown("rejected");
        for page in ["1", "2", "3", "4", "5", "6"] {
            tmux.keys(&[page]);
            std::thread::sleep(Duration::from_millis(100));
            let screen = tmux.run(&["capture-pane", "-p", "-e"]);
            if !colored {
                assert!(!is_colored(&screen), "{setting}, page {page}: {screen:?}");
            }
        }
        tmux.keys(&["1"]);
        tmux.until_shown("rejected");
        let screen = tmux.run(&["capture-pane", "-p", "-e"]);
        assert_eq!(is_colored(&screen), colored, "{setting}: {screen:?}");
        fs::remove_file(place.file("pid")).unwrap();
    }
}

#[test]
fn a_signal_gives_the_terminal_back() {
    let place = Place::new();
    let _guard = logged(&place);
    for (signal, status) in [(libc::SIGTERM, 143), (libc::SIGINT, 130)] {
        let Some(tmux) = watching(&place) else { return };
        tmux.until_shown("rejected");
        // SAFETY: kill has no memory preconditions.
        assert_eq!(unsafe { libc::kill(pid(place.path()), signal) }, 0);
        let after = tmux.until_shown("cooked");
        assert!(after.contains("before") && after.contains(&format!("ended: {status}")), "{after}");
        fs::remove_file(place.file("pid")).unwrap();
    }
}

#[test]
fn a_terminal_that_goes_away_ends_it() {
    let place = Place::new();
    let _guard = logged(&place);
    let Some(tmux) = watching(&place) else { return };
    tmux.until_shown("rejected");
    let pid = pid(place.path());
    drop(tmux);
    until("it is gone", || !Path::new(&format!("/proc/{pid}")).exists());
}

#[test]
fn a_panic_gives_the_terminal_back_and_is_told() {
    let home = TempDir::new().unwrap();
    let test = std::env::current_exe().unwrap();
    let program = format!("{} --exact child_that_panics_on_the_screen --ignored --nocapture", test.display());
    let Some(tmux) = Tmux::start(100, 30, &told(home.path(), &program)) else { return };
    let after = tmux.until_shown("cooked");
    assert!(after.contains("ended: 101"), "{after}");
    let said = fs::read_to_string(home.path().join("stderr")).unwrap();
    assert!(said.contains("on purpose"), "{said}");
}

#[test]
#[ignore = "a child of another test"]
fn child_that_panics_on_the_screen() {
    let mut screen = terminal::Screen::open().unwrap();
    screen.terminal.draw(|_| ()).unwrap();
    panic!("on purpose");
}
