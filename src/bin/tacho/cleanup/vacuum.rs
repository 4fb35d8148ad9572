//! `tacho cleanup --vacuum-size`, `--vacuum-time`, `--vacuum-files`: old archives and backups of our own go, in the words of
//! `journalctl`.

use crate::args::{Args, Cleanup};
use crate::human;
use crate::talk::{Talk, shown};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io::{self, Write as _};
use std::process::ExitCode;
use tachograph::vacuum::{Candidate, Kind, Limits, Spared, choose, delete, list};

/// Version of what `--json` gives.
const SCHEMA: u32 = 1;

pub(super) fn run(args: &Args, cleanup: &Cleanup) -> io::Result<ExitCode> {
    let limits = Limits { bytes: cleanup.vacuum_size, age: cleanup.vacuum_time, files: cleanup.vacuum_files };
    let mut talk = Talk::new(args);
    let files = list(&args.dir).map_err(|error| {
        let advice = "give the directory that the program logs to with -D DIR, or set TACHO_DIR";
        let advice = if error.kind() == io::ErrorKind::NotFound { format!("\n{advice}") } else { String::new() };
        io::Error::new(error.kind(), format!("{error}{advice}"))
    })?;
    let mut deleted = Vec::new();
    for file in choose(&files, &limits, crate::health::unix_ns()) {
        let gone = if cleanup.dry_run { Ok(true) } else { delete(&args.dir, file) };
        match gone {
            Ok(true) => deleted.push(file),
            Ok(false) => talk.say(format!("{}: left alone: it changed meanwhile, or is gone", file.path.display())),
            // The others have their turn all the same.
            Err(error) => talk.trouble(error.to_string()),
        }
    }
    let outcome = Outcome { files: &files, deleted, dry_run: cleanup.dry_run };
    let text = if cleanup.json { outcome.json() + "\n" } else { outcome.text(&args.dir.display().to_string()) };
    io::stdout().write_all(text.as_bytes())?;
    if !cleanup.json {
        outcome.spared().into_iter().for_each(|line| talk.say(line));
    }
    Ok(talk.code())
}

struct Outcome<'a> {
    files: &'a [Candidate],
    deleted: Vec<&'a Candidate>,
    dry_run: bool,
}

fn bytes<'a>(files: impl Iterator<Item = &'a Candidate>) -> u64 {
    files.fold(0, |sum, file| sum.saturating_add(file.bytes))
}

impl Outcome<'_> {
    fn freed(&self) -> u64 {
        bytes(self.deleted.iter().copied())
    }

    fn text(&self, dir: &str) -> String {
        let verb = if self.dry_run { "Would delete" } else { "Deleted" };
        let mut out = String::new();
        for file in &self.deleted {
            let kind = match file.kind {
                Kind::Journal => "archived journal",
                Kind::Backup => "backup",
            };
            let path = shown(&file.path.display().to_string());
            out.push_str(&format!("{verb} {kind} {path} ({}).\n", human::bytes(file.bytes)));
        }
        let done = if self.dry_run { "would free" } else { "done, freed" };
        let what = "of archived journals and backups";
        out.push_str(&format!("Vacuuming {done} {} {what} from {}.\n", human::bytes(self.freed()), shown(dir)));
        out
    }

    /// What is not touched, and why.
    fn spared(&self) -> Vec<String> {
        let mut spared: BTreeMap<Spared, (u64, u64)> = BTreeMap::new();
        for file in self.files {
            if let Some(why) = file.spared {
                let (count, bytes) = spared.entry(why).or_default();
                (*count, *bytes) = (*count + 1, bytes.saturating_add(file.bytes));
            }
        }
        let line = |(why, (count, bytes)): (Spared, (u64, u64))| {
            let files = if count == 1 { "file" } else { "files" };
            format!("spared: {count} {files} ({}), {}", human::bytes(bytes), why.as_str())
        };
        spared.into_iter().map(line).collect()
    }

    fn json(&self) -> String {
        let row = |file: &Candidate| {
            let kind = match file.kind {
                Kind::Journal => "journal",
                Kind::Backup => "backup",
            };
            let last = jiff::Timestamp::from_nanosecond(file.last_unix_ns.into()).map(|time| time.to_string()).ok();
            json!({"path": file.path, "kind": kind, "bytes": file.bytes, "last_written": last})
        };
        let deleted: Vec<Value> = self.deleted.iter().map(|file| row(file)).collect();
        let spared = self.files.iter().filter_map(|file| {
            let mut row = row(file);
            row.as_object_mut()?.insert("why".to_owned(), json!(file.spared?.as_str()));
            Some(row)
        });
        let spared: Vec<Value> = spared.collect();
        let kept: Vec<&Candidate> = self.files.iter().filter(|file| !self.deleted.contains(file)).collect();
        let kept = json!({"files": kept.len(), "bytes": bytes(kept.into_iter())});
        json!({
            "schema": SCHEMA,
            "dry_run": self.dry_run,
            "deleted": deleted,
            "freed_bytes": self.freed(),
            "kept": kept,
            "spared": spared,
        })
        .to_string()
    }
}
