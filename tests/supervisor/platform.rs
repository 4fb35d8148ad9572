//! The example `trading_platform` in trouble: a panic of one thread, a kill of one process, a full disk for one component. The
//! other seven lose nothing and do not pause.

use crate::{Ends, example, said, tacho, text, until};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use tachograph::health::look::look;

const NAMES: [&str; 8] = [
    "recovery_service",
    "order_watcher",
    "risk_manager",
    "execution_guard",
    "execution_service",
    "command_service",
    "trading_bot",
    "dashboard",
];
const VICTIM: &str = "risk_manager";
const MESSAGES: usize = 999;

fn platform(dir: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(example("trading_platform"));
    command.arg("--dir").arg(dir).args(args).env("RUST_BACKTRACE", "0");
    command
}

/// Records about messages of the market; what the program prints at its end names an order, too.
fn messages(text: &str) -> usize {
    text.lines().filter(|line| line.contains("order_id=") && !line.contains("::stdout")).count()
}

/// How many messages each service took before the victim was away, meanwhile, and after.
fn taken(cat: &str, from: &str, to: &str) -> BTreeMap<String, [usize; 3]> {
    let mut counts: BTreeMap<String, [usize; 3]> = NAMES.iter().map(|name| ((*name).to_owned(), [0; 3])).collect();
    let mut when = 0;
    for line in cat.lines() {
        let about_victim = |text: &str| line.contains(&format!("service={VICTIM}")) && line.contains(text);
        when += usize::from((when == 0 && about_victim(from)) || (when == 1 && about_victim(to)));
        if messages(line) == 1 {
            counts.entry(line.split_whitespace().nth(2).unwrap().to_owned()).or_default()[when] += 1;
        }
    }
    counts
}

/// Whoever worked before the victim was away and after it, worked meanwhile.
fn nobody_paused(cat: &str, from: &str, to: &str) {
    let counts = taken(cat, from, to);
    eprintln!("messages taken before {VICTIM} was away, meanwhile, and after: {counts:?}");
    assert_eq!(counts[VICTIM][1], 0);
    let at_work = |(name, [before, _, after]): &(&String, &[usize; 3])| *name != VICTIM && *before > 0 && *after > 0;
    let at_work: Vec<_> = counts.iter().filter(at_work).collect();
    assert!(!at_work.is_empty() && at_work.iter().all(|(_, [_, meanwhile, _])| *meanwhile > 0), "{counts:?}");
}

#[test]
fn a_panic_of_one_thread() {
    let dir = tempfile::tempdir().unwrap();
    let output = platform(dir.path(), &["--backoff", "500"]).output().unwrap();
    let report = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{report}{}", String::from_utf8_lossy(&output.stderr));
    assert!(report.contains("risk_manager      finished, 2 starts  (panicked: crash on purpose at message 300"));
    for name in NAMES {
        assert_eq!(messages(&text(dir.path(), name)), MESSAGES, "{name}");
    }
    nobody_paused(&said(tacho(dir.path(), &["cat"])), "service ended: panicked", "service starts");

    // What the example tells its reader to do next.
    let next = report.lines().last().unwrap().trim();
    assert_eq!(next, format!("tacho -D {} trace order_id=16113594", dir.path().display()));
    let trace = tacho(dir.path(), &["trace", "order_id=16113594"]).output().unwrap();
    let (lines, talk) = (String::from_utf8(trace.stdout).unwrap(), String::from_utf8(trace.stderr).unwrap());
    assert!(NAMES.iter().all(|name| lines.contains(&format!(" {name} [{name}] "))), "{lines}");
    assert!(talk.contains("16 records, 8 components"), "{talk}");
}

/// The child of `parent` that is this service.
fn child_of(parent: u32, name: &str) -> Option<u32> {
    fs::read_dir("/proc").unwrap().flatten().find_map(|entry| {
        let pid = entry.file_name().to_str()?.parse().ok()?;
        let stat = fs::read_to_string(entry.path().join("stat")).ok()?;
        let theirs: u32 = stat.rsplit_once(") ")?.1.split(' ').nth(1)?.parse().ok()?;
        let command = fs::read(entry.path().join("cmdline")).ok()?;
        let is_it = theirs == parent && command.split(|byte| *byte == 0).any(|word| word == name.as_bytes());
        is_it.then_some(pid)
    })
}

#[test]
fn a_kill_of_one_process() {
    let root = tempfile::tempdir().unwrap();
    let (logs, file) = (root.path().join("logs"), root.path().join("services.toml"));
    let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/trading_platform/services.toml");
    let program =
        format!("\"{}\", \"--dir\", \"{}\", \"--pace\", \"10\"", example("trading_platform").display(), logs.display());
    let services = fs::read_to_string(shipped).unwrap().replace("\"trading_platform\"", &program);
    let name = format!("name = \"{VICTIM}\"\n");
    fs::write(&file, services.replace(&name, &format!("{name}backoff = \"1 s\"\njitter_percent = 0\n"))).unwrap();

    let mut supervisor = Ends(tacho(&logs, &["supervise"]).arg(&file).stderr(Stdio::null()).spawn().unwrap());
    until("all work", || NAMES.iter().all(|name| messages(&text(&logs, name)) > 100));
    let first = child_of(supervisor.0.id(), VICTIM).unwrap();
    crate::signal(first, libc::SIGKILL);
    assert_eq!(supervisor.code(), Some(0), "all have finished");

    let cat = said(tacho(&logs, &["cat"]));
    for name in NAMES.iter().filter(|name| **name != VICTIM) {
        assert_eq!(messages(&text(&logs, name)), MESSAGES, "{name}");
        let starts = cat.matches(&format!("[main] service starts service={name}\n")).count();
        assert_eq!(starts, 1, "{name} was not touched");
    }
    assert!(messages(&text(&logs, VICTIM)) > MESSAGES + 100, "both lives of it");
    nobody_paused(&cat, "service ended: killed by signal 9, SIGKILL", "service starts");
}

/// A tmpfs of its own; `None`, said loudly, where it cannot be mounted.
struct Small(PathBuf);

impl Small {
    fn mount(at: PathBuf, bytes: u32) -> Option<Self> {
        fs::create_dir(&at).unwrap();
        let options = format!("size={bytes}");
        run(Command::new("mount").args(["-t", "tmpfs", "-o", &options, "tacho-test"]).arg(&at)).then_some(Self(at))
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

/// A file in the place of another one.
struct Bound(PathBuf);

impl Drop for Bound {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

fn run(command: &mut Command) -> bool {
    let output = command.output();
    let done = output.as_ref().is_ok_and(|output| output.status.success());
    if !done {
        eprintln!("SKIPPED: a full disk for one component: {command:?}: {output:?}");
    }
    done
}

#[test]
fn a_full_disk_for_one_component() {
    let root = tempfile::tempdir().unwrap();
    let logs = root.path().join("logs");
    let Some(small) = Small::mount(root.path().join("small"), 16 << 10) else { return };
    fs::create_dir(&logs).unwrap();
    let (there, here) = (small.0.join("dashboard.log"), logs.join("dashboard.log"));
    fs::write(&there, "").unwrap();
    fs::write(&here, "").unwrap();
    if !run(Command::new("mount").arg("--bind").arg(&there).arg(&here)) {
        return;
    }
    let _bound = Bound(here);

    let mut command = platform(&logs, &["--crash", "none"]);
    let mut platform = Ends(command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap());
    // The component whose disk is full waits; the others have all of their lines meanwhile.
    let others = || NAMES.iter().filter(|name| **name != "dashboard");
    until("the others are complete", || others().all(|name| messages(&text(&logs, name)) == MESSAGES));
    until("health tells of it", || {
        look(&logs).unwrap().processes.iter().any(|vitals| {
            vitals.views_failing == 1 && vitals.trouble.contains("dashboard") && vitals.dropped.total() == 0
        })
    });
    assert!(messages(&text(&logs, "dashboard")) < MESSAGES, "its disk is full");
    // With room it goes on by itself, and has lost nothing either.
    assert!(run(Command::new("mount").args(["-o", "remount,size=4m"]).arg(&small.0)));
    let code = platform.code();
    let mut said = String::new();
    std::io::Read::read_to_string(&mut platform.0.stderr.take().unwrap(), &mut said).unwrap();
    assert_eq!(code, Some(0), "{said}");
    assert_eq!(messages(&text(&logs, "dashboard")), MESSAGES);
}
