//! `tacho ship` to a real `nats-server` with JetStream on disk.
//!
//! `TACHO_SHIP_RECORDS=1000000 cargo test --release --features nats --test ship nats -- --nocapture` is the long version.

mod client;
mod server;

use crate::tls::Keys;
use crate::{PATIENCE, Running, config, logged, said, ship, tacho, wait_until};
use client::Message;
use serde_json::{Value, json};
use server::{STREAM, Server};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};
use tachograph::{info, start_isolated, warn};

/// What `tacho cat -o json` says of a directory, line by line.
fn lines(dir: &Path) -> BTreeMap<Vec<u8>, u64> {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tacho"));
    let output = command.arg("-D").arg(dir).args(["cat", "-o", "json"]).output().unwrap();
    assert!(output.status.success());
    let mut all = BTreeMap::new();
    for line in output.stdout.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
        *all.entry(line.to_vec()).or_default() += 1;
    }
    all
}

fn of_load(message: &Message) -> bool {
    message.subject.ends_with(".info.load")
}

/// Each message once, by its identity; the payloads are the lines that `tacho cat` has, byte for byte; each number once.
fn hold_against_the_journal(all: &[Message], dir: &Path, records: u64) {
    let ids: BTreeSet<_> = all.iter().map(|message| message.header("Nats-Msg-Id").unwrap()).collect();
    assert_eq!(ids.len(), all.len(), "the stream has a record twice");
    let numbers: BTreeSet<_> = all
        .iter()
        .filter(|message| of_load(message))
        .map(|message| message.json()["number"].as_u64().unwrap())
        .collect();
    let missing: Vec<_> = (0..records).filter(|number| !numbers.contains(number)).take(10).collect();
    assert!(missing.is_empty(), "of {records} records {} are in the stream; missing: {missing:?} …", numbers.len());
    assert_eq!(all.iter().filter(|message| of_load(message)).count() as u64, records);
    let mut lines = lines(dir);
    for message in all.iter().filter(|message| of_load(message)) {
        let left = lines.get_mut(&message.payload);
        let left = left.unwrap_or_else(|| panic!("no line is {}", String::from_utf8_lossy(&message.payload)));
        assert!(*left > 0);
        *left -= 1;
    }
}

#[derive(tachograph::Value)]
struct Fill {
    price: f64,
    venue: &'static str,
}

#[test]
fn a_record_is_a_message_with_its_values_and_an_identity() {
    let Some(server) = Server::start("", json!({})) else { return };
    server.make_stream(&json!({}));
    let dir = tempfile::tempdir().unwrap();
    let tacho_guard = start_isolated(config(dir.path())).unwrap();
    let fill = Fill { price: 1.5, venue: "XNAS" };
    let (text, none) = ("a\u{1b}b", None::<u64>);
    warn!(
        logger: &tacho_guard, target: "oms::fills", id = u64::MAX, small = i64::MIN, price = 0.1_f64, whole = 2.0_f64,
        on = true, text = text, list = [1_u32, 2], fill = fill, none = none;
        "order {order} filled", order = 42
    );
    tacho_guard.close(PATIENCE).unwrap();
    let args = [&*server.url(), "--service-name", "my bot", "--resource", "env=test", "--resource", "host.name=h1"];
    let output = ship(dir.path(), &args);
    assert!(output.status.success(), "{}", said(&output));
    let all = server.client().all(STREAM);
    let message = all.iter().find(|message| message.subject == "tachograph.my_bot.warn.oms.fills").unwrap();
    let header = |name: &str| message.header(name).unwrap();
    assert_eq!((header("service.name"), header("env"), header("host.name")), ("my bot", "test", "h1"));
    let id: Vec<&str> = header("Nats-Msg-Id").split('/').collect();
    assert_eq!(id[0], header("service.instance.id"));
    assert!(id.len() == 3 && id[1..].iter().all(|number| number.parse::<u64>().is_ok()), "{id:?}");
    let json = message.json();
    assert_eq!(json["message"], "order 42 filled");
    let wanted = [
        ("id", json!(u64::MAX)),
        ("small", json!(i64::MIN)),
        ("price", json!(0.1)),
        ("whole", json!(2.0)),
        ("on", json!(true)),
        ("text", json!("a\u{1b}b")),
        ("list", json!([1, 2])),
        ("fill", json!({"price": 1.5, "venue": "XNAS"})),
        ("none", Value::Null),
    ];
    for (key, value) in wanted {
        assert_eq!(json[key], value, "{key}");
    }
    assert!(lines(dir.path()).contains_key(&message.payload));
    // Who begins anew sends all again, and the stream has it once.
    let before = server.count();
    assert!(ship(dir.path(), &["--forget"]).status.success());
    assert!(ship(dir.path(), &args).status.success());
    assert_eq!(server.count(), before);
    let status = ship(dir.path(), &["--status"]);
    let status = String::from_utf8(status.stdout).unwrap();
    assert!(status.contains(&format!("{before} records had been stored before")), "{status}");
}

#[test]
fn a_stream_has_every_record_once_though_server_and_shipper_are_killed_again_and_again() {
    const SHIPPER_KILLS: u64 = 20;
    const SERVER_KILLS: u64 = 3;
    let Some(mut server) = Server::start("", json!({})) else { return };
    server.make_stream(&json!({}));
    let records: u64 = std::env::var("TACHO_SHIP_RECORDS").map_or(20_000, |text| text.parse().unwrap());
    let dir = tempfile::tempdir().unwrap();
    let logs = dir.path().join("logs");
    let settings = config(&logs).overflow(tachograph::Overflow::Block).block_max(Duration::from_secs(60));
    let guard = start_isolated(settings).unwrap();
    let url = server.url();
    let args = ["-f", url.as_str(), "--batch-records", "500", "--batch-time", "20ms", "--timeout", "5s"];
    let begin = Instant::now();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for number in 0..records {
                info!(logger: &guard, target: "load", number = number; "record {}", number);
                if number.is_multiple_of(records / 400) {
                    std::thread::sleep(Duration::from_millis(10));
                }
            }
        });
        for kill in 0..SHIPPER_KILLS {
            let before = server.count();
            let shipper = Running(tacho(&logs, &args).spawn().unwrap());
            // Until something came, or nothing is left to come; then some time that is another with each kill.
            let begin = Instant::now();
            wait_until("a message", || server.count() > before || begin.elapsed() > Duration::from_secs(2));
            std::thread::sleep(Duration::from_millis(kill * 37 % 50));
            if kill % (SHIPPER_KILLS / SERVER_KILLS) == 1 && kill < SHIPPER_KILLS - 1 {
                server.kill_and_start();
                std::thread::sleep(Duration::from_millis(300));
            }
            drop(shipper);
        }
    });
    guard.close(PATIENCE).unwrap();
    let last = ship(&logs, &[&url]);
    assert!(last.status.success(), "{}", said(&last));
    let all = server.client().all(STREAM);
    hold_against_the_journal(&all, &logs, records);
    let status = ship(&logs, &["--status", "--json"]);
    let status: Value = serde_json::from_slice(&status.stdout).unwrap();
    let again = &status["shippers"][0]["status"]["duplicates"];
    println!(
        "nats: {records} records, {SHIPPER_KILLS} kills of the shipper, {SERVER_KILLS} of the server, {again} or more \
         sent twice, 0 in the stream twice, 0 missing, {} messages, {:.1} s",
        all.len(),
        begin.elapsed().as_secs_f64()
    );
}

#[test]
fn a_message_that_the_stream_will_never_take_is_kept_and_the_others_go() {
    let Some(server) = Server::start("", json!({})) else { return };
    server.make_stream(&json!({"max_msg_size": 2000}));
    let dir = tempfile::tempdir().unwrap();
    let tacho_guard = start_isolated(config(dir.path())).unwrap();
    for number in 0..100_u64 {
        let text = "x".repeat(if number == 50 { 3000 } else { 1 });
        info!(logger: &tacho_guard, target: "load", number = number, text = text.as_str(); "record {}", number);
    }
    tacho_guard.close(PATIENCE).unwrap();
    let output = ship(dir.path(), &[&server.url()]);
    assert!(output.status.success(), "{}", said(&output));
    assert!(said(&output).contains("1 records refused"), "{}", said(&output));
    let text = std::fs::read_to_string(dir.path().join("ship-nats.refused.jsonl")).unwrap();
    let refused: Value = serde_json::from_str(text.trim()).unwrap();
    assert_eq!(
        (&refused["record"]["number"], refused["subject"].as_str().unwrap().ends_with(".info.load")),
        (&json!(50), true)
    );
    assert_eq!(server.client().all(STREAM).iter().filter(|message| of_load(message)).count(), 99);
}

#[test]
fn without_a_stream_or_with_a_full_one_it_waits_and_says_so() {
    let Some(server) = Server::start("", json!({})) else { return };
    let dir = logged(1000);
    let mut running = Running(tacho(dir.path(), &[&server.url()]).spawn().unwrap());
    let trouble = || {
        let status = ship(dir.path(), &["--status", "--json"]).stdout;
        let status: Value = serde_json::from_slice(&status).unwrap_or_default();
        status["shippers"][0]["status"]["trouble"].as_str().unwrap_or_default().to_owned()
    };
    wait_until("that no stream is there", || trouble().contains("no stream takes tachograph.>"));
    server.make_stream(&json!({"discard": "new", "max_msgs": 10}));
    wait_until("that it is full", || trouble().contains("maximum messages exceeded"));
    assert_eq!(server.count(), 10);
    let config = json!({
        "name": STREAM, "subjects": ["tachograph.>"], "storage": "file", "retention": "limits", "discard": "new",
        "num_replicas": 1, "max_consumers": -1, "max_msgs": -1, "max_bytes": -1, "max_age": 0,
        "duplicate_window": 3_600_000_000_000_u64,
    });
    server.client().api(&format!("STREAM.UPDATE.{STREAM}"), &config).unwrap();
    wait_until("its end", || running.0.try_wait().unwrap().is_some_and(|status| status.success()));
    hold_against_the_journal(&server.client().all(STREAM), dir.path(), 1000);
}

/// The pair that the documentation of NATS uses.
const NKEY: (&str, &str) = (
    "SUACSSL3UAHUDXKFSNVUZRF5UHPMWZ6BFDTJ7M6USDXIEDNPPQYYYCU3VY",
    "UDXU4RCSJNZOIQHZNWXHXORDPRTGNJAHAHFRGZNEEJCPQTT2M7NLCNF4",
);

#[test]
fn who_may_not_is_told_so_costs_no_record_and_secrets_are_shown_nowhere() {
    let users = format!(
        r#"authorization {{ users: [
            {{user: me, password: "right:word"}}, {{nkey: {}}},
            {{user: reader, password: secretword, permissions: {{publish: "$JS.API.>", subscribe: ">"}}}}
        ] }}"#,
        NKEY.1
    );
    let Some(server) = Server::start(&users, json!({"user": "me", "pass": "right:word"})) else { return };
    server.make_stream(&json!({}));
    let dir = logged(100);
    let file = server.path("auth");
    let with = |text: &str| {
        std::fs::write(&file, text).unwrap();
        ship(dir.path(), &[&server.url(), "--auth-file", file.to_str().unwrap()])
    };
    for (text, why) in [
        ("user: me\npassword: secretword\n", "authorization violation"),
        ("user: reader\npassword: secretword\n", "Permissions Violation for Publish"),
        ("secretword", "it has none of"),
    ] {
        let output = with(text);
        assert_eq!(output.status.code(), Some(2), "{}", said(&output));
        assert!(said(&output).contains(why) && !said(&output).contains("secretword"), "{}", said(&output));
    }
    let mut from_env = tacho(dir.path(), &[&server.url()]);
    let output = from_env.env("NATS_USER", "me").env("NATS_PASSWORD", "secretword").output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert_eq!(server.count(), 0);
    assert!(with(&format!("{}\n", NKEY.0)).status.success());
    let all = server.count();
    assert!(all >= 100);
    assert!(ship(dir.path(), &["--forget"]).status.success());
    let output = with("user: me\npassword: right:word\n");
    assert!(output.status.success(), "{}", said(&output));
    assert_eq!(server.count(), all);
    let output = ship(dir.path(), &["nats://me:right@127.0.0.1:1"]);
    assert!(output.status.code() == Some(2) && said(&output).contains("--auth-file"), "{}", said(&output));
}

#[test]
fn tls_is_spoken_with_whom_the_authority_certifies_and_with_nobody_else() {
    let Some(keys) = Keys::make() else { return };
    let path = |name: &str| keys.path(name);
    let tls = format!("tls {{ cert_file: {:?}, key_file: {:?} }}", path("cert.pem"), path("key.pem"));
    // A second listener without TLS would be another server: what is stored is told by `ship --status`.
    let Some(server) = Server::start(&tls, json!({})) else { return };
    let dir = logged(100);
    let url = server.url().replace("nats:", "tls:");
    wait_until("the server listens", || std::net::TcpStream::connect(("127.0.0.1", server.port)).is_ok());
    let mut stranger = Running(tacho(dir.path(), &[&url]).spawn().unwrap());
    let trouble = || {
        let status = ship(dir.path(), &["--status", "--json"]).stdout;
        let status: Value = serde_json::from_slice(&status).unwrap_or_default();
        status["shippers"][0]["status"]["trouble"].as_str().unwrap_or_default().to_owned()
    };
    wait_until("that nobody knows it", || trouble().to_ascii_lowercase().contains("certificate"));
    stranger.0.kill().unwrap();
    drop(stranger);
    // No stream is there: that this is what it lacks shows that it could ask.
    let _known = Running(tacho(dir.path(), &[&url, "--tls-ca", &path("ca.pem")]).spawn().unwrap());
    wait_until("that they speak", || trouble().contains("no stream takes"));
    let output = ship(dir.path(), &[&url, "--tls-ca", "/nowhere/ca.pem", "--name", "other"]);
    assert!(output.status.code() == Some(2) && said(&output).contains("/nowhere/ca.pem"), "{}", said(&output));
}
