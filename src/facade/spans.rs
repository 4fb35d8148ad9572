//! What spans add to the events in them, encoded ahead: each span keeps its own fields, and those of all spans around it
//! as one list that an event copies.
//!
//! A field that is recorded later changes the lists of the spans within. So all spans of one tree share a count of such
//! changes; a list that is older than the count is made anew by the next event that wants it.

use super::draft::{FieldKind, Fields};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use tracing_subscriber::registry::{LookupSpan, SpanRef};

/// The name of the field that holds the path.
const SPAN: &str = "span";
/// The path of a span, which recursion could make endless, is cut from the left.
const PATH_BYTES_MAX: usize = 1024;

/// What a span knows; in its extensions.
#[derive(Debug)]
pub(super) struct Context {
    own: Fields,
    /// The path, and the fields of this span and of those around it.
    all: Fields,
    /// How often something was recorded in the tree, when `all` was made.
    seen: u32,
    changes: Arc<AtomicU32>,
}

/// A new span with these fields.
pub(super) fn begin<'a, R: LookupSpan<'a>>(span: &SpanRef<'a, R>, own: Fields) {
    let changes = span.parent().and_then(|parent| {
        let extensions = parent.extensions();
        extensions.get::<Context>().map(|context| Arc::clone(&context.changes))
    });
    let changes = changes.unwrap_or_default();
    let seen = changes.load(Ordering::Acquire);
    let all = gather(span, &own);
    span.extensions_mut().replace(Context { own, all, seen, changes });
}

/// Fields that became known later take the place of those before.
pub(super) fn record<'a, R: LookupSpan<'a>>(span: &SpanRef<'a, R>, mut fields: Fields) {
    let mut extensions = span.extensions_mut();
    if let Some(context) = extensions.get_mut::<Context>() {
        fields.append_unshadowed(&context.own);
        context.own = fields;
        context.changes.fetch_add(1, Ordering::AcqRel);
    }
}

impl Context {
    /// Calls `f` with what the span adds to an event.
    #[inline]
    pub(super) fn with<'a, R: LookupSpan<'a>>(span: &SpanRef<'a, R>, f: impl FnOnce(&Fields)) {
        let own = {
            let extensions = span.extensions();
            let Some(context) = extensions.get::<Self>() else { return };
            if context.seen == context.changes.load(Ordering::Acquire) {
                return f(&context.all);
            }
            context.own.clone()
        };
        Self::again(span, &own, f);
    }

    #[cold]
    fn again<'a, R: LookupSpan<'a>>(span: &SpanRef<'a, R>, own: &Fields, f: impl FnOnce(&Fields)) {
        // Read first: what changes meanwhile is seen by the next event.
        let seen = span.extensions().get::<Self>().map(|context| context.changes.load(Ordering::Acquire));
        let all = gather(span, own);
        f(&all);
        if let (Some(context), Some(seen)) = (span.extensions_mut().get_mut::<Self>(), seen) {
            (context.all, context.seen) = (all, seen);
        }
    }
}

/// The path of a span, its own fields, and what they do not hide of those around it.
fn gather<'a, R: LookupSpan<'a>>(span: &SpanRef<'a, R>, own: &Fields) -> Fields {
    let mut path = span.name().to_owned();
    let mut fields = own.clone();
    let mut next = span.parent();
    while let Some(outer) = next {
        path.insert(0, ':');
        path.insert_str(0, outer.name());
        if let Some(context) = outer.extensions().get::<Context>() {
            fields.append_unshadowed(&context.own);
        }
        next = outer.parent();
    }
    let from = path.len().saturating_sub(PATH_BYTES_MAX);
    let path = (from..=path.len()).find_map(|from| path.get(from..)).unwrap_or_default();
    let mut all = Fields::default();
    all.push_text(SPAN, FieldKind::Str, path.as_bytes());
    all.append_unshadowed(&fields);
    all
}
