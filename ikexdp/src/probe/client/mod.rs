//! What clients write into their first request, octet for octet where that is known.
//!
//! The files use nothing but the engine, so that whoever plays these clients in a test has the same.

mod android;
mod apple;
mod linux;
mod windows;

use ikexdp_proto::crypto::kex::Group;
use ikexdp_proto::nat::NatHash;
use ikexdp_proto::windows::VENDOR_ID;
use ikexdp_proto::wire::iana::{GroupId, NotifyType, PayloadType, ProtocolId, TransformType};
use ikexdp_proto::wire::payload::ke::KeyExchange;
use ikexdp_proto::wire::payload::nonce;
use ikexdp_proto::wire::payload::notify::Notify;
use ikexdp_proto::wire::payload::sa::{self, Proposal, Transform};
use ikexdp_proto::wire::writer::ChainWriter;

pub use self::android::{android, pair, sizes, strongswan_app};
pub use self::apple::{ios, macos, macos_14};
pub use self::linux::strongswan;
pub use self::windows::{Cipher, windows, windows_custom, windows_dh2048};

/// A client as it comes, or as its administrator has set it up, as far as its first request goes.
#[derive(Clone, Debug)]
pub struct Client {
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

/// What goes into an IKE_SA_INIT request beside the data.
#[derive(Clone, Copy, Debug)]
pub struct Fresh<'a> {
    /// The group of KEi.
    pub group: GroupId,
    /// KEi.
    pub public: &'a [u8],
    /// Ni.
    pub nonce: &'a [u8],
    /// What NAT_DETECTION_SOURCE_IP and NAT_DETECTION_DESTINATION_IP say.
    pub nat: [NatHash; 2],
}

impl Client {
    /// Nobody in particular: a proposal, a key of X25519, and what everybody else sends.
    #[must_use]
    pub fn plain(name: &'static str, rows: &[Row]) -> Self {
        Self {
            name,
            proposals: proposals(ProtocolId::IKE, &[rows.to_vec()]),
            group: Group::Curve25519,
            nonce_len: 32,
            opening: vec![
                Opening::Proposals,
                Opening::KeyExchange,
                Opening::Nonce,
                Opening::NatSource,
                Opening::NatDestination,
            ],
            opening_len: None,
            fakes_nat: false,
        }
    }

    /// Appends the payloads of an IKE_SA_INIT request.
    pub fn open(&self, chain: &mut ChainWriter, fresh: &Fresh<'_>) {
        let [source, destination] = &fresh.nat;
        let notify = |chain: &mut ChainWriter, kind, data: &[u8]| {
            Notify::new(kind, data).encode(chain);
        };
        for payload in &self.opening {
            match payload {
                Opening::Proposals => sa::encode(chain, &self.proposals),
                Opening::KeyExchange => KeyExchange {
                    group: fresh.group,
                    data: fresh.public,
                }
                .encode(chain),
                Opening::Nonce => nonce::encode(chain, fresh.nonce),
                Opening::Notify(kind) => notify(chain, *kind, &[]),
                Opening::NatSource => notify(chain, NotifyType::NAT_DETECTION_SOURCE_IP, source),
                Opening::NatDestination => {
                    notify(chain, NotifyType::NAT_DETECTION_DESTINATION_IP, destination);
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

    /// Whether it offers a group, and so can send a key of it when it is asked for one.
    #[must_use]
    pub fn offers(&self, group: GroupId) -> bool {
        let mut transforms = self.proposals.iter().flat_map(|it| &it.transforms);
        transforms.any(|it| it.kind == TransformType::KEY_EXCHANGE && it.id == group.0)
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
