//! `tacho ship` against a receiver that fails in every way that a receiver can.
#![cfg(feature = "ship")]
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

use prost::Message;
use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tachograph::{Config, Value, info, start_isolated, warn};

const PATIENCE: Duration = Duration::from_secs(120);

/// As much of OTLP as is looked at.
mod otlp {
    #[derive(Clone, PartialEq, prost::Message)]
    pub(super) struct Request {
        #[prost(message, repeated, tag = "1")]
        pub(super) resources: Vec<Resource>,
    }
    #[derive(Clone, PartialEq, prost::Message)]
    pub(super) struct Resource {
        #[prost(message, optional, tag = "1")]
        pub(super) resource: Option<Attributes>,
        #[prost(message, repeated, tag = "2")]
        pub(super) scopes: Vec<Scope>,
    }
    #[derive(Clone, PartialEq, prost::Message)]
    pub(super) struct Attributes {
        #[prost(message, repeated, tag = "1")]
        pub(super) attributes: Vec<KeyValue>,
    }
    #[derive(Clone, PartialEq, prost::Message)]
    pub(super) struct Scope {
        #[prost(message, optional, tag = "1")]
        pub(super) scope: Option<Name>,
        #[prost(message, repeated, tag = "2")]
        pub(super) records: Vec<Record>,
    }
    #[derive(Clone, PartialEq, prost::Message)]
    pub(super) struct Name {
        #[prost(string, tag = "1")]
        pub(super) name: String,
    }
    #[derive(Clone, PartialEq, prost::Message)]
    pub(super) struct Record {
        #[prost(fixed64, tag = "1")]
        pub(super) time: u64,
        #[prost(int32, tag = "2")]
        pub(super) severity: i32,
        #[prost(string, tag = "3")]
        pub(super) severity_text: String,
        #[prost(message, optional, tag = "5")]
        pub(super) body: Option<Any>,
        #[prost(message, repeated, tag = "6")]
        pub(super) attributes: Vec<KeyValue>,
        #[prost(fixed64, tag = "11")]
        pub(super) observed: u64,
    }
    #[derive(Clone, PartialEq, prost::Message)]
    pub(super) struct KeyValue {
        #[prost(string, tag = "1")]
        pub(super) key: String,
        #[prost(message, optional, tag = "2")]
        pub(super) value: Option<Any>,
    }
    #[derive(Clone, PartialEq, prost::Message)]
    pub(super) struct Any {
        #[prost(oneof = "Is", tags = "1, 2, 3, 4, 5, 6, 7")]
        pub(super) is: Option<Is>,
    }
    #[derive(Clone, PartialEq, prost::Oneof)]
    pub(super) enum Is {
        #[prost(string, tag = "1")]
        String(String),
        #[prost(bool, tag = "2")]
        Bool(bool),
        #[prost(int64, tag = "3")]
        Int(i64),
        #[prost(double, tag = "4")]
        Double(f64),
        #[prost(message, tag = "5")]
        Array(List),
        #[prost(message, tag = "6")]
        Map(Attributes),
        #[prost(bytes = "vec", tag = "7")]
        Bytes(Vec<u8>),
    }
    #[derive(Clone, PartialEq, prost::Message)]
    pub(super) struct List {
        #[prost(message, repeated, tag = "1")]
        pub(super) values: Vec<Any>,
    }
    impl Record {
        pub(super) fn get(&self, key: &str) -> Option<&Is> {
            self.attributes.iter().find(|pair| pair.key == key)?.value.as_ref()?.is.as_ref()
        }
        pub(super) fn uid(&self) -> String {
            match self.get("log.record.uid") {
                Some(Is::String(uid)) => uid.clone(),
                other => panic!("log.record.uid is {other:?}"),
            }
        }
        pub(super) fn text(&self) -> &str {
            match &self.body.as_ref().unwrap().is {
                Some(Is::String(text)) => text,
                other => panic!("the body is {other:?}"),
            }
        }
    }
}
use otlp::Is;

/// What a receiver answers.
enum Reply {
    /// A status, more headers, and a body. With 200 the records count as received.
    Status(u16, &'static str, Vec<u8>),
    /// It takes the request and says nothing: the records count, the sender cannot know.
    HangUp,
}

/// A request as it came.
struct Post {
    headers: String,
    path: String,
    request: otlp::Request,
}

impl Post {
    fn records(&self) -> impl Iterator<Item = (&str, &otlp::Record)> {
        let scopes = self.request.resources.iter().flat_map(|resource| &resource.scopes);
        scopes
            .flat_map(|scope| scope.records.iter().map(|record| (scope.scope.as_ref().unwrap().name.as_str(), record)))
    }
}

/// A receiver in this process.
struct Receiver {
    url: String,
    posts: Arc<Mutex<Vec<Post>>>,
    stop: Arc<AtomicBool>,
}

impl Receiver {
    /// `reply` judges each request by its number, from 0.
    fn start(reply: impl Fn(usize, &Post) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (posts, stop) = (Arc::new(Mutex::new(Vec::new())), Arc::new(AtomicBool::new(false)));
        let (reply, count) = (Arc::new(reply), Arc::new(Mutex::new(0)));
        let (all, ended) = (Arc::clone(&posts), Arc::clone(&stop));
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                if ended.load(Ordering::Relaxed) {
                    break;
                }
                let (reply, count, all) = (Arc::clone(&reply), Arc::clone(&count), Arc::clone(&all));
                // A sender that is killed breaks its connection off; that ends this thread alone.
                std::thread::spawn(move || serve(stream.unwrap(), &*reply, &count, &all));
            }
        });
        Self { url, posts, stop }
    }

    /// How often each record was received, by its identity.
    fn received(&self) -> BTreeMap<String, u64> {
        let mut all = BTreeMap::new();
        for post in self.posts.lock().unwrap().iter() {
            for (_, record) in post.records() {
                *all.entry(record.uid()).or_default() += 1;
            }
        }
        all
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        let _ = TcpStream::connect(self.url.trim_start_matches("http://"));
    }
}

fn serve(
    stream: TcpStream,
    reply: &(dyn Fn(usize, &Post) -> Reply + Send + Sync),
    count: &Mutex<usize>,
    all: &Mutex<Vec<Post>>,
) -> Option<()> {
    let mut reader = BufReader::new(stream.try_clone().ok()?);
    loop {
        let (mut headers, mut line) = (String::new(), String::new());
        while reader.read_line(&mut line).ok()? > 2 {
            headers.push_str(&line.to_ascii_lowercase());
            line.clear();
        }
        let length = headers.lines().find_map(|line| line.strip_prefix("content-length: "))?.trim().parse().ok()?;
        let mut body = vec![0; length];
        reader.read_exact(&mut body).ok()?;
        let mut plain = Vec::new();
        flate2::read::GzDecoder::new(&body[..]).read_to_end(&mut plain).unwrap();
        let request = otlp::Request::decode(&plain[..]).unwrap();
        let path = headers.split(' ').nth(1).unwrap().to_owned();
        let post = Post { headers, path, request };
        let number = {
            let mut count = count.lock().unwrap();
            *count += 1;
            *count - 1
        };
        match reply(number, &post) {
            Reply::HangUp => {
                all.lock().unwrap().push(post);
                return None;
            }
            Reply::Status(status, more, body) => {
                if status == 200 {
                    all.lock().unwrap().push(post);
                }
                let head = format!("HTTP/1.1 {status} x\r\ncontent-length: {}\r\n{more}\r\n", body.len());
                (&stream).write_all(head.as_bytes()).ok()?;
                (&stream).write_all(&body).ok()?;
            }
        }
    }
}

fn ok() -> Reply {
    Reply::Status(200, "", Vec::new())
}

fn tacho(dir: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tacho"));
    command.env_remove("OTEL_EXPORTER_OTLP_ENDPOINT").arg("ship").arg("-D").arg(dir).args(args);
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
