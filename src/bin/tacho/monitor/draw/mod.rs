//! Rows to cells: the frame around the pages, and the help. Draws what it is given, asks nobody.
//!
//! No meaning is in colour alone; with `NO_COLOR` there is none.

mod overview;
mod tables;

use super::model::{Model, Source};
use super::state::{Page, State};
use crate::human;
use ratatui::Frame;
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Clear, Paragraph, Tabs};
use std::time::Duration;
use tachograph::health::check;
use tachograph::level::Level;

/// Cells of what `--once` shows.
const PLAIN_COLUMNS: u16 = 110;
const PLAIN_ROWS: u16 = 34;
/// A screen below this is said to be too small.
const COLUMNS_MIN: u16 = 40;
const ROWS_MIN: u16 = 10;

const HELP: &str = "\
 q, Esc, Ctrl-C   end
 Tab, →  ⇧Tab, ←  next page, page before
 1 … 6            a page
 ↑ ↓ PgUp PgDn    scroll; Home: to the top
 p, space         pause, and go on
 + -              look less often, more often
 ?                this help

 Rates are those since the look before. Lags of
 the writer: how long records waited in their
 ring. Lag of the views: how old the oldest
 record is that is in no file yet.";

/// Draws everything.
pub(crate) fn draw(frame: &mut Frame<'_>, model: &Model, state: &mut State) {
    let area = frame.area();
    if area.width < COLUMNS_MIN || area.height < ROWS_MIN {
        let text = format!("{}: too small a screen", model.state.as_str());
        return frame.render_widget(Paragraph::new(text), area);
    }
    let [head, tabs, page, foot] =
        Layout::vertical([Constraint::Length(1), Constraint::Length(1), Constraint::Min(1), Constraint::Length(1)])
            .areas(area);
    frame.render_widget(header(model, state, head.width), head);
    let names = Page::ALL.iter().enumerate().map(|(index, page)| format!("{} {}", index + 1, page.name()));
    let shown = Style::new().add_modifier(Modifier::REVERSED);
    frame.render_widget(Tabs::new(names).select(state.page.index()).highlight_style(shown).divider("│"), tabs);
    match state.page {
        Page::Overview => overview::draw(frame, page, model, state),
        Page::Processes => tables::processes(frame, page, model, state),
        Page::Targets => tables::targets(frame, page, model, state),
        Page::Rings => tables::rings(frame, page, model, state),
        Page::Warnings => tables::warnings(frame, page, model, state),
        Page::Health => tables::health(frame, page, model, state),
    }
    let keys = "q end  Tab page  ↑↓ scroll  p pause  ? help";
    let remark = state.remark.as_ref().map_or(String::new(), |remark| format!("   {remark}"));
    frame.render_widget(Paragraph::new(format!(" {keys}{remark}")).style(faint()), foot);
    if state.help {
        help(frame, area);
    }
}

/// What `--once` shows without `--json`: the first page as text.
pub(crate) fn plain(model: &Model, interval: Duration) -> String {
    let Ok(mut terminal) = Terminal::new(TestBackend::new(PLAIN_COLUMNS, PLAIN_ROWS));
    let mut state = State::new(interval);
    let Ok(_) = terminal.draw(|frame| {
        let [head, page] = Layout::vertical([Constraint::Length(1), Constraint::Min(1)]).areas(frame.area());
        frame.render_widget(header(model, &state, head.width), head);
        overview::draw(frame, page, model, &mut state);
    });
    text(terminal.backend())
}

/// The cells as lines, without what is blank at their ends.
fn text(backend: &TestBackend) -> String {
    let buffer = backend.buffer();
    let mut out = String::new();
    for row in buffer.content().chunks(usize::from(buffer.area().width).max(1)) {
        let line: String = row.iter().map(|cell| cell.symbol()).collect();
        out.push_str(line.trim_end());
        out.push('\n');
    }
    out
}

fn header<'a>(model: &'a Model, state: &State, columns: u16) -> Line<'a> {
    let source = match model.source {
        Source::Live if model.processes.len() == 1 => "1 process".to_owned(),
        Source::Live => format!("{} processes", model.processes.len()),
        Source::Stored => format!("health.json of {}: nothing is live here", model.time),
        Source::Journals => "journals alone: nothing is live here, and there is no health.json".to_owned(),
    };
    let pause = if state.paused { "  PAUSED" } else { "" };
    let right = match model.source {
        Source::Live => format!("{}{pause}  every {:?} ", clock(model), state.interval),
        _ => format!("{pause} "),
    };
    let left = format!(" {}  ", model.dir);
    let word = if model.source == Source::Journals { "" } else { model.state.as_str() };
    let used = left.chars().count() + word.len() + 2 + source.chars().count() + right.chars().count();
    let gap = " ".repeat(usize::from(columns).saturating_sub(used).max(1));
    Line::from(vec![
        Span::styled(left, Style::new().add_modifier(Modifier::BOLD)),
        Span::styled(word, of_state(model.state)),
        Span::raw(format!("  {source}{gap}{right}")),
    ])
}

/// The time of day of a look.
fn clock(model: &Model) -> String {
    let time = jiff::Timestamp::from_nanosecond(model.unix_ns.into());
    time.map(|time| time.strftime("%H:%M:%SZ").to_string()).unwrap_or_default()
}

fn help(frame: &mut Frame<'_>, area: Rect) {
    let (columns, rows) = (52, HELP.lines().count() as u16 + 2);
    let [area] = Layout::horizontal([Constraint::Length(columns)]).flex(ratatui::layout::Flex::Center).areas(area);
    let [area] = Layout::vertical([Constraint::Length(rows)]).flex(ratatui::layout::Flex::Center).areas(area);
    frame.render_widget(Clear, area);
    frame.render_widget(Paragraph::new(HELP).block(Block::bordered().title(" Keys ")), area);
}

fn is_colored() -> bool {
    std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

fn colored(color: Color) -> Style {
    if is_colored() { Style::new().fg(color) } else { Style::new() }
}

/// What is there for those who look for it.
fn faint() -> Style {
    Style::new().add_modifier(Modifier::DIM)
}

fn of_state(state: check::State) -> Style {
    match state {
        check::State::Ok => colored(Color::Green),
        check::State::Warning => colored(Color::Yellow).add_modifier(Modifier::BOLD),
        check::State::Critical => colored(Color::Red).add_modifier(Modifier::BOLD),
    }
}

fn of_level(level: &str) -> Style {
    match level.parse::<Level>() {
        Ok(level) if level <= Level::Error => colored(Color::Red),
        Ok(Level::Warn) => colored(Color::Yellow),
        _ => Style::new(),
    }
}

/// A rate, or that there is none.
fn per_s(rate: Option<f64>) -> String {
    rate.map_or_else(|| "-".to_owned(), human::rate)
}

fn bytes_per_s(rate: Option<f64>) -> String {
    rate.map_or_else(|| "-".to_owned(), human::byte_rate)
}

/// A share in whole percent; 0 of nothing.
fn percent(part: u64, whole: u64) -> u64 {
    part.saturating_mul(100).checked_div(whole).unwrap_or(0).min(100)
}

#[cfg(test)]
mod tests;
