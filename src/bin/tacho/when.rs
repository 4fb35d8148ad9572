//! Times as people write them.

use jiff::civil::{Date, DateTime, Time};
use jiff::{Span, Timestamp, Zoned};

/// Nanoseconds since the Unix epoch of a time, seen from `now` and its time zone.
pub(crate) fn parse(text: &str, now: &Zoned) -> Result<i64, String> {
    let zoned = resolve(text.trim(), now).ok_or_else(|| {
        format!(
            "no time is written {text:?}; write `2026-11-20 10:00`, `10:00`, `today`, `yesterday`, `-10min`, `2h ago`, \
             `@1795176000` or RFC 3339 such as `2026-11-20T10:00:00Z`"
        )
    })?;
    i64::try_from(zoned.as_nanosecond()).map_err(|_| format!("{text:?} is out of range: 1677 to 2262"))
}

fn resolve(text: &str, now: &Zoned) -> Option<Timestamp> {
    let midnight = |days: i64| now.start_of_day().ok()?.checked_add(Span::new().try_days(days).ok()?).ok();
    let at = |datetime: DateTime| datetime.to_zoned(now.time_zone().clone()).ok();
    let zoned = match text {
        "now" => Some(now.clone()),
        "today" => midnight(0),
        "yesterday" => midnight(-1),
        "tomorrow" => midnight(1),
        _ => {
            if let Some(seconds) = text.strip_prefix('@') {
                return unix(seconds);
            }
            if let Ok(timestamp) = text.parse::<Timestamp>() {
                return Some(timestamp);
            }
            if let Ok(datetime) = text.parse::<DateTime>() {
                at(datetime)
            } else if let Ok(date) = text.parse::<Date>() {
                at(date.to_datetime(Time::midnight()))
            } else if let Ok(time) = text.parse::<Time>() {
                at(now.date().to_datetime(time))
            } else {
                let span = text.parse::<Span>().ok()?;
                // "10min" alone would be a time to come; nobody asks a log for that.
                let signed = text.starts_with(['-', '+']) || text.ends_with("ago");
                if signed { now.checked_add(span).ok() } else { None }
            }
        }
    };
    zoned.map(|zoned| zoned.timestamp())
}

/// Seconds since the Unix epoch, with up to nine decimals.
fn unix(text: &str) -> Option<Timestamp> {
    let (seconds, decimals) = text.split_once('.').unwrap_or((text, "0"));
    if decimals.len() > 9 || !decimals.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let nanoseconds: i32 = format!("{decimals:0<9}").parse().ok()?;
    let nanoseconds = if seconds.starts_with('-') { -nanoseconds } else { nanoseconds };
    Timestamp::new(seconds.parse().ok()?, nanoseconds).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Option<String> {
        let now: Zoned = "2026-11-20T13:30:00+01:00[+01:00]".parse().unwrap();
        parse(text, &now).ok().map(|ns| Timestamp::from_nanosecond(i128::from(ns)).unwrap().to_string())
    }

    #[test]
    fn times_are_understood() {
        for (text, time) in [
            ("2026-11-20T10:00:00Z", "2026-11-20T10:00:00Z"),
            ("2026-11-20T10:00:00.5+02:00", "2026-11-20T08:00:00.5Z"),
            ("2026-11-20 10:00", "2026-11-20T09:00:00Z"),
            ("2026-11-20 10:00:30", "2026-11-20T09:00:30Z"),
            ("2026-11-20", "2026-11-19T23:00:00Z"),
            ("10:00", "2026-11-20T09:00:00Z"),
            ("now", "2026-11-20T12:30:00Z"),
            ("today", "2026-11-19T23:00:00Z"),
            ("yesterday", "2026-11-18T23:00:00Z"),
            ("-10min", "2026-11-20T12:20:00Z"),
            ("10min ago", "2026-11-20T12:20:00Z"),
            ("2h ago", "2026-11-20T10:30:00Z"),
            ("-1 day", "2026-11-19T12:30:00Z"),
            ("@1795176000", "2026-11-20T12:00:00Z"),
            ("@1795176000.25", "2026-11-20T12:00:00.25Z"),
        ] {
            assert_eq!(at(text).as_deref(), Some(time), "{text}");
        }
        for text in ["", "soon", "10min", "@", "@1.0000000001", "25:00", "2026-13-01", "@99999999999999"] {
            assert_eq!(at(text), None, "{text}");
        }
    }
}
