//! What the writer does when all rings are empty.
//!
//! Nobody wakes the writer: waking a sleeper would cost the logging thread microseconds. So an idle writer looks again
//! by itself, and the ring must hold what comes until then.

use std::time::Duration;

/// How the writer waits for work.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, serde::Deserialize, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Idle {
    /// Never gives its core away. The least lag, one core lost; refused without a core of its own.
    BusySpin,
    /// Spins for some tens of microseconds, then offers its core to others between looks.
    Yield,
    /// Spins, yields, then sleeps for 50 µs, and for longer the longer nothing comes, up to 1 ms. The default.
    #[default]
    Sleep,
}

const SPINS: u32 = 50;
/// Pauses of the processor (PAUSE, YIELD) between two looks, of 4 to 50 ns each. What the writer reads in the midst of a burst it
/// takes away from the core that writes there; it should come behind a burst of some tens of calls, not follow it.
const PAUSES: u32 = 64;
const YIELDS: u32 = 50;
const SLEEP_MIN: Duration = Duration::from_micros(50);
const SLEEP_MAX: Duration = Duration::from_millis(1);

/// Counts idle rounds in a row.
#[derive(Debug, Default)]
pub(crate) struct Waiter {
    rounds: u32,
}

/// What to do after an idle round.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Wait {
    Spin,
    Yield,
    Sleep(Duration),
}

impl Waiter {
    /// There was work.
    pub(crate) fn reset(&mut self) {
        self.rounds = 0;
    }

    /// There was none; what now?
    pub(crate) fn next(&mut self, idle: Idle) -> Wait {
        let round = self.rounds;
        self.rounds = self.rounds.saturating_add(1);
        match idle {
            Idle::BusySpin => Wait::Spin,
            _ if round < SPINS => Wait::Spin,
            Idle::Yield => Wait::Yield,
            Idle::Sleep if round < SPINS + YIELDS => Wait::Yield,
            Idle::Sleep => {
                let doublings = (round - SPINS - YIELDS).min(8) / 2;
                Wait::Sleep((SLEEP_MIN * (1 << doublings)).min(SLEEP_MAX))
            }
        }
    }
}

impl Wait {
    /// Does it.
    pub(crate) fn perform(self) {
        match self {
            Self::Spin => {
                for _ in 0..PAUSES {
                    std::hint::spin_loop();
                }
            }
            Self::Yield => std::thread::yield_now(),
            Self::Sleep(time) => std::thread::sleep(time),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waiting_gets_longer_up_to_a_millisecond_and_work_resets_it() {
        let mut waiter = Waiter::default();
        assert_eq!(waiter.next(Idle::Sleep), Wait::Spin);
        let waits: Vec<Wait> = (0..300).map(|_| waiter.next(Idle::Sleep)).collect();
        assert!(waits.contains(&Wait::Yield) && waits.contains(&Wait::Sleep(SLEEP_MIN)));
        assert!(matches!(waits.last(), Some(Wait::Sleep(time)) if *time > SLEEP_MIN && *time <= SLEEP_MAX));
        waiter.reset();
        assert_eq!(waiter.next(Idle::Sleep), Wait::Spin);
        assert!((0..1000).all(|_| waiter.next(Idle::BusySpin) == Wait::Spin));
    }
}
