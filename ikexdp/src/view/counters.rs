//! Counters by name.

use std::fmt;

use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Counters by name, in the order in which they are shown; in JSON an object.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counters(pub Vec<(String, u64)>);

impl Counters {
    /// Adds those of the same names.
    pub fn add(&mut self, others: &Self) {
        for ((_, sum), (_, value)) in self.0.iter_mut().zip(&others.0) {
            *sum = sum.saturating_add(*value);
        }
    }

    /// The counter of this name, if there is one.
    #[must_use]
    pub fn value(&self, name: &str) -> Option<u64> {
        let mut named = self.0.iter().filter(|(known, _)| known == name);
        named.next().map(|(_, value)| *value)
    }

    /// Gives the counter `name` a value, if there is one of that name.
    pub fn set(&mut self, name: &str, value: u64) {
        let named = self.0.iter_mut().filter(|(known, _)| known == name);
        for (_, current) in named {
            *current = value;
        }
    }
}

impl<'a> FromIterator<(&'a str, u64)> for Counters {
    fn from_iter<I: IntoIterator<Item = (&'a str, u64)>>(counters: I) -> Self {
        let owned = counters
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value));
        Self(owned.collect())
    }
}

impl Serialize for Counters {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(name, value)| (name, value)))
    }
}

impl<'de> Deserialize<'de> for Counters {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct InOrder;

        impl<'de> Visitor<'de> for InOrder {
            type Value = Counters;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object of counters")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Counters, A::Error> {
                let mut counters = Vec::new();
                while let Some(counter) = map.next_entry()? {
                    counters.push(counter);
                }
                Ok(Counters(counters))
            }
        }

        deserializer.deserialize_map(InOrder)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_keep_their_order_in_json() {
        let counters: Counters = [("zebra", 1), ("ant", 2)].into_iter().collect();
        let json = serde_json::to_string(&counters).unwrap();
        assert_eq!(json, r#"{"zebra":1,"ant":2}"#);
        assert_eq!(serde_json::from_str::<Counters>(&json).unwrap(), counters);
    }
}
