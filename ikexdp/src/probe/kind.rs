//! The clients that can be asked for, and what is known of them beside their first request.

use clap::ValueEnum;
use ikexdp_proto::crypto::kex::Group;
use ikexdp_proto::mismatch::WINDOWS_POLICY;
use serde::Serialize;

use super::client::{
    Cipher, Client, android, ios, strongswan, windows, windows_custom, windows_dh2048,
};

/// A client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// Windows 10 as it comes: 3DES or AES, and modp1024
    Win10,
    /// Windows with the registry's NegotiateDH2048_AES256
    Win10Dh2048,
    /// Windows with a policy of its own: AES256, SHA384 and ECP384
    Win11Ecp384,
    /// iOS set up by hand
    Ios,
    /// Android's own client
    Android,
    /// strongSwan on Linux, with its own proposals
    Strongswan,
}

impl Kind {
    /// What it opens with.
    #[must_use]
    pub fn client(self) -> Client {
        match self {
            Self::Win10 => windows(),
            Self::Win10Dh2048 => windows_dh2048(),
            Self::Win11Ecp384 => windows_custom(Cipher::Aes256, Group::Ecp384),
            Self::Ios => ios(),
            Self::Android => android(),
            Self::Strongswan => strongswan(),
        }
    }

    /// Whether it is Windows.
    #[must_use]
    pub const fn is_windows(self) -> bool {
        matches!(self, Self::Win10 | Self::Win10Dh2048 | Self::Win11Ecp384)
    }

    /// What people see of a gateway that does not answer.
    #[must_use]
    pub const fn unanswered(self) -> &'static str {
        if self.is_windows() {
            "Windows shows error 809"
        } else {
            "the client waits, and gives up"
        }
    }

    /// What people see of algorithms that are refused.
    #[must_use]
    pub const fn refused(self) -> &'static str {
        if self.is_windows() {
            "Windows shows error 13868 (policy match error)"
        } else {
            "the client gives up at once"
        }
    }

    /// What can be done about that.
    #[must_use]
    pub fn policy(self) -> String {
        match self {
            Self::Win10 | Self::Win10Dh2048 => format!(
                "on the client: `Set-VpnConnectionIPsecConfiguration -ConnectionName NAME {WINDOWS_POLICY} \
                 -Force`, if `--as win11-ecp384` gets through; else have the gateway take what the client \
                 offers: `--policy` shows what it takes"
            ),
            Self::Win11Ecp384 => "have the gateway take AES-256-CBC, SHA2-384 and ecp384, with ikexdp by \
                 `gateway.algorithms = \"compatible\"`, or give `Set-VpnConnectionIPsecConfiguration` on the \
                 client what `--policy` shows"
                .to_owned(),
            Self::Ios => "have the gateway take AES-256-CBC, SHA2-256 and modp2048 or ecp256, with ikexdp by \
                 `gateway.algorithms = \"compatible\"`, or give the client a profile that names what `--policy` \
                 shows"
                .to_owned(),
            Self::Android | Self::Strongswan => {
                "look at the gateway's algorithms: `--policy` shows what it takes".to_owned()
            }
        }
    }

    /// How long the message is that comes next, and must arrive in IP fragments where IKE does not cut it.
    #[must_use]
    pub const fn auth_octets(self) -> &'static str {
        if self.is_windows() {
            "its IKE_AUTH request has 3200 to 3468 octets with an RSA certificate, 1720 with an ECDSA one, \
             908 to 1520 with EAP"
        } else {
            "its IKE_AUTH request has some 2000 to 7000 octets with certificates"
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_is_the_client_that_its_name_says() {
        for kind in Kind::value_variants() {
            assert_eq!(kind.client().is_windows(), kind.is_windows(), "{kind:?}");
        }
        assert_eq!(Kind::Win11Ecp384.client().group, Group::Ecp384);
    }
}
