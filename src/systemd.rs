//! The service manager: readiness, and a watchdog that goes by the writer.
//!
//! A unit with `Type=notify` waits for [`ready`]. With `WatchdogSec=`, a thread sends `WATCHDOG=1`, but only when the
//! writer's heartbeat has moved since it looked last: a process whose writer hangs, is stopped, or does not get its core is
//! restarted by the service manager, however well its other threads do. Outside of such a unit nothing is sent.
//!
//! ```no_run
//! # fn main() -> Result<(), tachograph::Error> {
//! let tacho = tachograph::start(tachograph::Config::new("logs"))?;
//! // … what the program needs before it can serve …
//! let systemd = tachograph::systemd::ready(&tacho)?;
//! systemd.status("8 services run");
//! # Ok(())
//! # }
//! ```
//!
//! `deploy/systemd/` has the units.

use crate::config::Mode;
use crate::error::{Error, Kind};
use crate::logger::core::Core;
use crate::logger::guard::Guard;
use crate::supervisor::Cancel;
use std::env::{self, VarError};
use std::io;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

/// The watchdog's time is divided by this: one late look is no restart.
const LOOKS: u32 = 4;
const SOCKET: &str = "NOTIFY_SOCKET";

/// The service manager, as long as the program serves. Dropping it says that the program stops; drop it before the
/// [`Guard`], whose end is that of the writer's heartbeat.
#[derive(Debug)]
#[must_use = "the program is said to stop when this is dropped: keep it in a variable"]
pub struct Systemd {
    socket: Option<Arc<UnixDatagram>>,
    stop: Cancel,
    watchdog: Option<JoinHandle<()>>,
}

/// Says that the program is ready, and from then on that the writer of `guard` is alive, if the service manager wants to
/// know: by `NOTIFY_SOCKET`, `WATCHDOG_USEC` and `WATCHDOG_PID`.
///
/// # Errors
/// [`Error::is_io`] when the service manager cannot be reached, [`Error::is_config`] when it wants a watchdog and the logger has no
/// writer thread whose life that could tell.
pub fn ready(guard: &Guard) -> Result<Systemd, Error> {
    let Some(address) = env::var_os(SOCKET).filter(|address| !address.is_empty()) else {
        return Ok(Systemd { socket: None, stop: Cancel::new(), watchdog: None });
    };
    let refused = |error: io::Error| {
        let advice = "the unit needs Type=notify and NotifyAccess=main; unset NOTIFY_SOCKET to run without";
        Error::io("cannot tell the service manager that the program is ready:", Path::new(&address), error, advice)
    };
    let core = guard.logger().core();
    let every = wanted().map_err(|why| Error::config("WATCHDOG_USEC", why))?.map(|time| time / LOOKS);
    if every.is_some() && core.config.mode == Mode::Synchronous {
        let why =
            "the watchdog goes by the writer's heartbeat, and a synchronous logger has no writer; remove WatchdogSec=";
        return Err(Error::config("mode", why));
    }
    let socket = Arc::new(connect(Path::new(&address)).map_err(refused)?);
    socket.send(b"READY=1").map_err(refused)?;
    let stop = Cancel::new();
    let watchdog = every.map(|every| {
        let (core, socket, stop) = (Arc::clone(core), Arc::clone(&socket), stop.clone());
        Builder::new().name("watchdog".to_owned()).spawn(move || watch(&core, &socket, every, &stop))
    });
    let watchdog = watchdog.transpose().map_err(|error| {
        Error::new(Kind::Io, format!("cannot start the watchdog's thread: {error}"), "raise the limit on threads")
    })?;
    Ok(Systemd { socket: Some(socket), stop, watchdog })
}

impl Systemd {
    /// One line for `systemctl status`.
    pub fn status(&self, text: &str) {
        let line = text.split('\n').next().unwrap_or_default();
        self.send(&format!("STATUS={line}"));
    }

    /// Whether a service manager listens.
    pub fn is_there(&self) -> bool {
        self.socket.is_some()
    }

    fn send(&self, text: &str) {
        if let Some(socket) = &self.socket {
            // A service manager that is being restarted misses it; nothing depends on it.
            let _ = socket.send(text.as_bytes());
        }
    }
}

impl Drop for Systemd {
    fn drop(&mut self) {
        self.send("STOPPING=1");
        self.stop.cancel();
        if let Some(watchdog) = self.watchdog.take() {
            let _ = watchdog.join();
        }
    }
}

fn connect(address: &Path) -> io::Result<UnixDatagram> {
    let socket = UnixDatagram::unbound()?;
    match address.as_os_str().as_encoded_bytes().strip_prefix(b"@") {
        Some(name) => socket.connect_addr(&SocketAddr::from_abstract_name(name)?)?,
        None => socket.connect(address)?,
    }
    Ok(socket)
}

/// How long the service manager waits for a sign of life; `None` when it wants none from this process.
fn wanted() -> Result<Option<Duration>, String> {
    let get = |name: &str| match env::var(name) {
        Ok(text) => text.parse::<u64>().map(Some).map_err(|_| format!("{name}={text:?} is no number")),
        Err(VarError::NotPresent) => Ok(None),
        Err(VarError::NotUnicode(text)) => Err(format!("{name}={text:?} is no number")),
    };
    let for_us = get("WATCHDOG_PID")?.is_none_or(|pid| pid == u64::from(std::process::id()));
    Ok(get("WATCHDOG_USEC")?.filter(|micros| for_us && *micros > 0).map(Duration::from_micros))
}

fn watch(core: &Core, socket: &UnixDatagram, every: Duration, stop: &Cancel) {
    let mut seen = 0;
    while !stop.wait(every) {
        if has_moved(&mut seen, core.control.writer.alive.load(Ordering::Relaxed)) {
            let _ = socket.send(b"WATCHDOG=1");
        }
    }
}

/// Whether the heartbeat is another one than that seen last.
fn has_moved(seen: &mut u64, beat: u64) -> bool {
    std::mem::replace(seen, beat) != beat
}
