//! Archiving beside rendering: on a thread of its own, while there is much of both.
//!
//! The worker hands over what it archives as a whole, renders meanwhile, and has it back before its step ends; so nothing
//! is shared but what others share with it anyway. The thread appends to the file of the growing segment and no more: to finish a
//! segment, and give its memory back to the writer, is left to the worker, which reads from that memory.

use super::archive::Taken;
use super::process::Tended;
use crate::disk::Disk;
use crossbeam_channel::{Receiver, Sender, bounded};
use std::io;
use std::thread::JoinHandle;

/// Bytes to be archived from which it is worth to wake another thread.
const BACKLOG_BYTES_MIN: u64 = 256 << 10;
/// Bytes that are archived beside one step's rendering, which takes longer.
const BYTES_PER_STEP: u64 = 1 << 20;

/// What came of it, process by process.
type Outcome<D> = (Vec<Tended<D>>, Vec<io::Result<Taken>>);

/// The thread, made when it is needed first.
pub(super) struct Beside<D: Disk> {
    place: Place,
    hand: Option<Hand<D>>,
    /// What was taken here.
    taken: Vec<io::Result<Taken>>,
}

/// Where it is done.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Place {
    /// Nowhere: archiving and rendering take turns.
    Nowhere,
    Thread,
    /// By the worker's own thread, in small pieces: for the simulator.
    #[cfg(any(test, fuzzing, feature = "testing"))]
    Here,
}

struct Hand<D: Disk> {
    todo: Option<Sender<Vec<Tended<D>>>>,
    done: Receiver<Outcome<D>>,
    thread: Option<JoinHandle<()>>,
}

impl<D: Disk<File: 'static> + 'static> Beside<D> {
    /// No thread yet, and none before it is [allowed](Self::allow).
    pub(super) fn new() -> Self {
        Self { place: Place::Nowhere, hand: None, taken: Vec::new() }
    }

    /// There is a core for it.
    pub(super) fn allow(&mut self) {
        self.place = Place::Thread;
    }

    /// Has the same done without another thread.
    #[cfg(any(test, fuzzing, feature = "testing"))]
    pub(super) fn simulate(&mut self) {
        self.place = Place::Here;
    }

    /// Whether so many bytes are to be archived that it is done beside the rendering.
    pub(super) fn is_worth(&self, backlog: u64) -> bool {
        match self.place {
            Place::Nowhere => false,
            Place::Thread => backlog >= BACKLOG_BYTES_MIN,
            #[cfg(any(test, fuzzing, feature = "testing"))]
            Place::Here => backlog > 0,
        }
    }

    /// Takes over `tended`, if there is a thread for it.
    pub(super) fn begin(&mut self, tended: &mut Vec<Tended<D>>) -> bool {
        #[cfg(any(test, fuzzing, feature = "testing"))]
        if self.place == Place::Here {
            self.taken = append(tended, 1 << 10);
            return true;
        }
        if self.hand.is_none() {
            self.hand = Hand::make();
            self.place = if self.hand.is_some() { Place::Thread } else { Place::Nowhere };
        }
        let Some(todo) = self.hand.as_ref().and_then(|hand| hand.todo.as_ref()) else { return false };
        todo.send(std::mem::take(tended)).map_err(|back| *tended = back.0).is_ok()
    }

    /// Gives back what [`begin`](Self::begin) took, and what came of it.
    ///
    /// # Panics
    /// As the thread did: what it had is lost with it.
    pub(super) fn end(&mut self, tended: &mut Vec<Tended<D>>) -> Vec<io::Result<Taken>> {
        if self.hand.is_none() {
            return std::mem::take(&mut self.taken);
        }
        let outcome = self.hand.as_ref().and_then(|hand| hand.done.recv().ok());
        if let Some((back, taken)) = outcome {
            *tended = back;
            return taken;
        }
        let thread = self.hand.as_mut().and_then(|hand| hand.thread.take());
        if let Some(Err(panic)) = thread.map(JoinHandle::join) {
            std::panic::resume_unwind(panic);
        }
        Vec::new()
    }
}

impl<D: Disk<File: 'static> + 'static> Hand<D> {
    fn make() -> Option<Self> {
        let (todo, jobs) = bounded::<Vec<Tended<D>>>(1);
        let (results, done) = bounded(1);
        let body = move || {
            crate::logger::lease::own_thread();
            let _ = crate::sys::thread::block_signals();
            crate::sys::thread::wake_politely();
            for mut tended in jobs {
                let taken = append(&mut tended, BYTES_PER_STEP);
                if results.send((tended, taken)).is_err() {
                    return;
                }
            }
        };
        let thread = std::thread::Builder::new().name("tacho-archive".to_owned()).spawn(body).ok()?;
        Some(Self { todo: Some(todo), done, thread: Some(thread) })
    }
}

/// Appends about `bytes_max` to each archive.
fn append<D: Disk>(tended: &mut [Tended<D>], bytes_max: u64) -> Vec<io::Result<Taken>> {
    let append = |Tended { process, archive, .. }: &mut Tended<D>| {
        archive.append(process.control(), process.segments(), bytes_max)
    };
    tended.iter_mut().map(append).collect()
}

impl<D: Disk> Drop for Hand<D> {
    fn drop(&mut self) {
        self.todo = None;
        if let Some(thread) = self.thread.take() {
            // A panic of it was told by `end`.
            let _ = thread.join();
        }
    }
}
