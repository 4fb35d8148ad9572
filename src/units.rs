//! Sizes and spans of time, as configurations and `tacho` write them.

use std::time::Duration;

/// A number with a unit of bytes: KiB, MiB, GiB count in 1,024, KB, MB, GB in 1,000.
///
/// # Errors
/// What is wrong with the text, and how to write it.
pub fn parse_bytes(text: &str) -> Result<u64, String> {
    let wrong = || format!("{text:?} is no number of bytes; write 65536, \"64 KiB\" or \"10 MB\"");
    let trimmed = text.trim();
    let digits = trimmed.find(|c: char| !c.is_ascii_digit() && c != '_').unwrap_or(trimmed.len());
    let (number, unit) = trimmed.split_at(digits);
    let number: u64 = number.replace('_', "").parse().map_err(|_| wrong())?;
    let factor: u64 = match unit.trim() {
        "" | "B" => 1,
        "KiB" | "K" => 1 << 10,
        "MiB" | "M" => 1 << 20,
        "GiB" | "G" => 1 << 30,
        "kB" | "KB" => 1_000,
        "MB" => 1_000_000,
        "GB" => 1_000_000_000,
        _ => return Err(wrong()),
    };
    number.checked_mul(factor).ok_or_else(wrong)
}

/// A span as jiff reads it: "100 ms", "1 s", "2h 30m".
///
/// # Errors
/// What is wrong with the text, and how to write it.
pub fn parse_span(text: &str) -> Result<Duration, String> {
    let wrong = || format!("{text:?} is no span of time; write \"100 ms\", \"1 s\" or \"2h 30m\"");
    let span: jiff::SignedDuration = text.parse().map_err(|_| wrong())?;
    Duration::try_from(span).map_err(|_| wrong())
}
