//! What must hold whatever happens on the network.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hash, Hasher};

use bytes::Bytes;
use ikexdp_proto::config::Config;
use ikexdp_proto::limits::REASSEMBLY_TOTAL_MAX;
use ikexdp_proto::time::Instant;
use ikexdp_proto::wire::header::{HEADER_LEN, Header};
use ikexdp_proto::wire::iana::{ExchangeType, PayloadType};
use ikexdp_proto::wire::sk::Encrypted;
use ikexdp_proto::{Endpoint, Input, Output};

use crate::net::Side;

/// A message as a whole: who sent it, in which SA, under which number.
type MessageKey = (Side, u64, u64, u8, u32, bool);

/// Octets of the explicit IV of an AEAD (RFC 5282 §3.1).
const IV_LEN: usize = 8;

/// Watches what goes in and comes out.
pub struct Checker {
    /// What was sent for each part of each message: (number, total), 0 if whole.
    sent: BTreeMap<(MessageKey, (u16, u16)), Bytes>,
    /// What was sealed under each IV of each sender in each SA: with an AEAD no two may
    /// share one.
    sealed: BTreeMap<(Side, [u64; 2], [u8; IV_LEN]), Bytes>,
    datagram_len_max: BTreeMap<Side, usize>,
    /// Octets of the last input, if nobody has authenticated it yet.
    input: Option<usize>,
    trace: DefaultHasher,
    nat: bool,
    /// Sizes of all datagrams sent in fragments, for tests to look at.
    pub fragment_sizes: BTreeMap<Side, BTreeSet<usize>>,
    /// The longest IKE_SA_INIT datagram of each side.
    pub longest_init: BTreeMap<Side, usize>,
}

impl Checker {
    /// Watches hosts with these configurations: gateway, client.
    #[must_use]
    pub fn new(nat: bool, [gateway, client]: [&Config; 2]) -> Self {
        let most = |config: &Config| usize::from(config.fragmentation.datagram_len);
        Self {
            sent: BTreeMap::new(),
            sealed: BTreeMap::new(),
            datagram_len_max: BTreeMap::from([
                (Side::Gateway, most(gateway)),
                (Side::Client, most(client)),
            ]),
            input: None,
            // Fixed keys: the same trace has the same hash in every run.
            trace: DefaultHasher::new(),
            nat,
            fragment_sizes: BTreeMap::new(),
            longest_init: BTreeMap::new(),
        }
    }

    /// An input is about to be handled.
    pub fn before(&mut self, now: Instant, side: Side, input: &Input<'_>) {
        self.input = match input {
            Input::Datagram(datagram) => Some(datagram.payload.len()),
            _ => None,
        };
        (now, side, self.nat).hash(&mut self.trace);
    }

    /// It has been handled, and this came of it.
    pub fn after(&mut self, side: Side, endpoint: &Endpoint, outputs: &[Output]) {
        let stateless = outputs.iter().filter(|output| is_stateless(output)).count();
        assert!(
            stateless <= 1,
            "{stateless} datagrams answer one in the clear"
        );
        for output in outputs {
            if let Output::Transmit(transmit) = output {
                self.transmit(side, transmit);
            }
        }
        Self::one_sa_for_each_initiator(endpoint);
        if side == Side::Gateway {
            Self::one_sa_for_each_address(endpoint);
        }
        let held: usize = REASSEMBLY_TOTAL_MAX;
        assert!(
            endpoint.reassembly_octets() <= held,
            "memory over its limit"
        );
    }

    fn transmit(&mut self, side: Side, transmit: &ikexdp_proto::types::Transmit) {
        let (header, _) = Header::decode(&transmit.payload).expect("we send well-formed headers");
        let length = transmit.path.overhead() + transmit.payload.len();
        (side, length, &transmit.payload[..HEADER_LEN]).hash(&mut self.trace);
        let key = (
            side,
            header.spis.initiator.0,
            header.spis.responder.0,
            header.exchange.0,
            header.message_id.0,
            header.response,
        );
        let part = if header.next_payload == PayloadType::ENCRYPTED_FRAGMENT {
            let numbers = &transmit.payload[HEADER_LEN + 4..HEADER_LEN + 8];
            let number = u16::from_be_bytes([numbers[0], numbers[1]]);
            let total = u16::from_be_bytes([numbers[2], numbers[3]]);
            let most = self.datagram_len_max[&side];
            assert!(length <= most, "fragment of {length} octets, not {most}");
            self.fragment_sizes.entry(side).or_default().insert(length);
            (number, total)
        } else {
            (0, 0)
        };
        // The initiator's first request changes when a cookie or another group
        // is asked for, and a stateless reply has no SA to be in.
        if is_init(&header) {
            let longest = self.longest_init.entry(side).or_default();
            *longest = length.max(*longest);
            self.is_short_answer(side, &header, transmit.payload.len());
            return;
        }
        if !is_sealed(&header) {
            self.is_short_answer(side, &header, transmit.payload.len());
            return;
        }
        self.one_datagram_for_each_iv(side, &header, &transmit.payload);
        let before = self
            .sent
            .entry((key, part))
            .or_insert_with(|| transmit.payload.clone());
        assert_eq!(
            *before, transmit.payload,
            "a repeat differs from the first message: {header}"
        );
    }

    /// However often a message is cut anew.
    fn one_datagram_for_each_iv(&mut self, side: Side, header: &Header, datagram: &Bytes) {
        let encrypted = Encrypted::locate(header, datagram).expect("we send well-formed payloads");
        let iv = &datagram[encrypted.associated..][..IV_LEN];
        let spis = [header.spis.initiator.0, header.spis.responder.0];
        let key = (side, spis, iv.try_into().expect("octets of an IV"));
        let before = self.sealed.entry(key).or_insert_with(|| datagram.clone());
        assert_eq!(before, datagram, "two datagrams with one IV: {header}");
    }

    /// What anybody can make us send without an SA is no longer than what asked
    /// for it.
    fn is_short_answer(&self, side: Side, header: &Header, length: usize) {
        if let (Side::Gateway, Some(asked)) = (side, self.input)
            && (header.spis.responder.0 == 0 || !is_init(header))
        {
            assert!(length <= asked, "{length} octets answer {asked}");
        }
    }

    fn one_sa_for_each_initiator(endpoint: &Endpoint) {
        let mut seen = BTreeSet::new();
        for summary in endpoint.summaries(None) {
            let key = (summary.path.remote.ip(), summary.spis.initiator);
            assert!(
                seen.insert(key),
                "two SAs for one initiator: {}",
                summary.spis
            );
        }
    }

    /// What the gateway gives out, it gives to one, and takes back at the end.
    fn one_sa_for_each_address(endpoint: &Endpoint) {
        let mut seen = BTreeSet::new();
        let addresses = endpoint.summaries(None).flat_map(|sa| sa.addresses);
        for address in addresses {
            assert!(seen.insert(address), "two SAs have {address}");
        }
        let in_use: usize = endpoint.pools().map(|range| range.in_use).sum();
        // One that is about to be told to its peer is in use already.
        assert!(in_use >= seen.len(), "{in_use} addresses are in use");
        assert!(
            in_use == 0 || !endpoint.is_quiet(),
            "{in_use} addresses are lost"
        );
    }

    /// A hash of everything that was seen: the same for the same seed.
    #[must_use]
    pub fn trace(&self) -> u64 {
        self.trace.finish()
    }
}

/// Whether it is a reply for which there is no SA.
fn is_stateless(output: &Output) -> bool {
    let Output::Transmit(transmit) = output else {
        return false;
    };
    let (header, _) = Header::decode(&transmit.payload).expect("we send well-formed headers");
    header.response && (header.spis.responder.0 == 0 || !is_init(&header) && !is_sealed(&header))
}

fn is_init(header: &Header) -> bool {
    header.exchange == ExchangeType::IKE_SA_INIT
}

fn is_sealed(header: &Header) -> bool {
    matches!(
        header.next_payload,
        PayloadType::ENCRYPTED | PayloadType::ENCRYPTED_FRAGMENT
    )
}
