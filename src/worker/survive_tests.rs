//! Kills, clean ends and losses of power over journal, views and checkpoint, on a disk in memory that keeps any part of what
//! was not synced. `TACHO_POWER_SEEDS=100000 cargo test --release --lib worker::survive` runs more seeds than the default.

use super::*;
use crate::disk::{Fault, MemDisk, read_small, write_all_at};
use crate::view::names::Part;
use crate::view::rotation::{Period, Settings};
use crate::view::testing::{cursor, note};
use crate::view::{Format, Push, ViewConfig};
use crate::worker::cursor::load as load_last;
use std::collections::BTreeSet;
use std::io::Read;

const PAGE_BYTES: usize = 64;
const STEP_NS: i64 = 1_000_000_000;

struct Dice(u64);

impl Dice {
    fn below(&mut self, n: usize) -> usize {
        // SplitMix64.
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        (((mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb) >> 33) as usize) % n.max(1)
    }
}

struct Run {
    dice: Dice,
    disk: Arc<MemDisk>,
    journals: MemDisk,
    config: Config,
    boot: u8,
    stood: Option<Stood<MemDisk, Vec<u8>>>,
    /// All lines of the journal, with their places in its file.
    lines: Vec<(usize, usize)>,
    next: usize,
    at: usize,
    /// Lines up to here, as places in `lines`, were in the views at the last finished sync.
    safe: usize,
    now_ns: i64,
    thread: crate::reader::record::Thread,
    losses: u32,
    cut: u32,
}

impl Run {
    fn new(seed: u64) -> Self {
        let mut dice = Dice(seed);
        let settings = Settings {
            file_bytes_max: 400,
            backups: 3 + dice.below(4) as u32,
            compress: (dice.below(2) == 0).then_some(crate::compress::Codec::Gzip(1)),
            compress_delay_ns: 2 * STEP_NS,
            dated: dice.below(3) == 0,
            period: (dice.below(3) == 0).then_some(Period::every(25 * STEP_NS)),
            ..Settings::default()
        };
        let format = Format::text("{message}".parse().unwrap());
        let view = |name: &str| ViewConfig {
            name: name.to_owned(),
            format: format.clone(),
            rotation: settings.clone(),
            ..ViewConfig::default()
        };
        let disk = Arc::new(MemDisk::new());
        let journals = disk.make_folder(".journal").unwrap();
        let mut run = Self {
            dice,
            disk,
            journals,
            config: Config { views: vec![view("x"), view("y")], ..Config::default() },
            boot: 1,
            stood: None,
            lines: Vec::new(),
            next: 0,
            at: 0,
            safe: 0,
            now_ns: 1_000_000_000_000,
            thread: crate::reader::record::Thread { name: "t".to_owned(), tid: 1 },
            losses: 0,
            cut: 0,
        };
        run.start(vec![0; 1 << 16]);
        run
    }

    fn start(&mut self, page: Vec<u8>) {
        let stood = open_in([self.boot; 16], &self.disk, &self.journals, page, self.config.clone()).unwrap();
        assert!(stood.said.iter().all(|text| !text.contains("twice")), "{:?}", stood.said);
        self.cut += stood.said.len() as u32;
        self.at = stood.set.cursor().processes.first().map_or(0, |place| place.offset as usize);
        assert!(self.at >= self.safe, "the cursor went back before what was synced");
        self.stood = Some(stood);
    }

    fn log(&mut self) {
        let file = self.journals.open_write("journal").unwrap();
        for _ in 0..=self.dice.below(8) {
            let line = line(self.next, self.dice.below(28));
            let at = self.lines.last().map_or(0, |(_, end)| *end);
            write_all_at(&self.journals, &file, line.as_bytes(), at as u64).unwrap();
            self.lines.push((self.next, at + line.len()));
            self.next += 1;
        }
    }

    fn write(&mut self) {
        let bytes = read_small(&self.journals, "journal", 1 << 20).unwrap().unwrap_or_default();
        let Some(Stood { set, last, .. }) = &mut self.stood else { return };
        while let Some((number, end)) = self.lines.get(self.at) {
            let start = self.at.checked_sub(1).map_or(0, |before| self.lines[before].1);
            let text = std::str::from_utf8(&bytes[start..*end]).unwrap().trim_end();
            if set.push(&note("t", &self.thread, *number as u32, text)) == Push::Full {
                checkpoint_before_lines(set, last, &self.journals).unwrap();
                assert_eq!(set.write(&cursor(self.at as u64), self.now_ns), Progress::Done);
                continue;
            }
            self.at += 1;
            // More than all backups hold in one batch would take the place of the checkpoint with it.
            if self.at.is_multiple_of(8) {
                checkpoint_before_lines(set, last, &self.journals).unwrap();
                assert_eq!(set.write(&cursor(self.at as u64), self.now_ns), Progress::Done);
            }
        }
        checkpoint_before_lines(set, last, &self.journals).unwrap();
        assert_eq!(set.write(&cursor(self.at as u64), self.now_ns), Progress::Done);
    }

    fn sync(&mut self, clean: bool) {
        if let Ok(file) = self.journals.open_read("journal") {
            self.journals.sync(&file).unwrap();
            self.journals.sync_dir().unwrap();
        }
        let Some(Stood { set, last, .. }) = &mut self.stood else { return };
        set.sync().unwrap();
        assert!(checkpoint(set, last, &self.journals, clean).unwrap());
        self.safe = self.at;
    }

    fn keep(&mut self) {
        let Some(Stood { set, .. }) = &mut self.stood else { return };
        if let Some(job) = set.maintain(self.now_ns).unwrap() {
            let result = job.run();
            set.finished(result, self.now_ns).unwrap();
        }
        if set.wants_checkpoint() {
            self.sync(false);
        }
    }

    fn lose_power(&mut self) {
        self.stood = None;
        let dice = &mut self.dice;
        self.disk.lose_power(PAGE_BYTES, &mut |n| dice.below(n));
        self.boot += 1;
        self.losses += 1;
        // The journal's reader finds what is whole; the next process has a journal of its own behind it.
        let bytes = read_small(&self.journals, "journal", 1 << 20).unwrap().unwrap_or_default();
        // A checkpoint before a view's first lines does not sync the journal: it may be ahead.
        let base = load_last(&self.journals)
            .unwrap()
            .map_or(0, |last| last.cursor.processes.first().map_or(0, |place| place.offset as usize));
        let whole = |(index, (number, end)): (usize, &(usize, usize))| {
            let start = index.checked_sub(1).map_or(0, |before| self.lines[before].1);
            index < base || bytes.get(start..*end).is_some_and(|line| number_of(line) == Some(*number))
        };
        let kept = self.lines.iter().enumerate().take_while(|line| whole(*line)).count();
        assert!(kept >= self.safe, "a synced line of the journal is gone");
        self.lines.truncate(kept);
        // A page of an earlier boot, as on a disk, or of nothing, is worth the same.
        self.start(vec![0; 1 << 16]);
        self.check();
    }

    fn check(&self) {
        for base in ["x.log", "y.log"] {
            let mut files: Vec<_> =
                self.disk.names().into_iter().filter_map(|name| Some((Part::parse(base, &name)?, name))).collect();
            files.retain(|(part, _)| *part != Part::Temp);
            files.sort_by_key(|(part, _)| std::cmp::Reverse((part.label(), matches!(part, Part::Gz(_)))));
            // A plain file whose compressed copy has its name already stands once more.
            let gz: BTreeSet<_> = files.iter().filter(|(part, _)| matches!(part, Part::Gz(_))).collect();
            let twin =
                |part: &Part| matches!(part, Part::Plain(label) if gz.iter().any(|(gz, _)| *gz == Part::Gz(*label)));
            let mut present = Vec::new();
            for (part, name) in &files {
                let bytes = self.disk.bytes(name).unwrap();
                let mut plain = Vec::new();
                match part {
                    Part::Gz(_) => drop(flate2::read::GzDecoder::new(&*bytes).read_to_end(&mut plain).unwrap()),
                    part if twin(part) => {}
                    _ => plain = bytes,
                }
                for line in plain.split_inclusive(|byte| *byte == b'\n') {
                    let text = String::from_utf8_lossy(line);
                    present.push(number_of(line).unwrap_or_else(|| panic!("{name} has a torn line {text:?}")));
                }
            }
            assert!(present.is_sorted_by(|a, b| a < b), "{base}: doubled or out of order: {present:?}");
            let written = self.lines.get(..self.at).unwrap();
            let Some(first) = present.first() else {
                assert!(written.is_empty(), "{base}: everything is lost");
                continue;
            };
            let expected: Vec<_> = written.iter().map(|(number, _)| *number).filter(|number| number >= first).collect();
            assert_eq!(present, expected, "{base}");
        }
    }
}

fn line(number: usize, filler: usize) -> String {
    format!("<{number}:{}>\n", "x".repeat(filler))
}

fn number_of(line: &[u8]) -> Option<usize> {
    let line = std::str::from_utf8(line).ok()?.strip_prefix('<')?.strip_suffix(">\n")?;
    let (number, filler) = line.split_once(':')?;
    filler.bytes().all(|byte| byte == b'x').then_some(())?;
    number.parse().ok()
}

fn run(seed: u64) -> (u32, u32) {
    let mut run = Run::new(seed);
    for _ in 0..40 + run.dice.below(60) {
        run.now_ns += STEP_NS;
        run.disk.set_now(run.now_ns);
        match run.dice.below(20) {
            0..=5 => run.log(),
            6..=10 => run.write(),
            11..=12 => run.keep(),
            13 => {
                if run.stood.as_ref().is_some_and(|stood| stood.set.needs_checkpoint_to_rotate()) {
                    run.sync(false);
                }
                drop(run.stood.as_mut().map(|stood| stood.set.rotate(None, run.now_ns)));
            }
            14..=15 => run.sync(false),
            16 => {
                // Killed: the page is still there.
                let page = run.stood.take().unwrap().set.into_page();
                run.start(page);
            }
            17 => {
                // A clean end: the page is removed, or a kill comes before that.
                run.write();
                run.sync(true);
                let page = run.stood.take().unwrap().set.into_page();
                let removed = run.dice.below(2) == 0;
                run.start(if removed { vec![0; 1 << 16] } else { page });
            }
            _ => run.lose_power(),
        }
    }
    run.lose_power();
    run.log();
    run.write();
    run.check();
    (run.losses, run.cut)
}

#[test]
fn a_page_that_begins_on_a_faulty_disk_is_believed_afterwards() {
    for at in 0.. {
        let mut run = Run::new(7);
        run.log();
        run.write();
        run.sync(false);
        // The page is lost.
        let open = |run: &Run| open_in([1; 16], &run.disk, &run.journals, vec![0; 1 << 16], run.config.clone());
        let before = run.disk.ops();
        run.disk.inject(at, Fault::Errno(libc::EIO, 0));
        let stood = open(&run);
        let ops = run.disk.ops() - before;
        run.disk.revive();
        run.stood = Some(stood.unwrap_or_else(|_| open(&run).unwrap()));
        run.at = run.safe;
        run.log();
        run.write();
        // A kill, which leaves it.
        let page = run.stood.take().unwrap().set.into_page();
        run.start(page);
        assert_eq!(run.at, run.lines.len(), "fault at {at}: what the page says was not believed");
        if at >= ops {
            break;
        }
    }
}

#[test]
fn what_was_synced_stands_once_whatever_a_power_loss_leaves() {
    let seeds = std::env::var("TACHO_POWER_SEEDS").ok().and_then(|seeds| seeds.parse().ok()).unwrap_or(600);
    let (mut losses, mut cut, mut failed) = (0, 0, Vec::new());
    for seed in 1..=seeds {
        let Ok(seen) = std::panic::catch_unwind(|| run(seed)) else {
            failed.push(seed);
            assert!(failed.len() < 10, "seeds {failed:?}");
            continue;
        };
        losses += seen.0;
        cut += seen.1;
    }
    assert!(failed.is_empty(), "seeds {failed:?}");
    assert!(u64::from(losses) > 2 * seeds && u64::from(cut) > seeds, "{losses} losses, {cut} cuts");
}

/// What views of one file say after each of these renderers wrote its lines.
struct Relay {
    disk: Arc<MemDisk>,
    journals: MemDisk,
    at: usize,
}

impl Relay {
    fn new() -> Self {
        let disk = Arc::new(MemDisk::new());
        let journals = disk.make_folder(".journal").unwrap();
        Self { disk, journals, at: 0 }
    }

    /// Renders up to line `end` with this page, and syncs or not before it is killed; returns the page, and what was said.
    fn render(&mut self, page: Vec<u8>, end: usize, sync: bool) -> (Vec<u8>, Vec<String>) {
        let config = Config {
            views: vec![ViewConfig {
                name: "x".to_owned(),
                format: Format::text("{message}".parse().unwrap()),
                ..ViewConfig::default()
            }],
            ..Config::default()
        };
        let Stood { mut set, mut last, said } = open_in([1; 16], &self.disk, &self.journals, page, config).unwrap();
        self.at = set.cursor().processes.first().map_or(0, |place| place.offset as usize);
        let thread = crate::reader::record::Thread { name: "t".to_owned(), tid: 1 };
        for number in self.at..end {
            let text = line(number, 0);
            assert_eq!(set.push(&note("t", &thread, number as u32, text.trim_end())), Push::Taken);
        }
        checkpoint_before_lines(&mut set, &mut last, &self.journals).unwrap();
        assert_eq!(set.write(&cursor(end as u64), 1), Progress::Done);
        if sync {
            set.sync().unwrap();
            assert!(checkpoint(&mut set, &mut last, &self.journals, false).unwrap());
        }
        (set.into_page(), said)
    }

    fn text(&self) -> String {
        String::from_utf8(self.disk.bytes("x.log").unwrap()).unwrap()
    }
}

fn lines_up_to(end: usize) -> String {
    (0..end).map(|number| line(number, 0)).collect()
}

#[test]
fn a_page_that_was_not_the_last_is_not_believed() {
    for sync in [false, true] {
        let mut relay = Relay::new();
        let (stale, _) = relay.render(vec![0; 1 << 16], 10, true);
        // Another renderer, in memory that died with it.
        relay.render(vec![0; 1 << 16], 20, sync);
        relay.render(stale, 30, true);
        assert_eq!(relay.text(), lines_up_to(30), "synced: {sync}");
    }
}

#[test]
fn a_kill_cuts_nothing() {
    let mut relay = Relay::new();
    let (page, _) = relay.render(vec![0; 1 << 16], 10, true);
    let (page, _) = relay.render(page, 20, false);
    relay.disk.outside_write("x.log", (lines_up_to(20) + "somebody else\n").as_bytes());
    let (_, said) = relay.render(page, 30, true);
    let expected = lines_up_to(20) + "somebody else\n" + lines_up_to(30).strip_prefix(&lines_up_to(20)).unwrap();
    assert_eq!((relay.text(), said), (expected, Vec::new()));
}

#[test]
fn without_the_place_of_the_checkpoint_nothing_is_cut_and_that_is_said() {
    let mut relay = Relay::new();
    relay.render(vec![0; 1 << 16], 10, true);
    relay.disk.outside_write("x.log", b"something else\n");
    let (_, said) = relay.render(vec![0; 1 << 16], 20, true);
    assert!(relay.text().starts_with("something else\n"));
    assert!(said.iter().any(|text| text.contains("changed by another program")), "{said:?}");
}
