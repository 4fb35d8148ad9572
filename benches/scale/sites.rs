//! What a call site costs the compiler and the program: the same program with one call site and with 10,000, made here.

use super::common::folder;
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

const SITES: usize = 10_000;
/// Call sites of a function, as in a program.
const IN_A_FUNCTION: usize = 20;

pub(crate) fn measure() -> Vec<Value> {
    let plain = build(1, false);
    let many = build(SITES, true);
    let more = (SITES - 1) as f64;
    vec![json!({
        "case": "10,000 call sites",
        "sites": SITES,
        "compile_ms_per_site": (many.seconds - plain.seconds) * 1e3 / more,
        "code_bytes_per_site": (many.text as f64 - plain.text as f64) / more,
        "data_bytes_per_site": (many.data as f64 - plain.data as f64) / more,
        "first_call_us": many.first_call_us,
        "lines": many.lines,
        "memory_max_kib": many.memory_max_kib,
        "memory_one_site_kib": plain.memory_max_kib,
    })]
}

struct Built {
    seconds: f64,
    text: u64,
    data: u64,
    first_call_us: f64,
    lines: u64,
    memory_max_kib: u64,
}

/// Writes, builds (release, as the user does) and runs the program.
fn build(sites: usize, say: bool) -> Built {
    let package = folder().join("sites");
    fs::create_dir_all(package.join("src")).unwrap();
    let root = env!("CARGO_MANIFEST_DIR");
    let manifest = format!(
        "[package]\nname = \"sites\"\nversion = \"0.0.0\"\nedition = \"2024\"\n[workspace]\n[dependencies]\n\
         tachograph = {{ path = {root:?}, default-features = false }}\n"
    );
    fs::write(package.join("Cargo.toml"), manifest).unwrap();
    // The versions that the library is tested with, and nothing to ask a registry for.
    fs::copy(Path::new(root).join("Cargo.lock"), package.join("Cargo.lock")).unwrap();
    let cargo = || {
        let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        cargo.args(["build", "--release", "--quiet", "--manifest-path"]).arg(package.join("Cargo.toml"));
        cargo.env("CARGO_TARGET_DIR", package.join("target"));
        assert!(cargo.status().unwrap().success(), "the program with {sites} call sites builds");
    };
    // What it depends on is built with another text, so that only the program is timed.
    fs::write(package.join("src/main.rs"), "fn main() { let _ = tachograph::Config::new(\"\"); }\n").unwrap();
    cargo();
    fs::write(package.join("src/main.rs"), source(sites)).unwrap();
    if say {
        eprintln!("scale: building {sites} call sites");
    }
    let begin = Instant::now();
    cargo();
    let seconds = begin.elapsed().as_secs_f64();
    let program = package.join("target/release/sites");
    let [text, data] = sizes(&program);
    let dir = tempfile::tempdir().unwrap();
    let run = Command::new(&program).arg(dir.path()).output().unwrap();
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
    let said = String::from_utf8(run.stdout).unwrap();
    let mut words = said.split_whitespace().map(|word| word.parse::<f64>().unwrap());
    let (first_call_us, memory_max_kib) = (words.next().unwrap(), words.next().unwrap() as u64);
    let lines = fs::read_to_string(dir.path().join("sites.log")).unwrap().lines().count() as u64;
    assert_eq!(lines, sites as u64, "each call site left its line");
    Built { seconds, text, data, first_call_us, lines, memory_max_kib }
}

fn source(sites: usize) -> String {
    let mut text = String::from("use tachograph::{Config, info, start};\n");
    let functions = sites.div_ceil(IN_A_FUNCTION);
    for function in 0..functions {
        let _ = writeln!(text, "#[inline(never)] fn f{function}(i: u64) {{");
        for site in function * IN_A_FUNCTION..((function + 1) * IN_A_FUNCTION).min(sites) {
            let _ = writeln!(text, "    info!(\"site {site}: {{}}, int: {{}}, double: {{}}\", i, i ^ 1, i as f64);");
        }
        text.push_str("}\n");
    }
    text.push_str("fn all(i: u64) {\n");
    (0..functions).for_each(|function| _ = writeln!(text, "    f{function}(i);"));
    text.push_str("}\n");
    let _ = writeln!(
        text,
        "fn main() {{
    let dir = std::env::args().nth(1).unwrap();
    let tacho = start(Config::new(dir)).unwrap();
    tachograph::prepare_thread();
    let begin = std::time::Instant::now();
    all(std::hint::black_box(7));
    let us = begin.elapsed().as_secs_f64() * 1e6 / {sites} as f64;
    tacho.flush(std::time::Duration::from_secs(60)).unwrap();
    assert_eq!(tacho.health().dropped, 0);
    let status = std::fs::read_to_string(\"/proc/self/status\").unwrap();
    let memory = status.lines().find_map(|line| line.strip_prefix(\"VmHWM:\")).unwrap();
    println!(\"{{us}} {{}}\", memory.split_whitespace().next().unwrap());
}}"
    );
    text
}

/// Bytes of code and of data, by `size` of binutils.
fn sizes(program: &Path) -> [u64; 2] {
    let listed =
        Command::new("size").arg(program).output().unwrap_or_else(|error| panic!("size, of binutils: {error}"));
    let text = String::from_utf8(listed.stdout).unwrap();
    let mut numbers = text.lines().nth(1).unwrap().split_whitespace().map(|word| word.parse::<u64>().unwrap_or(0));
    [numbers.next().unwrap(), numbers.next().unwrap()]
}
