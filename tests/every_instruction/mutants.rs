//! Wrong orders of stores, built from changed copies of this crate: each must be noticed.

use std::fs;
use std::path::Path;
use std::process::Command;

/// A change of the source, and which test is to fail by it.
struct Mutant {
    what: &'static str,
    file: &'static str,
    from: &'static str,
    to: &'static str,
    test: &'static str,
}

const MUTANTS: [Mutant; 3] = [
    Mutant {
        what: "a record is committed before its bytes are there",
        file: "src/ring/handle.rs",
        from: "        let unfinished = Unfinished { producer: &self.producer, header };\n",
        to: "        self.producer.commit(header, bytes as u64);\n        \
             let unfinished = Unfinished { producer: &self.producer, header };\n        \
             fill(claim.at.wrapping_add(FRAME_HEADER_BYTES));\n        \
             std::mem::forget(unfinished);\n        \
             return Ok(());\n        #[allow(unreachable_code)]\n        \
             let unfinished = Unfinished { producer: &self.producer, header };\n",
        test: "log_calls",
    },
    Mutant {
        what: "a ring's bytes are given back before the record stands in the segment",
        file: "src/writer/take.rs",
        from: "                    if !self.take::<SAMPLED>(ground, ring, index, waiting, done) {\n",
        to: "                    if let Some(lane) = self.lanes.get_mut(index) {\n                        \
             let tail = lane.consumer.tail + waiting.bytes.len() as u64;\n                        \
             ring.header().consumed.called.store(waiting.called, Ordering::Relaxed);\n                        \
             ring.header().consumed.tail.store(tail, Ordering::Release);\n                    }\n                    \
             if !self.take::<SAMPLED>(ground, ring, index, waiting, done) {\n",
        test: "a_step_of_the_writer",
    },
    Mutant {
        what: "a segment is rotated before the rings are told what was taken",
        file: "src/writer/take.rs",
        from: "        self.release_all(ground);\n        self.journal.make_room(",
        to: "        self.journal.make_room(",
        test: "a_rotation",
    },
];

/// Else the test below fails by that, unseen: it is not run by default.
#[test]
fn changes_fit_the_source() {
    for Mutant { what, file, from, .. } in &MUTANTS {
        let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(file)).unwrap();
        assert_eq!(text.matches(from).count(), 1, "the change for {what:?} fits no more");
    }
}

#[test]
#[ignore = "builds the crate anew, for each change"]
fn wrong_orders_of_stores_are_caught() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR"));
    let copy = tempfile::tempdir().unwrap();
    let listed = Command::new("git").arg("-C").arg(source).args(["ls-files"]).output().unwrap();
    for name in String::from_utf8(listed.stdout).unwrap().lines().filter(|name| source.join(name).is_file()) {
        fs::create_dir_all(copy.path().join(name).parent().unwrap()).unwrap();
        fs::copy(source.join(name), copy.path().join(name)).unwrap();
    }
    let run = |test: &str| {
        let mut command = Command::new(env!("CARGO"));
        command.current_dir(copy.path()).env("CARGO_TARGET_DIR", copy.path().join("target"));
        command.env("TACHO_EVERY_INSTRUCTION", "1").env("TACHO_NO_KILLS", "1");
        command.args(["test", "--test", "every_instruction", "--", "--nocapture", "--test-threads=1", test]);
        command.output().unwrap()
    };
    for mutant in MUTANTS {
        let path = copy.path().join(mutant.file);
        let text = fs::read_to_string(&path).unwrap();
        assert_eq!(text.matches(mutant.from).count(), 1, "the change for {:?} fits no more", mutant.what);
        fs::write(&path, text.replace(mutant.from, mutant.to)).unwrap();
        let output = run(mutant.test);
        fs::write(&path, text).unwrap();
        let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        let caught = said.lines().find(|line| line.contains(", instruction "));
        assert!(!output.status.success(), "not noticed: {}\n{said}", mutant.what);
        println!(
            "{}\n    caught: {}",
            mutant.what,
            caught.unwrap_or_else(|| panic!("it failed by something else: {said}"))
        );
    }
    let output = run("killed_at");
    assert!(output.status.success(), "the unchanged crate fails too");
}
