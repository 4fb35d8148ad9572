//! The other pages: a table each.

use super::{bytes_per_s, colored, faint, of_level, of_state, per_s, percent};
use crate::human;
use crate::monitor::model::{Model, ProcessRow};
use crate::monitor::state::State;
use ratatui::Frame;
use ratatui::layout::{Constraint, Rect};
use ratatui::style::{Color, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Cell, Padding, Paragraph, Row, Table, Wrap};
use tachograph::health::check;
use tachograph::health::vitals::Life;
use tachograph::supervisor::Phase;

/// A column: its heading, how wide it is, and whether it holds numbers.
struct Column(&'static str, Constraint, bool);

/// What the column without a width of its own has at least, for a name of a process.
const REST_CELLS: u16 = 27;

const fn number(name: &'static str, cells: u16) -> Column {
    Column(name, Constraint::Length(cells), true)
}

const fn text(name: &'static str, cells: u16) -> Column {
    Column(name, Constraint::Length(cells), false)
}

const fn rest(name: &'static str) -> Column {
    Column(name, Constraint::Min(12), false)
}

/// Which columns are shown: all of them where there is room, else those of `optional` go, one by one.
fn fitting(columns: &[Column], optional: &[&str], room: u16) -> Vec<bool> {
    let mut shown = vec![true; columns.len()];
    let cells = |column: &Column| match column.1 {
        Constraint::Length(cells) => cells + 1,
        _ => REST_CELLS,
    };
    let mut needed: u16 = columns.iter().map(cells).sum();
    for name in optional {
        if needed <= room {
            break;
        }
        for (shown, column) in shown.iter_mut().zip(columns).filter(|(_, column)| column.0 == *name) {
            *shown = false;
            needed = needed.saturating_sub(cells(column));
        }
    }
    shown
}

/// Draws rows below headings, from the row on to which was scrolled; on a narrow screen without some of the `optional` columns.
fn table(
    frame: &mut Frame<'_>,
    area: Rect,
    title: &str,
    (columns, optional): (&[Column], &[&str]),
    rows: Vec<(Style, Vec<String>)>,
    state: &mut State,
) {
    let shown = fitting(columns, optional, area.width.saturating_sub(2));
    let columns: Vec<&Column> = columns.iter().zip(&shown).filter(|(_, shown)| **shown).map(|(c, _)| c).collect();
    let room = usize::from(area.height.saturating_sub(3));
    let first = state.fit(rows.len(), room);
    let place =
        if rows.len() > room { format!(" {}-{} of {} ", first + 1, first + room, rows.len()) } else { String::new() };
    let cell = |(cell, Column(_, width, right)): (String, &&Column)| match (right, width) {
        (true, Constraint::Length(width)) => Cell::from(format!("{cell:>0$}", usize::from(*width))),
        _ => Cell::from(cell),
    };
    let head = columns.iter().map(|column| cell((column.0.to_owned(), column)));
    let head = Row::new(head).style(faint());
    let widths = columns.iter().map(|column| column.1);
    let rows = rows.into_iter().skip(first).take(room);
    let rows = rows.map(|(style, cells)| {
        let cells = cells.into_iter().zip(&shown).filter(|(_, shown)| **shown).map(|(cell, _)| cell);
        Row::new(cells.zip(&columns).map(cell)).style(style)
    });
    let block = Block::bordered().title(title.to_owned()).title_bottom(place);
    frame.render_widget(Table::new(rows, widths).header(head).column_spacing(1).block(block), area);
}

pub(super) fn processes(frame: &mut Frame<'_>, area: Rect, model: &Model, state: &mut State) {
    const COLUMNS: [Column; 12] = [
        text("state", 8),
        number("rec/s", 8),
        number("bytes/s", 9),
        number("records", 7),
        number("dropped", 7),
        number("p99", 8),
        number("views", 8),
        number("ring", 4),
        number("segs", 5),
        number("core", 4),
        text("worker", 10),
        rest("process"),
    ];
    let row = |row: &ProcessRow| {
        let shown = match row.life {
            Life::Alive => row.state.as_str(),
            Life::Dead => "dead",
            Life::Closed => "closed",
        };
        let style =
            if row.life == Life::Alive && row.state == check::State::Ok { Style::new() } else { of_state(row.state) };
        let cells = vec![
            shown.to_owned(),
            per_s(row.sums.records.per_s),
            bytes_per_s(row.sums.journal_bytes.per_s),
            human::count(row.sums.records.count),
            human::count(row.sums.dropped.count),
            human::span(row.sums.lags.writer_p99_ns),
            human::span(row.sums.lags.view_ns),
            format!("{}%", percent(row.ring_high_water_bytes, row.ring_size_bytes)),
            format!("{}/{}", row.segments_free, row.segments),
            row.core.map_or_else(|| "-".to_owned(), |core| core.to_string()),
            if row.renders { format!("{}*", row.worker) } else { row.worker.clone() },
            row.name.clone(),
        ];
        (style, cells)
    };
    let rows = model.processes.iter().map(row).collect();
    let title = " Processes: ring = high water, segs = free of all live ones, * = renders the views ";
    table(frame, area, title, (&COLUMNS, &["core", "bytes/s", "worker", "segs", "p99"]), rows, state);
}

pub(super) fn targets(frame: &mut Frame<'_>, area: Rect, model: &Model, state: &mut State) {
    const COLUMNS: [Column; 7] = [
        number("rec/s", 8),
        number("bytes/s", 10),
        number("records", 8),
        number("bytes", 9),
        number("%", 4),
        number("B/rec", 6),
        rest("target"),
    ];
    let all = model.targets.iter().fold(0, |sum: u64, row| sum.saturating_add(row.bytes.count));
    let rows = model.targets.iter().map(|row| {
        let cells = vec![
            per_s(row.records.per_s),
            bytes_per_s(row.bytes.per_s),
            human::count(row.records.count),
            human::bytes(row.bytes.count),
            percent(row.bytes.count, all).to_string(),
            row.bytes.count.checked_div(row.records.count).unwrap_or(0).to_string(),
            row.name.clone(),
        ];
        (Style::new(), cells)
    });
    table(frame, area, " Targets, over all processes ", (&COLUMNS, &["B/rec", "bytes/s"]), rows.collect(), state);
}

pub(super) fn rings(frame: &mut Frame<'_>, area: Rect, model: &Model, state: &mut State) {
    const COLUMNS: [Column; 8] = [
        number("fill", 9),
        number("%", 4),
        number("high water", 10),
        number("%", 4),
        number("size", 9),
        number("ring", 4),
        text("thread", 24),
        rest("process"),
    ];
    let rows = model.rings.iter().map(|ring| {
        let (now, high) = (percent(ring.fill_bytes, ring.size_bytes), percent(ring.high_water_bytes, ring.size_bytes));
        let style = match high.max(now) {
            0..75 => Style::new(),
            75..100 => colored(Color::Yellow),
            _ => colored(Color::Red),
        };
        let cells = vec![
            human::bytes(ring.fill_bytes),
            now.to_string(),
            human::bytes(ring.high_water_bytes),
            high.to_string(),
            human::bytes(ring.size_bytes),
            ring.number.to_string(),
            if ring.tid == 0 { ring.thread.clone() } else { format!("{} ({})", ring.thread, ring.tid) },
            ring.process.clone(),
        ];
        (style, cells)
    });
    table(frame, area, " Rings: one per thread ", (&COLUMNS, &["ring", "size"]), rows.collect(), state);
}

pub(super) fn warnings(frame: &mut Frame<'_>, area: Rect, model: &Model, state: &mut State) {
    const COLUMNS: [Column; 4] = [text("time", 13), text("level", 8), text("target", 16), rest("text")];
    // The latest first: who scrolls goes back in time.
    let rows = model.warnings.iter().rev().map(|warning| {
        let time = warning.time.get(11..).unwrap_or(&warning.time).to_owned();
        let cells = vec![time, warning.level.clone(), warning.target.clone(), warning.text.clone()];
        (of_level(&warning.level), cells)
    });
    table(frame, area, " Last warnings, the latest first ", (&COLUMNS, &["target"]), rows.collect(), state);
}

pub(super) fn health(frame: &mut Frame<'_>, area: Rect, model: &Model, state: &mut State) {
    let mut lines: Vec<Line<'_>> = Vec::new();
    let ago = |unix_ns: i64| {
        let s = u64::try_from(model.unix_ns.saturating_sub(unix_ns) / 1_000_000_000).unwrap_or(0);
        human::seconds(s)
    };
    for row in &model.findings {
        let word = if row.state == check::State::Ok { "hint" } else { row.state.as_str() };
        lines.push(Line::from(vec![
            Span::styled(format!("{word} {}", row.id), of_state(row.state)),
            Span::styled(format!("  for {}  {}", ago(row.since_unix_ns), row.process), faint()),
        ]));
        lines.push(Line::from(format!("  {}", row.reason)));
        lines.push(Line::from(format!("  → {}", row.advice)));
    }
    if model.findings.is_empty() {
        lines.push(Line::from("no finding stands"));
    }
    lines.extend(model.unreadable.iter().map(|why| Line::from(format!("cannot be looked at: {why}"))));
    for row in &model.services {
        let state = match row.phase {
            Phase::Failed => check::State::Critical,
            Phase::Pausing | Phase::Stopping | Phase::Killing => check::State::Warning,
            _ => check::State::Ok,
        };
        let reason = if row.reason.is_empty() { String::new() } else { format!("; last error: {}", row.reason) };
        lines.push(Line::from(vec![
            Span::styled(format!("service {}: {}", row.name, row.phase.as_str()), of_state(state)),
            Span::raw(format!("  for {}, {} starts{reason}", ago(row.since_unix_ns), row.starts)),
            Span::styled(format!("  {}", row.process), faint()),
        ]));
    }
    for row in &model.errors {
        lines.push(Line::from(vec![
            Span::styled(format!("error {} times", row.count), colored(Color::Yellow)),
            Span::styled(format!("  {} ago  {}", ago(row.last_unix_ns), row.process), faint()),
        ]));
        lines.push(Line::from(format!("  {}", row.text)));
    }
    // Lines that are wrapped take more rows than one; the last can be scrolled to all the same.
    let room = usize::from(area.height.saturating_sub(2)).min(lines.len()).max(1);
    let first = state.fit(lines.len(), room / 2);
    let paragraph =
        Paragraph::new(lines).wrap(Wrap { trim: false }).scroll((u16::try_from(first).unwrap_or(u16::MAX), 0));
    frame.render_widget(
        paragraph.block(Block::bordered().title(" Findings, services and errors ").padding(Padding::horizontal(1))),
        area,
    );
}
