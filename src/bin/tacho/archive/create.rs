//! `tacho archive create`: compressed copies of files, read back.

use super::stream::{BUFFER_BYTES, Tee, check, hash_of};
use super::{SCHEMA, context, is_plain, sums};
use crate::args::{ArchiveCreate, Args};
use crate::cleanup::manifest::{Entry, Manifest};
use crate::cleanup::progress::Progress;
use crate::cleanup::{self, ARCHIVE_DIR};
use crate::invalid;
use crate::talk::{Talk, shown};
use flate2::Compression;
use flate2::bufread::MultiGzDecoder;
use flate2::write::GzEncoder;
use jiff::Timestamp;
use std::fs::{self, OpenOptions};
use std::io::{self, BufReader, BufWriter, Read as _, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::Path;
use std::process::ExitCode;

pub(super) fn run(args: &Args, create: &ArchiveCreate) -> io::Result<ExitCode> {
    let mut talk = Talk::new(args);
    let name = create.name.clone().unwrap_or_else(|| Timestamp::now().strftime("archive_%Y%m%dT%H%M%SZ").to_string());
    if !is_plain(&name) {
        return Err(invalid(format!("--name: {name:?} is no name of a folder")));
    }
    if create.name.is_some() && args.dir.join(ARCHIVE_DIR).join(&name).exists() {
        return Err(invalid(format!("--name: there is an archive {name:?} already")));
    }
    let folder = cleanup::create(&args.dir, &name)?;
    let mut manifest = Manifest::new(&folder);
    for path in &create.files {
        let stored = store(args, path, create.level, &mut manifest).map_err(|error| context(&error, "archive", path));
        if let Err(error) = stored {
            talk.trouble(error.to_string());
        }
    }
    if manifest.files.is_empty() {
        // Nothing is in it.
        let _ = fs::remove_dir(&folder);
        return Ok(talk.code());
    }
    let (bytes, compressed) = sums(&manifest);
    let mut out = io::stdout().lock();
    if create.json {
        let path = folder.display().to_string();
        let report = serde_json::json!({"schema": SCHEMA, "path": path, "files": manifest.files});
        writeln!(out, "{report}")?;
        return Ok(talk.code());
    }
    let files = match manifest.files.len() {
        1 => "1 file".to_owned(),
        files => format!("{files} files"),
    };
    writeln!(out, "{}: {files}, {bytes} bytes, now {compressed}", shown(&folder.display().to_string()))?;
    Ok(talk.code())
}

/// Compresses a copy of a file into an archive, reads it back, and enters it.
fn store(args: &Args, path: &Path, level: u32, manifest: &mut Manifest) -> io::Result<()> {
    let source = OpenOptions::new().read(true).custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK).open(path)?;
    let about = source.metadata()?;
    if !about.is_file() {
        return Err(invalid("it is no regular file".to_owned()));
    }
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let form = Form::of(&name);
    let target = match form {
        Form::AsIs(stem, end) => manifest.target(stem, end)?,
        Form::Gzip(stem) => manifest.target(stem, ".gz")?,
        Form::Plain => manifest.target(&name, ".gz")?,
    };
    let out = OpenOptions::new().write(true).create_new(true).mode(about.mode() & 0o640).open(&target)?;
    let mut progress = Progress::new(args.quiet, path, about.len());
    // Of a file that grows, what it holds now.
    let source = BufReader::with_capacity(BUFFER_BYTES, (&source).take(about.len()));
    let mut out = BufWriter::with_capacity(BUFFER_BYTES, out);
    let mut step = |bytes| progress.advance(bytes as u64);
    let (bytes, hash) = match form {
        Form::AsIs(..) => hash_of(&mut Tee { from: source, to: &mut out }, &mut step)?,
        Form::Gzip(_) => {
            let mut reader = MultiGzDecoder::new(Tee { from: source, to: &mut out });
            let inflated = hash_of(&mut reader, &mut step)?;
            // Nothing of the file is left out, whatever stands behind its last member.
            io::copy(&mut reader.into_inner(), &mut io::sink())?;
            inflated
        }
        Form::Plain => {
            let mut encoder = GzEncoder::new(&mut out, Compression::new(level));
            let read = hash_of(&mut Tee { from: source, to: &mut encoder }, &mut step)?;
            encoder.finish()?;
            read
        }
    };
    progress.end();
    let out = out.into_inner().map_err(io::IntoInnerError::into_error)?;
    out.sync_all()?;
    let compressed_bytes = out.metadata()?.len();
    let as_is = matches!(form, Form::AsIs(..));
    if check(&target, as_is)? != (bytes, hash.clone()) {
        fs::remove_file(&target)?;
        return Err(io::Error::other("the copy does not read back as it was written"));
    }
    let name = target.file_name().unwrap_or_default().to_string_lossy().into_owned();
    manifest.add(Entry { name, source: path.to_owned(), bytes, compressed_bytes, sha256: hash, as_is })
}

/// How a file comes into an archive.
#[derive(Clone, Copy)]
enum Form<'a> {
    /// Byte for byte, its name split before what says that it is compressed: by zstd, or a segment of the journal, which is
    /// packed and not what inflating gives.
    AsIs(&'a str, &'a str),
    /// The same, and what it inflates to is hashed.
    Gzip(&'a str),
    /// Compressed.
    Plain,
}

impl<'a> Form<'a> {
    fn of(name: &'a str) -> Self {
        let as_is = [".seg.gz", ".seg.zst", ".zst"].into_iter().find_map(|end| Some((name.strip_suffix(end)?, end)));
        match (as_is, name.strip_suffix(".gz")) {
            (Some((stem, end)), _) => Self::AsIs(stem, end),
            (None, Some(stem)) => Self::Gzip(stem),
            (None, None) => Self::Plain,
        }
    }
}
