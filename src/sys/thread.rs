//! Threads: who they are, where they run, which signals they take.

use std::io;
use std::mem::MaybeUninit;

/// The largest number of a signal.
const SIGNAL_MAX: libc::c_int = 64;

/// The kernel's number of the calling thread.
pub(crate) fn thread_id() -> u32 {
    // SAFETY: gettid has no preconditions.
    let id = unsafe { libc::syscall(libc::SYS_gettid) };
    u32::try_from(id).unwrap_or(0)
}

/// The calling thread's name as the operating system has it, at most 15 bytes.
pub(crate) fn name() -> String {
    let mut name = [0_u8; 16];
    // SAFETY: the kernel writes at most 16 bytes, the last of them zero.
    unsafe { libc::prctl(libc::PR_GET_NAME, name.as_mut_ptr()) };
    String::from_utf8_lossy(name.split(|byte| *byte == 0).next().unwrap_or_default()).into_owned()
}

/// Cores that this process may run on, from the library that pins, so that pinning to one of them cannot abort.
pub(crate) fn cores() -> Vec<usize> {
    core_affinity::get_core_ids().unwrap_or_default().into_iter().map(|core| core.id).collect()
}

/// Cores that any thread of this process may be put on, also where the calling one is pinned to fewer: what the kernel
/// leaves of all of them to a thread that asks for all. A limit that was set by `taskset` is among what is asked away.
pub(crate) fn permitted_cores() -> Vec<usize> {
    let asked = std::thread::Builder::new().name("tacho-cores".to_owned()).spawn(|| {
        unpin(&(0..libc::CPU_SETSIZE as usize).collect::<Vec<_>>());
        cores()
    });
    asked.ok().and_then(|thread| thread.join().ok()).unwrap_or_default()
}

/// Pins the calling thread to `core`, which must be one of [`cores`]; tells whether it worked.
pub(crate) fn pin_to(core: usize) -> bool {
    core_affinity::set_for_current(core_affinity::CoreId { id: core })
}

/// Lets the calling thread run on all of `cores`: a thread inherits the pinned core of the one that made it.
pub(crate) fn unpin(cores: &[usize]) {
    // SAFETY: zeroed memory is an empty set.
    let mut set: libc::cpu_set_t = unsafe { MaybeUninit::zeroed().assume_init() };
    for core in cores.iter().filter(|core| **core < libc::CPU_SETSIZE as usize) {
        // SAFETY: the core's number is within the set.
        unsafe { libc::CPU_SET(*core, &mut set) };
    }
    // SAFETY: the set is of the size given; a failure leaves the affinity as it was.
    unsafe { libc::sched_setaffinity(0, size_of::<libc::cpu_set_t>(), &raw const set) };
}

/// From now on the calling thread does not take a core from another thread in the midst of its work when it wakes up, and
/// gets as much of the processor as before. Threads and processes that it starts are ordinary ones.
pub(crate) fn wake_politely() {
    let parameters = libc::sched_param { sched_priority: 0 };
    // SAFETY: the parameters are initialised; a failure leaves the thread an ordinary one.
    unsafe { libc::sched_setscheduler(0, libc::SCHED_BATCH | libc::SCHED_RESET_ON_FORK, &raw const parameters) };
}

/// Runs the calling thread at the lowest priority that any user may choose.
pub(crate) fn lower_priority() {
    let thread = thread_id();
    // SAFETY: setpriority has no memory preconditions; on Linux it acts on the one thread named.
    unsafe { libc::setpriority(libc::PRIO_PROCESS, thread as libc::id_t, 19) };
}

/// Which signals a thread blocks in its ordinary code, by which a signal handler on it is told from that.
pub(crate) struct OrdinaryMask(libc::sigset_t);

impl std::fmt::Debug for OrdinaryMask {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OrdinaryMask").finish_non_exhaustive()
    }
}

impl OrdinaryMask {
    /// That of the calling thread, now.
    pub(crate) fn now() -> Self {
        // SAFETY: zeroed memory is an empty set.
        let mut set: libc::sigset_t = unsafe { MaybeUninit::zeroed().assume_init() };
        // SAFETY: without a new set the call only stores the present one.
        unsafe { libc::pthread_sigmask(libc::SIG_BLOCK, std::ptr::null(), &raw mut set) };
        Self(set)
    }

    /// Whether the calling thread seems to run a signal handler: a signal is blocked that was not, as the one that is
    /// handled is, or the alternate stack is in use. A handler installed with `SA_NODEFER` on the thread's own stack is not noticed.
    pub(crate) fn is_in_handler(&self) -> bool {
        let now = Self::now();
        let blocked = |set: &libc::sigset_t, signal| {
            // SAFETY: the set is initialised; a number that is no signal gives an error.
            unsafe { libc::sigismember(set, signal) == 1 }
        };
        // SAFETY: zeroed memory is a valid description.
        let mut stack: libc::stack_t = unsafe { MaybeUninit::zeroed().assume_init() };
        // SAFETY: without a new stack the call only stores the present one.
        unsafe { libc::sigaltstack(std::ptr::null(), &raw mut stack) };
        stack.ss_flags & libc::SS_ONSTACK != 0
            || (1..=SIGNAL_MAX).any(|signal| blocked(&now.0, signal) && !blocked(&self.0, signal))
    }
}

/// Blocks, in the calling thread, every signal but those that a fault in it raises, so that the host's handlers run on
/// the host's threads; SIGXFSZ is blocked too, so that a file-size limit is an error and no death.
pub(crate) fn block_signals() -> io::Result<()> {
    let mut set = MaybeUninit::<libc::sigset_t>::uninit();
    // SAFETY: sigfillset initialises the set it is given.
    unsafe { libc::sigfillset(set.as_mut_ptr()) };
    for signal in [libc::SIGBUS, libc::SIGSEGV, libc::SIGILL, libc::SIGFPE, libc::SIGTRAP, libc::SIGABRT, libc::SIGSYS]
    {
        // SAFETY: the set was initialised above.
        unsafe { libc::sigdelset(set.as_mut_ptr(), signal) };
    }
    // SAFETY: the set is initialised; no old set is asked for.
    let error = unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, set.as_ptr(), std::ptr::null_mut()) };
    if error == 0 { Ok(()) } else { Err(io::Error::from_raw_os_error(error)) }
}

/// While it lives, a write of the calling thread beyond the limit on file sizes is an error, and raises no signal that
/// would end the host.
#[derive(Debug)]
pub(crate) struct FileSizeErrors {
    /// The mask to go back to, and whether the signal was waiting before; `None` where nothing was changed.
    before: Option<(libc::sigset_t, bool)>,
    /// A mask belongs to one thread.
    _here: std::marker::PhantomData<*const ()>,
}

impl FileSizeErrors {
    /// From now on.
    pub(crate) fn begin() -> Self {
        let mut before = MaybeUninit::<libc::sigset_t>::uninit();
        // SAFETY: the set is initialised, and there is room for the old one.
        let error = unsafe { libc::pthread_sigmask(libc::SIG_BLOCK, &file_size_set(), before.as_mut_ptr()) };
        // SAFETY: the call filled it where it succeeded; no other case reads it.
        let before = (error == 0).then(|| (unsafe { before.assume_init() }, is_waiting()));
        Self { before, _here: std::marker::PhantomData }
    }
}

impl Drop for FileSizeErrors {
    fn drop(&mut self) {
        let Some((mask, was_waiting)) = self.before else { return };
        let none = libc::timespec { tv_sec: 0, tv_nsec: 0 };
        if !was_waiting && is_waiting() {
            // SAFETY: set and time are valid, and nothing is asked for about the signal. It is blocked, so it is taken
            // here and nobody's handler runs.
            unsafe { libc::sigtimedwait(&file_size_set(), std::ptr::null_mut(), &raw const none) };
        }
        // SAFETY: the mask is the one that the thread had.
        unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, &raw const mask, std::ptr::null_mut()) };
    }
}

/// The set of SIGXFSZ alone.
fn file_size_set() -> libc::sigset_t {
    let mut set = MaybeUninit::<libc::sigset_t>::uninit();
    // SAFETY: sigemptyset initialises the set it is given.
    unsafe { libc::sigemptyset(set.as_mut_ptr()) };
    // SAFETY: the set was initialised above.
    unsafe { libc::sigaddset(set.as_mut_ptr(), libc::SIGXFSZ) };
    // SAFETY: as above.
    unsafe { set.assume_init() }
}

/// Whether SIGXFSZ waits to be delivered to this thread.
fn is_waiting() -> bool {
    let mut set = MaybeUninit::<libc::sigset_t>::uninit();
    // SAFETY: sigpending initialises the set it is given.
    if unsafe { libc::sigpending(set.as_mut_ptr()) } != 0 {
        return false;
    }
    // SAFETY: the set was initialised above.
    unsafe { libc::sigismember(set.as_ptr(), libc::SIGXFSZ) == 1 }
}
