//! Live memory of another process, mapped by who archives or recovers it.
//!
//! Nothing that stands there is believed: sizes are checked against the files, numbers against their limits.

use super::control::{self, CONTROL_BYTES, Control, SLOTS_MAX};
use super::control_page::{ControlPage, HealthPage};
use super::folder;
use super::health_page::{self, HEALTH_BYTES};
use crate::segment::layout::SEGMENT_BYTES_MIN;
use crate::segment::live::LiveSegments;
use crate::sys::file::{memory_file, open_existing, open_regular};
use crate::sys::map::Mapping;
use std::fs;
use std::io::{self, Read};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::atomic::Ordering;

/// The largest live segment that is believed in.
const SEGMENT_BYTES_MAX: usize = 1 << 30;
/// No journal has so many segments; what says so is damaged.
const NUMBER_MAX: u64 = 1 << 48;

/// No version of the page's layout is beyond that.
const VERSION_MAX: u32 = 1 << 16;
/// Why a page is not used.
const DAMAGED: &str = "its control page is damaged";

/// Control page and live segments of another process.
#[derive(Debug)]
pub(crate) struct Foreign {
    pub(crate) control: ControlPage,
    /// Absent where somebody took it away, and where it is of another version.
    pub(crate) health: Option<HealthPage>,
    pub(crate) segments: LiveSegments,
}

impl Foreign {
    /// Maps what stands in the folder `live`; `None` where it was never complete.
    pub(crate) fn map(live: &Path) -> io::Result<Option<Self>> {
        if !is_made(live)? {
            return Ok(None);
        }
        let Some(control) = map_control(live)? else { return Ok(None) };
        Self::over(live, control).map(Some)
    }

    /// Maps the segments in the folder `live` as its control page says.
    pub(crate) fn over(live: &Path, control: ControlPage) -> io::Result<Self> {
        let identity = &control.identity;
        let slots = identity.slots.load(Ordering::Relaxed) as usize;
        let segment_bytes = usize::try_from(identity.segment_bytes.load(Ordering::Relaxed)).unwrap_or(0);
        if !is_plausible(&control) {
            return Err(invalid(DAMAGED));
        }
        let memory: io::Result<Vec<Mapping>> =
            (0..slots).map(|slot| map_rest(&live.join(folder::live_name(slot)), segment_bytes)).collect();
        let segments = LiveSegments::adopt(memory?, segment_bytes, &control);
        let health = map_file(&live.join(folder::HEALTH), HEALTH_BYTES).ok().map(HealthPage::adopt);
        let health = health.filter(|page| health_page::is_ours(page));
        Ok(Self { control, health, segments })
    }

    /// Whether the folder `live` holds what its process left, and no control page for it: somebody cut, overwrote or removed
    /// that.
    ///
    /// # Errors
    /// When it could not be looked at.
    pub(crate) fn has_damaged_page(live: &Path) -> io::Result<bool> {
        if live.join(folder::SETTLED).try_exists()? {
            return Ok(false);
        }
        // Allocated before anything else is made.
        match looked(fs::symlink_metadata(live.join(folder::CONTROL)))? {
            Some(about) if about.len() == 0 && !live.join(folder::TABLE).try_exists()? => return Ok(false),
            Some(_) => {}
            None => return Ok(true),
        }
        let Some(memory) = looked(map_file(&live.join(folder::CONTROL), CONTROL_BYTES))? else { return Ok(true) };
        let page = ControlPage::adopt(memory);
        let version = page.identity.version.load(Ordering::Relaxed);
        // Another version's page is not judged here.
        let other = (1..=VERSION_MAX).contains(&version) && version != control::VERSION;
        let is_whole = page.identity.magic.load(Ordering::Acquire) == control::MAGIC && (other || is_plausible(&page));
        Ok(!is_whole)
    }

    /// The first segment that is not all on disk. What of it is on disk already is written again, the same bytes, by
    /// who takes over: so it does not matter what the one before him came to say of his progress.
    ///
    /// The caller has the archiver's lock, so that no slot becomes free meanwhile; the owner may be at work.
    pub(crate) fn archived(&self) -> u64 {
        // Loaded first: a segment behind this one that is not free is found below, or was begun after this call.
        let mut newest = newest_known(&self.control);
        let mut open = None;
        for slot in self.control.slots.iter().take(self.segments.count()) {
            let (number, free) = loop {
                let number = slot.number.load(Ordering::Acquire);
                let free = slot.is_free();
                // The owner may take a free slot for its next segment at any time.
                if slot.number.load(Ordering::Acquire) == number {
                    break (number, free);
                }
                std::hint::spin_loop();
            };
            newest = newest.max(number);
            if number != 0 && !free {
                open = Some(open.map_or(number, |open: u64| open.min(number)));
            }
        }
        open.unwrap_or(newest + 1)
    }
}

/// Whether there is a control page in the folder `live`, and not one that is only just being made.
fn is_made(live: &Path) -> io::Result<bool> {
    match fs::symlink_metadata(live.join(folder::CONTROL)) {
        Ok(about) => Ok(about.len() > 0 || live.join(folder::TABLE).try_exists()?),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

/// Whether number and size of the segments are within their limits, and the version is this one.
fn is_plausible(control: &Control) -> bool {
    let identity = &control.identity;
    let bytes = usize::try_from(identity.segment_bytes.load(Ordering::Relaxed)).unwrap_or(0);
    identity.version.load(Ordering::Relaxed) == control::VERSION
        && (1..=SLOTS_MAX).contains(&(identity.slots.load(Ordering::Relaxed) as usize))
        && (SEGMENT_BYTES_MIN..=SEGMENT_BYTES_MAX).contains(&bytes)
}

/// The newest segment that the words of writer and worker know of; its slot may be taken for the next one already.
pub(crate) fn newest_known(control: &Control) -> u64 {
    let archived = control.worker.archive_number.load(Ordering::Relaxed).saturating_sub(1);
    let known = control.writer.segment.load(Ordering::Acquire).max(archived);
    if known <= NUMBER_MAX { known } else { 0 }
}

/// Maps the control page in the folder `live`; `None` where it was never complete.
fn map_control(live: &Path) -> io::Result<Option<ControlPage>> {
    let control = ControlPage::adopt(map_file(&live.join(folder::CONTROL), CONTROL_BYTES)?);
    match control.identity.magic.load(Ordering::Acquire) {
        control::MAGIC => {}
        // Stored last.
        0 => return Ok(None),
        _ => return Err(invalid(DAMAGED)),
    }
    let version = control.identity.version.load(Ordering::Relaxed);
    if version != control::VERSION {
        return Err(invalid(&format!("its layout {version} is not this program's; use the version that wrote it")));
    }
    Ok(Some(control))
}

/// Maps the control page of a process that may be alive, to tell it how far its records are rendered.
pub(crate) fn control_of(live: &Path) -> io::Result<ControlPage> {
    if !live.is_absolute() || !folder::is_ours(live) {
        return Err(invalid("not the live folder of this user"));
    }
    map_control(live)?.ok_or_else(|| invalid("a control page that is not complete"))
}

/// Maps a file that must have this size.
pub(crate) fn map_file(path: &Path, bytes: usize) -> io::Result<Mapping> {
    let file = open_existing(path, true)?;
    if file.metadata()?.len() != bytes as u64 {
        return Err(invalid(&format!("{} was truncated or extended", path.display())));
    }
    Mapping::shared(&file, bytes)
}

/// As [`map_file`]; of a file that somebody removed, or made shorter or longer, what is left of it, with zeros behind.
pub(crate) fn map_rest(path: &Path, bytes: usize) -> io::Result<Mapping> {
    if let Some(mapping) = looked(map_file(path, bytes))? {
        return Ok(mapping);
    }
    let mut rest = Vec::new();
    // Not waited for, should somebody have put a pipe there.
    if let Some(file) = looked(open_regular(path))?.flatten() {
        file.take(bytes as u64).read_to_end(&mut rest)?;
    }
    let file = memory_file(c"rest", bytes)?;
    file.write_all_at(&rest, 0)?;
    Mapping::shared(&file, bytes)
}

/// What was found by a look at a file; `None` where the file is gone, or is not what belongs there.
///
/// # Errors
/// When the look itself failed, for want of descriptors or memory, or by an error of the file system: that says nothing
/// about the file, and who took it for damage would give up what is whole. It is to be tried again.
pub(crate) fn looked<T>(result: io::Result<T>) -> io::Result<Option<T>> {
    match result {
        Ok(found) => Ok(Some(found)),
        Err(error) if tells_of_the_file(&error) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Whether an error says what is at a path. A link is [`libc::ELOOP`], as none is followed; a socket [`libc::ENXIO`].
fn tells_of_the_file(error: &io::Error) -> bool {
    use io::ErrorKind::{InvalidData, InvalidInput, IsADirectory, NotADirectory, NotFound};
    let kinds = [NotFound, NotADirectory, IsADirectory];
    match error.raw_os_error() {
        Some(number) => kinds.contains(&error.kind()) || [libc::ELOOP, libc::ENXIO].contains(&number),
        // Our own words.
        None => kinds.contains(&error.kind()) || [InvalidData, InvalidInput].contains(&error.kind()),
    }
}

/// What cannot be used.
pub(crate) fn invalid(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what.to_owned())
}
