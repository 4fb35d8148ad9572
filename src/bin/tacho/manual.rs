//! `tacho completions` and `tacho man`: made from the description of the command line itself.

use crate::args::Args;
use crate::invalid;
use clap::CommandFactory as _;
use clap_mangen::Man;
use std::io::{self, Write as _};
use std::path::Path;
use std::process::ExitCode;

/// Writes the completions for a shell.
pub(crate) fn completions(shell: clap_complete::Shell) -> io::Result<ExitCode> {
    let mut text = Vec::new();
    clap_complete::generate(shell, &mut Args::command(), "tacho", &mut text);
    io::stdout().write_all(&text)?;
    Ok(ExitCode::SUCCESS)
}

/// Writes a page to standard output, or all into a directory.
pub(crate) fn pages(page: Option<&str>, to: Option<&Path>) -> io::Result<ExitCode> {
    let mut command = Args::command();
    command.build();
    if let Some(dir) = to {
        write(dir, &command)?;
        for sub in command.get_subcommands().filter(|sub| !sub.is_hide_set()) {
            write(dir, sub)?;
        }
        return Ok(ExitCode::SUCCESS);
    }
    let found = page.map_or(Some(&command), |name| command.find_subcommand(name));
    let found = found.ok_or_else(|| {
        let names: Vec<&str> = command.get_subcommands().map(clap::Command::get_name).collect();
        invalid(format!("no command is named {:?}; there are: {}", page.unwrap_or_default(), names.join(", ")))
    })?;
    let mut text = Vec::new();
    Man::new(found.clone()).render(&mut text)?;
    io::stdout().write_all(&text)?;
    Ok(ExitCode::SUCCESS)
}

fn write(dir: &Path, command: &clap::Command) -> io::Result<()> {
    let man = Man::new(command.clone());
    let path = dir.join(man.get_filename());
    let mut text = Vec::new();
    man.render(&mut text)?;
    std::fs::write(&path, text)
        .map_err(|error| io::Error::new(error.kind(), format!("write the page {}: {error}", path.display())))
}
