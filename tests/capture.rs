//! What a unit test sees through a `Capture`.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

use std::sync::{Mutex, MutexGuard, PoisonError, RwLock};
use std::time::{Duration, SystemTime};
use tachograph::capture::CapturedValue;
use tachograph::{Capture, Config, Level, Value, component, critical, debug, error, info, start, trace, warn};

/// Tests that need a process without captures write, those that use the global ones read.
static PROCESS: RwLock<()> = RwLock::new(());

fn shared() -> impl Drop {
    PROCESS.read().unwrap_or_else(PoisonError::into_inner)
}

fn alone() -> impl Drop {
    PROCESS.write().unwrap_or_else(PoisonError::into_inner)
}

#[derive(Debug, Value)]
struct Fill {
    id: u64,
    px: f64,
}

#[test]
fn a_record_says_everything_about_its_call() {
    let log = Capture::new().unwrap();
    let before = SystemTime::now();
    let order_id = 42_u64;
    let line = line!() + 1;
    warn!(logger: log, target: "risk", used = 0.93, side = "buy", left = -3_i8; "order {order_id} near the limit, {:.1} %", 93.04);
    let after = SystemTime::now();
    let records = log.records();
    assert_eq!(records.len(), 1);
    let record = &records[0];
    assert_eq!(record.level, Level::Warn);
    assert_eq!(record.target, "risk");
    assert_eq!(record.message, "order 42 near the limit, 93.0 %");
    assert_eq!(record.fields["used"], 0.93);
    assert_eq!(record.fields["side"], "buy");
    assert_eq!(record.fields["left"], -3);
    assert_eq!(record.fields.len(), 3);
    assert_eq!(record.arguments["order_id"], 42);
    assert_eq!(record.thread, std::thread::current().name().unwrap());
    assert_eq!(record.file, file!());
    assert_eq!(record.line, line);
    // The clocks of the processor and of the system may differ by a little.
    let slack = Duration::from_millis(100);
    assert!(record.time() > before - slack && record.time() < after + slack);
    assert_eq!(record.to_string(), "WARN risk: order 42 near the limit, 93.0 % used=0.93 side=buy left=-3");
}

#[test]
fn values_keep_their_types() {
    let log = Capture::new().unwrap();
    let nothing: Option<u8> = None;
    info!(
        logger: log,
        big = u128::MAX, small = i128::MIN, half = 0.5_f32, tenth = 0.1_f32, yes = true, letter = 'x', some = Some(7_u8),
        nothing, wait = Duration::from_millis(1500), list = [1_u8, 2, 3], fill = Fill { id: 1, px: 2.5 },
        shown:% = std::net::Ipv4Addr::LOCALHOST, quoted:? = "a\"b", nan = f64::NAN;
        ""
    );
    let record = log.take().pop().unwrap();
    let value = |name: &str| record.fields[name].clone();
    assert_eq!(value("big"), u128::MAX);
    assert_eq!(value("small"), i128::MIN);
    assert_eq!(value("half"), 0.5);
    assert_eq!(value("tenth"), 0.1);
    assert_eq!(value("yes"), true);
    assert_eq!(value("letter"), 'x');
    assert_eq!(value("some"), 7);
    assert_eq!(value("nothing"), CapturedValue::None);
    assert_eq!(value("wait"), Duration::from_millis(1500));
    assert_eq!(value("list"), CapturedValue::List([1_u8, 2, 3].map(|n| CapturedValue::Unsigned(n.into())).to_vec()));
    assert_eq!(value("list").to_string(), "[1, 2, 3]");
    assert_eq!(value("fill"), CapturedValue::Debug("Fill { id: 1, px: 2.5 }".to_owned()));
    assert_eq!(value("shown"), "127.0.0.1");
    assert_eq!(value("quoted"), r#""a\"b""#);
    assert!(matches!(value("nan"), CapturedValue::Float(number) if number.is_nan()));
    // An absent field equals nothing, and a value of one type none of another.
    assert_ne!(record.fields["absent"], 7);
    assert_ne!(record.fields["absent"], "");
    assert_ne!(value("some"), 7.0);
    assert_ne!(value("small"), 0);
}

#[test]
fn all_levels_and_the_order_of_calls() {
    let log = Capture::new().unwrap();
    trace!(logger: log, "1");
    debug!(logger: log, "2");
    info!(logger: log, "3");
    warn!(logger: log, "4");
    error!(logger: log, "5");
    critical!(logger: log, "6");
    let levels: Vec<Level> = log.records().iter().map(|record| record.level).collect();
    assert_eq!(levels, [Level::Trace, Level::Debug, Level::Info, Level::Warn, Level::Error, Level::Critical]);
    assert_eq!(log.messages(), ["1", "2", "3", "4", "5", "6"]);
    assert_eq!(log.take().len(), 6);
    assert!(log.records().is_empty());
    info!(logger: &log, "7");
    assert_eq!(log.messages(), ["7"]);
}

#[test]
fn captures_of_their_own_do_not_mix_and_need_no_thread_of_theirs() {
    let logs: Vec<Capture> = (0..8).map(|_| Capture::new().unwrap()).collect();
    std::thread::scope(|scope| {
        for thread in 0..8 {
            let logs = &logs;
            scope.spawn(move || {
                for call in 0..100 {
                    info!(logger: logs[(thread + call) % 8], "{thread} {call} for {}", (thread + call) % 8);
                }
            });
        }
    });
    for (number, log) in logs.iter().enumerate() {
        let messages = log.messages();
        assert_eq!(messages.len(), 100);
        assert!(messages.iter().all(|message| message.ends_with(&format!(" for {number}"))));
    }
}

#[test]
fn more_than_all_segments_hold_is_captured() {
    let log = Capture::new().unwrap();
    let text = "x".repeat(50_000);
    for number in 0..200 {
        info!(logger: log, number; "{text}");
    }
    let records = log.records();
    assert_eq!(records.len(), 200);
    assert!(
        records.iter().zip(0..).all(|(record, number)| record.fields["number"] == number && record.message == text)
    );
}

// These run side by side: each sees its own thread alone.
macro_rules! thread_tests {
    ($($name:ident)*) => {$(
        #[test]
        fn $name() {
            let _shared = shared();
            let log = Capture::thread().unwrap();
            let part = component(concat!("part_", stringify!($name)));
            for number in 0..200 {
                info!(target: stringify!($name), number; "plain");
                if number % 50 == 0 {
                    warn!(logger: part, number; "component");
                    std::thread::spawn(|| error!("from a thread that is not captured")).join().unwrap();
                    std::thread::yield_now();
                }
            }
            let records = log.records();
            assert_eq!(records.len(), 204);
            assert!(records.iter().all(|record| record.target.ends_with(stringify!($name))));
            let plain: Vec<_> = records.iter().filter(|record| record.message == "plain").collect();
            assert!(plain.iter().zip(0..).all(|(record, number)| record.fields["number"] == number));
        }
    )*};
}

thread_tests!(thread_1 thread_2 thread_3 thread_4 thread_5 thread_6);

#[test]
fn a_global_capture_sees_all_threads_and_others_beside_it() {
    let _shared = shared();
    let log = Capture::global().unwrap();
    let mine = Capture::thread().unwrap();
    info!(target: "seen", "here");
    std::thread::Builder::new()
        .name("other".to_owned())
        .spawn(|| info!(target: "seen", "there"))
        .unwrap()
        .join()
        .unwrap();
    drop(mine);
    info!(target: "seen", "after");
    // Through the capture itself, too.
    info!(logger: log, target: "seen", "direct");
    let records: Vec<_> = log.records().into_iter().filter(|record| record.target == "seen").collect();
    let said: Vec<_> = records.iter().map(|record| record.message.as_str()).collect();
    assert_eq!(said, ["here", "there", "after", "direct"]);
    assert_eq!(records[1].thread, "other");
}

#[test]
fn a_real_logger_and_captures_exclude_each_other() {
    let _alone = alone();
    let dir = tempfile::tempdir().unwrap();
    let config = || Config::new(dir.path()).segments(3).segment_bytes(65_536).record_bytes_max(8192);
    {
        let _log = Capture::thread().unwrap();
        let error = start(config()).unwrap_err();
        assert!(error.is_already_started() && error.to_string().contains("Capture"), "{error}");
    }
    // The last capture is gone: now the logger can start, and a capture cannot.
    let tacho = start(config()).unwrap();
    let error = Capture::global().unwrap_err();
    assert!(error.is_already_started() && error.to_string().contains(dir.path().to_str().unwrap()), "{error}");
    info!(target: "real", "in a file");
    tacho.flush(Duration::from_secs(20)).unwrap();
    drop(tacho);
    assert!(std::fs::read_to_string(dir.path().join("real.log")).unwrap().contains("in a file"));
    info!(target: "real", "nowhere");
    let log = Capture::thread().unwrap();
    info!(target: "real", "in memory");
    assert_eq!(log.messages(), ["in memory"]);
    assert_eq!(std::fs::read_to_string(dir.path().join("real.log")).unwrap().lines().count(), 1);
}

#[test]
fn nothing_is_evaluated_without_a_capture_and_sites_wake_up() {
    let _alone = alone();
    static EVALUATED: Mutex<u32> = Mutex::new(0);
    fn evaluated() -> MutexGuard<'static, u32> {
        EVALUATED.lock().unwrap()
    }
    fn call() {
        info!("{}", {
            *evaluated() += 1;
            1
        });
    }
    call();
    call();
    let before = *evaluated();
    assert!(before <= 1, "only a site's first call may evaluate, to learn that it is off");
    for round in 1..=3 {
        let log = Capture::thread().unwrap();
        call();
        assert_eq!(log.messages(), ["1"]);
        assert_eq!(*evaluated(), before + round);
        drop(log);
        call();
        assert_eq!(*evaluated(), before + round);
    }
}

#[test]
fn a_display_that_logs_and_one_that_panics() {
    struct Logs<'a>(&'a Capture);
    impl std::fmt::Display for Logs<'_> {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("a")?;
            info!(logger: self.0, "within {}", std::net::Ipv4Addr::LOCALHOST);
            f.write_str("b")
        }
    }
    struct Panics;
    impl std::fmt::Display for Panics {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("half")?;
            panic!("on purpose")
        }
    }
    let log = Capture::new().unwrap();
    info!(logger: log, "{} {}", Logs(&log), Logs(&log));
    assert!(std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| info!(logger: log, "{}", Panics))).is_err());
    info!(logger: log, "next {}", std::net::Ipv4Addr::LOCALHOST);
    assert_eq!(log.messages(), ["within 127.0.0.1", "within 127.0.0.1", "ab ab", "next 127.0.0.1"]);
}
