//! Many processes in one directory: one renders, all may die, and what the dead left is recovered once.

use crate::place::{Dice, LONG, Order, Place, Run, State, kill, signal, until};
use crate::support::texts;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::process::Child;
use std::time::{Duration, Instant};

/// Calls of each thread of a process that lives through the test.
const MANY: u64 = 100_000;

/// The process that holds the lock of the election.
fn renderer(place: &Place) -> Option<u32> {
    let file = fs::metadata(place.logs.join(".journal/renderer")).ok()?.ino().to_string();
    let locks = fs::read_to_string("/proc/locks").unwrap();
    locks.lines().find_map(|line| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let [_, "FLOCK", _, _, process, place, ..] = words[..] else { return None };
        (place.rsplit(':').next() == Some(&file)).then(|| process.parse().ok()).flatten()
    })
}

fn begin<'a>(place: &'a Place, role: &str, calls: u64) -> (Child, Run<'a>) {
    let (child, run) = place.spawn(role, calls);
    until("a first call", || run.has_reached(State::Logging));
    (child, run)
}

/// Waits until each of them logged `more` calls.
fn go_on<'a>(members: impl Iterator<Item = &'a Run<'a>>, more: u64) {
    for run in members {
        let before = run.sum();
        until("more calls", || run.sum() >= before + more);
    }
}

/// Which of them renders.
fn rendering(place: &Place, members: &[(Child, Run<'_>)]) -> usize {
    let mut found = None;
    until("a renderer", || {
        found = renderer(place).and_then(|process| members.iter().position(|(child, _)| child.id() == process));
        found.is_some()
    });
    found.unwrap()
}

fn end(members: Vec<(Child, Run<'_>)>) {
    members.iter().for_each(|(_, run)| run.order(Order::End));
    for (mut child, _) in members {
        assert!(child.wait().unwrap().success());
    }
}

#[test]
fn the_renderer_of_three_processes_is_killed_five_times() {
    let place = Place::new();
    let mut members: Vec<_> = (0..3).map(|_| begin(&place, "steady", MANY)).collect();
    for _ in 0..5 {
        go_on(members.iter().map(|(_, run)| run), 1_000);
        let (mut dying, _) = members.swap_remove(rendering(&place, &members));
        kill(&mut dying);
        members.push(begin(&place, "steady", MANY));
    }
    go_on(members.iter().map(|(_, run)| run), 1_000);
    end(members);
    place.recover();
    let tally = place.check("renderer killed");
    println!("{tally:?}");
}

#[test]
fn the_others_go_on_while_the_renderer_stands_still() {
    let place = Place::new();
    let mut members: Vec<_> = (0..3).map(|_| begin(&place, "steady", MANY)).collect();
    for _ in 0..2 {
        go_on(members.iter().map(|(_, run)| run), 500);
        let stopped = members.swap_remove(rendering(&place, &members));
        signal(&stopped.0, libc::SIGSTOP);
        go_on(members.iter().map(|(_, run)| run), 3_000);
        // One dies, another comes.
        kill(&mut members.remove(0).0);
        members.push(begin(&place, "steady", MANY));
        go_on(members.iter().map(|(_, run)| run), 1_000);
        assert_eq!(renderer(&place), Some(stopped.0.id()), "nobody takes its place while it lives");
        signal(&stopped.0, libc::SIGCONT);
        members.push(stopped);
        go_on(members.iter().map(|(_, run)| run), 500);
    }
    end(members);
    place.recover();
    place.check("renderer stopped");
}

#[test]
fn four_that_recover_at_once_recover_each_process_once() {
    let place = Place::new();
    let mut dead: Vec<_> = (0..5).map(|_| place.spawn("load", 300)).collect();
    for (_, run) in &dead {
        until("all calls", || run.has_reached(State::Logged));
    }
    dead.iter_mut().for_each(|(child, _)| kill(child));
    let recovering: Vec<_> = (0..4).map(|_| place.spawn("recover", 0)).collect();
    for (mut child, _) in recovering {
        assert!(child.wait().unwrap().success());
    }
    let tally = place.check("four at once");
    assert_eq!(tally.lines, 5 * 4 * 300);
    let before: Vec<String> = texts(&place.logs, "load").collect();
    place.recover();
    place.check("again");
    assert_eq!(texts(&place.logs, "load").collect::<String>(), before.concat(), "nothing is left to be recovered");
}

#[test]
fn recovery_is_killed_at_random_instants() {
    let mut dice = Dice::new("recovery");
    let place = Place::new();
    let mut usual = Duration::from_millis(60);
    for _ in 0..4 {
        let mut dead: Vec<_> = (0..2).map(|_| place.spawn("die", 400)).collect();
        for (child, _) in &mut dead {
            child.wait().unwrap();
        }
        for _ in 0..3 {
            let begin = Instant::now();
            let (mut child, run) = place.spawn("recover", 0);
            let time = Duration::from_nanos(dice.below(usual.as_nanos() as u64 * 5 / 4));
            while begin.elapsed() < time && child.try_wait().unwrap().is_none() {
                std::thread::sleep(Duration::from_micros(100));
            }
            if run.has_reached(State::Closed) {
                usual = begin.elapsed().min(LONG);
            }
            kill(&mut child);
        }
        // How long it takes without a kill.
        let begin = Instant::now();
        let (mut child, _) = place.spawn("recover", 0);
        assert!(child.wait().unwrap().success());
        usual = begin.elapsed();
        place.check("recovery killed");
    }
}
