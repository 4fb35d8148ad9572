//! What `tacho ship` is told.

use super::{Filter, span};
use clap::Args;
use std::path::PathBuf;
use std::time::Duration;
use tachograph::units::parse_bytes;

#[derive(Args, Debug)]
pub(crate) struct Ship {
    // Takes the place of the one for all commands, and of its value, wherever it stands.
    /// Log directory; may be repeated
    #[arg(id = "dir", short = 'D', long = "dir", value_name = "DIR", env = "TACHO_DIR", default_value = "logs")]
    pub(crate) dirs: Vec<PathBuf>,
    /// Where to: http(s)://HOST:PORT, to which /v1/logs is added, or with a path of its own; or servers of NATS,
    /// nats://HOST:PORT or tls://HOST:PORT, with commas between them
    ///
    /// Without it OTEL_EXPORTER_OTLP_LOGS_ENDPOINT, as it is, or OTEL_EXPORTER_OTLP_ENDPOINT with /v1/logs.
    #[arg(value_name = "URL")]
    pub(crate) url: Option<String>,
    /// Name of the cursor, one for each receiver: `otlp` or `nats` unless given
    #[arg(long, value_name = "NAME")]
    pub(crate) name: Option<String>,
    /// Go on with what comes, until SIGINT or SIGTERM
    #[arg(short, long)]
    pub(crate) follow: bool,
    // What is sent; all the rest is passed over, and not kept for it.
    #[command(flatten)]
    pub(crate) filter: Filter,
    /// Value of service.name; the name of the program that logged unless given
    #[arg(long, value_name = "NAME", env = "OTEL_SERVICE_NAME")]
    pub(crate) service_name: Option<String>,
    /// More attributes of the resource: `deployment.environment=prod`; may be repeated
    #[arg(long = "resource", value_name = "KEY=VALUE", value_parser = pair)]
    pub(crate) resource: Vec<(String, String)>,
    /// A file with a header `Name: value` in each line, for keys that must not stand in a list of processes; without it
    /// OTEL_EXPORTER_OTLP_HEADERS
    #[arg(long, value_name = "FILE")]
    pub(crate) headers_file: Option<PathBuf>,
    /// What subjects of NATS begin with: PREFIX.SERVICE.LEVEL.TARGET
    #[cfg(feature = "nats")]
    #[arg(long, value_name = "PREFIX", default_value = "tachograph")]
    pub(crate) subject: String,
    /// A file with what NATS is to be shown: lines `user: …` and `password: …`, a line `token: …`, a .creds file, or
    /// the seed of an nkey; without it NATS_CREDS and NATS_NKEY, which name files, or NATS_USER and NATS_PASSWORD, or NATS_TOKEN
    #[cfg(feature = "nats")]
    #[arg(long, value_name = "FILE")]
    pub(crate) auth_file: Option<PathBuf>,
    /// The authority that certifies the receiver, in PEM, where it is none of those that everybody believes
    #[arg(long, value_name = "FILE")]
    pub(crate) tls_ca: Option<PathBuf>,
    /// Our own certificate, in PEM, where the receiver asks for one
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    pub(crate) tls_cert: Option<PathBuf>,
    /// The key of it
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    pub(crate) tls_key: Option<PathBuf>,
    /// Records in a request, or unacknowledged, at most
    #[arg(long, value_name = "N", default_value_t = 8192, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub(crate) batch_records: u32,
    /// Bytes of a request at most, before compression
    #[arg(long, value_name = "BYTES", default_value = "2 MiB", value_parser = parse_bytes)]
    pub(crate) batch_bytes: u64,
    /// How long records may wait for more before they are sent
    #[arg(long, value_name = "TIME", default_value = "1s", value_parser = span)]
    pub(crate) batch_time: Duration,
    /// Records a second at most; 0 is without a limit
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(crate) rate: u32,
    /// How long an answer is waited for
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = span)]
    pub(crate) timeout: Duration,
    /// Where records go that the receiver refuses for ever, as JSON lines; `ship-NAME.refused.jsonl` in the log directory
    /// unless given
    #[arg(long, value_name = "FILE")]
    pub(crate) refused: Option<PathBuf>,
    /// How large that file may become; beyond, refused records are counted only
    #[arg(long, value_name = "BYTES", default_value = "64 MiB", value_parser = parse_bytes)]
    pub(crate) refused_bytes_max: u64,
    /// Delete the cursor, so that nothing is kept for it any more, and end
    #[arg(long, conflicts_with_all = ["url", "follow", "status"])]
    pub(crate) forget: bool,
    /// Show how far it is, and end
    #[arg(long, conflicts_with_all = ["url", "follow"])]
    pub(crate) status: bool,
    /// One JSON object; with --status
    #[arg(long, requires = "status")]
    pub(crate) json: bool,
}

fn pair(text: &str) -> Result<(String, String), String> {
    let (key, value) = text.split_once('=').ok_or_else(|| format!("{text:?} is no KEY=VALUE"))?;
    if key.is_empty() { Err("the key is empty".to_owned()) } else { Ok((key.to_owned(), value.to_owned())) }
}
