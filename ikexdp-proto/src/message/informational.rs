//! INFORMATIONAL (RFC 7296 §1.4), inside the encrypted payload.
//!
//! ```text
//! SK {[N+], [D+], [CP]}  -->
//!               <--  SK {[N+], [D+], [CP]}
//! ```

use alloc::vec::Vec;

use crate::error::{Error, Fault, Malformed};
use crate::nat::NatHashes;
use crate::types::EspSpi;
use crate::wire::iana::{NotifyType, PayloadType};
use crate::wire::payload::delete::Delete;
use crate::wire::payload::notify::Notify;
use crate::wire::payload::{Payloads, skip};
use crate::wire::writer::{Chain, ChainWriter};

/// Shortest and longest COOKIE2 (RFC 4555 §4.2.5), in octets.
const COOKIE2_MIN: usize = 8;
const COOKIE2_MAX: usize = 64;

/// Either message. Without any payload it asks, or tells, that its sender lives.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Informational {
    /// Whether the IKE SA is deleted.
    pub delete_ike: bool,
    /// CHILD SAs that are deleted, by the SPIs the sender receives on.
    pub delete_esp: Vec<EspSpi>,
    /// An error the sender found.
    pub error: Option<NotifyType>,
    /// UPDATE_SA_ADDRESSES: the addresses of the message are those of the SA from
    /// now on (RFC 4555 §3.5).
    pub update_addresses: bool,
    /// NAT_DETECTION_SOURCE_IP and NAT_DETECTION_DESTINATION_IP (RFC 4555 §3.5, §3.8).
    pub nat: NatHashes,
    /// NO_NATS_ALLOWED: the addresses and ports it was sent between (RFC 4555 §3.9).
    pub no_nats_allowed: Option<Vec<u8>>,
    /// COOKIE2: what the response must hold as well (RFC 4555 §3.7).
    pub cookie2: Option<Vec<u8>>,
}

impl Informational {
    /// Reads the payloads inside the encrypted payload.
    ///
    /// # Errors
    /// Whatever is wrong with the message.
    pub fn decode(first: PayloadType, octets: &[u8]) -> Result<Self, Error> {
        let mut message = Self::default();
        for payload in Payloads::new(first, octets) {
            let payload = payload?;
            match payload.kind {
                PayloadType::DELETE => match Delete::decode(payload.body)? {
                    Delete::Ike => message.delete_ike = true,
                    Delete::Esp(spis) => message.delete_esp.extend(spis),
                    Delete::Other(_) => {}
                },
                PayloadType::NOTIFY => {
                    message.notify(&Notify::decode(payload.body)?)?;
                }
                _ => skip(&payload)?,
            }
        }
        Ok(message)
    }

    fn notify(&mut self, notify: &Notify<'_>) -> Result<(), Malformed> {
        match notify.kind {
            NotifyType::UPDATE_SA_ADDRESSES => self.update_addresses = true,
            NotifyType::NO_NATS_ALLOWED => self.no_nats_allowed = Some(notify.data.to_vec()),
            NotifyType::COOKIE2 => {
                if !(COOKIE2_MIN..=COOKIE2_MAX).contains(&notify.data.len()) {
                    return Err(Malformed {
                        field: "COOKIE2",
                        fault: Fault::Length,
                    });
                }
                self.cookie2 = Some(notify.data.to_vec());
            }
            kind if kind.is_error() => self.error = Some(kind),
            _ => self.nat.read(notify),
        }
        Ok(())
    }

    /// Writes the payloads inside the encrypted payload.
    #[must_use]
    pub fn encode(&self) -> Chain {
        let mut chain = ChainWriter::default();
        if let Some(error) = self.error {
            Notify::new(error, &[]).encode(&mut chain);
        }
        if self.update_addresses {
            Notify::new(NotifyType::UPDATE_SA_ADDRESSES, &[]).encode(&mut chain);
        }
        self.nat.encode(&mut chain);
        if let Some(addresses) = &self.no_nats_allowed {
            Notify::new(NotifyType::NO_NATS_ALLOWED, addresses).encode(&mut chain);
        }
        if let Some(cookie) = &self.cookie2 {
            Notify::new(NotifyType::COOKIE2, cookie).encode(&mut chain);
        }
        if self.delete_ike {
            Delete::Ike.encode(&mut chain);
        }
        if !self.delete_esp.is_empty() {
            Delete::Esp(self.delete_esp.clone()).encode(&mut chain);
        }
        chain.finish()
    }
}
