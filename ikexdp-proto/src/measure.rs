//! Parts of the engine by themselves, for who watches what each costs: there with the feature `measure`
//! alone, which no program has.
//!
//! Each is the engine's own code, and no more is promised of it than that.

use alloc::boxed::Box;
use alloc::vec::Vec;

use bytes::Bytes;
use rand_core::CryptoRng;

use crate::config::IkeAlgorithms;
use crate::crypto::keymat::IkeKeys;
use crate::error::Limit;
use crate::fragment::{Added, Reassembly};
use crate::sa::channel::{Channel, NewChannel};
use crate::sa::proposal::choose_ike;
use crate::suite::IkeSuite;
use crate::time::Instant;
use crate::types::{IkeSaId, MessageId, Path, Role, Spi, Spis};
use crate::wire::iana::{ExchangeType, PayloadType};
use crate::wire::payload::sa::Proposal;
use crate::wire::sk::FragmentNumber;
use crate::wire::writer::Chain;

/// What is chosen of `proposals` for an IKE SA, if anything is.
#[must_use]
pub fn choose(proposals: &[Proposal], ours: &IkeAlgorithms) -> Option<IkeSuite> {
    choose_ike(proposals, ours).map(|chosen| chosen.suite)
}

/// Makes datagrams of messages, as the responder of an IKE SA whose peer takes fragments.
#[derive(Debug)]
pub struct Sender {
    channel: Channel,
    datagram_len: u16,
}

impl Sender {
    /// No IP datagram will be longer than `datagram_len` octets.
    #[must_use]
    pub fn new(suite: IkeSuite, keys: IkeKeys, datagram_len: u16) -> Self {
        let new = NewChannel {
            id: IkeSaId(1),
            role: Role::Responder,
            spis: Spis {
                initiator: Spi(1),
                responder: Spi(2),
            },
            suite,
            keys,
            first: MessageId(1),
            fragmentation: true,
            datagram_len,
        };
        Self {
            channel: Channel::new(new),
            datagram_len,
        }
    }

    /// Cuts the payloads of an IKE_AUTH response and seals each part.
    pub fn seal(
        &mut self,
        payloads: &Chain,
        path: &Path,
        entropy: &mut (dyn CryptoRng + Send),
    ) -> Vec<Bytes> {
        let header = self
            .channel
            .header(ExchangeType::IKE_AUTH, MessageId(1), true);
        self.channel
            .seal(entropy, header, payloads, path, self.datagram_len)
    }
}

/// Puts a message together of what is in its fragments.
#[derive(Debug, Default)]
pub struct Receiver(Option<Box<Reassembly>>);

impl Receiver {
    /// Adds a fragment; the message if that was the last one.
    ///
    /// # Errors
    /// [`Limit`] if it is too long, or in too many fragments.
    pub fn add(
        &mut self,
        fragment: FragmentNumber,
        first: PayloadType,
        plaintext: Vec<u8>,
    ) -> Result<Option<Chain>, Limit> {
        let added = Reassembly::add(&mut self.0, fragment, first, plaintext, Instant::ZERO)?;
        Ok(match added {
            Added::Complete { payloads, .. } => Some(payloads),
            Added::Incomplete | Added::Stale => None,
        })
    }
}
