//! What spans add to events.

use crate::support::good_child;
use tachograph::capture::CapturedRecord;
use tachograph::{Capture, facade};
use tracing::field::Empty;
use tracing::{Level, info, info_span, instrument, span};
use tracing_subscriber::layer::SubscriberExt as _;

fn captured() -> Capture {
    let captured = Capture::thread().unwrap();
    tracing::subscriber::set_global_default(tracing_subscriber::registry().with(facade::tracing::layer())).unwrap();
    captured
}

fn shown(records: Vec<CapturedRecord>) -> Vec<String> {
    let show = |record: CapturedRecord| {
        let fields: Vec<_> = record.fields.iter().map(|(name, value)| format!("{name}={value}")).collect();
        format!("{} | {}", record.message, fields.join(" "))
    };
    records.into_iter().map(show).collect()
}

#[test]
fn the_path_and_the_fields_of_all_of_them_the_inner_ones_first() {
    good_child("spans::the_path_and_the_fields_of_all_of_them_the_inner_ones_first", |_| {
        let captured = captured();
        let outer = info_span!("session", venue = "XNAS", order_id = 1, late = Empty);
        let _in_outer = outer.enter();
        info!("one");
        let inner = info_span!("order", order_id = 2_u64, side = ?"B");
        inner.in_scope(|| {
            info!(px = 1.5, "two");
            info!(order_id = 3, "hidden");
            // Of the outer span, while the inner one is there.
            outer.record("late", true);
            info!("three");
            inner.record("order_id", 4);
            info!("four");
            info!(parent: None, "none");
            info!(parent: &outer, "outer");
        });
        // Of another level, and so not ours, whoever else may see it.
        info!("five");
        let wanted = [
            "one | span=session venue=XNAS order_id=1",
            "two | px=1.5 span=session:order order_id=2 side=\"B\" venue=XNAS",
            "hidden | order_id=3 span=session:order side=\"B\" venue=XNAS",
            "three | span=session:order order_id=2 side=\"B\" late=true venue=XNAS",
            "four | span=session:order order_id=4 side=\"B\" late=true venue=XNAS",
            "none | ",
            "outer | span=session late=true venue=XNAS order_id=1",
            "five | span=session late=true venue=XNAS order_id=1",
        ];
        assert_eq!(shown(captured.take()), wanted);
    });
}

#[instrument(fields(venue = "XNAS"), err)]
fn submit(order_id: u64, px: f64) -> Result<(), String> {
    info!("submitted");
    check(order_id)
}

#[instrument(skip_all, level = "debug")]
fn check(order_id: u64) -> Result<(), String> {
    tracing::warn!(order_id, "rejected");
    Err("no limit".to_owned())
}

#[test]
fn instrument_works() {
    good_child("spans::instrument_works", |_| {
        let captured = captured();
        submit(7, 1.5).unwrap_err();
        let records = captured.take();
        assert_eq!(records[2].level, tachograph::Level::Error);
        let wanted = [
            "submitted | span=submit order_id=7 px=1.5 venue=XNAS",
            "rejected | order_id=7 span=submit:check px=1.5 venue=XNAS",
            " | error=no limit span=submit order_id=7 px=1.5 venue=XNAS",
        ];
        assert_eq!(shown(records), wanted);
    });
}

#[test]
fn spans_that_the_levels_leave_out_add_nothing() {
    good_child("spans::spans_that_the_levels_leave_out_add_nothing", |place| {
        let tacho = tachograph::start(place.config()).unwrap();
        tracing::subscriber::set_global_default(tracing_subscriber::registry().with(facade::tracing::layer())).unwrap();
        let outer = span!(target: "a", Level::INFO, "outer", x = 1);
        let _in_outer = outer.enter();
        let hidden = span!(target: "a", Level::DEBUG, "hidden", y = 1);
        let _in_hidden = hidden.enter();
        info!(target: "a", "event");
        tacho.flush(crate::support::FLUSH).unwrap();
        assert_eq!(place.messages("a"), ["event span=outer x=1"]);
    });
}

#[test]
fn threads_share_spans_and_record_to_them_at_the_same_time() {
    good_child("spans::threads_share_spans_and_record_to_them_at_the_same_time", |_| {
        let captured = Capture::global().unwrap();
        tracing::subscriber::set_global_default(tracing_subscriber::registry().with(facade::tracing::layer())).unwrap();
        let outer = info_span!("outer", n = 0_u64);
        std::thread::scope(|scope| {
            for thread in 0..4_u64 {
                let outer = outer.clone();
                scope.spawn(move || {
                    let inner = info_span!(parent: &outer, "inner", thread);
                    for n in 0..200_u64 {
                        outer.record("n", n);
                        inner.in_scope(|| info!("event"));
                    }
                });
            }
        });
        let records = captured.take();
        assert_eq!(records.len(), 800);
        for record in &records {
            assert_eq!(record.fields["span"], "outer:inner");
            assert_eq!(record.fields.len(), 3, "{record}");
        }
        outer.record("n", 1000_u64);
        outer.in_scope(|| info!("last"));
        assert_eq!(captured.records().last().unwrap().fields["n"], 1000);
    });
}
