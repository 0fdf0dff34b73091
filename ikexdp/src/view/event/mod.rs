//! What happens, as those see it who follow it.

mod heard;
mod shown;

use std::net::{IpAddr, SocketAddr};

use serde::{Deserialize, Serialize};

use super::{Child, Fragmentation};
use crate::clock::rfc3339;

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// When, as RFC 3339 has it.
    pub time: String,
    /// What.
    #[serde(flatten)]
    pub what: Happening,
}

/// What happened; in JSON, `event` says which of these.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "event")]
pub enum Happening {
    /// An IKE SA is up.
    Established(Established),
    /// A handshake ended without one.
    HandshakeFailed(HandshakeFailed),
    /// A CHILD SA is up.
    ChildEstablished {
        /// The IKE SA.
        id: u64,
        /// The CHILD SA.
        child: Child,
        /// The one that it replaces, by the SPI we receive on.
        rekeyed: Option<String>,
    },
    /// A CHILD SA was not made.
    ChildRefused {
        /// The IKE SA.
        id: u64,
        /// Why.
        reason: String,
        /// What to do about it.
        hint: Option<String>,
    },
    /// A CHILD SA is gone.
    ChildClosed {
        /// The IKE SA.
        id: u64,
        /// The SPI we received on, in hexadecimal.
        spi_in: String,
    },
    /// An IKE SA has taken the place of another.
    Rekeyed {
        /// The one that was replaced.
        id: u64,
        /// The new one.
        new: u64,
        /// Its initiator's SPI, in hexadecimal.
        initiator_spi: String,
        /// Its responder's SPI, in hexadecimal.
        responder_spi: String,
        /// Its algorithms.
        suite: String,
    },
    /// An IKE SA was not replaced.
    RekeyRefused {
        /// Which.
        id: u64,
        /// Why.
        reason: String,
    },
    /// A peer has another address or port.
    Moved {
        /// The IKE SA.
        id: u64,
        /// Where it was.
        from: SocketAddr,
        /// Where it is.
        remote: SocketAddr,
    },
    /// An IKE SA is gone, and its CHILD SAs with it.
    Closed {
        /// Which.
        id: u64,
        /// The connection it was of.
        connection: String,
        /// The peer's address and port.
        remote: SocketAddr,
        /// Who the peer was.
        identity: String,
        /// How long it existed, in seconds.
        age_s: u64,
        /// Why.
        reason: String,
        /// What most likely lies behind it.
        #[serde(flatten)]
        told: Cause,
    },
    /// A peer that cannot fragment depends on IP fragments.
    NeedsIpFragments {
        /// The IKE SA.
        id: u64,
        /// The peer's address and port.
        remote: SocketAddr,
        /// Octets of the IP datagram.
        length: usize,
    },
    /// Fragments did not get through, and are smaller now.
    FragmentsLowered {
        /// The IKE SA.
        id: u64,
        /// The peer's address and port.
        remote: SocketAddr,
        /// Octets of an IP datagram, from now on.
        datagram_len: u16,
    },
    /// From now on everybody must show that they can receive.
    CookiesOn {
        /// Half-open IKE SAs.
        half_open: usize,
        /// IKE_SA_INIT requests of the current second.
        requests: u32,
    },
    /// They need not any more.
    CookiesOff {
        /// How long they had to, in seconds.
        lasted_s: u64,
        /// Requests answered with cookies meanwhile.
        cookies: u64,
    },
    /// More happened than was read in time.
    Lost {
        /// How many events.
        events: u64,
    },
}

/// An IKE SA that is up.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Established {
    /// The IKE SA.
    pub id: u64,
    /// The connection it is of.
    pub connection: String,
    /// Our part in it: `initiator` or `responder`.
    pub role: String,
    /// Our address and port.
    pub local: SocketAddr,
    /// The peer's address and port.
    pub remote: SocketAddr,
    /// Who the peer is.
    pub identity: String,
    /// Its algorithms.
    pub suite: String,
    /// Addresses given to the peer.
    pub addresses: Vec<IpAddr>,
    /// Whether there is a NAT before us.
    pub nat_local: bool,
    /// Whether there is a NAT before the peer.
    pub nat_remote: bool,
    /// How its messages were cut.
    pub fragmentation: Fragmentation,
    /// How long the handshake took, in milliseconds.
    pub duration_ms: u64,
}

/// A handshake that failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HandshakeFailed {
    /// The IKE SA, if it got that far.
    pub id: Option<u64>,
    /// The connection, if it got that far.
    pub connection: Option<String>,
    /// Our part in it: `initiator` or `responder`.
    pub role: String,
    /// Our address and port.
    pub local: SocketAddr,
    /// The peer's address and port.
    pub remote: SocketAddr,
    /// Who the peer said it was; not proved.
    pub identity: Option<String>,
    /// The algorithms, if it got that far.
    pub suite: Option<String>,
    /// How its messages were cut.
    pub fragmentation: Fragmentation,
    /// How long it took, in milliseconds.
    pub duration_ms: u64,
    /// The kind of reason, as `ikexdp stats` counts it.
    pub kind: String,
    /// Why.
    pub reason: String,
    /// What most likely lies behind it.
    #[serde(flatten)]
    pub told: Cause,
}

/// What most likely lies behind a failure, as `ikexdp diagnose` calls it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cause {
    /// The name of the verdict.
    pub verdict: Option<String>,
    /// The codes that Windows shows for it, the likelier first.
    #[serde(default)]
    pub windows: Vec<u16>,
    /// The cause, where the reason is that somebody fell silent.
    pub cause: Option<String>,
    /// What to do about it.
    pub hint: Option<String>,
}

/// The names of all kinds of events.
pub const NAMES: [&str; 14] = [
    "established",
    "handshake_failed",
    "child_established",
    "child_refused",
    "child_closed",
    "rekeyed",
    "rekey_refused",
    "moved",
    "closed",
    "needs_ip_fragments",
    "fragments_lowered",
    "cookies_on",
    "cookies_off",
    "lost",
];

impl Event {
    /// What happens now.
    #[must_use]
    pub fn now(what: Happening) -> Self {
        let time = rfc3339();
        Self { time, what }
    }
}

impl Happening {
    /// Its name, as `event` has it in JSON.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Established(_) => "established",
            Self::HandshakeFailed(_) => "handshake_failed",
            Self::ChildEstablished { .. } => "child_established",
            Self::ChildRefused { .. } => "child_refused",
            Self::ChildClosed { .. } => "child_closed",
            Self::Rekeyed { .. } => "rekeyed",
            Self::RekeyRefused { .. } => "rekey_refused",
            Self::Moved { .. } => "moved",
            Self::Closed { .. } => "closed",
            Self::NeedsIpFragments { .. } => "needs_ip_fragments",
            Self::FragmentsLowered { .. } => "fragments_lowered",
            Self::CookiesOn { .. } => "cookies_on",
            Self::CookiesOff { .. } => "cookies_off",
            Self::Lost { .. } => "lost",
        }
    }

    /// The IKE SA that it is about.
    #[must_use]
    pub const fn id(&self) -> Option<u64> {
        match self {
            Self::Established(sa) => Some(sa.id),
            Self::HandshakeFailed(failed) => failed.id,
            Self::ChildEstablished { id, .. }
            | Self::ChildRefused { id, .. }
            | Self::ChildClosed { id, .. }
            | Self::Rekeyed { id, .. }
            | Self::RekeyRefused { id, .. }
            | Self::Moved { id, .. }
            | Self::Closed { id, .. }
            | Self::NeedsIpFragments { id, .. }
            | Self::FragmentsLowered { id, .. } => Some(*id),
            Self::CookiesOn { .. } | Self::CookiesOff { .. } | Self::Lost { .. } => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(what: Happening) -> Event {
        Event {
            time: "2026-11-22T08:03:09.123Z".to_owned(),
            what,
        }
    }

    pub(super) fn failed() -> Happening {
        Happening::HandshakeFailed(HandshakeFailed {
            id: None,
            connection: None,
            role: "responder".to_owned(),
            local: "192.0.2.1:500".parse().unwrap(),
            remote: "198.51.100.7:500".parse().unwrap(),
            identity: None,
            suite: None,
            fragmentation: Fragmentation {
                negotiated: true,
                datagram_len: 1280,
                received: 0,
                sent: 0,
            },
            duration_ms: 3,
            kind: "no_common_algorithms".to_owned(),
            reason: "nothing fits".to_owned(),
            told: Cause {
                hint: Some("look".to_owned()),
                ..Cause::default()
            },
        })
    }

    #[test]
    fn an_event_is_one_flat_object() {
        let spi_in = "0a0b0c0d".to_owned();
        let closed = event(Happening::ChildClosed { id: 7, spi_in });
        let json = r#"{"time":"2026-11-22T08:03:09.123Z","event":"child_closed","id":7,"spi_in":"0a0b0c0d"}"#;
        assert_eq!(serde_json::to_string(&closed).unwrap(), json);
        assert_eq!(serde_json::from_str::<Event>(json).unwrap(), closed);
        let failed = event(failed());
        let json = serde_json::to_string(&failed).unwrap();
        assert!(
            json.contains(r#""event":"handshake_failed","id":null"#),
            "{json}"
        );
        assert_eq!(serde_json::from_str::<Event>(&json).unwrap(), failed);
    }

    #[test]
    fn names_are_those_in_json() {
        let remote = "198.51.100.7:4500".parse().unwrap();
        let (id, hint) = (7, None);
        let reason = String::new();
        for what in [
            failed(),
            Happening::ChildRefused {
                id,
                reason: reason.clone(),
                hint,
            },
            Happening::RekeyRefused { id, reason },
            Happening::Moved {
                id,
                from: remote,
                remote,
            },
            Happening::NeedsIpFragments {
                id,
                remote,
                length: 4000,
            },
            Happening::FragmentsLowered {
                id,
                remote,
                datagram_len: 576,
            },
            Happening::CookiesOn {
                half_open: 256,
                requests: 7,
            },
            Happening::CookiesOff {
                lasted_s: 9,
                cookies: 7000,
            },
            Happening::Lost { events: 3 },
        ] {
            let json = serde_json::to_value(&what).unwrap();
            assert_eq!(json["event"], what.name());
            assert!(NAMES.contains(&what.name()));
        }
    }
}
