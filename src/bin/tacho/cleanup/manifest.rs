//! What an archive holds: `manifest.json` beside its files, replaced as a whole.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

/// Its name.
pub(crate) const MANIFEST: &str = "manifest.json";
const SCHEMA: u32 = 1;
/// The largest that is read.
const BYTES_MAX: u64 = 64 << 20;

/// A file of an archive.
#[derive(Clone, Serialize, Deserialize, Debug)]
pub(crate) struct Entry {
    /// Its name in the archive.
    pub(crate) name: String,
    /// Where it came from.
    pub(crate) source: PathBuf,
    /// Bytes, inflated.
    pub(crate) bytes: u64,
    /// Bytes of the file here.
    pub(crate) compressed_bytes: u64,
    /// SHA-256 of the inflated bytes, in hexadecimal.
    pub(crate) sha256: String,
    /// The file is what it was, under its own name, and is not inflated: `bytes` and `sha256` are of it as it is.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) as_is: bool,
}

/// The manifest.
#[derive(Clone, Serialize, Deserialize, Debug)]
pub(crate) struct Manifest {
    pub(crate) schema: u32,
    /// When the archive was begun.
    pub(crate) created: Timestamp,
    pub(crate) files: Vec<Entry>,
    #[serde(skip)]
    folder: PathBuf,
}

impl Manifest {
    /// Of a new archive in `folder`.
    pub(crate) fn new(folder: &Path) -> Self {
        Self { schema: SCHEMA, created: Timestamp::now(), files: Vec::new(), folder: folder.to_owned() }
    }

    /// Where a file of that name goes; two of the same name get a number. What is compressed, `end`, stays behind it.
    pub(crate) fn target(&self, name: &str, end: &str) -> io::Result<PathBuf> {
        let flat = name.replace('/', "_");
        (1..1000)
            .map(|n| self.folder.join(if n == 1 { format!("{flat}{end}") } else { format!("{flat}.{n}{end}") }))
            .find(|path| path.symlink_metadata().is_err())
            .ok_or_else(|| io::Error::new(io::ErrorKind::AlreadyExists, format!("{flat}: too many files of that name")))
    }

    /// Of the archive in `folder`; `None` where it has none.
    pub(crate) fn read(folder: &Path) -> io::Result<Option<Self>> {
        let path = folder.join(MANIFEST);
        let context = |error: io::Error| io::Error::new(error.kind(), format!("read {}: {error}", path.display()));
        let file = OpenOptions::new().read(true).custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK).open(&path);
        let mut bytes = Vec::new();
        match file {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            file => file.and_then(|file| file.take(BYTES_MAX).read_to_end(&mut bytes)).map_err(context)?,
        };
        let manifest: Self = serde_json::from_slice(&bytes).map_err(|error| context(error.into()))?;
        if manifest.schema > SCHEMA {
            let why = format!("its schema is {}, this tacho knows {SCHEMA}", manifest.schema);
            return Err(context(io::Error::new(io::ErrorKind::Unsupported, why)));
        }
        Ok(Some(Self { folder: folder.to_owned(), ..manifest }))
    }

    /// Adds a file, and stores the manifest.
    pub(crate) fn add(&mut self, entry: Entry) -> io::Result<()> {
        self.files.push(entry);
        self.store()
    }

    fn store(&self) -> io::Result<()> {
        let (path, aside) = (self.folder.join(MANIFEST), self.folder.join(format!("{MANIFEST}.part")));
        let store = || {
            let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o640).open(&aside)?;
            file.write_all(serde_json::to_string_pretty(self)?.as_bytes())?;
            file.sync_all()?;
            fs::rename(&aside, &path)?;
            File::open(&self.folder)?.sync_all()
        };
        store().map_err(|error| io::Error::new(error.kind(), format!("store {}: {error}", path.display())))
    }
}
