//! Builds journals, for the tests of the reader and of `tacho`.
#![allow(dead_code, unreachable_pub, missing_docs, reason = "shared by tests that need different parts of it")]

use tachograph::Level;
use tachograph::callsite::{FieldInfo, SiteInfo};
use tachograph::record::definition::encode_site;
use tachograph::segment::append::encode_frame;
use tachograph::segment::layout::{Header, Kind, WRITER_RING};
use tachograph::value::{Type, Types};

pub const SITE: u32 = 7;
pub const SITE_OF_COMPONENT: u32 = 8;
pub const SITE_ERROR: u32 = 9;
pub const COMPONENT: u32 = 3;
/// 2026-11-20T12:00:00Z
pub const START_NS: i64 = 1_795_176_000_000_000_000;

/// A segment under construction, and those before it.
#[derive(Clone)]
pub struct JournalBuilder {
    pub header: Header,
    pub bytes: Vec<u8>,
    pub done: Vec<(u64, Vec<u8>)>,
    pub records: u64,
    /// The newest tick, which the next segment's header has.
    pub newest: u64,
    /// Calls of each ring.
    calls: [u32; 4],
    threads: Vec<(u16, String)>,
}

impl JournalBuilder {
    pub fn new(process: u8) -> Self {
        let header = Header {
            process: [process; 16],
            number: 1,
            salt: 0x5a17 + u32::from(process),
            ticks: 0,
            unix_ns: START_NS,
            ticks_per_s: 1_000_000_000,
            boot: [1; 16],
            flags: 0,
        };
        let mut journal = Self {
            header,
            bytes: Vec::new(),
            done: Vec::new(),
            records: 0,
            newest: 0,
            calls: [0; 4],
            threads: Vec::new(),
        };
        journal.threads = (0..4).map(|ring| (ring, format!("thread-{ring}"))).collect();
        journal.begin();
        journal
    }

    fn begin(&mut self) {
        self.bytes = self.header.encode().to_vec();
        let anchor = [START_NS.to_le_bytes(), (1_u64 << 32).to_le_bytes()].concat();
        self.own(Kind::Anchor, 0, &anchor);
        self.own(Kind::Site, 0, &definition(SITE, Level::Info, Some("trades::kraken")));
        self.own(Kind::Site, 0, &definition(SITE_OF_COMPONENT, Level::Warn, None));
        self.own(Kind::Site, 0, &definition(SITE_ERROR, Level::Error, Some("risk")));
        let name = b"oms";
        let component = [&COMPONENT.to_le_bytes()[..], &(name.len() as u32).to_le_bytes(), name].concat();
        self.own(Kind::Component, 0, &component);
        for (ring, name) in self.threads.clone() {
            let bytes = name.len() as u16;
            let tid = 1000 + u32::from(ring);
            let thread = [&ring.to_le_bytes()[..], &bytes.to_le_bytes(), &tid.to_le_bytes(), name.as_bytes()].concat();
            // As if the name had come before the first call.
            let (kind, named) = (Kind::Thread as u32, u32::MAX);
            encode_frame(&mut self.bytes, self.header.salt, WRITER_RING, 0, kind, named, &thread);
        }
    }

    pub fn own(&mut self, kind: Kind, ticks: u64, payload: &[u8]) {
        encode_frame(&mut self.bytes, self.header.salt, WRITER_RING, ticks, kind as u32, 0, payload);
    }

    /// A record whose message is `order <n>`.
    pub fn record(&mut self, ring: u16, ticks: u64, n: u64) {
        self.record_of(SITE, ring, ticks, &payload(n));
    }

    pub fn record_of(&mut self, site: u32, ring: u16, ticks: u64, payload: &[u8]) {
        let mut none = 0;
        let seq = self.calls.get_mut(usize::from(ring)).unwrap_or(&mut none);
        encode_frame(&mut self.bytes, self.header.salt, ring, ticks, site, *seq, payload);
        *seq += 1;
        self.records += 1;
        self.newest = self.newest.max(ticks);
    }

    /// Calls that leave nothing.
    pub fn lose(&mut self, ring: u16, count: u32) {
        self.calls.iter_mut().skip(usize::from(ring)).take(1).for_each(|calls| *calls += count);
    }

    /// The number of the ring's next call.
    pub fn next_call(&self, ring: u16) -> u32 {
        self.calls.get(usize::from(ring)).copied().unwrap_or_default()
    }

    pub fn watermark(&mut self, ticks: u64) {
        self.own(Kind::Watermark, ticks, &[]);
    }

    /// Seals the segment and begins the next.
    pub fn roll(&mut self) {
        self.own(Kind::Seal, 0, &[0; 32]);
        self.done.push((self.header.number, std::mem::take(&mut self.bytes)));
        self.header.number += 1;
        self.header.ticks = self.newest;
        self.header.unix_ns = START_NS.saturating_add_unsigned(self.newest);
        self.header.salt = self.header.salt.wrapping_mul(31).wrapping_add(1);
        self.begin();
    }

    /// All segments, the growing one last.
    pub fn segments(&self) -> Vec<(u64, Vec<u8>)> {
        let mut all = self.done.clone();
        all.push((self.header.number, self.bytes.clone()));
        all
    }
}

/// The payload of a record without a component.
pub fn payload(n: u64) -> Vec<u8> {
    [n.to_le_bytes(), (n * 2).to_le_bytes()].concat()
}

/// A definition: message `order {}`, field `qty`, both `u64`.
pub fn definition(id: u32, level: Level, target: Option<&'static str>) -> Vec<u8> {
    const TYPES: Types =
        Types { first: Some((&Type::U64, &Types { first: Some((&Type::U64, &Types { first: None })) })) };
    let info = SiteInfo {
        level,
        target,
        module: "bot::trades",
        file: "src/trades.rs",
        line: 12,
        column: 5,
        format: "order {}",
        fields: &[FieldInfo { name: "qty", debug: false }],
    };
    let mut bytes = vec![0; encode_site(id, &info, &TYPES, &mut [])];
    encode_site(id, &info, &TYPES, &mut bytes);
    bytes
}
