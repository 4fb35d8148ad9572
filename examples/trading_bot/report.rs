//! What is told at the end.

use crate::stopwatch::Cost;
use std::io::{self, Write};
use tachograph::Health;

pub(crate) struct Report {
    /// Records by target, as the bot counted its calls.
    pub(crate) records: Vec<(&'static str, u64)>,
    pub(crate) cost: Cost,
    /// There was a file of trades before.
    pub(crate) had_trades: bool,
    pub(crate) health: Health,
}

impl Report {
    pub(crate) fn write(&self, out: &mut impl Write) -> io::Result<()> {
        let dir = self.health.dir.display();
        let total: u64 = self.records.iter().map(|(_, count)| count).sum();
        writeln!(out, "Logged {total} records")?;
        for (target, count) in self.records.iter().filter(|(_, count)| *count > 0) {
            writeln!(out, "  {count:>9}  {dir}/{target}.log")?;
        }
        writeln!(out, "A log call took\n{}", self.cost)?;
        let Health { written, dropped, late, lines, .. } = self.health;
        let state = if self.health.is_ok() { "ok" } else { "look at the health report" };
        writeln!(
            out,
            "Health: {state}; {written} records written, {dropped} dropped, {late} late, {lines} lines in the files"
        )?;
        if !self.health.is_ok() {
            writeln!(out, "{}", self.health)?;
        }
        if self.had_trades {
            writeln!(out, "{dir} held earlier runs: each trade id stands there once per run; --dir NEW starts afresh")?;
        }
        let tacho = if self.health.dir.as_os_str() == "logs" { String::new() } else { format!(" -D {dir}") };
        writeln!(out, "Try next")?;
        writeln!(out, "  cargo run --release --bin tacho --{tacho} cat | head")?;
        writeln!(out, "  cargo run --release --bin tacho --{tacho} tail -n 5 -u orders")?;
        writeln!(out, "  tail -F {dir}/trades.log")
    }
}
