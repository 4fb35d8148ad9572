//! What the benchmarks left under `target/bench/`, as the tables of BENCHMARKS.md and the plots in `docs/plots/`.
//!
//! ```text
//! cargo bench --bench report               # prints the tables
//! cargo bench --bench report -- --write    # puts them between the markers of BENCHMARKS.md, and draws the plots
//! ```
//!
//! What was not measured keeps the table that stands there.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a benchmark"
)]

mod budget;
mod figures;
mod latency;
mod peers;
mod plot;
mod rest;

use figures::Figures;
use std::fs;
use std::path::Path;

/// A table: the name of its marker, and how it is made; `None` where its figures were not measured.
type Section = (&'static str, fn(&Figures) -> Option<String>);

const SECTIONS: [Section; 15] = [
    ("machine", rest::machine),
    ("budget", budget::table),
    ("bursts", latency::bursts),
    ("pauses", latency::pauses),
    ("conditions", latency::conditions),
    ("peers-bursts", peers::bursts),
    ("peers-pauses", peers::pauses),
    ("peers-throughput", peers::throughput),
    ("pipeline", rest::pipeline),
    ("parts", rest::parts),
    ("archive", rest::archive),
    ("size", rest::size),
    ("scale", rest::scale),
    ("soak", rest::soak),
    ("guard", rest::guard),
];

/// A plot: its file, and how it is drawn.
type Plot = (&'static str, fn(&Figures) -> Option<String>);

const PLOTS: [Plot; 4] = [
    ("burst-percentiles.svg", plot::percentiles),
    ("first-call.svg", plot::first_call),
    ("throughput.svg", plot::throughput),
    ("soak.svg", plot::soak),
];

fn main() {
    let figures = Figures::load(&Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("bench"));
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    if !std::env::args().any(|argument| argument == "--write") {
        for (name, make) in SECTIONS {
            println!("## {name}\n\n{}", make(&figures).unwrap_or_else(|| "not measured\n".to_owned()));
        }
        return;
    }
    let path = root.join("BENCHMARKS.md");
    let mut text = fs::read_to_string(&path).unwrap();
    for (name, make) in SECTIONS {
        match make(&figures) {
            Some(table) => text = replaced(&text, name, &table),
            None => eprintln!("{name}: not measured, left as it is"),
        }
    }
    fs::write(&path, text).unwrap();
    let plots = root.join("docs/plots");
    fs::create_dir_all(&plots).unwrap();
    for (name, draw) in PLOTS {
        match draw(&figures) {
            Some(svg) => fs::write(plots.join(name), svg).unwrap(),
            None => eprintln!("{name}: not measured, left as it is"),
        }
    }
    println!("{}", path.display());
}

/// The text with `table` between the markers of `name`.
fn replaced(text: &str, name: &str, table: &str) -> String {
    let (begin, end) = (format!("<!-- figures: {name} -->\n"), "<!-- end -->");
    let (head, rest) = text.split_once(&begin).unwrap_or_else(|| panic!("BENCHMARKS.md has no marker {begin}"));
    let (_, tail) = rest.split_once(end).unwrap_or_else(|| panic!("BENCHMARKS.md: {begin} has no {end}"));
    format!("{head}{begin}{}\n{end}{tail}", table.trim_end())
}
