use super::*;
use crate::clock::anchor::Anchors;
use crate::reader::time as reader;
use proptest::prelude::*;

const SECOND: i64 = 1_000_000_000;
const START: (u64, i64) = (1_000, 1_700_000_000 * SECOND);

#[test]
fn a_clock_set_back_slows_time_until_it_has_caught_up_and_is_told_once() {
    for back in [10_000_000, SECOND / 2, 20 * SECOND] {
        let mut line = Line::new(START.0, START.1, RATE_ONE);
        let (mut ticks, mut wall, mut seconds) = (START.0, START.1 - back, 0);
        loop {
            ticks += SECOND as u64;
            wall += SECOND;
            line = line.next(ticks, wall).unwrap();
            seconds += 1;
            if line.current.unix_ns(line.current.ticks) <= wall + LEAD_NS as i64 + 1_000 {
                break;
            }
            assert!(seconds < 3_000, "time never caught up: {} ns ahead", line.unix_ns(ticks) - wall);
        }
        assert!((line.steps, line.step_ns) == (1, -back), "{line:?}");
        assert!(back < 2 * SECOND || seconds > 190, "a tenth of 200 s is 20 s");
        assert_eq!(line.rate, RATE_ONE, "what was measured before the step says nothing any more");
    }
}

#[test]
fn a_clock_set_forward_is_followed_at_once() {
    let line = Line::new(START.0, START.1, RATE_ONE).next(START.0 + 500, START.1 + 500 + 3_600 * SECOND).unwrap();
    assert_eq!((line.steps, line.step_ns), (1, 3_600 * SECOND));
    assert_eq!(line.unix_ns(line.current.ticks), START.1 + 500 + 3_600 * SECOND + LEAD_NS as i64);
    assert_eq!(line.unix_ns(line.current.ticks - 1), START.1 + 500 + LEAD_NS as i64 - 1);
}

#[test]
fn words_say_all_of_a_line() {
    let line = Line::new(START.0, START.1, RATE_ONE).next(START.0 + 9_000_000, START.1 - 5 * SECOND).unwrap();
    assert_eq!(Line::from_words(&line.words()), Some(line));
    assert_eq!(Line::from_words(&[0; 16]), None);
}

/// What a writer does of what concerns time: its anchors, and the journal as a reader sees it.
struct Journal {
    anchors: Anchors,
    reader: reader::Anchors,
    newest: u64,
    last_ns: i64,
}

impl Journal {
    fn new(line: Line) -> Self {
        let anchors = Anchors::of(line);
        let nominal = reader::Anchor { ticks: 0, unix_ns: 0, rate: RATE_ONE };
        let mut one = Self { reader: reader::Anchors::new(nominal), anchors, newest: 0, last_ns: i64::MIN };
        one.rotate();
        one
    }

    fn told(anchor: &Anchor) -> reader::Anchor {
        reader::Anchor { ticks: anchor.ticks, unix_ns: anchor.unix_ns, rate: anchor.rate }
    }

    fn rotate(&mut self) {
        self.reader = reader::Anchors::new(reader::Anchor { ticks: 0, unix_ns: 0, rate: RATE_ONE });
        self.anchors.recent().iter().for_each(|anchor| self.reader.push(Self::told(anchor)));
    }

    fn record(&mut self, line: Option<Line>, ticks: u64) -> i64 {
        if let Some(line) = line {
            self.anchors.hear(line);
        }
        if self.anchors.waits() {
            for anchor in self.anchors.follow(self.newest, self.newest) {
                self.reader.push(Self::told(anchor));
            }
        }
        self.newest = self.newest.max(ticks);
        self.reader.unix_ns(ticks)
    }
}

proptest! {
    /// Whatever the wall clock does: times of a process do not decrease, also not where it hears of anchors too late or
    /// never; a rotation changes none; two processes that hear of them in time have the same.
    #[test]
    fn converted_times_never_go_back_and_are_equal_in_all_processes(
        steps in prop::collection::vec(
            (40_000_000_u64..3_000_000_000, any::<i32>(), 0_u32..6, -500_i64..500, any::<[bool; 3]>()), 1..60)
    ) {
        let mut line = Line::new(START.0, START.1, RATE_ONE);
        let mut all = [Journal::new(line), Journal::new(line), Journal::new(line)];
        let (mut ticks, mut wall) = START;
        for (advance, jump, kind, drift, [hears, rotates, rotates_too]) in steps {
            ticks += advance;
            wall += advance as i64 + advance as i64 / 1_000_000 * drift;
            // A clock that is set, by seconds or hours; else the error of reading.
            wall += match kind {
                0 => i64::from(jump),
                1 => i64::from(jump) * 10_000,
                _ => i64::from(jump % 300),
            };
            line = line.next(ticks, wall).unwrap();
            for part in 0..4 {
                let at = ticks + LEAD_NS / 2 * part;
                let [one, other, deaf] = &mut all;
                let times = [one.record(Some(line), at), other.record(Some(line), at), deaf.record(hears.then_some(line).filter(|_| part > 2), at)];
                prop_assert_eq!(times[0], times[1]);
                prop_assert_eq!(times[0], line.unix_ns(at));
                for (journal, time) in all.iter_mut().zip(times) {
                    prop_assert!(time >= journal.last_ns, "{} ns back", journal.last_ns - time);
                    journal.last_ns = time;
                }
            }
            for (journal, rotates) in all.iter_mut().zip([rotates, rotates_too, rotates]) {
                let before = journal.reader.unix_ns(journal.newest);
                if rotates {
                    journal.rotate();
                }
                prop_assert_eq!(journal.reader.unix_ns(journal.newest), before);
            }
        }
    }

    /// With a steady clock, read with an error, the line comes as near as the error.
    #[test]
    fn the_error_converges(rate in 1_u64..8, off in -900_000_i64..900_000, errors in prop::collection::vec(-200_i64..200, 40)) {
        let rate = RATE_ONE * rate / 3 + 12_345;
        let true_ns = |ticks: u64| Anchor { ticks: 0, unix_ns: START.1, rate }.unix_ns(ticks);
        let mut line = Line::new(0, START.1 + off, rate + rate / 50_000);
        let mut ticks = 0;
        for error in errors {
            ticks += ticks_in(1_000_000_000, rate);
            line = line.next(ticks, true_ns(ticks) + error).unwrap_or(line);
        }
        let error = line.unix_ns(line.current.ticks) - true_ns(line.current.ticks);
        prop_assert!(error.abs() < AHEAD_NS_MAX + 30_000, "{error} ns");
    }
}
