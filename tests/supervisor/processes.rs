//! `tacho supervise`.

use crate::{Ends, is_gone, said, services, signal, tacho, until};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use tachograph::supervisor::Phase;
use tempfile::TempDir;

/// A log directory and a file of services.
struct Place {
    root: TempDir,
    logs: PathBuf,
    file: PathBuf,
}

impl Place {
    fn new(services: &str) -> Self {
        let root = tempfile::tempdir().unwrap();
        let (logs, file) = (root.path().join("logs"), root.path().join("services.toml"));
        fs::write(&file, services.replace("ROOT", root.path().to_str().unwrap())).unwrap();
        Self { root, logs, file }
    }

    fn start(&self) -> Ends {
        let mut command = tacho(&self.logs, &["supervise"]);
        Ends(command.arg(&self.file).stderr(Stdio::piped()).spawn().unwrap())
    }

    fn run(&self, args: &[&str]) -> Output {
        tacho(&self.logs, &[&["supervise"], args].concat()).arg(&self.file).output().unwrap()
    }

    fn cat(&self, unit: &str) -> String {
        said(tacho(&self.logs, &["cat", "-u", unit]))
    }

    /// The number that a script wrote into a file.
    fn pid(&self, name: &str) -> u32 {
        let path = self.root.path().join(name);
        let mut pid = None;
        until(name, || {
            pid =
                fs::read_to_string(&path).ok().filter(|text| text.ends_with('\n')).and_then(|t| t.trim().parse().ok());
            pid.is_some()
        });
        pid.unwrap()
    }

    fn phases(&self) -> Vec<Phase> {
        services(&self.logs).into_iter().map(|service| service.phase).collect()
    }
}

#[test]
fn programs_are_started_in_order_restarted_and_what_they_print_is_logged() {
    let place = Place::new(
        r#"
        [[service]]
        name = "second"
        command = ["sh", "-c", "echo got $WORD in $PWD; exec sleep 1000"]
        env = { WORD = "aapl" }
        cwd = "/"
        after = ["first"]

        [[service]]
        name = "first"
        command = ["sh", "-c", "echo $$ >> ROOT/starts; echo WARN: careful >&2; test $(wc -l < ROOT/starts) = 3 || kill -SEGV $$; exec sleep 1000"]
        backoff = "1 ms"
        "#,
    );
    let mut supervisor = place.start();
    until("both run", || place.phases() == [Phase::Running; 2] && services(&place.logs)[1].starts == 3);
    let shown = services(&place.logs);
    assert_eq!((shown[1].reason.as_str(), shown[1].restarts), ("killed by signal 11, SIGSEGV", (2, 3)));
    assert_eq!(shown[0].starts, 1, "the other one was left alone");
    signal(supervisor.0.id(), libc::SIGTERM);
    assert_eq!(supervisor.code(), Some(0));
    let first = place.cat("first");
    assert_eq!(first.matches("WARN     first::stderr [stderr] WARN: careful").count(), 3, "{first}");
    assert_eq!(
        first.matches("ERROR    first [main] service ended: killed by signal 11, SIGSEGV").count(),
        2,
        "{first}"
    );
    let second = place.cat("second");
    assert!(second.contains("INFO     second::stdout [stdout] got aapl in /"), "{second}");
    let all = said(tacho(&place.logs, &["cat"]));
    let at = |text: &str| all.find(text).unwrap_or_else(|| panic!("no {text:?} in {all}"));
    assert!(at("service starts service=first") < at("service starts service=second"));
    assert!(at("service has stopped service=second") < at("service is to end service=first"));
}

#[test]
fn one_that_fails_for_good_is_said_at_the_end() {
    let place = Place::new(
        "[[service]]\nname = 'x'\ncommand = ['sh', '-c', 'echo out; exit 3']\nrestart_max = 1\nbackoff = '1 ms'\n\
         [[service]]\nname = 'y'\ncommand = ['true']",
    );
    let output = place.run(&[]);
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert_eq!(said, "tacho: x has failed: exit status 3; not started again: 1 restarts in 300s are the limit\n");
    assert_eq!(place.cat("x").matches("[stdout] out").count(), 2);
    assert!(place.cat("y").contains("service has finished"));
}

#[test]
fn a_group_is_stopped_whole_and_killed_when_it_does_not_end() {
    let place = Place::new(
        r#"
        [[service]]
        name = "polite"
        command = ["sh", "-c", "sleep 1000 & echo $! > ROOT/polite; wait"]

        [[service]]
        name = "deaf"
        command = ["sh", "-c", "trap '' TERM; sleep 1000 & echo $! > ROOT/deaf; while true; do wait; done"]
        stop_max = "50 ms"

        [[service]]
        name = "parent"
        command = ["sh", "-c", "sh -c 'trap \"\" TERM; echo $$ > ROOT/orphan; while true; do sleep 0.05; done' & sleep 0.1; exit 5"]
        restart = "never"
        stop_max = "50 ms"
        "#,
    );
    let mut supervisor = place.start();
    let [polite, deaf, orphan] = ["polite", "deaf", "orphan"].map(|name| place.pid(name));
    until("what a dead one left is ended", || is_gone(orphan));
    until("its end is known", || place.phases().last() == Some(&Phase::Failed));
    assert!(!is_gone(polite) && !is_gone(deaf));
    signal(supervisor.0.id(), libc::SIGTERM);
    assert_eq!(supervisor.code(), Some(1), "one has failed");
    until("all are gone", || is_gone(polite) && is_gone(deaf));
    assert!(place.cat("deaf").contains("service did not end in time and is killed"));
    assert!(!place.cat("polite").contains("killed"));
}

#[test]
fn children_die_with_a_supervisor_that_is_killed_where_asked() {
    let script = "command = ['sh', '-c', 'echo $$ > ROOT/NAME; exec sleep 1000']";
    let one = |name: &str| format!("[[service]]\nname = '{name}'\n{}\n", script.replace("NAME", name));
    let place = Place::new(&format!("{}{}outlives_supervisor = true\n", one("dies"), one("lives")));
    let mut supervisor = place.start();
    let [dies, lives] = ["dies", "lives"].map(|name| place.pid(name));
    signal(supervisor.0.id(), libc::SIGKILL);
    let _ = supervisor.0.wait();
    until("it dies", || is_gone(dies));
    assert!(!is_gone(lives));
    signal(lives, libc::SIGKILL);
}

#[test]
fn signals_are_passed_on_and_a_second_one_ends_all_at_once() {
    let place = Place::new(
        "[[service]]\nname = 'x'\ncommand = ['sh', '-c', \"trap 'echo one' USR1; trap '' TERM; echo $$ > ROOT/x; while true; do sleep 0.02; done\"]\nstop_max = '1 h'",
    );
    let mut supervisor = place.start();
    let x = place.pid("x");
    signal(supervisor.0.id(), libc::SIGUSR1);
    until("it is passed on", || {
        tacho(&place.logs, &["cat"])
            .output()
            .is_ok_and(|output| String::from_utf8_lossy(&output.stdout).contains("] one"))
    });
    signal(supervisor.0.id(), libc::SIGTERM);
    until("it is told to end", || place.phases() == [Phase::Stopping]);
    signal(supervisor.0.id(), libc::SIGTERM);
    assert_eq!(supervisor.code(), Some(0));
    assert!(is_gone(x));
}

#[test]
fn a_file_is_checked_and_errors_name_it_and_the_field() {
    let good = "[[service]]\nname = 'x'\ncommand = ['sh']\n";
    let cases = [
        (good.to_owned(), Some(0), ""),
        (format!("{good}stop_max = 'soon'"), Some(2), "services.toml: service.x.stop_max: \"soon\" is no span of time"),
        (format!("{good}shell = 'sh'"), Some(2), "unknown field `shell`"),
        (good.replace("sh", "no-such-program"), Some(2), "service.x.command: \"no-such-program\" is no program"),
        (format!("{good}after = ['y']"), Some(2), "service.x.after: there is no service \"y\""),
    ];
    for (text, code, expected) in cases {
        let place = Place::new(&text);
        let output = place.run(&["--check"]);
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), code, "{text}: {said}");
        assert!(said.contains(expected), "{text}: {said}");
        assert!(!place.logs.exists(), "a check leaves nothing");
    }
    let place = Place::new(good);
    let output = tacho(&place.logs, &["supervise", "nowhere.toml"]).output().unwrap();
    assert!(String::from_utf8(output.stderr).unwrap().contains("cannot read nowhere.toml: No such file"));
    let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/trading_platform/services.toml");
    let text = fs::read_to_string(shipped).unwrap().replace("\"trading_platform\"", "\"sh\"");
    assert_eq!(Place::new(&text).run(&["--check"]).status.code(), Some(0));
}
