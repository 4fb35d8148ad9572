//! `tacho config`: shows configurations, and says whether one can be used.

use crate::args::{ConfigCommand, Preset};
use crate::talk::shown;
use std::io::{self, Write as _};
use std::path::Path;
use std::process::ExitCode;
use tachograph::{Config, Error};

/// The configuration is refused.
const REFUSED: u8 = 1;

pub(crate) fn run(command: &ConfigCommand) -> io::Result<ExitCode> {
    let (config, path) = match command {
        ConfigCommand::Show(wanted) => match (wanted.preset, wanted.names.as_slice()) {
            (Some(preset), names) => (Ok(of_preset(preset, names)?), None),
            (None, []) => (Ok(Config::new("logs")), None),
            (None, [file]) => (Config::from_file(file), Some(Path::new(file))),
            (None, _) => return Err(io::Error::other("one file is shown at a time")),
        },
        ConfigCommand::Check(wanted) => (Config::from_file(&wanted.file), Some(wanted.file.as_path())),
    };
    let valid = config.and_then(|config| config.validate().map(|()| config));
    match (valid, command) {
        (Ok(config), ConfigCommand::Show(_)) => {
            io::stdout().lock().write_all(config.to_toml().as_bytes())?;
            Ok(ExitCode::SUCCESS)
        }
        (Ok(_), ConfigCommand::Check(_)) => Ok(ExitCode::SUCCESS),
        (Err(error), _) if error.is_config() => {
            let at = path.and_then(|path| Some((path, line_of(path, &error)?)));
            let at = at.map(|(path, line)| format!("{}:{line}: ", path.display())).unwrap_or_default();
            writeln!(io::stderr(), "tacho: {}", shown(&format!("{at}{error}")))?;
            Ok(ExitCode::from(REFUSED))
        }
        (Err(error), _) => Err(io::Error::other(error)),
    }
}

fn of_preset(preset: Preset, names: &[String]) -> io::Result<Config> {
    match (preset, names) {
        (Preset::TradingBot, [name]) => Ok(Config::trading_bot(name)),
        (Preset::TradingBot, _) => Err(io::Error::other("trading-bot needs one name: --preset trading-bot NAME")),
        (Preset::TradingPlatform, []) => {
            Err(io::Error::other("trading-platform needs its services: --preset trading-platform NAME..."))
        }
        (Preset::TradingPlatform, names) => Ok(Config::trading_platform(names)),
    }
}

/// The line of the file in which the refused option stands, if it stands there. What cannot be read at all says its line
/// itself.
fn line_of(path: &Path, error: &Error) -> Option<usize> {
    let field = error.field()?;
    let text = std::fs::read_to_string(path).ok()?;
    let option = field.split(':').next().unwrap_or(field);
    let (table, name) = match option.strip_prefix("view.").and_then(|rest| rest.rsplit_once('.')) {
        Some((view, name)) => (Some(view), name),
        None => (None, option.rsplit('.').next().unwrap_or(option)),
    };
    let key = |line: &str| line.split_once('=').map(|(key, value)| (key.trim().to_owned(), value.trim().to_owned()));
    let mut within = table.is_none();
    for (index, line) in text.lines().enumerate() {
        let Some((key, value)) = key(line) else { continue };
        if let Some(view) = table.filter(|_| key == "name") {
            within = value.trim_matches(['"', '\'']) == view;
        }
        if within && key == name {
            return Some(index + 1);
        }
    }
    None
}
