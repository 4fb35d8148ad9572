//! The crate `log` (feature `log`): [`install`] makes this logger the one behind `log`'s macros, so that what a
//! program's dependencies say through them stands in its own log.
//!
//! ```
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let captured = tachograph::Capture::thread()?; // or `let tacho = tachograph::start(…)?`
//! tachograph::facade::log::install()?;
//!
//! log::info!(target: "order_watcher", order_id = 42, price = 105_433.6; "order filled");
//! log::debug!("details");
//!
//! let records = captured.records();
//! assert_eq!(records[0].target, "order_watcher");
//! assert_eq!(records[0].fields["order_id"], 42);
//! # Ok(())
//! # }
//! ```
//!
//! * **Levels** are those of the running logger, by target. `log::max_level()` follows them, also when they are changed
//!   at run time ([`Guard::set_levels`](crate::Guard::set_levels), `tacho level`): it is the most verbose that any target
//!   has, and `Off` while no logger runs, so that a call then costs one load. `critical` has no name in `log`: what is
//!   set to it lets none of `log`'s calls through.
//! * **Fields** keep their types: integers up to 128 bits, floats, `bool`, strings; `char` comes as a string, `()` and `None`
//!   as `null`. What `log` captures by `:?` or `:%`, and errors, stand as text.
//! * **`log::logger().flush()`** waits until all is in the files, for [`close_max`](crate::Config::close_max) at most.
//! * A message without arguments is copied as it is; others are formatted by the call, which is what costs
//!   most: see the [table](super#costs).
//!
//! What is defined of calls before [`start`](crate::start), in threads that end, in forked children and while a disk hangs
//! is as for the macros of this crate: see [there](crate#what-is-defined).

use super::draft::{Draft, FieldKind};
use super::emit;
use super::sites::{Name, Origin};
use crate::error::{Error, Kind};
use crate::level::{Level, LevelFilter};
use crate::logger::followers;
use crate::logger::global;
use crate::logger::guard::Logger;
use ::log::kv::{Key, Value, VisitSource, VisitValue};
use ::log::{Log, Metadata, Record};

/// Makes the global logger the one that the crate `log` logs to. Before [`start`](crate::start) or behind it, once; more
/// often does no harm.
///
/// # Errors
/// When another logger was installed: `log` has one for the life of the process.
pub fn install() -> Result<(), Error> {
    let is_ours = || std::ptr::addr_eq(std::ptr::from_ref(::log::logger()), &raw const FACADE);
    if ::log::set_logger(&FACADE).is_err() && !is_ours() {
        let what = "cannot install the logger of the crate log: there is one already";
        return Err(Error::new(Kind::AlreadyStarted, what, "leave out env_logger::init, LogTracer::init or the like"));
    }
    followers::follow(|| ::log::set_max_level(filter(followers::level_max())));
    Ok(())
}

// Not of size zero, so that it has an address of its own.
static FACADE: Facade = Facade { _is_one: 1 };

#[derive(Debug)]
struct Facade {
    _is_one: u8,
}

impl Log for Facade {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        followers::is_wanted(level(metadata.level()), metadata.target())
    }

    fn log(&self, record: &Record<'_>) {
        let module = Name::new(record.module_path(), record.module_path_static());
        let origin = Origin {
            level: level(record.level()),
            target: target(record.target(), record.module_path_static()),
            module,
            file: Name::new(record.file(), record.file_static()),
            line: record.line().unwrap_or(0),
        };
        emit::record(&origin, |draft| {
            draft.set_message(*record.args());
            // Ours never fail; a source's own error ends its fields.
            let _ = record.key_values().visit(&mut Pairs(draft));
        });
    }

    fn flush(&self) {
        if let Some(core) = global::current() {
            let time = core.config.close_max;
            // `log` has no way to tell; what is behind is in shared memory, and health says why.
            let _ = Logger::new(core).flush(time);
        }
    }
}

/// The target is the module most of the time, which lives as long as the program.
fn target<'a>(target: &'a str, module: Option<&'static str>) -> Name<'a> {
    let same = |module: &&str| module.as_ptr() == target.as_ptr() && module.len() == target.len();
    Name::new(Some(target), module.filter(same))
}

fn level(level: ::log::Level) -> Level {
    match level {
        ::log::Level::Error => Level::Error,
        ::log::Level::Warn => Level::Warn,
        ::log::Level::Info => Level::Info,
        ::log::Level::Debug => Level::Debug,
        ::log::Level::Trace => Level::Trace,
    }
}

fn filter(filter: LevelFilter) -> ::log::LevelFilter {
    match filter {
        LevelFilter::Off | LevelFilter::Critical => ::log::LevelFilter::Off,
        LevelFilter::Error => ::log::LevelFilter::Error,
        LevelFilter::Warn => ::log::LevelFilter::Warn,
        LevelFilter::Info => ::log::LevelFilter::Info,
        LevelFilter::Debug => ::log::LevelFilter::Debug,
        LevelFilter::Trace => ::log::LevelFilter::Trace,
    }
}

/// Takes the pairs of a record.
struct Pairs<'a>(&'a mut Draft);

impl<'kvs> VisitSource<'kvs> for Pairs<'_> {
    fn visit_pair(&mut self, key: Key<'kvs>, value: Value<'kvs>) -> Result<(), ::log::kv::Error> {
        value.visit(Typed { draft: self.0, name: key.as_str() })
    }
}

/// Takes a value as what it is. (A ladder of `to_u64().or(to_i64())…` costs several times as much.)
struct Typed<'a> {
    draft: &'a mut Draft,
    name: &'a str,
}

macro_rules! fixed {
    ($($method:ident($type:ty) as $kind:ident)*) => {$(
        fn $method(&mut self, value: $type) -> Result<(), ::log::kv::Error> {
            self.draft.fields.push(self.name, FieldKind::$kind, &value.to_le_bytes());
            Ok(())
        }
    )*};
}

impl<'v> VisitValue<'v> for Typed<'_> {
    fixed! {
        visit_u64(u64) as U64
        visit_i64(i64) as I64
        visit_u128(u128) as U128
        visit_i128(i128) as I128
        visit_f64(f64) as F64
    }

    fn visit_any(&mut self, value: Value<'_>) -> Result<(), ::log::kv::Error> {
        self.draft.fields.push_formatted(self.name, format_args!("{value}"));
        Ok(())
    }

    fn visit_null(&mut self) -> Result<(), ::log::kv::Error> {
        self.draft.fields.push(self.name, FieldKind::Null, &[0]);
        Ok(())
    }

    fn visit_bool(&mut self, value: bool) -> Result<(), ::log::kv::Error> {
        self.draft.fields.push(self.name, FieldKind::Bool, &[u8::from(value)]);
        Ok(())
    }

    fn visit_str(&mut self, value: &str) -> Result<(), ::log::kv::Error> {
        self.draft.fields.push_text(self.name, FieldKind::Str, value.as_bytes());
        Ok(())
    }

    fn visit_char(&mut self, value: char) -> Result<(), ::log::kv::Error> {
        self.draft.fields.push(self.name, FieldKind::Char, &u32::from(value).to_le_bytes());
        Ok(())
    }
}
