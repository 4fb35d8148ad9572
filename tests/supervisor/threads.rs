//! Services in threads.

use crate::{PATIENCE, logger, said, services, tacho, text, until};
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tachograph::health::check::{Limits, State, check};
use tachograph::health::look::look;
use tachograph::info;
use tachograph::supervisor::{Change, Context, Phase, Restart, Supervisor, When};

const SOON: Duration = Duration::from_millis(1);

fn phases(dir: &std::path::Path) -> Vec<(String, Phase)> {
    services(dir).into_iter().map(|service| (service.name, service.phase)).collect()
}

/// Runs until it is told to end.
fn idle(context: &Context) -> Result<(), String> {
    while context.sleep(PATIENCE) {}
    Ok(())
}

#[test]
fn a_panic_or_error_in_one_touches_no_other_and_it_starts_again() {
    let dir = tempfile::tempdir().unwrap();
    let logger = logger(dir.path());
    let (worked, starts) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU32::new(0)));
    let mut all = Supervisor::new();
    let soon = Restart::new().backoff(SOON, SOON);
    all.add_fn("panics", |context| {
        info!(logger: context.component(), attempt = context.attempt(); "here");
        assert!(context.attempt() > 2, "no luck at attempt {}", context.attempt());
        idle(context)
    })
    .restart(soon);
    all.add_fn("errs", |context| if context.attempt() > 2 { idle(context) } else { Err("no route".to_owned()) })
        .restart(soon);
    let (count, started) = (Arc::clone(&worked), Arc::clone(&starts));
    all.add_fn("works", move |context: &Context| {
        started.fetch_add(1, Ordering::Relaxed);
        while context.sleep(SOON) {
            info!(logger: context.component(), number = count.fetch_add(1, Ordering::Relaxed); "work");
        }
        Ok::<(), String>(())
    });
    let running = all.start().unwrap();
    until("both run again", || {
        running.status().iter().all(|s| s.phase == Phase::Running && s.starts != 2) && {
            running.status()[0].starts == 3 && running.status()[1].starts == 3
        }
    });
    let so_far = worked.load(Ordering::Relaxed);
    until("work goes on", || worked.load(Ordering::Relaxed) > so_far + 5);
    until("it is shown", || services(dir.path()).iter().map(|s| s.starts).eq([3, 3, 1]));
    let shown = services(dir.path());
    assert_eq!(shown[0].reason, "panicked: no luck at attempt 2");
    assert_eq!((shown[1].reason.as_str(), shown[1].restarts), ("no route", (2, 3)));
    let health = tacho(dir.path(), &["health"]).output().unwrap();
    let health = String::from_utf8(health.stdout).unwrap();
    assert!(health.contains("panics: running") && health.contains("2 of 3 restarts"), "{health}");

    assert!(running.stop().iter().all(|status| status.phase == Phase::Stopped));
    assert_eq!(starts.load(Ordering::Relaxed), 1);
    logger.tacho.flush(PATIENCE).unwrap();
    let panics = text(dir.path(), "panics");
    assert!(panics.contains("service ended: panicked: no luck at attempt 1; it starts again in"), "{panics}");
    assert_eq!(panics.matches(" [panics] here attempt=").count(), 3, "{panics}");
    assert!(text(dir.path(), "errs").contains("service ended: no route; it starts again in"));
    let works = text(dir.path(), "works");
    assert_eq!(works.matches("] work number=").count() as u64, worked.load(Ordering::Relaxed));
    assert!(works.lines().all(|line| !line.contains(" ERROR ")), "{works}");
}

#[test]
fn one_that_fails_for_good_is_reported_and_the_others_run_on() {
    let dir = tempfile::tempdir().unwrap();
    let logger = logger(dir.path());
    let mut all = Supervisor::new();
    let restart = Restart::new().at_most(2, PATIENCE).backoff(SOON, SOON);
    all.add_fn("broken", |_: &Context| Err("no account".to_owned())).restart(restart);
    all.add_fn("ends", |_: &Context| Ok::<(), String>(())).restart(restart.when(When::Always));
    all.add_fn("once", |_: &Context| Ok::<(), String>(()));
    all.add_fn("well", idle);
    let told = Arc::new(Mutex::new(Vec::new()));
    let tell = Arc::clone(&told);
    all.on_change(move |name, change| tell.lock().unwrap().push((name.to_owned(), change.clone())));
    let running = all.start().unwrap();
    let expected =
        [("broken", Phase::Failed), ("ends", Phase::Failed), ("once", Phase::Finished), ("well", Phase::Running)];
    until("both fail", || phases(dir.path()).iter().map(|(name, phase)| (name.as_str(), *phase)).eq(expected));
    assert_eq!(services(dir.path())[0].starts, 3);

    let vitals = look(dir.path()).unwrap().processes.remove(0);
    let checked = check(None, vitals, &Limits::default());
    let finding = checked.findings.iter().find(|finding| finding.id == "services").unwrap();
    assert_eq!(finding.state, State::Critical);
    assert!(
        finding.reason.starts_with("2 of 4 services: has failed: broken (no account; not started again: 2 restarts")
    );
    let prom = tacho(dir.path(), &["health", "--prom"]).output().unwrap();
    assert_eq!(prom.status.code(), Some(2));
    assert!(String::from_utf8(prom.stdout).unwrap().contains("service=\"broken\"} 1\n"));

    assert_eq!(running.stop().last().unwrap().phase, Phase::Stopped);
    let told = told.lock().unwrap();
    let failed = |wanted: &str| told.iter().any(|(name, change)| name == wanted && matches!(change, Change::Failed(_)));
    assert!(failed("broken") && failed("ends") && !failed("once") && !failed("well"), "{told:?}");
    logger.tacho.flush(PATIENCE).unwrap();
    let log = text(dir.path(), "broken");
    assert!(log.contains("CRITICAL broken [supervisor] service has failed: no account"), "{log}");
}

#[test]
fn one_that_hangs_is_left_alone_and_there_is_never_a_second() {
    let dir = tempfile::tempdir().unwrap();
    let logger = logger(dir.path());
    let (release, held) = channel::<()>();
    let held = Mutex::new(held);
    let instances = Arc::new(AtomicU32::new(0));
    let mut all = Supervisor::new();
    let count = Arc::clone(&instances);
    all.add_fn("hangs", move |context: &Context| {
        count.fetch_add(1, Ordering::Relaxed);
        context.ready();
        context.beat();
        // It listens to nobody.
        let _ = held.lock().unwrap().recv();
        Ok::<(), String>(())
    })
    .signals_ready(PATIENCE)
    .heartbeat(Duration::from_millis(50))
    .stop_max(Duration::from_millis(50))
    .restart(Restart::new().backoff(SOON, SOON));
    all.add_fn("beats", |context: &Context| {
        while context.sleep(SOON) {
            context.beat();
        }
        Ok::<(), String>(())
    })
    .heartbeat(PATIENCE);
    let running = all.start().unwrap();
    until("it is given up", || running.status()[0].phase == Phase::Failed);
    let reason = &running.status()[0].reason;
    assert!(reason.contains("it had no heartbeat for") && reason.contains("left alone"), "{reason}");
    drop(release);
    until("its end is noted", || {
        logger.tacho.flush(PATIENCE).unwrap();
        text(dir.path(), "hangs").contains("has ended, after it was given up")
    });
    assert_eq!(instances.load(Ordering::Relaxed), 1);
    until("a heartbeat is shown", || services(dir.path())[1].beat_unix_ns.is_some_and(|beat| beat > 0));
    assert_eq!(running.status()[1].phase, Phase::Running);
    assert_eq!(running.stop()[1].phase, Phase::Stopped);
}

#[test]
fn they_start_in_order_and_stop_in_reverse() {
    let dir = tempfile::tempdir().unwrap();
    let _logger = logger(dir.path());
    let events = Arc::new(Mutex::new(Vec::new()));
    let mut all = Supervisor::new();
    for (name, after) in [("dashboard", Some("bot")), ("bot", Some("feed")), ("feed", None)] {
        let events = Arc::clone(&events);
        let spec = all.add_fn(name, move |context: &Context| {
            events.lock().unwrap().push(format!("+{name}"));
            // Whoever waits for this one has time to be wrong.
            context.sleep(Duration::from_millis(20));
            context.ready();
            let end = idle(context);
            events.lock().unwrap().push(format!("-{name}"));
            end
        });
        spec.signals_ready(PATIENCE);
        if let Some(after) = after {
            spec.after(after);
        }
    }
    let running = all.start().unwrap();
    until("all run", || running.status().iter().all(|status| status.phase == Phase::Running));
    assert!(!running.wait(SOON), "they run still");
    drop(running);
    assert_eq!(*events.lock().unwrap(), ["+feed", "+bot", "+dashboard", "-dashboard", "-bot", "-feed"]);
}

#[test]
fn a_service_needs_no_logger_and_a_page_of_nonsense_is_no_harm() {
    let dir = tempfile::tempdir().unwrap();
    let mut all = Supervisor::new();
    all.add_fn("alone", |_: &Context| Ok::<(), String>(()));
    assert!(all.start().unwrap().wait(PATIENCE));
    let logger = logger(dir.path());
    let mut all = Supervisor::new();
    all.add_fn("idle", idle);
    let _running = all.start().unwrap();
    until("it is shown", || services(dir.path()).len() == 1);
    let pointer = std::fs::read_dir(dir.path().join(".journal")).unwrap().flatten().map(|e| e.path().join("shm"));
    let live = pointer.filter_map(|path| std::fs::read_to_string(path).ok()).next().unwrap();
    let page = std::path::Path::new(live.trim()).join("services");
    // Behind magic and version.
    use std::os::unix::fs::FileExt as _;
    let file = std::fs::OpenOptions::new().write(true).open(&page).unwrap();
    file.write_all_at(&vec![0xff; (96 << 10) - 16], 16).unwrap();
    assert!(services(dir.path()).len() <= 64);
    let json = tacho(dir.path(), &["health", "--json"]).output().unwrap();
    assert!(json.stdout.starts_with(b"{"), "{json:?}");
    logger.tacho.flush(PATIENCE).unwrap();
    assert!(said(tacho(dir.path(), &["cat", "-u", "idle"])).contains("service starts"));
}
