//! Identities of which a part is left open, as a configuration names peers.

use alloc::string::{String, ToString};
use core::fmt;
use core::str::FromStr;

use crate::identity::Identity;

/// Which identities fit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum IdentityPattern {
    /// Every identity.
    Any,
    /// This one.
    Exactly(Identity),
    /// Every host name below this domain, which is in lower case.
    Below(String),
    /// Every mail address at this host, which is in lower case.
    At(String),
}

impl IdentityPattern {
    /// Whether `identity` fits.
    #[must_use]
    pub fn fits(&self, identity: &Identity) -> bool {
        match self {
            Self::Any => true,
            // Windows writes users' names as it likes.
            Self::Exactly(expected) => match identity {
                Identity::User(name) => expected.to_string().eq_ignore_ascii_case(name),
                _ => expected.is_same_as(identity),
            },
            Self::Below(domain) => match identity {
                // EAP does not tell what kind of name it is.
                Identity::Fqdn(name) | Identity::User(name) => name
                    .to_ascii_lowercase()
                    .strip_suffix(domain.as_str())
                    .and_then(|rest| rest.strip_suffix('.'))
                    .is_some_and(is_domain),
                _ => false,
            },
            Self::At(host) => match identity {
                Identity::Email(address) => address
                    .rsplit_once('@')
                    .is_some_and(|(user, at)| !user.is_empty() && at == host),
                _ => false,
            },
        }
    }
}

/// Labels of letters, digits, `-` and `_`, none of them empty.
fn is_domain(text: &str) -> bool {
    let is_label = |label: &str| {
        let mut octets = label.bytes();
        !label.is_empty() && octets.all(|it| it.is_ascii_alphanumeric() || b"-_".contains(&it))
    };
    text.split('.').all(is_label)
}

impl FromStr for IdentityPattern {
    type Err = NoPattern;

    /// Reads `*`, `*.example.com`, `*@example.com`, or an identity without a star.
    fn from_str(text: &str) -> Result<Self, NoPattern> {
        let domain = |text: &str| match text.parse() {
            Ok(Identity::Fqdn(domain)) if is_domain(&domain) => Ok(domain),
            _ => Err(NoPattern),
        };
        match text.strip_prefix('*') {
            Some("") => Ok(Self::Any),
            Some(rest) => match (rest.strip_prefix('.'), rest.strip_prefix('@')) {
                (Some(rest), _) => domain(rest).map(Self::Below),
                (_, Some(rest)) => domain(rest).map(Self::At),
                (None, None) => Err(NoPattern),
            },
            None if text.contains('*') => Err(NoPattern),
            None => text.parse().map(Self::Exactly).map_err(|_| NoPattern),
        }
    }
}

impl fmt::Display for IdentityPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => f.write_str("*"),
            Self::Exactly(identity) => write!(f, "{identity}"),
            Self::Below(domain) => write!(f, "*.{domain}"),
            Self::At(host) => write!(f, "*@{host}"),
        }
    }
}

/// A text that is neither an identity nor a pattern of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoPattern;

impl fmt::Display for NoPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("neither an identity nor a pattern")
    }
}

impl core::error::Error for NoPattern {}

#[cfg(test)]
mod tests {
    use super::*;

    fn pattern(text: &str) -> IdentityPattern {
        let pattern: IdentityPattern = text.parse().unwrap();
        assert_eq!(pattern.to_string(), text.to_lowercase());
        pattern
    }

    #[test]
    fn a_star_stands_for_hosts_of_a_domain_or_people_at_it() {
        for (text, fits, fits_not) in [
            (
                "*.Example.com",
                &["a.example.com", "A.B.EXAMPLE.com"][..],
                &[
                    "example.com",
                    "aexample.com",
                    "a.example.org",
                    "a@b.example.com",
                ][..],
            ),
            (
                "*@example.com",
                &["kim@example.com", "lee@EXAMPLE.com"],
                &["kim@a.example.com", "kim@example.org", "example.com"],
            ),
            ("*", &["a.example.com", "kim@example.com", "192.0.2.1"], &[]),
            (
                "kim@example.com",
                &["kim@example.com"],
                &["lee@example.com"],
            ),
        ] {
            let pattern = pattern(text);
            let all = fits.iter().map(|name| (name, true));
            for (name, expected) in all.chain(fits_not.iter().map(|name| (name, false))) {
                let identity = name.parse().unwrap();
                assert_eq!(pattern.fits(&identity), expected, "{name} and {text}");
            }
        }
        // Not what a name says, but what kind of name it is.
        let key_id = Identity::KeyId(b"a.example.com".to_vec());
        assert!(!pattern("*.example.com").fits(&key_id));
        for name in [".example.com", "..example.com", "kim@b.example.com"] {
            let name = Identity::Fqdn(name.to_string());
            assert!(!pattern("*.example.com").fits(&name), "{name}");
        }
        let nobody = Identity::Email("@example.com".to_string());
        assert!(!pattern("*@example.com").fits(&nobody));
    }

    #[test]
    fn a_star_stands_nowhere_else() {
        for text in [
            "a*",
            "*example.com",
            "*.*.com",
            "a.*.com",
            "*.",
            "*@",
            "*@*",
            "**",
            "*..com",
            "*.com.",
            "*@#ab",
        ] {
            assert_eq!(text.parse::<IdentityPattern>(), Err(NoPattern), "{text}");
        }
    }
}
