//! Why an authority, or what it issues, cannot be made.

use std::io;
use std::path::{Path, PathBuf};

use ring::error::Unspecified;

/// Why it cannot be done.
#[derive(Debug, thiserror::Error)]
pub enum PkiError {
    /// A file or directory cannot be read.
    #[error("cannot read: {}", path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file or directory cannot be written.
    #[error("cannot write: {}", path.display())]
    Write {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Something is there, and nothing is ever overwritten.
    #[error("already there: {}", path.display())]
    Exists {
        /// What.
        path: PathBuf,
    },
    /// There is no authority.
    #[error(
        "no authority: {}; hint: `ikexdp init` makes one, and `--directory` names where it is",
        path.display()
    )]
    NoAuthority {
        /// Where its certificate would be.
        path: PathBuf,
    },
    /// A file is not what it was when it was written.
    #[error("damaged: {}: {message}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        message: String,
    },
    /// A client that was revoked has no serial number that a CRL could name.
    #[error(
        "not a serial number in the list of clients: {serial}; hint: write it in hexadecimal digits alone"
    )]
    Serial {
        /// What is there.
        serial: String,
    },
    /// A certificate or CRL cannot be made.
    #[error("cannot issue")]
    Issue(#[from] rcgen::Error),
    /// An RSA key cannot be made.
    #[error("cannot make an RSA key")]
    Rsa(#[source] rsa::Error),
    /// A key cannot be encoded.
    #[error("cannot encode a key")]
    Encode(#[source] rsa::pkcs8::Error),
    /// A PKCS #12 file cannot be made.
    #[error("cannot make a PKCS #12 file")]
    Archive(#[source] p12_keystore::error::Error),
    /// A list cannot be written.
    #[error("cannot encode a list")]
    Encoding(#[from] toml::ser::Error),
    /// The system has no randomness.
    #[error("the system has no randomness")]
    Random,
    /// A client of this name is there.
    #[error(
        "there is a client of this name: {name}; \
         hint: choose another name, or `ikexdp client revoke {name}` first"
    )]
    Taken {
        /// The name.
        name: String,
    },
    /// There never was a client of this name.
    #[error("no such client: {name}; hint: `ikexdp client list` has them all")]
    Unknown {
        /// The name.
        name: String,
    },
}

impl From<Unspecified> for PkiError {
    fn from(_: Unspecified) -> Self {
        Self::Random
    }
}

impl PkiError {
    /// Turns an error of reading `path` into ours.
    pub(super) fn reading(path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Read { path, source }
    }

    /// Turns an error of writing `path` into ours.
    pub(super) fn writing(path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| match source.kind() {
            io::ErrorKind::AlreadyExists => Self::Exists { path },
            _ => Self::Write { path, source },
        }
    }
}
