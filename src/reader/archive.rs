//! Segments on disk: `00000042.seg` while they grow and until they are compressed, `00000042.seg.gz` for good.
//!
//! A file that was opened is kept open until another segment is wanted, so that it may be compressed and removed by
//! others meanwhile. Compressed ones are inflated as they are read, in bounded memory: block by block where they are
//! packed (`segment::packed`), as they are since that form exists, else as the one stream that they were before.

use super::file;
use super::packed::Packed;
use super::sieve::Rules;
use super::source::{Extent, Source};
use super::wanted::Wanted;
use crate::segment::layout::{FRAME_BYTES_MAX, HEADER_BYTES, Header, HeaderError, UNIT_BYTES};
use crate::segment::packed::{self, Form, Index, MEMBER_HEAD_BYTES};
use flate2::bufread::MultiGzDecoder;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufReader, ErrorKind, Read, Seek as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];
/// What names of compressed segments end with.
pub const PACKED: [&str; 2] = [".gz", ".zst"];
const INFLATE_BYTES: usize = 32 << 10;

/// An archive.
#[derive(Debug)]
pub struct Archive {
    place: Place,
    open: Option<(u64, Segment)>,
    /// Of packed segments, no more is read than is wanted by these.
    rules: Option<Rules>,
}

#[derive(Debug)]
enum Place {
    /// The folder of a process.
    Folder(PathBuf),
    /// Files that stand for themselves.
    Files(BTreeMap<u64, PathBuf>),
}

#[derive(Debug)]
enum Segment {
    Plain { file: File, path: PathBuf },
    Gzip(Box<Gzip>),
    Packed(Box<Packed>),
}

impl Archive {
    /// The archive in the folder of a process.
    pub fn folder(path: &Path) -> Self {
        Self { place: Place::Folder(path.to_owned()), open: None, rules: None }
    }

    /// Segment files by number, which will not grow.
    pub fn files(files: BTreeMap<u64, PathBuf>) -> Self {
        Self { place: Place::Files(files), open: None, rules: None }
    }

    /// From now on, frames that say nothing stand in the place of what is not `wanted`, in packed segments. All of a
    /// segment is to be read so from its first byte on, because what its call sites are stands in it.
    pub fn sift(&mut self, wanted: Option<&Arc<Wanted>>) {
        let is_same = match (wanted, &self.rules) {
            (Some(wanted), Some(rules)) => rules.is_for(wanted),
            (wanted, rules) => wanted.is_none() && rules.is_none(),
        };
        if !is_same {
            self.rules = wanted.map(|wanted| Rules::new(Arc::clone(wanted)));
            // What was read of it was read otherwise.
            self.close();
        }
    }

    /// Closes the file that is open: the room of a deleted one comes free only so.
    pub fn close(&mut self) {
        self.open = None;
    }

    /// The numbers of all segments.
    ///
    /// # Errors
    /// When the folder cannot be listed.
    pub fn numbers(&self) -> io::Result<Vec<u64>> {
        let folder = match &self.place {
            Place::Files(files) => return Ok(files.keys().copied().collect()),
            Place::Folder(folder) => folder,
        };
        let list = match std::fs::read_dir(folder) {
            Ok(list) => list,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(file::context(&error, "list", folder)),
        };
        let mut numbers = Vec::new();
        for entry in list {
            let entry = entry.map_err(|error| file::context(&error, "list", folder))?;
            numbers.extend(entry.file_name().to_str().and_then(segment_number));
        }
        numbers.sort_unstable();
        numbers.dedup();
        Ok(numbers)
    }

    /// The header of a segment, or why it has none; `None` where there is no such segment.
    ///
    /// # Errors
    /// As [`Source::read`].
    pub fn header(&mut self, number: u64) -> io::Result<Option<Result<Header, HeaderError>>> {
        let mut bytes = Vec::new();
        match self.read(number, 0, HEADER_BYTES, &mut bytes)? {
            Extent::Missing { .. } => Ok(None),
            _ => Ok(Some(Header::decode(&bytes))),
        }
    }

    /// The first block at `offset` of a segment or behind it, if the segment is packed and was read last.
    pub fn block_from(&self, number: u64, offset: u64) -> Option<Index> {
        match &self.open {
            Some((open, Segment::Packed(packed))) if *open == number => packed.block_from(offset),
            _ => None,
        }
    }

    fn open(&self, number: u64) -> io::Result<Option<Segment>> {
        match &self.place {
            Place::Files(files) => files.get(&number).map_or(Ok(None), |path| Segment::open(path)),
            Place::Folder(folder) => {
                let plain = folder.join(format!("{number:08}.seg"));
                // Compressing puts the new file in place before it removes the old one, so the third look finds nothing
                // only where there is nothing.
                let [gz, zst] = PACKED.map(|end| folder.join(format!("{number:08}.seg{end}")));
                for path in [&plain, &gz, &zst, &plain] {
                    if let Some(segment) = Segment::open(path)? {
                        return Ok(Some(segment));
                    }
                }
                Ok(None)
            }
        }
    }

    /// Whether the segment cannot grow any more, as far as the place tells.
    fn is_whole(&self, number: u64) -> bool {
        match &self.place {
            Place::Files(_) => true,
            Place::Folder(folder) => {
                let next = number.saturating_add(1);
                let exists = |name: String| folder.join(name).symlink_metadata().is_ok();
                ["", PACKED[0], PACKED[1]].iter().any(|end| exists(format!("{next:08}.seg{end}")))
            }
        }
    }
}

impl Source for Archive {
    fn read(&mut self, number: u64, offset: u64, bytes_max: usize, out: &mut Vec<u8>) -> io::Result<Extent> {
        if self.open.as_ref().is_none_or(|(open, _)| *open != number) {
            self.open = self.open(number)?.map(|segment| (number, segment));
        }
        let before = out.len();
        let (path, got) = match &mut self.open {
            None => {
                let next = self.numbers()?.into_iter().find(|other| *other > number);
                return Ok(Extent::Missing { next });
            }
            Some((_, Segment::Gzip(gzip))) => return gzip.read(offset, bytes_max, out),
            Some((_, Segment::Packed(packed))) => return packed.read(offset, bytes_max, &mut self.rules, out),
            Some((_, Segment::Plain { file, path })) => (path.clone(), file::read_at(file, offset, bytes_max, out)),
        };
        let got = got.map_err(|error| file::context(&error, "read", &path))?;
        if got == bytes_max {
            return Ok(Extent::More);
        }
        // Looked at before the second read: what is whole by then is read to its end.
        let whole = self.is_whole(number);
        if let Some((_, Segment::Plain { file, .. })) = &self.open {
            let rest = file::read_at(file, offset.saturating_add(got as u64), bytes_max - got, out);
            rest.map_err(|error| file::context(&error, "read", &path))?;
        }
        Ok(match out.len() - before {
            got if got == bytes_max => Extent::More,
            _ if whole => Extent::End,
            _ => Extent::Growing,
        })
    }
}

/// The number in the name of a segment file.
pub fn segment_number(name: &str) -> Option<u64> {
    let plain = PACKED.iter().find_map(|end| name.strip_suffix(end)).unwrap_or(name);
    let digits = plain.strip_suffix(".seg")?;
    let plain = digits.len() >= 8 && digits.len() <= 19 && digits.bytes().all(|byte| byte.is_ascii_digit());
    if plain { digits.parse().ok() } else { None }
}

impl Segment {
    fn open(path: &Path) -> io::Result<Option<Self>> {
        let Some(file) = file::open(path)? else { return Ok(None) };
        let mut head = Vec::new();
        file::read_at(&file, 0, MEMBER_HEAD_BYTES, &mut head).map_err(|error| file::context(&error, "read", path))?;
        let is_gzip = head.starts_with(&GZIP_MAGIC);
        let file = match packed::form(&head) {
            Form::Gzip => file,
            // The start of a packed one may be damaged so that it does not look like one.
            Form::Unclear if !is_gzip && path.extension().is_none_or(|end| end != "gz" && end != "zst") => file,
            Form::Packed | Form::Unclear => match Packed::open(file, path)? {
                Ok(packed) => return Ok(Some(Self::Packed(Box::new(packed)))),
                Err(file) => file,
            },
        };
        Ok(Some(if is_gzip {
            Self::Gzip(Box::new(Gzip::new(file, path)))
        } else {
            Self::Plain { file, path: path.to_owned() }
        }))
    }
}

/// A compressed segment, read from its start to its end.
#[derive(Debug)]
struct Gzip {
    path: PathBuf,
    decoder: MultiGzDecoder<BufReader<File>>,
    /// Bytes inflated so far.
    at: u64,
    /// The last of them, because a frame may have to be given again with more of it.
    last: Vec<u8>,
    ended: Option<Extent>,
}

impl Gzip {
    fn new(file: File, path: &Path) -> Self {
        let decoder = MultiGzDecoder::new(BufReader::with_capacity(INFLATE_BYTES, file));
        Self { path: path.to_owned(), decoder, at: 0, last: Vec::new(), ended: None }
    }

    fn read(&mut self, offset: u64, bytes_max: usize, out: &mut Vec<u8>) -> io::Result<Extent> {
        if offset < self.at.saturating_sub(self.last.len() as u64) {
            self.rewind()?;
        }
        while self.at < offset && self.ended.is_none() {
            let skip = usize::try_from(offset - self.at).unwrap_or(INFLATE_BYTES).min(INFLATE_BYTES);
            self.inflate(skip, &mut Vec::new())?;
        }
        let start = out.len();
        let again = usize::try_from(self.at.saturating_sub(offset)).unwrap_or(0);
        let kept = self.last.len().checked_sub(again).and_then(|from| self.last.get(from..)).unwrap_or_default();
        out.extend_from_slice(kept.get(..bytes_max).unwrap_or(kept));
        while out.len() - start < bytes_max && self.ended.is_none() {
            self.inflate(bytes_max - (out.len() - start), out)?;
        }
        let all_given = offset.saturating_add((out.len() - start) as u64) >= self.at;
        Ok(self.ended.filter(|_| all_given).unwrap_or(Extent::More))
    }

    /// Inflates at most `bytes_max` bytes to the end of `out`.
    fn inflate(&mut self, bytes_max: usize, out: &mut Vec<u8>) -> io::Result<()> {
        let start = out.len();
        out.resize(start + bytes_max, 0);
        let result = self.decoder.read(out.get_mut(start..).unwrap_or_default());
        let bytes = match &result {
            Ok(bytes) => *bytes,
            Err(error) if error.kind() == ErrorKind::Interrupted => 0,
            // What was inflated before the damage stands there all the same, though not how much it is; each frame in it
            // has a checksum of its own, so zeros and rubbish behind do no harm. The last frame may end with zeros.
            Err(_) => {
                let inflated = out.get(start..).unwrap_or_default().iter().rposition(|byte| *byte != 0);
                inflated.map_or(0, |last| (last + 1 + UNIT_BYTES).min(bytes_max))
            }
        };
        out.truncate(start + bytes);
        self.at += bytes as u64;
        self.keep(out.get(start..).unwrap_or_default());
        match result {
            Ok(0) => self.ended = Some(Extent::End),
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error)
                if matches!(
                    error.kind(),
                    ErrorKind::InvalidData | ErrorKind::InvalidInput | ErrorKind::UnexpectedEof
                ) =>
            {
                self.ended = Some(Extent::Broken { lost: self.rest()?.max(1) });
            }
            Err(error) => return Err(file::context(&error, "read", &self.path)),
        }
        Ok(())
    }

    fn keep(&mut self, bytes: &[u8]) {
        let excess = (self.last.len() + bytes.len()).saturating_sub(FRAME_BYTES_MAX);
        self.last.drain(..excess.min(self.last.len()));
        self.last.extend_from_slice(bytes.get(bytes.len().saturating_sub(FRAME_BYTES_MAX)..).unwrap_or_default());
    }

    /// Compressed bytes that were not read.
    fn rest(&mut self) -> io::Result<u64> {
        let reader = self.decoder.get_mut();
        let at = reader.stream_position().map_err(|error| file::context(&error, "read", &self.path))?;
        let bytes = reader.get_ref().metadata().map_err(|error| file::context(&error, "look at", &self.path))?.len();
        Ok(bytes.saturating_sub(at))
    }

    fn rewind(&mut self) -> io::Result<()> {
        let file = self.decoder.get_ref().get_ref().try_clone();
        let mut file = file.map_err(|error| file::context(&error, "read", &self.path))?;
        file.rewind().map_err(|error| file::context(&error, "read", &self.path))?;
        *self = Self::new(file, &self.path);
        Ok(())
    }
}
