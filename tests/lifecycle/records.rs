//! Records at their limits.

use crate::shared::stated_drops;
use crate::support::{FLUSH, Place};
use tachograph::{info, start_isolated};

#[test]
fn long_strings_are_cut_between_characters_and_marked() {
    let place = Place::new();
    let tacho = start_isolated(place.config().record_bytes_max(300)).unwrap();
    // Of one to four bytes each, at every offset.
    for (pad, letter) in (0..8).flat_map(|pad| ["x", "ä", "語", "🦀"].map(|letter| (pad, letter))) {
        let text = format!("{}{}", "-".repeat(pad), letter.repeat(400));
        info!(logger: tacho, target: "long", "{text}");
        info!(logger: tacho, target: "shown", "{}", format_args!("{text}"));
        info!(logger: tacho, target: "field", text = text.as_str(); "m");
        info!(logger: tacho, target: "two", "{} {}", text, 7_u8);
    }
    tacho.flush(FLUSH).unwrap();
    let health = tacho.health();
    assert_eq!((health.written, health.dropped), (128, 0), "{health}");
    for view in ["long", "shown"] {
        let messages = place.messages(view);
        for (message, (pad, letter)) in
            messages.iter().zip((0..8).flat_map(|pad| ["x", "ä", "語", "🦀"].map(|letter| (pad, letter))))
        {
            let whole = format!("{}{}", "-".repeat(pad), letter.repeat(400));
            let kept = message.strip_suffix('…').unwrap_or_else(|| panic!("not marked: {message}"));
            assert!(whole.starts_with(kept) && kept.len() > 280 && kept.len() < 300, "{view}: {message}");
        }
    }
    assert!(place.messages("two").iter().all(|message| message.ends_with("… 7")));
    assert!(place.lines("field").iter().all(|line| line.contains('…') && line.len() < 420));
}

#[test]
fn what_cannot_be_cut_is_counted_and_stated() {
    let place = Place::new();
    let tacho = start_isolated(place.config().record_bytes_max(256)).unwrap();
    info!(logger: tacho, target: "large", "before");
    for _ in 0..5 {
        info!(logger: tacho, target: "large", "{:?}", [1_u64; 100]);
    }
    info!(logger: tacho, target: "large", "after {:?}", [1_u64; 10]);
    tacho.flush(FLUSH).unwrap();
    let health = tacho.health();
    assert_eq!((health.written, health.dropped, health.dropped_too_large, health.called()), (2, 5, 5, 7));
    assert_eq!(place.messages("large"), ["before", "after [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]"]);
    let stated = place.messages("tachograph");
    assert_eq!(stated_drops(stated.iter().map(String::as_str), "record too large"), 5, "{stated:?}");
}

#[test]
fn the_largest_records_fit_the_smallest_rings_and_segments() {
    let place = Place::new();
    let config = place.config().ring_bytes(65_536).segment_bytes(256 << 10).record_bytes_max(60 << 10);
    let tacho = start_isolated(config).unwrap();
    for number in 0..100_u32 {
        let text = "x".repeat(59_000 + number as usize * 20);
        info!(logger: tacho, target: "large", number; "{text}");
        tacho.flush(FLUSH).unwrap();
    }
    assert_eq!(tacho.health().written, 100);
    assert_eq!(tacho.health().dropped, 0);
    assert_eq!(place.lines("large").len(), 100);
}

#[test]
fn hostile_text_stays_one_line() {
    let place = Place::new();
    let tacho = start_isolated(place.config()).unwrap();
    let hostile = "a\nb\r\u{1b}[31mred\u{7}\0\u{202e}\u{85}\u{2028}end";
    info!(logger: tacho, target: "hostile", "{hostile}");
    info!(logger: tacho, target: "hostile", field = hostile; "m");
    info!(logger: tacho, target: "hostile\n../../etc/passwd", "in its own file");
    info!(logger: tacho, target: "..", "dots");
    info!(logger: tacho, target: "", "no name");
    info!(logger: tacho, target: ".journal", "hidden");
    tacho.flush(FLUSH).unwrap();
    let text = std::fs::read_to_string(place.dir.join("hostile.log")).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    assert!(
        lines.len() >= 2
            && lines.iter().all(|line| !line.contains(['\u{1b}', '\u{7}', '\r', '\u{202e}', '\u{2028}', '\u{85}']))
    );
    assert_eq!(tacho.health().written, 6);
    assert_eq!(tacho.health().lines, 6, "each in some file");
    // Nothing was written outside the directory.
    let outside: Vec<_> =
        std::fs::read_dir(place.dir.parent().unwrap()).unwrap().flatten().map(|entry| entry.file_name()).collect();
    assert_eq!(outside, ["logs"]);
    assert!(place.dir.join(".journal").is_dir());
}
