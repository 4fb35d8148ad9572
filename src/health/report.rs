//! Vitals and findings of a directory as one JSON object: `health.json`, `tacho health --json`.

use super::check::{Checked, State};
use super::shippers::CheckedShipper;
use crate::format::escape::harmless_json;
use serde::{Deserialize, Serialize};

/// Number of the JSON form; another meaning of a field is another number.
pub const SCHEMA: u32 = 1;
/// Name of the file in the log directory.
pub const FILE: &str = "health.json";
/// No report is longer; what claims to be one is not read.
pub const BYTES_MAX: usize = 16 << 20;

/// The processes and shippers of a log directory, checked.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Report {
    /// [`SCHEMA`].
    pub schema: u32,
    /// The log directory.
    pub dir: String,
    /// When, RFC 3339.
    pub time: String,
    /// The same, nanoseconds since the Unix epoch.
    pub unix_ns: i64,
    /// The worst state.
    pub state: State,
    /// Why some process could not be looked at.
    pub unreadable: Vec<String>,
    /// The processes, in the order of their start.
    pub processes: Vec<Checked>,
    /// Who reads the journals with a cursor of its own, by name.
    #[serde(default)]
    pub shippers: Vec<CheckedShipper>,
}

impl Report {
    /// A report of this moment.
    pub fn new(dir: &str, unix_ns: i64, processes: Vec<Checked>, unreadable: Vec<String>) -> Self {
        let time = jiff::Timestamp::from_nanosecond(i128::from(unix_ns));
        Self {
            schema: SCHEMA,
            dir: dir.to_owned(),
            time: time.map(|time| time.to_string()).unwrap_or_default(),
            unix_ns,
            state: processes.iter().map(|checked| checked.state).max().unwrap_or_default(),
            unreadable,
            processes,
            shippers: Vec::new(),
        }
    }

    /// The same with these shippers.
    #[must_use]
    pub fn with_shippers(mut self, shippers: Vec<CheckedShipper>) -> Self {
        let states = shippers.iter().map(|checked| checked.state);
        self.state = states.chain([self.state]).max().unwrap_or_default();
        self.shippers = shippers;
        self
    }

    /// As JSON, with an end of line.
    pub fn to_json(&self) -> Vec<u8> {
        // Strings and numbers: nothing that could fail.
        let json = serde_json::to_string(self).unwrap_or_default();
        (harmless_json(&json) + "\n").into_bytes()
    }

    /// Reads what [`to_json`](Self::to_json) wrote.
    ///
    /// # Errors
    /// What is wrong with it; of another schema, which one.
    pub fn from_json(bytes: &[u8]) -> Result<Self, String> {
        #[derive(Deserialize)]
        struct Schema {
            schema: u32,
        }
        let Schema { schema } = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
        if schema != SCHEMA {
            return Err(format!("it has schema {schema}, this program knows {SCHEMA}"));
        }
        serde_json::from_slice(bytes).map_err(|error| error.to_string())
    }

    /// What was found of the process of this name.
    pub fn process(&self, name: &str) -> Option<&Checked> {
        self.processes.iter().find(|checked| checked.vitals.process == name)
    }

    /// What was found of the shipper of this name.
    pub fn shipper(&self, name: &str) -> Option<&CheckedShipper> {
        self.shippers.iter().find(|checked| checked.vitals.name == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::health::check::{Limits, check};
    use crate::health::vitals::{Life, Vitals};

    #[test]
    fn a_report_comes_back_and_another_schema_is_named() {
        let vitals = Vitals {
            process: "p \"x\"".to_owned(),
            life: Life::Dead,
            dropped: Default::default(),
            ..Vitals::default()
        };
        let report = Report::new("logs", 5, vec![check(None, vitals, &Limits::default())], vec!["q".to_owned()]);
        assert_eq!(report.state, State::Critical);
        let json = report.to_json();
        assert_eq!(Report::from_json(&json), Ok(report));
        let text = String::from_utf8(json.clone()).unwrap().replace("\"schema\":1", "\"schema\":9");
        assert!(Report::from_json(text.as_bytes()).unwrap_err().contains("schema 9"));
        assert!((0..json.len() - 1).all(|end| Report::from_json(&json[..end]).is_err()));
    }
}
