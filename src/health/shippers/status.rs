//! What a shipper says of itself, in `.journal/NAME.ship.json` beside its cursor. It writes that with each acknowledgement,
//! and every [`BEAT_INTERVAL`] while nothing is to be sent.

use serde::{Deserialize, Serialize};
use std::time::Duration;

/// Number of the JSON form; another meaning of a field is another number.
pub const SCHEMA: u32 = 1;
/// No such file is longer.
pub const BYTES_MAX: u64 = 64 << 10;
/// How often a shipper that follows says that it is there.
pub const BEAT_INTERVAL: Duration = Duration::from_secs(5);
/// What names of these files end with.
const SUFFIX: &str = ".ship.json";

/// Counted since the file was made, over restarts.
#[derive(Clone, PartialEq, Eq, Default, Debug, Serialize, Deserialize)]
#[serde(default)]
pub struct Status {
    /// [`SCHEMA`].
    pub schema: u32,
    /// The process that ships, or did last.
    pub pid: u32,
    /// The receiver, without what could be secret.
    pub receiver: String,
    /// It is to go on with what comes, and is not just run now and then.
    pub follows: bool,
    /// Records that the receiver acknowledged; what was sent twice counts twice.
    pub shipped: u64,
    /// Of them, those that it had stored before, where it says so.
    pub duplicates: u64,
    /// Records that it said it did not want, of requests that it took.
    pub rejected: u64,
    /// Records that it refused for ever; they stand in the file of refused ones as far as that has room.
    pub refused: u64,
    /// Of them, those that found no room there.
    pub refused_lost: u64,
    /// Segments that retention took before they were shipped.
    pub missing_segments: u64,
    /// Requests that were made again.
    pub retries: u64,
    /// Time of the last record that was acknowledged, nanoseconds since the Unix epoch.
    pub shipped_until_unix_ns: i64,
    /// When that was, nanoseconds since the Unix epoch.
    pub acknowledged_unix_ns: i64,
    /// When it last had nothing left to send, nanoseconds since the Unix epoch.
    pub caught_up_unix_ns: i64,
    /// When this was written, nanoseconds since the Unix epoch.
    pub written_unix_ns: i64,
    /// What is wrong now.
    pub trouble: Option<String>,
}

impl Status {
    /// The name of the file of the shipper called `name`.
    pub fn file_name(name: &str) -> String {
        format!("{name}{SUFFIX}")
    }

    /// Whose status stands in a file of this name; `None` where it is none.
    pub fn shipper_of(file_name: &str) -> Option<&str> {
        file_name.strip_suffix(SUFFIX)
    }

    /// Reads a file's bytes.
    ///
    /// # Errors
    /// What is wrong with them.
    pub fn from_json(bytes: &[u8]) -> Result<Self, String> {
        let status: Self = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
        match status.schema {
            SCHEMA => Ok(status),
            other => Err(format!("it has schema {other}, this program knows {SCHEMA}")),
        }
    }
}
