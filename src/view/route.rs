//! Which views there are, and which of them a target's records go to.

use super::names::{OVERFLOW, SUFFIX, component, hashed, is_stem, stem};
use super::rotation::Settings;
use super::{Filter, Kinds};
use crate::format::is_same;
use crate::format::json::{Integers, JsonFormat};
use crate::format::line::LineFormat;
use crate::format::logfmt::LogfmtFormat;
use crate::format::pattern::{Pattern, TextFormat};
use crate::format::time::Zone;
use crate::level::LevelFilter;
use std::collections::HashMap;
use std::fmt;

/// How a view's lines look.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Format {
    /// Text by a pattern.
    Text {
        /// The pattern.
        pattern: Pattern,
        /// The zone of `{local}`, as [`Zone::named`] knows it.
        zone: String,
    },
    /// Flat JSON.
    Json(Integers),
    /// JSON of the Elastic Common Schema.
    Ecs(Integers),
    /// `key=value` pairs.
    Logfmt,
}

impl Default for Format {
    fn default() -> Self {
        Self::text(Pattern::default())
    }
}

impl Format {
    /// Text by a pattern, with times in UTC.
    pub fn text(pattern: Pattern) -> Self {
        Self::Text { pattern, zone: "UTC".to_owned() }
    }

    /// What puts the lines.
    pub fn writer(&self) -> Box<dyn LineFormat> {
        match self {
            // A zone that this machine does not know was refused before; another machine's shows UTC.
            Self::Text { pattern, zone } => {
                Box::new(TextFormat::new(pattern.clone()).zone(Zone::named(zone).unwrap_or_default()))
            }
            Self::Json(integers) => Box::new(JsonFormat::default().integers(*integers)),
            Self::Ecs(integers) => Box::new(JsonFormat::ecs().integers(*integers)),
            Self::Logfmt => Box::new(LogfmtFormat::default()),
        }
    }
}

/// A view that is configured by name.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct ViewConfig {
    /// The file's name without `.log`: letters, digits, `.`, `_`, `-`, not beginning with a dot.
    pub name: String,
    /// What it shows.
    pub filter: Filter,
    /// How its lines look.
    pub format: Format,
    /// How its files grow and go.
    pub rotation: Settings,
}

/// One view per component, made when the component's first record comes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ComponentViews {
    /// What they show.
    pub level: LevelFilter,
    /// How their lines look.
    pub format: Format,
    /// How their files grow and go.
    pub rotation: Settings,
    /// So many at most; what belongs to more components goes to `overflow.log`. Default 1000.
    pub views_max: usize,
}

impl Default for ComponentViews {
    fn default() -> Self {
        Self { level: LevelFilter::Trace, format: Format::default(), rotation: Settings::default(), views_max: 1000 }
    }
}

/// All views of a directory.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Config {
    /// Views by name. A record goes to each whose filter it passes.
    pub views: Vec<ViewConfig>,
    /// Views by component; `None` for none.
    pub components: Option<ComponentViews>,
    /// Files that are held open. Default 128.
    pub open_files_max: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self { views: Vec::new(), components: Some(ComponentViews::default()), open_files_max: 128 }
    }
}

/// The configuration of a view is wrong.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ConfigError {
    /// The view's name.
    pub view: String,
    /// What is wrong with it.
    pub reason: String,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "view {:?}: {}", self.view, self.reason)
    }
}

impl std::error::Error for ConfigError {}

impl Config {
    /// Says what is wrong, if something is.
    ///
    /// # Errors
    /// The first view whose name or settings are refused.
    pub fn check(&self) -> Result<(), ConfigError> {
        let fail = |view: &str, reason: String| Err(ConfigError { view: view.to_owned(), reason });
        for (index, view) in self.views.iter().enumerate() {
            if !is_stem(&view.name) {
                return fail(&view.name, "a name is 1 to 100 of A-Z a-z 0-9 . _ - and begins with no dot".to_owned());
            }
            if self.views.iter().take(index).any(|other| other.name.eq_ignore_ascii_case(&view.name)) {
                return fail(&view.name, "the name is taken by another view".to_owned());
            }
            view.rotation.check().or_else(|reason| fail(&view.name, reason))?;
        }
        if let Some(components) = &self.components {
            components.rotation.check().or_else(|reason| fail("by component", reason))?;
        }
        Ok(())
    }

    /// The stem of the file for a component: its own, or with a hash where a configured view has that name.
    pub(crate) fn stem_of(&self, target: &str) -> String {
        let component = component(target);
        let stem = stem(component);
        let taken = stem == OVERFLOW || self.views.iter().any(|view| view.name.eq_ignore_ascii_case(&stem));
        if taken { hashed(component) } else { stem }
    }
}

/// The file name of the view with this stem.
pub(crate) fn base(stem: &str) -> String {
    format!("{stem}{SUFFIX}")
}

/// Where the records of a target go, up to which level and of which kinds each.
pub(crate) type Route = Vec<(usize, LevelFilter, Kinds)>;

/// Targets that were seen; forgotten all at once when they become too many.
#[derive(Default, Debug)]
pub(crate) struct Routes {
    by_target: HashMap<String, usize>,
    routes: Vec<Route>,
    last: Option<(String, usize)>,
}

const TARGETS_MAX: usize = 16 * 1024;

impl Routes {
    #[inline]
    pub(crate) fn find(&mut self, target: &str) -> Option<usize> {
        // Records of one target often come in runs.
        if let Some((_, index)) = self.last.as_ref().filter(|(last, _)| is_same(last.as_bytes(), target.as_bytes())) {
            return Some(*index);
        }
        let index = *self.by_target.get(target)?;
        match &mut self.last {
            Some((last, at)) => {
                last.clear();
                last.push_str(target);
                *at = index;
            }
            None => self.last = Some((target.to_owned(), index)),
        }
        Some(index)
    }

    pub(crate) fn insert(&mut self, target: &str, route: Route) -> usize {
        if self.routes.len() >= TARGETS_MAX {
            *self = Self::default();
        }
        self.by_target.insert(target.to_owned(), self.routes.len());
        self.routes.push(route);
        self.routes.len() - 1
    }

    #[inline]
    pub(crate) fn get(&self, index: usize, at: usize) -> Option<(usize, LevelFilter, Kinds)> {
        self.routes.get(index)?.get(at).copied()
    }
}
