//! What a set of views does beside appending: deleting what is not kept, and having backups compressed.

use super::backoff::Backoff;
use super::intent::IntentPage;
use super::job::{Compress, Job, JobResult};
use super::names::{Label, Part, owner};
use super::rotation::compress_candidate;
use super::route::base;
use super::set::ViewSet;
use crate::compress::Codec;
use crate::disk::Disk;
use std::io;
use std::sync::Arc;

/// How long the directory may go unlisted, in nanoseconds: 60 s.
const LISTING_NS: i64 = 60_000_000_000;

impl<D: Disk, P: IntentPage> ViewSet<D, P> {
    /// Retries what failed, deletes what is not kept, and hands out what is to be compressed: one job at a time.
    ///
    /// Cheap when nothing is to be done; call it with every step, or each second at least.
    ///
    /// # Errors
    /// The first error, with what was being done; it is tried again with a later call.
    pub fn maintain(&mut self, now_ns: i64) -> io::Result<Option<Job<D>>> {
        let _ = self.settle(now_ns);
        let due = self.next_listing_ns.is_none_or(|next| now_ns >= next || now_ns < next - LISTING_NS);
        if !due || self.job.is_some() || !self.job_backoff.is_due(now_ns) {
            return Ok(None);
        }
        let done = self.list_and_keep(now_ns);
        if done.is_err() {
            self.job_backoff.fail(now_ns);
        }
        done
    }

    /// The oldest backup of all views: its name, the time of its last line and its bytes. Of each view only its oldest counts.
    ///
    /// # Errors
    /// That of the file system.
    pub fn oldest_backup(&self) -> io::Result<Option<(String, i64, u64)>> {
        let mut last: Vec<Option<Part>> = vec![None; self.views.len()];
        self.disk.list(&mut |name| {
            let Some((view, part)) = self.part_of(name).filter(|(_, part)| part.label().is_some()) else { return };
            if let Some(last) = last.get_mut(view)
                && last.is_none_or(|last| is_older(part, last))
            {
                *last = Some(part);
            }
        })?;
        let mut oldest: Option<(String, i64, u64)> = None;
        for (view, part) in self.views.iter().zip(last) {
            let Some(name) = part.map(|part| part.of(view.files.base())) else { continue };
            let Some(stat) = self.disk.stat_name(&name)? else { continue };
            if oldest.as_ref().is_none_or(|(_, age, _)| stat.mtime_ns < *age) {
                oldest = Some((name, stat.mtime_ns, stat.bytes));
            }
        }
        Ok(oldest)
    }

    /// Deletes the backup that [`oldest_backup`](Self::oldest_backup) named, for want of room.
    ///
    /// # Errors
    /// That of the file system.
    pub fn give_up(&mut self, name: &str, bytes: u64) -> io::Result<()> {
        self.disk.unlink(name)?;
        if let Some((view, _)) = self.part_of(name)
            && let Some(view) = self.views.get_mut(view)
        {
            view.files.events.retired += 1;
            view.files.events.retired_bytes += bytes;
        }
        Ok(())
    }

    /// The view that a file of this name belongs to, and what it is there.
    pub(super) fn part_of(&self, name: &str) -> Option<(usize, Part)> {
        let stem = owner(name)?;
        Some((*self.by_stem.get(stem)?, Part::parse(&base(stem), name)?))
    }

    fn list_and_keep(&mut self, now_ns: i64) -> io::Result<Option<Job<D>>> {
        // First, because it gives backups other names.
        self.rotate_by_time(now_ns)?;
        let mut parts: Vec<Vec<Part>> = self.views.iter().map(|_| Vec::new()).collect();
        self.disk.list(&mut |name| {
            let Some((view, part)) = self.part_of(name) else { return };
            if let Some(parts) = parts.get_mut(view) {
                parts.push(part);
            }
        })?;
        let mut next = now_ns.saturating_add(LISTING_NS);
        let mut chosen = None;
        let disk = Arc::clone(&self.disk);
        for (index, (view, parts)) in self.views.iter_mut().zip(&parts).enumerate() {
            let listing =
                view.files.upkeep(&disk, parts, false, now_ns).map_err(|error| keeping(&view.stem, &error))?;
            let settings = view.files.settings();
            next = next.min(settings.period.map_or(next, |period| period.end(now_ns)));
            if let Some(label) = compress_candidate(&listing, settings, now_ns) {
                if self.checkpointed && view.files.has_rotated() {
                    // Lines behind the last checkpoint stay where they can be cut.
                    self.checkpoint_wanted = true;
                } else {
                    chosen = chosen.or(Some((index, label)));
                }
            } else if settings.compress.is_some() {
                let ripe = listing.slots.values().filter(|slot| !slot.is_compressed()).filter_map(|slot| slot.plain);
                let ripe = ripe.map(|facts| facts.mtime_ns.saturating_add(settings.compress_delay_ns)).min();
                next = next.min(ripe.unwrap_or(next).max(now_ns));
            }
        }
        let job = match chosen {
            Some((index, label)) => self.compress(index, label)?,
            None => None,
        };
        self.next_listing_ns = Some(if chosen.is_some() || self.checkpoint_wanted { now_ns } else { next });
        Ok(job)
    }

    fn rotate_by_time(&mut self, now_ns: i64) -> io::Result<()> {
        let current = &self.current;
        let busy = |index| current.as_ref().is_some_and(|current| current.undone(index));
        for (index, view) in self.views.iter_mut().enumerate() {
            if view.files.settings().period.is_none() || busy(index) {
                continue;
            }
            if self.checkpointed && view.files.needs_checkpoint() {
                self.checkpoint_wanted = true;
            } else {
                view.files.rotate_if_over(&self.disk, now_ns).map_err(|error| keeping(&view.stem, &error))?;
            }
        }
        Ok(())
    }

    fn compress(&mut self, index: usize, label: Label) -> io::Result<Option<Job<D>>> {
        let Some(view) = self.views.get(index) else { return Ok(None) };
        let base = view.files.base();
        let plain = Part::Plain(label).of(base);
        let named = |error: io::Error| io::Error::new(error.kind(), format!("compressing {plain}: {error}"));
        let source = self.disk.open_read(&plain).map_err(named)?;
        let stat = self.disk.stat(&source).map_err(named)?;
        if self.disk.space().map_err(named)? < stat.bytes {
            return Err(named(io::Error::other("not enough room for the compressed copy")));
        }
        let sink = crate::compress::create_over(&*self.disk, &Part::Temp.of(base)).map_err(named)?;
        self.job = Some(index);
        Ok(Some(Job::Compress(Compress {
            view: index,
            disk: Arc::clone(&self.disk),
            source,
            identity: stat.identity,
            mtime_ns: stat.mtime_ns,
            sink,
            codec: view.files.settings().compress.unwrap_or(Codec::Gzip(crate::compress::LEVEL)),
        })))
    }

    /// Takes the result of a job: the compressed file gets its name, the plain one goes.
    ///
    /// # Errors
    /// The error of the job, or of giving the name; the plain backup is still there then, and is tried again later.
    pub fn finished(&mut self, result: JobResult<D>, now_ns: i64) -> io::Result<()> {
        self.job = None;
        let Some(view) = self.views.get_mut(result.view) else { return Ok(()) };
        let disk = &self.disk;
        let adopted = result.outcome.and_then(|done| view.files.adopt(disk, result.identity, done.bytes_in));
        drop(result.source);
        match adopted {
            Ok(true) => {
                self.job_backoff = Backoff::default();
                Ok(())
            }
            Ok(false) => disk.unlink(&Part::Temp.of(view.files.base())),
            Err(error) => {
                self.job_backoff.fail(now_ns);
                let _ = disk.unlink(&Part::Temp.of(view.files.base()));
                Err(io::Error::new(error.kind(), format!("compressing a backup of {}: {error}", view.files.base())))
            }
        }
    }
}

fn keeping(stem: &str, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("keeping backups of {stem}: {error}"))
}

/// Whether a backup of a view is older than another one of it, as their names say.
fn is_older(part: Part, other: Part) -> bool {
    match (part.label(), other.label()) {
        // Of one kind, the newest is the least.
        (Some(label @ Label::Number(_)), Some(other @ Label::Number(_)))
        | (Some(label @ Label::Date(_)), Some(other @ Label::Date(_))) => label > other,
        // Numbers were given before the names were changed to dates, or after: dates say more.
        (part, _) => matches!(part, Some(Label::Number(_))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::MemDisk;
    use crate::format::pattern::Pattern;
    use crate::reader::record::Thread;
    use crate::view::rotation::Settings;
    use crate::view::testing::{cursor, note};
    use crate::view::{Config, Format, Progress, ViewConfig};

    const NOW_NS: i64 = 1_000_000_000_000;

    #[test]
    fn the_copy_of_a_backup_that_went_meanwhile_does_not_replace_another_file() {
        let disk = Arc::new(MemDisk::new());
        let format = Format::text("{message}".parse::<Pattern>().unwrap());
        let rotation = Settings { backups: 1, compress_delay_ns: 0, ..Settings::default() };
        let all = ViewConfig { name: "all".to_owned(), format, rotation, ..Default::default() };
        let config = Config { views: vec![all], components: None, open_files_max: 4 };
        let (mut set, _) = ViewSet::open(Arc::clone(&disk), vec![0; 8192], config).unwrap();
        let thread = Thread { name: "t".to_owned(), tid: 1 };
        let put_away = |set: &mut ViewSet<MemDisk, Vec<u8>>, seq: u32| {
            let _ = set.push(&note("bot", &thread, seq, &format!("line {seq}")));
            assert_eq!(set.write(&cursor(u64::from(seq)), NOW_NS), Progress::Done);
            set.rotate(None, NOW_NS).unwrap();
        };
        put_away(&mut set, 1);
        set.sync().unwrap();
        let source = disk.stat_name("all.log.1").unwrap().unwrap();
        let result = set.maintain(NOW_NS).unwrap().unwrap().run();
        // The backup goes, then a file of the same length is put away in its stead.
        put_away(&mut set, 2);
        put_away(&mut set, 3);
        assert_eq!(disk.stat_name("all.log.1").unwrap().unwrap().bytes, source.bytes);
        set.finished(result, NOW_NS).unwrap();
        assert_eq!(disk.names(), ["all.log.1"]);
        assert_eq!(disk.bytes("all.log.1").unwrap(), b"line 3\n");
    }

    #[test]
    fn the_oldest_backup_is_told_by_number_and_by_date() {
        let of = |name: &str| Part::parse("x.log", name).unwrap();
        for (older, newer) in [
            ("x.log.3", "x.log.2.gz"),
            ("x.2026-01-31T00-00-00.log", "x.2026-02-01T00-00-00.log.gz"),
            ("x.2026-01-31T00-00-00.log", "x.2026-01-31T00-00-00-1.log"),
            ("x.log.1", "x.2026-01-31T00-00-00.log"),
        ] {
            assert!(is_older(of(older), of(newer)) && !is_older(of(newer), of(older)), "{older} {newer}");
        }
    }
}
