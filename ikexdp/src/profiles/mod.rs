//! What clients import: a profile for each platform, and what goes with it.

mod android;
mod apple;
mod linux;
mod suite;
mod windows;
mod windows_xml;

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use ipnet::IpNet;
use zeroize::Zeroizing;

use crate::pki::{Authority, Certified, ClientName, GatewayName, PkiError};

pub use suite::Suite;

pub(crate) use crate::pki::is_host_name;

/// Who clients can be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Platform {
    /// Windows 10 1809 or later
    Windows,
    /// iOS, iPadOS or macOS
    Apple,
    /// The strongSwan app for Android
    Android,
    /// strongSwan on Linux, with swanctl
    Linux,
}

impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Windows => "windows",
            Self::Apple => "apple",
            Self::Android => "android",
            Self::Linux => "linux",
        })
    }
}

/// Who a client says it is: what Apple's clients can say too, so no distinguished
/// name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClientIdentity {
    /// A mail address.
    Email(String),
    /// A host name.
    Host(String),
}

impl fmt::Display for ClientIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Self::Email(text) | Self::Host(text)) = self;
        f.pad(text)
    }
}

impl FromStr for ClientIdentity {
    type Err = InvalidIdentity;

    fn from_str(text: &str) -> Result<Self, InvalidIdentity> {
        match text.rsplit_once('@') {
            None if is_host_name(text) => Ok(Self::Host(text.to_ascii_lowercase())),
            Some((user, host)) if user.parse::<ClientName>().is_ok() && is_host_name(host) => {
                let host = host.to_ascii_lowercase();
                Ok(Self::Email(format!("{user}@{host}")))
            }
            _ => Err(InvalidIdentity),
        }
    }
}

/// Neither a mail address nor a host name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("neither a mail address nor a host name, of letters and digits of ASCII and `.-_`")]
pub struct InvalidIdentity;

/// Everything that a profile says.
#[derive(Debug)]
pub struct Profile<'a> {
    /// What the client is called.
    pub name: &'a ClientName,
    /// Where it connects to.
    pub gateway: &'a GatewayName,
    /// Who vouches for the gateway.
    pub authority: &'a Authority,
    /// How it proves who it is.
    pub proof: Proof<'a>,
    /// What it reaches through the tunnel; `None` is everything.
    pub networks: Option<&'a [IpNet]>,
    /// The families of the addresses that it gets.
    pub families: Families,
    /// The domain that names are looked up in.
    pub domain: Option<&'a str>,
    /// Random, for formats that number their parts (RFC 9562).
    pub uuids: [String; 4],
}

/// How a client proves who it is.
#[derive(Clone, Copy, Debug)]
pub enum Proof<'a> {
    /// By a certificate.
    Certificate {
        /// Who it says it is.
        identity: &'a ClientIdentity,
        /// The certificate and its key.
        certified: &'a Certified,
        /// What protects the key in PKCS #12.
        password: &'a str,
    },
    /// By a password (EAP-MSCHAPv2).
    Eap {
        /// The password.
        password: &'a str,
    },
}

/// Which families of addresses there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Families {
    /// IPv4.
    pub v4: bool,
    /// IPv6.
    pub v6: bool,
}

impl Families {
    /// Those of `addresses`.
    pub fn of(addresses: impl IntoIterator<Item = IpAddr>) -> Self {
        let none = Self {
            v4: false,
            v6: false,
        };
        addresses.into_iter().fold(none, |families, address| Self {
            v4: families.v4 || address.is_ipv4(),
            v6: families.v6 || address.is_ipv6(),
        })
    }
}

/// A file for a client.
pub struct File {
    /// Its path, below the client's directory.
    pub path: String,
    /// What is in it, often a private key.
    pub content: Zeroizing<Vec<u8>>,
}

impl fmt::Debug for File {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("File").field(&self.path).finish()
    }
}

impl File {
    fn new(path: impl Into<String>, content: impl Into<Vec<u8>>) -> Self {
        Self {
            path: path.into(),
            content: Zeroizing::new(content.into()),
        }
    }
}

/// Why a profile cannot be written.
#[derive(Debug, thiserror::Error)]
pub enum ProfileError {
    /// What goes with it cannot be made.
    #[error(transparent)]
    Pki(#[from] PkiError),
    /// It cannot be encoded as XML.
    #[error("cannot write XML")]
    Xml(#[from] std::io::Error),
    /// It cannot be encoded as a property list.
    #[error("cannot write a property list")]
    PropertyList(#[from] plist::Error),
    /// It cannot be encoded as JSON.
    #[error("cannot write JSON")]
    Json(#[from] serde_json::Error),
}

impl Platform {
    /// The files for a client.
    ///
    /// # Errors
    /// [`ProfileError`].
    pub fn files(self, profile: &Profile<'_>) -> Result<Vec<File>, ProfileError> {
        match self {
            Self::Windows => windows::files(profile),
            Self::Apple => apple::files(profile),
            Self::Android => android::files(profile),
            Self::Linux => Ok(linux::files(profile)),
        }
    }

    /// The algorithms that the profile asks for.
    #[must_use]
    pub const fn suite(self) -> &'static Suite {
        match self {
            Self::Windows => &suite::WINDOWS,
            Self::Apple => &suite::APPLE,
            Self::Android | Self::Linux => &suite::STRONGSWAN,
        }
    }

    /// What to do with the files.
    #[must_use]
    pub const fn next(self) -> &'static str {
        match self {
            Self::Windows => {
                "run the .ps1 there in PowerShell as administrator; the .xml is the same for MDM (VPNv2 ProfileXML)"
            }
            Self::Apple => "open the .mobileconfig there, and install it in Settings",
            Self::Android => "open the .sswan there with the strongSwan app",
            Self::Linux => {
                "there, as root: `cp -r swanctl/. /etc/swanctl/`, `swanctl --load-all`, `swanctl --initiate --child NAME`"
            }
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::pki::{self, Moment};

    /// What profiles are made of in tests.
    pub(crate) struct Parts {
        pub(crate) name: ClientName,
        pub(crate) gateway: GatewayName,
        pub(crate) authority: Authority,
        pub(crate) identity: ClientIdentity,
        pub(crate) certified: Certified,
    }

    impl Parts {
        pub(crate) fn new() -> Self {
            let now = Moment::from_seconds(1_795_305_600);
            let gateway: GatewayName = "vpn.example.com".parse().unwrap();
            let authority = Authority::new(&gateway, now).unwrap();
            let name = "laptop".parse().unwrap();
            let identity = "laptop@vpn.example.com".parse().unwrap();
            let certified = pki::client(&authority, &name, &identity, (now, 365)).unwrap();
            Self {
                name,
                gateway,
                authority,
                identity,
                certified,
            }
        }

        pub(crate) fn profile<'a>(
            &'a self,
            is_eap: bool,
            networks: Option<&'a [IpNet]>,
        ) -> Profile<'a> {
            let password = "pass-word";
            Profile {
                name: &self.name,
                gateway: &self.gateway,
                authority: &self.authority,
                proof: if is_eap {
                    Proof::Eap { password }
                } else {
                    Proof::Certificate {
                        identity: &self.identity,
                        certified: &self.certified,
                        password,
                    }
                },
                networks,
                families: Families { v4: true, v6: true },
                domain: Some("example.com"),
                uuids: [(); 4].map(|()| pki::uuid().unwrap()),
            }
        }
    }

    pub(crate) fn text(files: &[File], path: &str) -> String {
        let paths: Vec<_> = files.iter().map(|file| &file.path).collect();
        let file = files.iter().find(|file| file.path == path);
        let file = file.unwrap_or_else(|| panic!("no {path} in {paths:?}"));
        String::from_utf8(file.content.to_vec()).unwrap()
    }

    #[test]
    fn identities_are_mail_addresses_or_host_names() {
        for good in ["kim@example.com", "laptop", "a.b-c.example"] {
            assert_eq!(good.parse::<ClientIdentity>().unwrap().to_string(), good);
        }
        for bad in [
            "",
            "@b",
            "a@",
            "CN=x",
            "a b@c.d",
            "a@b@c d",
            "192.0.2.1",
            "a\"@b.c",
            "*@b.c",
        ] {
            assert_eq!(bad.parse::<ClientIdentity>(), Err(InvalidIdentity), "{bad}");
        }
    }
}
