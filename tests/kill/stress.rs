//! SIGKILL at random instants: while starting (and recovering the one before), logging, rotating and closing.

use crate::place::{Dice, Order, Place, State, kill, until};
use std::process::Child;
use std::time::{Duration, Instant};

/// Calls of each thread: some rotations of segments and views; after them the process idles until it is killed.
const CALLS: u64 = 1_500;

/// An instant within a step that took `usual` last time, or a little after.
fn pause(dice: &mut Dice, usual: Duration) {
    let time = Duration::from_nanos(dice.below(usual.as_nanos() as u64 * 5 / 4 + 1));
    let until = Instant::now() + time;
    while Instant::now() < until {
        std::thread::sleep((until - Instant::now()).min(Duration::from_micros(50)));
    }
}

/// How long the steps took when they were last seen whole.
struct Usual {
    start: Duration,
    close: Duration,
}

fn reach(child: &mut Child, run: &crate::place::Run<'_>, state: State) {
    until("a run to come further", || {
        assert!(run.has_reached(state) || child.try_wait().unwrap().is_none(), "the child ended by itself");
        run.has_reached(state)
    });
}

#[test]
fn nothing_is_lost_doubled_or_torn_by_kills_at_random_instants() {
    let kills: u64 = std::env::var("TACHO_KILLS").ok().and_then(|text| text.parse().ok()).unwrap_or(24);
    let every = (kills / 20).clamp(8, 50);
    let mut dice = Dice::new("stress");
    let place = Place::new();
    let mut usual = Usual { start: Duration::from_millis(50), close: Duration::from_millis(20) };
    for number in 1..=kills {
        let begin = Instant::now();
        let (mut child, run) = place.spawn("load", CALLS);
        match dice.below(4) {
            0 => pause(&mut dice, usual.start),
            1 => {
                reach(&mut child, &run, State::Logging);
                usual.start = begin.elapsed();
                run.order(Order::End);
                reach(&mut child, &run, State::Closing);
                let begin = Instant::now();
                if dice.below(4) == 0 {
                    child.wait().unwrap();
                    usual.close = begin.elapsed();
                } else {
                    pause(&mut dice, usual.close);
                }
            }
            _ => {
                reach(&mut child, &run, State::Logging);
                usual.start = begin.elapsed();
                pause(&mut dice, Duration::from_millis(30));
            }
        }
        kill(&mut child);
        if number.is_multiple_of(every) || number == kills {
            place.recover();
            let tally = place.check("stress");
            println!("{number} kills, {tally:?}: 0 lost, 0 doubled, 0 torn");
        }
    }
}
