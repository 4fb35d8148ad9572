use super::*;
use crate::callsite::SiteInfo;
use crate::reader::testing::JournalBuilder;
use crate::record::definition::encode_site;
use crate::segment::append::encode_frame;
use crate::value::{Type, Types};
use std::io::Read as _;

const GZIP: Codec = Codec::Gzip(3);

/// A segment of about so many bytes: orders of three threads.
fn segment(bytes: usize) -> Vec<u8> {
    let mut journal = JournalBuilder::new(1);
    let mut n = 0;
    while journal.bytes.len() < bytes {
        journal.record((n % 3) as u16, n * 26 + 1, n);
        n += 1;
    }
    journal.roll();
    journal.done.remove(0).1
}

fn gunzip(file: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    flate2::read::MultiGzDecoder::new(file).read_to_end(&mut out).unwrap();
    out
}

#[test]
fn a_segment_comes_back_and_the_file_is_gzip() {
    for bytes in [0, 1, 127, 128, 129, 5_000, 300_000, 2_500_000] {
        let mut segment = segment(bytes.max(1000));
        segment.truncate(bytes.max(usize::from(bytes > 1000) * segment.len()));
        let file = pack(&segment, GZIP).unwrap();
        assert_eq!(unpack(&file).unwrap(), segment, "{bytes}");
        assert!(file.len() < 100 + segment.len() / 8 || bytes < 1000, "{bytes}: {}", file.len());
        gunzip(&file);
    }
}

#[test]
fn blocks_say_what_they_hold() {
    let segment = segment(2_500_000);
    let file = pack(&segment, GZIP).unwrap();
    let (mut rest, mut at, mut records, mut blocks) = (file.as_slice(), 0, 0, Vec::new());
    while !rest.is_empty() {
        let index = Index::find_at(rest).unwrap();
        let member = &rest[..index.member_bytes as usize];
        rest = &rest[member.len()..];
        let mut piece = Vec::new();
        Member::new(index, member).unwrap().unpack(&mut piece).unwrap();
        if index.spare {
            assert!(rest.is_empty() && Header::decode(&piece) == Header::decode(&segment));
            assert_eq!(index.outline.records, 0);
            continue;
        }
        assert_eq!(piece, segment[at..at + index.raw_bytes as usize]);
        at += piece.len();
        records += u64::from(index.outline.records);
        blocks.push(index.outline);
    }
    assert_eq!(blocks.len(), 3);
    assert!(blocks.windows(2).all(|pair| pair[0].ticks.1 < pair[1].ticks.0 + 100));
    assert!(blocks[0].levels & SAID != 0 && blocks[1].levels & SAID == 0, "definitions stand in the first block");
    let count = Scanner::new(&segment[HEADER_BYTES..], 128, blocks_salt(&segment), Tail::Final)
        .filter(|item| matches!(item, Item::Frame { frame, .. } if frame.ring != WRITER_RING))
        .count();
    assert_eq!(records, count as u64);
}

fn blocks_salt(segment: &[u8]) -> u32 {
    Header::decode(segment).unwrap().salt
}

#[test]
fn what_is_no_frame_is_carried() {
    let whole = segment(100_000);
    let mut damaged = whole.clone();
    damaged[0] ^= 1;
    for at in (200..damaged.len()).step_by(977) {
        damaged[at] ^= 0x40;
    }
    // With a header that is no header the salt is in the frames.
    let file = pack(&damaged, GZIP).unwrap();
    assert_eq!(unpack(&file).unwrap(), damaged);
    assert!(file.len() < damaged.len() / 2);
    let mut state = 7_u64;
    let noise: Vec<u8> = std::iter::repeat_with(|| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 56) as u8
    })
    .take(10_000)
    .collect();
    assert_eq!(unpack(&pack(&noise, GZIP).unwrap()).unwrap(), noise);
    // At level 1 what cannot be compressed grows.
    for level in 1..=9 {
        assert_eq!(unpack(&pack(&noise, Codec::Gzip(level)).unwrap()).unwrap(), noise, "level {level}");
    }
    let zeros = vec![0; 3_000_001];
    assert_eq!(unpack(&pack(&zeros, GZIP).unwrap()).unwrap(), zeros);
}

#[test]
fn a_site_that_is_defined_anew_with_other_types() {
    let segment = segment(1000);
    let salt = blocks_salt(&segment);
    let sites: Vec<Vec<u8>> = Scanner::new(&segment[HEADER_BYTES..], 128, salt, Tail::Final)
        .filter_map(|item| match item {
            Item::Frame { frame, .. } if frame.kind() == Some(Kind::Site) => Some(frame.payload.to_vec()),
            _ => None,
        })
        .collect();
    let mut bytes = segment;
    for (turn, definition) in sites.iter().cycle().take(30).enumerate() {
        let mut definition = definition.clone();
        definition[..4].copy_from_slice(&7_u32.to_le_bytes());
        encode_frame(&mut bytes, salt, WRITER_RING, 1, Kind::Site as u32, 0, &definition);
        for seq in 0..20 {
            encode_frame(&mut bytes, salt, 1, 5, 7, seq, &vec![turn as u8; seq as usize]);
        }
    }
    assert_eq!(unpack(&pack(&bytes, GZIP).unwrap()).unwrap(), bytes);
}

#[test]
fn every_flipped_bit_of_a_file_is_noticed() {
    let segment = segment(3_000);
    let file = pack(&segment, GZIP).unwrap();
    for bit in 0..file.len() * 8 {
        let mut flipped = file.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        let back = unpack(&flipped);
        assert!(back.is_none_or(|back| back == segment), "bit {bit}");
    }
    for end in 0..file.len() {
        assert!(unpack(&file[..end]).is_none(), "the first {end} bytes");
    }
}

/// A segment in which every form of column has its field, and damage has its place.
fn rich() -> Vec<u8> {
    const END: Types = Types { first: None };
    const OPTION: Types = Types { first: Some((&Type::Option(&Type::U32), &END)) };
    const SMALL: Types = Types { first: Some((&Type::U8, &OPTION)) };
    const NAME: Types = Types { first: Some((&Type::Str, &SMALL)) };
    const TEXT: Types = Types { first: Some((&Type::Str, &NAME)) };
    const NOISE: Types = Types { first: Some((&Type::F64, &TEXT)) };
    const PRICE: Types = Types { first: Some((&Type::F64, &NOISE)) };
    const ID: Types = Types { first: Some((&Type::U64, &PRICE)) };
    let info = SiteInfo {
        level: crate::level::Level::Warn,
        target: None,
        module: "bot",
        file: "src/bot.rs",
        line: 1,
        column: 2,
        format: "{} {} {} {} {} {} {:?}",
        fields: &[],
    };
    let mut definition = vec![0; encode_site(20, &info, &ID, &mut [])];
    encode_site(20, &info, &ID, &mut definition);
    let mut journal = JournalBuilder::new(1);
    journal.own(Kind::Site, 1, &definition);
    let (mut ticks, mut state) = (1_000_000, 7_u64);
    for n in 0..900_u64 {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let dice = state >> 33;
        ticks += 26 * (1 + dice % 50);
        let price = (1_054_336 + dice as i64 % 4001 - 2000) as f64 / 10.0;
        let noise = if n == 77 { f64::NAN } else { f64::from_bits(0x3ff0_0000_0000_0000 | state >> 12) };
        let [text, name] = [["BTC/USDT", "ETH/USDT"][dice as usize % 2].to_owned(), format!("order-{dice:08x}")];
        let mut payload = Vec::new();
        payload.extend(3_u32.to_le_bytes());
        payload.extend((50_000 + n * 3 + dice % 3).to_le_bytes());
        payload.extend(price.to_le_bytes());
        payload.extend(noise.to_le_bytes());
        for text in [&text, &name] {
            payload.extend((text.len() as u32).to_le_bytes());
            payload.extend(text.as_bytes());
        }
        payload.push(dice as u8 % 5);
        if dice % 3 == 0 {
            payload.push(0)
        } else {
            payload.extend([1, dice as u8, 0, 0, 0])
        }
        journal.record_of(20, (dice % 3) as u16, ticks, &payload);
        match n % 100 {
            // Shorter than its fields.
            13 => journal.record_of(20, 1, ticks, &[9; 20]),
            // Of a site that nobody defined, and calls that left nothing.
            14 => journal.record_of(99, 2, ticks, &[9; 33]),
            15 => journal.lose(0, 3),
            16 => journal.watermark(ticks),
            _ => journal.record(3, ticks, n),
        }
    }
    journal.roll();
    let mut segment = journal.done.remove(0).1;
    segment[30_000..30_100].fill(0xa5);
    segment.extend([1, 2, 3]);
    segment
}

#[test]
fn fields_of_each_kind_come_back() {
    let segment = rich();
    let file = pack(&segment, GZIP).unwrap();
    assert!(unpack(&file).unwrap() == segment);
    let plain = gzip(&segment);
    assert!(2 * file.len() < plain, "{} bytes, and {plain} without", file.len());
    #[cfg(feature = "zstd")]
    assert!(unpack(&pack(&segment, Codec::Zstd(3)).unwrap()).unwrap() == segment);
}

/// Bytes of it compressed as it is.
fn gzip(bytes: &[u8]) -> usize {
    use std::io::Write as _;
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::new(3));
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap().len()
}

/// The form of version 1: what was packed then must be readable for ever. What this version packs may differ, so the file
/// is made again only on purpose: `TACHO_GOLDEN=write`.
#[test]
fn files_of_version_1_are_readable() {
    let data = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data");
    let [packed, sum] = ["packed-v1.seg.gz", "packed-v1.seg.crc32c"].map(|name| data.join(name));
    let crc = |segment: &[u8]| format!("{:08x} {}\n", crc32c::crc32c(segment), segment.len());
    if std::env::var_os("TACHO_GOLDEN").is_some_and(|value| value == "write") {
        std::fs::write(&packed, pack(&rich(), GZIP).unwrap()).unwrap();
        std::fs::write(&sum, crc(&rich())).unwrap();
    }
    assert_eq!(crc(&unpack(&std::fs::read(packed).unwrap()).unwrap()), std::fs::read_to_string(sum).unwrap());
}

#[test]
fn what_only_a_sieve_makes_is_carried_as_it_is() {
    let mut segment = segment(50_000);
    let salt = blocks_salt(&segment);
    let mut passed = vec![9; 800];
    sieve::fill(&mut passed, salt).unwrap();
    segment.extend_from_slice(&passed);
    assert_eq!(unpack(&pack(&segment, GZIP).unwrap()).unwrap(), segment);
}

/// Wants some rows of every call site.
struct Want(Rows, u64);

impl Sieve for Want {
    fn hear(&mut self, _: Option<Kind>, _: &[u8]) {
        self.1 += 1;
    }

    fn rows(&mut self, _: u32) -> Rows {
        self.0.clone()
    }
}

#[test]
fn a_sieve_leaves_what_is_wanted_where_it_stood() {
    let mut segment = segment(300_000);
    // A gap, and a frame behind it whose neighbours are wanted or not.
    let damaged = 150_000..150_004;
    segment[damaged].fill(0xa5);
    let salt = blocks_salt(&segment);
    let frames = |bytes: &[u8]| -> Vec<(u64, u32, u16, u32, u64, Vec<u8>)> {
        let items = Scanner::new(&bytes[HEADER_BYTES..], HEADER_BYTES as u64, salt, Tail::Final).sifted();
        let mut damage = 0;
        let frames = items
            .filter_map(|item| match item {
                Item::Frame { offset, frame } => {
                    Some((offset, frame.site, frame.ring, frame.seq, frame.ticks, frame.payload.to_vec()))
                }
                Item::Damage { bytes, .. } => {
                    damage += bytes;
                    None
                }
            })
            .collect();
        assert!((1..1000).contains(&damage), "{damage}: the gap, and nothing else");
        frames
    };
    let passed = |(_, site, ring, ..): &&(u64, u32, u16, u32, u64, Vec<u8>)| {
        *ring == WRITER_RING && *site == Kind::Passed as u32
    };
    let (all, file) = (frames(&segment), pack(&segment, GZIP).unwrap());
    let index = Index::find_at(&file).unwrap();
    let member = Member::new(index, &file[..index.member_bytes as usize]).unwrap();
    let order = |payload: &[u8]| u64_at(payload, 0);
    let wanted: Vec<u64> = (0..5_000).filter(|n| n % 97 < 2).collect();
    let test = |values| Rows::Where(vec![Test { field: 0, values }]);
    type Keeps<'a> = &'a dyn Fn(&[u8]) -> bool;
    let cases: [(Rows, Keeps<'_>); 7] = [
        (Rows::All, &|_| true),
        (Rows::None, &|_| false),
        (test(Values::Integers(8, wanted.clone())), &|payload| wanted.contains(&order(payload))),
        (test(Values::IntegersBut(8, wanted.clone())), &|payload| !wanted.contains(&order(payload))),
        (test(Values::IntegersBut(8, vec![])), &|_| true),
        // The field is none such: it tells nothing.
        (test(Values::Integers(4, vec![])), &|_| true),
        (Rows::Where(vec![Test { field: 99, values: Values::Texts(vec![]) }]), &|_| true),
    ];
    for (rows, keeps) in cases {
        let (mut out, mut want) = (vec![7; 3], Want(rows, 0));
        member.sift(&mut want, &mut out).unwrap();
        assert!(out.len() == 3 + segment.len() && want.1 > 2 && out[..3] == [7; 3]);
        let (sifted, expected) = (frames(&out[3..]), all.iter().filter(|it| it.2 == WRITER_RING || keeps(&it.5)));
        assert!(sifted.iter().filter(|it| !passed(it)).eq(expected), "{:?}", want.0);
        let said_nothing = sifted.iter().filter(passed).count();
        let whole = all.iter().all(|it| it.2 == WRITER_RING || keeps(&it.5));
        assert_eq!(said_nothing == 0, whole, "{:?}", want.0);
    }
}
