//! What FreeRADIUS writes down of accounting: a time, then a line for each attribute, then an
//! empty line.

use std::collections::BTreeMap;

/// A request as it was written down: attributes by their names. Of those with one name the last is
/// there; texts are without quotes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Record(BTreeMap<String, String>);

impl Record {
    /// The value of an attribute.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }
}

/// All records that are whole.
pub(super) fn parse(text: &str) -> Vec<Record> {
    let mut records = Vec::new();
    let mut record = Record::default();
    for line in text.lines() {
        if let Some((name, value)) = line.trim().split_once(" = ") {
            let value = value.trim_matches('"').to_owned();
            record.0.insert(name.to_owned(), value);
        } else if line.is_empty() {
            records.push(std::mem::take(&mut record));
        }
    }
    records
}
