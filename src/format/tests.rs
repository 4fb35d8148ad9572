//! What std cannot show: payloads that no call wrote.

use super::*;
use crate::level::Level;
use crate::record::bytes::DecodeError;
use crate::record::definition::{FieldDef, SiteDef, decode_site};
use crate::record::types::{OwnedShape, OwnedType};
use proptest::prelude::*;

fn site(format: &str, types: Vec<OwnedType>) -> SiteDef {
    SiteDef {
        id: 1,
        level: Level::Info,
        target: None,
        module: String::new(),
        file: String::new(),
        line: 0,
        column: 0,
        format: format.to_owned(),
        fields: Vec::new(),
        types,
    }
}

fn renders_as(format: &str, types: Vec<OwnedType>, payload: &[u8]) -> Result<String, DecodeError> {
    let mut text = String::new();
    Plan::new(&site(format, types)).unwrap().message(payload, &mut text).map(|()| text)
}

#[test]
fn a_cut_text_and_a_cut_list_are_marked() {
    let text = [2, 0, 0, 0x80, b'h', b'i'];
    assert_eq!(renders_as("{}!", vec![OwnedType::Str], &text).unwrap(), "hi…!");
    assert_eq!(renders_as("{:?}!", vec![OwnedType::Str], &text).unwrap(), "\"hi\"…!");
    let list = || OwnedType::Seq(Box::new(OwnedType::U8));
    assert_eq!(renders_as("{:?}", vec![list()], &[1, 0, 0, 0x80, 7]).unwrap(), "[7, …]");
    assert_eq!(renders_as("{:?}", vec![list()], &[0, 0, 0, 0x80]).unwrap(), "[…]");
    assert_eq!(renders_as("{:#?}", vec![list()], &[1, 0, 0, 0x80, 7]).unwrap(), "[\n    7,\n    …,\n]");
}

#[test]
fn a_payload_of_nonsense_is_an_error() {
    let side = OwnedType::Enum("Side".into(), vec![("Buy".into(), OwnedShape::Unit)]);
    for (ty, payload, error) in [
        (OwnedType::U32, &[1, 2, 3][..], DecodeError::Truncated),
        (OwnedType::Bool, &[2], DecodeError::Unknown),
        (OwnedType::Char, &[0, 0xd8, 0, 0], DecodeError::Unknown),
        (OwnedType::Str, &[1, 0, 0, 0, 0xff], DecodeError::NotUtf8),
        (OwnedType::Str, &[0xff, 0xff, 0xff, 0x7f, 0], DecodeError::Truncated),
        (OwnedType::Duration, &[0xff; 12], DecodeError::Unknown),
        (side, &[1, 0, 0, 0], DecodeError::Unknown),
    ] {
        assert_eq!(renders_as("{:?}", vec![ty.clone()], payload), Err(error), "{ty:?}");
    }
}

#[test]
fn types_that_do_not_fit_the_format_string_give_no_plan() {
    assert_eq!(Plan::new(&site("{}", vec![])).unwrap_err(), PlanError::Types);
    assert_eq!(Plan::new(&site("", vec![OwnedType::U8])).unwrap_err(), PlanError::Types);
    assert_eq!(Plan::new(&site("{:1$}", vec![OwnedType::U8, OwnedType::Str])).unwrap_err(), PlanError::Types);
    assert!(matches!(Plan::new(&site("{", vec![])).unwrap_err(), PlanError::Format(_)));
}

#[test]
fn a_width_beyond_std_s_is_the_greatest() {
    let mut payload = vec![7];
    payload.extend(u64::MAX.to_le_bytes());
    let text = renders_as("{:1$}", vec![OwnedType::U8, OwnedType::U64], &payload).unwrap();
    assert_eq!(text.len(), usize::from(u16::MAX));
}

#[test]
fn counts_of_nothing_and_great_widths_make_no_great_work() {
    let units = |len| OwnedType::Array(Box::new(OwnedType::Unit), len);
    let mut nested = units(1000);
    for _ in 0..40 {
        nested = OwnedType::Array(Box::new(nested), 1000);
    }
    assert_eq!(renders_as("{:?}", vec![nested.clone()], &[]), Err(DecodeError::TooMany));
    assert!(decoded_fields(nested).is_err());
    assert_eq!(renders_as("{:?}", vec![units(u64::MAX)], &[]), Err(DecodeError::TooMany));
    assert!(renders_as("{:?}", vec![units(1000)], &[]).is_ok());

    let bytes = OwnedType::Seq(Box::new(OwnedType::U8));
    let mut payload = vec![0; 60_000];
    payload[..4].copy_from_slice(&59_996_u32.to_le_bytes());
    let text = renders_as("{:65535?}", vec![bytes], &payload).unwrap();
    assert!(text.len() <= TEXT_BYTES_MAX + CUT_MARK.len() && text.ends_with(CUT_MARK));
}

fn decoded_fields(ty: OwnedType) -> Result<(), DecodeError> {
    let site = SiteDef { fields: vec![FieldDef { name: "f".into(), debug: false }], ..site("", vec![ty]) };
    let plan = Plan::new(&site).unwrap();
    plan.fields(&[]).try_for_each(|field| walk(field?.value))
}

fn walk(value: ValueRef<'_>) -> Result<(), DecodeError> {
    use Decoded::{Err, List, Ok as Good, Some, Struct, Tuple, Variant};
    match value.decode()? {
        Some(value) | Good(value) | Err(value) => walk(value),
        List(mut items, _) | Tuple(mut items) | Struct(_, mut items) | Variant(_, mut items) => {
            items.try_for_each(|item| walk(item?.1))
        }
        _ => Ok(()),
    }
}

fn any_type() -> impl Strategy<Value = OwnedType> {
    let leaf = prop::sample::select(vec![
        OwnedType::U8,
        OwnedType::I64,
        OwnedType::U128,
        OwnedType::F32,
        OwnedType::F64,
        OwnedType::Bool,
        OwnedType::Char,
        OwnedType::Str,
        OwnedType::Formatted,
        OwnedType::Unit,
        OwnedType::Duration,
        OwnedType::Decimal,
    ]);
    leaf.prop_recursive(6, 24, 4, |inner| {
        let shape = prop_oneof![
            Just(OwnedShape::Unit),
            prop::collection::vec(inner.clone(), 0..3).prop_map(OwnedShape::Tuple),
            prop::collection::vec(("[a-z]{0,3}", inner.clone()), 0..3).prop_map(OwnedShape::Named),
        ];
        prop_oneof![
            inner.clone().prop_map(|ty| OwnedType::Option(Box::new(ty))),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| OwnedType::Result(Box::new(a), Box::new(b))),
            inner.clone().prop_map(|ty| OwnedType::Seq(Box::new(ty))),
            (inner.clone(), 0_u64..4).prop_map(|(ty, len)| OwnedType::Array(Box::new(ty), len)),
            prop::collection::vec(inner, 0..3).prop_map(OwnedType::Tuple),
            shape.clone().prop_map(|shape| OwnedType::Struct("S".into(), shape)),
            prop::collection::vec(("[A-Z]", shape), 0..3).prop_map(|all| OwnedType::Enum("E".into(), all)),
        ]
    })
}

proptest! {
    /// Also: rendering, walking and skipping agree on where a value ends and on what is no value.
    #[test]
    fn any_payload_of_any_type_renders_or_is_an_error(
        ty in any_type(),
        payload in prop::collection::vec(prop_oneof![4 => 0_u8..2, 1 => any::<u8>()], 0..80),
        format in prop::sample::select(vec!["{:?}", "{:#?}", "{:x}", "{}", "{:+#010.3e}", "{:>5?}", "{:p}"]),
    ) {
        let mut message = String::new();
        let plan = Plan::new(&site(format, vec![ty.clone()])).unwrap();
        let rendered = plan.message(&payload, &mut message);
        let fields = SiteDef { fields: vec![FieldDef { name: "f".into(), debug: true }], ..site("", vec![ty]) };
        let plan = Plan::new(&fields).unwrap();
        let walked = plan.fields(&payload).try_for_each(|field| walk(field?.value));
        prop_assert_eq!(rendered.is_ok(), walked.is_ok());
        if rendered.is_ok() && format == "{:?}" {
            let mut text = String::new();
            plan.fields(&payload).next().unwrap().unwrap().value.render(true, &mut text).unwrap();
            prop_assert_eq!(text, message);
        }
    }

    #[test]
    fn the_values_of_a_name_are_those_that_all_values_have_of_it(
        types in prop::collection::vec(any_type(), 5),
        payload in prop::collection::vec(prop_oneof![4 => 0_u8..2, 1 => any::<u8>()], 0..120),
    ) {
        // `a` is a name of the message and, twice, of a field.
        let fields = ["b", "a", "a"].map(|name| FieldDef { name: name.into(), debug: name == "b" });
        let plan = Plan::new(&SiteDef { fields: fields.into(), ..site("{a} {}", types) }).unwrap();
        let shown = |field: Result<Field<'_>, DecodeError>| field.map(|field| {
            let mut text = String::new();
            (field.name.to_owned(), field.debug, field.value.render(true, &mut text).map(|()| text))
        });
        for name in ["a", "b"] {
            // Where one does not decode, all that counts is that the values before it come.
            let ours: Vec<_> = plan.values_of(name, &payload).unwrap().map_while(Result::ok).map(Ok).map(shown).collect();
            let all = plan.arguments(&payload).map_while(Result::ok).chain(plan.fields(&payload).map_while(Result::ok));
            let theirs: Vec<_> = all.filter(|field| field.name == name).map(Ok).map(shown).collect();
            prop_assert_eq!(ours, theirs);
        }
        prop_assert!(plan.values_of("c", &payload).is_none());
    }

    #[test]
    fn any_string_is_a_format_string_or_an_error(format in "[{}:.*$#0-9a-z<>^?+ é-]{0,24}") {
        let _ = spec::parse(&format);
    }

    #[test]
    fn any_bytes_are_a_definition_or_an_error(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        if let Ok(site) = decode_site(&bytes) {
            let _ = Plan::new(&site);
        }
    }
}
