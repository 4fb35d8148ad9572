//! What is made up at run time is bounded, cut, and said.

use crate::beside::{all_in_one, records};
use crate::support::{FLUSH, good_child};

#[test]
fn targets_beyond_the_limit_go_to_one_and_are_named_there() {
    const TARGETS: u64 = 9000;
    let name = "limits::targets_beyond_the_limit_go_to_one_and_are_named_there";
    let place = good_child(name, |place| {
        let tacho = all_in_one(place, "info,quiet=off");
        for n in 0..TARGETS {
            log::info!(target: &*format!("t{n}"), n, who = "N"; "call {}", n);
            if n % 100 == 0 {
                tacho.flush(FLUSH).unwrap();
            }
        }
        log::info!(target: "t0", n = TARGETS; "a field fewer is one more");
        log::info!(target: &*"quiet::".repeat(1000), "of a target that is off");
        log::info!(target: "t0", n = TARGETS + 1, who = "N"; "another line");
        tacho.flush(FLUSH).unwrap();
    });
    let records = records(&place);
    assert_eq!(records.len() as u64, TARGETS + 2);
    let overflown: Vec<_> = records.iter().filter(|record| record["logger"] == "overflow").collect();
    assert_eq!(overflown.len() as u64, TARGETS - 8192 + 2);
    for (n, record) in (8192..TARGETS).zip(&overflown) {
        assert_eq!(record["log.target"], format!("t{n}"));
        assert_eq!(record["message"], format!("call {n} n={n} who=N"));
        assert!(record["log.file"].as_str().unwrap().ends_with("limits.rs"));
    }
    for (n, record) in (0..8192).zip(&records) {
        assert_eq!((record["logger"].as_str(), record["n"].as_u64()), (Some(&*format!("t{n}")), Some(n)));
    }
}

#[test]
fn the_same_target_in_other_memory_is_the_same() {
    let name = "limits::the_same_target_in_other_memory_is_the_same";
    let place = good_child(name, |place| {
        let tacho = all_in_one(place, "info");
        let mut kept = Vec::new();
        for n in 0..10_000_u64 {
            kept.push(format!("target{}", n % 2));
            log::info!(target: kept.last().unwrap(), n; "call");
            if n % 500 == 0 {
                tacho.flush(FLUSH).unwrap();
            }
        }
        tacho.flush(FLUSH).unwrap();
    });
    let records = records(&place);
    assert_eq!(records.len(), 10_000);
    assert!(records.iter().all(|record| record["logger"].as_str().unwrap().starts_with("target")));
}

#[test]
fn long_texts_are_cut_to_a_record_and_marked() {
    let name = "limits::long_texts_are_cut_to_a_record_and_marked";
    let place = good_child(name, |place| {
        let tacho = all_in_one(place, "info");
        let long = "ü".repeat(50_000);
        log::info!(target: "a", before = 1, long, after = 2; "short");
        log::info!(target: "a", before = 1, long:% = long, after = 2; "{}", long);
        tracing::info!(target: "a", before = 1, long, after = 2, "{long}");
        tracing::info_span!("span", long, behind = 1).in_scope(|| tracing::info!(target: "a", "in a span"));
        tacho.flush(FLUSH).unwrap();
        assert_eq!(tacho.health().dropped, 0);
    });
    let records = records(&place);
    assert_eq!(records.len(), 4);
    let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
    let cut = |text: &str| text.chars().take_while(|letter| *letter == 'ü').count();
    for record in &records[..3] {
        assert_eq!((record["before"].as_u64(), record["after"].as_u64()), (Some(1), Some(2)), "{record}");
    }
    assert_eq!(records[0]["message"], "short");
    for long in [text(&records[0]["long"]), text(&records[1]["message"]), text(&records[2]["message"])] {
        assert!((3900..4096).contains(&cut(&long)), "{}", cut(&long));
        assert!(!long.ends_with('ü'), "marked as cut");
    }
    assert_eq!(records[3]["behind"], 1);
    assert_eq!(records[3]["span"], "span");
}
