//! The command line.

use std::ffi::OsString;
use std::path::PathBuf;

pub(crate) const HELP: &str = "\
A small trading bot on 1,000 recorded trades of XBTUSDT, which logs the way such bots do.

Usage: trading_bot [OPTIONS]

  --dir DIR     log directory [default: logs]
  --paced       keep the gaps between the trades as they were, divided by --speed; else flat out
  --speed N     with --paced: how much faster than life; all of it takes 6.8 hours at 1 [default: 1000]
  --repeat N    replay the trades N times, with new ids, N from 1 to 10000 [default: 1]
  --lobster     a further thread logs 999 order-book messages of AAPL
  --help        show this

A second run appends to the files of the first, and each trade id then stands there once per run. Nothing is deleted;
for a run by itself name a new directory.
";

const SPEED_DEFAULT: f64 = 1000.0;
const REPEAT_MAX: u64 = 10_000;

/// What the user wants.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Options {
    pub(crate) dir: PathBuf,
    /// How much faster than life; `None` is flat out.
    pub(crate) speed: Option<f64>,
    pub(crate) repeat: u64,
    pub(crate) lobster: bool,
}

#[derive(Clone, PartialEq, Debug)]
pub(crate) enum Parsed {
    Run(Options),
    Help,
}

/// Reads the arguments behind the program's name.
pub(crate) fn parse(args: impl Iterator<Item = OsString>) -> Result<Parsed, String> {
    let mut options = Options { dir: PathBuf::from("logs"), speed: None, repeat: 1, lobster: false };
    let (mut paced, mut speed) = (false, None);
    let mut args = args;
    while let Some(arg) = args.next() {
        let mut value = |what: &str| args.next().ok_or_else(|| format!("{} needs {what}", arg.display()));
        match arg.to_str() {
            Some("--dir") => options.dir = value("a directory")?.into(),
            Some("--paced") => paced = true,
            Some("--speed") => {
                let text = value("a number")?;
                let number = text.to_str().and_then(|text| text.parse::<f64>().ok());
                let number = number.filter(|number| number.is_finite() && *number > 0.0);
                speed = Some(number.ok_or_else(|| format!("--speed {}: not a number above 0", text.display()))?);
            }
            Some("--repeat") => {
                let text = value("a number")?;
                let number = text.to_str().and_then(|text| text.parse::<u64>().ok());
                let number = number.filter(|number| (1..=REPEAT_MAX).contains(number));
                options.repeat = number
                    .ok_or_else(|| format!("--repeat {}: not a number from 1 to {REPEAT_MAX}", text.display()))?;
            }
            Some("--lobster") => options.lobster = true,
            Some("--help" | "-h") => return Ok(Parsed::Help),
            _ => return Err(format!("unknown argument {}", arg.display())),
        }
    }
    if speed.is_some() && !paced {
        return Err("--speed is for --paced".to_owned());
    }
    if options.dir.as_os_str().is_empty() {
        return Err("--dir needs a directory, not an empty name".to_owned());
    }
    options.speed = paced.then(|| speed.unwrap_or(SPEED_DEFAULT));
    Ok(Parsed::Run(options))
}
