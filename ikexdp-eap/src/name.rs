//! The name a peer gives (RFC 3748 §5.1, RFC 7542).

use std::fmt;

use ikexdp_proto::eap::RejectionReason;

use crate::limits::NAME_LEN_MAX;

/// What a peer says it is called. Nothing is proved by it. It has no control
/// characters, because it is printed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PeerName(String);

impl PeerName {
    /// Reads the data of an identity, or the name in a response of MSCHAPv2.
    pub(crate) fn decode(octets: &[u8]) -> Result<Self, RejectionReason> {
        let refused = RejectionReason::Protocol;
        if octets.len() > NAME_LEN_MAX {
            return Err(refused("name of more than 253 octets"));
        }
        let text = str::from_utf8(octets).map_err(|_| refused("name is not UTF-8"))?;
        if text.contains(char::is_control) {
            return Err(refused("control character in a name"));
        }
        Ok(Self(text.to_owned()))
    }

    /// As it was given.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// The user of `DOMAIN\user`, which is what MSCHAPv2 computes with
    /// (RFC 2759 §4). A realm behind an @ belongs to the name.
    pub(crate) fn without_domain(&self) -> &str {
        without_domain(&self.0)
    }

    /// The names under which a user may be on file, the most precise first.
    pub(crate) fn spellings(&self) -> [&str; 3] {
        let user = self.without_domain();
        let bare = user.rsplit_once('@').map_or(user, |(bare, _)| bare);
        [&self.0, user, bare]
    }

    /// Whether it names nobody, so that whoever listens learns nothing: a realm
    /// at most (RFC 9190 §2.1.7), or what older clients put before it.
    pub(crate) fn is_anonymous(&self) -> bool {
        let user = self.0.split_once('@').map(|(user, _)| user);
        self.0.is_empty()
            || user.is_some_and(|user| user.is_empty() || user.eq_ignore_ascii_case("anonymous"))
    }
}

/// [`PeerName::without_domain`] of a name of our own.
pub(crate) fn without_domain(name: &str) -> &str {
    name.split_once('\\').map_or(name, |(_, user)| user)
}

impl fmt::Display for PeerName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> PeerName {
        PeerName::decode(text.as_bytes()).unwrap()
    }

    #[test]
    fn a_domain_is_no_part_of_the_user() {
        for (given, spellings) in [
            ("alice", ["alice", "alice", "alice"]),
            ("CORP\\alice", ["CORP\\alice", "alice", "alice"]),
            (
                "alice@example.com",
                ["alice@example.com", "alice@example.com", "alice"],
            ),
            (
                "CORP\\alice@example.com",
                ["CORP\\alice@example.com", "alice@example.com", "alice"],
            ),
            ("CORP\\", ["CORP\\", "", ""]),
        ] {
            assert_eq!(name(given).spellings(), spellings, "{given}");
        }
    }

    #[test]
    fn a_realm_alone_names_nobody() {
        for anonymous in ["", "@example.com", "anonymous@example.com", "Anonymous@x"] {
            assert!(name(anonymous).is_anonymous(), "{anonymous}");
        }
        for somebody in ["alice", "alice@example.com", "anonymous", "a@b@c"] {
            assert!(!name(somebody).is_anonymous(), "{somebody}");
        }
    }

    #[test]
    fn a_name_can_be_printed() {
        for octets in [&b"a\nb"[..], b"a\x1b[2J", b"\xff", b"a\0", &[b'a'; 254]] {
            assert!(PeerName::decode(octets).is_err(), "{octets:?}");
        }
        assert!(PeerName::decode(&[b'a'; 253]).is_ok());
    }
}
