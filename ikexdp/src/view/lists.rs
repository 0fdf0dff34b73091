//! Who is let pass, and who is not heard.

use std::fmt;

use ikexdp_common::guard;
use ipnet::IpNet;
use serde::{Deserialize, Serialize};

/// What is said about a prefix.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Listing {
    /// Its IKE messages are never limited.
    Allowed,
    /// Its IKE messages are dropped.
    Blocked,
}

impl fmt::Display for Listing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Allowed => "allowed",
            Self::Blocked => "blocked",
        })
    }
}

impl From<Listing> for guard::Listing {
    fn from(listing: Listing) -> Self {
        match listing {
            Listing::Allowed => Self::Allowed,
            Listing::Blocked => Self::Blocked,
        }
    }
}

/// What has become of a command that lists prefixes, or withdraws that.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Relisted {
    /// What deserves a second look.
    pub caution: Option<String>,
}

/// How many prefixes something is said about.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListedCounts {
    /// Those that are allowed.
    pub allowed: usize,
    /// Those that are blocked.
    pub blocked: usize,
    /// Those of both that a command says so of.
    pub commanded: usize,
}

impl fmt::Display for ListedCounts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            allowed,
            blocked,
            commanded,
        } = self;
        write!(
            f,
            "{allowed} allowed, {blocked} blocked; {commanded} of them by command"
        )
    }
}

/// A prefix about which something is said.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListedPrefix {
    /// Which.
    pub prefix: IpNet,
    /// What holds.
    pub listing: Listing,
    /// What the configuration says.
    pub configured: Option<Listing>,
    /// The command that says what holds, if there is one.
    pub command: Option<ListCommand>,
}

/// A command that has listed a prefix.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListCommand {
    /// Who gave it: the user.
    pub uid: u32,
    /// And the process, which may have ended.
    pub pid: Option<i32>,
    /// How long ago, in seconds.
    pub age_s: u64,
    /// For how long it still holds, in seconds, if not until it is withdrawn.
    pub seconds_left: Option<u64>,
}
