//! `tacho grep`, `trace`, `stat` and `export`, on journals written by hand.
#![cfg(feature = "cli")]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that fails says so")]

#[path = "support/journals.rs"]
mod journals;

use journals::testing::*;
use journals::*;
use std::fs;
use std::io::{BufRead as _, BufReader, Read as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Stdio;
use tempfile::TempDir;

/// Exit status, standard output and standard error.
fn said(logs: &Path, args: &[&str]) -> (i32, String, String) {
    let output = tacho(&[&["-D", logs.to_str().unwrap()], args].concat()).output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap().replace(logs.to_str().unwrap(), "LOGS");
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

/// The numbers of the records that a command shows, and that it ends as it should.
fn numbers(logs: &Path, args: &[&str]) -> Vec<u64> {
    let (status, out, err) = said(logs, args);
    assert_eq!((status, err.as_str()), (i32::from(out.is_empty()), ""), "{args:?}");
    out.lines().filter(|line| *line != "--").map(number).collect()
}

#[test]
fn grep_finds_by_expression_and_by_field() {
    let root = two_processes();
    let logs = root.path().join("logs");
    let found = |args: &[&str]| numbers(&logs, &[&["grep"], args].concat());
    assert_eq!(found(&["qty=3[02]$", "-p", "info", "-e", "qty=3[02]$"]), [0; 0], "the first is a condition");
    assert_eq!(found(&["-e", "qty=3[02]$"]), [15, 16]);
    assert_eq!(found(&["qty=30"]), [15]);
    assert_eq!(found(&["qty=3"]), [0; 0], "no part of a number is the number");
    assert_eq!(found(&["qty=30", "qty=32"]), [15, 16]);
    assert_eq!(found(&["qty>=30", "qty<34"]), [15, 16]);
    assert_eq!(found(&["qty!=0", "qty<=4"]), [1, 2]);
    assert_eq!(found(&["qty>3.5", "qty<4.5"]), [2]);
    assert_eq!(found(&["qty~^3", "order 1"]), [15, 16, 17, 18, 19]);
    assert_eq!(found(&["qty!~^[0-3]", "qty>1"]), [2, 3, 4]);
    assert_eq!(found(&["absent!=1"]), [0; 0], "what has no such field meets nothing");
    assert_eq!(found(&["level=error"]), [7]);
    assert_eq!(found(&["target~^(risk|oms)$"]), [7, 8]);
    assert_eq!(found(&["thread=thread-1"]), [7, 8]);
    assert_eq!(found(&["-i", "ORDER 1[12] "]), [11, 12]);
    assert_eq!(found(&["ORDER"]), [0; 0]);
    assert_eq!(found(&["-F", "order 1"]).len(), 11);
    assert_eq!(found(&["-F", "order 1."]), [0; 0]);
    assert_eq!(found(&["-e", "order 3 ", "-e", "order 5 "]), [3, 5]);
    assert_eq!(found(&["-v", "qty>6"]), [0, 1, 2, 3]);
    assert_eq!(found(&["-m", "2", "order"]), [0, 1]);
    assert_eq!(found(&["order", "--since", "2026-11-20 12:00:17"]), [17, 18, 19]);
}

#[test]
fn grep_shows_what_stands_around() {
    let root = two_processes();
    let logs = root.path().join("logs");
    let found = |args: &[&str]| -> Vec<String> {
        let (_, out, _) = said(&logs, &[&["grep", "-o", "raw"], args].concat());
        out.lines().map(|line| line.trim_start_matches("order ").to_owned()).collect()
    };
    assert_eq!(found(&["-C", "1", "qty=10", "qty=30"]), ["4", "5", "6", "--", "14", "15", "16"]);
    assert_eq!(found(&["-C", "1", "qty=10", "qty=14"]), ["4", "5", "6", "7", "8"], "one group");
    assert_eq!(found(&["-C", "1", "qty=10", "qty=16"]), ["4", "5", "6", "7", "8", "9"], "groups that touch are one");
    assert_eq!(found(&["-B", "2", "qty=2", "qty=30"]), ["0", "1", "--", "13", "14", "15"]);
    assert_eq!(found(&["-A", "2", "qty=36"]), ["18", "19"]);
    assert_eq!(found(&["-m", "1", "-A", "2", "qty>10"]), ["6", "7", "8"]);
    assert_eq!(found(&["-c", "qty>10"]), ["14"]);
    assert_eq!(found(&["-c", "-v", "qty>10"]), ["6"]);
    let (status, out, err) = said(&logs, &["grep", "-q", "qty>10"]);
    assert_eq!((status, out, err), (0, String::new(), String::new()));
    let (status, out, _) = said(&logs, &["grep", "-c", "nowhere"]);
    assert_eq!((status, out.as_str()), (1, "0\n"));
    let (_, out, _) = said(&logs, &["grep", "--color", "always", "order 3.*6"]);
    assert_eq!(
        out,
        "2026-11-20T12:00:03.000000000Z INFO     trades::kraken [thread-0] \x1b[1;31morder 3 qty=6\x1b[0m\n"
    );
}

#[test]
fn trace_follows_one_number_over_processes() {
    let root = two_processes();
    let logs = root.path().join("logs");
    let (status, out, err) = said(&logs, &["trace", "qty=12", "qty=14", "qty=16"]);
    assert_eq!(
        out,
        "       0 ns       +0 ns  2026-11-20T12:00:06.000000000Z INFO     trades::kraken [thread-0] order 6 qty=12\n    \
            1.000 s    +1.000 s  2026-11-20T12:00:07.000000000Z ERROR    risk [thread-1] order 7 qty=14\n    \
            2.000 s    +1.000 s  2026-11-20T12:00:08.000000000Z WARN     oms [thread-1] order 8 qty=16\n"
    );
    assert_eq!(status, 0);
    assert_eq!(err, "tacho: qty=12 qty=14 qty=16: 3 records, 3 components, 2 processes, 2.000 s from first to last\n");
    let (_, out, _) = said(&logs, &["trace", "-q", "-o", "json", "qty=12", "qty=14"]);
    let last: serde_json::Value = serde_json::from_str(out.lines().last().unwrap()).unwrap();
    assert_eq!((&last["since_previous_ns"], &last["qty"]), (&1_000_000_000_i64.into(), &14.into()));
    let (status, out, err) = said(&logs, &["trace", "qty=1"]);
    assert_eq!((status, out.as_str(), err.as_str()), (1, "", ""));
    let (status, _, err) = said(&logs, &["trace", "12345"]);
    assert_eq!(status, 2);
    assert_eq!(err, "tacho: \"12345\" is no condition; write KEY=VALUE, such as order_id=12345\n");
}

#[test]
fn stat_adds_up() {
    let root = two_processes();
    let logs = root.path().join("logs");
    let (status, out, err) = said(&logs, &["stat"]);
    assert_eq!((status, err.as_str()), (0, ""));
    assert!(out.starts_with("20 records, "), "{out}");
    assert!(out.contains(" over 19.000 s; 0 sampled out, 0 dropped\n"), "{out}");
    let (_, json, _) = said(&logs, &["stat", "--json", "--by", "target", "--by", "hour"]);
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["schema"], 1);
    let rows = json["by_target"].as_array().unwrap();
    let sum = |key: &str| rows.iter().map(|row| row[key].as_u64().unwrap()).sum::<u64>();
    assert_eq!((sum("records"), sum("bytes")), (20, json["total"]["bytes"].as_u64().unwrap()));
    assert_eq!((&rows[0]["target"], &rows[0]["records"]), (&"trades::kraken".into(), &18.into()));
    assert_eq!(json["by_hour"][0]["hour"], "2026-11-20T12:00:00Z");
    let (_, top, _) = said(&logs, &["stat", "--by", "target", "--top", "1"]);
    assert!(top.ends_with("and 2 more; --top 0 shows all\n"), "{top}");
}

#[test]
fn export_gives_what_others_read() {
    let root = two_processes();
    let logs = root.path().join("logs");
    let (status, csv, err) =
        said(&logs, &["export", "-f", "csv", "-p", "warn", "--columns", "timestamp,qty,target,fields"]);
    assert_eq!((status, err.as_str()), (0, "tacho: 2 records\n"));
    assert_eq!(
        csv,
        "timestamp,qty,target,fields\r\n2026-11-20T12:00:07.000000000Z,14,risk,{}\r\n2026-11-20T12:00:08.000000000Z,16,oms,{}\r\n"
    );
    let (_, csv, _) = said(&logs, &["export", "-f", "csv", "-p", "error"]);
    assert!(csv.ends_with(",order 7,,\"{\"\"qty\"\":14}\"\r\n"), "{csv}");
    for format in ["json", "ecs"] {
        let (_, lines, _) = said(&logs, &["export", "-f", format]);
        assert_eq!(lines.lines().count(), 20);
        for line in lines.lines() {
            let json: serde_json::Value = serde_json::from_str(line).unwrap();
            assert!(json["qty"].is_u64(), "{line}");
        }
    }
    let (_, logfmt, _) = said(&logs, &["export", "-f", "logfmt", "-p", "error"]);
    assert!(logfmt.ends_with("msg=\"order 7\" qty=14\n"), "{logfmt}");
    let (status, _, err) = said(&logs, &["export", "-f", "json", "--columns", "qty"]);
    assert_eq!((status, err.as_str()), (2, "tacho: --columns is for --format csv alone\n"));
}

#[test]
fn an_export_to_a_file_is_whole_or_not_there() {
    let root = two_processes();
    let logs = root.path().join("logs");
    let file = root.path().join("out.log.gz");
    let path = file.to_str().unwrap();
    assert_eq!(said(&logs, &["export", "-f", "text", "-O", path]).0, 0);
    let mut text = String::new();
    flate2::read::GzDecoder::new(fs::File::open(&file).unwrap()).read_to_string(&mut text).unwrap();
    assert_eq!(text, said(&logs, &["cat"]).1);
    let (status, _, err) = said(&logs, &["export", "-f", "text", "-O", path]);
    assert_eq!(status, 2);
    assert!(err.contains("is there already; --force replaces it"), "{err}");
    assert_eq!(said(&logs, &["export", "-f", "text", "-O", path, "--force"]).0, 0);
    let (status, _, err) = said(&logs, &["export", "-f", "text", "-O", "/nowhere/at/all"]);
    assert_eq!(status, 2);
    assert!(err.contains("for the export: No such file or directory"), "{err}");
    // A search that cannot be leaves nothing beside it.
    assert_eq!(said(&logs, &["export", "-f", "text", "-g", "(", "-O", root.path().join("b").to_str().unwrap()]).0, 2);
    let names: Vec<_> = fs::read_dir(root.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names.len(), 2, "{names:?}");
}

const READING: [&[&str]; 6] =
    [&["cat"], &["tail"], &["grep", "order"], &["trace", "qty>=0"], &["stat"], &["export", "-f", "json"]];

#[test]
fn wrong_use_says_what_to_do() {
    let root = two_processes();
    let logs = root.path().join("logs");
    for command in READING {
        let (status, out, err) = said(&logs, &[command, &["--no-such-flag"]].concat());
        assert_eq!((status, out.as_str()), (2, ""), "{command:?}");
        assert!(err.contains("unexpected argument '--no-such-flag'") && err.contains("--help"), "{err}");
        let (status, _, err) = said(&root.path().join("missing"), command);
        assert_eq!(status, 2, "{command:?}");
        assert!(err.contains("set TACHO_DIR"), "{err}");
        let (status, _, err) = said(&logs, &[command, &["--since", "soon"]].concat());
        assert_eq!(status, 2, "{command:?}");
        assert!(err.contains("--since: no time is written \"soon\""), "{err}");
    }
    for (pattern, why) in [("a[b", "unclosed"), ("qty~a[b", "unclosed"), ("qty>x", "is no number to compare with")] {
        let (status, _, err) = said(&logs, &["grep", pattern]);
        assert_eq!(status, 2, "{pattern}");
        assert!(err.contains(why), "{err}");
    }
}

#[test]
fn what_cannot_be_read_is_said_and_the_rest_is_shown() {
    let root = two_processes();
    let logs = root.path().join("logs");
    let file = folder(&root, "20261120T120000Z-1-aaaa").join("00000001.seg");
    // Root reads everything; a directory in its place nobody.
    if rustix::process::geteuid().is_root() {
        fs::remove_file(&file).unwrap();
        fs::create_dir(&file).unwrap();
    } else {
        fs::set_permissions(&file, fs::Permissions::from_mode(0o0)).unwrap();
    }
    for command in READING {
        let (status, out, err) = said(&logs, command);
        assert_eq!(status, 2, "{command:?}: {err}");
        assert!(err.contains("00000001.seg"), "{command:?}: {err}");
        assert!(!out.is_empty(), "{command:?}: the other process is shown");
    }
}

#[test]
fn a_closed_pipe_ends_each_quietly() {
    let root = TempDir::new().unwrap();
    let mut journal = JournalBuilder::new(1);
    for n in 0..50_000 {
        journal.record(0, n, n);
    }
    store(&folder(&root, "a"), &journal.segments());
    let logs = root.path().join("logs");
    let many: [&[&str]; 3] = [&["grep", "order"], &["trace", "-q", "qty>=0"], &["export", "-q", "-f", "csv"]];
    for command in many {
        let mut child = tacho(&[&["-D", logs.to_str().unwrap()], command].concat());
        let mut child = child.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut first = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut first).unwrap();
        let status = child.wait().unwrap();
        let mut talk = String::new();
        child.stderr.take().unwrap().read_to_string(&mut talk).unwrap();
        assert_eq!((status.code(), &*talk), (Some(0), ""), "{command:?}");
    }
}

#[test]
fn completions_and_manual_pages_know_every_command() {
    let help = run(&["--help"]);
    let help = String::from_utf8(help.stdout).unwrap();
    let commands: Vec<&str> = help
        .lines()
        .skip_while(|line| *line != "Commands:")
        .skip(1)
        .take_while(|line| !line.is_empty())
        .filter_map(|line| line.strip_prefix("  ")?.split(' ').next().filter(|name| !name.is_empty()))
        .collect();
    assert!(commands.contains(&"grep") && commands.len() > 10, "{commands:?}");
    let root = TempDir::new().unwrap();
    assert_eq!(run(&["man", "--to", root.path().to_str().unwrap()]).status.code(), Some(0));
    for command in commands.iter().filter(|name| **name != "help") {
        assert!(root.path().join(format!("tacho-{command}.1")).is_file(), "{command}");
        for shell in ["bash", "zsh", "fish"] {
            let script = run(&["completions", shell]).stdout;
            assert!(String::from_utf8_lossy(&script).contains(command), "{command} for {shell}");
        }
        let help = run(&[command, "--help"]);
        let text = String::from_utf8(help.stdout).unwrap();
        assert!(["archive", "config"].contains(command) || text.contains("Examples:"), "{command}: {text}");
    }
    let (status, _, err) = said(Path::new("."), &["man", "nonsense"]);
    assert_eq!(status, 2);
    assert!(err.contains("no command is named \"nonsense\"; there are: cat, tail"), "{err}");
}
