//! Which files are giant logs of others.

use crate::cleanup::ARCHIVE_DIR;
use crate::talk::Talk;
use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::os::unix::fs::{FileExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use tachograph::reader::dir::JOURNAL_DIR;
use tachograph::verify;
use tachograph::view::names;

/// How deep directories are looked into.
const DEPTH_MAX: usize = 32;
/// Ends of names that logs have.
const LOG_SUFFIXES: [&str; 8] = ["log", "out", "err", "txt", "json", "jsonl", "ndjson", "csv"];
/// What is looked at to tell text from other things.
const PROBE_BYTES: usize = 8192;

/// A file to be archived.
#[derive(Debug)]
pub(crate) struct Candidate {
    pub(crate) path: PathBuf,
    /// Its name below the path that was looked into.
    pub(crate) name: String,
}

/// Finds them below `paths`, or below the log directory; the largest first.
pub(crate) fn find(dir: &Path, paths: &[PathBuf], larger_than: u64, talk: &mut Talk) -> io::Result<Vec<Candidate>> {
    let whole = [dir.to_owned()];
    let mut search = Search { larger_than, found: Vec::new(), talk };
    for path in if paths.is_empty() { &whole[..] } else { paths } {
        let about = fs::symlink_metadata(path).map_err(|error| {
            let advice = "give files or directories, or the log directory with -D DIR or TACHO_DIR";
            io::Error::new(error.kind(), format!("look at {}: {error}\n{advice}", path.display()))
        })?;
        if about.is_dir() {
            search.dir(path, path, about.dev(), DEPTH_MAX);
        } else if about.is_file() {
            let parent = path.parent().unwrap_or(Path::new("."));
            if is_own(path, &own(parent)?) {
                let why = "it is a file of Tachograph's own, which retention takes care of";
                return Err(io::Error::new(io::ErrorKind::InvalidInput, format!("{}: {why}", path.display())));
            }
            search.add(path, parent, about.blocks());
        } else {
            let why = "it is neither a file nor a directory; links are not followed";
            return Err(io::Error::new(io::ErrorKind::InvalidInput, format!("{}: {why}", path.display())));
        }
    }
    search.found.sort_by_key(|(blocks, candidate)| (std::cmp::Reverse(*blocks), candidate.path.clone()));
    search.found.dedup_by(|(_, a), (_, b)| a.path == b.path);
    Ok(search.found.into_iter().map(|(_, candidate)| candidate).collect())
}

struct Search<'a> {
    larger_than: u64,
    found: Vec<(u64, Candidate)>,
    talk: &'a mut Talk,
}

impl Search<'_> {
    fn add(&mut self, path: &Path, root: &Path, blocks: u64) {
        let name = path.strip_prefix(root).unwrap_or(path).to_string_lossy().into_owned();
        self.found.push((blocks, Candidate { path: path.to_owned(), name }));
    }

    /// Looks into a directory; what cannot be looked into is said and passed over.
    fn dir(&mut self, path: &Path, root: &Path, device: u64, depth: usize) {
        let listed = own(path).and_then(|own| Ok((own, fs::read_dir(path)?)));
        let (own, list) = match listed {
            Ok(listed) => listed,
            Err(error) => return self.talk.trouble(format!("{}: not looked into: {error}", path.display())),
        };
        for entry in list.flatten() {
            let path = entry.path();
            let Ok(about) = entry.metadata() else { continue };
            if about.is_dir() {
                let ours = own.is_some() && [JOURNAL_DIR, ARCHIVE_DIR].iter().any(|name| entry.file_name() == *name);
                if !ours && depth > 0 && about.dev() == device {
                    self.dir(&path, root, device, depth - 1);
                }
            } else if about.is_file() && !is_own(&path, &own) {
                // What is a hole already takes no space.
                let taken = about.len().min(about.blocks().saturating_mul(512));
                if taken >= self.larger_than && is_log(&path) {
                    self.add(&path, root, about.blocks());
                }
            }
        }
    }
}

/// The names of Tachograph's views in a directory; `None` where it has none.
fn own(dir: &Path) -> io::Result<Option<BTreeSet<String>>> {
    if !dir.join(JOURNAL_DIR).is_dir() {
        return Ok(None);
    }
    Ok(Some(verify::views(dir)?.into_iter().collect()))
}

fn is_own(path: &Path, own: &Option<BTreeSet<String>>) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let stem = names::owner(&name);
    own.as_ref().is_some_and(|views| stem.is_some_and(|stem| views.contains(stem)))
}

/// Whether a file is called as logs are, and holds text.
fn is_log(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
    let mut parts = name.split('.').skip(1);
    if !parts.any(|part| LOG_SUFFIXES.contains(&part)) || name.ends_with(".gz") || name.ends_with(".zst") {
        return false;
    }
    let mut probe = vec![0; PROBE_BYTES];
    let open = || fs::OpenOptions::new().read(true).custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK).open(path);
    let read = open().and_then(|file| {
        // Behind a hole that an earlier run left.
        let begin = rustix::fs::seek(&file, rustix::fs::SeekFrom::Data(0)).unwrap_or(0);
        file.read_at(&mut probe, begin)
    });
    // What cannot be read is told when it is opened in earnest.
    read.is_err() || read.is_ok_and(|got| !probe.iter().take(got).any(|byte| *byte == 0))
}
