//! Identities of which a part is left open, as a configuration names peers.

use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;
use core::str::FromStr;

use ipnet::IpNet;

use crate::identity::{Identity, from_hex, is_name_like, open_values};

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
    /// Every distinguished name with these attributes, in DER, where `*` stands for any
    /// one value.
    Like(Vec<u8>),
    /// Every address in this network.
    Within(IpNet),
    /// Every KEY_ID that begins with these octets.
    KeyId(Vec<u8>),
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
            Self::Like(pattern) => match identity {
                Identity::DistinguishedName(name) => is_name_like(name, pattern),
                _ => false,
            },
            Self::Within(network) => match identity {
                Identity::Address(address) => network.contains(address),
                _ => false,
            },
            Self::KeyId(start) => match identity {
                Identity::KeyId(octets) => octets.starts_with(start),
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

    /// Reads `*`, `*.example.com`, `*@example.com`, `CN=*, O=Example`, `192.0.2.0/24`, `@#c0ff*`, or an
    /// identity without a star.
    fn from_str(text: &str) -> Result<Self, NoPattern> {
        if let Ok(network) = text.parse::<IpNet>() {
            // One who writes an address means that one.
            return if network.trunc() == network {
                Ok(Self::Within(network))
            } else {
                Err(NoPattern)
            };
        }
        if let Some(start) = text.strip_prefix("@#").and_then(|it| it.strip_suffix('*')) {
            let start = if start.is_empty() {
                Some(Vec::new())
            } else {
                from_hex(start)
            };
            return start.map(Self::KeyId).ok_or(NoPattern);
        }
        if text.contains('=') && text.contains('*') {
            return match text.parse() {
                Ok(Identity::DistinguishedName(name))
                    if open_values(&name) == text.matches('*').count() =>
                {
                    Ok(Self::Like(name))
                }
                _ => Err(NoPattern),
            };
        }
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
            Self::Like(name) => write!(f, "{}", Identity::DistinguishedName(name.clone())),
            Self::Within(network) => write!(f, "{network}"),
            Self::KeyId(start) => {
                f.write_str("@#")?;
                start
                    .iter()
                    .try_for_each(|octet| write!(f, "{octet:02x}"))?;
                f.write_str("*")
            }
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
    fn a_star_stands_for_a_value_in_a_distinguished_name() {
        let pattern: IdentityPattern = "CN=*,OU=Staff,O=Example".parse().unwrap();
        assert_eq!(pattern.to_string(), "CN=*,OU=Staff,O=Example");
        for (name, expected) in [
            ("CN=Kim,OU=Staff,O=Example", true),
            ("CN=*,OU=Staff,O=Example", true),
            ("CN=Kim,OU=Staff,O=Example Two", false),
            ("CN=Kim,OU=Guests,O=Example", false),
            ("CN=Kim,O=Example", false),
            ("CN=Kim,OU=Staff,O=Example,C=CH", false),
            ("CN=Kim,OU=Evil,OU=Staff,O=Example", false),
            ("UID=Kim,OU=Staff,O=Example", false),
            ("CN=Kim+UID=7,OU=Staff,O=Example", false),
            ("OU=Staff,CN=Kim,O=Example", false),
            ("kim.example.com", false),
        ] {
            assert_eq!(pattern.fits(&name.parse().unwrap()), expected, "{name}");
        }
        let two: IdentityPattern = "CN=*+UID=7,O=Example".parse().unwrap();
        for (name, expected) in [
            ("UID=7+CN=Kim,O=Example", true),
            ("UID=8+CN=Kim,O=Example", false),
            ("CN=Kim+CN=Lee,O=Example", false),
        ] {
            assert_eq!(two.fits(&name.parse().unwrap()), expected, "{name}");
        }
        let broken = Identity::DistinguishedName(alloc::vec![0x30, 3, 1]);
        assert!(!pattern.fits(&broken));
    }

    #[test]
    fn addresses_and_key_ids_have_beginnings() {
        for (text, fits, fits_not) in [
            ("192.0.2.0/24", "192.0.2.7", "192.0.3.7"),
            ("2001:db8::/32", "2001:db8:7::1", "192.0.2.7"),
            ("@#c0ff*", "@#c0ffee", "@#c0fe"),
            ("@#*", "@#07", "a.example.com"),
        ] {
            let pattern = pattern(text);
            assert!(pattern.fits(&fits.parse().unwrap()), "{text}");
            assert!(!pattern.fits(&fits_not.parse().unwrap()), "{text}");
        }
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
            "@#abc*",
            "@#*ab",
            "X=*",
            "CN=a*,O=Example",
            "192.0.2.*",
            "192.0.2.7/24",
        ] {
            assert_eq!(text.parse::<IdentityPattern>(), Err(NoPattern), "{text}");
        }
    }
}
