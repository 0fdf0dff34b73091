//! Requests, until they are answered.

use chacha20::ChaCha8Rng;
use ikexdp_proto::wire::header::{HEADER_LEN, Header};
use ikexdp_proto::wire::iana::{ExchangeType, NotifyType};
use ikexdp_proto::wire::payload::notify::Notify;
use ikexdp_proto::wire::writer::{Chain, ChainWriter};

use super::line::{Line, Pieces, Place};
use super::profile::Cut;
use super::transport::Transport;
use crate::answer::Answer;

/// How often a request is sent.
const TRIES: usize = 10;

/// The longest datagram that comes from a gateway: as much as every path takes with IPv6.
const LENGTH_MAX: usize = 1280;

/// ERROR_IPSEC_IKE_INVALID_SITUATION: what Windows says behind a NAT to somebody who wants to replace
/// an SA.
pub(crate) const INVALID_SITUATION: u32 = 13863;

/// What a client sends and hears.
pub(crate) struct Talk {
    pub(crate) transport: Transport,
    pub(crate) random: ChaCha8Rng,
    /// How it cuts messages, if the gateway puts them together.
    pub(crate) cut: Cut,
    /// Octets of the IKE messages of its last request.
    pub(crate) sent: Vec<usize>,
    /// What the gateway has asked.
    pub(crate) asked: Vec<(ExchangeType, Answer)>,
}

impl Talk {
    /// Sends a request in the clear, unless it was, and returns the answer.
    pub(crate) fn open(&mut self, request: &[u8], was_sent: bool) -> Vec<u8> {
        self.sent = vec![request.len()];
        for repeat in 0..TRIES {
            if repeat > 0 || !was_sent {
                self.transport.send(request);
            }
            if let Some(answer) = self.transport.receive() {
                return answer;
            }
        }
        panic!("no answer to IKE_SA_INIT")
    }

    /// Sends a request under `line` and returns the answer; requests that come before are answered.
    pub(crate) fn exchange(
        &mut self,
        line: &mut Line,
        exchange: ExchangeType,
        payloads: &Chain,
    ) -> Answer {
        let id = line.next;
        line.next += 1;
        let place = Place {
            exchange,
            id,
            response: false,
        };
        let cut = (self.cut, self.transport.path().overhead());
        let request = line.seal(place, payloads, cut, &mut self.random);
        self.sent = request.iter().map(Vec::len).collect();
        let mut pieces = Pieces::default();
        for _ in 0..TRIES {
            request.iter().for_each(|part| self.transport.send(part));
            while let Some(message) = self.transport.receive() {
                let length = message.len() + self.transport.path().overhead();
                let fits = length <= LENGTH_MAX || self.cut == Cut::Never;
                assert!(fits, "{length} octets");
                let (header, _) = Header::decode(&message).unwrap();
                if header.spis != line.spis {
                    continue;
                }
                if !header.response {
                    self.answer(line, &header, &message);
                    continue;
                }
                // Anything else is the answer to a repeat.
                if header.message_id.0 == id {
                    assert_eq!(header.exchange, exchange);
                    if let Some(answer) = pieces.take(line, &header, &message) {
                        return answer;
                    }
                }
            }
        }
        panic!("no answer to {exchange}")
    }

    /// Sends a request under `line` as often as `times`, a second apart, and takes no answer.
    pub(crate) fn ask_in_vain(
        &mut self,
        line: &mut Line,
        exchange: ExchangeType,
        payloads: &Chain,
        times: usize,
    ) {
        let place = Place {
            exchange,
            id: line.next,
            response: false,
        };
        let cut = (self.cut, self.transport.path().overhead());
        let request = line.seal(place, payloads, cut, &mut self.random);
        for _ in 0..times {
            request.iter().for_each(|part| self.transport.send(part));
            while self.transport.receive().is_some() {}
        }
    }

    /// Waits for a request, and answers it.
    pub(crate) fn serve(&mut self, line: &mut Line) {
        let before = self.asked.len();
        for _ in 0..TRIES {
            if let Some(message) = self.transport.receive() {
                let (header, _) = Header::decode(&message).unwrap();
                if header.spis == line.spis && !header.response {
                    self.answer(line, &header, &message);
                }
            }
            if self.asked.len() > before {
                return;
            }
        }
        panic!("the gateway does not ask anything");
    }

    /// To whatever replaces an SA: no, in the words of Windows. To anything else: here I am.
    fn answer(&mut self, line: &mut Line, header: &Header, message: &[u8]) {
        if header.message_id.0 < line.awaited {
            line.said.iter().for_each(|part| self.transport.send(part));
            return;
        }
        assert_eq!(header.message_id.0, line.awaited, "one after the other");
        let pieces = Pieces::default().take(line, header, message);
        let asked = pieces.expect("a request that fits a datagram");
        line.awaited += 1;
        let mut chain = ChainWriter::default();
        if header.exchange == ExchangeType::CREATE_CHILD_SA {
            let code = INVALID_SITUATION.to_be_bytes();
            Notify::new(NotifyType::MS_STATUS, &code).encode(&mut chain);
        }
        let place = Place {
            exchange: header.exchange,
            id: header.message_id.0,
            response: true,
        };
        let cut = (self.cut, self.transport.path().overhead());
        line.said = line.seal(place, &chain.finish(), cut, &mut self.random);
        line.said.iter().for_each(|part| self.transport.send(part));
        self.asked.push((header.exchange, asked));
    }
}

/// A message in the clear.
pub(crate) fn clear(header: &Header, payloads: &Chain) -> Vec<u8> {
    let mut message = Vec::new();
    header.encode(HEADER_LEN + payloads.octets.len(), &mut message);
    message.extend_from_slice(&payloads.octets);
    message
}
