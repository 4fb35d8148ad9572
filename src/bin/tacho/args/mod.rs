//! What the user wrote.

mod archive;
mod cleanup;
mod read;
#[cfg(feature = "ship")]
mod ship;

pub(crate) use archive::{Archive, ArchiveCleanup, ArchiveCreate, ArchiveExtract, ArchiveList, ArchiveVerify};
pub(crate) use cleanup::Cleanup;
pub(crate) use read::{Cat, Column, Export, ExportFormat, Filter, Grep, Output, Show, Stat, StatBy, Tail, Trace};

#[cfg(feature = "ship")]
pub(crate) use ship::Ship;

use clap::{Parser, Subcommand, ValueEnum};
use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;
use tachograph::Level;

/// Read what Tachograph recorded: live, after a crash, or from a copy.
#[derive(Parser, Debug)]
#[command(
    name = "tacho",
    version,
    max_term_width = 100,
    after_help = "\
Data goes to standard output, talk to standard error. Every command has examples: tacho COMMAND --help.

Exit status, unless the help of a command says otherwise: 0 when it was done, 1 when nothing was found, 2 when something \
went wrong. A reader that closes the pipe has seen enough: 0."
)]
pub(crate) struct Args {
    /// Log directory
    #[arg(short = 'D', long, value_name = "DIR", env = "TACHO_DIR", default_value = "logs", global = true)]
    pub(crate) dir: PathBuf,
    /// Say nothing on standard error but errors. `grep -q` and `health -q` show nothing either: the exit status tells
    #[arg(short, long, global = true)]
    pub(crate) quiet: bool,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Subcommand, Debug)]
pub(crate) enum Command {
    /// Show the whole journal in the order of time
    #[command(after_help = "\
Examples:
  tacho cat                                    everything in ./logs
  tacho -D /var/log/bot cat -p warn            warnings and what is more urgent
  tacho cat -u order_watcher --since -10min    one component, the last ten minutes
  tacho cat -g 'order_id=42\\b' -o json | jq .  what was said of an order, as JSON
  tacho cat -u dashboard::stdout -o raw        what a program of `tacho run` printed
  tacho cat saved/00000042.seg.gz              a segment that was copied alone

Exit status: 0, also when nothing was found; 2 when something could not be read, and the rest was shown.")]
    Cat(Cat),
    /// Show the last records, and follow what comes
    #[command(after_help = "\
Examples:
  tacho tail                      the last ten records
  tacho tail -f                   and all that come, before they are on disk
  tacho tail -n 100 -p error      the last hundred errors
  tacho tail -f -u feed -u risk   two components
  tacho tail -n 0 -f -o raw       messages alone, from now on

Exit status: 0, also when nothing was found; 2 when something could not be read, and the rest was shown.")]
    Tail(Tail),
    /// Search the journal: regular expressions, and fields by value
    ///
    /// A TERM of the form KEY=VALUE is a condition on a field of the record, or on a value that its message names
    /// (`order {order_id}`); the others are KEY!=VALUE, KEY<VALUE, KEY<=VALUE, KEY>VALUE, KEY>=VALUE, KEY~REGEX and KEY!~REGEX.
    /// Numbers compare as numbers. A record without the field meets no condition, not even KEY!=VALUE. Without such a
    /// field, `target`, `level`, `thread`, `tid`, `process`, `seq`, `file`, `line` and `module` are the record's own.
    /// Several KEY=VALUE of one key mean any of them. Every other TERM is a regular expression for message and fields,
    /// as with -e. All must hold. With -q nothing is shown, and the first match is the end.
    ///
    /// Exit status: 0 when something was found, 1 when nothing was, 2 when something went wrong.
    #[command(after_help = "\
Examples:
  tacho grep 'time.?out'                           as zgrep, over all components, archives too
  tacho grep order_id=12345                        a field by its value; 12345 is not found in 9123456
  tacho grep symbol=BTC/USDT 'qty>=0.5' -p warn    conditions on fields, and a level
  tacho grep -i reject -C 3 -u risk                with three records before and after, of one component
  tacho grep -c level=ERROR --since -1h            how many
  tacho grep -q 'critical|panic' && page-somebody  for scripts
  tacho grep -e key=value                          a regular expression that looks like a condition")]
    Grep(Grep),
    /// Follow one order, request or trade over all components and processes
    ///
    /// Shows every record whose fields, or values named in the message, are as given, in the order of time, each with the
    /// time since the first and since the one before. Several values of one key mean any of them, several keys all. Whatever
    /// `grep` takes as a condition is taken.
    ///
    /// Exit status: 0 when something was found, 1 when nothing was, 2 when something went wrong.
    #[command(after_help = "\
Examples:
  tacho trace order_id=12345
  tacho trace order_id=12345 order_id=12346 --since today
  tacho trace client=42 symbol=AAPL -o json | jq .since_previous_ns")]
    Trace(Trace),
    /// Who writes the most: records and bytes by target, level and call site
    ///
    /// Bytes are those of the journal before compression. What sampling left out and what was dropped is shown apart.
    #[command(after_help = "\
Examples:
  tacho stat                            targets, levels and the twenty busiest call sites
  tacho stat --by site --top 5 --since -1h
  tacho stat --by minute -u order_watcher
  tacho stat --json | jq '.by_target[0]'

Exit status: 0, also when nothing was found; 2 when something could not be read.")]
    Stat(Stat),
    /// Write the journal, or a part of it, in another format
    ///
    /// To standard output, or with -O to a file that is written aside, synced and renamed, so that it is there whole or
    /// not at all.
    #[command(after_help = "\
Examples:
  tacho export --format csv --columns order_id,price,quantity -u order_watcher > orders.csv
  tacho export --format ecs --since today -O today.json
  tacho export --format text -O whole.log.gz            compressed, by its name

Exit status: 0, also when nothing was found; 2 when something could not be read or written.")]
    Export(Export),
    /// Give back space: old archives and backups of our own, giant logs of other programs
    ///
    /// With --vacuum-size, --vacuum-time and --vacuum-files the oldest archived segments of journals and backups of views are
    /// deleted; several must all hold. What is being written, what is not in the views yet or not shipped, and what is not known
    /// to be ours is never deleted, nor are the archives of `tacho archive`. The programs that log there may run meanwhile.
    ///
    /// With --emergency, log files of other programs below the log directory, or below the given paths, that are larger
    /// than --larger-than go compressed to `archive/emergency_(UTC time)/` in the log directory. Piece by piece: compressed,
    /// written, read back, inflated and compared, and only then taken off the file. So little room is needed, nothing that a
    /// program appends meanwhile is lost, and it may be interrupted at any time.
    ///
    /// Where every program that writes the file appends to it, the file's beginning is taken off (the file gets shorter);
    /// else a hole comes in its place (the size stays, the space is free). Where the file system can do neither, the file is
    /// emptied, if no program has it open, or with --truncate. Files of Tachograph itself are never touched by it.
    #[command(after_help = "\
Examples:
  tacho cleanup --vacuum-size 500MB --dry-run          what would be deleted of ./logs
  tacho cleanup --vacuum-time 30d                      nothing that is older than thirty days
  tacho cleanup --vacuum-size 2GB --vacuum-files 1000  both
  tacho cleanup --emergency --dry-run                  which giant logs there are in ./logs
  tacho cleanup --emergency /var/log/bot/bot.log       this file, whatever its size
  tacho -D /var/log/bot cleanup --emergency --larger-than 1GB /opt/bot
  zcat logs/archive/emergency_*/bot.log.gz | tail      what it held

Exit status: 0 when it was done, or nothing was to be done; 2 when something went wrong.")]
    Cleanup(Cleanup),
    /// Archives: list, make, check, unpack, delete
    #[command(subcommand)]
    Archive(Archive),
    /// Do the disk work of the programs that log with `worker = "external"`, until interrupted
    ///
    /// A program that logs with `worker = "external"` touches shared memory only. This command does the rest for all such
    /// programs of the directory, in a process of its own: it archives their journals, writes the log files, rotates,
    /// compresses, deletes what is too old, and recovers what the dead left. So the program can exit, fork and be killed
    /// even while the disk hangs.
    ///
    /// Nothing is lost without it, at first: shared memory absorbs what is logged, and the next `tacho collect` takes it all.
    /// Only when shared memory is full are records dropped and counted.
    ///
    /// It may be stopped and killed at any time. SIGTERM and SIGINT end it within a few seconds, with everything logged by
    /// then in the files and synced, as far as the disk takes it. One is at work per directory; a second one waits and takes
    /// over. Settings (files, rotation, retention, sync) are those that the logging programs were started with.
    #[command(after_help = "\
Examples:
  tacho collect -D /var/log/bot                    for all programs that log there
  tacho collect -D /var/log/bot -D /var/log/risk   for two directories
  tacho collect -D logs --exit-when-idle           what is left of programs that ended; then end

Exit status: 0 when it ended as told, 2 when a directory cannot be used.")]
    Collect(Collect),
    /// Check whether the journals on disk are whole
    ///
    /// Exit status: 0 when all is well, 1 when something is damaged or missing, 2 when something could not be checked.
    #[command(after_help = "\
Examples:
  tacho verify                                 everything in ./logs
  tacho verify --json | jq '.files[] | select(.ok | not)'
  tacho verify saved/00000042.seg.gz           a segment that was copied alone")]
    Verify(Verify),
    /// Bring to disk what dead processes left in shared memory
    ///
    /// Their records are archived, and the views brought up to date unless a living process does that. A logger that
    /// runs or starts there does the same. Exit status: 0 when it was done, 2 when something was not.
    #[command(after_help = "\
Examples:
  tacho recover                     the dead of ./logs
  tacho recover --dry-run           only say what there is
  tacho recover --force 4711        process 4711 is dead, but a child that it forked holds its lock")]
    Recover(Recover),
    /// How the programs are that log to the directory
    ///
    /// Reads their shared memory; they notice nothing, and need not live. What is wrong comes first, with advice. Of a
    /// directory without live memory, a copy for example, health.json is shown, which the programs write every five minutes.
    ///
    /// Losses are those since the last entry in health.json; with --watch, since the last look.
    #[command(after_help = "\
Examples:
  tacho health                                 all processes of ./logs
  tacho -D /var/log/bot health -q || page      nothing but the exit status
  tacho health --json | jq '.processes[].findings'
  tacho health --prom > /var/lib/node_exporter/tachograph.prom
  tacho health --watch 2                       every two seconds, until interrupted

Exit status: 0 ok, 1 warning, 2 critical, 3 when nothing was found or nothing could be read.")]
    Health(Health),
    /// Watch the programs that log to the directory, on the whole screen
    ///
    /// Rates, lags, rings, disk, findings and the last warnings; per target and per process. Looks every so many SECONDS.
    /// The programs notice nothing, and need not live: of a directory without live memory, health.json and the journals are
    /// shown. With --once the first page is written as text, or everything as JSON: two looks, so many SECONDS apart.
    ///
    /// Keys: q ends, Tab and arrows turn the pages and scroll, p pauses, ? helps.
    #[command(after_help = "\
Examples:
  tacho monitor                                all processes of ./logs, every second
  tacho -D /var/log/bot monitor 5              every five seconds
  tacho monitor --once                         the first page, as text
  tacho monitor --once --json | jq '.targets[:3]'

Exit status: 0 ok; with --once, 1 when no process is known there; 2 when something went wrong; 128 and its number \
after a signal.")]
    Monitor(Monitor),
    /// Change levels of running programs
    ///
    /// TARGET=LEVEL for a target and what is below it, LEVEL alone for all that have none of their own; several with commas. Holds
    /// until the program ends. The program's answer is shown: the levels in force. A target that nothing was logged to yet
    /// is refused, with those that there are, unless --any is given.
    #[command(after_help = "\
Examples:
  tacho level order_watcher=debug              of all programs that log to ./logs
  tacho level warn,feed::parser=trace          everything else at warn
  tacho -D /var/log/bot level --process 4711 risk=off
  tacho level --any not_seen_yet=trace         a target that nothing was logged to yet

Exit status: 0 when it was done, 1 when no program logs there, 2 when it was refused or not answered.")]
    Level(SetLevel),
    /// Have files of the views put away, as if they were full
    ///
    /// The program that writes the views does it. Waits a second for its answer; with --wait, until it is done.
    #[command(after_help = "\
Examples:
  tacho rotate                                 all files of ./logs
  tacho rotate -u order_watcher --wait         one, and wait until it is put away
  tacho -D /var/log/bot rotate --wait --quiet && upload

Exit status: 0 when it was done, or asked for; 1 when no program logs there, 2 when it was refused or not answered.")]
    Rotate(Rotate),
    /// Send the journal to a receiver that speaks OTLP over HTTP, as the OpenTelemetry Collector does, or to NATS JetStream
    ///
    /// Every record is sent at least once. How far it is stands in a cursor in the log directory, saved when the receiver has
    /// acknowledged; what is sent again after a kill has the same log.record.uid, or Nats-Msg-Id. Retention spares what was not shipped yet,
    /// within the limits of the archive. Runs beside the programs that log, which know nothing of it. What the receiver says
    /// is wrong with a record puts that into a file of refused records; a wrong key or path ends the command.
    #[cfg(feature = "ship")]
    #[command(after_help = "\
Examples:
  tacho ship http://127.0.0.1:4318                        all that is there, then end
  tacho -D /var/log/bot ship -f https://otlp.example --headers-file /etc/tachograph/otlp-headers
  OTEL_EXPORTER_OTLP_ENDPOINT=http://collector:4318 tacho ship -f --resource deployment.environment=prod
  tacho ship -f nats://127.0.0.1:4222 --auth-file /etc/tachograph/nats
  tacho ship --status                                     how far it is
  tacho ship --forget                                     keep nothing for it any more

Exit status: 0 when all was acknowledged or it was asked to stop, 1 with --status when nothing was ever shipped, 2 when \
something went wrong.")]
    Ship(Box<Ship>),
    /// Start a program and log what it prints, a record for each line
    ///
    /// What is on its standard output has the target COMPONENT::stdout, on its standard error COMPONENT::stderr; both are
    /// in COMPONENT's file. A line's level is the one that stands in it. Signals are passed on, and the exit status is
    /// the program's: its code, or 128 and the number of the signal that killed it; 125 when nothing could be logged,
    /// 126 and 127 when the program could not be started or found.
    ///
    /// A line of UTF-8 that ends in LF is the message. One that ends otherwise has the field ingest.end; one beyond 15 KiB
    /// comes in records with ingest.part; one that is not UTF-8 has ingest.escaped, its other bytes as \xNN and each
    /// backslash twice. The beginning of a line that does not go on for half a second is a part too.
    #[command(after_help = "\
Examples:
  tacho run --component dashboard -- python dashboard.py --port 8080
  tacho run --component feed --config tachograph.toml -- ./feed
  tacho run --component build --tee --stderr-level info -- make -j8
  tacho cat -u build::stdout -o raw            what it printed, byte for byte

Exit status: that of the program, or 125, 126, 127, 128 and the signal's number, as said above.")]
    Run(Run),
    /// Log what comes on standard input, a record for each line
    ///
    /// A line's level is the one that stands in it. Ends with the input; after SIGINT, SIGTERM, SIGHUP or SIGQUIT what
    /// comes within the grace time is still logged; the exit status is then 128 and the signal's number.
    ///
    /// A line of UTF-8 that ends in LF is the message. One that ends otherwise has the field ingest.end; one beyond 15 KiB
    /// comes in records with ingest.part; one that is not UTF-8 has ingest.escaped, its other bytes as \xNN and each
    /// backslash twice. The beginning of a line that does not go on for half a second is a part too.
    #[command(after_help = "\
Examples:
  python dashboard.py 2>&1 | tacho pipe --component dashboard
  journalctl -f -o cat -u nginx | tacho pipe --component nginx
  zcat old.log.gz | tacho -D /var/log/bot pipe --component old --level debug
  tacho cat -u old -o raw                      the same again, byte for byte

Exit status: 0 at the end of the input, 128 and its number after a signal, 2 when something could not be logged.")]
    Pipe(Ingest),
    /// Start programs in order, restart those that fail, log what they print
    ///
    /// Each program of FILE runs in a process group of its own; what it prints is logged as with `tacho run`, in a file of
    /// its name. One that fails is started again after a pause that doubles, at most 3 times in 5 minutes unless the file
    /// says otherwise; then it has failed for good. The others go on meanwhile. `tacho health` shows how they are.
    ///
    /// SIGTERM, SIGINT, SIGHUP and SIGQUIT stop all in reverse order: each group gets its stop signal, and is killed when it
    /// has not ended in time. A second one kills all at once. SIGUSR1 and SIGUSR2 are passed on to every program. When the
    /// supervisor itself is killed, so are the programs, but for those with `outlives_supervisor`.
    ///
    /// As a unit of systemd with Type=notify, it is ready when all programs have been started, and WATCHDOG=1 goes by the
    /// heartbeat of its writer.
    #[command(after_help = "\
Examples:
  tacho supervise services.toml
  tacho -D /var/log/platform supervise --config tachograph.toml services.toml
  tacho supervise --check services.toml        only whether the file can be used
  tacho cat -u order_watcher -o raw            what a program printed

  [[service]]
  name = \"order_watcher\"
  command = [\"./order_watcher\", \"--port\", \"8080\"]
  after = [\"feed\"]               # started when it runs, stopped before it
  env = { SYMBOL = \"AAPL\" }
  cwd = \"/opt/platform\"
  restart = \"on-failure\"         # or \"always\", \"never\"
  restart_max = 3
  restart_period = \"5 min\"
  backoff = \"100 ms\"             # doubled each time, up to
  backoff_max = \"30 s\"
  jitter_percent = 20
  stop_signal = \"SIGTERM\"
  stop_max = \"10 s\"              # then it is killed

Exit status: 0 when all ended well or as told, 1 when one has failed for good, 2 when something else went wrong.")]
    Supervise(Supervise),
    /// Write completions for a shell to standard output
    #[command(after_help = "\
Examples:
  tacho completions bash > ~/.local/share/bash-completion/completions/tacho
  tacho completions zsh > ~/.zfunc/_tacho
  tacho completions fish > ~/.config/fish/completions/tacho.fish

Exit status: 0.")]
    Completions {
        /// Which shell
        #[arg(value_enum)]
        shell: clap_complete::Shell,
    },
    /// Write manual pages: one for `tacho`, one for each command
    #[command(after_help = "\
Examples:
  tacho man | man -l -                        the page of tacho itself
  tacho man grep | man -l -                   the page of a command
  tacho man --to /usr/local/share/man/man1    all of them, as files

Exit status: 0; 2 when there is no such command, or a page cannot be written.")]
    Man {
        /// The page of this command
        #[arg(value_name = "COMMAND", conflicts_with = "to")]
        page: Option<String>,
        /// Write all pages into this directory, which must exist
        #[arg(long, value_name = "DIR")]
        to: Option<PathBuf>,
    },
    /// Show configurations, and say whether one can be used
    #[command(subcommand)]
    Config(ConfigCommand),
}

/// How what foreign programs print is logged.
#[derive(clap::Args, Debug)]
pub(crate) struct Ingest {
    /// Whose lines they are: the target of the records, and the name of their file
    #[arg(short, long, value_name = "NAME")]
    pub(crate) component: String,
    /// Level of lines that state none
    #[arg(short, long, value_name = "LEVEL", default_value = "info")]
    pub(crate) level: Level,
    /// A configuration file, with its `dir` instead of -D and its levels; without one, lines of every level are kept
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Pass through what is read as well
    #[arg(long)]
    pub(crate) tee: bool,
    /// How long a stream that others hold open is read on, after the program's end or a signal
    #[arg(long, value_name = "TIME", default_value = "2s", value_parser = span)]
    pub(crate) grace: Duration,
}

#[derive(clap::Args, Debug)]
pub(crate) struct Run {
    #[command(flatten)]
    pub(crate) ingest: Ingest,
    /// Level of lines on standard error that state none
    #[arg(long, value_name = "LEVEL", default_value = "warn")]
    pub(crate) stderr_level: Level,
    /// The program and its arguments
    #[arg(value_name = "COMMAND", required = true, trailing_var_arg = true)]
    pub(crate) command: Vec<OsString>,
}

#[derive(clap::Args, Debug)]
pub(crate) struct Supervise {
    /// The programs
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
    /// Only say whether the file can be used
    #[arg(long)]
    pub(crate) check: bool,
    /// A configuration file of the logger, with its `dir` instead of -D and its levels
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
}

/// A span of time, such as `2s` or `500ms`.
fn span(text: &str) -> Result<Duration, String> {
    let span = text.parse::<jiff::SignedDuration>().ok().and_then(|span| Duration::try_from(span).ok());
    span.ok_or_else(|| format!("{text:?} is no span of time; write 500ms or 2s"))
}

#[derive(Subcommand, Debug)]
pub(crate) enum ConfigCommand {
    /// Every option with its value, as a configuration file
    #[command(after_help = "\
Examples:
  tacho config show                                   the defaults
  tacho config show --preset trading-bot kraken_bot   a preset, as a file to begin with
  tacho config show --preset trading-platform order_watcher dashboard
  tacho config show tacho.toml                        a file, with all that it leaves open

Exit status: 0; 1 when the configuration is refused, 2 when the file cannot be read.")]
    Show(ShowConfig),
    /// Whether a program could start with a configuration file
    ///
    /// Exit status: 0 when it could, 1 when the configuration is refused, with the option and its line, 2 when the file cannot be
    /// read.
    #[command(after_help = "\
Examples:
  tacho config check tacho.toml
  tacho config check tacho.toml && systemctl restart bot")]
    Check(CheckConfig),
}

#[derive(clap::Args, Debug)]
pub(crate) struct ShowConfig {
    /// A preset instead of a file; what follows are its names
    #[arg(long, value_enum, value_name = "PRESET")]
    pub(crate) preset: Option<Preset>,
    /// The configuration file; with a preset, the name of the bot, or the names of the services
    #[arg(value_name = "FILE|NAME")]
    pub(crate) names: Vec<String>,
}

#[derive(clap::Args, Debug)]
pub(crate) struct CheckConfig {
    /// The configuration file
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum, Debug)]
pub(crate) enum Preset {
    /// A trading bot, with its name
    TradingBot,
    /// A platform, with the names of its services
    TradingPlatform,
}

#[derive(clap::Args, Debug)]
pub(crate) struct Collect {
    // Takes the place of the one for all commands, and of its value, wherever it stands.
    /// Log directory; may be repeated
    #[arg(id = "dir", short = 'D', long = "dir", value_name = "DIR", env = "TACHO_DIR", default_value = "logs")]
    pub(crate) dirs: Vec<PathBuf>,
    /// Directory of the shared-memory file system, where the programs set another
    #[arg(long, value_name = "DIR", default_value = "/dev/shm")]
    pub(crate) shm_dir: PathBuf,
    /// End when no program is left that logs there, and everything is in the files
    #[arg(long)]
    pub(crate) exit_when_idle: bool,
}

#[derive(clap::Args, Debug)]
pub(crate) struct Recover {
    /// Only say what there is
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Recover this process although its lock is held, if only forked children of it hold it
    #[arg(long, value_name = "NAME|PID")]
    pub(crate) force: Option<String>,
    /// The directory of the shared-memory file system that the loggers use
    #[arg(long, value_name = "DIR", default_value = "/dev/shm")]
    pub(crate) shm_dir: PathBuf,
    /// One JSON object
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(clap::Args, Debug)]
pub(crate) struct Health {
    /// One JSON object
    #[arg(long, conflicts_with = "prom")]
    pub(crate) json: bool,
    /// The text format of Prometheus
    #[arg(long)]
    pub(crate) prom: bool,
    /// Look again, every so many seconds
    #[arg(long, value_name = "SECONDS", num_args = 0..=1, default_missing_value = "5", require_equals = false,
          value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) watch: Option<u32>,
}

#[derive(clap::Args, Debug)]
pub(crate) struct Monitor {
    /// How long between two looks
    #[arg(value_name = "SECONDS", default_value = "1", value_parser = seconds)]
    pub(crate) seconds: Duration,
    /// Look once, and end; for scripts
    #[arg(long)]
    pub(crate) once: bool,
    /// One JSON object
    #[arg(long, requires = "once")]
    pub(crate) json: bool,
}

/// Seconds, such as `1` or `0.5`.
fn seconds(text: &str) -> Result<Duration, String> {
    let seconds = text.parse::<f64>().ok().filter(|seconds| (0.1..=3600.0).contains(seconds));
    seconds.map(Duration::from_secs_f64).ok_or_else(|| format!("{text:?} is no number of seconds from 0.1 to 3600"))
}

#[derive(clap::Args, Debug)]
pub(crate) struct SetLevel {
    /// What is to be logged from now on
    #[arg(value_name = "TARGET=LEVEL", required = true)]
    pub(crate) directives: String,
    /// Also targets that nothing was logged to yet
    #[arg(long)]
    pub(crate) any: bool,
    #[command(flatten)]
    pub(crate) ask: Ask,
}

#[derive(clap::Args, Debug)]
pub(crate) struct Rotate {
    /// Only the file of this target, component or view
    #[arg(short, long = "unit", value_name = "TARGET", default_value = "", hide_default_value = true)]
    pub(crate) unit: String,
    /// Wait until it is done
    #[arg(long)]
    pub(crate) wait: bool,
    #[command(flatten)]
    pub(crate) ask: Ask,
}

/// Who is asked, and how long for.
#[derive(clap::Args, Debug)]
pub(crate) struct Ask {
    /// Only this process
    #[arg(long, value_name = "NAME|PID")]
    pub(crate) process: Option<String>,
    /// How long an answer is waited for
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = span)]
    pub(crate) timeout: Duration,
}

#[derive(clap::Args, Debug)]
pub(crate) struct Verify {
    /// Log directories, folders with segment files, or segment files, instead of the log directory
    #[arg(value_name = "PATH")]
    pub(crate) paths: Vec<PathBuf>,
    /// One JSON object
    #[arg(long)]
    pub(crate) json: bool,
}
