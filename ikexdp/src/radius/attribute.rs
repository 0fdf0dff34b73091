//! Attributes (RFC 2865 §5), as far as we know them.
//!
//! ```text
//!  0                   1
//!  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-
//! |     Type      |    Length     |  Value ...
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-
//! ```

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

macro_rules! kinds {
    ($( $constant:ident = $value:literal $label:literal, )*) => {
        impl Kind {
            $(
                #[doc = $label]
                pub(super) const $constant: Self = Self($value);
            )*
        }
    };
}

/// What an attribute is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Kind(pub(super) u8);

kinds! {
    USER_NAME = 1 "User-Name",
    NAS_IP_ADDRESS = 4 "NAS-IP-Address",
    SERVICE_TYPE = 6 "Service-Type",
    FRAMED_IP_ADDRESS = 8 "Framed-IP-Address",
    FILTER_ID = 11 "Filter-Id",
    FRAMED_MTU = 12 "Framed-MTU",
    REPLY_MESSAGE = 18 "Reply-Message",
    STATE = 24 "State",
    CLASS = 25 "Class",
    VENDOR_SPECIFIC = 26 "Vendor-Specific",
    SESSION_TIMEOUT = 27 "Session-Timeout",
    CALLED_STATION_ID = 30 "Called-Station-Id",
    CALLING_STATION_ID = 31 "Calling-Station-Id",
    NAS_IDENTIFIER = 32 "NAS-Identifier",
    PROXY_STATE = 33 "Proxy-State",
    ACCT_STATUS_TYPE = 40 "Acct-Status-Type",
    ACCT_DELAY_TIME = 41 "Acct-Delay-Time",
    ACCT_INPUT_OCTETS = 42 "Acct-Input-Octets",
    ACCT_OUTPUT_OCTETS = 43 "Acct-Output-Octets",
    ACCT_SESSION_ID = 44 "Acct-Session-Id",
    ACCT_AUTHENTIC = 45 "Acct-Authentic",
    ACCT_SESSION_TIME = 46 "Acct-Session-Time",
    ACCT_INPUT_PACKETS = 47 "Acct-Input-Packets",
    ACCT_OUTPUT_PACKETS = 48 "Acct-Output-Packets",
    ACCT_TERMINATE_CAUSE = 49 "Acct-Terminate-Cause",
    ACCT_INPUT_GIGAWORDS = 52 "Acct-Input-Gigawords",
    ACCT_OUTPUT_GIGAWORDS = 53 "Acct-Output-Gigawords",
    EVENT_TIMESTAMP = 55 "Event-Timestamp",
    NAS_PORT_TYPE = 61 "NAS-Port-Type",
    EAP_MESSAGE = 79 "EAP-Message",
    MESSAGE_AUTHENTICATOR = 80 "Message-Authenticator",
    ACCT_INTERIM_INTERVAL = 85 "Acct-Interim-Interval",
    NAS_PORT_ID = 87 "NAS-Port-Id",
    NAS_IPV6_ADDRESS = 95 "NAS-IPv6-Address",
    ERROR_CAUSE = 101 "Error-Cause",
    FRAMED_IPV6_ADDRESS = 168 "Framed-IPv6-Address (RFC 6911)",
}

/// Service-Type Framed (RFC 2865 §5.6).
pub(super) const FRAMED: u32 = 2;

/// NAS-Port-Type Virtual (RFC 2865 §5.41).
pub(super) const VIRTUAL: u32 = 5;

/// An attribute of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Attribute<'a> {
    pub(super) kind: Kind,
    pub(super) value: &'a [u8],
}

impl<'a> Attribute<'a> {
    /// The first attribute of `octets`, and what is behind it; `None` if its
    /// length is not that of an attribute, or more than there is.
    pub(super) fn split(octets: &'a [u8]) -> Option<(Self, &'a [u8])> {
        let [kind, length, ..] = *octets else {
            return None;
        };
        let (attribute, rest) = octets.split_at_checked(length.into())?;
        let value = attribute.get(2..)?;
        let kind = Kind(kind);
        Some((Self { kind, value }, rest))
    }

    /// A value of 32 bits.
    pub(super) fn number(&self) -> Option<u32> {
        Some(u32::from_be_bytes(self.value.try_into().ok()?))
    }

    /// An address of the family that the attribute is of.
    pub(super) fn address(&self) -> Option<IpAddr> {
        if let Ok(octets) = <[u8; 4]>::try_from(self.value) {
            return Some(Ipv4Addr::from(octets).into());
        }
        let octets = <[u8; 16]>::try_from(self.value).ok()?;
        Some(Ipv6Addr::from(octets).into())
    }

    /// Text; what is no UTF-8 in it is replaced.
    pub(super) fn text(&self) -> String {
        String::from_utf8_lossy(self.value).into_owned()
    }

    /// The attributes of Microsoft in this one (RFC 2548 §2), which has another
    /// vendor's if there are none.
    pub(super) fn of_microsoft(&self) -> impl Iterator<Item = Attribute<'a>> + use<'a> {
        const VENDOR: [u8; 4] = 311_u32.to_be_bytes();
        let within = (self.kind == Kind::VENDOR_SPECIFIC)
            .then(|| self.value.strip_prefix(&VENDOR))
            .flatten();
        Attributes(within.unwrap_or_default())
    }
}

/// The attributes in some octets, up to the first that is none.
#[derive(Clone, Copy, Debug)]
pub(super) struct Attributes<'a>(pub(super) &'a [u8]);

impl<'a> Iterator for Attributes<'a> {
    type Item = Attribute<'a>;

    fn next(&mut self) -> Option<Self::Item> {
        let (attribute, rest) = Attribute::split(self.0)?;
        self.0 = rest;
        Some(attribute)
    }
}

/// The vendor types of keys (RFC 2548 §2.4).
impl Kind {
    /// MS-MPPE-Send-Key
    pub(super) const MS_MPPE_SEND_KEY: Self = Self(16);
    /// MS-MPPE-Recv-Key
    pub(super) const MS_MPPE_RECV_KEY: Self = Self(17);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_attribute_must_fit_its_length() {
        for wrong in [&[][..], &[1], &[1, 0], &[1, 1], &[1, 3], &[1, 255, 0, 0]] {
            assert_eq!(Attribute::split(wrong), None, "{wrong:?}");
        }
        let (attribute, rest) = Attribute::split(&[1, 2, 9]).unwrap();
        assert_eq!((attribute.value, rest), (&[][..], &[9][..]));
    }

    #[test]
    fn only_microsofts_attributes_are_microsofts() {
        let keys = |value: &[u8]| {
            let attribute = Attribute {
                kind: Kind::VENDOR_SPECIFIC,
                value,
            };
            attribute.of_microsoft().count()
        };
        assert_eq!(keys(&[0, 0, 1, 55, 16, 3, 7, 17, 3, 8]), 2);
        assert_eq!(keys(&[0, 0, 1, 54, 16, 3, 7]), 0);
        assert_eq!(keys(&[0, 0, 1, 55, 16, 200, 7]), 0);
        assert_eq!(keys(&[0, 0, 1]), 0);
    }
}
