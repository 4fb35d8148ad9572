//! `tacho config`: presets as files, and files that are refused with the line.
#![cfg(feature = "cli")]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that fails says so")]

use std::fs;
use std::process::{Command, Output};
use tachograph::Config;

fn tacho(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_tacho")).arg("config").args(args).env_remove("TACHO_DIR").output().unwrap()
}

fn shown(args: &[&str]) -> String {
    let output = tacho(args);
    assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn presets_are_shown_as_files_that_can_be_used() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("tacho.toml");
    for (args, config) in [
        (vec!["show"], Config::new("logs")),
        (vec!["show", "--preset", "trading-bot", "kraken_trading_bot"], Config::trading_bot("kraken_trading_bot")),
        (vec!["show", "--preset", "trading-platform", "feed", "orders"], Config::trading_platform(["feed", "orders"])),
    ] {
        let text = shown(&args);
        assert_eq!(text, config.to_toml());
        fs::write(&path, &text).unwrap();
        let file = path.to_str().unwrap();
        assert_eq!(shown(&["show", file]), text);
        assert_eq!(shown(&["check", file]), "");
    }
    let bot = shown(&["show", "--preset", "trading-bot", "kraken_trading_bot"]);
    for line in
        ["name = \"kraken_trading_bot\"", "bytes_max = \"20 MB\"", "disk_bytes_cap = \"500 MB\"", "view_backups = 5"]
    {
        assert!(bot.lines().any(|known| known == line), "{line} is not in {bot}");
    }
}

#[test]
fn what_is_refused_is_named_with_file_and_line() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("tacho.toml");
    for (text, expected) in [
        ("dir = 'x'\n\nring_bytes = 5\n", "tacho.toml:3: the configuration is refused: ring_bytes"),
        ("dir = 'x'\n[[view]]\nname = 'a'\n[[view]]\nname = 'b'\nbytes_max = 1\n", "tacho.toml:6: the configuration"),
        ("dir = 'x'\nviews_max = 10\ndisk_bytes_cap = '10 MB'\n", "tacho.toml:3: the configuration"),
        ("dir = 'x'\nrnig_bytes = 5\n", "line 2"),
        ("dir = 'x'\n[[view]]\nname = 'a'\nrotate = 'weekly'\n", "line 4"),
    ] {
        fs::write(&path, text).unwrap();
        let output = tacho(&["check", path.to_str().unwrap()]);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1), "{text:?}: {said}");
        assert!(said.contains(expected) && said.contains("tacho.toml"), "{text:?}: {said}");
    }
    assert_eq!(tacho(&["check", "/nonexistent/tacho.toml"]).status.code(), Some(2));
    assert_eq!(tacho(&["show", "--preset", "trading-bot"]).status.code(), Some(2));
}
