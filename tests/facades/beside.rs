//! The three ways beside each other.

use crate::support::{FLUSH, Place, good_child};
use serde_json::Value;
use tachograph::{Guard, LineFormat, View, facade, start};
use tracing_subscriber::layer::SubscriberExt as _;

/// A logger with all records in one file of JSON, and both facades in front of it.
pub fn all_in_one(place: &Place, levels: &str) -> Guard {
    let view = View::new("all").format(LineFormat::Json);
    let tacho = start(place.config().levels(levels.to_owned()).components(false).view(view)).unwrap();
    facade::log::install().unwrap();
    tracing::subscriber::set_global_default(tracing_subscriber::registry().with(facade::tracing::layer())).unwrap();
    tacho
}

pub fn records(place: &Place) -> Vec<Value> {
    let lines = place.lines("all");
    let own = |record: &Value| record["logger"] == "tachograph";
    lines.iter().map(|line| serde_json::from_str(line).unwrap()).filter(|record| !own(record)).collect()
}

#[test]
fn records_of_all_three_stand_in_one_file_in_order_with_typed_fields() {
    let place = good_child("beside::records_of_all_three_stand_in_one_file_in_order_with_typed_fields", |place| {
        let tacho = all_in_one(place, "info");
        for n in 0..1000_u64 {
            let id = u64::MAX - n;
            match n % 3 {
                0 => tachograph::info!(target: "native", n, id, px = 0.5, on = true, who = "N"; "order {}", n),
                1 => log::info!(target: "facade", n, id, px = 0.5, on = true, who = "N"; "order {}", n),
                _ => tracing::info!(target: "layer", n, id, px = 0.5, on = true, who = "N", "order {}", n),
            }
        }
        log::logger().flush();
        assert_eq!(records(place).len(), 1000, "the flush of `log` is one");
        drop(tacho);
    });
    let records = records(&place);
    assert_eq!(records.len(), 1000);
    for (n, record) in (0_u64..).zip(&records) {
        assert_eq!(record["n"].as_u64(), Some(n), "{record}");
        assert_eq!(record["logger"], ["native", "facade", "layer"][n as usize % 3]);
        assert_eq!(record["level"], "INFO");
        assert_eq!(record["message"], format!("order {n}"));
        assert_eq!(record["id"].as_u64(), Some(u64::MAX - n), "exact");
        assert_eq!(record["px"].as_f64(), Some(0.5));
        assert_eq!((record["on"].as_bool(), record["who"].as_str()), (Some(true), Some("N")));
    }
    assert!(records.is_sorted_by_key(|record| record["timestamp"].as_str().unwrap().to_owned()));
}

#[test]
fn what_a_dependency_logs_has_its_own_place_in_the_source() {
    good_child("beside::what_a_dependency_logs_has_its_own_place_in_the_source", |_| {
        let captured = tachograph::Capture::thread().unwrap();
        facade::log::install().unwrap();
        facade::log::install().unwrap();
        tracing::subscriber::set_global_default(tracing_subscriber::registry().with(facade::tracing::layer())).unwrap();
        let line = line!();
        log::warn!("of log");
        tracing::warn!("of tracing");
        // As `LogTracer` would.
        let mut builder = log::Record::builder();
        builder.target("dependency::part").module_path(Some("dependency")).file(Some("dep.rs")).line(Some(7));
        tracing_log::format_trace(&builder.level(log::Level::Warn).args(format_args!("of {}", "both")).build())
            .unwrap();

        let there: Vec<_> = captured.take().into_iter().map(|r| (r.target, r.file, r.line, r.message)).collect();
        let of = |target: &str, file: &str, line, message: &str| (target.into(), file.into(), line, message.into());
        let here = (module_path!(), file!());
        let wanted = [
            of(here.0, here.1, line + 1, "of log"),
            of(here.0, here.1, line + 2, "of tracing"),
            of("dependency::part", "dep.rs", 7, "of both"),
        ];
        assert_eq!(there, wanted);
    });
}

#[test]
fn both_are_there_again_after_a_second_start() {
    let name = "beside::both_are_there_again_after_a_second_start";
    let place = good_child(name, |place| {
        // Before any logger runs, it costs nothing and does nothing.
        let say = |text: &str| {
            log::info!(target: "a", "log {text}");
            tracing::info!(target: "a", "tracing {text}");
        };
        facade::log::install().unwrap();
        tracing::subscriber::set_global_default(tracing_subscriber::registry().with(facade::tracing::layer())).unwrap();
        assert_eq!(log::max_level(), log::LevelFilter::Off);
        say("before");
        for text in ["first", "second"] {
            let tacho = start(place.config()).unwrap();
            assert_eq!(log::max_level(), log::LevelFilter::Info);
            say(text);
            tacho.close(FLUSH).unwrap();
            assert_eq!(log::max_level(), log::LevelFilter::Off);
            assert_eq!(tracing::level_filters::LevelFilter::current(), tracing::level_filters::LevelFilter::OFF);
            say("between");
        }
    });
    assert_eq!(place.messages("a"), ["log first", "tracing first", "log second", "tracing second"]);
}
