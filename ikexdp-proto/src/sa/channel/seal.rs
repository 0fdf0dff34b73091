//! From payloads to datagrams: one SK payload, or as many SKF payloads as the
//! path needs (RFC 7296 §3.14, RFC 7383 §2.5).

use alloc::boxed::Box;
use alloc::vec::Vec;

use bytes::Bytes;
use rand_core::CryptoRng;

use super::Channel;
use crate::fragment::{Cut, cut};
use crate::limits::DATAGRAM_LEN_MIN;
use crate::sa::Context;
use crate::sa::sent::Sent;
use crate::stats::Stat;
use crate::types::{MessageId, Path, ReplySlot};
use crate::wire::header::{HEADER_LEN, Header, VERSION};
use crate::wire::iana::{ExchangeType, PayloadType};
use crate::wire::payload::GENERIC_LEN;
use crate::wire::sk::{Encrypted, FRAGMENT_LEN, FragmentNumber};
use crate::wire::writer::Chain;

impl Channel {
    pub(crate) const fn header(
        &self,
        exchange: ExchangeType,
        id: MessageId,
        response: bool,
    ) -> Header {
        Header {
            spis: self.spis,
            next_payload: PayloadType::ENCRYPTED,
            version: VERSION,
            exchange,
            from: self.role,
            response,
            message_id: id,
        }
    }

    pub(super) fn seal_first(
        &mut self,
        cx: &mut Context<'_>,
        header: Header,
        payloads: &Chain,
        path: &Path,
    ) -> Box<Sent> {
        let datagram_len = self.fragmentation.datagram_len;
        let datagrams = self.seal(cx.entropy, header, payloads, path, datagram_len);
        // Even a message that went out whole may be too long for the path.
        let length = datagrams.iter().map(Bytes::len).max().unwrap_or_default();
        let long = length.saturating_add(path.overhead()) > usize::from(DATAGRAM_LEN_MIN);
        let can_be_recut = self.fragmentation.negotiated && long;
        let size = (datagram_len, path.overhead());
        Box::new(Sent::new(header, size, datagrams, can_be_recut, cx.now))
    }

    /// Sends a message again.
    pub(super) fn repeat(
        &mut self,
        cx: &mut Context<'_>,
        sent: &mut Sent,
        path: &Path,
        slot: Option<ReplySlot>,
    ) {
        let header = sent.header;
        let recut = |sealed: &[Bytes]| self.recut(cx.entropy, header, sealed, path);
        let datagrams = sent.repeat(path.overhead(), recut);
        self.transmit(cx, path, slot, datagrams);
    }

    /// What we have sealed in `datagrams`, in the smallest ones. Nothing else is kept of
    /// a message: it takes a second time the room, and few are ever cut anew.
    fn recut(
        &mut self,
        entropy: &mut (dyn CryptoRng + Send),
        header: Header,
        datagrams: &[Bytes],
        path: &Path,
    ) -> Vec<Bytes> {
        let payloads = self.unseal(datagrams);
        payloads.map_or_else(Vec::new, |payloads| {
            self.seal(entropy, header, &payloads, path, DATAGRAM_LEN_MIN)
        })
    }

    /// The payloads of a message of ours.
    fn unseal(&self, datagrams: &[Bytes]) -> Option<Chain> {
        let mut whole: Option<Chain> = None;
        for datagram in datagrams {
            let (header, _) = Header::decode(datagram).ok()?;
            let encrypted = Encrypted::locate(&header, datagram).ok()?;
            let octets = self.keys.seal.open(datagram, encrypted.associated).ok()?;
            match &mut whole {
                Some(whole) => whole.octets.extend_from_slice(&octets),
                None => {
                    let first = encrypted.first;
                    whole = Some(Chain { first, octets });
                }
            }
        }
        whole
    }

    /// One SK payload, or as many SKF payloads as it takes.
    pub(crate) fn seal(
        &mut self,
        entropy: &mut (dyn CryptoRng + Send),
        header: Header,
        payloads: &Chain,
        path: &Path,
        datagram_len: u16,
    ) -> Vec<Bytes> {
        let cipher = self.suite.cipher;
        let part = match cut(payloads.octets.len(), cipher, path, datagram_len) {
            Cut::Fragments(part) if self.fragmentation.negotiated => part,
            _ => {
                let whole = self.seal_one(entropy, header, payloads.first, None, &payloads.octets);
                return Vec::from_iter(whole);
            }
        };
        let parts = payloads.octets.chunks(part);
        let total = u16::try_from(parts.len()).unwrap_or(u16::MAX);
        let fragments = parts.zip(1_u16..).filter_map(|(part, number)| {
            let first = if number == 1 {
                payloads.first
            } else {
                PayloadType::NONE
            };
            let fragment = Some(FragmentNumber { number, total });
            self.seal_one(entropy, header, first, fragment, part)
        });
        fragments.collect()
    }

    /// One SK or SKF payload behind its header; nothing when the key is worn out.
    fn seal_one(
        &mut self,
        entropy: &mut (dyn CryptoRng + Send),
        mut header: Header,
        first: PayloadType,
        fragment: Option<FragmentNumber>,
        plaintext: &[u8],
    ) -> Option<Bytes> {
        let fragment_len = fragment.map_or(0, |_| FRAGMENT_LEN);
        let body = self
            .suite
            .cipher
            .sealed_len(plaintext.len())
            .saturating_add(fragment_len);
        let payload = body.saturating_add(GENERIC_LEN);
        let length = payload.saturating_add(HEADER_LEN);
        if fragment.is_some() {
            header.next_payload = PayloadType::ENCRYPTED_FRAGMENT;
        }
        let mut message = Vec::with_capacity(length);
        header.encode(length, &mut message);
        message.extend_from_slice(&[first.0, 0]);
        message.extend_from_slice(&u16::try_from(payload).unwrap_or(u16::MAX).to_be_bytes());
        if let Some(FragmentNumber { number, total }) = fragment {
            message.extend_from_slice(&number.to_be_bytes());
            message.extend_from_slice(&total.to_be_bytes());
        }
        self.keys.seal.seal(&mut message, plaintext, entropy).ok()?;
        Some(message.into())
    }

    pub(super) fn transmit(
        &mut self,
        cx: &mut Context<'_>,
        path: &Path,
        slot: Option<ReplySlot>,
        datagrams: &[Bytes],
    ) {
        for datagram in datagrams {
            if datagrams.len() > 1 {
                cx.stats.count(Stat::FragmentSent);
                self.fragmentation.sent = self.fragmentation.sent.saturating_add(1);
            }
            self.note_length(cx, path, datagram.len());
            cx.transmit(*path, slot, datagram.clone());
        }
    }
}
