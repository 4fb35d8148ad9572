//! Streams: counted, hashed, copied as they are read.

use flate2::bufread::MultiGzDecoder;
use sha2::{Digest as _, Sha256};
use std::fs::{File, OpenOptions};
use std::io::{self, BufReader, Read, Write};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

pub(super) const BUFFER_BYTES: usize = 256 << 10;

/// Reads, and writes what was read elsewhere.
pub(super) struct Tee<R, W> {
    pub(super) from: R,
    pub(super) to: W,
}

impl<R: Read, W: Write> Read for Tee<R, W> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let got = self.from.read(out)?;
        self.to.write_all(out.get(..got).unwrap_or_default())?;
        Ok(got)
    }
}

impl<R: io::BufRead, W: Write> io::BufRead for Tee<R, W> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        self.from.fill_buf()
    }

    fn consume(&mut self, bytes: usize) {
        // An error shows when the copy is read back.
        let _ = self.from.fill_buf().map(|buffer| self.to.write_all(buffer.get(..bytes).unwrap_or_default()));
        self.from.consume(bytes);
    }
}

/// The number of bytes of a stream, and their SHA-256 in hexadecimal.
pub(super) fn hash_of(from: &mut impl Read, mut progress: impl FnMut(usize)) -> io::Result<(u64, String)> {
    let (mut hash, mut bytes, mut buffer) = (Sha256::new(), 0, vec![0; BUFFER_BYTES]);
    loop {
        match from.read(&mut buffer)? {
            0 => break,
            got => {
                hash.update(buffer.get(..got).unwrap_or_default());
                bytes += got as u64;
                progress(got);
            }
        }
    }
    Ok((bytes, hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()))
}

/// What a file of an archive holds.
pub(super) fn check(path: &Path, as_is: bool) -> io::Result<(u64, String)> {
    hash_of(&mut reader(path, as_is)?, |_| {})
}

/// The bytes that a file of an archive holds: inflated, or as they are.
pub(super) fn reader(path: &Path, as_is: bool) -> io::Result<Box<dyn Read>> {
    let file = BufReader::with_capacity(BUFFER_BYTES, open(path)?);
    Ok(if as_is { Box::new(file) } else { Box::new(MultiGzDecoder::new(file)) })
}

/// Opens a file that may not be a link.
pub(super) fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK).open(path)
}
