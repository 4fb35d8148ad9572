//! What the macros accept, what they record, and that they disturb nothing around them.

#![forbid(unsafe_code)]
#![deny(warnings, clippy::pedantic, clippy::nursery)]
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

use std::fmt;
use tachograph::format::{Decoded, Plan};
use tachograph::record::definition::{SiteDef, decode_site};
use tachograph::record::encoded::Encoded;
use tachograph::record::types::OwnedType;
use tachograph::{Level, Value, critical, debug, error, info, log, trace, warn};

macro_rules! encode {
    ($($call:tt)*) => { Call::of(&tachograph::__encode!(usize::MAX; $($call)*)) };
}

/// A call as its reader sees it.
#[derive(Debug)]
struct Call {
    site: SiteDef,
    message: String,
    /// Name, rendered value and type.
    fields: Vec<(String, String, OwnedType)>,
}

impl Call {
    fn of(encoded: &Encoded) -> Self {
        let site = decode_site(&encoded.definition).unwrap();
        let plan = Plan::new(&site).unwrap();
        let mut message = String::new();
        plan.message(&encoded.payload, &mut message).unwrap();
        let fields = plan.fields(&encoded.payload).map(|field| {
            let field = field.unwrap();
            let mut text = String::new();
            field.value.render(field.debug, &mut text).unwrap();
            (field.name.to_owned(), text, field.value.ty().clone())
        });
        Self { fields: fields.collect(), message, site }
    }

    fn fields(&self) -> Vec<(&str, &str)> {
        self.fields.iter().map(|(name, text, _)| (&**name, &**text)).collect()
    }
}

/// Has `Display` and `Debug` and is no value.
struct Opaque(&'static str);

impl fmt::Display for Opaque {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.0)
    }
}

impl fmt::Debug for Opaque {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "<{}>", self.0)
    }
}

#[derive(Clone, Copy, Debug, Value)]
enum Side {
    Buy,
    Sell { short: bool },
}

struct Order {
    id: u64,
    side: Side,
}

#[test]
fn fields_are_log_s_and_tracing_s() {
    let (id, side, opaque) = (42_u64, Side::Sell { short: true }, Opaque("o"));
    let call = encode!(target: "oms", order_id = id, px = 105_433.6; "order {} filled", id);
    assert_eq!(call.message, "order 42 filled");
    assert_eq!(call.site.target.as_deref(), Some("oms"));
    assert_eq!(call.fields(), [("order_id", "42"), ("px", "105433.6")]);
    assert_eq!(call.fields[1].2, OwnedType::F64);

    let call = encode!(id, order.side = ?side, %id, "a key" = "v", "order filled");
    assert_eq!(call.message, "order filled");
    let expected = [("id", "42"), ("order.side", "Sell { short: true }"), ("id", "42"), ("a key", "v")];
    assert_eq!(call.fields(), expected);
    assert_eq!(call.fields[2].2, OwnedType::U64, "a number stays a number");

    let call = encode!(text:? = "q", text:% = "q", side:?, opaque, opaque:debug, opaque:display, e:err = opaque);
    assert_eq!(call.message, "");
    let expected = [
        ("text", "\"q\""),
        ("text", "q"),
        ("side", "Sell { short: true }"),
        ("opaque", "o"),
        ("opaque", "<o>"),
        ("opaque", "o"),
        ("e", "o"),
    ];
    assert_eq!(call.fields(), expected);
    assert_eq!(call.fields[3].2, OwnedType::Formatted);

    let order = Order { id, side: Side::Buy };
    let call = encode!(order.id, r#type = order.side; "x");
    assert_eq!(call.fields(), [("order.id", "42"), ("type", "Buy")]);
}

#[test]
fn what_is_no_value_is_formatted_at_the_call_site_with_its_specification() {
    let opaque = Opaque("text");
    let call = encode!("{opaque:>6.2}|{opaque:?}|{:w$}|{:p}", opaque, &raw const opaque, w = 5);
    assert!(call.message.starts_with("    te|<text>|text |0x"), "{}", call.message);
    assert_eq!(call.site.types.iter().filter(|ty| **ty == OwnedType::Formatted).count(), 4);
}

#[test]
fn generic_code_copies_what_it_knows_to_be_a_value() {
    fn display<T: fmt::Display>(value: T) -> Call {
        encode!("{value:>4}")
    }
    fn value<T: fmt::Debug + Value>(value: T) -> Call {
        encode!("{value:04?}")
    }
    let calls = (display(7_u8), display("s"), value(7_u8), value(Some(7_i64)));
    assert_eq!((&*calls.0.message, &*calls.1.message), ("   7", "   s"));
    assert_eq!((&*calls.2.message, &*calls.3.message), ("0007", "Some(0007)"));
    assert_eq!(calls.0.site.types, [OwnedType::Formatted]);
    assert_eq!(calls.2.site.types, [OwnedType::U8]);
}

#[test]
fn a_call_is_an_expression_of_type_unit_wherever_it_stands() {
    let () = info!("x");
    match Level::ALL.len() {
        0 => error!("z"),
        6 => warn!("y {}", 1),
        _ => info!("w"),
    }
    let closure = |x: u8| debug!("{x}");
    closure(1);
    log!(Level::Error, "constant {}", 1);
    for level in Level::ALL {
        log!(level, a = 1; "run time {level}");
        log!(target: "t", level, "{}", 2);
    }
    trace!(target: "t", "trailing {}", 1,);
    critical!(a = 1);
    error!(concat!("a", "{}"), 1);
}

#[test]
fn macros_around_the_macros_and_temporaries_in_arguments_work() {
    macro_rules! tokens { ($($call:tt)*) => { encode!($($call)*) }; }
    macro_rules! literal { ($format:literal $(, $arg:expr)*) => { encode!($format $(, $arg)*) }; }
    macro_rules! expression {
        ($value:expr) => {
            encode!("{}", $value)
        };
    }
    let (x, mutex) = (5, std::sync::Mutex::new(String::from("inside")));
    assert_eq!(tokens!(x; "{x}{}", 1).message, "51");
    assert_eq!(literal!("{}{:?}", x, "q").message, "5\"q\"");
    assert_eq!(expression!(x + 1).message, "6");
    assert_eq!(encode!("{}", *mutex.lock().unwrap()).message, "inside");
    assert_eq!(encode!("{}", encode!("{x}").message).message, "5");
    let error: Box<dyn std::error::Error> = "boom".into();
    assert_eq!(
        encode!(error:err, %error, e = error.as_ref()).fields(),
        [("error", "boom"), ("error", "boom"), ("e", "boom")]
    );
}

#[test]
fn names_of_the_user_do_not_matter() {
    #![allow(non_upper_case_globals, clippy::used_underscore_binding)]
    #[allow(dead_code)]
    mod core {}
    #[allow(dead_code)]
    enum Option {
        Some,
    }
    #[allow(unused_imports)]
    use Option::Some;
    const SITE: u8 = 3;
    let (arg0, arg1, state, logger, field0, display) = (1, 2, 3, 4, 5, 6);
    let call = encode!("{SITE}{arg1}{arg0}{state}{logger}{field0}{display}{}", arg1 + arg0,);
    assert_eq!(call.message, "32134563");
    info!("{SITE}{arg1}{arg0}{state}{logger}{}", arg1);
}

#[test]
fn arguments_are_evaluated_once_and_in_order() {
    let mut seen = Vec::new();
    let mut see = |x: i32| {
        seen.push(x);
        x
    };
    let call = encode!(a = see(1), b = see(2); "{1}{0}{1}{1:?}", see(3), see(4));
    assert_eq!(call.message, "4344");
    assert_eq!(seen, [3, 4, 1, 2]);
}

#[test]
fn futures_that_log_are_send() {
    async fn work(id: u64) -> u64 {
        info!(id; "before {id}");
        let id = std::future::ready(id).await;
        info!("after {}", Opaque("x"));
        id
    }
    const fn assert_send<T: Send>(_: &T) {}
    assert_send(&work(1));
}

#[test]
fn a_display_that_logs_or_panics_leaves_the_scratch_area_right() {
    struct Nested;
    impl fmt::Display for Nested {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a")?;
            let inner = encode!("{}{}", Opaque("inner"), Opaque("2"));
            write!(f, "[{}]b", inner.message)
        }
    }
    struct Panics;
    impl fmt::Display for Panics {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str(&"x".repeat(5000))?;
            panic!("in a Display")
        }
    }
    for _ in 0..10 {
        let call = encode!("{}{}{}", Opaque("1"), Nested, Opaque("3"));
        assert_eq!(call.message, "1a[inner2]b3");
        let caught = std::panic::catch_unwind(|| encode!("{}{}", Opaque("1"), Panics));
        assert!(caught.is_err());
    }
    let long = "é".repeat(10_000);
    let opaque = format_args!("{long}").to_string();
    let call = encode!("{}", format_args!("{opaque}"));
    assert_eq!(call.message, format!("{}…", "é".repeat(4096)));
}

#[test]
fn too_long_values_are_cut_at_characters_and_elements_and_marked() {
    let (text, list) = ("é".repeat(50), vec!["abc"; 50]);
    for max in 0..200 {
        let encoded = tachograph::__encode!(max; "{} {:?} {}", text, list, 7_u8);
        assert!(encoded.payload.len() <= max);
        if max < 9 {
            assert!(encoded.payload.is_empty());
            continue;
        }
        let call = Call::of(&encoded);
        let (cut, rest) = call.message.split_once('…').unwrap();
        let in_text = max < 9 + text.len();
        assert_eq!(in_text, text.starts_with(cut), "{}", call.message);
        assert!(rest.ends_with("] 7"), "{}", call.message);
        assert!(encoded.payload.len() + 8 > max, "{} of {max}", encoded.payload.len());
    }
}

#[test]
fn values_can_be_walked() {
    #[derive(Debug, Value)]
    struct Fill<'a> {
        id: u64,
        px: Option<f64>,
        tags: Vec<&'a str>,
    }
    let fill = Fill { id: 7, px: Some(1.5), tags: vec!["a", "b"] };
    let encoded = tachograph::__encode!(usize::MAX; fill; "{name}", name = 3_u8);
    let site = decode_site(&encoded.definition).unwrap();
    let plan = Plan::new(&site).unwrap();
    let argument = plan.arguments(&encoded.payload).next().unwrap().unwrap();
    assert!(argument.name == "name" && matches!(argument.value.decode(), Ok(Decoded::U64(3))));
    let field = plan.fields(&encoded.payload).next().unwrap().unwrap();
    let Ok(Decoded::Struct("Fill", items)) = field.value.decode() else { panic!("no struct") };
    let items: Vec<_> = items.map(Result::unwrap).collect();
    assert_eq!(items.iter().map(|(name, _)| name.unwrap()).collect::<Vec<_>>(), ["id", "px", "tags"]);
    assert!(matches!(items[0].1.decode(), Ok(Decoded::U64(7))));
    let Ok(Decoded::Some(px)) = items[1].1.decode() else { panic!("no price") };
    assert!(matches!(px.decode(), Ok(Decoded::F64(1.5))));
    let Ok(Decoded::List(tags, false)) = items[2].1.decode() else { panic!("no list") };
    assert_eq!(tags.count(), 2);
}
