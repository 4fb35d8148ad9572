//! A real receiver: `rotel` (PyPI), an OpenTelemetry agent, which prints each record that it received.
//!
//! `pip install rotel`, and `TACHO_ROTEL` names its `rotel-agent`, if it is not on the PATH or in the place where `.ci/prepare.sh`
//! puts it. `TACHO_SHIP_RECORDS=1000000 cargo test --release --features ship --test ship rotel -- --nocapture` is the long version.

use crate::{PATIENCE, Running, config, free_port, said, ship, tacho, wait_until};
use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{BufRead as _, BufReader};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;
use tachograph::{info, start_isolated};

/// The agent, if it is here.
fn agent() -> Option<PathBuf> {
    let named = std::env::var_os("TACHO_ROTEL").map(PathBuf::from);
    let beside = std::env::current_exe()
        .ok()
        .and_then(|test| Some(test.ancestors().nth(3)?.join("tools/rotel/rotel/rotel-agent")));
    let on_path = std::env::var_os("PATH");
    let on_path = on_path.iter().flat_map(std::env::split_paths).map(|dir| dir.join("rotel-agent"));
    named.into_iter().chain(beside).chain(on_path).find(|path| path.is_file())
}

fn start(agent: &Path, port: u16, output: &Path) -> Running {
    let output = || OpenOptions::new().create(true).append(true).open(output).unwrap();
    let grpc = free_port();
    let mut command = Command::new(agent);
    command.args(["start", "--exporter", "blackhole", "--debug-log", "logs", "--debug-log-verbosity", "detailed"]);
    command.args([
        "--otlp-http-endpoint",
        &format!("127.0.0.1:{port}"),
        "--otlp-grpc-endpoint",
        &format!("127.0.0.1:{grpc}"),
    ]);
    let running = Running(command.stdin(Stdio::null()).stdout(output()).stderr(Stdio::null()).spawn().unwrap());
    wait_until("rotel listens", || TcpStream::connect(("127.0.0.1", port)).is_ok());
    running
}

/// How often each number came, as the agent prints it.
fn numbers(output: &Path) -> BTreeMap<u64, u64> {
    let mut all = BTreeMap::new();
    for line in BufReader::new(File::open(output).unwrap()).lines() {
        let line = line.unwrap();
        let number = line.trim().strip_prefix("-> number: Int(").and_then(|rest| rest.strip_suffix(')'));
        if let Some(number) = number {
            *all.entry(number.parse().unwrap()).or_default() += 1;
        }
    }
    all
}

#[test]
fn a_real_receiver_has_every_record_though_it_and_the_shipper_end_again_and_again() {
    const SHIPPER_KILLS: u64 = 20;
    const RECEIVER_ENDS: u64 = 3;
    const BATCH: u64 = 250;
    let Some(agent) = agent() else {
        eprintln!("SKIPPED: no rotel-agent here (pip install --target target/tools/rotel rotel==0.0.1a15)");
        return;
    };
    let records: u64 = std::env::var("TACHO_SHIP_RECORDS").map_or(10_000, |text| text.parse().unwrap());
    let dir = tempfile::tempdir().unwrap();
    let (logs, output) = (dir.path().join("logs"), dir.path().join("received"));
    let settings = config(&logs).overflow(tachograph::Overflow::Block).block_max(Duration::from_secs(60));
    let guard = start_isolated(settings).unwrap();
    let port = free_port();
    let url = format!("http://127.0.0.1:{port}");
    let batch = BATCH.to_string();
    let mut receiver = start(&agent, port, &output);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for number in 0..records {
                info!(logger: &guard, target: "load", number = number; "record {}", number);
                if number.is_multiple_of(records / 200) {
                    std::thread::sleep(Duration::from_millis(20));
                }
            }
        });
        for kill in 0..SHIPPER_KILLS {
            let args = ["-f", url.as_str(), "--batch-records", &batch, "--batch-time", "20ms"];
            let shipper = Running(tacho(&logs, &args).spawn().unwrap());
            std::thread::sleep(Duration::from_millis(100 + kill * 37 % 150));
            if kill % (SHIPPER_KILLS / RECEIVER_ENDS) == 1 && kill < SHIPPER_KILLS - 1 {
                // Asked to end, so that it prints what it acknowledged; what it took and did not acknowledge comes again.
                // SAFETY: our own child, which was not waited for.
                unsafe { libc::kill(receiver.0.id().try_into().unwrap(), libc::SIGTERM) };
                receiver.0.wait().unwrap();
                receiver = start(&agent, port, &output);
            }
            drop(shipper);
        }
    });
    guard.close(PATIENCE).unwrap();
    let last = ship(&logs, &[&url]);
    assert!(last.status.success(), "{}", said(&last));
    wait_until("the last record to be printed", || numbers(&output).len() as u64 == records);
    drop(receiver);
    let all = numbers(&output);
    assert!(all.keys().copied().eq(0..records));
    let doubled = all.values().sum::<u64>() - records;
    assert!(doubled <= (SHIPPER_KILLS + RECEIVER_ENDS + 1) * BATCH, "{doubled} records came twice");
    println!("rotel: {records} records, {SHIPPER_KILLS} kills of the shipper, {doubled} sent twice");
}
