//! The little of EAP (RFC 3748 §4) that a pass-through authenticator reads.
//!
//! ```text
//! Code (1) | Identifier (1) | Length (2) | Type (1) | Type-Data ...
//! ```

use ikexdp_proto::limits::EAP_LEN_MAX;

/// Code of a request.
const REQUEST: u8 = 1;
/// Code of a response.
const RESPONSE: u8 = 2;
/// Type of the first request, and of its response.
const IDENTITY: u8 = 1;

/// The name in a Response/Identity (RFC 3748 §5.1): what is behind a NUL is no part
/// of it.
pub(super) fn identity(packet: &[u8]) -> Option<&[u8]> {
    let [RESPONSE, _, _, _, IDENTITY, name @ ..] = packet else {
        return None;
    };
    name.split(|octet| *octet == 0).next()
}

/// Whether it is a request that can be sent to a peer.
pub(super) fn is_request(packet: &[u8]) -> bool {
    let [REQUEST, _, high, low, _, ..] = *packet else {
        return false;
    };
    let length = usize::from(u16::from_be_bytes([high, low]));
    length == packet.len() && length <= EAP_LEN_MAX
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_identity_is_one() {
        assert_eq!(
            identity(&[2, 7, 0, 8, 1, b'k', b'i', b'm']),
            Some(&b"kim"[..])
        );
        assert_eq!(identity(&[2, 7, 0, 7, 1, b'k', 0]), Some(&b"k"[..]));
        assert_eq!(identity(&[2, 7, 0, 5, 1]), Some(&[][..]));
        for other in [
            &[][..],
            &[2, 7, 0, 4],
            &[1, 7, 0, 6, 1, b'k'],
            &[2, 7, 0, 6, 3, 26],
        ] {
            assert_eq!(identity(other), None, "{other:?}");
        }
    }

    #[test]
    fn only_a_whole_request_is_passed_on() {
        assert!(is_request(&[1, 7, 0, 6, 26, 1]));
        for other in [
            &[][..],
            &[1, 7, 0, 4],
            &[1, 7, 0, 7, 26, 1],
            &[1, 7, 0, 5, 26, 1],
            &[2, 7, 0, 6, 26, 1],
            &[3, 7, 0, 4],
        ] {
            assert!(!is_request(other), "{other:?}");
        }
    }
}
