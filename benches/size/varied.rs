//! Records of a market that does not repeat itself: recorded trades of Kraken and order-book messages of LOBSTER, drawn at random,
//! on a random walk of the price.

use std::path::Path;
use std::time::Duration;
use tachograph::{Config, Overflow, Value, View, info, start_isolated, warn};

const TRADES: &str = include_str!("../../examples/data/kraken_trades.json");
const MESSAGES: &str = include_str!("../../examples/data/aapl_2012-06-21_messages.csv");

#[derive(Clone, Copy, Debug, Value)]
enum Side {
    Buy,
    Sell,
}

#[derive(Clone, Copy, Debug, Value)]
struct Fill {
    order_id: u64,
    side: Side,
    price: f64,
    sats: i64,
}

/// A stream of numbers that is the same in each run.
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 16
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }
}

/// Steps of the price in ticks of 0.1, and quantities, of the recorded trades.
fn trades() -> Vec<(i64, i64)> {
    let json: serde_json::Value = serde_json::from_str(TRADES).unwrap();
    let rows = json["result"]["XBTUSDT"].as_array().unwrap();
    let number = |row: &serde_json::Value, index: usize| row[index].as_str().unwrap().parse::<f64>().unwrap();
    let all: Vec<(i64, i64)> = rows
        .iter()
        .map(|row| ((number(row, 0) * 10.0).round() as i64, (number(row, 1) * 1e8).round() as i64))
        .collect();
    all.windows(2).map(|pair| (pair[1].0 - pair[0].0, pair[1].1)).collect()
}

/// Logs so many records from two threads, about half of them each, into a new directory.
pub(crate) fn log(dir: &Path, records: u64) {
    assert!(!dir.exists(), "{} is there already; name a new directory", dir.display());
    let config = Config::new(dir)
        .overflow(Overflow::Block)
        .block_max(Duration::from_secs(60))
        .health_interval(Duration::ZERO)
        .archive_bytes_max(1_u64 << 40)
        .components(false)
        .view(View::new("all").bytes_max(1_u64 << 34));
    let tacho = start_isolated(config).unwrap();
    std::thread::scope(|scope| {
        scope.spawn(|| market(&tacho, records / 2));
        scope.spawn(|| book(&tacho, records - records / 2));
    });
    tacho.close(Duration::from_secs(600)).unwrap();
}

/// Trades and what a bot makes of them.
fn market(tacho: &tachograph::Guard, records: u64) {
    let (steps, mut dice) = (trades(), Dice(7));
    let (mut tenths, mut id, mut order) = (1_054_336_i64, 10_218_208_u64, 48_000_000_u64);
    let mut left = records;
    while left > 0 {
        pause(&mut dice);
        let (step, sats) = steps[dice.below(steps.len() as u64) as usize];
        tenths = (tenths + step).clamp(300_000, 3_000_000);
        let price = tenths as f64 / 10.0;
        let sats = (sats as u64 * (50 + dice.below(100)) / 100 + 1) as i64;
        let side = if dice.below(2) == 0 { Side::Buy } else { Side::Sell };
        let kind = if dice.below(4) == 0 { "market" } else { "limit" };
        id += 1 + dice.below(3);
        info!(logger: tacho, target: "trades", trade_id = id, price = price, side:? = side, kind = kind; "XBT/USDT {:.8} at {price:.1}", sats as f64 / 1e8);
        left -= 1;
        if left > 0 && dice.below(4) == 0 {
            order += 1 + dice.below(50);
            let fill = Fill { order_id: order, side, price, sats: sats / 2 };
            info!(logger: tacho, target: "orders", fill:? = fill, client = format_args!("cl-{:08x}", dice.next() as u32); "order filled");
            left -= 1;
        }
        if left > 0 && dice.below(16) == 0 {
            warn!(logger: tacho, target: "risk", order_id = order, "exposure {:.2} of {:.2}", dice.below(1_000_000) as f64 / 100.0, 10_000.0);
            left -= 1;
        }
    }
}

/// Messages of an order book.
fn book(tacho: &tachograph::Guard, records: u64) {
    let mut dice = Dice(11);
    let rows: Vec<Vec<f64>> =
        MESSAGES.lines().map(|line| line.split(',').map(|cell| cell.parse().unwrap()).collect()).collect();
    let (mut ns, mut drift) = (34_200_000_000_000_u64, 0_i64);
    for _ in 0..records {
        pause(&mut dice);
        let row = &rows[dice.below(rows.len() as u64) as usize];
        ns += dice.below(5_000_000);
        // As one that was read from text.
        let seconds = ns as f64 / 1e9;
        drift += dice.below(201) as i64 - 100;
        let kind = ["submission", "cancellation", "deletion", "execution", "hidden"][(row[1] as usize - 1).min(4)];
        let order_id = row[2] as u64 + dice.below(30_000_000);
        let price = (row[4] as i64 + drift / 100 * 100) as f64 / 10_000.0;
        let size = row[3] as u32 + dice.below(100) as u32;
        info!(logger: tacho, target: "book", order_id = order_id, size = size, price = price, side = row[5] > 0.0; "AAPL {kind} at {seconds:.9}");
    }
}

/// Gaps in time as a feed has them: mostly short.
fn pause(dice: &mut Dice) {
    let most = 1 << dice.below(10);
    for _ in 0..dice.below(most) {
        std::hint::spin_loop();
    }
}
