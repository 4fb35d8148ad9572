//! Levels at run time.

use crate::support::{FLUSH, Place, good_child};
use tachograph::{LevelFilter, component, debug, error, info, start, start_isolated, trace, warn};

fn calls(text: &str) {
    trace!(target: "feed::parser", "trace {text}");
    debug!(target: "feed::parser", "debug {text}");
    info!(target: "feed", "info {text}");
    debug!(target: "orders", "debug {text}");
    warn!(target: "orders", "warn {text}");
    debug!(logger: component("risk"), "debug {text}");
    error!(logger: component("risk"), "error {text}");
}

#[test]
fn levels_change_while_the_logger_runs() {
    let place = good_child("levels::levels_change_while_the_logger_runs", |place| {
        let early = component("risk");
        let tacho = start(place.config().level(LevelFilter::Info).levels("orders=error")).unwrap();
        calls("1");
        debug!(logger: early, "early");
        tacho.set_levels("feed::parser=trace,risk=debug").unwrap();
        calls("2");
        debug!(logger: early, "early 2");
        tacho.set_levels("off,feed::parser=off").unwrap();
        calls("3");
        tacho.set_levels("debug,orders=debug").unwrap();
        calls("4");
        let error = tacho.set_levels("warn,feed=loud").unwrap_err();
        assert!(error.is_config() && error.to_string().contains("loud"), "{error}");
        calls("5");
        tacho.flush(FLUSH).unwrap();
    });
    assert_eq!(place.messages("feed"), ["info 1", "trace 2", "debug 2", "info 2", "info 4", "info 5"]);
    assert_eq!(place.messages("orders"), ["debug 4", "warn 4", "debug 5", "warn 5"]);
    assert_eq!(
        place.messages("risk"),
        ["error 1", "debug 2", "error 2", "early 2", "debug 3", "error 3", "debug 4", "error 4", "debug 5", "error 5"]
    );
}

#[test]
fn levels_of_an_isolated_logger_are_its_own() {
    let (one, two) = (Place::new(), Place::new());
    let (quiet, loud) = (start_isolated(one.config()).unwrap(), start_isolated(two.config()).unwrap());
    loud.set_levels("levels=debug").unwrap();
    for number in 0..3 {
        debug!(logger: quiet, target: "levels", "{number}");
        debug!(logger: loud, target: "levels", "{number}");
    }
    quiet.close(FLUSH).unwrap();
    loud.close(FLUSH).unwrap();
    assert!(one.messages("levels").is_empty());
    assert_eq!(two.messages("levels"), ["0", "1", "2"]);
}

#[test]
fn a_disabled_call_evaluates_nothing() {
    good_child("levels::a_disabled_call_evaluates_nothing", |place| {
        fn never() -> u32 {
            panic!("evaluated")
        }
        fn off() {
            debug!(target: "lazy", "{}", never());
        }
        fn isolated_off(log: &tachograph::Guard) {
            debug!(logger: log, target: "lazy", "{}", never());
            debug!(logger: component("lazy"), "{}", never());
        }
        // Before there is a logger, while one runs, and after it; each the first call of the process.
        off();
        let tacho = start(place.config()).unwrap();
        off();
        debug!(target: "lazy", "{}", never());
        isolated_off(&tacho);
        drop(tacho);
        off();
        debug!(target: "lazy", "{}", never());
    });
}
