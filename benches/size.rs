//! How many bytes a record takes: in the journal, as text, as JSON, plain and compressed; and what a journal would take if
//! its frames were put in another form before they are compressed.
//!
//! ```text
//! cargo run --release --example trading_bot -- --repeat 280 --dir target/bench/size
//! cargo bench --bench size -- target/bench/size
//! ```
//!
//! The figures also go to `size.json` under `target/bench/`. Any log directory will do. All are made of the same records: the journal as it is archived, and its records rendered again.
//! Before anything is printed, each compressed form is inflated and held against what went in.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::indexing_slicing,
    reason = "a benchmark is a program that prints, and fails by panicking"
)]

use flate2::Compression;
use flate2::read::{GzDecoder, MultiGzDecoder};
use flate2::write::GzEncoder;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use tachograph::format::json::JsonFormat;
use tachograph::format::line::LineFormat;
use tachograph::format::pattern::TextFormat;
use tachograph::reader::dir::LogDir;
use tachograph::reader::follow::{Follower, Start, Until};
use tachograph::segment::layout::{FRAME_HEADER_BYTES, HEADER_BYTES, Header, WRITER_RING};
use tachograph::segment::scan::{Frame, Item, Scanner, Tail};

/// Frames as another form of archive would have them.
type Form = fn(&[Frame<'_>]) -> Vec<u8>;

const USAGE: &str = "cargo bench --bench size -- DIR: the log directory to measure";

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let dir = match arguments.as_slice() {
        [one] if one == "--test" => return println!("SKIPPED: {USAGE}"),
        [dir] => PathBuf::from(dir),
        // `cargo bench` without a bench by name runs this one too.
        _ => return println!("SKIPPED: {USAGE}"),
    };
    let [text, json] = rendered(&dir);
    let records = text.iter().filter(|byte| **byte == b'\n').count() as u64;
    let segments = segments(&dir);
    println!("{records} records of {}; bytes per record\n", dir.display());
    println!("| what | plain | gzip -3 | gzip -9 | zstd -3 | zstd -9 |");
    println!("|---|---:|---:|---:|---:|---:|");
    // Files as the worker makes them: one per segment, text in files of the default size.
    let mut rows = vec![
        row("journal", &segments, records),
        row("text", &pieces(&text), records),
        row("JSON", &pieces(&json), records),
    ];
    println!("\njournal.gz is {:.2} of text.gz\n", rows[0].gzip() / rows[1].gzip());
    println!("| a journal in another form | plain | gzip -3 | gzip -9 | zstd -3 | zstd -9 |");
    println!("|---|---:|---:|---:|---:|---:|");
    let forms: [(&str, Form); 4] = [
        ("without checksums", |frames| frames.iter().flat_map(without_checksum).collect()),
        ("without checksums, times and numbers as differences", differences),
        ("the same, header fields in columns", |frames| columns(frames, false)),
        ("the same, payloads by call site, byte by byte in columns", |frames| columns(frames, true)),
    ];
    for (name, form) in forms {
        let all: Vec<Vec<u8>> = segments.iter().map(|segment| form(&frames(segment))).collect();
        rows.push(row(name, &all, records));
    }
    let rows: Vec<Value> =
        rows.into_iter().map(|row| json!({ "what": row.name, "bytes_per_record": row.columns })).collect();
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("bench");
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("size.json"), format!("{:#}\n", json!({ "records": records, "rows": rows }))).unwrap();
}

/// Bytes per record: plain, gzip -3, gzip -9, zstd -3, zstd -9.
struct Row {
    name: String,
    columns: [Option<f64>; 5],
}

impl Row {
    /// At the default level.
    fn gzip(&self) -> f64 {
        self.columns[1].unwrap()
    }
}

/// Every record of a directory as lines of text and of JSON.
fn rendered(dir: &Path) -> [Vec<u8>; 2] {
    let (mut text, mut json) = (TextFormat::default(), JsonFormat::default());
    let mut out = [Vec::new(), Vec::new()];
    let mut follower = Follower::open(LogDir::open(dir).unwrap(), Until::Now, Start::First).unwrap();
    while follower.advance() {
        let record = follower.current().unwrap();
        text.line(&record, &mut out[0]);
        json.line(&record, &mut out[1]);
    }
    out
}

/// The archived segments of all journals.
fn segments(dir: &Path) -> Vec<Vec<u8>> {
    let listed = |path: &Path| fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path());
    let journals = listed(&dir.join(".journal")).filter(|path| path.is_dir());
    let mut files: Vec<PathBuf> = journals.flat_map(|journal| listed(&journal).collect::<Vec<_>>()).collect();
    files.retain(|path| path.to_string_lossy().contains(".seg"));
    files.sort();
    let read = |path: &PathBuf| {
        let bytes = fs::read(path).unwrap();
        if path.extension().is_none_or(|end| end != "gz") {
            return bytes;
        }
        let mut plain = Vec::new();
        MultiGzDecoder::new(bytes.as_slice()).read_to_end(&mut plain).unwrap();
        plain
    };
    files.iter().map(read).collect()
}

fn pieces(bytes: &[u8]) -> Vec<Vec<u8>> {
    bytes.chunks(50 << 20).map(<[u8]>::to_vec).collect()
}

/// Prints what the files take.
fn row(name: &str, files: &[Vec<u8>], records: u64) -> Row {
    let per_record = |compress: &dyn Fn(&[u8]) -> Option<usize>| {
        let all: Option<Vec<usize>> = files.iter().map(|file| compress(file)).collect();
        all.map(|all| all.iter().sum::<usize>() as f64 / records as f64)
    };
    let columns = [
        per_record(&|file| Some(file.len())),
        per_record(&|file| Some(gzip(file, 3))),
        per_record(&|file| Some(gzip(file, 9))),
        per_record(&|file| zstd(file, 3)),
        per_record(&|file| zstd(file, 9)),
    ];
    let shown: Vec<String> =
        columns.iter().map(|it| it.map_or("-".to_owned(), |bytes| format!("{bytes:.2}"))).collect();
    println!("| {name} | {} |", shown.join(" | "));
    Row { name: name.to_owned(), columns }
}

fn gzip(bytes: &[u8], level: u32) -> usize {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::new(level));
    encoder.write_all(bytes).unwrap();
    let packed = encoder.finish().unwrap();
    let mut back = Vec::with_capacity(bytes.len());
    GzDecoder::new(packed.as_slice()).read_to_end(&mut back).unwrap();
    assert!(back == bytes, "what was inflated is what was compressed");
    packed.len()
}

/// By the command, if it is installed.
fn zstd(bytes: &[u8], level: u32) -> Option<usize> {
    let mut command = Command::new("zstd");
    command.args([&format!("-{level}"), "-q", "-c"]).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.spawn().ok()?;
    let (mut input, mut output) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
    let mut packed = Vec::new();
    std::thread::scope(|scope| {
        scope.spawn(move || input.write_all(bytes).unwrap());
        output.read_to_end(&mut packed).unwrap();
    });
    assert!(child.wait().unwrap().success());
    Some(packed.len())
}

fn frames(segment: &[u8]) -> Vec<Frame<'_>> {
    let header = Header::decode(segment).unwrap();
    let scanner = Scanner::new(&segment[HEADER_BYTES..], HEADER_BYTES as u64, header.salt, Tail::Final);
    let whole = |item| match item {
        Item::Frame { frame, .. } => frame,
        Item::Damage { .. } => panic!("a damaged segment"),
    };
    scanner.map(whole).collect()
}

fn without_checksum(frame: &Frame<'_>) -> Vec<u8> {
    let mut out = Vec::with_capacity(FRAME_HEADER_BYTES + frame.payload.len());
    out.extend((frame.bytes() as u16 / 8).to_le_bytes());
    out.extend(frame.ring.to_le_bytes());
    out.extend(frame.ticks.to_le_bytes());
    out.extend(frame.site.to_le_bytes());
    out.extend(frame.seq.to_le_bytes());
    out.extend(frame.payload);
    out
}

/// A number in as many bytes as it needs, small negative ones being short too.
fn push_short(number: i64, out: &mut Vec<u8>) {
    let mut rest = (number << 1 ^ number >> 63).cast_unsigned();
    while rest >= 0x80 {
        out.push(rest as u8 | 0x80);
        rest >>= 7;
    }
    out.push(rest as u8);
}

/// Ticks against the frame before, numbers against the frame of the ring before.
struct Before {
    ticks: u64,
    seq: BTreeMap<u16, u32>,
}

impl Before {
    fn new() -> Self {
        Self { ticks: 0, seq: BTreeMap::new() }
    }

    fn differences(&mut self, frame: &Frame<'_>) -> [i64; 2] {
        let ticks = frame.ticks.wrapping_sub(self.ticks).cast_signed();
        self.ticks = frame.ticks;
        let before = self.seq.insert(frame.ring, frame.seq).unwrap_or(0);
        [ticks, i64::from(frame.seq.wrapping_sub(before).cast_signed())]
    }
}

fn differences(frames: &[Frame<'_>]) -> Vec<u8> {
    let (mut out, mut before) = (Vec::new(), Before::new());
    for frame in frames {
        out.extend((frame.bytes() as u16 / 8).to_le_bytes());
        out.extend(frame.ring.to_le_bytes());
        out.extend(frame.site.to_le_bytes());
        for number in before.differences(frame) {
            push_short(number, &mut out);
        }
        out.extend(frame.payload);
    }
    out
}

fn columns(frames: &[Frame<'_>], payloads: bool) -> Vec<u8> {
    let mut before = Before::new();
    let mut heads: [Vec<u8>; 5] = Default::default();
    let mut plain: Vec<u8> = Vec::new();
    let mut by_site: BTreeMap<(bool, u32, usize), Vec<&[u8]>> = BTreeMap::new();
    for frame in frames {
        let [units, rings, ticks, sites, seqs] = &mut heads;
        push_short((frame.bytes() / 8) as i64, units);
        push_short(i64::from(frame.ring), rings);
        push_short(i64::from(frame.site), sites);
        let [tick, seq] = before.differences(frame);
        push_short(tick, ticks);
        push_short(seq, seqs);
        if payloads && frame.ring != WRITER_RING {
            by_site.entry((false, frame.site, frame.payload.len())).or_default().push(frame.payload);
        } else {
            plain.extend(frame.payload);
        }
    }
    let mut out = heads.concat();
    out.extend(plain);
    for ((_, _, bytes), all) in by_site {
        for column in 0..bytes {
            out.extend(all.iter().map(|payload| payload[column]));
        }
    }
    out
}
