//! Decides which file of a view is renamed or deleted next. Pure: names, sizes and times come in, operations go out.
//!
//! The backups of a view, newest first, are the numbers in order; under one number the plain file is the newer. Making
//! room at 1 moves each backup to the least number that keeps this order, so the shift ends at the first free number.
//! Moves are done from the oldest on, each to a name that is free at that moment. Hence
//!
//! * no rename ever meets an existing file (and the [`Disk`](crate::disk::Disk) refuses to overwrite in any case),
//! * a crash after any of them leaves a directory in which all backups still stand in order, once, with one gap;
//!   planning again from there goes on where it stopped, because the gap is then the first free number.
//!
//! Backups may be named by date instead: then nothing but the active file and compressed copies is ever renamed. A clock
//! that steps back does not change their order, because no date is before that of the newest there is.
//!
//! A compressed file gets its final name only when it is complete and synced, and the plain one is deleted after that.
//! So where both exist under one number, the crash came between: if the compressed file is a true copy (its trailer has
//! the length and the CRC-32 of the plain file; the trailer is written last) the plain one goes. If it is not a copy,
//! somebody else made it: both are kept, as two backups.

use super::names::{Date, Label, Part};
use crate::compress::Codec;
use std::cmp::Reverse;
use std::collections::BTreeMap;

/// How a view's files grow and go.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Settings {
    /// The active file is rotated before it would become larger than this. Only a single line that is longer makes a
    /// larger file. Default 10 MiB.
    pub file_bytes_max: u64,
    /// Number of backups kept. 0: the full file is deleted. Default 5.
    pub backups: u32,
    /// Compresses backups so; `None` leaves them plain. Default gzip at level 3.
    pub compress: Option<Codec>,
    /// A backup stays plain for so long after its last line, so that followers can finish it. Default 5 s.
    pub compress_delay_ns: i64,
    /// Upper limit for all files of the view together, held before the disk is used: backups go until there is room
    /// for a full active file beside them. Default none.
    pub bytes_total_max: Option<u64>,
    /// Backups whose last line is older than this are deleted. Default none.
    pub age_max_ns: Option<i64>,
    /// The active file is put away at these times too, if it has lines. Default none.
    pub period: Option<Period>,
    /// Backups are named by the time at which they were put away, not by number. Default no.
    pub dated: bool,
}

/// Times at which files are put away: each `length_ns` from `offset_ns` on, counted from the Unix epoch.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Period {
    length_ns: i64,
    offset_ns: i64,
}

const DAY_NS: i64 = 86_400_000_000_000;

impl Period {
    /// Each day, at this time since midnight UTC.
    pub fn daily(at_ns: i64) -> Self {
        Self { length_ns: DAY_NS, offset_ns: at_ns.rem_euclid(DAY_NS) }
    }

    /// Each `length_ns`, beginning at the Unix epoch, so that one that divides a day begins anew at midnight UTC.
    pub fn every(length_ns: i64) -> Self {
        Self { length_ns: length_ns.max(1), offset_ns: 0 }
    }

    /// Length and offset.
    pub(crate) fn parts(self) -> (i64, i64) {
        (self.length_ns, self.offset_ns)
    }

    /// The period with this length and offset.
    pub(crate) fn from_parts((length_ns, offset_ns): (i64, i64)) -> Self {
        Self { length_ns: length_ns.max(1), offset_ns }
    }

    /// Which period a time is in.
    pub fn index(&self, unix_ns: i64) -> i64 {
        unix_ns.saturating_sub(self.offset_ns).div_euclid(self.length_ns)
    }

    /// When the period of a time ends.
    pub fn end(&self, unix_ns: i64) -> i64 {
        self.index(unix_ns).saturating_add(1).saturating_mul(self.length_ns).saturating_add(self.offset_ns)
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            file_bytes_max: 10 << 20,
            backups: 5,
            compress: Some(Codec::Gzip(crate::compress::LEVEL)),
            compress_delay_ns: 5_000_000_000,
            bytes_total_max: None,
            age_max_ns: None,
            period: None,
            dated: false,
        }
    }
}

/// The smallest [`Settings::file_bytes_max`].
pub const FILE_BYTES_MIN: u64 = 64;
/// The largest [`Settings::backups`].
pub const BACKUPS_MAX: u32 = 10_000;

impl Settings {
    /// Says which value is out of its limits, if one is.
    ///
    /// # Errors
    /// The field, its value and its limit.
    pub fn check(&self) -> Result<(), String> {
        if self.file_bytes_max < FILE_BYTES_MIN {
            return Err(format!("file_bytes_max is {}; the least is {FILE_BYTES_MIN}", self.file_bytes_max));
        }
        if self.backups > BACKUPS_MAX {
            return Err(format!("backups is {}; the most is {BACKUPS_MAX}", self.backups));
        }
        match self.compress {
            Some(Codec::Gzip(level)) if !(1..=9).contains(&level) => {
                return Err(format!("gzip_level is {level}; it must be 1 to 9"));
            }
            Some(Codec::Zstd(level)) if !(1..=19).contains(&level) => {
                return Err(format!("zstd_level is {level}; it must be 1 to 19"));
            }
            _ => {}
        }
        if let Some(total) = self.bytes_total_max.filter(|total| *total < self.file_bytes_max) {
            return Err(format!(
                "bytes_total_max is {total}; it must be at least file_bytes_max, which is {}",
                self.file_bytes_max
            ));
        }
        Ok(())
    }

    /// Whether `line_bytes` more belong into a new file.
    pub fn is_full(&self, file_bytes: u64, line_bytes: u64) -> bool {
        file_bytes > 0 && file_bytes.saturating_add(line_bytes) > self.file_bytes_max
    }
}

/// Size and time of the last line of a backup.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Facts {
    /// Length of the file.
    pub bytes: u64,
    /// Time of the last modification, in nanoseconds since the Unix epoch.
    pub mtime_ns: i64,
}

/// What stands under one number or date.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Slot {
    /// `x.log.N`.
    pub plain: Option<Facts>,
    /// `x.log.N.gz`.
    pub gz: Option<Facts>,
    /// `x.log.N.zst`.
    pub zst: Option<Facts>,
    /// A compressed one and the plain one are there, and that is a true copy of this.
    pub is_copy: bool,
}

impl Slot {
    /// Whether a compressed one is there.
    pub(crate) fn is_compressed(&self) -> bool {
        self.gz.is_some() || self.zst.is_some()
    }
}

/// The files of one view.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Listing {
    /// Size of the active file, if there is one.
    pub active_bytes: Option<u64>,
    /// The backups, those with a date first, each kind from the newest to the oldest.
    pub slots: BTreeMap<Label, Slot>,
    /// `x.log.gz.tmp` exists.
    pub temp: bool,
}

/// One operation on the directory.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Op {
    /// Renames; the new name is free.
    Rename {
        /// The present name.
        from: Part,
        /// The new one.
        to: Part,
    },
    /// Deletes, for this reason.
    Unlink {
        /// The name.
        part: Part,
        /// The reason.
        why: Why,
    },
}

/// Why a file is deleted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Why {
    /// Its compressed copy is complete.
    Copied,
    /// There are more backups than `backups`.
    Count,
    /// The backups take more than `bytes_total_max` leaves them.
    Bytes,
    /// It is older than `age_max_ns`.
    Age,
    /// A crash left it unfinished.
    Leftover,
}

/// One backup, in the order of age.
#[derive(Clone, Copy, Debug)]
struct Backup {
    part: Part,
    label: Label,
    facts: Facts,
}

impl Listing {
    /// The backups that count, newest first: true copies stand for their plain file. Those of the kind that is not made
    /// any more are the older.
    fn backups(&self, settings: &Settings) -> Vec<Backup> {
        let mut all = Vec::with_capacity(self.slots.len());
        for (&label, slot) in &self.slots {
            if let Some(facts) = slot.plain.filter(|_| !slot.is_copy) {
                all.push(Backup { part: Part::Plain(label), label, facts });
            }
            for (part, facts) in [(Part::Gz(label), slot.gz), (Part::Zst(label), slot.zst)] {
                all.extend(facts.map(|facts| Backup { part, label, facts }));
            }
        }
        if !settings.dated {
            all.sort_by_key(|backup| backup.label.number().is_none());
        }
        all
    }

    /// The name for what is put away now: not before the newest there is.
    fn next_date(&self, now_ns: i64) -> Date {
        let now = Date { second: now_ns.div_euclid(1_000_000_000), nth: 0 };
        match self.slots.keys().next() {
            Some(Label::Date(Reverse(newest))) if newest.second >= now.second => {
                Date { second: newest.second, nth: newest.nth.saturating_add(1) }
            }
            _ => now,
        }
    }

    /// Deletions of plain files whose compressed copy is complete.
    fn copied(&self) -> impl Iterator<Item = Op> + '_ {
        let copies = self.slots.iter().filter(|(_, slot)| slot.is_copy && slot.plain.is_some());
        copies.map(|(&label, _)| Op::Unlink { part: Part::Plain(label), why: Why::Copied })
    }
}

/// What has to be done, in this order, to put the active file away and make its name free.
///
/// Nothing is to be done when there is no active file.
pub fn plan_rotation(listing: &Listing, settings: &Settings, now_ns: i64) -> Vec<Op> {
    let Some(active_bytes) = listing.active_bytes else { return Vec::new() };
    if settings.backups == 0 {
        return vec![Op::Unlink { part: Part::Active, why: Why::Count }];
    }
    let mut ops: Vec<Op> = listing.copied().collect();
    let mut room = backup_bytes_max(settings).saturating_sub(active_bytes);
    let mut moves = Vec::new();
    let mut free = 2;
    let mut giving_up = None;
    for (rank, backup) in (2..).zip(listing.backups(settings)) {
        let number = backup.label.number().filter(|_| !settings.dated);
        let target = number.map(|number| free.max(number));
        free = target.map_or(free, |target| target.saturating_add(1));
        // Once one is too many, all older ones are: what is left must be the newest.
        if giving_up.is_none() && target.unwrap_or(rank) > settings.backups {
            giving_up = Some(Why::Count);
        }
        if giving_up.is_none() && backup.facts.bytes > room {
            giving_up = Some(Why::Bytes);
        }
        room = room.saturating_sub(backup.facts.bytes);
        if let Some(why) = giving_up {
            moves.push(Op::Unlink { part: backup.part, why });
        } else if let Some(target) = target.map(Label::Number).filter(|target| *target != backup.label) {
            moves.push(Op::Rename { from: backup.part, to: backup.part.relabelled(target) });
        }
    }
    ops.extend(moves.into_iter().rev());
    let newest = if settings.dated { Label::Date(Reverse(listing.next_date(now_ns))) } else { Label::Number(1) };
    ops.push(Op::Rename { from: Part::Active, to: Part::Plain(newest) });
    ops
}

/// What has to be deleted to keep the settings, oldest first. `compressing`: the temporary file is in use.
pub fn plan_upkeep(listing: &Listing, settings: &Settings, compressing: bool, now_ns: i64) -> Vec<Op> {
    let mut ops = Vec::new();
    if listing.temp && !compressing {
        ops.push(Op::Unlink { part: Part::Temp, why: Why::Leftover });
    }
    ops.extend(listing.copied());
    let mut room = backup_bytes_max(settings);
    let mut giving_up = None;
    let mut gone = Vec::new();
    for (rank, backup) in (1..).zip(listing.backups(settings)) {
        let number = backup.label.number().filter(|_| !settings.dated);
        if giving_up.is_none() && number.unwrap_or(rank) > settings.backups {
            giving_up = Some(Why::Count);
        }
        if giving_up.is_none() && backup.facts.bytes > room {
            giving_up = Some(Why::Bytes);
        }
        if giving_up.is_none()
            && settings.age_max_ns.is_some_and(|age| now_ns.saturating_sub(backup.facts.mtime_ns) > age)
        {
            giving_up = Some(Why::Age);
        }
        room = room.saturating_sub(backup.facts.bytes);
        if let Some(why) = giving_up {
            gone.push(Op::Unlink { part: backup.part, why });
        }
    }
    ops.extend(gone.into_iter().rev());
    ops
}

/// The oldest backup that is plain and has been left alone for `compress_delay_ns`.
pub fn compress_candidate(listing: &Listing, settings: &Settings, now_ns: i64) -> Option<Label> {
    settings.compress?;
    let ripe = |slot: &Slot| {
        let age = |facts: Facts| now_ns.saturating_sub(facts.mtime_ns);
        !slot.is_compressed() && slot.plain.is_some_and(|facts| age(facts) >= settings.compress_delay_ns)
    };
    listing.slots.iter().rev().find(|(_, slot)| ripe(slot)).map(|(&label, _)| label)
}

/// Bytes that the backups may take together.
fn backup_bytes_max(settings: &Settings) -> u64 {
    settings.bytes_total_max.map_or(u64::MAX, |total| total.saturating_sub(settings.file_bytes_max))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW_NS: i64 = 1_795_179_757_123_456_789;
    const FACTS: Facts = Facts { bytes: 10, mtime_ns: 0 };

    fn listing(plain: &[u32], gz: &[u32]) -> Listing {
        let mut listing = Listing { active_bytes: Some(10), ..Listing::default() };
        for &number in plain {
            listing.slots.entry(Label::Number(number)).or_default().plain = Some(FACTS);
        }
        for &number in gz {
            listing.slots.entry(Label::Number(number)).or_default().gz = Some(FACTS);
        }
        listing
    }

    fn settings(backups: u32) -> Settings {
        Settings { backups, ..Settings::default() }
    }

    fn rename(from: Part, to: Part) -> Op {
        Op::Rename { from, to }
    }

    use Part::Active;

    #[expect(non_snake_case, reason = "stands for the variant")]
    fn Gz(number: u32) -> Part {
        Part::Gz(Label::Number(number))
    }

    #[expect(non_snake_case, reason = "stands for the variant")]
    fn Plain(number: u32) -> Part {
        Part::Plain(Label::Number(number))
    }

    #[test]
    fn a_shift_ends_at_the_first_free_number() {
        assert_eq!(
            plan_rotation(&listing(&[1], &[2, 4, 5]), &settings(5), NOW_NS),
            [rename(Gz(2), Gz(3)), rename(Plain(1), Plain(2)), rename(Active, Plain(1))]
        );
    }

    #[test]
    fn the_oldest_goes_when_all_numbers_are_taken() {
        assert_eq!(
            plan_rotation(&listing(&[1], &[2]), &settings(2), NOW_NS),
            [Op::Unlink { part: Gz(2), why: Why::Count }, rename(Plain(1), Plain(2)), rename(Active, Plain(1))]
        );
    }

    #[test]
    fn a_true_copy_replaces_its_plain_file_and_a_false_one_is_kept_beside_it() {
        let mut both = listing(&[1], &[1]);
        assert_eq!(
            plan_rotation(&both, &settings(5), NOW_NS),
            [rename(Gz(1), Gz(3)), rename(Plain(1), Plain(2)), rename(Active, Plain(1))]
        );
        if let Some(slot) = both.slots.get_mut(&Label::Number(1)) {
            slot.is_copy = true;
        }
        let copied = Op::Unlink { part: Plain(1), why: Why::Copied };
        assert_eq!(
            plan_rotation(&both, &settings(5), NOW_NS),
            [copied, rename(Gz(1), Gz(2)), rename(Active, Plain(1))]
        );
        assert_eq!(plan_upkeep(&both, &settings(5), true, 0), [copied]);
    }

    #[test]
    fn bytes_leave_room_for_a_full_active_file() {
        let mut tight = settings(9);
        tight.file_bytes_max = 100;
        tight.bytes_total_max = Some(125);
        let three = listing(&[], &[1, 2, 3]);
        assert_eq!(plan_upkeep(&three, &tight, false, 0), [Op::Unlink { part: Gz(3), why: Why::Bytes }]);
        let planned = plan_rotation(&three, &tight, NOW_NS);
        assert_eq!(planned.first(), Some(&Op::Unlink { part: Gz(3), why: Why::Bytes }));
        assert_eq!(planned.get(1), Some(&Op::Unlink { part: Gz(2), why: Why::Bytes }));
    }

    #[test]
    fn compression_waits_and_takes_the_oldest() {
        let wait = settings(5).compress_delay_ns;
        let three = listing(&[1, 2], &[3]);
        assert_eq!(compress_candidate(&three, &settings(5), wait - 1), None);
        assert_eq!(compress_candidate(&three, &settings(5), wait), Some(Label::Number(2)));
        assert_eq!(compress_candidate(&three, &Settings { compress: None, ..settings(5) }, wait), None);
    }

    fn date(second: i64, nth: u16) -> Label {
        Label::Date(Reverse(Date { second, nth }))
    }

    #[test]
    fn dated_backups_stay_where_they_are_and_never_go_back_in_time() {
        let now = NOW_NS / 1_000_000_000;
        let dated = Settings { dated: true, ..settings(3) };
        let mut listing = Listing { active_bytes: Some(10), ..Listing::default() };
        let put_away = |listing: &Listing| plan_rotation(listing, &dated, NOW_NS);
        assert_eq!(put_away(&listing), [rename(Active, Part::Plain(date(now, 0)))]);
        listing.slots.entry(date(now, 0)).or_default().plain = Some(FACTS);
        assert_eq!(put_away(&listing), [rename(Active, Part::Plain(date(now, 1)))]);
        listing.slots.entry(date(now + 60, 4)).or_default().gz = Some(FACTS);
        listing.slots.entry(Label::Number(7)).or_default().gz = Some(FACTS);
        let oldest = Op::Unlink { part: Gz(7), why: Why::Count };
        assert_eq!(put_away(&listing), [oldest, rename(Active, Part::Plain(date(now + 60, 5)))]);
        assert_eq!(plan_upkeep(&listing, &Settings { backups: 2, ..dated.clone() }, false, 0), [oldest]);
        // Where numbers are made again, those with dates are the older.
        let newest = Op::Unlink { part: Part::Plain(date(now, 0)), why: Why::Count };
        assert_eq!(plan_upkeep(&listing, &settings(7), false, 0), []);
        assert_eq!(plan_rotation(&listing, &settings(2), NOW_NS).first(), Some(&newest));
    }

    #[test]
    fn periods_begin_at_their_time_of_day() {
        let six = Period::daily(6 * 3600 * 1_000_000_000);
        let day = NOW_NS.div_euclid(DAY_NS) * DAY_NS;
        let boundary = day + 6 * 3600 * 1_000_000_000;
        assert_eq!(six.index(boundary) - six.index(boundary - 1), 1);
        assert_eq!(six.index(boundary), six.index(boundary + DAY_NS - 1));
        assert_eq!((six.end(boundary - 1), six.end(boundary)), (boundary, boundary + DAY_NS));
        assert_eq!(Period::every(3_600_000_000_000).end(day), day + 3_600_000_000_000);
        assert_eq!(six.end(i64::MAX), i64::MAX);
    }

    #[test]
    fn wrong_settings_are_named() {
        assert!(settings(5).check().is_ok());
        assert!(settings(10_001).check().is_err_and(|text| text.contains("10001")));
        let small = Settings { bytes_total_max: Some(1), ..Settings::default() };
        assert!(small.check().is_err_and(|text| text.contains("bytes_total_max is 1")));
    }
}
