//! Processes that end without closing their logger: what they logged is in shared memory, and the next logger of the
//! directory brings it into the files.

use crate::shared::stated_drops;
use crate::support::{FLUSH, Place, child};
use std::cell::Cell;
use std::os::unix::process::ExitStatusExt;
use std::process::Output;
use tachograph::{Value, info, start, start_isolated};

const EACH: u64 = 500;

/// Logs from two threads and hands back the guard, unflushed.
fn log_and_forget(place: &Place) {
    let tacho = start(place.config()).unwrap();
    let logging = |thread: u64| {
        for number in 0..EACH {
            info!(target: "death", "{thread} {number}");
        }
    };
    std::thread::scope(|scope| {
        scope.spawn(|| logging(1));
        logging(0);
    });
    std::mem::forget(tacho);
}

/// A next logger of the directory brings all lines, in the order of each thread, none twice.
fn recovers((place, output): (Place, Output), ended: impl FnOnce(&Output) -> bool) {
    assert!(ended(&output), "{output:?}");
    for _ in 0..2 {
        let next = start_isolated(place.config()).unwrap();
        next.flush(FLUSH).unwrap();
        drop(next);
        let messages = place.messages("death");
        for thread in 0..2 {
            let mine = messages.iter().filter_map(|message| message.strip_prefix(&format!("{thread} ")));
            let numbers: Vec<u64> = mine.map(|rest| rest.split(' ').next().unwrap().parse().unwrap()).collect();
            assert_eq!(numbers, (0..EACH).collect::<Vec<u64>>());
        }
    }
    assert_eq!(place.live_folders(), 0);
}

#[test]
fn exit_without_dropping_the_guard() {
    let died = child("death::exit_without_dropping_the_guard", |place| {
        log_and_forget(place);
        std::process::exit(3);
    });
    recovers(died, |output| output.status.code() == Some(3));
}

#[test]
fn abort() {
    let died = child("death::abort", |place| {
        log_and_forget(place);
        std::process::abort();
    });
    recovers(died, |output| output.status.signal() == Some(libc::SIGABRT));
}

#[test]
fn kill() {
    let died = child("death::kill", |place| {
        log_and_forget(place);
        // SAFETY: the signal ends this process.
        unsafe { libc::raise(libc::SIGKILL) };
    });
    recovers(died, |output| output.status.signal() == Some(libc::SIGKILL));
}

#[test]
fn end_of_main_with_a_leaked_guard() {
    let died = child("death::end_of_main_with_a_leaked_guard", log_and_forget);
    recovers(died, |output| output.status.success());
}

/// Does what it is told while it is copied.
#[derive(Debug)]
struct Acts(Cell<Option<fn()>>);

impl Value for Acts {
    type Parts<'a> = <u64 as Value>::Parts<'a>;
    const TYPE: &'static tachograph::value::Type = <u64 as Value>::TYPE;

    fn parts(&self) -> Self::Parts<'_> {
        if let Some(act) = self.0.take() {
            act();
        }
        7_u64.parts()
    }
}

fn act(act: fn()) {
    info!(target: "death", "{:?}", [Acts(Cell::new(Some(act)))].as_slice());
}

fn kill_self() {
    // SAFETY: the signal ends this process.
    unsafe { libc::raise(libc::SIGKILL) };
}

fn too_large() {
    info!(target: "death", "{:?}", [1_u64; 300]);
}

/// What the next loggers of the directory find: the messages of the view, and what is stated as dropped, by cause.
fn found_after(place: &Place, causes: &[&str]) -> (Vec<String>, Vec<u64>) {
    for _ in 0..2 {
        start_isolated(place.config()).unwrap().close(FLUSH).unwrap();
    }
    let notes: Vec<String> = place
        .messages("tachograph")
        .iter()
        .map(|note| note.replace(" (recovered)", "").replace(" (late)", ""))
        .collect();
    let stated = causes.iter().map(|cause| stated_drops(notes.iter().map(String::as_str), cause)).collect();
    let messages = place.messages("death").iter().map(|message| message.replace(" (recovered)", "")).collect();
    (messages, stated)
}

#[test]
fn losses_behind_the_last_record_are_stated_after_a_kill() {
    let (place, output) = child("death::losses_behind_the_last_record_are_stated_after_a_kill", |place| {
        let _tacho = start(place.config().record_bytes_max(2048)).unwrap();
        info!(target: "death", "only");
        (0..5).for_each(|_| too_large());
        kill_self();
    });
    assert_eq!(output.status.signal(), Some(libc::SIGKILL), "{output:?}");
    assert_eq!(found_after(&place, &["record too large"]), (vec!["only".to_owned()], vec![5]));
}

#[test]
fn losses_before_and_within_an_interrupted_call_are_stated_after_a_kill() {
    let (place, output) =
        child("death::losses_before_and_within_an_interrupted_call_are_stated_after_a_kill", |place| {
            let _tacho = start(place.config().record_bytes_max(2048)).unwrap();
            act(|| {});
            (0..5).for_each(|_| too_large());
            // In the midst of the last call another one comes, is refused, and the process dies.
            act(|| {
                info!(target: "death", "within");
                kill_self();
            });
        });
    assert_eq!(output.status.signal(), Some(libc::SIGKILL), "{output:?}");
    let causes = [
        "record too large",
        "log call within a log call",
        "the process ended in the midst of the call",
        "unknown cause",
    ];
    assert_eq!(found_after(&place, &causes), (vec!["[7]".to_owned()], vec![5, 1, 1, 0]));
}

#[test]
fn every_call_that_returned_is_a_record_or_a_stated_loss_after_a_kill() {
    const CALLS: u64 = 20_000;
    let (place, output) = child("death::every_call_that_returned_is_a_record_or_a_stated_loss_after_a_kill", |place| {
        let _tacho = start(place.config().ring_bytes(64 << 10)).unwrap();
        for number in 0..CALLS {
            info!(target: "death", "{number} and some text, so that the ring is full soon");
        }
        kill_self();
    });
    assert_eq!(output.status.signal(), Some(libc::SIGKILL), "{output:?}");
    let (messages, stated) = found_after(&place, &["ring full"]);
    let numbers: Vec<u64> =
        messages.iter().map(|message| message.split(' ').next().unwrap().parse().unwrap()).collect();
    assert!(numbers.is_sorted_by(|one, next| one < next));
    assert_eq!(numbers.len() as u64 + stated[0], CALLS);
}
