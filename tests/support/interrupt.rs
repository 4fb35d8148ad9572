//! Interrupting a function at an instruction of choice, as a signal handler would.
//!
//! With the trap flag set, the processor raises SIGTRAP behind each instruction; the handler of that signal counts them,
//! and behind one of them does what is to be tried. (Intel SDM, volume 3, "Single-Step Exception".) Linux on x86_64.

use std::arch::asm;
use std::cell::Cell;
use std::ptr;

/// Of the flags register.
const TRAP_FLAG: i64 = 0x100;

struct Stepped<'a> {
    at: u64,
    count: Cell<u64>,
    interrupt: &'a dyn Fn(),
}

thread_local! {
    static STEPPED: Cell<*const Stepped<'static>> = const { Cell::new(ptr::null()) };
}

extern "C" fn trapped(_: libc::c_int, _: *mut libc::siginfo_t, context: *mut libc::c_void) {
    // SAFETY: null, or what `interrupted` keeps while the flag is set.
    let Some(stepped) = (unsafe { STEPPED.get().as_ref() }) else { return };
    stepped.count.set(stepped.count.get() + 1);
    if stepped.count.get() == stepped.at {
        (stepped.interrupt)();
        // SAFETY: the kernel hands a handler with `SA_SIGINFO` the registers that it will restore.
        let flags = unsafe { &mut (*context.cast::<libc::ucontext_t>()).uc_mcontext.gregs[libc::REG_EFL as usize] };
        *flags &= !TRAP_FLAG;
    }
}

/// Runs `body`, and within it, behind its instruction `at`, `interrupt`; returns whether there were so many instructions.
pub(crate) fn interrupted(at: u64, body: impl FnOnce(), interrupt: &dyn Fn()) -> bool {
    // SAFETY: zeroes are a valid action.
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    action.sa_sigaction = trapped as *const () as usize;
    action.sa_flags = libc::SA_SIGINFO;
    // SAFETY: the pointers live through the call.
    assert_eq!(unsafe { libc::sigaction(libc::SIGTRAP, &raw const action, ptr::null_mut()) }, 0);
    let stepped = Stepped { at, count: Cell::new(0), interrupt };
    STEPPED.set((&raw const stepped).cast());
    // SAFETY: changes the trap flag only. The kernel clears it for the handler and restores it behind.
    unsafe { asm!("pushfq", "or dword ptr [rsp], 0x100", "popfq") };
    body();
    // SAFETY: as above.
    unsafe { asm!("pushfq", "and dword ptr [rsp], 0xfffffeff", "popfq") };
    STEPPED.set(ptr::null());
    stepped.count.get() == at
}
