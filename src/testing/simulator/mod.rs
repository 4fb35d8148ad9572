//! Whole lives of several processes in one directory, in one thread, decided by a seed.
//!
//! Threads that log, writers, and workers with archive, views, retention and election are the real code, stepped one at
//! a time; time stands still between the steps. The disk fails, fills up or ends the process at any operation, recovery's
//! included; processes are killed between steps, stand still, or end well; outsiders delete, rename and cut files. In one
//! run of four some processes have no worker: collectors come, work for all of them, are killed, and end.
//! After each death, and at the end:
//!
//! * each record that was taken is in the view once, in the order of its thread, whole; times go back on marked lines only;
//! * after a loss of power, what was told to be synced is there; of the rest nothing is twice, or anything else than it was;
//! * at the end, on a disk that is well again, none is missing, and each drop is stated;
//! * at the end, what the journals have the view has too, also behind a loss of power;
//! * `called = written + left out + dropped`; what sampling left out stands in summaries, to the last record; the archive is whole, and nothing is left in shared memory;
//! * files are no larger, and no more, than they may be.
//!
//! What a process leaves in shared memory is files in a folder of `/dev/shm`, as in real life, because it must outlive
//! the process; the log directory is beside it, because readers open it by its path.
//!
//! | runner | |
//! |---|---|
//! | `cargo test --lib simulator` | some tens of seeds |
//! | `TACHO_SEEDS=100000 cargo test --release --features testing --lib simulator -- --nocapture` | so many |
//! | the same with `TACHO_SEED_FIRST=50001` and `TACHO_SEEDS=50000` | the second half, beside a process that runs the first |
//! | `TACHO_SEED=7 cargo test --lib simulator` | this one, also after a failure; with `TACHO_SAY=1` it says what it does |
//! | `cargo +nightly fuzz run --fuzz-dir fuzz simulator` | decisions of a fuzzer |

mod dice;
mod disk;
mod oracle;
mod process;
mod world;

use dice::Dice;
pub use process::Producer;
use std::path::Path;
pub use world::Seen;

/// Runs what `seed` decides; panics when a promise is broken.
pub fn simulate(seed: u64) -> Seen {
    world::run(Dice::of_seed(seed))
}

/// The same for what the bytes of a fuzzer decide.
pub fn simulator(data: &[u8]) {
    world::run(Dice::of_bytes(data));
}

/// Lets `look` work on what a killed process left: its log directory and its live folder. One segment of it is on disk, the
/// next is growing, and `waiting` records are in its ring only. With `sampling`, the ten before those are repeats.
pub(super) fn with_the_dead(waiting: u32, sampling: bool, look: impl FnOnce(&Path, &Path)) {
    let mut place = process::Place::new(crate::view::ViewConfig::default(), world::BEGIN_NS);
    place.sampling = sampling;
    let mut dead = process::Alive::start(&place, 1, false);
    dead.begin_thread(0);
    for n in 0..100 {
        dead.log(0, n, 800, (sampling && n >= 60).then_some(n / 90));
        if n % 30 == 29 {
            dead.write();
        }
    }
    for n in 100..100 + waiting {
        dead.log(0, n, 8, None);
    }
    let live = place.shared().join("process-001");
    drop(dead);
    look(&place.logs(), &live);
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::panic::catch_unwind;
    use std::time::Instant;

    fn number(name: &str) -> Option<u64> {
        std::env::var(name).ok().map(|text| text.parse().unwrap_or_else(|_| panic!("{name}={text} is no number")))
    }

    fn add(sum: &mut Seen, run: Seen) {
        sum.calls += run.calls;
        sum.dropped += run.dropped;
        sum.left_out += run.left_out;
        sum.power_losses += run.power_losses;
        sum.kills += run.kills;
        sum.kills_within += run.kills_within;
        sum.closed += run.closed;
        sum.deeds += run.deeds;
        sum.collected += run.collected;
        sum.collectors += run.collectors;
        sum.ops += run.ops;
    }

    #[test]
    fn seeds_keep_every_promise() {
        let seeds = match number("TACHO_SEED") {
            Some(seed) => seed..seed + 1,
            None => {
                let first = number("TACHO_SEED_FIRST").unwrap_or(1);
                first..first + number("TACHO_SEEDS").unwrap_or(25)
            }
        };
        let (begin, count) = (Instant::now(), seeds.end - seeds.start);
        let mut seen = Seen::default();
        for seed in seeds {
            let run = catch_unwind(|| simulate(seed));
            add(&mut seen, run.unwrap_or_else(|_| panic!("seed {seed} failed; TACHO_SEED={seed} runs it alone")));
        }
        println!("{count} seeds, {:.1} a second: {seen:?}", count as f64 / begin.elapsed().as_secs_f64());
        let tried = seen
            .dropped
            .min(seen.left_out)
            .min(seen.power_losses)
            .min(seen.kills)
            .min(seen.kills_within)
            .min(seen.closed)
            .min(seen.deeds)
            .min(seen.collected)
            .min(seen.collectors);
        assert!(count < 50 || tried > 0, "{seen:?}");
    }

    /// Who cut the views back to the checkpoint died before the cut was on the medium; who came next found nothing to cut, made a
    /// checkpoint, and the power failed.
    #[test]
    fn a_cut_is_synced_by_whoever_finds_it_made() {
        assert!(simulate(5_073_544).power_losses > 2);
    }

    /// A collector was killed with finished segments that it had not synced, the next one went on, and the power failed.
    #[test]
    fn what_a_killed_collector_finished_is_synced_by_the_next() {
        assert!(simulate(31_426).power_losses > 0);
    }

    /// Another process had the views on disk before the archive was.
    #[test]
    fn what_is_told_to_be_on_disk_is_in_the_journal() {
        assert!(simulate(20_086).power_losses > 0);
    }

    /// A loss of power left zeros in the midst of a journal's last segment.
    #[test]
    fn what_stands_behind_a_hole_in_the_last_segment_is_rendered() {
        assert!(simulate(10031).power_losses > 0);
    }

    /// A view that caught up was interrupted again, behind records that were not its to get yet.
    #[test]
    fn who_catches_up_does_not_pass_over_what_comes_behind_its_end() {
        assert!(simulate(9_111_768).left_out > 0);
    }

    /// A renderer died while a late record was in wait.
    #[test]
    fn a_late_record_in_wait_has_no_line_twice() {
        assert!(simulate(8_030_473).kills > 0);
    }

    /// Not all that a mark spoke of was there to be read again: what went out without it was believed to come too early.
    #[test]
    fn what_is_not_there_to_be_read_again_is_not_waited_for() {
        assert!(simulate(10_002_587).power_losses > 0 && simulate(10_003_464).closed > 0);
    }

    #[test]
    fn a_seed_decides_everything() {
        for seed in [3, 5, 8] {
            assert_eq!(simulate(seed), simulate(seed), "seed {seed}");
        }
    }
}
