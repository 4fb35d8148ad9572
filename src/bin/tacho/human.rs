//! Numbers as people read them: four or five characters and a unit.

const BYTES: [&str; 6] = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];
const THOUSANDS: [&str; 5] = ["", " k", " M", " G", " T"];

/// The value in the largest unit of which it has one.
fn scaled(value: f64, step: f64, units: &[&'static str]) -> (f64, &'static str) {
    let (mut value, mut rest) = (value, units);
    // What would be shown as a whole step belongs to the next unit.
    while value >= step - 0.45 && rest.len() > 1 {
        value /= step;
        rest = rest.get(1..).unwrap_or_default();
    }
    (value, rest.first().copied().unwrap_or_default())
}

fn digits(value: f64) -> String {
    if value >= 99.95 { format!("{value:.0}") } else { format!("{value:.1}") }
}

/// Bytes in the unit that suits them: `512 B`, `1.5 MiB`.
pub(crate) fn bytes(bytes: u64) -> String {
    match scaled(bytes as f64, 1024.0, &BYTES) {
        (_, "B") => format!("{bytes} B"),
        (value, unit) => format!("{} {unit}", digits(value)),
    }
}

/// A number of things: `999`, `12.3 k`.
pub(crate) fn count(count: u64) -> String {
    match scaled(count as f64, 1000.0, &THOUSANDS) {
        (_, "") => count.to_string(),
        (value, unit) => format!("{}{unit}", digits(value)),
    }
}

/// Things a second: `0`, `0.2`, `12.3 k`.
pub(crate) fn rate(rate: f64) -> String {
    match scaled(rate, 1000.0, &THOUSANDS) {
        (0.0, "") => "0".to_owned(),
        (value, unit) => format!("{}{unit}", digits(value)),
    }
}

/// Bytes a second.
pub(crate) fn byte_rate(rate: f64) -> String {
    let (value, unit) = scaled(rate, 1024.0, &BYTES);
    if value == 0.0 { "0 B".to_owned() } else { format!("{} {unit}", digits(value)) }
}

/// A span of nanoseconds: `310 ns`, `1.2 µs`, `3 m 20 s`, `5 d 3 h`.
pub(crate) fn span(ns: u64) -> String {
    let (value, unit) = scaled(ns as f64, 1000.0, &["ns", "µs", "ms", "s"]);
    match unit {
        "ns" => format!("{ns} ns"),
        "s" if value >= 99.5 => seconds(ns / 1_000_000_000),
        _ => format!("{} {unit}", digits(value)),
    }
}

/// A span of seconds, in the two largest units that it has.
pub(crate) fn seconds(seconds: u64) -> String {
    let two = |large: u64, large_unit: &str, small: u64, small_unit: &str| match small {
        0 => format!("{large} {large_unit}"),
        _ => format!("{large} {large_unit} {small} {small_unit}"),
    };
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3_600 => two(seconds / 60, "min", seconds % 60, "s"),
        3_600..86_400 => two(seconds / 3_600, "h", seconds % 3_600 / 60, "min"),
        _ => two(seconds / 86_400, "d", seconds % 86_400 / 3_600, "h"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_the_unit_that_suits_them() {
        for (value, text) in [
            (0, "0 B"),
            (1023, "1023 B"),
            (512, "512 B"),
            (1536, "1.5 KiB"),
            (10 << 20, "10.0 MiB"),
            (1_048_575, "1.0 MiB"),
            (150 << 30, "150 GiB"),
            (u64::MAX, "16384 PiB"),
        ] {
            assert_eq!(bytes(value), text, "{value}");
        }
        for (value, text) in [(0, "0"), (999, "999"), (1_000, "1.0 k"), (12_345, "12.3 k"), (999_999, "1.0 M")] {
            assert_eq!(count(value), text, "{value}");
        }
        for (value, text) in [(0.0, "0"), (0.25, "0.2"), (99.96, "100"), (5_000_000.0, "5.0 M")] {
            assert_eq!(rate(value), text, "{value}");
        }
        assert_eq!((byte_rate(0.0), byte_rate(2048.0)), ("0 B".to_owned(), "2.0 KiB".to_owned()));
    }

    #[test]
    fn spans_have_two_units_at_most() {
        for (ns, text) in [
            (0, "0 ns"),
            (1_234, "1.2 µs"),
            (999_600, "1.0 ms"),
            (250_000_000, "250 ms"),
            (61_000_000_000, "61.0 s"),
            (200_000_000_000, "3 min 20 s"),
        ] {
            assert_eq!(span(ns), text, "{ns}");
        }
        assert_eq!(seconds(3_600), "1 h");
        assert_eq!(seconds(90_061), "1 d 1 h");
    }
}
