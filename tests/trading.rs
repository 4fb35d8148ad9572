//! Typed trading events: any number type, one line each, fields as given.
#![allow(missing_docs, clippy::unwrap_used)]

use tachograph::Capture;
use tachograph::capture::CapturedRecord;
use tachograph::trading::{Side, Signal, log_performance, log_signal, log_trade};

/// What the record's line says.
fn line(record: &CapturedRecord) -> String {
    let fields = record.fields.iter().map(|(name, value)| format!(" {name}={value}"));
    format!("{} {}{}", record.target, record.message, fields.collect::<String>())
}

#[test]
fn events_have_their_fields_whatever_the_type_of_their_numbers() {
    let capture = Capture::thread().unwrap();
    log_trade("BTC/USDT", Side::Buy, 0.001, 50_000.0);
    log_trade("ES", Side::Sell, 3_u32, -420_025_i64);
    log_signal("ETH/USDT", Signal::Bullish, 0.85);
    log_performance("latency", 45.2, "ms");
    let records = capture.records();
    let lines: Vec<String> = records.iter().map(line).collect();
    let expected = [
        "trading_activity trade symbol=BTC/USDT side=Buy quantity=0.001 price=50000",
        "trading_activity trade symbol=ES side=Sell quantity=3 price=-420025",
        "trading_activity signal symbol=ETH/USDT direction=Bullish strength=0.85",
        "performance measured name=latency value=45.2 unit=ms",
    ];
    assert_eq!(lines, expected);
    assert_eq!(records[1].fields["price"], -420_025_i64);
}

#[cfg(feature = "rust_decimal")]
mod decimals {
    use super::*;
    use proptest::prelude::*;
    use rust_decimal::Decimal;

    fn decimals() -> impl Strategy<Value = Decimal> {
        (any::<u32>(), any::<u32>(), any::<u32>(), any::<bool>(), 0..=28_u32, 0..=96_u32).prop_map(
            |(low, mid, high, negative, scale, bits)| {
                // Of every length.
                let digits =
                    (u128::from(low) | u128::from(mid) << 32 | u128::from(high) << 64) & ((1_u128 << bits) - 1);
                let digits = i128::try_from(digits).unwrap();
                Decimal::from_i128_with_scale(if negative { -digits } else { digits }, scale)
            },
        )
    }

    proptest! {
        #[test]
        fn they_are_formatted_as_by_format(
            number in decimals(), width in 0..40_usize, precision in 0..40_usize, zero in decimals(),
        ) {
            // rust_decimal panics where it would need more than 32 characters.
            let whole = number.mantissa().unsigned_abs().to_string().len().saturating_sub(number.scale() as usize);
            let precision = precision.min(28_usize.saturating_sub(whole));
            let capture = Capture::thread().unwrap();
            tachograph::info!(target: "d", price = number;
                "{number} {number:?} {number:+} {number:>40} {number:<40}| {number:^40}| {number:*^+w$.p$}| {number:0w$.p$} {:.0}",
                zero, w = width, p = precision);
            let expected = format!(
                "{number} {number:?} {number:+} {number:>40} {number:<40}| {number:^40}| {number:*^+w$.p$}| {number:0w$.p$} {:.0}",
                zero, w = width, p = precision
            );
            prop_assert_eq!(&capture.records()[0].message, &expected);
        }
    }

    #[test]
    fn they_are_copied_not_formatted_at_the_call() {
        let capture = Capture::thread().unwrap();
        log_trade("BTC/USDT", Side::Buy, Decimal::new(1, 3), Decimal::new(-5_000_010, 2));
        assert!(line(&capture.records()[0]).ends_with("quantity=0.001 price=-50000.10"));
    }
}
