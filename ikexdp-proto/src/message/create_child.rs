//! CREATE_CHILD_SA (RFC 7296 §1.3), inside the encrypted payload.
//!
//! ```text
//! a CHILD SA      SK {[N+], SA, Ni, [KEi], TSi, TSr}              -->
//!                                          <--  SK {[N+], SA, Nr, [KEr], TSi, TSr}
//! its rekeying    SK {N(REKEY_SA), [N+], SA, Ni, [KEi], TSi, TSr}  -->
//!                                          <--  SK {[N+], SA, Nr, [KEr], TSi, TSr}
//! of the IKE SA   SK {SA, Ni, KEi}  -->
//!                                          <--  SK {SA, Nr, KEr}
//! whichever it is                          <--  SK {N(INVALID_KE_PAYLOAD) | N(why not)}
//! ```

use alloc::vec::Vec;

use crate::error::{Error, Fault, Malformed};
use crate::message::child::Selectors;
use crate::types::EspSpi;
use crate::windows::Status;
use crate::wire::iana::{GroupId, NotifyType, PayloadType, ProtocolId};
use crate::wire::payload::ke::KeyExchange;
use crate::wire::payload::notify::Notify;
use crate::wire::payload::sa::{self, Proposal};
use crate::wire::payload::ts::{self, TrafficSelector};
use crate::wire::payload::{Payloads, nonce, once, require, skip};
use crate::wire::writer::{Chain, ChainWriter};

/// Either message that goes on, as its sender writes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CreateChild<'a> {
    /// REKEY_SA: the CHILD SA that is replaced, by the SPI the sender receives
    /// on; in requests only.
    pub rekeyed: Option<EspSpi>,
    /// SA: an offer, or the one proposal that was chosen.
    pub proposals: Vec<Proposal>,
    /// Ni or Nr.
    pub nonce: &'a [u8],
    /// KEi or KEr.
    pub key_exchange: Option<KeyExchange<'a>>,
    /// TSi and TSr; none when the IKE SA is rekeyed.
    pub selectors: Option<Selectors>,
}

/// What can come back on a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CreateChildReply<'a> {
    /// The responder agrees.
    Accepted(CreateChild<'a>),
    /// Ask again with a key of this group.
    InvalidKe(GroupId),
    /// It does not go on.
    Refused(NotifyType),
    /// Nor does it with Windows.
    RefusedByWindows(Status),
}

/// The payloads of either message, before it is known what must be there.
#[derive(Default)]
struct Fields<'a> {
    rekeyed: Option<EspSpi>,
    proposals: Option<Vec<Proposal>>,
    nonce: Option<&'a [u8]>,
    key_exchange: Option<KeyExchange<'a>>,
    selectors_initiator: Option<Vec<TrafficSelector>>,
    selectors_responder: Option<Vec<TrafficSelector>>,
    more: bool,
    invalid_ke: Option<GroupId>,
    error: Option<NotifyType>,
    status: Option<Status>,
}

impl<'a> Fields<'a> {
    fn decode(first: PayloadType, octets: &'a [u8]) -> Result<Self, Error> {
        let mut fields = Self::default();
        for payload in Payloads::new(first, octets) {
            let payload = payload?;
            let body = payload.body;
            match payload.kind {
                kind @ PayloadType::SECURITY_ASSOCIATION => {
                    once(&mut fields.proposals, kind, sa::decode(body)?)?;
                }
                kind @ PayloadType::NONCE => {
                    once(&mut fields.nonce, kind, nonce::decode(body)?)?;
                }
                kind @ PayloadType::KEY_EXCHANGE => {
                    once(&mut fields.key_exchange, kind, KeyExchange::decode(body)?)?;
                }
                kind @ PayloadType::TRAFFIC_SELECTOR_INITIATOR => {
                    once(&mut fields.selectors_initiator, kind, ts::decode(body)?)?;
                }
                kind @ PayloadType::TRAFFIC_SELECTOR_RESPONDER => {
                    once(&mut fields.selectors_responder, kind, ts::decode(body)?)?;
                }
                PayloadType::NOTIFY => fields.notify(&Notify::decode(body)?)?,
                _ => skip(&payload)?,
            }
        }
        Ok(fields)
    }

    fn notify(&mut self, notify: &Notify<'_>) -> Result<(), Malformed> {
        match notify.kind {
            // Some peers write no protocol; there is but one it can be.
            NotifyType::REKEY_SA => self.rekeyed = Some(rekeyed(notify)?),
            NotifyType::INVALID_KE_PAYLOAD => {
                self.invalid_ke = notify.group();
                self.error = Some(notify.kind);
            }
            NotifyType::MS_STATUS => {
                self.status = Status::decode(notify.data);
                self.error = Some(notify.kind);
            }
            NotifyType::ADDITIONAL_TS_POSSIBLE => self.more = true,
            kind if kind.is_error() => self.error = Some(kind),
            _ => {}
        }
        Ok(())
    }

    fn accepted(self) -> Result<CreateChild<'a>, Error> {
        let selectors = match (self.selectors_initiator, self.selectors_responder) {
            (None, None) => None,
            (initiator, responder) => Some(Selectors {
                initiator: require(initiator, PayloadType::TRAFFIC_SELECTOR_INITIATOR)?,
                responder: require(responder, PayloadType::TRAFFIC_SELECTOR_RESPONDER)?,
                more: self.more,
            }),
        };
        Ok(CreateChild {
            rekeyed: self.rekeyed,
            proposals: require(self.proposals, PayloadType::SECURITY_ASSOCIATION)?,
            nonce: require(self.nonce, PayloadType::NONCE)?,
            key_exchange: self.key_exchange,
            selectors,
        })
    }
}

fn rekeyed(notify: &Notify<'_>) -> Result<EspSpi, Malformed> {
    let spi = notify.spi.try_into().map_err(|_| Malformed {
        field: "SPI in REKEY_SA",
        fault: Fault::Length,
    })?;
    Ok(EspSpi(u32::from_be_bytes(spi)))
}

impl<'a> CreateChild<'a> {
    /// Reads the payloads of a request inside the encrypted payload.
    ///
    /// # Errors
    /// Whatever is wrong with the message.
    pub fn decode(first: PayloadType, octets: &'a [u8]) -> Result<Self, Error> {
        Fields::decode(first, octets)?.accepted()
    }

    /// Writes the payloads inside the encrypted payload.
    #[must_use]
    pub fn encode(&self) -> Chain {
        let mut chain = ChainWriter::default();
        if let Some(EspSpi(spi)) = self.rekeyed {
            let notify = Notify {
                protocol: ProtocolId::ESP,
                spi: &spi.to_be_bytes(),
                kind: NotifyType::REKEY_SA,
                data: &[],
            };
            notify.encode(&mut chain);
        }
        sa::encode(&mut chain, &self.proposals);
        nonce::encode(&mut chain, self.nonce);
        if let Some(key_exchange) = &self.key_exchange {
            key_exchange.encode(&mut chain);
        }
        if let Some(selectors) = &self.selectors {
            selectors.encode(&mut chain);
        }
        chain.finish()
    }
}

impl<'a> CreateChildReply<'a> {
    /// Reads the payloads of a response inside the encrypted payload.
    ///
    /// # Errors
    /// Whatever is wrong with the message.
    pub fn decode(first: PayloadType, octets: &'a [u8]) -> Result<Self, Error> {
        let fields = Fields::decode(first, octets)?;
        match (fields.invalid_ke, fields.status, fields.error) {
            (Some(group), ..) => Ok(Self::InvalidKe(group)),
            (None, Some(status), _) => Ok(Self::RefusedByWindows(status)),
            (None, None, Some(error)) => Ok(Self::Refused(error)),
            (None, None, None) => fields.accepted().map(Self::Accepted),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Violation;
    use crate::message::init::notify_only;
    use crate::wire::iana::TransformType;
    use crate::wire::payload::sa::Transform;

    const NONCE: [u8; 32] = [7; 32];

    fn proposal(protocol: ProtocolId, spi: &[u8]) -> Proposal {
        Proposal {
            number: 1,
            protocol,
            spi: spi.to_vec(),
            transforms: alloc::vec![Transform::new(TransformType::ENCRYPTION, 20, Some(256))],
        }
    }

    fn child() -> CreateChild<'static> {
        let host = |octets: [u8; 4]| alloc::vec![TrafficSelector::host(octets.into())];
        CreateChild {
            rekeyed: Some(EspSpi(0xc0ff_ee00)),
            proposals: alloc::vec![proposal(ProtocolId::ESP, &[1, 2, 3, 4])],
            nonce: &NONCE,
            key_exchange: Some(KeyExchange {
                group: GroupId::CURVE25519,
                data: &[9; 32],
            }),
            selectors: Some(Selectors {
                initiator: host([10, 9, 0, 1]),
                responder: host([10, 0, 0, 1]),
                more: true,
            }),
        }
    }

    #[test]
    fn messages_survive_encoding_and_decoding() {
        let ike = CreateChild {
            rekeyed: None,
            proposals: alloc::vec![proposal(ProtocolId::IKE, &[5; 8])],
            selectors: None,
            ..child()
        };
        let without_pfs = CreateChild {
            key_exchange: None,
            ..child()
        };
        for message in [child(), ike, without_pfs] {
            let chain = message.encode();
            let decoded = CreateChild::decode(chain.first, &chain.octets);
            assert_eq!(decoded, Ok(message.clone()));
            let reply = CreateChildReply::decode(chain.first, &chain.octets);
            assert_eq!(reply, Ok(CreateChildReply::Accepted(message)));
        }
    }

    #[test]
    fn one_selector_payload_misses_the_other() {
        let mut chain = ChainWriter::default();
        sa::encode(&mut chain, &child().proposals);
        nonce::encode(&mut chain, &NONCE);
        let selectors = child().selectors.unwrap();
        let initiator = PayloadType::TRAFFIC_SELECTOR_INITIATOR;
        ts::encode(&mut chain, initiator, &selectors.initiator);
        let chain = chain.finish();
        let missing = Violation::Missing(PayloadType::TRAFFIC_SELECTOR_RESPONDER);
        assert_eq!(
            CreateChild::decode(chain.first, &chain.octets),
            Err(missing.into())
        );
    }

    #[test]
    fn refusals_are_told_apart() {
        let reply = |kind: NotifyType, data: &[u8]| {
            let chain = notify_only(&Notify::new(kind, data));
            let reply = CreateChildReply::decode(chain.first, &chain.octets);
            match reply.unwrap() {
                CreateChildReply::Accepted(_) => panic!("accepted"),
                CreateChildReply::InvalidKe(group) => Err(group),
                CreateChildReply::Refused(kind) => Ok(kind),
                CreateChildReply::RefusedByWindows(status) => panic!("{status}"),
            }
        };
        let group = reply(NotifyType::INVALID_KE_PAYLOAD, &[0, 19]);
        assert_eq!(group, Err(GroupId::ECP_256));
        let unreadable = reply(NotifyType::INVALID_KE_PAYLOAD, &[19]);
        assert_eq!(unreadable, Ok(NotifyType::INVALID_KE_PAYLOAD));
        let busy = reply(NotifyType::TEMPORARY_FAILURE, &[]);
        assert_eq!(busy, Ok(NotifyType::TEMPORARY_FAILURE));
    }

    #[test]
    fn the_sa_to_rekey_has_an_spi_of_four_octets() {
        let mut chain = ChainWriter::default();
        let notify = Notify {
            protocol: ProtocolId::ESP,
            spi: &[1, 2, 3],
            kind: NotifyType::REKEY_SA,
            data: &[],
        };
        notify.encode(&mut chain);
        let chain = chain.finish();
        let decoded = CreateChild::decode(chain.first, &chain.octets);
        assert!(matches!(decoded, Err(Error::Malformed(_))));
    }
}
