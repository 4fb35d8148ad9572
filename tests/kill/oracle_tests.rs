//! The oracle sees what it is there to see.

use crate::support::oracle::{End, Fault, Oracle, Producer, Tally, text};

const DEAD: Producer = Producer { run: 1, thread: 0, returned: 4, end: End::Died };
const CLOSED: Producer = Producer { run: 2, thread: 3, returned: 3, end: End::Closed };

fn line(second: u64, producer: Producer, number: u64, mark: &str) -> String {
    let Producer { run, thread, .. } = producer;
    format!("2026-11-20T13:02:{second:02}.123456789Z INFO     load [load-{thread}] {}{mark}", text(run, thread, number))
}

fn good() -> Vec<String> {
    let mut lines: Vec<String> = (0..2).map(|number| line(number, DEAD, number, "")).collect();
    lines.extend((0..3).map(|number| line(10 + number, CLOSED, number, "")));
    lines.extend((2..4).map(|number| line(number, DEAD, number, " (recovered)")));
    lines
}

fn judge(lines: &[String], dropped: u64) -> Result<Tally, Vec<Fault>> {
    let mut oracle = Oracle::new([DEAD, CLOSED]);
    lines.iter().for_each(|line| oracle.line(line));
    oracle.verdict(dropped)
}

#[test]
fn a_good_log_passes() {
    assert_eq!(judge(&good(), 0), Ok(Tally { lines: 7, recovered: 2, late: 0, dropped: 0 }));
}

#[test]
fn the_call_that_the_death_met_may_have_its_line() {
    let mut lines = good();
    lines.push(line(9, DEAD, 4, " (recovered)"));
    assert!(judge(&lines, 0).is_ok());
    lines.push(line(9, DEAD, 5, " (recovered)"));
    assert!(matches!(judge(&lines, 0).unwrap_err()[..], [Fault::Invented(_)]));
}

#[test]
fn a_lost_line_is_seen_at_the_begin_in_the_middle_and_at_the_end() {
    for (at, run, thread, number) in [(0, 1, 0, 0), (3, 2, 3, 1), (4, 2, 3, 2), (6, 1, 0, 3)] {
        let mut lines = good();
        lines.remove(at);
        assert_eq!(judge(&lines, 0).unwrap_err(), [Fault::Lost(run, thread, number, 1)]);
        assert!(judge(&lines, 1).is_ok(), "a drop that is stated is none");
        assert!(judge(&lines, 3).is_err(), "more is stated than is missing");
    }
    assert!(judge(&[], 0).is_err());
}

#[test]
fn a_doubled_line_is_seen() {
    for at in 0..good().len() {
        let mut lines = good();
        lines.push(lines[at].clone());
        assert!(judge(&lines, 0).unwrap_err().iter().any(|fault| matches!(fault, Fault::Doubled(_))), "{at}");
    }
}

#[test]
fn a_torn_line_is_seen() {
    let whole = good();
    for at in 0..whole.len() {
        for (from, to) in
            [(0, 5), (0, whole[at].len() - 15), (20, whole[at].len()), (whole[at].len() - 14, whole[at].len())]
        {
            let mut lines = whole.clone();
            lines[at].replace_range(from..to, "");
            assert!(judge(&lines, 0).is_err(), "{:?}", lines[at]);
        }
    }
    let mut lines = good();
    let tail = lines.remove(1);
    lines[0].push_str(&tail);
    assert!(judge(&lines, 0).unwrap_err().iter().any(|fault| matches!(fault, Fault::Torn(_))));
}

#[test]
fn a_reordered_line_is_seen() {
    let mut lines = good();
    lines.swap(5, 6);
    assert!(judge(&lines, 0).unwrap_err().iter().any(|fault| matches!(fault, Fault::Reordered(_))));
}

#[test]
fn time_goes_back_on_marked_lines_only() {
    let mut lines = good();
    lines[2] = line(0, CLOSED, 0, "");
    assert!(matches!(judge(&lines, 0).unwrap_err()[..], [Fault::TimeWentBack(_)]), "over runs");
    lines[2] = good()[2].replace(".123456789Z", ".123456790Z");
    lines[3] = good()[3].replace(":11.", ":10.");
    assert!(matches!(judge(&lines, 0).unwrap_err()[..], [Fault::TimeWentBack(_)]), "by a nanosecond, within a run");
    let mut lines = good();
    lines[2] = line(0, CLOSED, 0, " (late)");
    assert_eq!(judge(&lines, 0).map(|tally| tally.late), Ok(1));
}

#[test]
fn only_an_end_of_what_the_dead_logged_is_recovered() {
    let mut lines = good();
    lines[2] = line(10, CLOSED, 0, " (recovered)");
    assert!(judge(&lines, 0).unwrap_err().contains(&Fault::RecoveredOfTheLiving(lines[2].clone())));
    let mut lines = good();
    lines[0] = line(0, DEAD, 0, " (recovered)");
    assert!(matches!(judge(&lines, 0).unwrap_err()[..], [Fault::MarkEnded(_)]));
}
