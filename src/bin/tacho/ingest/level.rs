//! The level that a foreign program wrote into its line. Pure.
//!
//! What is recognised, the first in the line counts:
//!
//! | shape | example |
//! |---|---|
//! | syslog's prefix | `<3>disk failed` |
//! | glog's letter | `E1120 10:00:00.123456 7 feed.cc:42] lost` |
//! | a key with `=` or `:` | `level=info`, `"level":"error"`, `severity: WARN` |
//! | brackets or bars | `[warn]`, `[core:error]`, `| Debug |` |
//! | a word in capitals | `2026-11-20 10:00:00,123 ERROR [main] lost`, `WARNING:root:lost` |
//! | a word and a colon that begin the line, or follow `: ` or `] ` | `warning: unused`, `a.c:3:5: error: no` |
//!
//! A line that begins with `{` is JSON: there the key alone counts, also with the numbers of pino and bunyan
//! (`"level":50`). Escape sequences of terminals are passed over.

use std::borrow::Cow;
use tachograph::Level;

/// Bytes of a line that are looked at.
const LOOKED_AT: usize = 256;
/// The same of a JSON line, whose keys come in any order.
const LOOKED_AT_JSON: usize = 1024;
/// Spaces that may stand between a word and what it is recognised by.
const SPACES_MAX: usize = 4;

const NAMES: [(Level, &[&[u8]]); 6] = [
    (Level::Critical, &[b"critical", b"crit", b"fatal", b"ftl", b"alert", b"emerg", b"emergency", b"panic"]),
    (Level::Error, &[b"error", b"err", b"severe"]),
    (Level::Warn, &[b"warn", b"warning", b"wrn"]),
    (Level::Info, &[b"info", b"inf", b"information", b"notice"]),
    (Level::Debug, &[b"debug", b"dbg", b"verbose"]),
    (Level::Trace, &[b"trace", b"trc"]),
];
const KEYS: [&[u8]; 10] = [
    b"level",
    b"lvl",
    b"severity",
    b"loglevel",
    b"log_level",
    b"log.level",
    b"levelname",
    b"level_name",
    b"priority",
    b"@level",
];

/// The level that the line states, if it does.
pub(crate) fn stated(line: &[u8]) -> Option<Level> {
    let begin = line.iter().take(LOOKED_AT).position(|byte| !byte.is_ascii_whitespace())?;
    let line = line.get(begin..)?;
    let json = line.first() == Some(&b'{');
    let head = line.get(..line.len().min(if json { LOOKED_AT_JSON } else { LOOKED_AT }))?;
    let head = plain(head);
    match head.first()? {
        b'{' => json_level(&head),
        b'<' => syslog(&head).or_else(|| words(&head).find_map(|word| word.level())),
        b'I' | b'W' | b'E' | b'F' => glog(&head).or_else(|| words(&head).find_map(|word| word.level())),
        _ => words(&head).find_map(|word| word.level()),
    }
}

/// The line without escape sequences.
fn plain(line: &[u8]) -> Cow<'_, [u8]> {
    let Some(first) = memchr::memchr(0x1b, line) else { return Cow::Borrowed(line) };
    let (clean, mut rest) = line.split_at_checked(first).unwrap_or((line, &[]));
    let mut out = clean.to_vec();
    while let Some((byte, tail)) = rest.split_first() {
        rest = tail;
        if *byte != 0x1b {
            out.push(*byte);
            continue;
        }
        // What is coloured is a word of its own.
        out.push(b' ');
        if let Some(sequence) = tail.strip_prefix(b"[") {
            let end = sequence.iter().position(|byte| (0x40..0x7f).contains(byte));
            rest = end.and_then(|end| sequence.get(end + 1..)).unwrap_or_default();
        }
    }
    let begin = out.iter().position(|byte| !byte.is_ascii_whitespace()).unwrap_or(out.len());
    Cow::Owned(out.split_off(begin))
}

fn named(name: &[u8]) -> Option<Level> {
    let is = |known: &&&[u8]| known.eq_ignore_ascii_case(name);
    NAMES.iter().find(|(_, names)| names.iter().any(|known| is(&known))).map(|(level, _)| *level)
}

/// `<3>`, with the facility or without.
fn syslog(line: &[u8]) -> Option<Level> {
    let end = line.iter().take(5).position(|byte| *byte == b'>')?;
    let number: u8 = std::str::from_utf8(line.get(1..end)?).ok()?.parse().ok()?;
    match number & 7 {
        _ if number > 191 => None,
        0..=2 => Some(Level::Critical),
        3 => Some(Level::Error),
        4 => Some(Level::Warn),
        5 | 6 => Some(Level::Info),
        _ => Some(Level::Debug),
    }
}

/// A letter, month and day, a time.
fn glog(line: &[u8]) -> Option<Level> {
    let digits = line.get(1..5)?.iter().all(u8::is_ascii_digit);
    if !digits || line.get(5) != Some(&b' ') || line.get(8) != Some(&b':') {
        return None;
    }
    match line.first()? {
        b'I' => Some(Level::Info),
        b'W' => Some(Level::Warn),
        b'E' => Some(Level::Error),
        _ => Some(Level::Critical),
    }
}

fn json_level(line: &[u8]) -> Option<Level> {
    words(line).find_map(|word| if word.has_key() { named(word.text) } else { word.number_behind_key() })
}

/// A run of letters, and what stands around it.
struct Word<'a> {
    before: &'a [u8],
    text: &'a [u8],
    behind: &'a [u8],
}

fn words(line: &[u8]) -> impl Iterator<Item = Word<'_>> {
    let mut at = 0;
    std::iter::from_fn(move || {
        let begin = at + line.get(at..)?.iter().position(u8::is_ascii_alphabetic)?;
        let (before, rest) = line.split_at_checked(begin)?;
        let length = rest.iter().position(|byte| !byte.is_ascii_alphabetic()).unwrap_or(rest.len());
        let (text, behind) = rest.split_at_checked(length)?;
        at = begin + length;
        Some(Word { before, text, behind })
    })
}

impl Word<'_> {
    fn level(&self) -> Option<Level> {
        // Where it stands first: most words of most lines end here.
        let joined = |byte: Option<&u8>| byte.is_some_and(|byte| byte.is_ascii_digit() || b"_.-/\\$".contains(byte));
        if joined(self.behind.first()) || joined(self.before.last()) {
            return None;
        }
        let stands = self.is_capital() || self.is_fenced() || self.begins() || self.has_key();
        if stands { named(self.text) } else { None }
    }

    fn is_capital(&self) -> bool {
        self.text.len() > 2 && self.text.iter().all(u8::is_ascii_uppercase)
    }

    /// `[warn]`, `[core:error]`, `| warn |`
    fn is_fenced(&self) -> bool {
        let before = spaceless_end(self.before).last();
        let behind = spaceless_begin(self.behind).first();
        match (before, behind) {
            (Some(b'[' | b'|'), Some(b']' | b'|')) => true,
            (Some(b':'), Some(b']')) => self.before.last() == Some(&b':'),
            _ => false,
        }
    }

    /// `error: …`, `error[E0308]: …`
    fn begins(&self) -> bool {
        let begins = self.before.is_empty() || self.before.ends_with(b": ") || self.before.ends_with(b"] ");
        begins && matches!(self.behind.first(), Some(b':' | b'['))
    }

    /// `level=warn`, `"level": "warn"`
    fn has_key(&self) -> bool {
        let before = self.before.strip_suffix(b"\"").or(self.before.strip_suffix(b"'")).unwrap_or(self.before);
        let Some((b'=' | b':', before)) = spaceless_end(before).split_last() else { return false };
        let key = spaceless_end(before);
        let key = key.strip_suffix(b"\"").or(key.strip_suffix(b"'")).unwrap_or(key);
        let of_key = |byte: &u8| byte.is_ascii_alphabetic() || matches!(byte, b'_' | b'.' | b'@');
        let begin = key.iter().rposition(|byte| !of_key(byte)).map_or(0, |at| at + 1);
        let Some((before, name)) = key.split_at_checked(begin) else { return false };
        let apart = before.last().is_none_or(|byte| b" \t{,;([\"'".contains(byte));
        apart && KEYS.iter().any(|known| known.eq_ignore_ascii_case(name))
    }

    /// `"level":50`
    fn number_behind_key(&self) -> Option<Level> {
        if self.text != b"level" || self.before.last() != Some(&b'"') {
            return None;
        }
        let value = spaceless_begin(spaceless_begin(self.behind.strip_prefix(b"\"")?).strip_prefix(b":")?);
        let digits = value.iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(value.len());
        match std::str::from_utf8(value.get(..digits)?).ok()?.parse::<u8>().ok()? {
            10..20 => Some(Level::Trace),
            20..30 => Some(Level::Debug),
            30..40 => Some(Level::Info),
            40..50 => Some(Level::Warn),
            50..60 => Some(Level::Error),
            60..70 => Some(Level::Critical),
            _ => None,
        }
    }
}

fn spaceless_end(bytes: &[u8]) -> &[u8] {
    let spaces = bytes.iter().rev().take(SPACES_MAX).take_while(|byte| **byte == b' ').count();
    bytes.get(..bytes.len() - spaces).unwrap_or_default()
}

fn spaceless_begin(bytes: &[u8]) -> &[u8] {
    let spaces = bytes.iter().take(SPACES_MAX).take_while(|byte| **byte == b' ').count();
    bytes.get(spaces..).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn levels_are_recognised() {
        use Level::{Critical, Debug, Error, Info, Trace, Warn};
        for (line, level) in [
            ("2026-11-20 10:00:00,123 ERROR [main] feed: lost", Some(Error)),
            ("2015-07-29 17:41:44,747 - INFO  [QuorumPeer[myid=1]] - Notification", Some(Info)),
            ("[Sun Dec 04 04:47:44 2005] [notice] workerEnv.init() ok", Some(Info)),
            ("[Sun Dec 04 04:47:44 2005] [error] in error state 6", Some(Error)),
            ("[Fri Nov 20 10:00:00.1 2026] [core:warn] [pid 7] AH00098", Some(Warn)),
            ("2026/11/20 10:00:00 [crit] 7#7: *1 open() failed", Some(Critical)),
            ("ts=1 level=info msg=\"an ERROR was mended\"", Some(Info)),
            ("ts=1 lvl=\"dbug\" level=\"debug\"", Some(Debug)),
            ("severity: WARN", Some(Warn)),
            ("WARNING:root:disk is nearly full", Some(Warn)),
            ("  CRITICAL:bot:margin call", Some(Critical)),
            ("<3>disk failed", Some(Error)),
            ("<14>Nov 20 10:00:00 host app: fine", Some(Info)),
            ("<191>local", Some(Debug)),
            ("<192>INFO no priority", Some(Info)),
            ("<b>bold</b>", None),
            ("E1120 10:00:00.123456 7 feed.cc:42] lost", Some(Error)),
            ("W1120 10:00:00.123456 7 feed.cc:42] late", Some(Warn)),
            ("I1120 is an engine", None),
            ("{\"time\":1,\"level\":\"error\",\"msg\":\"x\"}", Some(Error)),
            ("{\"time\":1, \"level\" : \"Warning\", \"msg\":\"ERROR\"}", Some(Warn)),
            ("{\"msg\":\"ERROR [fatal] error: \\\"level\\\":\\\"error\\\"\",\"level\":\"trace\"}", Some(Trace)),
            ("{\"msg\":\"ERROR\"}", None),
            ("{\"log.level\":\"debug\"}", Some(Debug)),
            ("{\"@level\":\"info\"}", Some(Info)),
            ("{\"level\":50,\"time\":1}", Some(Error)),
            ("{\"level\": 10}", Some(Trace)),
            ("{\"level\":300}", None),
            ("{\"sublevel\":\"error\"}", None),
            ("\x1b[2m2026-11-20T10:00:00Z\x1b[0m \x1b[33m WARN\x1b[0m \x1b[2mapp\x1b[0m: late", Some(Warn)),
            ("\x1b[1;31mERROR\x1b[0m lost", Some(Error)),
            ("\x1b[31", None),
            ("2026-11-20 10:00:00.000 | DEBUG    | app:run:3 - x", Some(Debug)),
            ("10:00 | Information | started", Some(Info)),
            ("[ info ] started", Some(Info)),
            ("warning: unused variable: `x`", Some(Warn)),
            ("error[E0308]: mismatched types", Some(Error)),
            ("Error: ENOENT", Some(Error)),
            ("a.c:3:5: warning: unused", Some(Warn)),
            ("10:00:00 INF started", Some(Info)),
            ("panic: runtime error: index out of range", Some(Critical)),
            ("- 1117838570 2005.06.03 R02 RAS KERNEL FATAL data TLB error interrupt", Some(Critical)),
            ("no error was found, warning lights are off", None),
            ("errors: 0", None),
            ("the level is info", None),
            ("GET /INFO/x HTTP/1.1", None),
            ("ERROR_COUNT 7", None),
            ("TypeError: x is not a function", None),
            ("log-level-error", None),
            ("", None),
            ("   ", None),
        ] {
            assert_eq!(stated(line.as_bytes()), level, "{line}");
        }
    }

    #[test]
    fn what_stands_far_behind_is_not_looked_at() {
        let line = format!("{} ERROR", "x ".repeat(LOOKED_AT));
        assert_eq!(stated(line.as_bytes()), None);
        assert_eq!(stated(b"\xff\xfe ERROR \xff"), Some(Level::Error));
    }

    proptest! {
        #[test]
        fn any_bytes_are_looked_at(line in prop::collection::vec(any::<u8>(), 0..300)) {
            let _ = stated(&line);
        }
    }
}
