//! What clients can make us do.

use std::time::Duration;

/// Longest IP packet that is looked at, in octets: more than any client sends, which
/// must not assume that a server takes more than 576 (RFC 2131 §2).
pub(super) const PACKET_LEN_MAX: usize = 2048;

/// Octets of the IP datagram that a client takes if it does not say more (RFC 2131
/// §2).
pub(super) const ANSWER_LEN_MIN: usize = 576;

/// Longest answer that is given to a client that says it takes it, as an IP datagram
/// in octets: it goes through every tunnel in one piece.
pub(super) const ANSWER_LEN_MAX: usize = 1200;

/// Packets that are looked at in one go, and the pause after them: everybody in a
/// network of this host can send broadcasts.
pub(super) const TURN: usize = 64;
pub(super) const TURN_PAUSE: Duration = Duration::from_millis(10);

/// Questions of an address that are looked into in a period. Windows asks for routes
/// and for a proxy, and each some four times.
pub(super) const QUESTIONS_MAX: u32 = 16;
pub(super) const PERIOD: Duration = Duration::from_secs(10);

/// How long to wait after the socket could not be read.
pub(super) const RECEIVE_PAUSE: Duration = Duration::from_secs(1);
