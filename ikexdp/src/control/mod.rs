//! The control socket: how the command line talks to the daemon.
//!
//! A Unix stream socket; each request is an object of JSON on a line of its own,
//! and so is its response: `{"ok": …}` or `{"error": {"message": …, "hint": …}}`.

mod client;
mod feed;
mod server;

use std::fmt;
use std::net::IpAddr;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

pub use client::{ClientError, Events, Held, PATIENCE, call, call_within, follow, hold};
pub use feed::{Feed, Follower};
pub(crate) use server::answer;
pub use server::{Answer, ControlError, Listener};

use crate::view::Listing;

/// Most prefixes in a request, which may be as long as that takes.
pub const PREFIXES_MAX: usize = 1024;

/// What the command line may want.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "command")]
pub enum Request {
    /// The daemon at a glance: [`Status`](crate::view::Status).
    Status,
    /// All counters: [`Stats`](crate::view::Stats).
    Stats,
    /// The next IKE SAs in the order of their making, a page of
    /// [`Sa`](crate::view::Sa); an empty one is the last.
    Sas {
        /// The last one of the page before.
        after: Option<u64>,
    },
    /// Replace an IKE SA, or a CHILD SA of it.
    Rekey {
        /// The IKE SA.
        id: u64,
        /// The CHILD SA, by the SPI we receive on.
        child: Option<u32>,
    },
    /// Delete an IKE SA and wait until it is gone.
    Terminate {
        /// Which.
        id: u64,
    },
    /// Delete every IKE SA and wait until they are gone: how many there were.
    TerminateAll,
    /// Write the keys of a peer: [`Decryption`](crate::view::Decryption).
    Decrypt {
        /// Whose.
        peer: IpAddr,
        /// For how long, in seconds.
        seconds: u64,
    },
    /// Write nobody's keys any more: whether somebody's were.
    StopDecryption,
    /// Say of prefixes that they are let pass, or not heard, whatever the
    /// configuration says; all of them, or none if one cannot be:
    /// [`Relisted`](crate::view::Relisted).
    List {
        /// Which, at most [`PREFIXES_MAX`].
        prefixes: Vec<IpNet>,
        /// What.
        listing: Listing,
        /// For how long, in seconds; else until it is withdrawn.
        seconds: Option<u64>,
    },
    /// Withdraw that; of all of them, or of none if one was not listed so:
    /// [`Relisted`](crate::view::Relisted).
    Unlist {
        /// Which, at most [`PREFIXES_MAX`].
        prefixes: Vec<IpNet>,
    },
    /// The next prefixes that are listed, in order, a page of
    /// [`ListedPrefix`](crate::view::ListedPrefix); an empty one is the last.
    Lists {
        /// The last one of the page before.
        after: Option<IpNet>,
    },
    /// Read the configuration again: [`Reloaded`](crate::view::Reloaded).
    Reload,
    /// Who begins handshakes most often: [`Sources`](crate::view::Sources).
    Sources,
    /// Have XDP leave IKE to the kernel, so that a capture on the interface sees it, until
    /// the connection is closed: [`Observation`](crate::view::Observation), once that is so.
    Observe,
    /// Tell what happens from now on: once that this is so, and then each
    /// [`Event`](crate::view::Event) on a line of its own, until the connection is
    /// closed.
    Events,
}

/// Who has sent a request, as the kernel knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Caller {
    /// The user.
    pub uid: u32,
    /// The process.
    pub pid: Option<i32>,
}

/// What the daemon says to a request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Response<T> {
    /// What was asked for.
    Ok(T),
    /// Why it cannot be had.
    Error(Refusal),
}

/// Why a request is refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    /// What is wrong.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        match &self.hint {
            Some(hint) => write!(f, "; hint: {hint}"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Refusal {}
