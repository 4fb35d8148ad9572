//! `tacho archive verify`: whether archives hold what their manifests say.

use super::stream::check;
use super::{SCHEMA, find, is_plain, one};
use crate::NOTHING;
use crate::args::{ArchiveVerify, Args};
use crate::cleanup::manifest::Entry;
use crate::talk::{Talk, shown};
use serde_json::{Value, json};
use std::io::{self, Write as _};
use std::path::Path;
use std::process::ExitCode;

pub(super) fn run(args: &Args, verify: &ArchiveVerify) -> io::Result<ExitCode> {
    let mut talk = Talk::new(args);
    let mut archives = Vec::new();
    if verify.names.is_empty() {
        for found in find(args, &mut talk)? {
            match found.manifest {
                Some(manifest) => archives.push((found.name, found.path, manifest)),
                None => talk.say(format!("{}: interrupted, no manifest: its files were not checked", found.name)),
            }
        }
    }
    for name in &verify.names {
        let (path, manifest) = one(args, name)?;
        archives.push((name.clone(), path, manifest));
    }
    let (mut rows, mut bad) = (Vec::new(), 0_u32);
    for (name, path, manifest) in &archives {
        for file in &manifest.files {
            let problem = problem(path, file);
            bad += u32::from(problem.is_some());
            rows.push((name, file, problem));
        }
    }
    let mut out = io::stdout().lock();
    if verify.json {
        let files: Vec<Value> = rows
            .iter()
            .map(|(archive, file, problem)| {
                json!({"archive": archive, "name": file.name, "ok": problem.is_none(), "problem": problem})
            })
            .collect();
        writeln!(out, "{}", json!({"schema": SCHEMA, "ok": bad == 0, "files": files}))?;
    } else {
        for (archive, file, problem) in &rows {
            let verdict = problem.as_deref().unwrap_or("ok");
            writeln!(out, "{}: {}", shown(&format!("{archive}/{}", file.name)), shown(verdict))?;
        }
    }
    Ok(if bad > 0 && !talk.troubled() { ExitCode::from(NOTHING) } else { talk.code() })
}

/// What is wrong with a file of an archive.
fn problem(folder: &Path, file: &Entry) -> Option<String> {
    if !is_plain(&file.name) {
        return Some("the manifest names a file elsewhere".to_owned());
    }
    match check(&folder.join(&file.name), file.as_is) {
        Err(error) => Some(error.to_string()),
        Ok((bytes, _)) if bytes != file.bytes => Some(format!("it holds {bytes} bytes, not {}", file.bytes)),
        Ok((_, hash)) if hash != file.sha256 => Some("its bytes are not those that were archived".to_owned()),
        Ok(_) => None,
    }
}
