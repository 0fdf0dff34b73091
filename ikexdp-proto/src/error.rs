//! What can be wrong with a message, by whose fault.

use alloc::boxed::Box;
use core::fmt;

use crate::crypto::CryptoError;
use crate::crypto::kex::Group;
use crate::data_plane::DataPlaneError;
use crate::mismatch::Mismatch;
use crate::types::EspSpi;
use crate::windows::Status;
use crate::wire::iana::{NotifyType, PayloadType};

/// A message that is not answered as its sender hoped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Error {
    /// The octets do not follow the format.
    Malformed(Malformed),
    /// The format is right, the protocol does not allow it.
    Violation(Violation),
    /// The protocol allows it, our policy does not.
    Unacceptable(Unacceptable),
    /// It does not come from the peer; nobody gets an answer.
    Unauthentic,
    /// It would exceed a limit of ours.
    Exhausted(Limit),
    /// The peer did not do what we asked.
    PeerRefused(NotifyType),
    /// The same of Windows, with its reason.
    WindowsRefused(Status),
    /// The kernel does not carry what was agreed on.
    DataPlane(DataPlaneError),
    /// No proposal has algorithms we allow.
    Mismatch(Box<Mismatch>),
}

/// Octets that do not follow the format of RFC 7296 §3.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Malformed {
    /// What was being read, in the words of the RFC.
    pub field: &'static str,
    /// What was wrong with it.
    pub fault: Fault,
}

/// How a field can be malformed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It ends before it is complete.
    Truncated,
    /// Octets follow where none belong.
    Trailing,
    /// A length field contradicts the octets there are.
    Length,
    /// A value that may not stand there.
    Value,
}

/// A well-formed message that breaks a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Violation {
    /// A payload is missing that the exchange needs.
    Missing(PayloadType),
    /// A payload came twice that may come once.
    Duplicate(PayloadType),
    /// A critical payload of a type we do not know (RFC 7296 §2.5).
    UnknownCritical(PayloadType),
    /// The exchange is not allowed in this state of the SA.
    UnexpectedExchange,
}

/// What our policy refuses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unacceptable {
    /// Algorithms that we do not allow, or have not offered.
    Proposal,
    /// The KE payload is of another group than the one we choose.
    Group(Group),
    /// No traffic selector is left after narrowing.
    Selectors,
    /// An address was asked for and none can be given.
    Address,
    /// An address must be asked for and was not.
    ConfigurationRequired,
    /// The peer is not who it says, or not allowed in.
    Authentication,
    /// The peer begins with a CHILD SA only, and we do not (RFC 6023 §3).
    NotChildless,
    /// The exchange would make an SA we do not make.
    AdditionalSa,
    /// The IKE SA or the CHILD SA is being closed or replaced (RFC 7296 §2.25).
    Collision,
    /// A NAT is in the way of a peer that allows none (RFC 4555 §3.9).
    Nat,
    /// There is no CHILD SA that the peer receives on this SPI.
    NoSuchChild(EspSpi),
    /// The host could not do a job for it.
    Overload,
    /// The configuration is another one since the peer began.
    Reconfigured,
}

/// A limit of `limits.rs` that a message would exceed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limit {
    /// [`crate::limits::MESSAGE_LEN_MAX`].
    MessageLength,
    /// [`crate::limits::FRAGMENTS_MAX`].
    Fragments,
    /// The memory for messages under reassembly, of all SAs together.
    Reassembly,
    /// [`crate::limits::CERTIFICATES_MAX`].
    Certificates,
    /// [`crate::limits::SELECTORS_MAX`].
    Selectors,
    /// [`crate::limits::PROPOSALS_MAX`].
    Proposals,
    /// [`crate::limits::IDENTITY_LEN_MAX`].
    IdentityLength,
}

/// A notify that answers an error: its type and its data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ErrorNotify {
    /// The type.
    pub kind: NotifyType,
    /// The CHILD SA it is about.
    pub child: Option<EspSpi>,
    /// Up to two octets of data: the wanted group, or the offending payload type.
    data: [u8; 2],
    len: usize,
}

impl ErrorNotify {
    /// A notify without data.
    #[must_use]
    pub const fn bare(kind: NotifyType) -> Self {
        Self {
            kind,
            child: None,
            data: [0; 2],
            len: 0,
        }
    }

    /// The notification data.
    #[must_use]
    pub fn data(&self) -> &[u8] {
        self.data.get(..self.len).unwrap_or_default()
    }
}

impl Error {
    /// The notify that tells the peer, if the peer is to be told.
    #[must_use]
    pub fn notify(&self) -> Option<ErrorNotify> {
        let kind = match self {
            Self::Unauthentic | Self::PeerRefused(_) | Self::WindowsRefused(_) => return None,
            Self::Violation(Violation::UnknownCritical(payload)) => {
                return Some(ErrorNotify {
                    kind: NotifyType::UNSUPPORTED_CRITICAL_PAYLOAD,
                    child: None,
                    data: [payload.0, 0],
                    len: 1,
                });
            }
            Self::Unacceptable(Unacceptable::Group(group)) => {
                return Some(ErrorNotify {
                    kind: NotifyType::INVALID_KE_PAYLOAD,
                    child: None,
                    data: group.id().0.to_be_bytes(),
                    len: 2,
                });
            }
            Self::Unacceptable(Unacceptable::NoSuchChild(spi)) => {
                return Some(ErrorNotify {
                    child: Some(*spi),
                    ..ErrorNotify::bare(NotifyType::CHILD_SA_NOT_FOUND)
                });
            }
            // With other algorithms it might do.
            Self::DataPlane(DataPlaneError::Unsupported(_)) | Self::Mismatch(_) => {
                NotifyType::NO_PROPOSAL_CHOSEN
            }
            Self::DataPlane(_) => NotifyType::TEMPORARY_FAILURE,
            Self::Malformed(_) | Self::Violation(_) | Self::Exhausted(_) => {
                NotifyType::INVALID_SYNTAX
            }
            Self::Unacceptable(refusal) => match refusal {
                Unacceptable::Proposal | Unacceptable::Group(_) => NotifyType::NO_PROPOSAL_CHOSEN,
                Unacceptable::Selectors => NotifyType::TS_UNACCEPTABLE,
                Unacceptable::Address => NotifyType::INTERNAL_ADDRESS_FAILURE,
                Unacceptable::ConfigurationRequired => NotifyType::FAILED_CP_REQUIRED,
                Unacceptable::Authentication => NotifyType::AUTHENTICATION_FAILED,
                Unacceptable::AdditionalSa | Unacceptable::NotChildless => {
                    NotifyType::NO_ADDITIONAL_SAS
                }
                Unacceptable::Nat => NotifyType::UNEXPECTED_NAT_DETECTED,
                Unacceptable::NoSuchChild(_) => NotifyType::CHILD_SA_NOT_FOUND,
                Unacceptable::Collision | Unacceptable::Overload | Unacceptable::Reconfigured => {
                    NotifyType::TEMPORARY_FAILURE
                }
            },
        };
        Some(ErrorNotify::bare(kind))
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed(malformed) => write!(f, "{malformed}"),
            Self::Violation(violation) => write!(f, "{violation}"),
            Self::Unacceptable(refusal) => write!(f, "{refusal}"),
            Self::Unauthentic => f.write_str("message does not authenticate"),
            Self::Exhausted(limit) => write!(f, "{limit}"),
            Self::PeerRefused(notify) => write!(f, "peer refused: {notify}"),
            Self::WindowsRefused(status) => write!(f, "peer refused: {status}"),
            Self::DataPlane(error) => write!(f, "{error}"),
            Self::Mismatch(mismatch) => write!(f, "{mismatch}"),
        }
    }
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { field, fault } = self;
        match fault {
            Fault::Truncated => write!(f, "{field} is cut short"),
            Fault::Trailing => write!(f, "octets follow the {field}"),
            Fault::Length => write!(f, "{field} contradicts the octets there are"),
            Fault::Value => write!(f, "{field} has a value it may not have"),
        }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing(payload) => write!(f, "{payload} payload is missing"),
            Self::Duplicate(payload) => write!(f, "{payload} payload came twice"),
            Self::UnknownCritical(payload) => {
                write!(f, "critical payload of unknown type {payload}")
            }
            Self::UnexpectedExchange => f.write_str("exchange out of turn"),
        }
    }
}

impl fmt::Display for Unacceptable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Proposal => f.write_str("no common algorithms"),
            Self::Group(group) => write!(f, "key exchange must use {group}"),
            Self::Selectors => f.write_str("no common traffic selectors"),
            Self::Address => f.write_str("no address to give"),
            Self::ConfigurationRequired => f.write_str("peer asks for no address"),
            Self::Authentication => f.write_str("authentication failed"),
            Self::NotChildless => f.write_str("peer makes no IKE SA without a CHILD SA"),
            Self::AdditionalSa => f.write_str("no additional SAs"),
            Self::Collision => f.write_str("the SA is being closed or replaced"),
            Self::Nat => f.write_str("a NAT is in the way, and the peer allows none"),
            Self::NoSuchChild(spi) => write!(f, "there is no CHILD SA to {spi}"),
            Self::Overload => f.write_str("a computation was given up"),
            Self::Reconfigured => f.write_str("the configuration has changed meanwhile"),
        }
    }
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::MessageLength => "message is longer than we take",
            Self::Fragments => "message has more fragments than we take",
            Self::Reassembly => "fragments of all messages take more memory than we have for them",
            Self::Certificates => "more certificates than we take",
            Self::Selectors => "more traffic selectors than we take",
            Self::Proposals => "more proposals than we take",
            Self::IdentityLength => "identity is longer than we take",
        })
    }
}

impl core::error::Error for Error {}
impl core::error::Error for Malformed {}

impl From<Malformed> for Error {
    fn from(malformed: Malformed) -> Self {
        Self::Malformed(malformed)
    }
}

impl From<Violation> for Error {
    fn from(violation: Violation) -> Self {
        Self::Violation(violation)
    }
}

impl From<Unacceptable> for Error {
    fn from(refusal: Unacceptable) -> Self {
        Self::Unacceptable(refusal)
    }
}

impl From<Limit> for Error {
    fn from(limit: Limit) -> Self {
        Self::Exhausted(limit)
    }
}

impl From<DataPlaneError> for Error {
    fn from(error: DataPlaneError) -> Self {
        Self::DataPlane(error)
    }
}

impl From<Box<Mismatch>> for Error {
    fn from(mismatch: Box<Mismatch>) -> Self {
        Self::Mismatch(mismatch)
    }
}

impl From<CryptoError> for Error {
    fn from(_: CryptoError) -> Self {
        Self::Unauthentic
    }
}
