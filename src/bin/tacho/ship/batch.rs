//! Records that are sent together.

use super::otlp::{KeyValue, Request, Resource, ResourceLogs, Scope, ScopeLogs};
use bytes::Bytes;
use std::collections::BTreeMap;
use tachograph::Level;

/// Bytes that a record takes besides its own: its tag and length.
const FRAMING_BYTES: usize = 6;

/// Records, in the form in which they are sent, with what they belong to.
#[derive(Clone, Default, Debug)]
pub(super) struct Batch {
    /// Processes and targets, each once.
    names: Vec<String>,
    records: Vec<Entry>,
    bytes: usize,
}

/// A record; process and target are named by the batch: [`Batch::name_of`].
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) process: usize,
    pub(super) target: usize,
    pub(super) level: Level,
    pub(super) record: Bytes,
    pub(super) uid: String,
}

impl Batch {
    pub(super) fn push(&mut self, process: &str, target: &str, level: Level, uid: String, record: Bytes) {
        self.bytes += record.len() + FRAMING_BYTES;
        let (process, target) = (self.name(process), self.name(target));
        self.records.push(Entry { process, target, level, record, uid });
    }

    pub(super) fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.records.iter()
    }

    /// The process or target of an entry.
    pub(super) fn name_of(&self, index: usize) -> &str {
        self.names.get(index).map(String::as_str).unwrap_or_default()
    }

    /// Those in these places.
    pub(super) fn picked(&self, places: &[usize]) -> Self {
        let records: Vec<_> = places.iter().filter_map(|place| self.records.get(*place).cloned()).collect();
        self.with(records)
    }

    fn with(&self, records: Vec<Entry>) -> Self {
        let bytes = records.iter().map(|entry| entry.record.len() + FRAMING_BYTES).sum();
        Self { names: self.names.clone(), records, bytes }
    }

    fn name(&mut self, name: &str) -> usize {
        // A batch has few of them, and neighbours are of the same: looked for from the end.
        self.names.iter().rposition(|known| known == name).unwrap_or_else(|| {
            self.bytes += name.len();
            self.names.push(name.to_owned());
            self.names.len() - 1
        })
    }

    pub(super) fn len(&self) -> usize {
        self.records.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// Bytes of the request, uncompressed, but for the attributes of the resource.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// The request, its records in the order of time within each target; `resource` has the attributes of a process.
    pub(super) fn request(&self, resource: impl Fn(&str) -> Vec<KeyValue>) -> Request {
        let mut groups: BTreeMap<usize, BTreeMap<usize, Vec<Bytes>>> = BTreeMap::new();
        for entry in &self.records {
            groups.entry(entry.process).or_default().entry(entry.target).or_default().push(entry.record.clone());
        }
        let name = |index: &usize| self.name_of(*index);
        let resource_logs = groups.iter().map(|(process, targets)| ResourceLogs {
            resource: Some(Resource { attributes: resource(name(process)) }),
            scope_logs: targets
                .iter()
                .map(|(target, records)| ScopeLogs {
                    scope: Some(Scope { name: name(target).to_owned() }),
                    log_records: records.clone(),
                })
                .collect(),
        });
        Request { resource_logs: resource_logs.collect() }
    }

    /// Two halves; `None` where there is one record only.
    pub(super) fn halves(&self) -> Option<[Self; 2]> {
        let middle = self.records.len() / 2;
        if middle == 0 {
            return None;
        }
        let (first, second) = self.records.split_at(middle);
        Some([first, second].map(|records| self.with(records.to_vec())))
    }

    /// What identifies the first record and the last, for messages.
    pub(super) fn span(&self) -> String {
        let uid = |entry: Option<&Entry>| entry.map(|entry| entry.uid.clone()).unwrap_or_default();
        format!("{} to {}", uid(self.records.first()), uid(self.records.last()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batch(count: u8) -> Batch {
        let mut batch = Batch::default();
        for number in 0..count {
            let (process, target) = (["a", "b"][usize::from(number % 2)], ["oms", "risk"][usize::from(number / 2 % 2)]);
            batch.push(process, target, Level::Info, format!("{process}/1/{number}"), vec![number].into());
        }
        batch
    }

    #[test]
    fn records_are_grouped_and_keep_their_order() {
        let request = batch(10).request(|process| vec![KeyValue::string("service.name", process)]);
        let groups: Vec<_> = request.resource_logs.iter().flat_map(|logs| &logs.scope_logs).collect();
        let records: Vec<Vec<u8>> =
            groups.iter().map(|group| group.log_records.iter().map(|bytes| bytes[0]).collect()).collect();
        assert_eq!(records, [vec![0, 4, 8], vec![2, 6], vec![1, 5, 9], vec![3, 7]]);
    }

    #[test]
    fn halves_have_all_records_and_one_record_has_no_halves() {
        let whole = batch(5);
        let halves = whole.halves().unwrap();
        assert_eq!(halves.iter().map(Batch::len).sum::<usize>(), whole.len());
        assert_eq!((halves[0].span(), halves[1].span()), ("a/1/0 to b/1/1".into(), "a/1/2 to a/1/4".into()));
        assert!(batch(1).halves().is_none() && batch(0).is_empty());
        assert_eq!(whole.picked(&[1, 4, 9]).span(), "b/1/1 to a/1/4");
    }
}
