//! The crate `tracing` (feature `tracing`): [`layer()`] is a layer for `tracing_subscriber`'s `Registry`. Events become records with
//! typed fields; the spans that an event stands in are fields of it.
//!
//! ```
//! use tracing_subscriber::layer::SubscriberExt as _;
//! use tracing_subscriber::util::SubscriberInitExt as _;
//!
//! #[tracing::instrument]
//! fn submit(order_id: u64) {
//!     tracing::info!(target: "order_watcher", price = 105_433.6, "submitted");
//! }
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let captured = tachograph::Capture::thread()?; // or `let tacho = tachograph::start(…)?`
//! tracing_subscriber::registry().with(tachograph::facade::tracing::layer()).init();
//!
//! submit(42);
//!
//! let records = captured.records();
//! assert_eq!(records[0].target, "order_watcher");
//! assert_eq!(records[0].message, "submitted");
//! assert_eq!(records[0].fields["price"], 105_433.6);
//! assert_eq!(records[0].fields["span"], "submit");
//! assert_eq!(records[0].fields["order_id"], 42);
//! # Ok(())
//! # }
//! ```
//!
//! * **Levels** are those of the running logger, by target, for spans as for events. They stand in the layer's own filter,
//!   so that they decide for this layer alone: other layers of the same registry get what they want. A call site that no layer
//!   wants costs one load. When levels change at run time ([`Guard::set_levels`](crate::Guard::set_levels), `tacho
//!   level`), or a logger starts or ends, `tracing`'s cache of interests is made anew. Further filters can be put around it,
//!   as around any layer (`layer().with_filter(…)`); then both must agree.
//! * **Spans**: `span` is the path of their names, `outer:inner`; beside it stand their fields, under their own names. What an
//!   event names itself, or an inner span, hides the field of that name further out. They are encoded when
//!   the span begins, and once more when a field is recorded later; an event copies them. Spans as such leave no record.
//! * **Fields** keep their types: integers up to 128 bits, floats, `bool`, strings, bytes. What comes by `?` or `%`, and errors,
//!   are text.
//! * With `tracing`'s own feature `log-always` each event is a record of `log` too, and stands twice where both facades are in place.
//! * **Records of the crate `log`** that come through `tracing-log` keep their own target, module, file and line. Where nothing else
//!   in the registry wants them, [`facade::log`](super::log) is the shorter way.

use super::draft::{self, Draft, FieldKind, Fields};
use super::emit;
use super::sites::{Name, Origin};
use super::spans::{self, Context};
use crate::level::Level;
use crate::logger::followers;
use std::fmt;
use tracing_core::field::{Field, Visit};
use tracing_core::span::{Attributes, Id, Record};
use tracing_core::subscriber::Interest;
use tracing_core::{Event, LevelFilter, Metadata, Subscriber};
use tracing_subscriber::filter::Filtered;
use tracing_subscriber::layer::{self, Filter, Layer as _};
use tracing_subscriber::registry::LookupSpan;

/// What [`layer()`] makes.
pub type Layer<S> = Filtered<Recorder, LoggerLevels, S>;

/// A layer that records to the global logger what its levels let through. One per registry.
#[must_use = "a layer does nothing before it is put onto a registry"]
pub fn layer<S>() -> Layer<S>
where
    S: Subscriber + for<'span> LookupSpan<'span>,
{
    followers::follow(tracing_core::callsite::rebuild_interest_cache);
    Recorder(()).with_filter(LoggerLevels(()))
}

/// Lets through what the levels of the global logger do; nothing while there is none.
#[derive(Clone, Debug)]
pub struct LoggerLevels(());

impl<S> Filter<S> for LoggerLevels {
    fn enabled(&self, metadata: &Metadata<'_>, _: &layer::Context<'_, S>) -> bool {
        followers::is_wanted(level(metadata.level()), metadata.target())
    }

    fn callsite_enabled(&self, metadata: &'static Metadata<'static>) -> Interest {
        if followers::is_wanted(level(metadata.level()), metadata.target()) {
            Interest::always()
        } else if metadata.target() == BRIDGE {
            // It stands for calls of all targets.
            Interest::sometimes()
        } else {
            Interest::never()
        }
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(match followers::level_max() {
            crate::LevelFilter::Off | crate::LevelFilter::Critical => LevelFilter::OFF,
            crate::LevelFilter::Error => LevelFilter::ERROR,
            crate::LevelFilter::Warn => LevelFilter::WARN,
            crate::LevelFilter::Info => LevelFilter::INFO,
            crate::LevelFilter::Debug => LevelFilter::DEBUG,
            crate::LevelFilter::Trace => LevelFilter::TRACE,
        })
    }
}

/// Records events.
#[derive(Clone, Debug)]
pub struct Recorder(());

impl<S> layer::Layer<S> for Recorder
where
    S: Subscriber + for<'span> LookupSpan<'span>,
{
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: layer::Context<'_, S>) {
        let Some(span) = context.span(id) else { return };
        let mut fields = Fields::default();
        attributes.record(&mut OfSpan(&mut fields));
        spans::begin(&span, fields);
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: layer::Context<'_, S>) {
        let Some(span) = context.span(id) else { return };
        let mut fields = Fields::default();
        values.record(&mut OfSpan(&mut fields));
        spans::record(&span, fields);
    }

    fn on_event(&self, event: &Event<'_>, context: layer::Context<'_, S>) {
        let metadata = event.metadata();
        let fill = |draft: &mut Draft| {
            if let Some(span) = context.event_span(event) {
                Context::with(&span, |fields| draft.fields.append_unshadowed(fields));
            }
        };
        if metadata.target() == BRIDGE {
            return bridged(event, fill);
        }
        let origin = Origin {
            level: level(metadata.level()),
            target: metadata.target().into(),
            module: metadata.module_path().unwrap_or_default().into(),
            file: metadata.file().unwrap_or_default().into(),
            line: metadata.line().unwrap_or(0),
        };
        emit::record(&origin, |draft| {
            event.record(&mut OfEvent(draft));
            fill(draft);
        });
    }
}

/// The target under which `tracing-log` hands on what is logged through the crate `log`; what it says of itself then
/// stands in fields `log.…`.
const BRIDGE: &str = "log";

/// An event that is a record of the crate `log`.
fn bridged(event: &Event<'_>, fill: impl FnOnce(&mut Draft)) {
    // Taken apart in a draft of its own, because origins come before fields.
    draft::with(|raw| {
        event.record(&mut OfEvent(raw));
        let text = |name: &str| {
            let field = raw.fields.iter().find(|field| field.name == name && field.kind == FieldKind::Str)?;
            std::str::from_utf8(field.value.get(4..)?).ok()
        };
        let line = raw.fields.iter().find(|field| field.name == "log.line" && field.kind == FieldKind::U64);
        let line = line.and_then(|field| Some(u64::from_le_bytes(*field.value.first_chunk()?)));
        let origin = Origin {
            level: level(event.metadata().level()),
            target: Name::passing(text("log.target").unwrap_or(BRIDGE)),
            module: Name::passing(text("log.module_path").unwrap_or_default()),
            file: Name::passing(text("log.file").unwrap_or_default()),
            line: line.and_then(|line| u32::try_from(line).ok()).unwrap_or(0),
        };
        emit::record(&origin, |draft| {
            draft.message.extend_from_slice(&raw.message);
            draft.message_cut = raw.message_cut;
            draft.fields.append_chosen(&raw.fields, |name| !name.starts_with("log."));
            fill(draft);
        });
    });
}

fn level(level: &tracing_core::Level) -> Level {
    match *level {
        tracing_core::Level::ERROR => Level::Error,
        tracing_core::Level::WARN => Level::Warn,
        tracing_core::Level::INFO => Level::Info,
        tracing_core::Level::DEBUG => Level::Debug,
        _ => Level::Trace,
    }
}

/// The field of an event that is its message.
const MESSAGE: &str = "message";

/// Takes the fields of an event.
struct OfEvent<'a>(&'a mut Draft);

/// Takes the fields of a span.
struct OfSpan<'a>(&'a mut Fields);

macro_rules! fixed {
    ($($method:ident($type:ty) as $kind:ident)*) => {$(
        fn $method(&mut self, field: &Field, value: $type) {
            self.fields().push(field.name(), FieldKind::$kind, &value.to_le_bytes());
        }
    )*};
}

macro_rules! visits {
    () => {
        fixed! {
            record_u64(u64) as U64
            record_i64(i64) as I64
            record_u128(u128) as U128
            record_i128(i128) as I128
            record_f64(f64) as F64
        }

        fn record_bool(&mut self, field: &Field, value: bool) {
            self.fields().push(field.name(), FieldKind::Bool, &[u8::from(value)]);
        }

        fn record_bytes(&mut self, field: &Field, value: &[u8]) {
            self.fields().push_text(field.name(), FieldKind::Bytes, value);
        }

        fn record_error(&mut self, field: &Field, value: &(dyn std::error::Error + 'static)) {
            self.fields().push_formatted(field.name(), format_args!("{value}"));
        }
    };
}

impl OfEvent<'_> {
    fn fields(&mut self) -> &mut Fields {
        &mut self.0.fields
    }
}

impl Visit for OfEvent<'_> {
    visits!();

    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == MESSAGE {
            self.0.set_message_text(value);
        } else {
            self.fields().push_text(field.name(), FieldKind::Str, value.as_bytes());
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if field.name() == MESSAGE {
            self.0.set_message(format_args!("{value:?}"));
        } else {
            self.fields().push_formatted(field.name(), format_args!("{value:?}"));
        }
    }
}

impl OfSpan<'_> {
    fn fields(&mut self) -> &mut Fields {
        self.0
    }
}

impl Visit for OfSpan<'_> {
    visits!();

    fn record_str(&mut self, field: &Field, value: &str) {
        self.fields().push_text(field.name(), FieldKind::Str, value.as_bytes());
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.fields().push_formatted(field.name(), format_args!("{value:?}"));
    }
}
