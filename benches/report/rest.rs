//! Machine, pipeline, parts, archive, size, scale, soak, guard.

use super::figures::{Figures, cases, median, name_of, number, rounds, shown, spread, table};
use serde_json::Value;
use std::fs;
use std::path::Path;

pub(crate) fn machine(figures: &Figures) -> Option<String> {
    let all = [("latency", &figures.latency), ("pipeline", &figures.pipeline), ("peers", &figures.peers)];
    let found = all.iter().map(|(_, results)| &results["machine"]).find(|machine| !machine.is_null())?;
    let loads: Vec<String> = all
        .iter()
        .filter_map(|(name, results)| Some(format!("{} ({name})", results["machine"]["load_before"].as_str()?)))
        .collect();
    let dropped = figures.latency["dropped"].as_u64().filter(|dropped| *dropped > 0);
    let dropped = dropped.map_or(String::new(), |dropped| {
        format!(" **{dropped} records were dropped where none should be: the machine was busy, and what is slow looks too fast.**")
    });
    Some(format!(
        "{} cores of {}, {} GiB, Linux {}, {}. The counter's smallest step: {} ns. Load of the last minute when each began: {}. {} rounds.{dropped}\n",
        found["cores"],
        found["cpu"].as_str().unwrap_or("?"),
        found["memory_gib"],
        found["kernel"].as_str().unwrap_or("?"),
        rustc(),
        shown(figures.latency["grain_ns"].as_f64(), 1),
        loads.join(", "),
        figures.latency["rounds"],
    ))
}

fn rustc() -> String {
    let output = std::process::Command::new("rustc").arg("--version").output();
    output.map_or("Rust".to_owned(), |it| String::from_utf8_lossy(&it.stdout).trim().to_owned())
}

pub(crate) fn pipeline(figures: &Figures) -> Option<String> {
    let records = figures.pipeline["records"].as_f64()?;
    let row = |case: &Value| {
        let seconds = rounds(case, &["seconds"]);
        let name = name_of(case).to_owned();
        if name.starts_with("start") || name.starts_with("close") {
            return vec![
                name,
                "–".to_owned(),
                format!("{} ms in all", spread(seconds.iter().map(|it| it * 1e3).collect(), 1)),
                "–".to_owned(),
            ];
        }
        vec![
            name,
            spread(seconds.iter().map(|it| records / it / 1e6).collect(), 2),
            shown(median(seconds.iter().map(|it| it / records * 1e9).collect()), 1),
            shown(median(rounds(case, &["cpu_ns_per_record"])), 1),
        ]
    };
    let head = ["what", "M records/s", "ns a record", "CPU ns a record, all threads"];
    Some(table(&head, cases(&figures.pipeline).iter().map(row).collect()))
}

/// What criterion left: `<group>/<function>/new/{benchmark,estimates}.json`.
pub(crate) fn parts(figures: &Figures) -> Option<String> {
    let mut rows = Vec::new();
    collect(&figures.criterion, &mut rows);
    rows.sort();
    (!rows.is_empty()).then(|| table(&["part", "time", "rate"], rows))
}

fn collect(folder: &Path, rows: &mut Vec<Vec<String>>) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if !path.is_dir() {
            continue;
        }
        let read =
            |name: &str| -> Option<Value> { serde_json::from_str(&fs::read_to_string(path.join(name)).ok()?).ok() };
        match read("benchmark.json").zip(read("estimates.json")).filter(|_| path.ends_with("new")) {
            Some((benchmark, estimates)) => rows.extend(part(&benchmark, &estimates)),
            None => collect(&path, rows),
        }
    }
}

fn part(benchmark: &Value, estimates: &Value) -> Option<Vec<String>> {
    let ns = estimates["median"]["point_estimate"].as_f64()?;
    let name = format!("{}: {}", benchmark["group_id"].as_str()?, benchmark["function_id"].as_str()?);
    let throughput = &benchmark["throughput"];
    Some(if let Some(bytes) = throughput["Bytes"].as_f64() {
        vec![name, time(ns), format!("{} MB/s", number(bytes / ns * 1e3, 0))]
    } else if let Some(elements) = throughput["Elements"].as_f64() {
        vec![name, time(ns / elements), format!("{} M/s", number(elements / ns * 1e3, 1))]
    } else {
        vec![name, time(ns), "–".to_owned()]
    })
}

fn time(ns: f64) -> String {
    match ns {
        ns if ns >= 1e6 => format!("{} ms", number(ns / 1e6, 1)),
        ns if ns >= 1e4 => format!("{} µs", number(ns / 1e3, 1)),
        ns => format!("{} ns", number(ns, 1)),
    }
}

pub(crate) fn archive(figures: &Figures) -> Option<String> {
    let records = figures.archive["records"].as_f64()?;
    let list = |case: &Value, key: &str| -> Vec<f64> {
        case[key].as_array().map_or(Vec::new(), |all| all.iter().filter_map(Value::as_f64).collect())
    };
    let row = |case: &Value| {
        let (ours, theirs) = (list(case, "tacho_seconds"), list(case, "gzip_seconds"));
        let ratio = median(theirs.clone()).zip(median(ours.clone())).map(|(theirs, ours)| theirs / ours);
        vec![
            name_of(case).to_owned(),
            number(case["lines"].as_f64().unwrap_or(0.0), 0),
            spread(ours, 3),
            spread(theirs, 3),
            shown(ratio, 1),
        ]
    };
    let head = ["what", "lines", "`tacho`, s", "`zcat` or `zgrep`, s", "times as fast"];
    let text = table(&head, cases(&figures.archive).iter().map(row).collect());
    Some(format!("{} records.\n\n{text}", number(records, 0)))
}

pub(crate) fn size(figures: &Figures) -> Option<String> {
    let rows = figures.size["rows"].as_array()?;
    let row = |row: &Value| {
        let columns = row["bytes_per_record"].as_array().cloned().unwrap_or_default();
        let shown = columns.iter().map(|bytes| shown(bytes.as_f64(), 2));
        [vec![row["what"].as_str().unwrap_or("?").to_owned()], shown.collect()].concat()
    };
    let head = ["bytes a record", "plain", "gzip -3", "gzip -9", "zstd -3", "zstd -9"];
    let text = table(&head, rows.iter().map(row).collect());
    Some(format!("{} records.\n\n{text}", number(figures.size["records"].as_f64()?, 0)))
}

pub(crate) fn scale(figures: &Figures) -> Option<String> {
    let all = cases(&figures.scale);
    if all.is_empty() {
        return None;
    }
    let mib = |case: &Value, key: &str| shown(case[key].as_f64().map(|kib| kib / 1024.0), 0);
    let row = |case: &Value| {
        let at = |key: &str| case[key].as_f64();
        let rate = at("records")
            .zip(at("seconds"))
            .filter(|(records, _)| *records > 0.0)
            .map(|(records, s)| records / s / 1e6);
        vec![
            name_of(case).to_owned(),
            shown(at("records"), 0),
            shown(rate, 2),
            mib(case, "memory_max_kib"),
            shown(at("rings"), 0),
            shown(at("open_files"), 0),
            shown(at("start_ms"), 1),
            shown(at("close_ms"), 1),
        ]
    };
    let head = [
        "case",
        "records",
        "M/s until readable as text",
        "memory at most, MiB",
        "rings",
        "open files",
        "start, ms",
        "close, ms",
    ];
    let mut text = table(&head, all.iter().filter(|case| case["sites"].is_null()).map(row).collect());
    if let Some(sites) = all.iter().find(|case| !case["sites"].is_null()) {
        let at = |key: &str| sites[key].as_f64();
        text.push_str(&format!(
            "\nA program with {} call sites of (u64, u64, f64): {} ms of compile time, {} bytes of code and {} bytes of data for each; the \
             first call of each took {} µs; memory at most {} MiB, with one call site {} MiB.\n",
            shown(at("sites"), 0),
            shown(at("compile_ms_per_site"), 2),
            shown(at("code_bytes_per_site"), 0),
            shown(at("data_bytes_per_site"), 0),
            shown(at("first_call_us"), 2),
            mib(sites, "memory_max_kib"),
            mib(sites, "memory_one_site_kib"),
        ));
    }
    Some(text)
}

pub(crate) fn soak(figures: &Figures) -> Option<String> {
    let soak = &figures.soak;
    let at = |key: &str| soak[key].as_f64();
    at("records")?;
    let call = |key: &str| shown(soak["call_ns"][key].as_f64(), 0);
    let head = [
        "run",
        "records",
        "dropped",
        "rotations",
        "p50",
        "p99",
        "p99.9",
        "p99.99",
        "max, µs",
        "CPU ns a record",
        "memory, MiB",
    ];
    let row = vec![
        format!("{} s at {}/s", shown(at("seconds"), 0), shown(at("rate"), 0)),
        shown(at("records"), 0),
        shown(at("dropped"), 0),
        shown(at("rotations"), 0),
        call("p50"),
        call("p99"),
        call("p99.9"),
        call("p99.99"),
        shown(soak["call_ns"]["max"].as_f64().map(|ns| ns / 1000.0), 0),
        shown(at("cpu_ns_per_record"), 0),
        shown(at("memory_max_kib").map(|kib| kib / 1024.0), 0),
    ];
    Some(table(&head, vec![row]))
}

pub(crate) fn guard(figures: &Figures) -> Option<String> {
    let figures = figures.guard["figures"].as_array()?;
    let row = |figure: &Value| {
        vec![
            figure["name"].as_str().unwrap_or("?").to_owned(),
            shown(figure["figure"].as_f64(), 1),
            shown(figure["budget"].as_f64(), 1),
        ]
    };
    let rows: Vec<Vec<String>> = figures.iter().map(row).collect();
    Some(table(&["instructions, or bytes where it says so", "measured", "budget"], rows))
}
