//! The system calls, each wrapped once. All `unsafe` that talks to the kernel lives here.

pub(crate) mod boot;
pub(crate) mod fault;
pub(crate) mod file;
pub(crate) mod fork;
pub(crate) mod headroom;
pub(crate) mod holders;
pub(crate) mod lock;
pub(crate) mod map;
pub(crate) mod thread;
