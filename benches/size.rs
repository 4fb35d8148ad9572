//! How many bytes a record takes: in the journal as it is archived, as text, as JSON, plain and compressed; and what it costs to
//! make and to read that.
//!
//! ```text
//! cargo run --release --example trading_bot -- --repeat 433 --dir target/bench/size
//! cargo bench --bench size -- target/bench/size
//! cargo bench --bench size -- --varied 1000000 target/bench/varied
//! ```
//!
//! The figures also go to `size.json` under `target/bench/`. Any log directory will do. All are made of the same records: the journal as it is archived, and its records rendered again.
//! Before anything is printed, each compressed form is inflated and held against what went in. The example replays the same
//! trades; `--varied` makes so many records first whose prices, quantities, ids and gaps in time do not come again.
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
use flate2::read::MultiGzDecoder;
use flate2::write::GzEncoder;
use serde_json::{Value, json};
use std::fs;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;
use tachograph::compress::Codec;
use tachograph::format::json::JsonFormat;
use tachograph::format::line::LineFormat;
use tachograph::format::pattern::TextFormat;
use tachograph::reader::dir::LogDir;
use tachograph::reader::follow::{Follower, Start, Until};
use tachograph::segment::packed;

#[path = "size/varied.rs"]
mod varied;

const USAGE: &str = "cargo bench --bench size -- [--varied RECORDS] DIR: the log directory to measure";
/// The gzip level of the columns that are compared.
const LEVEL: u32 = 3;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let dir = match arguments.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["--varied", records, dir] => {
            varied::log(Path::new(dir), records.parse().expect("a number of records"));
            PathBuf::from(dir)
        }
        ["--test"] => return println!("SKIPPED: {USAGE}"),
        [dir] => PathBuf::from(dir),
        // `cargo bench` without a bench by name runs this one too.
        _ => return println!("SKIPPED: {USAGE}"),
    };
    let [text, json] = rendered(&dir);
    let records = text.iter().filter(|byte| **byte == b'\n').count() as u64;
    let segments = segments(&dir);
    // Files as the worker makes them: one per segment, text in files of the default size.
    let (text, json) = (pieces(&text), pieces(&json));
    println!("{records} records of {}; bytes per record\n", dir.display());
    println!("| what | plain | gzip -1 | gzip -3 | gzip -6 | gzip -9 | zstd -3 | zstd -9 |");
    println!("|---|---:|---:|---:|---:|---:|---:|---:|");
    let rows = [
        row("journal", &segments, records, &pack),
        row("journal, not packed", &segments, records, &gzip),
        row("text", &text, records, &gzip),
        row("JSON", &json, records, &gzip),
    ];
    println!("\njournal.gz is {:.2} of text.gz\n", rows[0].gzip() / rows[2].gzip());
    let values = rows.iter().map(|row| json!({ "what": row.name, "bytes_per_record": row.reported() })).collect();
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("bench");
    fs::create_dir_all(&folder).unwrap();
    let report = json!({ "records": records, "rows": Value::Array(values) });
    fs::write(folder.join("size.json"), format!("{report:#}\n")).unwrap();
    println!("| processor time, one thread, level {LEVEL} | ns per record | MB/s of what is plain |");
    println!("|---|---:|---:|");
    cost("journal: pack and compress", &segments, records, |file| drop(pack(file, LEVEL)));
    cost("journal: compress as it is", &segments, records, |file| drop(gzip(file, LEVEL)));
    cost("text: compress", &text, records, |file| drop(gzip(file, LEVEL)));
    let packed: Vec<Vec<u8>> = segments.iter().map(|segment| pack(segment, LEVEL)).collect();
    let zipped: Vec<Vec<u8>> = text.iter().map(|file| gzip(file, LEVEL)).collect();
    cost("journal: unpack", &packed, records, |file| drop(packed::unpack(file).unwrap()));
    cost("text: inflate", &zipped, records, |file| drop(gunzip(file)));
}

/// Prints the processor time of the least of three runs, in which the machine disturbed least.
fn cost(name: &str, files: &[Vec<u8>], records: u64, work: impl Fn(&[u8])) {
    let run = || {
        let begin = processor_time();
        files.iter().for_each(|file| work(file));
        processor_time() - begin
    };
    let time = (0..3).map(|_| run()).min().unwrap_or_default();
    let bytes: usize = files.iter().map(Vec::len).sum();
    let (ns, mb) = (time.as_nanos() as f64 / records as f64, bytes as f64 / 1e6 / time.as_secs_f64());
    println!("| {name} | {ns:.0} | {mb:.0} |");
}

/// Of this thread, as the scheduler counts it in nanoseconds.
fn processor_time() -> Duration {
    let text = fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    Duration::from_nanos(text.split(' ').next().unwrap().parse().unwrap())
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
    // One that was compressed as its process ended may be there in both forms.
    files.dedup_by_key(|path| path.to_string_lossy().trim_end_matches(".gz").to_owned());
    let read = |path: &PathBuf| {
        let bytes = fs::read(path).unwrap();
        if path.extension().is_none_or(|end| end != "gz") {
            return bytes;
        }
        packed::unpack(&bytes).unwrap_or_else(|| gunzip(&bytes))
    };
    files.iter().map(read).collect()
}

fn pieces(bytes: &[u8]) -> Vec<Vec<u8>> {
    bytes.chunks(50 << 20).map(<[u8]>::to_vec).collect()
}

/// Bytes per record: plain, gzip -1, -3, -6, -9, zstd -3, -9.
struct Row {
    name: String,
    columns: [Option<f64>; 7],
}

impl Row {
    /// At the default level.
    fn gzip(&self) -> f64 {
        self.columns[2].unwrap()
    }

    /// What the report shows: plain, gzip -3, -9, zstd -3, -9.
    fn reported(&self) -> [Option<f64>; 5] {
        [0, 2, 4, 5, 6].map(|column: usize| self.columns[column])
    }
}

/// Prints what the files take.
fn row(name: &str, files: &[Vec<u8>], records: u64, compress: &dyn Fn(&[u8], u32) -> Vec<u8>) -> Row {
    let per_record = |size: &dyn Fn(&[u8]) -> Option<usize>| {
        let all: Option<Vec<usize>> = files.iter().map(|file| size(file)).collect();
        all.map(|all| all.iter().sum::<usize>() as f64 / records as f64)
    };
    let level = |level| per_record(&|file| Some(compress(file, level).len()));
    // The packed form is made of gzip members here; see the feature `zstd` for the other.
    let own = name == "journal";
    let by_zstd = |level| per_record(&|file| if own { None } else { zstd(file, level) });
    let plain = per_record(&|file| Some(file.len()));
    let columns = [plain, level(1), level(LEVEL), level(6), level(9), by_zstd(3), by_zstd(9)];
    let shown: Vec<String> =
        columns.iter().map(|it| it.map_or("-".to_owned(), |bytes| format!("{bytes:.2}"))).collect();
    println!("| {name} | {} |", shown.join(" | "));
    let back = |file: &Vec<u8>| {
        let small = compress(file, LEVEL);
        if own { packed::unpack(&small).unwrap() } else { gunzip(&small) }
    };
    assert!(files.iter().all(|file| back(file) == *file), "what comes back is what was compressed");
    Row { name: name.to_owned(), columns }
}

fn gzip(bytes: &[u8], level: u32) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::new(level));
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn gunzip(bytes: &[u8]) -> Vec<u8> {
    let mut back = Vec::new();
    MultiGzDecoder::new(bytes).read_to_end(&mut back).unwrap();
    back
}

fn pack(segment: &[u8], level: u32) -> Vec<u8> {
    packed::pack(segment, Codec::Gzip(level)).unwrap()
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
