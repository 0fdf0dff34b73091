//! From a frame to a [`Verdict`]: the same code in the kernel and on the host.
//!
//! ```text
//! | Ethernet | 0..=2 VLAN tags | IPv4 or IPv6 | UDP | 0000 on 4500 | IKE ...
//! 0                            l3             l4                   ike
//! ```
//!
//! Only what stands at a fixed place is judged: IP options, IPv6 extension
//! headers and fragments belong to the kernel. A frame is dropped when it is
//! provably no IKEv2 message for us, and passed when in doubt. Checksums are
//! not verified: a local sender over veth leaves them partial, and IKE brings
//! integrity of its own.
//!
//! The verifier follows a packet pointer best when its offset is a constant.
//! So everything here is inlined, each way through VLAN tags and IP versions is
//! a call of its own whose offsets are constants, and there are no loops.

use crate::header::{ethernet, ike, ipv4, ipv6, ipv6_fragment, udp};
use crate::verdict::Verdict;

/// A frame that can be read at given places.
pub trait Load {
    /// Octets in the frame.
    fn length(&self) -> usize;

    /// The `N` octets at `field` octets into the header that begins at `layer`,
    /// or `None` where the frame ends before them.
    fn load<const N: usize>(&self, layer: usize, field: usize) -> Option<[u8; N]>;
}

impl Load for [u8] {
    fn length(&self) -> usize {
        self.len()
    }

    fn load<const N: usize>(&self, layer: usize, field: usize) -> Option<[u8; N]> {
        let (_, rest) = self.split_at_checked(layer.checked_add(field)?)?;
        rest.first_chunk().copied()
    }
}

/// What the classifier must ask about the gateway it runs on.
pub trait Gateway {
    /// Whether the IPv4 address is one of the gateway's own.
    fn owns_v4(&self, address: u32) -> bool;

    /// Whether the IPv6 address is one of the gateway's own.
    fn owns_v6(&self, address: u128) -> bool;

    /// Whether IKEv1 is dropped, because nobody here speaks it.
    fn drops_ikev1(&self) -> bool;
}

/// Where an IKE message for us is in its frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Located {
    /// Which kind of redirection the frame earns.
    pub verdict: Verdict,
    /// Start of the IP header.
    pub l3: usize,
    /// Start of the UDP header, right behind it.
    pub l4: usize,
    /// Start of the IKE header, behind the marker where there is one.
    pub ike: usize,
    /// Octets of the IKE message.
    pub length: usize,
}

/// Finds the IKE message in `frame`.
///
/// # Errors
///
/// The verdict on a frame that is not to be redirected.
#[inline(always)]
pub fn locate<F: Load + ?Sized>(frame: &F, gateway: &impl Gateway) -> Result<Located, Verdict> {
    Classifier { frame, gateway }.ethernet()
}

struct Classifier<'a, F: ?Sized, G> {
    frame: &'a F,
    gateway: &'a G,
}

impl<F: Load + ?Sized, G: Gateway> Classifier<'_, F, G> {
    /// IEEE 802.3, 802.1Q and 802.1ad.
    #[inline(always)]
    fn ethernet(&self) -> Result<Located, Verdict> {
        use ethernet::{LEN, TAG_LEN, TYPE};

        let ether_type = self.word(0, TYPE)?;
        if !is_tag(ether_type) {
            return self.ip(ether_type, LEN);
        }
        let ether_type = self.word(TAG_LEN, TYPE)?;
        if !is_tag(ether_type) {
            return self.ip(ether_type, LEN + TAG_LEN);
        }
        let ether_type = self.word(2 * TAG_LEN, TYPE)?;
        if !is_tag(ether_type) {
            return self.ip(ether_type, LEN + 2 * TAG_LEN);
        }
        Err(Verdict::PassVlanDepth)
    }

    #[inline(always)]
    fn ip(&self, ether_type: u16, l3: usize) -> Result<Located, Verdict> {
        match ether_type {
            ethernet::IPV4 => self.ipv4(l3),
            ethernet::IPV6 => self.ipv6(l3),
            _ => Err(Verdict::PassNotIp),
        }
    }

    /// RFC 791 §3.1.
    #[inline(always)]
    fn ipv4(&self, l3: usize) -> Result<Located, Verdict> {
        let version_ihl = self.byte(l3, ipv4::VERSION_IHL)?;
        if version_ihl >> 4 != 4 {
            return Err(Verdict::PassNotIp);
        }
        if self.byte(l3, ipv4::PROTOCOL)? != udp::NUMBER {
            return Err(Verdict::PassNotUdp);
        }
        if version_ihl != ipv4::PLAIN {
            return Err(Verdict::PassIpOptions);
        }
        let fragment = self.word(l3, ipv4::FRAGMENT)?;
        if fragment & ipv4::FRAGMENT_OFFSET != 0 {
            return Err(Verdict::PassFragment);
        }
        let l4 = l3.saturating_add(ipv4::LEN);
        let port = self.ike_port(l4)?;
        self.esp(port, l4)?;
        if !self.gateway.owns_v4(self.double(l3, ipv4::DESTINATION)?) {
            return Err(Verdict::PassTransit);
        }
        // 0.0.0.0/8, 127.0.0.0/8, multicast, and everything above it.
        if matches!(self.byte(l3, ipv4::SOURCE)?, 0 | 127 | 224..) {
            return Err(Verdict::PassMartian);
        }
        if fragment & ipv4::MORE_FRAGMENTS != 0 {
            return Err(Verdict::PassFirstFragment);
        }
        let total = usize::from(self.word(l3, ipv4::TOTAL_LENGTH)?);
        let available = total.checked_sub(ipv4::LEN).ok_or(Verdict::PassTruncated)?;
        self.udp(port, l3, l4, available)
    }

    /// RFC 8200 §3.
    #[inline(always)]
    fn ipv6(&self, l3: usize) -> Result<Located, Verdict> {
        if self.byte(l3, ipv6::VERSION)? >> 4 != 6 {
            return Err(Verdict::PassNotIp);
        }
        match self.byte(l3, ipv6::NEXT_HEADER)? {
            udp::NUMBER => {}
            ipv6_fragment::NUMBER => return self.ipv6_fragment(l3),
            other => return Err(not_udp(other)),
        }
        let l4 = l3.saturating_add(ipv6::LEN);
        let port = self.ike_port(l4)?;
        self.esp(port, l4)?;
        self.ipv6_addresses(l3)?;
        // Legal inside some tunnels only (RFC 6936); the kernel knows which.
        if self.word(l4, udp::CHECKSUM)? == 0 {
            return Err(Verdict::PassNoChecksum);
        }
        let available = usize::from(self.word(l3, ipv6::PAYLOAD_LENGTH)?);
        self.udp(port, l3, l4, available)
    }

    /// A packet whose first extension header is a fragment header is always
    /// passed; the question is how it is counted.
    #[inline(always)]
    fn ipv6_fragment(&self, l3: usize) -> Result<Located, Verdict> {
        let header = l3.saturating_add(ipv6::LEN);
        let next_header = self.byte(header, ipv6_fragment::NEXT_HEADER)?;
        if next_header != udp::NUMBER {
            return Err(not_udp(next_header));
        }
        let fragment = self.word(header, ipv6_fragment::FRAGMENT)?;
        if fragment & ipv6_fragment::FRAGMENT_OFFSET != 0 {
            return Err(Verdict::PassFragment);
        }
        // An atomic fragment is a whole packet (RFC 6946).
        if fragment & ipv6_fragment::MORE_FRAGMENTS == 0 {
            return Err(Verdict::PassExtensionHeader);
        }
        let l4 = header.saturating_add(ipv6_fragment::LEN);
        let port = self.ike_port(l4)?;
        self.esp(port, l4)?;
        self.ipv6_addresses(l3)?;
        Err(Verdict::PassFirstFragment)
    }

    /// Refuses a packet that is not for us, or from nobody we could name.
    #[inline(always)]
    fn ipv6_addresses(&self, l3: usize) -> Result<(), Verdict> {
        let prefix = self.quad(l3, ipv6::DESTINATION)?;
        let interface = self.quad(l3, ipv6::DESTINATION + 8)?;
        let destination = u128::from(prefix) << 64 | u128::from(interface);
        if !self.gateway.owns_v6(destination) {
            return Err(Verdict::PassTransit);
        }
        // Multicast, and ::/64 with the unspecified, the loopback and the
        // mapped IPv4 addresses in it.
        let prefix = self.quad(l3, ipv6::SOURCE)?;
        if prefix == 0 || prefix >> 56 == 0xff {
            return Err(Verdict::PassMartian);
        }
        // fe80::/10.
        if prefix >> 54 == 0xfe80 >> 6 {
            return Err(Verdict::PassLinkLocal);
        }
        Ok(())
    }

    /// The destination port, when it is one of IKE's.
    #[inline(always)]
    fn ike_port(&self, l4: usize) -> Result<u16, Verdict> {
        match self.word(l4, udp::DESTINATION)? {
            port @ (ike::PORT | ike::NAT_PORT) => Ok(port),
            _ => Err(Verdict::PassOtherPort),
        }
    }

    /// Passes ESP, ours or in transit. It is most of what a gateway receives, so
    /// it must not wait for addresses to be looked up.
    #[inline(always)]
    fn esp(&self, port: u16, l4: usize) -> Result<(), Verdict> {
        if port == ike::NAT_PORT
            && usize::from(self.word(l4, udp::LENGTH)?) >= udp::LEN + ike::MARKER_LEN
            && self.double(l4, udp::LEN)? != 0
        {
            return Err(Verdict::PassEsp);
        }
        Ok(())
    }

    /// RFC 768 and RFC 3948, in an IP packet with `available` octets behind its
    /// header.
    #[inline(always)]
    fn udp(&self, port: u16, l3: usize, l4: usize, available: usize) -> Result<Located, Verdict> {
        self.link_addresses()?;
        if self.word(l4, udp::SOURCE)? == 0 {
            return Err(Verdict::PassMartian);
        }
        // A frame may be longer than its packet: Ethernet pads.
        if self.frame.length() < l4.saturating_add(available) {
            return Err(Verdict::PassTruncated);
        }
        let datagram = usize::from(self.word(l4, udp::LENGTH)?);
        if datagram < udp::LEN || datagram > available {
            return Err(Verdict::DropUdpLength);
        }
        let located = Located {
            verdict: Verdict::RedirectIke,
            l3,
            l4,
            ike: l4.saturating_add(udp::LEN),
            length: datagram.saturating_sub(udp::LEN),
        };
        if port == ike::PORT {
            return self.ike(located);
        }
        let Some(length) = located.length.checked_sub(ike::MARKER_LEN) else {
            return Err(self.keepalive(located));
        };
        self.ike(Located {
            verdict: Verdict::RedirectIkeNat,
            ike: located.ike.saturating_add(ike::MARKER_LEN),
            length,
            ..located
        })
    }

    /// A reply goes back to the MAC address it came from, and from the one it
    /// was sent to: neither may be a group.
    #[inline(always)]
    fn link_addresses(&self) -> Result<(), Verdict> {
        let destination = self.byte(0, ethernet::DESTINATION)?;
        let source = self.byte(0, ethernet::SOURCE)?;
        if (destination | source) & ethernet::GROUP != 0 {
            return Err(Verdict::PassMartian);
        }
        Ok(())
    }

    /// The verdict on a payload on port 4500 that is too short for a marker.
    ///
    /// What is no keepalive can be neither ESP nor IKE, yet the kernel would
    /// hand it to whoever listens for IKE.
    #[inline(always)]
    fn keepalive(&self, payload: Located) -> Verdict {
        const KEEPALIVE: u8 = 0xff;

        match (payload.length, self.byte(payload.ike, 0)) {
            (0, _) | (1, Ok(KEEPALIVE)) => Verdict::DropKeepalive,
            _ => Verdict::DropShort,
        }
    }

    /// RFC 7296 §3.1.
    ///
    /// The length is checked before the version, because noise that claims to
    /// be IKEv3 would otherwise reach user space to be refused there.
    #[inline(always)]
    fn ike(&self, message: Located) -> Result<Located, Verdict> {
        let Located {
            ike: start, length, ..
        } = message;
        if length < ike::LEN {
            return Err(Verdict::DropShort);
        }
        if usize::try_from(self.double(start, ike::LENGTH)?) != Ok(length) {
            return Err(Verdict::DropLength);
        }
        match self.byte(start, ike::VERSION)? >> 4 {
            0 => return Err(Verdict::DropVersion),
            1 if self.gateway.drops_ikev1() => return Err(Verdict::DropIkev1),
            1 => return Err(Verdict::PassIkev1),
            2 => {}
            _ => {
                let verdict = Verdict::RedirectVersion;
                return Ok(Located { verdict, ..message });
            }
        }
        if self.quad(start, ike::INITIATOR_SPI)? == 0 {
            return Err(Verdict::DropInitiatorSpi);
        }
        match self.byte(start, ike::EXCHANGE)? {
            ike::IKE_SA_INIT => self.ike_sa_init(start)?,
            IKE_AUTH..=INFORMATIONAL | IKE_INTERMEDIATE..=IKE_FOLLOWUP_KE => {}
            _ => return Err(Verdict::DropExchange),
        }
        Ok(message)
    }

    /// The request comes first in its SA, so nothing can have been agreed yet
    /// (RFC 7296 §2.2 and §3.1).
    #[inline(always)]
    fn ike_sa_init(&self, start: usize) -> Result<(), Verdict> {
        if self.byte(start, ike::FLAGS)? & ike::RESPONSE != 0 {
            return Ok(());
        }
        if self.double(start, ike::MESSAGE_ID)? != 0 {
            return Err(Verdict::DropMessageId);
        }
        if self.quad(start, ike::RESPONDER_SPI)? != 0 {
            return Err(Verdict::DropResponderSpi);
        }
        Ok(())
    }

    #[inline(always)]
    fn byte(&self, layer: usize, field: usize) -> Result<u8, Verdict> {
        self.octets(layer, field).map(u8::from_be_bytes)
    }

    #[inline(always)]
    fn word(&self, layer: usize, field: usize) -> Result<u16, Verdict> {
        self.octets(layer, field).map(u16::from_be_bytes)
    }

    #[inline(always)]
    fn double(&self, layer: usize, field: usize) -> Result<u32, Verdict> {
        self.octets(layer, field).map(u32::from_be_bytes)
    }

    #[inline(always)]
    fn quad(&self, layer: usize, field: usize) -> Result<u64, Verdict> {
        self.octets(layer, field).map(u64::from_be_bytes)
    }

    #[inline(always)]
    fn octets<const N: usize>(&self, layer: usize, field: usize) -> Result<[u8; N], Verdict> {
        self.frame.load(layer, field).ok_or(Verdict::PassTruncated)
    }
}

#[inline(always)]
const fn is_tag(ether_type: u16) -> bool {
    matches!(ether_type, ethernet::CUSTOMER_TAG | ethernet::SERVICE_TAG)
}

/// The verdict on IPv6 whose next header is not UDP.
#[inline(always)]
const fn not_udp(next_header: u8) -> Verdict {
    match next_header {
        // Hop-by-hop options, routing, AH, destination options, mobility, HIP
        // and shim6, behind which UDP may follow.
        0 | 43 | 51 | 60 | 135 | 139 | 140 => Verdict::PassExtensionHeader,
        _ => Verdict::PassNotUdp,
    }
}

// "IKEv2 Exchange Types" that this gateway speaks.
const IKE_AUTH: u8 = 35;
const INFORMATIONAL: u8 = 37;
const IKE_INTERMEDIATE: u8 = 43;
const IKE_FOLLOWUP_KE: u8 = 44;
