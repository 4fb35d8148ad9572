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

/// A span as jiff reads it: "100 ms", "1 s", "2h 30m", "30d", "2 weeks". A day has 24 hours; a month, as for systemd, 30.44
/// days, a year 365.25.
///
/// # Errors
/// What is wrong with the text, and how to write it.
pub fn parse_span(text: &str) -> Result<Duration, String> {
    let wrong = || format!("{text:?} is no span of time; write \"100 ms\", \"1 s\", \"2h 30m\" or \"30d\"");
    let of_days = || -> Option<jiff::SignedDuration> {
        let span: jiff::Span = text.parse().ok()?;
        let days = i64::from(span.get_years()) * YEAR_S + i64::from(span.get_months()) * MONTH_S;
        let rest =
            span.try_years(0).ok()?.try_months(0).ok()?.to_duration(jiff::SpanRelativeTo::days_are_24_hours()).ok()?;
        rest.checked_add(jiff::SignedDuration::from_secs(days))
    };
    let span = text.parse().ok().or_else(of_days).ok_or_else(wrong)?;
    Duration::try_from(span).map_err(|_| wrong())
}

/// 365.25 days.
const YEAR_S: i64 = 31_557_600;
/// 30.44 days.
const MONTH_S: i64 = 2_629_800;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_go_from_nanoseconds_to_years() {
        let seconds = |text: &str| parse_span(text).map(|span| span.as_secs());
        for (text, wanted) in [
            ("1500 ms", 1),
            ("2h 30m", 9_000),
            ("30d", 30 * 86_400),
            ("2 weeks", 14 * 86_400),
            ("1month", 2_629_800),
            ("1y", 31_557_600),
            ("1d 1h", 25 * 3_600),
        ] {
            assert_eq!(seconds(text), Ok(wanted), "{text}");
        }
        for wrong in ["", "30", "-1d", "-5s", "soon", "99999999y"] {
            assert!(seconds(wrong).is_err(), "{wrong}");
        }
    }
}
