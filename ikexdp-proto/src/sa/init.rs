//! The responder's IKE_SA_INIT (RFC 7296 §1.2).
//!
//! ```text
//! request --> stateless refusals --> Responding --key agreed--> HalfOpen --> sa::auth
//! ```

use alloc::boxed::Box;
use alloc::vec::Vec;

use bytes::Bytes;

use super::channel::{Channel, Message, NewChannel};
use super::proposal::{Chosen, choose_ike, chosen_ike, ike_mismatch};
use super::{Context, Core, IkeSa, Progress, State, auth};
use crate::config::{Config, Requirement};
use crate::crypto::CryptoError;
use crate::crypto::cert::AuthorityHash;
use crate::crypto::keymat::{IkeKeys, KeySeed};
use crate::error::Unacceptable;
use crate::event::FailureReason;
use crate::event::Unacknowledged;
use crate::job::{Agreed, Job};
use crate::limits::{RESPONSE_REPEATS_MAX, UNACKNOWLEDGED_MIN};
use crate::message::init::{InitNotifies, InitRequest, InitResponse};
use crate::nat::NatHashes;
use crate::stats::Stat;
use crate::suite::IkeSuite;
use crate::types::{Datagram, IkeSaId, MessageId, Path, ReplySlot, Role, Spis};
use crate::wire::header::{HEADER_LEN, Header, VERSION};
use crate::wire::iana::{ExchangeType, HashAlgorithm};
use crate::wire::payload::ke::KeyExchange;
use crate::wire::payload::nonce::NONCE_LEN;
use crate::wire::writer::Chain;

/// The hashes of signatures that we verify (RFC 7427 §4, RFC 8420 §2).
pub(super) const SIGNATURE_HASHES: [HashAlgorithm; 4] = [
    HashAlgorithm::SHA2_256,
    HashAlgorithm::SHA2_384,
    HashAlgorithm::SHA2_512,
    HashAlgorithm::IDENTITY,
];

/// Why a request makes no SA.
#[derive(Debug)]
pub(crate) struct Refused {
    /// What the peer is told, if it is answered at all.
    pub(crate) answer: Option<Unacceptable>,
    /// What people are told, if it is worth a word.
    pub(crate) reason: Option<FailureReason>,
}

/// A public key computation is under way for an IKE_SA_INIT request.
#[derive(Debug)]
pub(super) struct Responding {
    request: Vec<u8>,
    chosen: Chosen<IkeSuite>,
    nonce_i: Vec<u8>,
    /// Whether the peer announced RFC 7383.
    fragmentation: bool,
    peer_hashes: Vec<HashAlgorithm>,
    is_windows: bool,
    proposals: usize,
    slot: Option<ReplySlot>,
    /// Whether it has less time, as there is much to do.
    pub(super) hurried: bool,
}

/// Our IKE_SA_INIT response is out; the peer has keys but no name.
#[derive(Debug)]
pub(super) struct HalfOpen {
    pub(super) channel: Channel,
    pub(super) handshake: Handshake,
    repeats: u8,
    /// Whether it has less time, as there is much to do.
    pub(super) hurried: bool,
}

/// What IKE_AUTH needs of IKE_SA_INIT.
#[derive(Debug)]
pub(super) struct Handshake {
    /// Both first messages; each side signs its own.
    pub(super) request: Vec<u8>,
    pub(super) response: Bytes,
    pub(super) nonce_i: Vec<u8>,
    pub(super) nonce_r: Vec<u8>,
    /// The signature hashes that both the peer and we verify.
    pub(super) peer_hashes: Vec<HashAlgorithm>,
    /// Whether the peer says that it is Windows.
    pub(super) is_windows: bool,
    /// How many proposals the peer made.
    pub(super) proposals: usize,
}

/// Makes an SA for `request`, the message in `datagram`; `hurried` if its peer has less
/// time than usual for IKE_AUTH.
///
/// # Errors
/// [`Refused`] if our policy has no room for it.
pub(crate) fn accept(
    cx: &mut Context<'_>,
    id: IkeSaId,
    header: &Header,
    datagram: &Datagram<'_>,
    request: InitRequest<'_>,
    hurried: bool,
) -> Result<IkeSa, Refused> {
    let Some(chosen) = choose_ike(&request.proposals, &cx.config.ike) else {
        return Err(Refused {
            answer: Some(Unacceptable::Proposal),
            reason: Some(FailureReason::NoCommonAlgorithms(ike_mismatch(
                &request.proposals,
                &cx.config.ike,
                request.is_windows,
            ))),
        });
    };
    let group = chosen.suite.group;
    if request.key_exchange.group != group.id() {
        return Err(Refused {
            answer: Some(Unacceptable::Group(group)),
            reason: None,
        });
    }
    if group.check(request.key_exchange.data).is_err() {
        return Err(Refused {
            answer: None,
            reason: Some(FailureReason::KeyExchange),
        });
    }
    let spis = Spis {
        initiator: header.spis.initiator,
        responder: cx.spi(),
    };
    let core = Core {
        id,
        role: Role::Responder,
        spis,
        path: datagram.path,
        // The hashes were made before there was a responder's SPI.
        nat: request.notifies.nat.compare(header.spis, &datagram.path),
        created: cx.now,
    };
    let announced = &request.notifies.signature_hashes;
    let common = SIGNATURE_HASHES
        .into_iter()
        .filter(|hash| announced.contains(hash));
    let responding = Responding {
        request: datagram.payload.to_vec(),
        chosen,
        nonce_i: request.nonce.to_vec(),
        fragmentation: request.notifies.fragmentation,
        peer_hashes: common.collect(),
        is_windows: request.is_windows,
        proposals: request.proposals.len(),
        slot: datagram.slot,
        hurried,
    };
    let agree = Job::Agree {
        ours: None,
        group,
        theirs: request.key_exchange.data.to_vec(),
    };
    cx.job(id, agree);
    Ok(IkeSa::new(core, State::Responding(Box::new(responding))))
}

/// A response for which no SA is made, and none is needed: its header is that
/// of the request, turned round.
pub(crate) fn stateless_reply(request: &Header, payloads: &Chain) -> Bytes {
    let header = Header {
        next_payload: payloads.first,
        version: VERSION,
        from: match request.from {
            Role::Initiator => Role::Responder,
            Role::Responder => Role::Initiator,
        },
        response: true,
        ..*request
    };
    in_the_clear(&header, payloads)
}

/// An IKE_SA_INIT message: a request of the initiator or a response of the
/// responder.
pub(super) fn message(spis: Spis, from: Role, payloads: &Chain) -> Bytes {
    let header = Header {
        spis,
        next_payload: payloads.first,
        version: VERSION,
        exchange: ExchangeType::IKE_SA_INIT,
        from,
        response: from == Role::Responder,
        message_id: MessageId(0),
    };
    in_the_clear(&header, payloads)
}

fn in_the_clear(header: &Header, payloads: &Chain) -> Bytes {
    let length = payloads.octets.len().saturating_add(HEADER_LEN);
    let mut message = Vec::with_capacity(length);
    header.encode(length, &mut message);
    message.extend_from_slice(&payloads.octets);
    message.into()
}

/// The size of datagrams to a peer, before anything is known about the path
/// but what others on it have taught us.
pub(super) fn datagram_len(cx: &Context<'_>, path: &Path) -> u16 {
    let configured = cx.config.fragmentation.datagram_len;
    let learned = cx.sizes.find(path.remote.ip(), cx.now);
    learned.map_or(configured, |learned| learned.min(configured))
}

/// Every authority whose certificates some connection takes.
pub(super) fn authorities(config: &Config) -> Vec<AuthorityHash> {
    let mut hashes = Vec::new();
    for connection in &config.connections {
        if let Requirement::Certificate(anchors) = &connection.requirement {
            hashes.extend_from_slice(anchors.hashes());
        }
    }
    hashes.sort_unstable();
    hashes.dedup();
    hashes
}

impl Responding {
    pub(super) fn request(&self) -> &[u8] {
        &self.request
    }

    pub(super) fn adopt_request(&mut self, request: &[u8]) {
        self.request = request.to_vec();
    }

    /// The secret is there: answer.
    pub(super) fn handle_secret(
        self,
        cx: &mut Context<'_>,
        core: &Core,
        result: Result<Agreed, CryptoError>,
    ) -> State {
        let Ok(agreed) = result else {
            cx.handshake_failed(core, Progress::default(), FailureReason::KeyExchange);
            // It has cost us a computation: it keeps its place, so that many
            // of its kind close the gate as honest ones do.
            let hurried = self.hurried;
            return State::Failed { hurried };
        };
        let nonce_r = cx.random::<NONCE_LEN>();
        let seed = KeySeed {
            shared_secret: agreed.shared_secret.expose(),
            nonce_i: &self.nonce_i,
            nonce_r: &nonce_r,
            spis: core.spis,
        };
        let suite = self.chosen.suite;
        let Ok(keys) = IkeKeys::derive(suite.prf, suite.cipher, Role::Responder, &seed) else {
            cx.handshake_failed(core, Progress::default(), FailureReason::KeyExchange);
            return State::Gone;
        };
        cx.expose(&core.path, core.spis, suite, &keys);
        let fragmentation = cx.config.fragmentation.enabled && self.fragmentation;
        if !fragmentation {
            cx.stats.count(Stat::PeerWithoutFragmentation);
        }
        let response = self.response(cx.config, core, &agreed.public, &nonce_r);
        cx.transmit(core.path, self.slot, response.clone());
        let channel = Channel::new(NewChannel {
            id: core.id,
            role: Role::Responder,
            spis: core.spis,
            suite,
            keys,
            first: MessageId(1),
            fragmentation,
            datagram_len: datagram_len(cx, &core.path),
        });
        let handshake = Handshake {
            is_windows: self.is_windows,
            proposals: self.proposals,
            request: self.request,
            response,
            nonce_i: self.nonce_i,
            nonce_r: nonce_r.to_vec(),
            peer_hashes: self.peer_hashes,
        };
        State::HalfOpen(Box::new(HalfOpen {
            channel,
            handshake,
            repeats: 0,
            hurried: self.hurried,
        }))
    }

    fn response(&self, config: &Config, core: &Core, public: &[u8], nonce_r: &[u8]) -> Bytes {
        // What the peer did not announce it would not understand.
        let signature_hashes = if self.peer_hashes.is_empty() {
            Vec::new()
        } else {
            SIGNATURE_HASHES.to_vec()
        };
        let notifies = InitNotifies {
            nat: NatHashes::of(core.spis, &core.path),
            fragmentation: config.fragmentation.enabled && self.fragmentation,
            signature_hashes,
            childless: true,
        };
        let mut response = InitResponse {
            proposal: chosen_ike(&self.chosen, None),
            key_exchange: KeyExchange {
                group: self.chosen.suite.group.id(),
                data: public,
            },
            nonce: nonce_r,
            notifies,
            authorities: authorities(config),
        };
        let encoded = message(core.spis, Role::Responder, &response.encode());
        let room = usize::from(config.fragmentation.datagram_len);
        let length = encoded.len().saturating_add(core.path.overhead());
        let excess = length.saturating_sub(room);
        if excess == 0 || response.authorities.is_empty() {
            return encoded;
        }
        // The message cannot be fragmented. One is named all the same: clients
        // that are asked for no certificate send none, whatever the request names.
        let named = response.authorities.len();
        let dropped = excess.div_ceil(size_of::<AuthorityHash>());
        response
            .authorities
            .truncate(named.saturating_sub(dropped).max(1));
        message(core.spis, Role::Responder, &response.encode())
    }
}

impl HalfOpen {
    pub(super) fn request(&self) -> &[u8] {
        &self.handshake.request
    }

    /// The same request again: the same response again.
    pub(super) fn adopt_request(&mut self, request: &[u8]) {
        self.handshake.request = request.to_vec();
    }

    pub(super) fn repeat_response(&mut self, cx: &mut Context<'_>, datagram: &Datagram<'_>) {
        if self.repeats < RESPONSE_REPEATS_MAX {
            self.repeats = self.repeats.saturating_add(1);
            let response = self.handshake.response.clone();
            cx.transmit(datagram.path, datagram.slot, response);
        }
    }

    /// What is known of our response if the peer asked for it again and then fell silent.
    pub(super) fn unacknowledged(&self, core: &Core) -> Option<Unacknowledged> {
        let length = self.handshake.response.len();
        let length = length.saturating_add(core.path.overhead());
        (self.repeats >= UNACKNOWLEDGED_MIN).then_some(Unacknowledged {
            exchange: ExchangeType::IKE_SA_INIT,
            times: self.repeats,
            fragments: 1,
            datagram_len: u16::try_from(length).unwrap_or(u16::MAX),
            lowered: false,
        })
    }

    /// The first protected request.
    pub(super) fn handle_request(
        self,
        cx: &mut Context<'_>,
        core: &Core,
        message: &Message,
    ) -> State {
        auth::respond(self.channel, self.handshake, cx, core, message)
    }
}
