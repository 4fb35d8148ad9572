//! The seam between the core and what records leave by: the core gathers, waits, counts and keeps the cursor, a transport
//! puts records into the form that its receivers know, sends a batch, and says what became of it.

use super::answer::Answer;
use super::batch::Batch;
use bytes::Bytes;
use std::io;
use tachograph::reader::record::RecordRef;

/// A way to a receiver, for one log directory.
pub(super) trait Transport {
    /// The record in the form in which it is sent.
    fn encode(&mut self, record: &RecordRef<'_>) -> Bytes;

    /// Sends a batch and waits until all of it has an answer, once: when to try again is the core's affair.
    ///
    /// # Errors
    /// Where no later attempt can go better.
    fn send(&mut self, batch: &Batch, origin: &Origin) -> io::Result<Answer>;

    /// The batch as JSON lines, for the file of refused records; no newline at the end.
    fn refused(&self, batch: &Batch, origin: &Origin) -> String;
}

/// Where records come from, as the user wants it told.
#[derive(Clone, Debug)]
pub(super) struct Origin {
    pub(super) service: String,
    pub(super) host: String,
    /// What the user adds; it goes before the others.
    pub(super) more: Vec<(String, String)>,
}

impl Origin {
    /// Names and values of what is said of `process`, each name once.
    pub(super) fn pairs<'a>(&'a self, process: &'a str) -> Vec<(&'a str, &'a str)> {
        let own = [("service.name", &*self.service), ("service.instance.id", process), ("host.name", &*self.host)];
        let more = self.more.iter().map(|(key, value)| (key.as_str(), value.as_str()));
        let mut all: Vec<(&str, &str)> = Vec::with_capacity(own.len() + self.more.len());
        for (key, value) in own.into_iter().chain(more) {
            all.retain(|(known, _)| *known != key);
            all.push((key, value));
        }
        all
    }

    /// The number of the process: a journal is named by the start of its process, its number, and some digits more.
    pub(super) fn pid(process: &str) -> Option<i64> {
        process.rsplit('-').nth(1).and_then(|pid| pid.parse().ok())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_user_says_goes_before_and_each_name_is_there_once() {
        let more = vec![("host.name".to_owned(), "h2".to_owned()), ("env".to_owned(), "prod".to_owned())];
        let origin = Origin { service: "bot".to_owned(), host: "h1".to_owned(), more };
        let wanted = [("service.name", "bot"), ("service.instance.id", "p-1-2"), ("host.name", "h2"), ("env", "prod")];
        assert_eq!(origin.pairs("p-1-2"), wanted);
        assert_eq!((Origin::pid("20261129T1-77-ab"), Origin::pid("x")), (Some(77), None));
    }
}
