//! The first page: what one wants to know at a glance.

use super::{bytes_per_s, colored, faint, of_level, of_state, per_s, percent};
use crate::human;
use crate::monitor::model::{Model, Source};
use crate::monitor::state::State;
use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::Color;
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, LineGauge, Padding, Paragraph, Row, Sparkline, Table, Wrap};
use tachograph::health::check;

/// Rows of the boxes above.
const TOP_ROWS: u16 = 9;
/// What a screen must have so that findings and targets have a row of boxes.
const MIDDLE_ROWS: u16 = 20;

pub(super) fn draw(frame: &mut Frame<'_>, area: Rect, model: &Model, state: &mut State) {
    let middle = if area.height >= MIDDLE_ROWS { (area.height - TOP_ROWS) / 2 } else { 0 };
    let [top, middle, bottom] =
        Layout::vertical([Constraint::Length(TOP_ROWS), Constraint::Length(middle), Constraint::Min(0)]).areas(area);
    let [left, right] = Layout::horizontal([Constraint::Percentage(55), Constraint::Percentage(45)]).areas(top);
    records(frame, left, model, state);
    waits(frame, right, model);
    if middle.height > 0 {
        let [left, right] = Layout::horizontal([Constraint::Percentage(45), Constraint::Percentage(55)]).areas(middle);
        targets(frame, left, model);
        findings(frame, right, model);
    }
    warnings(frame, bottom, model);
}

fn boxed(title: &str) -> Block<'_> {
    Block::bordered().title(title).padding(Padding::horizontal(1))
}

fn records(frame: &mut Frame<'_>, area: Rect, model: &Model, state: &State) {
    let sums = &model.sums;
    let block = boxed(" Records ");
    let inner = block.inner(area);
    frame.render_widget(block, area);
    let [text, curve] = Layout::vertical([Constraint::Length(4), Constraint::Min(0)]).areas(inner);
    let bad = |count: u64| if count > 0 { colored(Color::Red) } else { faint() };
    let dropped = match sums.dropped.per_s {
        Some(rate) if rate > 0.0 => format!("{} ({}/s)", human::count(sums.dropped.count), human::rate(rate)),
        _ => human::count(sums.dropped.count),
    };
    let lines = vec![
        Line::from(format!(
            "{:>7}/s  {:>9}/s  {:>7} lines/s",
            per_s(sums.records.per_s),
            bytes_per_s(sums.journal_bytes.per_s),
            per_s(sums.lines.per_s)
        )),
        Line::from(format!(
            "{:>7} in all  {} of journal",
            human::count(sums.records.count),
            human::bytes(sums.journal_bytes.count)
        )),
        Line::from(vec![
            Span::styled(format!("dropped {dropped}"), bad(sums.dropped.count)),
            Span::styled(format!("  lost {}", human::count(sums.lost)), bad(sums.lost)),
            Span::styled(
                format!("  sampled out {}  late {}", human::count(sums.sampled_out.count), human::count(sums.late)),
                faint(),
            ),
        ]),
        Line::from(levels(model)).style(faint()),
    ];
    frame.render_widget(Paragraph::new(lines), text);
    // The latest stands at the right.
    let shown = state.rates.len().min(usize::from(curve.width));
    let padding = usize::from(curve.width) - shown;
    let rates = state.rates.iter().skip(state.rates.len() - shown);
    let rates: Vec<u64> = std::iter::repeat_n(0, padding).chain(rates.copied()).collect();
    frame.render_widget(Sparkline::default().data(rates).style(colored(Color::Cyan)), curve);
}

fn levels(model: &Model) -> String {
    let level = |row: &crate::monitor::model::Named| format!("{} {}", row.name, human::count(row.records.count));
    model.levels.iter().map(level).collect::<Vec<_>>().join("  ")
}

fn waits(frame: &mut Frame<'_>, area: Rect, model: &Model) {
    let block = boxed(" Lags, rings, disk ");
    let inner = block.inner(area);
    frame.render_widget(block, area);
    let [text, ring, ring_text, disk, disk_text] = Layout::vertical([
        Constraint::Length(3),
        Constraint::Length(1),
        Constraint::Length(1),
        Constraint::Length(1),
        Constraint::Length(1),
    ])
    .areas(inner);
    let lags = &model.sums.lags;
    let synced = model.processes.iter().map(|row| row.synced_unix_ns).filter(|at| *at > 0).max();
    let synced = synced.map_or_else(
        || "not synced yet".to_owned(),
        |at| format!("synced {} ago", human::span(u64::try_from(model.unix_ns.saturating_sub(at)).unwrap_or(0))),
    );
    let span = human::span;
    let lines = vec![
        Line::from(format!(
            "writer  p50 {}  p99 {}  max {}",
            span(lags.writer_p50_ns),
            span(lags.writer_p99_ns),
            span(lags.writer_max_ns)
        )),
        Line::from(format!("views   {} behind, {} records", span(lags.view_ns), human::count(lags.view_records))),
        Line::from(match model.source {
            Source::Live => format!("disk    {synced}"),
            _ => "disk".to_owned(),
        }),
    ];
    frame.render_widget(Paragraph::new(lines), text);

    let fullest = model.rings.iter().max_by_key(|ring| percent(ring.high_water_bytes, ring.size_bytes));
    let (fill, high, size) =
        fullest.map_or((0, 0, 0), |ring| (ring.fill_bytes, ring.high_water_bytes, ring.size_bytes));
    gauge(frame, ring, "ring", percent(fill, size));
    let name = fullest.map_or(String::new(), |ring| format!("  {}", ring.thread));
    let text = match size {
        0 => "      no ring".to_owned(),
        _ => format!("      high water {} of {}{name}", human::bytes(high), human::bytes(size)),
    };
    frame.render_widget(Paragraph::new(text).style(faint()), ring_text);

    let of = &model.disk;
    gauge(frame, disk, "disk", percent(of.total_bytes.saturating_sub(of.free_bytes), of.total_bytes));
    let full = of.full_in_s.map_or(String::new(), |seconds| format!(", full in {}", human::seconds(seconds)));
    let cap = of.cap_free_bytes.map_or(String::new(), |left| format!(", {} below cap", human::bytes(left)));
    let text = format!("      {} used, {} free{cap}{full}", human::bytes(of.used_bytes), human::bytes(of.free_bytes));
    frame.render_widget(Paragraph::new(text).style(faint()), disk_text);
}

fn gauge(frame: &mut Frame<'_>, area: Rect, name: &str, percent: u64) {
    let color = match percent {
        0..75 => Color::Green,
        75..90 => Color::Yellow,
        _ => Color::Red,
    };
    let gauge = LineGauge::default()
        .label(format!("{name:<5}{percent:>3} %"))
        .filled_style(colored(color))
        .filled_symbol("█")
        .unfilled_symbol("·")
        .ratio(percent as f64 / 100.0);
    frame.render_widget(gauge, area);
}

fn targets(frame: &mut Frame<'_>, area: Rect, model: &Model) {
    let rows = model.targets.iter().map(|row| {
        Row::new([
            format!("{:>8}", per_s(row.records.per_s)),
            format!("{:>8}", human::count(row.records.count)),
            row.name.clone(),
        ])
    });
    let widths = [Constraint::Length(8), Constraint::Length(8), Constraint::Min(10)];
    let head = Row::new(["   rec/s", "  in all", "target"]).style(faint());
    frame.render_widget(Table::new(rows, widths).header(head).block(boxed(" Targets ")), area);
}

fn findings(frame: &mut Frame<'_>, area: Rect, model: &Model) {
    let several = model.processes.len() > 1;
    let mut lines: Vec<Line<'_>> = model.unreadable.iter().map(|why| Line::from(why.clone())).collect();
    for row in &model.findings {
        let state = if row.state == check::State::Ok { "hint" } else { row.state.as_str() };
        let process = if several { format!("  {}", row.process) } else { String::new() };
        lines.push(Line::from(vec![
            Span::styled(format!("{state} {}", row.id), of_state(row.state)),
            Span::raw(format!("{process}: {}", row.reason)),
        ]));
        if row.state != check::State::Ok {
            lines.push(Line::from(format!("  {}", row.advice)).style(faint()));
        }
    }
    if model.sums.crashed > 0 {
        let processes = if model.sums.crashed == 1 { "process was" } else { "processes were" };
        let records = human::count(model.sums.recovered);
        lines.push(Line::from(format!(
            "{} {processes} killed, and recovered by these, with {records} records from rings",
            model.sums.crashed
        )));
    }
    if lines.is_empty() {
        lines.push(Line::from(match model.source {
            Source::Journals => "nothing is known",
            _ => "nothing was found",
        }));
    }
    let block = boxed(" Findings ");
    frame.render_widget(Paragraph::new(lines).wrap(Wrap { trim: false }).block(block), area);
}

fn warnings(frame: &mut Frame<'_>, area: Rect, model: &Model) {
    let room = usize::from(area.height.saturating_sub(2));
    let last = model.warnings.iter().skip(model.warnings.len().saturating_sub(room));
    let mut lines: Vec<Line<'_>> = last
        .map(|warning| {
            Line::from(vec![
                Span::styled(warning.time.get(11..).unwrap_or(&warning.time), faint()),
                Span::styled(format!(" {:<8} ", warning.level), of_level(&warning.level)),
                Span::raw(format!("{}  {}", warning.target, warning.text)),
            ])
        })
        .collect();
    if lines.is_empty() {
        lines.push(Line::from("none").style(faint()));
    }
    frame.render_widget(Paragraph::new(lines).block(boxed(" Last warnings ")), area);
}
