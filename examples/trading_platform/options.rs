//! The command line.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

pub(crate) const HELP: &str = "\
A trading platform of eight services, on 999 order-book messages of AAPL. One service crashes on purpose.

Usage: trading_platform [OPTIONS]

  --dir DIR         log directory [default: logs]
  --only NAME       this service alone, as a process of its own; it does not crash
  --crash NAME:N    who crashes, at which message; `none` for nobody [default: risk_manager:300]
  --backoff MS      how long it is away [default: 100]
  --pace MS         between two messages [default: 1]
  --help            show this
";

/// What the user wants.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Options {
    pub(crate) dir: PathBuf,
    pub(crate) only: Option<String>,
    pub(crate) crash: Option<(String, u64)>,
    pub(crate) backoff: Duration,
    pub(crate) pace: Duration,
}

/// Reads the arguments behind the program's name; `None` when help is wanted.
pub(crate) fn parse(mut args: impl Iterator<Item = OsString>) -> Result<Option<Options>, String> {
    let mut options = Options {
        dir: PathBuf::from("logs"),
        only: None,
        crash: Some(("risk_manager".to_owned(), 300)),
        backoff: Duration::from_millis(100),
        pace: Duration::from_millis(1),
    };
    while let Some(arg) = args.next() {
        let name = arg.display().to_string();
        let mut value = || args.next().ok_or_else(|| format!("{name} needs a value"));
        let mut text = || value()?.into_string().map_err(|value| format!("{name} {}: not a text", value.display()));
        let millis = |text: String| {
            text.parse::<u64>().map(Duration::from_millis).map_err(|_| format!("{name} {text}: not a number"))
        };
        match arg.to_str() {
            Some("--dir") => options.dir = value()?.into(),
            Some("--only") => options.only = Some(text()?),
            Some("--crash") => options.crash = crash(&text()?)?,
            Some("--backoff") => options.backoff = millis(text()?)?,
            Some("--pace") => options.pace = millis(text()?)?,
            Some("--help" | "-h") => return Ok(None),
            _ => return Err(format!("unknown argument {name}")),
        }
    }
    Ok(Some(options))
}

fn crash(text: &str) -> Result<Option<(String, u64)>, String> {
    if text == "none" {
        return Ok(None);
    }
    let parts = text.split_once(':').and_then(|(name, number)| Some((name.to_owned(), number.parse().ok()?)));
    parts.map(Some).ok_or_else(|| format!("--crash {text}: write NAME:NUMBER, or none"))
}
