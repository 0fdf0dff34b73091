//! IPv6 extension headers (RFC 8200 §4).
//!
//! Ours, because the iterator that etherparse 0.21 has for them reads beyond the end of headers that were cut: found
//! by the fuzzer on a header that says that it is longer than what was captured.

use ikexdp_proto::wire::reader::Reader;

/// More extension headers than any packet has that is meant well: there are seven kinds.
const HEADERS_MAX: usize = 8;
const HOP_BY_HOP: u8 = 0;
const ROUTING: u8 = 43;
const FRAGMENT: u8 = 44;
const AUTHENTICATION: u8 = 51;
const DESTINATION: u8 = 60;
const MOBILITY: u8 = 135;
const HIP: u8 = 139;
const SHIM6: u8 = 140;

/// The Fragment header (RFC 8200 §4.5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FragmentHeader {
    /// Which packet it is a fragment of.
    pub identification: u32,
    /// Where its data belong, in octets.
    pub offset: u16,
    /// Whether others follow.
    pub more: bool,
}

impl FragmentHeader {
    /// Looks for it among the headers in `octets`, the first of which is of kind `next`.
    #[must_use]
    pub fn find(mut next: u8, mut octets: &[u8]) -> Option<Self> {
        const FIELD: &str = "extension header";
        for _ in 0..HEADERS_MAX {
            let mut reader = Reader::new(octets);
            let following = reader.u8(FIELD).ok()?;
            let length = usize::from(reader.u8(FIELD).ok()?);
            let length = match next {
                FRAGMENT => {
                    let place = reader.u16(FIELD).ok()?;
                    return Some(Self {
                        identification: reader.u32(FIELD).ok()?,
                        offset: place & !7,
                        more: place & 1 == 1,
                    });
                }
                // RFC 4302 §2.2: in words, without two of them.
                AUTHENTICATION => length.saturating_add(2).saturating_mul(4),
                HOP_BY_HOP | ROUTING | DESTINATION | MOBILITY | HIP | SHIM6 => {
                    length.saturating_add(1).saturating_mul(8)
                }
                _ => return None,
            };
            next = following;
            octets = octets.get(length..)?;
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: [u8; 8] = [17, 0, 0x05, 0xa9, 0, 0, 0, 7];

    fn found(next: u8, before: &[u8]) -> Option<FragmentHeader> {
        FragmentHeader::find(next, &[before, &HEADER].concat())
    }

    #[test]
    fn it_is_found_behind_others() {
        let expected = Some(FragmentHeader {
            identification: 7,
            offset: 0x5a8,
            more: true,
        });
        assert_eq!(found(FRAGMENT, &[]), expected);
        assert_eq!(
            found(HOP_BY_HOP, &[FRAGMENT, 0, 1, 4, 0, 0, 0, 0]),
            expected
        );
        let authentication = [&[FRAGMENT, 1][..], &[0; 10]].concat();
        assert_eq!(found(AUTHENTICATION, &authentication), expected);
        assert_eq!(found(17, &[]), None);
    }

    /// A header that says that it is longer than all there is.
    #[test]
    fn what_is_cut_is_not_read_beyond_its_end() {
        for length in 0..HEADER.len() {
            assert_eq!(FragmentHeader::find(FRAGMENT, &HEADER[..length]), None);
            for next in [HOP_BY_HOP, ROUTING, AUTHENTICATION, DESTINATION, MOBILITY] {
                let octets = [&[next, 255][..], &HEADER[..length]].concat();
                assert_eq!(FragmentHeader::find(next, &octets), None);
            }
        }
        let endless = [DESTINATION, 0, 0, 0, 0, 0, 0, 0].repeat(100);
        assert_eq!(FragmentHeader::find(DESTINATION, &endless), None);
    }
}
