//! Makes any string harmless within a line: control characters, terminal escapes, line separators and the characters
//! that reorder text become visible; everything else stays as it is. The output is valid UTF-8.
//!
//! Clean ASCII, which nearly all of it is, is found 8 bytes at a time.

use super::digits::push_bytes;

const ONES: u64 = 0x0101_0101_0101_0101;
const HIGHS: u64 = 0x8080_8080_8080_8080;

/// The high bit of each zero byte, exact for the lowest such byte.
const fn zeros(word: u64) -> u64 {
    word.wrapping_sub(ONES) & !word & HIGHS
}

/// The high bit of each byte that may not be copied as it is, exact for the lowest such byte.
#[inline(always)]
const fn suspects<const QUOTE: bool>(word: u64) -> u64 {
    let control = word.wrapping_sub(ONES * 0x20) & !word & HIGHS;
    let mut found = control | zeros(word ^ (ONES * 0x7f)) | (word & HIGHS);
    if QUOTE {
        found |= zeros(word ^ (ONES * 0x22)) | zeros(word ^ (ONES * 0x5c));
    }
    found
}

#[inline(always)]
fn is_suspect<const QUOTE: bool>(byte: u8) -> bool {
    !(0x20..0x7f).contains(&byte) || (QUOTE && matches!(byte, b'"' | b'\\'))
}

/// How many of the first bytes can be copied as they are.
#[inline]
fn clean_bytes<const QUOTE: bool>(bytes: &[u8]) -> usize {
    let (words, tail) = bytes.as_chunks::<8>();
    let mut clean = 0;
    for word in words {
        let found = suspects::<QUOTE>(u64::from_le_bytes(*word));
        if found != 0 {
            return clean + (found.trailing_zeros() / 8) as usize;
        }
        clean += 8;
    }
    // The last bytes once more, with those before them that are clean.
    if let Some(last) = bytes.last_chunk::<8>().filter(|_| !tail.is_empty()) {
        let found = suspects::<QUOTE>(u64::from_le_bytes(*last));
        return bytes.len() - 8 + if found == 0 { 8 } else { (found.trailing_zeros() / 8) as usize };
    }
    clean + tail.iter().take_while(|byte| !is_suspect::<QUOTE>(**byte)).count()
}

/// Whether a character beyond ASCII could break a line, or show text other than where it stands.
const fn is_hostile(c: char) -> bool {
    matches!(c, '\u{80}'..='\u{9f}' | '\u{2028}' | '\u{2029}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
        || matches!(c, '\u{200e}' | '\u{200f}' | '\u{61c}' | '\u{feff}')
}

#[inline]
fn escape<const QUOTE: bool>(text: &str, out: &mut Vec<u8>, mut hostile: impl FnMut(char, &mut Vec<u8>)) {
    let mut rest = text;
    loop {
        let (clean, suspect) = rest.split_at_checked(clean_bytes::<QUOTE>(rest.as_bytes())).unwrap_or((rest, ""));
        push_bytes(clean.as_bytes(), out);
        let mut chars = suspect.chars();
        // Text in other scripts is a run of characters beyond ASCII: stay here until it ends.
        loop {
            let before = chars.as_str();
            let Some(c) = chars.next() else { return };
            if c.is_ascii() && !is_suspect::<QUOTE>(c as u8) {
                rest = before;
                break;
            }
            if c.is_ascii() || is_hostile(c) {
                hostile(c, out);
            } else {
                let bytes = before.len() - chars.as_str().len();
                out.extend_from_slice(before.as_bytes().get(..bytes).unwrap_or_default());
            }
        }
    }
}

/// Appends `text` for a text line: `\n`, `\r`, `\t`, `\x1b` and `\u{202e}` are visible, the rest is unchanged. A
/// backslash stays one, so that paths are readable; who needs to tell `\n` from a newline takes JSON.
#[inline]
pub fn push_text(text: &str, out: &mut Vec<u8>) {
    escape::<false>(text, out, push_visible);
}

/// Appends `text` between quotes: as [`push_text`], with `\"` and `\\`.
pub fn push_quoted(text: &str, out: &mut Vec<u8>) {
    out.push(b'"');
    escape::<true>(text, out, |c, out| match c {
        '"' | '\\' => out.extend_from_slice(&[b'\\', c as u8]),
        c => push_visible(c, out),
    });
    out.push(b'"');
}

/// Appends `text` as a JSON string with its quotes. It reads back as the same text.
#[inline]
pub fn push_json(text: &str, out: &mut Vec<u8>) {
    out.push(b'"');
    push_json_text(text, out);
    out.push(b'"');
}

/// JSON in whose strings encoders left hostile characters as they are, with those escaped. It reads back as the same.
pub fn harmless_json(json: &str) -> String {
    let mut out = Vec::with_capacity(json.len());
    let mut one = [0; 4];
    for c in json.chars() {
        // Such a character stands within a string only; those below a space are escaped already, or stand between values.
        if c == '\u{7f}' || is_hostile(c) {
            push_json_char(c, &mut out);
        } else {
            out.extend_from_slice(c.encode_utf8(&mut one).as_bytes());
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// The same without its quotes.
#[inline]
pub(super) fn push_json_text(text: &str, out: &mut Vec<u8>) {
    escape::<true>(text, out, push_json_char);
}

#[cold]
fn push_json_char(c: char, out: &mut Vec<u8>) {
    match c {
        '"' => out.extend_from_slice(b"\\\""),
        '\\' => out.extend_from_slice(b"\\\\"),
        '\n' => out.extend_from_slice(b"\\n"),
        '\r' => out.extend_from_slice(b"\\r"),
        '\t' => out.extend_from_slice(b"\\t"),
        // All hostile characters are below U+10000, one unit of UTF-16.
        c => {
            out.extend_from_slice(b"\\u");
            push_hex(c as u32, 4, out);
        }
    }
}

#[cold]
fn push_visible(c: char, out: &mut Vec<u8>) {
    match c {
        '\n' => out.extend_from_slice(b"\\n"),
        '\r' => out.extend_from_slice(b"\\r"),
        '\t' => out.extend_from_slice(b"\\t"),
        c if (c as u32) < 0x100 => {
            out.extend_from_slice(b"\\x");
            push_hex(c as u32, 2, out);
        }
        c => {
            out.extend_from_slice(b"\\u{");
            push_hex(c as u32, 4, out);
            out.push(b'}');
        }
    }
}

fn push_hex(number: u32, digits: u32, out: &mut Vec<u8>) {
    for digit in (0..digits).rev() {
        let nibble = (number >> (4 * digit) & 0xf) as u8;
        out.push(if nibble < 10 { b'0' + nibble } else { b'a' + nibble - 10 });
    }
}

/// Whether a value of a field needs no quotes in a text line.
#[inline]
pub fn is_bare(text: &str) -> bool {
    !text.is_empty() && (is_bare_ascii(text.as_bytes()) || is_bare_text(text))
}

/// Whether all bytes are visible ASCII, and none of `"`, `=` and `\`.
#[inline]
fn is_bare_ascii(bytes: &[u8]) -> bool {
    let found = |word: u64| suspects::<true>(word) | zeros(word ^ (ONES * 0x20)) | zeros(word ^ (ONES * 0x3d));
    match (bytes.as_chunks::<8>(), bytes.last_chunk::<8>()) {
        ((words, _), Some(last)) => {
            let all = words.iter().fold(0, |all, word| all | found(u64::from_le_bytes(*word)));
            all | found(u64::from_le_bytes(*last)) == 0
        }
        _ => bytes.iter().all(|byte| byte.is_ascii_graphic() && !matches!(byte, b'"' | b'=' | b'\\')),
    }
}

#[cold]
fn is_bare_text(text: &str) -> bool {
    let bare = |c: char| !(c.is_whitespace() || c.is_control() || is_hostile(c) || matches!(c, '"' | '=' | '\\'));
    text.chars().all(bare)
}

/// Appends a number with commas between thousands.
pub fn push_grouped(number: u64, out: &mut String) {
    let mut buffer = itoa::Buffer::new();
    let digits = buffer.format(number);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn text(text: &str) -> String {
        let mut out = Vec::new();
        push_text(text, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn json_of_an_encoder_is_harmless_and_reads_back_as_the_same() {
        let hostile = "a\"b\\c\n\u{7f}\u{80}\u{9b}31m\u{2028}\u{202e}\u{feff}\u{fc}\u{1f980}";
        let json = serde_json::to_string(&[hostile]).unwrap();
        let harmless = harmless_json(&json);
        assert_eq!(serde_json::from_str::<[String; 1]>(&harmless).unwrap(), [hostile]);
        assert!(
            !harmless.chars().any(|c| c.is_control() || is_hostile(c)) && harmless.contains('\u{fc}'),
            "{harmless}"
        );
    }

    #[test]
    fn hostile_text_is_visible_and_the_rest_unchanged() {
        assert_eq!(text("a\nb\r\tc"), "a\\nb\\r\\tc");
        assert_eq!(text("\x1b[31mred\x1b[0m\x07\0\x7f"), "\\x1b[31mred\\x1b[0m\\x07\\x00\\x7f");
        assert_eq!(text("\u{9b}31m \u{85}"), "\\x9b31m \\x85");
        assert_eq!(text("x\u{202e}y\u{2028}z\u{2066}"), "x\\u{202e}y\\u{2028}z\\u{2066}");
        assert_eq!(text("C:\\temp \"q\" ünï 日本語 🚀 ok"), "C:\\temp \"q\" ünï 日本語 🚀 ok");
    }

    #[test]
    fn every_byte_at_every_place_of_a_word_is_seen() {
        for byte in 0..128_u8 {
            for at in 0..24 {
                let mut bytes = [b'a'; 24];
                bytes[at] = byte;
                let clean = if is_suspect::<false>(byte) { at } else { 24 };
                assert_eq!(clean_bytes::<false>(&bytes), clean, "{byte} at {at}");
                let clean = if is_suspect::<true>(byte) { at } else { 24 };
                assert_eq!(clean_bytes::<true>(&bytes), clean, "{byte} at {at}");
            }
        }
    }

    #[test]
    fn numbers_are_grouped() {
        let grouped = |number| {
            let mut out = String::new();
            push_grouped(number, &mut out);
            out
        };
        assert_eq!([0, 999, 1_204, 1_000_000].map(grouped), ["0", "999", "1,204", "1,000,000"]);
        assert_eq!(grouped(u64::MAX), "18,446,744,073,709,551,615");
    }

    proptest! {
        #[test]
        fn json_reads_back(text in "(?s).*") {
            let mut out = Vec::new();
            push_json(&text, &mut out);
            prop_assert!(out.iter().all(|byte| *byte >= 0x20 && *byte != 0x7f));
            prop_assert_eq!(serde_json::from_slice::<String>(&out).unwrap(), text);
        }

        #[test]
        fn text_is_one_harmless_line(hostile in "(?s).*") {
            let safe = text(&hostile);
            prop_assert!(safe.chars().all(|c| !c.is_control() && !is_hostile(c)));
            let harmless = hostile.chars().all(|c| !c.is_control() && !is_hostile(c));
            prop_assert_eq!(harmless, safe == hostile);
        }
    }
}
