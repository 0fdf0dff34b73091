//! A client as data.

use ikexdp::probe::client::{Client, Row};
use ikexdp_proto::crypto::cipher::Cipher;
use ikexdp_proto::crypto::kex::Group;
use ikexdp_proto::wire::iana::{NotifyType, TransformType};
use ikexdp_proto::wire::payload::sa::Proposal;

/// A client as it comes, or as its administrator has set it up.
#[derive(Clone, Debug)]
pub struct Profile {
    /// What it opens with.
    pub client: Client,
    /// The payloads of its IKE_AUTH request, in order.
    pub auth: Vec<Item>,
    /// How many authorities it names that the gateway has never heard of.
    pub authorities: usize,
    /// The attributes of its CFG_REQUEST, in order; all are empty.
    pub attributes: Vec<u16>,
    /// SAi2, without SPIs.
    pub esp: Vec<Proposal>,
    /// How it cuts messages that are too long.
    pub cut: Cut,
    /// How it signs, and has the gateway sign.
    pub signature: Signature,
    /// Whether it takes no certificate for ECDSA from a gateway.
    pub refuses_ecdsa: bool,
    /// How it replaces a CHILD SA.
    pub rekey: Rekey,
}

/// A payload of IKE_AUTH.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Item {
    /// IDi.
    Identity,
    /// CERT, as many as there are; none without a certificate.
    Certificates,
    /// CERTREQ.
    Authorities,
    /// IDr.
    Wanted,
    /// AUTH; none with EAP.
    Proof,
    /// N without data.
    Notify(NotifyType),
    /// CP.
    Configuration,
    /// SA, TSi, TSr.
    Child,
}

/// How messages are cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    /// Into fragments with so many octets of ciphertext.
    Ciphertext(usize),
    /// Into fragments that fill IP datagrams of so many octets.
    Datagram(usize),
    /// The same in whole blocks of 16 octets, with any cipher.
    Blocks(usize),
    /// By IP.
    Never,
}

/// How AUTH is signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signature {
    /// By methods that are older than RFC 7427: 1 for RSA, with SHA-1, 9 and 10 for ECDSA.
    Old,
    /// By method 14.
    Digital,
}

/// How a client replaces its SAs.
#[derive(Clone, Debug)]
pub struct Rekey {
    /// What it offers for a CHILD SA, without SPIs.
    pub esp: Vec<Proposal>,
    /// The group of a key exchange for it.
    pub group: Option<Group>,
    /// Whether an IKE SA is offered as it was chosen, with the number that it had then, instead of
    /// all proposals anew.
    pub keeps_number: bool,
}

/// Octets of an IKE header, a generic payload header and the numbers of a fragment.
const FRAGMENT_HEAD: usize = 28 + 4 + 4;

impl Cut {
    /// How many octets of plaintext a fragment has, with so many octets around an IKE message; `None` if
    /// there are no fragments.
    #[must_use]
    pub fn plaintext(self, cipher: Cipher, overhead: usize) -> Option<usize> {
        const BLOCK: usize = 16;
        let room = |datagram: usize| datagram - overhead - FRAGMENT_HEAD;
        let blocks = |octets: usize| octets - octets % BLOCK;
        Some(match self {
            Self::Never => return None,
            // Padding of a whole block, with a cipher that has any.
            Self::Ciphertext(octets) if cipher.integrity().is_some() => octets - BLOCK,
            Self::Ciphertext(octets) => octets - 1,
            Self::Datagram(octets) => cipher.capacity(room(octets)),
            Self::Blocks(octets) => blocks(room(octets) - cipher.iv() - cipher.icv()) - 1,
        })
    }
}

/// No ESN.
pub const SHORT: Row = (TransformType::SEQUENCE_NUMBERS, 0, None);

#[cfg(test)]
mod tests {
    use super::*;
    use ikexdp_proto::crypto::cipher::{Encryption, Integrity};

    /// Lengths of IKE messages on port 4500 that captures and logs of servers show, with IPv4.
    #[test]
    fn fragments_are_as_long_as_those_that_were_seen() {
        const OVERHEAD: usize = 20 + 8 + 4;
        let cbc = |integrity| Cipher::new(Encryption::AesCbc256, Some(integrity)).unwrap();
        let gcm = Cipher::new(Encryption::AesGcm16_256, None).unwrap();
        let windows = Cut::Ciphertext(512);
        for (cut, cipher, length) in [
            (windows, cbc(Integrity::HmacSha1_96), 576),
            (windows, cbc(Integrity::HmacSha2_256_128), 580),
            (windows, cbc(Integrity::HmacSha2_384_192), 588),
            (windows, gcm, 572),
            (Cut::Blocks(576), cbc(Integrity::HmacSha2_256_128), 532),
            (Cut::Blocks(576), gcm, 540),
            (Cut::Datagram(1280), gcm, 1248),
        ] {
            let plaintext = cut.plaintext(cipher, OVERHEAD).unwrap();
            assert_eq!(FRAGMENT_HEAD + cipher.sealed_len(plaintext), length);
        }
        assert_eq!(Cut::Never.plaintext(gcm, OVERHEAD), None);
    }
}
