//! What shipping costs: records a second, and processor time a record, of `tacho ship` beside programs that follow the JSON
//! view of the same records, all to the same receiver on this machine, one after the other, in turns.
//!
//! `cargo bench --features nats --bench ship` leaves `ship.json` under `target/bench/`. `TACHO_SHIP_RECORDS` is how many, 500,000
//! unless given, `ROUNDS` how often; `TACHO_OTELCOL` the command of an OpenTelemetry Collector with `filelog` and `otlphttp`; `syslog-ng` (Debian:
//! syslog-ng-core, syslog-ng-mod-http), `nats-server` and `rotel-agent` are taken where they are, or left out loudly.
//!
//! Who is favoured: the followers read plain text that lies in the page cache; `tacho ship` reads compressed archives,
//! and makes text and OTLP of them. It does so in one thread; the Collector uses all cores. syslog-ng parses the JSON
//! and sends it as JSON, uncompressed. All times are with the start of the program. The receiver shares the cores.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a benchmark"
)]

#[path = "../common/mod.rs"]
mod common;
mod sink;

use common::machine::{self, unpin};
use common::{config, folder, quick, rounds};
use serde_json::{Value, json};
use sink::Sink;
use std::fs::{self, File};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};
use tachograph::{Overflow, error, info, start, warn};

const RECORDS: u64 = 500_000;
const PATIENCE: Duration = Duration::from_secs(300);

/// A program that ships, from its start until all is with the receiver.
struct Shipped {
    seconds: f64,
    /// Processor time, of the program and of the system for it.
    cpu_s: f64,
    /// Of bodies over the wire; with NATS, of the stream on disk.
    wire_bytes: u64,
}

fn main() {
    let Some(tacho) = option_env!("CARGO_BIN_EXE_tacho") else {
        return println!("SKIPPED: needs the command `tacho`, feature `nats`");
    };
    let asked = std::env::var("TACHO_SHIP_RECORDS").map_or(RECORDS, |text| text.parse().unwrap());
    let (records, rounds) = (if quick() { 5_000 } else { asked }, if quick() { 1 } else { rounds() });
    let dir = tempfile::tempdir().unwrap();
    let logs = dir.path().join("logs");
    unpin();
    log(&logs, records);
    let view = dir.path().join("view.log");
    let mut cat = Command::new(tacho);
    cat.arg("-D").arg(&logs).args(["cat", "-o", "json"]).stdout(File::create(&view).unwrap());
    assert!(cat.status().unwrap().success());
    let text = fs::read(&view).unwrap();
    assert_eq!(text.split(|byte| *byte == b'\n').count() as u64, records + 1, "each record has its line");
    // Followers that run as another user have to be able to read it.
    open_to_all(dir.path());

    let bench = Bench { tacho: tacho.into(), dir: dir.path().into(), logs, view: view.clone(), records };
    type Case = (&'static str, fn(&Bench, usize) -> Option<Shipped>);
    let cases: [Case; 6] = [
        ("tacho ship, OTLP with gzip", Bench::otlp),
        ("Collector, filelog to otlphttp with gzip", Bench::collector),
        ("syslog-ng, file to http", Bench::syslog_ng),
        ("tacho ship, to rotel", Bench::rotel),
        ("tacho ship, NATS JetStream on disk", Bench::nats),
        ("tacho cat -o json, for comparison", Bench::cat),
    ];
    let mut all: Vec<Vec<Shipped>> = cases.iter().map(|_| Vec::new()).collect();
    for round in 0..rounds {
        for ((name, run), runs) in cases.iter().zip(&mut all) {
            eprintln!("ship: round {round}: {name}");
            runs.extend(run(&bench, round));
        }
    }
    if quick() {
        return println!("ship: all records came, whoever sent them");
    }
    let rows: Vec<Value> = cases.iter().zip(&all).filter_map(|((name, _), runs)| row(name, runs, records)).collect();
    let bytes = json!({ "view_bytes": text.len(), "journal_bytes": size(&bench.logs.join(".journal")) });
    println!("{records} records, median of {rounds}; JSON view {} bytes a record", text.len() as u64 / records);
    println!("| | records/s | CPU µs/record | bytes/record |\n|---|---|---|---|");
    for row in &rows {
        let get = |name: &str| row[name].as_f64().unwrap();
        let (name, speed, wire) = (row["name"].as_str().unwrap(), get("records_per_s"), get("wire_bytes_per_record"));
        println!("| {name} | {speed:.0} | {:.2} | {wire:.0} |", get("cpu_us_per_record"));
    }
    let all =
        json!({ "machine": machine::machine(), "rounds": rounds, "records": records, "bytes": bytes, "cases": rows });
    println!("{}", machine::save(&folder(), "ship", &all).display());
}

fn row(name: &str, runs: &[Shipped], records: u64) -> Option<Value> {
    let median = |value: fn(&Shipped) -> f64| {
        let mut all: Vec<f64> = runs.iter().map(value).collect();
        all.sort_by(f64::total_cmp);
        all.get(all.len() / 2).copied()
    };
    let count = records as f64;
    Some(json!({
        "name": name,
        "records_per_s": count / median(|run| run.seconds)?,
        "cpu_us_per_record": median(|run| run.cpu_s)? / count * 1e6,
        "wire_bytes_per_record": median(|run| run.wire_bytes as f64)? / count,
    }))
}

/// Records as an order system has them: a few fields, now and then a warning or an error.
fn log(dir: &Path, records: u64) {
    let config = config(dir).archive_compress(true).overflow(Overflow::Block).block_max(Duration::from_secs(60));
    let tacho = start(config).unwrap();
    for i in 0..records {
        let price = 100_000.0 + ((i * 2_654_435_761) % 10_000) as f64 / 100.0;
        if i % 1000 == 0 {
            error!(target: "oms", order_id = i, price = price, venue = "XNAS"; "order rejected");
        } else if i % 50 == 0 {
            warn!(target: "oms", order_id = i, price = price, venue = "XNAS"; "order is late");
        } else {
            info!(target: "oms", order_id = i, price = price, venue = "XNAS"; "order {} filled at {:.2}", i, price);
        }
    }
    tacho.close(Duration::from_secs(60)).unwrap();
}

fn open_to_all(dir: &Path) {
    use std::os::unix::fs::PermissionsExt as _;
    for path in [dir.to_owned(), dir.join("view.log")] {
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
    }
}

fn size(folder: &Path) -> u64 {
    let of = |entry: fs::DirEntry| match entry.metadata() {
        Ok(about) if about.is_dir() => size(&entry.path()),
        about => about.map_or(0, |about| about.len()),
    };
    fs::read_dir(folder).map_or(0, |entries| entries.map(|entry| of(entry.unwrap())).sum())
}

struct Bench {
    tacho: PathBuf,
    dir: PathBuf,
    logs: PathBuf,
    view: PathBuf,
    records: u64,
}

impl Bench {
    fn ship(&self, to: &str, name: &str, round: usize) -> Command {
        let mut command = Command::new(&self.tacho);
        let cursor = format!("{name}-{round}");
        command.arg("-q").args(["ship", to, "--name", &cursor, "--service-name", "bench"]).arg("-D").arg(&self.logs);
        command
    }

    fn otlp(&self, round: usize) -> Option<Shipped> {
        let sink = Sink::start();
        let command = self.ship(&format!("http://127.0.0.1:{}", sink.port), "sink", round);
        Some(self.until_ended(command, || self.wire(&sink)))
    }

    fn rotel(&self, round: usize) -> Option<Shipped> {
        let agent = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/tools/rotel/rotel/rotel-agent");
        let agent = std::env::var_os("TACHO_ROTEL").map_or(agent, PathBuf::from);
        let (http, grpc) = (free_port(), free_port());
        let mut command = Command::new(agent);
        command.args(["start", "--exporter", "blackhole", "--otlp-http-endpoint", &format!("127.0.0.1:{http}")]);
        command.args(["--otlp-grpc-endpoint", &format!("127.0.0.1:{grpc}")]);
        let _running = started("rotel-agent", &mut command)?;
        wait_for(http);
        let command = self.ship(&format!("http://127.0.0.1:{http}"), "rotel", round);
        Some(self.until_ended(command, || 0))
    }

    fn nats(&self, round: usize) -> Option<Shipped> {
        let (port, store) = (free_port(), self.dir.join(format!("nats-{round}")));
        let conf = self.dir.join("nats.conf");
        let stream = json!({
            "name": "LOGS", "subjects": ["tachograph.>"], "storage": "file", "retention": "limits", "num_replicas": 1,
            "max_consumers": -1, "max_msgs": -1, "max_bytes": -1, "max_age": 0, "discard": "old",
            "duplicate_window": 120_000_000_000_u64,
        });
        fs::write(&conf, format!("listen: 127.0.0.1:{port}\njetstream {{ store_dir: {:?} }}\n", store.display()))
            .unwrap();
        let _running = started("nats-server", Command::new("/usr/sbin/nats-server").arg("-c").arg(&conf))?;
        wait_for(port);
        ask(port, "$JS.API.STREAM.CREATE.LOGS", &stream.to_string());
        let command = self.ship(&format!("nats://127.0.0.1:{port}"), "nats", round);
        let shipped = self.until_ended(command, || 0);
        let info: Value = serde_json::from_str(&ask(port, "$JS.API.STREAM.INFO.LOGS", "{}")).unwrap();
        assert_eq!(info["state"]["messages"], self.records, "the stream has each record once");
        fs::remove_dir_all(store).unwrap();
        Some(Shipped { wire_bytes: info["state"]["bytes"].as_u64().unwrap(), ..shipped })
    }

    fn cat(&self, _round: usize) -> Option<Shipped> {
        let mut command = Command::new(&self.tacho);
        command.arg("-D").arg(&self.logs).args(["cat", "-o", "json"]);
        Some(self.until_ended(command, || 0))
    }

    fn collector(&self, round: usize) -> Option<Shipped> {
        let Ok(command) = std::env::var("TACHO_OTELCOL") else {
            eprintln!("SKIPPED: no Collector: TACHO_OTELCOL names none");
            return None;
        };
        let sink = Sink::start();
        let conf = self.dir.join(format!("collector-{round}.yaml"));
        let text = include_str!("collector.yaml").replace("@VIEW@", self.view.to_str().unwrap());
        fs::write(&conf, text.replace("@PORT@", &sink.port.to_string())).unwrap();
        let mut words = command.split(' ');
        let mut command = Command::new(words.next().unwrap());
        command.args(words).arg("--config").arg(&conf);
        self.until_counted(command, &sink)
    }

    fn syslog_ng(&self, round: usize) -> Option<Shipped> {
        let sink = Sink::start();
        let conf = self.dir.join(format!("syslog-ng-{round}.conf"));
        let text = include_str!("syslog-ng.conf").replace("@VIEW@", self.view.to_str().unwrap());
        fs::write(&conf, text.replace("@PORT@", &sink.port.to_string())).unwrap();
        let state = |what: &str| self.dir.join(format!("syslog-ng-{round}.{what}"));
        let mut command = Command::new("syslog-ng");
        command.args(["-F", "--no-caps", "-f"]).arg(&conf).arg("-R").arg(state("persist"));
        command.arg("-p").arg(state("pid")).arg("-c").arg(state("ctl"));
        self.until_counted(command, &sink)
    }

    /// What came over the wire, when all did, once.
    fn wire(&self, sink: &Sink) -> u64 {
        assert_eq!(sink.counts.records.load(Ordering::Relaxed), self.records, "each record came once");
        sink.counts.bytes.load(Ordering::Relaxed)
    }

    /// Of a program that ends when it is through.
    fn until_ended(&self, mut command: Command, wire: impl FnOnce() -> u64) -> Shipped {
        let begin = Instant::now();
        let child = command.stdout(Stdio::null()).stderr(Stdio::inherit()).spawn().unwrap();
        let (ok, cpu_s) = reap(child);
        assert!(ok, "{command:?}");
        Shipped { seconds: begin.elapsed().as_secs_f64(), cpu_s, wire_bytes: wire() }
    }

    /// Of one that follows its file for ever.
    fn until_counted(&self, mut command: Command, sink: &Sink) -> Option<Shipped> {
        let begin = Instant::now();
        let name = command.get_program().to_string_lossy().into_owned();
        let child = started(&name, &mut command)?;
        while sink.counts.records.load(Ordering::Relaxed) < self.records {
            assert!(begin.elapsed() < PATIENCE, "{name} sent {}", sink.counts.records.load(Ordering::Relaxed));
            std::thread::sleep(Duration::from_millis(2));
        }
        let seconds = begin.elapsed().as_secs_f64();
        let (_, cpu_s) = child.kill_and_reap();
        Some(Shipped { seconds, cpu_s, wire_bytes: self.wire(sink) })
    }
}

/// A program that is killed when it is no longer needed.
struct Running(Option<Child>);

impl Running {
    fn kill_and_reap(mut self) -> (bool, f64) {
        let mut child = self.0.take().unwrap();
        child.kill().unwrap();
        reap(child)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(child) = &mut self.0 {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

fn started(name: &str, command: &mut Command) -> Option<Running> {
    match command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn() {
        Ok(child) => Some(Running(Some(child))),
        Err(error) => {
            eprintln!("SKIPPED: {name}: {error}");
            None
        }
    }
}

/// Waits for a child; whether it went well, and its processor time in seconds.
fn reap(child: Child) -> (bool, f64) {
    let (mut status, mut usage) = (0, std::mem::MaybeUninit::<libc::rusage>::zeroed());
    let pid = i32::try_from(child.id()).unwrap();
    // SAFETY: status and usage are ours, and live through the call.
    let got = unsafe { libc::wait4(pid, &raw mut status, 0, usage.as_mut_ptr()) };
    assert_eq!(got, pid);
    // SAFETY: plain numbers, for which zero is a value too.
    let usage = unsafe { usage.assume_init() };
    let seconds = |time: libc::timeval| time.tv_sec as f64 + time.tv_usec as f64 / 1e6;
    (status == 0, seconds(usage.ru_utime) + seconds(usage.ru_stime))
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

fn wait_for(port: u16) {
    let begin = Instant::now();
    while TcpStream::connect(("127.0.0.1", port)).is_err() {
        assert!(begin.elapsed() < PATIENCE, "nobody listens on {port}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// A request to NATS, and what is answered.
fn ask(port: u16, subject: &str, body: &str) -> String {
    use std::io::{BufRead as _, BufReader, Write as _};
    let begin = Instant::now();
    loop {
        let stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
        stream.set_read_timeout(Some(Duration::from_millis(500))).unwrap();
        let request = format!(
            "CONNECT {{\"verbose\":false,\"headers\":true,\"no_responders\":true}}\r\nSUB in 1\r\nPUB {subject} in {}\r\n{body}\r\n",
            body.len()
        );
        (&stream).write_all(request.as_bytes()).unwrap();
        let answer = BufReader::new(stream).lines().map_while(Result::ok).find(|line| line.starts_with('{'));
        // Until JetStream is there, nobody answers.
        match answer {
            Some(answer) => return answer,
            None => assert!(begin.elapsed() < PATIENCE, "JetStream does not answer"),
        }
    }
}
