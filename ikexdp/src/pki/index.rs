//! The list of clients: who was issued what.
//!
//! What is issued is written down before it is handed out, so that whatever happens
//! in between, there is no certificate that could not be revoked.

use serde::{Deserialize, Serialize};

use super::directory::Directory;
use super::error::PkiError;
use super::files::{Readers, replace};
use super::moment::Moment;
use super::name::ClientName;

const HEADER: &str = "\
# The clients of this gateway, written by `ikexdp client`. What is not in here cannot be revoked.

";

/// The list.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Index {
    /// The number of the last CRL.
    pub crl_number: u64,
    /// Every client there ever was, in the order in which they came.
    #[serde(default, rename = "client")]
    pub clients: Vec<Client>,
}

/// A client.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Client {
    /// What it is called.
    pub name: ClientName,
    /// How it proves who it is.
    pub kind: Kind,
    /// What its files are for.
    pub platform: String,
    /// Who it says it is.
    pub identity: String,
    /// The number of its certificate, in hexadecimal.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub serial: Option<String>,
    /// Since when it has been one.
    pub issued: Moment,
    /// When its certificate ends.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires: Option<Moment>,
    /// Since when it is none any more.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub revoked: Option<Moment>,
}

/// How a client proves who it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// By a certificate.
    Certificate,
    /// By a password (EAP-MSCHAPv2).
    Eap,
}

impl Index {
    /// Reads the one in `directory`.
    ///
    /// # Errors
    /// [`PkiError`] if there is none, or it cannot be read.
    pub fn load(directory: &Directory) -> Result<Self, PkiError> {
        let path = directory.index();
        let text = Directory::read(&path)?;
        toml::from_str(&text).map_err(|error| PkiError::Damaged {
            path,
            message: error.message().to_owned(),
        })
    }

    /// Writes it.
    ///
    /// # Errors
    /// [`PkiError::Write`].
    pub fn save(&self, directory: &Directory) -> Result<(), PkiError> {
        let text = HEADER.to_owned() + &toml::to_string(self)?;
        replace(&directory.index(), text.as_bytes(), Readers::Owner)
    }

    /// The client of this name that may still come.
    #[must_use]
    pub fn current(&self, name: &ClientName) -> Option<&Client> {
        let mut clients = self.clients.iter();
        clients.find(|client| client.revoked.is_none() && client.name.is_same_as(name))
    }

    /// Adds one.
    ///
    /// # Errors
    /// [`PkiError::Taken`] if there is one of its name.
    pub fn add(&mut self, client: Client) -> Result<(), PkiError> {
        if self.current(&client.name).is_some() {
            let name = client.name.to_string();
            return Err(PkiError::Taken { name });
        }
        self.clients.push(client);
        Ok(())
    }

    /// Notes that the client of this name is none any more, and who it was; also if
    /// that was noted before.
    ///
    /// # Errors
    /// [`PkiError::Unknown`] if there never was one.
    pub fn revoke(&mut self, name: &ClientName, now: Moment) -> Result<Client, PkiError> {
        self.crl_number = self.crl_number.saturating_add(1);
        let mut named: Vec<_> = self
            .clients
            .iter_mut()
            .filter(|client| client.name.is_same_as(name))
            .collect();
        // At most one is current, and it is the last.
        let Some(client) = named.pop() else {
            let name = name.to_string();
            return Err(PkiError::Unknown { name });
        };
        client.revoked.get_or_insert(now);
        Ok(client.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use tempfile::TempDir;

    const NOW: Moment = Moment::from_seconds(1_795_305_600);

    fn client(name: &str) -> Client {
        Client {
            name: name.parse().unwrap(),
            kind: Kind::Certificate,
            platform: "linux".to_owned(),
            identity: format!("{name}@example.com"),
            serial: Some("4f00".to_owned()),
            issued: NOW,
            expires: Some(NOW.after_days(1)),
            revoked: None,
        }
    }

    #[test]
    fn what_is_written_is_read_again() {
        let root = TempDir::new().unwrap();
        let directory = Directory::new(root.path().to_owned());
        let missing = Index::load(&directory).unwrap_err().to_string();
        assert!(missing.contains("hint: `ikexdp init`"), "{missing}");
        fs::create_dir(directory.pki()).unwrap();
        let mut index = Index::default();
        for _ in 0..2 {
            index.save(&directory).unwrap();
            assert_eq!(Index::load(&directory).unwrap(), index);
            index.add(client("laptop")).unwrap();
            index.revoke(&"laptop".parse().unwrap(), NOW).unwrap();
        }
        fs::write(directory.index(), "crl-number = \"x\"").unwrap();
        assert!(matches!(
            Index::load(&directory),
            Err(PkiError::Damaged { .. })
        ));
    }

    #[test]
    fn a_name_is_free_again_when_its_client_is_gone() {
        let mut index = Index::default();
        let name = "Laptop".parse().unwrap();
        assert!(matches!(
            index.revoke(&name, NOW),
            Err(PkiError::Unknown { .. })
        ));
        index.add(client("laptop")).unwrap();
        assert!(matches!(
            index.add(client("LAPTOP")),
            Err(PkiError::Taken { .. })
        ));
        let before = index.crl_number;
        let revoked = index.revoke(&name, NOW).unwrap();
        assert_eq!(revoked.revoked, Some(NOW));
        assert_eq!(index.crl_number, before + 1);
        assert_eq!(index.current(&name), None);
        // Once more, for what a crash has left undone: the time stays.
        let again = index.revoke(&name, NOW.after_days(1)).unwrap();
        assert_eq!(again.revoked, Some(NOW));
        index.add(client("laptop")).unwrap();
        assert!(index.current(&name).is_some());
        index.revoke(&name, NOW).unwrap();
        assert!(index.clients.iter().all(|client| client.revoked.is_some()));
    }
}
