//! What the engine tells people.

mod close;
mod silence;

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use core::net::IpAddr;
use core::time::Duration;

pub use self::close::CloseReason;
pub use self::silence::{Incomplete, Unacknowledged};
use crate::crypto::cert::CredentialError;
use crate::data_plane::{Binding, EspSaName};
use crate::eap::{Account, Refusal, RejectionReason};
use crate::error::Error;
use crate::identity::Identity;
use crate::mismatch::Mismatch;
use crate::suite::{EspSuite, IkeSuite};
use crate::types::{EspSpi, IkeSaId, Path, Role, Spis};
use crate::wire::iana::{AuthMethod, ExchangeType, NotifyType};
use crate::wire::payload::ts::TrafficSelector;

/// Something happened that an operator may want to know.
#[derive(Clone, Debug)]
pub enum Event {
    /// An IKE SA is up.
    Established(Box<Established>),
    /// A handshake ended without one.
    HandshakeFailed(Box<HandshakeFailure>),
    /// A CHILD SA is up.
    ChildEstablished {
        /// The IKE SA it belongs to.
        id: IkeSaId,
        /// What was agreed.
        child: Box<ChildSummary>,
        /// The CHILD SA that it replaces, by the SPI we receive on.
        rekeyed: Option<EspSpi>,
    },
    /// The peer wanted a CHILD SA and did not get it, or the other way round.
    ChildRefused {
        /// The IKE SA it would have belonged to.
        id: IkeSaId,
        /// Why.
        reason: Error,
    },
    /// A CHILD SA is gone.
    ChildClosed {
        /// The IKE SA it belonged to.
        id: IkeSaId,
        /// The SPI we received on.
        spi: EspSpi,
    },
    /// An IKE SA has taken the place of another, and has its CHILD SAs now.
    Rekeyed {
        /// The one that was replaced.
        id: IkeSaId,
        /// The new one.
        new: IkeSaId,
        /// Its SPIs.
        spis: Spis,
        /// Its algorithms.
        suite: IkeSuite,
    },
    /// An IKE SA was not replaced: its end is near.
    RekeyRefused {
        /// Which.
        id: IkeSaId,
        /// Why.
        reason: Error,
    },
    /// The peer's address has changed.
    Moved {
        /// The IKE SA.
        id: IkeSaId,
        /// The way to the peer until now.
        from: Path,
        /// The way from now on.
        to: Path,
    },
    /// An IKE SA is gone, and its CHILD SAs with it.
    Closed {
        /// Which.
        id: IkeSaId,
        /// The connection it was of.
        connection: String,
        /// The way to its peer.
        path: Path,
        /// Its peer.
        peer: Identity,
        /// What the peer's authenticator wanted back.
        account: Option<Account>,
        /// How long it existed.
        age: Duration,
        /// Our part in it.
        role: Role,
        /// Whether we have shown a certificate.
        by_certificate: bool,
        /// The response that made it, if nothing shows that the peer has it.
        unacknowledged: Option<Unacknowledged>,
        /// Why.
        reason: CloseReason,
    },
    /// A message longer than a datagram was exchanged with a peer that cannot
    /// fragment at the IKE layer: it depends on IP fragments.
    NeedsIpFragments {
        /// The IKE SA.
        id: IkeSaId,
        /// The way to the peer.
        path: Path,
        /// Octets of the IP datagram.
        length: usize,
    },
    /// A peer went on repeating a request whose response went out in
    /// fragments; they are now smaller.
    FragmentsLowered {
        /// The IKE SA.
        id: IkeSaId,
        /// The way to the peer.
        path: Path,
        /// Octets of an IP datagram, from now on.
        datagram_len: u16,
    },
    /// From now on strangers must show that they can receive (RFC 7296 §2.6).
    CookiesOn {
        /// Half-open IKE SAs.
        half_open: usize,
        /// IKE_SA_INIT requests of the current second.
        requests: u32,
    },
    /// They need not any more.
    CookiesOff {
        /// How long they had to.
        lasted: Duration,
        /// Requests answered with cookies meanwhile.
        cookies: u64,
    },
}

/// An IKE SA that is up.
#[derive(Clone, Debug)]
pub struct Established {
    /// Its name.
    pub id: IkeSaId,
    /// The connection it is of.
    pub connection: String,
    /// Our part in it.
    pub role: Role,
    /// The way to the peer.
    pub path: Path,
    /// Its SPIs.
    pub spis: Spis,
    /// Who the peer is.
    pub peer: Identity,
    /// Its algorithms.
    pub suite: IkeSuite,
    /// What lies between.
    pub nat: NatSituation,
    /// Addresses given to the peer, or got from it.
    pub addresses: Vec<IpAddr>,
    /// What the peer's authenticator wants back.
    pub account: Option<Account>,
    /// From the first message to this moment.
    pub handshake: Duration,
    /// How its messages were cut.
    pub fragmentation: FragmentationSummary,
}

/// Where NAT detection found address translation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NatSituation {
    /// Our address is not the one the peer sees.
    pub local: bool,
    /// The peer's address is not the one it has.
    pub remote: bool,
}

/// How the messages of an IKE SA are cut.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FragmentationSummary {
    /// Whether both sides announced RFC 7383.
    pub negotiated: bool,
    /// Longest IP datagram we send to this peer.
    pub datagram_len: u16,
    /// Fragments received in all.
    pub received: u32,
    /// Fragments sent in all.
    pub sent: u32,
}

/// A handshake that failed.
#[derive(Clone, Debug)]
pub struct HandshakeFailure {
    /// The SA it was for, if it got that far.
    pub id: Option<IkeSaId>,
    /// Our part in it.
    pub role: Role,
    /// The way to the peer.
    pub path: Path,
    /// The connection it was for, if it got that far.
    pub connection: Option<String>,
    /// Who the peer said it was, if it got that far; not proved.
    pub claimed: Option<Identity>,
    /// The algorithms, if it got that far.
    pub suite: Option<IkeSuite>,
    /// How its messages were cut.
    pub fragmentation: FragmentationSummary,
    /// Whether we announce RFC 7383.
    pub announces_fragmentation: bool,
    /// From the first message to this moment.
    pub handshake: Duration,
    /// What came of the message that it waited for.
    pub incomplete: Option<Incomplete>,
    /// Our last response, if nothing shows that the peer has it.
    pub unacknowledged: Option<Unacknowledged>,
    /// Why.
    pub reason: FailureReason,
}

/// Why a handshake failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FailureReason {
    /// A message was refused; the peer was told, if it was to be told.
    Refused(Error),
    /// None of the peer's proposals fits; they are listed for people.
    NoCommonAlgorithms(Box<Mismatch>),
    /// The peer's public value is not in its group.
    KeyExchange,
    /// No connection of ours is for these identities.
    NoConnection {
        /// Who the peer wanted to reach, if it said.
        wanted: Option<Identity>,
    },
    /// The peer authenticates in a way the connection does not allow.
    AuthMethod(AuthMethod),
    /// The peer sent no AUTH: it wants to authenticate by EAP.
    EapWanted,
    /// The peer did not prove by EAP who it is.
    Eap(RejectionReason),
    /// EAP did not prove who we are, as the initiator.
    EapRefused(Refusal),
    /// The peer's AUTH is not by the key that EAP made.
    EapKey,
    /// The peer is who it says, but no connection is for it.
    NotAdmitted {
        /// The groups it belongs to.
        groups: Vec<String>,
    },
    /// The peer left a question of EAP unanswered.
    EapSilent {
        /// Which one, from 1.
        question: u8,
    },
    /// The shared keys differ.
    SharedKey,
    /// The peer's certificate or signature does not stand.
    Credentials(CredentialError),
    /// The peer takes no signature that our key can make.
    NoSignatureHash,
    /// Our own private key failed.
    OwnKey,
    /// The peer refused.
    PeerRefused(NotifyType),
    /// Time ran out.
    Timeout {
        /// The exchange that was not completed.
        waiting_for: ExchangeType,
    },
    /// Too many messages came that do not authenticate, and none that does.
    Unauthentic,
    /// The host could not do a job for it.
    JobAbandoned,
    /// The host asked for the end.
    Terminated,
}

/// A CHILD SA, for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChildSummary {
    /// The SPI we receive on.
    pub spi_in: EspSpi,
    /// The SPI the peer receives on.
    pub spi_out: EspSpi,
    /// Its algorithms.
    pub suite: EspSuite,
    /// What lies behind us.
    pub local: Vec<TrafficSelector>,
    /// What lies behind the peer.
    pub remote: Vec<TrafficSelector>,
    /// What binds its traffic: what the connection said when it was made.
    pub binding: Binding,
}

/// An IKE SA, for people.
#[derive(Clone, Debug)]
pub struct IkeSaSummary {
    /// Its name.
    pub id: IkeSaId,
    /// How far it is.
    pub state: &'static str,
    /// The connection it is of, once that is known.
    pub connection: Option<String>,
    /// Our part in it.
    pub role: Role,
    /// The way to the peer.
    pub path: Path,
    /// Its SPIs.
    pub spis: Spis,
    /// Who the peer is, once that is proved.
    pub peer: Option<Identity>,
    /// Its algorithms, once they are chosen.
    pub suite: Option<IkeSuite>,
    /// How long it has existed.
    pub age: Duration,
    /// Addresses given to the peer.
    pub addresses: Vec<IpAddr>,
    /// How its messages are cut.
    pub fragmentation: FragmentationSummary,
    /// Its CHILD SAs.
    pub children: Vec<ChildSummary>,
    /// What the kernel knows each of them by: the SA we receive on, and the other.
    pub names: Vec<[EspSaName; 2]>,
}

impl HandshakeFailure {
    /// Of a request that no SA was made for.
    #[must_use]
    pub fn without_sa(path: Path, announces_fragmentation: bool, reason: FailureReason) -> Self {
        Self {
            id: None,
            role: Role::Responder,
            path,
            connection: None,
            claimed: None,
            suite: None,
            fragmentation: FragmentationSummary::default(),
            announces_fragmentation,
            handshake: Duration::ZERO,
            incomplete: None,
            unacknowledged: None,
            reason,
        }
    }
}

impl FailureReason {
    const fn eap_hint(&self) -> Option<&'static str> {
        Some(match self {
            Self::Eap(reason) => return reason.hint(),
            Self::EapRefused(refusal) => return refusal.hint(),
            Self::EapKey => {
                "somebody may be between the client and the gateway; else the RADIUS server and the \
                 client derive different keys from the EAP method"
            }
            Self::NotAdmitted { .. } => {
                "no `connection` with this user in `remote.ids` and one of the groups in `remote.groups`"
            }
            Self::EapSilent { question: 1 } => {
                "the client most likely does not accept the gateway's certificate (Windows: error 13801): its \
                 name must be in the certificate, its CA be trusted by the client"
            }
            Self::EapSilent { .. } => {
                "the client gave up in the middle of EAP: compare the method and the certificate that it \
                 expects of the authenticator"
            }
            _ => return None,
        })
    }

    /// What an operator can do about it, where the reason alone tells.
    #[must_use]
    pub const fn hint(&self) -> Option<&'static str> {
        Some(match self {
            Self::NoCommonAlgorithms(mismatch) => mismatch.hint(),
            Self::NoConnection { .. } => {
                "no `connection` has this name, in `local.id` or its certificate, and this peer in `remote.ids`"
            }
            Self::AuthMethod(AuthMethod::SHARED_KEY) => {
                "the client uses a pre-shared key, the connection wants a certificate"
            }
            Self::AuthMethod(AuthMethod::RSA_SHA1) => {
                "Windows signs so with an RSA certificate: give it one for ECDSA on P-256 or P-384, or \
                 allow `ike.rsa-sha1`; the connection must take certificates"
            }
            Self::AuthMethod(
                AuthMethod::DIGITAL_SIGNATURE
                | AuthMethod::ECDSA_256
                | AuthMethod::ECDSA_384
                | AuthMethod::ECDSA_521,
            ) => "the client uses a certificate, the connection wants a pre-shared key",
            Self::EapWanted => {
                "no `connection` with this name of ours takes EAP: give one `remote.eap-users`, `remote.eap-ca` or \
                 `remote.eap-radius`, or set the client to certificates"
            }
            Self::SharedKey => "compare the pre-shared key on both sides",
            Self::Credentials(CredentialError::UnknownIssuer) => {
                "`remote.ca` must hold the client's root, and the client must send its intermediates"
            }
            Self::Credentials(CredentialError::NoCertificate) => {
                "configure the client to send its certificate"
            }
            Self::Credentials(CredentialError::WrongUsage) => {
                "issue the client a certificate with `clientAuth`, or without an extended key usage"
            }
            Self::Credentials(CredentialError::WrongName(_)) => {
                "the client's identity must be its subject or one of its subjectAltNames"
            }
            Self::Credentials(CredentialError::NotYetValid | CredentialError::Expired) => {
                "renew the certificate, or correct the clock"
            }
            Self::Credentials(CredentialError::NameConstraints) => {
                "look at `nameConstraints` of the authorities; those for mail addresses, \
                 distinguished names and URIs are not understood, so that no such name stands"
            }
            Self::Credentials(CredentialError::Revoked { .. }) => {
                "the authority has revoked it: the client needs a new one, if it is to come back"
            }
            Self::Credentials(CredentialError::StatusUnknown { .. }) => {
                "renew the lists of `remote.crl`, one for each authority on the path, or see to it \
                 that what the certificate names can be reached; `remote.revocation = \"relaxed\"` \
                 lets it pass"
            }
            Self::NoSignatureHash => {
                "the client takes no signature that a key of `local` can make: who does not know \
                 RFC 7427, as Windows and Apple's clients, takes ECDSA, and RSA with `ike.rsa-sha1`; \
                 others must announce the hash of our key, SHA2-256, SHA2-384 for P-384, SHA2-512 for \
                 P-521"
            }
            Self::OwnKey => "check `local.key` and the system's randomness",
            _ => return self.eap_hint(),
        })
    }
}

impl fmt::Display for FailureReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(error) => write!(f, "{error}"),
            Self::NoCommonAlgorithms(mismatch) => write!(f, "{mismatch}"),
            Self::KeyExchange => f.write_str("public value is not in its group"),
            Self::NoConnection {
                wanted: Some(wanted),
            } => write!(f, "no connection for this peer to {wanted}"),
            Self::NoConnection { wanted: None } => f.write_str("no connection for this peer"),
            Self::AuthMethod(method) => {
                write!(f, "authentication method not allowed: {method}")
            }
            Self::EapWanted => f.write_str("peer wants to authenticate by EAP"),
            Self::Eap(reason) => write!(f, "{reason}"),
            Self::EapRefused(refusal) => write!(f, "{refusal}"),
            Self::EapKey => f.write_str("peer does not have the key that EAP made"),
            Self::NotAdmitted { groups } if groups.is_empty() => {
                f.write_str("no connection for this user, who is in no group")
            }
            Self::NotAdmitted { groups } => {
                write!(f, "no connection for this user of {}", groups.join(", "))
            }
            Self::EapSilent { question } => {
                write!(f, "question {question} of EAP was not answered")
            }
            Self::SharedKey => f.write_str("pre-shared keys differ"),
            Self::Credentials(error) => write!(f, "{error}"),
            Self::NoSignatureHash => f.write_str("no common signature hash algorithm"),
            Self::OwnKey => f.write_str("our private key could not sign"),
            Self::PeerRefused(notify) => write!(f, "peer refused: {notify}"),
            Self::Timeout { waiting_for } => write!(f, "{waiting_for} did not come in time"),
            Self::Unauthentic => f.write_str("messages do not authenticate"),
            Self::JobAbandoned => f.write_str("a computation was given up"),
            Self::Terminated => f.write_str("terminated"),
        }
    }
}
