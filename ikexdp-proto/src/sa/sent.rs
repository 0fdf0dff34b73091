//! A message of ours that may have to be sent again.

use alloc::vec::Vec;

use bytes::Bytes;

use crate::limits::DATAGRAM_LEN_MIN;
use crate::wire::header::Header;
use crate::wire::writer::Chain;

/// A sealed message, kept until its exchange is over.
#[derive(Debug)]
pub(crate) struct Sent {
    /// Its header; of fragments, what their headers have in common.
    pub(crate) header: Header,
    /// Times it has been sent again.
    pub(crate) repeats: u8,
    /// Longest IP datagram when it was first sealed.
    datagram_len: u16,
    datagrams: Vec<Bytes>,
    /// What is inside, for sealing it anew; only kept if there are fragments.
    chain: Option<Chain>,
    /// The same in smaller fragments.
    lowered: Option<Vec<Bytes>>,
    last_was_lowered: bool,
}

impl Sent {
    pub(crate) fn new(
        header: Header,
        datagram_len: u16,
        datagrams: Vec<Bytes>,
        chain: Chain,
    ) -> Self {
        let in_fragments = datagrams.len() > 1;
        Self {
            header,
            repeats: 0,
            datagram_len,
            datagrams,
            chain: in_fragments.then_some(chain),
            lowered: None,
            last_was_lowered: false,
        }
    }

    /// What to send when the message seems not to have arrived.
    ///
    /// The first time the same again: most losses are just that. From then on
    /// every other time in the smallest fragments (RFC 7383 §2.5.2), because the
    /// path may drop the larger ones; and the old ones in between, because some
    /// peers refuse a changed total. `seal` makes the smaller ones.
    pub(crate) fn repeat(&mut self, seal: impl FnOnce(&Chain, u16) -> Vec<Bytes>) -> &[Bytes] {
        self.last_was_lowered = self.repeats & 1 == 1 && self.datagram_len > DATAGRAM_LEN_MIN;
        self.repeats = self.repeats.saturating_add(1);
        match &self.chain {
            Some(chain) if self.last_was_lowered => {
                self.lowered.get_or_insert_with(|| seal(chain, DATAGRAM_LEN_MIN))
            }
            _ => {
                self.last_was_lowered = false;
                &self.datagrams
            }
        }
    }

    /// The size that must have worked, now that the exchange is over, if it is
    /// not the one we began with.
    pub(crate) fn learned(&self) -> Option<u16> {
        self.last_was_lowered.then_some(DATAGRAM_LEN_MIN)
    }

    /// The datagrams as they were first sealed.
    pub(crate) fn datagrams(&self) -> &[Bytes] {
        &self.datagrams
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::{MessageId, Role, Spi, Spis};
    use crate::wire::header::VERSION;
    use crate::wire::iana::{ExchangeType, PayloadType};

    fn sent(datagrams: &[&'static [u8]], datagram_len: u16) -> Sent {
        let chain = Chain {
            first: PayloadType::NONE,
            octets: Vec::new(),
        };
        let datagrams = datagrams.iter().copied().map(Bytes::from_static).collect();
        let header = Header {
            spis: Spis {
                initiator: Spi(1),
                responder: Spi(2),
            },
            next_payload: PayloadType::ENCRYPTED,
            version: VERSION,
            exchange: ExchangeType::IKE_AUTH,
            from: Role::Responder,
            response: true,
            message_id: MessageId(1),
        };
        Sent::new(header, datagram_len, datagrams, chain)
    }

    fn lowered(_: &Chain, datagram_len: u16) -> Vec<Bytes> {
        assert_eq!(datagram_len, DATAGRAM_LEN_MIN);
        alloc::vec![Bytes::from_static(b"small"); 3]
    }

    #[test]
    fn repeats_alternate_between_the_first_cut_and_a_smaller_one() {
        let mut sent = sent(&[b"one", b"two"], 1280);
        let lengths: Vec<usize> = (0..5).map(|_| sent.repeat(lowered).len()).collect();
        assert_eq!(lengths, [2, 3, 2, 3, 2]);
        assert_eq!(sent.learned(), None);
        sent.repeat(lowered);
        assert_eq!(sent.learned(), Some(DATAGRAM_LEN_MIN));
    }

    #[test]
    fn what_is_whole_or_small_already_stays_as_it_is() {
        for mut sent in [sent(&[b"one"], 1280), sent(&[b"one", b"two"], 576)] {
            let before = sent.datagrams().len();
            for _ in 0..5 {
                let repeated = sent.repeat(|_, _| panic!("must not be sealed anew"));
                assert_eq!(repeated.len(), before);
                assert_eq!(sent.learned(), None);
            }
        }
    }
}
