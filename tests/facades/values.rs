//! Values keep their types; what has none that we know is text.

use crate::support::good_child;
use log::kv::{Key, Source, Value, VisitSource};
use std::fmt;
use tachograph::capture::CapturedValue;
use tachograph::{Capture, facade};
use tracing_subscriber::layer::SubscriberExt as _;

#[derive(Debug)]
struct Fill {
    _px: f64,
}

#[derive(Debug)]
struct Broken;

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the line is broken")
    }
}

impl std::error::Error for Broken {}

fn captured() -> Capture {
    let captured = Capture::thread().unwrap();
    facade::log::install().unwrap();
    tracing::subscriber::set_global_default(tracing_subscriber::registry().with(facade::tracing::layer())).unwrap();
    captured
}

#[test]
fn of_log() {
    good_child("values::of_log", |_| {
        let captured = captured();
        let none: Option<u64> = None;
        log::info!(
            a = u64::MAX, b = i64::MIN, c = u128::MAX, d = i128::MIN, e = -0.0_f64, f = true, g = 'ü', h = "text",
            i:? = Fill { _px: 1.5 }, j:% = Broken, k = none, l = 7_u8, m = 1.5_f32, n = Some(-3_i16);
            "all {{of}} them: {}", 1
        );
        let record = captured.take().remove(0);
        assert_eq!(record.message, "all {of} them: 1");
        let fields = &record.fields;
        assert_eq!(fields["a"], u64::MAX);
        assert_eq!(fields["b"], i64::MIN);
        assert_eq!(fields["c"], u128::MAX);
        assert_eq!(fields["d"], i128::MIN);
        assert!(matches!(fields["e"], CapturedValue::Float(zero) if zero == 0.0 && zero.is_sign_negative()));
        assert_eq!(fields["f"], true);
        assert_eq!(fields["g"].to_string(), "ü");
        assert_eq!(fields["h"], "text");
        assert_eq!(fields["i"], "Fill { _px: 1.5 }");
        assert_eq!(fields["j"], "the line is broken");
        assert_eq!(fields["k"], CapturedValue::None);
        assert_eq!(fields["l"], 7);
        assert_eq!(fields["m"], 1.5);
        assert_eq!(fields["n"], -3);
        assert_eq!(fields.len(), 14);
    });
}

/// Keys and types that are not the same each time.
struct Changing(u64);

impl Source for Changing {
    fn visit<'kvs>(&'kvs self, visitor: &mut dyn VisitSource<'kvs>) -> Result<(), log::kv::Error> {
        let name = ["key0", "key1", "key2"][self.0 as usize % 3];
        let value = if self.0.is_multiple_of(2) { Value::from(self.0) } else { Value::from("odd") };
        visitor.visit_pair(Key::from_str(name), value)
    }
}

#[test]
fn of_a_call_whose_fields_differ_from_time_to_time() {
    good_child("values::of_a_call_whose_fields_differ_from_time_to_time", |_| {
        let captured = captured();
        for n in 0..12 {
            let fields = Changing(n);
            let mut builder = log::Record::builder();
            let record = builder.level(log::Level::Warn).target("a").key_values(&fields);
            log::logger().log(&record.args(format_args!("same")).build());
        }
        for (n, record) in (0..12_u64).zip(captured.take()) {
            let value = &record.fields[&*format!("key{}", n % 3)];
            assert_eq!(record.fields.len(), 1);
            assert!(if n % 2 == 0 { *value == n } else { *value == "odd" }, "{record}");
        }
    });
}

#[test]
fn of_tracing() {
    good_child("values::of_tracing", |_| {
        let captured = captured();
        let error: &(dyn std::error::Error + 'static) = &Broken;
        let none: Option<u64> = None;
        tracing::info!(
            a = u64::MAX,
            b = i64::MIN,
            c = u128::MAX,
            d = i128::MIN,
            e = 1.5,
            f = true,
            h = "text",
            i = ?Fill { _px: 1.5 },
            j = %Broken,
            k = none,
            error,
            dotted.name = 3,
            "all {{of}} them: {}",
            1
        );
        tracing::info!(message = "a message by name", n = 1);
        tracing::info!(n = 1);
        let records = captured.take();
        assert_eq!(records[0].message, "all {of} them: 1");
        let fields = &records[0].fields;
        assert_eq!(fields["a"], u64::MAX);
        assert_eq!(fields["b"], i64::MIN);
        assert_eq!(fields["c"], u128::MAX);
        assert_eq!(fields["d"], i128::MIN);
        assert_eq!(fields["e"], 1.5);
        assert_eq!(fields["f"], true);
        assert_eq!(fields["h"], "text");
        assert_eq!(fields["i"], "Fill { _px: 1.5 }");
        assert_eq!(fields["j"], "the line is broken");
        assert_eq!(fields["error"], "the line is broken");
        assert_eq!(fields["dotted.name"], 3);
        assert_eq!(fields.len(), 11, "what is None is no field, as everywhere in tracing");
        assert_eq!((&*records[1].message, records[1].fields.len()), ("a message by name", 1));
        assert_eq!((&*records[2].message, records[2].fields.len()), ("", 1));
    });
}

/// Logs while it is shown.
struct Talks;

impl fmt::Display for Talks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        log::info!(inner = 1; "within log");
        tracing::info!(inner = 2, "within tracing");
        tachograph::info!("within");
        f.write_str("talked")
    }
}

struct Panics;

impl fmt::Display for Panics {
    fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
        panic!("on purpose")
    }
}

#[test]
fn that_log_themselves_or_panic_harm_no_other_record() {
    good_child("values::that_log_themselves_or_panic_harm_no_other_record", |_| {
        let captured = captured();
        log::info!(outer:% = Talks; "{}", Talks);
        tracing::info!(outer = %Talks, "{}", Talks);
        let panicked = std::panic::catch_unwind(|| log::info!("{}", Panics));
        assert!(panicked.is_err());
        let panicked = std::panic::catch_unwind(|| tracing::info!(n = 1, "{}", Panics));
        assert!(panicked.is_err());
        log::info!(n = 3; "after");
        let inner = ["within log", "within tracing", "within"];
        let wanted = [&inner[..], &inner, &["talked"], &inner, &inner, &["talked", "after"]].concat();
        let records = captured.take();
        assert_eq!(records.iter().map(|record| &*record.message).collect::<Vec<_>>(), wanted);
        assert_eq!(records[6].fields["outer"], "talked");
        assert_eq!(records[13].fields["outer"], "talked");
        assert_eq!(records[14].fields.len(), 1);
    });
}
