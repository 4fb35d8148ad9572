//! With the feature `zstd`: backups and archives by zstd, and what was by gzip before.
#![cfg(feature = "zstd")]
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stderr)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;
use tachograph::{Config, Idle, Overflow, View, WriterCore, info, start_isolated};

const LIMIT: Duration = Duration::from_secs(60);

fn config(dir: &Path) -> Config {
    Config::new(dir)
        .components(false)
        .view(View::new("all").bytes_max(40_000).backups(1000))
        .segment_bytes(64_usize << 10)
        .segments(4_usize)
        .record_bytes_max(1_usize << 10)
        .ring_bytes(64_usize << 10)
        .rings_spare(0_usize)
        .writer_core(WriterCore::Unpinned)
        .idle(Idle::Sleep)
        .overflow(Overflow::Block)
        .block_max(LIMIT)
        .health_interval(Duration::ZERO)
        .view_compress_delay(Duration::ZERO)
}

fn log(config: Config, numbers: std::ops::Range<u64>, packed: &str) {
    let dir = config_dir(&config);
    let tacho = start_isolated(config).unwrap();
    for n in numbers {
        info!(logger: tacho, target: "all", n = n, price = n as f64 / 10.0; "event");
    }
    tacho.flush(LIMIT).unwrap();
    // Compression is slow work of its own.
    let until = std::time::Instant::now() + LIMIT;
    while ended(&dir, packed).is_empty() || journal(&dir, packed).is_empty() {
        assert!(std::time::Instant::now() < until, "nothing is called {packed}: {:?}", fs::read_dir(&dir));
        std::thread::sleep(Duration::from_millis(5));
    }
    tacho.close(LIMIT).unwrap();
}

fn config_dir(config: &Config) -> PathBuf {
    let toml: toml::Table = config.to_toml().parse().unwrap();
    PathBuf::from(toml.get("dir").and_then(toml::Value::as_str).unwrap())
}

/// The files of a folder whose names end so.
fn ended(dir: &Path, end: &str) -> Vec<PathBuf> {
    let all = fs::read_dir(dir).into_iter().flatten().map(|entry| entry.unwrap().path());
    all.filter(|path| path.to_string_lossy().ends_with(end)).collect()
}

fn journal(dir: &Path, end: &str) -> Vec<PathBuf> {
    let folders = fs::read_dir(dir.join(".journal")).unwrap().map(|entry| entry.unwrap().path());
    folders.flat_map(|folder| ended(&folder, end)).filter(|path| path.to_string_lossy().contains(".seg")).collect()
}

fn tacho(dir: &Path, args: &[&str]) -> (i32, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_tacho")).arg("-D").arg(dir).args(args).output().unwrap();
    assert!(output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
    (output.status.code().unwrap(), String::from_utf8(output.stdout).unwrap())
}

#[test]
fn backups_and_archives_are_of_zstd_and_all_of_it_is_read() {
    let root = tempfile::tempdir().unwrap();
    let dir = root.path().join("logs");
    log(config(&dir).zstd_level(3), 0..6_000, ".zst");
    assert!(ended(&dir, ".gz").is_empty() && journal(&dir, ".gz").is_empty());
    for path in ended(&dir, ".zst").into_iter().chain(journal(&dir, ".zst")) {
        assert!(!zstd::decode_all(fs::File::open(&path).unwrap()).unwrap().is_empty());
        match Command::new("zstd").args(["-t", "-q"]).arg(&path).stdin(Stdio::null()).status() {
            Ok(status) => assert!(status.success(), "{}", path.display()),
            Err(error) => eprintln!("SKIPPED: the command zstd cannot be run ({error})"),
        }
    }
    // By gzip from here on; what is there stays, is read, and is counted among the backups.
    log(config(&dir), 6_000..12_000, ".gz");
    let text: String = ["zst", "gz", "log"]
        .into_iter()
        .flat_map(|end| ended(&dir, end))
        .map(|path| {
            let bytes = fs::read(&path).unwrap();
            match path.extension().and_then(|end| end.to_str()) {
                Some("zst") => String::from_utf8(zstd::decode_all(bytes.as_slice()).unwrap()).unwrap(),
                Some("gz") => std::io::read_to_string(flate2::read::MultiGzDecoder::new(bytes.as_slice())).unwrap(),
                _ => String::from_utf8(bytes).unwrap(),
            }
        })
        .collect();
    let plain: String = fs::read_dir(&dir)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| {
            path.file_name()
                .unwrap()
                .to_string_lossy()
                .strip_prefix("all.log.")
                .is_some_and(|rest| rest.parse::<u32>().is_ok())
        })
        .map(|path| fs::read_to_string(path).unwrap())
        .collect();
    let number = |line: &str| line.split(" n=").nth(1)?.split(' ').next()?.parse::<u64>().ok();
    let mut there: Vec<u64> = text.lines().chain(plain.lines()).filter_map(number).collect();
    there.sort_unstable();
    assert!(there.into_iter().eq(0..12_000), "each record is once in the files of the view");

    let (code, said) = tacho(&dir, &["cat"]);
    assert_eq!((code, said.lines().filter_map(number).collect::<Vec<_>>()), (0, (0..12_000).collect()));
    let (code, said) = tacho(&dir, &["verify"]);
    assert_eq!(code, 0, "{said}");
}
