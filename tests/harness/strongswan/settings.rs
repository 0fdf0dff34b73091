//! A connection's settings, and the files that say them to strongSwan.

use std::{fmt::Write as _, net::IpAddr, time::Duration};

use crate::pki::{CLIENT, Chain, GATEWAY, Pki};

/// Plug-ins that every daemon loads; the others of the packages would, for one, write `/etc/resolv.conf`.
const PLUGINS: &str = "random nonce openssl pem pkcs1 pkcs8 x509 pubkey constraints hmac kdf sha1 sha2 mgf1 \
                       kernel-netlink socket-default vici";

/// One connection, named `lab`, with one CHILD SA, named `lab`.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Which end of the connection this is.
    pub role: Role,
    /// The own address.
    pub local: IpAddr,
    /// The peer's address.
    pub remote: IpAddr,
    /// How both ends prove who they are.
    pub credentials: Credentials,
    /// IKE proposal, in strongSwan's notation.
    pub ike_proposal: String,
    /// Whether there is a CHILD SA.
    pub esp: Esp,
    /// ESP proposal, in strongSwan's notation.
    pub esp_proposal: String,
    /// Whether to announce and use RFC 7383.
    pub fragmentation: bool,
    /// Longest IP datagram sent when a message is fragmented, in bytes.
    pub fragment_size: u16,
    /// Time from a request to its first repetition; each further one takes 1.5 times as long.
    pub retransmit_timeout: Duration,
    /// Repetitions before the peer is given up.
    pub retransmit_tries: u8,
    /// Addresses an initiator asks for, `0.0.0.0` or `::` for any.
    pub virtual_ips: Vec<IpAddr>,
    /// Time without traffic after which the peer is asked for a sign of life; zero for never.
    pub dpd_delay: Duration,
    /// The own ports for IKE and for NAT traversal; 0 for any.
    pub ports: (u16, u16),
}

/// Which end of the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Connects.
    Initiator,
    /// Waits for others to connect, and has addresses for them: 10.9.0.0/24 and 2001:db8:9::/120.
    Responder,
}

/// How a connection protects data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Esp {
    /// In user space over a TUN device; needs nothing of the kernel, and always encapsulates in UDP.
    Userspace,
    /// Not at all: a childless IKE SA (RFC 6023).
    None,
}

/// How an end proves who it is.
#[derive(Clone, Debug)]
pub enum Credentials {
    /// By a secret that both know.
    Psk {
        /// The secret.
        secret: String,
        /// The own identity.
        local_id: String,
        /// The peer's identity.
        remote_id: String,
    },
    /// By a certificate.
    Certificate {
        /// The own certificates, sent along, and key.
        chain: Chain,
        /// The own identity; it is in the certificate.
        local_id: String,
        /// The peer's identity.
        remote_id: String,
        /// The trust anchor for the peer's certificate.
        root: String,
    },
}

impl Settings {
    /// An initiator as the tests like it: no patience, and all else as a usual client has it.
    #[must_use]
    pub fn initiator(local: IpAddr, remote: IpAddr, credentials: Credentials) -> Self {
        Self {
            role: Role::Initiator,
            local,
            remote,
            credentials,
            ike_proposal: "aes256gcm16-prfsha384-x25519".to_owned(),
            esp: Esp::Userspace,
            esp_proposal: "aes256gcm16".to_owned(),
            fragmentation: true,
            fragment_size: 1280,
            retransmit_timeout: Duration::from_millis(400),
            retransmit_tries: 3,
            virtual_ips: Vec::new(),
            dpd_delay: Duration::ZERO,
            ports: (500, 4500),
        }
    }

    /// A responder for any client.
    #[must_use]
    pub fn responder(local: IpAddr, credentials: Credentials) -> Self {
        let anyone = if local.is_ipv4() {
            [0; 4].into()
        } else {
            [0; 16].into()
        };
        Self {
            role: Role::Responder,
            ..Self::initiator(local, anyone, credentials)
        }
    }

    /// The daemon's settings.
    pub(super) fn strongswan_conf(&self) -> String {
        let esp = if self.esp == Esp::Userspace {
            "kernel-libipsec"
        } else {
            ""
        };
        let (fragment_size, timeout) = (self.fragment_size, self.retransmit_timeout.as_secs_f64());
        let (tries, (port, port_nat_t)) = (self.retransmit_tries, self.ports);
        // kernel-libipsec must come before kernel-netlink, which offers the same.
        format!(
            "charon-systemd {{\n\
             load_modular = no\n\
             load = {esp} {PLUGINS}\n\
             fragment_size = {fragment_size}\n\
             retransmit_timeout = {timeout}\n\
             retransmit_base = 1.5\n\
             retransmit_tries = {tries}\n\
             port = {port}\n\
             port_nat_t = {port_nat_t}\n\
             filelog {{\nstderr {{\ntime_format = %T\ntime_precision = ms\ndefault = 1\n}}\n}}\n\
             }}\n"
        )
    }

    /// The connection: paths below `/etc/swanctl`, and contents.
    pub(super) fn swanctl_files(&self) -> Vec<(&'static str, String)> {
        let mut files = vec![("swanctl.conf", self.swanctl_conf())];
        if let Credentials::Certificate { chain, root, .. } = &self.credentials {
            files.push(("x509/leaf.crt", chain.leaf.clone()));
            files.push(("private/leaf.key", chain.key.clone()));
            files.push(("x509ca/intermediate.crt", chain.intermediate.clone()));
            files.push(("x509ca/root.crt", root.clone()));
        }
        files
    }

    fn swanctl_conf(&self) -> String {
        let (local, remote) = (self.local, self.remote);
        let (ike_proposal, esp_proposal) = (&self.ike_proposal, &self.esp_proposal);
        let fragmentation = if self.fragmentation { "yes" } else { "no" };
        let childless = if self.esp == Esp::None {
            "force"
        } else {
            "allow"
        };
        let dpd_delay = self.dpd_delay.as_secs();
        let mut conf = format!(
            "connections {{\nlab {{\n\
             version = 2\n\
             local_addrs = {local}\n\
             remote_addrs = {remote}\n\
             proposals = {ike_proposal}\n\
             fragmentation = {fragmentation}\n\
             childless = {childless}\n\
             dpd_delay = {dpd_delay}\n\
             mobike = no\n"
        );
        conf += &self.addresses_conf();
        conf += &self.credentials.connection_conf();
        // The responder narrows `dynamic` to the client's address.
        let (local_ts, remote_ts) = match self.role {
            Role::Initiator => ("dynamic", "0.0.0.0/0,::/0"),
            Role::Responder => ("0.0.0.0/0,::/0", "dynamic"),
        };
        write!(
            conf,
            "children {{\nlab {{\nesp_proposals = {esp_proposal}\nlocal_ts = {local_ts}\nremote_ts = {remote_ts}\n}}\n}}\n\
             }}\n}}\n"
        )
        .unwrap();
        if self.role == Role::Responder {
            conf += "pools {\nv4 {\naddrs = 10.9.0.0/24\n}\nv6 {\naddrs = 2001:db8:9::/120\n}\n}\n";
        }
        conf + &self.credentials.secrets_conf()
    }

    fn addresses_conf(&self) -> String {
        match self.role {
            Role::Responder => "pools = v4,v6\n".to_owned(),
            Role::Initiator if self.virtual_ips.is_empty() => String::new(),
            Role::Initiator => {
                let addresses: Vec<_> = self.virtual_ips.iter().map(ToString::to_string).collect();
                format!("vips = {}\n", addresses.join(","))
            }
        }
    }
}

impl Credentials {
    /// Both identities of a lab with a common secret, as seen by the client.
    #[must_use]
    pub fn client_psk(secret: &str) -> Self {
        Self::Psk {
            secret: secret.to_owned(),
            local_id: CLIENT.to_owned(),
            remote_id: GATEWAY.to_owned(),
        }
    }

    /// Both identities of a lab with a common secret, as seen by the gateway.
    #[must_use]
    pub fn gateway_psk(secret: &str) -> Self {
        Self::Psk {
            secret: secret.to_owned(),
            local_id: GATEWAY.to_owned(),
            remote_id: CLIENT.to_owned(),
        }
    }

    /// The client's side of a chain.
    #[must_use]
    pub fn client(pki: &Pki) -> Self {
        Self::certificate(pki, &pki.client, CLIENT, GATEWAY)
    }

    /// The gateway's side of a chain.
    #[must_use]
    pub fn gateway(pki: &Pki) -> Self {
        Self::certificate(pki, &pki.gateway, GATEWAY, CLIENT)
    }

    fn certificate(pki: &Pki, chain: &Chain, local_id: &str, remote_id: &str) -> Self {
        Self::Certificate {
            chain: chain.clone(),
            local_id: local_id.to_owned(),
            remote_id: remote_id.to_owned(),
            root: pki.root.clone(),
        }
    }

    fn connection_conf(&self) -> String {
        match self {
            Self::Psk {
                local_id,
                remote_id,
                ..
            } => format!(
                "local {{\nauth = psk\nid = {local_id}\n}}\n\
                 remote {{\nauth = psk\nid = {remote_id}\n}}\n"
            ),
            // A CERTREQ for the root alone: a peer leaves out what the first CA named has issued.
            Self::Certificate {
                local_id,
                remote_id,
                ..
            } => format!(
                "local {{\nauth = pubkey\ncerts = leaf.crt\nid = {local_id}\n}}\n\
                 remote {{\nauth = pubkey\ncacerts = root.crt\nid = {remote_id}\n}}\n"
            ),
        }
    }

    fn secrets_conf(&self) -> String {
        match self {
            Self::Psk {
                secret,
                local_id,
                remote_id,
            } => {
                format!(
                    "secrets {{\nike-lab {{\nid-1 = {local_id}\nid-2 = {remote_id}\nsecret = \"{secret}\"\n}}\n}}\n"
                )
            }
            Self::Certificate { .. } => String::new(),
        }
    }
}
