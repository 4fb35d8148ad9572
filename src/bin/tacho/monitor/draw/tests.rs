use super::*;
use crate::monitor::model::{FindingRow, Flow, Named, ProcessRow, RingRow, ServiceRow, Sums, Warning};
use ratatui::crossterm::event::{KeyCode, KeyEvent};

fn model() -> Model {
    let flow = |count: u64, per_s: f64| Flow { count, per_s: Some(per_s) };
    let sums = Sums { records: flow(12_345, 250.0), dropped: flow(7, 3.0), ..Sums::default() };
    Model {
        dir: "logs".to_owned(),
        source: Source::Live,
        state: check::State::Critical,
        sums: sums.clone(),
        targets: (0..100)
            .map(|n| Named { name: format!("target_{n}"), records: flow(n, n as f64), bytes: flow(n * 10, 0.0) })
            .collect(),
        processes: vec![ProcessRow {
            name: "bot".to_owned(),
            sums,
            segments: 8,
            segments_free: 7,
            ..ProcessRow::default()
        }],
        rings: vec![RingRow {
            thread: "feed".to_owned(),
            fill_bytes: 1 << 20,
            high_water_bytes: 3 << 20,
            size_bytes: 4 << 20,
            ..RingRow::default()
        }],
        findings: vec![FindingRow {
            id: "drops".to_owned(),
            state: check::State::Critical,
            reason: "7 records were dropped: ring full".to_owned(),
            advice: "larger rings".to_owned(),
            ..FindingRow::default()
        }],
        services: vec![ServiceRow {
            name: "feed".to_owned(),
            phase: tachograph::supervisor::Phase::Failed,
            starts: 4,
            reason: "no route".to_owned(),
            ..ServiceRow::default()
        }],
        warnings: vec![Warning {
            time: "2026-11-20T14:37:58.609Z".to_owned(),
            level: "ERROR".to_owned(),
            target: "risk".to_owned(),
            text: "limit at 94 %".to_owned(),
            ..Warning::default()
        }],
        ..Model::default()
    }
}

fn screen(columns: u16, rows: u16, keys: &[KeyCode]) -> String {
    let mut terminal = Terminal::new(TestBackend::new(columns, rows)).unwrap();
    let mut state = State::new(Duration::from_secs(1));
    keys.iter().for_each(|key| state.key(KeyEvent::from(*key)));
    terminal.draw(|frame| draw(frame, &model(), &mut state)).unwrap();
    text(terminal.backend())
}

#[test]
fn the_first_page_tells_rates_lags_rings_disk_findings_and_warnings() {
    let shown = screen(100, 30, &[]);
    for part in [
        "logs  critical  1 process ",
        "250/s",
        "12.3 k in all",
        "dropped 7 (3.0/s)",
        "high water 3.0 MiB of 4.0 MiB  feed",
        "25 %",
        "critical drops: 7 records were dropped: ring full",
        "14:37:58.609Z ERROR    risk  limit at 94 %",
        "? help",
    ] {
        assert!(shown.contains(part), "{part:?} is missing:\n{shown}");
    }
}

#[test]
fn every_page_can_be_reached_and_shows_its_rows() {
    for (key, part) in [
        ('2', "7/8"),
        ('3', "target_99"),
        ('4', "feed"),
        ('5', "limit at 94 %"),
        ('6', "→ larger rings"),
        ('6', "service feed: failed"),
    ] {
        let shown = screen(120, 110, &[KeyCode::Char(key)]);
        assert!(shown.contains(part), "{key}: {part:?} is missing:\n{shown}");
    }
    let shown = screen(100, 20, &[KeyCode::Char('3'), KeyCode::PageDown]);
    assert!(shown.contains("11-24 of 100") && shown.contains("target_10") && !shown.contains("target_25"), "{shown}");
    assert!(screen(80, 24, &[KeyCode::Char('?')]).contains("pause, and go on"));
    assert!(screen(80, 24, &[KeyCode::Char('p')]).contains("PAUSED"));
}

#[test]
fn a_narrow_screen_leaves_out_what_matters_least() {
    let (wide, narrow) = (screen(120, 12, &[KeyCode::Char('2')]), screen(70, 12, &[KeyCode::Char('2')]));
    assert!(wide.contains("bytes/s") && wide.contains("core"), "{wide}");
    assert!(!narrow.contains("bytes/s") && narrow.contains("dropped") && narrow.contains("bot"), "{narrow}");
}

#[test]
fn any_size_can_be_drawn_on() {
    for columns in [1, 2, 10, 39, 40, 41, 55, 80, 120] {
        for rows in [1, 2, 9, 10, 11, 13, 20, 40] {
            for key in ['1', '2', '3', '4', '5', '6', '?'] {
                screen(columns, rows, &[KeyCode::Char(key)]);
            }
        }
    }
    assert!(screen(30, 9, &[]).starts_with("critical: too small"));
}
