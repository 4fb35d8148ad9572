//! What the user looks at: page, place in it, pause. Pure: keys come in, changes go out.

use super::model::Model;
use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use std::collections::VecDeque;
use std::time::Duration;

/// Looks whose rates the curve shows.
const HISTORY: usize = 512;
/// The shortest and the longest time between two looks.
const INTERVAL_MIN: Duration = Duration::from_millis(100);
const INTERVAL_MAX: Duration = Duration::from_secs(3_600);
/// Rows that a page key goes over.
const PAGE_ROWS: usize = 10;

/// What is shown.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) enum Page {
    #[default]
    Overview,
    Processes,
    Targets,
    Rings,
    Warnings,
    Health,
}

impl Page {
    pub(crate) const ALL: [Self; 6] =
        [Self::Overview, Self::Processes, Self::Targets, Self::Rings, Self::Warnings, Self::Health];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Overview => "Overview",
            Self::Processes => "Processes",
            Self::Targets => "Targets",
            Self::Rings => "Rings",
            Self::Warnings => "Warnings",
            Self::Health => "Health",
        }
    }

    pub(crate) fn index(self) -> usize {
        Self::ALL.iter().position(|page| *page == self).unwrap_or(0)
    }

    fn step(self, by: usize) -> Self {
        Self::ALL.get((self.index() + by) % Self::ALL.len()).copied().unwrap_or_default()
    }
}

/// The state of the screen.
#[derive(Clone, Debug)]
pub(crate) struct State {
    pub(crate) page: Page,
    /// The first row that is shown of the page.
    pub(crate) scroll: usize,
    pub(crate) paused: bool,
    pub(crate) help: bool,
    pub(crate) over: bool,
    pub(crate) interval: Duration,
    /// Records a second at the last looks, the latest last.
    pub(crate) rates: VecDeque<u64>,
    /// Something about the warnings.
    pub(crate) remark: Option<String>,
}

impl State {
    pub(crate) fn new(interval: Duration) -> Self {
        Self {
            page: Page::default(),
            scroll: 0,
            paused: false,
            help: false,
            over: false,
            interval: interval.clamp(INTERVAL_MIN, INTERVAL_MAX),
            rates: VecDeque::new(),
            remark: None,
        }
    }

    /// A look was taken.
    pub(crate) fn seen(&mut self, model: &Model) {
        let Some(rate) = model.sums.records.per_s else { return };
        if self.rates.len() == HISTORY {
            self.rates.pop_front();
        }
        self.rates.push_back(rate as u64);
    }

    /// A key was pressed.
    pub(crate) fn key(&mut self, key: KeyEvent) {
        if key.kind == KeyEventKind::Release {
            return;
        }
        let control = key.modifiers.contains(KeyModifiers::CONTROL);
        if self.help && !(control && key.code == KeyCode::Char('c')) && key.code != KeyCode::Char('q') {
            self.help = false;
            return;
        }
        match key.code {
            KeyCode::Char('c' | 'd') if control => self.over = true,
            KeyCode::Char('q') | KeyCode::Esc => self.over = true,
            KeyCode::Char('?' | 'h') | KeyCode::F(1) => self.help = true,
            KeyCode::Char('p' | ' ') => self.paused = !self.paused,
            KeyCode::Tab | KeyCode::Right => self.go(self.page.step(1)),
            KeyCode::BackTab | KeyCode::Left => self.go(self.page.step(Page::ALL.len() - 1)),
            KeyCode::Char(digit @ '1'..='6') => {
                let index = (digit as usize).saturating_sub('1' as usize);
                self.go(Page::ALL.get(index).copied().unwrap_or_default());
            }
            KeyCode::Down | KeyCode::Char('j') => self.scroll = self.scroll.saturating_add(1),
            KeyCode::Up | KeyCode::Char('k') => self.scroll = self.scroll.saturating_sub(1),
            KeyCode::PageDown => self.scroll = self.scroll.saturating_add(PAGE_ROWS),
            KeyCode::PageUp => self.scroll = self.scroll.saturating_sub(PAGE_ROWS),
            KeyCode::Home => self.scroll = 0,
            KeyCode::Char('+') => self.interval = (self.interval * 2).min(INTERVAL_MAX),
            KeyCode::Char('-') => self.interval = (self.interval / 2).max(INTERVAL_MIN),
            _ => {}
        }
    }

    /// A page with so many rows has room for so many: nothing is scrolled beyond its end.
    pub(crate) fn fit(&mut self, rows: usize, room: usize) -> usize {
        self.scroll = self.scroll.min(rows.saturating_sub(room));
        self.scroll
    }

    fn go(&mut self, page: Page) {
        self.page = page;
        self.scroll = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ratatui::crossterm::event::KeyEvent;

    fn pressed(codes: &[KeyCode]) -> State {
        let mut state = State::new(Duration::from_secs(1));
        codes.iter().for_each(|code| state.key(KeyEvent::from(*code)));
        state
    }

    #[test]
    fn keys_go_through_the_pages_and_around() {
        assert_eq!(pressed(&[KeyCode::Tab]).page, Page::Processes);
        assert_eq!(pressed(&[KeyCode::Right; 6]).page, Page::Overview);
        assert_eq!(pressed(&[KeyCode::Left]).page, Page::Health);
        assert_eq!(pressed(&[KeyCode::Char('4')]).page, Page::Rings);
        assert_eq!(pressed(&[KeyCode::Down, KeyCode::Down, KeyCode::Tab]).scroll, 0);
    }

    #[test]
    fn any_key_ends_the_help_and_q_the_program() {
        let helped = pressed(&[KeyCode::Char('?'), KeyCode::Tab]);
        assert_eq!((helped.help, helped.page, helped.over), (false, Page::Overview, false));
        assert!(pressed(&[KeyCode::Char('?')]).help);
        assert!(pressed(&[KeyCode::Char('?'), KeyCode::Char('q')]).over);
        let mut state = State::new(Duration::from_secs(1));
        state.key(KeyEvent::new(KeyCode::Char('c'), KeyModifiers::CONTROL));
        assert!(state.over);
        assert!(!pressed(&[KeyCode::Char('c')]).over);
    }

    #[test]
    fn scrolling_ends_with_the_rows() {
        let mut state = pressed(&[KeyCode::PageDown, KeyCode::PageDown]);
        assert_eq!((state.fit(15, 10), state.scroll), (5, 5));
        assert_eq!(state.fit(3, 10), 0);
    }

    #[test]
    fn the_interval_has_limits() {
        assert_eq!(pressed(&[KeyCode::Char('-'); 20]).interval, INTERVAL_MIN);
        assert_eq!(pressed(&[KeyCode::Char('+'); 20]).interval, INTERVAL_MAX);
        assert!(pressed(&[KeyCode::Char('p')]).paused && !pressed(&[KeyCode::Char('p'), KeyCode::Char(' ')]).paused);
    }
}
