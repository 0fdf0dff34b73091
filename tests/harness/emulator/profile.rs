//! A client as data.

use ikexdp_proto::crypto::cipher::Cipher;
use ikexdp_proto::crypto::kex::Group;
use ikexdp_proto::nat::NatHash;
use ikexdp_proto::windows::VENDOR_ID;
use ikexdp_proto::wire::iana::{NotifyType, PayloadType, ProtocolId, TransformType};
use ikexdp_proto::wire::payload::ke::KeyExchange;
use ikexdp_proto::wire::payload::nonce;
use ikexdp_proto::wire::payload::notify::Notify;
use ikexdp_proto::wire::payload::sa::{self, Proposal, Transform};
use ikexdp_proto::wire::writer::ChainWriter;

/// A client as it comes, or as its administrator has set it up.
#[derive(Clone, Debug)]
pub struct Profile {
    /// What people call it.
    pub name: &'static str,
    /// SAi1.
    pub proposals: Vec<Proposal>,
    /// The group of its KEi.
    pub group: Group,
    /// Octets of its nonces.
    pub nonce_len: usize,
    /// The payloads of its IKE_SA_INIT request, in order.
    pub opening: Vec<Opening>,
    /// Octets of that request, where that has been seen.
    pub opening_len: Option<usize>,
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
    /// Whether it says that there is a NAT though there is none.
    pub fakes_nat: bool,
}

/// A payload of IKE_SA_INIT.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Opening {
    /// SA.
    Proposals,
    /// KE.
    KeyExchange,
    /// Ni.
    Nonce,
    /// N without data.
    Notify(NotifyType),
    /// N(NAT_DETECTION_SOURCE_IP).
    NatSource,
    /// N(NAT_DETECTION_DESTINATION_IP).
    NatDestination,
    /// N(SIGNATURE_HASH_ALGORITHMS).
    SignatureHashes(&'static [u16]),
    /// V.
    VendorId(&'static [u8]),
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

/// What goes into an IKE_SA_INIT request beside the data.
#[derive(Clone, Copy, Debug)]
pub struct Fresh<'a> {
    /// The group of KEi.
    pub group: Group,
    /// KEi.
    pub public: &'a [u8],
    /// Ni.
    pub nonce: &'a [u8],
    /// What NAT_DETECTION_SOURCE_IP and NAT_DETECTION_DESTINATION_IP say.
    pub nat: [NatHash; 2],
}

impl Profile {
    /// Appends the payloads of an IKE_SA_INIT request.
    pub fn open(&self, chain: &mut ChainWriter, fresh: &Fresh<'_>) {
        let notify = |chain: &mut ChainWriter, kind, data: &[u8]| {
            Notify::new(kind, data).encode(chain);
        };
        for payload in &self.opening {
            match payload {
                Opening::Proposals => sa::encode(chain, &self.proposals),
                Opening::KeyExchange => KeyExchange {
                    group: fresh.group.id(),
                    data: fresh.public,
                }
                .encode(chain),
                Opening::Nonce => nonce::encode(chain, fresh.nonce),
                Opening::Notify(kind) => notify(chain, *kind, &[]),
                Opening::NatSource => {
                    notify(chain, NotifyType::NAT_DETECTION_SOURCE_IP, &fresh.nat[0]);
                }
                Opening::NatDestination => {
                    let kind = NotifyType::NAT_DETECTION_DESTINATION_IP;
                    notify(chain, kind, &fresh.nat[1]);
                }
                Opening::SignatureHashes(hashes) => {
                    let octets = hashes.iter().flat_map(|hash| hash.to_be_bytes());
                    let octets: Vec<u8> = octets.collect();
                    notify(chain, NotifyType::SIGNATURE_HASH_ALGORITHMS, &octets);
                }
                Opening::VendorId(id) => {
                    chain.payload(PayloadType::VENDOR_ID, |body| body.bytes(id));
                }
            }
        }
    }

    /// Whether it says that it is Windows.
    #[must_use]
    pub fn is_windows(&self) -> bool {
        let says = |payload: &Opening| matches!(payload, Opening::VendorId(id) if id.starts_with(&VENDOR_ID));
        self.opening.iter().any(says)
    }

    /// Whether it does RFC 7383.
    #[must_use]
    pub fn fragments(&self) -> bool {
        let announced = Opening::Notify(NotifyType::IKEV2_FRAGMENTATION_SUPPORTED);
        self.opening.contains(&announced)
    }
}

/// A transform: its type, its number, and the length of its key in bits.
pub type Row = (TransformType, u16, Option<u16>);

/// ENCR; 0 bits stand for a cipher whose key has one length.
#[must_use]
pub const fn encryption(id: u16, bits: u16) -> Row {
    let bits = if bits == 0 { None } else { Some(bits) };
    (TransformType::ENCRYPTION, id, bits)
}

/// INTEG.
#[must_use]
pub const fn integrity(id: u16) -> Row {
    (TransformType::INTEGRITY, id, None)
}

/// PRF.
#[must_use]
pub const fn prf(id: u16) -> Row {
    (TransformType::PRF, id, None)
}

/// KE.
#[must_use]
pub const fn group(id: u16) -> Row {
    (TransformType::KEY_EXCHANGE, id, None)
}

/// No ESN.
pub const SHORT: Row = (TransformType::SEQUENCE_NUMBERS, 0, None);

/// Proposals, numbered from 1, without SPIs.
#[must_use]
pub fn proposals(protocol: ProtocolId, rows: &[Vec<Row>]) -> Vec<Proposal> {
    let proposals = rows.iter().zip(1..).map(|(rows, number)| Proposal {
        number,
        protocol,
        spi: Vec::new(),
        transforms: rows
            .iter()
            .map(|(kind, id, bits)| Transform::new(*kind, *id, *bits))
            .collect(),
    });
    proposals.collect()
}

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
