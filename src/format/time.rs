//! Nanoseconds since the Unix epoch as `2026-11-20T13:02:37.123456789Z`.
//!
//! Lines follow each other in time, so the text of the second is kept and only the fraction made anew. The civil date
//! is Howard Hinnant's `civil_from_days` (<https://howardhinnant.github.io/date_algorithms.html>): exact for every
//! `i64`, no tables. Local time is the same text of a shifted time, with the zone's offset behind it.

use super::digits::nine;
use jiff::tz::TimeZone;

/// Bytes of a rendered time.
pub const TIME_BYTES: usize = 30;
const SECOND_BYTES: usize = 20;
const SECOND_NS: i64 = 1_000_000_000;
const DAY_S: i64 = 86_400;

/// Renders times; remembers the second of the last one.
#[derive(Clone, Debug)]
pub struct Clock {
    /// Where the second begins that `text` shows; `None` for the very first, which begins before `i64` does.
    second_ns: Option<i64>,
    text: [u8; TIME_BYTES],
}

impl Default for Clock {
    fn default() -> Self {
        Self { second_ns: Some(0), text: *b"1970-01-01T00:00:00.000000000Z" }
    }
}

impl Clock {
    /// The time in UTC, with nanoseconds.
    #[inline]
    pub fn utc(&mut self, unix_ns: i64) -> &[u8; TIME_BYTES] {
        let digits = nine(self.fraction(unix_ns));
        if let Some(place) = self.text.last_chunk_mut::<10>().and_then(|end| end.first_chunk_mut::<9>()) {
            *place = digits;
        }
        &self.text
    }

    /// The nanoseconds within the second, which `text` shows from now on.
    #[inline]
    fn fraction(&mut self, unix_ns: i64) -> u32 {
        let since = self.second_ns.and_then(|begin| unix_ns.checked_sub(begin));
        match since {
            Some(fraction) if (0..SECOND_NS).contains(&fraction) => fraction as u32,
            _ => {
                self.turn(unix_ns.div_euclid(SECOND_NS));
                unix_ns.rem_euclid(SECOND_NS) as u32
            }
        }
    }

    /// Appends the time in UTC.
    #[inline]
    pub fn push(&mut self, unix_ns: i64, precision: Precision, out: &mut Vec<u8>) {
        if precision != Precision::Nanos {
            let text = self.utc(unix_ns);
            out.extend_from_slice(text.get(..precision.bytes()).unwrap_or_default());
            return out.push(b'Z');
        }
        let digits = nine(self.fraction(unix_ns));
        // The digits are stored behind the text and not into it: what was just stored in pieces is slow to be loaded as a whole.
        out.extend_from_slice(&self.text);
        if let Some(place) = out.last_chunk_mut::<10>().and_then(|end| end.first_chunk_mut::<9>()) {
            *place = digits;
        }
    }

    /// Appends the time.
    pub fn push_str(&mut self, unix_ns: i64, out: &mut String) {
        out.push_str(core::str::from_utf8(self.utc(unix_ns)).unwrap_or_default());
    }

    #[cold]
    fn turn(&mut self, second: i64) {
        self.second_ns = second.checked_mul(SECOND_NS);
        let (year, month, day) = civil_from_days(second.div_euclid(DAY_S));
        let of_day = second.rem_euclid(DAY_S) as u32;
        // Nanoseconds in an `i64` reach from 1677 to 2262.
        let year = year.clamp(0, 9999) as u32;
        let pairs = [(0, year / 100), (2, year % 100), (5, month), (8, day)];
        let clock = [(11, of_day / 3600), (14, of_day / 60 % 60), (17, of_day % 60)];
        for (at, number) in pairs.into_iter().chain(clock) {
            if let Some([tens, ones]) = self.text.get_mut(at..at + 2) {
                *tens = b'0' + (number / 10) as u8;
                *ones = b'0' + (number % 10) as u8;
            }
        }
    }
}

/// How many digits of the second's fraction are shown.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub enum Precision {
    /// None.
    Seconds,
    /// Three.
    Millis,
    /// Six.
    Micros,
    /// Nine; the default.
    #[default]
    Nanos,
}

impl Precision {
    /// How many bytes of `2026-11-20T13:02:37.123456789` are shown.
    const fn bytes(self) -> usize {
        match self {
            Self::Seconds => SECOND_BYTES - 1,
            Self::Millis => SECOND_BYTES + 3,
            Self::Micros => SECOND_BYTES + 6,
            Self::Nanos => SECOND_BYTES + 9,
        }
    }
}

/// A time zone, as a value: whoever makes it looks into the environment and the zone database, whoever renders does not.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Zone(TimeZone);

impl Default for Zone {
    fn default() -> Self {
        Self(TimeZone::UTC)
    }
}

impl Zone {
    /// The zone of this machine (`TZ`, else `/etc/localtime`), UTC where that says nothing.
    pub fn system() -> Self {
        Self(TimeZone::try_system().unwrap_or(TimeZone::UTC))
    }

    /// The zone with an IANA name, such as `Europe/Zurich`; `UTC` and `system` are names too.
    ///
    /// # Errors
    /// The zone database has no such name.
    pub fn named(name: &str) -> Result<Self, String> {
        match name {
            "UTC" => Ok(Self::default()),
            "system" => Ok(Self::system()),
            _ => TimeZone::get(name).map(Self).map_err(|error| {
                format!("{name:?} is no time zone of this machine ({error}); write \"UTC\", \"system\" or a name like \"Europe/Zurich\"")
            }),
        }
    }
}

/// Renders times in a zone, as `2026-11-20T14:02:37.123456789+01:00`.
#[derive(Clone, Default, Debug)]
pub struct LocalClock {
    zone: Zone,
    shifted: Clock,
    /// The minute of the last time, in which the offset holds.
    minute: Option<i64>,
    offset_s: i64,
    suffix: [u8; 6],
}

impl LocalClock {
    /// A clock of this zone.
    pub fn new(zone: Zone) -> Self {
        Self { zone, ..Self::default() }
    }

    /// Appends the time with the zone's offset at that time.
    pub fn push(&mut self, unix_ns: i64, precision: Precision, out: &mut Vec<u8>) {
        let minute = unix_ns.div_euclid(60 * SECOND_NS);
        if self.minute != Some(minute) {
            self.turn(minute);
        }
        let text = self.shifted.utc(unix_ns.saturating_add(self.offset_s * SECOND_NS));
        out.extend_from_slice(text.get(..precision.bytes()).unwrap_or_default());
        out.extend_from_slice(&self.suffix);
    }

    /// Offsets change on whole minutes of universal time; those of before 1900 that have seconds are rounded to minutes.
    #[cold]
    fn turn(&mut self, minute: i64) {
        self.minute = Some(minute);
        let time = jiff::Timestamp::from_second(minute * 60).unwrap_or_default();
        let minutes = self.zone.0.to_offset(time).seconds() / 60;
        self.offset_s = i64::from(minutes) * 60;
        let digit = |number: i32| b'0' + (number % 10) as u8;
        let (sign, hours, rest) = (if minutes < 0 { b'-' } else { b'+' }, minutes.abs() / 60, minutes.abs() % 60);
        self.suffix = [sign, digit(hours / 10), digit(hours), b':', digit(rest / 10), digit(rest)];
    }
}

/// Year, month and day of a number of days since 1970-01-01.
pub fn civil_from_days(days: i64) -> (i64, u32, u32) {
    // Eras of 400 years that begin on 1 March, so that the leap day is the last of a year.
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let of_era = shifted.rem_euclid(146_097);
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month as u32, day as u32)
}

const _: () = assert!(SECOND_BYTES + 10 == TIME_BYTES);

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn expected(unix_ns: i64) -> String {
        let time = jiff::Timestamp::from_nanosecond(unix_ns.into()).unwrap();
        format!("{time:.9}")
    }

    #[test]
    fn known_times() {
        let mut clock = Clock::default();
        for ns in [0, 1, -1, 1_795_179_757_123_456_789, i64::MIN, i64::MAX, 951_782_400_000_000_000, 0] {
            assert_eq!(core::str::from_utf8(clock.utc(ns)).unwrap(), expected(ns));
        }
        assert_eq!(clock.utc(1_795_179_757_123_456_789), b"2026-11-20T13:02:37.123456789Z");
    }

    #[test]
    fn fewer_digits_are_cut_not_rounded() {
        let mut out = Vec::new();
        let mut clock = Clock::default();
        for precision in [Precision::Seconds, Precision::Millis, Precision::Micros, Precision::Nanos] {
            clock.push(1_795_179_757_999_999_999, precision, &mut out);
            out.push(b' ');
        }
        let expected = "2026-11-20T13:02:37Z 2026-11-20T13:02:37.999Z 2026-11-20T13:02:37.999999Z \
                        2026-11-20T13:02:37.999999999Z ";
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }

    #[test]
    fn zones_are_known_by_name() {
        assert_eq!(Zone::named("UTC"), Ok(Zone::default()));
        assert!(Zone::named("system").is_ok());
        let error = Zone::named("Mars/Olympus").unwrap_err();
        assert!(error.contains("Mars/Olympus") && error.contains("Europe/Zurich"), "{error}");
    }

    proptest! {
        /// Over changes of summer time, half-hour zones, and zones west of Greenwich.
        #[test]
        fn local_times_are_jiffs(
            zone in prop::sample::select(&["Europe/Zurich", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe", "UTC"][..]),
            seconds in prop::collection::vec(0_i64..4_000_000_000, 1..20),
            ns in 0_i64..SECOND_NS,
        ) {
            let mut clock = LocalClock::new(Zone::named(zone).unwrap());
            for second in seconds {
                let unix_ns = second * SECOND_NS + ns;
                let mut out = Vec::new();
                clock.push(unix_ns, Precision::Nanos, &mut out);
                let time = jiff::Timestamp::from_nanosecond(unix_ns.into()).unwrap();
                let expected = time.to_zoned(TimeZone::get(zone).unwrap()).strftime("%Y-%m-%dT%H:%M:%S.%9f%:z").to_string();
                prop_assert_eq!(String::from_utf8(out).unwrap(), expected);
            }
        }
        #[test]
        fn all_times_are_jiffs(times in proptest::collection::vec(any::<i64>(), 1..20), near in any::<i32>()) {
            let mut clock = Clock::default();
            for ns in times {
                for ns in [ns, ns.saturating_add(near.into())] {
                    prop_assert_eq!(core::str::from_utf8(clock.utc(ns)).unwrap(), expected(ns));
                }
            }
        }
    }
}
