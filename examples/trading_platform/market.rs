//! The recorded order-book messages. They are part of the program, so that it runs from any directory.

use tachograph::Value;

const AAPL_MESSAGES: &str = include_str!("../data/aapl_2012-06-21_messages.csv");

/// What happened to an order.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Value)]
pub(crate) enum Kind {
    Submission,
    PartialCancellation,
    Deletion,
    Execution,
    HiddenExecution,
    CrossTrade,
    Halt,
}

/// Which side of the book the order is on.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Value)]
pub(crate) enum Side {
    Buy,
    Sell,
}

/// A message of an order book, in LOBSTER's terms.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Message {
    /// From 1, in the order of the file.
    pub(crate) number: u64,
    /// Seconds since midnight.
    pub(crate) time_s: f64,
    pub(crate) kind: Kind,
    pub(crate) order_id: u64,
    pub(crate) shares: u32,
    pub(crate) price: f64,
    pub(crate) side: Side,
}

impl Message {
    pub(crate) fn is_execution(&self) -> bool {
        matches!(self.kind, Kind::Execution | Kind::HiddenExecution)
    }
}

pub(crate) fn messages() -> Result<Vec<Message>, String> {
    let line = |(index, line): (usize, &str)| {
        let number = index as u64 + 1;
        message(number, line).ok_or_else(|| format!("aapl_2012-06-21_messages.csv, line {number}: not a message"))
    };
    AAPL_MESSAGES.lines().enumerate().map(line).collect()
}

fn message(number: u64, line: &str) -> Option<Message> {
    let mut columns = line.trim_end().split(',');
    let mut next = || columns.next();
    Some(Message {
        number,
        time_s: next()?.parse().ok()?,
        kind: match next()? {
            "1" => Kind::Submission,
            "2" => Kind::PartialCancellation,
            "3" => Kind::Deletion,
            "4" => Kind::Execution,
            "5" => Kind::HiddenExecution,
            "6" => Kind::CrossTrade,
            "7" => Kind::Halt,
            _ => return None,
        },
        order_id: next()?.parse().ok()?,
        shares: next()?.parse().ok()?,
        price: next()?.parse::<f64>().ok()? / 10_000.0,
        side: if next()? == "1" { Side::Buy } else { Side::Sell },
    })
}
