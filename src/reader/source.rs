//! Where the bytes of a journal come from.

use std::io;

/// What stands behind the bytes that a source gave.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Extent {
    /// More bytes of the segment, already final. At least one byte was given.
    More,
    /// Nothing yet: the segment grows. The bytes may end in ones that are not published, after a first word of 0.
    Growing,
    /// Nothing: the segment ends there.
    End,
    /// The segment ends there because the rest cannot be had; so many bytes, as stored, are lost.
    Broken {
        /// Bytes that cannot be read.
        lost: u64,
    },
    /// There is no such segment; no bytes were given.
    Missing {
        /// The least number above that there is, if any. `None`: it may come.
        next: Option<u64>,
    },
}

/// The segments of one journal.
///
/// Both kinds of source, live memory and the archive on disk, hold the same bytes at the same place, so that a reader may
/// change from one to the other between any two calls. A segment is readable at any time from when it is begun until
/// retention takes it; a source that looks at several places looks at live memory first, because segments move from
/// there to the archive, never back.
pub trait Source: Send {
    /// Appends at most `bytes_max` bytes of segment `number` from `offset` on to `out`, and says what is behind them.
    ///
    /// `offset` goes back by no more than the largest frame within a segment, but for once in one whose header is damaged.
    ///
    /// # Errors
    /// What the system says, with the path; the same call may be made again.
    fn read(&mut self, number: u64, offset: u64, bytes_max: usize, out: &mut Vec<u8>) -> io::Result<Extent>;

    /// The live watermark: every record with a tick up to it can be read by now, late ones excepted. `None` where there
    /// is no live memory, or no news of it.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    fn watermark(&mut self) -> io::Result<Option<u64>> {
        Ok(None)
    }
}
