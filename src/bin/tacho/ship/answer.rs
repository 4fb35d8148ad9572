//! What a receiver's answer means, and how long to wait before the next attempt. Pure.
//!
//! As the OTLP specification (1.7, "OTLP/HTTP Response") says: 429, 502, 503 and 504 and what is no answer at all are tried
//! again, with what `Retry-After` asks for; a partial success is never tried again; everything else is final. Of that, what
//! says that the request came to the wrong place or with the wrong key ends the shipping, and costs no record.

use super::otlp::Response;
use prost::Message as _;
use std::time::Duration;

/// The first wait.
const BACKOFF_MIN: Duration = Duration::from_millis(500);
/// The longest wait, unless the receiver asks for more.
const BACKOFF_MAX: Duration = Duration::from_secs(30);
/// The longest that a receiver may ask for.
const ASKED_MAX: Duration = Duration::from_secs(600);
/// How much of an answer is shown.
const SHOWN_BYTES_MAX: usize = 200;

/// What became of a batch.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Answer {
    /// It is with the receiver, but for so many records that it does not want; why, in its words.
    Taken { rejected: u64, why: String },
    /// Each record had an answer of its own: these, by their place in the batch, it will never take, because of what is in
    /// them; all others are stored, so many of which had been before.
    Stored { duplicates: u64, refused: Vec<usize>, why: String },
    /// To be tried again.
    Later { asked: Option<Duration>, why: String },
    /// Too large: to be tried in halves.
    TooLarge { why: String },
    /// The receiver will never take it, because of what is in it.
    Refused { why: String },
    /// It will never take anything that comes like this: a key that is none, a path that is not there. The records are not
    /// to blame, and are not given up for it.
    Misconfigured { why: String },
}

/// Judges the answer to a request.
pub(super) fn judge(status: u16, retry_after: Option<&str>, body: &[u8]) -> Answer {
    let why = || {
        let text: String = String::from_utf8_lossy(body).chars().filter(|c| !c.is_control()).collect();
        let shown: String = text.chars().take(SHOWN_BYTES_MAX).collect();
        if shown.is_empty() { format!("it answered {status}") } else { format!("it answered {status}: {shown}") }
    };
    match status {
        200..=299 => {
            // Receivers that answer with something else took it nevertheless.
            let partial = Response::decode(body).ok().and_then(|answer| answer.partial_success).unwrap_or_default();
            let rejected = u64::try_from(partial.rejected_log_records).unwrap_or(0);
            Answer::Taken { rejected, why: partial.error_message }
        }
        429 | 502 | 503 | 504 => Answer::Later { asked: retry_after.and_then(seconds), why: why() },
        413 => Answer::TooLarge { why: why() },
        300..=399 | 401 | 403 | 404 | 405 | 407 | 415 => Answer::Misconfigured { why: why() },
        _ => Answer::Refused { why: why() },
    }
}

/// `Retry-After` in seconds. The form with a date is rare, and then our own pace serves.
fn seconds(text: &str) -> Option<Duration> {
    text.trim().parse().ok().map(|seconds| Duration::from_secs(seconds).min(ASKED_MAX))
}

/// Waits that grow: doubled each time, and spread between half and whole, so that many who were refused at once do not
/// come back at once.
#[derive(Clone, Debug)]
pub(super) struct Backoff {
    failures: u32,
    random: u64,
}

impl Backoff {
    pub(super) const fn new(seed: u64) -> Self {
        Self { failures: 0, random: seed }
    }

    /// How long to wait after one more failure.
    pub(super) fn next(&mut self, asked: Option<Duration>) -> Duration {
        // SplitMix64 (Steele, Lea, Flood 2014).
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.random ^ (self.random >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        let share = (mixed ^ (mixed >> 31)) >> 32;
        let whole = BACKOFF_MIN.saturating_mul(1 << self.failures.min(16)).min(BACKOFF_MAX);
        self.failures = self.failures.saturating_add(1);
        let half = whole / 2;
        let spread = half + Duration::from_nanos((half.as_nanos() as u64 >> 16).saturating_mul(share) >> 16);
        asked.map_or(spread, |asked| asked.max(spread))
    }

    /// It went well.
    pub(super) const fn reset(&mut self) {
        self.failures = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::super::otlp::PartialSuccess;
    use super::*;

    #[test]
    fn only_what_the_specification_says_is_tried_again() {
        for status in 100..=599 {
            let answer = judge(status, Some("7"), b"");
            let later = matches!(&answer, Answer::Later { asked, .. } if *asked == Some(Duration::from_secs(7)));
            assert_eq!(later, [429, 502, 503, 504].contains(&status), "{status}");
            assert_eq!(matches!(answer, Answer::Taken { .. }), (200..300).contains(&status), "{status}");
            assert_eq!(matches!(answer, Answer::TooLarge { .. }), status == 413);
            assert!(![400, 422, 500, 501].contains(&status) || matches!(answer, Answer::Refused { .. }), "{status}");
        }
    }

    #[test]
    fn a_partial_success_is_counted_and_a_strange_body_is_a_success() {
        let partial = PartialSuccess { rejected_log_records: 3, error_message: "old".to_owned() };
        let body = Response { partial_success: Some(partial) }.encode_to_vec();
        assert_eq!(judge(200, None, &body), Answer::Taken { rejected: 3, why: "old".to_owned() });
        assert_eq!(judge(200, None, b"{}"), Answer::Taken { rejected: 0, why: String::new() });
    }

    #[test]
    fn what_a_receiver_says_is_short_and_harmless() {
        let Answer::Refused { why } = judge(400, None, &[b"\x1b[31mno\n".as_slice(), &[b'x'; 1000]].concat()) else {
            panic!("400 is final")
        };
        assert!(why.starts_with("it answered 400: [31mno") && why.len() < 300, "{why}");
    }

    #[test]
    fn waits_grow_are_spread_and_keep_to_what_is_asked() {
        let mut first = Backoff::new(1);
        let waits: Vec<_> = (0..12).map(|_| first.next(None)).collect();
        for (failures, wait) in waits.iter().enumerate() {
            let whole = BACKOFF_MIN.saturating_mul(1 << failures).min(BACKOFF_MAX);
            assert!(whole / 2 <= *wait && *wait <= whole, "{failures}: {wait:?}");
        }
        let mut second = Backoff::new(2);
        assert_ne!((0..12).map(|_| second.next(None)).collect::<Vec<_>>(), waits);
        assert!(second.next(Some(Duration::from_secs(60))) == Duration::from_secs(60));
        second.reset();
        assert!(second.next(None) <= BACKOFF_MIN);
        assert_eq!(seconds("99999999"), Some(ASKED_MAX));
        assert_eq!(seconds("Wed, 21 Oct 2026 07:28:00 GMT"), None);
    }
}
