//! Which records are wanted: what the user wrote, resolved.

use crate::args::{Filter, Output};
use crate::matcher::{Manner, Matcher};
use crate::talk::Talk;
use crate::{invalid, when};
use jiff::Zoned;
use jiff::tz::TimeZone;
use std::io;
use tachograph::LevelFilter;
use tachograph::reader::record::{Body, RecordRef};
use tachograph::reader::wanted::{Value, Wanted};

/// A filter of records.
pub(crate) struct Select {
    wanted: Wanted,
    grep: Matcher,
    pub(crate) since_ns: Option<i64>,
    pub(crate) until_ns: Option<i64>,
    /// What the logger says itself is no message.
    messages_alone: bool,
    left_out: bool,
    found: bool,
}

impl Select {
    /// Resolves what the user wrote.
    pub(crate) fn new(filter: &Filter) -> io::Result<Self> {
        let now = if filter.utc { Zoned::now().with_time_zone(TimeZone::UTC) } else { Zoned::now() };
        let time = |option: &str, text: &Option<String>| {
            let parse = |text: &String| when::parse(text, &now).map_err(|why| invalid(format!("{option}: {why}")));
            text.as_ref().map(parse).transpose()
        };
        let mut grep = Matcher::new()?;
        if let Some(pattern) = &filter.grep {
            grep.add(&[pattern], Manner::default()).map_err(|why| invalid(format!("--grep: {why}")))?;
        }
        let (since_ns, until_ns) = (time("--since", &filter.since)?, time("--until", &filter.until)?);
        let all = Wanted::default();
        let wanted = Wanted {
            since_ns: since_ns.unwrap_or(all.since_ns),
            until_ns: until_ns.unwrap_or(all.until_ns),
            level: filter.priority.unwrap_or(LevelFilter::Trace),
            targets: filter.units.clone(),
            values: Vec::new(),
        };
        Ok(Self { wanted, grep, since_ns, until_ns, messages_alone: false, left_out: false, found: false })
    }

    /// Leaves out what an output of messages alone cannot show.
    #[must_use]
    pub(crate) fn only_messages(self, output: Output) -> Self {
        Self { messages_alone: output == Output::Raw, ..self }
    }

    /// Wants no records but those with these values, of which [`wants`](Self::wants) may still let others pass.
    pub(crate) fn only_with(&mut self, values: Vec<Value>) {
        self.wanted.values = values;
    }

    /// What readers may pass over.
    pub(crate) fn wanted(&self) -> Wanted {
        self.wanted.clone()
    }

    /// Whether a record is wanted.
    pub(crate) fn wants(&mut self, record: &RecordRef<'_>) -> bool {
        let Wanted { since_ns, until_ns, level, .. } = self.wanted;
        let wanted = (since_ns..=until_ns).contains(&record.unix_ns)
            && level.passes(record.level)
            && self.wanted.takes_target(record.target)
            && self.grep.matches(record);
        let left_out = wanted && self.messages_alone && !matches!(record.body, Body::Message { .. });
        self.left_out |= left_out;
        self.found |= wanted;
        wanted && !left_out
    }

    /// Says that something was wanted, but is no message.
    pub(crate) fn about(&self, talk: &mut Talk) {
        if self.left_out {
            talk.say(
                "losses, summaries or findings of health, which are no messages, are left out: -o text shows them"
                    .to_owned(),
            );
        }
    }

    /// Says that nothing was found of the targets that were named: they may be misspelt.
    pub(crate) fn about_units(&self, talk: &mut Talk) {
        let units = &self.wanted.targets;
        if !self.found && !units.is_empty() {
            talk.say(format!("nothing was found of {}; tacho stat names the targets", units.join(", ")));
        }
    }
}
