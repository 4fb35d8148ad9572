//! Call sites beyond what the table of definitions holds, and sites with many types.

use crate::support::{FLUSH, Place, good_child};
use std::fmt::Debug;
use tachograph::{Component, Guard, component, info, start, start_isolated};

macro_rules! ten {
    ($($body:tt)*) => {
        $($body)* $($body)* $($body)* $($body)* $($body)* $($body)* $($body)* $($body)* $($body)* $($body)*
    };
}

/// A thousand call sites.
fn through_a_logger(tacho: &Guard) {
    let mut number = 0_u32;
    ten! { ten! { ten! {
        info!(logger: tacho, target: "sites", double = number * 2; "site {} {}", number, "text");
        number += 1;
    } } }
}

/// Five hundred that log through the plain macros, and as many that log for a component.
fn plain(part: Component) {
    let mut number = 0_u32;
    ten! { ten! {
        info!(target: "sites", double = number * 2; "site {} {}", number, "text");
        info!(logger: part, double = number * 2; "site {} {}", number, "text");
        number += 1;
    } }
    ten! { ten! {
        info!(target: "sites", double = number * 2; "site {} {}", number, "text");
        info!(logger: part, double = number * 2; "site {} {}", number, "text");
        number += 1;
    } }
    ten! { ten! {
        info!(target: "sites", double = number * 2; "site {} {}", number, "text");
        info!(logger: part, double = number * 2; "site {} {}", number, "text");
        number += 1;
    } }
}

fn check(messages: &[String], sites: u32, rounds: usize) {
    assert_eq!(messages.len(), sites as usize * rounds);
    for (message, number) in messages.iter().zip((0..rounds).flat_map(|_| 0..sites)) {
        // A machine that is busy makes a record late.
        let message = message.trim_end_matches(" (late)");
        assert_eq!(message, format!("site {number} text double={}", number * 2));
    }
}

#[test]
fn records_carry_their_definition_when_the_table_is_full() {
    let place = Place::new();
    let tacho = start_isolated(place.config().table_bytes(65_536)).unwrap();
    for _ in 0..3 {
        through_a_logger(&tacho);
        tacho.flush(FLUSH).unwrap();
    }
    let health = tacho.health();
    assert_eq!((health.written, health.dropped), (3000, 0), "{health}");
    check(&place.messages("sites"), 1000, 3);
}

#[test]
fn and_so_they_do_globally() {
    let place = good_child("definitions::and_so_they_do_globally", |place| {
        let part = component("part");
        for _ in 0..2 {
            let tacho = start(place.config().table_bytes(65_536).ring_bytes(1 << 20)).unwrap();
            plain(part);
            plain(part);
            tacho.set_levels("off").unwrap();
            plain(part);
            tacho.set_levels("info").unwrap();
            plain(part);
            tacho.flush(FLUSH).unwrap();
            let health = tacho.health();
            assert_eq!((health.written, health.dropped), (6 * 300, 0), "{health}");
        }
    });
    check(&place.messages("sites"), 300, 6);
    check(&place.messages("part"), 300, 6);
}

fn generic<T: tachograph::Value + Debug>(tacho: Option<&Guard>, value: T) {
    match tacho {
        Some(tacho) => info!(logger: tacho, target: "generic", value = value; "is {:?}", value),
        None => info!(target: "generic", value = value; "is {:?}", value),
    }
}

fn all_types(tacho: Option<&Guard>) {
    generic(tacho, 1_u8);
    generic(tacho, -1_i64);
    generic(tacho, 2.5_f64);
    generic(tacho, "text");
    generic(tacho, 'c');
    generic(tacho, true);
    generic(tacho, Some([1_u16, 2]));
    generic(tacho, (1_u8, "two"));
    generic(tacho, ());
}

const ALL_TYPES: [&str; 9] = [
    "is 1 value=1",
    "is -1 value=-1",
    "is 2.5 value=2.5",
    "is \"text\" value=text",
    "is 'c' value=c",
    "is true value=true",
    "is Some([1, 2]) value=[1, 2]",
    "is (1, \"two\") value=(1, two)",
    "is () value=()",
];

#[test]
fn a_generic_function_is_a_site_for_each_type() {
    let place = good_child("definitions::a_generic_function_is_a_site_for_each_type", |place| {
        all_types(None);
        let tacho = start(place.config()).unwrap();
        all_types(None);
        all_types(Some(&tacho));
        std::thread::scope(|scope| {
            scope.spawn(|| all_types(None));
        });
        tacho.flush(FLUSH).unwrap();
    });
    // How a field is quoted is the pattern's affair.
    let loose = |text: &str| text.replace(['"', '\\'], "");
    let messages: Vec<String> = place.messages("generic").iter().map(|message| loose(message)).collect();
    let expected: Vec<String> = ALL_TYPES.iter().cycle().take(27).map(|text| loose(text)).collect();
    assert_eq!(messages, expected);
}
