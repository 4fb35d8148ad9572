//! Looks whether live memory is still what it was, and puts it right: others may truncate, remove or overwrite it.
//!
//! | what | what becomes of it |
//! |---|---|
//! | control page, health page | mapped anew, everything said in it once more |
//! | definitions | mapped anew, the writer has them appended again |
//! | live segment | the writer gives it up; mapped anew when it is archived and nobody has it |
//! | ring | its thread takes another; when the writer has accounted for it, its memory is given up |
//! | state of sampling | another file is offered to the writer, which moves there with its state, or begins anew where that is gone |
//! | clock page | made again by the first process that comes, mapped anew by all |
//!
//! Whoever faults where a file was truncated goes on at once, on memory of the handler's ([`fault`](crate::sys::fault)). This
//! here comes after, on the worker's thread: it makes files again, so that what is logged outlives the process again.

use crate::logger::core::Core;
use crate::logger::start::describe;
use crate::shm::control;
use crate::shm::folder::{CONTROL, HEALTH, SAMPLING, TABLE, live_name, ring_name};
use crate::shm::health_page;
use crate::sys::file::may_pass;
use crate::sys::map::Mapping;
use std::io;
use std::path::Path;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// How often the names and sizes of the files are looked at.
pub(super) const LOOK_INTERVAL: Duration = Duration::from_millis(500);

/// Mends what was found before, after a new look if `again`.
pub(super) fn mend(core: &Core, again: bool) -> io::Result<()> {
    let Some(folder) = core.memory.folder() else { return Ok(()) };
    if again {
        look(core, folder);
    }
    core.pool.retire(&core.memory);
    let [clock, sampling] = if again { [clock(core, folder), sampling(core, folder)] } else { [Ok(()), Ok(())] };
    let done = [control(core), health(core), table(core), segments(core), clock, sampling];
    done.into_iter().find(Result::is_err).unwrap_or(Ok(()))
}

/// Marks what is not what it was.
fn look(core: &Core, folder: &Path) {
    let mut torn = match folder.metadata() {
        Ok(about) => !about.is_dir(),
        Err(error) => !may_pass(&error),
    };
    let check = |memory: &Mapping, name: &str, whole: bool| {
        let as_it_was = memory.is_lost() || (whole && memory.is_at(&folder.join(name)));
        if !as_it_was {
            memory.mark_lost();
            core.memory.say(format!("live memory was truncated, removed or overwritten by somebody else: {name}"));
        }
        memory.is_lost()
    };
    let magic = core.control.identity.magic.load(Ordering::Acquire) == control::MAGIC;
    torn |= check(core.control.memory(), CONTROL, magic);
    let magic = core.health.owner.magic.load(Ordering::Acquire) == health_page::MAGIC;
    torn |= check(core.health.memory(), HEALTH, magic);
    torn |= check(core.table.memory(), TABLE, true);
    for slot in 0..core.segments.count() {
        torn |= core.segments.memory(slot).is_some_and(|memory| check(memory, &live_name(slot), true));
    }
    for (number, ring) in core.pool.rings().enumerate() {
        if !core.pool.is_settled(number) {
            check(ring.memory(), &ring_name(number as u16), ring.is_whole());
        }
    }
    torn |= core.sampling.get().is_some_and(|place| place.is_torn(&folder.join(SAMPLING)));
    core.memory.note_torn(torn);
    let owner = &core.health.owner;
    owner.survives.store(u64::from(core.memory.outlives_process()), Ordering::Relaxed);
    owner.locked.store(u64::from(core.memory.is_locked()), Ordering::Relaxed);
    if !core.table.memory().is_lost() {
        core.table.mend();
    }
}

/// Maps the file `name` anew.
fn renew(core: &Core, memory: &Mapping, name: &str) -> io::Result<()> {
    memory.renew(&core.memory.replacement(name, memory.bytes())?)?;
    core.memory.note_locked(memory.lock());
    core.memory.say(format!("live memory was lost and is made again: {name}"));
    Ok(())
}

fn control(core: &Core) -> io::Result<()> {
    if !core.control.memory().is_lost() {
        return Ok(());
    }
    renew(core, core.control.memory(), CONTROL)?;
    core.segments.restore(&core.control);
    // Who the process is, the writer says, which knows the time.
    core.is_unnamed.store(true, Ordering::Release);
    Ok(())
}

fn health(core: &Core) -> io::Result<()> {
    if core.health.memory().is_lost() {
        renew(core, core.health.memory(), HEALTH)?;
        describe(core);
        core.is_unnamed.store(true, Ordering::Release);
    }
    Ok(())
}

fn table(core: &Core) -> io::Result<()> {
    if core.table.memory().is_lost() {
        renew(core, core.table.memory(), TABLE)?;
        core.table.mend();
    }
    Ok(())
}

/// Nothing that is logged stands there, so crash survival does not depend on it.
fn clock(core: &Core, folder: &Path) -> io::Result<()> {
    let (Some(page), Some(all)) = (&core.clock_page, folder.parent()) else { return Ok(()) };
    match page.mend(all, core.memory.group()) {
        // The folder of all is gone, and with it everything that could be shared.
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        mended => {
            if mended? {
                core.memory
                    .say("the clock page was truncated or removed by somebody else, and is shared again".to_owned());
            }
            Ok(())
        }
    }
}

fn sampling(core: &Core, folder: &Path) -> io::Result<()> {
    let Some(place) = core.sampling.get().filter(|place| place.is_torn(&folder.join(SAMPLING))) else { return Ok(()) };
    place.offer(|bytes| {
        let file = core.memory.replacement(SAMPLING, bytes)?;
        core.memory.say(format!("live memory was lost and is made again: {SAMPLING}"));
        Ok(file)
    })
}

fn segments(core: &Core) -> io::Result<()> {
    while let Some(slot) = core.segments.take_free(&core.control, false) {
        let memory = core.segments.memory(slot);
        let done = memory.map_or(Ok(()), |memory| renew(core, memory, &live_name(slot)));
        core.segments.let_go(slot);
        done?;
    }
    Ok(())
}
