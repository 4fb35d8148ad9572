//! How far the views are on disk: what remains of the cursor when the intent page is lost.
//!
//! A checkpoint is made when every line up to its cursor is on the medium. For each view it names the end of its files then,
//! by content, because names and numbers of inodes change. After a loss of the page the files are [cut](super::tail) there,
//! and what came behind is rendered again, once.
//!
//! ```text
//!  0        8       16      24             28        ...           ...
//!  ┌────────┬───────┬───────┬──────────────┬─────────┬─────────────┬───────────────────────────────────────────────┐
//!  │ magic  │ epoch │ flags │ cursor bytes │ cursor  │ views (u32) │ n × (name bytes u32, cursor bytes u32, kind   │
//!  │        │       │       │ (u32)        │         │             │ u32, crc u32, bytes u64, name, cursor)        │
//!  └────────┴───────┴───────┴──────────────┴─────────┴─────────────┴───────────────────────────────────────────────┘
//! ```

use super::cursor::Cursor;
use crate::segment::layout::{u32_at, u64_at};

const MAGIC: [u8; 8] = *b"TACHOCK1";
const CLEAN: u64 = 1;
/// In the place of a view's cursor: it stands where all views do.
const NO_CURSOR: u32 = u32::MAX;
/// Bytes of a view before its name.
const VIEW_HEAD_BYTES: usize = 24;

/// Where the files of a view ended.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub enum Mark {
    /// That could not be found out: nothing is ever cut.
    #[default]
    Unknown,
    /// There were no lines.
    Nothing,
    /// In the active file.
    Active {
        /// Its length.
        bytes: u64,
        /// CRC-32C of its last bytes, [`TAIL_BYTES`](super::tail::TAIL_BYTES) at most.
        crc: u32,
    },
    /// Behind the newest backup: the active file was empty, or was not there.
    Backup {
        /// Length of the backup when it is not compressed, modulo 2³².
        bytes: u32,
        /// CRC-32 of all of it, as its compressed copy has it in its trailer.
        crc: u32,
    },
}

/// How far a view is.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct ViewMark {
    /// The view's stem.
    pub view: String,
    /// Where its files end.
    pub mark: Mark,
    /// Where it stands, if it is behind the others.
    pub cursor: Option<Cursor>,
}

/// How far all views are.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Checkpoint {
    /// Counts the intent pages of the directory: one with another number is older than this.
    pub epoch: u64,
    /// The renderer ended with everything written: nothing of its own can stand behind the marks.
    pub clean: bool,
    /// Up to here everything is in the views.
    pub cursor: Cursor,
    /// The end of each view.
    pub views: Vec<ViewMark>,
}

impl Checkpoint {
    /// The mark of a view.
    pub fn of(&self, view: &str) -> Option<&ViewMark> {
        self.views.iter().find(|it| it.view == view)
    }

    /// Appends the checkpoint as bytes.
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&MAGIC);
        out.extend_from_slice(&self.epoch.to_le_bytes());
        out.extend_from_slice(&u64::from(self.clean).to_le_bytes());
        let mut cursor = Vec::new();
        self.cursor.encode(&mut cursor);
        out.extend_from_slice(&(cursor.len() as u32).to_le_bytes());
        out.extend_from_slice(&cursor);
        out.extend_from_slice(&(self.views.len() as u32).to_le_bytes());
        for ViewMark { view, mark, cursor: own } in &self.views {
            let (kind, crc, bytes) = match *mark {
                Mark::Unknown => (0, 0, 0),
                Mark::Nothing => (1, 0, 0),
                Mark::Active { bytes, crc } => (2_u32, crc, bytes),
                Mark::Backup { bytes, crc } => (3, crc, u64::from(bytes)),
            };
            cursor.clear();
            if let Some(own) = own {
                own.encode(&mut cursor);
            }
            let cursor_bytes = if own.is_some() { cursor.len() as u32 } else { NO_CURSOR };
            for word in [view.len() as u32, cursor_bytes, kind, crc] {
                out.extend_from_slice(&word.to_le_bytes());
            }
            out.extend_from_slice(&bytes.to_le_bytes());
            out.extend_from_slice(view.as_bytes());
            out.extend_from_slice(&cursor);
        }
    }

    /// Reads a checkpoint from all of `bytes`; `None` where they are not exactly one.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let mut rest = bytes;
        let head = take(&mut rest, 28)?;
        if head.get(..8)? != MAGIC.as_slice() {
            return None;
        }
        let mut checkpoint = Self {
            epoch: u64_at(head, 8),
            clean: u64_at(head, 16) & CLEAN != 0,
            cursor: Cursor::decode(take(&mut rest, u32_at(head, 24) as usize)?)?,
            views: Vec::new(),
        };
        for _ in 0..u32_at(take(&mut rest, 4)?, 0) {
            let head = take(&mut rest, VIEW_HEAD_BYTES)?;
            let (crc, bytes) = (u32_at(head, 12), u64_at(head, 16));
            let mark = match u32_at(head, 8) {
                1 => Mark::Nothing,
                2 => Mark::Active { bytes, crc },
                3 => Mark::Backup { bytes: u32::try_from(bytes).ok()?, crc },
                _ => Mark::Unknown,
            };
            let view = String::from_utf8(take(&mut rest, u32_at(head, 0) as usize)?.to_vec()).ok()?;
            let cursor = match u32_at(head, 4) {
                NO_CURSOR => None,
                cursor_bytes => Some(Cursor::decode(take(&mut rest, cursor_bytes as usize)?)?),
            };
            checkpoint.views.push(ViewMark { view, mark, cursor });
        }
        rest.is_empty().then_some(checkpoint)
    }
}

fn take<'a>(rest: &mut &'a [u8], bytes: usize) -> Option<&'a [u8]> {
    let (head, tail) = rest.split_at_checked(bytes)?;
    *rest = tail;
    Some(head)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn any_mark() -> impl Strategy<Value = Mark> {
        prop_oneof![
            Just(Mark::Unknown),
            Just(Mark::Nothing),
            any::<(u64, u32)>().prop_map(|(bytes, crc)| Mark::Active { bytes, crc }),
            any::<(u32, u32)>().prop_map(|(bytes, crc)| Mark::Backup { bytes, crc }),
        ]
    }

    proptest! {
        #[test]
        fn any_bytes_are_safe_and_checkpoints_round_trip(
            bytes in proptest::collection::vec(any::<u8>(), 0..200),
            epoch in any::<u64>(),
            clean in any::<bool>(),
            views in proptest::collection::vec((".{0,9}", any_mark(), any::<bool>()), 0..4),
        ) {
            let _ = Checkpoint::decode(&bytes);
            let _ = Checkpoint::decode(&[MAGIC.as_slice(), &bytes].concat());
            let cursor = Cursor { processes: Vec::new(), merge: bytes };
            let view = |(view, mark, own): (String, Mark, bool)| ViewMark { view, mark, cursor: own.then(|| cursor.clone()) };
            let checkpoint =
                Checkpoint { epoch, clean, cursor: cursor.clone(), views: views.into_iter().map(view).collect() };
            let mut out = Vec::new();
            checkpoint.encode(&mut out);
            prop_assert_eq!(Checkpoint::decode(&out), Some(checkpoint));
            prop_assert_eq!(Checkpoint::decode(out.get(..out.len() - 1).unwrap()), None);
        }
    }
}
