//! The files that operators know: what stands in which, how large they become, and that it holds at every moment.
//!
//! Presets are tried with their sizes divided by 1,000 (the platform's cap by 4,000, so that it is what limits); `TACHO_FILES_SCALE=1 cargo test
//! --release --test files promises -- --nocapture` tries the bot's real ones (5 GB of text), with `platform` in the stead of `promises`
//! the platform's, of eight services (60 GB of text). There the memory is that of the defaults. The bot's lines are a kilobyte long and do
//! not compress well, so that it is the limits that hold the total; the platform's have four kilobytes of which an eighth is noise, so
//! that it can be done (in 20 minutes beside a load of 15 on two cores): `TACHO_FILES_TIMES` says how many times the cap is logged,
//! 10 by default.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stderr
)]

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use support::{lines, texts};
use tachograph::trading::{Side, log_performance, log_trade};
use tachograph::{
    Config, Guard, Idle, Integers, Kind, LevelFilter, LineFormat, Overflow, View, WriterCore, error, info,
    start_isolated,
};
use toml::{Table, Value};

const FLUSH: Duration = Duration::from_secs(600);

/// Small, so that several fit on a small machine, and losing nothing.
fn small(config: Config, dir: &Path) -> Config {
    if scale() == 1 {
        // What the small ones would take at real sizes is the work for 100,000 segments.
        return config.dir(dir).overflow(Overflow::Block).block_max(Duration::from_secs(60));
    }
    config
        .dir(dir)
        .segment_bytes(64_usize << 10)
        .segments(4_usize)
        .record_bytes_max(1_usize << 10)
        .ring_bytes(64_usize << 10)
        .rings_spare(0_usize)
        .table_bytes(64_usize << 10)
        .writer_core(WriterCore::Unpinned)
        .idle(Idle::Sleep)
        .overflow(Overflow::Block)
        .block_max(Duration::from_secs(60))
        .view_compress_delay(Duration::ZERO)
}

fn scale() -> u64 {
    static SCALE: std::sync::LazyLock<u64> = std::sync::LazyLock::new(|| {
        std::env::var("TACHO_FILES_SCALE").map_or(1000, |text| text.parse().expect("a number"))
    });
    *SCALE
}

/// A preset with smaller files, by way of its file: what is shown is what is read.
fn scaled(config: &Config, dir: &Path, by: u64, cap_by: u64) -> Config {
    let mut table: Table = config.to_toml().parse().unwrap();
    let divide = |table: &mut Table, name: &str, by: u64, least: u64| {
        let Some(value) = table.get_mut(name) else { return };
        let bytes = match value {
            Value::Integer(number) => number.unsigned_abs(),
            Value::String(text) => {
                let (number, unit) = text.split_once(' ').unwrap();
                let unit = match unit {
                    "KiB" => 1 << 10,
                    "MiB" => 1 << 20,
                    "GiB" => 1 << 30,
                    "MB" => 1_000_000,
                    "GB" => 1_000_000_000,
                    other => panic!("{other}"),
                };
                number.parse::<u64>().unwrap() * unit
            }
            other => panic!("{other}"),
        };
        *value = Value::Integer((bytes / by).max(least) as i64);
    };
    divide(&mut table, "view_bytes_max", by, 0);
    divide(&mut table, "archive_bytes_max", by, 1 << 20);
    divide(&mut table, "disk_bytes_cap", cap_by, 0);
    for view in table.get_mut("view").unwrap().as_array_mut().unwrap() {
        divide(view.as_table_mut().unwrap(), "bytes_max", by, 0);
    }
    let path = dir.with_extension("toml");
    fs::write(&path, table.to_string()).unwrap();
    small(Config::from_file(&path).unwrap(), dir)
}

/// All files below a directory, with inode and length.
fn files(dir: &Path) -> BTreeMap<PathBuf, (u64, u64)> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        let path = entry.path();
        match fs::symlink_metadata(&path) {
            Ok(about) if about.is_dir() => found.extend(files(&path)),
            Ok(about) => drop(found.insert(path, (about.ino(), about.len()))),
            Err(_) => {}
        }
    }
    found
}

/// What is promised of a log directory.
struct Promise {
    cap: u64,
    /// Bytes that may be logged before they must be in the views, half of an archive's limit: only what that spares waits for
    /// them, and a busy machine archives faster than it renders. What goes then is counted, but it is gone.
    ahead: u64,
    /// The least bytes of a line.
    line: u64,
    /// Bytes and backups by view.
    views: Vec<(String, u64, usize)>,
}

impl Promise {
    /// Returns the bytes of all files.
    fn check(&self, dir: &Path, found: &BTreeMap<PathBuf, (u64, u64)>) -> u64 {
        let total: u64 = found.values().map(|(_, bytes)| bytes).sum();
        assert!(total <= self.cap, "{total} bytes are more than {}: {found:#?}", self.cap);
        let mut backups: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
        for (path, (_, bytes)) in found.iter().filter(|(path, _)| path.parent() == Some(dir)) {
            let name = path.file_name().unwrap().to_str().unwrap();
            if ["health.json", "metrics.prom"].contains(&name.trim_start_matches('.').trim_end_matches(".tmp")) {
                continue;
            }
            let (view, rest) = name.split_once(".log").unwrap_or_else(|| panic!("what is {name}?"));
            let known = self.views.iter().find(|(known, ..)| known == view);
            let (view, bytes_max, _) = known.unwrap_or_else(|| panic!("what is {name}?"));
            assert!(bytes <= bytes_max, "{name} has {bytes} bytes");
            match rest.trim_start_matches('.').trim_end_matches(".gz") {
                "" | "gz.tmp" => {}
                number => {
                    assert!(number.parse::<u32>().is_ok(), "what is {name}?");
                    backups.entry(view).or_default().insert(number);
                }
            }
        }
        for (view, _, most) in &self.views {
            let count = backups.get(view.as_str()).map_or(0, BTreeSet::len);
            assert!(count <= *most, "{view} has {count} backups");
        }
        total
    }

    /// Looks until `over`; says how often it saw a directory that did not change while it was listed: a listing that takes
    /// time would count what was deleted and what took its place. And how many bytes it saw at most.
    fn watch(&self, dir: &Path, over: &AtomicBool) -> (u64, u64) {
        let (mut seen, mut most, mut before) = (0, 0, BTreeMap::new());
        while !over.load(Ordering::Acquire) {
            let now = files(dir);
            if now == before && !now.is_empty() {
                most = self.check(dir, &now).max(most);
                seen += 1;
                std::thread::sleep(Duration::from_millis(if scale() == 1 { 20 } else { 1 }));
            }
            before = now;
        }
        (seen, most)
    }
}

/// Logs under watch until so many times the cap has been written as text; returns how many records.
fn load(tacho: &Guard, dir: &Path, promise: &Promise, log: impl Fn(u64)) -> u64 {
    let times = std::env::var("TACHO_FILES_TIMES").map_or(10.0, |text| text.parse().expect("a number"));
    let (bytes, begin) = ((times * promise.cap as f64) as u64, std::time::Instant::now());
    let over = AtomicBool::new(false);
    let ((seen, most), logged) = std::thread::scope(|scope| {
        let watch = scope.spawn(|| promise.watch(dir, &over));
        // The watch may fail: then nobody else has to go on.
        let mut number = 0;
        while number * promise.line < bytes && !watch.is_finished() {
            log(number);
            number += 1;
            if number.is_multiple_of(promise.ahead / promise.line) && tacho.flush(FLUSH).is_err() {
                break;
            }
        }
        let flushed = tacho.flush(FLUSH);
        over.store(true, Ordering::Release);
        let looked = watch.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        flushed.unwrap();
        (looked, number)
    });
    assert!(seen > 0, "nothing was seen");
    let health = tacho.health();
    assert_eq!((health.dropped, health.lost), (0, 0), "{health}");
    let (cap, mb, s) = (promise.cap, logged * promise.line / 1_000_000, begin.elapsed().as_secs_f64());
    eprintln!(
        "{logged} records, {mb} MB of text in {s:.0} s ({:.0} MB/s): looked {seen} times, saw {most} bytes at most of {cap}",
        mb as f64 / s
    );
    logged
}

/// The numbers in a view's lines, `n=<number>`, must go up by one of `step` to the last that was logged.
fn newest(dir: &Path, view: &str, numbers: impl Iterator<Item = u64>) {
    for text in texts(dir, view) {
        assert!(text.ends_with('\n'), "{view}: a line was split over two files");
    }
    let number = |line: &str| line.split("n=").nth(1).map(|rest| rest.split(' ').next().unwrap().parse().unwrap());
    let there: Vec<u64> =
        texts(dir, view).flat_map(|text| text.lines().filter_map(number).collect::<Vec<_>>()).collect();
    let all: Vec<u64> = numbers.collect();
    assert!(!there.is_empty() && there.len() <= all.len(), "{view}: {} of {}", there.len(), all.len());
    let wanted = &all[all.len() - there.len()..];
    if let Some(at) = there.iter().zip(wanted).rposition(|(there, wanted)| there != wanted) {
        let (good, found, wanted, last) = (there.len() - at - 1, there[at], wanted[at], there.last().unwrap());
        panic!(
            "{view}: only the newest {good} of {} lines, to {last}, are complete and in order; before them stands {found}, not {wanted}",
            there.len()
        );
    }
}

/// What fills a line up to 100 bytes and more.
const FILLING: &str = "..................................................";
/// Bytes of the bot's and of the platform's lines at real sizes, at least.
const BOT_LINE: u64 = 1000;
const PLATFORM_LINE: u64 = 4000;

fn line_bytes(real: u64) -> u64 {
    if scale() == 1 { real } else { 100 }
}

/// What fills the line `n`: at real sizes up to `line` bytes, of which one in `noise_part` is a letter that does not come again soon.
fn filling(n: u64, line: u64, noise_part: usize) -> &'static str {
    static LETTERS: [std::sync::OnceLock<String>; 2] = [const { std::sync::OnceLock::new() }; 2];
    if scale() != 1 {
        return FILLING;
    }
    let letters = LETTERS[usize::from(noise_part > 1)].get_or_init(|| {
        let mut state = 7_u64;
        let mut next = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            char::from(b'a' + (state >> 33) as u8 % 26)
        };
        let plain = "order filled at the best price of the book; ".chars().cycle();
        let block =
            |_| -> String { (0..64).map(|_| next()).chain(plain.clone().take(64 * (noise_part - 1))).collect() };
        (0..(1 << 20) / (64 * noise_part)).map(block).collect()
    });
    let bytes = line as usize - 50;
    let at = (n as usize).wrapping_mul(7919) % (letters.len() - bytes);
    &letters[at..at + bytes]
}

#[test]
fn a_trading_bot_has_the_files_and_sizes_that_its_preset_promises() {
    let root = tempfile::tempdir().unwrap();
    let dir = root.path().join("logs");
    let by = scale();
    let config = scaled(&Config::trading_bot("kraken_trading_bot"), &dir, by, by);
    let cap = config.disk_bytes_max().unwrap();
    assert_eq!(cap, 500_000_000 / by);
    let sizes = [("kraken_trading_bot", 10), ("errors", 5), ("trading_activity", 20), ("performance", 10)];
    let views = sizes.iter().map(|(view, mb)| ((*view).to_owned(), mb * 1_000_000 / by, 5)).collect();
    let promise = Promise { cap, ahead: 50_000_000 / by, line: line_bytes(BOT_LINE), views };
    let tacho = tachograph::start(config).unwrap();
    let fill = |n| filling(n, BOT_LINE, 1);
    let logged = load(&tacho, &dir, &promise, |n| match n % 8 {
        0 => error!(n = n, fill = fill(n); "lost"),
        1 | 2 => log_performance(fill(n), n, &format!("n={n} ")),
        3..6 => log_trade(&format!("{} n={n} ", fill(n)), Side::Buy, n, n),
        _ => info!(n = n, fill = fill(n); "event"),
    });
    tacho.close(FLUSH).unwrap();
    promise.check(&dir, &files(&dir));
    let of = |wanted: std::ops::Range<u64>| (0..logged).filter(move |n| wanted.contains(&(n % 8)));
    newest(&dir, "kraken_trading_bot", 0..logged);
    newest(&dir, "errors", of(0..1));
    newest(&dir, "performance", of(1..3));
    newest(&dir, "trading_activity", of(3..6));
}

#[test]
fn a_trading_platform_has_a_file_per_service_below_one_cap() {
    let root = tempfile::tempdir().unwrap();
    let dir = root.path().join("logs");
    let by = scale();
    // A small cap is too small for nine files.
    let services = if by == 1 { &SERVICES[..] } else { &SERVICES[..3] };
    let cap_by = if by == 1 { 1 } else { 4 * by };
    let config = scaled(&Config::trading_platform(services.iter().copied()), &dir, by, cap_by);
    let cap = config.disk_bytes_max().unwrap();
    let names: Vec<&str> = services.iter().copied().chain(["other"]).collect();
    let views = names.iter().map(|view| ((*view).to_owned(), 50_000_000 / by, 10)).collect();
    let promise = Promise { cap, ahead: 500_000_000 / cap_by, line: line_bytes(PLATFORM_LINE), views };
    let tacho = start_isolated(config).unwrap();
    let fill = |n| filling(n, PLATFORM_LINE, 8);
    let one_of = |n| (n % names.len() as u64) as usize;
    let logged = load(&tacho, &dir, &promise, |n| match names[one_of(n)] {
        "order_watcher" => info!(logger: tacho, target: "order_watcher::book", n = n, fill = fill(n); "event"),
        "order" => info!(logger: tacho, target: "order", n = n, fill = fill(n); "event"),
        "dashboard" => info!(logger: tacho, target: "dashboard", n = n, fill = fill(n); "event"),
        "risk" => info!(logger: tacho, target: "risk", n = n, fill = fill(n); "event"),
        "feed" => info!(logger: tacho, target: "feed::book", n = n, fill = fill(n); "event"),
        "gateway" => info!(logger: tacho, target: "gateway", n = n, fill = fill(n); "event"),
        "pricer" => info!(logger: tacho, target: "pricer", n = n, fill = fill(n); "event"),
        "ledger" => info!(logger: tacho, target: "ledger", n = n, fill = fill(n); "event"),
        _ => info!(logger: tacho, target: "anything", n = n, fill = fill(n); "event"),
    });
    tacho.close(FLUSH).unwrap();
    promise.check(&dir, &files(&dir));
    for (rest, view) in names.iter().enumerate() {
        newest(&dir, view, (0..logged).filter(|n| one_of(*n) == rest));
    }
}

/// The services of the platform.
const SERVICES: [&str; 8] = ["order_watcher", "order", "dashboard", "risk", "feed", "gateway", "pricer", "ledger"];

#[test]
fn what_the_archives_limit_takes_before_it_is_in_the_views_is_counted() {
    let root = tempfile::tempdir().unwrap();
    let dir = root.path().join("logs");
    // A directory in the place of the file: the view waits, and twice the limit is logged meanwhile.
    fs::create_dir_all(dir.join("all.log")).unwrap();
    let config = small(Config::new("x"), &dir).components(false).archive_compress(false).archive_bytes_max(1_u64 << 20);
    let tacho = start_isolated(config.view(View::new("all"))).unwrap();
    let mut logged = 0_u64;
    let until = std::time::Instant::now() + Duration::from_secs(60);
    while tacho.health().lost == 0 || logged < 40_000 {
        for _ in 0..1000 {
            info!(logger: tacho, n = logged, fill = FILLING; "event");
            logged += 1;
        }
        assert!(std::time::Instant::now() < until, "nothing was given up: {}", tacho.health());
    }
    fs::remove_dir(dir.join("all.log")).unwrap();
    tacho.flush(FLUSH).unwrap();
    let health = tacho.health();
    tacho.close(FLUSH).unwrap();
    let there: Vec<u64> = lines(&dir, "all")
        .iter()
        .filter_map(|line| line.split(" n=").nth(1).map(|rest| rest.split(' ').next().unwrap().parse().unwrap()))
        .collect();
    assert!(there.is_sorted_by(|one, next| one < next), "lines twice or out of order");
    assert_eq!(there.last(), Some(&(logged - 1)));
    assert_eq!((there.len() as u64 + health.lost, health.dropped), (logged, 0), "{health}");
    eprintln!("{logged} records, {} of them lost and counted", health.lost);
}

#[test]
fn an_error_stands_in_its_components_file_and_with_the_errors() {
    let root = tempfile::tempdir().unwrap();
    let dir = root.path().join("logs");
    let config = small(Config::new("x"), &dir)
        .view(View::new("errors").level(LevelFilter::Error).kinds([Kind::Messages]))
        .view(View::new("notes").kinds([Kind::Notes]));
    let tacho = start_isolated(config).unwrap();
    error!(logger: tacho, target: "order_watcher", "feed lost");
    info!(logger: tacho, target: "order_watcher", "feed back");
    tacho.close(FLUSH).unwrap();
    let said = |view: &str| -> Vec<String> {
        lines(&dir, view).iter().map(|line| support::message(line).to_owned()).collect()
    };
    assert_eq!(said("order_watcher"), ["feed lost", "feed back"]);
    assert_eq!(said("errors"), ["feed lost"]);
    assert!(said("notes").is_empty());
}

#[test]
fn dated_backups_are_in_the_order_of_their_names() {
    let root = tempfile::tempdir().unwrap();
    let dir = root.path().join("logs");
    let view = View::new("all").bytes_max(4096).backups(4).dated(true).compress(false);
    let tacho = start_isolated(small(Config::new("x"), &dir).components(false).view(view)).unwrap();
    for n in 0..1000_u64 {
        info!(logger: tacho, n = n, fill = FILLING; "event");
    }
    tacho.close(FLUSH).unwrap();
    let mut names: Vec<String> = files(&dir).into_keys().filter(|path| path.parent() == Some(&dir)).map(name).collect();
    // The active one, whose name is the shortest, is the newest.
    names.retain(|name| name != "all.log");
    names.sort();
    assert_eq!(names.len(), 4, "{names:?}");
    assert!(names.iter().all(|name| name.starts_with("all.20") && name.contains('T')), "{names:?}");
    let of = |text: String| {
        text.lines()
            .map(|line| line.split("n=").nth(1).unwrap().split(' ').next().unwrap().parse().unwrap())
            .collect::<Vec<u64>>()
    };
    let there: Vec<u64> = names
        .iter()
        .map(String::as_str)
        .chain(["all.log"])
        .flat_map(|name| of(fs::read_to_string(dir.join(name)).unwrap()))
        .collect();
    let first = there[0];
    assert_eq!(there, (first..1000).collect::<Vec<_>>());
}

fn name(path: PathBuf) -> String {
    path.file_name().unwrap().to_str().unwrap().to_owned()
}

#[test]
fn every_line_of_json_is_json_in_each_format_and_size() {
    let root = tempfile::tempdir().unwrap();
    let dir = root.path().join("logs");
    let view = |name: &str, format| View::new(name).format(format).bytes_max(20_000).backups(100);
    let config = small(Config::new("x"), &dir)
        .components(false)
        .view(view("flat", LineFormat::Json))
        .view(view("exact", LineFormat::Json).integers(Integers::Strings))
        .view(view("ecs", LineFormat::Ecs))
        .view(view("pairs", LineFormat::Logfmt).compress(false));
    let tacho = start_isolated(config).unwrap();
    let odd = ["plain", "\"quoted\" \\ and \u{1b}[31mred", "line\nline\r", "\u{0}\u{7f}\u{2028}ü😀", ""];
    for n in 0..1000_u64 {
        let text = odd[n as usize % odd.len()];
        info!(logger: tacho, n = n, id = u64::MAX - n, x = f64::NAN, said = text; "{text}");
    }
    tacho.close(FLUSH).unwrap();
    let parsed = |view: &str| -> Vec<serde_json::Value> {
        let all = lines(&dir, view);
        assert_eq!(all.len(), 1000, "{view}");
        all.iter().map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))).collect()
    };
    for (n, ((flat, exact), ecs)) in (0_u64..).zip(parsed("flat").iter().zip(parsed("exact")).zip(parsed("ecs"))) {
        assert_eq!(flat["id"].as_u64(), Some(u64::MAX - n));
        assert_eq!(exact["id"].as_str(), Some((u64::MAX - n).to_string().as_str()));
        assert_eq!((ecs["n"].as_u64(), &ecs["message"]), (Some(n), &flat["message"]));
    }
    for (n, line) in lines(&dir, "pairs").iter().enumerate() {
        assert!(line.starts_with("ts=") && line.contains(&format!(" n={n} ")), "{line}");
    }
    python(&dir, &["flat", "exact", "ecs"]);
}

/// Python's `json` must take each line, too, and find the same ids in them.
fn python(dir: &Path, views: &[&str]) {
    let program = "import sys, json\nfor n, line in enumerate(sys.stdin):\n    assert int(json.loads(line)['id']) == 2**64 - 1 - n, line\n";
    for view in views {
        let all = dir.join(format!("{view}.json"));
        fs::write(&all, lines(dir, view).iter().map(|line| format!("{line}\n")).collect::<String>()).unwrap();
        let mut command = Command::new("python3");
        command.args(["-c", program]).stdin(Stdio::from(fs::File::open(&all).unwrap())).stderr(Stdio::piped());
        match command.output() {
            Ok(output) => assert!(output.status.success(), "{view}: {}", String::from_utf8_lossy(&output.stderr)),
            Err(error) => return eprintln!("SKIPPED: python3 cannot be run ({error}); its json was not tried"),
        }
    }
}
