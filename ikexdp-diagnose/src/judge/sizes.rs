//! What the size of an encrypted message says of what is inside.

use ikexdp_proto::wire::iana::{EncryptionId, IntegrityId, TransformType};
use ikexdp_proto::wire::payload::sa::Proposal;

use super::case::Case;
use crate::attempt::exchange::View;

/// What fits into an encrypted message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Inside {
    /// A notify, or EAP that only says how it ended.
    OneNotify,
    /// No certificate, and not both a CHILD SA and who the gateway is.
    Little,
    /// More.
    Much,
}

/// Octets of payloads above which a response may hold IDr, AUTH, SA, TSi and TSr, which take 150 together at least.
const LITTLE: usize = 140;
/// Octets of ciphertext that hold one short payload: a block of AES, or what an AEAD makes of 8 octets.
const ONE_NOTIFY: usize = 16;

/// Octets that a cipher adds: IV and ICV.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Overhead {
    iv: usize,
    icv: usize,
}

impl Inside {
    /// What there is room for in all fragments of a message together. Where it is not known what was chosen, it is what
    /// there is room for with any cipher.
    pub(super) fn of(case: &Case<'_>, view: &View<'_>) -> Option<Self> {
        Some(match ciphertext(case, view)? {
            0..=ONE_NOTIFY => Self::OneNotify,
            ciphertext if ciphertext <= LITTLE => Self::Little,
            _ => Self::Much,
        })
    }
}

/// Whether it is known what was chosen, so that sizes are exact.
pub(super) fn is_exact(case: &Case<'_>) -> bool {
    chosen(case).is_some()
}

/// Octets of ciphertext in all fragments of a message together: at least so many, where the suite is not known.
pub(super) fn ciphertext(case: &Case<'_>, view: &View<'_>) -> Option<usize> {
    let overhead = chosen(case).map_or(Overhead::LARGEST, Overhead::of);
    let fragments = view.fragmented().map_or(1, |cut| usize::from(cut.total));
    let each = overhead.iv.saturating_add(overhead.icv);
    Some(
        view.encrypted()?
            .saturating_sub(each.saturating_mul(fragments)),
    )
}

fn chosen<'a>(case: &Case<'a>) -> Option<&'a Proposal> {
    case.accepted()?.1.proposals.first()
}

impl Overhead {
    /// AES-CBC with HMAC-SHA-512.
    const LARGEST: Self = Self { iv: 16, icv: 32 };
    /// AES-GCM with 16 octets of ICV.
    const GCM: Self = Self { iv: 8, icv: 16 };

    fn of(chosen: &Proposal) -> Self {
        let of = |kind| {
            chosen
                .transforms
                .iter()
                .find(|transform| transform.kind == kind)
        };
        let encryption = of(TransformType::ENCRYPTION).map(|transform| EncryptionId(transform.id));
        let integrity =
            of(TransformType::INTEGRITY).map_or(0, |transform| icv(IntegrityId(transform.id)));
        match encryption {
            Some(EncryptionId::AES_GCM_8) => Self { iv: 8, icv: 8 },
            Some(EncryptionId::AES_GCM_12) => Self { iv: 8, icv: 12 },
            Some(EncryptionId::AES_GCM_16 | EncryptionId::CHACHA20_POLY1305) | None => Self::GCM,
            Some(EncryptionId::DES | EncryptionId::TRIPLE_DES | EncryptionId::AES_CTR) => Self {
                iv: 8,
                icv: integrity,
            },
            Some(_) => Self {
                iv: 16,
                icv: integrity,
            },
        }
    }
}

const fn icv(integrity: IntegrityId) -> usize {
    match integrity {
        IntegrityId::HMAC_SHA2_256_128 => 16,
        IntegrityId::HMAC_SHA2_384_192 => 24,
        IntegrityId::HMAC_SHA2_512_256 => 32,
        IntegrityId::NONE => 0,
        _ => 12,
    }
}
