//! The user file: names, and hashes of passwords.
//!
//! ```toml
//! [users]
//! "alice" = "nt:8846f7eaee8fb117ad06bdd830b7586c"
//! ```

use std::collections::BTreeMap;
use std::ops::Range;

use ikexdp_proto::types::Secret;
use toml::de::{DeTable, DeValue};

use crate::limits::NAME_LEN_MAX;
use crate::mschapv2::NtHash;
use crate::name::PeerName;

/// What stands before the hash of a password, so that another kind of hash can
/// be told from it.
const NT: &str = "nt:";

/// Who may come with a password.
#[derive(Debug)]
pub struct Users {
    hashes: BTreeMap<String, NtHash>,
    /// What is computed with for those who are not on file.
    nobody: NtHash,
}

impl Users {
    /// Reads the text of a user file.
    ///
    /// # Errors
    /// [`UserFileError`] with the first line that is wrong, and without what it
    /// says but for the name.
    pub fn parse(text: &str) -> Result<Self, UserFileError> {
        let error = |place: Range<usize>, fault| UserFileError {
            line: line(text, place.start),
            fault,
        };
        // What the parser has to say may quote the line.
        let file = DeTable::parse(text)
            .map_err(|wrong| error(wrong.span().unwrap_or_default(), UserFault::Syntax))?;
        let mut hashes = BTreeMap::new();
        for (key, value) in file.get_ref() {
            let users = match value.get_ref() {
                DeValue::Table(users) if key.get_ref() == "users" => users,
                _ => return Err(error(key.span(), UserFault::NotUsers)),
            };
            for (name, entry) in users {
                let user = name.get_ref().to_string();
                if user.is_empty() || PeerName::decode(user.as_bytes()).is_err() {
                    return Err(error(name.span(), UserFault::Name));
                }
                let hash = entry.get_ref().as_str().and_then(hash);
                let Some(hash) = hash else {
                    return Err(error(name.span(), UserFault::Hash { user }));
                };
                hashes.insert(user, hash);
            }
        }
        let nobody = NtHash::new([0; 16]);
        Ok(Self { hashes, nobody })
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.hashes.len()
    }

    /// Whether there is nobody.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.hashes.is_empty()
    }

    /// Finds a user by the most precise spelling that is on file. Who is not has
    /// a hash as well: it is of no use to know it, because there is no user.
    pub(crate) fn find(&self, name: &PeerName) -> (Option<&str>, &NtHash) {
        let entries = name.spellings().map(|name| self.hashes.get_key_value(name));
        match entries.into_iter().flatten().next() {
            Some((user, hash)) => (Some(user), hash),
            None => (None, &self.nobody),
        }
    }
}

impl NtHash {
    /// The hash as the user file has it.
    #[must_use]
    pub fn entry(&self) -> Secret<String> {
        let digits = self.octets().iter().flat_map(|octet| {
            [octet >> 4, octet & 0xf].map(|digit| char::from_digit(digit.into(), 16))
        });
        // All of it at once: what a string leaves behind as it grows is not wiped.
        let mut entry = String::with_capacity(NT.len().saturating_add(32));
        entry.push_str(NT);
        entry.extend(digits.flatten());
        Secret::new(entry)
    }
}

fn hash(entry: &str) -> Option<NtHash> {
    let (pairs, rest) = entry.strip_prefix(NT)?.as_bytes().as_chunks::<2>();
    let pairs = <&[[u8; 2]; 16]>::try_from(pairs).ok()?;
    let digit = |octet: u8| u8::try_from(char::from(octet).to_digit(16)?).ok();
    let mut octets = [0; 16];
    for (octet, [high, low]) in octets.iter_mut().zip(pairs) {
        *octet = digit(*high)? << 4 | digit(*low)?;
    }
    rest.is_empty().then(|| NtHash::new(octets))
}

/// The number of the line in which an octet stands.
fn line(text: &str, offset: usize) -> usize {
    let before = text.bytes().take(offset);
    before
        .filter(|octet| *octet == b'\n')
        .count()
        .saturating_add(1)
}

/// A user file that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {fault}")]
pub struct UserFileError {
    /// Where, counted from one.
    pub line: usize,
    /// What is wrong there.
    pub fault: UserFault,
}

/// What is wrong with a line of a user file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UserFault {
    /// It is not TOML, or names a user for the second time.
    #[error(
        "neither `[users]` nor a name of its own, an equals sign and a hash, each of them in quotes"
    )]
    Syntax,
    /// It stands outside the table of users.
    #[error("nothing but the table `users` is known here")]
    NotUsers,
    /// Nobody can have this name.
    #[error("name is empty, longer than {NAME_LEN_MAX} octets, or has control characters")]
    Name,
    /// The hash is none.
    #[error("user {user}: not `nt:` and 32 hexadecimal digits")]
    Hash {
        /// Whose.
        user: String,
    },
}

#[cfg(test)]
mod tests {
    use super::*;
    use hex_literal::hex;

    const ALICE: &str = "8846f7eaee8fb117ad06bdd830b7586c";

    fn found<'a>(users: &'a Users, name: &str) -> Option<&'a str> {
        users.find(&PeerName::decode(name.as_bytes()).unwrap()).0
    }

    #[test]
    fn a_user_file_is_read() {
        let text = format!("# of the lab\n[users]\nalice = \"nt:{ALICE}\"\n");
        let users = Users::parse(&text).unwrap();
        assert_eq!((users.len(), users.is_empty()), (1, false));
        let (user, hash) = users.find(&PeerName::decode(b"alice").unwrap());
        assert_eq!(user, Some("alice"));
        assert_eq!(*hash.octets(), hex!("8846f7eaee8fb117ad06bdd830b7586c"));
        for empty in ["", "[users]\n", "users = {}"] {
            assert!(Users::parse(empty).unwrap().is_empty(), "{empty}");
        }
    }

    #[test]
    fn what_is_written_is_read() {
        let entry = NtHash::of("password").entry();
        assert_eq!(entry.expose(), &format!("nt:{ALICE}"));
        let read = hash(&entry.expose().to_uppercase().replace("NT", "nt")).unwrap();
        assert_eq!(read.octets(), NtHash::of("password").octets());
    }

    #[test]
    fn the_most_precise_name_on_file_is_the_user() {
        let entry = NtHash::of("password").entry();
        let text = ["alice", "bob@example.com", "bob", "CORP\\\\carol"]
            .map(|name| format!("\"{name}\" = \"{}\"\n", entry.expose()))
            .concat();
        let users = Users::parse(&format!("[users]\n{text}")).unwrap();
        for (name, user) in [
            ("alice", Some("alice")),
            ("CORP\\alice", Some("alice")),
            ("alice@example.com", Some("alice")),
            ("bob@example.com", Some("bob@example.com")),
            ("bob@example.org", Some("bob")),
            ("CORP\\bob@example.com", Some("bob@example.com")),
            ("CORP\\carol", Some("CORP\\carol")),
            ("carol", None),
            ("Alice", None),
            ("", None),
            ("CORP\\", None),
            ("@example.com", None),
        ] {
            assert_eq!(found(&users, name), user, "{name}");
        }
    }

    #[test]
    fn what_is_wrong_is_named_without_the_hash() {
        for (text, said) in [
            (
                format!("[users]\n\nalice = \"{ALICE}\"\n"),
                "line 3: user alice: not `nt:` and 32",
            ),
            (
                format!("[users]\nalice = \"nt:{ALICE}0\"\n"),
                "line 2: user alice: not `nt:`",
            ),
            (
                format!(
                    "[users]\nalice = \"nt:{}g\"\n",
                    ALICE.trim_start_matches('8')
                ),
                "line 2: user alice",
            ),
            (
                format!("[users]\nalice = [\"nt:{ALICE}\"]\n"),
                "line 2: user alice",
            ),
            (
                format!("[users]\nalice = nt:{ALICE}\n"),
                "line 2: neither `[users]` nor",
            ),
            (
                format!("[users]\nalice = \"nt:{ALICE}\n\n"),
                "line 2: neither",
            ),
            (
                format!("[users]\na = \"nt:{ALICE}\"\na = \"nt:{ALICE}\"\n"),
                "line 3: neither",
            ),
            (
                format!("alice = \"nt:{ALICE}\"\n"),
                "line 1: nothing but the table `users`",
            ),
            (
                format!("[user]\nalice = \"nt:{ALICE}\"\n"),
                "line 1: nothing but",
            ),
            ("users = 1".to_owned(), "line 1: nothing but"),
            (
                format!("[users]\n\"\" = \"nt:{ALICE}\"\n"),
                "line 2: name is empty",
            ),
            (
                format!("[users]\n\"a\\n\" = \"nt:{ALICE}\"\n"),
                "line 2: name is empty",
            ),
        ] {
            let error = Users::parse(&text).unwrap_err();
            let told = error.to_string();
            assert!(told.starts_with(said), "{told}\n{text}");
            for shown in [told, format!("{error:?}")] {
                assert!(!shown.contains(ALICE.trim_start_matches('8')), "{shown}");
            }
        }
    }

    #[test]
    fn hashes_are_not_printed() {
        let users = Users::parse(&format!("[users]\nalice = \"nt:{ALICE}\"\n")).unwrap();
        let printed = format!("{users:?}");
        assert!(
            printed.contains("alice") && !printed.contains("8846"),
            "{printed}"
        );
        assert!(!printed.contains("136"), "{printed}");
    }
}
