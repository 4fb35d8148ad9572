//! `tacho export`: the journal in another format, to standard output or to a file that is whole or not there.

use crate::args::{Args, Export, ExportFormat};
use crate::csv::Csv;
use crate::invalid;
use crate::journal::{OUTPUT_BYTES, each};
use crate::line;
use crate::select::Select;
use crate::talk::Talk;
use flate2::Compression;
use flate2::write::GzEncoder;
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, ErrorKind, Write};
use std::ops::ControlFlow;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use tachograph::format::json::JsonFormat;
use tachograph::format::line::LineFormat;
use tachograph::format::logfmt::LogfmtFormat;
use tachograph::format::pattern::DEFAULT_PATTERN;

pub(crate) fn run(args: &Args, export: &Export) -> io::Result<ExitCode> {
    if export.format != ExportFormat::Csv && !export.columns.is_empty() {
        return Err(invalid("--columns is for --format csv alone".to_owned()));
    }
    let mut talk = Talk::new(args);
    let records = match &export.output {
        None => {
            let mut out = BufWriter::with_capacity(OUTPUT_BYTES, io::stdout().lock());
            let records = write(args, export, &mut talk, &mut out)?;
            out.flush()?;
            records
        }
        Some(path) => {
            let aside = Aside::create(path, export.force)?;
            let done = to_file(args, export, &mut talk, &aside).and_then(|records| {
                aside.finish(path)?;
                Ok(records)
            });
            if done.is_err() {
                aside.remove();
            }
            done?
        }
    };
    talk.say(format!("{records} records"));
    Ok(talk.code())
}

fn to_file(args: &Args, export: &Export, talk: &mut Talk, aside: &Aside) -> io::Result<u64> {
    let gzip = export.output.as_ref().is_some_and(|path| path.extension().is_some_and(|name| name == "gz"));
    let mut out = BufWriter::with_capacity(OUTPUT_BYTES, &aside.file);
    if !gzip {
        let records = write(args, export, talk, &mut out)?;
        out.flush()?;
        return Ok(records);
    }
    let mut encoder = GzEncoder::new(out, Compression::new(6));
    let records = write(args, export, talk, &mut encoder)?;
    encoder.finish()?.flush()?;
    Ok(records)
}

/// Writes all records; says how many.
fn write(args: &Args, export: &Export, talk: &mut Talk, out: &mut impl Write) -> io::Result<u64> {
    #[cfg(feature = "ship")]
    if export.format == ExportFormat::OtlpJson {
        return otlp(args, export, talk, out);
    }
    let mut select = Select::new(&export.filter)?;
    let mut text = Vec::new();
    let mut format: Box<dyn LineFormat> = match export.format {
        ExportFormat::Text => Box::new(line::pattern(DEFAULT_PATTERN)?),
        ExportFormat::Json => Box::new(JsonFormat::default()),
        ExportFormat::Ecs => Box::new(JsonFormat::ecs()),
        ExportFormat::Logfmt => Box::new(LogfmtFormat::default()),
        ExportFormat::Csv => {
            let csv = Csv::new(&export.columns);
            csv.heading(&mut text);
            Box::new(csv)
        }
        #[cfg(feature = "ship")]
        ExportFormat::OtlpJson => return Ok(0),
    };
    out.write_all(&text)?;
    let mut records = 0;
    each(args, &[], &mut select, talk, |record| {
        text.clear();
        format.line(record, &mut text);
        out.write_all(&text)?;
        records += 1;
        Ok(ControlFlow::Continue(()))
    })?;
    Ok(records)
}

/// Many records stand in one line there.
#[cfg(feature = "ship")]
fn otlp(args: &Args, export: &Export, talk: &mut Talk, out: &mut impl Write) -> io::Result<u64> {
    let mut select = Select::new(&export.filter)?;
    let (mut lines, mut text, mut records) = (crate::ship::Export::default(), Vec::new(), 0);
    each(args, &[], &mut select, talk, |record| {
        text.clear();
        lines.push(record, &mut text);
        out.write_all(&text)?;
        records += 1;
        Ok(ControlFlow::Continue(()))
    })?;
    text.clear();
    lines.finish(&mut text);
    out.write_all(&text)?;
    Ok(records)
}

/// A file beside the one that it will be.
struct Aside {
    file: File,
    path: PathBuf,
}

impl Aside {
    fn create(target: &Path, force: bool) -> io::Result<Self> {
        if !force && target.symlink_metadata().is_ok() {
            let why = format!("export to {}: it is there already; --force replaces it", target.display());
            return Err(io::Error::new(ErrorKind::AlreadyExists, why));
        }
        let mut name = target.file_name().unwrap_or_default().to_owned();
        name.push(format!(".{}.part", std::process::id()));
        let path = target.with_file_name(name);
        let file = OpenOptions::new().write(true).create_new(true).mode(0o640).open(&path);
        let file = file.map_err(|error| {
            io::Error::new(error.kind(), format!("create {} for the export: {error}", path.display()))
        })?;
        Ok(Self { file, path })
    }

    /// Makes it the file that was asked for.
    fn finish(&self, target: &Path) -> io::Result<()> {
        let context =
            |error: io::Error| io::Error::new(error.kind(), format!("export to {}: {error}", target.display()));
        self.file.sync_all().and_then(|()| fs::rename(&self.path, target)).map_err(context)?;
        let parent = target.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        File::open(parent).and_then(|dir| dir.sync_all()).map_err(context)
    }

    fn remove(&self) {
        // It has a name that nobody looks for.
        let _ = fs::remove_file(&self.path);
    }
}
