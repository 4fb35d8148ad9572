//! Compression aside: a whole gzip or zstd file under a temporary name, synced, and only then under its own.
//!
//! So a name that ends in `.gz` or `.zst` is complete whenever it can be seen, and a crash leaves at most a temporary file,
//! which the next attempt deletes and makes again. Used for the backups of views and for finished journal segments.
//!
//! A gzip file ends with length and CRC-32 of what it holds. A zstd file of ours ends with the same, in a frame that zstd skips:
//! `5f 2a 4d 18 │ 8, 4 │ crc32, 4 │ bytes, 4`.

use crate::disk::Disk;
use flate2::{Compression, Crc, write::GzEncoder};
use std::io::{self, Write};

/// How finished files are compressed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Codec {
    /// By gzip, level 1 to 9: `.gz`.
    Gzip(u32),
    /// By zstd, level 1 to 19: `.zst`. Only with the feature `zstd`.
    Zstd(i32),
}

impl Codec {
    /// What is added to the name of a file.
    pub const fn suffix(self) -> &'static str {
        match self {
            Self::Gzip(_) => ".gz",
            Self::Zstd(_) => ".zst",
        }
    }
}

/// Why a zstd file cannot be made or read by this build.
pub(crate) fn without_zstd() -> io::Error {
    let why =
        "this build of tachograph is without zstd: build it with the feature `zstd`, or unpack the file by `zstd -d`";
    io::Error::new(io::ErrorKind::Unsupported, why)
}

/// The gzip level used where nothing else is configured: most of the gain for little of the time.
pub const LEVEL: u32 = 3;
/// What a temporary file's name ends with.
pub const TEMP_SUFFIX: &str = ".tmp";

const BLOCK_BYTES: usize = 64 * 1024;
const GZIP_MAGIC: [u8; 3] = [0x1f, 0x8b, 8];
const GZIP_BYTES_MIN: u64 = 18;
const TRAILER_BYTES: usize = 8;
const ZSTD_MAGIC: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];
/// Magic and length of the frame that ends a zstd file of ours.
const ZSTD_TRAILER: [u8; 8] = [0x5f, 0x2a, 0x4d, 0x18, TRAILER_BYTES as u8, 0, 0, 0];

/// What a compression did.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Summary {
    /// Bytes read.
    pub bytes_in: u64,
    /// Bytes written.
    pub bytes_out: u64,
}

/// Streams `source` as gzip into the empty file `sink` and syncs it. Memory does not depend on the size.
///
/// # Errors
/// That of the file system; `sink` is then useless.
pub fn gzip<D: Disk>(disk: &D, source: &D::File, sink: &D::File, level: u32) -> io::Result<Summary> {
    let mut encoder = GzEncoder::new(Appender { disk, file: sink, bytes: 0 }, Compression::new(level.clamp(1, 9)));
    let mut bytes_in = 0;
    for_each_block(disk, source, |block| {
        bytes_in += block.len() as u64;
        encoder.write_all(block)
    })?;
    let bytes_out = encoder.finish()?.bytes;
    disk.sync(sink)?;
    Ok(Summary { bytes_in, bytes_out })
}

/// The same by zstd.
///
/// # Errors
/// That of the file system, or that this build is without zstd; `sink` is then useless.
#[cfg(feature = "zstd")]
pub fn zstd<D: Disk>(disk: &D, source: &D::File, sink: &D::File, level: i32) -> io::Result<Summary> {
    let mut encoder = ::zstd::Encoder::new(Appender { disk, file: sink, bytes: 0 }, level.clamp(1, 19))?;
    encoder.include_checksum(true)?;
    let (mut crc, mut bytes_in) = (Crc::new(), 0_u64);
    for_each_block(disk, source, |block| {
        crc.update(block);
        bytes_in += block.len() as u64;
        encoder.write_all(block)
    })?;
    let mut out = encoder.finish()?;
    out.write_all(&ZSTD_TRAILER)?;
    out.write_all(&crc.sum().to_le_bytes())?;
    out.write_all(&(bytes_in as u32).to_le_bytes())?;
    disk.sync(sink)?;
    Ok(Summary { bytes_in, bytes_out: out.bytes })
}

/// Without the feature there is none.
///
/// # Errors
/// Always.
#[cfg(not(feature = "zstd"))]
pub fn zstd<D: Disk>(_: &D, _: &D::File, _: &D::File, _: i32) -> io::Result<Summary> {
    Err(without_zstd())
}

/// Either, as the codec says.
///
/// # Errors
/// As [`gzip`] and [`zstd()`].
pub fn compress<D: Disk>(disk: &D, source: &D::File, sink: &D::File, codec: Codec) -> io::Result<Summary> {
    match codec {
        Codec::Gzip(level) => gzip(disk, source, sink, level),
        Codec::Zstd(level) => zstd(disk, source, sink, level),
    }
}

/// Compresses the file `from` to `to` by way of `to.tmp`, keeps its time of modification, and leaves `from` in place:
/// who deletes it is the caller, after whatever else must be done first.
///
/// # Errors
/// That of the file system, `AlreadyExists` where `to` is taken. The temporary file is gone then, if that was possible.
pub fn compress_aside<D: Disk>(disk: &D, from: &str, to: &str, codec: Codec) -> io::Result<Summary> {
    aside(disk, from, to, |source, sink| compress(disk, source, sink, codec))
}

/// The same with anything that makes a file from a file and syncs it.
pub(crate) fn aside<D: Disk>(
    disk: &D,
    from: &str,
    to: &str,
    compress: impl FnOnce(&D::File, &D::File) -> io::Result<Summary>,
) -> io::Result<Summary> {
    let temp = format!("{to}{TEMP_SUFFIX}");
    let source = disk.open_read(from)?;
    let sink = create_over(disk, &temp)?;
    let attempt = || {
        let summary = compress(&source, &sink)?;
        disk.set_mtime(&sink, disk.stat(&source)?.mtime_ns)?;
        disk.rename(&temp, to)?;
        disk.sync_dir()?;
        Ok(summary)
    };
    let done = attempt();
    if done.is_err() {
        let _ = disk.unlink(&temp);
    }
    done
}

/// Creates a file under a name whose present owner, if any, is a leftover.
pub(crate) fn create_over<D: Disk>(disk: &D, name: &str) -> io::Result<D::File> {
    match disk.create_new(name) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            disk.unlink(name)?;
            disk.create_new(name)
        }
        done => done,
    }
}

/// Whether `packed` is a complete gzip or zstd file of what `plain` holds: its trailer, which is written last, has the length
/// and the CRC-32 of `plain`.
///
/// # Errors
/// That of the file system.
pub fn is_copy<D: Disk>(disk: &D, packed: &str, plain: &str) -> io::Result<bool> {
    let Some((bytes, crc)) = trailer(disk, packed)? else { return Ok(false) };
    let long = disk.stat_name(plain)?.is_none_or(|stat| stat.bytes as u32 == bytes);
    Ok(long && sum(disk, plain)? == (bytes, crc))
}

/// Length, modulo 2³², and CRC-32 of what a gzip file, or a zstd file of ours, holds, as its trailer says; `None` where it is
/// none.
pub(crate) fn trailer<D: Disk>(disk: &D, packed: &str) -> io::Result<Option<(u32, u32)>> {
    let packed = disk.open_read(packed)?;
    let bytes = disk.stat(&packed)?.bytes;
    let mut magic = [0; 4];
    let mut trailer = [0; 2 * TRAILER_BYTES];
    if bytes < GZIP_BYTES_MIN
        || disk.read_at(&packed, &mut magic, 0)? < magic.len()
        || disk.read_at(&packed, &mut trailer, bytes - 2 * TRAILER_BYTES as u64)? < trailer.len()
        || !(magic.starts_with(&GZIP_MAGIC) || (magic == ZSTD_MAGIC && trailer.starts_with(&ZSTD_TRAILER)))
    {
        return Ok(None);
    }
    let word = |at| crate::segment::layout::u32_at(&trailer, TRAILER_BYTES + at);
    Ok(Some((word(4), word(0))))
}

/// Length, modulo 2³², and CRC-32 of a file.
pub(crate) fn sum<D: Disk>(disk: &D, plain: &str) -> io::Result<(u32, u32)> {
    let plain = disk.open_read(plain)?;
    let (mut crc, mut bytes) = (Crc::new(), 0_u64);
    for_each_block(disk, &plain, |block| {
        crc.update(block);
        bytes += block.len() as u64;
        Ok(())
    })?;
    Ok((bytes as u32, crc.sum()))
}

fn for_each_block<D: Disk>(disk: &D, file: &D::File, mut each: impl FnMut(&[u8]) -> io::Result<()>) -> io::Result<()> {
    let mut block = vec![0; BLOCK_BYTES];
    let mut offset = 0_u64;
    loop {
        let count = disk.read_at(file, &mut block, offset)?;
        if count == 0 {
            return Ok(());
        }
        each(block.get(..count).unwrap_or_default())?;
        offset += count as u64;
    }
}

struct Appender<'a, D: Disk> {
    disk: &'a D,
    file: &'a D::File,
    bytes: u64,
}

impl<D: Disk> Write for Appender<'_, D> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.disk.append(self.file, bytes)?;
        self.bytes += count as u64;
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::{Fault, MemDisk};
    use std::io::Read;

    fn text() -> Vec<u8> {
        (0..20_000).flat_map(|line| format!("line {line}\n").into_bytes()).collect()
    }

    #[test]
    fn the_copy_is_whole_and_known_as_one() {
        let disk = MemDisk::new();
        disk.outside_write("a", &text());
        disk.outside_write("a.gz.tmp", b"left by a crash");
        let summary = compress_aside(&disk, "a", "a.gz", Codec::Gzip(LEVEL)).unwrap();
        let packed = disk.bytes("a.gz").unwrap();
        assert_eq!((summary.bytes_in, summary.bytes_out), (text().len() as u64, packed.len() as u64));
        let mut back = Vec::new();
        flate2::read::MultiGzDecoder::new(packed.as_slice()).read_to_end(&mut back).unwrap();
        assert_eq!(back, text());
        assert!(is_copy(&disk, "a.gz", "a").unwrap());
        for cut in [0, 10, 17, packed.len() - 1] {
            disk.outside_write("cut.gz", &packed[..cut]);
            assert!(!is_copy(&disk, "cut.gz", "a").unwrap(), "cut at {cut}");
        }
        disk.outside_write("b", b"something else");
        assert!(!is_copy(&disk, "a.gz", "b").unwrap());
        assert_eq!(
            compress_aside(&disk, "b", "a.gz", Codec::Gzip(3)).unwrap_err().kind(),
            io::ErrorKind::AlreadyExists
        );
        assert_eq!(disk.names(), ["a", "a.gz", "b", "cut.gz"]);
    }

    #[test]
    fn a_crash_at_any_operation_is_made_good_by_doing_it_again() {
        let mut at = 0;
        loop {
            let disk = MemDisk::new();
            disk.outside_write("a", &text());
            disk.inject(at, Fault::Crash(7));
            let done = compress_aside(&disk, "a", "a.gz", Codec::Gzip(LEVEL)).is_ok();
            disk.revive();
            if disk.bytes("a.gz").is_some() {
                assert!(is_copy(&disk, "a.gz", "a").unwrap(), "a visible .gz is complete");
            } else {
                compress_aside(&disk, "a", "a.gz", Codec::Gzip(LEVEL)).unwrap();
            }
            assert_eq!(disk.names(), ["a", "a.gz"], "crash at {at}");
            if done {
                break;
            }
            at += 1;
        }
        assert!(at > 4);
    }

    #[cfg(feature = "zstd")]
    #[test]
    fn a_zstd_copy_is_whole_and_known_as_one() {
        let disk = MemDisk::new();
        disk.outside_write("a", &text());
        compress_aside(&disk, "a", "a.zst", Codec::Zstd(3)).unwrap();
        let packed = disk.bytes("a.zst").unwrap();
        assert_eq!(::zstd::decode_all(packed.as_slice()).unwrap(), text());
        assert!(is_copy(&disk, "a.zst", "a").unwrap());
        for cut in [0, 10, 17, packed.len() - 1] {
            disk.outside_write("cut.zst", &packed[..cut]);
            assert!(!is_copy(&disk, "cut.zst", "a").unwrap(), "cut at {cut}");
        }
        disk.outside_write("b", b"something else");
        assert!(!is_copy(&disk, "a.zst", "b").unwrap());
        // What the command `zstd` makes is not known as ours.
        disk.outside_write("c.zst", &::zstd::encode_all(text().as_slice(), 3).unwrap());
        assert!(!is_copy(&disk, "c.zst", "a").unwrap());
    }

    #[cfg(not(feature = "zstd"))]
    #[test]
    fn without_the_feature_zstd_is_refused() {
        let disk = MemDisk::new();
        disk.outside_write("a", &text());
        let error = compress_aside(&disk, "a", "a.zst", Codec::Zstd(3)).unwrap_err();
        assert!(error.to_string().contains("feature `zstd`") && disk.names() == ["a"], "{error}");
    }
}
