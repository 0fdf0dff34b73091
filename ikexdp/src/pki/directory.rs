//! Where everything is.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use super::error::PkiError;
use super::name::ClientName;

/// The directory of a gateway's files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Directory(PathBuf);

/// Keeps others from writing at the same time, until it is dropped or the process
/// ends.
#[derive(Debug)]
pub struct Locked(#[expect(dead_code, reason = "it is held, not used")] File);

impl Directory {
    /// Of these names, relative to the directory, the configuration speaks.
    pub const AUTHORITY: &str = "pki/ca.pem";
    /// Certificates that are no longer good.
    pub const CRL: &str = "pki/clients.crl";
    /// Users of EAP.
    pub const USERS: &str = "users.toml";
    /// The gateway's certificates; their keys have other endings.
    pub const ECDSA: &str = "pki/gateway-ecdsa.pem";
    /// For clients that take no ECDSA from a gateway.
    pub const RSA: &str = "pki/gateway-rsa.pem";

    /// The one at `path`.
    #[must_use]
    pub const fn new(path: PathBuf) -> Self {
        Self(path)
    }

    /// Itself.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// A file of it.
    #[must_use]
    pub fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// The configuration.
    #[must_use]
    pub fn configuration(&self) -> PathBuf {
        self.0.join("ikexdp.toml")
    }

    /// The directory of the authority.
    #[must_use]
    pub fn pki(&self) -> PathBuf {
        self.0.join("pki")
    }

    /// The authority's private key.
    #[must_use]
    pub fn authority_key(&self) -> PathBuf {
        self.0.join("pki/ca.key")
    }

    /// The list of clients.
    #[must_use]
    pub fn index(&self) -> PathBuf {
        self.0.join("pki/clients.toml")
    }

    /// What is written for clients.
    #[must_use]
    pub fn clients(&self) -> PathBuf {
        self.0.join("clients")
    }

    /// What is written for one client.
    #[must_use]
    pub fn client(&self, name: &ClientName) -> PathBuf {
        self.clients().join(name.as_str())
    }

    /// Waits until nobody else writes here.
    ///
    /// # Errors
    /// [`PkiError::NoAuthority`], or [`PkiError::Read`].
    pub fn lock(&self) -> Result<Locked, PkiError> {
        let path = self.pki();
        let lock = || {
            let directory = File::open(&path)?;
            directory.lock()?;
            Ok(directory)
        };
        match lock() {
            Ok(directory) => Ok(Locked(directory)),
            Err(error) => Err(missing(&path, error)),
        }
    }

    /// Reads a file that there must be, and that may be secret.
    ///
    /// # Errors
    /// [`PkiError::NoAuthority`], or [`PkiError::Read`].
    pub(super) fn read(path: &Path) -> Result<Zeroizing<String>, PkiError> {
        match fs::read_to_string(path) {
            Ok(text) => Ok(Zeroizing::new(text)),
            Err(error) => Err(missing(path, error)),
        }
    }
}

fn missing(path: &Path, error: io::Error) -> PkiError {
    match error.kind() {
        io::ErrorKind::NotFound => PkiError::NoAuthority {
            path: path.to_owned(),
        },
        _ => PkiError::reading(path)(error),
    }
}
