//! Calls of every kind of value that is copied, and the lines that they must leave.

use std::time::Duration;
use tachograph::{Component, Value};

#[derive(Clone, Copy, Debug, Value)]
pub struct Fill<'a> {
    id: u64,
    venue: &'a str,
    px: Option<f64>,
}

#[derive(Clone, Copy, Debug, Value)]
pub enum Side {
    Buy,
    Sell { qty: u32 },
    Other(i8, char),
}

/// What the calls take that needs memory or a lock; made before the hot path begins.
pub struct Values {
    pub text: String,
    pub boxed: Box<str>,
    pub bytes: Vec<u8>,
    pub names: Vec<&'static str>,
    pub risk: Component,
}

impl Values {
    pub fn new() -> Self {
        Self {
            text: "BTC/USDT δ".repeat(3),
            boxed: "boxed".into(),
            bytes: (0..40).collect(),
            names: vec!["one", "two", ""],
            risk: tachograph::component("hot::risk"),
        }
    }
}

macro_rules! kinds {
    ($i:ident $v:ident; $($kind:literal: $format:literal $(, $value:expr)*;)*) => {
        /// How many kinds there are.
        pub const COUNT: u64 = [$($kind),*].len() as u64;

        /// Makes call `i`, of kind `i % COUNT`.
        pub fn log($i: u64, $v: &Values) {
            match $i % COUNT {
                $($kind => tachograph::info!(target: "hot", concat!("{} ", $format), $i $(, $value)*),)*
                _ => unreachable!(),
            }
        }

        /// The message of call `i`.
        pub fn line($i: u64, $v: &Values) -> String {
            match $i % COUNT {
                $($kind => format!(concat!("{} ", $format), $i $(, $value)*),)*
                _ => unreachable!(),
            }
        }
    };
}

kinds! { i v;
    0: "u8 {} u16 {} u32 {} u64 {}", i as u8, i as u16, i as u32, i;
    1: "u128 {} usize {}", u128::from(i) << 70, i as usize;
    2: "i8 {} i16 {} i32 {} i64 {}", i as i8, -(i as i16 & 0xff), -(i as i32 & 0xff), -(i as i64);
    3: "i128 {} isize {}", -(i128::from(i) << 70), -(i as isize);
    4: "f32 {} f64 {:.2} {:e}", i as f32 / 3.0, i as f64 / 7.0, i as f64;
    5: "bool {} char {} unit {:?}", i.is_multiple_of(2), char::from(b'a' + (i % 26) as u8), ();
    6: "str {} String {} Box<str> {}", "literal", v.text, v.boxed;
    7: "bytes {:?}", v.bytes;
    8: "array {:?} slice {:?}", [i, i + 1, i + 2], &v.names[..];
    9: "Option {:?} {:?} Result {:?}", Some(i), None::<u8>, Err::<u8, &str>("no");
    10: "tuple {:?} Duration {:?}", (i, "x", 1.5), Duration::from_nanos(i);
    11: "struct {:?}", Fill { id: i, venue: "XNAS", px: Some(i as f64) };
    12: "enum {:?} {:?} {:?}", Side::Buy, Side::Sell { qty: 7 }, Side::Other(-1, 'é');
    13: "width {1:>2$} precision {3:.4$}", i, 12, 1.0 / 3.0, 3;
    14: "hex {:#010x} {:b}", i, i as u8;
    15: "nothing";
}
