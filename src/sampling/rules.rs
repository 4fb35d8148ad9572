//! What is sampled, and how: the configuration in ticks, and as bytes for who recovers a dead process.

use crate::level::Level;
use crate::record::bytes::{Cursor, DecodeError, Sink};

/// What makes two messages the same.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Sameness {
    /// Call site and argument bytes.
    Arguments,
    /// Call site.
    Site,
    /// Call site and the bytes of the field with this name; argument bytes where there is none.
    Field(String),
}

/// Which records of a target are written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Share {
    /// The first of each so many.
    Every(u64),
    /// Those whose hash is at most this.
    Probability(u64),
}

/// What is sampled, and how.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Rules {
    /// Messages of one identity that an interval brings; 0: they are not limited.
    pub(crate) per_interval: u64,
    /// Ticks of an interval.
    pub(crate) interval: u64,
    /// Messages of one identity that may be saved up.
    pub(crate) burst: u64,
    /// What makes two messages the same.
    pub(crate) sameness: Sameness,
    /// Number of the least urgent level that is spared; 0 for none.
    pub(crate) spared_level: u8,
    /// Targets that are spared.
    pub(crate) spared: Vec<String>,
    /// Targets of which a share is written.
    pub(crate) shares: Vec<(String, Share)>,
    /// What hashes are seeded with.
    pub(crate) seed: u64,
}

/// By which rule a record is judged.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Class {
    /// By none: it is written.
    Spared,
    /// As a possible repeat.
    Repeat,
    /// By the rule of its target.
    Share(usize, Share),
}

impl Rules {
    /// The rule for records of `level`.
    pub(crate) fn spares(&self, level: Level) -> bool {
        level as u8 <= self.spared_level
    }

    /// The rule for records of `target`: that of its longest listed prefix that ends at a `::`.
    pub(crate) fn class(&self, target: &str) -> Class {
        let covers =
            |listed: &str| target.strip_prefix(listed).is_some_and(|rest| rest.is_empty() || rest.starts_with("::"));
        let spared = self.spared.iter().map(|listed| (listed.as_str(), Class::Spared));
        let shares = self.shares.iter().enumerate();
        let shares = shares.map(|(index, (listed, share))| (listed.as_str(), Class::Share(index, *share)));
        let found = shares.chain(spared).filter(|(listed, _)| covers(listed)).max_by_key(|(listed, _)| listed.len());
        let otherwise = if self.per_interval == 0 { Class::Spared } else { Class::Repeat };
        found.map_or(otherwise, |(_, class)| class)
    }

    /// The rules as bytes.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut bytes = vec![0; self.put(&mut [])];
        self.put(&mut bytes);
        bytes
    }

    fn put(&self, out: &mut [u8]) -> usize {
        let mut out = Sink::new(out);
        for word in [self.per_interval, self.interval, self.burst, self.seed] {
            out.put(&word.to_le_bytes());
        }
        let (tag, field) = match &self.sameness {
            Sameness::Arguments => (0, ""),
            Sameness::Site => (1, ""),
            Sameness::Field(name) => (2, name.as_str()),
        };
        out.put(&[self.spared_level, tag]);
        out.name(field);
        out.count(self.spared.len());
        self.spared.iter().for_each(|target| out.name(target));
        out.count(self.shares.len());
        for (target, share) in &self.shares {
            out.name(target);
            let (tag, number) = match share {
                Share::Every(number) => (0, number),
                Share::Probability(number) => (1, number),
            };
            out.put(&[tag]);
            out.put(&number.to_le_bytes());
        }
        out.bytes()
    }

    /// Reads what [`encode`](Self::encode) wrote.
    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut bytes = Cursor::new(bytes);
        let (per_interval, interval) = (bytes.u64()?, bytes.u64()?);
        let (burst, seed) = (bytes.u64()?, bytes.u64()?);
        let (spared_level, tag) = (bytes.u8()?, bytes.u8()?);
        let field = bytes.name()?.to_owned();
        let sameness = match tag {
            0 => Sameness::Arguments,
            1 => Sameness::Site,
            2 => Sameness::Field(field),
            _ => return Err(DecodeError::Unknown),
        };
        let count = bytes.u32()?;
        let spared = (0..count).map(|_| Ok(bytes.name()?.to_owned())).collect::<Result<_, _>>()?;
        let count = bytes.u32()?;
        let shares = (0..count).map(|_| {
            let target = bytes.name()?.to_owned();
            match (bytes.u8()?, bytes.u64()?) {
                (0, 0) => Err(DecodeError::Unknown),
                (0, number) => Ok((target, Share::Every(number))),
                (1, number) => Ok((target, Share::Probability(number))),
                _ => Err(DecodeError::Unknown),
            }
        });
        let shares = shares.collect::<Result<_, _>>()?;
        Ok(Self { per_interval, interval, burst, sameness, spared_level, spared, shares, seed })
    }
}

/// The tokens of one identity.
///
/// An interval begins with the first message after the last one ended. Each brings `per_interval` tokens, of which at
/// most `burst` are kept.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Bucket {
    pub(super) start: u64,
    pub(super) tokens: u64,
}

impl Bucket {
    /// That of an identity that was not seen before.
    pub(super) fn full(rules: &Rules, ticks: u64) -> Self {
        Self { start: ticks, tokens: rules.burst }
    }

    /// Whether the interval is over at `ticks`.
    pub(super) fn is_over(self, rules: &Rules, ticks: u64) -> bool {
        ticks.saturating_sub(self.start) >= rules.interval
    }

    /// What is left after a message at `ticks`, and whether that may be written.
    pub(super) fn take(mut self, rules: &Rules, ticks: u64) -> (Self, bool) {
        let intervals = ticks.saturating_sub(self.start) / rules.interval.max(1);
        if intervals > 0 {
            let brought = rules.per_interval.saturating_mul(intervals);
            self = Self { start: ticks, tokens: self.tokens.saturating_add(brought).min(rules.burst) };
        }
        match self.tokens.checked_sub(1) {
            Some(tokens) => (Self { tokens, ..self }, true),
            None => (self, false),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    pub(crate) fn rules() -> Rules {
        Rules {
            per_interval: 3,
            interval: 100,
            burst: 5,
            sameness: Sameness::Field("symbol".into()),
            spared_level: 2,
            spared: vec!["a".into(), "b::c".into()],
            shares: vec![("b".into(), Share::Every(10)), ("a::x".into(), Share::Probability(7))],
            seed: 9,
        }
    }

    #[test]
    fn rules_come_back_and_shortened_ones_are_an_error() {
        let bytes = rules().encode();
        assert_eq!(Rules::decode(&bytes), Ok(rules()));
        for len in 0..bytes.len() {
            assert!(Rules::decode(&bytes[..len]).is_err(), "{len}");
        }
    }

    #[test]
    fn the_longest_listed_prefix_decides() {
        let rules = rules();
        for (target, class) in [
            ("a", Class::Spared),
            ("a::b", Class::Spared),
            ("a::x::y", Class::Share(1, Share::Probability(7))),
            ("ab", Class::Repeat),
            ("b", Class::Share(0, Share::Every(10))),
            ("b::c", Class::Spared),
            ("b::cd", Class::Share(0, Share::Every(10))),
        ] {
            assert_eq!(rules.class(target), class, "{target}");
        }
        assert!(rules.spares(Level::Critical) && rules.spares(Level::Error) && !rules.spares(Level::Warn));
    }

    #[test]
    fn an_interval_brings_its_tokens_and_no_more_than_the_burst_is_kept() {
        let rules = rules();
        let mut bucket = Bucket::full(&rules, 1000);
        let mut written = |ticks: u64, calls: usize| {
            (0..calls)
                .filter(|_| {
                    let (next, admitted) = bucket.take(&rules, ticks);
                    bucket = next;
                    admitted
                })
                .count()
        };
        assert_eq!(written(1000, 10), 5, "the burst");
        assert_eq!(written(1099, 10), 0);
        assert_eq!(written(1100, 10), 3, "an interval's");
        assert_eq!(written(1000, 10), 0, "a clock that goes back brings nothing");
        assert_eq!(written(1201, 1), 1);
        assert_eq!(written(1301, 10), 5, "what was not used, up to the burst");
        assert_eq!(written(1_000_000, 10), 5);
    }
}
