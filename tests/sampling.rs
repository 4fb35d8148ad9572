//! Sampling: what is left out is counted, what is told adds up, and a kill changes neither.
//!
//! `TACHO_KILLS=1000 cargo test --release --test sampling kill` kills so many times (default 20);
//! `TACHO_FLOOD_S=10 cargo test --release --test sampling flood_at_full_speed -- --nocapture` floods as fast as the machine can for
//! so many seconds (default: not at all; the flood by numbers runs always).
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

mod support;

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use support::{SharedWords, child, lines, message};
use tachograph::{Config, Identity, Overflow, Sampling, error, info, prepare_thread, start, start_isolated, warn};

fn config(dir: &Path, sampling: Sampling) -> Config {
    Config::new(dir)
        .health_interval(Duration::ZERO)
        .segment_bytes(256_usize << 10)
        .segments(4_usize)
        .record_bytes_max(1_usize << 10)
        .ring_bytes(64_usize << 10)
        .overflow(Overflow::Block)
        .block_max(Duration::from_secs(60))
        .view_bytes_max(1_u64 << 30)
        .view_backups(10_000_u32)
        .sampling(sampling)
}

/// An interval that no test outlasts.
fn per_hour(messages: u32) -> Sampling {
    Sampling::new().per_interval(messages).interval(Duration::from_secs(3600))
}

/// What a view tells: lines that say `text`, and how many the summaries of it count.
fn told(dir: &Path, view: &str, text: &str) -> (u64, u64) {
    let (mut written, mut left_out) = (0, 0);
    for line in lines(dir, view) {
        let said = bare(&line);
        if said == text {
            written += 1;
        } else if said.ends_with(&format!(": {text}")) {
            left_out += count(said);
        }
    }
    (written, left_out)
}

/// The message without the marks behind it.
fn bare(line: &str) -> &str {
    message(line).trim_end_matches(" (recovered)").trim_end_matches(" (late)")
}

/// The number in a summary.
fn count(said: &str) -> u64 {
    let words = said.strip_prefix("suppressed ").or_else(|| said.strip_prefix("sampled out ")).expect("a summary");
    words.split(' ').next().unwrap().replace(',', "").parse().unwrap()
}

#[test]
fn a_flood_is_cut_beside_a_quiet_stream_that_is_complete() {
    const FLOOD: u64 = 300_000;
    const QUIET: u64 = 2_000;
    let dir = tempfile::tempdir().unwrap();
    let tacho = start_isolated(config(dir.path(), per_hour(10))).unwrap();
    let flood = |calls: u64| {
        (0..calls).for_each(|_| warn!(logger: &tacho, target: "feed", "book of {} is stale", "BTC/USDT"));
    };
    // Something is left out before other messages come: the flood keeps its place in the table then.
    flood(100);
    tacho.flush(Duration::from_secs(60)).unwrap();
    flood(1);
    std::thread::scope(|scope| {
        scope.spawn(|| flood(FLOOD - 101));
        scope.spawn(|| {
            for number in 0..QUIET {
                info!(logger: &tacho, target: "orders", "order {}", number);
            }
        });
    });
    tacho.flush(Duration::from_secs(60)).unwrap();
    assert_eq!(told(dir.path(), "feed", "book of BTC/USDT is stale"), (10, FLOOD - 10), "after a flush");
    assert_eq!(tacho.health().sampled_out, FLOOD - 10);
    let orders: Vec<String> = lines(dir.path(), "orders").iter().map(|line| message(line).to_owned()).collect();
    assert_eq!(orders, (0..QUIET).map(|number| format!("order {number}")).collect::<Vec<_>>());
    let health = tacho.health();
    assert_eq!(
        (health.dropped, health.sampled_out, health.sampled_out_repeats),
        (0, FLOOD - 10, FLOOD - 10),
        "{health}"
    );
    assert_eq!(health.written, QUIET + 10);
    assert_eq!(health.called(), FLOOD + QUIET);
    tacho.close(Duration::from_secs(60)).unwrap();
    assert_eq!(told(dir.path(), "feed", "book of BTC/USDT is stale"), (10, FLOOD - 10), "nothing is told twice");
}

#[test]
fn dropped_left_out_and_written_records_are_all_calls() {
    const CALLS: u64 = 200_000;
    let dir = tempfile::tempdir().unwrap();
    let config = config(dir.path(), per_hour(5)).overflow(Overflow::DropNewest);
    let tacho = start_isolated(config).unwrap();
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| (0..CALLS).for_each(|number| info!(logger: &tacho, target: "load", "text {}", number % 4)));
        }
    });
    tacho.flush(Duration::from_secs(60)).unwrap();
    let health = tacho.health();
    assert_eq!(health.called(), 2 * CALLS, "{health}");
    assert_eq!(health.written, 20);
    tacho.close(Duration::from_secs(60)).unwrap();
    let all: Vec<(u64, u64)> = (0..4).map(|number| told(dir.path(), "load", &format!("text {number}"))).collect();
    assert!(all.iter().all(|(written, _)| *written == 5), "{all:?}");
    assert_eq!(all.iter().map(|(_, left_out)| left_out).sum::<u64>(), health.sampled_out);
    let own = Path::new(dir.path()).join("tachograph.log").exists().then(|| lines(dir.path(), "tachograph"));
    let messages: Vec<String> = own.unwrap_or_default().iter().map(|line| message(line).to_owned()).collect();
    let stated = support::stated_drops(messages.iter().map(String::as_str), "ring full");
    assert_eq!(stated, health.dropped);
}

#[test]
fn a_summary_comes_although_nothing_follows() {
    let dir = tempfile::tempdir().unwrap();
    let sampling = Sampling::new().per_interval(1).interval(Duration::from_millis(200));
    let tacho = start_isolated(config(dir.path(), sampling)).unwrap();
    let calls = 50;
    let begin = Instant::now();
    for _ in 0..calls {
        info!(logger: &tacho, target: "feed", "stale");
    }
    // Neither a call nor a flush: only the writer's own steps.
    let until = Instant::now() + Duration::from_secs(60);
    loop {
        let (written, left_out) =
            if dir.path().join("feed.log").exists() { told(dir.path(), "feed", "stale") } else { (0, 0) };
        if written + left_out == calls {
            assert!(written <= 1 + begin.elapsed().as_millis() as u64 / 200 + 1);
            break;
        }
        assert!(Instant::now() < until, "{written} written, {left_out} told of");
        std::thread::yield_now();
    }
    tacho.close(Duration::from_secs(60)).unwrap();
}

#[test]
fn a_new_interval_brings_new_lines_behind_the_summary() {
    let dir = tempfile::tempdir().unwrap();
    let clock = tachograph::ManualClock::new(1_000_000_000);
    let sampling = Sampling::new().per_interval(2).interval(Duration::from_secs(1)).burst(3);
    let tacho = start_isolated(config(dir.path(), sampling).clock(clock.clone())).unwrap();
    let say = |calls: u32| (0..calls).for_each(|_| info!(logger: &tacho, target: "feed", "stale"));
    say(5);
    clock.set(2_500_000_000);
    say(4);
    tacho.close(Duration::from_secs(60)).unwrap();
    let said: Vec<String> = lines(dir.path(), "feed").iter().map(|line| message(line).to_owned()).collect();
    let summary =
        |second: u32, calls: u32| format!("suppressed {calls} repeats since 1970-01-01T00:00:0{second}Z of: stale");
    let summary = |second: u32, frac: &str, calls: u32| summary(second, calls).replace('Z', &format!(".{frac}Z"));
    assert_eq!(
        said,
        ["stale", "stale", "stale", &summary(1, "000000000", 2), "stale", "stale", &summary(2, "500000000", 2)]
    );
}

#[test]
fn shares_of_targets_and_what_is_exempt() {
    let dir = tempfile::tempdir().unwrap();
    let sampling = per_hour(2)
        .every("ticks", 10)
        .probability("book", 0.25)
        .exempt_target("audit")
        .exempt_target("ticks::gap")
        .seed(7);
    let tacho = start_isolated(config(dir.path(), sampling)).unwrap();
    for number in 0..1000 {
        info!(logger: &tacho, target: "ticks::btc", "tick {}", number);
        info!(logger: &tacho, target: "book", "level {}", number);
        info!(logger: &tacho, target: "audit::orders", "same");
        error!(logger: &tacho, target: "feed", "lost");
        warn!(logger: &tacho, target: "feed", "slow");
    }
    for _ in 0..100 {
        info!(logger: &tacho, target: "ticks::gap", "gap");
    }
    tacho.flush(Duration::from_secs(60)).unwrap();
    let health = tacho.health();
    assert_eq!(health.sampled_out_every, 900);
    assert_eq!(health.sampled_out_repeats, 998);
    assert!((600..900).contains(&health.sampled_out_probability), "{health}");
    tacho.close(Duration::from_secs(60)).unwrap();

    let ticks: Vec<String> = lines(dir.path(), "ticks").iter().map(|line| message(line).to_owned()).collect();
    let written: Vec<&String> = ticks.iter().filter(|said| said.starts_with("tick ")).collect();
    assert_eq!(
        written,
        (0..1000).step_by(10).map(|number| format!("tick {number}")).collect::<Vec<_>>().iter().collect::<Vec<_>>()
    );
    let left_out: u64 = ticks.iter().filter(|said| said.starts_with("sampled out ")).map(|said| count(said)).sum();
    assert_eq!(left_out, 900);
    assert_eq!(ticks.iter().filter(|said| *said == "gap").count(), 100);
    let books: Vec<String> = lines(dir.path(), "book").iter().map(|line| message(line).to_owned()).collect();
    let left_out: u64 = books.iter().filter(|said| said.starts_with("sampled out ")).map(|said| count(said)).sum();
    assert_eq!(left_out, health.sampled_out_probability);
    assert_eq!(books.iter().filter(|said| said.starts_with("level ")).count() as u64, 1000 - left_out);
    assert_eq!(told(dir.path(), "audit", "same"), (1000, 0));
    assert_eq!(told(dir.path(), "feed", "lost"), (1000, 0));
    assert_eq!(told(dir.path(), "feed", "slow"), (2, 998));
}

#[test]
fn what_makes_messages_the_same_can_be_chosen() {
    for (identity, written) in [
        (Identity::Arguments, 2 * 100),
        (Identity::Site, 2),
        (Identity::Field("symbol".into()), 2 * 2),
        (Identity::Field("venue".into()), 2 * 100),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let tacho = start_isolated(config(dir.path(), per_hour(2).identity(identity.clone()))).unwrap();
        for round in 0..400 {
            let symbol = if round % 2 == 0 { "BTC/USDT" } else { "ETH/USDT" };
            info!(logger: &tacho, target: "feed", ago = Some(round % 100), symbol = symbol, last = 1; "stale for {} ms", round % 100);
        }
        tacho.flush(Duration::from_secs(60)).unwrap();
        let health = tacho.health();
        tacho.close(Duration::from_secs(60)).unwrap();
        assert_eq!((health.written, health.sampled_out), (written, 400 - written), "{identity:?}");
        let left_out: u64 = lines(dir.path(), "feed")
            .iter()
            .map(|line| bare(line))
            .filter(|said| said.starts_with("suppressed"))
            .map(count)
            .sum();
        assert_eq!(left_out, 400 - written, "{identity:?}");
    }
}

#[test]
fn more_messages_than_the_table_has_places_for_are_written_or_counted() {
    let dir = tempfile::tempdir().unwrap();
    let tacho = start_isolated(config(dir.path(), per_hour(1).entries(8))).unwrap();
    for number in 0..20_000_u32 {
        // Ten messages that come twice in a row, so that each leaves something out before it has to go.
        info!(logger: &tacho, target: "feed", "message {}", number / 2 % 10);
    }
    tacho.close(Duration::from_secs(60)).unwrap();
    let all: Vec<(u64, u64)> = (0..10).map(|number| told(dir.path(), "feed", &format!("message {number}"))).collect();
    for (written, left_out) in &all {
        assert_eq!(written + left_out, 2000, "{all:?}");
        assert!(*written > 1, "places were taken: {all:?}");
    }
}

#[test]
fn a_configuration_that_cannot_work_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let error = start_isolated(config(dir.path(), Sampling::new().burst(1))).unwrap_err();
    assert!(error.is_config() && error.to_string().contains("sampling.burst"), "{error}");
}

const THREADS: usize = 3;
/// Messages that take turns.
const TEXTS: u64 = 40;

fn sampling_for_kills() -> Sampling {
    Sampling::new().per_interval(2).interval(Duration::from_millis(100)).entries(16).every("share", 7)
}

#[test]
#[ignore = "the child of the test below"]
fn child_repeats_itself_until_it_is_killed() {
    let Ok(dir) = std::env::var("KILL_DIR") else { return };
    let acknowledged = SharedWords::open(&Path::new(&dir).join("acknowledged"), THREADS + 1);
    let tacho = start(config(&Path::new(&dir).join("logs"), sampling_for_kills())).unwrap();
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            let acknowledged = &acknowledged;
            scope.spawn(move || {
                prepare_thread();
                for number in 0_u64.. {
                    match thread {
                        // Every record counts, and they tell in which order they came.
                        0 => error!(target: "quiet", "{} {}", thread, number),
                        1 => info!(target: "flood", "thread 1 says {}", number / 3 % TEXTS),
                        _ => info!(target: "share", "thread 2 says {}", number),
                    }
                    acknowledged.word(thread).store(number + 1, Ordering::Release);
                    acknowledged.word(THREADS).store(1, Ordering::Release);
                }
            });
        }
    });
    drop(tacho);
}

/// Kills a child after `time`; returns how many records were written and how many left out.
fn kill_once(time: Duration) -> (u64, u64) {
    let dir = tempfile::tempdir().unwrap();
    let logs = dir.path().join("logs");
    let acknowledged = SharedWords::open(&dir.path().join("acknowledged"), THREADS + 1);
    let mut child = child("child_repeats_itself_until_it_is_killed", &[("KILL_DIR", dir.path().to_str().unwrap())]);
    while acknowledged.word(THREADS).load(Ordering::Acquire) == 0 {
        assert!(child.try_wait().unwrap().is_none(), "the child ended by itself");
        std::thread::yield_now();
    }
    let until = Instant::now() + time;
    while Instant::now() < until {
        std::thread::yield_now();
    }
    child.kill().unwrap();
    child.wait().unwrap();
    // With another sampling, none: the dead process's own goes on.
    let other = config(&logs, Sampling::new()).sampling(None);
    start_isolated(other).unwrap().close(Duration::from_secs(60)).unwrap();

    let (mut written, mut left_out) = ([0_u64; THREADS], [0_u64; THREADS]);
    let (mut seen, mut share) = (0, 0);
    for (thread, view) in ["quiet", "flood", "share"].into_iter().enumerate() {
        if !logs.join(format!("{view}.log")).exists() {
            continue;
        }
        for line in lines(&logs, view) {
            let said = bare(&line);
            if said.starts_with("suppressed ") || said.starts_with("sampled out ") {
                left_out[thread] += count(said);
                continue;
            }
            written[thread] += 1;
            let number = || said.rsplit(' ').next().unwrap().parse::<u64>().unwrap();
            match thread {
                0 => {
                    assert_eq!(number(), seen, "{line}");
                    seen += 1;
                }
                2 => {
                    assert_eq!(number(), share, "the first of each seven: {line}");
                    share += 7;
                }
                _ => {}
            }
        }
    }
    for thread in 0..THREADS {
        let found = written[thread] + left_out[thread];
        let returned = acknowledged.word(thread).load(Ordering::Acquire);
        assert!(
            found == returned || found == returned + 1,
            "thread {thread}: {} written and {} left out, {returned} returned",
            written[thread],
            left_out[thread]
        );
    }
    assert!(!logs.join("tachograph.log").exists(), "nothing was dropped or damaged");
    (written.iter().sum(), left_out.iter().sum())
}

/// The only file of this name in live folders.
fn live_file(shm: &Path, name: &str) -> Option<std::path::PathBuf> {
    let inner =
        |path: std::path::PathBuf| std::fs::read_dir(path).into_iter().flatten().flatten().map(|entry| entry.path());
    inner(shm.to_owned()).flat_map(inner).map(|folder| folder.join(name)).find(|path| path.exists())
}

#[test]
fn a_state_that_others_remove_goes_on_and_one_that_they_truncate_begins_anew_and_says_so() {
    use std::os::unix::fs::MetadataExt as _;
    for is_cut in [false, true] {
        let (dir, shm) = (tempfile::tempdir().unwrap(), tempfile::tempdir_in("/dev/shm").unwrap());
        let tacho = start_isolated(config(dir.path(), per_hour(10)).shm_dir(shm.path())).unwrap();
        let flood = || {
            (0..1_000).for_each(|_| warn!(logger: &tacho, target: "feed", "book of {} is stale", "BTC/USDT"));
            tacho.flush(Duration::from_secs(60)).unwrap();
        };
        flood();
        let path = live_file(shm.path(), "sampling").unwrap();
        let before = path.metadata().unwrap();
        if is_cut {
            std::fs::File::options().write(true).open(&path).unwrap().set_len(0).unwrap();
        } else {
            std::fs::remove_file(&path).unwrap();
        }
        let begin = Instant::now();
        let is_back = || path.metadata().is_ok_and(|now| now.ino() != before.ino() && now.len() == before.len());
        while !is_back() || !tacho.health().survives_kill {
            assert!(begin.elapsed() < Duration::from_secs(60), "it is not made again: {}", tacho.health());
            std::thread::sleep(Duration::from_millis(5));
        }
        flood();
        let health = tacho.health();
        let per_life = if is_cut { 20 } else { 10 };
        assert_eq!(health.sampled_out, 2_000 - per_life, "{health}");
        tacho.close(Duration::from_secs(60)).unwrap();
        let (written, left_out) = told(dir.path(), "feed", "book of BTC/USDT is stale");
        // A flush has summaries written, so that nothing was untold when the state was cut.
        assert_eq!((written, left_out), (per_life, 2_000 - per_life));
        let said = lines(dir.path(), "tachograph").join("\n");
        assert_eq!(
            said.matches("the state of sampling was truncated by somebody else").count(),
            usize::from(is_cut),
            "{said}"
        );
    }
}

#[test]
fn counts_and_summaries_are_exact_after_kill_9() {
    let kills: u64 = std::env::var("TACHO_KILLS").ok().and_then(|text| text.parse().ok()).unwrap_or(20);
    let mut seed = 0x9e37_79b9_7f4a_7c15_u64;
    let (mut written, mut left_out) = (0, 0);
    for kill in 0..kills {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let (more, less) = kill_once(Duration::from_micros((seed >> 33) % 30_000));
        (written, left_out) = (written + more, left_out + less);
        if kills > 100 && kill % 50 == 49 {
            println!("{} kills, {written} records written, {left_out} left out, all accounted for", kill + 1);
        }
    }
    println!("{kills} kills, {written} records written, {left_out} left out, all accounted for");
    assert!(left_out > 0);
}

#[test]
fn flood_at_full_speed() {
    let Some(seconds) = std::env::var("TACHO_FLOOD_S").ok().and_then(|text| text.parse().ok()) else { return };
    let dir = tempfile::tempdir().unwrap();
    let sampling = Sampling::new().per_interval(10).interval(Duration::from_secs(1));
    let wide = config(dir.path(), sampling).ring_bytes(4_usize << 20).segment_bytes(16_usize << 20);
    let tacho = start_isolated(wide).unwrap();
    let stop = AtomicBool::new(false);
    let (flood, quiet) = std::thread::scope(|scope| {
        let flood = scope.spawn(|| {
            let mut calls = 0_u64;
            while !stop.load(Ordering::Relaxed) {
                (0..1000).for_each(|_| warn!(logger: &tacho, target: "feed", "book of {} is stale", "BTC/USDT"));
                calls += 1000;
            }
            calls
        });
        let quiet = scope.spawn(|| {
            let mut calls = 0_u64;
            while !stop.load(Ordering::Relaxed) {
                info!(logger: &tacho, target: "orders", "order {}", calls);
                calls += 1;
                std::thread::sleep(Duration::from_millis(1));
            }
            calls
        });
        std::thread::sleep(Duration::from_secs(seconds));
        stop.store(true, Ordering::Relaxed);
        (flood.join().unwrap(), quiet.join().unwrap())
    });
    tacho.flush(Duration::from_secs(60)).unwrap();
    let health = tacho.health();
    tacho.close(Duration::from_secs(60)).unwrap();
    let (written, left_out) = told(dir.path(), "feed", "book of BTC/USDT is stale");
    println!(
        "{:.2} M calls/s: {flood} calls, {written} lines, {left_out} told of in summaries; quiet stream {quiet} of {quiet}",
        flood as f64 / seconds as f64 / 1e6
    );
    assert_eq!((written + left_out, health.dropped), (flood, 0));
    assert!(written <= 10 * (seconds + 2), "{written}");
    let orders: Vec<String> = lines(dir.path(), "orders").iter().map(|line| message(line).to_owned()).collect();
    assert_eq!(orders, (0..quiet).map(|number| format!("order {number}")).collect::<Vec<_>>());
}
