//! The journal's text is `format!`'s, byte for byte: over the product of traits, fills, alignments, flags, widths and
//! precisions, with random values, through encoding, definition, decoding and rendering.

#![allow(clippy::expect_used, reason = "a test fails by panicking")]
#![allow(clippy::type_complexity, reason = "nested types are what is tested")]

use proptest::prelude::*;
use std::time::Duration;
use tachograph::Value;
use tachograph::format::Plan;
use tachograph::record::definition::decode_site;
use tachograph::record::encoded::Encoded;
use tachograph::record::types::OwnedType;

/// Takes a call through its bytes and compares its message.
#[track_caller]
fn assert_message(encoded: &Encoded, expected: &str, call: &str) {
    let site = decode_site(&encoded.definition).expect("a definition");
    assert!(!site.types.contains(&OwnedType::Formatted), "formatted at the call site: {call}");
    let mut text = String::new();
    Plan::new(&site).expect("a plan").message(&encoded.payload, &mut text).expect("a message");
    assert_eq!(text, expected, "{call}");
}

macro_rules! assert_same {
    ($($call:tt)*) => {
        assert_message(&tachograph::__encode!(usize::MAX; $($call)*), &format!($($call)*), stringify!($($call)*));
    };
}

// Each step multiplies what it was given by its alternatives; the last is the format string.
macro_rules! kinds {
    ($args:tt $($kind:literal)*) => { $(aligns! { $args $kind })* };
}
macro_rules! aligns {
    ($args:tt $($f:literal)*) => {
        signs! { $args $($f)* "" }
        signs! { $args $($f)* "<" }
        signs! { $args $($f)* "*^" }
        signs! { $args $($f)* "é>" }
        signs! { $args $($f)* "0<" }
    };
}
macro_rules! signs {
    ($args:tt $($f:literal)*) => {
        alternates! { $args $($f)* "" }
        alternates! { $args $($f)* "+" }
    };
}
macro_rules! alternates {
    ($args:tt $($f:literal)*) => {
        zeros! { $args $($f)* "" }
        zeros! { $args $($f)* "#" }
    };
}
macro_rules! zeros {
    ($args:tt $($f:literal)*) => {
        precisions! { $args $($f)* "" }
        precisions! { $args $($f)* "0" }
    };
}
macro_rules! precisions {
    ($args:tt $($f:literal)*) => {
        same! { $args $($f)* "" }
        same! { $args $($f)* ".p$" }
    };
}
macro_rules! same {
    (($value:ident $w:ident $p:ident) $kind:literal $align:literal $sign:literal $alt:literal $zero:literal $p_:literal) => {
        assert_same!(
            concat!("{w}{{", "{:", $align, $sign, $alt, $zero, "w$", $p_, $kind, "}", "}}{p}"),
            $value,
            w = $w,
            p = $p
        );
    };
}

macro_rules! product {
    ($($name:ident: $ty:ty, $strategy:expr, [$($kind:literal)*];)*) => {
        $(
            // One function for each type: the whole product in one is slow to compile.
            #[allow(clippy::too_many_lines, clippy::cognitive_complexity)]
            fn $name(value: &$ty, w: usize, p: usize) {
                kinds! { (value w p) $($kind)* }
            }
        )*

        mod of_every_specification {
            use super::*;
            proptest! {
                #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]
                $(
                    #[test]
                    fn $name(value in $strategy, w in 0_usize..40, p in 0_usize..24) {
                        super::$name(&value, w, p);
                    }
                )*
            }
        }
    };
}

#[derive(Clone, Debug, Value)]
struct Unit;

#[derive(Clone, Debug, Value)]
struct Empty {}

#[derive(Clone, Debug, Value)]
struct Pair(i8, String);

#[derive(Clone, Debug, Value)]
struct Order<'a, T> {
    id: u64,
    side: T,
    px: Option<f64>,
    tags: Vec<&'a str>,
    r#type: Unit,
}

/// `Debug` passes its flags on, so one type with all the others inside covers them all.
#[derive(Clone, Debug, Value)]
enum Any {
    Nothing,
    NothingMuch {},
    Empty(Empty),
    Int(i32),
    Wide(u128, i128),
    Float(f32, f64),
    Text(String),
    Char { c: char, b: bool },
    Time(Duration),
    Bytes(Vec<u8>),
    Pair(Pair),
    Nested(Order<'static, Result<(), (char, [Option<i16>; 2])>>),
    Tuples(((), (u8,), (u8, Box<str>))),
    List(Vec<Pair>),
    Unit(Unit),
}

fn any_f64() -> impl Strategy<Value = f64> {
    prop_oneof![
        any::<u64>().prop_map(f64::from_bits),
        -1e6..1e6,
        Just(0.0),
        Just(-0.0),
        Just(f64::NAN),
        Just(-f64::NAN),
        Just(f64::INFINITY),
        Just(f64::NEG_INFINITY),
        Just(1e16),
        Just(1e-5),
        Just(0.1),
        Just(0.5),
        Just(1.5),
        Just(2.5),
        (-1000_i32..1000).prop_map(f64::from),
    ]
}

fn any_f32() -> impl Strategy<Value = f32> {
    prop_oneof![any::<u32>().prop_map(f32::from_bits), -1e3_f32..1e3, Just(-0.0), Just(f32::NAN), Just(1e16)]
}

fn any_text() -> impl Strategy<Value = String> {
    prop_oneof![any::<String>(), "[a-z]{0,12}", "[\\n\\t\"'\\\\\u{300}\u{1f600}\\u{0}{}]{0,8}"]
}

fn any_duration() -> impl Strategy<Value = Duration> {
    prop_oneof![
        (any::<u64>(), 0_u32..1_000_000_000).prop_map(|(s, n)| Duration::new(s, n)),
        any::<u32>().prop_map(|n| Duration::from_nanos(n.into())),
        (0_u64..5_000_000).prop_map(Duration::from_nanos),
        Just(Duration::MAX),
        Just(Duration::ZERO),
    ]
}

fn pair() -> impl Strategy<Value = Pair> {
    (any::<i8>(), any_text()).prop_map(|(a, b)| Pair(a, b))
}

fn order() -> impl Strategy<Value = Any> {
    let side = prop_oneof![
        Just(Ok(())),
        (any::<char>(), any::<[Option<i16>; 2]>()).prop_map(Err::<(), (char, [Option<i16>; 2])>)
    ];
    let tags = prop::collection::vec(prop_oneof![Just("a"), Just("\"quoted\""), Just("")], 0..3);
    (any::<u64>(), side, prop::option::of(any_f64()), tags)
        .prop_map(|(id, side, px, tags)| Any::Nested(Order { id, side, px, tags, r#type: Unit }))
}

fn any_value() -> impl Strategy<Value = Any> {
    prop_oneof![
        Just(Any::Nothing),
        Just(Any::NothingMuch {}),
        Just(Any::Empty(Empty {})),
        Just(Any::Unit(Unit)),
        any::<i32>().prop_map(Any::Int),
        any::<(u128, i128)>().prop_map(|(a, b)| Any::Wide(a, b)),
        (any_f32(), any_f64()).prop_map(|(a, b)| Any::Float(a, b)),
        any_text().prop_map(Any::Text),
        any::<(char, bool)>().prop_map(|(c, b)| Any::Char { c, b }),
        any_duration().prop_map(Any::Time),
        any::<Vec<u8>>().prop_map(Any::Bytes),
        pair().prop_map(Any::Pair),
        order(),
        (any::<u8>(), any::<(u8, Box<str>)>()).prop_map(|(a, b)| Any::Tuples(((), (a,), b))),
        prop::collection::vec(pair(), 0..4).prop_map(Any::List),
    ]
}

product! {
    i8s: i8, any::<i8>(), ["" "?" "x" "X" "o" "b" "e" "E" "x?"];
    i64s: i64, prop_oneof![any::<i64>(), -100_i64..100], ["" "x" "o" "b" "e"];
    u128s: u128, prop_oneof![any::<u128>(), 0_u128..1000], ["" "X" "E"];
    f64s: f64, any_f64(), ["" "?" "e" "E"];
    f32s: f32, any_f32(), ["" "?" "e"];
    strings: String, any_text(), ["" "?"];
    chars: char, any::<char>(), ["" "?"];
    bools: bool, any::<bool>(), ["" "?"];
    durations: Duration, any_duration(), ["?"];
    anything: Any, any_value(), ["?" "x?" "X?"];
}

proptest! {
    #[test]
    fn arguments_are_found_wherever_the_string_looks_for_them(
        a in any::<i64>(), b in any_f64(), c in any_text(), w in 0_usize..30, p in 0_usize..12,
    ) {
        assert_same!("{} {} {}", a, b, c);
        assert_same!("{a} {b} {c}");
        assert_same!("{2} {0} {1} {0} {} {} {}", a, b, c);
        assert_same!("{:.*}|{:.*}", p, b, w, &c);
        assert_same!("{:>1$}|{:.2$}|{:>1$.2$}|{}", c, w, p, b);
        assert_same!("{c:>w$.p$}{{}}{a:+}{a:+}{a:#x}{b:w$e}{b:?}");
        assert_same!("{x}{y:?}{x:>5}{x}", x = a, y = &&c);
        assert_same!("{a:0w$}{w}{0:w$}", c);
        assert_same!("{b:-^+#012.3}{a:-}");
        assert_same!("");
        assert_same!("{{{a}}}\n{{}}");
    }
}
