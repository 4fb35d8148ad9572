//! Small text files of a log directory: one line that says what the file is, its version and a checksum, then the text.
//!
//! ```text
//! # tachograph views 1, crc32c 1c291ca3
//! order_watcher
//! ```
//!
//! A cut or changed file does not pass, and one of a newer version is refused before anything of it is read.

use std::fmt;

/// Why a text is not taken.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Unsealed {
    /// A newer version than this program knows.
    Newer(u32),
    /// Cut, changed, or something else altogether.
    Damaged,
}

impl fmt::Display for Unsealed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Newer(version) => write!(f, "it has version {version}, which is newer than this program"),
            Self::Damaged => f.write_str("it is damaged"),
        }
    }
}

/// `text` as the file of this kind and version.
pub(crate) fn seal(kind: &str, version: u32, text: &str) -> Vec<u8> {
    format!("# tachograph {kind} {version}, crc32c {:08x}\n{text}", crc32c::crc32c(text.as_bytes())).into_bytes()
}

/// The text in a file of this kind.
pub(crate) fn open<'a>(kind: &str, version: u32, bytes: &'a [u8]) -> Result<&'a str, Unsealed> {
    let text = std::str::from_utf8(bytes).map_err(|_| Unsealed::Damaged)?;
    let (head, text) = text.split_once('\n').ok_or(Unsealed::Damaged)?;
    let told = head.strip_prefix("# tachograph ").and_then(|head| head.strip_prefix(kind));
    let told = told.and_then(|told| told.strip_prefix(' ')).ok_or(Unsealed::Damaged)?;
    let (found, crc) = told.split_once(", crc32c ").ok_or(Unsealed::Damaged)?;
    match found.parse::<u32>() {
        Ok(found) if found > version => return Err(Unsealed::Newer(found)),
        Ok(found) if found == version => {}
        _ => return Err(Unsealed::Damaged),
    }
    if crc == format!("{:08x}", crc32c::crc32c(text.as_bytes())) { Ok(text) } else { Err(Unsealed::Damaged) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_prefix_and_every_flipped_bit_is_noticed() {
        let whole = seal("views", 1, "a\nbeta\n");
        assert_eq!(open("views", 1, &whole), Ok("a\nbeta\n"));
        for end in 0..whole.len() {
            assert_eq!(open("views", 1, &whole[..end]), Err(Unsealed::Damaged), "cut at {end}");
        }
        for bit in 0..whole.len() * 8 {
            let mut bad = whole.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            assert!(open("views", 1, &bad).is_err(), "bit {bit}");
        }
        assert_eq!(open("configuration", 1, &whole), Err(Unsealed::Damaged));
    }

    #[test]
    fn a_newer_version_is_named() {
        assert_eq!(open("views", 1, b"# tachograph views 2, md5 0\n?"), Err(Unsealed::Damaged));
        assert_eq!(open("views", 1, b"# tachograph views 2, crc32c 0\n?"), Err(Unsealed::Newer(2)));
    }
}
