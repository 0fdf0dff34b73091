//! What makes a configuration unusable.

use std::borrow::Cow;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use ikexdp_eap::{TlsError, UserFileError};
use ikexdp_proto::crypto::cert::CertificateError;
use ikexdp_proto::identity::UnreadableIdentity;
use ipnet::IpNet;

use super::revocation::RevocationFault;

/// Why a value cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// There is no value and there is no default.
    #[error("is missing")]
    Missing {
        /// What to write.
        example: &'static str,
    },
    /// The value is none of the words that stand here.
    #[error("unknown value: {value}")]
    Choice {
        /// The value.
        value: String,
        /// The words, with commas.
        allowed: String,
    },
    /// The number is too small or too large.
    #[error("not between {min} and {max}: {value}")]
    Range {
        /// The number.
        value: u64,
        /// The smallest there may be.
        min: u64,
        /// The largest there may be.
        max: u64,
    },
    /// The value is no length of time.
    #[error("not a length of time: {value}")]
    Duration {
        /// The value.
        value: String,
    },
    /// The length of time is too short.
    #[error("shorter than {min:?}: {value}")]
    TooShort {
        /// The value.
        value: String,
        /// The shortest there may be.
        min: Duration,
    },
    /// The value is no packet mark.
    #[error("not a mark: {value}")]
    Mark {
        /// The value.
        value: String,
    },
    /// The list is empty.
    #[error("is empty")]
    Empty {
        /// What to write.
        example: &'static str,
    },
    /// The list of words is empty.
    #[error("names nothing")]
    EmptyList {
        /// The words there are, with commas.
        allowed: String,
    },
    /// Two keys say the same thing, or contradict each other.
    #[error("given along with `{other}`")]
    Both {
        /// The other key.
        other: &'static str,
    },
    /// The name was given before.
    #[error("name is taken: {name}")]
    Duplicate {
        /// The name.
        name: String,
    },
    /// Nobody can connect.
    #[error("there is no connection")]
    NoConnection,
    /// The pool does not exist.
    #[error("no such pool: {name}")]
    UnknownPool {
        /// The name.
        name: String,
        /// The names there are, with commas.
        known: String,
    },
    /// The table of RADIUS servers does not exist.
    #[error("no such table of RADIUS servers: {name}")]
    UnknownRadius {
        /// The name.
        name: String,
        /// The names there are, with commas.
        known: String,
    },
    /// The value is neither a prefix nor a range.
    #[error("neither a prefix nor a range of addresses: {value}")]
    Addresses {
        /// The value.
        value: String,
    },
    /// The value is no address.
    #[error("not an address: {value}")]
    Address {
        /// The value.
        value: String,
    },
    /// The value is no address with a port, or without.
    #[error("not an address, or not with a port: {value}")]
    Socket {
        /// The value.
        value: String,
    },
    /// Another table listens there.
    #[error("address is taken by the table {other}: {value}")]
    ListensAlready {
        /// The value.
        value: SocketAddr,
        /// The other table.
        other: String,
    },
    /// The address cannot reach the servers.
    #[error("not of the same family as {other}: {value}")]
    Family {
        /// The value.
        value: IpAddr,
        /// What it should reach.
        other: SocketAddr,
    },
    /// The text is too long for where it goes.
    #[error("longer than {max} octets, or empty: {value}")]
    TextLength {
        /// The value.
        value: String,
        /// Octets there may be.
        max: usize,
    },
    /// The list has too many values.
    #[error("more than {max} values")]
    TooMany {
        /// How many there may be.
        max: usize,
    },
    /// The length of time is too long.
    #[error("longer than {max:?}: {value}")]
    TooLong {
        /// The value.
        value: String,
        /// The longest there may be.
        max: Duration,
    },
    /// The value is no domain.
    #[error("not a domain: {value}")]
    Domain {
        /// The value.
        value: String,
    },
    /// There are domains, and no server that knows them.
    #[error("given without `dns`")]
    NoServers,
    /// The prefix has bits behind its length.
    #[error("bits are set behind the prefix length: {value}")]
    HostBits {
        /// The value.
        value: IpNet,
    },
    /// The range ends before it begins, or in another family.
    #[error("range runs backwards or mixes IPv4 and IPv6: {value}")]
    Backwards {
        /// The value.
        value: String,
    },
    /// A pool has two ranges of a family.
    #[error("second {family} range of the pool: {value}")]
    SecondRange {
        /// `IPv4` or `IPv6`.
        family: &'static str,
        /// The value.
        value: String,
    },
    /// A pool has two addresses of the gateway in a family.
    #[error("second address of its family: {value}")]
    SecondAddress {
        /// The value.
        value: IpAddr,
    },
    /// No host can have the address.
    #[error("not an address of a host: {value}")]
    NoHost {
        /// The value.
        value: IpAddr,
    },
    /// The gateway's address is one for clients.
    #[error("is among the addresses for clients: {value}")]
    GivenToClients {
        /// The value.
        value: IpAddr,
    },
    /// There is no address to answer from.
    #[error("has no IPv4 address to answer from")]
    DhcpNeedsAddress,
    /// The key lets packets in the clear be a client's.
    #[error("does not go with `dhcp` in the pool")]
    BoundDhcp,
    /// Two pools have addresses in common.
    #[error("shares addresses with pool {other}")]
    Overlap {
        /// The other pool.
        other: String,
    },
    /// The value names nobody.
    #[error("{source}: {value}")]
    Identity {
        /// The value.
        value: String,
        /// Why.
        source: UnreadableIdentity,
    },
    /// A part of an identity is left open.
    #[error("no identity is like that: {value}")]
    Pattern {
        /// The value.
        value: String,
    },
    /// AES-CBC has nothing to authenticate it with.
    #[error("no algorithm, though `encryption` has {cipher}")]
    NoIntegrity {
        /// The cipher.
        cipher: String,
    },
    /// The number from which on cookies are asked for is never reached.
    #[error("not below `half-open-max`: {value}")]
    CookiesNever {
        /// The value.
        value: usize,
    },
    /// The value is neither a prefix nor an address.
    #[error("neither a prefix nor an address: {value}")]
    Prefix {
        /// The value.
        value: String,
    },
    /// A prefix is both let pass and kept out.
    #[error("is in `allow` as well: {value}")]
    Listed {
        /// The prefix.
        value: IpNet,
    },
    /// A file cannot be read.
    #[error("file cannot be read: {}: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file holds no PEM block of the kind that is needed.
    #[error("no {kind} in PEM form: {}", path.display())]
    NotPem {
        /// The file.
        path: PathBuf,
        /// What was looked for.
        kind: &'static str,
    },
    /// The private key is protected by a password.
    #[error("private key is encrypted: {}", path.display())]
    EncryptedKey {
        /// The file.
        path: PathBuf,
    },
    /// The private key is of a kind that cannot sign.
    #[error("private key cannot be used: {}", path.display())]
    PrivateKey {
        /// The file.
        path: PathBuf,
    },
    /// A certificate cannot be used.
    #[error("{source}: {}", path.display())]
    Certificate {
        /// The file.
        path: PathBuf,
        /// Why.
        source: CertificateError,
    },
    /// The certificate does not say that we are who we say.
    #[error("certificate does not assert {identity}: {}", path.display())]
    NotAsserted {
        /// `local.id`.
        identity: String,
        /// The file.
        path: PathBuf,
        /// The names the certificate asserts, with commas.
        names: String,
    },
    /// Peers that use EAP must be shown a certificate.
    #[error("has no certificate, which EAP needs")]
    EapNeedsCertificate,
    /// The key is about EAP, which is not wanted.
    #[error("given without EAP")]
    WithoutEap,
    /// Nobody asks others about certificates of EAP-TLS.
    #[error("not with `remote.eap-ca`")]
    EapFetches,
    /// Whoever poses as the gateway could guess passwords.
    #[error("not with `remote.eap-users`")]
    GuessableAlone,
    /// Only RADIUS servers know groups.
    #[error("not without `remote.eap-radius`")]
    NoGroups,
    /// A file of users cannot be used.
    #[error("{source}: {}", path.display())]
    Users {
        /// The file.
        path: PathBuf,
        /// Why.
        source: UserFileError,
    },
    /// Certificates cannot be used for EAP-TLS.
    #[error("not usable for EAP-TLS: {source}: {}", path.display())]
    Tls {
        /// The file of authorities.
        path: PathBuf,
        /// Why.
        source: TlsError,
    },
    /// No certificate of ours is for a key that TLS can use.
    #[error("has no certificate that EAP-TLS can use: P-521 is none of its curves here")]
    TlsKey,
    /// The certificate may not vouch for others.
    #[error("not a certificate authority: {subject}: {}", path.display())]
    NotAuthority {
        /// Its subject.
        subject: String,
        /// The file.
        path: PathBuf,
    },
    /// What is said about revoked certificates cannot be.
    #[error(transparent)]
    Revocation(#[from] RevocationFault),
}

impl Fault {
    /// What to do about it.
    #[must_use]
    pub fn hint(&self) -> Cow<'static, str> {
        let text = match self {
            Self::Missing { example } | Self::Empty { example } => {
                return format!("write for example: {example}").into();
            }
            Self::Choice { allowed, .. } | Self::EmptyList { allowed } => {
                return format!("use one of: {allowed}").into();
            }
            Self::Range { min, max, .. } => {
                return format!("take a number from {min} to {max}").into();
            }
            Self::Duration { .. } => "write a number with its unit, such as \"30s\" or \"500ms\"",
            Self::TooShort { min, .. } => return format!("take {min:?} or more").into(),
            Self::Mark { .. } => {
                "write a value, or a value and the bits that count, such as \"0x10\" or \"0x10/0xff\""
            }
            Self::Both { other } => return format!("keep one of them, or remove `{other}`").into(),
            Self::Duplicate { .. } => "give each table a name of its own",
            Self::NoConnection => "add a [[connection]] table",
            Self::UnknownPool { known, .. } if known.is_empty() => "add a [[pool]] of that name",
            Self::UnknownPool { known, .. } => return format!("the pools are: {known}").into(),
            Self::UnknownRadius { known, .. } if !known.is_empty() => {
                return format!("the tables are: {known}").into();
            }
            Self::Addresses { .. } => {
                "write a prefix such as \"10.9.0.0/24\" or a range such as \"10.9.0.10-10.9.0.250\""
            }
            Self::Address { .. } => "write an IPv4 or IPv6 address",
            Self::TextLength { max, .. } => return format!("write 1 to {max} octets").into(),
            Self::TooLong { max, .. } => return format!("take {max:?} or less").into(),
            Self::Domain { .. } => {
                "write a name such as \"corp.example.com\"; one with other letters as `idn2` prints it"
            }
            Self::HostBits { value } => return format!("write \"{}\"", value.trunc()).into(),
            Self::Backwards { .. } => "write the lower address first",
            Self::SecondRange { .. } => "a pool has one range of a family: make another pool",
            Self::Overlap { .. } => "an address can be given to one client only: part the ranges",
            Self::Identity { .. } => {
                "write \"vpn.example.com\", \"user@example.com\", \"192.0.2.1\", \"@#\" and hex digits, or \"CN=name, O=org\""
            }
            Self::Pattern { .. } => {
                "write each identity, or \"*.example.com\", \"*@example.com\", \"CN=*, O=org\", \"192.0.2.0/24\", \"@#c0ff*\", or \"*\" for everybody"
            }
            Self::NoIntegrity { .. } => "add one, for example: integrity = [\"sha2-256\"]",
            Self::CookiesNever { .. } => "take a smaller number",
            Self::File { .. } => "check the path, which is relative to this file, and who may read",
            Self::NotPem { .. } => {
                "convert it: `openssl x509 -inform der` for a certificate, `openssl pkey -inform der` for a key"
            }
            Self::EncryptedKey { .. } => {
                "decrypt it with `openssl pkey`, and let only root read it"
            }
            Self::PrivateKey { .. } => "use RSA of 2048 to 4096 bits, P-256, P-384 or Ed25519",
            Self::Certificate {
                source: CertificateError::KeyMismatch,
                ..
            } => {
                "give the key of the first certificate in the file, which must be the gateway's own"
            }
            Self::Certificate { .. } => "look at it with `openssl x509 -text`",
            Self::NotAsserted { names, .. } if names.is_empty() => {
                "the certificate asserts no name: have one issued with a subjectAltName"
            }
            Self::NotAsserted { names, .. } => {
                return format!("set `local.id` to a name it asserts: {names}").into();
            }
            Self::NotAuthority { .. } => "give the certificate of the authority, not of a peer",
            Self::Revocation(fault) => fault.hint(),
            other => other.users_hint().unwrap_or_default(),
        };
        text.into()
    }

    /// The same of what is said about strangers, users, and servers of any kind.
    const fn users_hint(&self) -> Option<&'static str> {
        Some(match self {
            Self::Prefix { .. } => "write a prefix such as \"192.0.2.0/24\", or an address",
            Self::Listed { .. } => "keep one of them; of two prefixes the longer decides",
            Self::UnknownRadius { .. } => "add a [[radius]] of that name",
            Self::Socket { .. } => "write \"192.0.2.10\", or with a port \"[2001:db8::1]:1812\"",
            Self::ListensAlready { .. } => "take another port for one of them",
            Self::Family { .. } => "take an address of that family, or one table for each",
            Self::TooMany { .. } => "remove some",
            Self::DhcpNeedsAddress => "write for example: gateway-addresses = [\"10.9.0.1\"]",
            Self::BoundDhcp => {
                "remove it, or have the connection use a pool without `dhcp`: policies that it \
                 binds let others in the network ask for clients"
            }
            Self::SecondAddress { .. } => "keep one of them",
            Self::NoHost { .. } => "take one that no other host has",
            Self::GivenToClients { .. } => {
                "take the first of the pool, which is left out then, or one that is in no pool"
            }
            Self::NoServers => "name the servers of these domains in `dns`",
            Self::EapNeedsCertificate => {
                "set `local.certificate` and `local.key`: clients take no other proof along with EAP"
            }
            Self::EapFetches => "give lists of what is revoked by `crl` instead",
            Self::GuessableAlone => {
                "leave it out: without the gateway's signature whoever poses as it gets answers to guess passwords by"
            }
            Self::NoGroups => {
                "name users by `remote.ids`, or have RADIUS servers that know their groups"
            }
            Self::WithoutEap => {
                "set `remote.eap-users`, `remote.eap-ca` or `remote.eap-radius` as well, or remove the key"
            }
            Self::Users { .. } => {
                "write `[users]`, and for each a line such as \"kim\" = \"nt:8846f7eaee8fb117ad06bdd830b7586c\""
            }
            Self::TlsKey => {
                "add one for ECDSA on P-256 or P-384, or for RSA, to `local.certificates`"
            }
            Self::Tls { .. } => "look at the certificates with `openssl x509 -text`",
            _ => return None,
        })
    }
}
