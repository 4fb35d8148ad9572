//! The units of `deploy/systemd`: understood by systemd, tied down, and with every system call that the programs need.

use crate::example;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// What `systemd-analyze security` may say, times ten.
const EXPOSURE_MAX: &str = "15";

fn deploy() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/systemd")
}

fn analyze(args: &[&str]) -> Option<Output> {
    match Command::new("systemd-analyze").args(args).env("SYSTEMD_PAGER", "").output() {
        Ok(output) => Some(output),
        Err(error) => {
            eprintln!("SKIPPED: the units of deploy/systemd are not checked: systemd-analyze: {error}");
            None
        }
    }
}

/// The units, with programs that are there in the place of those that are to be installed.
fn units(into: &Path) -> Vec<PathBuf> {
    let mut units = Vec::new();
    for entry in fs::read_dir(deploy()).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            continue;
        }
        let text = fs::read_to_string(&path).unwrap();
        let tacho = env!("CARGO_BIN_EXE_tacho");
        let text = text.replace("/usr/local/bin/tacho", tacho);
        let text = text.replace("/usr/local/bin/trading_platform", example("trading_platform").to_str().unwrap());
        assert!(!text.contains("/usr/local"), "{}", path.display());
        let unit = into.join(path.file_name().unwrap());
        fs::write(&unit, text).unwrap();
        units.push(unit);
    }
    units.sort();
    assert_eq!(units.len(), 7, "{units:?}");
    units
}

fn verify(unit: &Path) -> Option<Output> {
    analyze(&["verify", "--recursive-errors=yes", "--man=no", unit.to_str().unwrap()])
}

#[test]
fn units_are_right_and_tied_down() {
    let dir = tempfile::tempdir().unwrap();
    for unit in units(dir.path()) {
        let Some(output) = verify(&unit) else { return };
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success() && said.is_empty(), "{}: {said}", unit.display());
        if unit.extension().is_some_and(|kind| kind == "service") {
            let path = unit.to_str().unwrap();
            let threshold = format!("--threshold={EXPOSURE_MAX}");
            let output = analyze(&["security", "--offline=true", &threshold, "--no-pager", path]).unwrap();
            let said = String::from_utf8_lossy(&output.stdout).into_owned();
            assert!(output.status.success(), "{said}");
            eprintln!("{}", said.lines().last().unwrap_or_default().trim());
        }
    }
    // The checks see what is wrong: a misspelt option, and a service that is open.
    let wrong = dir.path().join("wrong.service");
    fs::write(&wrong, "[Service]\nType=exec\nExecStart=/bin/true\nMemoryMaxx=2G\n").unwrap();
    let said = String::from_utf8_lossy(&verify(&wrong).unwrap().stderr).into_owned();
    assert!(said.contains("MemoryMaxx"), "{said}");
    let open = analyze(&["security", "--offline=true", "--threshold=15", "--no-pager", wrong.to_str().unwrap()]);
    assert!(!open.unwrap().status.success());
}

/// The program's unit says what the issue of this file is: an option that is lost is a defect.
#[test]
fn the_unit_of_the_program_has_what_it_needs() {
    let text = fs::read_to_string(deploy().join("trading-platform.service")).unwrap();
    for line in [
        "Type=notify",
        "WatchdogSec=30s",
        "StartLimitBurst=3",
        "StartLimitIntervalSec=5min",
        "Restart=on-failure",
        "MemoryMax=2G",
        "LogsDirectory=trading-platform",
        "LimitMEMLOCK=infinity",
        "CPUAffinity=0-1",
        "StandardError=journal",
        "RemoveIPC=no",
    ] {
        assert!(text.lines().any(|have| have == line), "{line}");
    }
    let quota = fs::read_to_string(deploy().join("trading-platform.service.d/cpu-quota.conf.example")).unwrap();
    assert!(quota.contains("WARNING") && quota.contains("\nCPUQuota="));
}

/// The system calls of each set of `systemd-analyze syscall-filter`.
fn sets(text: &str) -> BTreeMap<String, BTreeSet<String>> {
    let mut sets: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let mut current = String::new();
    for line in text.lines() {
        match line.trim() {
            "" => {}
            comment if comment.starts_with('#') => {}
            name if !line.starts_with(' ') => current = name.to_owned(),
            member => drop(sets.entry(current.clone()).or_default().insert(member.to_owned())),
        }
    }
    sets
}

fn members(sets: &BTreeMap<String, BTreeSet<String>>, name: &str) -> BTreeSet<String> {
    let each = sets.get(name).into_iter().flatten();
    each.flat_map(|member| if member.starts_with('@') { members(sets, member) } else { [member.clone()].into() })
        .collect()
}

/// What the service is allowed: what lists add, without what lists with a tilde take away.
fn allowed(unit: &str, sets: &BTreeMap<String, BTreeSet<String>>) -> BTreeSet<String> {
    let mut allowed = members(sets, "@default");
    for list in unit.lines().filter_map(|line| line.strip_prefix("SystemCallFilter=")) {
        let (takes, list) = list.strip_prefix('~').map_or((false, list), |list| (true, list));
        for call in list.split(' ').flat_map(|name| members(sets, name)) {
            if takes {
                allowed.remove(&call)
            } else {
                allowed.insert(call)
            };
        }
    }
    allowed
}

#[test]
fn every_system_call_of_the_program_is_allowed() {
    let Some(output) = analyze(&["syscall-filter", "--no-pager"]) else { return };
    let sets = sets(&String::from_utf8(output.stdout).unwrap());
    let dir = tempfile::tempdir().unwrap();
    let trace = dir.path().join("trace");
    let mut command = Command::new("strace");
    command.args(["-f", "-qq", "-o"]).arg(&trace).arg(example("trading_platform"));
    command.arg("--dir").arg(dir.path().join("logs")).args(["--pace", "0"]);
    match command.output() {
        Ok(output) if output.status.success() => {}
        other => return eprintln!("SKIPPED: the system calls of the example are not traced: {other:?}"),
    }
    let trace = fs::read_to_string(trace).unwrap();
    let calls = trace.lines().filter_map(|line| {
        let call = line.split_whitespace().nth(1)?.split_once('(')?.0;
        call.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_').then(|| call.to_owned())
    });
    let calls: BTreeSet<String> = calls.collect();
    assert!(calls.contains("flock") && calls.contains("sched_setaffinity") && calls.len() > 30, "{calls:?}");
    let unit = fs::read_to_string(deploy().join("trading-platform.service")).unwrap();
    let allowed = allowed(&unit, &sets);
    assert!(!allowed.contains("mount") && !allowed.contains("ptrace"));
    let refused: Vec<&String> = calls.difference(&allowed).collect();
    assert!(refused.is_empty(), "the unit refuses what the program needs: {refused:?}");
}
