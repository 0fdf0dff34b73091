//! An IKE SA as its initiator has it: keys, SPIs, and where messages are.

use std::collections::BTreeMap;

use chacha20::ChaCha8Rng;
use ikexdp_proto::crypto::cipher::{Cipher, Encryption, Integrity};
use ikexdp_proto::crypto::kex::Group;
use ikexdp_proto::crypto::keymat::IkeKeys;
use ikexdp_proto::crypto::prf::Prf;
use ikexdp_proto::types::{MessageId, Role, Spis};
use ikexdp_proto::wire::header::{HEADER_LEN, Header, VERSION};
use ikexdp_proto::wire::iana::{ExchangeType, PayloadType, TransformType};
use ikexdp_proto::wire::payload::GENERIC_LEN;
use ikexdp_proto::wire::payload::sa::{Proposal, Transform};
use ikexdp_proto::wire::sk::{Encrypted, FRAGMENT_LEN};
use ikexdp_proto::wire::writer::Chain;

use super::profile::Cut;
use super::reading::payloads;
use crate::answer::Answer;

/// The algorithms of an IKE SA.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Suite {
    pub(crate) cipher: Cipher,
    pub(crate) prf: Prf,
    pub(crate) group: Group,
}

impl Suite {
    /// What the one proposal of an answer says.
    pub(crate) fn of(chosen: &Proposal) -> Self {
        let find = |kind| chosen.transforms.iter().find(move |it| it.kind == kind);
        let one = |kind| find(kind).unwrap_or_else(|| panic!("no {kind} in {chosen:?}"));
        let is_encryption = |transform: &Transform, it: &Encryption| {
            it.id().0 == transform.id && it.key_length() == transform.key_length
        };
        let encryption = one(TransformType::ENCRYPTION);
        let mut ciphers = Encryption::ALL.into_iter();
        let encryption = ciphers.find(|it| is_encryption(encryption, it)).unwrap();
        let integrity = find(TransformType::INTEGRITY).map(|transform| {
            let mut all = Integrity::ALL.into_iter();
            all.find(|it| it.id().0 == transform.id).unwrap()
        });
        let prf = one(TransformType::PRF).id;
        let group = one(TransformType::KEY_EXCHANGE).id;
        Self {
            cipher: Cipher::new(encryption, integrity).expect("a cipher with what it needs"),
            prf: Prf::ALL.into_iter().find(|it| it.id().0 == prf).unwrap(),
            group: Group::ALL
                .into_iter()
                .find(|it| it.id().0 == group)
                .unwrap(),
        }
    }
}

/// An IKE SA.
pub(crate) struct Line {
    pub(crate) spis: Spis,
    pub(crate) keys: IkeKeys,
    pub(crate) suite: Suite,
    /// The ID of its next request.
    pub(crate) next: u32,
    /// The ID of the gateway's next request.
    pub(crate) awaited: u32,
    /// What the gateway's last request was answered with.
    pub(crate) said: Vec<Vec<u8>>,
}

/// Where a message belongs.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    pub(crate) exchange: ExchangeType,
    pub(crate) id: u32,
    pub(crate) response: bool,
}

impl Line {
    /// One whose next request has the ID `next`.
    pub(crate) fn new(spis: Spis, keys: IkeKeys, suite: Suite, next: u32) -> Self {
        Self {
            spis,
            keys,
            suite,
            next,
            awaited: 0,
            said: Vec::new(),
        }
    }

    /// Seals a message, in pieces if it takes several.
    pub(crate) fn seal(
        &mut self,
        place: Place,
        payloads: &Chain,
        (cut, overhead): (Cut, usize),
        random: &mut ChaCha8Rng,
    ) -> Vec<Vec<u8>> {
        let room = cut.plaintext(self.suite.cipher, overhead);
        let room = room.filter(|room| payloads.octets.len() > *room);
        let Some(room) = room else {
            return vec![self.seal_part(place, payloads.first, None, &payloads.octets, random)];
        };
        let total = payloads.octets.len().div_ceil(room) as u16;
        let mut pieces = Vec::new();
        for (piece, number) in payloads.octets.chunks(room).zip(1..) {
            let first = if number == 1 {
                payloads.first
            } else {
                PayloadType::NONE
            };
            pieces.push(self.seal_part(place, first, Some((number, total)), piece, random));
        }
        pieces
    }

    fn seal_part(
        &mut self,
        place: Place,
        first: PayloadType,
        fragment: Option<(u16, u16)>,
        plaintext: &[u8],
        random: &mut ChaCha8Rng,
    ) -> Vec<u8> {
        let (kind, numbers) = match fragment {
            Some(_) => (PayloadType::ENCRYPTED_FRAGMENT, FRAGMENT_LEN),
            None => (PayloadType::ENCRYPTED, 0),
        };
        let body = self.suite.cipher.sealed_len(plaintext.len()) + numbers;
        let mut message = Vec::new();
        let header = Header {
            spis: self.spis,
            next_payload: kind,
            version: VERSION,
            exchange: place.exchange,
            from: Role::Initiator,
            response: place.response,
            message_id: MessageId(place.id),
        };
        header.encode(HEADER_LEN + GENERIC_LEN + body, &mut message);
        message.extend([first.0, 0]);
        message.extend(((GENERIC_LEN + body) as u16).to_be_bytes());
        if let Some((number, total)) = fragment {
            message.extend(number.to_be_bytes());
            message.extend(total.to_be_bytes());
        }
        let sealed = self.keys.seal.seal(&mut message, plaintext, random);
        sealed.unwrap();
        message
    }
}

/// The pieces of a message that comes.
#[derive(Debug, Default)]
pub(crate) struct Pieces {
    first: Option<PayloadType>,
    octets: BTreeMap<u16, Vec<u8>>,
    total: Option<u16>,
}

impl Pieces {
    /// Takes a piece; returns what they say when none is missing.
    pub(crate) fn take(&mut self, line: &Line, header: &Header, message: &[u8]) -> Option<Answer> {
        let encrypted = Encrypted::locate(header, message).unwrap();
        let plaintext = line.keys.open.open(message, encrypted.associated).unwrap();
        let Some(fragment) = encrypted.fragment else {
            return Some(payloads(encrypted.first, &plaintext));
        };
        assert!(fragment.total > 1, "a fragment of one is a message");
        // RFC 7383 §2.6: more and smaller ones take the place of fewer, and fewer are forgotten.
        if self.total.is_none_or(|total| fragment.total > total) {
            *self = Self {
                total: Some(fragment.total),
                ..Self::default()
            };
        }
        let total = self.total.filter(|total| *total == fragment.total)?;
        if fragment.number == 1 {
            self.first = Some(encrypted.first);
        }
        self.octets.insert(fragment.number, plaintext);
        if self.octets.len() < usize::from(total) {
            return None;
        }
        let octets: Vec<u8> = self.octets.values().flatten().copied().collect();
        Some(payloads(self.first?, &octets))
    }
}
