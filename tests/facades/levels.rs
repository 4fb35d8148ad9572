//! Levels are those of the logger, and nobody else's business.

use crate::support::{FLUSH, good_child};
use std::cell::Cell;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use tachograph::{FlightRecorder, Level, facade, start};
use tracing::level_filters::LevelFilter;
use tracing_subscriber::layer::{Context, Layer, SubscriberExt as _};

/// Counts how often it is shown.
struct Shown<'a>(&'a Cell<u32>, &'static str);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.set(self.0.get() + 1);
        f.write_str(self.1)
    }
}

/// Calls of both at a level that is the exception, and of both at one that is not.
fn say(shown: &Cell<u32>) {
    log::debug!(target: "feed::parser", "{}", Shown(shown, "log, feed"));
    tracing::debug!(target: "feed::parser", "{}", Shown(shown, "tracing, feed"));
    log::debug!(target: "risk", "{}", Shown(shown, "log, risk"));
    tracing::debug!(target: "risk", "{}", Shown(shown, "tracing, risk"));
}

#[test]
fn they_follow_those_of_the_logger_when_they_change() {
    good_child("levels::they_follow_those_of_the_logger_when_they_change", |place| {
        let tacho = start(place.config().levels("warn,feed=debug")).unwrap();
        facade::log::install().unwrap();
        tracing::subscriber::set_global_default(tracing_subscriber::registry().with(facade::tracing::layer())).unwrap();
        let shown = Cell::new(0);
        let max = || (log::max_level(), LevelFilter::current());
        assert_eq!(max(), (log::LevelFilter::Debug, LevelFilter::DEBUG));
        for _ in 0..2 {
            say(&shown);
        }
        assert_eq!(shown.take(), 4, "what is off is not formatted");
        assert!(log::log_enabled!(target: "feed", log::Level::Debug));
        assert!(!log::log_enabled!(target: "risk", log::Level::Debug));
        assert!(!tracing::enabled!(target: "risk", tracing::Level::INFO));

        tacho.set_levels("risk=trace,feed=off").unwrap();
        assert_eq!(max(), (log::LevelFilter::Trace, LevelFilter::TRACE));
        for _ in 0..2 {
            say(&shown);
        }
        // The call that `log` hands on learns behind its formatting that it is off by now.
        assert!((4..=5).contains(&shown.take()));

        tacho.set_levels("risk=warn").unwrap();
        assert_eq!(max(), (log::LevelFilter::Warn, LevelFilter::WARN));
        say(&shown);
        assert_eq!(shown.take(), 0);

        tacho.set_levels("off,feed=off,risk=off").unwrap();
        assert_eq!(max(), (log::LevelFilter::Off, LevelFilter::OFF));
        tacho.flush(FLUSH).unwrap();
        assert_eq!(place.messages("feed"), ["log, feed", "tracing, feed"].repeat(2));
        assert_eq!(place.messages("risk"), ["log, risk", "tracing, risk"].repeat(2));
    });
}

#[test]
fn tacho_level_changes_them_too() {
    good_child("levels::tacho_level_changes_them_too", |place| {
        let tacho = start(place.config()).unwrap();
        facade::log::install().unwrap();
        tracing::subscriber::set_global_default(tracing_subscriber::registry().with(facade::tracing::layer())).unwrap();
        log::info!(target: "risk", "known from now on");
        let program = std::path::Path::new(env!("CARGO_BIN_EXE_tacho"));
        let output = std::process::Command::new(program)
            .args(["level", "risk=trace"])
            .env("TACHO_DIR", &place.dir)
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        assert_eq!(log::max_level(), log::LevelFilter::Trace);
        assert_eq!(LevelFilter::current(), LevelFilter::TRACE);
        log::trace!(target: "risk", "log");
        tracing::trace!(target: "risk", "tracing");
        log::trace!(target: "other", "log");
        tacho.flush(FLUSH).unwrap();
        assert_eq!(place.messages("risk"), ["known from now on", "log", "tracing"]);
    });
}

#[test]
fn directives_come_from_the_environment_when_asked_for() {
    good_child("levels::directives_come_from_the_environment_when_asked_for", |place| {
        // SAFETY: this process has one thread that looks at its environment.
        unsafe { std::env::set_var("TACHO_TEST_LOG", "error, oms=debug,") };
        let config = place.config().levels("oms=warn,feed=info");
        let tacho = start(config.levels_from_env("TACHO_TEST_LOG").levels_from_env("TACHO_TEST_NONE")).unwrap();
        facade::log::install().unwrap();
        for target in ["oms", "feed", "other"] {
            log::debug!(target: target, "debug");
            log::info!(target: target, "info");
            log::error!(target: target, "error");
        }
        tacho.flush(FLUSH).unwrap();
        assert_eq!(place.messages("oms"), ["debug", "info", "error"]);
        assert_eq!(place.messages("feed"), ["info", "error"]);
        assert_eq!(place.messages("other"), ["error"]);
        drop(tacho);
        // SAFETY: as above.
        unsafe { std::env::set_var("TACHO_TEST_LOG", "oms=loud") };
        let error = start(place.config().levels_from_env("TACHO_TEST_LOG")).unwrap_err();
        assert!(error.is_config() && error.to_string().contains("loud"), "{error}");
    });
}

#[test]
fn what_the_flight_recorder_remembers_comes_through_as_well() {
    let name = "levels::what_the_flight_recorder_remembers_comes_through_as_well";
    let place = good_child(name, |place| {
        let tacho =
            start(place.config().flight_recorder(FlightRecorder::new().bytes(64_usize << 10).trigger(Level::Error)))
                .unwrap();
        facade::log::install().unwrap();
        assert!(log::max_level() >= log::LevelFilter::Debug);
        log::debug!(target: "a", "remembered");
        log::error!(target: "a", "the reason");
        tacho.flush(FLUSH).unwrap();
    });
    let messages = place.messages("a");
    assert_eq!(messages.len(), 2, "{messages:?}");
    assert!(messages[0].contains("remembered") && messages[1].contains("the reason"));
}

/// Counts what it is asked and told.
#[derive(Default)]
struct Other {
    asked: AtomicU64,
    told: AtomicU64,
}

impl<S: tracing::Subscriber> Layer<S> for &'static Other {
    fn enabled(&self, _: &tracing::Metadata<'_>, _: Context<'_, S>) -> bool {
        self.asked.fetch_add(1, Ordering::Relaxed);
        true
    }

    fn on_event(&self, _: &tracing::Event<'_>, _: Context<'_, S>) {
        self.told.fetch_add(1, Ordering::Relaxed);
    }
}

#[test]
fn other_layers_get_what_they_want_and_nobody_is_asked_for_what_nobody_wants() {
    let name = "levels::other_layers_get_what_they_want_and_nobody_is_asked_for_what_nobody_wants";
    good_child(name, |place| {
        let tacho = start(place.config()).unwrap();
        // Below, above, and behind a filter of its own.
        let others: [&'static Other; 3] = std::array::from_fn(|_| &*Box::leak(Box::default()));
        let registry = tracing_subscriber::registry()
            .with(others[0])
            .with(facade::tracing::layer())
            .with(others[1])
            .with(others[2].with_filter(LevelFilter::WARN));
        let dispatch = tracing::Dispatch::new(registry);
        tracing::dispatcher::with_default(&dispatch, || {
            for _ in 0..10 {
                tracing::debug!(target: "a", "debug");
                tracing::info!(target: "a", "info");
                tracing::warn!(target: "a", "warn");
            }
        });
        let told = others.map(|other| other.told.load(Ordering::Relaxed));
        assert_eq!(told, [30, 30, 10], "a layer that does not want an event takes it from nobody");
        drop(dispatch);

        let alone: &'static Other = Box::leak(Box::default());
        let registry =
            tracing_subscriber::registry().with(alone.with_filter(LevelFilter::INFO)).with(facade::tracing::layer());
        tracing::subscriber::with_default(registry, || {
            assert_eq!(LevelFilter::current(), LevelFilter::INFO);
            let asked = || alone.asked.load(Ordering::Relaxed);
            let before = asked();
            for _ in 0..1000 {
                tracing::debug!(target: "a", "nobody's");
            }
            assert_eq!(asked(), before, "for what no layer wants, none is asked");
        });
        tacho.flush(FLUSH).unwrap();
        assert_eq!(place.messages("a"), ["info", "warn"].repeat(10));
    });
}
