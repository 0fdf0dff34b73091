//! An offer in words, for people.

use alloc::string::String;
use core::fmt::{Display, Write as _};

use crate::crypto::cipher::{Encryption, Integrity};
use crate::crypto::kex::Group;
use crate::crypto::prf::Prf;
use crate::wire::iana::{
    EncryptionId, GroupId, IntegrityId, PrfId, SequenceNumbers, TransformType,
};
use crate::wire::payload::sa::{Proposal, Transform};

/// What a peer offered, for people; cut where it gets long.
#[must_use]
pub fn describe(proposals: &[Proposal]) -> String {
    const LONG: usize = 400;
    let mut text = String::new();
    for proposal in proposals {
        if text.len() > LONG {
            text.push_str(", …");
            break;
        }
        if !text.is_empty() {
            text.push_str(", ");
        }
        let mut separator = "";
        for transform in proposal.transforms.iter().take(16) {
            // Writing to a string cannot fail.
            let _ = write!(text, "{separator}");
            let _ = describe_transform(&mut text, transform);
            separator = "/";
        }
    }
    text
}

/// An algorithm by the name it has in the configuration, or by IANA's if it is none of ours.
fn describe_transform(text: &mut String, transform: &Transform) -> core::fmt::Result {
    let Transform { id, key_length, .. } = *transform;
    let (ours, registered): (Option<&dyn Display>, &dyn Display) = match transform.kind {
        TransformType::ENCRYPTION => {
            let is = |ours: &&Encryption| ours.id().0 == id && ours.key_length() == key_length;
            (named(&Encryption::ALL, is), &EncryptionId(id))
        }
        TransformType::PRF => (named(&Prf::ALL, |ours| ours.id().0 == id), &PrfId(id)),
        TransformType::INTEGRITY => (
            named(&Integrity::ALL, |ours| ours.id().0 == id),
            &IntegrityId(id),
        ),
        TransformType::KEY_EXCHANGE => (named(&Group::ALL, |ours| ours.id().0 == id), &GroupId(id)),
        TransformType::SEQUENCE_NUMBERS => (None, &SequenceNumbers(id)),
        other => return write!(text, "{other}:{id}"),
    };
    match (ours, key_length) {
        (Some(name), _) => write!(text, "{name}"),
        (None, Some(bits)) => write!(text, "{registered}-{bits}"),
        (None, None) => write!(text, "{registered}"),
    }
}

fn named<T: Display>(list: &[T], is: impl FnMut(&&T) -> bool) -> Option<&dyn Display> {
    list.iter().find(is).map(|ours| ours as &dyn Display)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::iana::ProtocolId;
    use alloc::vec::Vec;

    const ENCRYPTION: TransformType = TransformType::ENCRYPTION;

    fn described(transforms: &[(TransformType, u16, Option<u16>)]) -> String {
        describe(&[Proposal {
            number: 1,
            protocol: ProtocolId::IKE,
            spi: Vec::new(),
            transforms: transforms
                .iter()
                .map(|(kind, id, bits)| Transform::new(*kind, *id, *bits))
                .collect(),
        }])
    }

    #[test]
    fn what_is_ours_reads_as_in_the_configuration() {
        let text = described(&[
            (ENCRYPTION, 12, Some(256)),
            (TransformType::INTEGRITY, 12, None),
            (TransformType::PRF, 5, None),
            (TransformType::KEY_EXCHANGE, 31, None),
        ]);
        assert_eq!(text, "aes256-cbc/sha2-256/prf-sha2-256/x25519");
    }

    #[test]
    fn what_is_not_reads_as_in_the_registry() {
        let text = described(&[
            (ENCRYPTION, 3, None),
            (ENCRYPTION, 13, Some(192)),
            (TransformType::INTEGRITY, 5, None),
            (TransformType::PRF, 4, None),
            (TransformType::KEY_EXCHANGE, 1, None),
        ]);
        assert_eq!(
            text,
            "3DES/AES_CTR-192/AES_XCBC_96/PRF_AES128_XCBC/MODP_768"
        );
    }
}
