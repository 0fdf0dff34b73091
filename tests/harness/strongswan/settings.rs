//! A connection's settings, and the files that say them to strongSwan.

use std::{net::IpAddr, time::Duration};

use crate::credentials::{Credentials, Eap};

/// Plug-ins that every daemon loads.
const PLUGINS: &str = "random nonce openssl pem pkcs1 pkcs8 x509 pubkey constraints hmac kdf sha1 \
                       sha2 mgf1 kernel-netlink socket-default resolve vici eap-identity \
                       eap-mschapv2 eap-tls eap-ttls";
/// Where a client writes the name servers it was given, in place of `/etc/resolv.conf`.
pub const NAME_SERVERS: &str = "/run/charon.resolv.conf";
/// What it says of itself where somebody waits for it to say that it runs.
const LOG: &str = "
                filelog {
                    stderr {
                        time_format = %T
                        default = 1
                    }
                }";
/// Set for speed: a large table in many segments, threads enough, and no log, neither in a file nor in
/// the journal, but that it runs.
const FAST: &str = "
                ikesa_table_size = 16384
                ikesa_table_segments = 64
                threads = 16
                journal {
                    default = -1
                }
                filelog {
                    stderr {
                        default = -1
                        job = 1
                    }
                }";
/// Traffic selectors for all addresses.
const EVERYTHING: &str = "0.0.0.0/0,::/0";
/// Whoever comes.
const ANYBODY: &str = "%any";
/// What a responder gives to clients.
const POOLS: &str = "
            pools {
                v4 {
                    addrs = 10.9.0.0/24
                }
                v6 {
                    addrs = 2001:db8:9::/120
                }
            }";

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
    /// Whether RSA signs by RSASSA-PSS instead of PKCS #1 (RFC 8017 §8).
    pub rsa_pss: bool,
    /// Whether signatures are those of RFC 7427, and announced; else they are those of RFC 4754 for
    /// ECDSA, as Windows has them.
    pub signature_authentication: bool,
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
    /// Whether an initiator may change its address (RFC 4555).
    pub mobike: bool,
    /// Whether it is set for speed, and has no log.
    pub is_fast: bool,
    /// Further lines of the daemon's settings.
    pub daemon: &'static str,
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
    /// In the kernel, which must have ESP; in UDP where a NAT is found.
    Kernel,
    /// In user space over a TUN device; needs nothing of the kernel, and always encapsulates in
    /// UDP.
    Userspace,
    /// Not at all: a childless IKE SA (RFC 6023).
    None,
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
            rsa_pss: false,
            signature_authentication: true,
            fragmentation: true,
            fragment_size: 1280,
            retransmit_timeout: Duration::from_millis(400),
            retransmit_tries: 3,
            virtual_ips: Vec::new(),
            dpd_delay: Duration::ZERO,
            ports: (500, 4500),
            mobike: false,
            is_fast: false,
            daemon: "",
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
        // Before kernel-netlink, which offers the same.
        let esp = match self.esp {
            Esp::Userspace => "kernel-libipsec",
            Esp::Kernel | Esp::None => "",
        };
        format!(
            "
            charon-systemd {{
                load_modular = no
                load = {esp} {PLUGINS}
                rsa_pss = {rsa_pss}
                signature_authentication = {signature_authentication}
                fragment_size = {fragment_size}
                retransmit_timeout = {retransmit_timeout}
                retransmit_base = 1.5
                retransmit_tries = {retransmit_tries}
                port = {port}
                port_nat_t = {port_nat_t}
                plugins {{
                    resolve {{
                        file = {NAME_SERVERS}
                    }}
                }}
                {manner}
                {daemon}
            }}",
            manner = if self.is_fast { FAST } else { LOG },
            daemon = self.daemon,
            signature_authentication = if self.signature_authentication {
                "yes"
            } else {
                "no"
            },
            rsa_pss = if self.rsa_pss { "yes" } else { "no" },
            fragment_size = self.fragment_size,
            retransmit_timeout = self.retransmit_timeout.as_secs_f64(),
            retransmit_tries = self.retransmit_tries,
            port = self.ports.0,
            port_nat_t = self.ports.1,
        )
    }

    /// The connection: paths below `/etc/swanctl`, and contents.
    pub(super) fn swanctl_files(&self) -> Vec<(&'static str, String)> {
        let mut files = vec![("swanctl.conf", self.swanctl_conf())];
        let (chain, root) = match &self.credentials {
            Credentials::Certificate { chain, root, .. }
            | Credentials::Eap {
                method: Eap::Tls(chain),
                root,
                ..
            } => (Some(chain), Some(root)),
            Credentials::EapServer { chain, .. } => (Some(chain), None),
            Credentials::Eap { root, .. } => (None, Some(root)),
            Credentials::Psk { .. } | Credentials::EapGateway { .. } => (None, None),
        };
        if let Some(chain) = chain {
            files.push(("x509/leaf.crt", chain.leaf.clone()));
            files.push(("private/leaf.key", chain.key.clone()));
            files.push(("x509ca/intermediate.crt", chain.intermediate.clone()));
        }
        if let Some(root) = root {
            files.push(("x509ca/root.crt", root.clone()));
        }
        files
    }

    fn swanctl_conf(&self) -> String {
        // The responder narrows `dynamic` to the address that it gave to the client.
        let (addresses, pools, local_ts, remote_ts) = match self.role {
            Role::Initiator => (self.vips(), "", "dynamic", EVERYTHING),
            Role::Responder => ("pools = v4,v6".to_owned(), POOLS, EVERYTHING, "dynamic"),
        };
        format!(
            "
            connections {{
                lab {{
                    version = 2
                    local_addrs = {local}
                    remote_addrs = {remote}
                    proposals = {ike_proposal}
                    fragmentation = {fragmentation}
                    childless = {childless}
                    dpd_delay = {dpd_delay}
                    mobike = {mobike}
                    {addresses}
                    {authentication}
                    children {{
                        lab {{
                            esp_proposals = {esp_proposal}
                            local_ts = {local_ts}
                            remote_ts = {remote_ts}
                        }}
                    }}
                }}
            }}
            {pools}
            {secrets}",
            local = self.local,
            remote = self.remote,
            ike_proposal = self.ike_proposal,
            fragmentation = if self.fragmentation { "yes" } else { "no" },
            childless = if self.esp == Esp::None {
                "force"
            } else {
                "allow"
            },
            dpd_delay = self.dpd_delay.as_secs(),
            mobike = if self.mobike { "yes" } else { "no" },
            authentication = self.credentials.authentication(),
            esp_proposal = self.esp_proposal,
            secrets = self.credentials.secrets(),
        )
    }

    fn vips(&self) -> String {
        if self.virtual_ips.is_empty() {
            return String::new();
        }
        let addresses: Vec<_> = self.virtual_ips.iter().map(ToString::to_string).collect();
        format!("vips = {}", addresses.join(","))
    }
}

impl Credentials {
    /// Part of a connection.
    fn authentication(&self) -> String {
        // A CERTREQ for the root alone: a peer leaves out what the first CA named has issued.
        const PUBKEY: &str = "auth = pubkey\ncacerts = root.crt";
        let (local, remote, remote_id) = match self {
            Self::Psk {
                local_id,
                remote_id,
                ..
            } => (
                format!("auth = psk\nid = {local_id}"),
                "auth = psk",
                remote_id,
            ),
            Self::Certificate {
                local_id,
                remote_id,
                ..
            } => {
                let local = format!("auth = pubkey\ncerts = leaf.crt\nid = {local_id}");
                (local, PUBKEY, remote_id)
            }
            Self::Eap {
                method,
                user,
                remote_id,
                ..
            } => {
                let certs = match method {
                    Eap::Tls(_) => "certs = leaf.crt",
                    Eap::Mschapv2(_) | Eap::Ttls(_) => "",
                };
                let auth = method.name();
                // The identity is no one's: what counts is that of EAP, as with Windows.
                let local = format!(
                    "auth = {auth}\n{certs}\nid = 10.10.1.52\neap_id = {user}\naaa_id = {remote_id}"
                );
                (local, PUBKEY, remote_id)
            }
            Self::EapServer { local_id, .. } => (
                format!("auth = pubkey\ncerts = leaf.crt\nid = {local_id}"),
                "auth = eap-mschapv2\neap_id = %any",
                &ANYBODY.to_owned(),
            ),
            Self::EapGateway { .. } => panic!("a client is no gateway"),
        };
        format!(
            "
            local {{
                {local}
            }}
            remote {{
                {remote}
                id = {remote_id}
            }}"
        )
    }

    /// A section beside the connections; private keys are found by themselves.
    fn secrets(&self) -> String {
        match self {
            Self::Psk {
                secret,
                local_id,
                remote_id,
            } => format!(
                "
                secrets {{
                    ike-lab {{
                        id-1 = {local_id}
                        id-2 = {remote_id}
                        secret = \"{secret}\"
                    }}
                }}"
            ),
            Self::Eap { method, user, .. } => match method.password() {
                Some(password) => eap_secret(user, password),
                None => String::new(),
            },
            Self::EapServer { user, password, .. } => eap_secret(user, password),
            Self::Certificate { .. } | Self::EapGateway { .. } => String::new(),
        }
    }
}

fn eap_secret(user: &str, password: &str) -> String {
    format!(
        "
        secrets {{
            eap-lab {{
                id = {user}
                secret = \"{password}\"
            }}
        }}"
    )
}
