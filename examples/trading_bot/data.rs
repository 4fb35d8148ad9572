//! The recorded trades and order-book messages. They are part of the program, so that it runs from any directory.

use serde_json::Value as Json;
use tachograph::Value;

const KRAKEN_TRADES: &str = include_str!("../data/kraken_trades.json");
const AAPL_MESSAGES: &str = include_str!("../data/aapl_2012-06-21_messages.csv");

/// 10⁻⁸ of a coin, in which volumes are counted.
pub(crate) const SATS_PER_BTC: f64 = 100_000_000.0;

/// Who took the other's offer.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Value)]
pub(crate) enum Side {
    Buy,
    Sell,
}

/// A trade of the market.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Trade {
    pub(crate) id: u64,
    /// Seconds since the Unix epoch, by the exchange's clock.
    pub(crate) time_s: f64,
    pub(crate) price: f64,
    pub(crate) sats: i64,
    pub(crate) side: Side,
    /// "market" or "limit".
    pub(crate) kind: &'static str,
}

/// A message of an order book, in LOBSTER's terms.
#[derive(Clone, Copy, Debug)]
pub(crate) struct BookMessage {
    /// Seconds since midnight.
    pub(crate) time_s: f64,
    pub(crate) kind: &'static str,
    pub(crate) order_id: u64,
    pub(crate) size: u32,
    pub(crate) price: f64,
    pub(crate) side: Side,
}

/// The trades, `repeat` times over; each time the ids and times go on where those of the last ended.
pub(crate) fn trades(repeat: u64) -> Result<Vec<Trade>, String> {
    let json: Json = serde_json::from_str(KRAKEN_TRADES).map_err(|error| format!("kraken_trades.json: {error}"))?;
    let rows = json.pointer("/result/XBTUSDT").and_then(Json::as_array).ok_or("kraken_trades.json: no trades")?;
    let once: Vec<Trade> = rows
        .iter()
        .map(|row| trade(row).ok_or_else(|| format!("kraken_trades.json: not a trade: {row}")))
        .collect::<Result<_, _>>()?;
    let (Some(first), Some(last)) = (once.first(), once.last()) else { return Ok(once) };
    let (ids, seconds) = (last.id - first.id + 1, last.time_s - first.time_s);
    let round = |round: u64| {
        let again = move |trade: &Trade| Trade {
            id: trade.id + round * ids,
            time_s: trade.time_s + round as f64 * seconds,
            ..*trade
        };
        once.iter().map(again)
    };
    Ok((0..repeat).flat_map(round).collect())
}

fn trade(row: &Json) -> Option<Trade> {
    let number = |index: usize| row.get(index)?.as_str()?.parse::<f64>().ok();
    Some(Trade {
        id: row.get(6)?.as_u64()?,
        time_s: row.get(2)?.as_f64()?,
        price: number(0)?,
        sats: (number(1)? * SATS_PER_BTC).round() as i64,
        side: match row.get(3)?.as_str()? {
            "b" => Side::Buy,
            "s" => Side::Sell,
            _ => return None,
        },
        kind: match row.get(4)?.as_str()? {
            "m" => "market",
            "l" => "limit",
            _ => return None,
        },
    })
}

/// The messages of the order book.
pub(crate) fn book_messages() -> Result<Vec<BookMessage>, String> {
    let line = |(index, line): (usize, &str)| {
        book_message(line).ok_or_else(|| format!("aapl_2012-06-21_messages.csv, line {}: not a message", index + 1))
    };
    AAPL_MESSAGES.lines().enumerate().map(line).collect()
}

fn book_message(line: &str) -> Option<BookMessage> {
    let mut columns = line.trim_end().split(',');
    let mut next = || columns.next();
    Some(BookMessage {
        time_s: next()?.parse().ok()?,
        kind: match next()? {
            "1" => "submission",
            "2" => "partial cancellation",
            "3" => "deletion",
            "4" => "execution",
            "5" => "hidden execution",
            "6" => "cross trade",
            "7" => "halt",
            _ => return None,
        },
        order_id: next()?.parse().ok()?,
        size: next()?.parse().ok()?,
        price: next()?.parse::<f64>().ok()? / 10_000.0,
        side: if next()? == "1" { Side::Buy } else { Side::Sell },
    })
}
