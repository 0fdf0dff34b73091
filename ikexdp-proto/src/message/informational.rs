//! INFORMATIONAL (RFC 7296 §1.4), inside the encrypted payload.
//!
//! ```text
//! SK {[N+], [D+], [CP]}  -->
//!               <--  SK {[N+], [D+], [CP]}
//! ```

use alloc::vec::Vec;

use crate::error::Error;
use crate::types::EspSpi;
use crate::wire::iana::{NotifyType, PayloadType};
use crate::wire::payload::delete::Delete;
use crate::wire::payload::notify::Notify;
use crate::wire::payload::{Payloads, skip};
use crate::wire::writer::{Chain, ChainWriter};

/// Either message. Without any payload it asks, or tells, that its sender lives.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Informational {
    /// Whether the IKE SA is deleted.
    pub delete_ike: bool,
    /// CHILD SAs that are deleted, by the SPIs the sender receives on.
    pub delete_esp: Vec<EspSpi>,
    /// An error the sender found.
    pub error: Option<NotifyType>,
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
                    let notify = Notify::decode(payload.body)?;
                    if notify.kind.is_error() {
                        message.error = Some(notify.kind);
                    }
                }
                _ => skip(&payload)?,
            }
        }
        Ok(message)
    }

    /// Writes the payloads inside the encrypted payload.
    #[must_use]
    pub fn encode(&self) -> Chain {
        let mut chain = ChainWriter::default();
        if let Some(error) = self.error {
            Notify::new(error, &[]).encode(&mut chain);
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
