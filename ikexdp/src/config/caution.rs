//! What a configuration may say, but probably should not.

use std::path::PathBuf;

use ikexdp_proto::crypto::kex::Group;
use x509_cert::time::Time;

/// Why a value deserves a second look.
#[derive(Debug, thiserror::Error)]
pub enum Caution {
    /// A certificate is past its time.
    #[error("certificate expired at {time}: {}", path.display())]
    Expired {
        /// The file.
        path: PathBuf,
        /// When.
        time: Time,
    },
    /// A certificate is not valid yet.
    #[error("certificate is not valid before {time}: {}", path.display())]
    NotYetValid {
        /// The file.
        path: PathBuf,
        /// When it will be.
        time: Time,
    },
    /// A revocation list is past its time.
    #[error("revocation list is out of date: {list}: {}", path.display())]
    OldList {
        /// Whose, and until when it counted.
        list: String,
        /// The file.
        path: PathBuf,
    },
    /// What is revoked is given, or could be had, and is not looked at.
    #[error("has no effect with revocation = \"off\"")]
    RevocationOff,
    /// The gateway's certificate lacks the usage that clients look for.
    #[error("certificate lacks the extended key usage serverAuth: {}", path.display())]
    NoServerAuth {
        /// The file.
        path: PathBuf,
    },
    /// A certificate of the chain is not issued by the next one.
    #[error("certificate {place} of the chain is not of the one behind it: {}", path.display())]
    BrokenChain {
        /// The file.
        path: PathBuf,
        /// Which, counted from 1.
        place: usize,
    },
    /// Everybody on this machine can read a secret.
    #[error("every user of this machine can read it: {}", path.display())]
    WorldReadable {
        /// The file.
        path: PathBuf,
    },
    /// A shared key can be guessed.
    #[error("pre-shared key of {length} octets can be guessed")]
    ShortSecret {
        /// Its length.
        length: usize,
    },
    /// The secret of RADIUS servers can be guessed, by whoever has seen one packet.
    #[error("RADIUS secret of {length} octets can be guessed")]
    ShortRadiusSecret {
        /// Its length.
        length: usize,
    },
    /// The key is for accounting, and there is none.
    #[error("has no effect without accounting = true")]
    OnlyAccounting,
    /// Long messages become IP fragments.
    #[error("IKE fragmentation (RFC 7383) is off")]
    NoFragmentation,
    /// IKE_SA_INIT cannot be fragmented.
    #[error("IKE_SA_INIT with {group} takes up to {length} octets, and cannot be fragmented")]
    InitTooLong {
        /// The group.
        group: Group,
        /// The length of the response as an IP datagram.
        length: usize,
    },
    /// Algorithms that can be broken are taken.
    #[error("algorithms that can be broken are taken: {names}")]
    WeakAlgorithms {
        /// Which.
        names: String,
    },
    /// Nobody is asked for its users.
    #[error("its users are never asked for: {other} has the same `local.id`, and asks first")]
    NeverAsked {
        /// The connection that comes first.
        other: String,
    },
    /// Clients that do not know RFC 7427 cannot verify a signature of ours.
    #[error("has no certificate that Windows and Apple's clients can verify")]
    Unverifiable,
    /// The key has no effect.
    #[error("has no effect with transport = \"udp\"")]
    OnlyXdp,
    /// Nobody has to show that it receives.
    #[error("forged addresses can take all half-open SAs")]
    NoCookies,
    /// Whoever may use the control socket can have traffic decrypted.
    #[error("`ikexdp decrypt` may write the keys of clients")]
    KeyExport,
    /// Nobody is limited in what they ask for.
    #[error("limits nobody")]
    AllowsAll,
    /// Who is not let pass by `allow` is not heard.
    #[error("keeps out everybody who is not in `allow`")]
    BlocksAll,
    /// The key has no effect, as nothing comes through tunnels.
    #[error("has no effect with data-plane = \"none\"")]
    OnlyXfrm,
    /// The pool gives its addresses to nobody.
    #[error("no connection uses this pool")]
    UnusedPool,
    /// The servers are asked about nobody.
    #[error("no connection uses these servers")]
    UnusedRadius,
}

impl Caution {
    /// What to do about it.
    #[must_use]
    pub const fn hint(&self) -> &'static str {
        match self {
            Self::Expired { .. } => "renew it: clients refuse it",
            Self::NotYetValid { .. } => "correct the clock, or wait",
            Self::OldList { .. } => {
                "have the authority make a new one: this one vouches for nobody, so that \
                 revocation = \"strict\" refuses all"
            }
            Self::RevocationOff => "remove it, or set revocation = \"relaxed\"",
            Self::NoServerAuth { .. } => {
                "have it issued with serverAuth: Windows and Apple clients refuse it otherwise"
            }
            Self::BrokenChain { .. } => {
                "write the gateway's certificate first, then each authority behind what it issued"
            }
            Self::WorldReadable { .. } => "take the right away: `chmod o-r`",
            Self::ShortSecret { .. } => "make one with `openssl rand -base64 32`",
            Self::ShortRadiusSecret { .. } => {
                "make one with `openssl rand -base64 32`, for the servers as well"
            }
            Self::OnlyAccounting => "remove it, or set accounting = true",
            Self::NoFragmentation => "remove it: many paths drop IP fragments",
            Self::InitTooLong { .. } => {
                "leave the group out of `ike.groups`, or take a larger number"
            }
            Self::WeakAlgorithms { .. } => {
                "give clients a policy (Windows: `Set-VpnConnectionIPsecConfiguration`), then take \
                 these out of the list, or the profile \"compatible\""
            }
            Self::NeverAsked { .. } => {
                "give the two different `local.id`s, or all users to one, in one file, of one \
                 authority or by RADIUS"
            }
            Self::Unverifiable => {
                "add one for ECDSA to `local.certificates`, or one for RSA and allow `ike.rsa-sha1`"
            }
            Self::NoCookies => "remove it: by default cookies are asked for under attack only",
            Self::KeyExport => "remove it when you have seen what you wanted to see",
            Self::AllowsAll => "name only those whom you know",
            Self::BlocksAll => "is this what you want? Clients that move have any address",
            Self::OnlyXfrm => "remove it, or set data-plane = \"xfrm\"",
            Self::OnlyXdp => "remove it, or set transport = \"xdp\"",
            Self::UnusedRadius => "set `remote.eap-radius` in a connection, or remove them",
            Self::UnusedPool => "set `pool` in a connection, or remove it",
        }
    }
}
