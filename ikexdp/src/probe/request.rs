//! The messages that a probe sends.

use ikexdp_proto::crypto::kex::Group;
use ikexdp_proto::nat::{self, NatHash};
use ikexdp_proto::types::{MessageId, Path, Role, Spi, Spis};
use ikexdp_proto::wire::header::{HEADER_LEN, Header, VERSION};
use ikexdp_proto::wire::iana::{ExchangeType, GroupId, NotifyType, PayloadType};
use ikexdp_proto::wire::payload::GENERIC_LEN;
use ikexdp_proto::wire::payload::notify::Notify;
use ikexdp_proto::wire::writer::{Chain, ChainWriter};
use ring::rand::{SecureRandom, SystemRandom};

use super::client::{Client, Fresh};
use super::error::ProbeError;

/// What a client that pretends to be behind a NAT says of its address.
const NOWHERE: NatHash = [0xfa; 20];

/// Octets that stand for what an SA's key would open: 16 of an IV and 64 behind it, which no gateway takes
/// for too short.
const SEALED_LEN: usize = 80;

/// A request of IKE_SA_INIT, to be written again with a cookie, or with a key of another group.
#[derive(Clone, Debug)]
pub struct Request {
    client: Client,
    spi: Spi,
    nonce: Vec<u8>,
    group: GroupId,
    public: Vec<u8>,
    /// The cookie that the gateway has asked for.
    pub cookie: Option<Vec<u8>>,
}

impl Request {
    /// One of a client, with an SPI and a nonce of its own and a key of the group that it guesses.
    ///
    /// # Errors
    /// [`ProbeError::Random`] if the system has no randomness.
    pub fn new(client: Client) -> Result<Self, ProbeError> {
        let group = client.group.id();
        Self::with_group(client, group)
    }

    /// The same with a key of `group`, whatever the client would guess.
    ///
    /// # Errors
    /// [`ProbeError::Random`] if the system has no randomness.
    pub fn with_group(client: Client, group: GroupId) -> Result<Self, ProbeError> {
        let mut nonce = vec![0; client.nonce_len];
        fill(&mut nonce)?;
        Ok(Self {
            client,
            spi: random_spi()?,
            nonce,
            group,
            public: public_value(group)?.unwrap_or_default(),
            cookie: None,
        })
    }

    /// Has the next be written with a key of another group. The cookie stays, as it is made for SPI and nonce.
    ///
    /// # Errors
    /// [`ProbeError::Random`] if the system has no randomness.
    pub fn change_group(&mut self, group: GroupId) -> Result<(), ProbeError> {
        self.group = group;
        self.public = public_value(group)?.unwrap_or_default();
        Ok(())
    }

    /// The group of its key.
    #[must_use]
    pub const fn group(&self) -> GroupId {
        self.group
    }

    /// The client whose request it is.
    #[must_use]
    pub const fn client(&self) -> &Client {
        &self.client
    }

    /// The initiator's SPI.
    #[must_use]
    pub const fn spi(&self) -> Spi {
        self.spi
    }

    /// The message, as it is sent on `path`.
    #[must_use]
    pub fn encode(&self, path: &Path) -> Vec<u8> {
        self.encode_with(path, |_| ())
    }

    /// The message, and behind it what `more` appends.
    pub fn encode_with(&self, path: &Path, more: impl FnOnce(&mut ChainWriter)) -> Vec<u8> {
        let mut chain = ChainWriter::default();
        if let Some(cookie) = &self.cookie {
            Notify::new(NotifyType::COOKIE, cookie).encode(&mut chain);
        }
        let spis = spis(self.spi, Spi::ZERO);
        let source = if self.client.fakes_nat {
            NOWHERE
        } else {
            nat::hash(spis, path.local)
        };
        let fresh = Fresh {
            group: self.group,
            public: &self.public,
            nonce: &self.nonce,
            nat: [source, nat::hash(spis, path.remote)],
        };
        self.client.open(&mut chain, &fresh);
        more(&mut chain);
        message(
            spis,
            ExchangeType::IKE_SA_INIT,
            MessageId(0),
            &chain.finish(),
        )
    }
}

/// A request of IKE_AUTH under these SPIs that no key opens. Whoever has the SA drops it; whoever has not may
/// say so.
///
/// # Errors
/// [`ProbeError::Random`] if the system has no randomness.
pub fn sealed_by_nobody(spis: Spis) -> Result<Vec<u8>, ProbeError> {
    let mut sealed = [0; SEALED_LEN];
    fill(&mut sealed)?;
    let length = u16::try_from(SEALED_LEN.saturating_add(GENERIC_LEN)).unwrap_or(u16::MAX);
    let mut octets = vec![PayloadType::ID_INITIATOR.0, 0];
    octets.extend(length.to_be_bytes());
    octets.extend(sealed);
    let chain = Chain {
        first: PayloadType::ENCRYPTED,
        octets,
    };
    Ok(message(spis, ExchangeType::IKE_AUTH, MessageId(1), &chain))
}

/// An SPI that nobody has had.
///
/// # Errors
/// [`ProbeError::Random`] if the system has no randomness.
pub fn random_spi() -> Result<Spi, ProbeError> {
    let mut octets = [0; 8];
    fill(&mut octets)?;
    // Zero stands for none.
    Ok(Spi(u64::from_be_bytes(octets) | 1))
}

/// Both SPIs.
#[must_use]
pub const fn spis(initiator: Spi, responder: Spi) -> Spis {
    Spis {
        initiator,
        responder,
    }
}

fn message(spis: Spis, exchange: ExchangeType, message_id: MessageId, payloads: &Chain) -> Vec<u8> {
    let header = Header {
        spis,
        next_payload: payloads.first,
        version: VERSION,
        exchange,
        from: Role::Initiator,
        response: false,
        message_id,
    };
    let mut message = Vec::new();
    let length = payloads.octets.len().saturating_add(HEADER_LEN);
    header.encode(length, &mut message);
    message.extend_from_slice(&payloads.octets);
    message
}

/// A public value of `group`; none if it is not known how long those are.
///
/// Of groups that the engine does not have it is a number below the prime: nothing is ever
/// computed with it here, and a gateway cannot tell it from another.
fn public_value(group: GroupId) -> Result<Option<Vec<u8>>, ProbeError> {
    if let Some(known) = Group::ALL.into_iter().find(|it| it.id() == group) {
        let pair = known.generate(&SystemRandom::new());
        let pair = pair.map_err(|_| ProbeError::Random)?;
        return Ok(Some(pair.public().to_vec()));
    }
    let length = match group {
        GroupId::MODP_768 => 96,
        // 1024 and 2048 bits with subgroups of prime order (RFC 5114).
        GroupId(22) => 128,
        GroupId(23 | 24) => 256,
        GroupId::CURVE448 => 56,
        _ => return Ok(None),
    };
    let mut value = vec![0; length];
    fill(&mut value)?;
    if let Some(first) = value.first_mut() {
        // The primes of these groups begin with a one.
        *first &= 0x7f;
    }
    Ok(Some(value))
}

fn fill(octets: &mut [u8]) -> Result<(), ProbeError> {
    let filled = SystemRandom::new().fill(octets);
    filled.map_err(|_| ProbeError::Random)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::probe::client::{
        Cipher, android, ios, macos, macos_14, strongswan, strongswan_app, windows, windows_custom,
        windows_dh2048,
    };
    use ikexdp_proto::message::init::InitRequest;

    fn path() -> Path {
        Path {
            local: "192.0.2.2:1".parse().unwrap(),
            remote: "198.51.100.2:500".parse().unwrap(),
            marker: false,
        }
    }

    #[test]
    fn requests_are_as_long_as_those_that_were_seen() {
        for (client, length) in [
            (windows(), 888),
            (windows().without_fragmentation(), 880),
            (windows_dh2048(), 632),
            (windows_custom(Cipher::Aes128, Group::Ecp256), 352),
            (windows_custom(Cipher::Aes256, Group::Ecp384), 384),
            (ios(), 604),
            (macos(), 240),
            (strongswan(), 940),
        ] {
            assert_eq!(client.opening_len, Some(length), "{}", client.name);
            let request = Request::new(client).unwrap();
            let length = request.encode(&path()).len();
            let client = request.client();
            assert_eq!(client.opening_len, Some(length), "{}", client.name);
        }
    }

    /// The engine is strict; what it reads, others do.
    #[test]
    fn the_engine_reads_what_clients_send() {
        for client in [
            windows(),
            ios(),
            macos_14(),
            android(),
            strongswan_app(),
            strongswan(),
        ] {
            let mut request = Request::new(client.clone()).unwrap();
            request.cookie = Some(vec![7; 16]);
            let message = request.encode(&path());
            let (header, payloads) = Header::decode(&message).unwrap();
            assert_eq!(header.spis, spis(request.spi(), Spi::ZERO));
            let read = InitRequest::decode(header.next_payload, payloads).unwrap();
            assert_eq!(read.proposals, client.proposals, "{}", client.name);
            assert_eq!(read.key_exchange.group, client.group.id());
            assert!(client.group.check(read.key_exchange.data).is_ok());
            assert_eq!(read.cookie, Some(&[7; 16][..]));
            assert_eq!(read.is_windows, client.is_windows());
            assert!(read.notifies.fragmentation && client.fragments());
            assert!(client.offers(client.group.id()), "{}", client.name);
            let destination = read.notifies.nat.destination;
            assert_eq!(destination, Some(nat::hash(header.spis, path().remote)));
        }
    }

    #[test]
    fn groups_that_we_do_not_have_get_values_of_their_length() {
        for (group, length) in [(1, 96), (22, 128), (24, 256), (32, 56), (14, 256)] {
            let value = public_value(GroupId(group)).unwrap().unwrap();
            assert_eq!(value.len(), length);
        }
        assert_eq!(public_value(GroupId(9999)).unwrap(), None);
    }

    #[test]
    fn what_nobody_has_sealed_is_framed_like_what_somebody_has() {
        let spis = spis(Spi(1), Spi(2));
        let message = sealed_by_nobody(spis).unwrap();
        let (header, payloads) = Header::decode(&message).unwrap();
        assert_eq!((header.spis, header.message_id), (spis, MessageId(1)));
        assert_eq!(header.next_payload, PayloadType::ENCRYPTED);
        assert_eq!(payloads.len(), GENERIC_LEN + SEALED_LEN);
        assert_eq!(payloads[2..4], [0, 84]);
    }
}
