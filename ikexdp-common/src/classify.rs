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

use crate::verdict::Verdict;

/// UDP port of IKE (RFC 7296 §2).
pub const IKE_PORT: u16 = 500;

/// UDP port of IKE and ESP behind a NAT (RFC 3948, RFC 7296 §2.23).
pub const NAT_PORT: u16 = 4500;

/// Octets of an Ethernet header without tags.
pub const ETHERNET_LEN: usize = 14;

/// Octets of a VLAN tag.
pub const VLAN_LEN: usize = 4;

/// Octets of an IPv4 header without options.
pub const IPV4_LEN: usize = 20;

/// Octets of an IPv6 header.
pub const IPV6_LEN: usize = 40;

/// Octets of a UDP header.
pub const UDP_LEN: usize = 8;

/// Octets of the non-ESP marker (RFC 3948 §2.2), all of them zero.
pub const MARKER_LEN: usize = 4;

/// Octets of an IKE header (RFC 7296 §3.1).
pub const IKE_LEN: usize = 28;

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

/// Decides what becomes of `frame`.
#[inline(always)]
pub fn classify<F: Load + ?Sized>(frame: &F, gateway: &impl Gateway) -> Verdict {
    match locate(frame, gateway) {
        Ok(located) => located.verdict,
        Err(verdict) => verdict,
    }
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

/// IP protocol number of UDP.
const UDP: u8 = 17;

struct Classifier<'a, F: ?Sized, G> {
    frame: &'a F,
    gateway: &'a G,
}

impl<F: Load + ?Sized, G: Gateway> Classifier<'_, F, G> {
    /// IEEE 802.3, 802.1Q and 802.1ad.
    #[inline(always)]
    fn ethernet(&self) -> Result<Located, Verdict> {
        const TYPE: usize = 12;
        const UNTAGGED: usize = ETHERNET_LEN;
        const TAGGED: usize = UNTAGGED + VLAN_LEN;
        const DOUBLE_TAGGED: usize = TAGGED + VLAN_LEN;

        let ether_type = self.word(0, TYPE)?;
        if !is_vlan(ether_type) {
            return self.ip(ether_type, UNTAGGED);
        }
        let ether_type = self.word(VLAN_LEN, TYPE)?;
        if !is_vlan(ether_type) {
            return self.ip(ether_type, TAGGED);
        }
        let ether_type = self.word(2 * VLAN_LEN, TYPE)?;
        if !is_vlan(ether_type) {
            return self.ip(ether_type, DOUBLE_TAGGED);
        }
        Err(Verdict::PassVlanDepth)
    }

    #[inline(always)]
    fn ip(&self, ether_type: u16, l3: usize) -> Result<Located, Verdict> {
        const IPV4: u16 = 0x0800;
        const IPV6: u16 = 0x86dd;

        match ether_type {
            IPV4 => self.ipv4(l3),
            IPV6 => self.ipv6(l3),
            _ => Err(Verdict::PassNotIp),
        }
    }

    /// RFC 791 §3.1.
    #[inline(always)]
    fn ipv4(&self, l3: usize) -> Result<Located, Verdict> {
        const VERSION_IHL: usize = 0;
        const TOTAL_LENGTH: usize = 2;
        const FRAGMENT: usize = 6;
        const PROTOCOL: usize = 9;
        const SOURCE: usize = 12;
        const DESTINATION: usize = 16;
        const MORE_FRAGMENTS: u16 = 0x2000;
        const FRAGMENT_OFFSET: u16 = 0x1fff;

        let version_ihl = self.byte(l3, VERSION_IHL)?;
        if version_ihl >> 4 != 4 {
            return Err(Verdict::PassNotIp);
        }
        if self.byte(l3, PROTOCOL)? != UDP {
            return Err(Verdict::PassNotUdp);
        }
        if version_ihl != 0x45 {
            return Err(Verdict::PassIpOptions);
        }
        let fragment = self.word(l3, FRAGMENT)?;
        if fragment & FRAGMENT_OFFSET != 0 {
            return Err(Verdict::PassFragment);
        }
        let l4 = l3.saturating_add(IPV4_LEN);
        let port = self.ike_port(l4)?;
        self.esp(port, l4)?;
        if !self.gateway.owns_v4(self.double(l3, DESTINATION)?) {
            return Err(Verdict::PassTransit);
        }
        // 0.0.0.0/8, 127.0.0.0/8, multicast, and everything above it.
        if matches!(self.byte(l3, SOURCE)?, 0 | 127 | 224..) {
            return Err(Verdict::PassMartian);
        }
        if fragment & MORE_FRAGMENTS != 0 {
            return Err(Verdict::PassFirstFragment);
        }
        let total = usize::from(self.word(l3, TOTAL_LENGTH)?);
        let payload = total.checked_sub(IPV4_LEN).ok_or(Verdict::PassTruncated)?;
        self.udp(port, l3, l4, payload)
    }

    /// RFC 8200 §3.
    #[inline(always)]
    fn ipv6(&self, l3: usize) -> Result<Located, Verdict> {
        const VERSION: usize = 0;
        const PAYLOAD_LENGTH: usize = 4;
        const NEXT_HEADER: usize = 6;
        const FRAGMENT: u8 = 44;
        const CHECKSUM: usize = 6;

        if self.byte(l3, VERSION)? >> 4 != 6 {
            return Err(Verdict::PassNotIp);
        }
        match self.byte(l3, NEXT_HEADER)? {
            UDP => {}
            FRAGMENT => return self.ipv6_fragment(l3),
            other => return Err(not_udp(other)),
        }
        let l4 = l3.saturating_add(IPV6_LEN);
        let port = self.ike_port(l4)?;
        self.esp(port, l4)?;
        self.ipv6_addresses(l3)?;
        // Legal inside some tunnels only (RFC 6936); the kernel knows which.
        if self.word(l4, CHECKSUM)? == 0 {
            return Err(Verdict::PassNoChecksum);
        }
        let payload = usize::from(self.word(l3, PAYLOAD_LENGTH)?);
        self.udp(port, l3, l4, payload)
    }

    /// A packet whose first extension header is a fragment header
    /// (RFC 8200 §4.5) is always passed; the question is how it is counted.
    #[inline(always)]
    fn ipv6_fragment(&self, l3: usize) -> Result<Located, Verdict> {
        const HEADER_LEN: usize = 8;
        const NEXT_HEADER: usize = 0;
        const FRAGMENT: usize = 2;
        const MORE_FRAGMENTS: u16 = 0x0001;
        const FRAGMENT_OFFSET: u16 = 0xfff8;

        let header = l3.saturating_add(IPV6_LEN);
        let next_header = self.byte(header, NEXT_HEADER)?;
        if next_header != UDP {
            return Err(not_udp(next_header));
        }
        let fragment = self.word(header, FRAGMENT)?;
        if fragment & FRAGMENT_OFFSET != 0 {
            return Err(Verdict::PassFragment);
        }
        // An atomic fragment is a whole packet (RFC 6946).
        if fragment & MORE_FRAGMENTS == 0 {
            return Err(Verdict::PassExtensionHeader);
        }
        let l4 = header.saturating_add(HEADER_LEN);
        let port = self.ike_port(l4)?;
        self.esp(port, l4)?;
        self.ipv6_addresses(l3)?;
        Err(Verdict::PassFirstFragment)
    }

    /// Refuses a packet that is not for us, or from nobody.
    #[inline(always)]
    fn ipv6_addresses(&self, l3: usize) -> Result<(), Verdict> {
        const SOURCE: usize = 8;
        const DESTINATION: usize = 24;
        const INTERFACE: usize = DESTINATION + 8;

        let prefix = self.quad(l3, DESTINATION)?;
        let interface = self.quad(l3, INTERFACE)?;
        if !self
            .gateway
            .owns_v6(u128::from(prefix) << 64 | u128::from(interface))
        {
            return Err(Verdict::PassTransit);
        }
        // Multicast, and ::/64 with the unspecified, the loopback and the
        // mapped IPv4 addresses in it.
        let prefix = self.quad(l3, SOURCE)?;
        if prefix == 0 || prefix >> 56 == 0xff {
            return Err(Verdict::PassMartian);
        }
        Ok(())
    }

    /// The destination port, when it is one of IKE's.
    #[inline(always)]
    fn ike_port(&self, l4: usize) -> Result<u16, Verdict> {
        const DESTINATION: usize = 2;

        match self.word(l4, DESTINATION)? {
            port @ (IKE_PORT | NAT_PORT) => Ok(port),
            _ => Err(Verdict::PassOtherPort),
        }
    }

    /// Passes ESP, ours or in transit. It is most of what a gateway receives, so
    /// it must not wait for the addresses to be looked up.
    #[inline(always)]
    fn esp(&self, port: u16, l4: usize) -> Result<(), Verdict> {
        const LENGTH: usize = 4;
        const HAS_MARKER: usize = UDP_LEN + MARKER_LEN;

        if port == NAT_PORT
            && usize::from(self.word(l4, LENGTH)?) >= HAS_MARKER
            && self.double(l4, UDP_LEN)? != 0
        {
            return Err(Verdict::PassEsp);
        }
        Ok(())
    }

    /// RFC 768 and RFC 3948, in an IP packet with `available` octets behind its
    /// header.
    #[inline(always)]
    fn udp(&self, port: u16, l3: usize, l4: usize, available: usize) -> Result<Located, Verdict> {
        const SOURCE: usize = 0;
        const LENGTH: usize = 4;

        self.link_addresses()?;
        if self.word(l4, SOURCE)? == 0 {
            return Err(Verdict::PassMartian);
        }
        // A frame may be longer than its packet: Ethernet pads.
        if self.frame.length() < l4.saturating_add(available) {
            return Err(Verdict::PassTruncated);
        }
        let datagram = usize::from(self.word(l4, LENGTH)?);
        if datagram < UDP_LEN || datagram > available {
            return Err(Verdict::DropUdpLength);
        }
        let payload = l4.saturating_add(UDP_LEN);
        let length = datagram.saturating_sub(UDP_LEN);
        if port == IKE_PORT {
            let verdict = self.ike(payload, length, Verdict::RedirectIke)?;
            return Ok(Located {
                verdict,
                l3,
                l4,
                ike: payload,
                length,
            });
        }
        let Some(length) = length.checked_sub(MARKER_LEN) else {
            return Err(self.keepalive(payload, length));
        };
        let ike = payload.saturating_add(MARKER_LEN);
        let verdict = self.ike(ike, length, Verdict::RedirectIkeNat)?;
        Ok(Located {
            verdict,
            l3,
            l4,
            ike,
            length,
        })
    }

    /// A reply goes back to the MAC address it came from, and from the one it
    /// was sent to: neither may be a group.
    #[inline(always)]
    fn link_addresses(&self) -> Result<(), Verdict> {
        const DESTINATION: usize = 0;
        const SOURCE: usize = 6;
        const GROUP: u8 = 0x01;

        if (self.byte(0, DESTINATION)? | self.byte(0, SOURCE)?) & GROUP != 0 {
            return Err(Verdict::PassMartian);
        }
        Ok(())
    }

    /// The verdict on a payload on port 4500 that is too short for a marker.
    ///
    /// What is no keepalive can be neither ESP nor IKE, yet the kernel would
    /// hand it to whoever listens for IKE.
    #[inline(always)]
    fn keepalive(&self, payload: usize, length: usize) -> Verdict {
        const KEEPALIVE: u8 = 0xff;

        match (length, self.byte(payload, 0)) {
            (0, _) | (1, Ok(KEEPALIVE)) => Verdict::DropKeepalive,
            _ => Verdict::DropShort,
        }
    }

    /// RFC 7296 §3.1, in a message of `length` octets; `verdict` is for those
    /// that stand every check.
    ///
    /// The length is checked before the version, because noise that claims to
    /// be IKEv3 would otherwise reach user space to be refused there.
    #[inline(always)]
    fn ike(&self, ike: usize, length: usize, verdict: Verdict) -> Result<Verdict, Verdict> {
        const INITIATOR_SPI: usize = 0;
        const VERSION: usize = 17;
        const EXCHANGE: usize = 18;
        const LENGTH: usize = 24;

        if length < IKE_LEN {
            return Err(Verdict::DropShort);
        }
        let claimed = self.double(ike, LENGTH)?;
        if usize::try_from(claimed) != Ok(length) {
            return Err(Verdict::DropLength);
        }
        match self.byte(ike, VERSION)? >> 4 {
            0 => return Err(Verdict::DropVersion),
            1 if self.gateway.drops_ikev1() => return Err(Verdict::DropIkev1),
            1 => return Err(Verdict::PassIkev1),
            2 => {}
            _ => return Ok(Verdict::RedirectVersion),
        }
        if self.quad(ike, INITIATOR_SPI)? == 0 {
            return Err(Verdict::DropInitiatorSpi);
        }
        match self.byte(ike, EXCHANGE)? {
            IKE_SA_INIT => self.ike_sa_init(ike)?,
            IKE_AUTH..=INFORMATIONAL | IKE_INTERMEDIATE..=IKE_FOLLOWUP_KE => {}
            _ => return Err(Verdict::DropExchange),
        }
        Ok(verdict)
    }

    /// The request comes first in its SA, so nothing can have been agreed yet
    /// (RFC 7296 §2.2 and §3.1).
    #[inline(always)]
    fn ike_sa_init(&self, ike: usize) -> Result<(), Verdict> {
        const RESPONDER_SPI: usize = 8;
        const FLAGS: usize = 19;
        const MESSAGE_ID: usize = 20;
        const RESPONSE: u8 = 0x20;

        if self.byte(ike, FLAGS)? & RESPONSE != 0 {
            return Ok(());
        }
        if self.double(ike, MESSAGE_ID)? != 0 {
            return Err(Verdict::DropMessageId);
        }
        if self.quad(ike, RESPONDER_SPI)? != 0 {
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
const fn is_vlan(ether_type: u16) -> bool {
    matches!(ether_type, 0x8100 | 0x88a8)
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
const IKE_SA_INIT: u8 = 34;
const IKE_AUTH: u8 = 35;
const INFORMATIONAL: u8 = 37;
const IKE_INTERMEDIATE: u8 = 43;
const IKE_FOLLOWUP_KE: u8 = 44;
