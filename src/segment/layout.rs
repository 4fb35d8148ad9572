//! The layout of a segment, written once.
//!
//! ```text
//!  offset   0        8        16               32       40       48       56       64
//!          ┌────────┬────────┬────────────────┬────────┬────────┬────────┬────────┐
//!          │ magic  │ver len │ process (16)   │ number │ salt   │ ticks  │unix_ns │
//!          ├────────┼────────┴───────┬────────┼────────┴────────┴────────┴────────┤
//!       64 │ hz     │ boot (16)      │ flags  │ zero                               │
//!          ├────────┴────────────────┴────────┴──────────────────────────┬────────┤
//!          │ zero                                                        │ crc    │ 128
//!          └─────────────────────────────────────────────────────────────┴────────┘
//!  frame    0     2     4        8                16       20       24        8·units
//!          ┌─────┬─────┬────────┬────────────────┬────────┬────────┬─────────┐
//!          │units│ring │ crc    │ ticks          │ site   │ seq    │ payload…│
//!          └─────┴─────┴────────┴────────────────┴────────┴────────┴─────────┘
//! ```
//!
//! Length, place and checksum of the header are the same in all versions.
//!
//! All integers are little-endian. Frames start at multiples of 8 bytes and are padded with zeros to them. The first
//! word of a frame (`units` and `ring`) is stored last, with release, and the first word of the frame to come is zeroed
//! before: a reader that finds 0 units in a live segment knows that nothing is published there yet.
//!
//! `crc` is CRC-32C over the frame without the crc itself (first word, then everything from `ticks` on), started with
//! the segment's salt, so that bytes left from an earlier use of the same memory, or another segment's, do not pass.
//!
//! A record's frame is, but for `crc`, what the logging thread stored into its ring: `ring` is the number of the ring
//! within the process, `seq` the low half of the number of the call on that ring, drops and records that sampling left
//! out included. So a hole in `seq` is a number of calls that left no frame; [`Kind::Dropped`] and [`Kind::Suppressed`]
//! account for them. Frames of the writer itself bear [`WRITER_RING`], and in `site` their [`Kind`].

/// First bytes of a segment file.
pub const MAGIC: [u8; 8] = *b"TACHOSEG";
/// Version of this layout; readers hand newer ones over instead of guessing.
pub const VERSION: u32 = 1;
/// Bytes of the segment header.
pub const HEADER_BYTES: usize = 128;
/// Offset of the salt in the header.
pub const SALT_AT: usize = 40;
/// Bytes of a frame's header, and so the least size of a frame.
pub const FRAME_HEADER_BYTES: usize = 24;
/// Frames are this many bytes long, times `units`.
pub const UNIT_BYTES: usize = 8;
/// The largest frame, header included: 64 KiB.
pub const FRAME_BYTES_MAX: usize = 64 * 1024;
/// The largest payload.
pub const PAYLOAD_BYTES_MAX: usize = FRAME_BYTES_MAX - FRAME_HEADER_BYTES;
/// The smallest segment that may be configured: a few of the largest frames must fit.
pub const SEGMENT_BYTES_MIN: usize = 64 * 1024;
/// `ring` of frames that the writer made itself.
pub const WRITER_RING: u16 = 0xffff;
/// What shared memory may count, in records: nobody logs so many, and who counts on from there, or sums up, stays within its words.
pub const COUNT_MAX: u64 = 1 << 56;

/// `site` in a thread's ring: the payload is a [`Kind::Thread`] payload without the ring number.
pub const SITE_THREAD: u32 = 0xffff_fffe;
/// `site` of a record that carries its own definition, because the table of definitions was full: the payload
/// begins with a `u32` length and that many bytes of definition.
pub const SITE_INLINE: u32 = 0xffff_fffd;
/// The same as [`SITE_INLINE`], of a record that the flight recorder remembered; see [`REMEMBERED`].
pub const SITE_INLINE_REMEMBERED: u32 = 0xffff_fffc;
/// Site numbers above this are reserved.
pub const SITE_MAX: u32 = REMEMBERED - 1;
/// Set in `site` where the levels say that the record is remembered instead of written. In a segment, such a record was
/// written later than its time, because an error followed; a [`Kind::Flight`] frame stands before it.
pub const REMEMBERED: u32 = 1 << 30;

/// Whether a `site` is that of a record that was to be remembered.
#[inline]
pub const fn is_remembered(site: u32) -> bool {
    site & !SITE_MAX == REMEMBERED || site == SITE_INLINE_REMEMBERED
}

/// The number of the call site, or [`SITE_INLINE`], of a record; whether it was remembered is taken off.
#[inline]
pub const fn bare_site(site: u32) -> u32 {
    match site {
        SITE_INLINE_REMEMBERED => SITE_INLINE,
        _ if is_remembered(site) => site & SITE_MAX,
        _ => site,
    }
}

/// Causes of a [`Kind::Dropped`] statement beyond those that a ring counts: no ring was to be had for the calls.
pub const CAUSE_WITHOUT_RING: u32 = 4;
/// The process ended in the midst of the call, which was numbered already.
pub const CAUSE_INTERRUPTED: u32 = 5;
/// Somebody truncated or overwrote the ring in shared memory.
pub const CAUSE_LOST: u32 = 6;

/// Number of a component whose target did not come from the call site; `u32` at the head of such records' payload.
pub type ComponentId = u32;

/// What a frame with [`WRITER_RING`] says, as stored in `site`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u32)]
pub enum Kind {
    /// Payload: a site definition (`record::definition`). Stands before the first record of that site in each segment.
    Site = 1,
    /// Payload: `ring u16, name_bytes u16, tid u32, name`. Holds for the ring's records from here on; `seq` is that of the
    /// thread's first record.
    Thread = 2,
    /// Payload: `unix_ns i64, rate u64` (nanoseconds per tick, 32 fractional bits). `ticks` is the anchor's tick.
    Anchor = 3,
    /// No payload. Every later frame with a tick up to `ticks` is late.
    Watermark = 4,
    /// Payload: `ring u16, zero u16, cause u32, count u64`. `count` records were dropped on `ring` just before its next
    /// record; `seq` is the low half of the number of calls up to there. With [`WRITER_RING`], for calls without a ring,
    /// `seq` counts those.
    Dropped = 5,
    /// Payload: `site u32, cause u32, count u64, since_ticks u64`, then the payload of one of the records that sampling left
    /// out. `seq` is the number of the summary in the process.
    Suppressed = 6,
    /// Payload: `id u32, name_bytes u32, name`.
    Component = 7,
    /// Payload: `frames u64, ticks_first u64, ticks_last u64, records u64`. The last frame of a sealed segment.
    Seal = 8,
    /// No payload. What follows was recovered from the rings of a process that died.
    Recovered = 9,
    /// Payload: `level u8, zero u8, target_bytes u16, message_bytes u32, target, message`. The logger's own words.
    Note = 10,
    /// Payload: `ring u16, by u16, zero u32, forgotten u64`. So many records of `ring` were remembered and then forgotten
    /// since it was made. Remembered records of that ring follow, if any do: `ticks` is that of the record on ring `by` for
    /// whose sake they are written, and their place in the order; [`WRITER_RING`] where the process ended.
    Flight = 11,
    /// In memory only: records that nobody wants stood here, and were not unpacked. The payload says nothing, and the checksum
    /// is over the header alone.
    Passed = 12,
}

impl Kind {
    /// The kind with this number, or `None` for one that this version does not know.
    pub const fn from_u32(number: u32) -> Option<Self> {
        Some(match number {
            1 => Self::Site,
            2 => Self::Thread,
            3 => Self::Anchor,
            4 => Self::Watermark,
            5 => Self::Dropped,
            6 => Self::Suppressed,
            7 => Self::Component,
            8 => Self::Seal,
            9 => Self::Recovered,
            10 => Self::Note,
            11 => Self::Flight,
            12 => Self::Passed,
            _ => return None,
        })
    }
}

/// The header of a segment.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Header {
    /// Random identity of the process that wrote it.
    pub process: [u8; 16],
    /// Number within the process's journal, from 1, without holes.
    pub number: u64,
    /// Start value of every checksum in this segment; only the low half is used.
    pub salt: u32,
    /// The writer's tick when the segment was opened.
    pub ticks: u64,
    /// The wall clock at `ticks`, in nanoseconds since the Unix epoch.
    pub unix_ns: i64,
    /// Nominal ticks per second.
    pub ticks_per_s: u64,
    /// Identity of the boot in which ticks were counted; ticks of one boot compare over processes.
    pub boot: [u8; 16],
    /// See the `FLAG_` constants.
    pub flags: u64,
}

/// The segment was written by recovery, not by the process itself.
pub const FLAG_RECOVERED: u64 = 1;
/// Ticks were set by the user: records keep the order in which they stand, nothing is late.
pub const FLAG_MANUAL_CLOCK: u64 = 2;

/// Why bytes are not the header of a segment.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum HeaderError {
    /// Fewer bytes than a header.
    Short,
    /// Not a segment at all.
    Magic,
    /// A segment of another, newer layout.
    Version(u32),
    /// The header is damaged.
    Checksum,
}

impl Header {
    /// The header as bytes.
    pub fn encode(&self) -> [u8; HEADER_BYTES] {
        let mut bytes = [0; HEADER_BYTES];
        let mut at = 0;
        let mut put = |part: &[u8]| {
            let end = at + part.len();
            if let Some(slot) = bytes.get_mut(at..end) {
                slot.copy_from_slice(part);
            }
            at = end;
        };
        put(&MAGIC);
        put(&VERSION.to_le_bytes());
        put(&(HEADER_BYTES as u32).to_le_bytes());
        put(&self.process);
        put(&self.number.to_le_bytes());
        put(&u64::from(self.salt).to_le_bytes());
        put(&self.ticks.to_le_bytes());
        put(&self.unix_ns.to_le_bytes());
        put(&self.ticks_per_s.to_le_bytes());
        put(&self.boot);
        put(&self.flags.to_le_bytes());
        let crc = crc32c::crc32c(bytes.get(..HEADER_BYTES - 8).unwrap_or_default());
        if let Some(slot) = bytes.get_mut(HEADER_BYTES - 8..HEADER_BYTES - 4) {
            slot.copy_from_slice(&crc.to_le_bytes());
        }
        bytes
    }

    /// Reads a header from the first bytes of a segment.
    ///
    /// # Errors
    /// [`HeaderError`] when the bytes are not an undamaged header of this version.
    pub fn decode(bytes: &[u8]) -> Result<Self, HeaderError> {
        let bytes: &[u8; HEADER_BYTES] =
            bytes.get(..HEADER_BYTES).and_then(|head| head.try_into().ok()).ok_or(HeaderError::Short)?;
        if array::<8>(bytes, 0) != MAGIC {
            return Err(HeaderError::Magic);
        }
        // Before the version, so that a damaged version is not taken for a newer one.
        let crc = crc32c::crc32c(bytes.get(..HEADER_BYTES - 8).unwrap_or_default());
        if crc != u32_at(bytes, HEADER_BYTES - 8) {
            return Err(HeaderError::Checksum);
        }
        let version = u32_at(bytes, 8);
        if version != VERSION {
            return Err(HeaderError::Version(version));
        }
        Ok(Self {
            process: array(bytes, 16),
            number: u64_at(bytes, 32),
            salt: u64_at(bytes, SALT_AT) as u32,
            ticks: u64_at(bytes, 48),
            unix_ns: u64_at(bytes, 56) as i64,
            ticks_per_s: u64_at(bytes, 64),
            boot: array(bytes, 72),
            flags: u64_at(bytes, 88),
        })
    }
}

/// The checksum of a frame: CRC-32C over its first word and everything behind the crc, started with `salt`.
///
/// `frame` must be at least a frame header long; shorter input gives a value that no frame has.
#[inline]
pub fn frame_crc(salt: u32, frame: &[u8]) -> u32 {
    crate::crc::frame(salt, frame, |_, _| {})
}

/// `N` bytes at `at`; zeros where the slice ends before.
#[inline]
pub fn array<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    at.checked_add(N).and_then(|end| bytes.get(at..end)).and_then(|part| part.try_into().ok()).unwrap_or([0; N])
}

/// The `u16` at `at`; 0 where the slice ends before.
#[inline]
pub fn u16_at(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes(array(bytes, at))
}

/// The `u32` at `at`; 0 where the slice ends before.
#[inline]
pub fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(array(bytes, at))
}

/// The `u64` at `at`; 0 where the slice ends before.
#[inline]
pub fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(array(bytes, at))
}

const _: () = assert!(HEADER_BYTES.is_multiple_of(UNIT_BYTES));
const _: () = assert!(FRAME_HEADER_BYTES.is_multiple_of(UNIT_BYTES));
const _: () = assert!(FRAME_BYTES_MAX / UNIT_BYTES <= u16::MAX as usize);

#[cfg(test)]
mod tests {
    use super::*;

    fn header() -> Header {
        Header {
            process: *b"0123456789abcdef",
            number: 42,
            salt: 0xdead_beef,
            ticks: 7,
            unix_ns: -5,
            ticks_per_s: 2_600_000_000,
            boot: *b"fedcba9876543210",
            flags: FLAG_RECOVERED,
        }
    }

    #[test]
    fn header_round_trips() {
        assert_eq!(Header::decode(&header().encode()), Ok(header()));
    }

    #[test]
    fn every_flipped_bit_of_a_header_is_noticed() {
        let good = header().encode();
        // The last four bytes stand behind the checksum and are padding.
        for bit in 0..(HEADER_BYTES - 4) * 8 {
            let mut bad = good;
            bad[bit / 8] ^= 1 << (bit % 8);
            assert!(Header::decode(&bad).is_err(), "bit {bit}");
        }
        assert_eq!(Header::decode(&good[..HEADER_BYTES - 1]), Err(HeaderError::Short));
    }
}
