//! What the commands that read are told.

use clap::{Args, ValueEnum};
use std::path::PathBuf;
use tachograph::LevelFilter;

#[derive(Args, Debug)]
pub(crate) struct Cat {
    /// Segment files to read instead of the log directory
    #[arg(value_name = "FILE")]
    pub(crate) files: Vec<PathBuf>,
    #[command(flatten)]
    pub(crate) filter: Filter,
    #[command(flatten)]
    pub(crate) show: Show,
}

#[derive(Args, Debug)]
pub(crate) struct Tail {
    /// Go on with what comes, until interrupted
    #[arg(short, long)]
    pub(crate) follow: bool,
    /// How many of the last records to show
    #[arg(short = 'n', long = "lines", value_name = "N", default_value_t = 10)]
    pub(crate) lines: usize,
    #[command(flatten)]
    pub(crate) filter: Filter,
    #[command(flatten)]
    pub(crate) show: Show,
}

#[derive(Args, Debug)]
pub(crate) struct Grep {
    /// A regular expression, or a condition on a field: order_id=42, price>=100.5, symbol~^BTC
    #[arg(value_name = "TERM", required_unless_present = "regexps")]
    pub(crate) terms: Vec<String>,
    /// A regular expression, whatever it looks like; of several, one must match
    #[arg(short = 'e', long = "regexp", value_name = "REGEX", allow_hyphen_values = true)]
    pub(crate) regexps: Vec<String>,
    /// Upper and lower case are the same
    #[arg(short = 'i', long)]
    pub(crate) ignore_case: bool,
    /// Regular expressions are plain texts
    #[arg(short = 'F', long)]
    pub(crate) fixed_strings: bool,
    /// Show the records that do not match
    #[arg(short = 'v', long)]
    pub(crate) invert_match: bool,
    /// Show how many match, and nothing else
    #[arg(short, long)]
    pub(crate) count: bool,
    /// End after this many matches
    #[arg(short, long, value_name = "N")]
    pub(crate) max_count: Option<u64>,
    /// Show this many records after each match, of those that the other options let through
    #[arg(short = 'A', long, value_name = "N")]
    pub(crate) after_context: Option<usize>,
    /// Show this many records before each match
    #[arg(short = 'B', long, value_name = "N")]
    pub(crate) before_context: Option<usize>,
    /// Show this many records before and after each match
    #[arg(short = 'C', long, value_name = "N")]
    pub(crate) context: Option<usize>,
    #[command(flatten)]
    pub(crate) filter: Filter,
    #[command(flatten)]
    pub(crate) show: Show,
}

#[derive(Args, Debug)]
pub(crate) struct Trace {
    /// What the records have in common, as KEY=VALUE
    #[arg(value_name = "KEY=VALUE", required = true)]
    pub(crate) conditions: Vec<String>,
    #[command(flatten)]
    pub(crate) filter: Filter,
    #[command(flatten)]
    pub(crate) show: Show,
}

#[derive(Args, Debug)]
pub(crate) struct Stat {
    /// By what records are counted; may be repeated. Target, level and site unless given
    #[arg(long, value_enum, value_name = "WHAT")]
    pub(crate) by: Vec<StatBy>,
    /// How many of each kind to show; 0 shows all
    #[arg(short = 'n', long, value_name = "N", default_value_t = 20)]
    pub(crate) top: usize,
    /// One JSON object
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) filter: Filter,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum, Debug)]
pub(crate) enum StatBy {
    /// The target
    Target,
    /// The level
    Level,
    /// The call site: file and line
    Site,
    /// The thread
    Thread,
    /// The process
    Process,
    /// Minutes of time
    Minute,
    /// Hours of time
    Hour,
}

#[derive(Args, Debug)]
pub(crate) struct Export {
    /// The format
    #[arg(short, long, value_enum)]
    pub(crate) format: ExportFormat,
    /// Write to this file instead of standard output; compressed if its name ends in .gz
    #[arg(short = 'O', long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
    /// Replace the file if it is there
    #[arg(long, requires = "output")]
    pub(crate) force: bool,
    /// Columns of CSV: names of fields, or of the record's own values
    #[arg(long, value_name = "NAMES", value_delimiter = ',', value_parser = Column::parse)]
    pub(crate) columns: Vec<Column>,
    #[command(flatten)]
    pub(crate) filter: Filter,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum, Debug)]
pub(crate) enum ExportFormat {
    /// Lines as in the default log files
    Text,
    /// One JSON object in a line
    Json,
    /// JSON with the names of the Elastic Common Schema
    Ecs,
    /// key=value pairs
    Logfmt,
    /// Comma-separated values with a heading (RFC 4180); fields that have no column of their own are in the last one, as JSON
    Csv,
    /// OTLP as JSON, as the file exporter of the OpenTelemetry Collector writes it
    #[cfg(feature = "ship")]
    OtlpJson,
}

/// A column of CSV.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Column(pub(crate) String);

impl Column {
    fn parse(text: &str) -> Result<Self, String> {
        if text.is_empty() { Err("a column needs a name".to_owned()) } else { Ok(Self(text.to_owned())) }
    }
}

/// Which records.
#[derive(Args, Debug)]
pub(crate) struct Filter {
    /// Only this target and what is below it (`risk` shows `risk::limits` too); may be repeated
    #[arg(short, long = "unit", value_name = "TARGET")]
    pub(crate) units: Vec<String>,
    /// Only this level and what is more urgent: critical, error, warn, info, debug, trace
    #[arg(short, long, value_name = "LEVEL")]
    pub(crate) priority: Option<LevelFilter>,
    /// Only records whose message and fields match
    #[arg(short, long, value_name = "REGEX")]
    pub(crate) grep: Option<String>,
    /// Only records from then on: `2026-11-20 10:00`, `10:00`, `today`, `-10min`, `2h ago`, `@1795176000`, RFC 3339
    #[arg(short = 'S', long, value_name = "TIME", allow_hyphen_values = true)]
    pub(crate) since: Option<String>,
    /// Only records until then, in the same forms
    #[arg(short = 'U', long, value_name = "TIME", allow_hyphen_values = true)]
    pub(crate) until: Option<String>,
    /// Times are UTC: those given without an offset, and those of --local
    #[arg(long)]
    pub(crate) utc: bool,
}

/// How they are shown.
#[derive(Args, Debug)]
pub(crate) struct Show {
    /// How records are shown
    #[arg(short, long, value_enum, default_value_t = Output::Text)]
    pub(crate) output: Output,
    /// Times of text lines are local, with their offset
    #[arg(long, conflicts_with = "utc")]
    pub(crate) local: bool,
    /// Colours: `auto` only on a terminal, and not where NO_COLOR is set
    #[arg(long, value_enum, value_name = "WHEN", default_value_t = Color::Auto)]
    pub(crate) color: Color,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum, Debug)]
pub(crate) enum Color {
    /// On a terminal
    Auto,
    /// Always
    Always,
    /// Never
    Never,
}

impl Color {
    /// Whether standard output is coloured.
    pub(crate) fn is_on(self) -> bool {
        use std::io::IsTerminal as _;
        match self {
            Self::Always => true,
            Self::Never => false,
            Self::Auto => {
                std::io::stdout().is_terminal()
                    && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
                    && std::env::var_os("TERM").is_none_or(|term| term != "dumb")
            }
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum, Debug)]
pub(crate) enum Output {
    /// Lines as in the default log files
    Text,
    /// One JSON object in a line
    Json,
    /// JSON with the names of the Elastic Common Schema
    Ecs,
    /// key=value pairs
    Logfmt,
    /// The message alone, exact; to a terminal with escapes made visible. A line that `run` or `pipe` logged is as it came
    Raw,
}
