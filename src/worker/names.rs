//! The names of all views that there ever were, as long as they have files: so that the backups of one that nothing
//! logs to any more are kept in order too.

use crate::disk::{Disk, read_small, replace_small};
use crate::sealed::{self, Unsealed};
use crate::sys::file::may_pass;
use crate::view::ViewSet;
use crate::view::intent::IntentPage;
use crate::view::names::SUFFIX;
use std::collections::HashSet;
use std::io;

/// The file, in the folder of journals: a name in each line.
const NAMES: &str = "views";
const VERSION: u32 = 1;
/// The largest such file that is read.
const BYTES_MAX: usize = 16 << 20;

/// Tells `set` of those views that still have files. What is not known of old views leaves their backups alone.
///
/// # Errors
/// When it could not be looked at: what is not adopted now would be missing from the file that is written next.
pub(super) fn adopt<D: Disk, P: IntentPage>(set: &mut ViewSet<D, P>, dir: &D, journals: &D) -> io::Result<()> {
    let mut stems = HashSet::new();
    dir.list(&mut |name| {
        stems.extend(name.rfind(SUFFIX).and_then(|end| name.get(..end)).map(str::to_owned));
    })?;
    let bytes = match read_small(journals, NAMES, BYTES_MAX) {
        Err(error) if may_pass(&error) => return Err(error),
        read => read.ok().flatten().unwrap_or_default(),
    };
    let names = decode(&bytes).unwrap_or_default().lines();
    for name in names.filter(|name| stems.contains(*name)) {
        set.adopt(name);
    }
    Ok(())
}

/// The names in the bytes of the file.
pub(crate) fn decode(bytes: &[u8]) -> Result<&str, Unsealed> {
    sealed::open("views", VERSION, bytes)
}

/// Stores the names of the views in `set`.
pub(super) fn save<D: Disk, P: IntentPage>(set: &ViewSet<D, P>, journals: &D) -> io::Result<()> {
    let names: String = set.status().map(|view| view.name + "\n").collect();
    replace_small(journals, NAMES, &sealed::seal("views", VERSION, &names))
}
