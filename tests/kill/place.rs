//! A log directory over the life and death of many processes, what those know, and whether the log agrees.

use crate::support::oracle::{End, Oracle, Producer, Tally};
use crate::support::{SharedWords, lines, message, stated_drops, texts};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tachograph::{Config, Overflow, start_isolated};
use tempfile::TempDir;

/// Threads of a run.
pub const THREADS: usize = 4;
/// Runs that one place can know about.
const RUNS_MAX: usize = 4096;
const WORDS: usize = 16;
const STATE: usize = THREADS;
const ORDER: usize = THREADS + 1;
const OTHER: usize = THREADS + 2;
/// No step takes so long, however loaded the machine is.
pub const LONG: Duration = Duration::from_secs(120);

/// How far a run is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum State {
    /// `start` returned.
    Started = 1,
    /// A first call returned.
    Logging,
    /// All calls have returned.
    Logged,
    /// The guard is being dropped.
    Closing,
    Closed,
}

/// What a run is told to do.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Order {
    /// Go on where the run waits for this.
    Go = 1,
    /// Come to the end.
    End,
}

/// The words of one run, in memory that outlives it.
pub struct Run<'a> {
    words: &'a SharedWords,
    pub number: u64,
}

impl Run<'_> {
    fn word(&self, index: usize) -> &AtomicU64 {
        self.words.word(self.number as usize * WORDS + index)
    }

    /// Calls of this thread that returned.
    pub fn returned(&self, thread: usize) -> &AtomicU64 {
        self.word(thread)
    }

    /// A number to hand over, such as that of a process.
    pub fn other(&self) -> &AtomicU64 {
        self.word(OTHER)
    }

    pub fn reach(&self, state: State) {
        self.word(STATE).fetch_max(state as u64, Ordering::AcqRel);
    }

    pub fn has_reached(&self, state: State) -> bool {
        self.word(STATE).load(Ordering::Acquire) >= state as u64
    }

    pub fn order(&self, order: Order) {
        self.word(ORDER).store(order as u64, Ordering::Release);
    }

    pub fn is_ordered(&self, order: Order) -> bool {
        self.word(ORDER).load(Ordering::Acquire) >= order as u64
    }

    pub fn sum(&self) -> u64 {
        (0..THREADS).map(|thread| self.returned(thread).load(Ordering::Acquire)).sum()
    }
}

/// Waits for what another process does.
pub fn until(what: &str, mut done: impl FnMut() -> bool) {
    let begin = Instant::now();
    while !done() {
        assert!(begin.elapsed() < LONG, "waited too long for: {what}");
        std::thread::sleep(Duration::from_micros(200));
    }
}

pub struct Place {
    root: PathBuf,
    pub logs: PathBuf,
    pub shm: PathBuf,
    words: SharedWords,
    runs: AtomicU64,
    _dirs: Option<(TempDir, TempDir)>,
}

impl Place {
    pub fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        let shm = tempfile::Builder::new().prefix("tacho-kill-").tempdir_in("/dev/shm").unwrap();
        let mut place = Self::at(root.path(), shm.path());
        place._dirs = Some((root, shm));
        place
    }

    /// The place of the parent.
    pub fn at(root: &Path, shm: &Path) -> Self {
        let words = SharedWords::open(&root.join("acknowledged"), RUNS_MAX * WORDS);
        let (root, shm) = (root.to_owned(), shm.to_owned());
        Self { logs: root.join("logs"), root, shm, words, runs: AtomicU64::new(0), _dirs: None }
    }

    /// So small that a run rotates segments and views many times.
    pub fn config(&self) -> Config {
        // What health says of this machine is no record of the test.
        Config::new(&self.logs)
            .health_interval(Duration::ZERO)
            .shm_dir(&self.shm)
            .segment_bytes(64_usize << 10)
            .segments(4_usize)
            .record_bytes_max(4_usize << 10)
            .ring_bytes(64_usize << 10)
            .table_bytes(64_usize << 10)
            .rings_spare(5_usize)
            .overflow(Overflow::Block)
            .block_max(Duration::from_secs(60))
            .close_max(LONG)
            .view_bytes_max(64_u64 << 10)
            .view_backups(10_000_u32)
            .view_compress_delay(Duration::from_millis(20))
    }

    pub fn run(&self, number: u64) -> Run<'_> {
        Run { words: &self.words, number }
    }

    /// A process of its own, which does `role`; see [`load`](crate::load).
    pub fn spawn(&self, role: &str, calls: u64) -> (Child, Run<'_>) {
        self.spawn_by(Command::new(std::env::current_exe().unwrap()), role, calls)
    }

    /// The same; `command` is this binary, or what runs it.
    pub fn spawn_by(&self, mut command: Command, role: &str, calls: u64) -> (Child, Run<'_>) {
        let number = self.runs.fetch_add(1, Ordering::Relaxed);
        command.args(["--exact", "load::child", "--ignored", "--nocapture", "--test-threads", "1"]);
        command.env("TACHO_KILL_ROLE", role).env("TACHO_KILL_CALLS", calls.to_string());
        command.env("TACHO_KILL_ROOT", &self.root).env("TACHO_KILL_SHM", &self.shm);
        command.env("TACHO_KILL_RUN", number.to_string());
        command.stdout(Stdio::null()).stderr(Stdio::null());
        (command.spawn().unwrap(), self.run(number))
    }

    /// A next logger, which recovers what the dead left.
    pub fn recover(&self) {
        start_isolated(self.config()).unwrap().close(LONG).unwrap();
    }

    /// What each thread of each run knows; runs that closed their logger must have recovered nothing.
    fn producers(&self) -> Vec<Producer> {
        let runs = 0..self.runs.load(Ordering::Relaxed);
        let of = |run: u64| {
            let words = self.run(run);
            let end = if words.has_reached(State::Closed) { End::Closed } else { End::Died };
            (0..THREADS).map(move |thread| {
                let returned = words.returned(thread).load(Ordering::Acquire);
                Producer { run, thread: thread as u64, returned, end }
            })
        };
        runs.flat_map(of).collect()
    }

    /// Whether the views hold what they must, when all is recovered. Returns what was found.
    pub fn judge(&self) -> Result<Tally, String> {
        let mut oracle = Oracle::new(self.producers());
        for text in texts(&self.logs, "load") {
            if !text.ends_with('\n') {
                return Err(format!("a file does not end with a line: …{:?}", text.lines().next_back()));
            }
            text.lines().for_each(|line| oracle.line(line));
        }
        let own = lines(&self.logs, "tachograph");
        let dropped = stated_drops(own.iter().map(|line| message(line)), "ring full");
        let tally = oracle.verdict(dropped).map_err(|faults| format!("{faults:#?}\n{own:#?}"))?;
        // Other than drops there was nothing to say.
        let other = own.iter().find(|line| !line.contains(" records dropped here: ring full"));
        other.map_or(Ok(tally), |line| Err(format!("the log says {line:?}")))
    }

    /// As [`judge`](Self::judge), and no call was dropped; on a fault everything is kept to be looked at.
    #[track_caller]
    pub fn check(&self, what: &str) -> Tally {
        match self.judge() {
            Ok(tally) if tally.dropped == 0 => {
                assert_eq!(self.live_folders(), Vec::<PathBuf>::new(), "{what}: something was not recovered");
                tally
            }
            verdict => panic!("{what}: {verdict:?}\nkept in {}", self.keep().display()),
        }
    }

    /// A copy of the directories, for who looks for the cause of a fault.
    fn keep(&self) -> PathBuf {
        let kept = tempfile::Builder::new().prefix("tacho-kill-kept-").tempdir().unwrap().keep();
        for from in [&self.root, &self.shm] {
            let _ = Command::new("cp").arg("-a").arg(from).arg(&kept).status();
        }
        kept
    }

    /// Folders of processes in shared memory.
    pub fn live_folders(&self) -> Vec<PathBuf> {
        let folders = |path: &Path| -> Vec<PathBuf> {
            std::fs::read_dir(path).into_iter().flatten().flatten().map(|entry| entry.path()).collect()
        };
        let of_all = folders(&self.shm).into_iter().flat_map(|folder| folders(&folder));
        of_all.filter(|path| path.is_dir()).collect()
    }
}

/// Kills, and waits for the end.
pub fn kill(child: &mut Child) {
    child.kill().unwrap();
    child.wait().unwrap();
}

/// Sends a signal to a process that was not waited for yet.
pub fn signal(child: &Child, number: i32) {
    // SAFETY: the number is that of our own child, which still exists, be it as a zombie.
    assert_eq!(unsafe { libc::kill(child.id() as i32, number) }, 0);
}

/// Small, seeded, and good enough for instants.
pub struct Dice(u64);

impl Dice {
    /// The same dice for the same `what`, run after run; others by `TACHO_SEED=7`, and by `TACHO_SEED=random` each time. The
    /// seed is printed, and shown when the test fails.
    pub fn new(what: &str) -> Self {
        let clock = || std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_nanos() as u64;
        let seed = match std::env::var("TACHO_SEED").as_deref() {
            Ok("random") => clock() % 1_000_000_007,
            Ok(text) => text.parse().expect("TACHO_SEED is a number, or `random`"),
            Err(_) => 1,
        };
        println!("{what}: TACHO_SEED={seed}");
        // Tests that throw the same number of dice for other things see other ones.
        let name = what
            .bytes()
            .fold(0xcbf2_9ce4_8422_2325, |hash: u64, byte| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3));
        Self(seed ^ name)
    }

    /// Below `end`.
    pub fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let mixed = (self.0 ^ self.0 >> 31).wrapping_mul(0xd6e8_feb8_6659_fd93);
        (mixed >> 20) % end.max(1)
    }
}
