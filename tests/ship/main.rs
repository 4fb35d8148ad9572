//! `tacho ship` against a receiver that fails in every way that a receiver can.
#![cfg(feature = "ship")]
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stderr
)]

mod health;
#[cfg(feature = "nats")]
mod nats;
mod otlp;
mod receiver;
mod rotel;
mod tls;

use otlp::Is;
use receiver::{Post, Receiver, Reply, ok};
use std::collections::BTreeSet;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};
use tachograph::{Config, Value, info, start_isolated, warn};

const PATIENCE: Duration = Duration::from_secs(120);

fn tacho(dir: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tacho"));
    for name in ["OTEL_EXPORTER_OTLP_ENDPOINT", "NATS_USER", "NATS_TOKEN", "NATS_CREDS", "NATS_NKEY"] {
        command.env_remove(name);
    }
    command.arg("ship").arg("-D").arg(dir).args(args);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn ship(dir: &Path, args: &[&str]) -> Output {
    tacho(dir, args).output().unwrap()
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn config(dir: &Path) -> Config {
    Config::new(dir).health_interval(Duration::ZERO).segment_bytes(64_usize << 10).segments(32_usize)
}

/// A directory with so many numbered records, over many segments, some of them compressed.
fn logged(records: u64) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let config = config(dir.path()).overflow(tachograph::Overflow::Block).block_max(Duration::from_secs(60));
    let tacho = start_isolated(config).unwrap();
    for number in 0..records {
        info!(logger: &tacho, target: "load", number = number; "record {}", number);
    }
    tacho.close(PATIENCE).unwrap();
    dir
}

/// The numbers that stand in what was received.
fn numbers(receiver: &Receiver) -> Vec<i64> {
    let posts = receiver.posts.lock().unwrap();
    let records = posts.iter().flat_map(Post::records).filter(|(target, _)| *target == "load");
    records
        .map(|(_, record)| match record.get("number") {
            Some(Is::Int(number)) => *number,
            other => panic!("number is {other:?}"),
        })
        .collect()
}

#[derive(Value)]
struct Fill {
    price: f64,
    venue: &'static str,
}

#[test]
fn values_arrive_with_their_types() {
    let dir = tempfile::tempdir().unwrap();
    let tacho = start_isolated(config(dir.path())).unwrap();
    let fill = Fill { price: 1.5, venue: "XNAS" };
    let (venue, none) = ("a\u{1b}b", None::<u64>);
    warn!(
        logger: &tacho, target: "oms::fills", id = u64::MAX, small = i64::MIN, price = 0.1_f64, on = true, text = venue,
        raw = b"\0\xff", list = [1_u32, 2], fill = fill, none = none, thread.id = 7;
        "order {order} filled", order = 42
    );
    tacho.close(PATIENCE).unwrap();
    let receiver = Receiver::start(|_, _| ok());
    let args = [receiver.url.as_str(), "--service-name", "bot", "--resource", "deployment.environment=test"];
    let output = ship(dir.path(), &args);
    assert!(output.status.success(), "{}", said(&output));
    let posts = receiver.posts.lock().unwrap();
    assert_eq!(posts[0].path, "/v1/logs");
    assert!(posts[0].headers.contains("content-type: application/x-protobuf"));
    let resource = posts[0].request.resources[0].resource.as_ref().unwrap();
    let of =
        |key: &str| resource.attributes.iter().find(|pair| pair.key == key).unwrap().value.clone().unwrap().is.unwrap();
    assert_eq!(of("service.name"), Is::String("bot".to_owned()));
    assert_eq!(of("process.pid"), Is::Int(std::process::id().into()));
    assert_eq!(of("deployment.environment"), Is::String("test".to_owned()));
    let (target, record) = posts.iter().flat_map(Post::records).find(|(target, _)| *target == "oms::fills").unwrap();
    assert_eq!((target, record.severity, record.severity_text.as_str()), ("oms::fills", 13, "WARN"));
    assert_eq!(record.text(), "order 42 filled");
    assert!(record.time <= record.observed && record.time > 1_700_000_000_000_000_000);
    let string = |text: &str| Is::String(text.to_owned());
    let int = |number| otlp::Any { is: Some(Is::Int(number)) };
    let map = |pairs: Vec<(&str, Is)>| {
        let pair =
            |(key, is): (&str, Is)| otlp::KeyValue { key: key.to_owned(), value: Some(otlp::Any { is: Some(is) }) };
        Is::Map(otlp::Attributes { attributes: pairs.into_iter().map(pair).collect() })
    };
    let wanted = [
        ("id", string("18446744073709551615")),
        ("small", Is::Int(i64::MIN)),
        ("price", Is::Double(0.1)),
        ("on", Is::Bool(true)),
        ("text", string("a\u{1b}b")),
        ("raw", Is::Bytes(vec![0, 255])),
        ("list", Is::Array(otlp::List { values: vec![int(1), int(2)] })),
        ("fill", map(vec![("price", Is::Double(1.5)), ("venue", string("XNAS"))])),
        ("order", Is::Int(42)),
        ("thread.id_", Is::Int(7)),
    ];
    for (key, value) in wanted {
        assert_eq!(record.get(key), Some(&value), "{key}");
    }
    let empty = record.attributes.iter().find(|pair| pair.key == "none").unwrap();
    assert_eq!(empty.value, Some(otlp::Any { is: None }));
}

#[test]
fn whatever_the_receiver_does_each_record_arrives_and_a_second_run_sends_nothing() {
    let dir = logged(10_000);
    let receiver = Receiver::start(|number, _| match number {
        0 => Reply::Status(503, "retry-after: 0\r\n", Vec::new()),
        1 => Reply::Status(429, "", b"slow down".to_vec()),
        3 => Reply::HangUp,
        5 => Reply::Status(502, "", Vec::new()),
        6 => Reply::Status(504, "", Vec::new()),
        _ => ok(),
    });
    let args = [receiver.url.as_str(), "--batch-records", "1000"];
    let output = ship(dir.path(), &args);
    assert!(output.status.success(), "{}", said(&output));
    assert!(said(&output).contains("slow down"), "{}", said(&output));
    let all = numbers(&receiver);
    assert_eq!(all.iter().copied().collect::<BTreeSet<_>>(), (0..10_000).collect());
    // The batch whose answer never came is there twice, with the same identities.
    assert_eq!(all.len(), 11_000);
    let twice = receiver.received().into_values().filter(|times| *times == 2).count();
    assert_eq!(twice, 1000);
    let before = receiver.posts.lock().unwrap().len();
    assert!(ship(dir.path(), &args).status.success());
    assert_eq!(receiver.posts.lock().unwrap().len(), before);
    let status = tacho(dir.path(), &["--status", "--json"]).output().unwrap();
    let status: serde_json::Value = serde_json::from_slice(&status.stdout).unwrap();
    assert_eq!(status["shippers"][0]["status"]["shipped"], 10_000);
    assert_eq!(status["shippers"][0]["status"]["trouble"], serde_json::Value::Null);
}

#[test]
fn what_is_not_wanted_is_passed_over_and_not_kept() {
    let dir = tempfile::tempdir().unwrap();
    let settings = config(dir.path()).overflow(tachograph::Overflow::Block).block_max(Duration::from_secs(60));
    let guard = start_isolated(settings).unwrap();
    let log = |from: i64| {
        for number in from..from + 2000 {
            if number % 500 == 7 {
                warn!(logger: &guard, target: "load", number = number; "record {}", number);
            } else {
                info!(logger: &guard, target: "load", number = number; "record {}", number);
            }
        }
        info!(logger: &guard, target: "other", "nothing");
    };
    log(0);
    guard.flush(PATIENCE).unwrap();
    let receiver = Receiver::start(|_, _| ok());
    let args = [receiver.url.as_str(), "-p", "warn", "-u", "load"];
    assert!(ship(dir.path(), &args).status.success());
    assert_eq!(numbers(&receiver), [7, 507, 1007, 1507]);
    // Who then wants all gets what came since: the rest was passed over for good.
    assert!(ship(dir.path(), &[&receiver.url]).status.success());
    assert_eq!(numbers(&receiver).len(), 4);
    // Also where nothing at all is wanted of what there is, by one that follows.
    let _running = Running(tacho(dir.path(), &["-f", args[0], "-p", "critical"]).spawn().unwrap());
    let waiting = || {
        let status = tacho(dir.path(), &["--status", "--json"]).output().unwrap();
        let status: serde_json::Value = serde_json::from_slice(&status.stdout).unwrap();
        status["shippers"][0]["waiting"]["segments"].as_u64().unwrap()
    };
    log(2000);
    wait_until("that all but the growing segment was passed over", || waiting() <= 1);
    assert_eq!(numbers(&receiver).len(), 4);
    guard.close(PATIENCE).unwrap();
}

#[test]
fn too_large_requests_are_cut_and_refused_records_are_kept() {
    let dir = logged(1000);
    let is_bad = |post: &Post| post.records().any(|(_, record)| record.text() == "record 500");
    let receiver = Receiver::start(move |_, post| match post.records().count() {
        count if count > 100 => Reply::Status(413, "", Vec::new()),
        _ if is_bad(post) => Reply::Status(400, "", b"no\x1b[31m".to_vec()),
        _ => ok(),
    });
    let output = ship(dir.path(), &[&receiver.url]);
    assert!(output.status.success(), "{}", said(&output));
    assert!(said(&output).contains("it answered 400: no[31m") && !said(&output).contains('\x1b'), "{}", said(&output));
    let path = dir.path().join("ship-otlp.refused.jsonl");
    let refused: serde_json::Value = serde_json::from_str(std::fs::read_to_string(&path).unwrap().trim()).unwrap();
    let kept = refused["resourceLogs"][0]["scopeLogs"][0]["logRecords"].as_array().unwrap();
    let of = |record: &serde_json::Value| record["body"]["stringValue"].as_str().unwrap().to_owned();
    assert!(kept.iter().any(|record| of(record) == "record 500"));
    assert_eq!(kept.len() + numbers(&receiver).len(), 1000);
}

#[test]
fn a_partial_success_is_counted_and_never_sent_again() {
    let dir = logged(100);
    // partial_success { rejected_log_records: 3, error_message: "old" }
    let body = vec![0x0a, 7, 0x08, 3, 0x12, 3, b'o', b'l', b'd'];
    let receiver = Receiver::start(move |_, _| Reply::Status(200, "", body.clone()));
    let output = ship(dir.path(), &[&receiver.url]);
    assert!(output.status.success() && said(&output).contains("old"), "{}", said(&output));
    assert_eq!(receiver.posts.lock().unwrap().len(), 1);
    let status = String::from_utf8(ship(dir.path(), &["--status"]).stdout).unwrap();
    assert!(status.contains("97 records acknowledged") && status.contains("3 records rejected"), "{status}");
}

#[test]
fn a_wrong_key_ends_it_costs_no_record_and_is_not_shown() {
    let dir = logged(100);
    let receiver = Receiver::start(|_, post| {
        if post.headers.contains("authorization: bearer right") { ok() } else { Reply::Status(401, "", Vec::new()) }
    });
    let mut wrong = tacho(dir.path(), &[&receiver.url]);
    let output = wrong.env("OTEL_EXPORTER_OTLP_HEADERS", "Authorization=Bearer%20secretword").output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(said(&output).contains("401") && !said(&output).contains("secretword"), "{}", said(&output));
    let headers = dir.path().join("headers");
    std::fs::write(&headers, "Authorization: Bearer right\n").unwrap();
    let output = ship(dir.path(), &[&receiver.url, "--headers-file", headers.to_str().unwrap()]);
    assert!(output.status.success(), "{}", said(&output));
    assert_eq!(numbers(&receiver), (0..100).collect::<Vec<_>>());
}

fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// Ends a child at the end of a test, however that ends.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn wait_until(what: &str, mut met: impl FnMut() -> bool) {
    let begin = Instant::now();
    while !met() {
        assert!(begin.elapsed() < PATIENCE, "in vain: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Kills it 20 times while a program logs; `TACHO_SHIP_RECORDS=1000000` is the long version.
#[test]
fn killed_again_and_again_it_loses_nothing_and_sends_only_unacknowledged_batches_twice() {
    const KILLS: u64 = 20;
    const BATCH: u64 = 500;
    let records: u64 = std::env::var("TACHO_SHIP_RECORDS").map_or(40_000, |text| text.parse().unwrap());
    let dir = tempfile::tempdir().unwrap();
    let settings = config(dir.path()).overflow(tachograph::Overflow::Block).block_max(Duration::from_secs(60));
    let tacho_guard = start_isolated(settings).unwrap();
    let receiver = Receiver::start(|_, _| ok());
    let batch = BATCH.to_string();
    let args = ["-f", receiver.url.as_str(), "--batch-records", &batch, "--batch-time", "50ms"];
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for number in 0..records {
                info!(logger: &tacho_guard, target: "load", number = number; "record {}", number);
                if number.is_multiple_of(records / 400) {
                    std::thread::sleep(Duration::from_millis(10));
                }
            }
        });
        for kill in 0..KILLS {
            let before = receiver.posts.lock().unwrap().len();
            let _running = Running(tacho(dir.path(), &args).spawn().unwrap());
            // Until something came, or nothing is left to come; then some time that is another with each kill.
            let begin = Instant::now();
            wait_until("a batch", || {
                receiver.posts.lock().unwrap().len() > before || begin.elapsed() > Duration::from_secs(2)
            });
            std::thread::sleep(Duration::from_millis(kill * 37 % 50));
        }
    });
    tacho_guard.close(PATIENCE).unwrap();
    let output = ship(dir.path(), &[&receiver.url]);
    assert!(output.status.success(), "{}", said(&output));
    let all = numbers(&receiver);
    assert_eq!(all.iter().copied().collect::<BTreeSet<_>>(), (0..records as i64).collect());
    let doubled = all.len() as u64 - records;
    assert!(doubled <= KILLS * BATCH, "{doubled} records came twice");
    println!("{records} records, {KILLS} kills, {doubled} sent twice");
}

#[test]
fn it_follows_and_ends_when_asked_to() {
    let dir = tempfile::tempdir().unwrap();
    let tacho_guard = start_isolated(config(dir.path())).unwrap();
    let receiver = Receiver::start(|_, _| ok());
    let mut running = Running(tacho(dir.path(), &["-f", &receiver.url, "--batch-time", "10ms"]).spawn().unwrap());
    for number in 0..5_i64 {
        info!(logger: &tacho_guard, target: "load", number = number; "record {}", number);
        wait_until("the record", || numbers(&receiver).contains(&number));
    }
    let other = ship(dir.path(), &[&receiver.url]);
    assert!(other.status.code() == Some(2) && said(&other).contains("another process"), "{}", said(&other));
    // SAFETY: our own child, which was not waited for.
    unsafe { libc::kill(running.0.id().try_into().unwrap(), libc::SIGTERM) };
    wait_until("its end", || running.0.try_wait().unwrap().is_some_and(|status| status.success()));
    let forgotten = ship(dir.path(), &["--forget"]);
    assert!(forgotten.status.success() && said(&forgotten).contains("forgotten"), "{}", said(&forgotten));
}

#[test]
fn what_the_user_got_wrong_is_said() {
    let dir = logged(1);
    let refused = |args: &[&str], why: &str| {
        let output = ship(dir.path(), args);
        assert!(output.status.code() == Some(2) && said(&output).contains(why), "{args:?}: {}", said(&output));
    };
    refused(&[], "OTEL_EXPORTER_OTLP_ENDPOINT");
    refused(&["127.0.0.1:4318"], "http://");
    refused(&["http://me:pw@127.0.0.1"], "--headers-file");
    refused(&["http://127.0.0.1:1", "--name", "../x"], "no name of a cursor");
    refused(&["http://127.0.0.1:1", "--headers-file", "/nowhere"], "/nowhere");
    let missing = ship(&dir.path().join("not-there"), &["http://127.0.0.1:1"]);
    assert!(missing.status.code() == Some(2) && said(&missing).contains("not-there"), "{}", said(&missing));
    assert_eq!(ship(dir.path(), &["--status"]).status.code(), Some(1));
}

#[test]
fn export_writes_the_same_as_json() {
    let dir = logged(1000);
    let mut command = Command::new(env!("CARGO_BIN_EXE_tacho"));
    let output = command.arg("-D").arg(dir.path()).args(["export", "--format", "otlp-json"]).output().unwrap();
    assert!(output.status.success());
    let mut found = Vec::new();
    for line in String::from_utf8(output.stdout).unwrap().lines() {
        let json: serde_json::Value = serde_json::from_str(line).unwrap();
        for scope in json["resourceLogs"][0]["scopeLogs"].as_array().unwrap() {
            for record in scope["logRecords"].as_array().unwrap().iter().filter(|_| scope["scope"]["name"] == "load") {
                let pairs = record["attributes"].as_array().unwrap();
                let number = pairs.iter().find(|pair| pair["key"] == "number").unwrap();
                found.push(number["value"]["intValue"].as_str().unwrap().parse::<i64>().unwrap());
            }
        }
    }
    assert_eq!(found, (0..1000).collect::<Vec<_>>());
}
