//! Sampling: which records the writer leaves out and counts.
//!
//! Pure: ticks, bytes and a seed in, verdicts out. The same records in the same order, with the same rules, give the same
//! verdicts.
//!
//! * [`rules`]: what is sampled; the token bucket.
//! * [`catalogue`], [`subject`]: the rule of a record, and the bytes that are its identity.
//! * [`sampler`]: the table of identities, and the verdict over a record.
//! * [`memory`]: where the table stands in shared memory, and steps that a kill cannot split.
//!
//! # What is counted, and where it is told
//!
//! An entry of the table stands for an identity, or for the rule of a target. It counts the records that were left out;
//! a summary frame (`Kind::Suppressed`) tells how many, since when, and shows one of them; then the count starts again. A
//! summary is due when the entry's interval ends, when the entry is needed for another identity, at a flush, and at the
//! end of the journal. So at every moment: calls = records written + summaries + counts in the table + drops, and at
//! the end the counts are 0. Summaries are never sampled, and not written means not forgotten: without room in the
//! journal the count stays.
//!
//! # What a kill leaves
//!
//! The table outlives the process; recovery, the writer's successor, goes on with it. Each change has one store that makes
//! it so:
//!
//! | what | done when | a kill before that | a kill behind that |
//! |---|---|---|---|
//! | a record is written | its frame is published | it is judged again, in the same state: the same verdict | the frame is in the newest segment, and the ring's stamp is before it: its step (token, stamp) is done again ([`Sampler::judge`], [`Sampler::apply`]) |
//! | a record is left out | its step is valid: count, stamp of the ring | it is judged again | the step is completed; the stamp says that the record is accounted for |
//! | a summary is written | its frame is published | the intent is forgotten | the newest segment's last summary has the intent's number: the count is zeroed ([`Sampler::adopt`]) |
//!
//! Between publishing a frame and the step that belongs to it nothing else is appended and no segment is rotated, so
//! the newest segment tells. A record's place in its ring is given back after its step, so what has no step is still there.

pub(crate) mod catalogue;
pub(crate) mod memory;
#[cfg(test)]
mod model_tests;
pub(crate) mod place;
pub(crate) mod rules;
pub(crate) mod sampler;
pub(crate) mod subject;

pub(crate) use catalogue::Catalogue;
pub(crate) use memory::CAUSES;
pub(crate) use place::Place;
pub(crate) use sampler::Sampler;
pub(crate) use sampler::Verdict;
