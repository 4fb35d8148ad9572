//! The loop around the writer's state machine.

use super::idle::{Wait, Waiter};
use super::step::{Done, Stamp, Writer};
use crate::clock::ticks;
use crate::config::Idle;
use crate::logger::core::Core;
use crate::logger::start::identify;
use crate::shm::control::state;
use crate::sys::thread::{block_signals, pin_to, unpin};
use std::sync::atomic::Ordering;

/// Of so many records in one step more are waiting by then.
const MANY: u64 = 256;
/// Attempts at reading ticks and wall clock at the same moment.
const SAMPLE_TRIES: u32 = 5;

/// One step with the logger's clock.
pub(crate) fn step(core: &Core, writer: &mut Writer) -> Done {
    let now = core.step_time();
    let done = writer.step(core.ground(), now, || match core.stamp {
        Stamp::Manual => (now, i64::try_from(now).unwrap_or(i64::MAX)),
        Stamp::Counter | Stamp::Coarse => ticks::sample(ticks::now, SAMPLE_TRIES),
    });
    core.control.writer.alive.store(ticks::now(), Ordering::Relaxed);
    if core.is_unnamed.load(Ordering::Acquire) {
        core.is_unnamed.store(false, Ordering::Relaxed);
        identify(core, writer.anchor(), state::RUNNING);
        writer.restore(core.ground());
    }
    if core.table.is_incomplete() {
        crate::logger::register::redefine(core);
    }
    if let Some((number, words)) = core.control.request.level.waiting() {
        core.control.request.level.answer(number, &crate::logger::register::level_asked(core, &words));
    }
    while let Some(text) = core.memory.next_event() {
        if !writer.note(core.ground(), now, &text) {
            core.memory.say(text);
            break;
        }
    }
    done
}

/// Runs until the logger is told to stop and all rings are empty, or `abandon` is set: what is left then stays in
/// shared memory for recovery.
pub(crate) fn run(core: &Core, mut writer: Writer, pin: Option<usize>, cores: &[usize], idle: Idle) {
    crate::logger::lease::own_thread();
    // A failure leaves the host's handlers on this thread, which is no fault of logging.
    let _ = block_signals();
    match pin {
        Some(number) if pin_to(number) => core.control.writer.core.store(number as u32 + 1, Ordering::Relaxed),
        Some(_) => {}
        None => unpin(cores),
    }
    let mut waiter = Waiter::default();
    loop {
        let stop = core.writer_stop.load(Ordering::Acquire);
        let done = step(core, &mut writer);
        // Calls first: what they dropped is there when they are not.
        let drained = stop
            && !core.closing.has_calls()
            && writer.is_drained(core.ground())
            && writer.summarise_all(core.ground(), core.now())
            && writer.end_flight(core.ground());
        if drained || stop && core.abandon.load(Ordering::Acquire) {
            break;
        }
        match done.records + done.left_out {
            0 => waiter.next(idle).perform(),
            // A burst that goes on is left alone for a moment.
            1..MANY => {
                waiter.reset();
                Wait::Spin.perform();
            }
            MANY.. => waiter.reset(),
        }
    }
    writer.finish(core.ground(), core.now());
}
