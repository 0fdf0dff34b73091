//! What helps against each verdict.

use std::borrow::Cow;

use ikexdp_proto::mismatch::WINDOWS_POLICY;
use ikexdp_proto::profile::Profile;

use super::{Direction, Policy, Unanswered, Verdict};

/// What can be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Remedy {
    /// A sentence without a full stop, or several.
    pub says: Cow<'static, str>,
    /// A command, or a line of configuration, to copy, where there is one; NAME and GATEWAY stand for what is
    /// the reader's.
    pub command: Option<Cow<'static, str>>,
}

/// Datagrams that every path should carry (RFC 7383 §2.5.1).
const SMALL_FRAGMENT_SIZE: u16 = 576;

impl Verdict {
    /// What helps, where anything is known to.
    #[must_use]
    pub fn remedy(&self) -> Option<Remedy> {
        Some(match self {
            Self::NoIke => with(
                "check that the name resolves and that the connection uses IKEv2; on Windows:",
                "Set-VpnConnection -Name NAME -TunnelType Ikev2",
            ),
            Self::InitUnanswered(unanswered) => init_unanswered(*unanswered),
            Self::CookieNotReturned => without(
                "the cookie may be lost on the way, or the client cannot return it: \
                 `cookies = \"automatic\"` in `[defence]` asks for cookies under load alone",
            ),
            Self::Ikev1 => with(
                "set the client to IKEv2; on Windows:",
                "Set-VpnConnection -Name NAME -TunnelType Ikev2",
            ),
            Self::VersionRefused => without("set the client to IKEv2, version 2.0"),
            Self::NoCommonPolicy(policy) => policy.remedy(),
            Self::KeyExchangeRefused { .. } => with(
                "have the client offer the group that the gateway wants; on Windows:",
                windows_policy(),
            ),
            Self::InitRefused(_) => without("the gateway's log says why"),
            Self::Redirected { .. } => without(
                "Windows does not follow: have the client connect to where it is sent, or the \
                 gateway not redirect",
            ),
            _ => return self.remedy_of_path().or_else(|| self.remedy_of_identity()),
        })
    }

    /// What helps where messages are lost or nobody answers.
    fn remedy_of_path(&self) -> Option<Remedy> {
        Some(match self {
            Self::NoAuthRequest => with(
                "the client needs a certificate with its private key in the machine's store, from \
                 an authority that the gateway asks for; if it has one, capture at the client as \
                 well, for its IKE_AUTH may be lost as IP fragments or on port 4500; on Windows:",
                "Get-ChildItem Cert:\\LocalMachine\\My | Format-List Subject, HasPrivateKey, EnhancedKeyUsageList, NotAfter",
            ),
            Self::NatPortBlocked => with(
                "open UDP port 4500 in both directions on the client's network, the gateway's \
                 firewall and its port forwarding; to see from where it passes:",
                "ikexdp probe GATEWAY",
            ),
            Self::IpFragmentsLost {
                direction,
                client_announced,
                gateway_announced,
            } => ip_fragments(*direction, *client_announced, *gateway_announced),
            Self::IkeFragmentsLost {
                direction,
                datagram_len,
                ..
            }
            | Self::LargeDatagramsLost {
                direction,
                datagram_len,
                ..
            } => smaller(*direction, *datagram_len),
            Self::ReplyUnacknowledged { datagram_len, .. } => {
                smaller(Direction::FromGateway, *datagram_len)
            }
            Self::RequestIgnored { .. } => without(
                "the gateway's log says why; a gateway that takes few fragments of one message, or \
                 waits for RADIUS, falls silent as well",
            ),
            Self::DifferentGateways => without(
                "have the load balancer send UDP ports 500 and 4500 of a client to one gateway, by \
                 its address alone; gateways of ikexdp tell by `node` in `[defence]` whose an SPI is",
            ),
            Self::PerSourceLimit { .. } => with(
                "raise the gateway's limit for one source, or have what is in front of it keep the clients' \
                 addresses; ikexdp has `half-open-per-source` and `ikexdp allow`; on RRAS:",
                "Set-ItemProperty -Path HKLM:\\SYSTEM\\CurrentControlSet\\Services\\IKEEXT\\Parameters \
                 -Name IkeNumEstablishedForInitialQuery -Type DWord -Value 50000",
            ),
            _ => return None,
        })
    }

    /// What helps where both sides talk and do not agree on who they are.
    fn remedy_of_identity(&self) -> Option<Remedy> {
        Some(match self {
            Self::AuthenticationFailed => without(
                "compare the client's certificate, its authority and its validity, or the shared key, \
                 with what the gateway takes; its log says what it refused",
            ),
            Self::CertificateNotAccepted => with(
                "the gateway's certificate needs the name that the client dials as a dNSName among \
                 its alternative names (an IP address as well), the EKU serverAuth, and the \
                 intermediates beside it; the client must have the root. To look:",
                "openssl x509 -in gateway.pem -noout -subject -dates -ext subjectAltName,extendedKeyUsage",
            ),
            Self::EapRejected => without(
                "check name and password, and that the RADIUS policy takes this client and this EAP \
                 method; the server's log says which",
            ),
            Self::NoAddress => without(
                "the gateway's pool is exhausted or has no address of this family: enlarge \
                 `addresses` of the `[[pool]]`",
            ),
            Self::ChildRefused => with(
                "have both sides share algorithms and networks of the CHILD SA; on Windows:",
                windows_policy(),
            ),
            Self::WindowsStatus(_) => with(
                "the client's log has the event; on Windows:",
                "Get-WinEvent -FilterHashtable @{LogName='Application'; ProviderName='RasClient'} -MaxEvents 5",
            ),
            _ => return None,
        })
    }
}

impl Policy {
    fn remedy(&self) -> Remedy {
        if self.is_windows && matches!(self.profile, None | Some(Profile::LegacyWindows)) {
            with(
                "give the client a policy of its own; ikexdp takes it with `gateway.algorithms = \
                 \"compatible\"`",
                windows_policy(),
            )
        } else {
            without(self.hint)
        }
    }
}

fn windows_policy() -> String {
    format!("Set-VpnConnectionIPsecConfiguration -ConnectionName NAME {WINDOWS_POLICY} -Force")
}

fn init_unanswered(unanswered: Unanswered) -> Remedy {
    match unanswered {
        Unanswered::Unknown | Unanswered::RequestLost | Unanswered::Unreachable => with(
            "check that the name leads to the gateway, that it runs, and that UDP ports 500 and \
             4500 are open on the way and forwarded to it",
            "ikexdp probe GATEWAY",
        ),
        Unanswered::Silent => with(
            "the gateway's log and counters say what it dropped",
            "ikexdp stats",
        ),
        Unanswered::ReplyLost => without(
            "let UDP from port 500 of the gateway back to the client: a firewall without state, a \
             route back by another way, or a reply from another address than was asked",
        ),
    }
}

fn ip_fragments(direction: Direction, client: Option<bool>, gateway: Option<bool>) -> Remedy {
    match (client, gateway) {
        (Some(false), _) => without(
            "the client does not announce IKE fragmentation: Windows does from Windows 10 1803 \
             and Server 2019 on; strongSwan has `fragmentation = yes`",
        ),
        (_, Some(false)) => with(
            "the gateway does not announce IKE fragmentation: ikexdp does by default \
             (`fragmentation` in `[gateway]`), strongSwan with `fragmentation = yes`; on RRAS of \
             Server 2019 or later, and then restart RemoteAccess:",
            "New-ItemProperty -Path HKLM:\\SYSTEM\\CurrentControlSet\\Services\\RemoteAccess\\Parameters\\Ikev2 \
             -Name EnableServerFragmentation -PropertyType DWORD -Value 1 -Force",
        ),
        _ => smaller(direction, 0),
    }
}

/// Smaller datagrams from whoever sent those that vanish.
fn smaller(direction: Direction, datagram_len: usize) -> Remedy {
    let is_small = (1..=usize::from(SMALL_FRAGMENT_SIZE)).contains(&datagram_len);
    match direction {
        _ if is_small => without(
            "datagrams of this size should pass everywhere: look for a firewall that inspects or \
             limits UDP on ports 500 and 4500",
        ),
        Direction::FromGateway => with(
            "have the gateway send smaller fragments; in `[gateway]` of ikexdp, then `ikexdp \
                 reload`; strongSwan has `charon.fragment_size`",
            format!("fragment-size = {SMALL_FRAGMENT_SIZE}"),
        ),
        Direction::FromClient => without(
            "have the client send smaller datagrams: strongSwan has `charon.fragment_size`; \
             elsewhere lower the MTU of its interface, or mend what drops them on the way",
        ),
    }
}

fn with(says: impl Into<Cow<'static, str>>, command: impl Into<Cow<'static, str>>) -> Remedy {
    Remedy {
        says: says.into(),
        command: Some(command.into()),
    }
}

fn without(says: impl Into<Cow<'static, str>>) -> Remedy {
    Remedy {
        says: says.into(),
        command: None,
    }
}
