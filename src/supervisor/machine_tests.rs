//! What the machine must never do, whatever happens in whatever order.

use super::machine::{Action, Change, Event, Machine, Phase};
use super::plan::Plan;
use super::restart::{Restart, When};
use proptest::prelude::*;
use std::time::Duration;

const MS: u64 = 1_000_000;

/// What is played to the machine.
#[derive(Clone, Debug)]
enum Move {
    Wait(u64),
    /// Until the machine has something to do.
    WaitDue,
    Ready(usize),
    Beat(usize),
    End(usize, bool),
    Stop,
    Kill,
}

/// The world that the machine acts on, and the judge of its actions.
struct World {
    machine: Machine,
    plans: Vec<Plan>,
    now_ns: u64,
    alive: Vec<bool>,
    /// When each was started.
    starts: Vec<Vec<u64>>,
    /// Made to end since its last start.
    overdue: Vec<bool>,
    stopping: bool,
    killing: bool,
}

impl World {
    fn new(plans: Vec<Plan>) -> Self {
        let count = plans.len();
        let machine = Machine::new(plans.clone()).unwrap();
        let mut world = Self {
            machine,
            plans,
            now_ns: 5,
            alive: vec![false; count],
            starts: vec![vec![]; count],
            overdue: vec![false; count],
            stopping: false,
            killing: false,
        };
        world.tell(Event::Tick);
        world
    }

    fn needs(&self, service: usize) -> impl Iterator<Item = usize> + '_ {
        self.plans[service].after.iter().map(|name| self.plans.iter().position(|plan| plan.name == *name).unwrap())
    }

    fn dependents(&self, service: usize) -> Vec<usize> {
        (0..self.plans.len()).filter(|other| self.needs(*other).any(|need| need == service)).collect()
    }

    fn phase(&self, service: usize) -> Phase {
        self.machine.status().nth(service).unwrap().phase
    }

    fn tell(&mut self, event: Event) -> Vec<Action> {
        let before: Vec<_> = self.machine.status().collect();
        let due = self.machine.next_ns();
        let concerns = match &event {
            Event::Ready(service) | Event::Beat(service, _) | Event::Ended(service, _) => Some(*service),
            _ => None,
        };
        self.stopping |= matches!(event, Event::Stop | Event::Kill);
        self.killing |= event == Event::Kill;
        if let Event::Ended(service, _) = event {
            self.alive[service] = false;
        }
        let mut actions = Vec::new();
        self.machine.step(self.now_ns, event, &mut actions);
        for action in &actions {
            self.judge(action);
        }
        for (service, then) in before.iter().enumerate() {
            let now = self.machine.status().nth(service).unwrap();
            let (was_waiting, is_concerned) = (then.phase == Phase::Waiting, concerns == Some(service));
            let was_due = due.is_some_and(|due| due <= self.now_ns);
            if !was_waiting && !is_concerned && !was_due && !self.stopping {
                assert_eq!(*then, now, "another one's event changed it");
            }
            assert!(now.phase.is_over() || !then.phase.is_over(), "{then:?} came back as {now:?}");
        }
        if let Some(due) = self.machine.next_ns() {
            assert!(due > self.now_ns, "what is due was not done, and would be due for ever");
        }
        actions
    }

    fn judge(&mut self, action: &Action) {
        match *action {
            Action::Start { service, attempt } => {
                assert!(!self.alive[service], "a second instance of {service}");
                assert!(!self.stopping, "started while all stop");
                assert!(!self.plans[service].killable || self.phase(service) != Phase::Failed);
                if attempt == 1 {
                    for need in self.needs(service) {
                        let phase = self.phase(need);
                        assert!(
                            matches!(phase, Phase::Running | Phase::Finished),
                            "{service} before {need}: {phase:?}"
                        );
                    }
                }
                self.alive[service] = true;
                self.overdue[service] = false;
                let starts = &mut self.starts[service];
                starts.push(self.now_ns);
                assert_eq!(starts.len(), attempt as usize);
                let Plan { restart, .. } = self.plans[service];
                let period = u64::try_from(restart.period.as_nanos()).unwrap();
                let recent = starts[1..].iter().filter(|at| **at + period > self.now_ns).count();
                assert!(recent <= restart.max as usize, "{recent} restarts in a period");
                assert!(starts.len() == 1 || restart.when != When::Never);
            }
            Action::Cancel(service) => {
                assert!(self.alive[service]);
                assert!(self.stopping || self.overdue[service], "nobody wanted {service} to end");
                // What is overdue, and what is to end at once, is told so whoever waits for it.
                if !self.overdue[service] && !self.killing {
                    for other in self.dependents(service) {
                        assert!(self.phase(other).is_over(), "{service} was stopped before {other}");
                    }
                }
            }
            Action::Kill(service) => assert!(self.alive[service] && self.plans[service].killable),
            Action::Tell(service, Change::Overdue(_)) => self.overdue[service] = true,
            Action::Tell(service, Change::Failed(_)) => {
                let status = self.machine.status().nth(service).unwrap();
                assert!(!status.reason.is_empty());
            }
            Action::Tell(..) => {}
        }
    }

    fn play(&mut self, step: &Move) {
        let count = self.plans.len();
        match *step {
            Move::Wait(ms) => {
                self.now_ns += ms * MS;
                self.tell(Event::Tick);
            }
            Move::WaitDue => {
                self.now_ns = self.machine.next_ns().unwrap_or(self.now_ns + 1);
                self.tell(Event::Tick);
            }
            Move::Ready(service) => drop(self.tell(Event::Ready(service % count))),
            Move::Beat(service) => drop(self.tell(Event::Beat(service % count, self.now_ns))),
            Move::End(service, well) if self.alive[service % count] => {
                let end = if well { Ok(()) } else { Err("it broke".to_owned()) };
                self.tell(Event::Ended(service % count, end));
            }
            Move::End(..) => {}
            Move::Stop => drop(self.tell(Event::Stop)),
            Move::Kill => drop(self.tell(Event::Kill)),
        }
    }
}

fn plans() -> impl Strategy<Value = Vec<Plan>> {
    let restart = (0..4_u32, 1..400_u64, 0..3_u8, any::<u64>()).prop_map(|(max, period, when, seed)| {
        let when = [When::OnFailure, When::Always, When::Never][usize::from(when)];
        let restart = Restart::new().when(when).at_most(max, Duration::from_millis(period)).seed(seed);
        restart.backoff(Duration::from_millis(10), Duration::from_millis(100))
    });
    let time = || prop::option::of((1..50_u64).prop_map(Duration::from_millis));
    let one = (restart, time(), time(), any::<bool>(), any::<u8>());
    prop::collection::vec(one, 1..6).prop_map(|all| {
        let plan =
            |(number, (restart, ready_max, beat_max, killable, needs)): (usize, (Restart, _, _, bool, u8))| Plan {
                after: (0..number).filter(|other| needs & 1 << other != 0).map(|other| other.to_string()).collect(),
                restart,
                ready_max,
                beat_max,
                stop_max: Duration::from_millis(20),
                killable,
                ..Plan::new(number.to_string())
            };
        all.into_iter().enumerate().map(plan).collect()
    })
}

fn moves() -> impl Strategy<Value = Vec<Move>> {
    let one = prop_oneof![
        4 => (0..60_u64).prop_map(Move::Wait),
        4 => Just(Move::WaitDue),
        4 => (0..6_usize).prop_map(Move::Ready),
        2 => (0..6_usize).prop_map(Move::Beat),
        4 => (0..6_usize, any::<bool>()).prop_map(|(service, well)| Move::End(service, well)),
        1 => prop_oneof![9 => Just(Move::Stop), 1 => Just(Move::Kill)],
    ];
    prop::collection::vec(one, 0..120)
}

proptest! {
    #[test]
    fn no_order_of_events_breaks_the_rules(plans in plans(), moves in moves(), obeys: bool) {
        let mut world = World::new(plans);
        for step in &moves {
            world.play(step);
        }
        // Told to stop, all are over after a bounded number of time-outs, whether they obey or not.
        let mut actions = world.tell(Event::Stop);
        let mut rounds = 0;
        while !world.machine.is_over() {
            rounds += 1;
            prop_assert!(rounds < 100, "{:?}", world.machine);
            let told: Vec<usize> = actions.iter().filter_map(|action| match action {
                Action::Cancel(service) => Some(*service),
                _ => None,
            }).collect();
            actions = Vec::new();
            for service in told {
                if obeys && world.alive[service] {
                    actions.extend(world.tell(Event::Ended(service, Ok(()))));
                }
            }
            if actions.is_empty() && !world.machine.is_over() {
                let due = world.machine.next_ns();
                prop_assert!(due.is_some(), "it waits for nothing: {:?}", world.machine);
                world.now_ns = due.unwrap();
                actions = world.tell(Event::Tick);
            }
        }
    }
}

fn phases(world: &World) -> Vec<&'static str> {
    world.machine.status().map(|status| status.phase.as_str()).collect()
}

#[test]
fn one_that_fails_too_often_is_given_up_and_the_others_run_on() {
    let mut world = World::new(vec![Plan::new("a"), Plan::new("b")]);
    for restart in 1..=3 {
        world.play(&Move::End(0, false));
        assert_eq!(phases(&world), ["pausing", "running"]);
        let actions = {
            world.now_ns = world.machine.next_ns().unwrap();
            world.tell(Event::Tick)
        };
        assert!(actions.contains(&Action::Start { service: 0, attempt: restart + 1 }), "{actions:?}");
    }
    let actions = world.tell(Event::Ended(0, Err("it broke".to_owned())));
    let Some(Action::Tell(0, Change::Failed(reason))) = actions.first() else { panic!("{actions:?}") };
    assert_eq!(reason, "it broke; not started again: 3 restarts in 300s are the limit");
    assert_eq!((phases(&world), world.machine.next_ns()), (vec!["failed", "running"], None));
}

#[test]
fn restarts_of_long_ago_do_not_count() {
    let mut world = World::new(vec![Plan::new("a")]);
    for _ in 0..20 {
        world.play(&Move::End(0, false));
        world.play(&Move::WaitDue);
        world.play(&Move::Wait(101_000));
    }
    assert_eq!(phases(&world), ["running"]);
}

#[test]
fn they_start_in_order_and_stop_in_reverse() {
    let after = |name: &str, needs: &str| Plan { after: vec![needs.to_owned()], ..Plan::new(name) };
    let feed = Plan { ready_max: Some(Duration::from_secs(1)), ..Plan::new("feed") };
    let mut world = World::new(vec![after("bot", "feed"), feed, after("dashboard", "bot")]);
    assert_eq!(phases(&world), ["waiting", "starting", "waiting"]);
    world.play(&Move::Ready(1));
    assert_eq!(phases(&world), ["running"; 3]);
    world.play(&Move::Stop);
    assert_eq!(phases(&world), ["running", "running", "stopping"]);
    world.play(&Move::End(2, true));
    world.play(&Move::End(0, true));
    assert_eq!(phases(&world), ["stopped", "stopping", "stopped"]);
    world.play(&Move::End(1, true));
    assert!(world.machine.is_over());
}

#[test]
fn what_is_not_ready_in_time_is_ended_and_what_waits_for_a_failed_one_fails() {
    let feed = Plan { ready_max: Some(Duration::from_secs(1)), restart: Restart::never(), ..Plan::new("feed") };
    let bot = Plan { after: vec!["feed".to_owned()], ..Plan::new("bot") };
    let mut world = World::new(vec![bot, feed, Plan::new("other")]);
    world.play(&Move::WaitDue);
    assert_eq!(phases(&world), ["waiting", "stopping", "running"]);
    world.play(&Move::End(1, true));
    let reasons: Vec<String> = world.machine.status().map(|status| status.reason).collect();
    assert_eq!(reasons, ["it waits for feed, which failed", "it was not ready within 1s", ""]);
    assert_eq!(phases(&world), ["failed", "failed", "running"]);
}

#[test]
fn a_missed_heartbeat_ends_it_and_what_does_not_end_is_left_alone_or_killed() {
    for killable in [false, true] {
        let plan = Plan { beat_max: Some(Duration::from_secs(1)), killable, ..Plan::new("a") };
        let mut world = World::new(vec![plan]);
        world.play(&Move::Wait(999));
        world.play(&Move::Beat(0));
        world.play(&Move::Wait(999));
        assert_eq!(phases(&world), ["running"]);
        world.play(&Move::WaitDue);
        world.play(&Move::WaitDue);
        assert_eq!(phases(&world), [if killable { "killing" } else { "failed" }]);
        world.play(&Move::End(0, false));
        assert_eq!(phases(&world), [if killable { "pausing" } else { "failed" }]);
    }
}
