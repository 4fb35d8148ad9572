//! Finished segments in their packed form, on disk.
//!
//! A block is packed, unpacked again and compared before it is written: the original is deleted afterwards, and no fault of the
//! packed form may cost a record. Memory: a few blocks.

use crate::compress::{self, Codec, Summary};
use crate::disk::Disk;
use crate::segment::packed::{BLOCK_BYTES, Chain, Form, Index, MEMBER_HEAD_BYTES, Member, Packer, ReadAt, form};
use std::io;

/// Packs the segment `from` to the file `to`, as [`compress::compress_aside`] does with any file.
///
/// # Errors
/// As there.
pub(super) fn pack_aside<D: Disk>(disk: &D, from: &str, to: &str, codec: Codec) -> io::Result<Summary> {
    compress::aside(disk, from, to, |source, sink| pack(disk, source, sink, codec))
}

fn pack<D: Disk>(disk: &D, source: &D::File, sink: &D::File, codec: Codec) -> io::Result<Summary> {
    let bytes_in = disk.stat(source)?.bytes;
    let Some(mut packer) = Packer::new(bytes_in, codec)? else {
        return compress::compress(disk, source, sink, codec);
    };
    let source = OnDisk { disk, file: source };
    let mut window = vec![0; BLOCK_BYTES.min(usize::try_from(bytes_in).unwrap_or(BLOCK_BYTES))];
    let (mut at, mut filled, mut bytes_out) = (0_u64, 0, 0_u64);
    let (mut member, mut back) = (Vec::new(), Vec::new());
    loop {
        let wanted = usize::try_from(bytes_in - at).unwrap_or(BLOCK_BYTES).min(window.len());
        let space = window.get_mut(filled..wanted).unwrap_or_default();
        let got = source.read_full_at(space, at + filled as u64)?;
        if got < space.len() {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the segment was cut while it was packed"));
        }
        filled = wanted;
        member.clear();
        let taken = packer.block(window.get(..filled).unwrap_or_default(), &mut member)?;
        back.clear();
        let whole = Index::find_at(&member).and_then(|index| Member::new(index, &member)?.unpack(&mut back));
        if whole.is_none() || window.get(..taken) != Some(&back) {
            return Err(io::Error::other("the packed form of the segment is not the segment; please report this"));
        }
        append(disk, sink, &member)?;
        bytes_out += member.len() as u64;
        at += taken as u64;
        window.copy_within(taken..filled, 0);
        filled -= taken;
        if packer.is_done() {
            break;
        }
    }
    member.clear();
    packer.finish(&mut member)?;
    append(disk, sink, &member)?;
    bytes_out += member.len() as u64;
    disk.sync(sink)?;
    Ok(Summary { bytes_in, bytes_out })
}

fn append<D: Disk>(disk: &D, sink: &D::File, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        let count = disk.append(sink, bytes)?;
        bytes = bytes.get(count..).unwrap_or_default();
    }
    Ok(())
}

/// Whether `packed` is a complete packed or gzip file of what `plain` holds, by what it says of lengths and checksums.
///
/// # Errors
/// That of the file system.
pub(super) fn is_copy<D: Disk>(disk: &D, packed: &str, plain: &str) -> io::Result<bool> {
    let file = disk.open_read(packed)?;
    let Some(chain) = chain(disk, &file)? else { return compress::is_copy(disk, packed, plain) };
    let plain = disk.open_read(plain)?;
    if !chain.is_whole() || disk.stat(&plain)?.bytes != chain.segment_bytes() {
        return Ok(false);
    }
    let plain = OnDisk { disk, file: &plain };
    let mut piece = Vec::new();
    for link in &chain.blocks {
        piece.resize(link.index.raw_bytes as usize, 0);
        let got = plain.read_full_at(&mut piece, u64::from(link.index.raw_at))?;
        if got < piece.len() || crc32c::crc32c(&piece) != link.index.raw_crc {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Records in a packed file, as the indices of its blocks say; `None` where it is no packed file.
///
/// # Errors
/// That of the file system.
pub(super) fn records<D: Disk>(disk: &D, file: &D::File) -> io::Result<Option<u64>> {
    let sum = |chain: Chain| chain.blocks.iter().map(|link| u64::from(link.index.outline.records)).sum();
    Ok(chain(disk, file)?.map(sum))
}

fn chain<D: Disk>(disk: &D, file: &D::File) -> io::Result<Option<Chain>> {
    let bytes = disk.stat(file)?.bytes;
    let file = OnDisk { disk, file };
    let mut head = [0; MEMBER_HEAD_BYTES];
    let got = file.read_full_at(&mut head, 0)?;
    match form(head.get(..got).unwrap_or_default()) {
        Form::Gzip => Ok(None),
        Form::Packed | Form::Unclear => Chain::walk(&file, bytes),
    }
}

struct OnDisk<'a, D: Disk> {
    disk: &'a D,
    file: &'a D::File,
}

impl<D: Disk> ReadAt for OnDisk<'_, D> {
    fn read_at(&self, out: &mut [u8], offset: u64) -> io::Result<usize> {
        self.disk.read_at(self.file, out, offset)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::{Fault, MemDisk};
    use crate::reader::testing::JournalBuilder;
    use crate::segment::packed::unpack;

    fn segment() -> Vec<u8> {
        let mut journal = JournalBuilder::new(1);
        (0..30_000).for_each(|n| journal.record(0, n + 1, n));
        journal.roll();
        journal.done.remove(0).1
    }

    #[test]
    fn the_copy_is_whole_and_known_as_one() {
        let (disk, segment) = (MemDisk::new(), segment());
        disk.outside_write("a", &segment);
        let summary = pack_aside(&disk, "a", "a.gz", Codec::Gzip(3)).unwrap();
        let packed = disk.bytes("a.gz").unwrap();
        assert_eq!((summary.bytes_in, summary.bytes_out), (segment.len() as u64, packed.len() as u64));
        assert_eq!(unpack(&packed).unwrap(), segment);
        assert!(is_copy(&disk, "a.gz", "a").unwrap());
        let file = disk.open_read("a.gz").unwrap();
        assert_eq!(records(&disk, &file).unwrap(), Some(30_000));
        for cut in [0, 10, 17, packed.len() / 2] {
            disk.outside_write("cut.gz", &packed[..cut]);
            assert!(!is_copy(&disk, "cut.gz", "a").unwrap(), "cut at {cut}");
        }
        let mut other = segment;
        other[70_000] ^= 1;
        disk.outside_write("b", &other);
        assert!(!is_copy(&disk, "a.gz", "b").unwrap());
        compress::compress_aside(&disk, "b", "b.gz", Codec::Gzip(3)).unwrap();
        assert!(is_copy(&disk, "b.gz", "b").unwrap() && !is_copy(&disk, "b.gz", "a").unwrap());
        let old = disk.open_read("b.gz").unwrap();
        assert_eq!(records(&disk, &old).unwrap(), None);
    }

    #[test]
    fn a_crash_at_any_operation_is_made_good_by_doing_it_again() {
        let segment = segment();
        for at in 0.. {
            let disk = MemDisk::new();
            disk.outside_write("a", &segment);
            disk.inject(at, Fault::Crash(7));
            let done = pack_aside(&disk, "a", "a.gz", Codec::Gzip(3)).is_ok();
            disk.revive();
            if disk.bytes("a.gz").is_some() {
                assert!(is_copy(&disk, "a.gz", "a").unwrap(), "a visible .gz is complete");
            } else {
                pack_aside(&disk, "a", "a.gz", Codec::Gzip(3)).unwrap();
            }
            assert_eq!(disk.names(), ["a", "a.gz"], "crash at {at}");
            if done {
                assert!(at > 4);
                break;
            }
        }
    }
}
