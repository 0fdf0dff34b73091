//! The headers around an IKE message and at its start: lengths, and where
//! fields are, in octets.

/// IEEE 802.3.
pub mod ethernet {
    /// Length without VLAN tags.
    pub const LEN: usize = 14;
    /// Destination MAC address, 6 octets.
    pub const DESTINATION: usize = 0;
    /// Source MAC address, 6 octets.
    pub const SOURCE: usize = 6;
    /// EtherType, 2 octets, right before what it announces.
    pub const TYPE: usize = 12;

    /// In the first octet of a MAC address that names more than one station.
    pub const GROUP: u8 = 0x01;

    /// EtherType of IPv4.
    pub const IPV4: u16 = 0x0800;
    /// EtherType of IPv6.
    pub const IPV6: u16 = 0x86dd;
    /// EtherType of a customer's VLAN tag (IEEE 802.1Q).
    pub const CUSTOMER_TAG: u16 = 0x8100;
    /// EtherType of a service provider's VLAN tag (IEEE 802.1ad).
    pub const SERVICE_TAG: u16 = 0x88a8;
    /// Length of either tag.
    pub const TAG_LEN: usize = 4;
}

/// RFC 791 §3.1.
pub mod ipv4 {
    /// Length without options.
    pub const LEN: usize = 20;
    /// Version and header length, 4 bits each.
    pub const VERSION_IHL: usize = 0;
    /// DSCP (RFC 2474) and ECN (RFC 3168), 1 octet.
    pub const DSCP_ECN: usize = 1;
    /// Length of header and payload, 2 octets.
    pub const TOTAL_LENGTH: usize = 2;
    /// Identification, 2 octets.
    pub const IDENTIFICATION: usize = 4;
    /// Flags and fragment offset, 2 octets.
    pub const FRAGMENT: usize = 6;
    /// Time to live, 1 octet.
    pub const TIME_TO_LIVE: usize = 8;
    /// Protocol, 1 octet.
    pub const PROTOCOL: usize = 9;
    /// Checksum of the header, 2 octets.
    pub const CHECKSUM: usize = 10;
    /// Source address, 4 octets.
    pub const SOURCE: usize = 12;
    /// Destination address, 4 octets.
    pub const DESTINATION: usize = 16;

    /// Version 4, and a header without options.
    pub const PLAIN: u8 = 0x45;
    /// Don't fragment.
    pub const DONT_FRAGMENT: u16 = 0x4000;
    /// More fragments follow.
    pub const MORE_FRAGMENTS: u16 = 0x2000;
    /// Mask of the fragment offset.
    pub const FRAGMENT_OFFSET: u16 = 0x1fff;
}

/// RFC 8200 §3.
pub mod ipv6 {
    /// Length without extension headers.
    pub const LEN: usize = 40;
    /// Version, traffic class and flow label, 4 octets.
    pub const VERSION: usize = 0;
    /// Length of what follows, 2 octets.
    pub const PAYLOAD_LENGTH: usize = 4;
    /// Next header, 1 octet.
    pub const NEXT_HEADER: usize = 6;
    /// Hop limit, 1 octet.
    pub const HOP_LIMIT: usize = 7;
    /// Source address, 16 octets.
    pub const SOURCE: usize = 8;
    /// Destination address, 16 octets.
    pub const DESTINATION: usize = 24;
}

/// RFC 8200 §4.5.
pub mod ipv6_fragment {
    /// Length.
    pub const LEN: usize = 8;
    /// Next header, 1 octet.
    pub const NEXT_HEADER: usize = 0;
    /// Fragment offset and flag, 2 octets.
    pub const FRAGMENT: usize = 2;

    /// Next header that announces a fragment header.
    pub const NUMBER: u8 = 44;
    /// More fragments follow.
    pub const MORE_FRAGMENTS: u16 = 0x0001;
    /// Mask of the fragment offset.
    pub const FRAGMENT_OFFSET: u16 = 0xfff8;
}

/// RFC 768.
pub mod udp {
    /// Length.
    pub const LEN: usize = 8;
    /// Source port, 2 octets.
    pub const SOURCE: usize = 0;
    /// Destination port, 2 octets.
    pub const DESTINATION: usize = 2;
    /// Length of header and payload, 2 octets.
    pub const LENGTH: usize = 4;
    /// Checksum of pseudo-header, header and payload, 2 octets.
    pub const CHECKSUM: usize = 6;

    /// IP protocol number.
    pub const NUMBER: u8 = 17;
}

/// RFC 7296 §3.1.
pub mod ike {
    /// Length.
    pub const LEN: usize = 28;
    /// The initiator's SPI, 8 octets.
    pub const INITIATOR_SPI: usize = 0;
    /// The responder's SPI, 8 octets.
    pub const RESPONDER_SPI: usize = 8;
    /// Type of the first payload, 1 octet.
    pub const NEXT_PAYLOAD: usize = 16;
    /// Major and minor version, 4 bits each.
    pub const VERSION: usize = 17;
    /// Exchange type, 1 octet.
    pub const EXCHANGE: usize = 18;
    /// Flags, 1 octet.
    pub const FLAGS: usize = 19;
    /// Message ID, 4 octets.
    pub const MESSAGE_ID: usize = 20;
    /// Length of the message, 4 octets.
    pub const LENGTH: usize = 24;

    /// Flag of who began the IKE SA.
    pub const INITIATOR: u8 = 0x08;
    /// Flag of a response.
    pub const RESPONSE: u8 = 0x20;
    /// Version 2.0.
    pub const V2: u8 = 0x20;
    /// Exchange type IKE_SA_INIT.
    pub const IKE_SA_INIT: u8 = 34;
    /// UDP port (RFC 7296 §2).
    pub const PORT: u16 = 500;
    /// UDP port behind a NAT, shared with ESP (RFC 7296 §2.23).
    pub const NAT_PORT: u16 = 4500;
    /// Length of the zeros that tell IKE from ESP there (RFC 3948 §2.2).
    pub const MARKER_LEN: usize = 4;
}

/// RFC 7296 §3.2, §3.9 and §3.10.
pub mod payload {
    /// Length of the generic header.
    pub const LEN: usize = 4;
    /// Type of the next payload, 1 octet.
    pub const NEXT_PAYLOAD: usize = 0;
    /// Length with the generic header, 2 octets.
    pub const LENGTH: usize = 2;

    /// Type of a nonce.
    pub const NONCE: u8 = 40;
    /// Type of a notification.
    pub const NOTIFY: u8 = 41;
    /// Length of a notification without an SPI and data.
    pub const NOTIFY_LEN: usize = 8;
    /// COOKIE: protocol and SPI size, which are none, and the type.
    pub const COOKIE: [u8; 4] = [0, 0, 0x40, 0x06];
}
