//! SIGBUS on our own shared memory: somebody truncated its file.
//!
//! The handler maps fresh shared memory where the file's is gone, says so in the range's entry, and lets the thread go on.
//! Every other SIGBUS goes to the handler that was there before, or kills as it would have without us. The handler runs
//! on the alternate stack where the thread has one, with all signals blocked; it takes no lock but the range's own, which
//! only such a handler holds, and makes the system calls `getpid`, `mmap` and `mremap` only.
//!
//! A thread that has SIGBUS blocked is killed by the kernel when it faults; nobody can help it.

mod entry;
mod ranges;

pub(crate) use ranges::{Registered, Shape, register};

use super::map::page_bytes;
use entry::Patch;
use std::io;
use std::mem::MaybeUninit;
use std::ptr;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// What was done with SIGBUS before; set before the handler is in place.
static BEFORE: OnceLock<libc::sigaction> = OnceLock::new();
/// A handler that asked to be called once only was called.
static BEFORE_SPENT: AtomicBool = AtomicBool::new(false);
/// Bytes of a page, for the handler.
static PAGE: AtomicUsize = AtomicUsize::new(4096);

/// Puts the handler in place, once per process; in forked children it is there already.
pub(crate) fn install() -> io::Result<()> {
    static INSTALLED: OnceLock<Result<(), i32>> = OnceLock::new();
    let done = INSTALLED.get_or_init(|| {
        PAGE.store(page_bytes(), Ordering::Relaxed);
        let before = action(None)?;
        let _ = BEFORE.set(before);
        // SAFETY: zeroed memory is a valid sigaction.
        let mut ours: libc::sigaction = unsafe { MaybeUninit::zeroed().assume_init() };
        ours.sa_sigaction = handle as *const () as usize;
        ours.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK | libc::SA_RESTART;
        // SAFETY: the set is ours to fill.
        unsafe { libc::sigfillset(&raw mut ours.sa_mask) };
        action(Some(&ours)).map(|_| ())
    });
    done.map_err(io::Error::from_raw_os_error)
}

/// Whether the handler is the process's; `false` when somebody else has replaced it.
pub(crate) fn is_installed() -> bool {
    action(None).is_ok_and(|now| now.sa_sigaction == handle as *const () as usize)
}

/// Sets what is done with SIGBUS, if anything is given; returns what was done before.
fn action(new: Option<&libc::sigaction>) -> Result<libc::sigaction, i32> {
    let mut old = MaybeUninit::<libc::sigaction>::zeroed();
    let new = new.map_or(ptr::null(), ptr::from_ref);
    // SAFETY: `new` is null or a whole action, `old` has room for one.
    if unsafe { libc::sigaction(libc::SIGBUS, new, old.as_mut_ptr()) } != 0 {
        return Err(io::Error::last_os_error().raw_os_error().unwrap_or(libc::EINVAL));
    }
    // SAFETY: zeroed memory is a valid sigaction, and the call filled it.
    Ok(unsafe { old.assume_init() })
}

extern "C" fn handle(signal: libc::c_int, info: *mut libc::siginfo_t, context: *mut libc::c_void) {
    // SAFETY: the thread's own errno, which the interrupted code may be about to read.
    let errno = unsafe { libc::__errno_location() };
    // SAFETY: as above.
    let before = unsafe { *errno };
    // SAFETY: the kernel passes a whole siginfo to a handler with SA_SIGINFO.
    let info_ref = unsafe { &*info };
    let code = info_ref.si_code;
    // SAFETY: as above; of a signal that is no fault this is another field, which is not used then.
    let address = unsafe { info_ref.si_addr() } as usize;
    // Positive: raised by a fault, and not by kill.
    if code <= 0 || !mend(address) {
        forward(signal, info, context, code > 0);
    }
    // SAFETY: as above.
    unsafe { *errno = before };
}

/// Puts memory at `address`, if that is ours.
fn mend(address: usize) -> bool {
    // SAFETY: getpid has no preconditions.
    let process = unsafe { libc::getpid() };
    let Some((range, shape)) = ranges::find(address, process.cast_unsigned()) else { return false };
    range.mend(shape, address - shape.base, PAGE.load(Ordering::Relaxed), replace)
}

/// Fresh shared memory, all zeros, in the place of a mapping of ours; twice where it was mapped twice.
fn replace(patch: Patch) -> bool {
    let flags = libc::MAP_SHARED | libc::MAP_ANONYMOUS | libc::MAP_FIXED;
    let protection = libc::PROT_READ | libc::PROT_WRITE;
    let start = ptr::without_provenance_mut::<libc::c_void>(patch.start);
    // SAFETY: the range is part of a mapping in the table, whose owner unregisters it before it unmaps it.
    let fresh = unsafe { libc::mmap(start, patch.bytes, protection, flags, -1, 0) };
    if fresh == libc::MAP_FAILED {
        return false;
    }
    let Some(twin) = patch.twin else { return true };
    let twin = ptr::without_provenance_mut::<libc::c_void>(twin);
    let flags = libc::MREMAP_MAYMOVE | libc::MREMAP_FIXED;
    // SAFETY: a length of 0 leaves the shared mapping where it is and maps its pages once more, over the twin, which is
    // part of the same mapping in the table.
    let again = unsafe { libc::mremap(start, 0, patch.bytes, flags, twin) };
    again != libc::MAP_FAILED
}

/// Does what would have been done without our handler.
fn forward(signal: libc::c_int, info: *mut libc::siginfo_t, context: *mut libc::c_void, is_fault: bool) {
    let Some(before) = BEFORE.get() else { return die(signal, is_fault) };
    let once = before.sa_flags & libc::SA_RESETHAND != 0;
    match before.sa_sigaction {
        libc::SIG_DFL => return die(signal, is_fault),
        // A fault cannot be ignored.
        libc::SIG_IGN if is_fault => return die(signal, is_fault),
        libc::SIG_IGN => return,
        _ if once && BEFORE_SPENT.swap(true, Ordering::Relaxed) => return die(signal, is_fault),
        _ => {}
    }
    mask_as_for(before, signal, context);
    if before.sa_flags & libc::SA_SIGINFO != 0 {
        type Handler = extern "C" fn(libc::c_int, *mut libc::siginfo_t, *mut libc::c_void);
        // SAFETY: with SA_SIGINFO the word is a function of this type, which the process itself had set.
        let handler = unsafe { std::mem::transmute::<usize, Handler>(before.sa_sigaction) };
        handler(signal, info, context);
    } else {
        // SAFETY: without SA_SIGINFO it is a function of this type.
        let handler = unsafe { std::mem::transmute::<usize, extern "C" fn(libc::c_int)>(before.sa_sigaction) };
        handler(signal);
    }
}

/// Blocks what the kernel would have blocked for that handler: the interrupted mask, its own, and the signal.
fn mask_as_for(action: &libc::sigaction, signal: libc::c_int, context: *mut libc::c_void) {
    // SAFETY: the third argument of a handler with SA_SIGINFO is a whole ucontext.
    let mut mask = unsafe { (*context.cast::<libc::ucontext_t>()).uc_sigmask };
    for number in 1..=libc::SIGRTMAX() {
        // SAFETY: the action's mask is a whole set.
        if unsafe { libc::sigismember(&raw const action.sa_mask, number) } == 1 {
            // SAFETY: the set is ours, the number within it.
            unsafe { libc::sigaddset(&raw mut mask, number) };
        }
    }
    if action.sa_flags & libc::SA_NODEFER == 0 {
        // SAFETY: as above.
        unsafe { libc::sigaddset(&raw mut mask, signal) };
    }
    // SAFETY: the set is whole; the kernel restores the interrupted mask when the handler returns.
    unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, &raw const mask, ptr::null_mut()) };
}

/// The default action: a fault comes again as soon as the handler returns, a signal that was sent is sent again.
fn die(signal: libc::c_int, is_fault: bool) {
    // SAFETY: zeroed memory is a valid sigaction, whose action is the default.
    let default: libc::sigaction = unsafe { MaybeUninit::zeroed().assume_init() };
    let _ = action(Some(&default));
    if !is_fault {
        // SAFETY: raise has no preconditions; the signal is pending until the handler returns.
        unsafe { libc::raise(signal) };
    }
}
