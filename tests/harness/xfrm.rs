//! What the kernel of a machine knows of IPsec, as `ip xfrm` shows it.

use std::net::IpAddr;

use crate::namespace::Namespace;

/// An ESP SA in the kernel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct State {
    /// The sender's address.
    pub source: IpAddr,
    /// The receiver's address.
    pub destination: IpAddr,
    /// Chosen by the receiver.
    pub spi: u32,
    /// Whether it is carried in UDP (RFC 3948).
    pub in_udp: bool,
    /// Octets in the tunnel, sent or received.
    pub octets: u64,
    /// ESP packets sent or received.
    pub packets: u64,
}

/// The SAs.
#[must_use]
pub fn states(namespace: &Namespace) -> Vec<State> {
    let text = namespace.exec("ip -statistics xfrm state list");
    // Each begins at the margin; the rest of it is indented.
    let text = text.replace("\nsrc ", "\n\nsrc ");
    text.split("\n\n").filter_map(State::parse).collect()
}

/// The policies but for those of sockets, each in its own lines of text.
#[must_use]
pub fn policies(namespace: &Namespace) -> String {
    namespace.exec("ip xfrm policy list nosock")
}

impl State {
    /// Reads one of those that `ip` prints.
    ///
    /// ```text
    /// src 192.0.2.2 dst 198.51.100.2
    ///     proto esp spi 0xc5c0b6a5(3317741221) reqid 1(0x00000001) mode tunnel
    ///     encap type espinudp sport 4500 dport 4500 addr 0.0.0.0
    ///     lifetime current:
    ///       420(bytes), 5(packets)
    /// ```
    fn parse(text: &str) -> Option<Self> {
        let words: Vec<_> = text.split_whitespace().collect();
        let after = |name: &str| {
            let place = words.iter().position(|word| *word == name)?;
            words.get(place + 1).copied()
        };
        let spi = after("spi")?.strip_prefix("0x")?.split('(').next()?;
        let (_, current) = text.split_once("lifetime current:")?;
        let count = |suffix| {
            let mut words = current.split_whitespace();
            words.find_map(|word| word.trim_end_matches(',').strip_suffix(suffix))
        };
        Some(Self {
            source: after("src")?.parse().ok()?,
            destination: after("dst")?.parse().ok()?,
            spi: u32::from_str_radix(spi, 16).ok()?,
            in_udp: words.contains(&"espinudp"),
            octets: count("(bytes)")?.parse().ok()?,
            packets: count("(packets)")?.parse().ok()?,
        })
    }
}
