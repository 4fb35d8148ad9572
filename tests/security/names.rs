//! Names that want to be more than names: paths, control characters, what a view's files are called.

use crate::{CLOSE, Place, child, config, places};
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::{Command, Output};
use tachograph::{LineFormat, View, component, info, start, start_isolated, warn};

/// What a component could be called.
fn hostile() -> Vec<String> {
    let names = [
        "../../victim",
        "/etc/passwd",
        "..",
        ".",
        "a/b",
        "a_b",
        "a\\b",
        "new\nline",
        "car\rriage",
        "nul\0byte",
        "tab\tbed",
        "esc\x1b[2J\x1b]0;title\x07",
        "\u{9b}31m",
        "\u{202e}txt.exe",
        "\u{feff}bom",
        "\u{2028}",
        "\u{7f}",
        "ü",
        " ",
        "  a ",
        "-rf",
        "--help",
        ".journal",
        ".hidden",
        "x.log",
        "x.log.1",
        "x.log.2.gz",
        "x.log.gz.tmp",
        "x.2026-11-20T10-00-00",
        "overflow",
        "~",
        "*",
        "$(id)",
        "`id`",
        "a;b",
        "%n%s",
        "{}",
        "{0}",
        "\"quoted\"",
        "'",
        "con",
        "NUL",
        "inner::module",
        "::",
        "id",
        "users",
        "renderer",
    ];
    let long = ["x".repeat(300), "../".repeat(100), "ß".repeat(400)];
    names.into_iter().map(str::to_owned).chain(long).collect()
}

#[test]
#[ignore = "a child process of the test below"]
fn child_logs_under_hostile_names() {
    let Some((dir, shm)) = places() else { return };
    let json = std::env::var_os("SECURITY_JSON").is_some();
    let mut config = config(&dir, &shm);
    if json {
        config = config.view_format(LineFormat::Json);
    }
    let tacho = start(config).unwrap();
    for name in hostile() {
        // No thread can have one with a NUL.
        let thread = std::thread::Builder::new().name(name.replace('\0', "\n"));
        let body = move || {
            let it = component(&name);
            info!(logger: it, "first of {name}");
            warn!(logger: it, name; "second");
        };
        thread.spawn(body).unwrap().join().unwrap();
    }
    tacho.flush(CLOSE).unwrap();
    println!("{}", tacho.health());
    tacho.close(CLOSE).unwrap();
}

fn is_harmless(line: &str) -> bool {
    line.chars().all(|c| !c.is_control() && !('\u{202a}'..='\u{202e}').contains(&c) && c != '\u{2028}')
}

fn tacho(dir: &Path, args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_tacho")).arg("-D").arg(dir).args(args).output().unwrap()
}

/// What the JSON lines say of whose they are, and of which thread.
fn loggers(lines: &str) -> Vec<(String, String)> {
    let parse =
        |line: &str| serde_json::from_str::<serde_json::Value>(line).unwrap_or_else(|error| panic!("{line}: {error}"));
    let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
    let of = |value: serde_json::Value| (text(&value["logger"]), text(&value["thread"]));
    lines.lines().map(parse).map(of).filter(|(logger, _)| logger != "tachograph").collect()
}

#[test]
fn components_and_threads_of_any_name_stay_in_their_directory_and_their_line() {
    for json in [false, true] {
        let place = Place::new();
        let victim = place.root.path().join("victim.log");
        fs::write(&victim, "of somebody else\n").unwrap();
        let mut command = child("names::child_logs_under_hostile_names", &place);
        if json {
            command.env("SECURITY_JSON", "1");
        }
        let output = command.output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
        assert!(said.lines().all(is_harmless), "{said:?}");

        let beside: BTreeSet<_> =
            fs::read_dir(place.root.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(beside.into_iter().collect::<Vec<_>>(), ["logs", "victim.log"]);
        assert_eq!(fs::read_to_string(&victim).unwrap(), "of somebody else\n");
        let (mut lines, mut files) = (String::new(), BTreeSet::new());
        for entry in fs::read_dir(place.dir()).unwrap() {
            let entry = entry.unwrap();
            let name = entry.file_name().into_string().unwrap();
            if entry.file_type().unwrap().is_dir() {
                assert_eq!(name, ".journal");
                continue;
            }
            let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
            assert!(name.bytes().all(plain) && !name.starts_with(['.', '-']) && name.len() < 150, "{name:?}");
            let text = fs::read_to_string(entry.path()).unwrap();
            assert!(text.ends_with('\n') && text.lines().all(is_harmless), "{name}: {text:?}");
            if name.contains(".log") && name != "tachograph.log" {
                assert_eq!(text.lines().count(), 2, "{name}: {text}");
                lines.push_str(&text);
                files.insert(name);
            }
        }
        let names: BTreeSet<String> = hostile().into_iter().collect();
        assert_eq!(files.len(), names.len(), "each component has a file of its own: {files:?}");

        let cat = tacho(&place.dir(), &["cat", "-o", "json"]);
        let read = String::from_utf8(cat.stdout).unwrap();
        for lines in [Some(&read), json.then_some(&lines)].into_iter().flatten() {
            let found = loggers(lines);
            assert_eq!(found.len(), 2 * names.len());
            assert_eq!(found.iter().map(|(logger, _)| logger.clone()).collect::<BTreeSet<_>>(), names);
            assert!(found.iter().all(|(logger, thread)| logger.replace('\0', "\n").starts_with(thread)), "{found:?}");
        }
        for args in [&["cat"][..], &["tail"], &["stat"], &["health"], &["verify"], &["export", "--format", "logfmt"]] {
            let output = tacho(&place.dir(), args);
            for text in [&output.stdout, &output.stderr] {
                let text = String::from_utf8(text.clone()).unwrap();
                assert!(text.lines().all(is_harmless), "{args:?}: {text:?}");
                assert!(!text.contains("panicked"), "{args:?}: {text}");
            }
        }
        let verified = tacho(&place.dir(), &["verify"]);
        assert!(verified.status.success(), "{}", String::from_utf8_lossy(&verified.stdout));
    }
}

#[test]
fn a_view_of_a_hostile_name_is_refused_and_nothing_is_made() {
    let wrong = hostile().into_iter().chain([String::new()]).filter(|name| {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
        name.is_empty() || name.len() > 100 || name.starts_with('.') || !name.bytes().all(plain)
    });
    for name in wrong {
        let place = Place::new();
        let refused = start_isolated(config(&place.dir(), place.shm.path()).view(View::new(name.as_str())));
        let error = refused.map(drop).expect_err(&name);
        let text = error.to_string();
        assert!(error.is_config() && is_harmless(&text), "{name:?}: {text}");
        assert!(!place.dir().exists(), "{name:?}");
    }
}

#[test]
fn a_view_may_have_the_name_of_a_component_or_of_a_backup_and_none_is_mixed_with_another() {
    let place = Place::new();
    let views = ["orders", "tachograph", "orders.log", "orders.log.1", "overflow", "x.2026-11-20T10-00-00"];
    let config = views.into_iter().fold(config(&place.dir(), place.shm.path()), |config, name| {
        // Each shows what no other shows.
        config.view(View::new(name).target(format!("only.{name}"), tachograph::LevelFilter::Info))
    });
    let tacho = match start_isolated(config) {
        Ok(tacho) => tacho,
        Err(error) => {
            assert!(error.is_config() && error.to_string().contains("2026"), "{error}");
            return;
        }
    };
    info!(logger: tacho, target: "orders", "of the component");
    tacho.close(CLOSE).unwrap();
    let with_it: Vec<_> = fs::read_dir(place.dir())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.is_file() && fs::read_to_string(path).unwrap().contains("of the component"))
        .collect();
    assert_eq!(with_it.len(), 1, "{with_it:?}");
    assert_ne!(with_it[0].file_name().unwrap(), "orders.log", "that is the view's");
}
