//! Every bound on what a peer can make us hold or do. How long a packet may be,
//! and how many there may be of them, is bounded by the engine.

/// Longest name of a user in octets: what RFC 7542 §2.2 has identities keep to,
/// because a RADIUS attribute holds no more.
pub const NAME_LEN_MAX: usize = 253;

/// Longest flight of TLS from a peer, in octets: four times a chain of RSA
/// certificates. Memory is spent as it arrives, not as it is announced, and by
/// whoever has not proved anything yet.
pub const FLIGHT_LEN_MAX: usize = 24_576;

/// TLS data in one of our EAP packets, in octets. It leaves with headers in one
/// datagram of 1,280, so that a lost one costs one to repeat; larger packets
/// would only be cut again by IKE.
pub const FRAGMENT_LEN: usize = 1000;
