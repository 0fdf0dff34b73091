//! Users of EAP, in a file that the daemon reads.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::io;

use ikexdp_eap::NtHash;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::directory::Directory;
use super::error::PkiError;
use super::files::{Readers, replace};
use super::name::ClientName;

const HEADER: &str = "\
# Users of EAP-MSCHAPv2, written by `ikexdp client`. Such a hash is as good as the password itself: whoever reads this file
# can connect as anybody in it.

";

/// The users.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Users {
    users: BTreeMap<String, String>,
}

impl fmt::Debug for Users {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.users.keys()).finish()
    }
}

impl Users {
    /// Reads those in `directory`; none if there is no file.
    ///
    /// # Errors
    /// [`PkiError::Read`] or [`PkiError::Damaged`].
    pub fn load(directory: &Directory) -> Result<Self, PkiError> {
        let path = directory.file(Directory::USERS);
        let text = match fs::read_to_string(&path) {
            Ok(text) => Zeroizing::new(text),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Self::default()),
            Err(error) => return Err(PkiError::reading(&path)(error)),
        };
        // Only what is wrong, without the line: it holds a hash.
        toml::from_str(&text).map_err(|error| PkiError::Damaged {
            path,
            message: error.message().to_owned(),
        })
    }

    /// Writes them.
    ///
    /// # Errors
    /// [`PkiError::Write`].
    pub fn save(&self, directory: &Directory) -> Result<(), PkiError> {
        let text = Zeroizing::new(HEADER.to_owned() + &toml::to_string(self)?);
        let path = directory.file(Directory::USERS);
        replace(&path, text.as_bytes(), Readers::Daemon)
    }

    /// Adds one, or gives it another password.
    pub fn add(&mut self, name: &ClientName, hash: &NtHash) {
        let entry = hash.entry().expose().clone();
        self.users.insert(name.to_string(), entry);
    }

    /// Takes one out.
    pub fn remove(&mut self, name: &ClientName) {
        self.users
            .retain(|user, _| !user.eq_ignore_ascii_case(name.as_str()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;
    use tempfile::TempDir;

    #[test]
    fn users_come_and_go() {
        let root = TempDir::new().unwrap();
        let directory = Directory::new(root.path().to_owned());
        let mut users = Users::load(&directory).unwrap();
        assert_eq!(users, Users::default());
        for name in ["kim@example.com", "Lee"] {
            users.add(&name.parse().unwrap(), &NtHash::of("clientPass"));
        }
        users.save(&directory).unwrap();
        let path = directory.file(Directory::USERS);
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.starts_with("# ") && text.contains("as good as the password"));
        let table: toml::Table = toml::from_str(&text).unwrap();
        assert_eq!(
            table["users"]["kim@example.com"].as_str(),
            Some("nt:44ebba8d5312b8d611474411f56989ae")
        );
        assert_eq!(
            fs::metadata(path).unwrap().permissions().mode() & 0o777,
            0o600
        );
        let mut again = Users::load(&directory).unwrap();
        assert_eq!(again, users);
        again.remove(&"lee".parse().unwrap());
        assert_eq!(format!("{again:?}"), "{\"kim@example.com\"}");
    }
}
