//! Text and JSON lines of whole records.

use super::json::{Integers, JsonFormat};
use super::line::{LINE_BYTES_MAX, LineFormat};
use super::logfmt::LogfmtFormat;
use super::pattern::{DEFAULT_PATTERN, Pattern, TextFormat};
use super::{CUT_MARK, Plan};
use crate::level::Level;
use crate::reader::record::{Body, CallSite, Position, RecordRef, Thread};
use crate::record::definition::{FieldDef, SiteDef};
use crate::record::types::{OwnedShape, OwnedType};
use proptest::prelude::*;
use serde_json::{Value, json};

const NS: i64 = 1_795_179_757_123_456_789;

fn site(format: &str, fields: &[(&str, bool)], types: Vec<OwnedType>) -> CallSite {
    let fields = fields.iter().map(|(name, debug)| FieldDef { name: (*name).to_owned(), debug: *debug }).collect();
    let def = SiteDef {
        id: 1,
        level: Level::Info,
        target: Some("order_watcher".to_owned()),
        module: "bot::orders".to_owned(),
        file: "src/orders.rs".to_owned(),
        line: 42,
        column: 5,
        format: format.to_owned(),
        fields,
        types,
    };
    let plan = Plan::new(&def).unwrap();
    CallSite { def, plan }
}

fn record<'a>(thread: &'a Thread, body: Body<'a>) -> RecordRef<'a> {
    RecordRef {
        unix_ns: NS,
        ticks: 1,
        level: Level::Info,
        target: "order_watcher",
        process: "p",
        thread,
        ring: 0,
        seq: 7,
        position: Position { segment: 1, offset: 128 },
        late: false,
        flight: false,
        recovered: false,
        body,
    }
}

fn thread() -> Thread {
    Thread { name: "market-data".to_owned(), tid: 99 }
}

fn text(record: &RecordRef<'_>) -> String {
    by(DEFAULT_PATTERN, record)
}

fn by(pattern: &str, record: &RecordRef<'_>) -> String {
    let mut out = Vec::new();
    TextFormat::new(pattern.parse().unwrap()).line(record, &mut out);
    String::from_utf8(out).unwrap()
}

fn json_text(record: &RecordRef<'_>) -> String {
    let mut out = Vec::new();
    JsonFormat::default().line(record, &mut out);
    String::from_utf8(out).unwrap()
}

fn string(text: &str) -> Vec<u8> {
    [&(text.len() as u32).to_le_bytes(), text.as_bytes()].concat()
}

#[test]
fn the_documented_lines() {
    let site = site("order filled", &[("order_id", false), ("price", false)], vec![OwnedType::U64, OwnedType::F64]);
    let payload = [42_u64.to_le_bytes(), 105_433.6_f64.to_le_bytes()].concat();
    let thread = thread();
    let mut record = record(&thread, Body::Message { site: &site, payload: &payload });
    let line =
        "2026-11-20T13:02:37.123456789Z INFO     order_watcher [market-data] order filled order_id=42 price=105433.6";
    assert_eq!(text(&record), format!("{line}\n"));
    assert_eq!(
        json_text(&record),
        "{\"timestamp\":\"2026-11-20T13:02:37.123456789Z\",\"level\":\"INFO\",\"message\":\"order filled\",\
         \"logger\":\"order_watcher\",\"thread\":\"market-data\",\"seq\":7,\"order_id\":42,\"price\":105433.6}\n"
    );
    record.late = true;
    assert_eq!(text(&record), format!("{line} (late)\n"));
    record.recovered = true;
    record.level = Level::Critical;
    assert_eq!(text(&record), format!("{} (late) (recovered)\n", line.replace("INFO    ", "CRITICAL")));
    assert!(json_text(&record).ends_with(",\"late\":true,\"recovered\":true}\n"));
    (record.flight, record.late) = (true, false);
    assert!(text(&record).ends_with(" (flight) (recovered)\n"));
    assert!(json_text(&record).ends_with(",\"flight\":true,\"recovered\":true}\n"));
}

#[test]
fn ecs_and_logfmt_lines_as_documented() {
    let fields = [("order_id", false), ("price", false), ("error", false), ("ts", false), ("trace.id", false)];
    let types = vec![OwnedType::U64, OwnedType::F64, OwnedType::U8, OwnedType::U8, OwnedType::Str];
    let site = site("order filled", &fields, types);
    let payload = [&42_u64.to_le_bytes()[..], &105_433.6_f64.to_le_bytes(), &[1, 2], &string("a b")].concat();
    let thread = thread();
    let mut record = record(&thread, Body::Message { site: &site, payload: &payload });
    record.late = true;
    record.recovered = true;
    let line = |mut format: Box<dyn LineFormat>| {
        let mut out = Vec::new();
        format.line(&record, &mut out);
        String::from_utf8(out).unwrap()
    };
    let ecs = line(Box::new(JsonFormat::ecs()));
    assert_eq!(
        ecs,
        "{\"@timestamp\":\"2026-11-20T13:02:37.123456789Z\",\"log.level\":\"INFO\",\"message\":\"order filled\",\
         \"ecs.version\":\"8.11.0\",\"log.logger\":\"order_watcher\",\"process.thread.name\":\"market-data\",\
         \"event.sequence\":7,\"process.thread.id\":99,\"log.origin.file.name\":\"src/orders.rs\",\
         \"log.origin.file.line\":42,\"order_id\":42,\"price\":105433.6,\"error_\":1,\"ts\":2,\"trace.id\":\"a b\",\
         \"tags\":[\"late\",\"recovered\"]}\n"
    );
    serde_json::from_str::<Value>(&ecs).unwrap();
    assert_eq!(
        line(Box::<LogfmtFormat>::default()),
        "ts=2026-11-20T13:02:37.123456789Z level=info logger=order_watcher thread=market-data seq=7 msg=\"order filled\" \
         order_id=42 price=105433.6 error=1 ts_=2 trace.id=\"a b\" late=true recovered=true\n"
    );
}

#[test]
fn wide_integers_are_strings_where_asked_for() {
    let names = ["a", "b", "c", "d", "e"].map(|name| (name, false));
    let types = vec![
        OwnedType::U64,
        OwnedType::I64,
        OwnedType::U128,
        OwnedType::U32,
        OwnedType::Option(Box::new(OwnedType::U64)),
    ];
    let site = site("", &names, types);
    let payload = [
        &u64::MAX.to_le_bytes()[..],
        &i64::MIN.to_le_bytes(),
        &7_u128.to_le_bytes(),
        &u32::MAX.to_le_bytes(),
        &[1],
        &3_u64.to_le_bytes(),
    ]
    .concat();
    let thread = thread();
    let record = record(&thread, Body::Message { site: &site, payload: &payload });
    let fields = |integers| {
        let mut out = Vec::new();
        JsonFormat::default().integers(integers).line(&record, &mut out);
        let text = String::from_utf8(out).unwrap();
        text[text.find(",\"a\"").unwrap()..].to_owned()
    };
    assert_eq!(
        fields(Integers::Numbers),
        ",\"a\":18446744073709551615,\"b\":-9223372036854775808,\"c\":7,\"d\":4294967295,\"e\":3}\n"
    );
    assert_eq!(
        fields(Integers::Strings),
        ",\"a\":\"18446744073709551615\",\"b\":\"-9223372036854775808\",\"c\":\"7\",\"d\":4294967295,\"e\":\"3\"}\n"
    );
}

#[test]
fn times_in_a_zone_and_colours() {
    let thread = thread();
    let record = record(&thread, Body::Note { text: "m" });
    let by = |pattern: &str, zone: &str, colored| {
        let mut out = Vec::new();
        let zone = crate::format::time::Zone::named(zone).unwrap();
        TextFormat::new(pattern.parse().unwrap()).zone(zone).colored(colored).line(&record, &mut out);
        String::from_utf8(out).unwrap()
    };
    assert_eq!(
        by("{local} {local:ms} {time:s} {message}", "Europe/Zurich", false),
        "2026-11-20T14:02:37.123456789+01:00 2026-11-20T14:02:37.123+01:00 2026-11-20T13:02:37Z m\n"
    );
    assert_eq!(by("{level}|{message}", "UTC", true), "\u{1b}[32mINFO\u{1b}[0m    |m\n");
}

#[test]
fn what_is_no_message() {
    let thread = thread();
    let site = site("tick {}", &[], vec![OwnedType::U8]);
    let own = |body| {
        let mut it = record(&thread, body);
        it.target = "tachograph";
        (by("{target} [{thread}] {message} {fields}|{file}:{line}", &it), json_text(&it))
    };
    let (line, json) = own(Body::Dropped { count: 1204, cause: 0 });
    assert_eq!(line, "tachograph [market-data] 1,204 records dropped here: ring full|-:-\n");
    assert!(json.ends_with("\"dropped\":1204}\n"), "{json}");
    let (line, json) = own(Body::Suppressed { site: &site, cause: 0, payload: &[9], count: 1532, since_ns: NS });
    assert_eq!(
        line,
        "tachograph [market-data] suppressed 1,532 repeats since 2026-11-20T13:02:37.123456789Z of: tick 9\
         |src/orders.rs:42\n"
    );
    assert!(json.ends_with("\"suppressed\":1532,\"since\":\"2026-11-20T13:02:37.123456789Z\"}\n"), "{json}");
    let (line, json) = own(Body::Suppressed { site: &site, cause: 1, payload: &[9], count: 1532, since_ns: NS });
    assert!(
        line.contains("sampled out 1,532 records since 2026-11-20T13:02:37.123456789Z, one of them: tick 9"),
        "{line}"
    );
    assert!(json.contains("\"sampled_out\":1532,\"since\""), "{json}");
    assert!(own(Body::Note { text: "two\nlines" }).0.contains("two\\nlines"));
    assert!(own(Body::Damage { bytes: 4096 }).0.contains("4,096 bytes of the journal are damaged here"));
    assert!(own(Body::Unknown { reason: "no definition" }).0.contains("no definition"));
}

#[test]
fn patterns_and_their_errors() {
    assert_eq!(DEFAULT_PATTERN.parse(), Ok(Pattern::default()));
    let thread = thread();
    let site = site("m", &[("k", false)], vec![OwnedType::U8]);
    let it = record(&thread, Body::Message { site: &site, payload: &[3] });
    assert_eq!(by("{{{tid}}} {process}#{seq} {module} {fields}", &it), "{99} p#7 bot::orders k=3\n");
    for (pattern, at) in [("{time} {tiem}", 7), ("ab{", 2), ("a}b", 1), ("{}", 0), ("ü{x}", 2), ("a\nb", 1)] {
        assert_eq!(pattern.parse::<Pattern>().unwrap_err().at, at, "{pattern:?}");
    }
    let error = "{tiem}".parse::<Pattern>().unwrap_err().to_string();
    assert!(error.contains("\"tiem\"") && error.contains("thread"), "{error}");
}

#[test]
fn logfmt_quotes_only_what_needs_it() {
    let names = ["a", "b c", "d", "e", "f", "g", "h"].map(|name| (name, name == "h"));
    let types = [vec![OwnedType::Str; 5], vec![OwnedType::Option(Box::new(OwnedType::U8)), OwnedType::Str]].concat();
    let site = site("", &names, types);
    let mut payload: Vec<u8> = ["BTC/USDT", "", "two words", "say \"hi\"\\\x1b[0m", "ünï"].map(string).concat();
    payload.extend([1, 5]);
    payload.extend(string("dbg"));
    let thread = thread();
    let line = by("{fields}", &record(&thread, Body::Message { site: &site, payload: &payload }));
    assert_eq!(
        line,
        "a=BTC/USDT b_c=\"\" d=\"two words\" e=\"say \\\"hi\\\"\\\\\\x1b[0m\" f=ünï g=5 h=\"\\\"dbg\\\"\"\n"
    );
}

#[test]
fn json_of_every_kind_of_value() {
    let side = OwnedType::Enum(
        "Side".to_owned(),
        vec![
            ("Buy".to_owned(), OwnedShape::Unit),
            ("Limit".to_owned(), OwnedShape::Tuple(vec![OwnedType::U8])),
            ("Iceberg".to_owned(), OwnedShape::Named(vec![("shown".to_owned(), OwnedType::U8)])),
        ],
    );
    let pair = OwnedType::Struct("Pair".to_owned(), OwnedShape::Named(vec![("x".to_owned(), OwnedType::I8)]));
    let id = OwnedType::Struct("Id".to_owned(), OwnedShape::Tuple(vec![OwnedType::U64]));
    let fields = [
        (OwnedType::U64, u64::MAX.to_le_bytes().to_vec(), json!(u64::MAX)),
        (OwnedType::I64, i64::MIN.to_le_bytes().to_vec(), json!(i64::MIN)),
        (OwnedType::U128, u128::MAX.to_le_bytes().to_vec(), json!(u128::MAX.to_string())),
        (OwnedType::I128, (-5_i128).to_le_bytes().to_vec(), json!(-5)),
        (OwnedType::F64, f64::NAN.to_le_bytes().to_vec(), json!("NaN")),
        (OwnedType::F64, f64::NEG_INFINITY.to_le_bytes().to_vec(), json!("-inf")),
        (OwnedType::F32, 0.1_f32.to_le_bytes().to_vec(), json!(0.1)),
        (OwnedType::Char, ('"' as u32).to_le_bytes().to_vec(), json!("\"")),
        (OwnedType::Unit, vec![], json!(null)),
        (OwnedType::Duration, [&3_u64.to_le_bytes()[..], &5_000_000_u32.to_le_bytes()].concat(), json!(3.005)),
        (OwnedType::Option(Box::new(OwnedType::U8)), vec![0], json!(null)),
        (OwnedType::Option(Box::new(OwnedType::U8)), vec![1, 8], json!(8)),
        (OwnedType::Result(Box::new(OwnedType::U8), Box::new(OwnedType::Bool)), vec![1, 1], json!({"Err": true})),
        (OwnedType::Seq(Box::new(OwnedType::U8)), vec![2, 0, 0, 0, 0, 255], json!([0, 255])),
        (OwnedType::Seq(Box::new(OwnedType::U8)), vec![1, 0, 0, 0x80, 7], json!([7, CUT_MARK])),
        (OwnedType::Array(Box::new(pair.clone()), 2), vec![1, 255], json!([{"x": 1}, {"x": -1}])),
        (OwnedType::Tuple(vec![OwnedType::Bool, OwnedType::U8]), vec![1, 2], json!([true, 2])),
        (id, 9_u64.to_le_bytes().to_vec(), json!(9)),
        (side.clone(), vec![0, 0, 0, 0], json!("Buy")),
        (side.clone(), vec![1, 0, 0, 0, 5], json!({"Limit": 5})),
        (side, vec![2, 0, 0, 0, 6], json!({"Iceberg": {"shown": 6}})),
    ];
    for (ty, payload, expected) in fields {
        let site = site("", &[("v", false)], vec![ty.clone()]);
        let thread = thread();
        let line = json_text(&record(&thread, Body::Message { site: &site, payload: &payload }));
        let value: Value = serde_json::from_str(&line).unwrap();
        assert_eq!(value["v"], expected, "{ty:?}");
    }
}

#[test]
fn colliding_names_get_underscores() {
    let names = ["message", "message_", "id", "id", "late", ""].map(|name| (name, false));
    let site = site("", &names, vec![OwnedType::U8; 6]);
    let thread = thread();
    let line = json_text(&record(&thread, Body::Message { site: &site, payload: &[1, 2, 3, 4, 5, 6] }));
    assert!(line.ends_with("\"message_\":1,\"message__\":2,\"id\":3,\"id_\":4,\"late_\":5,\"\":6}\n"), "{line}");
}

#[test]
fn lines_have_a_limit_and_stay_valid() {
    let site = site("{0}{0}{0}{0}", &[("k", false)], vec![OwnedType::Str, OwnedType::Str]);
    let long = "\u{1}é".repeat(200_000);
    let payload = [string(&long), string("v")].concat();
    let thread = Thread { name: "\n".repeat(100_000), tid: 1 };
    let it = record(&thread, Body::Message { site: &site, payload: &payload });
    let line = text(&it);
    assert!(line.len() <= LINE_BYTES_MAX && line.ends_with("…\n"), "{}", line.len());
    let line = json_text(&it);
    assert!(line.len() <= LINE_BYTES_MAX, "{}", line.len());
    assert_eq!(serde_json::from_str::<Value>(&line).unwrap()["cut"], json!(true));
}

#[test]
fn damaged_payloads_give_lines_too() {
    let site = site("a {} b", &[("k", false)], vec![OwnedType::Str, OwnedType::U64]);
    let thread = thread();
    for payload in [&[][..], &[255, 255, 255, 255], &[1, 0, 0, 0, 0xff, 1], &[0, 0, 0, 0, 1]] {
        let it = record(&thread, Body::Message { site: &site, payload });
        assert!(text(&it).ends_with('\n'));
        assert!(serde_json::from_str::<Value>(&json_text(&it)).is_ok());
    }
}

proptest! {
    #[test]
    fn json_parses_and_has_equal_values(
        message in "(?s).*", target in "(?s).*", name in "(?s).*", key in "(?s).*",
        words in proptest::collection::vec("(?s).*", 0..4),
        id in any::<u64>(), signed in any::<i64>(), float in any::<f64>(), seq in any::<u32>(), flag in any::<bool>(),
    ) {
        let fields = [(key.as_str(), false), ("w", false), ("id", false), ("signed", false), ("float", false), ("flag", false)];
        let types = vec![
            OwnedType::Str,
            OwnedType::Str,
            OwnedType::Seq(Box::new(OwnedType::Str)),
            OwnedType::U64,
            OwnedType::I64,
            OwnedType::F64,
            OwnedType::Bool,
        ];
        let site = site("{}", &fields, types);
        let mut payload = [string(&message), string(&message), (words.len() as u32).to_le_bytes().to_vec()].concat();
        words.iter().for_each(|word| payload.extend(string(word)));
        payload.extend(id.to_le_bytes());
        payload.extend(signed.to_le_bytes());
        payload.extend(float.to_le_bytes());
        payload.push(u8::from(flag));
        let thread = Thread { name, tid: 1 };
        let mut it = record(&thread, Body::Message { site: &site, payload: &payload });
        it.target = &target;
        it.seq = seq;
        it.late = flag;
        let line = json_text(&it);
        prop_assert_eq!(line.matches('\n').count(), 1);
        let value: Value = serde_json::from_str(&line).unwrap();
        prop_assert_eq!(&value["message"], &json!(message));
        prop_assert_eq!(&value["logger"], &json!(target));
        prop_assert_eq!(&value["thread"], &json!(thread.name));
        prop_assert_eq!(&value["seq"], &json!(seq));
        prop_assert_eq!(value.get("late").is_some(), flag);
        let keys: usize = value.as_object().unwrap().len();
        prop_assert_eq!(keys, 6 + 6 + usize::from(flag));
        if !["w", "id", "signed", "float", "flag"].contains(&key.as_str()) {
            prop_assert_eq!(&value["w"], &json!(words));
            prop_assert_eq!(value["id"].as_u64(), Some(id));
            prop_assert_eq!(value["signed"].as_i64(), Some(signed));
            if float.is_finite() {
                prop_assert_eq!(value["float"].as_f64().unwrap().to_bits(), float.to_bits());
            }
        }
        let line = text(&it);
        prop_assert_eq!(line.matches('\n').count(), 1);
        prop_assert!(line.trim_end_matches('\n').chars().all(|c| !c.is_control()));
    }

    #[test]
    fn floats_are_as_display_puts_them(float in prop_oneof![any::<f64>(), -1e6..1e6_f64, (0..1000_i32).prop_map(f64::from)]) {
        let site = site("", &[("v", false)], vec![OwnedType::F64]);
        let thread = thread();
        let payload = float.to_le_bytes();
        let line = by("{fields}", &record(&thread, Body::Message { site: &site, payload: &payload }));
        prop_assert_eq!(line, format!("v={float}\n"));
    }

    #[test]
    fn any_pattern_parses_or_says_where_not(pattern in "(?s)(.|\\{|\\}|\\{time\\}|\\{fields\\}){0,20}") {
        if let Err(error) = pattern.parse::<Pattern>() {
            prop_assert!(pattern.is_char_boundary(error.at));
        }
    }
}

/// `cargo test --release --lib format::line_tests::speed -- --ignored --nocapture`
#[test]
#[ignore = "a measurement"]
fn speed() {
    let site = site("order filled", &[("order_id", false), ("price", false)], vec![OwnedType::U64, OwnedType::F64]);
    let payload = [42_u64.to_le_bytes(), 105_433.6_f64.to_le_bytes()].concat();
    let thread = thread();
    let mut out = Vec::new();
    let formats: [(&str, Box<dyn LineFormat>); 2] =
        [("text", Box::new(TextFormat::default())), ("json", Box::new(JsonFormat::default()))];
    for (name, mut format) in formats {
        let lines = 2_000_000_u32;
        let begin = std::time::Instant::now();
        for number in 0..lines {
            let mut it = record(&thread, Body::Message { site: &site, payload: &payload });
            it.unix_ns += i64::from(number) * 997;
            format.line(&it, &mut out);
            if out.len() > 1 << 20 {
                out.clear();
            }
        }
        println!("{name}: {:.1} ns a line", begin.elapsed().as_nanos() as f64 / f64::from(lines));
    }
}
