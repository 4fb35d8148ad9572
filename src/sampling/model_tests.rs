//! The sampler against the simplest thing that could do the same: one bucket for each identity, no table, no memory.

use super::catalogue::{Catalogue, Definitions};
use super::rules::{Bucket, Class, Rules, Sameness, Share};
use super::sampler::{Sampler, Verdict};
use crate::callsite::{FieldInfo, SiteInfo};
use crate::level::Level;
use crate::record::definition::encode_site;
use crate::segment::append::encode_frame;
use crate::shm::words::Words;
use crate::sys::map::Mapping;
use crate::value::{Type, Types};
use proptest::prelude::*;
use std::collections::HashMap;

pub(crate) fn words(bytes: usize) -> Mapping {
    let file = crate::sys::file::memory_file(c"sampling", bytes).unwrap();
    Mapping::shared(&file, bytes).unwrap()
}

pub(crate) fn rules() -> Rules {
    Rules {
        per_interval: 3,
        interval: 100,
        burst: 4,
        sameness: Sameness::Arguments,
        spared_level: Level::Error as u8,
        spared: vec!["audit".into()],
        shares: vec![("ticks".into(), Share::Every(5)), ("book".into(), Share::Probability(u64::MAX / 4))],
        seed: 1,
    }
}

fn sampler(rules: &Rules, entries: usize) -> Sampler {
    let dimensions = Sampler::dimensions(rules, entries, 64);
    Sampler::create(Words::new(words(dimensions.bytes())), dimensions, rules.clone()).unwrap()
}

/// Call sites 1 to 6; 5 and 6 name a component, number 1 or 2, in each record.
const SITES: [(Level, Option<&str>); 6] = [
    (Level::Info, Some("feed")),
    (Level::Error, Some("feed")),
    (Level::Info, Some("ticks::btc")),
    (Level::Info, Some("book")),
    (Level::Info, None),
    (Level::Error, None),
];
const COMPONENTS: [&str; 2] = ["audit", "risk"];

#[derive(Default)]
struct Known(Vec<u8>);

impl Definitions for Known {
    fn site(&mut self, number: u32) -> Option<&[u8]> {
        let (level, target) = *SITES.get(number.checked_sub(1)? as usize)?;
        const FIELD: &[FieldInfo] = &[FieldInfo { name: "symbol", debug: false }];
        let info = SiteInfo { level, target, module: "m", file: "f", line: 1, column: 1, format: "{}", fields: FIELD };
        const TYPES: Types =
            Types { first: Some((&Type::U32, &Types { first: Some((&Type::U32, &Types { first: None })) })) };
        let mut bytes = vec![0; encode_site(number, &info, &TYPES, &mut [])];
        encode_site(number, &info, &TYPES, &mut bytes);
        bytes.resize(bytes.len().next_multiple_of(8), 0);
        self.0 = bytes;
        Some(&self.0)
    }

    fn component(&mut self, number: u32) -> Option<&str> {
        COMPONENTS.get(number.checked_sub(1)? as usize).copied()
    }
}

/// A call: what it says, and how many ticks after the last one.
#[derive(Clone, Copy, Debug)]
struct Call {
    site: u32,
    ring: u16,
    component: u32,
    argument: u32,
    symbol: u32,
    pause: u64,
}

impl Call {
    fn dynamic(self) -> bool {
        self.site >= 5
    }

    fn frame(self, seq: u32, ticks: u64) -> Vec<u8> {
        let mut payload = Vec::new();
        if self.dynamic() {
            payload.extend(self.component.to_le_bytes());
        }
        payload.extend(self.argument.to_le_bytes());
        payload.extend(self.symbol.to_le_bytes());
        let mut frame = Vec::new();
        encode_frame(&mut frame, 0, self.ring, ticks, self.site, seq, &payload);
        frame
    }

    fn class(self, rules: &Rules) -> Class {
        let (level, target) = SITES[self.site as usize - 1];
        if rules.spares(level) {
            return Class::Spared;
        }
        rules.class(target.unwrap_or_else(|| COMPONENTS[self.component as usize - 1]))
    }

    fn identity(self, sameness: &Sameness) -> (u32, u32, u32, u32) {
        let component = if self.dynamic() { self.component } else { 0 };
        match sameness {
            Sameness::Arguments => (self.site, component, self.argument, self.symbol),
            Sameness::Site => (self.site, component, 0, 0),
            Sameness::Field(_) => (self.site, component, 0, self.symbol),
        }
    }
}

fn call() -> impl Strategy<Value = Call> {
    (1..=6_u32, 0..3_u16, 1..=2_u32, 0..2_u32, 0..2_u32, prop_oneof![8 => 0..4_u64, 1 => 50..300_u64]).prop_map(
        |(site, ring, component, argument, symbol, pause)| Call { site, ring, component, argument, symbol, pause },
    )
}

/// What came of calls: which were written, and the counts of the summaries by site.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Outcome {
    written: Vec<usize>,
    summaries: Vec<(u32, u32, u64)>,
}

fn take_summary(sampler: &mut Sampler, entry: usize, outcome: &mut Outcome) {
    let summary = sampler.summary(entry).unwrap();
    let (cause, count) = {
        let payload = sampler.payload();
        (crate::segment::layout::u32_at(payload, 4), crate::segment::layout::u64_at(payload, 8))
    };
    assert_eq!(sampler.begin_summary(entry), outcome.summaries.len() as u32 + 1);
    sampler.end_summary(entry);
    outcome.summaries.push((summary.site, cause, count));
}

fn run(sampler: &mut Sampler, calls: &[Call], rules: &Rules) -> Outcome {
    let mut outcome = Outcome::default();
    let (mut catalogue, mut known) = (Catalogue::default(), Known::default());
    let (mut ticks, mut called) = (1000, HashMap::<u16, u64>::new());
    for (number, call) in calls.iter().enumerate() {
        ticks += call.pause;
        let called = called.entry(call.ring).or_default();
        *called += 1;
        let frame = call.frame(*called as u32 - 1, ticks);
        loop {
            let verdict = match catalogue.subject(rules, &mut known, &frame, *called) {
                None => sampler.pass(),
                Some(subject) => sampler.judge(&subject),
            };
            match verdict {
                Verdict::Summary(entry) => take_summary(sampler, entry, &mut outcome),
                Verdict::Write => {
                    sampler.apply();
                    outcome.written.push(number);
                    break;
                }
                Verdict::LeaveOut => {
                    sampler.apply();
                    break;
                }
            }
        }
        if call.pause > 100 {
            while let Some(entry) = sampler.next_due(ticks) {
                take_summary(sampler, entry, &mut outcome);
            }
        }
    }
    for ring in 0..3 {
        let called = called.get(&ring).copied().unwrap_or(0);
        let written = outcome.written.iter().filter(|number| calls[**number].ring == ring).count() as u64;
        assert_eq!(called, written + sampler.left_out(ring), "conservation on ring {ring}");
    }
    while let Some(entry) = sampler.next_due(u64::MAX) {
        take_summary(sampler, entry, &mut outcome);
    }
    assert!(!sampler.owes());
    outcome
}

/// Which calls are written where the table never runs out.
fn model(calls: &[Call], rules: &Rules) -> Vec<usize> {
    let mut buckets: HashMap<_, Bucket> = HashMap::new();
    let (mut ticks, mut turn) = (1000, 0);
    let mut written = Vec::new();
    for (number, call) in calls.iter().enumerate() {
        ticks += call.pause;
        let writes = match call.class(rules) {
            Class::Spared => true,
            Class::Repeat => {
                let identity = call.identity(&rules.sameness);
                let bucket = buckets.entry(identity).or_insert_with(|| Bucket::full(rules, ticks));
                let (next, writes) = bucket.take(rules, ticks);
                *bucket = next;
                writes
            }
            Class::Share(_, Share::Every(of)) => {
                turn += 1;
                (turn - 1) % of == 0
            }
            // Not modelled: taken from the sampler's own outcome.
            Class::Share(..) => continue,
        };
        if writes {
            written.push(number);
        }
    }
    written
}

fn sameness() -> impl Strategy<Value = Sameness> {
    prop_oneof![
        Just(Sameness::Arguments),
        Just(Sameness::Site),
        Just(Sameness::Field("symbol".into())),
        Just(Sameness::Field("other".into())),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn the_sampler_writes_what_a_bucket_for_each_identity_would(
        calls in prop::collection::vec(call(), 0..300), sameness in sameness()
    ) {
        let mut rules = Rules { sameness, ..rules() };
        let outcome = run(&mut sampler(&rules, 1024), &calls, &rules);
        prop_assert_eq!(&run(&mut sampler(&rules, 1024), &calls, &rules), &outcome, "same input, same output");
        let told: u64 = outcome.summaries.iter().map(|(_, _, count)| count).sum();
        prop_assert_eq!(outcome.written.len() as u64 + told, calls.len() as u64);
        // A message without the field is told apart by all its arguments.
        if rules.sameness == Sameness::Field("other".into()) {
            rules.sameness = Sameness::Arguments;
        }
        let modelled: Vec<usize> =
            outcome.written.iter().copied().filter(|number| calls[*number].site != 4).collect();
        prop_assert_eq!(modelled, model(&calls, &rules));
    }

    #[test]
    fn a_table_that_is_too_small_writes_more_but_loses_no_count(
        calls in prop::collection::vec((call(), 0..1000_u32), 0..400)
    ) {
        let rules = rules();
        let calls: Vec<Call> =
            calls.into_iter().map(|(call, number)| Call { argument: call.argument * number, ..call }).collect();
        let outcome = run(&mut sampler(&rules, 8), &calls, &rules);
        let told: u64 = outcome.summaries.iter().map(|(_, _, count)| count).sum();
        prop_assert_eq!(outcome.written.len() as u64 + told, calls.len() as u64);
    }
}

#[test]
fn a_share_by_probability_depends_on_the_seed_the_ring_and_the_call_only() {
    let call = Call { site: 4, ring: 1, component: 1, argument: 0, symbol: 0, pause: 1 };
    let calls: Vec<Call> = (0..4000).map(|number| Call { argument: number, ..call }).collect();
    let of = |seed: u64| {
        let rules = Rules { seed, ..rules() };
        run(&mut sampler(&rules, 8), &calls, &rules).written
    };
    let written = of(1);
    assert!((800..1200).contains(&written.len()), "a quarter of 4000, and not {}", written.len());
    assert_eq!(of(1), written);
    assert_ne!(of(2), written);
    let others: Vec<Call> = calls.iter().map(|call| Call { argument: 7, pause: 0, ..*call }).collect();
    let rules = rules();
    assert_eq!(run(&mut sampler(&rules, 8), &others, &rules).written, written, "what is said does not matter");
}

#[test]
fn memory_that_is_no_state_of_sampling_is_refused() {
    let bytes = Sampler::dimensions(&rules(), 8, 64).bytes();
    assert!(Sampler::adopt(Words::new(words(bytes)), None).is_none(), "never finished");
    assert!(Sampler::adopt(Words::new(words(64)), None).is_none(), "too short");
}
