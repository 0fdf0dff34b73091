//! Traffic Selector payloads (RFC 7296 §3.13).
//!
//! ```text
//! | number | RESERVED (3) | selectors |
//! | type | protocol | length (2) | start port (2) | end port (2) | start address | end address |
//! ```

use alloc::vec::Vec;
use core::fmt;
use core::net::IpAddr;

use crate::error::{Error, Fault, Limit, Malformed};
use crate::limits::SELECTORS_MAX;
use crate::prefix::Prefix;
use crate::wire::iana::{PayloadType, TrafficSelectorType};
use crate::wire::reader::Reader;
use crate::wire::writer::ChainWriter;

/// A range of addresses, with a protocol and a range of ports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TrafficSelector {
    /// IP protocol; 0 for any.
    pub protocol: u8,
    /// First port.
    pub start_port: u16,
    /// Last port.
    pub end_port: u16,
    /// First address.
    pub start: IpAddr,
    /// Last address, of the same family.
    pub end: IpAddr,
}

impl TrafficSelector {
    /// Every protocol and port between two addresses.
    #[must_use]
    pub const fn addresses(start: IpAddr, end: IpAddr) -> Self {
        Self {
            protocol: 0,
            start_port: 0,
            end_port: u16::MAX,
            start,
            end,
        }
    }

    /// Every protocol and port of one address.
    #[must_use]
    pub const fn host(address: IpAddr) -> Self {
        Self::addresses(address, address)
    }

    fn decode(reader: &mut Reader<'_>) -> Result<Option<Self>, Malformed> {
        const FIELD: &str = "traffic selector";
        let kind = TrafficSelectorType(reader.u8(FIELD)?);
        let protocol = reader.u8(FIELD)?;
        let length = reader.u16(FIELD)?;
        let mut reader = Reader::new(reader.take_rest_of(length, 4, FIELD)?);
        let address = match kind {
            TrafficSelectorType::IPV4_ADDR_RANGE => {
                |reader: &mut Reader<'_>| reader.array::<4>(FIELD).map(IpAddr::from)
            }
            TrafficSelectorType::IPV6_ADDR_RANGE => {
                |reader: &mut Reader<'_>| reader.array::<16>(FIELD).map(IpAddr::from)
            }
            // Another type selects nothing of ours (RFC 7296 §3.13.1).
            _ => return Ok(None),
        };
        let start_port = reader.u16(FIELD)?;
        let end_port = reader.u16(FIELD)?;
        let start = address(&mut reader)?;
        let end = address(&mut reader)?;
        reader.end(FIELD)?;
        // OPAQUE ports (RFC 7296 §3.13.1) start high and end low.
        let opaque = start_port == u16::MAX && end_port == 0;
        if start > end || (start_port > end_port && !opaque) {
            return Err(Malformed {
                field: FIELD,
                fault: Fault::Value,
            });
        }
        Ok(Some(Self {
            protocol,
            start_port,
            end_port,
            start,
            end,
        }))
    }
}

/// Reads the body of TSi or TSr.
///
/// # Errors
/// [`Malformed`], or [`Limit::Selectors`].
pub fn decode(body: &[u8]) -> Result<Vec<TrafficSelector>, Error> {
    const FIELD: &str = "traffic selectors";
    let mut reader = Reader::new(body);
    let count = usize::from(reader.u8(FIELD)?);
    reader.array::<3>(FIELD)?;
    if count > SELECTORS_MAX {
        return Err(Limit::Selectors.into());
    }
    let mut selectors = Vec::new();
    for _ in 0..count {
        selectors.extend(TrafficSelector::decode(&mut reader)?);
    }
    reader.end(FIELD)?;
    Ok(selectors)
}

/// Appends a payload of type `kind` (TSi or TSr).
pub fn encode(chain: &mut ChainWriter, kind: PayloadType, selectors: &[TrafficSelector]) {
    chain.payload(kind, |body| {
        body.u8(u8::try_from(selectors.len()).unwrap_or(u8::MAX));
        body.bytes(&[0; 3]);
        for selector in selectors {
            let kind = match selector.start {
                IpAddr::V4(_) => TrafficSelectorType::IPV4_ADDR_RANGE,
                IpAddr::V6(_) => TrafficSelectorType::IPV6_ADDR_RANGE,
            };
            body.structure(&[kind.0, selector.protocol], |body| {
                body.u16(selector.start_port);
                body.u16(selector.end_port);
                for address in [selector.start, selector.end] {
                    match address {
                        IpAddr::V4(address) => body.bytes(&address.octets()),
                        IpAddr::V6(address) => body.bytes(&address.octets()),
                    }
                }
            });
        }
    });
}

impl fmt::Display for TrafficSelector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut prefixes = Prefix::cover(self.start, self.end);
        match (prefixes.next(), prefixes.next()) {
            (Some(prefix), None) => write!(f, "{prefix}")?,
            _ => write!(f, "{}-{}", self.start, self.end)?,
        }
        if self.protocol != 0 {
            write!(f, "[{}", self.protocol)?;
            match (self.start_port, self.end_port) {
                (0, u16::MAX) => {}
                (start, end) if start == end => write!(f, "/{start}")?,
                (start, end) => write!(f, "/{start}-{end}")?,
            }
            f.write_str("]")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;

    fn range(start: &str, end: &str) -> TrafficSelector {
        TrafficSelector::addresses(start.parse().unwrap(), end.parse().unwrap())
    }

    #[test]
    fn selectors_survive_encoding_and_decoding() {
        let selectors = [
            range("0.0.0.0", "255.255.255.255"),
            range("2001:db8::", "2001:db8::ffff"),
            TrafficSelector {
                protocol: 17,
                start_port: 53,
                end_port: 53,
                ..range("192.0.2.1", "192.0.2.9")
            },
        ];
        let mut chain = ChainWriter::default();
        encode(
            &mut chain,
            PayloadType::TRAFFIC_SELECTOR_INITIATOR,
            &selectors,
        );
        let octets = chain.finish().octets;
        assert_eq!(decode(&octets[4..]).unwrap(), selectors);
        for end in 4..octets.len() {
            assert!(decode(&octets[4..end]).is_err());
        }
    }

    #[test]
    fn a_range_that_runs_backwards_is_refused() {
        let mut chain = ChainWriter::default();
        let backwards = range("192.0.2.9", "192.0.2.1");
        encode(
            &mut chain,
            PayloadType::TRAFFIC_SELECTOR_INITIATOR,
            &[backwards],
        );
        let octets = chain.finish().octets;
        assert!(decode(&octets[4..]).is_err());
    }

    #[test]
    fn people_read_prefixes() {
        for (selector, text) in [
            (range("0.0.0.0", "255.255.255.255"), "0.0.0.0/0"),
            (
                range("::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"),
                "::/0",
            ),
            (range("10.1.0.0", "10.1.255.255"), "10.1.0.0/16"),
            (range("192.0.2.7", "192.0.2.7"), "192.0.2.7/32"),
            (range("2001:db8::1", "2001:db8::1"), "2001:db8::1/128"),
            (range("192.0.2.1", "192.0.2.4"), "192.0.2.1-192.0.2.4"),
            (range("192.0.2.1", "192.0.2.2"), "192.0.2.1-192.0.2.2"),
        ] {
            assert_eq!(selector.to_string(), text);
        }
    }
}
