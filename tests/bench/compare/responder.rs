//! Who is compared.

use std::fmt;

/// A responder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Responder {
    Strongswan,
    Udp,
    Xdp,
}

impl Responder {
    /// The one that the others are compared with, first.
    pub(crate) const ALL: [Self; 3] = [Self::Strongswan, Self::Udp, Self::Xdp];

    /// Whether it is ours.
    pub(crate) fn is_ours(self) -> bool {
        self != Self::Strongswan
    }
}

impl fmt::Display for Responder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Strongswan => "strongSwan",
            Self::Udp => "ikexdp, UDP",
            Self::Xdp => "ikexdp, XDP",
        })
    }
}
