//! Conditions on the fields of a record: `order_id=42`, `price>=100.5`, `symbol~^BTC`.

use regex::Regex;
use std::cmp::Ordering;
use std::fmt::Write as _;
use tachograph::format::{Decoded, Field, ValueRef};
use tachograph::reader::record::{Body, RecordRef};
use tachograph::reader::wanted::Value;

/// How a value is compared.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Operator {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    Matches,
    MatchesNot,
}

/// As they are written; where one begins with another, the longer comes first.
const OPERATORS: [(&str, Operator); 8] = [
    ("!=", Operator::NotEqual),
    ("!~", Operator::MatchesNot),
    ("<=", Operator::LessOrEqual),
    (">=", Operator::GreaterOrEqual),
    ("=", Operator::Equal),
    ("<", Operator::Less),
    (">", Operator::Greater),
    ("~", Operator::Matches),
];

/// One condition.
#[derive(Clone, Debug)]
struct Condition {
    key: String,
    operator: Operator,
    wanted: Wanted,
}

/// What a value is compared with, understood once.
#[derive(Clone, Debug)]
struct Wanted {
    text: String,
    integer: Option<i128>,
    float: Option<f64>,
    regex: Option<Regex>,
}

/// Conditions that must hold together.
#[derive(Clone, Default, Debug)]
pub(crate) struct Conditions {
    all: Vec<Condition>,
    /// Of one key: one of them must hold.
    any: Vec<(String, Vec<Condition>)>,
    scratch: String,
}

impl Conditions {
    /// Takes a text that is a condition; says whether it was one.
    ///
    /// # Errors
    /// When it is one that cannot be.
    pub(crate) fn take(&mut self, text: &str) -> Result<bool, String> {
        let Some(condition) = Condition::parse(text)? else { return Ok(false) };
        if condition.operator != Operator::Equal {
            self.all.push(condition);
        } else if let Some((_, of_key)) = self.any.iter_mut().find(|(key, _)| *key == condition.key) {
            of_key.push(condition);
        } else {
            self.any.push((condition.key.clone(), vec![condition]));
        }
        Ok(true)
    }

    /// Values that a record has if they hold, as far as they ask for equal ones.
    pub(crate) fn values(&self) -> Vec<Value> {
        let of_records = |(key, _): &&(String, Vec<Condition>)| !OWN.contains(&key.as_str());
        let value = |(key, of_key): &(String, Vec<Condition>)| Value {
            name: key.clone(),
            texts: of_key.iter().map(|condition| condition.wanted.text.clone()).collect(),
        };
        self.any.iter().filter(of_records).map(value).collect()
    }

    /// Whether they hold for a record.
    pub(crate) fn hold(&mut self, record: &RecordRef<'_>) -> bool {
        let Self { all, any, scratch } = self;
        any.iter().all(|(_, of_key)| of_key.iter().any(|condition| condition.holds(record, scratch)))
            && all.iter().all(|condition| condition.holds(record, scratch))
    }
}

impl Condition {
    fn parse(text: &str) -> Result<Option<Self>, String> {
        let is_key = |c: char| c.is_alphanumeric() || matches!(c, '_' | '.' | '-' | ':');
        let end = text.find(|c| !is_key(c)).unwrap_or(text.len());
        let (key, rest) = text.split_at(end);
        let begins = key.chars().next().is_some_and(|c| c.is_alphabetic() || c == '_');
        let found = OPERATORS.iter().find_map(|(sign, operator)| Some((*operator, rest.strip_prefix(*sign)?)));
        let Some((operator, wanted)) = found.filter(|_| begins) else { return Ok(None) };
        let regex = matches!(operator, Operator::Matches | Operator::MatchesNot).then(|| Regex::new(wanted));
        let regex = regex.transpose().map_err(|error| format!("{text}: {error}"))?;
        let wanted = Wanted::new(wanted, regex);
        let ordered =
            matches!(operator, Operator::Less | Operator::LessOrEqual | Operator::Greater | Operator::GreaterOrEqual);
        if ordered && wanted.float.is_none() {
            return Err(format!("{text}: {:?} is no number to compare with", wanted.text));
        }
        Ok(Some(Self { key: key.to_owned(), operator, wanted }))
    }

    fn holds(&self, record: &RecordRef<'_>, scratch: &mut String) -> bool {
        if let Body::Message { site, payload } | Body::Suppressed { site, payload, .. } = record.body
            && let Some(values) = site.plan.values_of(&self.key, payload)
        {
            return values.map_while(Result::ok).any(|field| self.holds_for(field, scratch));
        }
        if self.key == "level" && self.wanted.regex.is_none() {
            let same = record.level.as_str().eq_ignore_ascii_case(&self.wanted.text);
            return if self.operator == Operator::NotEqual { !same } else { same };
        }
        scratch.clear();
        own(record, &self.key, scratch) && self.wanted.text_is(self.operator, scratch)
    }

    fn holds_for(&self, field: Field<'_>, scratch: &mut String) -> bool {
        self.holds_for_value(field.value, field.debug, scratch)
    }

    fn holds_for_value(&self, value: ValueRef<'_>, debug: bool, scratch: &mut String) -> bool {
        let wanted = &self.wanted;
        let by_order = |order: Option<Ordering>| order.is_some_and(|order| self.operator.takes(order));
        match value.decode() {
            Err(_) => false,
            _ if wanted.regex.is_some() => {
                scratch.clear();
                value.render(debug, scratch).is_ok() && wanted.text_is(self.operator, scratch)
            }
            Ok(Decoded::Some(inner)) => self.holds_for_value(inner, debug, scratch),
            Ok(Decoded::U64(number)) => by_order(wanted.order_of_integer(i128::from(number))),
            Ok(Decoded::I64(number)) => by_order(wanted.order_of_integer(i128::from(number))),
            Ok(Decoded::I128(number)) => by_order(wanted.order_of_integer(number)),
            Ok(Decoded::F64(number)) => by_order(wanted.order_of_float(number)),
            // The shortest text of a single is what the user saw, and writes.
            Ok(Decoded::F32(number)) => by_order(wanted.order_of_float(number.to_string().parse().unwrap_or(f64::NAN))),
            Ok(Decoded::Str(text) | Decoded::Formatted(text)) if !text.cut => wanted.text_is(self.operator, text.text),
            Ok(Decoded::None) => wanted.text_is(self.operator, "null"),
            Ok(_) => {
                scratch.clear();
                value.render(debug, scratch).is_ok() && wanted.text_is(self.operator, scratch)
            }
        }
    }
}

impl Operator {
    /// Whether it takes a value that is so to the wanted one.
    const fn takes(self, order: Ordering) -> bool {
        match self {
            Self::Equal | Self::Matches => order.is_eq(),
            Self::NotEqual | Self::MatchesNot => order.is_ne(),
            Self::Less => order.is_lt(),
            Self::LessOrEqual => order.is_le(),
            Self::Greater => order.is_gt(),
            Self::GreaterOrEqual => order.is_ge(),
        }
    }
}

impl Wanted {
    fn new(text: &str, regex: Option<Regex>) -> Self {
        Self { integer: text.parse().ok(), float: text.parse().ok(), text: text.to_owned(), regex }
    }

    /// How an integer compares; one that is wanted as something else than a number is unlike each.
    fn order_of_integer(&self, number: i128) -> Option<Ordering> {
        match (self.integer, self.float) {
            (Some(wanted), _) => Some(number.cmp(&wanted)),
            // Exact where the integer is; no integer of 64 bits equals a number with a fraction.
            (None, Some(wanted)) => (number as f64).partial_cmp(&wanted),
            (None, None) => Some(Ordering::Greater).filter(|_| self.regex.is_none()),
        }
    }

    fn order_of_float(&self, number: f64) -> Option<Ordering> {
        match self.float {
            Some(wanted) if wanted.is_nan() && number.is_nan() => Some(Ordering::Equal),
            Some(wanted) => number.partial_cmp(&wanted).or(Some(Ordering::Greater)),
            None => Some(Ordering::Greater),
        }
    }

    /// Whether a text is so; as a number where both are and an order is asked for.
    fn text_is(&self, operator: Operator, text: &str) -> bool {
        match (operator, &self.regex) {
            (Operator::MatchesNot, Some(regex)) => !regex.is_match(text),
            (_, Some(regex)) => regex.is_match(text),
            (Operator::Equal, None) => text == self.text,
            (Operator::NotEqual, None) => text != self.text,
            (_, None) => {
                let order = text.parse::<f64>().ok().zip(self.float).and_then(|(a, b)| a.partial_cmp(&b));
                order.is_some_and(|order| operator.takes(order))
            }
        }
    }
}

/// What records have of their own: [`own`] and the level.
const OWN: [&str; 9] = ["target", "level", "thread", "tid", "process", "seq", "file", "line", "module"];

/// Puts a value of the record's own; says whether there is one of that name.
pub(crate) fn own(record: &RecordRef<'_>, key: &str, out: &mut String) -> bool {
    let site = match record.body {
        Body::Message { site, .. } | Body::Suppressed { site, .. } => Some(&site.def),
        _ => None,
    };
    let number = |number: u32, out: &mut String| {
        // A string takes everything.
        let _ = write!(out, "{number}");
    };
    match (key, site) {
        ("target", _) => out.push_str(record.target),
        ("level", _) => out.push_str(record.level.as_str()),
        ("thread", _) => out.push_str(&record.thread.name),
        ("tid", _) => number(record.thread.tid, out),
        ("process", _) => out.push_str(record.process),
        ("seq", _) => number(record.seq, out),
        ("file", Some(site)) => out.push_str(&site.file),
        ("line", Some(site)) => number(site.line, out),
        ("module", Some(site)) => out.push_str(&site.module),
        _ => return false,
    }
    true
}
