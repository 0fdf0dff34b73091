//! What a client is called.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Longest name, in octets: that of a common name (RFC 5280, appendix A.1).
const LEN_MAX: usize = 64;

/// What Windows takes for devices, whatever comes behind a dot.
const DEVICES: [&str; 6] = ["con", "prn", "aux", "nul", "com", "lpt"];

/// A name that is good in a distinguished name, a file name on every platform,
/// and every format of a profile.
///
/// Names that differ in case only are one: so are they in distinguished names, and
/// as files on Windows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ClientName(String);

impl ClientName {
    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether both are of one client.
    #[must_use]
    pub fn is_same_as(&self, other: &Self) -> bool {
        self.0.eq_ignore_ascii_case(&other.0)
    }

    /// The name as far as it may be that of a section in swanctl.conf.
    #[must_use]
    pub fn section(&self) -> String {
        self.0.replace(|c: char| !c.is_ascii_alphanumeric(), "-")
    }
}

impl fmt::Display for ClientName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl FromStr for ClientName {
    type Err = InvalidName;

    fn from_str(text: &str) -> Result<Self, InvalidName> {
        if text.is_empty() || text.len() > LEN_MAX {
            return Err(InvalidName::Length);
        }
        let is_good = |c: char| c.is_ascii_alphanumeric() || ".-_@".contains(c);
        if let Some(bad) = text.chars().find(|c| !is_good(*c)) {
            return Err(InvalidName::Character(bad));
        }
        let is_end = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric());
        if !is_end(text.chars().next()) || !is_end(text.chars().next_back()) {
            return Err(InvalidName::Ends);
        }
        let stem = text.split('.').next().unwrap_or_default();
        let stem = stem.to_ascii_lowercase();
        let device = stem.trim_end_matches(|c: char| c.is_ascii_digit());
        let digits = stem.len().saturating_sub(device.len());
        if DEVICES.contains(&device) && digits <= 1 {
            return Err(InvalidName::Device);
        }
        Ok(Self(text.to_owned()))
    }
}

impl TryFrom<String> for ClientName {
    type Error = InvalidName;

    fn try_from(text: String) -> Result<Self, InvalidName> {
        text.parse()
    }
}

impl From<ClientName> for String {
    fn from(name: ClientName) -> Self {
        name.0
    }
}

/// Why a text is no name of a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidName {
    /// Too short or too long.
    #[error("a name has 1 to {LEN_MAX} characters")]
    Length,
    /// A character that means something somewhere.
    #[error("a name has letters and digits of ASCII, and `.-_@` between them, and no {0:?}")]
    Character(char),
    /// It begins or ends with a sign.
    #[error("a name begins and ends with a letter or a digit")]
    Ends,
    /// Windows has no file of this name.
    #[error("Windows takes this name for a device")]
    Device,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_good_everywhere() {
        for good in [
            "laptop",
            "Kim-2",
            "kim@example.com",
            "a",
            "v1.2_b",
            "console",
            "com12",
        ] {
            assert_eq!(good.parse::<ClientName>().unwrap().as_str(), good);
        }
        let long = "a".repeat(65);
        let bad = [
            ("", InvalidName::Length),
            (&long, InvalidName::Length),
            ("a b", InvalidName::Character(' ')),
            ("a/b", InvalidName::Character('/')),
            ("a'b", InvalidName::Character('\'')),
            ("a<b", InvalidName::Character('<')),
            ("a,O=b", InvalidName::Character(',')),
            ("jörg", InvalidName::Character('ö')),
            ("a\n", InvalidName::Character('\n')),
            ("..", InvalidName::Ends),
            ("-rf", InvalidName::Ends),
            ("a.", InvalidName::Ends),
            ("CON", InvalidName::Device),
            ("lpt1.x", InvalidName::Device),
        ];
        for (text, error) in bad {
            assert_eq!(text.parse::<ClientName>(), Err(error), "{text:?}");
        }
    }

    #[test]
    fn case_makes_no_other_client() {
        let [one, same, other] = ["Laptop", "laptop", "tablet"].map(|it| it.parse().unwrap());
        assert!(ClientName::is_same_as(&one, &same) && !one.is_same_as(&other));
    }

    #[test]
    fn sections_have_no_signs() {
        let name: ClientName = "kim.2@example.com".parse().unwrap();
        assert_eq!(name.section(), "kim-2-example-com");
    }
}
