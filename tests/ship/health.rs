//! What `tacho health`, its files and the program are told of shippers.

use crate::receiver::{Receiver, ok};
use crate::{PATIENCE, Running, config, free_port, said, ship, tacho, wait_until};
use serde_json::Value;
use std::path::Path;
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tachograph::health::check::State;
use tachograph::{HealthEvent, info, start_isolated};

fn health(dir: &Path, more: &[&str]) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tacho"));
    String::from_utf8(command.arg("-D").arg(dir).arg("health").args(more).output().unwrap().stdout).unwrap()
}

/// What `tacho health` says of the shipper called `otlp`.
fn shipper(dir: &Path) -> Value {
    let report: Value = serde_json::from_str(&health(dir, &["--json"])).unwrap_or_default();
    report["shippers"]
        .as_array()
        .and_then(|all| all.iter().find(|it| it["vitals"]["name"] == "otlp"))
        .cloned()
        .unwrap_or_default()
}

fn found(shipper: &Value, id: &str) -> bool {
    shipper["findings"].as_array().is_some_and(|all| all.iter().any(|finding| finding["id"] == id))
}

#[test]
fn a_shipper_whose_receiver_is_away_is_told_of_and_it_is_over_when_it_is_back() {
    let dir = tempfile::tempdir().unwrap();
    let events: Arc<Mutex<Vec<HealthEvent>>> = Arc::default();
    let all = Arc::clone(&events);
    let settings = config(dir.path()).health_interval(Duration::from_millis(400));
    let guard = start_isolated(settings.on_health(move |event| all.lock().unwrap().push(event.clone()))).unwrap();
    info!(logger: &guard, target: "load", number = 1; "record");
    let port = free_port();
    let _shipper = Running(tacho(dir.path(), &["-f", &format!("http://127.0.0.1:{port}")]).spawn().unwrap());
    wait_until("that it is told", || {
        let told = events.lock().unwrap();
        told.iter()
            .any(|event| event.process == "ship:otlp" && event.id == "ship_trouble" && event.state == State::Warning)
    });
    assert!(found(&shipper(dir.path()), "ship_trouble"));
    assert!(health(dir.path(), &[]).contains("ship:otlp to http://127.0.0.1:"), "{}", health(dir.path(), &[]));
    let metrics = health(dir.path(), &["--prom"]);
    assert!(metrics.contains(r#"tachograph_ship_trouble{shipper="otlp"} 1"#), "{metrics}");
    let receiver = Receiver::start_at(port, |_, _| ok());
    wait_until("that it is over", || {
        let told = events.lock().unwrap();
        told.iter().any(|event| event.id == "ship_trouble" && event.state == State::Ok)
    });
    drop(receiver);
    guard.close(PATIENCE).unwrap();
}

#[test]
fn what_retention_took_before_it_was_shipped_is_counted_and_critical_whoever_looks() {
    let dir = tempfile::tempdir().unwrap();
    let events: Arc<Mutex<Vec<HealthEvent>>> = Arc::default();
    let all = Arc::clone(&events);
    let settings = config(dir.path()).archive_bytes_max(1_u64 << 20).archive_compress(false);
    let settings = settings.health_interval(Duration::from_millis(400));
    let settings = settings.overflow(tachograph::Overflow::Block).block_max(Duration::from_secs(60));
    let guard = start_isolated(settings.on_health(move |event| all.lock().unwrap().push(event.clone()))).unwrap();
    info!(logger: &guard, target: "load", number = 0; "record");
    guard.flush(PATIENCE).unwrap();
    let receiver = Receiver::start(|_, _| ok());
    assert!(ship(dir.path(), &[&receiver.url]).status.success());
    assert_eq!(shipper(dir.path())["vitals"]["waiting"]["missing"], 0);
    let text = "x".repeat(500);
    for number in 1..8000 {
        info!(logger: &guard, target: "load", number = number, text = text.as_str(); "record {}", number);
    }
    guard.flush(PATIENCE).unwrap();
    wait_until("that it is told", || {
        let told = events.lock().unwrap();
        told.iter()
            .any(|event| event.process == "ship:otlp" && event.id == "ship_lost" && event.state == State::Critical)
    });
    let of = shipper(dir.path());
    let lost = of["vitals"]["waiting"]["missing"].as_u64().unwrap();
    assert!(lost > 0 && found(&of, "ship_lost"), "{of}");
    // Who ships again meets them, but for those that live memory still has, and says so; health has them once.
    let output = ship(dir.path(), &[&receiver.url]);
    assert!(output.status.success() && said(&output).contains("were gone before"), "{}", said(&output));
    let of = shipper(dir.path());
    assert_eq!(of["vitals"]["waiting"]["missing"], 0);
    let met = of["vitals"]["status"]["missing_segments"].as_u64().unwrap();
    assert!((1..=lost).contains(&met), "{lost} were missing, {met} met: {of}");
    guard.close(PATIENCE).unwrap();
}
