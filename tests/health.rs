//! Health from outside and from inside: what is counted, what is found, who is told of it, and what can be asked for.
//!
//! Findings are waited for, with limits that a busy machine keeps. A finding is told once when it begins and once when it is
//! over; what a busy machine adds of others does not count here.
#![cfg(all(feature = "cli", target_os = "linux"))]
#![allow(
    missing_docs,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stderr,
    clippy::print_stdout,
    reason = "a test that fails says so"
)]

#[path = "support/collector.rs"]
mod collector;

use collector::{Collector, Place, until};
use serde_json::Value;
use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tachograph::health::check::State;
use tachograph::{Config, Guard, HealthEvent, LevelFilter, Overflow, Worker, debug, error, info, start_isolated, warn};

const INTERVAL: Duration = Duration::from_millis(400);
const PATIENCE: Duration = Duration::from_secs(60);

/// A place, with a file in which the command notes what it is told.
struct Ward {
    place: Place,
    told: PathBuf,
    events: Arc<Mutex<Vec<HealthEvent>>>,
}

impl Ward {
    fn new() -> Self {
        let place = Place::new();
        let told = place.file("told");
        fs::write(&told, "").unwrap();
        Self { place, told, events: Arc::default() }
    }

    fn config_at(&self, dir: &Path) -> Config {
        Config::new(dir)
            .shm_dir(self.place.shm())
            .segments(3_usize)
            .segment_bytes(64_usize << 10)
            .ring_bytes(64_usize << 10)
            .rings_spare(2_usize)
            .record_bytes_max(2_usize << 10)
            .table_bytes(64_usize << 10)
            .health_interval(INTERVAL)
            .health_command(["/bin/sh", "-c", "cat >> \"$1\"", "note", self.told.to_str().unwrap()])
    }

    fn config(&self) -> Config {
        let events = Arc::clone(&self.events);
        self.config_at(&self.place.dir()).on_health(move |event| events.lock().unwrap().push(event.clone()))
    }

    /// What the command was told of a finding: its states.
    fn told(&self, id: &str) -> Vec<(String, String)> {
        let text = fs::read_to_string(&self.told).unwrap();
        // The last line may be half there.
        let events = text.split_inclusive('\n').filter(|line| line.ends_with('\n'));
        let events = events.map(|line| serde_json::from_str::<Value>(line).unwrap());
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        events.filter(|event| event["id"] == id).map(|event| (text(&event["was"]), text(&event["state"]))).collect()
    }

    /// Waits until the finding is over, and looks that its beginning and its end were told once.
    #[track_caller]
    fn assert_told_once(&self, id: &str, state: &str) {
        until(&format!("{id} is over"), || self.told(id).iter().any(|(_, state)| state == "ok"));
        let told = self.told(id);
        let count = |is: &dyn Fn(&(String, String)) -> bool| told.iter().filter(|told| is(told)).count();
        assert_eq!((count(&|told| told.0 == "ok"), count(&|told| told.1 == "ok")), (1, 1), "{told:?}");
        assert!(told.iter().any(|told| told.1 == state), "{id} was never {state}: {told:?}");
    }

    #[track_caller]
    fn until_found(&self, id: &str) {
        until(&format!("{id} is told"), || !self.told(id).is_empty());
    }

    fn tacho(&self, args: &[&str]) -> (i32, String, String) {
        tacho(&self.place.dir(), args)
    }

    fn health(&self) -> (i32, Value) {
        let (code, out, err) = self.tacho(&["health", "--json"]);
        (code, serde_json::from_str(&out).unwrap_or_else(|error| panic!("{error}: {out}{err}")))
    }
}

fn tacho(dir: &Path, args: &[&str]) -> (i32, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tacho"));
    let Output { status, stdout, stderr } = command.arg("-D").arg(dir).args(args).output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (status.code().unwrap(), text(stdout), text(stderr))
}

fn text_of(dir: &Path, view: &str) -> String {
    fs::read_to_string(dir.join(format!("{view}.log"))).unwrap_or_default()
}

/// The states of a finding in a report, of all processes.
fn states(report: &Value, id: &str) -> Vec<String> {
    let findings = report["processes"].as_array().unwrap().iter().flat_map(|one| one["findings"].as_array().unwrap());
    findings.filter(|finding| finding["id"] == id).map(|one| one["state"].as_str().unwrap().to_owned()).collect()
}

fn code_of(report: &Value) -> i32 {
    match report["state"].as_str().unwrap() {
        "ok" => 0,
        "warning" => 1,
        _ => 2,
    }
}

/// Fills the ring until something is dropped.
fn flood(tacho: &Guard) {
    let filler = "x".repeat(1_500);
    until("something is dropped", || {
        (0..200).for_each(|number| info!(logger: tacho, target: "flood", "{number} {filler}"));
        tacho.health().dropped > 0
    });
}

#[test]
fn a_flooded_ring_is_found_told_once_and_over() {
    let ward = Ward::new();
    let tacho = start_isolated(ward.config().overflow(Overflow::DropNewest)).unwrap();
    info!(logger: tacho, target: "flood", "calm");
    flood(&tacho);
    ward.until_found("drops");
    let (code, report) = ward.health();
    assert_eq!(code, code_of(&report));
    until("drops are over", || ward.told("drops").iter().any(|told| told.1 == "ok"));
    // As many as there were.
    let worst = if tacho.health().dropped >= 1_000 { "critical" } else { "warning" };
    ward.assert_told_once("drops", worst);
    tacho.flush(PATIENCE).unwrap();
    let own = text_of(&ward.place.dir(), "tachograph");
    assert!(own.contains("drops: ") && own.contains("records were dropped: ring full"), "{own}");
    assert!(own.contains("health: drops is ok again"), "{own}");
    let events = ward.events.lock().unwrap();
    let ends = events.iter().filter(|event| event.id == "drops" && event.state == State::Ok).count();
    assert_eq!(ends, 1, "{events:?}");
}

#[test]
fn a_callback_that_panics_is_told_of_and_the_worker_goes_on() {
    let ward = Ward::new();
    let config = ward.config_at(&ward.place.dir()).on_health(|event| panic!("no idea what {} is", event.id));
    let tacho = start_isolated(config.overflow(Overflow::DropNewest)).unwrap();
    flood(&tacho);
    ward.until_found("drops");
    until("drops are over", || ward.told("drops").iter().any(|told| told.1 == "ok"));
    info!(logger: tacho, target: "flood", "after the panics");
    tacho.flush(PATIENCE).unwrap();
    assert!(text_of(&ward.place.dir(), "flood").contains("after the panics"));
    let errors = || ward.health().1["processes"][0]["vitals"]["errors"].clone();
    let said = |errors: &Value| {
        errors.as_array().unwrap().iter().any(|error| {
            let text = error["text"].as_str().unwrap();
            text.contains("on_health: ") && text.contains("no idea what drops is") && error["count"].as_u64() >= Some(2)
        })
    };
    until("health names the panics", || said(&errors()));
    assert!(ward.tacho(&["health"]).1.contains("on_health"));
    tacho.close(PATIENCE).unwrap();
}

#[test]
fn a_view_that_lags_is_found_told_once_and_over() {
    let ward = Ward::new();
    let config = ward.config().health_view_lag_max(Duration::from_secs(2));
    let tacho = start_isolated(config).unwrap();
    info!(logger: tacho, target: "orders", "before");
    tacho.flush(PATIENCE).unwrap();
    let file = ward.place.dir().join("orders.log");
    fs::remove_file(&file).unwrap();
    fs::create_dir(&file).unwrap();
    info!(logger: tacho, target: "orders", "meanwhile");
    ward.until_found("files");
    ward.until_found("view_lag");
    let (code, report) = ward.health();
    assert_eq!((code, states(&report, "files")), (2, vec!["critical".to_owned()]), "{report}");
    let vitals = &report["processes"][0]["vitals"];
    assert_eq!((&vitals["views_failing"], &vitals["in_trouble"]), (&1.into(), &true.into()), "{vitals}");
    assert!(vitals["errors"][0]["text"].as_str().unwrap().contains("orders.log"), "{vitals}");
    fs::remove_dir(&file).unwrap();
    ward.assert_told_once("files", "critical");
    ward.assert_told_once("view_lag", "warning");
    tacho.flush(PATIENCE).unwrap();
    assert!(text_of(&ward.place.dir(), "orders").contains("meanwhile"));
}

/// A tmpfs of one MiB, unmounted at the end.
struct Tmpfs(tempfile::TempDir);

impl Tmpfs {
    fn mount() -> Option<Self> {
        let point = tempfile::tempdir().unwrap();
        let mut mount = Command::new("mount");
        let output = mount.args(["-t", "tmpfs", "-o", "size=1m", "health-test"]).arg(point.path()).output();
        let done = output.is_ok_and(|output| output.status.success());
        if !done {
            eprintln!("SKIPPED: a_full_disk_is_found_told_once_and_over: no right to mount a tmpfs");
        }
        done.then_some(Self(point))
    }
}

impl Drop for Tmpfs {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.0.path()).status();
    }
}

#[test]
fn a_full_disk_is_found_told_once_and_over() {
    let Some(disk) = Tmpfs::mount() else { return };
    let ward = Ward::new();
    let dir = disk.0.path().join("logs");
    let tacho = start_isolated(ward.config_at(&dir).overflow(Overflow::DropNewest)).unwrap();
    info!(logger: tacho, target: "orders", "before");
    tacho.flush(PATIENCE).unwrap();
    until("health is stored", || dir.join("health.json").exists());
    let filler = disk.0.path().join("filler");
    let mut file = fs::File::create(&filler).unwrap();
    // To the last byte.
    [4096, 512, 64, 1].iter().for_each(|block| while file.write_all(&vec![b'x'; *block]).is_ok() {});
    let mut number = 0;
    until("the disk is found full", || {
        info!(logger: tacho, target: "orders", "{number} {}", "x".repeat(500));
        number += 1;
        !ward.told("disk").is_empty() && !ward.told("files").is_empty()
    });
    let (code, out, err) = tacho_health(&dir);
    assert_eq!(code, 2, "{out}{err}");
    assert!(out.contains("critical  disk: ") && out.contains("critical  files: "), "{out}");
    drop(file);
    fs::remove_file(&filler).unwrap();
    ward.assert_told_once("disk", "critical");
    ward.assert_told_once("files", "critical");
    until("health is stored again", || {
        let report: Option<Value> =
            fs::read(dir.join("health.json")).ok().and_then(|json| serde_json::from_slice(&json).ok());
        report.is_some_and(|report| states(&report, "disk").is_empty())
    });
    tacho.close(PATIENCE).unwrap();
}

fn tacho_health(dir: &Path) -> (i32, String, String) {
    tacho(dir, &["health"])
}

/// A process of its own that logs, then does as it is told.
struct Logger {
    child: Child,
    lines: Box<dyn Iterator<Item = std::io::Result<String>>>,
}

impl Logger {
    fn start(ward: &Ward, external: bool) -> Self {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--exact", "child_logs_as_it_is_told", "--ignored", "--nocapture", "--test-threads", "1"]);
        command.env("HEALTH_PLACE", ward.place.path()).env("HEALTH_SHM", ward.place.shm());
        command.env("HEALTH_EXTERNAL", if external { "1" } else { "" });
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let lines = Box::new(BufReader::new(child.stdout.take().unwrap()).lines());
        let mut logger = Self { child, lines };
        logger.until_said("logged");
        logger
    }

    fn until_said(&mut self, what: &str) {
        assert!(self.lines.any(|line| line.unwrap().ends_with(what)), "the child says {what}");
    }

    /// It logs this at info.
    fn log(&mut self, text: &str) {
        self.child.stdin.as_mut().unwrap().write_all(format!("{text}\n").as_bytes()).unwrap();
        self.until_said("logged");
    }

    fn signal(&self, signal: i32) {
        // SAFETY: a signal to a child that was not waited for.
        assert_eq!(unsafe { libc::kill(i32::try_from(self.child.id()).unwrap(), signal) }, 0);
    }

    /// Stops it; all its threads stand still when this returns.
    fn stop(&self) {
        self.signal(libc::SIGSTOP);
        let pid = i32::try_from(self.child.id()).unwrap();
        // SAFETY: waits for a child, and is given no place for its status.
        assert_eq!(unsafe { libc::waitpid(pid, std::ptr::null_mut(), libc::WUNTRACED) }, pid);
    }
}

impl Drop for Logger {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
#[ignore = "a child process of the tests here"]
fn child_logs_as_it_is_told() {
    let Ok(path) = std::env::var("HEALTH_PLACE") else { return };
    let shm = std::env::var("HEALTH_SHM").unwrap();
    let place = Place::of(Path::new(&path), Path::new(&shm));
    let ward = Ward { told: place.file("told"), place, events: Arc::default() };
    let external = std::env::var("HEALTH_EXTERNAL").is_ok_and(|text| !text.is_empty());
    let worker = if external { Worker::External } else { Worker::Thread };
    let config = ward.config_at(&ward.place.dir()).worker(worker).level(LevelFilter::Info);
    let tacho = tachograph::start(config).unwrap();
    info!(target: "orders::new", "started");
    debug!(target: "orders::new", "not shown at first");
    println!("\nlogged");
    for line in std::io::stdin().lines() {
        let line = line.unwrap();
        info!(target: "orders::new", "{line}");
        debug!(target: "orders::new", "in detail: {line}");
        tacho.flush(PATIENCE).unwrap();
        println!("\nlogged");
    }
}

#[test]
fn a_stopped_and_then_killed_process_is_found_told_once_and_over() {
    let ward = Ward::new();
    let logger = Logger::start(&ward, true);
    let _collector = Collector::start(&ward.place, &[]);
    until("the collector looks", || ward.place.dir().join("health.json").exists());
    logger.stop();
    ward.until_found("writer_stalled");
    let (code, report) = ward.health();
    assert_eq!((code, states(&report, "writer_stalled")), (2, vec!["critical".to_owned()]), "{report}");
    logger.signal(libc::SIGCONT);
    ward.assert_told_once("writer_stalled", "critical");
    assert!(ward.told("crashed").is_empty());
    drop(logger);
    ward.until_found("crashed");
    ward.assert_told_once("crashed", "critical");
    until("the dead is recovered", || ward.place.live_folders() == 0);
}

#[test]
fn the_dead_are_read_until_they_are_recovered_and_their_successor_tells_of_them() {
    let ward = Ward::new();
    let mut logger = Logger::start(&ward, false);
    logger.log("one");
    let name = ward.health().1["processes"][0]["vitals"]["process"].as_str().unwrap().to_owned();
    drop(logger);
    let (code, report) = ward.health();
    assert_eq!((code, states(&report, "crashed")), (2, vec!["critical".to_owned()]), "{report}");
    let vitals = &report["processes"][0]["vitals"];
    assert_eq!((&vitals["life"], &vitals["written"]), (&"dead".into(), &2.into()), "{vitals}");
    for args in [&["level", "debug"][..], &["rotate"]] {
        let (code, _, err) = ward.tacho(args);
        assert_eq!((code, err.contains("is alive")), (1, true), "{err}");
    }
    let tacho = start_isolated(ward.config()).unwrap();
    ward.assert_told_once("crashed", "critical");
    tacho.close(PATIENCE).unwrap();
    let own = text_of(&ward.place.dir(), "tachograph");
    assert!(own.contains("records that were in its rings only") && own.contains(&name), "{own}");
}

#[test]
fn records_and_bytes_are_counted_by_level_and_target() {
    let ward = Ward::new();
    let tacho = start_isolated(ward.config()).unwrap();
    (0..300).for_each(|number| info!(logger: tacho, target: "a::b", "{number}"));
    (0..20).for_each(|number| warn!(logger: tacho, target: "c", "{number}"));
    error!(logger: tacho, target: "a::b", "once");
    info!(logger: tacho, "to the component of the logger");
    tacho.flush(PATIENCE).unwrap();
    let (_, report) = ward.health();
    let vitals = &report["processes"][0]["vitals"];
    let counts = |what: &str| -> Vec<(String, u64)> {
        let all = vitals[what].as_array().unwrap().iter();
        all.map(|count| (count["name"].as_str().unwrap().to_owned(), count["records"].as_u64().unwrap())).collect()
    };
    let named = |all: &[(&str, u64)]| all.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect::<Vec<_>>();
    assert_eq!(counts("levels"), named(&[("error", 1), ("warn", 20), ("info", 301)]));
    let targets = counts("targets");
    assert_eq!(targets[..2], named(&[("a::b", 301), ("c", 20)]));
    assert_eq!((targets.len(), targets[2].1), (3, 1), "{targets:?}");
    assert!(vitals["targets"][0]["bytes"].as_u64().unwrap() >= 301 * 24);
    assert_eq!((&vitals["written"], &vitals["version"]), (&322.into(), &env!("CARGO_PKG_VERSION").into()));
    let steps: u64 = vitals["writer_lag"]["buckets"].as_array().unwrap().iter().map(|b| b[1].as_u64().unwrap()).sum();
    assert!((1..=322).contains(&steps), "{vitals}");
    let ring = &vitals["rings"][0];
    assert!(ring["high_water_bytes"].as_u64().unwrap() > 0 && !ring["thread"].as_str().unwrap().is_empty(), "{ring}");
    tacho.close(PATIENCE).unwrap();
}

#[test]
fn a_copy_without_live_memory_is_read_from_what_was_stored() {
    let ward = Ward::new();
    let (code, _, err) = ward.tacho(&["health"]);
    assert_eq!((code, err.contains("-D DIR")), (3, true), "{err}");
    let tacho = start_isolated(ward.config()).unwrap();
    info!(logger: tacho, target: "orders", "before");
    until("health is stored", || ward.place.dir().join("health.json").exists());
    let metrics = ward.place.dir().join("metrics.prom");
    until("metrics are stored", || fs::read_to_string(&metrics).is_ok_and(|text| text.contains("tachograph_up{")));
    tacho.close(PATIENCE).unwrap();
    let (code, out, err) = ward.tacho(&["health", "--json"]);
    let report: Value = serde_json::from_str(&out).unwrap();
    assert_eq!((code, &report["schema"]), (code_of(&report), &1.into()), "{out}");
    assert!(err.contains("health.json of ") && err.contains(" s ago"), "{err}");
    assert_eq!(report["processes"][0]["vitals"]["written"], 1, "the last look is at the end: {out}");
    fs::write(ward.place.dir().join("health.json"), out.replacen("\"schema\":1", "\"schema\":7", 1)).unwrap();
    let (code, _, err) = ward.tacho(&["health"]);
    assert_eq!((code, err.contains("schema 7")), (3, true), "{err}");
}

#[test]
fn what_stands_in_the_pages_is_not_trusted() {
    let ward = Ward::new();
    let mut logger = Logger::start(&ward, false);
    logger.log("one");
    logger.stop();
    let live = fs::read_dir(ward.place.shm()).unwrap().flatten().next().unwrap().path();
    let live = fs::read_dir(live).unwrap().flatten().map(|entry| entry.path()).find(|path| path.is_dir()).unwrap();
    let page = live.join("health");
    let whole = fs::read(&page).unwrap();
    for damaged in [vec![0xff; whole.len()], vec![], whole[..5000].to_vec(), vec![0; whole.len()]] {
        fs::write(&page, damaged).unwrap();
        let (code, report) = ward.health();
        assert!((0..=2).contains(&code), "{report}");
        assert_eq!(report["processes"][0]["vitals"]["written"].as_u64(), Some(2));
    }
    // Only what makes the page ours is right, all else is not.
    let mut wild = vec![0xff; whole.len()];
    wild[..16].copy_from_slice(&whole[..16]);
    fs::write(&page, wild).unwrap();
    let (code, out, _) = ward.tacho(&["health"]);
    assert!((0..=2).contains(&code) && out.contains("alive"), "{out}");
    let control = live.join("control");
    let mut bytes = fs::read(&control).unwrap();
    bytes[8] = 99;
    fs::write(&control, bytes).unwrap();
    let (code, _, err) = ward.tacho(&["health"]);
    assert_eq!(code, 3, "{err}");
    assert!(err.contains("version 99"), "{err}");
}

#[test]
fn levels_are_changed_from_outside_and_wrong_requests_refused() {
    let ward = Ward::new();
    let mut logger = Logger::start(&ward, false);
    let shows_details = |logger: &mut Logger, text: &str| {
        logger.log(text);
        let shown = text_of(&ward.place.dir(), "orders");
        assert!(shown.contains(&format!(" {text}")), "{shown}");
        shown.contains(&format!("in detail: {text}"))
    };
    assert!(!shows_details(&mut logger, "one"));
    let (code, out, err) = ward.tacho(&["level", "orders=debug"]);
    assert_eq!((code, out.contains("INFO,orders=DEBUG") || out.contains("info,orders=debug")), (0, true), "{out}{err}");
    assert!(shows_details(&mut logger, "two"));
    for (args, expected) in [
        (&["level", "nobody=debug"][..], "there is main, orders::new"),
        (&["level", "orders=loud"], "loud"),
        (&["rotate", "--wait", "-u", "nobody"], "there is "),
    ] {
        let (code, _, err) = ward.tacho(args);
        assert_eq!((code, err.contains("refused")), (2, true), "{err}");
        let names = expected.split_once("there is main, ").map_or(expected, |(_, name)| name);
        assert!(err.contains(names), "{err}");
    }
    assert_eq!(ward.tacho(&["level", "--any", "nobody=debug,orders=info"]).0, 0);
    assert!(!shows_details(&mut logger, "three"));
    let pid = logger.child.id().to_string();
    assert_eq!(ward.tacho(&["level", "--process", &pid, "debug"]).0, 0);
    let (code, _, err) = ward.tacho(&["level", "--process", "1", "debug"]);
    assert_eq!((code, err.contains("no process 1 is alive")), (1, true), "{err}");
    logger.stop();
    let (code, _, err) = ward.tacho(&["level", "--timeout", "200ms", "orders=warn"]);
    assert_eq!((code, err.contains("no answer within 200ms")), (2, true), "{err}");
    logger.signal(libc::SIGCONT);
    logger.log("four");
}

#[test]
fn views_are_rotated_from_outside_one_or_all() {
    let ward = Ward::new();
    let mut logger = Logger::start(&ward, false);
    logger.log("one");
    let dir = ward.place.dir();
    let (code, out, err) = ward.tacho(&["rotate", "--wait", "-u", "orders::new"]);
    assert_eq!((code, out.trim_end().ends_with(": orders")), (0, true), "{out}{err}");
    let backup = fs::read_dir(&dir).unwrap().flatten().map(|entry| entry.file_name().into_string().unwrap());
    assert_eq!(backup.filter(|name| name.starts_with("orders.log.1")).count(), 1);
    logger.log("two");
    let text = text_of(&dir, "orders");
    assert!(text.contains("two") && !text.contains("one"), "{text}");
    let (code, out, _) = ward.tacho(&["rotate", "--wait"]);
    assert_eq!((code, out.contains("orders")), (0, true), "{out}");
    assert!(!text_of(&dir, "orders").contains("two"));
}

#[test]
fn promtool_accepts_the_metrics() {
    let ward = Ward::new();
    let tacho = start_isolated(ward.config()).unwrap();
    flood(&tacho);
    tacho.flush(PATIENCE).unwrap();
    let (_, out, err) = ward.tacho(&["health", "--prom"]);
    assert!(out.contains("tachograph_dropped_records_total{process=") && err.is_empty(), "{out}{err}");
    tacho.close(PATIENCE).unwrap();
    let promtool =
        Command::new("promtool").args(["check", "metrics"]).stdin(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let Ok(mut promtool) = promtool else {
        eprintln!("SKIPPED: promtool_accepts_the_metrics: promtool is not installed (Debian: prometheus)");
        return;
    };
    promtool.stdin.take().unwrap().write_all(out.as_bytes()).unwrap();
    let checked = promtool.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&checked.stderr).into_owned();
    assert!(checked.status.success() && said.is_empty(), "{said}\n{out}");
}
