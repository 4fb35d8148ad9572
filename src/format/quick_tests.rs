//! The fast way gives the lines that the general way gives, whatever the call, the values and the bytes.

use super::Plan;
use super::json::{Integers, JsonFormat};
use super::line::LineFormat;
use super::pattern::TextFormat;
use crate::level::Level;
use crate::reader::record::{Body, CallSite, Position, RecordRef, Thread};
use crate::record::definition::{FieldDef, SiteDef};
use crate::record::types::OwnedType;
use crate::value::CUT;
use proptest::prelude::*;
use proptest::sample::select;

/// A type, and the bytes of one of its values.
fn value() -> impl Strategy<Value = (OwnedType, Vec<u8>)> {
    use OwnedType as T;
    let text = (
        prop_oneof!["[ -~]{0,40}", ".{0,12}", Just("plain".to_owned()), Just(String::new())],
        select(&[0, 0, 0, CUT][..]),
        select(vec![T::Str, T::Formatted]),
    )
        .prop_map(|(text, cut, ty)| (ty, [&(text.len() as u32 | cut).to_le_bytes(), text.as_bytes()].concat()));
    let number = (any::<u64>(), 0_u32..64, select(vec![T::U64, T::I64, T::U32, T::I32, T::U16, T::I16, T::U8, T::I8]))
        .prop_map(|(number, shift, ty)| {
            let bytes = match ty {
                T::U64 | T::I64 => 8,
                T::U32 | T::I32 => 4,
                T::U16 | T::I16 => 2,
                _ => 1,
            };
            (ty, (number >> shift).to_le_bytes()[..bytes].to_vec())
        });
    let float = prop_oneof![
        any::<f64>(),
        (any::<i32>(), 0_i32..6).prop_map(|(units, places)| f64::from(units) / 10_f64.powi(places)),
        any::<i32>().prop_map(f64::from),
        any::<u64>().prop_map(f64::from_bits),
    ];
    let float = (float, any::<bool>()).prop_map(|(value, wide)| match wide {
        true => (T::F64, value.to_le_bytes().to_vec()),
        false => (T::F32, (value as f32).to_le_bytes().to_vec()),
    });
    let other = prop_oneof![
        (0_u8..3).prop_map(|byte| (T::Bool, vec![byte])),
        any::<char>().prop_map(|c| (T::Char, (c as u32).to_le_bytes().to_vec())),
        any::<u32>().prop_map(|n| (T::Option(Box::new(T::U32)), [&[1][..], &n.to_le_bytes()].concat())),
        Just((T::Option(Box::new(T::U32)), vec![0])),
        Just((T::Unit, vec![])),
        (any::<u64>(), 0_u32..2_000_000_000)
            .prop_map(|(s, ns)| (T::Duration, [&s.to_le_bytes()[..], &ns.to_le_bytes()].concat())),
    ];
    prop_oneof![3 => text, 4 => number, 4 => float, 1 => other]
}

/// A literal that may have to be escaped.
fn literal() -> impl Strategy<Value = String> {
    prop_oneof![
        Just(" ".to_owned()),
        Just(", ".to_owned()),
        Just("a longer text than fits into two words: ".to_owned()),
        Just("\"quoted\" \\ \n\u{202e}".to_owned()),
        "[a-zA-Z:=]{0,20}",
    ]
}

const SPECS: [&str; 12] = ["", "", "", "", ":.2", ":.0", ":.9", ":?", ":>8", ":+", ":<12.3", ":08.2"];
const NAMES: [&str; 6] = ["id", "price", "message", "logger", "a b", "\"=\u{9b}"];

prop_compose! {
    fn call()(
        values in prop::collection::vec((value(), select(&SPECS[..]), literal()), 0..5),
        fields in prop::collection::vec((value(), select(&NAMES[..]), any::<bool>()), 0..4),
        first in literal(),
        damage in prop::option::weighted(0.2, (any::<prop::sample::Index>(), any::<u8>())),
        cut in prop::option::weighted(0.1, any::<prop::sample::Index>()),
    ) -> (SiteDef, Vec<u8>) {
        let (mut format, mut types, mut payload) = (first, Vec::new(), Vec::new());
        for ((ty, bytes), spec, literal) in values {
            format += &format!("{{{spec}}}{literal}");
            types.push(ty);
            payload.extend(bytes);
        }
        let mut names = Vec::new();
        for ((ty, bytes), name, debug) in fields {
            names.push(FieldDef { name: name.to_owned(), debug });
            types.push(ty);
            payload.extend(bytes);
        }
        payload.resize(payload.len().next_multiple_of(8), 0);
        if let Some((at, byte)) = damage.filter(|_| !payload.is_empty()) {
            let at = at.index(payload.len());
            payload[at] = byte;
        }
        if let Some(cut) = cut {
            payload.truncate(cut.index(payload.len() + 1));
        }
        let def = SiteDef {
            id: 1,
            level: Level::Info,
            target: None,
            module: "bot::orders".to_owned(),
            file: "src/orders.rs".to_owned(),
            line: 42,
            column: 5,
            format,
            fields: names,
            types,
        };
        (def, payload)
    }
}

fn lines(format: &mut dyn LineFormat, sites: [&CallSite; 2], payload: &[u8], late: bool) -> [String; 2] {
    let thread = Thread { name: "market \"data\"".to_owned(), tid: 99 };
    sites.map(|site| {
        let record = RecordRef {
            unix_ns: 1_795_179_757_123_456_789,
            ticks: 1,
            level: Level::Info,
            target: "orders::\u{1b}[1m",
            process: "p",
            thread: &thread,
            ring: 0,
            seq: 7,
            position: Position::default(),
            late,
            flight: false,
            recovered: false,
            body: Body::Message { site, payload },
        };
        let mut out = b"before\n".to_vec();
        format.line(&record, &mut out);
        String::from_utf8(out).unwrap()
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1024, ..ProptestConfig::default() })]

    #[test]
    fn both_ways_give_the_same_lines((def, payload) in call(), late: bool) {
        let Ok(plan) = Plan::new(&def) else { return Ok(()) };
        let slow = CallSite { def: def.clone(), plan: plan.clone().slow() };
        let quick = CallSite { def, plan };
        let patterns = ["{time} {level} {target} [{thread}] {message} {fields}", "{fields}|{seq} {process} {message}{tid}"];
        for pattern in patterns {
            let [quick, slow] = lines(&mut TextFormat::new(pattern.parse().unwrap()), [&quick, &slow], &payload, late);
            prop_assert_eq!(quick, slow);
        }
        for mut format in [JsonFormat::default(), JsonFormat::ecs(), JsonFormat::default().integers(Integers::Strings)] {
            let [quick, slow] = lines(&mut format, [&quick, &slow], &payload, late);
            prop_assert_eq!(quick, slow);
        }
    }
}
