//! What can be wrong with an attempt: a closed list, with a name for each that stays.
//!
//! A verdict says the cause in one line, the code that Windows shows for it, whose side it is,
//! and what helps. It holds plain data alone, so that a gateway can make one as well as a reader of captures.

mod remedy;
mod said;

use ikexdp_proto::mismatch::Mismatch;
use ikexdp_proto::profile::Profile;
use ikexdp_proto::windows::Status;
use ikexdp_proto::wire::iana::{GroupId, NotifyType};

pub use remedy::Remedy;

/// Why an attempt failed, or why a capture has none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// A capture without IKE.
    NoIke,
    /// IKE_SA_INIT without an answer that the client could use.
    InitUnanswered(Unanswered),
    /// The gateway asked for a cookie, and the client did not return it.
    CookieNotReturned,
    /// The client speaks IKEv1 and nothing else.
    Ikev1,
    /// The gateway refuses the major version.
    VersionRefused,
    /// No algorithms in common for the IKE SA.
    NoCommonPolicy(Box<Policy>),
    /// INVALID_KE_PAYLOAD that the client did not follow.
    KeyExchangeRefused {
        /// The group of the client's KE payload.
        sent: Option<GroupId>,
        /// The group that the gateway wants.
        wanted: Option<GroupId>,
    },
    /// Another error in the answer to IKE_SA_INIT.
    InitRefused(NotifyType),
    /// The gateway sends the client elsewhere (RFC 5685).
    Redirected {
        /// Where to, as far as that is legible.
        to: Option<String>,
    },
    /// IKE_SA_INIT was answered, and no IKE_AUTH followed.
    NoAuthRequest,
    /// Small datagrams to port 4500 get no answer, while port 500 does.
    NatPortBlocked,
    /// IP fragments that do not arrive.
    IpFragmentsLost {
        /// Who sent them.
        direction: Direction,
        /// Whether the client announced that it can fragment by IKE; `None` if that was not seen.
        client_announced: Option<bool>,
        /// Whether the gateway did.
        gateway_announced: Option<bool>,
    },
    /// Fragments of IKE that do not arrive, whatever the repeats.
    IkeFragmentsLost {
        /// Who sent them.
        direction: Direction,
        /// Fragment numbers that never arrived, from 1.
        missing: Vec<u16>,
        /// Total Fragments.
        total: u16,
        /// Longest IP datagram among them, in octets; 0 if it is not known.
        datagram_len: usize,
    },
    /// Large datagrams vanish where small ones pass.
    LargeDatagramsLost {
        /// Who sent them.
        direction: Direction,
        /// The IP datagram that vanished, in octets; 0 if it was not seen, and only that it must be longer than
        /// what passed.
        datagram_len: usize,
        /// The longest that passed, in octets; 0 if none is known.
        passed: usize,
    },
    /// A request arrived whole, and the gateway did not answer.
    RequestIgnored {
        /// In how many IKE fragments it came; 1 if it was not cut.
        fragments: u16,
    },
    /// The gateway's response, repeated and never acknowledged.
    ReplyUnacknowledged {
        /// How often it was sent.
        times: usize,
        /// Its longest IP datagram, in octets.
        datagram_len: usize,
        /// In how many IKE fragments it was sent; 1 if it was not cut.
        fragments: u16,
    },
    /// IKE_SA_INIT and what follows reach different gateways.
    DifferentGateways,
    /// Of many attempts from one address the later ones get no answer.
    PerSourceLimit {
        /// How many of that address had been answered before.
        answered: usize,
    },
    /// The gateway refuses the client's credentials.
    AuthenticationFailed,
    /// The client does not take what the gateway shows of itself.
    CertificateNotAccepted,
    /// EAP ended with a refusal.
    EapRejected,
    /// The gateway has no address for the client.
    NoAddress,
    /// No CHILD SA: its algorithms or its traffic selectors are refused.
    ChildRefused,
    /// Windows says a code of its own.
    WindowsStatus(Status),
}

/// What is known of an IKE_SA_INIT request without an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unanswered {
    /// The request or the reply is lost: one capture does not tell which.
    Unknown,
    /// The request does not arrive at the gateway.
    RequestLost,
    /// The request arrives, and the gateway sends nothing.
    Silent,
    /// The gateway answers, and the client asks again as if it had not.
    ReplyLost,
    /// Somebody on the way, or the gateway's host, says that it is not let through or not listened to.
    Unreachable,
}

/// Which way a message went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Direction {
    /// From the client, which began, to the gateway.
    FromClient,
    /// From the gateway to the client.
    FromGateway,
}

/// Whose side a cause is on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// The client's host or its settings.
    Client,
    /// The gateway's host or its settings.
    Gateway,
    /// What is between them.
    Path,
    /// Both could change it, or it is not known.
    Either,
}

/// An offer of which nothing was chosen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// What the client offered.
    pub offered: String,
    /// What the gateway takes, if that is known.
    pub taken: Option<String>,
    /// The proposal that lacks least, and what it lacks.
    pub nearest: Option<String>,
    /// The strictest profile of ikexdp that something of the offer is in.
    pub profile: Option<Profile>,
    /// Whether the client says that it is Windows.
    pub is_windows: bool,
    /// What can be done about it.
    pub hint: &'static str,
}

impl Verdict {
    /// The name that programs know it by; it stays.
    #[must_use]
    pub const fn id(&self) -> &'static str {
        match self {
            Self::NoIke => "no-ike",
            Self::InitUnanswered(_) => "init-unanswered",
            Self::CookieNotReturned => "cookie-not-returned",
            Self::Ikev1 => "ikev1",
            Self::VersionRefused => "version-refused",
            Self::NoCommonPolicy(_) => "no-common-policy",
            Self::KeyExchangeRefused { .. } => "key-exchange-refused",
            Self::InitRefused(_) => "init-refused",
            Self::Redirected { .. } => "redirected",
            Self::NoAuthRequest => "no-auth-request",
            Self::NatPortBlocked => "nat-port-blocked",
            Self::IpFragmentsLost { .. } => "ip-fragments-lost",
            Self::IkeFragmentsLost { .. } => "ike-fragments-lost",
            Self::LargeDatagramsLost { .. } => "large-datagrams-lost",
            Self::RequestIgnored { .. } => "request-ignored",
            Self::ReplyUnacknowledged { .. } => "reply-unacknowledged",
            Self::DifferentGateways => "different-gateways",
            Self::PerSourceLimit { .. } => "per-source-limit",
            Self::AuthenticationFailed => "authentication-failed",
            Self::CertificateNotAccepted => "certificate-not-accepted",
            Self::EapRejected => "eap-rejected",
            Self::NoAddress => "no-address",
            Self::ChildRefused => "child-refused",
            Self::WindowsStatus(_) => "windows-status",
        }
    }

    /// The error codes that Windows shows for it, the likelier first.
    #[must_use]
    pub const fn windows(&self) -> &'static [u16] {
        match self {
            Self::NoIke => &[800],
            Self::InitUnanswered(_)
            | Self::CookieNotReturned
            | Self::NatPortBlocked
            | Self::IpFragmentsLost { .. }
            | Self::IkeFragmentsLost { .. }
            | Self::LargeDatagramsLost { .. }
            | Self::RequestIgnored { .. }
            | Self::ReplyUnacknowledged { .. }
            | Self::DifferentGateways
            | Self::PerSourceLimit { .. } => &[809],
            Self::NoCommonPolicy(_) | Self::KeyExchangeRefused { .. } | Self::ChildRefused => {
                &[13868]
            }
            Self::NoAuthRequest => &[13806, 809],
            Self::AuthenticationFailed | Self::CertificateNotAccepted => &[13801],
            Self::EapRejected => &[812, 691],
            Self::WindowsStatus(status) => status_code(*status),
            // What Windows shows for these is not known.
            Self::Ikev1
            | Self::VersionRefused
            | Self::InitRefused(_)
            | Self::Redirected { .. }
            | Self::NoAddress => &[],
        }
    }

    /// Whose side the cause is on.
    #[must_use]
    pub const fn side(&self) -> Side {
        match self {
            Self::InitUnanswered(unanswered) => match unanswered {
                Unanswered::Silent => Side::Gateway,
                Unanswered::RequestLost | Unanswered::ReplyLost => Side::Path,
                Unanswered::Unknown | Unanswered::Unreachable => Side::Either,
            },
            // Who does not announce what would do without them has to change.
            Self::IpFragmentsLost {
                client_announced,
                gateway_announced,
                ..
            } => match (client_announced, gateway_announced) {
                (Some(false), _) => Side::Client,
                (_, Some(false)) => Side::Gateway,
                _ => Side::Path,
            },
            Self::NatPortBlocked
            | Self::IkeFragmentsLost { .. }
            | Self::LargeDatagramsLost { .. }
            | Self::ReplyUnacknowledged { .. }
            | Self::DifferentGateways => Side::Path,
            Self::NoIke
            | Self::Ikev1
            | Self::VersionRefused
            | Self::CookieNotReturned
            | Self::NoAuthRequest => Side::Client,
            Self::RequestIgnored { .. }
            | Self::PerSourceLimit { .. }
            | Self::Redirected { .. }
            | Self::NoAddress
            | Self::CertificateNotAccepted => Side::Gateway,
            Self::NoCommonPolicy(_)
            | Self::KeyExchangeRefused { .. }
            | Self::InitRefused(_)
            | Self::AuthenticationFailed
            | Self::EapRejected
            | Self::ChildRefused
            | Self::WindowsStatus(_) => Side::Either,
        }
    }
}

const fn status_code(status: Status) -> &'static [u16] {
    match status.0 {
        87 => &[87],
        13801 => &[13801],
        13806 => &[13806],
        13816 => &[13816],
        13838 => &[13838],
        13843 => &[13843],
        13863 => &[13863],
        13868 => &[13868],
        _ => &[],
    }
}

impl Side {
    /// One word.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Client => "client",
            Self::Gateway => "gateway",
            Self::Path => "path",
            Self::Either => "either",
        }
    }
}

impl From<&Mismatch> for Policy {
    fn from(mismatch: &Mismatch) -> Self {
        Self {
            offered: mismatch.offered.clone(),
            taken: Some(mismatch.ours.clone()),
            nearest: mismatch.nearest.clone(),
            profile: mismatch.profile,
            is_windows: mismatch.is_windows,
            hint: mismatch.hint(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    fn all() -> Vec<Verdict> {
        let direction = Direction::FromClient;
        let policy = Policy {
            offered: "3des/sha1-96/prf-sha1/modp1024".to_owned(),
            taken: None,
            nearest: None,
            profile: None,
            is_windows: true,
            hint: "change it",
        };
        vec![
            Verdict::NoIke,
            Verdict::InitUnanswered(Unanswered::Unknown),
            Verdict::CookieNotReturned,
            Verdict::Ikev1,
            Verdict::VersionRefused,
            Verdict::NoCommonPolicy(Box::new(policy)),
            Verdict::KeyExchangeRefused {
                sent: None,
                wanted: Some(GroupId::ECP_384),
            },
            Verdict::InitRefused(NotifyType::TEMPORARY_FAILURE),
            Verdict::Redirected { to: None },
            Verdict::NoAuthRequest,
            Verdict::NatPortBlocked,
            Verdict::IpFragmentsLost {
                direction,
                client_announced: None,
                gateway_announced: None,
            },
            Verdict::IkeFragmentsLost {
                direction,
                missing: vec![2, 3],
                total: 4,
                datagram_len: 612,
            },
            Verdict::LargeDatagramsLost {
                direction,
                datagram_len: 1280,
                passed: 600,
            },
            Verdict::RequestIgnored { fragments: 1 },
            Verdict::ReplyUnacknowledged {
                times: 3,
                datagram_len: 1280,
                fragments: 2,
            },
            Verdict::DifferentGateways,
            Verdict::PerSourceLimit { answered: 10 },
            Verdict::AuthenticationFailed,
            Verdict::CertificateNotAccepted,
            Verdict::EapRejected,
            Verdict::NoAddress,
            Verdict::ChildRefused,
            Verdict::WindowsStatus(Status(13801)),
        ]
    }

    #[test]
    fn each_has_a_name_of_its_own_a_sentence_and_a_remedy() {
        let ids: BTreeSet<_> = all().iter().map(Verdict::id).collect();
        assert_eq!(ids.len(), all().len());
        for verdict in all() {
            let says = verdict.to_string();
            assert!(
                says.contains(' ') && !says.ends_with('.') && says != verdict.id(),
                "{says}"
            );
            let remedy = verdict.remedy().unwrap_or_else(|| panic!("{says}"));
            assert!(
                !remedy.says.is_empty() && !remedy.says.ends_with('.'),
                "{remedy:?}"
            );
        }
    }

    /// What people read has each of them, and leads to it from each code that Windows shows.
    #[test]
    fn the_document_has_them_all_by_name_and_by_code() {
        const DOCUMENT: &str = include_str!("../../../docs/troubleshooting.md");
        let codes = DOCUMENT.split_once("## By Windows' code").unwrap().1;
        let (codes, _) = codes.split_once("\n## ").unwrap();
        for verdict in all() {
            let id = verdict.id();
            let told = [format!("\n### {id}\n"), format!("\n| `{id}` |")];
            assert!(told.iter().any(|told| DOCUMENT.contains(told)), "{id}");
            for code in verdict.windows().iter().map(ToString::to_string) {
                let is_of = |row: &&str| row.split('|').nth(1).is_some_and(|it| it.contains(&code));
                let row = codes
                    .lines()
                    .find(is_of)
                    .unwrap_or_else(|| panic!("{code}"));
                let name = if code == "800" { "no-ike" } else { id };
                assert!(row.contains(&format!("`{name}`")), "{code}: {name}");
            }
        }
    }

    #[test]
    fn numbers_are_said() {
        let said = |index: usize| all()[index].to_string();
        assert_eq!(
            said(12),
            "IKE fragments from the client to the gateway are lost: 2, 3 of 4, in datagrams of up to 612 octets"
        );
        assert_eq!(
            said(13),
            "datagrams of 1280 octets from the client to the gateway are lost, while those of 600 pass"
        );
        assert_eq!(all()[23].windows(), [13801]);
    }
}
