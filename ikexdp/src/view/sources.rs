//! Where messages come from.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

/// Who begins handshakes most often.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sources {
    /// How many seconds were counted.
    pub seconds: u64,
    /// Addresses of IPv4 and networks of IPv6, the busiest first.
    pub sources: Vec<Source>,
}

/// An address, or a network of which everybody has one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Source {
    /// Which.
    pub network: String,
    /// IKE_SA_INIT requests that reached the daemon; in a crowd of sources rather too many than too
    /// few.
    pub requests: u64,
}

/// Whom the XDP program limits now.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// How many sources it knows; it forgets those that were silent longest.
    pub known: usize,
    /// Whether there are more, which were not looked at.
    #[serde(default)]
    pub is_partial: bool,
    /// Those that are over a limit, and networks of them that are.
    pub sources: Vec<LimitedSource>,
}

/// A source that is over a limit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LimitedSource {
    /// An address of IPv4, or a network of IPv6.
    pub network: String,
    /// Which limits.
    pub limits: Vec<Limit>,
}

/// What a source has too much of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Limit {
    /// IKE_SA_INIT requests: it is asked for cookies.
    Init,
    /// IKE_SA_INIT requests with good cookies: they are dropped.
    Proven,
    /// Messages of no SA, or of another version: they are dropped.
    Stray,
}

impl Limit {
    /// What becomes of such messages of the source.
    #[must_use]
    pub const fn effect(self) -> &'static str {
        match self {
            Self::Init => "asked for cookies",
            Self::Proven => "handshakes dropped in spite of cookies",
            Self::Stray => "messages of no SA dropped",
        }
    }
}

/// What a source is called: of IPv6 everybody has a network.
pub(crate) fn network(source: IpAddr) -> String {
    match source {
        IpAddr::V4(address) => address.to_string(),
        IpAddr::V6(network) => format!("{network}/64"),
    }
}
