//! The file in which a shipper says how it is doing, for `tacho ship --status`, `tacho health`, and whoever watches.

use std::io;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};
use tachograph::health::shippers::status::SCHEMA;
pub(super) use tachograph::health::shippers::status::{BEAT_INTERVAL, Status};
use tachograph::reader::dir::JOURNAL_DIR;

/// The shippers that ever said how they are doing, by name.
pub(super) fn names(dir: &Path) -> io::Result<Vec<String>> {
    let folder = dir.join(JOURNAL_DIR);
    let entries = match std::fs::read_dir(&folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => {
            entries.map_err(|error| io::Error::new(error.kind(), format!("list {}: {error}", folder.display())))?
        }
    };
    let name = |entry: std::fs::DirEntry| Status::shipper_of(entry.file_name().to_str()?).map(str::to_owned);
    let mut names: Vec<_> = entries.filter_map(|entry| name(entry.ok()?)).collect();
    names.sort_unstable();
    Ok(names)
}

fn path(dir: &Path, name: &str) -> PathBuf {
    dir.join(JOURNAL_DIR).join(Status::file_name(name))
}

/// What stands there; nothing where no shipper of that name was.
pub(super) fn load(dir: &Path, name: &str) -> io::Result<Option<Status>> {
    let path = path(dir, name);
    let context = |why: String| io::Error::other(format!("read {}: {why}", path.display()));
    match std::fs::read(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(context(error.to_string())),
        Ok(bytes) => Status::from_json(&bytes).map(Some).map_err(context),
    }
}

/// Writes it aside and renames it. It is soon written again, so it is not synced.
pub(super) fn save(status: &mut Status, dir: &Path, name: &str) -> io::Result<()> {
    use std::os::unix::fs::OpenOptionsExt as _;
    (status.schema, status.written_unix_ns) = (SCHEMA, now_unix_ns());
    let path = path(dir, name);
    let aside = path.with_extension("tmp");
    let context = |error: io::Error| io::Error::new(error.kind(), format!("write {}: {error}", path.display()));
    let mut options = std::fs::OpenOptions::new();
    let file = options.write(true).create(true).truncate(true).mode(0o640).custom_flags(libc::O_NOFOLLOW).open(&aside);
    serde_json::to_writer(file.map_err(context)?, status)?;
    std::fs::rename(&aside, &path).map_err(context)
}

/// Now, in nanoseconds since the Unix epoch.
pub(super) fn now_unix_ns() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| i64::try_from(since.as_nanos()).unwrap_or(i64::MAX))
}
