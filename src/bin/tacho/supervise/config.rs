//! `services.toml`: which programs are supervised, and how. Pure, but for [`read`] and [`find`].

use crate::invalid;
use rustix::process::Signal;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tachograph::supervisor::plan::Plan;
use tachograph::supervisor::{Restart, When};
use tachograph::units::parse_span;
use tachograph::{Level, supervisor};

/// The largest file that is read.
const FILE_BYTES_MAX: u64 = 4 << 20;
/// Signals that a program may be told to end by.
const SIGNALS: [(&str, Signal); 7] = [
    ("SIGTERM", Signal::TERM),
    ("SIGINT", Signal::INT),
    ("SIGQUIT", Signal::QUIT),
    ("SIGHUP", Signal::HUP),
    ("SIGUSR1", Signal::USR1),
    ("SIGUSR2", Signal::USR2),
    ("SIGKILL", Signal::KILL),
];

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    service: Vec<ServiceFile>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ServiceFile {
    name: String,
    command: Vec<String>,
    #[serde(default)]
    env: BTreeMap<String, String>,
    #[serde(default)]
    env_clear: bool,
    cwd: Option<PathBuf>,
    #[serde(default)]
    after: Vec<String>,
    restart: Option<String>,
    restart_max: Option<u32>,
    restart_period: Option<String>,
    backoff: Option<String>,
    backoff_max: Option<String>,
    jitter_percent: Option<u32>,
    stop_signal: Option<String>,
    stop_max: Option<String>,
    outlives_supervisor: Option<bool>,
    level: Option<String>,
    stderr_level: Option<String>,
}

/// A program to be supervised.
#[derive(Clone, Debug)]
pub(super) struct Program {
    pub(super) plan: Plan,
    pub(super) command: Vec<String>,
    pub(super) env: BTreeMap<String, String>,
    pub(super) env_clear: bool,
    pub(super) cwd: Option<PathBuf>,
    pub(super) stop_signal: Signal,
    /// It goes on when the supervisor is killed.
    pub(super) outlives_supervisor: bool,
    pub(super) level: Level,
    pub(super) stderr_level: Level,
}

/// The programs of the file; an error names it, the field, the value, and what may stand there.
pub(super) fn read(path: &Path) -> io::Result<Vec<Program>> {
    let about = |error: &dyn std::fmt::Display| format!("cannot read {}: {error}", path.display());
    let bytes = fs::metadata(path).map_err(|error| io::Error::new(error.kind(), about(&error)))?.len();
    if bytes > FILE_BYTES_MAX {
        return Err(invalid(about(&format!("{bytes} bytes are more than {FILE_BYTES_MAX}"))));
    }
    let text = fs::read_to_string(path).map_err(|error| io::Error::new(error.kind(), about(&error)))?;
    let programs = parse(&text).map_err(|why| invalid(format!("{}: {why}", path.display())))?;
    for program in &programs {
        find(program).map_err(|why| invalid(format!("{}: service.{}.{why}", path.display(), program.plan.name)))?;
    }
    Ok(programs)
}

fn parse(text: &str) -> Result<Vec<Program>, String> {
    let file: File = toml::from_str(text).map_err(|error| error.to_string())?;
    if file.service.is_empty() {
        return Err("there is no [[service]]; each has at least a name and a command".to_owned());
    }
    let program = |service: ServiceFile| {
        let name = service.name.clone();
        program(service).map_err(|why| format!("service.{name}.{why}"))
    };
    let programs: Vec<Program> = file.service.into_iter().map(program).collect::<Result<_, _>>()?;
    // Names and order are the machine's to judge.
    let plans = programs.iter().map(|program| program.plan.clone()).collect();
    supervisor::machine::Machine::new(plans).map_err(|error| error.to_string())?;
    Ok(programs)
}

fn program(service: ServiceFile) -> Result<Program, String> {
    let span = |field: &str, text: &Option<String>, otherwise: Duration| match text {
        Some(text) => parse_span(text).map_err(|why| format!("{field}: {why}")),
        None => Ok(otherwise),
    };
    let level = |field: &str, text: &Option<String>, otherwise: Level| match text {
        Some(text) => text.parse::<Level>().map_err(|why| format!("{field}: {text:?}: {why}")),
        None => Ok(otherwise),
    };
    if service.command.first().is_none_or(String::is_empty) {
        return Err("command: [] has no program; write [\"program\", \"argument\"]".to_owned());
    }
    if let Some(word) = service.command.iter().find(|word| word.contains('\0')) {
        return Err(format!("command: {word:?} has a NUL character"));
    }
    for (key, value) in &service.env {
        if key.is_empty() || key.contains(['=', '\0']) || value.contains('\0') {
            return Err(format!("env: {key:?} = {value:?} cannot be a variable"));
        }
    }
    let when = match service.restart.as_deref() {
        None | Some("on-failure") => When::OnFailure,
        Some("always") => When::Always,
        Some("never") => When::Never,
        Some(other) => return Err(format!("restart: {other:?} is none of \"on-failure\", \"always\", \"never\"")),
    };
    let jitter = service.jitter_percent.unwrap_or(20);
    if jitter > 100 {
        return Err(format!("jitter_percent: {jitter} is more than 100"));
    }
    let stop_signal = match service.stop_signal.as_deref() {
        None => Signal::TERM,
        Some(text) => SIGNALS.iter().find(|(name, _)| *name == text).map(|(_, signal)| *signal).ok_or_else(|| {
            let names: Vec<&str> = SIGNALS.iter().map(|(name, _)| *name).collect();
            format!("stop_signal: {text:?} is none of {}", names.join(", "))
        })?,
    };
    let restart = Restart::new()
        .when(when)
        .at_most(
            service.restart_max.unwrap_or(3),
            span("restart_period", &service.restart_period, Duration::from_secs(300))?,
        )
        .backoff(
            span("backoff", &service.backoff, Duration::from_millis(100))?,
            span("backoff_max", &service.backoff_max, Duration::from_secs(30))?,
        )
        .jitter_percent(jitter);
    let mut plan = Plan::new(service.name);
    plan.after = service.after;
    plan.restart = restart;
    plan.stop_max = span("stop_max", &service.stop_max, Duration::from_secs(10))?;
    plan.killable = true;
    Ok(Program {
        plan,
        command: service.command,
        env: service.env,
        env_clear: service.env_clear,
        cwd: service.cwd,
        stop_signal,
        outlives_supervisor: service.outlives_supervisor.unwrap_or(false),
        level: level("level", &service.level, Level::Info)?,
        stderr_level: level("stderr_level", &service.stderr_level, Level::Warn)?,
    })
}

/// Whether the working directory and the program are there, as far as can be told before it runs.
fn find(program: &Program) -> Result<(), String> {
    if let Some(cwd) = program.cwd.as_ref().filter(|cwd| !cwd.is_dir()) {
        return Err(format!("cwd: {:?} is no directory", cwd.display().to_string()));
    }
    let Some(name) = program.command.first() else { return Ok(()) };
    let can_run =
        |path: PathBuf| fs::metadata(path).is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0);
    let path = program.env.get("PATH").cloned().or_else(|| std::env::var("PATH").ok()).unwrap_or_default();
    let found = if name.contains('/') {
        can_run(program.cwd.as_deref().unwrap_or(Path::new(".")).join(name))
    } else {
        path.split(':').any(|folder| can_run(Path::new(folder).join(name)))
    };
    if found { Ok(()) } else { Err(format!("command: {name:?} is no program that can be run")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_says_what_is_to_run_and_how() {
        let text = r#"
            [[service]]
            name = "feed"
            command = ["sh", "-c", "exit 3"]
            env = { SYMBOL = "AAPL" }
            cwd = "/"
            restart = "always"
            restart_max = 5
            restart_period = "1 min"
            backoff = "10 ms"
            stop_signal = "SIGINT"
            stop_max = "2 s"
            stderr_level = "info"

            [[service]]
            name = "bot"
            command = ["./bot"]
            after = ["feed"]
        "#;
        let programs = parse(text).unwrap();
        let [feed, bot] = &programs[..] else { panic!("{programs:?}") };
        assert_eq!((feed.stop_signal, feed.plan.stop_max), (Signal::INT, Duration::from_secs(2)));
        assert_eq!((feed.level, feed.stderr_level), (Level::Info, Level::Info));
        let restart = Restart::new().when(When::Always).at_most(5, Duration::from_secs(60));
        assert_eq!(feed.plan.restart, restart.backoff(Duration::from_millis(10), Duration::from_secs(30)));
        assert_eq!((&*bot.plan.after, bot.plan.restart), (&["feed".to_owned()][..], Restart::new()));
        assert_eq!((bot.stop_signal, bot.outlives_supervisor), (Signal::TERM, false));
    }

    #[test]
    fn what_is_wrong_is_named_with_its_field_and_value() {
        let with = |line: &str| format!("[[service]]\nname = 'x'\ncommand = ['sh']\n{line}");
        let cases = [
            (String::new(), "no [[service]]"),
            ("[[service]]\nname = 'x'".to_owned(), "missing field `command`"),
            ("[[service]]\nname = 'x'\ncommand = []".to_owned(), "service.x.command: []"),
            (with("colour = 'red'"), "unknown field `colour`"),
            (with("restart = 'sometimes'"), "service.x.restart: \"sometimes\" is none of \"on-failure\""),
            (with("restart_period = '5 parsecs'"), "service.x.restart_period: \"5 parsecs\" is no span"),
            (with("stop_signal = 'SIGFOO'"), "service.x.stop_signal: \"SIGFOO\" is none of SIGTERM"),
            (with("stop_max = 'soon'"), "service.x.stop_max: \"soon\""),
            (with("jitter_percent = 101"), "service.x.jitter_percent: 101"),
            (with("level = 'loud'"), "service.x.level: \"loud\""),
            (with("env = { 'A=B' = '1' }"), "service.x.env: \"A=B\""),
            (with("after = ['y']"), "service.x.after: there is no service \"y\""),
            (with("restart_max = -1"), "restart_max"),
        ];
        for (text, expected) in cases {
            let error = parse(&text).unwrap_err();
            assert!(error.contains(expected), "{text}: {error}");
        }
    }

    #[test]
    fn what_cannot_be_run_is_found_before_it_is_tried() {
        let program = |lines: &str| parse(&format!("[[service]]\nname = 'x'\n{lines}")).unwrap().remove(0);
        find(&program("command = ['sh']")).unwrap();
        find(&program("command = ['bin/sh']\ncwd = '/'")).unwrap();
        assert!(find(&program("command = ['no-such-program-here']")).unwrap_err().contains("no-such-program-here"));
        assert!(find(&program("command = ['/']")).unwrap_err().contains("\"/\""));
        assert!(find(&program("command = ['sh']\ncwd = '/nowhere'")).unwrap_err().starts_with("cwd: \"/nowhere\""));
    }
}
