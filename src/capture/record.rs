//! A captured record, which owns all that it says.

use crate::format::{Decoded, Field, ValueRef};
use crate::level::Level;
use crate::reader::record::{Body, RecordRef};
use std::fmt;
use std::ops::Index;
use std::time::{Duration, SystemTime};

/// One record, as [`Capture`](super::Capture) hands it out. Displayed, it is one line: `WARN risk: near the limit order_id=42`.
#[derive(Clone, PartialEq, Debug)]
#[non_exhaustive]
pub struct CapturedRecord {
    /// How urgent.
    pub level: Level,
    /// What it is about: the `target:`, the component's name, or the module.
    pub target: String,
    /// The message, with its arguments in it; empty where the call has none.
    pub message: String,
    /// The key-value fields.
    pub fields: CapturedFields,
    /// The values in the message that have names there: `order_id` of `"order {order_id} filled"`.
    pub arguments: CapturedFields,
    /// Name of the thread that logged.
    pub thread: String,
    /// The kernel's id of it.
    pub thread_id: u32,
    /// When, in nanoseconds since the Unix epoch.
    pub unix_ns: i64,
    /// The source file of the call; empty for what the logger says itself.
    pub file: String,
    /// The line of the call, from 1; 0 for what the logger says itself.
    pub line: u32,
}

impl CapturedRecord {
    pub(super) fn of(record: &RecordRef<'_>) -> Self {
        let mut captured = Self {
            level: record.level,
            target: record.target.to_owned(),
            message: String::new(),
            fields: CapturedFields::default(),
            arguments: CapturedFields::default(),
            thread: record.thread.name.clone(),
            thread_id: record.thread.tid,
            unix_ns: record.unix_ns,
            file: String::new(),
            line: 0,
        };
        match record.body {
            Body::Message { site, payload } => {
                // What is damaged cannot be, as the bytes never left the process; what there is of it serves.
                let _ = site.plan.message(payload, &mut captured.message);
                captured.fields = CapturedFields::of(site.plan.fields(payload).map_while(Result::ok));
                captured.arguments = CapturedFields::of(site.plan.arguments(payload).map_while(Result::ok));
                captured.file.clone_from(&site.def.file);
                captured.line = site.def.line;
            }
            Body::Dropped { count, cause } => {
                captured.message = format!("{count} records dropped here: {}", crate::format::line::cause(cause));
            }
            Body::Note { text } | Body::Unknown { reason: text } => captured.message = text.to_owned(),
            Body::Suppressed { count, .. } => captured.message = format!("suppressed {count} repeats"),
            Body::Damage { bytes } => captured.message = format!("{bytes} bytes are damaged here"),
        }
        captured
    }

    /// When.
    pub fn time(&self) -> SystemTime {
        let span = Duration::from_nanos(self.unix_ns.unsigned_abs());
        let epoch = SystemTime::UNIX_EPOCH;
        let time = if self.unix_ns < 0 { epoch.checked_sub(span) } else { epoch.checked_add(span) };
        time.unwrap_or(epoch)
    }
}

impl fmt::Display for CapturedRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}: {}", self.level, self.target, self.message)?;
        self.fields.iter().try_for_each(|(name, value)| write!(f, " {name}={value}"))
    }
}

/// Named values, in the order of the call.
#[derive(Clone, PartialEq, Default, Debug)]
pub struct CapturedFields(Vec<(String, CapturedValue)>);

impl CapturedFields {
    fn of<'a>(fields: impl Iterator<Item = Field<'a>>) -> Self {
        Self(fields.map(|field| (field.name.to_owned(), CapturedValue::of(field.value, field.debug))).collect())
    }

    /// The value called `name`, if there is one.
    pub fn get(&self, name: &str) -> Option<&CapturedValue> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, value)| value)
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &CapturedValue)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value))
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// The value called so, or [`CapturedValue::Absent`], which equals nothing: a test that compares it fails with both sides shown.
impl Index<&str> for CapturedFields {
    type Output = CapturedValue;

    fn index(&self, name: &str) -> &CapturedValue {
        self.get(name).unwrap_or(&CapturedValue::Absent)
    }
}

/// A value, as typed as the call gave it. It can be compared with numbers, strings, `bool`s and `Duration`s.
///
/// `Some` stands as what is in it. Displayed, a value is what it would be in a line.
#[derive(Clone, PartialEq, Debug)]
#[non_exhaustive]
pub enum CapturedValue {
    /// There is no such field.
    Absent,
    /// `None`
    None,
    /// An unsigned integer.
    Unsigned(u128),
    /// A signed integer.
    Signed(i128),
    /// `f32` or `f64`
    Float(f64),
    /// `bool`
    Bool(bool),
    /// `char`
    Char(char),
    /// A string, or what `Display` or `Debug` gave for a type that has no other form.
    Text(String),
    /// `Duration`
    Duration(Duration),
    /// A slice, a vector or an array.
    List(Vec<Self>),
    /// A struct, an enum, a tuple, a `Result`: its `Debug` form.
    Debug(String),
}

impl CapturedValue {
    fn of(value: ValueRef<'_>, debug: bool) -> Self {
        let text = |debug| {
            let mut text = String::new();
            let _ = value.render(debug, &mut text);
            text
        };
        match value.decode() {
            Ok(Decoded::U64(number)) => Self::Unsigned(number.into()),
            Ok(Decoded::I64(number)) => Self::Signed(number.into()),
            Ok(Decoded::U128(number)) => Self::Unsigned(number),
            Ok(Decoded::I128(number)) => Self::Signed(number),
            // Through its decimal form, so that it equals the `f64` that is written like it.
            Ok(Decoded::F32(number)) => Self::Float(number.to_string().parse().unwrap_or(f64::from(number))),
            Ok(Decoded::F64(number)) => Self::Float(number),
            Ok(Decoded::Bool(value)) => Self::Bool(value),
            Ok(Decoded::Char(value)) => Self::Char(value),
            Ok(Decoded::Duration(value)) => Self::Duration(value),
            Ok(Decoded::None) => Self::None,
            Ok(Decoded::Some(inner)) => Self::of(inner, debug),
            Ok(Decoded::Formatted(_)) => Self::Text(text(false)),
            Ok(Decoded::Str(_)) => Self::Text(text(debug)),
            Ok(Decoded::List(items, false)) => {
                Self::List(items.map_while(Result::ok).map(|(_, item)| Self::of(item, debug)).collect())
            }
            _ => Self::Debug(text(true)),
        }
    }

    /// The text, if it is one.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::Text(text) | Self::Debug(text) => Some(text),
            _ => None,
        }
    }
}

impl fmt::Display for CapturedValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Absent => f.write_str("<absent>"),
            Self::None => f.write_str("None"),
            Self::Unsigned(number) => number.fmt(f),
            Self::Signed(number) => number.fmt(f),
            Self::Float(number) => number.fmt(f),
            Self::Bool(value) => value.fmt(f),
            Self::Char(value) => value.fmt(f),
            Self::Text(text) | Self::Debug(text) => f.write_str(text),
            Self::Duration(value) => fmt::Debug::fmt(value, f),
            Self::List(items) => {
                f.write_str("[")?;
                for (index, item) in items.iter().enumerate() {
                    write!(f, "{}{item}", if index == 0 { "" } else { ", " })?;
                }
                f.write_str("]")
            }
        }
    }
}

macro_rules! equals_integers {
    ($($type:ty)*) => {$(
        impl PartialEq<$type> for CapturedValue {
            fn eq(&self, other: &$type) -> bool {
                match self {
                    Self::Unsigned(number) => u128::try_from(*other) == Ok(*number),
                    Self::Signed(number) => i128::try_from(*other) == Ok(*number),
                    _ => false,
                }
            }
        }
    )*};
}

equals_integers!(u8 u16 u32 u64 u128 usize i8 i16 i32 i64 i128 isize);

macro_rules! equals {
    ($($type:ty, $self:ident, $other:ident => $equal:expr;)*) => {$(
        impl PartialEq<$type> for CapturedValue {
            fn eq(&self, $other: &$type) -> bool {
                let $self = self;
                $equal
            }
        }
    )*};
}

equals! {
    f64, value, other => matches!(value, Self::Float(number) if number == other);
    bool, value, other => matches!(value, Self::Bool(known) if known == other);
    char, value, other => matches!(value, Self::Char(known) if known == other);
    Duration, value, other => matches!(value, Self::Duration(known) if known == other);
    str, value, other => value.as_str() == Some(other);
    &str, value, other => value.as_str() == Some(*other);
    String, value, other => value.as_str() == Some(other.as_str());
}
