//! The corpora of the fuzz targets, and random bytes, through the same properties.

use super::*;
use proptest::prelude::*;
use std::path::Path;

/// Every input of `target`'s corpus; a crash that was found and mended is put there.
fn replay(target: &str, property: fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(target);
    let Ok(files) = std::fs::read_dir(&folder) else {
        // A packaged crate has no corpora.
        assert!(!folder.parent().is_some_and(Path::is_dir), "{target} has no corpus");
        return;
    };
    let mut inputs = 0;
    for file in files {
        let path = file.unwrap().path();
        let data = std::fs::read(&path).unwrap();
        let outcome = std::panic::catch_unwind(|| property(&data));
        assert!(outcome.is_ok(), "{}", path.display());
        inputs += 1;
    }
    assert!(inputs > 0, "the corpus of {target} is empty");
}

#[test]
fn record_decode_holds_for_its_corpus() {
    replay("record_decode", record_decode);
}

#[test]
fn segment_scan_holds_for_its_corpus() {
    replay("segment_scan", segment_scan);
}

#[test]
fn segment_recover_holds_for_its_corpus() {
    replay("segment_recover", segment_recover);
}

#[test]
fn format_spec_holds_for_its_corpus() {
    replay("format_spec", format_spec);
}

#[test]
fn rotation_holds_for_its_corpus() {
    replay("rotation", rotation);
}

#[test]
fn view_cursor_holds_for_its_corpus() {
    replay("view_cursor", view_cursor);
}

#[test]
fn control_page_holds_for_its_corpus() {
    replay("control_page", control_page);
}

#[test]
fn simulator_holds_for_its_corpus() {
    replay("simulator", simulator);
}

#[test]
#[should_panic(expected = "the canary sings")]
fn the_canary_is_no_property() {
    canary(b"TACHO");
}

/// Seeds of which fuzzing starts; run with `-- --ignored` to write them anew.
#[test]
#[ignore = "writes into fuzz/corpus"]
fn write_seeds() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus");
    let write = |target: &str, name: &str, data: &[u8]| {
        std::fs::create_dir_all(root.join(target)).unwrap();
        std::fs::write(root.join(target).join(name), data).unwrap();
    };
    let record = |encoded: crate::record::encoded::Encoded| {
        let length = u16::try_from(encoded.definition.len()).unwrap().to_le_bytes();
        [&length[..], &encoded.definition, &encoded.payload].concat()
    };
    let (text, list) = ("it's \"quoted\"\n\u{1b}[31m", vec![Some(1.5_f64), None]);
    let records = [
        ("numbers", record(tachograph::__encode!(1000; "{} {:>8.3} {:#x} {:e}", 1_u64, 2.5_f64, 255_u8, 1e300))),
        ("texts", record(tachograph::__encode!(1000; "{} {:?} {:>12}", text, text, 'é'))),
        ("nested", record(tachograph::__encode!(1000; "{:?} {:#?}", list, (1_u8, "x", Err::<u8, &str>("no"))))),
        ("counted", record(tachograph::__encode!(1000; "{:1$} {:.*}", 1_u8, 5, 1.0))),
        ("fields", record(tachograph::__encode!(1000; id = 7_u64, px:? = 1.5, venue = "XNAS"; "filled {id}", id = 7))),
        ("cut", record(tachograph::__encode!(40; "{} {:?}", "a text that is too long for its record", [1_u8; 3]))),
    ];
    records.iter().for_each(|(name, data)| write("record_decode", name, data));
    for (name, text) in [
        ("plain", "order {id} filled at {px:.2}"),
        ("all", "{x:}^+#012.p$X? } {{}} {:0$} {:.*} {0:<5e} {:p}"),
        ("refused", "{:65536} {x y} {"),
    ] {
        write("format_spec", name, text.as_bytes());
    }
    let recipe = |ops: &[u8], window: u8| {
        let length = u16::try_from(ops.len()).unwrap().to_le_bytes();
        [&length[..], ops, &[window]].concat()
    };
    write("segment_scan", "records", &recipe(&[0x1c, 1, 2, 3, 4, 0x2d, 1, 2, 3, 4, 5, 6, 7, 8, 0x0e, 0x0f], 1));
    write(
        "segment_scan",
        "damaged",
        &recipe(&[0x1c, 1, 2, 3, 4, 6, 4, 0x1c, 1, 2, 3, 4, 5, 0x11, 9, 9, 9, 9, 0x0d], 2),
    );
    write(
        "segment_scan",
        "own",
        &recipe(&[0x17, 4, 0, 0, 0, 0x18, 5, 0, 0, 0, 0x19, 10, 0, 0, 0, 0x1a, 8, 0, 0, 0], 3),
    );
    write("segment_recover", "bits", &[0, 200, 0, 3, 0, 0, 44, 1, 7, 0, 0, 20, 0, 1, 0]);
    write("segment_recover", "pages", &[2, 1, 0, 0, 0, 3, 1, 0, 2, 0, 4, 2, 0, 0, 0]);
    write("segment_recover", "header", &[2, 0, 0, 0, 0, 5, 0, 16, 150, 0, 1, 0, 40, 0, 0]);
    write("rotation", "lines", &[4, 0, 100, 5, 0, 8, 0, 9, 0, 0, 255, 5, 0, 0, 255, 5, 0, 8, 0, 9, 0]);
    write("rotation", "crash", &[5, 0, 100, 5, 0, 11, 0x25, 0, 64, 5, 0, 8, 0, 9, 0, 0, 200, 5, 0]);
    let mut cursor = Vec::new();
    let place = crate::view::ProcessCursor { process: [3; 16], segment: 7, offset: 640 };
    crate::view::Cursor { processes: vec![place], merge: vec![1; 72] }.encode(&mut cursor);
    write("view_cursor", "cursor", &cursor);
    write("view_cursor", "page", &[1, 8, 0, 5, 16, 0, 2, 24, 0, 255, 64, 1, 9]);
    // Magic, slots and size of segments; the slots' words; a segment's header; the ring's indices; the table.
    write("control_page", "identity", &[0, 0, 0, 0, 5, 0, 0, 52, 0, 3, 0, 0, 56, 0, 4]);
    write("control_page", "slots", &[9, 0, 0, 5, 1, 0, 64, 5, 2, 0, 128, 5, 3, 1, 0, 16, 0]);
    write("control_page", "segment", &[3, 1, 0, 0, 2, 2, 0, 8, 3, 3, 1, 0, 4]);
    write("control_page", "ring", &[20, 5, 0, 128, 1, 5, 1, 0, 2, 5, 1, 8, 3, 4, 0, 8, 1]);
    // Settings, then steps: pause, what, and what it takes.
    let step = |what: u8, more: &[u8]| [&[0, 0, what][..], more].concat();
    let (log, work) = (step(0, &[0, 0, 0, 40, 1, 44]), step(15, &[0]));
    let death =
        [&[5][..], &log, &step(8, &[0]), &step(25, &[4, 30]), &work, &log, &step(15, &[0]), &step(28, &[0])].concat();
    let full = [&[45][..], &log, &step(8, &[0]), &step(27, &[0, 100]), &work, &log, &step(30, &[1, 0]), &work].concat();
    write("simulator", "death", &death);
    write("simulator", "full", &full);
    write("canary", "near", b"TACO");
}

#[test]
fn segment_pack_holds_for_its_corpus() {
    replay("segment_pack", segment_pack);
}

proptest! {
    #[test]
    fn segment_scan_holds(ops in proptest::collection::vec(any::<u8>(), 0..400), window: u8) {
        let mut data = u16::try_from(ops.len()).unwrap().to_le_bytes().to_vec();
        data.extend(ops);
        data.push(window);
        segment_scan(&data);
    }

    #[test]
    fn segment_recover_holds(data in proptest::collection::vec(any::<u8>(), 0..60)) {
        segment_recover(&data);
    }

    #[test]
    fn segment_pack_holds(
        recipe in proptest::collection::vec(any::<u8>(), 0..400),
        changes in proptest::collection::vec(any::<u8>(), 0..24),
        damage in proptest::collection::vec(any::<u8>(), 0..12),
        body in proptest::collection::vec(prop_oneof![0_u8..4, any::<u8>()], 0..60),
    ) {
        let part = |bytes: &[u8]| [&u16::try_from(bytes.len()).unwrap().to_le_bytes(), bytes].concat();
        segment_pack(&[part(&recipe), part(&changes), part(&damage), body].concat());
    }

    #[test]
    fn format_spec_holds(text in "[{}:.*$#0-9a-z<>^?+ é-]{0,24}") {
        format_spec(text.as_bytes());
    }

    #[test]
    fn record_decode_holds_for_changed_definitions(
        changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
        payload in proptest::collection::vec(prop_oneof![4 => 0_u8..2, 1 => any::<u8>()], 0..80),
    ) {
        let encoded = tachograph::__encode!(1000; "{:?} {} {:>2$}", (1_u8, [Some("x"); 2]), 5_u64, 3);
        let mut definition = encoded.definition;
        for (index, value) in changes {
            let at = index.index(definition.len());
            definition[at] = value;
        }
        let mut data = u16::try_from(definition.len()).unwrap().to_le_bytes().to_vec();
        data.extend(definition);
        data.extend(payload);
        record_decode(&data);
    }
}
