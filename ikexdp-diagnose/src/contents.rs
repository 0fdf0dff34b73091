//! What a message says in the clear.

use std::net::{Ipv4Addr, Ipv6Addr};

use ikexdp_proto::windows::{self, Status};
use ikexdp_proto::wire::iana::{GroupId, NotifyType, PayloadType};
use ikexdp_proto::wire::payload::Payloads;
use ikexdp_proto::wire::payload::ke::KeyExchange;
use ikexdp_proto::wire::payload::notify::Notify;
use ikexdp_proto::wire::payload::sa::{self, Proposal};

use crate::limits::NOTIFIES_PER_MESSAGE;
use crate::printable::printable;

/// What a message says in the clear.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Contents {
    /// Payloads of IKE_SA_INIT, or of a message that refuses an unknown SPI: as far as they could be read.
    Clear(Box<Clear>),
    /// SK or SKF: octets of IV, ciphertext and ICV.
    Encrypted(usize),
    /// IKEv1, of which nothing more is read.
    Ikev1,
    /// Cut short by the capture or by missing IP fragments, or malformed: which.
    Unreadable(&'static str),
}

/// Payloads that are not encrypted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Clear {
    /// SA.
    pub proposals: Vec<Proposal>,
    /// KE: its group.
    pub group: Option<GroupId>,
    /// Types of all notifies, in order.
    pub notifies: Vec<NotifyType>,
    /// IKEV2_FRAGMENTATION_SUPPORTED (RFC 7383 §2.3).
    pub fragmentation: bool,
    /// Whether there is a COOKIE. What is in it can be as long as a datagram, and says nothing.
    pub cookie: bool,
    /// The group that INVALID_KE_PAYLOAD asks for.
    pub wanted: Option<GroupId>,
    /// The first notify that is an error.
    pub error: Option<NotifyType>,
    /// MS_STATUS.
    pub status: Option<Status>,
    /// Whether it is redirected, and where to (RFC 5685 §3), as far as that is legible.
    pub redirect: Option<Option<String>>,
    /// Who the sender is by its vendor ID, or by the payloads that it has and their order.
    pub sender: Option<&'static str>,
    /// Whether a payload was malformed, so that those behind it were not read.
    pub cut_short: bool,
}

/// What strongSwan sends if it is told to say who it is.
pub const STRONGSWAN: [u8; 16] = [
    0x88, 0x2f, 0xe5, 0x6d, 0x6f, 0xd2, 0x0d, 0xbc, 0x22, 0x51, 0x61, 0x3b, 0x2e, 0xbe, 0x5b, 0xeb,
];

impl Clear {
    /// Reads the payloads behind a header, up to the first that is malformed.
    #[must_use]
    pub fn read(first: PayloadType, octets: &[u8]) -> Self {
        let mut clear = Self::default();
        for payload in Payloads::new(first, octets) {
            let Ok(payload) = payload else {
                clear.cut_short = true;
                break;
            };
            let is_read = match payload.kind {
                PayloadType::SECURITY_ASSOCIATION => sa::decode(payload.body)
                    .map(|proposals| clear.proposals = proposals)
                    .is_ok(),
                PayloadType::KEY_EXCHANGE => KeyExchange::decode(payload.body)
                    .map(|it| clear.group = Some(it.group))
                    .is_ok(),
                PayloadType::NOTIFY => Notify::decode(payload.body)
                    .map(|notify| clear.notify(&notify))
                    .is_ok(),
                PayloadType::VENDOR_ID => {
                    clear.vendor(payload.body);
                    true
                }
                _ => true,
            };
            clear.cut_short |= !is_read;
        }
        if clear.sender.is_none() && !clear.proposals.is_empty() {
            clear.sender = by_order(&clear.notifies);
        }
        clear
    }

    /// Whether the sender says that it is Windows.
    #[must_use]
    pub fn is_windows(&self) -> bool {
        self.sender == Some(WINDOWS)
    }

    fn notify(&mut self, notify: &Notify<'_>) {
        if self.notifies.len() < NOTIFIES_PER_MESSAGE {
            self.notifies.push(notify.kind);
        }
        match notify.kind {
            NotifyType::IKEV2_FRAGMENTATION_SUPPORTED => self.fragmentation = true,
            NotifyType::COOKIE => self.cookie = true,
            NotifyType::INVALID_KE_PAYLOAD => self.wanted = notify.group(),
            NotifyType::MS_STATUS => self.status = Status::decode(notify.data),
            NotifyType::REDIRECT => self.redirect = Some(redirected_to(notify.data)),
            _ => {}
        }
        if notify.kind.is_error() && self.error.is_none() {
            self.error = Some(notify.kind);
        }
    }

    fn vendor(&mut self, id: &[u8]) {
        if id.starts_with(&windows::VENDOR_ID) {
            self.sender = Some(WINDOWS);
        } else if id.starts_with(&STRONGSWAN) {
            self.sender = Some("strongSwan");
        }
    }
}

const WINDOWS: &str = "Windows";

/// Who puts notifies into IKE_SA_INIT in this order, where no vendor ID tells: Apple's clients have those of NAT
/// detection before fragmentation and name no hashes, strongSwan names them right behind it.
fn by_order(notifies: &[NotifyType]) -> Option<&'static str> {
    const NAT: [NotifyType; 2] = [
        NotifyType::NAT_DETECTION_SOURCE_IP,
        NotifyType::NAT_DETECTION_DESTINATION_IP,
    ];
    let rest = notifies
        .strip_prefix(&[NotifyType::REDIRECT_SUPPORTED])
        .unwrap_or(notifies);
    let behind = rest
        .strip_prefix(&NAT)?
        .strip_prefix(&[NotifyType::IKEV2_FRAGMENTATION_SUPPORTED])?;
    match behind {
        [] => Some("an Apple system, by its payloads"),
        [NotifyType::SIGNATURE_HASH_ALGORITHMS, ..] if rest.len() == notifies.len() => {
            Some("strongSwan, by its payloads")
        }
        _ => None,
    }
}

/// Where REDIRECT sends a client, as far as that is legible: its data are
/// `| GW Ident Type | GW Ident Len | New Responder GW Identity | Nonce Data |` (RFC 5685 §3). Anybody on the way can
/// write a name, and it ends in a verdict: what would move a cursor is taken out here.
#[must_use]
pub fn redirected_to(data: &[u8]) -> Option<String> {
    let (&kind, rest) = data.split_first()?;
    let (&length, rest) = rest.split_first()?;
    let identity = rest.get(..usize::from(length))?;
    match kind {
        1 => Some(Ipv4Addr::from(<[u8; 4]>::try_from(identity).ok()?).to_string()),
        2 => Some(Ipv6Addr::from(<[u8; 16]>::try_from(identity).ok()?).to_string()),
        3 => Some(printable(&String::from_utf8_lossy(identity))),
        _ => None,
    }
}
