//! Who is compared.

use std::fmt;

/// A responder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Responder {
    Strongswan,
    Libreswan,
    Udp,
    Xdp,
}

impl Responder {
    /// Whether it is ours.
    pub(crate) const fn is_ours(self) -> bool {
        matches!(self, Self::Udp | Self::Xdp)
    }
}

impl fmt::Display for Responder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Strongswan => "strongSwan",
            Self::Libreswan => "Libreswan",
            Self::Udp => "ikexdp, UDP",
            Self::Xdp => "ikexdp, XDP",
        })
    }
}
