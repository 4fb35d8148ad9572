//! The configuration of a logger: every option with its consequence, default, unit and limits.
//!
//! * [`units`]: "16 MiB" and "100 ms" in files.
//! * [`flight`]: what is remembered instead of written, and what brings it to the log.
//! * [`sampling`]: what the writer counts instead of writing it.
//! * [`check`]: refuses what cannot work, naming field, value and limit.
//! * [`view`]: the files that operators read.
//! * [`preset`]: configurations of known systems.
//! * [`show`]: a configuration as the text of a file.
//! * [`stored`]: what all who use a log directory share, as it stands there.
//! * [`terms`]: a worker's part of it, for a worker in another process.

mod check;
mod flight;
mod preset;
mod sampling;
mod show;
pub(crate) mod stored;
pub(crate) mod terms;
mod units;
mod view;
mod view_file;

use crate::clock::Clock;
use crate::compress::Codec;
use crate::error::Error;
use crate::format::json::Integers;
use crate::health::event::{Callback, HealthEvent};
use crate::level::LevelFilter;
pub use crate::writer::idle::Idle;
pub(crate) use check::headroom;
pub use flight::{FlightRecorder, FlightScope};
pub use sampling::{Identity, Sampling};
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::time::Duration;
pub use view::{LineFormat, Rotate, View};

/// The largest file of settings that is read.
const FILE_BYTES_MAX: u64 = 4 << 20;
/// The largest [`Config::record_bytes_max`].
pub(crate) const RECORD_BYTES_LIMIT: usize = 60 << 10;

/// What happens to a record for which the ring has no room.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, serde::Deserialize, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Overflow {
    /// The call returns at once; the record is dropped, counted, and the loss stated in the log where it happened. The
    /// default: trading goes before logging.
    #[default]
    DropNewest,
    /// The call waits for room, spinning, then yielding, at most [`Config::block_max`]; after that, or at once when the
    /// writer has shown no life for as long, the record is dropped and counted.
    Block,
}

/// Where the writer thread runs.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum WriterCore {
    /// The last core of the process's set, if it has more than one; else not pinned. The default.
    #[default]
    Auto,
    /// This core, by the operating system's number. A core that the process may not use is refused at start.
    Core(usize),
    /// Wherever the scheduler puts it.
    Unpinned,
}

/// When archived journals and views are forced to disk.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Sync {
    /// Never, but for [`Guard::sync`](crate::Guard::sync) and at the end: the operating system decides. A power loss costs what it had not
    /// written, typically 30 s.
    Never,
    /// At this interval. A power loss costs at most so much. The default is 1 s.
    Interval(Duration),
    /// When a journal segment is finished.
    EachSegment,
}

/// Whether live memory outlives the process.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, serde::Deserialize, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Memory {
    /// Files in shared memory: what was logged survives the death of the process. Falls back to [`Anonymous`](Self::Anonymous) where that
    /// cannot be had, and health says so. The default.
    #[default]
    Shared,
    /// Memory that dies with the process.
    Anonymous,
}

/// Who does the work.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, serde::Deserialize, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    /// A writer and a worker thread. The default.
    #[default]
    Threads,
    /// No threads: each call returns when its line is in the file. For debugging and tests; a call costs many
    /// microseconds and makes system calls.
    Synchronous,
}

/// Who does the work with the disk: archives, text files, compression.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, serde::Deserialize, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Worker {
    /// A thread of this process. The default. While the disk hangs, log calls go on as ever, but the process cannot end:
    /// the kernel lets a thread that waits for the disk die only afterwards.
    #[default]
    Thread,
    /// Another process, `tacho collect -D <dir>`. This one then opens no file of the log directory after
    /// [`start`](crate::start), so it can exit, fork and be killed whatever the disk does. Without a collector the live
    /// segments fill, then the rings, then [`Overflow`] decides; [`Health::trouble`](crate::Health::trouble) says so. Needs
    /// [`Memory::Shared`]; where that cannot be had, a thread does the work, and health says so.
    ///
    /// Nobody makes rings ahead then: set [`rings_spare`](Config::rings_spare) to the number of threads that log, or the
    /// first call of those beyond it makes its ring itself.
    External,
}

/// The configuration of a logger.
///
/// ```
/// use std::time::Duration;
/// use tachograph::{Config, LevelFilter, Overflow};
///
/// let config = Config::new("logs")
///     .level(LevelFilter::Debug)
///     .overflow(Overflow::DropNewest)
///     .view_bytes_max(10 << 20)
///     .order_wait(Duration::from_millis(50));
/// ```
///
/// The same names stand in a TOML file for [`from_file`](Self::from_file); sizes may be written as `"16 MiB"`, times as
/// `"100 ms"`. Levels are validated when set, everything else by [`start`](crate::start).
#[derive(Clone, Debug)]
pub struct Config {
    pub(crate) dir: PathBuf,
    pub(crate) level: LevelFilter,
    pub(crate) levels: String,
    pub(crate) overflow: Overflow,
    pub(crate) block_max: Duration,
    pub(crate) mode: Mode,
    pub(crate) memory: Memory,
    pub(crate) worker: Worker,
    pub(crate) shm_dir: PathBuf,
    pub(crate) shm_bytes_max: u64,
    pub(crate) shm_group: String,
    pub(crate) sigbus_handler: bool,
    pub(crate) ring_bytes: usize,
    pub(crate) rings_spare: usize,
    pub(crate) record_bytes_max: usize,
    pub(crate) segments: usize,
    pub(crate) segment_bytes: usize,
    pub(crate) table_bytes: usize,
    pub(crate) writer_core: WriterCore,
    pub(crate) idle: Idle,
    pub(crate) order_wait: Duration,
    pub(crate) close_max: Duration,
    pub(crate) sync: Sync,
    pub(crate) clock: Clock,
    pub(crate) coarse_stale_max: Option<Duration>,
    pub(crate) sampling: Option<Sampling>,
    pub(crate) flight_recorder: Option<FlightRecorder>,
    pub(crate) components: bool,
    pub(crate) named_views: Vec<View>,
    pub(crate) view_format: LineFormat,
    pub(crate) view_integers: Integers,
    pub(crate) view_zone: String,
    pub(crate) view_total_bytes_max: Option<u64>,
    pub(crate) view_age_max: Option<Duration>,
    pub(crate) view_rotate: Rotate,
    pub(crate) view_dated: bool,
    pub(crate) disk_bytes_cap: Option<u64>,
    pub(crate) view_bytes_max: u64,
    pub(crate) view_backups: u32,
    pub(crate) views_max: usize,
    pub(crate) view_compress: bool,
    pub(crate) view_compress_delay: Duration,
    pub(crate) text_pattern: String,
    pub(crate) archive_bytes_max: u64,
    pub(crate) archive_compress: bool,
    pub(crate) gzip_level: u32,
    pub(crate) zstd_level: Option<i32>,
    pub(crate) health_interval: Duration,
    pub(crate) health_view_lag_max: Duration,
    pub(crate) health_command: Vec<String>,
    pub(crate) health_command_time_max: Duration,
    pub(crate) on_health: Option<Callback>,
    /// The views as a directory has them stored, instead of what the options say.
    pub(crate) views: Option<crate::view::Config>,
}

macro_rules! options {
    ($($(#[$doc:meta])* $name:ident: $type:ty,)*) => {
        $(
            $(#[$doc])*
            #[must_use]
            pub fn $name(mut self, $name: $type) -> Self {
                self.$name = $name.into();
                self
            }
        )*
    };
}

impl Config {
    /// The defaults, for the log directory `dir`, which is made if it is absent (mode 0750).
    pub fn new(dir: impl Into<PathBuf>) -> Self {
        Self {
            dir: dir.into(),
            level: LevelFilter::Info,
            levels: String::new(),
            overflow: Overflow::default(),
            block_max: Duration::from_secs(1),
            mode: Mode::default(),
            memory: Memory::default(),
            worker: Worker::default(),
            shm_dir: PathBuf::from("/dev/shm"),
            shm_bytes_max: 1 << 30,
            shm_group: String::new(),
            sigbus_handler: true,
            ring_bytes: 4 << 20,
            rings_spare: 4,
            record_bytes_max: 8 << 10,
            segments: 8,
            segment_bytes: 16 << 20,
            table_bytes: 4 << 20,
            writer_core: WriterCore::default(),
            idle: Idle::default(),
            order_wait: Duration::from_millis(100),
            close_max: Duration::from_secs(5),
            sync: Sync::Interval(Duration::from_secs(1)),
            clock: Clock::default(),
            coarse_stale_max: None,
            sampling: None,
            flight_recorder: None,
            components: true,
            named_views: Vec::new(),
            view_format: LineFormat::default(),
            view_integers: Integers::default(),
            view_zone: "UTC".to_owned(),
            view_total_bytes_max: None,
            view_age_max: None,
            view_rotate: Rotate::default(),
            view_dated: false,
            disk_bytes_cap: None,
            view_bytes_max: 50 << 20,
            view_backups: 10,
            views_max: 1000,
            view_compress: true,
            view_compress_delay: Duration::from_secs(5),
            text_pattern: String::new(),
            archive_bytes_max: 1 << 30,
            archive_compress: true,
            gzip_level: 3,
            zstd_level: None,
            health_interval: Duration::from_secs(300),
            health_view_lag_max: Duration::from_secs(30),
            health_command: Vec::new(),
            health_command_time_max: Duration::from_secs(10),
            on_health: None,
            views: None,
        }
    }

    /// Another log file beside those of the components; one of the same name takes the place of the one before. Up to
    /// 1,000.
    #[must_use]
    pub fn view(mut self, view: View) -> Self {
        match self.named_views.iter_mut().find(|known| known.name == view.name) {
            Some(known) => *known = view,
            None => self.named_views.push(view),
        }
        self
    }

    /// Adds the directives of an environment variable, `RUST_LOG` say, to [`levels`](Self::levels), over those that are
    /// there. Nothing happens where it is not set, or empty.
    ///
    /// ```
    /// let config = tachograph::Config::new("logs").levels("warn,feed=debug").levels_from_env("RUST_LOG");
    /// ```
    #[must_use]
    pub fn levels_from_env(mut self, variable: &str) -> Self {
        // What is no text is a directive that cannot be understood; `start` says so.
        let found = std::env::var_os(variable).unwrap_or_default();
        for directive in found.to_string_lossy().split(',').map(str::trim).filter(|directive| !directive.is_empty()) {
            let comma = if self.levels.is_empty() { "" } else { "," };
            self.levels.push_str(comma);
            self.levels.push_str(directive);
        }
        self
    }

    options! {
        /// The log directory, which is made if it is absent (mode 0750).
        dir: impl Into<PathBuf>,
        /// The most verbose level that is logged, where [`levels`](Self::levels) says nothing else. Default: `Info`.
        level: impl Into<LevelFilter>,
        /// Levels of single targets, as `RUST_LOG` has them: `"warn,order_watcher=debug,feed::parser=off"`. A target's level is that
        /// of its longest listed prefix; a level without a target replaces [`level`](Self::level). Default: none.
        levels: impl Into<String>,
        /// What happens when a ring is full. Default: [`Overflow::DropNewest`].
        overflow: Overflow,
        /// How long a call waits for room with [`Overflow::Block`]. Default: 1 s; up to 1 min.
        block_max: Duration,
        /// Who does the work. Default: [`Mode::Threads`].
        mode: Mode,
        /// Whether live memory outlives the process. Default: [`Memory::Shared`].
        memory: Memory,
        /// Who archives the journal and writes the text files. Default: [`Worker::Thread`].
        worker: Worker,
        /// The directory of the shared-memory file system. Default: `/dev/shm`.
        shm_dir: impl Into<PathBuf>,
        /// Bytes of shared memory at most for the log directory: segments, rings, definitions and views of all its
        /// processes, those included that died and were not recovered yet. What does not fit is made smaller, down to 4
        /// segments of 2 MiB and rings of 256 KiB; below that anonymous memory serves, and health says so. Default:
        /// 1 GiB; from 1 MiB.
        shm_bytes_max: u64,
        /// A group, by name or number, whose members may read live state in shared memory: folders are 0750 and files
        /// 0640 with that group, instead of 0700 and 0600. The user must be its member. Default: none.
        shm_group: impl Into<String>,
        /// Whether a fault in our own shared memory, which somebody truncated, is mended (true, the default) or kills the
        /// process by SIGBUS. The handler is the process's: the first logger that asks for it puts it in place, for
        /// good. It passes every other SIGBUS on to the handler that was there before. A thread that blocks SIGBUS is
        /// killed by the kernel all the same; a handler that the program sets later must pass on to this one.
        sigbus_handler: bool,
        /// Bytes of a thread's ring, a power of two. It holds what a thread logs while the writer is held up: 4 MiB, the default, hold
        /// 80,000 records of 50 bytes, 80 ms at a million a second. From 64 KiB to 1 GiB.
        ring_bytes: usize,
        /// Rings that are kept ready, so that a new thread's first call makes no system call. Default: 4; up to 1,024.
        rings_spare: usize,
        /// Bytes of a record at most. Longer strings are cut at a character boundary and marked. Default: 8 KiB; from 256 bytes to 60 KiB,
        /// and at most a quarter of a segment.
        record_bytes_max: usize,
        /// Live segments. All of them together hold what the worker has not put on disk yet. Default: 8; from 3 to 64.
        segments: usize,
        /// Bytes of a segment. Default: 16 MiB; from 64 KiB to 1 GiB, a multiple of 4 KiB.
        segment_bytes: usize,
        /// Bytes for the definitions of call sites, about 200 bytes each. When they are used up, records carry their
        /// definition themselves, which is slower. Default: 4 MiB; from 64 KiB.
        table_bytes: usize,
        /// Where the writer runs. Default: [`WriterCore::Auto`].
        writer_core: WriterCore,
        /// What the writer does when there is nothing to do. Default: [`Idle::Sleep`].
        idle: Idle,
        /// How long a call in progress may hold back the lines of others, so that lines stand in time order; what comes
        /// later is marked `late`. Default: 100 ms; up to 10 s.
        order_wait: Duration,
        /// How long dropping the guard may take. Default: 5 s.
        close_max: Duration,
        /// When files are forced to disk. Default: every second.
        sync: Sync,
        /// What stamps the records. Default: [`Clock::Ticks`].
        clock: impl Into<Clock>,
        /// With [`Clock::Coarse`] and a writer that sleeps: how old a time may be. Default: not set, and such a pair is refused.
        coarse_stale_max: impl Into<Option<Duration>>,
        /// Which records the writer counts instead of writing them. Default: none.
        sampling: impl Into<Option<Sampling>>,
        /// What is remembered instead of written, for the case that an error follows. Default: nothing.
        flight_recorder: impl Into<Option<FlightRecorder>>,
        /// Whether each component (the target up to the first `::`) has a file of its own, `<component>.log`, made with
        /// its first record. Default: yes.
        components: bool,
        /// How lines look. Default: [`LineFormat::Text`].
        view_format: LineFormat,
        /// How integers of 64 bits and more stand in JSON. Many readers hold numbers as doubles, which keep 53 bits: for
        /// them, ids should be [strings](Integers::Strings). Default: exact numbers.
        view_integers: Integers,
        /// The zone of `{local}` in a text pattern: an IANA name such as `Europe/Zurich`, or `system`. Default: `UTC`.
        view_zone: impl Into<String>,
        /// Bytes of all files of a view together, the growing one counted as full; the oldest go before a file is put
        /// away. Default: no limit but [`view_backups`](Self::view_backups); from `view_bytes_max`.
        view_total_bytes_max: impl Into<Option<u64>>,
        /// How old the last line of a view's older file may become; looked at once a minute. Default: no limit; from 1 s to
        /// 100 years.
        view_age_max: impl Into<Option<Duration>>,
        /// When a view's file is put away, beside when it is full; one without lines stays. Default:
        /// [`Rotate::BySize`].
        view_rotate: Rotate,
        /// Whether older files are named by the time at which they were put away, `x.2026-11-20T10-00-00.log.gz`, so that
        /// they keep their names. Default: no, they are numbered.
        view_dated: bool,
        /// Bytes of all files in the log directory together: archived journal, views, their older files, and what
        /// compression makes aside. Held before the disk is used: what would exceed it has to wait until the oldest
        /// archived segments and older files of views are deleted; see [`disk_bytes_max`](Self::disk_bytes_max). It must have
        /// room for a full file of each view, for the live segments, and for what compression makes. Default: no limit.
        disk_bytes_cap: impl Into<Option<u64>>,
        /// Bytes of a view's file; the next line starts a new one. Default: 50 MiB; from 4 KiB.
        view_bytes_max: u64,
        /// Older files of a view that are kept, `x.log.1.gz` and so on. Default: 10; up to 10,000.
        view_backups: u32,
        /// Views at most; components beyond them share `overflow.log`. Default: 1,000.
        views_max: usize,
        /// Whether older files are compressed. Default: yes.
        view_compress: bool,
        /// How long the newest backup stays plain, so that who follows it can finish. Default: 5 s.
        view_compress_delay: Duration,
        /// How a line looks; see [`format::pattern`](crate::format::pattern). Default: that module's default pattern.
        text_pattern: impl Into<String>,
        /// Bytes of archived journal at most; the oldest segments go first. Default: 1 GiB; from 1 MiB. However small they
        /// are, journals of no more than 1,000 dead processes are kept. Segments that are not in the views yet are spared up to
        /// twice that: who logs faster than lines are written for so long that they are more loses the oldest of them, whatever the
        /// [overflow policy](Overflow); [`Health::lost`](crate::Health::lost) counts their records.
        archive_bytes_max: u64,
        /// Whether finished journal segments are [packed](crate::segment::packed) and compressed. Default: yes.
        archive_compress: bool,
        /// Level of gzip, from 1 to 9. Default: 3.
        gzip_level: u32,
        /// Compresses backups and finished journal segments with zstd instead, at this level, from 1 to 19: files are called `.zst`.
        /// Needs the feature `zstd`, in who reads them too. Default: not set.
        zstd_level: impl Into<Option<i32>>,
        /// How often health is checked, and told in `health.json` and `metrics.prom`; what changes meanwhile is noticed, and
        /// told at once, within a second. In TOML `interval` in the table `health`, as those below. Default: 5 min; from 100 ms; 0
        /// for never.
        health_interval: Duration,
        /// How far the views may be behind. Default: 30 s.
        health_view_lag_max: Duration,
        /// The most that a run of [`health_command`](Self::health_command) may take; it is killed then, with its process
        /// group. Default: 10 s; up to 10 min.
        health_command_time_max: Duration,
    }

    /// A command that is run, without a shell, when a finding begins, gets worse or ends: program and arguments. It gets the
    /// [event](crate::health::event::HealthEvent) as one line of JSON on its standard input; what it prints is lost. One
    /// runs at a time, up to 20 in a burst and two a minute after that; what waits is told as it is by then. Default: none.
    ///
    /// The worker starts it: a thread of this process, which forks and executes nothing on other threads; or the
    /// collector, with its rights. A failure is told in [`Health::trouble`](crate::Health::trouble).
    #[must_use]
    pub fn health_command<T: Into<String>>(mut self, command: impl IntoIterator<Item = T>) -> Self {
        self.health_command = command.into_iter().map(Into::into).collect();
        self
    }

    /// A function that is called, on the worker's thread, with each event that
    /// [`health_command`](Self::health_command) gets. While it runs nothing is archived and rendered: be quick. It may
    /// log. A panic in it is caught, counted and told among the errors of [`Health`](crate::Health). Not with [`Worker::External`]: a collector cannot call it.
    #[must_use]
    pub fn on_health(mut self, call: impl Fn(&HealthEvent) + Send + std::marker::Sync + 'static) -> Self {
        self.on_health = Some(Callback(std::sync::Arc::new(call)));
        self
    }

    /// How files are compressed, where they are.
    pub(crate) fn codec(&self) -> Codec {
        self.zstd_level.map_or(Codec::Gzip(self.gzip_level), Codec::Zstd)
    }

    /// What all files in the log directory take together at most, in bytes, at every moment: the sum of their lengths.
    /// `None` where there is no [`disk_bytes_cap`](Self::disk_bytes_cap).
    ///
    /// The cap is held against all that one worker writes: a process's own, or that of a
    /// [collector](Worker::External) for any number of processes. Of several processes with a worker each, every one
    /// counts its own bytes at once, and those of the others every second.
    pub fn disk_bytes_max(&self) -> Option<u64> {
        self.disk_bytes_cap
    }

    /// Says whether a logger could start with this configuration on this machine, as far as that can be known before;
    /// makes nothing.
    ///
    /// # Errors
    /// The first option that is refused.
    pub fn validate(&self) -> Result<(), Error> {
        self.check(&crate::sys::thread::cores())?;
        crate::levels::Levels::parse(&self.levels, self.level).map_err(|error| Error::config("levels", error))?;
        Ok(())
    }

    /// Reads a configuration from a TOML file. Relative paths in it are relative to the working directory.
    ///
    /// ```toml
    /// dir = "logs"
    /// levels = "info,order_watcher=debug"
    /// ring_bytes = "4 MiB"
    /// order_wait = "50 ms"
    /// writer_core = 3            # or "auto", "unpinned"
    ///
    /// [sampling]                 # absent: nothing is sampled
    /// per_interval = 10
    /// interval = "1 min"
    /// burst = 20
    /// identity = "field"         # or "arguments", "site"
    /// field = "symbol"
    /// exempt_level = "error"
    /// exempt_targets = ["audit"]
    /// targets = [{ target = "ticks", every = 100 }, { target = "book", probability = 0.1 }]
    /// entries = 1024
    /// seed = 0
    ///
    /// [flight_recorder]          # absent: what the levels leave out is not remembered
    /// level = "debug"
    /// records = 1000
    /// bytes = "256 KiB"
    /// trigger = "error"
    /// scope = "thread"           # or "process"
    ///
    /// [health]                   # the options health_…
    /// interval = "5 min"         # "0 s": never
    /// view_lag_max = "30 s"
    /// command = ["/usr/local/bin/page", "--oncall"]
    /// command_time_max = "10 s"
    ///
    /// [[view]]                   # any number; what is not set is as the options view_… say
    /// name = "errors"
    /// level = "error"
    /// targets = { "noisy" = "off" }
    /// kinds = ["messages", "losses", "summaries", "notes"]
    /// format = "json"            # or "text", "ecs", "logfmt"
    /// integers = "strings"       # or "numbers"
    /// bytes_max = "5 MB"
    /// backups = 5
    /// total_bytes_max = "20 MB"
    /// age_max = "168 h"
    /// rotate = "daily 06:30"     # or "every 6 h", "size"
    /// dated = true
    /// compress = true
    /// ```
    ///
    /// # Errors
    /// When the file cannot be read, is larger than 4 MiB, is no TOML, has an unknown name or a value of the wrong kind: with its line.
    pub fn from_file(path: impl AsRef<Path>) -> Result<Self, Error> {
        let path = path.as_ref();
        let advice = "check the path; a configuration is a TOML file";
        let text = read_text(path).map_err(|error| Error::io("cannot read the configuration", path, error, advice))?;
        units::from_toml(&text).map_err(|message| Error::config(&path.display().to_string(), message))
    }
}

fn read_text(path: &Path) -> std::io::Result<String> {
    let mut text = String::new();
    std::fs::File::open(path)?.take(FILE_BYTES_MAX + 1).read_to_string(&mut text)?;
    if text.len() as u64 > FILE_BYTES_MAX {
        let why = format!("it is larger than {} MiB", FILE_BYTES_MAX >> 20);
        return Err(std::io::Error::new(std::io::ErrorKind::FileTooLarge, why));
    }
    Ok(text)
}
