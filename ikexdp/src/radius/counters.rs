//! What happened with a server, in numbers.

use std::net::SocketAddr;

/// What a server is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Whether a user may come in.
    Authentication,
    /// To write down what a session carried.
    Accounting,
}

/// A server, as it is doing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerStatus {
    /// Which.
    pub address: SocketAddr,
    /// What it is asked.
    pub role: Role,
    /// Whether it is asked before others: it answered last time, or that was long
    /// ago.
    pub is_up: bool,
    /// What happened with it.
    pub counters: Counters,
}

/// What happened with a server since the daemon started or its table changed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Requests, without repeats.
    pub requests: u64,
    /// Repeats of them.
    pub retransmissions: u64,
    /// Answers that stood.
    pub answers: u64,
    /// Those among them that let somebody in.
    pub accepts: u64,
    /// Those that do not.
    pub rejects: u64,
    /// Those that ask for more.
    pub challenges: u64,
    /// Requests that nobody answered.
    pub timeouts: u64,
    /// Requests for which there was no identifier, and no room to wait for one.
    pub overflows: u64,
    /// Requests that could not be sent: there was no socket.
    pub unsent: u64,
    /// Answers thrown away: they are no packets.
    pub dropped_malformed: u64,
    /// The same: nobody waits for them, or not for such.
    pub dropped_unexpected: u64,
    /// The same: an authenticator is wrong, perhaps because the secrets differ.
    pub dropped_unauthentic: u64,
    /// The same: they let in, refuse or ask without a Message-Authenticator.
    pub dropped_unsigned: u64,
}
