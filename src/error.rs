//! Errors that a person can act on: what was being done, on what, what went wrong, what to do.

use crate::format::escape::push_text;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

/// Why a logger could not be started, or could not do what was asked.
///
/// One opaque type; ask it with the predicates. The text names the operation, the path or field, the cause and, where
/// there is one, the remedy.
#[derive(Debug)]
pub struct Error(Box<Inner>);

#[derive(Debug)]
struct Inner {
    kind: Kind,
    what: String,
    field: Option<String>,
    path: Option<PathBuf>,
    source: Option<io::Error>,
    advice: String,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Kind {
    Config,
    Io,
    AlreadyStarted,
    Timeout,
    Closed,
}

impl Error {
    #[cold]
    pub(crate) fn config(field: &str, message: impl fmt::Display) -> Self {
        let mut error = Self::new(Kind::Config, format!("the configuration is refused: {field}: {message}"), "");
        error.0.field = Some(field.to_owned());
        error
    }

    #[cold]
    pub(crate) fn io(what: impl Into<String>, path: &Path, source: io::Error, advice: impl Into<String>) -> Self {
        let mut error = Self::new(Kind::Io, what.into(), advice);
        error.0.path = Some(path.to_path_buf());
        error.0.source = Some(source);
        error
    }

    #[cold]
    pub(crate) fn new(kind: Kind, what: impl Into<String>, advice: impl Into<String>) -> Self {
        Self(Box::new(Inner { kind, what: what.into(), field: None, path: None, source: None, advice: advice.into() }))
    }

    /// A field of the configuration has a value that cannot be used.
    pub fn is_config(&self) -> bool {
        self.0.kind == Kind::Config
    }

    /// The operating system refused something.
    pub fn is_io(&self) -> bool {
        self.0.kind == Kind::Io
    }

    /// A global logger is running already.
    pub fn is_already_started(&self) -> bool {
        self.0.kind == Kind::AlreadyStarted
    }

    /// The time that was given ran out before all of it was done.
    pub fn is_timeout(&self) -> bool {
        self.0.kind == Kind::Timeout
    }

    /// The logger is closed.
    pub fn is_closed(&self) -> bool {
        self.0.kind == Kind::Closed
    }

    /// The option of the configuration that is refused, if it is one: `ring_bytes`, `view.errors.bytes_max`.
    pub fn field(&self) -> Option<&str> {
        self.0.field.as_deref()
    }

    /// The file or directory that was being worked on, if there was one.
    pub fn path(&self) -> Option<&Path> {
        self.0.path.as_deref()
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Names and paths can be anything.
        f.write_str(&harmless(&self.0.what))?;
        if let Some(path) = &self.0.path {
            write!(f, " {}", harmless(&path.to_string_lossy()))?;
        }
        if let Some(source) = &self.0.source {
            write!(f, ": {source}")?;
        }
        if !self.0.advice.is_empty() {
            write!(f, "; {}", self.0.advice)?;
        }
        Ok(())
    }
}

#[cold]
fn harmless(text: &str) -> String {
    let mut line = Vec::with_capacity(text.len());
    push_text(text, &mut line);
    String::from_utf8_lossy(&line).into_owned()
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.source.as_ref().map(|source| source as _)
    }
}
