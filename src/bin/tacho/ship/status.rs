//! How a shipper is doing, in a small file beside its cursor: for `tacho ship --status`, and whoever watches.

use serde::{Deserialize, Serialize};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};
use tachograph::reader::dir::JOURNAL_DIR;

const SCHEMA: u32 = 1;

/// Counted since the cursor was made, over restarts.
#[derive(Clone, PartialEq, Eq, Default, Debug, Serialize, Deserialize)]
pub(super) struct Status {
    pub(super) schema: u32,
    /// The process that ships, or did last.
    pub(super) pid: u32,
    /// The receiver, without what could be secret.
    pub(super) receiver: String,
    /// Records that the receiver acknowledged; what was sent twice counts twice.
    pub(super) shipped: u64,
    /// Of them, those that it had stored before, where it says so.
    #[serde(default)]
    pub(super) duplicates: u64,
    /// Records that it said it did not want, of requests that it took.
    pub(super) rejected: u64,
    /// Records that it refused for ever; they stand in the file of refused ones as far as that has room.
    pub(super) refused: u64,
    /// Of them, those that found no room there.
    pub(super) refused_lost: u64,
    /// Segments that retention took before they were shipped.
    pub(super) missing_segments: u64,
    /// Requests that were made again.
    pub(super) retries: u64,
    /// Time of the last record that was acknowledged, nanoseconds since the Unix epoch.
    pub(super) shipped_until_unix_ns: i64,
    /// When that was, nanoseconds since the Unix epoch.
    pub(super) acknowledged_unix_ns: i64,
    /// What is wrong now.
    pub(super) trouble: Option<String>,
}

/// What names of these files end with.
const SUFFIX: &str = ".ship.json";

impl Status {
    /// The shippers that ever said how they are doing, by name.
    pub(super) fn names(dir: &Path) -> io::Result<Vec<String>> {
        let folder = dir.join(JOURNAL_DIR);
        let entries = match std::fs::read_dir(&folder) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries
                .map_err(|error| io::Error::new(error.kind(), format!("list {}: {error}", folder.display())))?,
        };
        let name = |entry: io::Result<std::fs::DirEntry>| Some(entry.ok()?.file_name().to_str()?.strip_suffix(SUFFIX)?.to_owned());
        let mut names: Vec<_> = entries.filter_map(name).collect();
        names.sort_unstable();
        Ok(names)
    }

    fn path(dir: &Path, name: &str) -> PathBuf {
        dir.join(JOURNAL_DIR).join(format!("{name}{SUFFIX}"))
    }

    /// What stands there; nothing where no shipper of that name was.
    pub(super) fn load(dir: &Path, name: &str) -> io::Result<Option<Self>> {
        let path = Self::path(dir, name);
        let context = |why: String| io::Error::other(format!("read {}: {why}", path.display()));
        match std::fs::read(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(context(error.to_string())),
            Ok(bytes) => serde_json::from_slice(&bytes).map(Some).map_err(|error| context(error.to_string())),
        }
    }

    /// Writes it aside and renames it. It is soon written again, so it is not synced.
    pub(super) fn save(&mut self, dir: &Path, name: &str) -> io::Result<()> {
        use std::os::unix::fs::OpenOptionsExt as _;
        self.schema = SCHEMA;
        let path = Self::path(dir, name);
        let aside = path.with_extension("tmp");
        let context = |error: io::Error| io::Error::new(error.kind(), format!("write {}: {error}", path.display()));
        let mut options = std::fs::OpenOptions::new();
        let file =
            options.write(true).create(true).truncate(true).mode(0o640).custom_flags(libc::O_NOFOLLOW).open(&aside);
        serde_json::to_writer(file.map_err(context)?, self)?;
        std::fs::rename(&aside, &path).map_err(context)
    }
}

/// Now, in nanoseconds since the Unix epoch.
pub(super) fn now_unix_ns() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| i64::try_from(since.as_nanos()).unwrap_or(i64::MAX))
}
