//! What the messages of a flood say.

use std::ops::Range;

use ikexdp::probe::client::Fresh;
use ikexdp_proto::{
    types::{MessageId, Role, Spi, Spis},
    wire::{
        header::{HEADER_LEN, Header, VERSION},
        iana::{ExchangeType, NotifyType, PayloadType},
        payload::{GENERIC_LEN, notify::Notify, sa::Proposal},
        writer::{Chain, ChainWriter},
    },
};
use ring::rand::SystemRandom;

use crate::{crowd, emulator::profile::Profile};

/// Octets of a nonce.
pub(super) const NONCE_LEN: usize = 32;
/// What stands for the nonce until one is drawn; no other payload says it.
const PLACEHOLDER: [u8; NONCE_LEN] = [0xd7; NONCE_LEN];
/// Octets of what an SA's key would open.
const SEALED_LEN: usize = 256;
/// Octets of a message that fills an Ethernet frame, with IPv4.
const MESSAGE_LEN_MAX: usize = 1500 - 20 - 8;

/// A request of IKE_SA_INIT, new each time.
#[derive(Debug)]
pub(super) struct Opening {
    payloads: Chain,
    nonce: Range<usize>,
}

impl Opening {
    /// Like a client's.
    pub(super) fn usual() -> Self {
        Self::of(&crowd::profile())
    }

    /// With proposals, all of which a client could mean, until the datagram is full.
    pub(super) fn giant() -> Self {
        let mut profile = crowd::profile();
        let usual = profile.client.proposals.clone();
        let mut largest = Self::of(&profile);
        for (proposal, number) in usual.iter().cycle().zip(usual.len() + 1..) {
            let number = number as u8;
            profile.client.proposals.push(Proposal {
                number,
                ..proposal.clone()
            });
            let larger = Self::of(&profile);
            if HEADER_LEN + larger.payloads.octets.len() > MESSAGE_LEN_MAX {
                break;
            }
            largest = larger;
        }
        largest
    }

    fn of(profile: &Profile) -> Self {
        let key = profile.client.group.generate(&SystemRandom::new()).unwrap();
        let fresh = Fresh {
            group: key.group().id(),
            public: key.public(),
            nonce: &PLACEHOLDER,
            nat: [[0xfa; 20]; 2],
        };
        let mut chain = ChainWriter::default();
        profile.client.open(&mut chain, &fresh);
        let payloads = chain.finish();
        let mut places = payloads.octets.windows(NONCE_LEN);
        let start = places
            .position(|place| place == PLACEHOLDER)
            .expect("it has a nonce");
        Self {
            payloads,
            nonce: start..start + NONCE_LEN,
        }
    }

    /// The request with this SPI, this nonce, and this cookie if there is one.
    pub(super) fn write(
        &self,
        initiator: Spi,
        nonce: &[u8; NONCE_LEN],
        cookie: Option<&[u8]>,
    ) -> Vec<u8> {
        let mut chain = Chain {
            first: self.payloads.first,
            octets: self.payloads.octets.clone(),
        };
        chain.octets[self.nonce.clone()].copy_from_slice(nonce);
        if let Some(cookie) = cookie {
            let mut notify = ChainWriter::default();
            Notify::new(NotifyType::COOKIE, cookie).encode(&mut notify);
            let mut notify = notify.finish();
            notify.octets[0] = chain.first.0;
            notify.octets.append(&mut chain.octets);
            chain = notify;
        }
        let spis = Spis {
            initiator,
            responder: Spi::ZERO,
        };
        message(spis, ExchangeType::IKE_SA_INIT, 0, &chain)
    }

    /// Where the nonce is in the request without a cookie.
    pub(super) const fn nonce(&self) -> Range<usize> {
        HEADER_LEN + self.nonce.start..HEADER_LEN + self.nonce.end
    }

    /// The one of a sender who keeps nothing: its nonce is its SPI, over and over.
    pub(super) fn by_spi(&self, initiator: Spi, cookie: Option<&[u8]>) -> Vec<u8> {
        let nonce = initiator.0.to_be_bytes().repeat(NONCE_LEN / 8);
        self.write(initiator, &nonce.try_into().unwrap(), cookie)
    }
}

/// A request for an SA that nobody has; its SPIs are to be drawn.
pub(super) fn invented(exchange: ExchangeType) -> Vec<u8> {
    let length = (GENERIC_LEN + SEALED_LEN) as u16;
    let [high, low] = length.to_be_bytes();
    let spis = Spis {
        initiator: Spi::ZERO,
        responder: Spi::ZERO,
    };
    let chain = Chain {
        first: PayloadType::ENCRYPTED,
        octets: [
            vec![PayloadType::NONE.0, 0, high, low],
            vec![0xa5; SEALED_LEN],
        ]
        .concat(),
    };
    message(spis, exchange, 1, &chain)
}

fn message(spis: Spis, exchange: ExchangeType, id: u32, payloads: &Chain) -> Vec<u8> {
    let header = Header {
        spis,
        next_payload: payloads.first,
        version: VERSION,
        exchange,
        from: Role::Initiator,
        response: false,
        message_id: MessageId(id),
    };
    let mut message = Vec::new();
    header.encode(HEADER_LEN + payloads.octets.len(), &mut message);
    message.extend_from_slice(&payloads.octets);
    message
}
