//! The algorithms that two sides have agreed on.

use core::fmt;

use crate::crypto::cipher::Cipher;
use crate::crypto::kex::Group;
use crate::crypto::prf::Prf;

/// The algorithms of an IKE SA.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IkeSuite {
    /// Protects its messages.
    pub cipher: Cipher,
    /// Derives its keys.
    pub prf: Prf,
    /// Agreed on its secret.
    pub group: Group,
}

impl fmt::Display for IkeSuite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.cipher, self.prf, self.group)
    }
}

/// The algorithms of a CHILD SA.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EspSuite {
    /// Protects its packets.
    pub cipher: Cipher,
    /// Whether sequence numbers have 64 bits.
    pub extended_sequence_numbers: bool,
}

impl fmt::Display for EspSuite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.cipher)?;
        if self.extended_sequence_numbers {
            f.write_str("/esn")?;
        }
        Ok(())
    }
}
