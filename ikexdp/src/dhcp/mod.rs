//! DHCP in the tunnel, of which there is one exchange: Windows learns by DHCPINFORM
//! what it should route through it (RFC 2131 §4.3.5, RFC 3442, MS-DHCPE).
//!
//! ```text
//! client ── 255.255.255.255:67, through its CHILD SA ──> socket.rs ─> inform.rs: DHCPINFORM
//!                                                                        │  whose address? which CHILD SA?
//! client <── through its CHILD SA, from the gateway's address in it ── ack.rs: DHCPACK
//! ```
//!
//! Nobody gets an address by it: that is what IKE is for.

mod ack;
mod counters;
mod inform;
mod limits;
mod routes;
mod server;
mod socket;

use std::net::Ipv4Addr;

pub use counters::{Counters, Counts};
pub use server::{Client, Server};
pub use socket::OpenError;

/// What clients of a connection are answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scope {
    /// The connection.
    pub connection: String,
    /// Our own address in the tunnel, from which we answer.
    pub gateway: Ipv4Addr,
    /// Name servers.
    pub name_servers: Vec<Ipv4Addr>,
    /// The domains that those servers are for, as A-labels.
    pub domains: Vec<String>,
}
