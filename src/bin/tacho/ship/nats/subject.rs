//! Subjects of messages: `PREFIX.SERVICE.LEVEL.TARGET`, such as `tachograph.bot.warn.oms.fills`.
//!
//! A receiver subscribes to what it wants: `tachograph.>` is everything, `tachograph.bot.*.oms.>` one component,
//! `tachograph.*.critical.>` what wakes somebody. The parts of a target are tokens of their own (`oms::fills` → `oms.fills`). What a subject
//! cannot hold (spaces, `*`, `>`, control and other characters beyond ASCII) is `_` there; the record has it unchanged.

use tachograph::Level;

/// No subject is longer, in bytes: servers take lines of 4 KiB, with the subject and the inbox of the answer in them.
pub(super) const SUBJECT_BYTES_MAX: usize = 512;

/// The subject of a record.
pub(super) fn subject(prefix: &str, service: &str, level: Level, target: &str) -> String {
    let mut out = String::with_capacity(prefix.len() + service.len() + target.len() + 16);
    out.push_str(prefix);
    out.push('.');
    push_token(service, &mut out);
    out.push('.');
    out.push_str(&level.as_str().to_ascii_lowercase());
    for part in target.split([':', '.']).filter(|part| !part.is_empty()) {
        if out.len() + 1 + part.len() > SUBJECT_BYTES_MAX {
            break;
        }
        out.push('.');
        push_token(part, &mut out);
    }
    out
}

/// A part of a subject, never empty, without a dot.
fn push_token(text: &str, out: &mut String) {
    let token = text.chars().map(|c| if c.is_ascii_graphic() && !matches!(c, '.' | '*' | '>') { c } else { '_' });
    let before = out.len();
    out.extend(token.take(SUBJECT_BYTES_MAX / 2));
    if out.len() == before {
        out.push('_');
    }
}

/// Whether subjects may begin so: tokens of letters, digits, `-` and `_`, with dots between them.
pub(super) fn is_prefix(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    text.len() <= SUBJECT_BYTES_MAX / 4 && text.split('.').all(|token| !token.is_empty() && token.bytes().all(plain))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn targets_are_tokens_and_what_a_subject_cannot_hold_is_not_in_it() {
        let of = |service, target| subject("tachograph", service, Level::Warn, target);
        assert_eq!(of("bot", "oms::fills"), "tachograph.bot.warn.oms.fills");
        assert_eq!(of("my bot.v2", "a..b*>"), "tachograph.my_bot_v2.warn.a.b__");
        assert_eq!(of("", "Währung"), "tachograph._.warn.W_hrung");
        assert_eq!(of("bot", ""), "tachograph.bot.warn");
        assert!(
            is_prefix("logs.eu-1") && !is_prefix("") && !is_prefix("a..b") && !is_prefix("a.>") && !is_prefix("$JS.x")
        );
    }

    proptest! {
        #[test]
        fn every_subject_is_one(service in ".{0,2000}", target in ".{0,2000}") {
            let subject = subject("p.q", &service, Level::Error, &target);
            prop_assert!(subject.len() <= SUBJECT_BYTES_MAX, "{}", subject.len());
            prop_assert!(subject.split('.').all(|token| !token.is_empty()));
            prop_assert!(subject.bytes().all(|b| b.is_ascii_graphic() && !matches!(b, b'*' | b'>')));
        }
    }
}
